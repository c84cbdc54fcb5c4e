"""What every volume offers: its scales, and blocks of its voxels with word of what was not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import prod
from typing import Any, Literal, Protocol, cast, runtime_checkable

import fastremap
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..coverage import Coverage
from ..errors import ScaleError
from ..geometry import Box, Resolution, as_resolution, format_resolution, index_map
from ..ids import Ids, RootIds
from ..scales import Info, Scale

__all__ = [
    "Block",
    "IdsWanted",
    "SegmentationVolume",
    "Volume",
    "default_scale",
    "is_versioned",
    "only_wanted",
    "read_block",
    "replaced",
    "scale_at",
    "scale_for",
]


@dataclass(frozen=True, slots=True)
class Block:
    """Voxels of one layer.

    Parameters
    ----------
    data : numpy.ndarray
        Axes (x, y, z) or, with several channels, (x, y, z, c); in the dtype of the layer.
    coverage : Coverage
        Which of the voxels come from data; the others are 0 or, in a Zarr array, its fill value.
    largest : int, optional
        Of a segmentation: no id exceeds it. None where that is not known.
    """

    data: NDArray[Any]
    coverage: Coverage
    largest: int | None = None

    @property
    def box(self) -> Box:
        """The voxels the block holds."""
        return self.coverage.box

    def on(self, box: Box) -> Block:
        """Resample: each voxel of `box` takes the voxel of this block that contains its centre."""
        if box == self.box:
            return self
        data = self.data[np.ix_(*index_map(box, self.box))]
        return Block(data, self.coverage.on(box), self.largest)


@dataclass(frozen=True, slots=True)
class IdsWanted:
    """Which ids of a segmentation to read, and as of when.

    Parameters
    ----------
    root_ids : "all", None or numpy.ndarray
        "all" for each voxel's object, None for its supervoxel, uint64 ids for only those objects.
    moment : datetime
        Aware.
    pinned : bool
        Whether the moment is a fixed one in the past, of which answers may be remembered.
    follow : bool
        Whether ids that are not valid at the moment give way to those that have their voxels then.
    """

    root_ids: RootIds
    moment: datetime
    pinned: bool = False
    follow: bool = False


@runtime_checkable
class Volume(Protocol):
    """A layer of voxels at one or more resolutions."""

    @property
    def source(self) -> str:
        """The source string it was opened from."""
        ...

    @property
    def info(self) -> Info:
        """What its info document says."""
        ...

    def read(self, box: Box, scale: Scale) -> Block:
        """Read a block of a scale; `box` is at its resolution and may reach beyond its bounds."""
        ...


@runtime_checkable
class SegmentationVolume(Volume, Protocol):
    """A layer of ids, flat or proofread."""

    @property
    def versioned(self) -> bool:
        """Whether ids change over time, so that a moment matters."""
        ...

    def read_ids(self, box: Box, scale: Scale, wanted: IdsWanted) -> Block:
        """Read ids as uint64, axes (x, y, z); 0 where there are none, or others than those wanted."""
        ...


def is_versioned(volume: Volume) -> bool:
    """Tell whether a layer holds ids that change over time."""
    return isinstance(volume, SegmentationVolume) and volume.versioned


def read_block(volume: Volume, box: Box, scale: Scale, wanted: IdsWanted | None) -> Block:
    """Read a block of a layer: of a segmentation the ids `wanted`, of imagery, where that is None, its values."""
    if wanted is None:
        return volume.read(box, scale)
    return cast(SegmentationVolume, volume).read_ids(box, scale, wanted)


def only_wanted(ids: Ids, wanted: IdsWanted) -> Ids:
    """Set ids other than those wanted to 0, in place; "all" and None leave them."""
    if isinstance(wanted.root_ids, np.ndarray):
        ids = fastremap.mask_except(ids, wanted.root_ids.tolist(), in_place=True, value=0)
    return ids


def replaced(ids: Ids, old: Ids, new: Ids) -> Ids:
    """Put `new` in the place of `old`, which must hold all there are; a copy, in the order of the memory.

    Examples
    --------
    >>> ids = np.array([[7, 9], [9, 0]], np.uint64)
    >>> replaced(ids, np.array([0, 7, 9], np.uint64), np.array([0, 70, 90], np.uint64)).tolist()
    [[70, 90], [90, 0]]
    """
    order: Literal["C", "F"] = "F" if ids.flags.f_contiguous else "C"
    flat = fastremap.remap_from_array_kv(ids.flatten(order=order), old, new, in_place=True)
    return np.asarray(flat.reshape(ids.shape, order=order))


def default_scale(info: Info, source: str) -> Scale:
    """Give the first scale that holds data.

    Raises
    ------
    ScaleError
        If every scale is a placeholder.
    """
    for scale in info.scales:
        if not scale.placeholder:
            return scale
    raise ScaleError(f"{source}: every scale is a placeholder without data")


def scale_at(info: Info, mip: int | ArrayLike, source: str) -> Scale:
    """Give the scale of a mip, or of a resolution in nm.

    Raises
    ------
    ScaleError
        If there is none; the message lists those there are.
    """
    if isinstance(mip, (int, np.integer)) and not isinstance(mip, bool):
        if 0 <= mip < len(info.scales):
            return info.scales[int(mip)]
        wanted = f"mip {mip}"
    elif np.ndim(mip) == 1:
        resolution = as_resolution(mip)
        for scale in info.scales:
            if np.allclose(scale.resolution, resolution, rtol=1e-6):
                return scale
        wanted = f"scale at {format_resolution(resolution)} nm"
    else:
        raise ScaleError(f"a mip is a whole number or a resolution of three numbers; got {mip!r}")
    raise ScaleError(f"{source} has no {wanted}; it has {listed(info.scales)}")


def scale_for(info: Info, resolution: Resolution) -> Scale:
    """Give the coarsest scale that is as fine as `resolution` along every axis, or else the finest there is."""
    scales = [scale for scale in info.scales if not scale.placeholder]
    fine = [s for s in scales if all(a <= b * (1 + 1e-6) for a, b in zip(s.resolution, resolution, strict=True))]
    if fine:
        return max(fine, key=lambda scale: prod(scale.resolution))
    return min(scales, key=lambda scale: prod(scale.resolution))


def listed(scales: Sequence[Scale]) -> str:
    """Name scales for a message: `mip 0 (4 x 4 x 40 nm, placeholder without data), mip 1 (…)`."""
    return ", ".join(
        f"mip {s.mip} ({format_resolution(s.resolution)} nm{', placeholder without data' if s.placeholder else ''})"
        for s in scales
    )
