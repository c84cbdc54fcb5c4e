"""The labels of a box, unpacked but not yet written: known, so that their objects can be looked up, and replaceable.

What compressed_segmentation stores for a voxel is a position in the table of labels of its block. Here are the
positions and the tables of the blocks that a box touches; to replace a label is to replace it in the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import IntTriple
from ..ids import distinct

__all__ = ["Slab", "TouchedLabels"]

_STEP = 1 << 15  # voxels looked up at a time: few enough to stay in the cache of a core


class Slab(NamedTuple):
    """What a box takes from one layer of blocks.

    `positions`, (z, y, x), says where among its block's labels each voxel finds its own. `firsts` says for each
    block where its labels start in `labels`. `block` is the (y, x) size of a block, `rows` and `columns` cut the
    box out of the blocks, `z` says which of its sections these are.
    """

    positions: NDArray[Any]
    firsts: NDArray[np.intp]
    labels: NDArray[Any]
    block: tuple[int, int]
    rows: slice
    columns: slice
    z: slice

    def cropped(self, x: slice, y: slice, z: slice) -> Slab:
        """Give what a part of the box takes from this, which must be something."""
        by, bx = self.block
        low, high = max(self.z.start, z.start), min(self.z.stop, z.stop)
        blocks_y, rows = _within(self.rows.start + y.start, self.rows.start + y.stop, by)
        blocks_x, columns = _within(self.columns.start + x.start, self.columns.start + x.stop, bx)
        return self._replace(
            positions=self.positions[low - self.z.start : high - self.z.start, y, x],
            firsts=self.firsts[blocks_y, blocks_x],
            rows=rows,
            columns=columns,
            z=slice(low - z.start, high - z.start),
        )

    def detached(self) -> Slab:
        """Give a copy, without the labels before and after those that are used."""
        start = int(self.firsts.min())
        stop = int(self.firsts.max()) + int(self.positions.max()) + 1
        return self._replace(
            positions=self.positions.copy(), firsts=self.firsts - start, labels=self.labels[start:stop].copy()
        )


class _Room(NamedTuple):
    """Where labels of a few rows are looked up, before they are copied to where they belong."""

    places: NDArray[np.intp]
    found: NDArray[Any]

    @classmethod
    def of(cls, shape: IntTriple, dtype: np.dtype[Any]) -> _Room:
        rows = max(1, min(shape[1], _STEP // max(1, shape[0])))
        return cls(np.empty((rows, shape[0]), dtype=np.intp), np.empty((rows, shape[0]), dtype=dtype))


@dataclass(frozen=True, slots=True, eq=False)
class TouchedLabels:
    """The labels of a box, unpacked and checked: to look up their objects, then write them; made by `touched`.

    Parameters
    ----------
    ids : numpy.ndarray
        uint64, sorted, each once: all labels that occur in the box, perhaps more of the blocks it touches.
    shape : tuple of int
        Voxels of the box along x, y, z.
    """

    ids: NDArray[np.uint64]
    shape: IntTriple
    _slabs: tuple[Slab, ...]

    @property
    def nbytes(self) -> int:
        """Bytes it takes."""
        arrays = (array for slab in self._slabs for array in (slab.positions, slab.firsts, slab.labels))
        return self.ids.nbytes + sum(array.nbytes for array in arrays)

    def write(
        self, out: NDArray[Any], old: NDArray[np.uint64] | None = None, new: NDArray[np.uint64] | None = None
    ) -> None:
        """Write the box, with labels replaced.

        Parameters
        ----------
        out : numpy.ndarray
            Where to: (x, y, z) of the box, a view of any array of uint64, or of uint32 if that holds what is
            written. Fastest with x contiguous.
        old, new : numpy.ndarray, optional
            Labels, sorted, which must hold all of `ids`, and what to put in their place.
            Default: labels as stored.

        Raises
        ------
        ArgumentError
            If `out` has another shape, its dtype cannot hold the labels, or a label of the box is not in `old`.
        """
        if out.shape != self.shape:
            raise ArgumentError(f"labels of {self.shape} voxels do not fit an array of shape {out.shape}")
        labels = self.ids if old is None or new is None else _replaced(self.ids, old, new)
        if out.dtype not in (np.uint32, np.uint64) or np.any(labels > np.iinfo(out.dtype).max):
            raise ArgumentError(f"these labels do not fit an array of {out.dtype}; uint64 holds them")
        labels = labels.astype(out.dtype, copy=False)
        room = _Room.of(self.shape, labels.dtype)
        for slab in self._slabs:
            if old is None or new is None:
                own = slab.labels.astype(out.dtype, copy=False)
            else:
                own = labels.take(np.searchsorted(self.ids, slab.labels))
            _look_up(own, slab, out.T[slab.z], room)

    def renamed(self, old: NDArray[np.uint64], new: NDArray[np.uint64]) -> TouchedLabels:
        """Give the same box with labels replaced once for all: `old`, sorted and with all of `ids`, by `new`."""
        labels = _replaced(self.ids, old, new)
        slabs = (slab._replace(labels=labels.take(np.searchsorted(self.ids, slab.labels))) for slab in self._slabs)
        return TouchedLabels(distinct(labels), self.shape, tuple(slabs))

    def cropped(self, part: tuple[slice, slice, slice]) -> TouchedLabels:
        """Give a part of the box, as slices along x, y and z; it shares the memory, and `ids` are those of the whole.

        Examples
        --------
        >>> from imageryclient.geometry import Box
        >>> from imageryclient.precomputed.chunks import Chunk
        >>> from imageryclient.precomputed.labels import EncodedLabels
        >>> from imageryclient.scales import Info, Scale
        >>> at = (8.0, 8.0, 40.0)
        >>> box = Box((0, 0, 0), (2, 1, 1), at)
        >>> scale = Scale(0, "8_8_40", at, box, (2, 1, 1), "compressed_segmentation", (2, 1, 1), None)
        >>> data = np.array([1, 2 | 1 << 24, 6, 7, 0, 9, 0, 0b10], dtype="<u4").tobytes()
        >>> info = Info("segmentation", np.dtype("uint64"), 1, (scale,))
        >>> touched = EncodedLabels.parse(data, Chunk((0, 0, 0), box), scale, info).touched(box)
        >>> out = np.zeros((1, 1, 1), dtype=np.uint64, order="F")
        >>> touched.cropped((slice(1, 2), slice(0, 1), slice(0, 1))).write(out)
        >>> out.ravel().tolist()
        [9]
        """
        x, y, z = part
        slabs = tuple(slab.cropped(x, y, z) for slab in self._slabs if slab.z.start < z.stop and z.start < slab.z.stop)
        return TouchedLabels(self.ids, (x.stop - x.start, y.stop - y.start, z.stop - z.start), slabs)

    def detached(self) -> TouchedLabels:
        """Give the same labels in memory of their own, as little as they take; for a part of a larger box."""
        return TouchedLabels(self.ids, self.shape, tuple(slab.detached() for slab in self._slabs))


def _within(start: int, stop: int, block: int) -> tuple[slice, slice]:
    """Give the blocks that a span touches, and where it lies in them."""
    first = start // block
    return slice(first, -(-stop // block)), slice(start - first * block, stop - first * block)


def _look_up(labels: NDArray[Any], slab: Slab, out: NDArray[Any], room: _Room) -> None:
    """Write a slab into `out`, (z, y, x), with `labels` for its own."""
    by, bx = slab.block
    # To add in few bits and widen the sums is faster than to add in many.
    small = np.min_scalar_type(len(labels))
    firsts = slab.firsts.astype(small).repeat(by, axis=0)[slab.rows].repeat(bx, axis=1)[:, slab.columns]
    step = len(room.places)
    for plane, target in zip(slab.positions, out, strict=True):
        for low in range(0, len(plane), step):
            rows = slice(low, low + step)
            sums = np.add(plane[rows], firsts[rows], dtype=small, casting="unsafe")
            index, found = room.places[: len(sums)], room.found[: len(sums)]
            index[...] = sums
            labels.take(index, out=found, mode="clip")
            target[rows] = found


def _replaced(labels: NDArray[np.uint64], old: NDArray[np.uint64], new: NDArray[np.uint64]) -> NDArray[np.uint64]:
    at = np.searchsorted(old, labels)
    found = old.take(at, mode="clip") if old.size else np.zeros(0, dtype=np.uint64)
    if found.shape != labels.shape or np.any(found != labels):
        raise ArgumentError("a label of the box is not among those to replace")
    return new[at]
