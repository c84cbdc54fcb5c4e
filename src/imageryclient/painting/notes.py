"""Text and arrows at places in space; when they are shown is told in `marks`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..geometry import Resolution
from ..section import Section
from .draw import bounding_box
from .placing import Recorded, as_colors, as_place, as_units, beyond, check_depth, check_positive, keep, opacity_of
from .primitives import Anchor, Group, Ink, Path, Primitive, Words

__all__ = ["Arrow", "Text"]

_RIM = Ink((0, 0, 0), 0.6)
_ABOVE, _BELOW = 0.07, 0.22  # how far letters such as b and g go beyond capitals, over the size of the font
_DIAGONALS = (-45.0, -135.0, 45.0, 135.0)


@dataclass(frozen=True, slots=True, eq=False)
class Text(Recorded):
    """A line of text at a place.

    Parameters
    ----------
    place : array_like
        x, y, z.
    resolution : array_like or "nm"
        What the numbers count: nm per voxel along x, y, z.
    words : str
        The text.
    color : colour
        Of the letters, which have a dark rim.
    size : float
        Of the font, in pixels of the picture.
    anchor : {"left", "middle", "right"}
        Which part of the text lies at the place; near the border it is moved so that all of it is in the picture.
    offset : tuple of float
        Pixels to the right and down that the text is moved by.
    rim : bool
        Whether letters have a dark rim.
    depth, fade, name
        As for `Points`.

    Examples
    --------
    >>> note = Text((50, 50, 5), (8, 8, 40), "bouton")
    >>> note.groups(Section((400.0, 400.0, 220.0), (100, 100), 8.0), 40.0)[0].primitives[0].text
    'bouton'
    """

    place: Any
    resolution: Any
    words: str
    color: Any = "white"
    size: float = 16.0
    anchor: Anchor = "middle"
    offset: Any = (0.0, 0.0)
    rim: bool = True
    depth: float = 0.0
    fade: bool = False
    name: str = "text"

    def __post_init__(self) -> None:
        """Read place and colour."""
        keep(self, place=as_place(self.place), resolution=as_units(self.resolution), color=as_colors(self.color, 1))
        keep(self, offset=tuple(map(float, self.offset)))
        check_positive(size=self.size)
        check_depth(self.depth)
        if self.anchor not in ("left", "middle", "right"):
            raise ArgumentError(f"anchor is 'left', 'middle' or 'right'; got {self.anchor!r}")

    def groups(self, section: Section, depth: float) -> Sequence[Group]:
        """Give the text, if it is seen and its place lies in the picture."""
        at = _seen(self.place, self.resolution, section, depth, self.depth, self.fade)
        if at is None or not self.words:
            return [Group(self.name, ())]
        x, y, alpha = at
        right, down = self.offset
        words = _words(x + right, y + down, self, self.anchor, alpha)
        return [Group(self.name, (_inside(words, section.size),))]


@dataclass(frozen=True, slots=True, eq=False)
class Arrow(Recorded):
    """An arrow whose tip is at a place, with words at its other end if wanted.

    Parameters
    ----------
    place : array_like
        x, y, z of the tip.
    resolution : array_like or "nm"
        What the numbers count: nm per voxel along x, y, z.
    angle : float, optional
        Which way it points on the picture, in degrees: 0 to the right, 90 up. By default down to the right, -45, or
        along another diagonal, with which all of it is in the picture.
    length : float
        In pixels of the picture.
    words : str
        Text at the other end.
    color : colour
        Of both, which have a dark rim.
    width : float
        Of the shaft, in pixels.
    size : float
        Of the font, in pixels.
    rim : bool
        Whether there is a dark rim.
    depth, fade, name
        As for `Points`.

    Examples
    --------
    >>> arrow = Arrow((50, 50, 5), (8, 8, 40), angle=90, length=20)
    >>> shaft, head = arrow.groups(Section((400.0, 400.0, 220.0), (100, 100), 8.0), 40.0)[0].primitives[-2:]
    >>> shaft.points[0], head.points[0]
    ((50.0, 70.0), (50.0, 50.0))
    """

    place: Any
    resolution: Any
    angle: float | None = None
    length: float = 40.0
    words: str = ""
    color: Any = "white"
    width: float = 2.5
    size: float = 16.0
    rim: bool = True
    depth: float = 0.0
    fade: bool = False
    name: str = "arrow"

    def __post_init__(self) -> None:
        """Read place and colour."""
        keep(self, place=as_place(self.place), resolution=as_units(self.resolution), color=as_colors(self.color, 1))
        check_positive(length=self.length, width=self.width, size=self.size)
        check_depth(self.depth)
        if self.angle is not None and not math.isfinite(self.angle):
            raise ArgumentError(f"angle must be a number of degrees; got {self.angle!r}")

    def groups(self, section: Section, depth: float) -> Sequence[Group]:
        """Give the arrow, if it is seen and its tip lies in the picture."""
        at = _seen(self.place, self.resolution, section, depth, self.depth, self.fade)
        if at is None:
            return [Group(self.name, ())]
        if self.angle is not None:
            return [Group(self.name, self._drawn(at, self.angle))]
        ways = [self._drawn(at, angle) for angle in _DIAGONALS]
        return [Group(self.name, next((way for way in ways if _is_inside(way, section.size)), ways[0]))]

    def _drawn(self, at: tuple[float, float, float], angle: float) -> tuple[Primitive, ...]:
        """Draw it so that it points that way, at a pixel and with some opacity."""
        x, y, alpha = at
        turn = math.radians(angle)
        right, down = round(math.cos(turn), 12) + 0.0, round(-math.sin(turn), 12) + 0.0
        deep = min(4.5 * self.width, 0.7 * self.length)  # of the head
        half, notch = 0.42 * deep, 0.8 * deep

        def point(back: float, aside: float) -> tuple[float, float]:
            return x - back * right - aside * down, y - back * down + aside * right

        tail = point(self.length, 0)
        head = (point(0, 0), point(deep, half), point(notch, 0), point(deep, -half))
        shaft = (tail, point(notch, 0))
        ink, drawn = _ink(self.color, alpha), list[Primitive]()
        if self.rim:
            dark = Ink(_RIM.color, _RIM.alpha * alpha)
            drawn += [
                Path(shaft, line=dark, width=self.width + 2),
                Path(head, closed=True, line=dark, width=2),
            ]
        drawn += [Path(shaft, line=ink, width=self.width), Path(head, closed=True, fill=ink)]
        if self.words:
            gap = 0.35 * self.size
            upright = abs(right) < 0.38  # the words stand below or above its end, else beside it
            anchor: Anchor = "middle" if upright else "right" if right > 0 else "left"
            drop = 0.0 if not upright else -(gap + 0.35 * self.size) if down > 0 else gap + 0.35 * self.size
            aside = 0.0 if upright else -math.copysign(gap, right)
            words = _words(tail[0] + aside, tail[1] + drop, self, anchor, alpha)
            drawn.insert(0, words)
        return tuple(drawn)


def _seen(
    place: tuple[float, float, float],
    resolution: Resolution,
    section: Section,
    thickness: float,
    depth: float,
    fade: bool,
) -> tuple[float, float, float] | None:
    """Give the pixel of a place and its opacity, unless it is not shown."""
    at = section.pixels(np.array(place) * resolution)
    (alpha,) = opacity_of(beyond(at[:, 2], section, thickness), depth, fade).tolist()
    x, y, _ = at[0].tolist()
    inside = 0 <= x <= section.size[0] and 0 <= y <= section.size[1]
    return (x, y, alpha) if alpha > 0 and inside else None


def _ink(color: Any, alpha: float) -> Ink:
    red, green, blue = color[0].tolist()
    return Ink((red, green, blue), alpha)


def _words(x: float, y: float, note: Text | Arrow, anchor: Anchor, alpha: float) -> Words:
    rim = Ink(_RIM.color, _RIM.alpha * alpha) if note.rim else None
    return Words(x, y, note.words, note.size, _ink(note.color, alpha), anchor, rim)


def _is_inside(parts: Sequence[Primitive], size: tuple[int, int]) -> bool:
    left, top, right, bottom = bounding_box(parts) or (0.0, 0.0, 0.0, 0.0)
    return left >= 0 and top >= 0 and right <= size[0] and bottom <= size[1]


def _inside(words: Words, size: tuple[int, int]) -> Words:
    """Move a text into a picture of some width and height, along each side on which it has room."""
    left, top, right, bottom = bounding_box([words]) or (0.0, 0.0, 0.0, 0.0)
    top, bottom = top - _ABOVE * words.size, bottom + _BELOW * words.size
    shifts = [
        max(0.0, -low) + min(0.0, most - high) if high - low <= most else 0.0
        for low, high, most in ((left, right, size[0]), (top, bottom, size[1]))
    ]
    return replace(words, x=words.x + shifts[0], y=words.y + shifts[1])
