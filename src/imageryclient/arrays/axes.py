"""What arrays say of their axes: names, and where their voxels lie.

No package of arrays is known by name here; three ways of saying it are:

- `dims`, `coords` with `units` in their `attrs`, as xarray has them: the axes by name, and where their voxels lie;
- `domain` and `dimension_units`, as TensorStore has them: labels, the number of the first voxel, its size;
- `metadata.dimension_names`, as Zarr 3 has them: the axes by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError

__all__ = ["Axis", "AxisRoles", "axis_names", "axis_roles", "index_origin", "read_axis"]

AxisRoles = tuple[int | None, int | None, int | None, int | None]

_CHANNELS = ("c", "channel", "channels", "band", "rgb")
_NM = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3,
    "micrometer": 1e3, "micrometre": 1e3, "mm": 1e6, "millimeter": 1e6, "millimetre": 1e6, "m": 1e9, "meter": 1e9,
    "metre": 1e9, "angstrom": 0.1, "å": 0.1, "pm": 1e-3, "picometer": 1e-3, "picometre": 1e-3,
}  # fmt: skip
_UNEVEN = 0.01  # of a voxel, by which a coordinate may be off


@dataclass(frozen=True, slots=True)
class Axis:
    """What an array says of one of its axes; None where it says nothing.

    Parameters
    ----------
    name : str
        x, y or z.
    size : int
        Voxels.
    spacing : float or None
        nm per voxel.
    first : int or None
        The number of the first voxel, counted from 0 nm.
    """

    name: str
    size: int
    spacing: float | None = None
    first: int | None = None


def axis_names(array: Any, ndim: int) -> tuple[str, ...]:
    """Give the names of the axes, empty ones where it has none."""
    domain, metadata = getattr(array, "domain", None), getattr(array, "metadata", None)
    for names in (
        getattr(array, "dims", None),
        getattr(domain, "labels", None),
        getattr(metadata, "dimension_names", None),
    ):
        if isinstance(names, (tuple, list)) and len(names) == ndim:
            listed = tuple("" if name is None else str(name) for name in names)
            if any(listed) and not all(name.startswith("dim_") for name in listed):  # as xarray names the nameless
                return listed
    return ("",) * ndim


def axis_roles(names: Sequence[str], shape: Sequence[int]) -> AxisRoles:
    """Find x, y, z and the channels among the axes."""
    if not any(names):
        if len(shape) not in (2, 3, 4):
            raise ArgumentError(f"an array needs axes (x, y), (x, y, z) or (x, y, z, c); got shape {tuple(shape)}")
        x, y, z, c = (axis if axis < len(shape) else None for axis in range(4))
        return x, y, z, c
    places: list[int | None] = [None] * 4
    for axis, name in enumerate(names):
        low = name.lower()
        role = "xyz".find(low) if len(low) == 1 else -1
        role = 3 if low in _CHANNELS else role
        if role < 0 or places[role] is not None:
            raise ArgumentError(f"the axes must be named x, y, z and, for channels, c; these are {', '.join(names)}")
        places[role] = axis
    if places[0] is None or places[1] is None:
        raise ArgumentError(f"an array needs an axis x and an axis y; its axes are {', '.join(names)}")
    return places[0], places[1], places[2], places[3]


def read_axis(array: Any, role: str, name: str, at: int | None, size: int, given: float | None) -> Axis:
    """Read what an array says of one of the axes x, y and z.

    Parameters
    ----------
    array : array
        The array.
    role, name : str
        x, y or z, and what the array calls it.
    at : int or None
        Where it is among the axes; None for one that a section lacks, of which xarray keeps the coordinate.
    size : int
        Voxels.
    given : float or None
        nm per voxel, from elsewhere: a single coordinate does not tell it.

    Raises
    ------
    ArgumentError
        If its coordinates make no grid.
    """
    coords = getattr(array, "coords", None)
    if name and coords is not None and name in coords:
        return _from_coordinate(coords[name], role, size, given)
    if at is None:
        return Axis(role, size)
    origin = index_origin(array, at)
    units = getattr(array, "dimension_units", None)
    unit = units[at] if isinstance(units, (tuple, list)) and len(units) > at else None
    known = _NM.get(str(getattr(unit, "base_unit", "")).lower())
    spacing = None if unit is None or known is None else _simple(float(unit.multiplier) * known)
    anywhere = any(int(n) for n in getattr(getattr(array, "domain", None), "origin", ()))
    return Axis(role, size, spacing, origin if anywhere else None)


def index_origin(array: Any, at: int) -> int:
    """Give the index of the first element along an axis, 0 but for TensorStore."""
    origin = getattr(getattr(array, "domain", None), "origin", None)
    return 0 if origin is None else int(origin[at])


def _from_coordinate(coordinate: Any, role: str, size: int, given: float | None) -> Axis:
    """Read where the voxels along an axis lie from the coordinates of their centres, or of their lower edges."""
    try:
        values = np.asarray(coordinate, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise ArgumentError(f"its coordinates along {role} are not numbers") from None
    units = str(getattr(coordinate, "attrs", {}).get("units", "")).strip().lower()
    if not units:
        number = round(float(values[0]))
        if not np.array_equal(values, number + np.arange(size)):
            raise ArgumentError(
                f"its coordinates along {role} have no units: set coords[{role!r}].attrs['units'] = 'nm', or drop them"
            )
        return Axis(role, size, None, number)
    known = _NM.get(units, _NM.get(units.removesuffix("s")))
    if known is None:
        raise ArgumentError(f"its coordinates along {role} are in {units!r}; nm, um, mm and m are understood")
    values = values * known
    spacing = given if size == 1 else _simple(float(values[-1] - values[0]) / (size - 1))
    if spacing is None:
        raise ArgumentError(f"it has one coordinate along {role}, so its resolution is unknown: give resolution=")
    if not spacing > 0 or np.abs(values - values[0] - spacing * np.arange(size)).max() > _UNEVEN * spacing:
        raise ArgumentError(f"its coordinates along {role} must rise in even steps")
    edge = float(values[0]) / spacing
    for first in (edge - 0.5, edge):
        if abs(first - round(first)) <= _UNEVEN:
            return Axis(role, size, spacing if size > 1 else None, round(first))
    raise ArgumentError(
        f"its first coordinate along {role}, {values[0]:g} nm, is neither the centre nor the lower edge of a voxel of "
        f"{spacing:g} nm counted from 0"
    )


def _simple(value: float) -> float:
    """Give the number with the fewest digits that is the same to a millionth."""
    for digits in range(12):
        rounded = round(value, digits)
        if abs(rounded - value) <= 1e-6 * abs(value):
            return rounded
    return value
