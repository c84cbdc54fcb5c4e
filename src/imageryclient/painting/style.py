"""What each segmentation is painted with, and how outlines run: the arguments of a picture, checked once.

Pictures of pixels and of vectors are painted alike: first all areas, in order, then all outlines, in order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..ids import as_ids
from .color import palette_colors, rgb_bytes, rgba_bytes
from .options import unindexed
from .outline import Side
from .steady import is_steady, steady_colors

__all__ = [
    "ALPHA", "REST", "Dash", "Inks", "LineSide", "Opacity", "Style", "among", "checked_zoom", "colors_for",
    "inks_for",
]  # fmt: skip

ALPHA = 0.2  # of what a mapping does not name
REST = 0.3  # of their opacity that others keep when some are highlighted
_GREY = (150, 150, 150)  # of others

Opacity = float | Mapping[Any, float]
LineSide = Literal["in", "out", "on"]


@dataclass(frozen=True, slots=True)
class Inks:
    """What each of some segmentations is painted with.

    Parameters
    ----------
    area, line : numpy.ndarray of uint8
        Shape (count, 4): red, green, blue and opacity of its area and of its outline; an opacity of 0 paints nothing.
    """

    area: NDArray[np.uint8]
    line: NDArray[np.uint8]


def inks_for(
    keys: Sequence[Any],
    colors: Any = None,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
    *,
    alpha: Opacity = ALPHA,
    outline: bool = False,
    fill: Opacity | None = None,
    highlight: Any = None,
    rest: float = REST,
    default_color: Any = None,
) -> Inks:
    """Give what each of some segmentations is painted with.

    Parameters
    ----------
    keys : sequence
        Ids, or the names or numbers of masks, in the order they are painted.
    colors, palette, h, l, s, alpha, outline, fill, highlight, rest, default_color
        As for `composite_overlay`.

    Raises
    ------
    ArgumentError
        If one of them has no colour, or an argument is out of range.

    Examples
    --------
    >>> inks = inks_for([5, 7], ["red", "blue"], outline=True, alpha=1, fill={7: 0.4})
    >>> inks.area.tolist(), inks.line.tolist()
    ([[255, 0, 0, 0], [0, 0, 255, 102]], [[255, 0, 0, 255], [0, 0, 255, 255]])
    >>> inks_for([5, 7], ["red", "blue"], alpha=0.5, highlight=7, rest=0.2).area.tolist()
    [[150, 150, 150, 25], [0, 0, 255, 127]]
    """
    if fill is not None and not outline:
        raise ArgumentError("fill is the opacity of areas under outlines: pass outline=True, or alpha instead of fill")
    if not _is_share(rest):
        raise ArgumentError(f"rest is a share of their opacity, from 0 to 1; got {rest!r}")
    rgb = colors_for(keys, colors, palette, h, l, s, default_color=default_color)
    shares = np.ones(len(keys))
    if highlight is not None:
        others = ~among(keys, highlight)
        shares[others] = rest
        rgb[others] = _GREY
    none = np.zeros(len(keys))
    strong = _opacities(keys, alpha, "alpha", ALPHA)
    weak = none if fill is None else _opacities(keys, fill, "fill", 0)
    area, line = (weak, strong) if outline else (strong, none)
    return Inks(*(_with_opacity(rgb, opacity * shares) for opacity in (area, line)))


def colors_for(
    keys: Sequence[Any],
    colors: Any = None,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
    *,
    default_color: Any = None,
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
    >>> colors_for([5, 7], {"7": "red"}, default_color="white").tolist()
    [[255, 255, 255], [255, 0, 0]]
    """
    count, colors = len(keys), unindexed(colors)
    if isinstance(colors, Mapping) or (colors is None and (default_color is not None or is_steady(palette))):
        own = colors or {}
        if not all(key in own for key in keys):
            own = _digits_as_ids(own)
        return _own_or_other(keys, own, palette, default_color)
    if colors is None:
        colors = palette_colors(count, palette, h, l, s)
    elif not isinstance(colors, (Sequence, np.ndarray)) or isinstance(colors, str):
        raise ArgumentError(f"colors must be a mapping or a sequence of colours; got {colors!r:.80}")
    if len(colors) < count:
        raise ArgumentError(
            f"{count} segmentations need as many colours; got {len(colors)}, none for {keys[len(colors)]}"
        )
    return rgb_bytes(colors[:count])


@dataclass(frozen=True, slots=True)
class Dash:
    """The lengths, in pixels along an outline, that are drawn and left out in turn, from where each outline starts.

    Examples
    --------
    >>> Dash.checked(6), Dash.checked((6, 2.5)), Dash.checked(None)
    (Dash(drawn=6.0, left_out=6.0), Dash(drawn=6.0, left_out=2.5), None)
    """

    drawn: float
    left_out: float

    @classmethod
    def checked(cls, dash: Any) -> Dash | None:
        """Read the argument `dash`: (drawn, left out), one number for both, or None.

        Raises
        ------
        ArgumentError
            If these are not positive numbers.
        """
        if dash is None:
            return None
        try:
            drawn, left_out = map(float, dash if isinstance(dash, Iterable) else (dash, dash))
        except (TypeError, ValueError):
            drawn = left_out = math.nan
        if not (0 < drawn < math.inf and 0 < left_out < math.inf):
            raise ArgumentError(
                f"dash must be two positive lengths in pixels, (drawn, left out), or one for both; got {dash!r}"
            )
        return cls(drawn, left_out)


@dataclass(frozen=True, slots=True)
class Style:
    """How pictures of pixels are painted, whatever their colours.

    Parameters
    ----------
    outline, merge, overlap : bool
        Whether outlines are painted, whether one runs around all, and whether later ones lie over earlier ones.
    width : float
        Of outlines, in pixels.
    side : {"out", "in", "on"}
        Where they lie.
    smooth : bool
        Whether areas and outlines follow smooth curves, as they do where outlines are dashed.
    dash : Dash or None
        What is left out of outlines.
    zoom : float
        How many pixels a voxel is wide.
    background : tuple of int or None
        What lies below all: red, green, blue, opacity from 0 to 255.
    stretch : tuple of float
        How many pixels of the section a voxel is wide and high, which smooth curves follow.

    Examples
    --------
    >>> Style.checked(outline=True, width=2.5, smooth=True).traced, Style.checked(outline=True, dash=4).traced
    (True, True)
    """

    outline: bool
    merge: bool
    overlap: bool
    width: float
    side: LineSide
    smooth: bool
    dash: Dash | None
    zoom: float
    background: tuple[int, int, int, int] | None
    stretch: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def checked(
        cls,
        outline: bool = False,
        merge: bool = True,
        overlap: bool = True,
        width: float = 10,
        side: LineSide = "out",
        *,
        smooth: bool = False,
        dash: Any = None,
        zoom: float = 1,
        background: Any = None,
        stretch: Any = (1.0, 1.0),
    ) -> Style:
        """Check the arguments of `composite_overlay`; raises ArgumentError for those out of range."""
        if side not in ("in", "out", "on"):
            raise ArgumentError(f"side must be 'in', 'out' or 'on'; got {side!r}")
        zoom = checked_zoom(zoom)
        lengths = Dash.checked(dash)
        dashed = bool(outline) and lengths is not None
        style = cls(
            bool(outline), bool(merge), bool(overlap), width, side, bool(smooth) or dashed, lengths, zoom,
            None if background is None else rgba_bytes(background), _stretch(stretch),
        )  # fmt: skip
        if not outline:
            return style
        if style.traced:
            if not _is_positive(width):
                raise ArgumentError(f"the width of an outline must be a positive number of pixels; got {width!r}")
            return style
        if not (_is_positive(width) and width >= 1):
            raise ArgumentError(
                f"the width of an outline must be at least 1 pixel; got {width!r}; smooth=True draws thinner ones"
            )
        return replace(style, width=int(width))

    @property
    def traced(self) -> bool:
        """Whether areas and outlines are drawn along paths, with soft edges, and not pixel by pixel."""
        return self.smooth or (self.outline and self.side == "on")

    @property
    def reach(self) -> float:
        """How far outlines reach from the edge, in pixels."""
        return self.width / 2 if self.side == "on" else self.width

    @property
    def steps(self) -> int:
        """The width of outlines that are painted pixel by pixel."""
        return int(self.width)

    @property
    def pixel_side(self) -> Side:
        """Where outlines lie that are painted pixel by pixel."""
        return "in" if self.side == "in" else "out"

    def within(self, size: tuple[int, int]) -> Style:
        """Give the style for a picture of some width and height: lines that reach farther look no different."""
        most = sum(size) + 1
        farthest = most if not self.traced else math.hypot(*size) + 1
        return replace(self, width=min(self.width, 2 * farthest if self.side == "on" else farthest))

    def areas(self) -> Style:
        """Give the style without outlines."""
        return replace(self, outline=False)


def checked_zoom(zoom: Any) -> float:
    """Read the argument `zoom`; raises ArgumentError if it is no positive number."""
    if not _is_positive(zoom):
        raise ArgumentError(f"zoom must be a positive number, 2 for pictures twice as large; got {zoom!r}")
    return float(zoom)


def _stretch(value: Any) -> tuple[float, float]:
    try:
        wide, high = map(float, value)
    except (TypeError, ValueError):
        wide = high = math.nan
    if not (0 < wide < math.inf and 0 < high < math.inf):
        raise ArgumentError(f"stretch is how many pixels a voxel is wide and high, two positive numbers; got {value!r}")
    return max(1.0, wide), max(1.0, high)  # where pixels are larger than voxels, curves follow pixels


def _is_positive(value: Any) -> bool:
    try:
        return not isinstance(value, str) and 0 < float(value) < math.inf
    except (TypeError, ValueError):
        return False


def _own_or_other(keys: Sequence[Any], own: Mapping[Any, Any], palette: Any, default_color: Any) -> NDArray[np.uint8]:
    """Give each key its own colour; where it has none, the default or its colour in a palette of steady colours."""
    found = [key in own for key in keys]
    rgb = np.zeros((len(keys), 3), np.uint8)
    if not all(found):
        missing = [key for key, there in zip(keys, found, strict=True) if not there]
        if default_color is not None:
            others = rgb_bytes([default_color])
        elif is_steady(palette):
            others = steady_colors(missing, palette)
        else:
            raise ArgumentError(
                f"{len(missing)} of {len(keys)} ids have no colour, the first of them {missing[0]}; "
                'add them to colors, pass default_color or palette="steady", or leave colors out'
            )
        rgb[~np.array(found)] = others
    if any(found):
        rgb[np.array(found)] = rgb_bytes([own[key] for key, there in zip(keys, found, strict=True) if there])
    return rgb


def _opacities(keys: Sequence[Any], opacity: Opacity, name: str, other: float) -> NDArray[np.float64]:
    """Give an opacity for each key, `other` to those that a mapping does not name."""
    opacity = unindexed(opacity)
    named = _by_key(keys, opacity) if isinstance(opacity, Mapping) else None
    for value in [opacity] if named is None else named.values():
        if not _is_share(value):
            raise ArgumentError(f"{name} is an opacity from 0 to 1; got {value!r:.80}")
    values = [opacity] * len(keys) if named is None else [named.get(key, other) for key in keys]
    return np.array(values, np.float64)


def _is_share(value: Any) -> bool:
    try:
        return bool(0 <= value <= 1)
    except TypeError:
        return False


def _with_opacity(rgb: NDArray[np.uint8], opacity: NDArray[np.float64]) -> NDArray[np.uint8]:
    rgba = np.empty((len(rgb), 4), np.uint8)
    rgba[:, :3] = rgb
    rgba[:, 3] = (opacity * 255).astype(np.uint8)  # cut off, as imageryclient 1.0.4 does
    return rgba


def among(keys: Sequence[Any], chosen: Any) -> NDArray[np.bool_]:
    """Tell which keys are chosen: one of them or many.

    Examples
    --------
    >>> among([5, 7, 9], ["7"]).tolist()
    [False, True, False]
    """
    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        chosen = [chosen]
    named = _by_key(keys, dict.fromkeys(chosen))
    return np.array([key in named for key in keys], np.bool_)


def _by_key(keys: Sequence[Any], values: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Read the keys of a mapping as ids, exactly, where the segmentations have ids."""
    if not all(isinstance(key, (int, np.integer)) for key in keys) or all(type(key) is int for key in values):
        return values
    return dict(zip(as_ids(list(values)).tolist(), values.values(), strict=True))


def _digits_as_ids(values: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Read text of digits among the keys as ids; a mapping of colours may hold more than is painted."""
    if not any(isinstance(key, str) for key in values):
        return values
    return {int(key) if isinstance(key, str) and key.isdecimal() else key: value for key, value in values.items()}
