"""Figures of vectors made of several, arranged and lettered as `figure` does it with pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import ArgumentError
from .figure import Arrangement
from .primitives import Ink
from .vector import Page, Panel, VectorFigure, scaled

__all__ = ["stack_figures"]


def stack_figures(
    figures: Iterable[VectorFigure | None],
    arrangement: Arrangement | None = None,
    *,
    names: Sequence[str] | None = None,
    zoom: float | Sequence[float] = 1.0,
) -> VectorFigure:
    """Put figures of vectors side by side, one below the other, or in rows and columns, as one figure.

    Parameters
    ----------
    figures : iterable of VectorFigure
        What to put together, None for an empty place. The page is as large as it is at the scale of the first.
    arrangement : Arrangement, optional
        How they lie; by default in one row.
    names : sequence of str, optional
        Of their groups; by default "panel-1" and so on.
    zoom : float or sequence of float
        How many pixels of a picture one of the figures' is wide, of all or of each: spacing and letters count such
        pixels, as in a picture of the same arrangement.

    Returns
    -------
    VectorFigure
        With a panel for each, and the letters and titles as a group "letters".

    Raises
    ------
    ArgumentError
        If there are no figures, or an argument makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from imageryclient.painting.vector import vector_figures
    >>> (part,) = vector_figures(np.zeros((40, 30, 1), np.uint8), None, (8.0, 8.0, 40.0))
    >>> both = stack_figures([part, part], Arrangement(spacing=5), names=["before", "after"])
    >>> both.page.size, [(panel.name, panel.left) for panel in both.panels]
    ((85.0, 30.0), [('before', 0.0), ('after', 45.0)])
    """
    parts = list(figures)
    zooms = list(zoom) if isinstance(zoom, Sequence) else [zoom] * len(parts)
    first, unit = next((pair for pair in zip(parts, zooms, strict=True) if pair[0] is not None), (None, 1.0))
    if first is None:
        raise ArgumentError("a figure of panels needs at least one; got none")
    called = [f"panel-{number}" for number in range(1, len(parts) + 1)] if names is None else list(names)
    layout = (arrangement or Arrangement()).of(
        [None if part is None else _pixels(part, times) for part, times in zip(parts, zooms, strict=True)]
    )
    panels = tuple(
        Panel(name, part, spot.left / unit, spot.top / unit, times / unit)
        for name, part, times, spot in zip(called, parts, zooms, layout.panels.spots, strict=True)
        if part is not None
    )
    width, height = layout.panels.size
    red, green, blue, alpha = layout.ground
    return VectorFigure(
        Page((width / unit, height / unit), first.page.nm_per_pixel, first.page.magnification),
        Ink((red, green, blue), alpha / 255) if alpha else None,
        panels=panels,
        annotations=(scaled(layout.words, 1 / unit),) if layout.words.primitives else (),
    )


def _pixels(figure: VectorFigure, zoom: float) -> tuple[int, int]:
    """Give the size of a picture of a figure."""
    width, height = (max(1, round(length * zoom)) for length in figure.page.box[2:])
    return width, height
