"""Where a chunk lies within shard files: `neuroglancer_uint64_sharded_v1`, bytes in and byte ranges out.

A chunk is found in three steps, each of which needs a range of bytes of the shard file::

    locate(chunk_id)      -> shard file and minishard
    index_entry_range(m)  -> bytes of the shard index  -> minishard_range(bytes)
    minishard_range       -> bytes of the minishard index -> parse_minishard_index(bytes).find(chunk_id)

Specified at https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/sharded.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError
from ..scales import Sharding
from .codecs import decompress

__all__ = [
    "Location",
    "MinishardIndex",
    "index_entry_range",
    "locate",
    "minishard_range",
    "parse_minishard_index",
]

_ENTRY_BYTES = 16
_WORD = 0xFFFFFFFF
_LARGEST_OFFSET = 2**63  # no file is longer; what lies beyond is damage


class Location(NamedTuple):
    """Where to look for a chunk.

    Parameters
    ----------
    shard_file : str
        Name of the file within the folder of the scale, such as `"0a.shard"`.
    minishard : int
        Number of the minishard within it.
    """

    shard_file: str
    minishard: int


@dataclass(frozen=True, slots=True, eq=False)
class MinishardIndex:
    """Byte ranges of the chunks of one minishard.

    Parameters
    ----------
    ids, starts, stops : numpy.ndarray
        Shape (n,), uint64: ids in rising order, and the first byte and one past the last in the shard file.
    """

    ids: NDArray[np.uint64]
    starts: NDArray[np.uint64]
    stops: NDArray[np.uint64]

    def find(self, chunk_id: int) -> tuple[int, int] | None:
        """Give the bytes of a chunk in the shard file, first and one past the last; None if it is absent."""
        at = int(np.searchsorted(self.ids, np.uint64(chunk_id)))
        if at == len(self.ids) or int(self.ids[at]) != chunk_id:
            return None
        return int(self.starts[at]), int(self.stops[at])


def locate(chunk_id: int, sharding: Sharding) -> Location:
    """Find the shard file and the minishard of a chunk.

    Examples
    --------
    >>> locate(0x5A3, Sharding(4, "identity", 2, 6, "raw", "raw"))
    Location(shard_file='16.shard', minishard=2)
    """
    hashed = chunk_id >> sharding.preshift_bits
    if sharding.hash == "murmurhash3_x86_128":
        hashed = _murmur(hashed)
    minishard = hashed & ((1 << sharding.minishard_bits) - 1)
    shard = hashed >> sharding.minishard_bits & ((1 << sharding.shard_bits) - 1)
    digits = -(-sharding.shard_bits // 4)
    return Location(f"{shard:0{digits}x}.shard", minishard)


def index_entry_range(minishard: int) -> tuple[int, int]:
    """Give the bytes of the shard file that say where the index of a minishard lies."""
    return minishard * _ENTRY_BYTES, (minishard + 1) * _ENTRY_BYTES


def minishard_range(entry: bytes, sharding: Sharding) -> tuple[int, int] | None:
    """Read an entry of the shard index.

    Parameters
    ----------
    entry : bytes
        What lies at `index_entry_range`.
    sharding : Sharding
        Of the scale.

    Returns
    -------
    tuple of int or None
        Bytes of the minishard index in the shard file, first and one past the last; None if the minishard
        is empty.

    Raises
    ------
    DamagedDataError
        If the entry is cut short or reversed.
    """
    if len(entry) != _ENTRY_BYTES:
        raise DamagedDataError(f"an entry of a shard index has {_ENTRY_BYTES} bytes; there are {len(entry)}")
    start, stop = struct.unpack("<QQ", entry)
    if start == stop:
        return None
    header = _ENTRY_BYTES << sharding.minishard_bits
    if start > stop or header + stop >= _LARGEST_OFFSET:
        raise DamagedDataError(f"an entry of a shard index runs from byte {start} to {stop}")
    return header + start, header + stop


def parse_minishard_index(data: bytes, sharding: Sharding) -> MinishardIndex:
    """Read the index of a minishard.

    Parameters
    ----------
    data : bytes
        What lies at `minishard_range`, as stored.
    sharding : Sharding
        Of the scale.

    Raises
    ------
    DamagedDataError
        If the data do not decompress, are not whole triples, or point beyond any file.

    Examples
    --------
    >>> data = np.array([[5, 2], [0, 3], [10, 20]], dtype="<u8").tobytes()
    >>> index = parse_minishard_index(data, Sharding(0, "identity", 1, 0, "raw", "raw"))
    >>> index.find(5), index.find(6), index.find(7)
    ((32, 42), None, (45, 65))
    """
    plain = decompress(data, sharding.minishard_index_encoding)
    if len(plain) % 24:
        raise DamagedDataError(f"a minishard index has 24 bytes for each chunk; there are {len(plain)}")
    table = np.frombuffer(plain, dtype="<u8").astype(np.uint64).reshape(3, -1)
    # Ids and offsets are differences modulo 2**64; an offset counts from the end of the chunk before.
    ids = np.cumsum(table[0], dtype=np.uint64)
    sizes = table[2]
    stops = np.cumsum(table[1] + sizes, dtype=np.uint64)
    starts = stops - sizes
    header = np.uint64(_ENTRY_BYTES << sharding.minishard_bits)
    limit = np.uint64(_LARGEST_OFFSET) - header
    if np.any(starts > stops) or np.any(stops >= limit):
        raise DamagedDataError("a minishard index points beyond the end of any file")
    order = np.argsort(ids, kind="stable")
    return MinishardIndex(ids[order], starts[order] + header, stops[order] + header)


def _murmur(key: int) -> int:
    """Give the low 64 bits of MurmurHash3_x86_128, seed 0, of a uint64 in little-endian bytes.

    https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp; eight bytes are all tail.
    """
    c1, c2, c3 = 0x239B961B, 0xAB0E9789, 0x38B34AE5
    h1 = _rotate((key & _WORD) * c1 & _WORD, 15) * c2 & _WORD
    h2 = _rotate((key >> 32) * c2 & _WORD, 16) * c3 & _WORD
    h1, h2, h3, h4 = h1 ^ 8, h2 ^ 8, 8, 8
    h1, h2, h3, h4 = _spread(h1, h2, h3, h4)
    h1, h2, h3, h4 = _spread(*map(_mix, (h1, h2, h3, h4)))
    return h2 << 32 | h1


def _rotate(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & _WORD


def _spread(h1: int, h2: int, h3: int, h4: int) -> tuple[int, int, int, int]:
    h1 = (h1 + h2 + h3 + h4) & _WORD
    return h1, (h2 + h1) & _WORD, (h3 + h1) & _WORD, (h4 + h1) & _WORD


def _mix(word: int) -> int:
    word = (word ^ word >> 16) * 0x85EBCA6B & _WORD
    word = (word ^ word >> 13) * 0xC2B2AE35 & _WORD
    return word ^ word >> 16
