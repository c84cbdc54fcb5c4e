"""Points as callers give them: arrays of positions, or the position columns of CAVE tables.

A table that CAVEclient returns holds a position either in three columns, `pt_position_x`, `pt_position_y` and
`pt_position_z` (`split_positions=True`), or in one column of arrays, `pt_position`. It says in
`df.attrs["dataframe_resolution"]` what its numbers are voxels of; bare arrays do not say. pandas is not needed here:
whatever has `columns` is read as a table, whatever has `to_numpy` as a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError, BoundsError
from .geometry import TOLERANCE, Resolution, as_resolution

__all__ = ["Points", "parse_points", "stored_voxels"]

_AXES = ("_x", "_y", "_z")
_CORNERS = {"bb_start_position", "bb_end_position"}  # of a bounding box: no places in an object
_SPLIT = re.compile(r"(?P<base>.+)_x(?P<suffix>|_.+)")
_NOTHING = ("NoneType", "NAType", "NaTType")
_MIXED = "mixed_resolutions"  # what CAVEclient says of a join of tables with different resolutions
_LARGEST = 2.0**52  # beyond it a float no longer tells neighbouring voxels apart


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Places.

    Parameters
    ----------
    xyz : numpy.ndarray
        float64, shape (n, 3): x, y, z of each; NaN in rows without a position.
    resolution : tuple of float or None
        nm that the numbers count, where what they came in says so.
    """

    xyz: NDArray[np.float64]
    resolution: Resolution | None = None

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def placed(self) -> NDArray[np.bool_]:
        """Which rows have a position, shape (n,)."""
        return np.asarray(~np.isnan(self.xyz).any(axis=1))


def parse_points(value: Any, column: str | None = None, *, scaled: bool = False) -> Points:
    """Read points: (n, 3) numbers, three numbers, a table with positions, or one column of positions.

    Parameters
    ----------
    value : array_like, pandas.DataFrame or pandas.Series
        Where there is no position (None, NaN, NA), the row of the result is NaN.
    column : str, optional
        Which position of a table, such as "pre_pt_position"; needed where it has several. Those of a bounding box,
        "bb_start_position" and "bb_end_position", are taken only by name.
    scaled : bool
        Whether the caller knows the resolution, so that what the table says of it does not matter.

    Raises
    ------
    ArgumentError
        If the table has no such position, or several and none is named; or joins tables of several resolutions.
    BoundsError
        If the numbers are no points.

    Examples
    --------
    >>> parse_points([[10, 20, 3], [11, 21, 3]]).xyz.shape, parse_points([10, 20, 3]).xyz.shape
    ((2, 3), (1, 3))
    """
    if hasattr(value, "columns") and not isinstance(value, np.ndarray):
        xyz = _from_table(value, column)
    elif column is not None:
        raise ArgumentError(f"column={column!r} names a position of a table; points were given as {_kind(value)}")
    elif hasattr(value, "to_numpy"):
        xyz = _joined(value, "the column")
    else:
        xyz = _bare(value)
    if np.any(np.abs(xyz) > _LARGEST):
        wrong = int(np.flatnonzero((np.abs(xyz) > _LARGEST).any(axis=1))[0])
        raise BoundsError(f"points must be finite voxel coordinates; point {wrong} is {xyz[wrong].tolist()}")
    return Points(xyz, None if scaled else _resolution_of(getattr(value, "attrs", None)))


def stored_voxels(xyz: NDArray[np.float64], resolution: Resolution, stored: Resolution) -> NDArray[np.int64]:
    """Give the voxel of a stored grid that contains each place.

    Parameters
    ----------
    xyz : numpy.ndarray
        Shape (n, 3), in voxels of `resolution`; no NaN.
    resolution, stored : tuple of float
        nm of the numbers, and nm per voxel of the grid.

    Returns
    -------
    numpy.ndarray
        int64, shape (n, 3). A place within a millionth of a voxel below a voxel is in that voxel.

    Examples
    --------
    >>> stored_voxels(np.array([[7.0, 8.5, 2.0]]), (4.0, 4.0, 40.0), (8.0, 8.0, 40.0)).tolist()
    [[3, 4, 2]]
    """
    ratio = np.array(resolution) / np.array(stored)
    voxels: NDArray[np.int64] = np.floor(xyz * ratio + TOLERANCE).astype(np.int64)
    return voxels


def _from_table(table: Any, column: str | None) -> NDArray[np.float64]:
    names = [name for name in table.columns if isinstance(name, str)]
    split = _split_columns(names)
    joined = [name for name in names if _holds_positions(table[name])]
    found = list(dict.fromkeys([*split, *joined]))
    if column is None:
        column = _only(found, names)
    if column in joined and column in split:
        raise ArgumentError(f"the table has the position {column!r} twice: split into three columns, and joined")
    if column in joined:
        return _joined(table[column], f"column {column!r}")
    if column in split:
        return np.stack([_numbers(table[name], name) for name in split[column]], axis=1)
    if column in names:
        if not len(table[column]):
            return np.empty((0, 3))
        raise ArgumentError(f"column {column!r} of the table holds no positions (x, y, z); {_listed(found)}")
    raise ArgumentError(f"the table has no position {column!r}; {_listed(found)}")


def _split_columns(names: list[str]) -> dict[str, tuple[str, str, str]]:
    """Give the positions that are split into columns, by name; a join may have put a suffix behind the axis."""
    found = {}
    for name in names:
        match = _SPLIT.fullmatch(name)
        if match is not None:
            base, suffix = match["base"], match["suffix"]
            x, y, z = (f"{base}{axis}{suffix}" for axis in _AXES)
            if y in names and z in names:
                found[base + suffix] = (x, y, z)
    if not found and all(axis in names for axis in "xyz"):
        found["xyz"] = ("x", "y", "z")
    return found


def _only(found: list[str], names: list[str]) -> str:
    """Choose the position of a table that has just one, corners of boxes aside."""
    likely = [name for name in found if name not in _CORNERS] or found
    if len(likely) == 1:
        return likely[0]
    if likely:
        raise ArgumentError(f"the table has several positions: say which with column=; {_listed(found)}")
    empty = [name for name in names if name.endswith("position")]
    if len(empty) == 1:  # a joined column without rows holds nothing to be known by
        return empty[0]
    raise ArgumentError(
        "the table has no position: neither three columns NAME_x, NAME_y, NAME_z nor one of arrays (x, y, z); it has "
        + (", ".join(names) or "no columns")
    )


def _listed(found: list[str]) -> str:
    return f"it has {', '.join(found)}" if found else "it has no positions at all"


def _holds_positions(column: Any) -> bool:
    """Whether a column is of triples: the first value that is anything tells."""
    values = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if values.dtype != object:
        return False
    first = next((value for value in values if not _is_nothing(value)), None)
    return not isinstance(first, (str, bytes, Mapping)) and getattr(first, "__len__", lambda: 0)() == 3


def _joined(column: Any, what: str) -> NDArray[np.float64]:
    values = column.to_numpy()
    if not len(values):
        return np.empty((0, 3))
    if values.dtype != object and values.ndim == 1:
        raise BoundsError(f"{what} must hold a position (x, y, z) in each row; it holds {values.dtype}")
    return _rows(values, what)


def _bare(value: Any) -> NDArray[np.float64]:
    if isinstance(value, (str, bytes, Mapping)):
        raise BoundsError(f"points must be (n, 3) numbers (x, y, z), or a table with positions; got {_kind(value)}")
    given = value if isinstance(value, np.ndarray) or not isinstance(value, Iterable) else list(value)
    try:
        array = np.asarray(given)
    except ValueError:  # rows of several lengths, or rows that are None
        return _rows(given, "points")
    if array.dtype == object and array.ndim:
        one = array.shape == (3,) and not any(hasattr(item, "__len__") for item in array) and array.any()
        return _rows([array] if one else array, "points")
    if array.dtype.kind not in "iuf":
        raise BoundsError(f"points must be (n, 3) numbers (x, y, z); got {_kind(value)} of {array.dtype}")
    if array.size == 0 and array.ndim <= 2:
        return np.empty((0, 3))
    if array.ndim not in (1, 2) or array.shape[-1] != 3:
        raise BoundsError(f"points must be (n, 3) numbers (x, y, z), or three; got shape {array.shape}")
    return np.atleast_2d(array).astype(np.float64)


def _rows(values: Iterable[Any], what: str) -> NDArray[np.float64]:
    """Read rows that are triples or nothing."""
    rows = [(np.nan,) * 3 if _is_nothing(value) else value for value in values]
    try:
        array = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array([_row(row, number, what) for number, row in enumerate(rows)])
    if array.ndim != 2 or array.shape[1] != 3:
        raise BoundsError(f"{what} must be positions of three numbers (x, y, z); got shape {array.shape}")
    return array


def _row(value: Any, number: int, what: str) -> NDArray[np.float64]:
    try:
        row = _floats(list(value))
    except (TypeError, ValueError):
        row = np.empty(0)
    if row.shape != (3,) or isinstance(value, (str, bytes)):
        raise BoundsError(f"row {number} of {what} is {value!s:.80}: no position of three numbers (x, y, z)")
    return row


def _numbers(column: Any, name: str) -> NDArray[np.float64]:
    values = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if values.dtype.kind in "iuf":
        return np.asarray(values, dtype=np.float64)
    try:
        if values.dtype == object:
            return _floats(values)
    except (TypeError, ValueError):
        pass
    raise BoundsError(f"column {name!r} of the table must hold numbers; {_wrong(values)}")


def _wrong(values: NDArray[Any]) -> str:
    """Say what a column holds that is no number."""
    for row, value in enumerate(values.tolist() if values.dtype == object else ()):
        try:
            _floats([value])
        except (TypeError, ValueError):
            hint = ", decimals have a point and thousands nothing between them" if "," in str(value) else ""
            return f"row {row} has {value!r:.80}{hint}"
    return f"it holds {values.dtype}"


def _floats(values: Iterable[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if _is_nothing(value) else float(value) for value in values], dtype=np.float64)


def _is_nothing(value: Any) -> bool:
    return type(value).__name__ in _NOTHING or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def _resolution_of(attrs: Any) -> Resolution | None:
    """Read what CAVEclient noted on a table: three numbers, or nothing."""
    noted = attrs.get("dataframe_resolution") if isinstance(attrs, Mapping) else None
    if noted is None:
        return None
    if isinstance(noted, str):
        if noted == _MIXED:
            tables = attrs.get("tables") or {}
            each = ", ".join(f"{name}: {about.get('table_voxel_resolution')}" for name, about in tables.items())
            raise ArgumentError(
                f"the table joins tables whose positions have different resolutions ({each}): pass resolution= for the "
                "column that is meant, or query with desired_resolution="
            )
        noted = noted.replace(",", " ").split()
    try:
        return as_resolution(np.array(noted, dtype=np.float64))
    except (TypeError, ValueError):
        raise ArgumentError(
            f"the table says its resolution is {attrs['dataframe_resolution']!r} "
            "(attrs['dataframe_resolution']), which is not three numbers; pass resolution="
        ) from None


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
