"""How layers look: the options of a picture as a viewer has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..painting.color import hex_colors, rgb_bytes
from ..painting.options import COLORING
from ..painting.shared import color_table, shades_of
from ..painting.style import ALPHA, inks_for
from .shading import held_by

__all__ = ["Look", "look_of"]

_INKING = (*COLORING, "highlight", "rest")
_IN_SHARES = ("uint8", "uint16")  # of which a shader counts shares without loss
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
    faint : float
        `notSelectedAlpha`.
    chosen : tuple of int or None
        The ids to select, where others are fainter; None where one opacity is for all.
    contrast : tuple of float or None
        What is black and what is white, in values of the imagery.
    relative : bool
        Whether in shares of what its dtype holds: viewers take whole values alone of integers.
    gamma : float
        The power that grey is raised to.
    rgb : bool
        Whether three channels are red, green and blue.
    """

    colors: Mapping[int, str] = field(default_factory=dict)
    default_color: str | None = None
    color_seed: int = 0
    alpha: float = _AREAS
    faint: float = 0.0
    chosen: tuple[int, ...] | None = None
    contrast: tuple[float, float] | None = None
    relative: bool = False
    gamma: float = 1.0
    rgb: bool = False


def look_of(options: Mapping[str, Any], ids: Sequence[int] = (), image: ArrayLike | None = None, axes: int = 3) -> Look:
    """Give what a viewer can show of a picture painted with some options.

    It has one opacity for the segments that are selected and one for the others, and no outlines.

    Parameters
    ----------
    options : mapping
        As for `Cutout.overlay`.
    ids : sequence of int
        The ids in the picture.
    image : array_like, optional
        The imagery in it, from which its contrast follows where no option says it.
    axes : int
        How many axes it has besides one of channels.

    Examples
    --------
    >>> look = look_of({"palette": "neuroglancer:7", "colors": {5: "red"}, "alpha": 0.4})
    >>> look.colors, look.color_seed, look.alpha
    ({5: '#ff0000'}, 7, 0.4)
    """
    rgb = image is not None and np.shape(image)[axes:] == (3,)
    contrast, relative = (None, False) if image is None else _contrast(np.asarray(image), options, rgb)
    default = options.get("default_color")
    alpha, faint, chosen = _opacities(options, ids)
    return Look(
        colors=_segment_colors(options, ids),
        default_color=None if default is None else hex_colors(rgb_bytes([default]))[0],
        color_seed=_seed(options),
        alpha=alpha,
        faint=faint,
        chosen=chosen,
        contrast=contrast,
        relative=relative,
        gamma=float(options.get("gamma") or 1),
        rgb=rgb,
    )


def _contrast(image: NDArray[Any], options: Mapping[str, Any], rgb: bool) -> tuple[tuple[float, float] | None, bool]:
    """Give what is black and white, None where a viewer takes the same, and whether in shares of what is held."""
    shades = shades_of(image, options)
    ends = shades.low, shades.high
    if ends == (0, 255) and image.dtype == "uint8" and options.get("display_range") is None:
        return None, False
    if not rgb and (image.dtype.name not in _IN_SHARES or all(end.is_integer() for end in ends)):
        return ends, False
    _, most = held_by(image.dtype)
    return (ends[0] / most, ends[1] / most), True


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


def _opacities(options: Mapping[str, Any], ids: Sequence[int]) -> tuple[float, float, tuple[int, ...] | None]:
    """Give the opacity of areas, that of fainter ones, and which are not; where ids have many, the highest."""
    given = options.get("fill") if options.get("outline") else options.get("alpha", ALPHA)
    if given is None:
        return _AREAS, 0.0, None
    if not isinstance(given, Mapping):
        return float(given), 0.0, None
    each = {i: float(given.get(i, ALPHA)) for i in ids} or {0: float(max(given.values(), default=ALPHA))}
    found = sorted(set(each.values()))
    if len(found) != 2:
        return found[-1], 0.0, None
    return found[1], found[0], tuple(i for i, alpha in each.items() if alpha == found[1])
