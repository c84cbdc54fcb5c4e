"""A layer as something with a shape that is read by slices, in this process or, pickled, in another.

What is pickled is small, and holds no token: another process opens the source again, once, with the token that is
saved for the server there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..cachefolder import CacheFolder
from ..cave.datastack import saved_token
from ..cloudpath import CloudPath
from ..errors import ArgumentError, MissingDataError, ScaleError
from ..geometry import Box, IntTriple
from ..layers import Layer, LayerName, Mip
from ..moment import is_settled, now
from ..scales import Scale
from ..storage import Patience
from ..volumes import Block, IdsWanted, Volume, open_volume
from ..volumes.base import read_block

if TYPE_CHECKING:
    from ..dataset import Dataset

__all__ = ["Gaps", "LayerReader", "Opening", "image_reader", "segmentation_reader"]

Gaps = Literal["fill", "raise"]
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Opening:
    """How a process opens a layer.

    Parameters
    ----------
    path : CloudPath
        The source.
    patience : Patience
        Time-outs and tries.
    cache : tuple of str and int, or None
        The folder in which chunks are kept, and its limit in bytes.
    """

    path: CloudPath
    patience: Patience
    cache: tuple[str, int] | None = None

    def open(self) -> Volume:
        """Give the volume, which a process opens once, with the token that is saved for its server."""
        with _opening:
            return _opened(self)


@lru_cache(maxsize=32)
def _opened(opening: Opening) -> Volume:
    token = saved_token(opening.path) if opening.path.middleauth else None
    disk = None if opening.cache is None else CacheFolder(*opening.cache)
    return open_volume(opening.path, token, opening.patience, disk)


def _forget() -> None:
    """Let a forked child open what it reads, as connections and locks are its parent's."""
    global _opening
    _opening = threading.Lock()
    _opened.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True, slots=True, eq=False)
class LayerReader:
    """A box of one scale of a layer, read by slices.

    Parameters
    ----------
    live : Volume or None
        The layer as this process has it open; None where it was sent from another.
    opening : Opening or None
        How another process opens it; None for arrays and volumes at hand, which are pickled as they are.
    scale : Scale
        What is read.
    box : Box
        The voxels, on the grid of the scale; may reach beyond its bounds.
    dtype : numpy.dtype
        Of what is given.
    channels : int
        Numbers per voxel.
    wanted : IdsWanted or None
        Of a segmentation.
    missing : {"fill", "raise"}
        Whether voxels that are not there are 0, in silence, or raise `MissingDataError`.
    """

    live: Volume | None
    opening: Opening | None
    scale: Scale
    box: Box
    dtype: np.dtype[Any]
    channels: int = 1
    wanted: IdsWanted | None = None
    missing: Gaps = "fill"

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes (x, y, z), with several channels (x, y, z, c)."""
        return self.box.shape if self.channels == 1 else (*self.box.shape, self.channels)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def volume(self) -> Volume:
        """The layer, opened if need be."""
        if self.live is not None:
            return self.live
        assert self.opening is not None
        return self.opening.open()

    def at(self, scale: Scale, box: Box) -> LayerReader:
        """Give a box of another scale of the same layer, at the same moment."""
        return replace(self, scale=scale, box=box)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read what slices and whole numbers pick, by one read of the smallest box that holds it."""
        spans, rest = _picked(index, self.shape)
        box = Box(
            cast(IntTriple, tuple(a + span[0] for a, span in zip(self.box.start, spans, strict=False))),
            cast(IntTriple, tuple(a + span[1] for a, span in zip(self.box.start, spans, strict=False))),
            self.box.resolution,
        )
        if not box.voxels:
            return np.empty((*box.shape, self.channels)[: self.ndim], self.dtype)[rest]
        return self.read(box)[rest]

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box.

        Raises
        ------
        MissingDataError
            If voxels of it are not there, and `missing` is "raise".
        """
        block = self._block(box)
        if self.missing == "raise" and not block.coverage.complete:
            raise MissingDataError(f"{self.volume.source}: of the box {box}, {block.coverage.describe()}")
        return block.data

    def _block(self, box: Box) -> Block:
        wanted = self.wanted
        if wanted is not None:
            wanted = replace(wanted, pinned=is_settled(wanted.moment, now()))
        return read_block(self.volume, box, self.scale, wanted)

    def __reduce__(self) -> tuple[Callable[..., LayerReader], tuple[Any, ...]]:
        live = self.live if self.opening is None else None
        return LayerReader, (
            live, self.opening, self.scale, self.box, self.dtype, self.channels, self.wanted, self.missing
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<LayerReader of mip {self.scale.mip}, {self.box}>"


def image_reader(client: Dataset, mip: Mip = None, missing: Gaps | None = None) -> LayerReader:
    """Make a reader of a whole scale of the imagery.

    Raises
    ------
    ArgumentError
        If the client has no imagery.
    ScaleError
        If there is no such scale, or it is a placeholder.
    """
    layer, scale = _layer_and_scale(client, "imagery", mip)
    info = layer.volume.info
    opening = _opening_of(client, "imagery")
    return LayerReader(
        layer.volume, opening, scale, scale.bounds, info.dtype, info.channels, missing=_gaps(client, missing)
    )


def segmentation_reader(
    client: Dataset, mip: Mip = None, timestamp: Any = None, root_ids: Any = "all", missing: Gaps | None = None
) -> LayerReader:
    """Make a reader of a whole scale of the segmentation, at one moment; otherwise as `image_reader`."""
    layer, scale = _layer_and_scale(client, "segmentation", mip)
    wanted = client._wanted(root_ids, timestamp)
    opening = _opening_of(client, "segmentation")
    ids = np.dtype(np.uint64)
    return LayerReader(
        layer.volume, opening, scale, scale.bounds, ids, wanted=wanted, missing=_gaps(client, missing)
    )  # fmt: skip


def _layer_and_scale(client: Dataset, name: LayerName, mip: Mip) -> tuple[Layer, Scale]:
    (layer,) = client._layers.get(name)
    scale = layer.scale(mip)
    if scale.placeholder:
        raise ScaleError(f"mip {scale.mip} of {layer.volume.source} is a placeholder without data; choose another")
    return layer, scale


def _opening_of(client: Dataset, name: LayerName) -> Opening | None:
    layers = client._layers
    path = layers.path(name)
    if path is None:
        return None
    disk = layers._disk
    return Opening(path, layers._patience, None if disk is None else (str(disk.path.resolve()), disk.limit))


def _gaps(client: Dataset, missing: Gaps | None) -> Gaps:
    if missing is None:
        return "raise" if client._policy.missing == "raise" else "fill"
    if missing not in get_args(Gaps):
        raise ArgumentError(f"missing must be 'fill' or 'raise' where voxels are read later; got {missing!r}")
    return missing


def _picked(index: Any, shape: tuple[int, ...]) -> tuple[list[tuple[int, int]], tuple[slice | int, ...]]:
    """Give the smallest span along each axis that holds what an index picks, and the index within those spans.

    Examples
    --------
    >>> _picked((slice(2, 9, 3), -1), (10, 4, 6))
    ([(2, 9), (3, 4), (0, 6)], (slice(0, 7, 3), 0, slice(0, 6, 1)))
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    if len(parts) > len(shape):
        raise IndexError(f"an array of {len(shape)} axes takes no {len(parts)} indices")
    parts += [slice(None)] * (len(shape) - len(parts))
    spans: list[tuple[int, int]] = []
    rest: list[slice | int] = []
    for part, size in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            start, stop, step = part.indices(size)
            picked = range(start, stop, step)
            low, high = (min(picked[0], picked[-1]), max(picked[0], picked[-1]) + 1) if picked else (0, 0)
            spans.append((low, high))
            stop_within = None if step < 0 else high - low
            rest.append(slice(start - low, stop_within, step) if picked else slice(0, 0))
        elif isinstance(part, (int, np.integer)):
            number = int(part) + (size if part < 0 else 0)
            if not 0 <= number < size:
                raise IndexError(f"index {part} is out of range for an axis of {size}")
            spans.append((number, number + 1))
            rest.append(0)
        else:
            raise IndexError(f"a layer is read by slices and whole numbers; got {part!r:.100}")
    return spans, tuple(rest)
