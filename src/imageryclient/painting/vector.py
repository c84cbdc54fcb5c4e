"""Figures of vectors: a section's imagery as pixels, each segment as a path, a scale bar; drawn by `svg` and `pdf`.

Lengths are pixels of the section, x to the right and y down; the page is as large as the section at a magnification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from ..geometry import Resolution
from ..masks import SegmentationMasks
from .contours import FRAME, Contours
from .curves import Curves
from .display import Shades
from .overlay import colors_for
from .picture import upright
from .planes import Plane, PlaneGrid
from .scalebar import ScaleBar

__all__ = ["SEAM", "Bar", "LineSide", "Lines", "Shape", "Span", "VectorFigure", "vector_figures"]

LineSide = Literal["in", "out", "on"]
SEAM = 0.25  # pixels by which smooth areas overlap, lest what is below shines through where two share an edge
_NM = 1e6  # in a mm


@dataclass(frozen=True, slots=True)
class Span:
    """Segments of `Curves`, `first` to before `last`, that follow each other; `closed` where they are a whole ring."""

    first: int
    last: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """One segment: its id, its colour (r, g, b) from 0 to 255, its area, and its outline."""

    id: int
    color: tuple[int, int, int]
    area: tuple[Span, ...]
    line: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """How outlines are drawn: `width` in pixels, on which `side` of the edge; `free` is the area outside all segments.

    Where they run along the outside of all segments together, that area bounds them.
    """

    width: float
    side: LineSide
    free: tuple[Span, ...] | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A scale bar: a rectangle, the middle and the baseline of its text, and their colour."""

    left: float
    top: float
    width: float
    height: float
    text: str
    text_middle: float
    baseline: float
    font_size: float
    color: tuple[int, int, int]

    @classmethod
    def placed(cls, bar: ScaleBar, size: tuple[int, int], color: tuple[int, int, int]) -> Bar:
        """Put a bar in the lower right corner, in the proportions that `scale_bar` gives a picture."""
        width, height = size
        side = min(size)
        margin, thick, font = 0.03 * side, 0.012 * side, 0.045 * side
        left, top = width - margin - bar.pixels, height - margin - thick
        half = 0.3 * font * len(bar.label)  # nearly, for any font
        middle = min(left + bar.pixels / 2, width - margin - half)
        return cls(left, top, bar.pixels, thick, bar.label, middle, top - thick, font, color)


@dataclass(frozen=True, slots=True)
class VectorFigure:
    """One section as a page.

    Parameters
    ----------
    size : tuple of int
        Width and height in pixels.
    nm_per_pixel : float
        Of both.
    magnification : float
        Lengths on the page over those in the tissue.
    picture : PIL.Image.Image or None
        The imagery, of that size.
    alpha : float
        Opacity of the shapes from 0 to 1.
    lines : Lines or None
        How outlines are drawn; None for areas.
    smooth : bool
        Whether the paths are smoothed; else they follow the edges of voxels.
    bar : Bar or None
        The scale bar.
    curves : Curves or None
        The paths that the shapes are made of.
    shapes : tuple of Shape
        In the order they are drawn.
    """

    size: tuple[int, int]
    nm_per_pixel: float
    magnification: float
    picture: Image.Image | None
    alpha: float
    lines: Lines | None
    smooth: bool
    bar: Bar | None
    curves: Curves | None = None
    shapes: tuple[Shape, ...] = ()

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the page in mm."""
        width, height = (pixels * self.nm_per_pixel * self.magnification / _NM for pixels in self.size)
        return width, height

    def document(self, suffix: str, title: str = "", record: str = "") -> bytes:
        """Give the figure as a file of its kind, `.svg` or `.pdf`."""
        return self.to_pdf(title, record) if suffix == ".pdf" else self.to_svg(title, record).encode()

    def to_svg(self, title: str = "", record: str = "") -> str:
        """Give the figure as SVG; see `svg.svg_document`."""
        from .svg import svg_document

        return svg_document(self, title, record)

    def to_pdf(self, title: str = "", record: str = "") -> bytes:
        """Give the figure as PDF; see `pdf.pdf_document`."""
        from .pdf import pdf_document

        return pdf_document(self, title, record)


def vector_figures(
    image: NDArray[Any] | None,
    segmentation: NDArray[np.uint64] | None,
    resolution: Resolution,
    *,
    plane: Plane | None = None,
    section: int | None = None,
    colors: Any = None,
    palette: Any = "husl",
    alpha: float = 0.2,
    outline: bool = False,
    merge_outline: bool = True,
    width: float = 10,
    side: LineSide = "out",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
    display_range: tuple[float, float] | None = None,
    scale_bar: bool | float = False,
    smooth: bool = True,
    magnification: float = 10_000,
) -> list[VectorFigure]:
    """Make a figure of each section.

    Parameters
    ----------
    image : numpy.ndarray or None
        Axes (x, y, z), or (x, y, z, c) with 1, 3 or 4 channels.
    segmentation : numpy.ndarray or None
        Ids, axes (x, y, z).
    resolution : tuple of float
        nm per voxel.
    plane : {"xy", "xz", "yz"}, optional
        Which sections, turned as in Neuroglancer, with square pixels. Default "xy".
    section : int, optional
        Which section alone, counted from 0, with the colours and contrast it has among all.
    colors, palette, alpha, outline, merge_outline, h, l, s, display_range
        As for `composite_overlay`.
    width : float, optional
        Of outlines, in pixels. Default 10.
    side : {"out", "in", "on"}, optional
        Whether outlines lie around segments, within them, or half and half, along their edge. Default "out".
    scale_bar : bool or float
        Whether to draw a scale bar, of a round length that fits or of so many nm.
    smooth : bool
        Whether paths are smoothed, within 0.53 pixels of the voxels' edges; else they follow these. Default True.
    magnification : float
        Size on the page over true size. Default 10,000: 1 µm becomes 10 mm.

    Raises
    ------
    ArgumentError
        If there is nothing to draw, an id has no colour, or an argument is out of range.

    Examples
    --------
    >>> ids = np.zeros((40, 30, 1), np.uint64)
    >>> ids[10:20, 10:20] = 864691135341362885
    >>> figure = vector_figures(None, ids, (8.0, 8.0, 40.0))[0]
    >>> figure.size_mm, [shape.id for shape in figure.shapes]
    ((3.2, 2.4), [864691135341362885])
    """
    _check(alpha, outline, width, side, magnification)
    if image is None and segmentation is None:
        raise ArgumentError("there is neither imagery nor segmentation to draw")
    grid = PlaneGrid(plane or "xy", resolution)
    shades = None if image is None else Shades.of(image, display_range)
    pixels = None if image is None else grid.sections(image)
    masks = None if segmentation is None else SegmentationMasks(grid.sections(segmentation))
    table = None if masks is None else colors_for(list(masks), colors, palette, h, l, s)
    shape = masks.shape if masks is not None else () if pixels is None else pixels.shape
    if 0 in shape[:3]:
        raise ArgumentError(f"sections of shape {shape[:2]}, {shape[2]} of them, have no pixels to draw")
    if section is not None and not 0 <= section < shape[2]:
        raise ArgumentError(f"there are {shape[2]} sections, counted from 0; got section={section!r}")
    size = (shape[0], shape[1])
    bar = None
    if scale_bar is not False:
        found = ScaleBar.checked(size[0], grid.nm_per_pixel, None if scale_bar is True else float(scale_bar))
        bar = Bar.placed(found, size, (0, 0, 0) if image is None else (255, 255, 255))
    figures = []
    for at in range(shape[2]) if section is None else [section]:
        figure = VectorFigure(
            size=size,
            nm_per_pixel=grid.nm_per_pixel,
            magnification=magnification,
            picture=None if pixels is None or shades is None else upright(shades(pixels[:, :, at])),
            alpha=alpha,
            lines=Lines(float(width), side) if outline else None,
            smooth=smooth,
            bar=bar,
        )
        if masks is not None and table is not None:
            figure = _drawn(figure, masks.labels[:, :, at].T, masks.ids, table, merge_outline)
        figures.append(figure)
    return figures


def _drawn(
    figure: VectorFigure, labels: NDArray[Any], ids: NDArray[np.uint64], colors: NDArray[np.uint8], merged: bool
) -> VectorFigure:
    """Add the shapes of compact labels, (y, x)."""
    lines = figure.lines
    bounded = lines is not None and merged and lines.side == "out"
    contours = Contours.of(labels, include_null=bounded)
    curves = Curves.smooth(contours) if figure.smooth else Curves.exact(contours)
    areas, edges = _areas(curves), {} if lines is None else _edges(curves, merged)
    if lines is not None and bounded:
        lines = replace(lines, free=areas.pop(0, ()))
    shapes = tuple(
        Shape(int(ids[label - 1]), tuple(colors[label - 1].tolist()), area, edges.get(label, ()))
        for label, area in areas.items()
    )
    return replace(figure, curves=curves, shapes=shapes, lines=lines)


def _check(alpha: float, outline: bool, width: float, side: str, magnification: float) -> None:
    if not 0 <= alpha <= 1:
        raise ArgumentError(f"alpha is an opacity from 0 to 1; got {alpha!r}")
    if side not in ("in", "out", "on"):
        raise ArgumentError(f"side must be 'in', 'out' or 'on'; got {side!r}")
    if outline and not (math.isfinite(width) and width > 0):
        raise ArgumentError(f"the width of an outline must be a positive number of pixels; got {width!r}")
    if not (math.isfinite(magnification) and magnification > 0):
        raise ArgumentError(f"magnification must be a positive number, such as 10000; got {magnification!r}")


def _areas(curves: Curves) -> dict[int, tuple[Span, ...]]:
    """Give the rings of each label."""
    ends = curves.offsets[1:]
    return _spans(curves.labels, curves.offsets[:-1], ends, np.ones(len(ends), np.bool_))


def _edges(curves: Curves, merged: bool) -> dict[int, tuple[Span, ...]]:
    """Give the parts of each label's rings that are outlined: not the section's border; merged, no contacts either."""
    drawn = curves.beyond == 0 if merged else curves.beyond != FRAME
    ring = np.zeros(len(drawn) + 1, np.bool_)  # where one starts, and the one before it ends
    ring[curves.offsets] = True
    changes = np.diff(drawn, prepend=False, append=False) | ring
    firsts, lasts = np.flatnonzero(changes[:-1] & drawn), np.flatnonzero(changes[1:] & drawn) + 1
    labels = curves.labels[np.searchsorted(curves.offsets, firsts, side="right") - 1]
    return _spans(labels, firsts, lasts, ring[firsts] & ring[lasts])


def _spans(
    labels: NDArray[np.int32], firsts: NDArray[np.int64], lasts: NDArray[np.int64], closed: NDArray[np.bool_]
) -> dict[int, tuple[Span, ...]]:
    spans: dict[int, list[Span]] = {}
    for label, *span in zip(*(part.tolist() for part in (labels, firsts, lasts, closed)), strict=True):
        spans.setdefault(label, []).append(Span(*span))
    return {label: tuple(found) for label, found in spans.items()}
