"""What annotations are made of: discs, paths and words, at places in pixels, for whatever draws them.

Places are pixels of a picture, x to the right and y down from its upper left corner; pixel (i, j) covers [i, i + 1) by
[j, j + 1). Lengths are pixels too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Anchor", "Disc", "Group", "Ink", "Path", "Primitive", "Words"]

Anchor = Literal["left", "middle", "right"]


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour, (r, g, b) from 0 to 255, and its opacity from 0 to 1."""

    color: tuple[int, int, int]
    alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Disc:
    """A disc, filled, with a line around it, or both; `width` is that of the line, which lies on the edge."""

    x: float
    y: float
    radius: float
    fill: Ink | None = None
    line: Ink | None = None
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Path:
    """Straight lines from point to point; `dash` are the lengths drawn and left out, in turn.

    Corners and ends are round, as of SVG's `stroke-linejoin="round" stroke-linecap="round"`; those of dashes are flat.
    A closed path is filled where it winds around, whichever way.
    """

    points: tuple[tuple[float, float], ...]
    closed: bool = False
    fill: Ink | None = None
    line: Ink | None = None
    width: float = 1.0
    dash: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text.

    Parameters
    ----------
    x, y : float
        Of the anchor: `y` is that of the middle of its capitals' height.
    text : str
        The text.
    size : float
        Of the font.
    ink : Ink
        Of the letters.
    anchor : {"left", "middle", "right"}
        Which part of the text lies at `x`.
    halo : Ink or None
        Of a rim around the letters, which keeps them legible on whatever lies below; a tenth of the size wide, drawn
        below them as a round stroke of twice that.
    bold : bool
        Whether the letters are bold; of the font of pictures, which has none, by being struck again beside.
    """

    x: float
    y: float
    text: str
    size: float
    ink: Ink
    anchor: Anchor = "middle"
    halo: Ink | None = None
    bold: bool = False


Primitive = Disc | Path | Words


@dataclass(frozen=True, slots=True)
class Group:
    """What belongs together, under a name: a group of an SVG, a layer of a PDF."""

    name: str
    primitives: tuple[Primitive, ...]
