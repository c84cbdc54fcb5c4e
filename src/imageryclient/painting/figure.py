"""Figures made of several pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from PIL import Image

from ..errors import ArgumentError
from .color import rgba_bytes
from .draw import draw
from .lettering import BOLD, text_width
from .panels import Align, Direction, Panels, Spot, panel_letters
from .picture import as_rgba
from .primitives import Group, Ink, Words

__all__ = ["Arranged", "Arrangement", "ground_of", "stack_images", "stacked", "title_size"]

_SHARE = 0.05  # of a panel's shorter side, for its title
_SMALLEST = 12  # pixels of a title, unless it is asked to be smaller


@dataclass(frozen=True, slots=True)
class _Lettering:
    """How letters and titles are written: the size of titles in pixels, and the colour."""

    size: float
    ink: Ink

    def extent(self, letter: str, title: str) -> tuple[int, int]:
        """Give width and height of a heading; nothing for no words."""
        if not letter and not title:
            return 0, 0
        return math.ceil(self._title_at(letter) + text_width(title, self.size)), math.ceil(1.5 * self.size)

    def heading(self, spot: Spot, letter: str, title: str) -> list[Words]:
        """Give the words of a heading on its place."""
        middle = spot.top + 0.7 * self.size
        first = Words(spot.left, middle, letter, self._bigger, self.ink, "left", bold=True)
        return [first, Words(spot.left + self._title_at(letter), middle, title, self.size, self.ink, "left")]

    def corner(self, spot: Spot, letter: str) -> list[Words]:
        """Give the words of a letter within a picture, in white with a black rim."""
        white, black = Ink((255, 255, 255)), Ink((0, 0, 0))
        x, y = spot.left + 0.5 * self.size, spot.top + self.size
        return [Words(x, y, letter, self._bigger, white, "left", halo=black, bold=True)]

    @property
    def _bigger(self) -> float:
        return 1.25 * self.size

    def _title_at(self, letter: str) -> float:
        return text_width(letter, self._bigger) + BOLD * self._bigger + 0.5 * self.size if letter else 0.0


@dataclass(frozen=True, slots=True)
class Arranged:
    """Where panels lie, what is written beside or on them, and what lies between them, (r, g, b, a) from 0 to 255."""

    panels: Panels
    words: Group
    ground: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How panels are put together: the arguments of `stack_images`, which explains them.

    Examples
    --------
    >>> both = Arrangement(letters=True).of([(30, 20), (40, 10)])
    >>> both.panels.size, both.words.primitives[0].text
    ((80, 38), 'A')
    """

    direction: Direction = "horizontal"
    spacing: int = 10
    rows: int | None = None
    columns: int | None = None
    titles: Sequence[str | None] | None = None
    letters: bool | str | Sequence[str] = False
    letters_inside: bool = False
    font_size: float | None = None
    color: Any = None
    background: Any = None
    align: Align = "upper left"

    def of(self, sizes: Sequence[tuple[int, int] | None]) -> Arranged:
        """Lay out panels of these widths and heights in pixels, None for an empty place."""
        given = [size for size in sizes if size is not None]
        if not given:
            raise ArgumentError("stack_images needs at least one image; got none")
        size = title_size(given) if self.font_size is None else self.font_size
        if not size > 0:
            raise ArgumentError(f"font_size must be a positive number of pixels; got {self.font_size!r}")
        ground = (255, 255, 255, 255) if self.background is None else ground_of(self.background)
        red, green, blue, alpha = rgba_bytes(self.color) if self.color is not None else _legible(ground)
        words = _words(sizes, self.titles, self.letters)
        lettering = _Lettering(size, Ink((red, green, blue), alpha / 255))
        above = [("" if self.letters_inside else letter, title) for letter, title in words]
        panels = Panels.arranged(
            [one or (0, 0) for one in sizes],
            self.rows,
            self.columns,
            direction=self.direction,
            spacing=self.spacing,
            align=self.align,
            headings=[lettering.extent(*pair) for pair in above],
        )
        written = [lettering.heading(head, *pair) for pair, head in zip(above, panels.heads, strict=True)]
        if self.letters_inside:
            written += [lettering.corner(spot, letter) for (letter, _), spot in zip(words, panels.spots, strict=True)]
        shown = tuple(word for one in written for word in one if word.text)
        return Arranged(panels, Group("letters", shown), ground)


def stack_images(
    images: Iterable[Any],
    direction: Direction = "horizontal",
    spacing: int = 10,
    *,
    rows: int | None = None,
    columns: int | None = None,
    titles: Sequence[str | None] | None = None,
    letters: bool | str | Sequence[str] = False,
    letters_inside: bool = False,
    font_size: float | None = None,
    color: Any = None,
    background: Any = None,
    align: Align = "upper left",
) -> Image.Image:
    """Put pictures side by side, one below the other, or in rows and columns, as one figure.

    Parameters
    ----------
    images : iterable
        Pictures, or arrays of shape (x, y[, channels]), of any sizes. None leaves a place empty, also of letters.
    direction : {"horizontal", "vertical"}, optional
        Which way they follow each other: along the rows, or down the columns. Default "horizontal".
    spacing : int, optional
        Pixels between them. Default 10.
    rows, columns : int, optional
        How many; of one alone the other follows. By default all lie in one row or, if vertical, in one column. A row is
        as high as its highest picture, a column as wide as its widest.
    titles : sequence of str, optional
        What to write above each; None or "" for nothing.
    letters : bool, str or sequence of str, optional
        Letters of the panels in bold, as journals want them: True or "A" for A, B, C, …; "a", "(a)", "1" and the like;
        or the letters themselves.
    letters_inside : bool, optional
        Whether the letters lie in the upper left corners of the pictures, with a rim; by default they lie above, before
        the title.
    font_size : float, optional
        Of the titles in pixels, and of the letters a quarter more; by default in proportion to the pictures.
    color : colour, optional
        Of titles and letters; by default black or white, whatever the background is farther from.
    background : colour, optional
        What lies between and, where they are transparent, behind the pictures; "transparent" or None in a colour's
        place gives transparency. By default white lies between them, and opacity is left out: a transparent pixel
        shows the colour it holds.
    align : str, optional
        Where a picture lies in its place if that is larger, such as "upper left" (the default), "lower middle" or
        "middle".

    Returns
    -------
    PIL.Image.Image
        RGB; RGBA where the background is transparent, even in part.

    Raises
    ------
    ArgumentError
        If there are no images, or an argument makes no sense.

    Examples
    --------
    >>> parts = [Image.new("RGBA", (30, 20), "red"), Image.new("L", (40, 10))]
    >>> stack_images(parts).size, stack_images(parts, direction="vertical", spacing=0).size
    ((80, 20), (40, 30))
    >>> stack_images(parts * 2, columns=2, letters="a", letters_inside=True).size
    (80, 50)
    """
    return stacked(
        images,
        Arrangement(
            direction, spacing, rows, columns, titles, letters, letters_inside, font_size, color, background, align
        ),
    )


def stacked(images: Iterable[Any], arrangement: Arrangement) -> Image.Image:
    """Put pictures together as one figure: `stack_images` with its arguments as one value."""
    parts = [None if image is None else as_rgba(image) for image in images]
    layout = arrangement.of([None if part is None else part.size for part in parts])
    figure = Image.new("RGBA", layout.panels.size, layout.ground)
    for part, spot in zip(parts, layout.panels.spots, strict=True):
        if part is None:
            continue
        if arrangement.background is None:
            part.putalpha(255)
        figure.alpha_composite(part, (spot.left, spot.top))
    if layout.words.primitives:
        figure = draw(figure, [layout.words])
    return figure if layout.ground[3] < 255 else figure.convert("RGB")


def title_size(sizes: Sequence[tuple[int, int]]) -> int:
    """Give the size of titles, in pixels, that suits panels of these widths and heights."""
    return max(_SMALLEST, round(_SHARE * median(map(min, sizes))))


def ground_of(background: Any) -> tuple[int, int, int, int]:
    """Read what lies between panels: a colour, or "transparent"."""
    if isinstance(background, str) and background == "transparent":
        return (255, 255, 255, 0)
    return rgba_bytes(background)


def _words(parts: Sequence[tuple[int, int] | None], titles: Any, letters: Any) -> list[tuple[str, str]]:
    """Give letter and title of each panel."""
    named = [""] * len(parts) if titles is None else ["" if title is None else str(title) for title in titles]
    if isinstance(titles, str) or len(named) != len(parts):
        raise ArgumentError(f"{len(parts)} images need as many titles, None for none; got {titles!r:.80}")
    count = sum(part is not None for part in parts)
    if isinstance(letters, (str, bool)) or letters is None:  # an empty place takes no letter
        following = iter(panel_letters(letters, count))
        lettered = ["" if part is None else next(following) for part in parts]
    else:
        lettered = list(panel_letters(letters, len(parts)))
    return list(zip(lettered, named, strict=True))


def _legible(ground: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Give black, or white on what is dark."""
    red, green, blue, alpha = ground
    dark = alpha > 127 and 0.299 * red + 0.587 * green + 0.114 * blue < 128
    return (255, 255, 255, 255) if dark else (0, 0, 0, 255)
