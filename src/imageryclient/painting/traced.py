"""Sections painted along paths: areas and outlines with soft edges, at any zoom.

Neighbours share their edge, so what two areas cover of one pixel is added up: no seam shows between them. Masks, which
may overlap, and outlines are laid over one another in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .blend import lay, over
from .contours import FRAME
from .curves import Curves, voxel_middles
from .paint import LabelSection, Section
from .patches import Patches
from .strokes import Pieces, Shares, strokes
from .style import Style
from .trails import Canvas, Trails

__all__ = ["Tracing"]

_BATCH = 1 << 20  # pixels of masks laid in one go


@dataclass(frozen=True)
class Tracing:
    """The paths around what a section holds, on a canvas.

    Examples
    --------
    >>> section = LabelSection(np.array([[1, 0, 0]], np.uint8), 1)
    >>> tracing = Tracing(section, Style.checked(True, width=1, side="on"), Canvas.of((3, 1), 2))
    >>> black = np.array([0, 0xFF000000], np.uint32)
    >>> tracing.areas(black).view(np.uint8)[0, 3::4].tolist()
    [255, 255, 0, 0, 0, 0]
    >>> tracing.outlines(black).view(np.uint8)[0, 3::4].tolist()
    [0, 128, 128, 0, 0, 0]
    """

    section: Section
    style: Style
    canvas: Canvas

    @cached_property
    def trails(self) -> Trails:
        """The paths of all labels or masks."""
        style, section = self.style, self.section
        if isinstance(section, LabelSection):
            return Trails.of(Curves.around(section.labels, style.smooth, style.stretch), self.canvas)
        stretched = style.smooth and style.stretch != (1, 1)
        if stretched:
            section = section.magnified(*map(voxel_middles, section.shape, style.stretch[::-1]))
        parts = []
        for number, rows, columns, crop in section.crops(1):
            curves, origin = Curves.around(crop.view(np.uint8), style.smooth), (columns.start, rows.start)
            if stretched:
                curves, origin = curves.stretched(style.stretch, self.section.shape[::-1], origin), (0, 0)
            parts.append(Trails.of(curves, self.canvas, origin).labelled(number))
        return Trails.joined(parts)

    @cached_property
    def patches(self) -> Patches:
        """What they cover."""
        return Patches.of(self.trails, self.canvas)

    def areas(self, table: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Paint areas in the colours of a table: pixels, (y, x)."""
        patches = self.patches
        if isinstance(self.section, LabelSection):
            canvas = table.take(patches.whole())
            soft = patches.shares < 1
            pixels, colors = _added(patches.labels[soft], patches.pixels[soft], patches.shares[soft], table)
            canvas[pixels] = colors
        else:
            canvas = np.zeros(patches.size, np.uint32)
            layers = _Layers(canvas, table, self.style.overlap)
            for labels, pixels, shares in _spelled(patches):
                layers.add(labels, pixels, shares)
        return canvas.reshape(self.canvas.size[::-1])

    def outlines(self, table: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Paint outlines in the colours of a table: pixels, (y, x)."""
        canvas = np.zeros(self.canvas.size[0] * self.canvas.size[1], np.uint32)
        layers = _Layers(canvas, table, self.style.overlap)
        # where the first of several stays alone, those that are not seen hide others too
        seen = table != 0 if self.style.overlap else np.ones(len(table), np.bool_)
        for labels, pixels, shares in self._lines(seen):
            layers.add(labels, pixels, shares)
        return canvas.reshape(self.canvas.size[::-1])

    def _lines(self, seen: NDArray[np.bool_]) -> Iterator[Shares]:
        """Give the lines of those labels that are seen."""
        style, trails = self.style, self.trails
        drawn = (trails.beyond == 0 if style.merge else trails.beyond != FRAME) & seen[trails.labels]
        longest = 2.0 * 2 ** max(0, int(np.log2(style.reach + 1)))
        pieces = Pieces.of(trails, drawn, longest, style.dash)
        partition = isinstance(self.section, LabelSection)
        around = self._around() if style.merge and not partition else None
        free = 1 - self.patches.total() if style.merge and partition and style.side == "out" else None
        for labels, pixels, shares in strokes(pieces, style.reach, style.side, self.canvas):
            if style.side == "in":
                shares = shares * self.patches.within(labels, pixels)
            elif style.side == "out":
                shares = shares * (1 - self.patches.within(labels, pixels) if free is None else free[pixels])
            yield labels, pixels, shares if around is None else np.minimum(shares, around[pixels])

    def _around(self) -> NDArray[np.float64]:
        """Give how much of each pixel one outline around all masks covers."""
        union = LabelSection(self.section.union().view(np.uint8), 1)
        covered = np.zeros(self.canvas.size[0] * self.canvas.size[1])
        for _, pixels, shares in Tracing(union, replace(self.style, dash=None), self.canvas)._lines(
            np.ones(2, np.bool_)
        ):
            covered[pixels] = shares
        return covered


class _Layers:
    """A canvas that takes shares of pixels, one label over the other."""

    def __init__(self, canvas: NDArray[np.uint32], table: NDArray[np.uint32], overlap: bool) -> None:
        self.canvas = canvas
        self.colors = table.view(np.uint8).reshape(-1, 4)
        self.taken = None if overlap else np.zeros(canvas.size)

    def add(self, labels: NDArray[np.int64], pixels: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        if self.taken is not None:
            shares = _left(self.taken, pixels, shares)
        rgba = self.colors[labels]
        rgba[:, 3] = np.rint(rgba[:, 3] * shares)
        seen = np.flatnonzero(rgba[:, 3])
        pixels, sources = pixels[seen], rgba[seen].view(np.uint32)[:, 0]
        if len(seen) and labels[seen[0]] == labels[seen[-1]]:  # one label, so each pixel once
            self.canvas[pixels] = over(self.canvas[pixels], sources)
        else:
            lay(self.canvas, pixels, sources)


def _left(taken: NDArray[np.float64], pixels: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give each, in order, as much of its pixel as those before it left; and take it."""
    order = np.argsort(pixels, kind="stable")
    of, wanted = pixels[order], shares[order]
    first = np.flatnonzero(np.diff(of, prepend=-1))
    passed = np.cumsum(wanted) - wanted
    before = passed - np.repeat(passed[first], np.diff(first, append=len(of))) + taken[of]
    left = np.empty_like(shares)
    left[order] = np.minimum(wanted, np.maximum(1 - before, 0))
    np.add.at(taken, pixels, shares)
    return left


def _added(
    labels: NDArray[np.int64], pixels: NDArray[np.int64], shares: NDArray[np.float64], table: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Add up what labels that do not overlap cover of pixels: which pixels, and their colours."""
    colors = table.view(np.uint8).reshape(-1, 4)[labels].astype(np.float64)
    found, which = np.unique(pixels, return_inverse=True)
    weights = colors[:, 3] * shares
    opacity = np.bincount(which, weights=weights, minlength=len(found))
    rgba = np.zeros((len(found), 4), np.uint8)
    for channel in range(3):
        total = np.bincount(which, weights=weights * colors[:, channel], minlength=len(found))
        rgba[:, channel] = np.rint(total / np.maximum(opacity, 1e-9))
    rgba[:, 3] = np.rint(np.minimum(opacity, 255))
    rgba[rgba[:, 3] == 0] = 0
    return found, rgba.view(np.uint32)[:, 0]


def _spelled(patches: Patches) -> Iterator[Shares]:
    """Give runs pixel by pixel, some at a time, in their order."""
    ends = np.cumsum(patches.lengths)
    first = 0
    while first < len(ends):
        begun = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begun + _BATCH, side="right")))
        lengths = patches.lengths[first:last]
        steps = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        which = first + np.repeat(np.arange(len(lengths)), lengths)
        yield patches.labels[which], patches.pixels[which] + steps, patches.shares[which]
        first = last
