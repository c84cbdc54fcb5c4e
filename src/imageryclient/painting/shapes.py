"""Segments of a section as shapes: the rings around their areas, the parts of these that are outlined, their inks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contours import FRAME
from .curves import Curves
from .primitives import Ink
from .style import Style

__all__ = ["SEAM", "Drawing", "Shape", "Span"]

SEAM = 0.25  # pixels by which smooth areas overlap, lest what is below shines through where two share an edge


@dataclass(frozen=True, slots=True)
class Span:
    """Segments of `Curves`, `first` to before `last`, that follow each other; `closed` where they are a whole ring.

    A `tight` one, whose line is wider than the ring, is drawn with straight lines through the middles of its curves:
    around curves that turn within half a line's width, Cairo, which Inkscape draws with, leaves holes.
    """

    first: int
    last: int
    closed: bool
    tight: bool = False

    def middles(self, curves: Curves) -> NDArray[np.float64]:
        """Give the ends and middles of its curves, shape (n, 2)."""
        some = slice(self.first, self.last)
        middles = (curves.start[some] + 2 * curves.control[some] + curves.stop[some]) / 4
        middles = np.where(curves.straight[some, None], curves.start[some], middles)
        return np.stack([curves.start[some], middles], axis=1).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Shape:
    """One segment: its id, its area and its outline, and what they are painted with, None for nothing."""

    id: int
    area: tuple[Span, ...]
    line: tuple[Span, ...]
    area_ink: Ink | None
    line_ink: Ink | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """The segments of a section.

    Parameters
    ----------
    curves : Curves
        The paths that the shapes are made of.
    shapes : tuple of Shape
        In the order they are drawn: all areas, then all outlines.
    style : Style
        Whether there are outlines, and how they run.
    free : tuple of Span or None
        The area outside all segments, where it bounds the outlines.
    """

    curves: Curves
    shapes: tuple[Shape, ...]
    style: Style
    free: tuple[Span, ...] | None

    @classmethod
    def of(cls, labels: NDArray[Any], ids: NDArray[np.uint64], inks: Sequence[Any], style: Style) -> Drawing:
        """Draw compact labels, (y, x), with what each id's area and outline are painted with."""
        bounded = style.outline and style.merge and style.side == "out"
        curves = Curves.around(labels, style.smooth, style.stretch, include_null=bounded)
        areas, edges = _areas(curves), _edges(curves, style) if style.outline else {}
        free = areas.pop(0, ()) if bounded else None
        shapes = tuple(
            Shape(int(ids[label - 1]), area, edges.get(label, ()), *inks[label - 1]) for label, area in areas.items()
        )
        return cls(curves, shapes, style, free)

    def by_opacity(self) -> dict[float, list[Shape]]:
        """Give the shapes by the opacity of their areas, the faintest first: what is painted as one needs one."""
        found: dict[float, list[Shape]] = {}
        for shape in self.shapes:
            found.setdefault(shape.area_ink.alpha if shape.area_ink else 0.0, []).append(shape)
        return dict(sorted(found.items()))


def _areas(curves: Curves) -> dict[int, tuple[Span, ...]]:
    """Give the rings of each label."""
    starts, ends = curves.offsets[:-1], curves.offsets[1:]
    return _spans(curves.labels, starts, ends, np.ones(len(ends), np.bool_), np.zeros(len(ends), np.bool_))


def _edges(curves: Curves, style: Style) -> dict[int, tuple[Span, ...]]:
    """Give the parts of each label's rings that are outlined: not the section's border; merged, no contacts either."""
    drawn = curves.beyond == 0 if style.merge else curves.beyond != FRAME
    ring = np.zeros(len(drawn) + 1, np.bool_)  # where one starts, and the one before it ends
    ring[curves.offsets] = True
    changes = np.diff(drawn, prepend=False, append=False) | ring
    firsts, lasts = np.flatnonzero(changes[:-1] & drawn), np.flatnonzero(changes[1:] & drawn) + 1
    labels = curves.labels[np.searchsorted(curves.offsets, firsts, side="right") - 1]
    closed = ring[firsts] & ring[lasts]
    return _spans(labels, firsts, lasts, closed, closed & (_extents(curves, firsts, lasts) <= 2 * style.reach))


def _extents(curves: Curves, firsts: NDArray[np.int64], lasts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the larger side of the boxes around the starts of some parts of rings."""
    if not firsts.size:
        return np.zeros(0)
    places = np.concatenate([curves.start, curves.start[-1:]])
    between = np.stack([firsts, lasts], axis=1).reshape(-1)
    low, high = (reduced.reduceat(places, between, axis=0)[::2] for reduced in (np.minimum, np.maximum))
    extents: NDArray[np.float64] = (high - low).max(axis=1)
    return extents


def _spans(labels: NDArray[np.int32], *parts: NDArray[Any]) -> dict[int, tuple[Span, ...]]:
    """Gather by label what spans are made of."""
    spans: dict[int, list[Span]] = {}
    for label, *span in zip(labels.tolist(), *(part.tolist() for part in parts), strict=True):
        spans.setdefault(label, []).append(Span(*span))
    return {label: tuple(found) for label, found in spans.items()}
