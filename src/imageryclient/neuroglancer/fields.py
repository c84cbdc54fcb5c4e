"""The fields of a state: what a value must be, and an error that names the field where it is something else."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..errors import ArgumentError
from ..section import UNTURNED, Quaternion

__all__ = ["color_of", "id_of", "length_of", "list_of", "mapping_of", "number_of", "numbers_of", "quaternion_of"]

_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0, "d": -1, "c": -2,
    "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_METRES = {f"{prefix}m": 10.0**power for prefix, power in _PREFIXES.items()} | {"Å": 1e-10, "angstrom": 1e-10}
_MOST = 1e30  # of any number: what exceeds it is broken, and overflows where it is multiplied
_LONGEST_ID = 40  # digits, with zeros before them
_COLOR = re.compile(r"(rgb|hsl)a?\(([^()]*)\)")


def number_of(value: Any, name: str, low: float = -_MOST, high: float = _MOST) -> float:
    """Read a number from `low` to `high`, also as text, as a viewer does."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"the state's '{name}' must be a number; it is {_said(value)}")
    if not low <= number <= high:
        raise ArgumentError(f"the state's '{name}' must be from {low:.12g} to {high:.12g}; it is {number:.12g}")
    return number


def numbers_of(value: Any, name: str, count: int | None = None) -> list[float]:
    """Read a list of numbers, of so many if that is said."""
    if not isinstance(value, (list, tuple)) or (count is not None and len(value) != count):
        many = "" if count is None else f" {count}"
        raise ArgumentError(f"the state's '{name}' must be a list of{many} numbers; it is {_said(value)}")
    return [number_of(item, name) for item in value]


def list_of(value: Any, name: str) -> list[Any]:
    """Read a list; none there is an empty one."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise ArgumentError(f"the state's '{name}' must be a list; it is {_said(value)}")
    return list(value)


def mapping_of(value: Any, name: str) -> Mapping[str, Any]:
    """Read an object; none there is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ArgumentError(f"the state's '{name}' must be an object; it is {_said(value)}")
    return value


def length_of(value: Any, name: str) -> float:
    """Read a length such as [4e-9, "m"], with any prefix of the SI, in nm."""
    unit = value[1] if isinstance(value, (list, tuple)) and len(value) == 2 else None
    if isinstance(unit, str) and unit in _METRES:
        size = number_of(value[0], name) * _METRES[unit] * 1e9
        if size >= 1 / _MOST:
            return float(f"{size:.12g}")  # 4e-9 m is 4 nm and not 4.000000000000001
    raise ArgumentError(f"the state's '{name}' must be a length such as [4e-9, \"m\"]; it is {_said(value)}")


def quaternion_of(value: Any, name: str) -> Quaternion:
    """Read a rotation, of length 1; none there is none."""
    if value is None:
        return UNTURNED
    x, y, z, w = numbers_of(value, name, 4)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if length == 0:
        raise ArgumentError(f"the state's '{name}' must be a rotation, a quaternion x, y, z, w; it is {_said(value)}")
    if abs(length - 1) < 1e-12:  # as a link of ours has it, which should give back its numbers
        return x, y, z, w
    return x / length, y / length, z / length, w / length


def id_of(value: Any, name: str) -> int:
    """Read an id of 64 bits, from its digits."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID and int(text) < 2**64:
        return int(text)
    raise ArgumentError(f"the state's '{name}' must hold ids of 64 bits; it names {_said(value)}")


def color_of(value: Any, name: str) -> str:
    """Read a colour as CSS writes them; an opacity in it is left out, as viewers do."""
    from ..painting.color import rgb_bytes

    text = value.strip() if isinstance(value, str) else ""
    functional = _COLOR.fullmatch(text.lower())
    if functional is not None:
        parts = re.split(r"[\s,/]+", functional[2].strip())
        text = f"{functional[1]}({', '.join(parts[:3])})"
    try:
        if text:
            rgb_bytes([text])
            return text
    except ArgumentError:
        pass
    raise ArgumentError(f"the state's '{name}' must be a colour such as \"#ff8000\"; it is {_said(value)}")


def _said(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # of numbers with thousands of digits, and of what is very deep
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
