"""How much of each pixel lies within closed paths: exactly, for any number of labels in one pass.

A path that goes through a pixel bounds a part of it; between such pixels, those of a row lie wholly inside or outside.
So pixels on borders are summed up first, and what lies between two of them becomes a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .trails import Canvas, Trails

__all__ = ["Patches"]

_LEAST = 1e-4  # shares of a pixel that count as none, and those left out of a pixel that counts as full
_END = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Patches:
    """Runs of pixels that labels cover, sorted by label and place; runs of several pixels are covered wholly.

    Parameters
    ----------
    labels : numpy.ndarray of int64
        The label of each run.
    pixels, lengths : numpy.ndarray of int64
        Its first pixel, counted row by row, and how many there are.
    shares : numpy.ndarray of float64
        How much of it is covered, up to 1.
    size : int
        Pixels of the picture.

    Examples
    --------
    >>> from .contours import Contours
    >>> from .curves import Curves
    >>> canvas = Canvas.of((3, 1), 1.5)
    >>> patches = Patches.of(Trails.of(Curves.exact(Contours.of(np.array([[0, 8, 8]]))), canvas), canvas)
    >>> patches.pixels.tolist(), patches.lengths.tolist(), patches.shares.tolist()
    ([1, 2], [1, 2], [0.5, 1.0])
    """

    labels: NDArray[np.int64]
    pixels: NDArray[np.int64]
    lengths: NDArray[np.int64]
    shares: NDArray[np.float64]
    size: int

    @classmethod
    def of(cls, trails: Trails, canvas: Canvas) -> Patches:
        """Find what paths cover; see `Curves` for how they run."""
        width, height = canvas.size
        row_length = width + 1  # a column more, for what runs along the right border
        x, y, rise, labels = _cut(trails)
        column, row = np.floor(x).astype(np.int64), np.minimum(np.floor(y).astype(np.int64), height - 1)
        keys = (labels.astype(np.int64) * height + row) * row_length + column
        order = np.argsort(keys, kind="stable")
        keys, rise = keys[order], rise[order]
        right = rise * (1 - (x - column))[order]  # of the part of its row's height, what lies right of it in its pixel
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        if not first.size:
            none = np.zeros(0, np.int64)
            return cls(none, none, none, np.zeros(0), width * height)
        keys, rise, right = keys[first], np.add.reduceat(rise, first), np.add.reduceat(right, first)
        inside = np.cumsum(rise)  # right of each pixel; 0 at the end of each row
        share = np.clip(inside - rise + right, 0, 1)
        lines, columns = np.divmod(keys, row_length)
        partly = (share > _LEAST) & (columns < width)
        gap = np.diff(lines * row_length + columns, append=0) - 1
        between = (inside > 0.5) & (gap > 0) & np.append(lines[1:] == lines[:-1], False)
        found = np.concatenate([lines[partly] * width + columns[partly], lines[between] * width + columns[between] + 1])
        lengths = np.concatenate([np.ones(int(partly.sum()), np.int64), gap[between]])
        shares = np.concatenate([share[partly], np.ones(int(between.sum()))])
        order = np.argsort(found, kind="stable")
        labels_of, pixels = np.divmod(found[order], width * height)
        shares[shares > 1 - _LEAST] = 1
        return cls(labels_of, pixels, lengths[order], shares[order], width * height)

    def within(self, labels: NDArray[np.int64], pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Tell how much of each of some pixels a label covers."""
        if not len(self.pixels):
            return np.zeros(len(pixels))
        keys = labels * self.size + pixels
        starts = self.labels * self.size + self.pixels
        at = np.searchsorted(starts, keys, side="right") - 1
        covered: NDArray[np.float64] = self.shares[at]
        covered[(at < 0) | (keys >= starts[at] + self.lengths[at])] = 0
        return covered

    def whole(self) -> NDArray[np.int32]:
        """Give the label that covers each pixel wholly, 0 for none, where labels do not overlap."""
        full = self.shares == 1
        steps = np.zeros(self.size + 1, np.int32)
        starts, labels = self.pixels[full], self.labels[full].astype(np.int32)
        np.add.at(steps, starts, labels)
        np.subtract.at(steps, starts + self.lengths[full], labels)
        return np.cumsum(steps[:-1], dtype=np.int32)

    def total(self) -> NDArray[np.float64]:
        """Give how much of each pixel any label covers, where labels do not overlap."""
        full = self.shares == 1
        steps = np.zeros(self.size + 1, np.int32)
        np.add.at(steps, self.pixels[full], 1)
        np.subtract.at(steps, self.pixels[full] + self.lengths[full], 1)
        partial = np.bincount(self.pixels[~full], weights=self.shares[~full], minlength=self.size)
        partial += np.cumsum(steps[:-1])
        return np.minimum(partial, 1, out=partial)


def _cut(
    trails: Trails,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    """Cut pieces where they pass from pixel to pixel: the middles, x and y, the rise and the label of each part."""
    heights = trails.start[:, 1]
    dividing = (heights != trails.stop[:, 1]) | (heights != np.floor(heights))  # pixels: not along their edges
    start, along = trails.start[dividing], (trails.stop - trails.start)[dividing]
    numbers = np.arange(len(start), dtype=np.float64)
    at = [numbers]
    for axis in range(2):
        low, high = np.minimum(0, along[:, axis]) + start[:, axis], np.maximum(0, along[:, axis]) + start[:, axis]
        first = np.floor(low) + 1
        count = np.maximum(np.ceil(high) - first, 0).astype(np.intp)
        which = np.repeat(np.arange(len(start)), count)
        lines = np.repeat(first, count) + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        at.append(which + np.clip((lines - start[which, axis]) / along[which, axis], 0, _END))
    cuts = np.sort(np.concatenate(at))  # the number of the piece, and how far along it
    piece = cuts.astype(np.intp)
    begin = cuts - piece
    end = np.ones_like(begin)
    end[:-1] = np.where(piece[1:] == piece[:-1], begin[1:], 1)
    middle = start[piece] + ((begin + end) / 2)[:, None] * along[piece]
    # upwards, left of what it bounds: its label lies right of it
    return middle[:, 0], middle[:, 1], (begin - end) * along[piece, 1], trails.labels[dividing][piece]
