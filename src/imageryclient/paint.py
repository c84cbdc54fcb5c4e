"""How one section is painted: labels or masks, and a table of colours, to RGBA pixels.

Labels never overlap, so flat colours and inner outlines of all ids are painted at once through the table.
Outer outlines, and masks that may overlap, are found one by one in their own neighbourhood and then blended in
order, by Pillow's own `alpha_composite` on the pixels they touch.

Arrays are (y, x) here, as pictures are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .compact import extents
from .errors import ArgumentError
from .outline import Side, inner_outlines, outlined
from .picture import from_rgba_pixels

__all__ = ["LabelSection", "MaskSection", "Section", "Style", "paint"]

_BATCH = 1 << 18  # pixels blended in one go
_COLOR_BITS = np.array([255, 255, 255, 0], dtype=np.uint8).view(np.uint32)[0]
_ALPHA_BITS = ~_COLOR_BITS
_UNTAKEN = np.iinfo(np.int32).max

_Crop = tuple[int, slice, slice, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Style:
    """How to paint: `alpha` from 0 to 255, `merge` for one outline around all, the rest as its name says."""

    alpha: int
    outline: bool
    merge: bool
    overlap: bool
    width: int
    side: Side

    @classmethod
    def checked(cls, alpha: float, outline: bool, merge: bool, overlap: bool, width: int, side: Side) -> Style:
        """Check the arguments of `composite_overlay`; raises ArgumentError for those out of range."""
        if not 0 <= alpha <= 1:
            raise ArgumentError(f"alpha is an opacity from 0 to 1; got {alpha!r}")
        if side not in ("in", "out"):
            raise ArgumentError(f"side must be 'in' or 'out'; got {side!r}")
        if outline and not width >= 1:
            raise ArgumentError(f"the width of an outline must be at least 1 pixel; got {width!r}")
        return cls(int(alpha * 255), bool(outline), bool(merge), bool(overlap), int(width), side)


class Section(Protocol):
    """What is to be painted in one picture; arrays are (y, x)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def union(self) -> NDArray[np.bool_]:
        """Where anything lies."""

    def crops(self, margin: int) -> Iterator[_Crop]:
        """Each mask that is not empty, cut to its bounding box and a margin: number from 1, rows, columns."""


@dataclass(frozen=True, slots=True)
class LabelSection:
    """Compact labels, 0 to `count`."""

    labels: NDArray[Any]
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.labels.shape[0], self.labels.shape[1]

    def union(self) -> NDArray[np.bool_]:
        """Where anything lies."""
        return self.labels > 0

    def crops(self, margin: int) -> Iterator[_Crop]:
        """See `Section`."""
        found = extents(self.labels, self.count)
        present = np.flatnonzero(found.counts)
        low, high = np.maximum(found.low[present] - margin, 0).tolist(), (found.high[present] + margin).tolist()
        for label, (top, left), (bottom, right) in zip(present.tolist(), low, high, strict=True):
            rows, columns = slice(top, bottom), slice(left, right)
            yield label, rows, columns, self.labels[rows, columns] == label


@dataclass(frozen=True, slots=True)
class MaskSection:
    """Masks, which may overlap, in the order they are painted."""

    masks: list[NDArray[Any]]
    shape: tuple[int, int]

    def union(self) -> NDArray[np.bool_]:
        """Where anything lies."""
        union = np.zeros(self.shape, np.bool_)
        for mask in self.masks:
            union |= _filled(mask)
        return union

    def crops(self, margin: int) -> Iterator[_Crop]:
        """See `Section`."""
        for number, values in enumerate(self.masks, start=1):
            mask = _filled(values)
            filled = np.flatnonzero(mask.any(axis=1))
            if filled.size:
                rows = slice(int(filled[0]), int(filled[-1]) + 1)
                across = np.flatnonzero(mask[rows].any(axis=0))
                columns = slice(int(across[0]), int(across[-1]) + 1)
                rows, columns = _with_margin(rows, margin), _with_margin(columns, margin)
                yield number, rows, columns, mask[rows, columns]


def paint(section: Section, table: NDArray[np.uint32], style: Style) -> NDArray[np.uint32]:
    """Give the pixels, (y, x), of one section."""
    inner = style.side == "in"
    if isinstance(section, LabelSection) and (inner or not style.outline):
        canvas = table.take(section.labels, mode="clip")
        if style.outline:
            np.copyto(canvas, 0, where=~inner_outlines(section.labels, style.width))
    else:
        canvas = np.zeros(section.shape, np.uint32)
        if table.any():
            _blend_all(canvas, section, table, style)
    if style.outline and style.merge:
        # the colours stay where they become fully transparent, as imageryclient 1.0.4 leaves them
        kept = outlined(section.union(), style.width, style.side)
        np.bitwise_and(canvas, _COLOR_BITS, out=canvas, where=~kept)
    return canvas


def _blend_all(canvas: NDArray[np.uint32], section: Section, table: NDArray[np.uint32], style: Style) -> None:
    margin = 0 if not style.outline else 1 if style.side == "in" else style.width
    flat, row_length = canvas.reshape(-1), canvas.shape[1]
    order = np.full(flat.size, _UNTAKEN, np.int32)
    waiting: list[NDArray[np.intp]] = []
    colors: list[np.uint32] = []
    total = 0
    for number, rows, columns, crop in section.crops(margin):
        if style.outline:
            crop = outlined(crop, style.width, style.side)
        y, x = np.nonzero(crop)
        waiting.append((y + rows.start) * row_length + (x + columns.start))
        colors.append(table[number])
        total += y.size
        if total >= _BATCH:
            _blend(flat, order, waiting, colors, style.overlap)
            waiting, colors, total = [], [], 0
    if waiting:
        _blend(flat, order, waiting, colors, style.overlap)


def _blend(
    canvas: NDArray[np.uint32],
    order: NDArray[np.int32],
    places: list[NDArray[np.intp]],
    colors: list[np.uint32],
    overlap: bool,
) -> None:
    """Lay colours, each on its own pixels, over a canvas in order.

    A pixel may take many of them. Each round takes the first that waits at every pixel and lays those over
    the canvas together, which comes to the same as one after the other.
    """
    pixels = np.concatenate(places)
    sources = np.repeat(np.array(colors, np.uint32), [len(p) for p in places])
    while pixels.size:
        ranks = np.arange(pixels.size, dtype=np.int32)
        np.minimum.at(order, pixels, ranks)
        first = order[pixels] == ranks
        order[pixels] = _UNTAKEN
        now, above = pixels[first], sources[first]
        below = canvas[now]
        if not overlap:
            free = (below & _ALPHA_BITS) == 0
            canvas[now[free]] = above[free]
            return
        canvas[now] = _over(below, above)
        pixels, sources = pixels[~first], sources[~first]


def _over(below: NDArray[np.uint32], above: NDArray[np.uint32]) -> NDArray[np.uint32]:
    rows = [from_rgba_pixels(pixels[np.newaxis]) for pixels in (below, above)]
    return np.asarray(Image.alpha_composite(*rows)).view(np.uint32).reshape(-1)


def _filled(values: NDArray[Any]) -> NDArray[np.bool_]:
    return values if values.dtype == np.bool_ else values > 0


def _with_margin(span: slice, margin: int) -> slice:
    return slice(max(0, span.start - margin), span.stop + margin)
