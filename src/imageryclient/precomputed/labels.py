"""Labels of a compressed_segmentation chunk, read without decoding more than a box of it.

The encoding cuts a chunk into blocks. For each block it holds a table of the labels that occur there and,
packed in 0 to 32 bits a voxel, positions in that table. So the labels of a box are in the tables of the
blocks it touches, and replacing a label means replacing it there (`touched`). Specified at
https://github.com/google/neuroglancer/blob/master/src/sliceview/compressed_segmentation/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DamagedDataError, FormatError
from ..geometry import Box, IntTriple
from ..ids import distinct
from ..scales import Info, Scale
from .chunks import Chunk
from .touched import Slab, TouchedLabels

__all__ = ["EncodedLabels"]

_WIDTHS = np.zeros(256, dtype=bool)
_WIDTHS[[0, 1, 2, 4, 8, 16, 32]] = True


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

    def _slabs(self, region: Box) -> Iterator[Slab]:
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
            yield Slab(_planes(positions, rows, columns), firsts, labels, (by, bx), rows, columns, z)

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


def _channel_span(words: NDArray[np.uint32], channel: int, channels: int) -> tuple[int, int]:
    spans = [*words[:channels].tolist(), len(words)]
    if len(spans) <= channels or spans[0] != channels or spans != sorted(spans):
        raise DamagedDataError("compressed_segmentation does not start with the offsets of its channels")
    return spans[channel], spans[channel + 1]
