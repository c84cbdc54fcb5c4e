"""How one section is painted: labels or masks, and a table of colours, to RGBA pixels.

Labels never overlap, so flat colours and inner outlines of all ids are painted at once through the table, and outer
outlines by asking which labels lie around each pixel. Wide outlines of few labels, and masks, which may overlap, are
found one by one in their own neighbourhood. What is laid over something is blended in order, as Pillow does.

Arrays are (y, x) here, as pictures are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..compact import Extents, extents
from .blend import ALPHA_BITS, COLOR_BITS, lay, opaque, over, tinted
from .nearby import gathered, labels_around
from .outline import inner_outlines, outlined
from .style import Style

__all__ = ["Crop", "LabelSection", "MaskSection", "Section", "paint", "paint_over_grey"]

_BATCH = 1 << 18  # pixels blended in one go
_ONE_BY_ONE = 15_000  # labels looked at in the time that one outline takes, but for the pixels of its box

Crop = tuple[int, slice, slice, NDArray[np.bool_]]


class Section(Protocol):
    """What is to be painted in one picture; arrays are (y, x)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def union(self) -> NDArray[np.bool_]:
        """Where anything lies."""

    def crops(self, margin: int) -> Iterator[Crop]:
        """Each mask that is not empty, cut to its bounding box and a margin: number from 1, rows, columns."""

    def magnified(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Section:
        """Take such rows and columns, which may be some of them several times."""


@dataclass(frozen=True)
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

    @cached_property
    def extents(self) -> Extents:
        """Where each label lies."""
        return extents(self.labels, self.count)

    def crops(self, margin: int) -> Iterator[Crop]:
        """See `Section`."""
        found = self.extents
        present = np.flatnonzero(found.counts)
        low, high = np.maximum(found.low[present] - margin, 0).tolist(), (found.high[present] + margin).tolist()
        for label, (top, left), (bottom, right) in zip(present.tolist(), low, high, strict=True):
            rows, columns = slice(top, bottom), slice(left, right)
            yield label, rows, columns, self.labels[rows, columns] == label

    def magnified(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> LabelSection:
        """See `Section`."""
        return LabelSection(self.labels.take(rows, axis=0).take(columns, axis=1), self.count)


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

    def crops(self, margin: int) -> Iterator[Crop]:
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

    def magnified(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> MaskSection:
        """See `Section`."""
        masks = [mask.take(rows, axis=0).take(columns, axis=1) for mask in self.masks]
        return MaskSection(masks, (len(rows), len(columns)))


def paint(section: Section, table: NDArray[np.uint32], style: Style) -> NDArray[np.uint32]:
    """Give the pixels, (y, x), of one section."""
    labels = _one_color_each(section, style, None)
    outlines = _outlined_together(section, table, style, None)
    if labels is not None:
        canvas = table.take(labels, mode="clip")
    elif outlines is not None:
        canvas = np.zeros(section.shape, np.uint32)
        for pixels, colors in outlines:
            canvas.reshape(-1)[pixels] = colors
    else:
        canvas = _one_by_one(section, table, style, None)
    if style.outline and style.merge:
        # the colours stay where they become fully transparent, as imageryclient 1.0.4 leaves them
        kept = outlined(section.union(), style.steps, style.pixel_side)
        np.bitwise_and(canvas, COLOR_BITS, out=canvas, where=~kept)
    return canvas


def paint_over_grey(
    section: Section, table: NDArray[np.uint32], style: Style, grey: NDArray[np.uint8]
) -> NDArray[np.uint32]:
    """Give the opaque pixels, (y, x), of one section over grey imagery, (y, x)."""
    merged = style.outline and style.merge
    kept = outlined(section.union(), style.steps, style.pixel_side) if merged else None
    labels = _one_color_each(section, style, kept)
    if labels is not None:
        return tinted(grey, labels, table)
    painted = _outlined_together(section, table, style, kept)
    if painted is None:
        painted = _pixels(_one_by_one(section, table, style, kept))
    canvas = opaque(grey)
    flat = canvas.reshape(-1)
    for pixels, colors in painted:
        flat[pixels] = over(flat.take(pixels), colors)
    return canvas


def _one_color_each(section: Section, style: Style, kept: NDArray[np.bool_] | None) -> NDArray[Any] | None:
    """Give the label that paints each pixel, 0 for none, where one alone does; `kept` bounds what is painted."""
    if not isinstance(section, LabelSection) or (style.outline and style.pixel_side == "out"):
        return None
    if not style.outline:
        return section.labels
    # what lies inside along the edge of all labels together lies along the edge of its own
    edges = inner_outlines(section.labels, style.steps) if kept is None else kept
    painted: NDArray[Any] = section.labels * edges
    return painted


def _outlined_together(
    section: Section, table: NDArray[np.uint32], style: Style, kept: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint32]]] | None:
    """Give the outer outlines of all labels as pixels, counted row by row, and their colours; some at a time.

    None where this does not apply, or would take longer than one outline after the other.
    """
    if not isinstance(section, LabelSection) or not style.outline or style.pixel_side == "in":
        return None
    pixels = np.flatnonzero(inner_outlines(section.labels, style.steps) if kept is None else kept)
    effort = pixels.size * gathered(style.steps)
    if effort > section.count * _ONE_BY_ONE:
        boxes = (section.extents.high - section.extents.low)[section.extents.counts > 0]
        if effort > len(boxes) * _ONE_BY_ONE + int(boxes.prod(axis=1).sum()):
            return None
    return _colors_around(section.labels, pixels if table.any() else pixels[:0], table, style)


def _colors_around(
    labels: NDArray[Any], pixels: NDArray[np.intp], table: NDArray[np.uint32], style: Style
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint32]]]:
    for some, rounds in labels_around(labels, pixels, style.steps):
        painted = np.zeros(some.stop - some.start, np.uint32)
        for turn, (places, near) in enumerate(rounds):
            above = table.take(near)
            if not turn:
                painted[places] = above
                continue
            below = painted.take(places)
            painted[places] = over(below, above) if style.overlap else np.where(below & ALPHA_BITS, below, above)
        found = np.flatnonzero(painted)
        if found.size:
            yield pixels[some].take(found), painted.take(found)


def _pixels(canvas: NDArray[np.uint32]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint32]]]:
    """Give what is painted on a canvas as `_outlined_together` does."""
    flat = canvas.reshape(-1)
    for first in range(0, flat.size, _BATCH):
        found = np.flatnonzero(flat[first : first + _BATCH])
        if found.size:
            found += first
            yield found, flat.take(found)


def _one_by_one(
    section: Section, table: NDArray[np.uint32], style: Style, kept: NDArray[np.bool_] | None
) -> NDArray[np.uint32]:
    """Lay the colours of a section over one another, within `kept` if that is given."""
    canvas = np.zeros(section.shape, np.uint32)
    if not table.any():
        return canvas
    margin = 0 if not style.outline else 1 if style.pixel_side == "in" else style.steps
    flat, row_length = canvas.reshape(-1), canvas.shape[1]
    waiting: list[NDArray[np.intp]] = []
    colors: list[np.uint32] = []
    total = 0
    for number, rows, columns, crop in section.crops(margin):
        if style.outline:
            crop = outlined(crop, style.steps, style.pixel_side)
        if kept is not None:
            crop = crop & kept[rows, columns]
        y, x = np.nonzero(crop)
        waiting.append((y + rows.start) * row_length + (x + columns.start))
        colors.append(table[number])
        total += y.size
        if total >= _BATCH:
            lay(flat, np.concatenate(waiting), np.repeat(colors, list(map(len, waiting))), style.overlap)
            waiting, colors, total = [], [], 0
    if waiting:
        lay(flat, np.concatenate(waiting), np.repeat(colors, list(map(len, waiting))), style.overlap)
    return canvas


def _filled(values: NDArray[Any]) -> NDArray[np.bool_]:
    return values if values.dtype == np.bool_ else values > 0


def _with_margin(span: slice, margin: int) -> slice:
    return slice(max(0, span.start - margin), span.stop + margin)
