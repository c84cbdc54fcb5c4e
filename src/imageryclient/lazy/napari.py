"""Volumes as layers for napari: pyramids that are read where one looks, in nm.

napari itself is not needed to make them. Its rules: the last two axes are rows and columns, so arrays are turned to
(z, y, x); the voxel with index i lies with its centre at `i * scale + translate`; and of a pyramid it takes the factor
between levels from their shapes, so all levels here hold the very same box. What of that box lies beyond a level's
bounds is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from ..errors import ArgumentError
from ..geometry import TOLERANCE, Box, IntTriple, Resolution, format_resolution
from ..layers import Layer, LayerName, Mip
from ..scales import Scale
from ..volumes.base import is_versioned
from .arrays import as_dask
from .reader import LayerReader, image_reader, segmentation_reader

if TYPE_CHECKING:
    import dask.array as da

    from ..dataset import Dataset

__all__ = ["LayerData", "napari_layers"]

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels"]]
_BLOCK_BYTES = 4 * 2**20  # a viewer waits for whole blocks


def napari_layers(
    client: Dataset,
    mips: Sequence[Mip] | None = None,
    *,
    layers: Sequence[LayerName] | None = None,
    root_ids: Any = "all",
    timestamp: Any = None,
) -> list[LayerData]:
    """Give the layers of a dataset for napari; nothing is read before they are looked at.

    `for layer in napari_layers(client): viewer.add_layer(napari.layers.Layer.create(*layer))` shows them.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    mips : sequence of int, optional
        The scales of the pyramids, finest first, of every layer; by default all but placeholders whose voxels are whole
        multiples of the first one's. Give fewer where one looks closely: of a proofread segmentation, the whole volume
        at a coarse scale asks for the object of each of its supervoxels.
    layers : sequence of {"imagery", "segmentation"}, optional
        By default those that the client has.
    root_ids, timestamp
        As for `segmentation_cutout`; the moment is the same for all that is looked at.

    Returns
    -------
    list of tuple
        For each layer the data, keywords, and "image" or "labels" (napari's LayerData). The data are Dask arrays with
        axes (z, y, x), finest first, or one array where there is one scale; `scale` and `translate` are nm, so that
        layers of different resolutions lie where they belong, and the cursor shows nm. Three channels of uint8 are
        colours, (z, y, x, c); other channels become a layer each.

    Raises
    ------
    MissingExtraError
        If dask is not installed.
    ScaleError
        If there is no such scale, or it is a placeholder.
    ArgumentError
        If the voxels of the scales given are no whole multiples of the first one's.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.zeros((64, 32, 8), np.uint8), (8, 8, 40), (100, 0, 0))
    >>> (data, options, kind), = napari_layers(ic.ImageryClient(image_source=em))
    >>> data.shape, kind, options["scale"], options["translate"]
    ((8, 32, 64), 'image', (40.0, 8.0, 8.0), (20.0, 4.0, 804.0))
    """
    made: list[LayerData] = []
    for layer in client._layers.get(*(layers or client._layers.names)):
        scales = _pyramid(layer, mips)
        box = _common_box(scales)
        if layer.name == "imagery":
            finest = image_reader(client, scales[0].mip)
        else:
            finest = segmentation_reader(client, scales[0].mip, timestamp, root_ids)
        made += _layer_data(layer, [finest.at(scale, box.at(scale.resolution)) for scale in scales])
    return made


def _pyramid(layer: Layer, mips: Sequence[Mip] | None) -> list[Scale]:
    """Give the scales of a pyramid, finest first."""
    info = layer.volume.info
    chosen = [scale for scale in info.scales if not scale.placeholder] if mips is None else map(layer.scale, mips)
    scales = sorted({scale.resolution: scale for scale in chosen}.values(), key=lambda s: math.prod(s.resolution))
    if not scales:
        raise ArgumentError("a pyramid needs one scale at least; got mips=[]")
    finest = scales[0].resolution
    fitting = [scale for scale in scales if _factors(scale.resolution, finest) is not None]
    if mips is not None and len(fitting) < len(scales):
        other = next(scale for scale in scales if scale not in fitting)
        raise ArgumentError(
            f"the voxels of each scale must be whole multiples of the finest one's, {format_resolution(finest)} nm; "
            f"those of mip {other.mip} of {layer.volume.source} are {format_resolution(other.resolution)} nm"
        )
    return fitting


def _factors(coarse: Resolution, fine: Resolution) -> IntTriple | None:
    ratios = [a / b for a, b in zip(coarse, fine, strict=True)]
    whole = [round(ratio) for ratio in ratios]
    if any(n < 1 or abs(ratio - n) > TOLERANCE * n for ratio, n in zip(ratios, whole, strict=True)):
        return None
    return whole[0], whole[1], whole[2]


def _common_box(scales: Sequence[Scale]) -> Box:
    """Give the smallest box of the finest scale that holds its bounds and whole voxels of all others."""
    bounds = scales[0].bounds
    factors = [_factors(scale.resolution, bounds.resolution) or (1, 1, 1) for scale in scales]
    common = [math.lcm(*axis) for axis in zip(*factors, strict=True)]
    start = tuple(a // n * n for a, n in zip(bounds.start, common, strict=True))
    stop = tuple(-(-b // n) * n for b, n in zip(bounds.stop, common, strict=True))
    return Box(cast(IntTriple, start), cast(IntTriple, stop), bounds.resolution)


def _layer_data(layer: Layer, readers: Sequence[LayerReader]) -> list[LayerData]:
    finest = readers[0]
    arrays = [as_dask(reader, layer.name, limit=_BLOCK_BYTES) for reader in readers]
    turned = [array.transpose(2, 1, 0, *range(3, array.ndim)) for array in arrays]  # type: ignore[no-untyped-call]
    nm = finest.box.resolution
    metadata: dict[str, Any] = {"source": layer.volume.source, "mips": [reader.scale.mip for reader in readers]}
    if finest.wanted is not None and is_versioned(layer.volume):
        metadata["moment"] = finest.wanted.moment.isoformat()
    options: dict[str, Any] = {
        "name": layer.name,
        "scale": nm[::-1],
        "translate": tuple((a + 0.5) * size for a, size in zip(finest.box.start, nm, strict=True))[::-1],
        "units": ("nm",) * 3,
        "axis_labels": ("z", "y", "x"),
        "multiscale": len(turned) > 1,
        "metadata": metadata,
    }
    if finest.wanted is not None:
        return [(_levels(turned), options, "labels")]
    if finest.dtype == np.uint8:
        options["contrast_limits"] = (0, 255)  # or napari reads a whole level to find them
    if finest.channels == 3 and finest.dtype == np.uint8:
        return [(_levels(turned), {**options, "rgb": True}, "image")]
    if finest.channels == 1:
        return [(_levels(turned), options, "image")]
    channels = range(finest.channels)
    more = {**options, "blending": "additive"}
    return [(_levels([a[..., c] for a in turned]), {**more, "name": f"{layer.name} {c}"}, "image") for c in channels]


def _levels(arrays: list[da.Array]) -> list[da.Array] | da.Array:
    return arrays if len(arrays) > 1 else arrays[0]
