"""Random places: centres of boxes that lie wholly inside the data, drawn evenly, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..bulk.places import Places
from ..dataset import Dataset
from ..errors import ArgumentError
from ..geometry import TOLERANCE, Box, Region, Resolution, as_size
from ..ids import parse_ids
from ..layers import Mip
from ..lookups import Lookups
from ..reading import check_memory
from ..scales import Scale
from ..volumes import SegmentationVolume
from ..whereabouts import cover

__all__ = ["Mask", "grid_of", "object_mask", "random_places"]

_MASK_VOXELS = 2**25  # of a segmentation read to find an object's


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Where places may lie.

    Parameters
    ----------
    inside : numpy.ndarray
        bool, or anything that is not 0 where a place may be; axes (x, y, z).
    bounds : Box
        The voxels it fills, which may be far coarser than those that are read.

    Raises
    ------
    ArgumentError
        If it does not fill the box.

    Examples
    --------
    >>> from imageryclient import Box
    >>> Mask(np.ones((4, 4, 1), bool), Box((0, 0, 0), (4, 4, 1), (64.0, 64.0, 40.0))).bounds.voxels
    16
    """

    inside: NDArray[Any] = field(repr=False)
    bounds: Box

    def __post_init__(self) -> None:
        if np.shape(self.inside) != self.bounds.shape:
            raise ArgumentError(f"a mask fills its box, {self.bounds.shape}; got {np.shape(self.inside)}")


def random_places(
    client: Lookups,
    n: int,
    size: ArrayLike,
    *,
    inside: Any = None,
    seed: int | Sequence[int] = 0,
    resolution: ArrayLike | None = None,
    mip: Mip = None,
    image_mip: Mip = None,
    segmentation_mip: Mip = None,
) -> Places:
    """Draw places at random, whose boxes lie wholly inside the data of all layers.

    Every voxel in which a centre may lie is as likely as any other, and may be drawn again. Boxes may overlap, and
    those around the voxels of a mask reach beyond it.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    n : int
        How many.
    size : array_like
        Two or three whole numbers of voxels; two make one section.
    inside : bounds, Box or Mask, optional
        Bounds, in voxels of `resolution`, that hold the whole boxes; or a mask that holds their centres, such as
        `object_mask` makes of an object. By default all data.
    seed : int or sequence of int
        The same seed gives the same places, whatever the machine.
    resolution : array_like, optional
        nm per voxel of `size`, of bounds, and of the places; by default the client's.
    mip, image_mip, segmentation_mip : optional
        The scales that will be read, as for `cutout`.

    Returns
    -------
    Places
        Fit for `CutoutDataset`; `centers` are whole numbers, float64, shape (n, 3), in voxels of `resolution`, as
        `client.cutout` takes them.

    Raises
    ------
    ArgumentError
        If no such box fits.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.zeros((64, 64, 8), np.uint8), (8, 8, 40), (100, 0, 0))
    >>> places = random_places(ic.ImageryClient(image_source=em), 1000, (32, 32, 4), seed=1)
    >>> places.centers.min(axis=0).tolist(), places.centers.max(axis=0).tolist()
    ([116.0, 16.0, 2.0], [148.0, 48.0, 6.0])
    """
    unit = client._resolution_of(resolution)
    extent = as_size(size)
    if any(abs(s - round(s)) > TOLERANCE for s in extent):
        raise ArgumentError(f"the size of random places must be whole voxels; got {size!r}")
    scales = _scales_of(client, mip, image_mip, segmentation_mip)
    mask = inside if isinstance(inside, Mask) else None
    within = [scale.bounds for scale in scales]
    if inside is not None and mask is None:
        region = Region.from_bounds(inside, unit)
        within.append(region.at(unit))
    low, high = _range_of_centers(extent, unit, grid_of(scales), within)
    if any(a >= b for a, b in zip(low, high, strict=True)):
        raise ArgumentError(f"no box of {' x '.join(f'{s:g}' for s in extent)} voxels lies wholly inside the data")
    centers = _drawn(n, low, high, seed) if mask is None else _drawn_from(mask, n, low, high, unit, seed)
    return Places(centers.astype(np.float64), unit, extent)


def object_mask(client: Lookups, root_ids: Any, *, timestamp: Any = None, mip: Mip = None) -> Mask:
    """Make a mask of the voxels of objects, at a coarse scale.

    Parameters
    ----------
    client : ImageryClient
        A dataset with a segmentation.
    root_ids : int or sequence of int
        The objects.
    timestamp : optional
        As for `segmentation_cutout`.
    mip : int or resolution, optional
        The scale; by default the finest at which the box of the objects takes no more than 2^25 voxels, or else the
        coarsest there is. Thin parts of an object may be gone at a coarse one.

    Returns
    -------
    Mask
        For `inside` of `random_places`.

    Raises
    ------
    ArgumentError
        If the ids are those of no objects, or have no voxel at this scale.
    TooLargeError
        If the box takes more memory than the client may use.

    Examples
    --------
    >>> import imageryclient as ic
    >>> labels = np.zeros((64, 64, 8), np.uint64)
    >>> labels[10:20, 30:40, 2] = 7
    >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
    >>> mask = object_mask(client, 7)
    >>> int(mask.inside.sum()), random_places(client, 2, (4, 4, 1), inside=mask, seed=1).centers.shape
    (100, (2, 3))
    """
    ids = parse_ids(root_ids)
    wanted = client._wanted(ids, timestamp)
    (layer,) = client._layers.get("segmentation")
    finest = layer.volume.info.scales[0].resolution
    boxes = (client.bounds_of(int(one), timestamp=wanted.moment, resolution=finest) for one in ids)
    box = cover(boxes)
    if mip is None:
        scales = [scale for scale in layer.volume.info.scales if not scale.placeholder]
        fitting = (scale for scale in scales if box.at(scale.resolution).voxels <= _MASK_VOXELS)
        scale = next(fitting, scales[-1])
    else:
        scale = layer.scale(mip)
    bounds = box.at(scale.resolution).intersect(scale.bounds)
    check_memory(9 * bounds.voxels, client._policy, f"a mask of {bounds}", "give a coarser mip")
    assert isinstance(layer.volume, SegmentationVolume)
    inside = layer.volume.read_ids(bounds, scale, wanted).data > 0
    if not inside.any():
        raise ArgumentError(f"the objects have no voxel at mip {scale.mip} of {layer.volume.source}; give a finer mip")
    return Mask(inside, bounds)


def grid_of(scales: Sequence[Scale]) -> Resolution:
    """Give the resolution of a joint cutout: along each axis the finest of the scales'."""
    x, y, z = (min(axis) for axis in zip(*(scale.resolution for scale in scales), strict=True))
    return x, y, z


def _scales_of(client: Dataset, mip: Mip, image_mip: Mip, segmentation_mip: Mip) -> list[Scale]:
    assert isinstance(client, Lookups)
    return [scale for _, scale, _ in client._pairs(mip, image_mip, segmentation_mip, client._wanted("all", None))]


def _range_of_centers(
    size: Sequence[float], unit: Resolution, grid: Resolution, within: Sequence[Box]
) -> tuple[list[int], list[int]]:
    """Give the first centre along each axis whose box lies inside, and one past the last.

    Both boxes must: that of the caller's voxels, and the voxels of the grid that are read for it.
    """
    ratio = np.array(unit) / np.array(grid)
    shape = Places(np.zeros((1, 3)), unit, (size[0], size[1], size[2])).shape_at(grid)
    first, last = [], []
    for axis in range(3):
        bottom = max(box.start[axis] * box.resolution[axis] for box in within)
        top = min(box.stop[axis] * box.resolution[axis] for box in within)
        low = _ceil(bottom / unit[axis])
        high = _floor(top / unit[axis] - size[axis])
        # A box begins on the grid at floor(low * ratio + 1/2).
        begin, end = _ceil(bottom / grid[axis]), _floor(top / grid[axis]) - shape[axis]
        low = max(low, _ceil((begin - 0.5) / ratio[axis]))
        high = min(high, _ceil((end + 0.5) / ratio[axis]) - 1)
        half = math.floor(size[axis] / 2 + TOLERANCE)
        first.append(low + half)
        last.append(high + half + 1)
    return first, last


def _ceil(value: float) -> int:
    return math.ceil(value - TOLERANCE)


def _floor(value: float) -> int:
    return math.floor(value + TOLERANCE)


def _drawn(n: int, low: Sequence[int], high: Sequence[int], seed: Any) -> NDArray[np.int64]:
    drawn: NDArray[np.int64] = np.random.default_rng(seed).integers(low, high, size=(n, 3), dtype=np.int64)
    return drawn


def _drawn_from(
    mask: Mask, n: int, low: Sequence[int], high: Sequence[int], unit: Resolution, seed: Any
) -> NDArray[np.int64]:
    """Draw from the voxels in the range whose centres lie in the mask.

    Each voxel of the mask weighs as much as there are of them in it; they make a block, of which one is drawn.
    """
    firsts, counts = [], []
    for axis in range(3):
        voxels = np.arange(low[axis], high[axis])
        centers = (voxels + 0.5) * (unit[axis] / mask.bounds.resolution[axis])
        index = np.floor(centers + TOLERANCE).astype(np.int64) - mask.bounds.start[axis]
        inside = (index >= 0) & (index < mask.bounds.shape[axis])
        counts.append(np.bincount(index[inside], minlength=mask.bounds.shape[axis]))
        begin = np.searchsorted(index, np.arange(mask.bounds.shape[axis]))
        firsts.append(low[axis] + begin)
    inside = np.asarray(mask.inside, dtype=np.bool_)
    across = np.multiply.outer(counts[1], counts[2])
    weights = [n * across[plane] for n, plane in zip(counts[0].tolist(), inside, strict=True)]
    ends = np.cumsum(np.concatenate([np.zeros(0, np.int64), *weights]))
    if not ends.size or not ends[-1]:
        raise ArgumentError(f"no centre of a box that lies wholly inside the data is in the mask of {mask.bounds}")
    drawn = np.random.default_rng(seed).integers(ends[-1], size=n)
    chosen = np.searchsorted(ends, drawn, side="right")
    cell = np.unravel_index(np.flatnonzero(inside)[chosen], inside.shape)
    sides = np.stack([count[at] for count, at in zip(counts, cell, strict=True)], axis=1)
    rest: NDArray[np.int64] = drawn - (ends[chosen] - sides.prod(axis=1))
    drawn_centers: NDArray[np.int64] = np.empty((n, 3), np.int64)
    for axis in (2, 1, 0):
        rest, offset = np.divmod(rest, sides[:, axis])
        drawn_centers[:, axis] = firsts[axis][cell[axis]] + offset
    return drawn_centers
