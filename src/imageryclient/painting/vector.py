"""Figures of vectors: a section's imagery as pixels, each segment as a path, annotations; drawn by `svg` and `pdf`.

Lengths are pixels of the section, x to the right and y down; the page is as large as the section at a magnification.
A figure may hold others as panels; see `assembled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from ..geometry import Box, Resolution
from .annotations import Annotated, annotation_groups
from .look import Look
from .picture import as_rgba, upright
from .planes import Plane, PlaneGrid
from .primitives import Disc, Group, Ink, Path, Primitive
from .shapes import Drawing

if TYPE_CHECKING:
    from .sheets import Sheets

__all__ = ["Page", "Panel", "VectorFigure", "annotated", "scaled", "sheet_figures", "vector_figures"]

_NM = 1e6  # in a mm


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Parameters
    ----------
    size : tuple of float
        Of the section, in pixels.
    nm_per_pixel : float
        Of both.
    magnification : float
        Lengths on paper over true ones.
    margins : tuple of float
        What there is beside the section, in its pixels: left, top, right, bottom.

    Examples
    --------
    >>> Page((400, 300), 8.0, 10_000.0, (0.0, 0.0, 100.0, 0.0)).size_mm
    (40.0, 24.0)
    """

    size: tuple[float, float]
    nm_per_pixel: float
    magnification: float
    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Where the page begins, and its width and height, in pixels counted from the section's upper left corner."""
        left, top, right, bottom = self.margins
        return 0.0 - left, 0.0 - top, self.size[0] + left + right, self.size[1] + top + bottom

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height in mm."""
        width, height = (pixels * self.nm_per_pixel * self.magnification / _NM for pixels in self.box[2:])
        return width, height


@dataclass(frozen=True, slots=True)
class VectorFigure:
    """One section as a page.

    Parameters
    ----------
    page : Page
        Its size.
    background : Ink or None
        What the page is painted with before all.
    picture : PIL.Image.Image or None
        The imagery, one pixel for each of the page.
    drawing : Drawing or None
        The segments.
    panels : tuple of Panel
        Other figures, each on its place.
    annotations : tuple of Group
        What is laid over all these, and cut off at the section's border.
    beside : tuple of Group
        What lies on the rest of the page.
    """

    page: Page
    background: Ink | None = None
    picture: Image.Image | None = None
    drawing: Drawing | None = None
    panels: tuple[Panel, ...] = ()
    annotations: tuple[Group, ...] = ()
    beside: tuple[Group, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure as a part of another one.

    Parameters
    ----------
    name : str
        Of its group, and the beginning of the names of all in it.
    figure : VectorFigure
        What is seen, cut off at the border of its page.
    left, top : float
        Where the upper left corner of that page lies, in pixels of the figure that it is part of.
    scale : float
        How many of these one of its own pixels is wide.
    """

    name: str
    figure: VectorFigure
    left: float
    top: float
    scale: float = 1.0

    @property
    def shift(self) -> tuple[float, float]:
        """How far to the right and down the section's own pixels begin, in pixels of the whole."""
        left, top = self.figure.page.box[:2]
        return self.left - left * self.scale, self.top - top * self.scale


def vector_figures(
    image: NDArray[Any] | None,
    segmentation: NDArray[np.uint64] | None,
    resolution: Resolution,
    *,
    plane: Plane | None = None,
    section: int | None = None,
    **options: Any,
) -> list[VectorFigure]:
    """Make a figure of each section of a block.

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
    **options
        As for `Look`: `palette`, `alpha`, `outline`, `width`, `scale_bar`, `magnification`, …; to marks, the block
        begins at (0, 0, 0).

    Raises
    ------
    ArgumentError
        If there is nothing to draw, an id has no colour, or an argument is out of range.

    Examples
    --------
    >>> ids = np.zeros((40, 30, 1), np.uint64)
    >>> ids[10:20, 10:20] = 864691135341362885
    >>> figure = vector_figures(None, ids, (8.0, 8.0, 40.0), colors=["red"])[0]
    >>> figure.page.size_mm, [(shape.id, shape.area_ink) for shape in figure.drawing.shapes]
    ((3.2, 2.4), [(864691135341362885, Ink(color=(255, 0, 0), alpha=0.2))])
    """
    from .sheets import Sheets

    block = image if segmentation is None else segmentation
    if block is None:
        raise ArgumentError("there is neither imagery nor segmentation to draw")
    grid = PlaneGrid(plane or "xy", resolution)
    places = grid.places(Box((0, 0, 0), (block.shape[0], block.shape[1], block.shape[2]), resolution))
    pixels, ids = (None if array is None else grid.sections(array) for array in (image, segmentation))
    return sheet_figures(Sheets(pixels, ids, places, grid.depth, stretch=grid.stretch), section, **options)


def sheet_figures(
    sheets: Sheets, section: int | None = None, *, annotations: Sequence[Sequence[Group]] = (), **options: Any
) -> list[VectorFigure]:
    """Make a figure of each of the sections of a cutout, or of one of them.

    Parameters
    ----------
    sheets : Sheets
        The sections.
    section : int, optional
        Which one alone, counted from 0, with the colours and contrast it has among all.
    annotations : sequence of sequences of Group, optional
        For each section that is drawn what else is laid over it, in its pixels.
    **options
        As for `Look`.

    Raises
    ------
    ArgumentError
        If there is nothing to draw, an id has no colour, or an argument is out of range.
    """
    look = Look(**options)
    block = sheets.image if sheets.segmentation is None else sheets.segmentation
    if block is None:
        raise ArgumentError("there is neither imagery nor segmentation to draw")
    if 0 in block.shape:
        raise ArgumentError(f"sections of shape {block.shape[:2]}, {block.shape[2]} of them, have no pixels to draw")
    drawn = sheets.chosen(section)
    if annotations and len(annotations) != len(drawn):
        raise ArgumentError(f"annotations are for each section that is drawn, {len(drawn)}; got {len(annotations)}")
    shades = None if sheets.image is None else look.contrast.shades(sheets.image)
    ids = [] if sheets.masks is None else list(sheets.masks)
    inks, colors = look.inks(ids), {} if look.legend is False else look.painted_colors(ids)
    figures = []
    for number, at in enumerate(drawn):
        place = sheets.places[at]
        figure = VectorFigure(Page(place.size, place.nm_per_pixel, look.magnification), look.beneath)
        if sheets.image is not None and shades is not None:
            figure = replace(figure, picture=upright(shades(sheets.image[:, :, at])))
        if sheets.masks is not None:
            labels, style = sheets.masks.labels[:, :, at].T, look.style(place.nm_per_pixel, sheets.stretch)
            figure = replace(figure, drawing=Drawing.of(labels, sheets.masks.ids, inks, style))
        segmentation = None if sheets.segmentation is None else sheets.segmentation[:, :, at]
        if look.annotations:
            zoomed = place.zoomed(look.zoom)
            ground = _ground(figure, place.size).resize(zoomed.size, Image.Resampling.NEAREST)
            made = annotation_groups(
                zoomed,
                sheets.depth,
                look.annotations,
                segmentation=segmentation,
                colors=colors,
                zoom=look.zoom,
                picture=ground,
            )
            figure = annotated(figure, made, look.zoom)
        more = tuple(annotations[number]) if annotations else ()
        figures.append(replace(figure, annotations=(*figure.annotations, *more)))
    return figures


def annotated(figure: VectorFigure, made: Annotated, zoom: float) -> VectorFigure:
    """Lay annotations over a figure, and beside it; they are in pixels of a picture, `zoom` to one of the figure."""
    left, top, right, bottom = (margin / zoom for margin in made.margins)
    background = figure.background
    if background is None and made.background is not None and made.background[3]:
        background = Ink(made.background[:3], made.background[3] / 255)
    return replace(
        figure,
        page=replace(figure.page, margins=(left, top, right, bottom)),
        background=background,
        annotations=(*figure.annotations, *(scaled(group, 1 / zoom) for group in made.groups)),
        beside=tuple(scaled(group, 1 / zoom) for group in made.beside),
    )


def _ground(figure: VectorFigure, size: tuple[int, int]) -> Image.Image:
    """Give what lies below a figure's segments."""
    ink = figure.background
    color = (0, 0, 0, 0) if ink is None else (*ink.color, round(255 * ink.alpha))
    ground = Image.new("RGBA", size, color)
    return ground if figure.picture is None else Image.alpha_composite(ground, as_rgba(figure.picture))


def scaled(group: Group, factor: float) -> Group:
    """Make a group of annotations larger, around the upper left corner."""
    found: list[Primitive] = []
    for one in group.primitives:
        if isinstance(one, Path):
            points = tuple((x * factor, y * factor) for x, y in one.points)
            dash = None if one.dash is None else (one.dash[0] * factor, one.dash[1] * factor)
            found.append(replace(one, points=points, width=one.width * factor, dash=dash))
        elif isinstance(one, Disc):
            x, y, radius, width = (length * factor for length in (one.x, one.y, one.radius, one.width))
            found.append(replace(one, x=x, y=y, radius=radius, width=width))
        else:
            found.append(replace(one, x=one.x * factor, y=one.y * factor, size=one.size * factor))
    return Group(group.name, tuple(found))
