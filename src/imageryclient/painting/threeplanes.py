"""Figures of three planes through a block of voxels, as pictures and as vectors; `orthogonal` says where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from ..masks import SegmentationMasks
from ..section import Section
from .annotations import Annotated, Annotations, annotation_groups, as_legend, by_size
from .assembled import stack_figures
from .figure import Arrangement, stacked, title_size
from .labels import Labels
from .marks import Mark, as_marks
from .orthogonal import Crossing, OrthogonalPlanes
from .planes import Plane
from .scalebar import bar_group
from .shared import painted_colors, shared_options
from .sheets import Sheets
from .vector import VectorFigure, annotated, sheet_figures

__all__ = ["orthogonal_figure", "orthogonal_vectors"]

_ORDER: tuple[Plane, ...] = ("xy", "yz", "xz")  # of the panels, row by row


@dataclass(frozen=True)
class _Painting:
    """How three planes are painted: each as a part of the block, with what is drawn on it.

    Parameters
    ----------
    image, segmentation, planes, lines, names, spacing, scale_bar, legend
        As for `orthogonal_figure`.
    ids : sequence of int
        Those in the block.
    marks : tuple of Mark
        What is drawn, the crossing lines first.
    options : mapping
        How the block is painted.
    """

    image: NDArray[Any] | None
    segmentation: NDArray[np.uint64] | None
    planes: OrthogonalPlanes
    ids: Sequence[int]
    names: bool
    spacing: int
    scale_bar: bool | float | None
    marks: tuple[Mark, ...]
    legend: Any
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        image: NDArray[Any] | None,
        segmentation: NDArray[np.uint64] | None,
        planes: OrthogonalPlanes,
        *,
        ids: Sequence[int] | None = None,
        lines: Any = True,
        names: bool = True,
        spacing: int = 6,
        scale_bar: bool | float | None = None,
        marks: Sequence[Mark] | Mark = (),
        legend: Any = False,
        **options: Any,
    ) -> _Painting:
        """Read the arguments of `orthogonal_figure`."""
        drawn = as_marks(marks)
        if lines is not False:
            drawn = (Crossing(planes.at) if lines is True else Crossing(planes.at, lines), *drawn)
        if ids is None:
            ids = [] if segmentation is None else list(SegmentationMasks(segmentation))
        return cls(image, segmentation, planes, ids, names, spacing, scale_bar, drawn, legend, options)

    @property
    def background(self) -> Any:
        """What lies between the panels, and behind them."""
        return self.options.get("background") or "white"

    def panel(self, plane: Plane) -> tuple[Sheets, dict[str, Any]]:
        """Give a plane, and the options that paint it in the colours and the contrast of the block."""
        sheet = self.planes.sheet(self.image, self.segmentation, plane)
        (place,) = sheet.places
        bar = self.scale_bar
        if bar is None:
            bar = _has_room(place.zoomed(float(self.options.get("zoom", 1))))
        more = {"marks": self.marks, "scale_bar": bar if plane == "xy" else False}
        return sheet, shared_options(self.image, self.ids, self.options) | more

    def arrangement(self, sizes: Sequence[tuple[int, int]]) -> Arrangement:
        """Give how panels of these sizes in pixels, in their order, are put together, the last place left empty."""
        size = title_size(sizes[:1])
        roomy = [
            plane if self.names and min(panel) >= 3 * size else "" for plane, panel in zip(_ORDER, sizes, strict=True)
        ]
        return Arrangement(
            columns=2,
            spacing=self.spacing,
            letters=[*roomy, ""],
            letters_inside=True,
            font_size=size,
            background=self.background,
        )

    def told(self, size: tuple[int, int], picture: Image.Image | None = None) -> Annotated | None:
        """Give the legend of a figure of that size in pixels; None for none."""
        legend = as_legend(self.legend)
        if legend is None:
            return None
        seen = [] if self.segmentation is None else [self.planes.cut(self.segmentation, plane) for plane in _ORDER]
        whole = np.concatenate([plane.reshape(-1, 1) for plane in seen]) if seen else None
        labels = self.options.get("labels")
        known = labels.texts if isinstance(labels, Labels) else labels
        if legend.texts is None and isinstance(known, Mapping):  # by their names, as beside other pictures
            legend = replace(legend, texts={one: known.get(one, str(one)) for one in by_size(whole) or ()})
        return annotation_groups(
            Section(self.planes.at, size, self.planes.nm_per_pixel),
            0.0,
            Annotations(legend=legend, background=self.background),
            segmentation=whole,
            colors=painted_colors(self.ids, self.options) if self.ids else None,
            picture=picture,
        )


def _has_room(section: Section) -> bool:
    """Tell whether a scale bar fits into a picture of a section."""
    try:
        bar_group(section.size, section.nm_per_pixel)
    except ArgumentError:
        return False
    return True


def orthogonal_figure(
    image: NDArray[Any] | None, segmentation: NDArray[np.uint64] | None, planes: OrthogonalPlanes, **options: Any
) -> Image.Image:
    """Paint three planes through a block as one figure.

    Parameters
    ----------
    image : numpy.ndarray or None
        Axes (x, y, z), or (x, y, z, c).
    segmentation : numpy.ndarray or None
        Ids, axes (x, y, z).
    planes : OrthogonalPlanes
        Where they lie.
    ids : sequence of int, optional
        Those in the block, where they are known.
    lines : bool or colour
        Whether, or in which colour, to draw where the other two planes cross each. Default True.
    names : bool
        Whether to write xy, xz and yz into the panels that have room for it. Default True.
    spacing : int
        Pixels between the panels. Default 6.
    scale_bar : bool or float, optional
        Whether to draw a scale bar in the xy panel, of a round length that fits or of so many nm. By default where
        there is room for one.
    marks : sequence of Mark, or one
        What else to draw; each panel shows what lies near its plane.
    legend : bool, sequence of int, mapping or Legend
        Whether to tell, beside the figure or in its corner, what the colours stand for. Default False.
    **options
        As for `Sheets.painter`: `palette`, `alpha`, `labels`, `zoom`, …; colours and contrast are those of the block.

    Returns
    -------
    PIL.Image.Image
        As of `stack_images`: xy in the upper left, xz below it, yz beside it; white between and behind them, or the
        background of the options.

    Raises
    ------
    ArgumentError
        If a scale bar has no room, or an argument makes no sense.

    Examples
    --------
    >>> from imageryclient import Box
    >>> planes = OrthogonalPlanes.through(Box((10, 0, 0), (50, 30, 4), (8.0, 8.0, 40.0)))
    >>> orthogonal_figure(np.zeros((40, 30, 4), np.uint8), None, planes, scale_bar=False).size
    (66, 56)
    """
    painting = _Painting.of(image, segmentation, planes, **options)
    panels: list[Image.Image | None] = []
    for plane in _ORDER:
        sheet, given = painting.panel(plane)
        panels += sheet.pictures(**given)
    figure = stacked([*panels, None], painting.arrangement([panel.size for panel in panels if panel]))
    told = painting.told(figure.size, figure)
    return figure if told is None else told.drawn_on(figure)


def orthogonal_vectors(
    image: NDArray[Any] | None, segmentation: NDArray[np.uint64] | None, planes: OrthogonalPlanes, **options: Any
) -> VectorFigure:
    """Draw three planes through a block as one figure of vectors.

    Parameters
    ----------
    image, segmentation, planes
        As for `orthogonal_figure`.
    **options
        As for `orthogonal_figure` in its own, and otherwise as for `Look`: `smooth`, `magnification`, …

    Returns
    -------
    VectorFigure
        With panels xy, yz and xz, each of imagery, a shape for each segment, and the lines as a group "crossing".

    Raises
    ------
    ArgumentError
        If a scale bar has no room, or an argument makes no sense.

    Examples
    --------
    >>> from imageryclient import Box
    >>> planes = OrthogonalPlanes.through(Box((10, 0, 0), (50, 30, 4), (8.0, 8.0, 40.0)))
    >>> figure = orthogonal_vectors(np.zeros((40, 30, 4), np.uint8), None, planes, scale_bar=False)
    >>> figure.page.size, [(panel.name, panel.left, panel.top) for panel in figure.panels]
    ((66.0, 56.0), [('xy', 0.0, 0.0), ('yz', 46.0, 0.0), ('xz', 0.0, 36.0)])
    """
    painting = _Painting.of(image, segmentation, planes, **options)
    panels, zoom = [], float(options.get("zoom", 1))
    for plane in _ORDER:
        sheet, given = painting.panel(plane)
        panels += sheet_figures(sheet, **given)
    sizes = [planes.section(plane).zoomed(zoom).size for plane in _ORDER]
    figure = stack_figures([*panels, None], painting.arrangement(sizes), names=[*_ORDER, ""], zoom=zoom)
    width, height = (round(length * zoom) for length in figure.page.size)
    told = painting.told((width, height))
    return figure if told is None else annotated(figure, told, zoom)
