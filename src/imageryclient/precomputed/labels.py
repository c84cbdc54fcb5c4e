"""Labels of a compressed_segmentation chunk, read and replaced without decoding more than a box of it.

The encoding cuts a chunk into blocks. For each block it holds a table of the labels that occur there and,
packed in 0 to 32 bits a voxel, positions in that table. So the labels of a box are in the tables of the
blocks it touches, and replacing a label means replacing it there. Specified at
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
from .chunks import Chunk
from .info import Info, Scale

__all__ = ["EncodedLabels"]

_WIDTHS = np.zeros(256, dtype=bool)
_WIDTHS[[0, 1, 2, 4, 8, 16, 32]] = True


@dataclass(frozen=True, slots=True)
class _Slab:
    """What a box takes from one layer of blocks.

    `positions` has shape (blocks along y, along x, voxels along z, y, x of a block): where in its table each
    voxel finds its label, zero outside the box. `firsts` says for each block where its table starts in
    `labels`. `rows` and `columns` cut the box out of the blocks, `z` says which of its sections these are.
    """

    positions: NDArray[Any]
    firsts: NDArray[np.intp]
    labels: NDArray[Any]
    rows: slice
    columns: slice
    z: slice


@dataclass(frozen=True, slots=True)
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
    >>> encoded.ids(box).tolist(), encoded.decode(box).ravel().tolist()
    ([7, 9], [7, 9])
    >>> encoded.decode(box, np.array([7, 9], dtype="u8"), np.array([70, 90], dtype="u8")).ravel().tolist()
    [70, 90]
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
    def parse(cls, data: bytes, chunk: Chunk, scale: Scale, info: Info, channel: int = 0) -> EncodedLabels:
        """Read the block headers of a chunk and check them.

        Parameters
        ----------
        data : bytes
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

    def ids(self, region: Box) -> NDArray[np.uint64]:
        """Give the labels of a box, without decoding it.

        Parameters
        ----------
        region : Box
            Voxels within `box`.

        Returns
        -------
        numpy.ndarray
            uint64, sorted, each once: all that occur in the region, perhaps more of the blocks it touches.

        Raises
        ------
        DamagedDataError
            If a voxel points beyond the table of its block.
        """
        found = [np.zeros(0, dtype=self.dtype), *(np.unique(slab.labels) for slab in self._slabs(region))]
        return np.unique(np.concatenate(found)).astype(np.uint64, copy=False)

    def decode(
        self, region: Box, old: NDArray[np.uint64] | None = None, new: NDArray[np.uint64] | None = None
    ) -> NDArray[np.uint64]:
        """Decode a box, with labels replaced.

        Parameters
        ----------
        region : Box
            Voxels within `box`.
        old, new : numpy.ndarray, optional
            Labels, sorted, which must hold all of `ids(region)`, and what to put in their place.
            Default: labels as stored.

        Returns
        -------
        numpy.ndarray
            uint64, (x, y, z) of the region, x fastest.

        Raises
        ------
        ArgumentError
            If a label of the region is not in `old`.
        DamagedDataError
            If a voxel points beyond the table of its block.
        """
        out = np.empty(region.shape[::-1], dtype=np.uint64)
        for slab in self._slabs(region):
            labels = slab.labels.astype(np.uint64, copy=False)
            if old is not None and new is not None:
                labels = _replaced(labels, old, new)
            _scatter(slab, labels, out)
        return out.T

    def stored(self, region: Box) -> NDArray[Any]:
        """Decode a box in the dtype of the volume; otherwise as `decode`."""
        out = np.empty(region.shape[::-1], dtype=self.dtype)
        for slab in self._slabs(region):
            _scatter(slab, slab.labels, out)
        return out.T

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
        if region.intersect(self.box) != region:
            raise ArgumentError(f"the box {region} does not lie within the chunk {self.box}")
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
            yield self._slab(
                positions,
                self.tables[blocks],
                slice(y0 - j0 * by, y1 - j0 * by),
                slice(x0 - i0 * bx, x1 - i0 * bx),
                slice(k * bz + low - z0, k * bz + high - z0),
            )

    def _positions(self, bits: NDArray[Any], values: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
        """Unpack voxels `start` to `stop` of blocks: shape (blocks, voxels)."""
        bits, values = bits.ravel(), values.ravel()
        out = np.zeros((bits.size, stop - start), dtype=f"u{max(1, int(bits.max()) // 8)}")
        for width in (1, 2, 4, 8, 16, 32):
            which = np.flatnonzero(bits == width)
            if not which.size:
                continue
            first, last = start * width // 32, -(-stop * width // 32)
            # The end of a clipped block may be missing; what is read there in its place is not used.
            packed = self.words.take(values[which][:, None] + np.arange(first, last), mode="clip")
            skipped = start - first * 32 // width
            out[which] = _unpacked(packed, width)[:, skipped : skipped + stop - start]
        return out

    def _slab(self, positions: NDArray[Any], tables: NDArray[np.intp], rows: slice, columns: slice, z: slice) -> _Slab:
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
            positions = positions.reshape(where.shape)
        labels = self.words[at].astype(self.dtype)
        if stride == 2:
            labels |= self.words[at + 1].astype(np.uint64) << np.uint64(32)
        return _Slab(positions, firsts, labels, rows, columns, z)


def _scatter(slab: _Slab, labels: NDArray[Any], out: NDArray[Any]) -> None:
    blocks_y, blocks_x, depth, by, bx = slab.positions.shape
    # Whole rows of a block are moved as one item each, then looked up plane by plane to stay in the cache.
    row = np.dtype((np.void, bx * slab.positions.itemsize))
    moved = slab.positions.view(row)[..., 0].transpose(2, 0, 3, 1).reshape(depth, blocks_y * by, blocks_x)
    dense = np.ascontiguousarray(moved).view(slab.positions.dtype)[:, slab.rows, slab.columns]
    firsts = slab.firsts.repeat(by, axis=0).repeat(bx, axis=1)[slab.rows, slab.columns]
    for plane, target in zip(dense, out[slab.z], strict=True):
        labels.take(plane + firsts, out=target, mode="clip")


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
