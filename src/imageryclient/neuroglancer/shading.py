"""How a viewer shows imagery: what is black and what is white, by a layer's shader and the controls of it.

Neuroglancer's own control, `invlerp`, has a range of values, of which the state says no more than what differs from the
shader's, and the shader no more than what differs from all that the dtype holds. CAVE's older shader has two sliders
from 0 to 1, `black` and `white`, which count shares of what the dtype holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .fields import mapping_of, number_of, numbers_of

__all__ = ["SHADER", "SLIDERS", "SLIDERS_RGB", "Shading", "held_by", "shading_of"]

SHADER = "#uicontrol invlerp normalized\nvoid main() {{ emitGrayscale(pow(normalized(), {gamma!r})); }}\n"
_RESCALE = (
    "#uicontrol float black slider(min=0, max=1, default=0.0)\n"
    "#uicontrol float white slider(min=0, max=1, default=1.0)\n"
    "float rescale(float value) {{ return clamp((value - black) / (white - black), 0.0, 1.0); }}\n"
)
SLIDERS = _RESCALE + "void main() {{ emitGrayscale(pow(rescale(toNormalized(getDataValue())), {gamma!r})); }}\n"
SLIDERS_RGB = (
    _RESCALE + "float shade(int c) {{ return pow(rescale(toNormalized(getDataValue(c))), {gamma!r}); }}\n"
    "void main() {{ emitRGB(vec3(shade(0), shade(1), shade(2))); }}\n"
)
_STEP = 1e-6  # between black and white, where a range has no width
_POWER = re.compile(
    r"pow\(\s*(?:normalized\(\)|rescale\(toNormalized\(getDataValue\(c?\)\)\))"
    r"\s*,\s*([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*\)"
)
_INVLERP = re.compile(r"^[ \t]*#uicontrol\s+invlerp\s+(\w+)[ \t]*(?:\(([^)\n]*)\))?", re.MULTILINE)
_RANGE = re.compile(r"range\s*=\s*\[([^\]]*)\]")
_SLIDER = r"^[ \t]*#uicontrol\s+float\s+{name}\s+slider\(([^)\n]*)\)"


@dataclass(frozen=True, slots=True)
class Shading:
    """What is black and what is white.

    Parameters
    ----------
    contrast : tuple of float or None
        The values; the first exceeds the second where a picture is inverted. None for all that the dtype holds.
    relative : bool
        Whether they count shares, from 0 to 1, of what the dtype holds.
    gamma : float
        The power that grey is raised to.
    rgb : bool
        Whether three channels are shown as red, green and blue.
    """

    contrast: tuple[float, float] | None = None
    relative: bool = False
    gamma: float = 1.0
    rgb: bool = False


def shading_of(layer: Mapping[str, Any], where: str) -> Shading:
    """Read the shading of a layer.

    Raises
    ------
    ArgumentError
        If a control is not what it should be; the message names the field.

    Examples
    --------
    >>> shading_of({"shaderControls": {"normalized": {"range": [200, 50]}}}, "layers[0]").contrast
    (200.0, 50.0)
    >>> shading_of({"shader": "#uicontrol invlerp normalized(range=[20, 90])"}, "layers[0]").contrast
    (20.0, 90.0)
    """
    shader = layer.get("shader")
    shader = shader if isinstance(shader, str) else ""
    controls = mapping_of(layer.get("shaderControls"), f"{where}.shaderControls")
    power = _POWER.search(shader)
    gamma = float(power[1]) if power and 0 < float(power[1]) < float("inf") else 1.0
    sliders = _sliders(shader, controls, f"{where}.shaderControls")
    if sliders is not None:
        return Shading(sliders, relative=True, gamma=gamma, rgb="emitRGB(vec3(shade(0)" in shader)
    declared = dict(_INVLERP.findall(shader))
    named = dict.fromkeys(declared) or dict.fromkeys(["normalized", *controls])
    for name in named:
        control, field = controls.get(name), f"{where}.shaderControls.{name}.range"
        span = control.get("range") if isinstance(control, Mapping) else control
        if isinstance(control, Mapping) and span is not None:
            return Shading(_apart(numbers_of(span, field, 2)), gamma=gamma)
        if isinstance(span, (list, tuple)) and len(span) == 2 and all(isinstance(v, (int, float)) for v in span):
            return Shading(_apart(numbers_of(span, field, 2)), gamma=gamma)
        said = _RANGE.search(declared.get(name, ""))
        if said is not None:
            return Shading(_apart(numbers_of(said[1].split(","), f"{where}.shader", 2)), gamma=gamma)
    return Shading(gamma=gamma)


def held_by(dtype: DTypeLike) -> tuple[float, float]:
    """Give what viewers take for black and white in imagery of a dtype where nothing says it.

    Examples
    --------
    >>> held_by("uint16"), held_by("float32")
    ((0.0, 65535.0), (0.0, 1.0))
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        return 0.0, 1.0
    return float(np.iinfo(kind).min), float(np.iinfo(kind).max)


def _sliders(shader: str, controls: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    """Give black and white of the shader that has sliders for them; None for other shaders."""
    if "(white - black)" not in shader or "toNormalized(getDataValue(" not in shader:
        return None
    ends = []
    for name, default in (("black", 0.0), ("white", 1.0)):
        slider = re.search(_SLIDER.format(name=name), shader, re.MULTILINE)
        if slider is None or not re.search(r"max\s*=\s*1(?:\.0*)?\s*(?:,|$)", slider[1]):
            return None
        said = re.search(r"default\s*=\s*([-+.0-9eE]+)", slider[1])
        given = controls.get(name)
        given = (said[1] if said else default) if given is None else given
        ends.append(number_of(given, f"{where}.{name}"))
    black, white = ends
    if black < white or "if (val < black)" not in shader:
        return _apart(ends)
    return black - _STEP, black  # that one does not invert, but parts at black


def _apart(ends: list[float]) -> tuple[float, float]:
    """Give the ends of a range; of one value, which is black, with what is white just beyond it."""
    low, high = ends
    if low != high:
        return low, high
    return low, low + (0.5 if low.is_integer() else _STEP * abs(low))
