"""Colours laid over imagery: labels or masks in, RGBA pictures out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from .beneath import Beneath, Under, enlarged
from .display import Contrast
from .paint import Section, paint, paint_over_grey
from .picture import as_rgba, from_rgba_pixels
from .stack import stacked
from .style import ALPHA, REST, Inks, LineSide, Opacity, Style, inks_for
from .traced import Tracing
from .trails import Canvas

__all__ = ["composite_overlay"]


def composite_overlay(
    segs: Any,
    colors: Any = None,
    alpha: Opacity = ALPHA,
    imagery: Any = None,
    outline: bool = False,
    merge_outline: bool = True,
    overlap: bool = True,
    width: float = 10,
    side: LineSide = "out",
    dim: int = 2,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
    display_range: tuple[float, float] | None = None,
    *,
    percentiles: tuple[float, float] | None = None,
    gamma: float = 1.0,
    fill: Opacity | None = None,
    smooth: bool = False,
    dash: float | tuple[float, float] | None = None,
    highlight: Any = None,
    rest: float = REST,
    default_color: Any = None,
    background: Any = None,
    zoom: float = 1,
    stretch: tuple[float, float] = (1, 1),
) -> Image.Image | list[Image.Image]:
    """Lay coloured segmentations over imagery.

    Parameters
    ----------
    segs : array of int, SegmentationMasks, or mapping or sequence of arrays
        Ids of shape (x, y) or (x, y, z), where 0 is no object; or masks of such a shape, which may overlap,
        are painted in their order; ids are painted in ascending order.
    colors : mapping, sequence or None, optional
        For ids or a mapping of masks, a mapping from their keys, which may hold more; otherwise, or too, one
        colour for each in order. A colour is a name, a hex string, or (r, g, b) from 0 to 1; numbers above 1
        are read as 0 to 255. Default None, which makes them from `palette`. A mapping may hold fewer where
        `default_color` or a palette that is steady gives the others theirs.
    alpha : float or mapping, optional
        Opacity of the colours from 0 to 1: of all, or a mapping from keys, in which those that are missing have 0.2.
        Default 0.2.
    imagery : array, PIL.Image.Image or None, optional
        What lies beneath: an array of the segmentation's shape, with a last axis of 3 for RGB, of any numbers
        (see `display_range`); or, for one section, a picture. Default None, which gives the colours alone.
    outline : bool, optional
        Whether to paint outlines rather than areas (see `fill` for both). Default False.
    merge_outline : bool, optional
        Whether outlines follow the edge of all segmentations together, without contacts between them.
    overlap : bool, optional
        Whether later colours are laid over earlier ones; if not, the first one stays alone. Default True.
    width : float, optional
        Width of outlines in pixels of the picture; whole ones, unless they are smooth or on the edge. Default 10.
    side : {"out", "in", "on"}, optional
        Whether outlines lie around, within, or half and half, along the edge. Default "out".
    dim : int, optional
        The axis of a 3-D segmentation along which the pictures are sections. Default 2, z.
    palette, h, l, s : optional
        See `discrete_colors`; used when `colors` is None. A 3-D segmentation has one set for all sections.
    display_range : tuple of float or None, optional
        The values of an array of imagery that are shown black and white; the first may be the larger one, for a
        negative. Default None: uint8 is shown as it is, bool black and white, and other numbers from the 0.5 to the
        99.5 percentile of all finite voxels, which is one range for all sections and channels.
    percentiles : tuple of float or None, optional
        Instead of `display_range`, which percentiles of all finite voxels are shown black and white, of uint8 too.
    gamma : float, optional
        The power that shades from 0 (black) to 1 (white) are raised to, as in ImageJ: below 1, dark parts become
        brighter. Default 1.
    fill : float, mapping or None, optional
        With `outline`, the opacity of the areas below the outlines; in a mapping from keys, those that are missing have
        no area. Default None, no areas.
    smooth : bool, optional
        Whether areas and outlines follow smooth curves, within 0.64 voxels of the voxels' edges, and have soft edges.
        Default False.
    dash : float, tuple of float or None, optional
        Lengths along outlines, in pixels, that are drawn and left out in turn, or one for both. Dashed outlines are
        smooth. Default None.
    highlight : key, sequence of keys or None, optional
        Which ids or masks stay as they are; the others become grey and fainter.
    rest : float, optional
        How much of their opacity the others keep then. Default 0.3.
    default_color : optional
        The colour of all that have none in `colors`, instead of the palette's; Neuroglancer's segmentDefaultColor.
    background : optional
        A colour that lies below all, seen where the picture would be transparent. Default None.
    zoom : float, optional
        How many pixels a voxel is wide. A pixel shows the voxel that contains its centre; smooth curves stay smooth.
        Default 1.
    stretch : tuple of float, optional
        How many pixels a voxel is wide and high in arrays whose voxels were repeated, so that pixels are square: smooth
        curves follow the voxels, and not the steps between their pixels. Default (1, 1).

    Returns
    -------
    PIL.Image.Image or list of PIL.Image.Image
        RGBA: a picture for 2-D segmentations, a list with a picture for each section for 3-D ones. x runs
        right, y runs down. Without segmentations the imagery alone.

    Raises
    ------
    ArgumentError
        If shapes differ, an id has no colour, or an argument is out of range.

    Examples
    --------
    >>> ids = np.array([[0, 7], [0, 9]])
    >>> picture = composite_overlay(ids, colors={7: "red", 9: "blue"}, alpha=1)
    >>> picture.size, picture.getpixel((1, 1)), picture.getpixel((0, 0))
    ((2, 2), (0, 0, 255, 255), (0, 0, 0, 0))
    >>> picture = composite_overlay(ids, palette="steady", highlight=9, background="white", zoom=20)
    >>> picture.size, picture.getpixel((10, 30)), picture.getpixel((30, 30))
    ((40, 40), (249, 249, 249, 255), (224, 231, 255, 255))
    """
    style = Style.checked(
        outline, merge_outline, overlap, width, side, smooth=smooth, dash=dash, zoom=zoom, background=background,
        stretch=stretch,
    )  # fmt: skip
    contrast = Contrast.checked(display_range, percentiles, gamma)
    stack = stacked(segs)
    inks = inks_for(
        stack.keys, colors, palette, h, l, s, alpha=alpha, outline=outline, fill=fill, highlight=highlight, rest=rest,
        default_color=default_color,
    )  # fmt: skip
    paints = _Paints.of(inks, style)
    if stack.shape is None:
        return _imagery_alone(imagery, dim, contrast, style)
    if 0 in stack.shape:
        raise ArgumentError(f"a segmentation of shape {stack.shape} has no pixels to paint")
    axis = _axis(dim) if len(stack.shape) == 3 else None
    beneath = Beneath.under(imagery, stack.shape, axis, contrast)
    if axis is None:
        return _painted(stack.section((slice(None),)), paints, style, beneath.section(()))
    pictures = []
    for at in range(stack.shape[axis]):
        section = (slice(None),) * axis + (at,)
        pictures.append(_painted(stack.section(section), paints, style, beneath.section(section)))
    return pictures


@dataclass(frozen=True, slots=True)
class _Paints:
    """The pixel for each number from 1, and nothing for 0, of areas and of outlines; None where there are none."""

    area: NDArray[np.uint32] | None
    line: NDArray[np.uint32] | None

    @classmethod
    def of(cls, inks: Inks, style: Style) -> _Paints:
        line = _table(inks.line) if style.outline else None
        return cls(_table(inks.area) if not style.outline or inks.area[:, 3].any() else None, line)


def _table(rgba: NDArray[np.uint8]) -> NDArray[np.uint32]:
    table = np.zeros((len(rgba) + 1, 4), np.uint8)
    table[1:] = rgba
    table[table[:, 3] == 0] = 0  # as blending leaves it
    return table.view(np.uint32)[:, 0]


def _painted(section: Section, paints: _Paints, style: Style, beneath: Under) -> Image.Image:
    canvas = Canvas.of(section.shape[::-1], style.zoom)
    style = style.within(canvas.size)
    beneath = enlarged(beneath, canvas)
    if style.traced:
        return _finished(_traced(Tracing(section, style, canvas), paints, beneath), style)
    if style.zoom != 1:
        columns, rows = canvas.nearest()
        section = section.magnified(rows, columns)
    if paints.line is None:
        assert paints.area is not None  # there is one or the other
        return _finished(_laid(section, paints.area, style, beneath), style)
    if paints.area is not None:
        beneath = _laid(section, paints.area, style.areas(), beneath)
    return _finished(_laid(section, paints.line, style, beneath), style)


def _laid(section: Section, table: NDArray[np.uint32], style: Style, beneath: Under) -> Image.Image:
    if isinstance(beneath, np.ndarray):
        return from_rgba_pixels(paint_over_grey(section, table, style, beneath))
    picture = from_rgba_pixels(paint(section, table, style))
    return picture if beneath is None else Image.alpha_composite(beneath, picture)


def _traced(tracing: Tracing, paints: _Paints, beneath: Under) -> Image.Image:
    layers = [] if beneath is None else [_as_picture(beneath)]
    if paints.area is not None:
        layers.append(from_rgba_pixels(tracing.areas(paints.area)))
    if paints.line is not None:
        layers.append(from_rgba_pixels(tracing.outlines(paints.line)))
    picture = layers[0]
    for layer in layers[1:]:
        picture = Image.alpha_composite(picture, layer)
    return picture


def _finished(picture: Image.Image, style: Style) -> Image.Image:
    """Put the background below a picture."""
    if style.background is None or not style.background[3]:
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, style.background), picture)


def _axis(dim: int) -> int:
    if not -3 <= dim < 3:
        raise ArgumentError(f"dim must be an axis of (x, y, z), 0 to 2; got {dim!r}")
    return dim % 3


def _imagery_alone(imagery: Any, dim: int, contrast: Contrast, style: Style) -> Image.Image | list[Image.Image]:
    if imagery is None:
        raise ArgumentError("there are no segmentations and no imagery, so the size of the picture is unknown")
    beneath = Beneath.of(imagery, contrast)
    if not isinstance(beneath.imagery, np.ndarray) or beneath.imagery.ndim < 3:
        return _alone(beneath.section(()), style)
    axis = _axis(dim)
    count = beneath.imagery.shape[axis]
    return [_alone(beneath.section((slice(None),) * axis + (at,)), style) for at in range(count)]


def _alone(under: Under, style: Style) -> Image.Image:
    picture = _as_picture(under)
    return _finished(_as_picture(enlarged(picture, Canvas.of(picture.size, style.zoom))), style)


def _as_picture(under: Under) -> Image.Image:
    assert under is not None  # there is imagery
    return as_rgba(under.T) if isinstance(under, np.ndarray) else under
