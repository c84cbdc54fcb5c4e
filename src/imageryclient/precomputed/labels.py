"""Labels of a compressed_segmentation chunk, read and replaced without decoding more than a box of it.

The encoding cuts a chunk into blocks. For each block it holds a table of the labels that occur there and,
packed in 0 to 32 bits a voxel, positions in that table. So the labels of a box are in the tables of the
blocks it touches, and replacing a label means replacing it there. Specified at
https://github.com/google/neuroglancer/blob/master/src/sliceview/compressed_segmentation/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DamagedDataError, FormatError
from ..geometry import Box, IntTriple
from ..ids import distinct
from ..scales import Info, Scale
from .chunks import Chunk

__all__ = ["EncodedLabels", "TouchedLabels"]

_WIDTHS = np.zeros(256, dtype=bool)
_WIDTHS[[0, 1, 2, 4, 8, 16, 32]] = True
_STEP = 1 << 15  # voxels looked up at a time: few enough to stay in the cache of a core


class _Slab(NamedTuple):
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

    def cropped(self, x: slice, y: slice, z: slice) -> _Slab:
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

    def detached(self) -> _Slab:
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
    _slabs: tuple[_Slab, ...]

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


@dataclass(frozen=True, slots=True, eq=False)
class EncodedLabels:
    """A chunk in compressed_segmentation encoding, its offsets checked; made by `parse`.

    Parameters
    ----------
    words : numpy.ndarray
        The chunk as 32-bit words, up to the end of the channel.
    box : Box
        Voxels it holds.
    dtype : numpy.dtype
        uint32 or uint64.
    block_size : tuple of int
        Voxels of a block along x, y, z.
    bits, values, tables : numpy.ndarray
        Shape (z, y, x) of the grid of blocks: bits a voxel, and the words where packed values and table
        start.
    limits : numpy.ndarray
        Sorted words where tables must have ended: the starts of packed values, and the end.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> box = Box((0, 0, 0), (2, 1, 1), at)
    >>> scale = Scale(0, "8_8_40", at, box, (2, 1, 1), "compressed_segmentation", (2, 1, 1), None)
    >>> info = Info("segmentation", np.dtype("uint64"), 1, (scale,))
    >>> data = np.array([1, 2 | 1 << 24, 6, 7, 0, 9, 0, 0b10], dtype="<u4").tobytes()
    >>> encoded = EncodedLabels.parse(data, Chunk((0, 0, 0), box), scale, info)
    >>> touched = encoded.touched(box)
    >>> touched.ids.tolist(), encoded.decode(box).ravel().tolist()
    ([7, 9], [7, 9])
    >>> out = np.zeros((4, 1, 1), dtype=np.uint64, order="F")
    >>> touched.write(out[1:3], np.array([7, 9], dtype="u8"), np.array([70, 90], dtype="u8"))
    >>> out.ravel().tolist()
    [0, 70, 90, 0]
    """

    words: NDArray[np.uint32]
    box: Box
    dtype: np.dtype[Any]
    block_size: IntTriple
    bits: NDArray[Any]
    values: NDArray[np.intp]
    tables: NDArray[np.intp]
    limits: NDArray[np.intp]

    @classmethod
    def parse(cls, data: bytes | bytearray, chunk: Chunk, scale: Scale, info: Info, channel: int = 0) -> EncodedLabels:
        """Read the block headers of a chunk and check them.

        Parameters
        ----------
        data : bytes or bytearray
            The chunk, decompressed from whatever it was stored in.
        chunk : Chunk
            Which chunk it is.
        scale, info : Scale, Info
            Where it is from.
        channel : int, optional
            Which channel to read. Default 0.

        Raises
        ------
        FormatError
            If the volume's voxels are not uint32 or uint64, or the scale is not in this encoding.
        DamagedDataError
            If an offset or a bit width cannot be right.
        """
        if scale.block_size is None or info.dtype not in (np.uint32, np.uint64):
            raise FormatError(
                f"encoding {scale.encoding!r} of {info.dtype} voxels does not hold encoded labels; "
                "compressed_segmentation of uint32 or uint64 does"
            )
        if len(data) % 4:
            raise DamagedDataError(f"compressed_segmentation comes in words of 4 bytes; there are {len(data)} bytes")
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32, copy=False)
        nx, ny, nz = (-(-n // b) for n, b in zip(chunk.box.shape, scale.block_size, strict=True))
        start, end = _channel_span(words, channel, info.channels)
        words = words[:end]
        first = start + 2 * nx * ny * nz
        if first > len(words):
            raise DamagedDataError(f"compressed_segmentation ends within the headers of its {nx * ny * nz} blocks")
        headers = words[start:first].reshape(nz, ny, nx, 2)
        bits = headers[..., 0] >> 24
        values = headers[..., 1].astype(np.intp) + start
        encoded = cls(
            words=words,
            box=chunk.box,
            dtype=info.dtype,
            block_size=scale.block_size,
            bits=bits,
            values=values,
            tables=(headers[..., 0] & 0xFFFFFF).astype(np.intp) + start,
            limits=np.append(np.sort(values[bits > 0]), end),
        )
        encoded._check(first)
        return encoded

    def touched(self, region: Box) -> TouchedLabels:
        """Unpack a box as far as its labels are known but not yet written.

        Parameters
        ----------
        region : Box
            Voxels within `box`.

        Returns
        -------
        TouchedLabels
            Labels of the box. It keeps a byte a voxel, or 2 or 4 in layers where a block has more than 256 or
            65,536 labels or blocks share a table larger than themselves; and nothing of the encoded chunk.

        Raises
        ------
        ArgumentError
            If the region reaches beyond `box`.
        DamagedDataError
            If a voxel points beyond the table of its block.
        """
        if region.intersect(self.box) != region:
            raise ArgumentError(f"the box {region} does not lie within the chunk {self.box}")
        slabs = tuple(self._slabs(region))
        labels = np.concatenate([np.zeros(0, dtype=self.dtype), *(slab.labels for slab in slabs)])
        return TouchedLabels(distinct(labels).astype(np.uint64, copy=False), region.shape, slabs)

    def decode(
        self, region: Box, old: NDArray[np.uint64] | None = None, new: NDArray[np.uint64] | None = None
    ) -> NDArray[np.uint64]:
        """Decode a box at once: uint64, (x, y, z), x fastest; otherwise as `touched` and its `write`."""
        out = np.empty(region.shape, dtype=np.uint64, order="F")
        self.touched(region).write(out, old, new)
        return out

    def stored(self, region: Box) -> NDArray[Any]:
        """Decode a box in the dtype of the volume; otherwise as `decode`."""
        out = np.empty(region.shape, dtype=self.dtype, order="F")
        self.touched(region).write(out)
        return out

    def _check(self, first: int) -> None:
        """Check that each block lies behind the headers and within the data."""
        end = len(self.words)
        if not _WIDTHS[self.bits].all():
            raise DamagedDataError(
                "compressed_segmentation holds a block whose bit width is not 0, 1, 2, 4, 8, 16 or 32"
            )
        if self.tables.size and (self.tables.min() < first or self.tables.max() > end - self.dtype.itemsize // 4):
            raise DamagedDataError("compressed_segmentation holds a block whose table lies outside the data")
        # Clipped blocks are packed as if whole, but a writer need not store what follows their last voxel.
        bx, by, _ = self.block_size
        x, y, z = (
            np.minimum(b, n - b * np.arange(blocks))
            for b, n, blocks in zip(self.block_size, self.box.shape, self.bits.shape[::-1], strict=True)
        )
        voxels = x + bx * (y[:, None] - 1 + by * (z[:, None, None] - 1))
        stops = self.values + (self.bits * voxels + 31) // 32
        packed = self.bits > 0
        if np.any(packed & ((self.values < first) | (stops > end))):
            raise DamagedDataError("compressed_segmentation holds a block whose values lie outside the data")

    def _slabs(self, region: Box) -> Iterator[_Slab]:
        if not region.voxels:
            return
        bx, by, bz = self.block_size
        x0, y0, z0 = (a - o for a, o in zip(region.start, self.box.start, strict=True))
        x1, y1, z1 = (b - o for b, o in zip(region.stop, self.box.start, strict=True))
        i0, i1, j0, j1 = x0 // bx, -(-x1 // bx), y0 // by, -(-y1 // by)
        for k in range(z0 // bz, -(-z1 // bz)):
            low, high = max(z0 - k * bz, 0), min(z1 - k * bz, bz)
            blocks = (k, slice(j0, j1), slice(i0, i1))
            positions = self._positions(self.bits[blocks], self.values[blocks], bx * by * low, bx * by * high)
            positions = positions.reshape(j1 - j0, i1 - i0, high - low, by, bx)
            positions[:, 0, :, :, : x0 - i0 * bx] = 0
            positions[:, -1, :, :, x1 - (i1 - 1) * bx :] = 0
            positions[0, :, :, : y0 - j0 * by] = 0
            positions[-1, :, :, y1 - (j1 - 1) * by :] = 0
            tables = self.tables[blocks]
            rows = slice(y0 - j0 * by, y1 - j0 * by)
            columns = slice(x0 - i0 * bx, x1 - i0 * bx)
            z = slice(k * bz + low - z0, k * bz + high - z0)
            positions, firsts, labels = self._labels(positions, tables)
            yield _Slab(_planes(positions, rows, columns), firsts, labels, (by, bx), rows, columns, z)

    def _positions(self, bits: NDArray[Any], values: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
        """Unpack voxels `start` to `stop` of blocks: shape (blocks, voxels)."""
        bits, values = bits.ravel(), values.ravel()
        out = np.zeros((bits.size, stop - start), dtype=f"u{max(1, int(bits.max()) // 8)}")
        for width in (1, 2, 4, 8, 16, 32):
            which = np.flatnonzero(bits == width)
            if not which.size:
                continue
            first, last = start * width // 32, -(-stop * width // 32)
            packed = self._runs(values[which] + first, last - first)
            skipped = start - first * 32 // width
            out[which] = _unpacked(packed, width)[:, skipped : skipped + stop - start]
        return out

    def _runs(self, starts: NDArray[np.intp], count: int) -> NDArray[np.uint32]:
        """Read `count` words at each of `starts`."""
        rows = len(self.words) - count + 1
        if int(starts.max()) >= rows:
            # The end of a clipped block may be missing; what is read there in its place is not used.
            return self.words.take(starts[:, None] + np.arange(count), mode="clip")
        # Overlapping rows, each moved as one item.
        run: NDArray[Any] = np.ndarray(rows, np.dtype((np.void, 4 * count)), self.words, strides=(4,))
        return run[starts].view(np.uint32).reshape(-1, count)

    def _labels(
        self, positions: NDArray[Any], tables: NDArray[np.intp]
    ) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[Any]]:
        """Read what blocks use of their tables; give positions in that, where each block's part starts, and it."""
        stride = self.dtype.itemsize // 4
        sizes = positions.reshape(tables.size, -1).max(axis=1).astype(np.intp) + 1
        ends = self.limits[np.searchsorted(self.limits, tables.ravel(), side="right")]
        if np.any(tables.ravel() + stride * sizes > ends):
            raise DamagedDataError("compressed_segmentation holds a voxel whose label lies outside its table")
        firsts = np.cumsum(sizes) - sizes
        total = int(sizes.sum())
        if total <= positions.size:
            at = np.repeat(tables.ravel() - stride * firsts, sizes) + stride * np.arange(total)
            firsts = firsts.reshape(tables.shape)
        else:  # a table many blocks share, of which each uses a part
            where = tables[:, :, None, None, None] + stride * positions.astype(np.intp)
            at, positions = np.unique(where, return_inverse=True)
            firsts = np.zeros(tables.shape, dtype=np.intp)
            positions = positions.astype(np.uint32).reshape(where.shape)
        labels = self.words[at].astype(self.dtype)
        if stride == 2:
            labels |= self.words[at + 1].astype(np.uint64) << np.uint64(32)
        return positions, firsts, labels


def _planes(positions: NDArray[Any], rows: slice, columns: slice) -> NDArray[Any]:
    """Cut a box out of blocks, (y, x, z, y and x within): shape (z, y, x)."""
    blocks_y, blocks_x, depth, by, bx = positions.shape
    # Whole rows of a block are moved as one item each.
    row = np.dtype((np.void, bx * positions.itemsize))
    moved = positions.view(row)[..., 0].transpose(2, 0, 3, 1).reshape(depth, blocks_y * by, blocks_x)
    dense = np.ascontiguousarray(moved).view(positions.dtype)
    return np.ascontiguousarray(dense[:, rows, columns])


def _within(start: int, stop: int, block: int) -> tuple[slice, slice]:
    """Give the blocks that a span touches, and where it lies in them."""
    first = start // block
    return slice(first, -(-stop // block)), slice(start - first * block, stop - first * block)


def _look_up(labels: NDArray[Any], slab: _Slab, out: NDArray[Any], room: _Room) -> None:
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


def _unpacked(packed: NDArray[np.uint32], width: int) -> NDArray[Any]:
    if width == 32:
        return packed
    if width == 16:
        return packed.astype("<u4", copy=False).view("<u2")
    octets = packed.astype("<u4", copy=False).view(np.uint8)
    if width == 8:
        return octets
    if width == 1:
        return np.unpackbits(octets, axis=1, bitorder="little")
    return _SPLIT[width].take(octets).view(np.uint8)


def _split(width: int) -> NDArray[Any]:
    """For each octet, the numbers of `width` bits in it, one a byte, as one integer."""
    shifts = np.arange(0, 8, width, dtype=np.uint8)
    parts = np.arange(256, dtype=np.uint8)[:, None] >> shifts & np.uint8((1 << width) - 1)
    return parts.view(f"u{8 // width}")[:, 0]


_SPLIT = {2: _split(2), 4: _split(4)}


def _replaced(labels: NDArray[np.uint64], old: NDArray[np.uint64], new: NDArray[np.uint64]) -> NDArray[np.uint64]:
    at = np.searchsorted(old, labels)
    found = old.take(at, mode="clip") if old.size else np.zeros(0, dtype=np.uint64)
    if found.shape != labels.shape or np.any(found != labels):
        raise ArgumentError("a label of the box is not among those to replace")
    return new[at]


def _channel_span(words: NDArray[np.uint32], channel: int, channels: int) -> tuple[int, int]:
    spans = [*words[:channels].tolist(), len(words)]
    if len(spans) <= channels or spans[0] != channels or spans != sorted(spans):
        raise DamagedDataError("compressed_segmentation does not start with the offsets of its channels")
    return spans[channel], spans[channel + 1]
