"""Labels into rings: the edges between voxels that bound every label of a section, all of them traced in one pass.

A ring runs along voxel edges with its label to the right, so that outer rings run clockwise on the screen, where y runs
down, and holes the other way: filled by the even-odd or the non-zero rule, the rings of a label cover its voxels and no
others. Voxels of one label that touch at a corner alone lie in rings of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FRAME", "Contours", "followers"]

FRAME = -1  # what lies outside the section
_EAST, _SOUTH, _WEST, _NORTH = range(4)  # a step to the right in this order is a turn to the right on the screen
_CROWDED = 3  # edges that meet at a point where no curve may pass: two are a line, bent or straight


@dataclass(frozen=True, slots=True)
class Contours:
    """Rings of straight runs along voxel edges, sorted by label.

    Parameters
    ----------
    labels : numpy.ndarray of int32
        The label of each ring.
    offsets : numpy.ndarray of int64
        Where each ring's points start, and the end of the last one.
    points : numpy.ndarray of int32
        Shape (n, 2): x and y of the voxel corners where runs start, from 0 to the width and the height.
    fixed : numpy.ndarray of bool
        Which points are knots: more than two edges meet there, or it is a corner of the section. A ring that has knots
        starts at one; between knots a ring has one and the same neighbour.
    beyond : numpy.ndarray of int32
        What lies to the left of the run that starts at each point: another label, 0 for none, or `FRAME`.

    Examples
    --------
    >>> found = Contours.of(np.array([[0, 0, 0], [0, 5, 0], [0, 0, 0]]))
    >>> found.labels.tolist(), found.points.tolist()
    ([5], [[1, 1], [2, 1], [2, 2], [1, 2]])
    """

    labels: NDArray[np.int32]
    offsets: NDArray[np.int64]
    points: NDArray[np.int32]
    fixed: NDArray[np.bool_]
    beyond: NDArray[np.int32]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]], include_null: bool = False) -> Contours:
        """Trace a section.

        Parameters
        ----------
        labels : numpy.ndarray of int
            Axes (y, x); labels from 0 to 2**31 - 1, where 0 is no object.
        include_null : bool, optional
            Whether to trace 0 too. Default False.
        """
        edges = _Edges.of(labels)
        order, offsets = edges.rings(0 if include_null else 1)
        heading, start = edges.heading[order], edges.start[order]
        before = np.arange(len(order)) - 1
        before[offsets[:-1]] = offsets[1:] - 1
        fixed = edges.knots[start]
        kept = fixed | (heading != heading[before])
        counted = np.concatenate([[0], np.cumsum(kept)])
        y, x = np.divmod(start[kept], labels.shape[1] + 1)
        return cls(
            labels=edges.label[order[offsets[:-1]]],
            offsets=counted[offsets],
            points=np.stack([x, y], axis=1).astype(np.int32),
            fixed=fixed[kept],
            beyond=edges.beyond[order[kept]],
        )


def followers(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give for each member of rings, which lie one after the other, the place of the next one in its ring.

    Examples
    --------
    >>> followers(np.array([0, 3, 5])).tolist()
    [1, 2, 0, 4, 3]
    """
    after = np.arange(1, int(offsets[-1]) + 1)
    filled = offsets[1:] > offsets[:-1]
    after[offsets[1:][filled] - 1] = offsets[:-1][filled]
    return after


@dataclass(frozen=True, slots=True)
class _Edges:
    """Edges of voxels between different labels, each once in either direction.

    Corners of voxels are numbered row by row. For each edge: where it starts, which way it heads, the labels right and
    left of it, and the edge that follows it around the label at its right. For each corner: whether it is a knot.
    """

    start: NDArray[np.int64]
    heading: NDArray[np.int8]
    label: NDArray[np.int32]
    beyond: NDArray[np.int32]
    follower: NDArray[np.int32]
    knots: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]]) -> _Edges:
        rows, columns = labels.shape
        stride = columns + 1
        framed = np.full((rows + 2, columns + 2), FRAME, np.int32)
        framed[1:-1, 1:-1] = labels
        above, below = framed[:-1, 1:-1], framed[1:, 1:-1]
        left, right = framed[1:-1, :-1], framed[1:-1, 1:]
        across, along = np.nonzero(above != below), np.nonzero(left != right)
        level, upright = across[0] * stride + across[1], along[0] * stride + along[1]
        starts = [level, upright, level + 1, upright + stride]  # heading east, south, west, north
        ends = [level + 1, upright + stride, level, upright]
        sides = [below[across], left[along], above[across], right[along]]
        count = np.cumsum([0, *map(len, starts)])
        leaving = np.full((4, (rows + 1) * stride), -1, np.int32)
        for heading in range(4):
            leaving[heading, starts[heading]] = np.arange(count[heading], count[heading + 1], dtype=np.int32)
        knots = (leaving >= 0).sum(axis=0, dtype=np.int8) >= _CROWDED
        knots[[0, columns, rows * stride, rows * stride + columns]] = True
        follower = []
        for heading in range(4):
            # to the right where another label lies ahead at the right: it keeps voxels apart that touch at a corner
            turn, ahead, back = (leaving[(heading + by) % 4, ends[heading]] for by in (1, 0, 3))
            follower.append(np.where(turn >= 0, turn, np.where(ahead >= 0, ahead, back)))
        return cls(
            start=np.concatenate(starts),
            heading=np.repeat(np.arange(4, dtype=np.int8), np.diff(count)),
            label=np.concatenate(sides),
            beyond=np.concatenate([sides[(heading + 2) % 4] for heading in range(4)]),
            follower=np.concatenate(follower),
            knots=knots,
        )

    def rings(self, lowest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the edges of all rings in order, and where each ring starts, for labels from `lowest`."""
        starts = np.flatnonzero(self.label >= lowest)
        starts = starts[np.lexsort((~self.knots[self.start[starts]], self.label[starts]))]
        follower, seen = self.follower.tolist(), bytearray(len(self.start))
        order: list[int] = []
        offsets = [0]
        for first in starts.tolist():
            if seen[first]:
                continue
            at = first
            while not seen[at]:
                seen[at] = 1
                order.append(at)
                at = follower[at]
            offsets.append(len(order))
        return np.array(order, np.int64), np.array(offsets, np.int64)
