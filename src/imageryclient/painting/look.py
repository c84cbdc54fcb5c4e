"""How a figure of vectors looks: all its options, with their defaults, checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from .annotations import Annotations
from .display import Contrast
from .marks import Mark, as_marks
from .options import INKING
from .primitives import Ink
from .shared import painted_colors
from .style import ALPHA, REST, Dash, LineSide, Opacity, Style, inks_for

__all__ = ["Look", "strays"]

_WIDTH = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The options of a figure.

    Parameters
    ----------
    colors, palette, h, l, s, default_color, alpha, outline, fill, highlight, rest, merge_outline, dash
        As for `composite_overlay`.
    width : float, optional
        Of outlines, in pixels of a picture. Default 10.
    width_nm : float, optional
        The same in nm, in its place.
    side : {"out", "in", "on"}, optional
        Whether outlines lie around segments, within them, or half and half, along their edge. Default "out".
    overlap : bool, optional
        As for `composite_overlay`, whose other choice, that where outlines meet the first one stays alone, is for
        pictures of pixels. Default True.
    display_range, percentiles, gamma
        As for `composite_overlay`.
    background : colour or None, optional
        What lies below all, also below imagery that is transparent. Default None, nothing.
    scale_bar, marks, labels, legend
        As for `Annotations`; a legend beside the section makes the page larger.
    zoom : float, optional
        How many pixels of a picture a voxel is wide: widths, dashes, and the sizes of annotations count such pixels, so
        that a figure of vectors looks as a picture with the same options. Default 1.
    smooth : bool, optional
        Whether paths are smoothed, within 0.64 pixels of the voxels' edges; else they follow these. Default True.
    magnification : float, optional
        Size on the page over true size. Default 10,000: 1 µm becomes 10 mm.

    Raises
    ------
    ArgumentError
        If an option is out of range.

    Examples
    --------
    >>> look = Look(outline=True, width=4, zoom=2, alpha=0.8, fill=0.2, colors=["red"])
    >>> look.style(8.0).width
    2.0
    >>> look.inks([7])
    [(Ink(color=(255, 0, 0), alpha=0.2), Ink(color=(255, 0, 0), alpha=0.8))]
    """

    colors: Any = None
    palette: Any = "husl"
    h: float = 0.01
    l: float = 0.65  # noqa: E741
    s: float = 1.0
    default_color: Any = None
    alpha: Opacity = ALPHA
    outline: bool = False
    fill: Opacity | None = None
    highlight: Any = None
    rest: float = REST
    merge_outline: bool = True
    overlap: bool = True
    width: float = _WIDTH
    width_nm: float | None = None
    side: LineSide = "out"
    dash: Any = None
    display_range: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None
    gamma: float = 1.0
    background: Any = None
    scale_bar: bool | float = False
    marks: Sequence[Mark] | Mark = ()
    labels: Any = False
    legend: Any = False
    zoom: float = 1.0
    smooth: bool = True
    magnification: float = 10_000

    def __post_init__(self) -> None:
        """Refuse what makes no sense whatever is drawn."""
        if not (math.isfinite(self.magnification) and self.magnification > 0):
            raise ArgumentError(f"magnification must be a positive number, such as 10000; got {self.magnification!r}")
        if self.width_nm is not None and self.width != _WIDTH:
            raise ArgumentError("width= and width_nm= both say how wide outlines are: give one of them")
        style = self.style(1.0)
        if style.outline and style.side != "in" and not self.overlap:
            raise ArgumentError(
                "overlap=False, where the first outline stays alone, is for pictures of pixels (.png): in a figure of "
                "vectors outlines are whole, to be moved and edited; leave it out, or use side='in'"
            )
        _ = self.contrast

    @property
    def contrast(self) -> Contrast:
        """How the imagery is shown."""
        return Contrast.checked(self.display_range, self.percentiles, self.gamma)

    def style(self, nm_per_pixel: float, stretch: tuple[float, float] = (1.0, 1.0)) -> Style:
        """Give how outlines run, in pixels of a section, of any width; for `stretch` see `Style`."""
        thin = Style.checked(
            self.outline, self.merge_outline, self.overlap,
            self.width if self.width_nm is None else self.width_nm / nm_per_pixel * self.zoom,
            self.side, smooth=True, dash=self.dash, zoom=self.zoom, background=self.background,
            stretch=stretch,
        )  # fmt: skip
        dash = None if thin.dash is None else Dash(thin.dash.drawn / self.zoom, thin.dash.left_out / self.zoom)
        return replace(thin, smooth=bool(self.smooth), width=thin.width / self.zoom, dash=dash, zoom=1.0)

    @property
    def beneath(self) -> Ink | None:
        """What the page is painted with before all."""
        color = self.style(1.0).background
        return None if color is None or not color[3] else Ink(color[:3], color[3] / 255)

    @property
    def annotations(self) -> Annotations:
        """What is written on the figure."""
        return Annotations(as_marks(self.marks), self.labels, self.legend, self.scale_bar, self.background or "white")

    def _inking(self) -> dict[str, Any]:
        """Give the options of which colours are made."""
        return {name: getattr(self, name) for name in INKING}

    def painted_colors(self, ids: list[int]) -> dict[int, tuple[int, int, int]]:
        """Give the colour that each id is painted in."""
        return painted_colors(ids, self._inking())

    def inks(self, ids: list[int]) -> list[tuple[Ink | None, Ink | None]]:
        """Give what the area and the outline of each id are painted with; None for nothing."""
        found = inks_for(ids, **self._inking())
        return list(zip(map(_ink, found.area), map(_ink, found.line), strict=True))


def strays(style: Style) -> bool:
    """Tell whether outlines lie on other segments than their own.

    Examples
    --------
    >>> [strays(Look(outline=True, side=side, merge_outline=False).style(8.0)) for side in ("in", "out", "on")]
    [False, True, True]
    """
    return style.outline and style.side != "in" and not style.merge


def _ink(rgba: NDArray[np.uint8]) -> Ink | None:
    """Read a pixel; its opacity was cut off to whole 255ths, and comes back as the hundredths that somebody wrote."""
    red, green, blue, alpha = rgba.tolist()
    return Ink((red, green, blue), min(1.0, round((alpha + 0.5) / 255, 2))) if alpha else None
