"""Where the source of a layer lies: `transform` in a state of today, and in one of the older viewer.

Both have a matrix of lengths. Today's last column counts voxels of `outputDimensions`, and `inputDimensions` take the
place of the source's own voxel size; the older one is of nm throughout, or a rotation, a translation and a scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import Resolution
from ..section import Section
from .fields import length_of, mapping_of, numbers_of, quaternion_of
from .placement import Placement

__all__ = ["old_placement", "placement_of"]

_AXES = ("x", "y", "z")
_IN_ORDER = ("precomputed://", "graphene://", "n5://")  # sources whose own axes are x, y, z


def placement_of(transform: Any, url: str, where: str) -> Placement:
    """Read the transform of a source.

    Parameters
    ----------
    transform : mapping
        As the state has it.
    url : str
        The source.
    where : str
        The field, for messages.

    Raises
    ------
    ArgumentError
        If it is none; the message names the field.

    Examples
    --------
    >>> nm = {axis: [4e-9, "m"] for axis in "xyz"}
    >>> moved = {"outputDimensions": nm, "matrix": [[1, 0, 0, 10], [0, 1, 0, 0], [0, 0, 1, 0]]}
    >>> placement_of(moved, "precomputed://gs://bucket/em", "source.transform").transform[:, 3].tolist()
    [40.0, 0.0, 0.0]
    """
    given = mapping_of(transform, where)
    sizes = mapping_of(given.get("inputDimensions"), f"{where}.inputDimensions")
    names = list(sizes)
    voxel_size: Resolution | None = None
    if all(axis in sizes for axis in _AXES):
        x, y, z = (length_of(sizes[axis], f"{where}.inputDimensions.{axis}") for axis in _AXES)
        voxel_size = x, y, z
    if given.get("matrix") is None:
        return Placement(voxel_size)
    out = mapping_of(given.get("outputDimensions"), f"{where}.outputDimensions")
    if not all(axis in out for axis in _AXES):
        there = ", ".join(map(str, out)) or "nothing"
        raise ArgumentError(f"the state's '{where}.outputDimensions' must name x, y and z; there is {there}")
    rows = _matrix(given["matrix"], f"{where}.matrix", len(out), len(out) + 1)
    units = [length_of(out[axis], f"{where}.outputDimensions.{axis}") for axis in _AXES]
    into = [list(out).index(axis) for axis in _AXES]
    if not all(axis in names for axis in _AXES):  # not said: as the format has them, or else as they come out
        names = list(_AXES) if url.startswith(_IN_ORDER) or "neuroglancer-precomputed" in url else list(out)
    of = [names.index(axis) for axis in _AXES]
    if max(of) >= len(out):
        raise ArgumentError(f"the state's '{where}' has other axes in inputDimensions than in its matrix")
    return Placement(voxel_size, _moving(np.column_stack([rows[np.ix_(into, of)], rows[into, -1] * units])))


def old_placement(transform: Any, where: str) -> Placement:
    """Read the transform of a layer in a state of the older viewer: 4 x 4 numbers, or how it turns, moves and scales.

    Raises
    ------
    ArgumentError
        If it is none; the message names the field.

    Examples
    --------
    >>> old_placement({"translation": [80, 0, 0]}, "layers[0].transform").transform[0].tolist()
    [1.0, 0.0, 0.0, 80.0]
    """
    if isinstance(transform, Mapping):
        turn = quaternion_of(transform.get("rotation"), f"{where}.rotation")
        shift = _three(transform.get("translation"), f"{where}.translation", 0.0)
        scale = _three(transform.get("scale"), f"{where}.scale", 1.0)
        axes = Section((0.0, 0.0, 0.0), (1, 1), 1.0, turn).axes
        return Placement(None, _moving(np.column_stack([axes * scale, shift])))
    flat = isinstance(transform, (list, tuple)) and len(transform) == 16
    rows = [transform[n : n + 4] for n in range(0, 16, 4)] if flat else transform
    return Placement(None, _moving(_matrix(rows, where, 4, 4)[:3]))


def _matrix(rows: Any, where: str, height: int, width: int) -> NDArray[np.float64]:
    if not isinstance(rows, Sequence) or isinstance(rows, str) or len(rows) != height:
        raise ArgumentError(f"the state's '{where}' must have {height} rows of {width} numbers")
    return np.array([numbers_of(row, where, width) for row in rows])


def _three(value: Any, where: str, default: float) -> list[float]:
    return [default] * 3 if value is None else numbers_of(value, where, 3)


def _moving(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Give a matrix, None where it moves nothing."""
    return None if np.array_equal(matrix, np.eye(3, 4)) else matrix
