"""Compact labels: small integers in place of ids, and what can be told of all labels in one pass.

An id takes 8 bytes at each voxel; a cutout holds few enough ids that their places in a sorted table fit 1 or 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import fastremap
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError
from .ids import distinct

__all__ = ["Extents", "compact_labels", "extents", "integers", "looked_up", "occurring", "renamed"]

_CHUNK = 1 << 22  # voxels looked at in one go, which bounds the temporary arrays
_BLOCK = 1 << 15  # voxels whose temporary arrays stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Extents:
    """Where each label lies; row `k` is label `k`, and row 0 is left empty.

    Parameters
    ----------
    low, high : numpy.ndarray
        Shape (labels + 1, ndim): first index, and one past the last, along each axis.
    counts : numpy.ndarray
        Shape (labels + 1,): voxels of each label.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    counts: NDArray[np.int64]

    def box(self, label: int) -> tuple[slice, ...]:
        """Give the slices that pick a label's bounding box; empty ones where the label is absent."""
        if not self.counts[label]:
            return (slice(0, 0),) * int(self.low.shape[1])
        pairs = zip(self.low[label].tolist(), self.high[label].tolist(), strict=True)
        return tuple(slice(a, b) for a, b in pairs)


def extents(labels: NDArray[Any], largest: int) -> Extents:
    """Find the bounding boxes and the sizes of all labels together.

    Takes one pass over the voxels, whatever the number of labels: runs of equal labels along the contiguous
    axis are found first, and only their ends are looked at one by one.

    Parameters
    ----------
    labels : numpy.ndarray
        Integers from 0 to `largest`, any number of axes.
    largest : int
        The largest label there may be.

    Examples
    --------
    >>> found = extents(np.array([[0, 2, 2], [0, 0, 2]]), 2)
    >>> found.box(2), int(found.counts[2])
    ((slice(0, 2, None), slice(1, 3, None)), 3)
    """
    if labels.ndim == 0:  # a cutout of a single voxel
        counts = np.bincount(labels.reshape(1), minlength=largest + 1)
        none = np.zeros((largest + 1, 0), np.int64)
        return Extents(none, none, counts)
    c_order = bool(labels.flags.c_contiguous)
    block = labels if c_order else np.asfortranarray(labels).T
    outer, length = block.shape[:-1], block.shape[-1]
    low = np.full((block.ndim, largest + 1), np.iinfo(np.int64).max, np.int64)
    high = np.zeros((block.ndim, largest + 1), np.int64)
    counts = np.zeros(largest + 1, np.int64)
    lines = block.reshape(-1, length) if block.size else block.reshape(0, 1)
    step = max(1, _CHUNK // max(1, length))
    for first in range(0, len(lines), step):
        part = lines[first : first + step]
        begins = np.ones(part.shape, np.bool_)
        np.not_equal(part[:, 1:], part[:, :-1], out=begins[:, 1:])
        starts = np.flatnonzero(begins)
        sizes = np.diff(starts, append=part.size)
        values = part.reshape(-1)[starts].astype(np.intp)
        painted = values > 0
        starts, sizes, values = starts[painted], sizes[painted], values[painted]
        line, position = np.divmod(starts, length)
        np.add.at(counts, values, sizes)
        np.minimum.at(low[-1], values, position)
        np.maximum.at(high[-1], values, position + sizes)
        for axis, index in enumerate(np.unravel_index(line + first, outer) if outer else ()):
            np.minimum.at(low[axis], values, index)
            np.maximum.at(high[axis], values, index + 1)
    if not c_order:
        low, high = low[::-1], high[::-1]
    return Extents(np.ascontiguousarray(low.T), np.ascontiguousarray(high.T), counts)


def integers(values: ArrayLike, what: str) -> NDArray[Any]:
    """Give values as an array of integers, without a copy where they are one; bool becomes uint8.

    Raises
    ------
    ArgumentError
        If they are not integers, or do not fit 64 bits.

    Examples
    --------
    >>> integers([[1, 2**63]], "ids").dtype
    dtype('uint64')
    """
    try:
        array = np.asarray(values)
        if not isinstance(values, np.ndarray) and (array.dtype.kind == "f" or not array.size):
            # numpy makes floats of a list that mixes small numbers with ones from 2**63
            array = np.array(_checked(values), dtype=np.uint64)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{what} must be integers from 0 to 2**64 - 1; got {values!r:.100}") from None
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise ArgumentError(
            f"{what} must hold integers; got {array.dtype}, which cannot hold ids exactly; "
            "convert with astype(numpy.uint64) where the values are known to be exact"
        )
    return array


def _checked(values: Any) -> Any:
    if isinstance(values, (list, tuple)):
        return [_checked(value) for value in values]
    if isinstance(values, (int, np.integer)):
        return values
    raise TypeError


def _in_memory_order(array: NDArray[Any]) -> tuple[NDArray[Any], Literal["C", "F"]]:
    if array.flags.c_contiguous:
        return array.reshape(-1), "C"
    return np.asfortranarray(array).reshape(-1, order="F"), "F"


def _small(largest: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32


def occurring(labels: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Tell for each label from 0 to `count` - 1 whether it occurs."""
    used = np.zeros(count, np.bool_)
    flat, _ = _in_memory_order(labels)
    for first in range(0, flat.size, _CHUNK):
        used[flat[first : first + _CHUNK]] = True
    return used


def looked_up(table: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Give `table[labels]`, in the labels' memory order."""
    flat, order = _in_memory_order(labels)
    out = np.empty(flat.size, table.dtype)
    for first in range(0, flat.size, _CHUNK):
        np.take(table, flat[first : first + _CHUNK], out=out[first : first + _CHUNK], mode="clip")
    return out.reshape(labels.shape, order=order)


def renamed(labels: NDArray[Any], entries: NDArray[Any], largest: int) -> NDArray[Any]:
    """Give new compact labels, from 0 to `largest`: `entries[label]` for each."""
    return looked_up(entries.astype(_small(largest)), labels)


def compact_labels(segmentation: NDArray[Any], include_null: bool) -> tuple[NDArray[np.uint64], NDArray[Any]]:
    """Compact a segmentation: its ids in ascending order, and its labels.

    Label 0 stands for id 0 unless that counts (`include_null`), label `k` for `ids[k - 1]`. Runs of one id are
    found first, so that each is looked up once.

    Raises
    ------
    ArgumentError
        If an id is negative.

    Examples
    --------
    >>> ids, labels = compact_labels(np.array([[0, 70], [50, 70]]), False)
    >>> ids.tolist(), labels.tolist(), labels.dtype
    ([50, 70], [[0, 2], [1, 2]], dtype('uint8'))
    """
    flat, order = _in_memory_order(segmentation)
    parts = [_renumbered(flat[first : first + _CHUNK]) for first in range(0, flat.size, _CHUNK)]
    ids = distinct(np.concatenate([np.zeros(0, np.uint64), *(part.keys for part in parts)]))
    ids = ids if include_null else ids[ids > 0]
    labels = np.empty(flat.size, _small(len(ids)))
    at = 0
    for part in parts:
        table = np.zeros(len(part.keys) + 1, labels.dtype)
        table[1:] = np.searchsorted(ids, part.keys) + 1
        if not include_null:
            table[1:][part.keys == 0] = 0
        values, done = table.take(part.numbers), 0
        for sizes in part.sizes:
            block = np.repeat(values[done : done + sizes.size], sizes)
            labels[at : at + block.size] = block
            at, done = at + block.size, done + sizes.size
    return ids, labels.reshape(segmentation.shape, order=order)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of one id in a part of a segmentation: numbers from 1, the id `keys[number - 1]` of each, and lengths."""

    numbers: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    sizes: list[NDArray[np.int32]]


def _renumbered(part: NDArray[Any]) -> _Runs:
    values, sizes = [], []
    differs = np.ones(min(part.size, _BLOCK) + 1, np.bool_)
    for first in range(0, part.size, _BLOCK):
        block = part[first : first + _BLOCK]
        np.not_equal(block[1:], block[:-1], out=differs[1 : block.size])
        differs[block.size] = True
        edges = np.flatnonzero(differs[: block.size + 1])
        values.append(block.take(edges[:-1]))
        sizes.append((edges[1:] - edges[:-1]).astype(np.int32))
    ids = np.concatenate(values)
    if ids.dtype.kind == "i" and ids.min() < 0:
        raise ArgumentError(f"ids must not be negative; the segmentation holds {int(ids.min())}")
    numbers, mapping = fastremap.renumber(ids.astype(np.uint64, copy=False), preserve_zero=False, in_place=True)
    keys = np.zeros(len(mapping), np.uint64)
    keys[np.fromiter(mapping.values(), np.intp, len(mapping)) - 1] = np.fromiter(
        mapping.keys(), np.uint64, len(mapping)
    )
    return _Runs(numbers, keys, sizes)
