"""How layers look: the options of a picture as a viewer has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from ..painting.color import hex_colors, rgb_bytes
from ..painting.options import COLORING
from ..painting.shared import color_table, shades_of
from ..painting.style import ALPHA, inks_for

__all__ = ["Look", "look_of"]

_INKING = (*COLORING, "highlight", "rest")
_PALETTE = "neuroglancer"
_AREAS = 0.5  # the viewer's own opacity, for what it cannot show, such as outlines alone


@dataclass(frozen=True, slots=True)
class Look:
    """How a viewer shows imagery and segments; by default in its own way.

    Parameters
    ----------
    colors : mapping of int to str
        `segmentColors`.
    default_color : str or None
        `segmentDefaultColor`.
    color_seed : int
        `colorSeed`.
    alpha : float
        `selectedAlpha`.
    contrast : tuple of float or None
        What is black and what is white, in values of the imagery.
    gamma : float
        The power that grey is raised to.
    """

    colors: Mapping[int, str] = field(default_factory=dict)
    default_color: str | None = None
    color_seed: int = 0
    alpha: float = _AREAS
    contrast: tuple[float, float] | None = None
    gamma: float = 1.0


def look_of(options: Mapping[str, Any], ids: Sequence[int] = (), image: ArrayLike | None = None) -> Look:
    """Give what a viewer can show of a picture painted with some options.

    It has one opacity for all segments, and no outlines.

    Parameters
    ----------
    options : mapping
        As for `Cutout.overlay`.
    ids : sequence of int
        The ids in the picture.
    image : array_like, optional
        The imagery in it, from which its contrast follows where no option says it.

    Examples
    --------
    >>> look_of({"palette": "neuroglancer:7", "colors": {5: "red"}, "alpha": 0.4})
    Look(colors={5: '#ff0000'}, default_color=None, color_seed=7, alpha=0.4, contrast=None, gamma=1.0)
    """
    contrast, gamma = None, float(options.get("gamma") or 1)
    if image is not None:
        shades = shades_of(image, options)
        plain = (shades.low, shades.high) == (0, 255) and getattr(image, "dtype", None) == "uint8"
        contrast = None if plain and options.get("display_range") is None else (shades.low, shades.high)
    default = options.get("default_color")
    return Look(
        colors=_segment_colors(options, ids),
        default_color=None if default is None else hex_colors(rgb_bytes([default]))[0],
        color_seed=_seed(options),
        alpha=_opacity(options),
        contrast=contrast,
        gamma=gamma,
    )


def _segment_colors(options: Mapping[str, Any], ids: Sequence[int]) -> dict[int, str]:
    own = options.get("colors")
    if options.get("highlight") is not None:  # the others are grey
        inks = inks_for(ids, **{name: options[name] for name in _INKING if name in options})
        return dict(zip(ids, hex_colors(inks.line[:, :3]), strict=True))
    if isinstance(own, Mapping):
        named = {int(key): color for key, color in own.items()}
        colors = dict(zip(named, hex_colors(rgb_bytes(list(named.values()))), strict=True))
        others = [i for i in ids if i not in colors]
        if others and "palette" in options and not _is_viewers(options) and options.get("default_color") is None:
            colors |= color_table(others, {**options, "colors": {}})
        return colors
    if own is None and (_is_viewers(options) or options.get("default_color") is not None):
        return {}
    return color_table(ids, options)


def _is_viewers(options: Mapping[str, Any]) -> bool:
    palette = options.get("palette")
    return isinstance(palette, str) and palette.partition(":")[0] == _PALETTE


def _seed(options: Mapping[str, Any]) -> int:
    return int(options["palette"].partition(":")[2] or 0) if _is_viewers(options) else 0


def _opacity(options: Mapping[str, Any]) -> float:
    """Give the opacity of areas; where ids have one each, the highest."""
    outlined = bool(options.get("outline"))
    given = options.get("fill") if outlined else options.get("alpha", ALPHA)
    if given is None:
        return _AREAS
    return float(max(given.values(), default=ALPHA) if isinstance(given, Mapping) else given)
