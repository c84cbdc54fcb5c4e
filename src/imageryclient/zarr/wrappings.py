"""Compression that tensorstore does not know, undone, or put into a form that it does.

- zlib, bz2 and lzma, by the standard library.
- LZ4, as numcodecs has it, of one block with its size before it, and as N5 has it, in the frames of lz4-java's
  LZ4BlockOutputStream: put into a Blosc frame as it is, as Blosc holds LZ4 blocks too.

LZ4 is specified at https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md, Blosc's frame at
https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Sequence

from ..errors import DamagedDataError

__all__ = ["WRAPPINGS", "unwrap"]

WRAPPINGS = ("zlib", "bz2", "lzma", "lz4", "n5-lz4")

_JAVA = b"LZ4Block"
_JAVA_HEADER = struct.Struct("<8sBiii")
_STORED, _PACKED = 0x10, 0x20
_BLOSC = struct.Struct("<BBBBIII")
_LZ4_UNSPLIT = 1 << 5 | 0x10
_LARGEST = 2**31 - 1


def unwrap(name: str, data: bytes, *, header: int = 0) -> bytes:
    """Undo one of `WRAPPINGS`; LZ4 is turned into a Blosc frame.

    Parameters
    ----------
    name : str
        Which.
    data : bytes
        The data.
    header : int
        Bytes before them that are left as they are.

    Raises
    ------
    DamagedDataError
        If the data are not of that form.

    Examples
    --------
    >>> unwrap("zlib", zlib.compress(b"voxels"))
    b'voxels'
    """
    try:
        if name == "zlib":
            return zlib.decompress(data)
        if name == "bz2":
            return bz2.decompress(data)
        if name == "lzma":
            return lzma.decompress(data)
        blocks = _numcodecs_block(data) if name == "lz4" else _java_blocks(data[header:])
    except (zlib.error, lzma.LZMAError, OSError, ValueError, struct.error, IndexError) as error:
        raise DamagedDataError(f"{name} data are damaged: {error or type(error).__name__}") from None
    return data[:header] + _blosc_frame(blocks)


def _numcodecs_block(data: bytes) -> list[tuple[bytes, int]]:
    (size,) = struct.unpack_from("<i", data)
    return [_block(data[4:], size)]


def _java_blocks(data: bytes) -> list[tuple[bytes, int]]:
    blocks = []
    while data:
        magic, token, packed, size, _ = _JAVA_HEADER.unpack_from(data)
        start = _JAVA_HEADER.size
        if magic != _JAVA or packed < 0 or len(data) < start + packed:
            raise ValueError("a block is no LZ4 block, or ends early")
        if not size:
            break
        payload, data = data[start : start + packed], data[start + packed :]
        blocks.append(_block(payload, size) if token & 0xF0 == _PACKED else (payload, size))
        if token & 0xF0 not in (_STORED, _PACKED) or (token & 0xF0 == _STORED and packed != size):
            raise ValueError("a block says that it is neither packed nor stored")
    if len({size for _, size in blocks[:-1]}) > 1 or (len(blocks) > 1 and blocks[-1][1] > blocks[0][1]):
        raise ValueError("its blocks differ in size")
    return blocks


def _block(packed: bytes, size: int) -> tuple[bytes, int]:
    """Give a block for a Blosc frame, where one as long as what it holds is taken to be that."""
    if not 0 < size <= _LARGEST:
        raise ValueError(f"a block of {size} bytes")
    return (_unpacked(packed, size) if len(packed) == size else packed), size


def _blosc_frame(blocks: Sequence[tuple[bytes, int]]) -> bytes:
    table = _BLOSC.size + 4 * len(blocks)
    starts, parts, end = [], [], table
    for payload, _ in blocks:
        starts.append(end)
        parts += [struct.pack("<i", len(payload)), payload]
        end += 4 + len(payload)
    whole = sum(size for _, size in blocks)
    head = _BLOSC.pack(2, 1, _LZ4_UNSPLIT, 1, whole, blocks[0][1] if blocks else 0, end)
    return b"".join([head, struct.pack(f"<{len(starts)}i", *starts), *parts])


def _unpacked(packed: bytes, size: int) -> bytes:
    out = bytearray()
    place = 0
    while True:
        token = packed[place]
        length, place = _length(packed, place + 1, token >> 4)
        out += packed[place : place + length]
        place += length
        if place >= len(packed):
            break
        back = packed[place] | packed[place + 1] << 8
        length, place = _length(packed, place + 2, token & 15)
        length += 4
        if not 0 < back <= len(out) or len(out) + length > size:
            raise ValueError("a match lies outside the block")
        match = bytes(out[-back:])
        out += (match * (length // back + 1))[:length]
    if len(out) != size:
        raise ValueError(f"a block holds {len(out)} bytes instead of {size}")
    return bytes(out)


def _length(packed: bytes, place: int, length: int) -> tuple[int, int]:
    if length == 15:
        while True:
            length += packed[place]
            place += 1
            if packed[place - 1] != 255:
                break
    return length, place
