"""Curves as straight pieces, in pixels of a picture: short enough that the bends show none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import TOLERANCE
from ..section import pixels_across
from .curves import Curves

__all__ = ["Canvas", "Trails"]

_LARGEST = 1 << 30  # pixels of a picture
_OFF = 0.02  # pixels that a piece may lie off its curve


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of a section: both sizes, (width, height), and how many pixels a voxel is wide.

    Examples
    --------
    >>> canvas = Canvas.of((5, 3), 1.5)
    >>> canvas.size, [spots.tolist() for spots in canvas.nearest()]
    ((7, 4), [[0, 1, 1, 2, 3, 3, 4], [0, 1, 1, 2]])
    """

    section: tuple[int, int]
    size: tuple[int, int]
    zoom: float

    @classmethod
    def of(cls, section: tuple[int, int], zoom: float) -> Canvas:
        """Give the picture of so large a section: of as many pixels as have their centre in it, at least one."""
        width, height = section
        if width * zoom * height * zoom > _LARGEST:
            raise ArgumentError(
                f"a picture of {width * zoom:,.0f} x {height * zoom:,.0f} pixels would not fit into memory; "
                f"make it smaller than zoom={zoom:g}"
            )
        return cls(section, (pixels_across(width, zoom), pixels_across(height, zoom)), zoom)

    def nearest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give the column and the row of the voxels that hold the centres of each column's and row's pixels."""
        columns, rows = (
            np.minimum(((np.arange(pixels) + 0.5) / self.zoom + TOLERANCE).astype(np.intp), voxels - 1)
            for voxels, pixels in zip(self.section, self.size, strict=True)
        )
        return columns, rows

    def placed(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give points of the section, (n, 2) in voxels, in pixels; those on its border lie on the picture's."""
        placed = np.empty_like(points)
        for axis, (voxels, pixels) in enumerate(zip(self.section, self.size, strict=True)):
            scaled = np.minimum(points[:, axis] * self.zoom, pixels)
            placed[:, axis] = np.where(points[:, axis] == voxels, pixels, scaled)
        return placed


@dataclass(frozen=True, slots=True)
class Trails:
    """Straight pieces of closed paths, which follow each other.

    Parameters
    ----------
    start, stop : numpy.ndarray of float64
        Shape (n, 2): x and y in pixels.
    labels, beyond : numpy.ndarray of int32
        The label right of each piece, whose path it is, and what lies left of it; sorted by label. See `Contours`.
    paths : numpy.ndarray of int32
        Which path each piece is of.

    Examples
    --------
    >>> from .contours import Contours
    >>> curves = Curves.exact(Contours.of(np.array([[3, 0]])))
    >>> trails = Trails.of(curves, Canvas.of((2, 1), 10))
    >>> trails.start.tolist(), trails.beyond.tolist()
    ([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]], [-1, 0, -1, -1])
    """

    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    labels: NDArray[np.int32]
    beyond: NDArray[np.int32]
    paths: NDArray[np.int32]

    @classmethod
    def of(cls, curves: Curves, canvas: Canvas, origin: tuple[int, int] = (0, 0)) -> Trails:
        """Lay curves on a canvas; `origin` is the voxel of the section that they are counted from."""
        start, control, stop = (
            canvas.placed(points + np.array(origin)) for points in (curves.start, curves.control, curves.stop)
        )
        bend = np.hypot(*(start - 2 * control + stop).T)
        bend[curves.straight] = 0
        count = np.maximum(1, np.ceil(np.sqrt(bend / (4 * _OFF)))).astype(np.intp)
        which = np.repeat(np.arange(len(count)), count)
        place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        ends = [
            (1 - at) ** 2 * start[which] + 2 * at * (1 - at) * control[which] + at**2 * stop[which]
            for at in ((place / count[which])[:, None], ((place + 1) / count[which])[:, None])
        ]
        paths = np.repeat(np.arange(len(curves.labels), dtype=np.int32), np.diff(curves.offsets))[which]
        return cls(ends[0], ends[1], curves.labels[paths], curves.beyond[which], paths)

    @classmethod
    def joined(cls, parts: Sequence[Trails]) -> Trails:
        """Put the paths of several one after the other."""
        counts = np.cumsum([0, *(int(part.paths[-1]) + 1 if len(part.paths) else 0 for part in parts)])
        return cls(
            np.concatenate([np.zeros((0, 2)), *(part.start for part in parts)]),
            np.concatenate([np.zeros((0, 2)), *(part.stop for part in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(part.labels for part in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(part.beyond for part in parts)]),
            np.concatenate(
                [np.zeros(0, np.int32), *(part.paths + np.int32(n) for part, n in zip(parts, counts, strict=False))]
            ),
        )

    def labelled(self, label: int) -> Trails:
        """Give all of them one label."""
        return replace(self, labels=np.full(len(self.labels), label, np.int32))
