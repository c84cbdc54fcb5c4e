"""Where the panels of a figure lie, and what they are called: pure arithmetic, no pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ArgumentError

__all__ = ["Align", "Direction", "Panels", "Spot", "panel_letters"]

Direction = Literal["horizontal", "vertical"]
Align = Literal[
    "upper left", "upper middle", "upper right",
    "middle left", "middle", "middle right",
    "lower left", "lower middle", "lower right",
]  # fmt: skip
_VERTICAL, _HORIZONTAL = ("upper", "middle", "lower"), ("left", "middle", "right")
_LETTERS = re.compile(r"([^A-Za-z0-9]*)([Aa1])([^A-Za-z0-9]*)")


@dataclass(frozen=True, slots=True)
class Spot:
    """A rectangle of whole pixels: its upper left corner, width and height."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels in rows and columns.

    A row is as high as the highest of its panels, a column as wide as the widest.

    Parameters
    ----------
    sizes : tuple of tuple of int
        Width and height of each panel.
    rows, columns : int
        Of the figure; there may be more places than panels.
    direction : {"horizontal", "vertical"}
        Whether panels follow each other along the rows, or down the columns.
    spacing : int
        Pixels between rows and between columns.
    align : str
        Where in its place a panel lies, such as "upper left", "lower middle", "middle".
    headings : tuple of tuple of int
        Width and height of what is written above each panel; a row has room for the highest of them, a column for the
        widest. Empty where nothing is.

    Examples
    --------
    >>> panels = Panels.arranged([(40, 30), (20, 10), (40, 30)], columns=2, spacing=5)
    >>> panels.rows, panels.size, panels.spots[1]
    (2, (65, 65), Spot(left=45, top=0, width=20, height=10))
    """

    sizes: tuple[tuple[int, int], ...]
    rows: int
    columns: int
    direction: Direction = "horizontal"
    spacing: int = 0
    align: Align = "upper left"
    headings: tuple[tuple[int, int], ...] = ()

    @classmethod
    def arranged(
        cls,
        sizes: Sequence[tuple[int, int]],
        rows: int | None = None,
        columns: int | None = None,
        *,
        direction: Direction = "horizontal",
        spacing: int = 0,
        align: Align = "upper left",
        headings: Sequence[tuple[int, int]] = (),
    ) -> Panels:
        """Find how many rows and columns it takes: one row, or one column if vertical, unless either number is given.

        Raises
        ------
        ArgumentError
            If there are no panels, they do not fit into the rows and columns, or an argument makes no sense.
        """
        count = len(sizes)
        if not count:
            raise ArgumentError("stack_images needs at least one image; got none")
        if direction not in ("horizontal", "vertical"):
            raise ArgumentError(f"direction must be 'horizontal' or 'vertical'; got {direction!r}")
        gap = _whole(spacing, 0, "spacing must be a whole number of pixels, from 0")
        _alignment(align)
        high = None if rows is None else _whole(rows, 1, "rows must be a whole number, from 1")
        wide = None if columns is None else _whole(columns, 1, "columns must be a whole number, from 1")
        if high is None and wide is None:
            high, wide = (1, count) if direction == "horizontal" else (count, 1)
        high = high or -(-count // (wide or 1))
        wide = wide or -(-count // high)
        if high * wide < count:
            raise ArgumentError(f"{high} rows of {wide} columns have no place for {count} images")
        return cls(tuple(sizes), high, wide, direction, gap, align, tuple(headings))

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the columns."""
        return self._longest(0, self.columns)

    @property
    def heights(self) -> tuple[int, ...]:
        """Of the rows, without what is written above them."""
        return self._longest(1, self.rows)

    @property
    def headrooms(self) -> tuple[int, ...]:
        """Pixels above the panels of each row for what is written there."""
        rooms = [0] * self.rows
        for n, (_, height) in enumerate(self.headings):
            row = self._cell(n)[1]
            rooms[row] = max(rooms[row], height)
        return tuple(rooms)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the figure."""
        return (
            sum(self.widths) + self.spacing * (self.columns - 1),
            sum(self.heights) + sum(self.headrooms) + self.spacing * (self.rows - 1),
        )

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Where each panel lies."""
        across, along = _alignment(self.align)
        spots = []
        for n, (width, height) in enumerate(self.sizes):
            left, top, wide, high = self._place(n)
            spots.append(Spot(left + (wide - width) * along // 2, top + (high - height) * across // 2, width, height))
        return tuple(spots)

    @property
    def heads(self) -> tuple[Spot, ...]:
        """Where each heading lies: on its panel, flush with its left side unless that leads out of the column."""
        heads = []
        for n, ((width, height), spot) in enumerate(zip(self.headings, self.spots, strict=True)):
            left, _, wide, _ = self._place(n)
            heads.append(Spot(max(left, min(spot.left, left + wide - width)), spot.top - height, width, height))
        return tuple(heads)

    def _longest(self, axis: int, count: int) -> tuple[int, ...]:
        longest = [0] * count
        given = (*enumerate(self.sizes), *(enumerate(self.headings) if axis == 0 else ()))
        for n, lengths in given:
            at = self._cell(n)[axis]
            longest[at] = max(longest[at], lengths[axis])
        return tuple(longest)

    def _cell(self, n: int) -> tuple[int, int]:
        """Give column and row of a panel."""
        if self.direction == "horizontal":
            return n % self.columns, n // self.columns
        return n // self.rows, n % self.rows

    def _place(self, n: int) -> tuple[int, int, int, int]:
        """Give left, top, width and height of a panel's place."""
        column, row = self._cell(n)
        left = sum(self.widths[:column]) + self.spacing * column
        top = sum(self.heights[:row]) + sum(self.headrooms[: row + 1]) + self.spacing * row
        return left, top, self.widths[column], self.heights[row]


def panel_letters(letters: Any, count: int) -> tuple[str, ...]:
    """Give the letters of panels.

    Parameters
    ----------
    letters : bool, str or sequence of str
        True or "A" for A, B, C, …; "a", "(a)", "A.", "1)" and the like for small letters, numbers, and with what stands
        around them; after Z comes AA. False for none. Or the letters themselves.
    count : int
        How many.

    Returns
    -------
    tuple of str
        One for each panel, empty where there is none.

    Raises
    ------
    ArgumentError
        If these are no letters, or too few.

    Examples
    --------
    >>> panel_letters("(a)", 3), panel_letters(["i", "ii"], 2)
    (('(a)', '(b)', '(c)'), ('i', 'ii'))
    """
    if letters is None or letters is False:
        return ("",) * count
    if not isinstance(letters, (str, bool)):
        given = tuple("" if one is None else str(one) for one in letters)
        if len(given) != count:
            raise ArgumentError(f"{count} images need as many letters; got {len(given)}")
        return given
    match = _LETTERS.fullmatch(letters if isinstance(letters, str) else "A")
    if match is None:
        raise ArgumentError(f"letters must be such as 'A', 'a', '(a)' or '1', or a list of them; got {letters!r}")
    before, kind, after = match.groups()
    return tuple(f"{before}{_numeral(n, kind)}{after}" for n in range(count))


def _numeral(n: int, kind: str) -> str:
    if kind == "1":
        return str(n + 1)
    letters = ""
    n += 1
    while n:
        n, digit = divmod(n - 1, 26)
        letters = chr(ord(kind) + digit) + letters
    return letters


def _alignment(align: Any) -> tuple[int, int]:
    """Give the share of what is left over above a panel, and to its left, in halves."""
    words = align.split() if isinstance(align, str) else []
    if words == ["middle"]:
        return 1, 1
    if len(words) == 2 and words[0] in _VERTICAL and words[1] in _HORIZONTAL:
        return _VERTICAL.index(words[0]), _HORIZONTAL.index(words[1])
    raise ArgumentError(f"align must be such as 'upper left', 'lower middle' or 'middle'; got {align!r}")


def _whole(value: Any, least: int, wanted: str) -> int:
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole != value or whole < least:
        raise ArgumentError(f"{wanted}; got {value!r}")
    return whole
