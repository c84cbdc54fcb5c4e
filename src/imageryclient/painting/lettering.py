"""Text as pixels, and as the room that it takes.

The font is the one that Pillow brings along, Aileron, the same on every machine. It has no Greek, accents, arrows or
Chinese; a µ is made of its u. Text with a letter that it lacks is written whole in the first of the system's common
fonts that has them all (`FALLBACKS`); letters that none of them has become the box that a font shows for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

BOLD = 0.064  # of the size of a font, by which the strokes of bold letters are wider

__all__ = ["CAPITALS", "FALLBACKS", "HALO", "Letters", "letters", "text_width"]

CAPITALS = 0.69  # height of capitals over the size of the font
HALO = 0.1  # width of the rim around letters over the size of the font
FALLBACKS = (
    "Arial.ttf", "arial.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "DejaVuSans.ttf",
    "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc",
)  # fmt: skip
_MICRO = "µμ"  # the sign, and the Greek letter
_ABSENT = "\U0010fffd"  # in no font
_DEEP = 0.2  # how far the stem of a µ reaches below the line, over the size


@dataclass(frozen=True, slots=True)
class Letters:
    """Text drawn: how far each pixel is covered by the letters, from 0 to 255, axes (y, x).

    `left` and `top` are the pixel of the picture that the first one lies at. Letters are as far from the edges as their
    rim is wide.
    """

    left: int
    top: int
    shares: NDArray[np.uint8]

    def rimmed(self, width: float) -> NDArray[np.uint8]:
        """Tell how far each pixel is covered by letters and a rim of so many pixels together."""
        return _rimmed(self.shares, width)


def text_width(text: str, size: float) -> float:
    """Give the width of a line of text in pixels, for a font's size in pixels.

    Examples
    --------
    >>> round(text_width("2 µm", 20)) == round(text_width("2 um", 20))
    True
    """
    return _font(_source(text), 64.0).getlength(_spelled(text)) * size / 64


def letters(text: str, x: float, y: float, size: float) -> Letters:
    """Draw a line of text.

    Parameters
    ----------
    text : str
        The text.
    x, y : float
        Its left end, and the middle of its capitals' height; the line it stands on is put between two pixels.
    size : float
        Of the font, in pixels.

    Examples
    --------
    >>> drawn = letters("H", 10, 10, 20)
    >>> drawn.top, int(drawn.shares.max())
    (-1, 255)
    """
    source = _source(text)
    font = _font(source, size)
    spelled = _spelled(text)
    line = round(y + CAPITALS * size / 2)
    pad = math.ceil(HALO * size) + 2
    box = font.getbbox(spelled, anchor="ls")
    left, top = math.floor(x + box[0]) - pad, math.floor(line + box[1]) - pad
    width = math.ceil(x + box[2]) + pad - left
    height = math.ceil(max(line + box[3], line + _DEEP * size)) + pad - top
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).text((x - left, line - top), spelled, fill=255, font=font, anchor="ls")
    drawn = np.array(canvas)
    if source is None:
        for place, letter in enumerate(text):
            if letter in _MICRO:
                _lengthen(drawn, x - left + font.getlength(spelled[:place]), line - top, font, size)
    return Letters(left, top, drawn)


def _lengthen(drawn: NDArray[np.uint8], at: float, line: int, font: ImageFont.FreeTypeFont, size: float) -> None:
    """Make a u a µ: its left stem goes on below the line."""
    first = max(0, round(at))
    wide = round(font.getlength("u"))
    letter = drawn[max(0, round(line - 0.3 * size)), first : first + wide].copy()
    inside = letter > 127
    stem = letter * (np.cumsum(np.diff(inside, prepend=False) & inside) <= 1).astype(np.uint8)
    ends = np.flatnonzero(inside & (np.cumsum(np.diff(inside, prepend=False)) >= 2))
    if ends.size:  # nothing of the right stem, nor of the faint pixels before it
        stem[ends[0] - 1 :] = 0
    below = drawn[line - max(1, round(0.1 * size)) : line + max(1, round(_DEEP * size)), first : first + wide]
    np.maximum(below, stem[: below.shape[1]], out=below)


def _rimmed(drawn: NDArray[np.uint8], width: float) -> NDArray[np.uint8]:
    """Grow letters by a width, with a soft edge."""
    reach = math.ceil(width)
    rows, columns = drawn.shape
    grown = drawn.copy()
    fainter = {1.0: np.pad(drawn, reach)}
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            share = min(1.0, width + 0.5 - math.hypot(down, right))
            if share <= 0:
                continue
            if share not in fainter:
                fainter[share] = (fainter[1.0] * share).astype(np.uint8)
            part = fainter[share][reach + down : reach + down + rows, reach + right : reach + right + columns]
            np.maximum(grown, part, out=grown)
    return grown


def _spelled(text: str) -> str:
    return text if _source(text) else "".join("u" if letter in _MICRO else letter for letter in text)


@lru_cache(maxsize=4096)
def _source(text: str) -> str | None:
    """Choose the font of a text: None for Pillow's, else the name of a file."""
    wanted = {letter for letter in text if not letter.isspace()}
    lacking: dict[str | None, int] = {None: _lacking(None, wanted)}
    if not lacking[None]:
        return None
    for name in FALLBACKS:
        if _exists(name):
            lacking[name] = _lacking(name, wanted)
            if not lacking[name]:
                return name
    return min(lacking, key=lambda name: lacking[name])  # the first of the best


def _lacking(name: str | None, letters: set[str]) -> int:
    return sum(not _has(name, letter) for letter in letters if name is not None or letter not in _MICRO)


@lru_cache(maxsize=8192)
def _has(name: str | None, letter: str) -> bool:
    font = _font(name, 32.0)
    return bytes(font.getmask(letter)) != bytes(font.getmask(_ABSENT))


@cache
def _exists(name: str) -> bool:
    try:
        ImageFont.truetype(name, 32)
    except OSError:
        return False
    return True


@lru_cache(maxsize=64)
def _font(name: str | None, size: float) -> ImageFont.FreeTypeFont:
    if name is not None:  # with capitals as high as those of Pillow's font
        high = -ImageFont.truetype(name, 1000).getbbox("H", anchor="ls")[1] / 1000
        return ImageFont.truetype(name, size * CAPITALS / high)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
