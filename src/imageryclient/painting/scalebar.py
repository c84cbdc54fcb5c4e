"""Scale bars: round lengths, true to the nm, drawn with exact ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from ..errors import ArgumentError
from .color import rgb_bytes
from .draw import bounding_box, draw
from .lettering import CAPITALS, text_width
from .picture import as_rgba
from .primitives import Group, Ink, Path, Words

__all__ = ["Corner", "ScaleBar", "bar_group", "legible_on", "scale_bar"]

RGB8 = tuple[int, int, int]
Corner = Literal["lower right", "lower left", "upper right", "upper left"]
RIM = Ink((0, 0, 0), 0.35)
_ROUND = (1, 2, 5)
_UNITS = ((1e9, "m"), (1e6, "mm"), (1e3, "µm"), (1.0, "nm"))
_SHARE = 0.2  # of the picture's width, when the length is left to us
_LONGEST = 0.8
_GAP = 0.15  # between text and bar over the size of the font, beside the bar's own thickness: room for a µ's stem
_BRIGHT = 190  # mean grey below the bar from which black is easier to see than white; that of stained tissue is lower


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A length, and how many pixels it takes.

    Parameters
    ----------
    nm : float
        The length.
    pixels : float
        The same in pixels; rarely a whole number.

    Examples
    --------
    >>> ScaleBar.fitting(1024, 8.0)
    ScaleBar(nm=2000.0, pixels=250.0)
    >>> ScaleBar.fitting(1024, 8.0).label
    '2 µm'
    """

    nm: float
    pixels: float

    @classmethod
    def fitting(cls, width: int, nm_per_pixel: float) -> ScaleBar:
        """Choose the round length (1, 2 or 5 times a power of ten) nearest to a fifth of a picture's width."""
        ideal = width * nm_per_pixel * _SHARE
        power = 10.0 ** math.floor(math.log10(ideal))
        lengths = [factor * power for factor in (*_ROUND, 10)]
        nm = min(lengths, key=lambda length: abs(math.log(length / ideal)))
        return cls(nm, nm / nm_per_pixel)

    @classmethod
    def checked(cls, width: int, nm_per_pixel: float, length: float | None = None) -> ScaleBar:
        """Make the bar of a picture, of a length in nm or of one that fits; raises ArgumentError if it is too long."""
        if not (math.isfinite(nm_per_pixel) and nm_per_pixel > 0):
            raise ArgumentError(f"nm_per_pixel must be a positive number; got {nm_per_pixel!r}")
        if length is not None and not (math.isfinite(length) and length > 0):
            raise ArgumentError(f"the length of a scale bar must be a positive number of nm; got {length!r}")
        bar = cls.fitting(width, nm_per_pixel) if length is None else cls(length, length / nm_per_pixel)
        if bar.pixels > width * _LONGEST:
            raise ArgumentError(
                f"a bar of {bar.label} would take {bar.pixels:.0f} of the picture's {width} pixels; make it shorter"
            )
        return bar

    @property
    def label(self) -> str:
        """The length with its unit, such as "500 nm" or "2 µm"."""
        for nm, unit in _UNITS:
            if self.nm >= nm * (1 - 1e-9):
                return f"{self.nm / nm:.4g} {unit}"
        return f"{self.nm:.4g} nm"


def bar_group(
    size: tuple[int, int],
    nm_per_pixel: float,
    length: float | None = None,
    *,
    corner: Corner = "lower right",
    color: RGB8 = (255, 255, 255),
    rim: bool = False,
    label: bool = True,
    font_size: float | None = None,
    thickness: int | None = None,
) -> Group:
    """Give a scale bar for a picture of some width and height: a group "scale-bar", of the bar and its text.

    Parameters and errors are those of `scale_bar`, but for `rim`: whether letters have a dark rim, for white ones on
    grey.

    Examples
    --------
    >>> bar, text = bar_group((400, 300), 4.0).primitives
    >>> bar.points, text.text
    (((266.0, 287.0), (391.0, 287.0), (391.0, 291.0), (266.0, 291.0)), '500 nm')
    """
    vertical, _, side = corner.partition(" ")
    if vertical not in ("lower", "upper") or side not in ("left", "right"):
        raise ArgumentError(f"corner must be such as 'lower right'; got {corner!r}")
    width, height = size
    bar = ScaleBar.checked(width, nm_per_pixel, length)
    margin = max(2, round(0.03 * min(size)))
    thick = thickness or max(2, round(0.012 * min(size)))
    top = height - margin - thick if vertical == "lower" else margin
    left = width - margin - bar.pixels if side == "right" else float(margin)
    right, bottom = left + bar.pixels, top + thick
    ink = Ink(color)
    corners = ((left, float(top)), (right, float(top)), (right, float(bottom)), (left, float(bottom)))
    parts: list[Path | Words] = [Path(corners, closed=True, fill=ink)]
    if label:
        font = font_size or max(11, round(0.045 * min(size)))
        half, high = text_width(bar.label, font) / 2, CAPITALS * font
        x = min(max(left + bar.pixels / 2, margin + half), width - margin - half)
        gap = thick + _GAP * font
        y = top - gap - high / 2 if vertical == "lower" else bottom + gap + high / 2
        if x - half < 0 or y - high / 2 < 0 or y + high / 2 > height:
            raise ArgumentError(
                f"the picture of {width} x {height} pixels has no room for the text {bar.label!r}; make it larger, "
                "or draw the bar alone, with imageryclient.scale_bar(…, label=False)"
            )
        parts.append(Words(x, y, bar.label, font, ink, halo=RIM if rim else None))
    return Group("scale-bar", tuple(parts))


def scale_bar(
    picture: Image.Image,
    nm_per_pixel: float,
    length: float | None = None,
    *,
    corner: Corner = "lower right",
    color: Any = None,
    label: bool = True,
    font_size: int | None = None,
    thickness: int | None = None,
) -> Image.Image:
    """Draw a scale bar on a picture.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of any mode; not changed.
    nm_per_pixel : float
        Along the picture's width.
    length : float, optional
        Of the bar in nm; by default the round length nearest to a fifth of the picture's width.
    corner : {"lower right", "lower left", "upper right", "upper left"}
        Where it goes.
    color : colour, optional
        Of bar and text. By default white, with a dark rim around the letters, or black where it lies on what is nearly
        white, or transparent.
    label : bool
        Whether to write the length above the bar, or below it in the upper corners.
    font_size, thickness : int, optional
        In pixels; by default in proportion to the picture.

    Returns
    -------
    PIL.Image.Image
        A new picture of the same size, RGBA where the picture is, else RGB. The bar is as long as it says to a
        hundredth of a pixel: pixels that it covers in part are mixed.

    Raises
    ------
    ArgumentError
        If the bar would not fit, or an argument makes no sense.

    Examples
    --------
    >>> marked = scale_bar(Image.new("L", (400, 300)), nm_per_pixel=4.0, label=False)
    >>> int((np.asarray(marked)[..., 0].sum(axis=1) / 255).max())  # 400 nm would be an odd length: 500
    125
    """
    options: dict[str, Any] = {"corner": corner, "label": label, "font_size": font_size, "thickness": thickness}
    group = bar_group(picture.size, nm_per_pixel, length, **options)
    ink = legible_on(picture, group) if color is None else cast(RGB8, tuple(rgb_bytes([color])[0].tolist()))
    rim = color is None and ink != (0, 0, 0)
    group = bar_group(picture.size, nm_per_pixel, length, color=ink, rim=rim, **options)
    mode = "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
    marked = draw(picture, [group])
    return marked if mode == "RGBA" else marked.convert("RGB")


def legible_on(picture: Image.Image, group: Group) -> RGB8:
    """Choose white, or black where what a group will cover of a picture is nearly white, or transparent."""
    left, top, right, bottom = bounding_box(group.primitives) or (0, 0, 1, 1)
    below = as_rgba(picture.crop((math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))))
    page = Image.new("RGBA", below.size, "white")
    bright = float(np.asarray(Image.alpha_composite(page, below).convert("L")).mean())
    return (0, 0, 0) if bright > _BRIGHT else (255, 255, 255)
