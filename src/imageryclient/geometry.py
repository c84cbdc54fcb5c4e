"""Boxes of voxels and the way between resolutions: pure arithmetic, no data.

One contract holds everywhere. Axes are x, y, z. A resolution is nm per voxel. Voxel `i` at resolution `r`
covers the half-open span `[i * r, (i + 1) * r)` nm, and every layer shares that origin. Two values carry it:

- `Region`: what a caller asked for; corners may be fractional.
- `Box`: a block of whole voxels of one grid.

A corner within `TOLERANCE` of a whole voxel is that voxel, so that `0.1 + 0.2` costs nobody a row of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError, BoundsError

__all__ = [
    "TOLERANCE",
    "Box",
    "IntTriple",
    "Region",
    "Resolution",
    "as_center",
    "as_resolution",
    "as_size",
    "bounds_from_center",
    "format_resolution",
    "index_map",
]

TOLERANCE = 1e-6  # of a voxel

IntTriple = tuple[int, int, int]
FloatTriple = tuple[float, float, float]
Resolution = tuple[float, float, float]

_LARGEST = 2.0**52  # beyond it a float no longer tells neighbouring voxels apart


def _floor(value: float) -> int:
    nearest = round(value)
    return nearest if abs(value - nearest) < TOLERANCE else math.floor(value)


def _ceil(value: float) -> int:
    nearest = round(value)
    return nearest if abs(value - nearest) < TOLERANCE else math.ceil(value)


def as_resolution(value: ArrayLike) -> Resolution:
    """Give `value` as three positive floats, nm per voxel along x, y and z.

    Raises
    ------
    ArgumentError
        If it is not three positive finite numbers.

    Examples
    --------
    >>> as_resolution([4, 4, 40])
    (4.0, 4.0, 40.0)
    """
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"resolution must be three numbers, nm per voxel for x, y, z; got {value!r}") from None
    if numbers.shape != (3,) or not np.all(np.isfinite(numbers)) or not np.all(numbers > 0):
        raise ArgumentError(f"resolution must be three positive numbers, nm per voxel for x, y, z; got {value!r}")
    return cast(Resolution, tuple(numbers.tolist()))


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open block of whole voxels.

    Parameters
    ----------
    start, stop : tuple of int
        First voxel, and one past the last, along x, y, z.
    resolution : tuple of float
        nm per voxel along x, y, z.

    Examples
    --------
    >>> box = Box((0, 0, 0), (4, 4, 2), (8, 8, 40))
    >>> box.shape, box.voxels
    ((4, 4, 2), 32)
    >>> box.at((16, 16, 40))
    Box(start=(0, 0, 0), stop=(2, 2, 2), resolution=(16, 16, 40))
    """

    start: IntTriple
    stop: IntTriple
    resolution: Resolution

    @property
    def shape(self) -> IntTriple:
        """Voxels along x, y, z; zero where the box is empty."""
        return cast(IntTriple, tuple(max(0, b - a) for a, b in zip(self.start, self.stop, strict=True)))

    @property
    def voxels(self) -> int:
        """Voxels in the whole box."""
        return math.prod(self.shape)

    @property
    def nm(self) -> tuple[FloatTriple, FloatTriple]:
        """Lower and upper corner in nm."""
        low = tuple(a * r for a, r in zip(self.start, self.resolution, strict=True))
        high = tuple(b * r for b, r in zip(self.stop, self.resolution, strict=True))
        return cast(tuple[FloatTriple, FloatTriple], (low, high))

    def at(self, resolution: Resolution) -> Box:
        """Give the smallest block of voxels at another resolution that covers this box.

        Parameters
        ----------
        resolution : tuple of float
            nm per voxel along x, y, z.

        Returns
        -------
        Box
            Whole voxels of `resolution`.

        Examples
        --------
        >>> Box((1, 0, 0), (4, 4, 1), (4, 4, 40)).at((8, 8, 40))
        Box(start=(0, 0, 0), stop=(2, 2, 1), resolution=(8, 8, 40))
        """
        return Region(
            cast(FloatTriple, tuple(map(float, self.start))),
            cast(FloatTriple, tuple(map(float, self.stop))),
            self.resolution,
        ).at(resolution)

    def intersect(self, other: Box) -> Box:
        """Give what both boxes hold.

        Parameters
        ----------
        other : Box
            On the same grid.

        Returns
        -------
        Box
            On that grid; `voxels` is 0 where it is nothing.

        Examples
        --------
        >>> Box((0, 0, 0), (4, 4, 1), (8, 8, 40)).intersect(Box((2, -1, 0), (9, 3, 1), (8, 8, 40))).shape
        (2, 3, 1)
        """
        start = tuple(map(max, self.start, other.start))
        stop = tuple(map(min, self.stop, other.stop))
        return Box(cast(IntTriple, start), cast(IntTriple, stop), self.resolution)

    def slices(self, outer: Box) -> tuple[slice, slice, slice]:
        """Give the slices that pick this box out of an array that holds a larger one.

        Parameters
        ----------
        outer : Box
            The box of the array, on the same grid.

        Returns
        -------
        tuple of slice
            One for each of x, y, z.

        Examples
        --------
        >>> Box((12, 20, 5), (14, 22, 6), (8, 8, 40)).slices(Box((10, 20, 5), (20, 30, 9), (8, 8, 40)))
        (slice(2, 4, None), slice(0, 2, None), slice(0, 1, None))
        """
        x, y, z = (slice(a - o, b - o) for a, b, o in zip(self.start, self.stop, outer.start, strict=True))
        return x, y, z

    def moved(self, by: Sequence[int]) -> Box:
        """Give the box moved by whole voxels.

        Parameters
        ----------
        by : sequence of int
            Voxels along x, y, z.

        Returns
        -------
        Box
            Of the same shape, on the same grid.

        Examples
        --------
        >>> Box((0, 0, 0), (4, 4, 1), (8, 8, 40)).moved((10, 0, -1))
        Box(start=(10, 0, -1), stop=(14, 4, 0), resolution=(8, 8, 40))
        """
        return Box(
            cast(IntTriple, tuple(a + d for a, d in zip(self.start, by, strict=True))),
            cast(IntTriple, tuple(b + d for b, d in zip(self.stop, by, strict=True))),
            self.resolution,
        )

    def __str__(self) -> str:
        spans = ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True))
        return f"[{spans}] at {format_resolution(self.resolution)} nm"


@dataclass(frozen=True, slots=True)
class Region:
    """A half-open box as a caller gave it: corners may be fractional, at a resolution of the caller's choice."""

    low: FloatTriple
    high: FloatTriple
    resolution: Resolution

    @classmethod
    def from_bounds(cls, bounds: Any, resolution: Resolution) -> Region:
        """Read a lower and an upper corner: shape (2, 3), a `Box`, or anything with `minpt` and `maxpt`.

        Raises
        ------
        BoundsError
            If the corners are not 2 x 3 finite numbers, are reversed, or enclose nothing.

        Examples
        --------
        >>> Region.from_bounds([[0, 0, 0], [512, 512, 1]], (4, 4, 40)).at((8, 8, 40)).shape
        (256, 256, 1)
        """
        if isinstance(bounds, Box):
            low, high, resolution = bounds.start, bounds.stop, bounds.resolution
            corners = np.array([low, high], dtype=np.float64)
        elif hasattr(bounds, "minpt") and hasattr(bounds, "maxpt"):
            corners = _numbers([bounds.minpt, bounds.maxpt], (2, 3), "bounds")
        else:
            corners = _numbers(bounds, (2, 3), "bounds")
        for axis, a, b in zip("xyz", corners[0].tolist(), corners[1].tolist(), strict=True):
            if not b > a:
                what = "is empty" if a == b else "is reversed"
                raise BoundsError(
                    f"bounds must run from the lower to the upper corner; along {axis} the span "
                    f"from {a:g} to {b:g} {what} (the upper bound is not part of the box)"
                )
        return cls(_triple(corners[0]), _triple(corners[1]), resolution)

    @classmethod
    def from_center(cls, center: Any, size: Any, resolution: Resolution) -> Region:
        """Put a box of `size` voxels around `center`: it starts at `floor(center) - size // 2`.

        Parameters
        ----------
        center : array_like
            x, y, z in voxels of `resolution`. Of a 2 x 3 array the first row counts.
        size : array_like
            Two or three positive numbers; with two the box is one voxel deep.
        resolution : tuple of float
            nm per voxel.

        Examples
        --------
        >>> Region.from_center([100, 100, 7], (5, 4), (8, 8, 40)).at((8, 8, 40))
        Box(start=(98, 98, 7), stop=(103, 102, 8), resolution=(8, 8, 40))
        """
        extent = as_size(size)
        low = tuple(_floor(c) - _floor(s / 2) for c, s in zip(as_center(center), extent, strict=True))
        high = tuple(a + s for a, s in zip(low, extent, strict=True))
        return cls(cast(FloatTriple, low), cast(FloatTriple, high), resolution)

    def at(self, resolution: Resolution) -> Box:
        """Give the smallest block of whole voxels at `resolution` that covers the region."""
        start, stop = [], []
        for low, high, mine, theirs in zip(self.low, self.high, self.resolution, resolution, strict=True):
            start.append(_floor(low * mine / theirs))
            stop.append(max(_ceil(high * mine / theirs), start[-1] + 1))
        return Box(cast(IntTriple, tuple(start)), cast(IntTriple, tuple(stop)), resolution)

    def snapped(self, size: FloatTriple, resolution: Resolution) -> Region:
        """Give the box of `size` whole voxels at `resolution` that begins nearest to where the region begins.

        Examples
        --------
        >>> Region.from_center([100, 100, 7], (66, 66), (4.0, 4.0, 40.0)).snapped((33, 33, 1), (8.0, 8.0, 40.0)).low
        (34.0, 34.0, 7.0)
        """
        ratio = [mine / theirs for mine, theirs in zip(self.resolution, resolution, strict=True)]
        low = [float(_floor(a * r + 0.5)) for a, r in zip(self.low, ratio, strict=True)]
        high = [a + int(s) for a, s in zip(low, size, strict=True)]
        return Region(cast(FloatTriple, tuple(low)), cast(FloatTriple, tuple(high)), resolution)

    @property
    def grid(self) -> Box:
        """The voxels of the region at its own resolution."""
        return self.at(self.resolution)


def as_center(center: Any) -> FloatTriple:
    """Give a centre as three floats; of a 2 x 3 array the first row counts.

    Examples
    --------
    >>> as_center([240640, 207872, 21360])
    (240640.0, 207872.0, 21360.0)
    """
    if isinstance(center, (list, tuple, np.ndarray)) and len(center) == 2 and np.ndim(center[0]) == 1:
        center = center[0]
    return _triple(_numbers(center, (3,), "a centre"))


def as_size(size: Any) -> FloatTriple:
    """Give a size as three positive numbers; two mean a single section, one voxel deep.

    Examples
    --------
    >>> as_size((512, 512))
    (512.0, 512.0, 1.0)
    """
    try:
        length = len(size)
    except TypeError:
        length = 0
    numbers = _numbers(size, (2,) if length == 2 else (3,), "a size")
    if not np.all(numbers > 0):
        raise BoundsError(f"a size must be positive along every axis; got {_shown(size)}")
    return _triple(np.append(numbers, 1.0) if length == 2 else numbers)


def index_map(target: Box, source: Box) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """For each voxel of `target` along each axis, the index into `source` of the voxel that contains its centre.

    Indices are clipped to the source, which must cover the target up to rounding.

    Returns
    -------
    tuple of numpy.ndarray
        Three index arrays for x, y, z, fit for `numpy.ix_`.

    Examples
    --------
    >>> fine, coarse = Box((0, 0, 0), (4, 1, 1), (4, 4, 40)), Box((0, 0, 0), (2, 1, 1), (8, 8, 40))
    >>> index_map(fine, coarse)[0].tolist()
    [0, 0, 1, 1]
    """
    maps = []
    for axis in range(3):
        ratio = target.resolution[axis] / source.resolution[axis]
        centers = (np.arange(target.start[axis], target.stop[axis], dtype=np.float64) + 0.5) * ratio
        index = np.floor(centers + TOLERANCE).astype(np.intp) - source.start[axis]
        maps.append(np.clip(index, 0, source.shape[axis] - 1))
    return maps[0], maps[1], maps[2]


def bounds_from_center(ctr: ArrayLike, width: float = 1, height: float = 1, depth: float = 1) -> NDArray[Any]:
    """Bounds of a box of a given size around a centre: it starts at `floor(ctr) - size // 2`.

    Parameters
    ----------
    ctr : array_like
        x, y, z of the centre, in voxels.
    width, height, depth : int, optional
        Voxels along x, y and z. Default 1.

    Returns
    -------
    numpy.ndarray
        Shape (2, 3): the lower and the upper corner; int64 when the size is whole. The upper corner is not
        part of the box.

    Raises
    ------
    BoundsError
        If the centre is not three finite numbers or a size is not positive.

    Examples
    --------
    >>> bounds_from_center([100, 100, 10], width=64, height=32).tolist()
    [[68, 84, 10], [132, 116, 11]]
    """
    region = Region.from_center(ctr, (width, height, depth), (1.0, 1.0, 1.0))
    bounds = np.array([region.low, region.high])
    whole = bounds.astype(np.int64)
    return whole if np.array_equal(whole, bounds) else bounds


def format_resolution(resolution: Sequence[float]) -> str:
    """Show a resolution as people write it.

    Examples
    --------
    >>> format_resolution((4.0, 4.0, 40.0))
    '4 x 4 x 40'
    """
    return " x ".join(f"{r:g}" for r in resolution)


def _numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    wanted = {(2, 3): "a lower and an upper corner, 2 x 3 numbers", (3,): "three numbers (x, y, z)"}.get(
        shape, "two or three numbers"
    )
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise BoundsError(f"{what} must be {wanted}; got {_shown(value)}") from None
    if numbers.shape != shape:
        hint = ""
        if what == "bounds" and numbers.shape == (3,):
            hint = "; to cut around a centre, give bbox_size or image_size too"
        raise BoundsError(f"{what} must be {wanted}; got {_shown(value)}{hint}")
    if not np.all(np.isfinite(numbers)) or np.any(np.abs(numbers) > _LARGEST):
        raise BoundsError(f"{what} must be finite voxel coordinates; got {_shown(value)}")
    return numbers


def _triple(numbers: NDArray[np.float64]) -> FloatTriple:
    return cast(FloatTriple, tuple(numbers.tolist()))


def _shown(value: SupportsFloat | Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
