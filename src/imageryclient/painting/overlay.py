"""Colours laid over imagery: labels or masks in, RGBA pictures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from ..masks import SegmentationMasks
from .color import is_steady, palette_colors, rgb_bytes, steady_colors
from .display import Shades
from .outline import Side
from .paint import LabelSection, MaskSection, Section, Style, paint, paint_over_grey
from .picture import as_rgba, from_rgba_pixels

__all__ = ["colors_for", "composite_overlay"]

_Under = NDArray[np.uint8] | Image.Image | None  # grey, (y, x), or an RGBA picture


def composite_overlay(
    segs: Any,
    colors: Any = None,
    alpha: float = 0.2,
    imagery: Any = None,
    outline: bool = False,
    merge_outline: bool = True,
    overlap: bool = True,
    width: int = 10,
    side: Side = "out",
    dim: int = 2,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
    display_range: tuple[float, float] | None = None,
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
        are read as 0 to 255. Default None, which makes them from `palette`.
    alpha : float, optional
        Opacity of the colours from 0 to 1. Default 0.2.
    imagery : array, PIL.Image.Image or None, optional
        What lies beneath: an array of the segmentation's shape, with a last axis of 3 for RGB, of any numbers
        (see `display_range`); or, for one section, a picture. Default None, which gives the colours alone.
    outline : bool, optional
        Whether to paint outlines rather than areas. Default False.
    merge_outline : bool, optional
        Whether outlines follow the edge of all segmentations together, without contacts between them.
    overlap : bool, optional
        Whether later colours are laid over earlier ones; if not, the first one stays alone. Default True.
    width : int, optional
        Width of outlines in pixels. Default 10.
    side : {"out", "in"}, optional
        Whether outlines lie around or within. Default "out".
    dim : int, optional
        The axis of a 3-D segmentation along which the pictures are sections. Default 2, z.
    palette, h, l, s : optional
        See `discrete_colors`; used when `colors` is None. A 3-D segmentation has one set for all sections.
    display_range : tuple of float or None, optional
        The values of an array of imagery that are shown black and white. Default None: uint8 is shown as it is, bool
        black and white, and other numbers from the 0.5 to the 99.5 percentile of all finite voxels, which is one
        range for all sections and channels.

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
    """
    style = Style.checked(alpha, outline, merge_outline, overlap, width, side)
    stack = _stack(segs)
    table = _color_table(colors_for(stack.keys, colors, palette, h, l, s), style.alpha)
    if stack.shape is None:
        return _imagery_alone(imagery, dim, display_range)
    if 0 in stack.shape:
        raise ArgumentError(f"a segmentation of shape {stack.shape} has no pixels to paint")
    axis = _axis(dim) if len(stack.shape) == 3 else None
    beneath = _beneath(imagery, stack.shape, axis, display_range)
    if axis is None:
        return _painted(stack.section((slice(None),)), table, style, beneath(()))
    pictures = []
    for at in range(stack.shape[axis]):
        section = (slice(None),) * axis + (at,)
        pictures.append(_painted(stack.section(section), table, style, beneath(section)))
    return pictures


class _Stack(Protocol):
    """All that is to be painted; `shape` is (x, y) or (x, y, z), None where nothing tells it."""

    @property
    def count(self) -> int: ...

    @property
    def keys(self) -> Sequence[Any]: ...

    @property
    def shape(self) -> tuple[int, ...] | None: ...

    def section(self, index: tuple[Any, ...]) -> Section: ...


@dataclass(frozen=True, slots=True)
class _LabelStack:
    masks: SegmentationMasks

    @property
    def count(self) -> int:
        return len(self.masks)

    @property
    def keys(self) -> Sequence[Any]:
        return list(self.masks)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.masks.shape

    def section(self, index: tuple[Any, ...]) -> LabelSection:
        return LabelSection(np.ascontiguousarray(self.masks.labels[index].T), len(self.masks))


@dataclass(frozen=True, slots=True)
class _MaskStack:
    keys: Sequence[Any]
    masks: list[NDArray[Any]]

    @property
    def count(self) -> int:
        return len(self.masks)

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.masks[0].shape if self.masks else None

    def section(self, index: tuple[Any, ...]) -> MaskSection:
        masks = [mask[index].T for mask in self.masks]
        return MaskSection(masks, (masks[0].shape[0], masks[0].shape[1]))


def _stack(segs: Any) -> _Stack:
    if hasattr(segs, "__array__"):
        segs = SegmentationMasks(segs)
    if isinstance(segs, SegmentationMasks):
        if segs.ndim not in (2, 3):
            raise ArgumentError(f"a segmentation needs axes (x, y) or (x, y, z); got shape {segs.shape}")
        return _LabelStack(segs)
    if isinstance(segs, Mapping):
        keys, values = list(segs.keys()), list(segs.values())
    elif isinstance(segs, Sequence) and not isinstance(segs, str):
        keys, values = list(range(len(segs))), list(segs)
    else:
        raise ArgumentError(
            "segs must be an array of ids, SegmentationMasks, or a mapping or sequence of masks; "
            f"got {type(segs).__name__}"
        )
    masks = [np.asarray(value) for value in values]
    for key, mask in zip(keys, masks, strict=True):
        if mask.ndim not in (2, 3):
            raise ArgumentError(f"a mask needs axes (x, y) or (x, y, z); mask {key} has shape {mask.shape}")
        if mask.shape != masks[0].shape:
            raise ArgumentError(f"masks must share one shape; {keys[0]} has {masks[0].shape}, {key} has {mask.shape}")
    return _MaskStack(keys, masks)


def colors_for(
    keys: Sequence[Any],
    colors: Any = None,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
) -> NDArray[np.uint8]:
    """Give the colour of each of some segmentations, shape (count, 3), from the arguments of `composite_overlay`.

    Raises
    ------
    ArgumentError
        If one of them has no colour, or a colour is none.

    Examples
    --------
    >>> colors_for([5, 7], {7: "red", 5: "#010203", 9: "blue"}).tolist()
    [[1, 2, 3], [255, 0, 0]]
    """
    count = len(keys)
    if colors is None:
        colors = steady_colors(list(keys), palette) if is_steady(palette) else palette_colors(count, palette, h, l, s)
    if isinstance(colors, Mapping):
        missing = [key for key in keys if key not in colors]
        if missing:
            raise ArgumentError(
                f"{len(missing)} of {count} ids have no colour, the first of them {missing[0]}; "
                "add them to colors, or leave colors out"
            )
        colors = [colors[key] for key in keys]
    elif not isinstance(colors, (Sequence, np.ndarray)) or isinstance(colors, str):
        raise ArgumentError(f"colors must be a mapping or a sequence of colours; got {colors!r:.80}")
    if len(colors) < count:
        raise ArgumentError(
            f"{count} segmentations need as many colours; got {len(colors)}, none for {keys[len(colors)]}"
        )
    return rgb_bytes(colors[:count])


def _color_table(colors: NDArray[np.uint8], alpha: int) -> NDArray[np.uint32]:
    """Give the pixel for each number from 1, and nothing for 0."""
    table = np.zeros((len(colors) + 1, 4), np.uint8)
    table[1:, :3] = colors
    table[1:, 3] = alpha
    if not alpha:
        table[:] = 0  # as blending leaves it
    return table.view(np.uint32)[:, 0]


def _painted(section: Section, table: NDArray[np.uint32], style: Style, beneath: _Under) -> Image.Image:
    if isinstance(beneath, np.ndarray):
        return from_rgba_pixels(paint_over_grey(section, table, style, beneath))
    picture = from_rgba_pixels(paint(section, table, style))
    return picture if beneath is None else Image.alpha_composite(beneath, picture)


def _axis(dim: int) -> int:
    if not -3 <= dim < 3:
        raise ArgumentError(f"dim must be an axis of (x, y, z), 0 to 2; got {dim!r}")
    return dim % 3


class _Beneath(Protocol):
    def __call__(self, section: tuple[Any, ...]) -> _Under: ...


def _beneath(
    imagery: Any, shape: tuple[int, ...], axis: int | None, display_range: tuple[float, float] | None
) -> _Beneath:
    """Check imagery against a segmentation's shape, and give a function from section to what lies under it."""
    if imagery is None:
        return lambda section: None
    if isinstance(imagery, Image.Image):
        flat = tuple(size for place, size in enumerate(shape) if place != axis)
        if imagery.size != flat or (len(shape) > 2 and shape[axis or 0] != 1):
            raise ArgumentError(f"the picture is {imagery.size} pixels; the segmentation has shape {shape}")
        shown = _shown(imagery, display_range)
        return lambda section: shown(imagery)
    pixels = np.asarray(imagery)
    if axis is not None and pixels.ndim == 2 and shape[axis] == 1:
        pixels = np.expand_dims(pixels, axis)
    colored = pixels.ndim == len(shape) + 1 and pixels.shape[-1] in (1, 3, 4)
    if (pixels.shape[:-1] if colored else pixels.shape) != shape:
        raise ArgumentError(f"the imagery has shape {pixels.shape}; the segmentation has shape {shape}")
    if colored and pixels.shape[-1] == 4 and pixels.dtype != np.uint8:
        raise ArgumentError(f"imagery with opacity, shape {pixels.shape}, must be uint8; got {pixels.dtype}")
    if colored and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    shown = _shown(pixels, display_range)
    return lambda section: shown(pixels[section])


def _shown(imagery: Any, display_range: tuple[float, float] | None) -> Callable[[Any], _Under]:
    """Give a function that readies a section of imagery; its shades are those of the whole."""
    if isinstance(imagery, Image.Image):
        if display_range is not None:
            raise ArgumentError("display_range is for arrays of imagery; a picture is shown as it is")
        return as_rgba
    shades = Shades.of(imagery, display_range)

    def ready(section: NDArray[Any]) -> _Under:
        values = shades(section)
        return values.T if values.ndim == 2 else as_rgba(values)

    return ready


def _imagery_alone(
    imagery: Any, dim: int, display_range: tuple[float, float] | None
) -> Image.Image | list[Image.Image]:
    if imagery is None:
        raise ArgumentError("there are no segmentations and no imagery, so the size of the picture is unknown")
    if isinstance(imagery, Image.Image):
        return as_rgba(imagery)
    pixels = np.asarray(imagery)
    shades = Shades.of(pixels, display_range)
    if pixels.ndim < 3:
        return as_rgba(shades(pixels))
    axis = _axis(dim)
    return [as_rgba(shades(pixels[(slice(None),) * axis + (at,)])) for at in range(pixels.shape[axis])]
