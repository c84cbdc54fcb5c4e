"""The options of pictures by name: which belong together, which a cutout has of its own, which take others' place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["COLORING", "INKING", "PAINTED", "SHADING", "options_over"]

COLORING = ("colors", "palette", "h", "l", "s", "default_color")  # options that give colours
INKING = (*COLORING, "alpha", "outline", "fill", "highlight", "rest")  # and what each id is painted with
SHADING = ("display_range", "percentiles", "gamma")
# of cutouts, unless they say otherwise: dense segmentations have no outline around all of them, so each has its own
PAINTED: Mapping[str, Any] = {"palette": "steady", "merge_outline": False, "side": "in", "width": 2}
_OF_LINES = 0.8  # opacity
_WIDTHS = ("width", "width_nm")


def options_over(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give options of a picture, and in their place those given; a palette takes the place of colours, too.

    Outlines are strong unless something says how opaque they are.

    Examples
    --------
    >>> options_over({"colors": {5: "red"}, "alpha": 0.5}, {"palette": "tab10"})
    {'alpha': 0.5, 'palette': 'tab10'}
    >>> options_over({"palette": "steady"}, {"colors": {5: "red"}})  # the others keep their palette
    {'palette': 'steady', 'colors': {5: 'red'}}
    """
    gone: set[str] = set()
    if any(name in given for name in COLORING):
        gone |= {"colors", "default_color"}
    for alike in (SHADING, _WIDTHS):
        if any(name in given for name in alike):
            gone |= set(alike)
    options = {name: value for name, value in own.items() if name not in gone} | dict(given)
    if options.get("outline") and "alpha" not in options:
        options["alpha"] = _OF_LINES
    return options
