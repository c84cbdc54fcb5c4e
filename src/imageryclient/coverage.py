"""How much of a box is data: what lies outside a layer, and what was never written, told apart from black."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .geometry import TOLERANCE, Box, IntTriple

__all__ = ["Coverage", "PixelCoverage", "outside_of"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which voxels of a box come from data.

    Parameters
    ----------
    box : Box
        The voxels in question.
    outside : tuple of Box
        Blocks that lie outside the layer; disjoint, at the resolution of the layer.
    absent : tuple of Box
        Blocks of chunks that were never written; likewise.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> box = Box((-2, 0, 0), (6, 4, 1), at)
    >>> coverage = Coverage(box, outside=(Box((-2, 0, 0), (0, 4, 1), at),))
    >>> coverage.fraction
    0.75
    """

    box: Box
    outside: tuple[Box, ...] = ()
    absent: tuple[Box, ...] = ()

    @property
    def fraction(self) -> float:
        """The share of the voxels that come from data, 0 to 1."""
        missing = sum(self._count(gap) for gap in (*self.outside, *self.absent))
        return 1.0 - missing / self.box.voxels

    @property
    def complete(self) -> bool:
        """Whether every voxel comes from data."""
        return not self.outside and not self.absent

    def mask(self) -> NDArray[np.bool_]:
        """Tell voxel by voxel what comes from data.

        Returns
        -------
        numpy.ndarray
            bool, axes (x, y, z), of the shape of the box; True where a voxel comes from data.

        Examples
        --------
        >>> at = (8.0, 8.0, 40.0)
        >>> Coverage(Box((0, 0, 0), (3, 1, 1), at), absent=(Box((0, 0, 0), (2, 1, 1), at),)).mask().ravel().tolist()
        [False, False, True]
        """
        mask = np.ones(self.box.shape, dtype=np.bool_, order="F")
        for gap in (*self.outside, *self.absent):
            mask[np.ix_(*self._inside(gap))] = False
        return mask

    def on(self, box: Box) -> Coverage:
        """Give the coverage of the same layer in another box, on a grid that may be another one.

        Parameters
        ----------
        box : Box
            The voxels in question, within those of this one; of each the centre counts.

        Returns
        -------
        Coverage
            With the same gaps.

        Examples
        --------
        >>> at = (8.0, 8.0, 40.0)
        >>> coverage = Coverage(Box((0, 0, 0), (4, 1, 1), at), absent=(Box((0, 0, 0), (2, 1, 1), at),))
        >>> coverage.on(Box((0, 0, 0), (2, 1, 1), (16.0, 8.0, 40.0))).mask().ravel().tolist()
        [False, True]
        """
        return replace(self, box=box)

    def describe(self) -> str:
        """Say in words what is missing.

        Returns
        -------
        str
            Shares of the voxels in percent; empty when nothing is missing.

        Examples
        --------
        >>> at = (8.0, 8.0, 40.0)
        >>> Coverage(Box((0, 0, 0), (4, 4, 1), at), absent=(Box((0, 0, 0), (2, 4, 1), at),)).describe()
        '50 % of its voxels lie in a chunk that was never written'
        """
        parts = []
        share = self._share(self.outside)
        if share:
            parts.append(f"{share} of its voxels lie outside the data")
        share = self._share(self.absent)
        if share:
            chunks = "a chunk that was" if len(self.absent) == 1 else f"{len(self.absent)} chunks that were"
            parts.append(f"{share} of its voxels lie in {chunks} never written")
        return " and ".join(parts)

    def _share(self, gaps: Sequence[Box]) -> str:
        count = sum(self._count(gap) for gap in gaps)
        return f"{100 * count / self.box.voxels:.3g} %" if count else ""

    def _count(self, gap: Box) -> int:
        return math.prod(int(axis.sum()) for axis in self._inside(gap))

    def _inside(self, gap: Box) -> list[NDArray[np.bool_]]:
        inside = []
        for axis in range(3):
            ratio = self.box.resolution[axis] / gap.resolution[axis]
            centers = (np.arange(self.box.start[axis], self.box.stop[axis]) + 0.5) * ratio + TOLERANCE
            inside.append((centers >= gap.start[axis]) & (centers < gap.stop[axis]))
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class PixelCoverage:
    """Which pixels of a section come from data.

    Parameters
    ----------
    outside, absent : numpy.ndarray
        bool, axes (right, down): pixels outside the layer, and in chunks that were never written.

    Examples
    --------
    >>> PixelCoverage(np.array([[True], [False]]), np.array([[False], [False]])).describe()
    '50 % of its pixels lie outside the data'
    """

    outside: NDArray[np.bool_]
    absent: NDArray[np.bool_]

    @property
    def fraction(self) -> float:
        """The share of the pixels that come from data, 0 to 1."""
        return float(self.mask().mean())

    @property
    def complete(self) -> bool:
        """Whether every pixel comes from data."""
        return not self.outside.any() and not self.absent.any()

    def mask(self) -> NDArray[np.bool_]:
        """Give a boolean array, axes (right, down), True where a pixel comes from data."""
        return ~(self.outside | self.absent)

    def describe(self) -> str:
        """Say in words what is missing; empty when nothing is."""
        named = ((self.outside, "outside the data"), (self.absent, "in chunks that were never written"))
        parts = [f"{100 * lost.mean():.3g} % of its pixels lie {where}" for lost, where in named if lost.any()]
        return " and ".join(parts)


def outside_of(box: Box, bounds: Box) -> tuple[Box, ...]:
    """Split what `box` holds beyond `bounds` into at most six disjoint boxes.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> [part.shape for part in outside_of(Box((-2, 0, 0), (6, 4, 1), at), Box((0, 0, 0), (9, 3, 9), at))]
    [(2, 4, 1), (6, 1, 1)]
    """
    parts = []
    start, stop = list(box.start), list(box.stop)
    for axis in range(3):
        for low, high in ((start[axis], bounds.start[axis]), (bounds.stop[axis], stop[axis])):
            low, high = max(low, start[axis]), min(high, stop[axis])
            if high > low:
                part = Box(_with(start, axis, low), _with(stop, axis, high), box.resolution)
                if part.voxels:
                    parts.append(part)
        start[axis] = max(start[axis], bounds.start[axis])
        stop[axis] = min(stop[axis], bounds.stop[axis])
        if start[axis] >= stop[axis]:
            break
    return tuple(parts)


def _with(corner: Sequence[int], axis: int, value: int) -> IntTriple:
    x, y, z = (value if n == axis else c for n, c in enumerate(corner))
    return x, y, z
