"""Options that paint a part of something with the colours and the contrast of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .color import hex_colors
from .display import Shades
from .options import COLORING, SHADING
from .style import among, colors_for

__all__ = ["color_table", "painted_colors", "shades_of", "shared_options"]


def shared_options(image: ArrayLike | None, ids: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options that paint any part with the colours and the contrast of the whole.

    Parameters
    ----------
    image : array_like or None
        The imagery of the whole.
    ids : sequence of int
        The ids in the whole.
    options : mapping
        As for `composite_overlay`.

    Returns
    -------
    dict
        The same options, with `colors` for each id in place of palettes, and a `display_range` in place of percentiles.

    Examples
    --------
    >>> import numpy as np
    >>> shared_options(np.array([0.0, 4.0]), [7, 9], {"colors": ["red", "blue"], "percentiles": (0, 50), "alpha": 0.5})
    {'alpha': 0.5, 'colors': {7: '#ff0000', 9: '#0000ff'}, 'display_range': (0.0, 2.0)}
    """
    shared = {name: value for name, value in options.items() if name not in (*COLORING, *SHADING)}
    shading = {name: options[name] for name in SHADING if name in options}
    if ids:
        shared["colors"] = color_table(ids, options)
    if image is not None:
        shades = shades_of(image, options)
        if shades.low == shades.high:  # of one value: any part finds the same
            return shared | shading
        shared |= {name: value for name, value in shading.items() if name == "gamma"}
        shared["display_range"] = (shades.low, shades.high)
    return shared


def color_table(ids: Sequence[int], options: Mapping[str, Any]) -> dict[int, str]:
    """Give the colour of each id by the options of a picture, before any is highlighted.

    Examples
    --------
    >>> color_table([5, 7], {"palette": ["red", "#0000ff"]})
    {5: '#ff0000', 7: '#0000ff'}
    """
    return dict(zip(ids, hex_colors(_colors(ids, options)), strict=True))


def shades_of(image: ArrayLike, options: Mapping[str, Any]) -> Shades:
    """Give what is black and what white in imagery, by the options of a picture."""
    return Shades.of(image, **{name: options[name] for name in SHADING if options.get(name) is not None})


def painted_colors(ids: Sequence[int], options: Mapping[str, Any]) -> dict[int, tuple[int, int, int]]:
    """Give the colour, (r, g, b) from 0 to 255, that each id is painted in; where some are highlighted, of them alone.

    Examples
    --------
    >>> painted_colors([7, 9], {"colors": ["red", "blue"], "highlight": 7})
    {7: (255, 0, 0)}
    """
    rgb = _colors(ids, options).tolist()
    chosen = options.get("highlight")
    seen = [True] * len(ids) if chosen is None else among(ids, chosen).tolist()
    return {key: (r, g, b) for key, (r, g, b), kept in zip(ids, rgb, seen, strict=True) if kept}


def _colors(ids: Sequence[int], options: Mapping[str, Any]) -> NDArray[np.uint8]:
    return colors_for(ids, **{name: options[name] for name in COLORING if name in options})
