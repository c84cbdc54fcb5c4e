"""Segment ids as callers give them, as uint64 arrays: never through a float."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError, IdWarning
from .warning import warn_caller

__all__ = ["Ids", "RootIds", "as_ids", "distinct", "parse_ids", "parse_root_ids", "to_int64"]

Ids = NDArray[np.uint64]
RootIds = Literal["all"] | None | Ids
Integer = TypeVar("Integer", bound=np.integer[Any])
_INT64_MAX = int(np.iinfo(np.int64).max)


def parse_root_ids(value: Any) -> RootIds:
    """Read the `root_ids` argument: "all", None (supervoxels), or one id or many."""
    if value is None:
        return None
    if isinstance(value, str) and value == "all":
        return "all"
    return parse_ids(value)


def parse_ids(value: Any) -> Ids:
    """Read one id or many: int, text, numpy integer, array, any sequence, a pandas column.

    Returns
    -------
    numpy.ndarray
        1-D uint64, in the order given, doubles dropped.

    Raises
    ------
    ArgumentError
        If a value is negative, beyond 64 bits, a float, or no number.

    Examples
    --------
    >>> parse_ids(["864691135012345678", 5, 5]).tolist()
    [864691135012345678, 5]
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        value = [value]
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    ids = as_ids(value if isinstance(value, np.ndarray) else list(value)).reshape(-1)
    _, first = np.unique(ids, return_index=True)
    return ids[np.sort(first)]


def as_ids(ids: ArrayLike) -> Ids:
    """Give ids as uint64 of the same shape, exactly; Python ints, numpy integers and decimal strings are ids.

    Raises
    ------
    ArgumentError
        If a value is negative, too large, a float or no number.

    Examples
    --------
    >>> as_ids([864691135341362885, "7"])
    array([864691135341362885,                  7], dtype=uint64)
    """
    if isinstance(ids, (np.ndarray, np.generic)):
        array = np.asarray(ids)
        if array.dtype.kind in "ui" and not (array.dtype.kind == "i" and np.any(array < 0)):
            return array.astype(np.uint64, copy=False)
    # A list that mixes magnitudes becomes floats in numpy, hence the objects themselves.
    objects = np.asarray(ids, dtype=object)
    exact = np.empty(objects.shape, np.uint64)
    exact.reshape(-1)[:] = [_one(item) for item in objects.flat]
    return exact


def _one(item: Any) -> int:
    if isinstance(item, np.ndarray) and item.ndim == 0:
        item = item[()]
    if isinstance(item, (bool, float, np.bool_, np.floating)):
        raise ArgumentError(
            f"an id must be a whole number from 0 to 2^64 - 1 or its text; got {item!r}. "
            "A float cannot hold the digits of a 64-bit id: keep ids as integers or as text"
        )
    try:
        number = int(item)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < 2**64:
        raise ArgumentError(f"an id must be a whole number from 0 to 2^64 - 1 or its text; got {item!r}")
    return number


def distinct(numbers: NDArray[Integer]) -> NDArray[Integer]:
    """Give each number once, sorted. `np.unique` would load masked arrays, at a tenth of all that importing takes.

    Examples
    --------
    >>> distinct(np.array([[7, 5], [5, 9]], dtype=np.uint64))
    array([5, 7, 9], dtype=uint64)
    """
    ordered = np.sort(numbers, axis=None)
    first = np.ones(ordered.shape, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def to_int64(segmentation: Ids, largest: int | None = None) -> NDArray[np.int64] | Ids:
    """Give the same ids as int64 when they all fit, else unchanged with an `IdWarning`.

    Where it is known that none exceeds `largest`, they need not be looked through.

    Examples
    --------
    >>> to_int64(np.array([1, 2], dtype=np.uint64)).dtype
    dtype('int64')
    """
    if segmentation.dtype != np.uint64:
        return segmentation.astype(np.int64)
    if largest is None or largest > _INT64_MAX:
        largest = int(segmentation.max()) if segmentation.size else 0
    if largest > _INT64_MAX:
        warn_caller(IdWarning(f"ids up to {largest} do not fit int64; returned as uint64"))
        return segmentation
    return segmentation.view(np.int64)
