"""What is read at every place, fixed once: which layers and scales, which ids, at which moment."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from ..geometry import IntTriple, Resolution
from ..ids import Ids
from ..layers import Layer, LayerName, Mip
from ..reading import Missing, check_memory
from ..scales import Scale
from ..volumes import IdsWanted
from ..volumes.chunksource import shares_chunks
from ..volumes.gathering import Names, look_up
from ..volumes.memory import MemoryVolume
from .grouping import Grid

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Terms", "check_size", "grids_of", "kept_bytes", "layers_of", "names_of", "result_bytes", "terms_of"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is read at every place; fixed once, so that all places are seen alike.

    Parameters
    ----------
    mips : tuple of (str, int)
        The layers and the scale of each.
    resolution : tuple of float
        nm per voxel of what comes back: the finest of the layers along each axis.
    wanted : IdsWanted
        Which ids, and at which moment.
    missing : {"fill", "warn", "raise"}
        What to do about voxels that are not there.
    """

    mips: tuple[tuple[LayerName, int], ...]
    resolution: Resolution
    wanted: IdsWanted
    missing: Missing


def terms_of(
    client: ImageryClient,
    *,
    mip: Mip = None,
    image_mip: Mip = None,
    segmentation_mip: Mip = None,
    root_ids: Any = "all",
    timestamp: Any = None,
    missing: Missing | None = None,
) -> Terms:
    """Fix what is read at every place, the moment included; arguments are those of `client.cutout`."""
    wanted = client._wanted(root_ids, timestamp)
    pairs = client._pairs(mip, image_mip, segmentation_mip, wanted)
    x, y, z = (min(axis) for axis in zip(*(scale.resolution for _, scale, _ in pairs), strict=True))
    mips = tuple((layer.name, scale.mip) for layer, scale, _ in pairs)
    return Terms(mips, (x, y, z), wanted, client._policy_of(missing).missing)


def layers_of(client: ImageryClient, terms: Terms) -> list[tuple[Layer, Scale]]:
    """Give the layers to read, opened, and the scale of each."""
    names = [name for name, _ in terms.mips]
    return [(layer, layer.scale(mip)) for layer, (_, mip) in zip(client._layers.get(*names), terms.mips, strict=True)]


def grids_of(client: ImageryClient, terms: Terms) -> list[Grid]:
    """Tell how the layers lie in chunks, for the order of places and the size of groups."""
    grids = []
    for layer, scale in layers_of(client, terms):
        info = layer.volume.info
        size = layer.volume.cell_size(scale) if isinstance(layer.volume, MemoryVolume) else scale.chunk_size
        voxel = info.dtype.itemsize * info.channels
        if not shares_chunks(layer.volume):
            voxel = 0  # each box is read by itself
        elif scale.encoding == "compressed_segmentation":
            voxel = 1
        grids.append(Grid(scale.bounds.start, size, scale.resolution, voxel))
    return grids


def result_bytes(client: ImageryClient, terms: Terms, shape: IntTriple) -> int:
    """Give the bytes that the arrays of one cutout take."""
    each = [
        8 if layer.name == "segmentation" else layer.volume.info.dtype.itemsize * layer.volume.info.channels
        for layer, _ in layers_of(client, terms)
    ]
    return prod(shape) * sum(each)


def kept_bytes(client: ImageryClient, terms: Terms, shape: IntTriple) -> int:
    """Give the bytes, about, of what a place takes from the chunks: imagery as it is, labels in few bytes a voxel."""
    kept = 4096.0
    for layer, scale in layers_of(client, terms):
        if shares_chunks(layer.volume):
            encoded = scale.encoding == "compressed_segmentation"
            voxel = 1.5 if encoded else layer.volume.info.dtype.itemsize * layer.volume.info.channels
            finer = prod(a / b for a, b in zip(terms.resolution, scale.resolution, strict=True))
            kept += prod(shape) * finer * voxel
    return int(kept)


def names_of(client: ImageryClient, terms: Terms, supervoxels: Ids) -> Names | None:
    """Ask whose the supervoxels of several groups are, in one request.

    Raises
    ------
    StorageError, SourceError, DamagedDataError, ArgumentError
        If that cannot be told.
    """
    for layer, _ in layers_of(client, terms):
        if layer.name == "segmentation":
            return look_up(layer.volume, supervoxels, terms.wanted)
    return None


def check_size(client: ImageryClient, terms: Terms, shape: IntTriple) -> None:
    """Refuse a size of which one cutout alone exceeds the limit of memory.

    Raises
    ------
    TooLargeError
        With what to do.
    """
    x, y, z = shape
    check_memory(
        result_bytes(client, terms, shape),
        client._policy_of(terms.missing),
        f"a cutout of {x} x {y} x {z} voxels",
        "ask for smaller boxes or a coarser mip",
    )
