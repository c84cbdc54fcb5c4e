"""Shards of Zarr arrays: many chunks in one file, with an index at its end.

To https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html; the index is little-endian, with
its CRC-32C behind it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["ShardReader", "ShardWriter", "crc32c"]

_NOTHING = 2**64 - 1
_CHECK = struct.Struct("<I")


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Give the CRC-32C of a few bytes: Castagnoli's polynomial, as in RFC 3720.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for octet in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


class ShardWriter:
    """Writes a shard, chunk after chunk.

    Parameters
    ----------
    file : binary file
        Where to.
    count : int
        Chunks that it has room for.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> shard = ShardWriter(file, 3)
    >>> shard.add(1, b"chunk")
    >>> shard.end()
    >>> len(file.getvalue()) == 5 + 3 * 16 + 4
    True
    """

    def __init__(self, file: BinaryIO, count: int) -> None:
        self._file = file
        self._index = np.full((count, 2), _NOTHING, "<u8")
        self._end = 0

    def add(self, number: int, chunk: bytes) -> None:
        """Write a chunk."""
        self._file.write(chunk)
        self._index[number] = self._end, len(chunk)
        self._end += len(chunk)

    def end(self) -> None:
        """Write the index."""
        index = self._index.tobytes()
        self._file.write(index + _CHECK.pack(crc32c(index)))


class ShardReader:
    """Gives the chunks of a shard as they are stored; of one that is damaged none.

    Parameters
    ----------
    path : pathlib.Path
        The file; it may be absent.
    count : int
        Chunks that it has room for.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._file = path.open("rb") if path.is_file() else None
        self._index = self._read_index(count)

    def _read_index(self, count: int) -> NDArray[np.uint64]:
        nothing = np.full((count, 2), _NOTHING, "<u8")
        if self._file is None:
            return nothing
        size, length = self._file.seek(0, 2), nothing.nbytes + _CHECK.size
        if size < length:
            return nothing
        self._file.seek(size - length)
        index, check = self._file.read(nothing.nbytes), self._file.read()
        if _CHECK.pack(crc32c(index)) != check:
            return nothing
        found = np.frombuffer(index, "<u8").reshape(nothing.shape)
        fits = (found <= size).all(axis=1) & (found.sum(axis=1) <= size)
        return np.where(fits[:, None], found, nothing)

    @property
    def held(self) -> set[int]:
        """The numbers of the chunks there are."""
        return set(np.flatnonzero(self._index[:, 0] != _NOTHING).tolist())

    def chunk(self, number: int) -> bytes | None:
        """Give a chunk."""
        offset, length = self._index[number].tolist()
        if self._file is None or offset == _NOTHING:
            return None
        self._file.seek(offset)
        return self._file.read(length)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
