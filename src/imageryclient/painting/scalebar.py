"""Scale bars: round lengths, true to the nm, drawn with exact ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..errors import ArgumentError
from .color import rgb_bytes

__all__ = ["ScaleBar", "scale_bar"]

Corner = Literal["lower right", "lower left", "upper right", "upper left"]
_ROUND = (1, 2, 5)
_UNITS = ((1e9, "m"), (1e6, "mm"), (1e3, "µm"), (1.0, "nm"))
_SHARE = 0.2  # of the picture's width, when the length is left to us
_LONGEST = 0.8


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


def scale_bar(
    picture: Image.Image,
    nm_per_pixel: float,
    length: float | None = None,
    *,
    corner: Corner = "lower right",
    color: Any = "white",
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
    color : colour
        Of bar and text.
    label : bool
        Whether to write the length above the bar.
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
    vertical, _, side = corner.partition(" ")
    if vertical not in ("lower", "upper") or side not in ("left", "right"):
        raise ArgumentError(f"corner must be such as 'lower right'; got {corner!r}")
    width, height = picture.size
    bar = ScaleBar.checked(width, nm_per_pixel, length)
    margin = max(2, round(0.03 * min(width, height)))
    thick = thickness or max(2, round(0.012 * min(width, height)))
    top = height - margin - thick if vertical == "lower" else margin
    left = width - margin - bar.pixels if side == "right" else float(margin)
    covered = np.zeros((height, width))
    covered[max(0, top) : top + thick] = _coverage(width, left, left + bar.pixels)
    if label:
        text = _text(bar.label, font_size or max(9, round(0.045 * min(width, height))))
        x = round(left + bar.pixels / 2 - text.shape[1] / 2)
        x = min(max(x, margin), width - margin - text.shape[1])
        y = top - text.shape[0] - thick if vertical == "lower" else top + 2 * thick
        if x < 0 or y < 0 or y + text.shape[0] > height:
            raise ArgumentError(
                f"the picture of {width} x {height} pixels has no room for {bar.label!r}; use label=False"
            )
        covered[y : y + text.shape[0], x : x + text.shape[1]] = text
    return _mixed(picture, covered, rgb_bytes([color])[0])


def _coverage(width: int, start: float, stop: float) -> NDArray[np.float64]:
    """Give the share of each pixel of a row that lies between two places."""
    edges = np.arange(width)
    share: NDArray[np.float64] = np.clip(np.minimum(edges + 1, stop) - np.maximum(edges, start), 0, 1)
    return share


def _text(words: str, size: int) -> NDArray[np.float64]:
    """Draw text in Pillow's own font, the same on every machine; of its few letters, a µ is made of a u."""
    font = ImageFont.load_default(size)
    spelled = words.replace("µ", "u")
    left, top, right, bottom = (math.floor(n) for n in font.getbbox(words.replace("µ", "up")))
    canvas = Image.new("L", (right - left + 1, bottom - top + 1))
    ImageDraw.Draw(canvas).text((-left, -top), spelled, fill=255, font=font)
    drawn = np.array(canvas, dtype=np.float64) / 255
    if "µ" in words:
        at = round(font.getlength(words[: words.index("µ")])) - left
        baseline = math.ceil(font.getbbox("u")[3]) - top
        height = baseline - (math.floor(font.getbbox("u")[1]) - top)
        letter = drawn[baseline - height // 2, at : at + round(font.getlength("u"))]
        stem = letter * (np.cumsum(np.diff(letter > 0.5, prepend=False)) <= 1)  # its left stem alone
        depth = min(drawn.shape[0], baseline + round(0.35 * height))
        below = drawn[baseline - 2 : depth, at : at + stem.size]
        np.maximum(below, stem, out=below)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _mixed(picture: Image.Image, covered: NDArray[np.float64], color: NDArray[np.uint8]) -> Image.Image:
    """Lay a colour over a picture, as far as each pixel is covered; covered pixels become opaque likewise."""
    mode = "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
    below = np.asarray(picture.convert(mode), dtype=np.float64)
    above = np.append(color, 255)[: below.shape[2]].astype(np.float64)
    share = covered[:, :, None]
    if mode == "RGBA":  # a covered pixel shows the colour, however transparent what lies below
        opacity = share + below[:, :, 3:] / 255 * (1 - share)
        share = np.divide(share, opacity, out=np.zeros_like(share), where=opacity > 0)
        mixed = below + (above - below) * share
        mixed[:, :, 3:] = 255 * opacity
    else:
        mixed = below + (above - below) * share
    return Image.fromarray(np.round(mixed).astype(np.uint8), mode)
