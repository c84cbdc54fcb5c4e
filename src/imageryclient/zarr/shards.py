"""Where an inner chunk lies within a shard of Zarr 3.

Specified at https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError
from .decoding import Decoder

__all__ = ["ShardIndex", "parse_shard_index"]

_NONE = 2**64 - 1
_LARGEST = 2**53


class ShardIndex:
    """The index of one shard.

    Parameters
    ----------
    entries : numpy.ndarray
        uint64, (chunks along each axis, 2): offset and size, both the largest number for a chunk that is not stored.
    """

    def __init__(self, entries: NDArray[np.uint64]) -> None:
        self._entries = entries

    def find(self, place: Sequence[int]) -> tuple[int, int] | None:
        """Give first byte and one past the last of a chunk; None where it is not stored.

        Raises
        ------
        DamagedDataError
            If the entry names no bytes that a file can have.
        """
        offset, size = map(int, self._entries[tuple(place)])
        if offset == _NONE and size == _NONE:
            return None
        if offset + size > _LARGEST or not size:
            raise DamagedDataError(f"the shard's index names {size} bytes at {offset} for chunk {tuple(place)}")
        return offset, offset + size


def parse_shard_index(data: bytes, length: int, decoder: Decoder, grid: Sequence[int]) -> ShardIndex:
    """Decode the index of a shard.

    Raises
    ------
    DamagedDataError
        If it is too short, or fails its checksum.
    """
    if len(data) != length:
        raise DamagedDataError(f"the shard's index has {length} bytes; {len(data)} came")
    return ShardIndex(decoder.decode(data, tuple(slice(0, n) for n in (*grid, 2))))
