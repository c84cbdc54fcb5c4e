"""Bytes of a chunk into voxels, with every check that the encoding allows."""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DamagedDataError, FormatError
from ..geometry import Box, IntTriple
from ..scales import Info, Scale
from .chunks import Chunk
from .images import read_jpeg, read_png
from .labels import EncodedLabels

__all__ = ["Octets", "decode_chunk", "decompress"]

Octets = bytes | bytearray

_ENCODINGS = ("raw", "jpeg", "png", "compressed_segmentation")
_RARE = ("compresso", "crackle", "fpzip", "kempressed", "zfpc", "jxl")

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_SHORTEST = 18
_DEFLATE_MOST = 1032  # the largest ratio deflate can reach


def decompress(data: Octets, encoding: str) -> Octets:
    """Undo the compression of a file, as its Content-Encoding, its suffix or its sharding names it.

    Parameters
    ----------
    data : bytes or bytearray
        The whole file.
    encoding : str
        `""`, `"identity"` or `"raw"`, `"gzip"` (`"gz"`), `"deflate"`, `"br"` (`"brotli"`) or `"zstd"` (`"zst"`).

    Returns
    -------
    bytes or bytearray
        Whichever the decompressor made: a copy would cost a fifth of the time.

    Raises
    ------
    DamagedDataError
        If the data end early, fail their checksum, or are not of that encoding.
    FormatError
        If the encoding is none of these.

    Examples
    --------
    >>> import gzip
    >>> bytes(decompress(gzip.compress(b"voxels"), "gzip"))
    b'voxels'
    """
    name = encoding.strip().lower()
    if name in ("", "identity", "raw"):
        return data
    if name not in _DECOMPRESSORS:
        raise FormatError(f"compression {encoding!r} is unknown; gzip, deflate, br and zstd can be read")
    return _DECOMPRESSORS[name](data)


def decode_chunk(data: Octets, scale: Scale, info: Info, chunk: Chunk, region: Box | None = None) -> NDArray[Any]:
    """Decode a chunk, or a part of it.

    Parameters
    ----------
    data : bytes or bytearray
        The chunk, decompressed from whatever it was stored in.
    scale, info : Scale, Info
        Where it is from.
    chunk : Chunk
        Which chunk it is.
    region : Box, optional
        Voxels within the chunk. Default: all of it.

    Returns
    -------
    numpy.ndarray
        (x, y, z, c) of the region, of `info.dtype`. May be a read-only view of `data`, and larger than itself
        behind the scenes: copy what you keep.

    Raises
    ------
    DamagedDataError
        If the data are not what a chunk of this size and encoding can be.
    FormatError
        If the encoding is unknown, or cannot hold such voxels.
    MissingExtraError
        If it is one of the rare ones, and what reads it is not installed.
    ArgumentError
        If the region reaches beyond the chunk.

    Examples
    --------
    >>> at = (4.0, 4.0, 40.0)
    >>> scale = Scale(0, "4_4_40", at, Box((0, 0, 0), (4, 2, 1), at), (4, 2, 1), "raw", None, None)
    >>> info = Info("image", np.dtype("uint8"), 1, (scale,))
    >>> chunk = Chunk((0, 0, 0), scale.bounds)
    >>> decode_chunk(bytes(range(8)), scale, info, chunk, Box((1, 0, 0), (3, 2, 1), at))[..., 0, 0].tolist()
    [[1, 5], [2, 6]]
    """
    box = chunk.box
    region = box if region is None else region
    if scale.encoding not in (*_ENCODINGS, *_RARE):
        known = ", ".join((*_ENCODINGS, *_RARE))
        raise FormatError(f"chunks are encoded as {scale.encoding!r}; {known} can be read")
    if region.intersect(box) != region:
        raise ArgumentError(f"the box {region} does not lie within the chunk {box}")
    if scale.encoding == "compressed_segmentation":
        return _labels(data, scale, info, chunk, region)
    if scale.encoding == "raw":
        voxels = _raw(data, box.shape, info)
    elif scale.encoding in _RARE:
        from .rare import read_rare

        voxels = read_rare(bytes(data), scale.encoding, box.shape, info.channels, info.dtype)
    else:
        x, y, z = (b - o for b, o in zip(region.stop, box.start, strict=True))
        needed = x + box.shape[0] * (y - 1 + box.shape[1] * (z - 1)) if region.voxels else 1
        voxels = _picture(data, scale.encoding, box.shape, info, needed)
    return voxels[region.slices(box)]


def _raw(data: Octets, shape: IntTriple, info: Info) -> NDArray[Any]:
    wanted = math.prod(shape) * info.channels * info.dtype.itemsize
    if len(data) != wanted:
        raise DamagedDataError(f"a raw chunk of this size has {wanted} bytes; there are {len(data)}")
    voxels = np.frombuffer(data, dtype=info.dtype.newbyteorder("<")).astype(info.dtype, copy=False)
    return voxels.reshape((*shape, info.channels), order="F")


def _picture(data: Octets, encoding: str, shape: IntTriple, info: Info, needed: int) -> NDArray[Any]:
    if encoding == "jpeg":
        if info.dtype == np.uint8 and info.channels in (1, 3):
            return read_jpeg(bytes(data), shape, info.channels, needed)
        held = "1 or 3 channels of uint8"
    else:
        held = "1 to 4 channels of uint8, or 1, 3 or 4 of uint16"
        if (info.dtype == np.uint8 and info.channels <= 4) or (info.dtype == np.uint16 and info.channels in (1, 3, 4)):
            return read_png(bytes(data), shape, info.channels, info.dtype, needed)
    raise FormatError(f"encoding {encoding!r} holds {held}; the volume has {info.channels} of {info.dtype}")


def _labels(data: Octets, scale: Scale, info: Info, chunk: Chunk, region: Box) -> NDArray[Any]:
    if info.channels == 1:
        return EncodedLabels.parse(data, chunk, scale, info).stored(region)[..., None]
    out = np.empty((*region.shape, info.channels), dtype=info.dtype, order="F")
    for channel in range(info.channels):
        out[..., channel] = EncodedLabels.parse(data, chunk, scale, info, channel).stored(region)
    return out


def _gunzip(data: Octets) -> Octets:
    import deflate

    # libdeflate is the fastest, and checks size and checksum; but it takes its room from the last four bytes, and
    # passes over what follows the first member.
    if len(data) >= _GZIP_SHORTEST and data.startswith(_GZIP_MAGIC) and data.rfind(_GZIP_MAGIC) == 0:
        size = int.from_bytes(data[-4:], "little")
        if 0 < size <= _DEFLATE_MOST * len(data):
            try:
                plain: bytearray = deflate.gzip_decompress(data)
            except (deflate.DeflateError, ValueError):
                plain = bytearray()
            if len(plain) == size:
                return plain
    return _gunzip_members(data)


def _gunzip_members(data: Octets) -> bytes:
    if not data:
        raise DamagedDataError("gzip data are empty")
    parts = []
    rest: Octets = data
    while rest:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        parts.append(_inflate(member.decompress, rest, "gzip"))
        if not member.eof:
            raise DamagedDataError(f"gzip data end early, after {len(data)} bytes")
        rest = member.unused_data.lstrip(b"\0")  # padding after the last member is common
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate(call: Callable[[Octets], bytes], data: Octets, name: str) -> bytes:
    try:
        return call(data)
    except zlib.error as error:
        raise DamagedDataError(f"{name} data are damaged: {error}") from None


def _undeflate(data: Octets) -> bytes:
    # HTTP's "deflate" is zlib's format; some servers send the bare stream, which has no header.
    wrapped = len(data) >= 2 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    plain = _inflate(stream.decompress, data, "deflate")
    if not stream.eof or stream.unused_data:
        raise DamagedDataError("deflate data end early" if not stream.eof else "deflate data are followed by others")
    return plain


def _unbrotli(data: Octets) -> bytes:
    import brotli

    try:
        return cast(bytes, brotli.decompress(data))
    except brotli.error as error:
        raise DamagedDataError(f"brotli data are damaged: {error}") from None


def _unzstd(data: Octets) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    if not data:
        raise DamagedDataError("zstd data are empty")
    try:
        return zstd.decompress(data)
    except (zstd.ZstdError, EOFError) as error:
        raise DamagedDataError(f"zstd data are damaged: {error}") from None


_DECOMPRESSORS: dict[str, Callable[[Octets], Octets]] = {
    "gzip": _gunzip,
    "gz": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "brotli": _unbrotli,
    "zstd": _unzstd,
    "zst": _unzstd,
}
