"""Encodings that few volumes have, read by the decoders that CloudVolume reads them by: the extra `cloudvolume`.

| encoding | holds | decoder |
| --- | --- | --- |
| compresso | one channel of uint8 to uint64 | https://pypi.org/project/compresso |
| crackle | the same | https://pypi.org/project/crackle-codec |
| fpzip, kempressed | channels of float32 | https://pypi.org/project/fpzip |
| zfpc | channels of float32 | https://pypi.org/project/zfpc |
| jxl | 1 or 3 channels of uint8 | https://pypi.org/project/imagecodecs |

What their headers say is checked before they are decoded. compresso, fpzip and imagecodecs, which damaged bytes can
crash, decode in a process of their own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError, FormatError, MissingExtraError
from ..geometry import IntTriple
from .apart import decode_apart

__all__ = ["DECODERS", "read_rare"]

Shape = tuple[int, int, int, int]

_PACKAGES = {  # encoding: module, and what to install
    "compresso": ("compresso", "compresso"),
    "crackle": ("crackle", "crackle-codec"),
    "fpzip": ("fpzip", "fpzip"),
    "kempressed": ("fpzip", "fpzip"),
    "zfpc": ("zfpc", "zfpc"),
    "jxl": ("imagecodecs", "imagecodecs"),
}
_LABELS = ("compresso", "crackle")
# Magic, version, bytes of a label, x, y, z, steps of a window along them, how many labels, windows' values, locations.
_COMPRESSO = struct.Struct("<4sBB3H3BQIQB")
_ZFPC = struct.Struct("<4sBB4IB")
_ZFPC_FLOAT32 = 3
_PAD = (b"\x00\x00\x00\x00", b"\xa5\x3c\xff\x01")


def read_rare(data: bytes, encoding: str, shape: IntTriple, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read a chunk.

    Parameters
    ----------
    data : bytes
        The chunk, decompressed from whatever it was stored in.
    encoding : str
        One of the table above.
    shape : tuple of int
        Voxels of the chunk along x, y, z.
    channels : int
        Numbers per voxel.
    dtype : numpy.dtype
        Of the volume.

    Returns
    -------
    numpy.ndarray
        (x, y, z, c) of `dtype`.

    Raises
    ------
    MissingExtraError
        If the decoder is not installed.
    FormatError
        If the encoding cannot hold such voxels.
    DamagedDataError
        If the data are not what a chunk of this size and encoding can be.
    """
    _check_kind(encoding, channels, dtype)
    module, package = _PACKAGES[encoding]
    if find_spec(module) is None:
        raise MissingExtraError(
            f"chunks are encoded as {encoding!r}, which needs {package}: pip install 'imageryclient[cloudvolume]', or "
            f"that package alone: pip install {package}"
        )
    whole = (*shape, channels)
    if encoding == "compresso":
        _check_compresso(data, whole)
    elif encoding == "zfpc":
        _check_zfpc(data, whole)
    elif encoding == "crackle":
        _check_crackle(data, whole)
    if encoding in ("compresso", "jxl"):
        voxels = decode_apart(encoding, data)
    elif encoding in ("fpzip", "kempressed"):
        voxels = _twice(encoding, data, math.prod(whole))
    else:
        try:
            voxels = DECODERS[encoding](data)
        except Exception as error:  # each has its own kinds
            raise DamagedDataError(f"{encoding} data are damaged: {error}") from None
    voxels = _pixels(voxels, whole) if encoding == "jxl" else voxels.reshape(_padded(voxels.shape))
    if voxels.shape != whole:
        raise DamagedDataError(f"{encoding} data hold {voxels.shape}; {whole} is wanted")
    fits = np.can_cast(voxels.dtype, dtype, "safe") if encoding in _LABELS else voxels.dtype == dtype
    if not fits:
        raise DamagedDataError(f"{encoding} data hold {voxels.dtype}; {dtype} is wanted")
    return voxels.astype(dtype, copy=False)


def _check_kind(encoding: str, channels: int, dtype: np.dtype[Any]) -> None:
    if encoding in _LABELS:
        fits, held = channels == 1 and dtype.kind == "u", "one channel of uint8 to uint64"
    elif encoding == "jxl":
        fits, held = channels in (1, 3) and dtype == np.uint8, "1 or 3 channels of uint8"
    else:
        fits, held = dtype == np.float32, "float32"
    if not fits:
        raise FormatError(f"encoding {encoding!r} holds {held}; the volume has {channels} of {dtype}")


def _twice(encoding: str, data: bytes, count: int) -> NDArray[Any]:
    """Decode with one and with other bytes after the end: data cut short would be read on into them.

    fpzip tells neither how long its data are, nor how much of them it read.
    """
    first, second = (decode_apart(encoding, data + pad * (2 * count + 16)) for pad in _PAD)
    if first.shape != second.shape or first.tobytes() != second.tobytes():
        raise DamagedDataError(f"{encoding} data of {len(data)} bytes are cut short")
    return first


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, *(1,) * (4 - len(shape)))


def _check_header(encoding: str, found: tuple[int, ...], wanted: Shape) -> None:
    if found != wanted:
        raise DamagedDataError(f"{encoding} data say they hold {found}; {wanted} is wanted")


def _check_compresso(data: bytes, shape: Shape) -> None:
    """Check header and length: labels, values and locations are counted, windows are one for each block of a section.

    Version 1 ends with an index of two numbers for each section.
    """
    if len(data) < _COMPRESSO.size or not data.startswith(b"cpso"):
        raise DamagedDataError("compresso data do not start as they should")
    _, version, width, x, y, z, dx, dy, dz, labels, values, locations, _ = _COMPRESSO.unpack_from(data)
    _check_header("compresso", (x, y, z, 1), shape)
    window = next((size for size in (1, 2, 4, 8) if dx * dy * dz <= 8 * size), 0)
    if width not in (1, 2, 4, 8) or not dx * dy * dz or not window or version > 1:
        raise DamagedDataError("compresso data are damaged in their header")
    index = 2 * z * next(size for size in (1, 2, 4, 8) if 2 * x * y < 1 << 8 * size) if version else 0
    counted = _COMPRESSO.size + (labels + locations) * width + values * window
    windows = np.frombuffer(data[counted : len(data) - index], np.uint8)
    if windows.size % window or len(data) < counted + index:
        raise DamagedDataError(f"compresso data of {len(data)} bytes are cut short")
    codes = windows.view(f"<u{window}").astype(np.uint64)
    runs = (codes & np.uint64(1)).astype(np.bool_)
    blocks = -(-x // dx) * -(-y // dy) * -(-z // dz)
    found = int((codes[runs] >> np.uint64(1)).sum()) + int(np.count_nonzero(~runs))
    if found != blocks:
        raise DamagedDataError(f"compresso data hold {found} of {blocks} windows")


def _check_crackle(data: bytes, shape: Shape) -> None:
    """Check the header, and the labels' checksum, which the decoder passes over; it checks the others."""
    codec, crc32c = import_module("crackle.codec"), import_module("crackle.lib").crc32c
    try:
        header = codec.header(data)
        intact = header.format_version == 0 or codec.labels_crc(data) == crc32c(codec.raw_labels(data))
    except Exception as error:
        raise DamagedDataError(f"crackle data are damaged: {error}") from None
    _check_header("crackle", (header.sx, header.sy, header.sz, 1), shape)
    if not intact:
        raise DamagedDataError("crackle data are damaged: their labels fail their checksum")


def _check_zfpc(data: bytes, shape: Shape) -> None:
    """Check header and length: an index names the length of each stream, one for each slice not taken together."""
    if len(data) < _ZFPC.size + 8 or not data.startswith(b"zfpc"):
        raise DamagedDataError("zfpc data do not start as they should")
    _, _, kind, *sizes, together = _ZFPC.unpack_from(data)
    _check_header("zfpc", tuple(max(1, size) for size in sizes), shape)
    if kind & 7 != _ZFPC_FLOAT32:
        raise DamagedDataError("zfpc data hold other numbers than float32")
    streams = math.prod(size for at, size in enumerate(sizes) if size and not together >> at & 1)
    index = _ZFPC.size + 8 * (1 + streams)
    lengths = np.frombuffer(data[_ZFPC.size : index], "<u8") if len(data) >= index else np.zeros(1, np.uint64)
    if int(lengths[0]) != index or index + sum(lengths[1:].tolist()) != len(data):
        raise DamagedDataError(f"zfpc data of {len(data)} bytes are not as long as their index says")


def _pixels(picture: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Put the pixels of a picture, x fastest, into a chunk; CloudVolume writes colours one after the other."""
    x, y, z, channels = shape
    if channels > 1 and picture.shape[:1] == (channels,) and picture.shape[1:] in ((y * z, x), (y * z,), (x,)):
        picture = np.moveaxis(picture, 0, -1)
    if picture.size != math.prod(shape) or (channels > 1 and picture.shape[-1] != channels):
        raise DamagedDataError(f"jxl data hold a picture of shape {picture.shape}; a chunk of {shape} is wanted")
    return picture.reshape(z, y, x, channels).transpose(2, 1, 0, 3)


def _compresso(data: bytes) -> NDArray[Any]:
    voxels: NDArray[Any] = import_module("compresso").decompress(data)
    return voxels


def _crackle(data: bytes) -> NDArray[Any]:
    voxels: NDArray[Any] = import_module("crackle").decompress(data, parallel=1)
    return voxels


def _fpzip(data: bytes) -> NDArray[Any]:
    voxels: NDArray[Any] = import_module("fpzip").decompress(data, order="F")
    return voxels


def _kempressed(data: bytes) -> NDArray[Any]:
    """Undo what kempressed does to fit fpzip: the last two axes change places, and 2 is added."""
    voxels: NDArray[Any] = np.swapaxes(_fpzip(data), 2, 3) - np.float32(2.0)
    return voxels


def _zfpc(data: bytes) -> NDArray[Any]:
    voxels: NDArray[Any] = import_module("zfpc").decompress(data)
    return voxels


def _jxl(data: bytes) -> NDArray[Any]:
    voxels: NDArray[Any] = import_module("imagecodecs").jpegxl_decode(data, numthreads=1)
    return voxels


DECODERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "compresso": _compresso,
    "crackle": _crackle,
    "fpzip": _fpzip,
    "kempressed": _kempressed,
    "zfpc": _zfpc,
    "jxl": _jxl,
}
