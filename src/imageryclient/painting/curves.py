"""Rings of voxel edges as paths: exactly, or smoothed into curves that stay beside the voxels' edges.

Smoothing depends on nothing but the line itself, and comes out the same in either direction, so that two neighbours
share one curve; knots, where more than two labels meet, stay where they are. Staircases that a straight line leaves on
the grid become that line again: the middles of their steps lie on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contours import Contours, followers

__all__ = ["UNITS", "Curves", "voxel_middles"]

UNITS = 8  # all coordinates are whole multiples of 1 / UNITS
_STEP = 0.5  # a corner beside so short a half of a run is a step of a staircase
_BLUNT = 0.75  # how far from other corners they are cut: they come 0.53 voxels from the curve
_LONG = 8.0  # how far at most a step leans: beside a knot the curve then comes 0.64 voxels from the edges


@dataclass(frozen=True, slots=True)
class Curves:
    """Closed paths of straight lines and quadratic Bézier curves, in voxels.

    Parameters
    ----------
    labels : numpy.ndarray of int32
        The label of each path; sorted.
    offsets : numpy.ndarray of int64
        Where each path's segments start, and the end of the last one.
    start, control, stop : numpy.ndarray of float64
        Shape (n, 2), x and y; each segment starts where the one before stops.
    straight : numpy.ndarray of bool
        Which segments are lines.
    beyond : numpy.ndarray of int32
        The label at the other side of each segment; see `Contours`.

    Examples
    --------
    >>> labels = np.array([[1, 1], [1, 0]])
    >>> exact, smooth = Curves.exact(Contours.of(labels)), Curves.smooth(Contours.of(labels))
    >>> exact.areas(), np.round(smooth.areas(), 2)
    (array([0., 3.]), array([0.  , 3.17]))
    """

    labels: NDArray[np.int32]
    offsets: NDArray[np.int64]
    start: NDArray[np.float64]
    control: NDArray[np.float64]
    stop: NDArray[np.float64]
    straight: NDArray[np.bool_]
    beyond: NDArray[np.int32]

    @classmethod
    def around(
        cls,
        labels: NDArray[np.integer[Any]],
        smooth: bool,
        stretch: tuple[float, float] = (1.0, 1.0),
        include_null: bool = False,
    ) -> Curves:
        """Trace a section, exactly or smoothly, in its pixels.

        Parameters
        ----------
        labels : numpy.ndarray of int
            Axes (y, x); see `Contours.of`, also for `include_null`.
        smooth : bool
            Whether to smooth.
        stretch : tuple of float, optional
            How many pixels a voxel is wide and high, where voxels are no squares: then they are smoothed, and the
            curves stretched, lest these follow the steps that long voxels make of pixels.

        Examples
        --------
        >>> slope = np.repeat(np.tri(3, dtype=np.uint8), 30, axis=0)  # voxels thirty times as high as wide
        >>> [len(Curves.around(slope, True, by).start) for by in ((1, 1), (1, 30))]  # a slope is one straight line
        [9, 7]
        """
        if not smooth:
            return cls.exact(Contours.of(labels, include_null))
        if tuple(stretch) == (1.0, 1.0):
            return cls.smooth(Contours.of(labels, include_null))
        rows, columns = (voxel_middles(pixels, by) for pixels, by in zip(labels.shape, stretch[::-1], strict=True))
        found = cls.smooth(Contours.of(labels.take(rows, axis=0).take(columns, axis=1), include_null))
        return found.stretched(stretch, (labels.shape[1], labels.shape[0]))

    @classmethod
    def exact(cls, contours: Contours) -> Curves:
        """Follow the edges of the voxels."""
        points = contours.points.astype(np.float64)
        stop = points[followers(contours.offsets)]
        lines = np.ones(len(points), np.bool_)
        return cls(contours.labels, contours.offsets, points, points, stop, lines, contours.beyond)

    @classmethod
    def smooth(cls, contours: Contours) -> Curves:
        """Cut the corners, and round what is left: quadratic B-splines between knots."""
        polygon = _cut(contours)
        after = followers(polygon.offsets)
        points, fixed = polygon.points, polygon.fixed
        middles = (points + points[after]) / 2  # of the side that follows each point
        ends = np.where(fixed[after, None], points[after], middles)
        before = np.empty_like(after)
        before[after] = np.arange(len(after))
        starts = np.where(fixed[before, None], points[before], middles[before])
        line = fixed & fixed[after]
        kept = ~fixed | line
        start = np.where(line[:, None], points, starts)[kept]
        control, stop = points[kept], ends[kept]
        straight = _cross(control - start, stop - control) == 0
        offsets = np.concatenate([[0], np.cumsum(kept)])[polygon.offsets]
        return cls(contours.labels, offsets, start, control, stop, straight, polygon.beyond[kept])._joined()

    def _joined(self) -> Curves:
        """Make one line of those that follow each other in one direction."""
        along = self.stop - self.start
        first = np.ones(len(along), np.bool_)
        first[1:] = ~(
            self.straight[1:]
            & self.straight[:-1]
            & (_cross(along[1:], along[:-1]) == 0)
            & (self.beyond[1:] == self.beyond[:-1])
        )
        first[self.offsets[:-1]] = True
        heads = np.flatnonzero(first)
        tails = np.flatnonzero(np.roll(first, -1))
        offsets = np.concatenate([[0], np.cumsum(first)])[self.offsets]
        return Curves(
            self.labels, offsets, self.start[heads], self.control[heads], self.stop[tails], self.straight[heads],
            self.beyond[heads],
        )  # fmt: skip

    def stretched(self, by: tuple[float, float], size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> Curves:
        """Give curves of voxels, counted from one of them, in pixels of a section of some width and height."""
        ends = [len(voxel_middles(pixels, along)) for pixels, along in zip(size, by, strict=True)]

        def placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
            points = points + np.array(origin)
            inside = np.minimum(np.rint(points * np.array(by) * UNITS) / UNITS, size)
            return np.where(points == ends, size, inside)  # the last voxels may be cut off, or go on, by half a pixel

        return replace(self, start=placed(self.start), control=placed(self.control), stop=placed(self.stop))

    def areas(self) -> NDArray[np.float64]:
        """Give the area within the paths of each label from 0, in voxels."""
        # of the polygon, and two thirds of the triangle between each chord and its control point
        bent = _cross(self.control - self.start, self.stop - self.control) / 3
        pieces = _cross(self.start, self.stop) / 2 + np.where(self.straight, 0, bent)
        return np.bincount(np.repeat(self.labels, np.diff(self.offsets)), weights=pieces).astype(np.float64)


def voxel_middles(pixels: int, stretch: float) -> NDArray[np.intp]:
    """Give for each voxel along a side of a section the pixel at its middle; a voxel is at least one pixel long.

    Examples
    --------
    >>> voxel_middles(11, 2.75).tolist(), voxel_middles(3, 1.0).tolist()
    ([1, 4, 6, 9], [0, 1, 2])
    """
    voxels = max(1, round(pixels / stretch))
    middles: NDArray[np.intp] = np.minimum((np.arange(voxels) + 0.5) * stretch, pixels - 1).astype(np.intp)
    return middles


@dataclass(frozen=True, slots=True)
class _Polygons:
    """Rings of points, which curves pass through where they are fixed, and are drawn towards elsewhere."""

    offsets: NDArray[np.int64]
    points: NDArray[np.float64]
    fixed: NDArray[np.bool_]
    beyond: NDArray[np.int32]


def _cut(contours: Contours) -> _Polygons:
    """Put a point on either side of each corner, at most in the middle of the run it lies on."""
    corners, fixed = contours.points.astype(np.float64), contours.fixed
    after = followers(contours.offsets)
    before = np.empty_like(after)
    before[after] = np.arange(len(after))
    steps = corners[after] - corners
    length = np.abs(steps).sum(axis=1)
    heading = steps / length[:, None]
    turn = _cross(heading[before], heading)
    bulge = ~fixed & ~fixed[after] & (turn == turn[after])
    reach = np.minimum(length / 2, np.where(bulge, _BLUNT, _LONG))
    behind, ahead = reach[before], reach
    blunt = np.minimum(behind, ahead) > _STEP
    behind = np.where(blunt, np.minimum(behind, _BLUNT), behind)
    ahead = np.where(blunt, np.minimum(ahead, _BLUNT), ahead)
    pairs = np.empty((len(corners), 2, 2))
    pairs[:, 0] = np.where(fixed[:, None], corners, corners - behind[:, None] * heading[before])
    pairs[:, 1] = corners + ahead[:, None] * heading
    # where both reach the middle of the run between two corners, one point stands for both
    met = ~fixed & ~fixed[before] & (behind + ahead[before] == length[before])
    kept = np.stack([~met, ~fixed], axis=1)
    counted = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    flat = kept.reshape(-1)
    return _Polygons(
        offsets=counted[contours.offsets],
        points=pairs.reshape(-1, 2)[flat],
        fixed=np.repeat(fixed, 2)[flat],
        beyond=np.repeat(contours.beyond, 2)[flat],
    )


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product
