"""The options of pictures by name: which belong together, which a cutout has of its own, which take others' place."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

__all__ = ["COLORING", "INKING", "PAINTED", "SHADING", "check_names", "options_over", "unindexed"]

COLORING = ("colors", "palette", "h", "l", "s", "default_color")  # options that give colours
INKING = (*COLORING, "alpha", "outline", "fill", "highlight", "rest")  # and what each id is painted with
SHADING = ("display_range", "percentiles", "gamma")
# of cutouts, unless they say otherwise: dense segmentations have no outline around all of them, so each has its own
PAINTED: Mapping[str, Any] = {"palette": "steady", "merge_outline": False, "side": "in", "width": 2}
_OF_LINES, _OF_AREAS = 0.8, 0.3  # opacity
_WIDTHS = ("width", "width_nm")
_BY_ID = ("colors", "alpha", "fill")


def unindexed(values: Any) -> Any:
    """Give a pandas Series as a mapping from its index, or as a list where that just counts; all else as it is.

    Examples
    --------
    >>> import pandas as pd
    >>> unindexed(pd.Series(["red", "blue"], index=[5, 7])), unindexed(pd.Series(["red", "blue"]))
    ({5: 'red', 7: 'blue'}, ['red', 'blue'])
    """
    if isinstance(values, Mapping) or not (hasattr(values, "index") and hasattr(values, "to_dict")):
        return values
    return values.tolist() if type(values.index).__name__ == "RangeIndex" else values.to_dict()


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse options that a picture does not have, as Python refuses arguments: with a TypeError, and what is near.

    Examples
    --------
    >>> check_names(["colour"], ["alpha", "colors"])
    Traceback (most recent call last):
    TypeError: a picture has no option 'colour'; near it: colors
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), 3)
            raise TypeError(f"a picture has no option {name!r}" + (f"; near it: {', '.join(close)}" if close else ""))


def options_over(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give options of a picture, and in their place those given; a palette takes the place of colours, too.

    Where nothing says how opaque areas and outlines are, areas let see what is below, and outlines are strong, also
    after a picture of the other kind.

    Examples
    --------
    >>> options_over({"colors": {5: "red"}, "alpha": 0.5}, {"palette": "tab10"})
    {'alpha': 0.5, 'palette': 'tab10'}
    >>> options_over({"palette": "steady"}, {"colors": {5: "red"}})  # the others keep their palette
    {'palette': 'steady', 'colors': {5: 'red'}, 'alpha': 0.3}
    """
    gone: set[str] = set()
    if any(name in given for name in COLORING):
        gone |= {"colors", "default_color"}
    for alike in (SHADING, _WIDTHS):
        if any(name in given for name in alike):
            gone |= set(alike)
    options = {name: value for name, value in own.items() if name not in gone} | dict(given)
    for name in _BY_ID:
        if name in given:
            options[name] = unindexed(given[name])
    alphas = (_OF_LINES, _OF_AREAS) if options.get("outline") else (_OF_AREAS, _OF_LINES)
    other_kind = bool(options.get("outline")) != bool(own.get("outline"))
    if "alpha" not in options or (other_kind and "alpha" not in given and options["alpha"] in alphas):
        options["alpha"] = alphas[0]
    return options
