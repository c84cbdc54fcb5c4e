"""Legends: what the colours of a picture stand for, in as many columns as it takes, and no more than can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ArgumentError
from .draw import moved
from .lettering import CAPITALS, text_width
from .placing import Recorded, as_ink, as_texts, check_positive, keep
from .primitives import Disc, Group, Ink, Path, Primitive, Words

__all__ = ["BESIDE", "Entry", "Legend", "LegendBlock", "LegendPlace", "Swatch", "legend_block"]

Swatch = Literal["square", "disc", "ring", "line"]
LegendPlace = Literal["right", "left", "below", "upper right", "upper left", "lower right", "lower left"]
BESIDE = ("right", "left", "below")
_LINE, _SWATCH, _GAP, _PAD, _COLUMN = 1.5, 0.85, 0.55, 0.9, 1.4  # over the size of the font
_TITLE = 1.15
_SMALLEST = 9.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend: its text, its colour, and as what that is shown."""

    text: str
    ink: Ink
    swatch: Swatch = "square"


@dataclass(frozen=True, slots=True, eq=False)
class Legend(Recorded):
    """What a legend tells, and how it looks.

    Parameters
    ----------
    texts : mapping or sequence of int, optional
        For ids their texts, or just those ids; or for texts their colours. By default all ids in the picture, the
        largest segments first, with the texts of their labels, and marks that have names.
    title : str
        Above the entries.
    place : {"right", "left", "below", "upper right", "upper left", "lower right", "lower left"}
        Beside the picture, which becomes larger, or in one of its corners.
    size : float, optional
        Of the font in pixels; by default in proportion to the picture.
    most : int
        Entries shown; the others are counted in a last line. There are fewer where a picture has no room for so many.
    color : colour, optional
        Of the text; by default black, or white on a dark background.

    Examples
    --------
    >>> Legend({"axons": "red"}, place="upper left").to_dict()
    {'kind': 'legend', 'texts': {'axons': 'red'}, 'place': 'upper left'}
    """

    texts: Any = None
    title: str = ""
    place: LegendPlace = "right"
    size: float | None = None
    most: int = 60
    color: Any = None

    def __post_init__(self) -> None:
        """Read ids, and check the rest."""
        keep(self, texts=as_texts(self.texts, "a legend"))
        if self.place not in (*BESIDE, "upper right", "upper left", "lower right", "lower left"):
            raise ArgumentError(
                f"a legend lies 'right', 'left', 'below' or in a corner such as 'upper left'; got {self.place!r}"
            )
        if self.size is not None:
            check_positive(size=self.size)
        if self.color is not None:
            as_ink(self.color)
        if self.most < 1:
            raise ArgumentError(f"a legend shows at least 1 entry; got most={self.most!r}")


@dataclass(frozen=True, slots=True)
class LegendBlock:
    """A legend laid out from (0, 0) to its `width` and `height` in pixels; how many entries it `shows` of all."""

    primitives: tuple[Primitive, ...]
    width: float
    height: float
    shows: int

    def at(self, x: float, y: float) -> Group:
        """Give it as a group "legend", moved so that its upper left corner lies at a place."""
        return moved(Group("legend", self.primitives), x, y)


def legend_block(
    entries: Sequence[Entry], picture: tuple[int, int], look: Legend | None = None, ink: Ink | None = None
) -> LegendBlock:
    """Lay out a legend for a picture.

    Parameters
    ----------
    entries : sequence of Entry
        What it says, the most important first.
    picture : tuple of int
        Width and height in pixels.
    look : Legend, optional
        How it looks, and where it will be put.
    ink : Ink, optional
        Of the text, where `look` does not say.

    Returns
    -------
    LegendBlock
        Beside a picture no higher than that, and no wider than it if that leaves a column; below it no wider; in a
        corner no larger than half of its sides.

    Examples
    --------
    >>> many = [Entry(f"cell {number}", Ink((255, 0, 0))) for number in range(2000)]
    >>> block = legend_block(many, (1024, 1024))
    >>> block.shows, block.primitives[-1].text
    (60, 'and 1,940 more')
    """
    look = look or Legend()
    text_ink = ink or Ink((0, 0, 0)) if look.color is None else as_ink(look.color)
    size = look.size or max(_SMALLEST, 0.022 * math.sqrt(picture[0] * picture[1]))
    room = _room(look, picture)
    if look.size is None:
        size = max(_SMALLEST, min(size, room[1] / 8))
    head = size * _TITLE * 1.6 if look.title else 0.0
    rows = max(1, math.floor((room[1] - 2 * _PAD * size - head) / (_LINE * size)))
    count = min(len(entries), look.most)
    while True:
        lines = [entry.text for entry in entries[:count]]
        if count < len(entries):
            lines.append(f"and {len(entries) - count:,} more")
        columns, height = _columns(lines, rows, size, look.place == "below", room[0])
        width = sum(columns) + _COLUMN * size * (len(columns) - 1)
        if count <= 1 or len(columns) <= 1 or (width + 2 * _PAD * size <= room[0] and height <= max(rows, 1)):
            break
        count = max(1, min(count - 1, height * (len(columns) - 1) - 1))
    width = max(width, text_width(look.title, _TITLE * size) if look.title else 0.0)
    drawn = _drawn(entries[:count], lines, columns, height, size, look.title, head, text_ink)
    return LegendBlock(drawn, width + 2 * _PAD * size, head + height * _LINE * size + 2 * _PAD * size, count)


def _room(look: Legend, picture: tuple[int, int]) -> tuple[float, float]:
    width, height = picture
    if look.place == "below":
        return width, max(0.5 * height, 8 * _SMALLEST)
    return (width, height) if look.place in BESIDE else (0.5 * width, 0.5 * height)


def _columns(lines: list[str], rows: int, size: float, flat: bool, room: float) -> tuple[list[float], int]:
    """Part lines into columns of equal height: their widths, and the number of rows."""
    widths = [(_SWATCH + _GAP) * size + text_width(line, size) for line in lines]
    if flat:  # as many columns as fit side by side
        most = max(1, math.floor((room - 2 * _PAD * size + _COLUMN * size) / (max(widths) + _COLUMN * size)))
        rows = max(1, math.ceil(len(lines) / most))
    rows = min(rows, len(lines))
    rows = math.ceil(len(lines) / math.ceil(len(lines) / rows))
    return [max(widths[first : first + rows]) for first in range(0, len(lines), rows)], rows


def _drawn(
    entries: Sequence[Entry],
    lines: list[str],
    columns: list[float],
    rows: int,
    size: float,
    title: str,
    head: float,
    ink: Ink,
) -> tuple[Primitive, ...]:
    drawn: list[Primitive] = []
    pad, side = _PAD * size, _SWATCH * size
    if title:
        drawn.append(Words(pad, pad + CAPITALS * _TITLE * size / 2, title, _TITLE * size, ink, "left"))
    left = pad
    for column, width in enumerate(columns):
        for row, text in enumerate(lines[column * rows : (column + 1) * rows]):
            y = pad + head + (row + 0.5) * _LINE * size
            place = column * rows + row
            if place < len(entries):
                drawn.append(_swatch(entries[place], left, y, side))
                drawn.append(Words(left + side + _GAP * size, y, text, size, ink, "left"))
            else:
                drawn.append(Words(left, y, text, size, ink, "left"))
        left += width + _COLUMN * size
    return tuple(drawn)


def _swatch(entry: Entry, left: float, y: float, side: float) -> Primitive:
    edge = Ink((0, 0, 0), 0.35)
    if entry.swatch == "disc":
        return Disc(left + side / 2, y, 0.42 * side, entry.ink, edge, 0.75)
    if entry.swatch == "ring":
        return Disc(left + side / 2, y, 0.36 * side, None, entry.ink, 0.16 * side)
    if entry.swatch == "line":
        return Path(((left + 0.1 * side, y), (left + 0.9 * side, y)), line=entry.ink, width=0.2 * side)
    right, top, bottom = left + side, y - side / 2, y + side / 2
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Path(corners, closed=True, fill=entry.ink, line=edge, width=0.75)
