"""Chunks stored as JPEG and PNG pictures.

A picture may have any width and height that multiply to the voxels of the chunk: read row by row its pixels
are the voxels, x fastest, then y, then z. So the first sections of a chunk are the first rows of its picture,
and reading may stop there.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError
from ..geometry import IntTriple

__all__ = ["read_jpeg", "read_png"]

_CLOSING = b"\xff\xd9"
# What libjpeg says when all rows were read and bytes were left, as they are below a lowered height.
_STOPPED_EARLY = "extraneous bytes before marker 0xd9"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: colour type
# First column and row, and steps, of the seven passes of an interlaced PNG.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PNG_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class _Frame(NamedTuple):
    """What the frame header of a JPEG says.

    `at` is where its height is stored, `context` how many further rows a row depends on. It is `cuttable` if
    fewer rows are read by lowering the height: one scan of sequential Huffman code without restarts.
    """

    at: int
    height: int
    width: int
    channels: int
    context: int
    cuttable: bool


def read_jpeg(data: bytes, shape: IntTriple, channels: int, needed: int) -> NDArray[np.uint8]:
    """Read a chunk stored as JPEG.

    Parameters
    ----------
    data : bytes
        The picture.
    shape : tuple of int
        Voxels of the chunk along x, y, z.
    channels : int
        1 or 3.
    needed : int
        How many voxels to read, counted x fastest from the first.

    Returns
    -------
    numpy.ndarray
        uint8, (x, y, z, c), with as many sections as hold `needed` voxels; those after them may be zero.

    Raises
    ------
    DamagedDataError
        If the picture is cut short, has another size, or its decoder complains about the rows it read.
    """
    frame = _frame(data)
    _check_picture("JPEG", frame.width, frame.height, frame.channels, shape, channels)
    if not data.endswith(_CLOSING) and not data.rstrip(b"\0").endswith(_CLOSING):
        raise DamagedDataError("JPEG data end without their closing marker")
    rows = -(-needed // frame.width) + frame.context
    depth = -(-needed // (shape[0] * shape[1]))
    least = depth * shape[0] * shape[1]
    if frame.cuttable and rows < frame.height:
        shorter = b"".join((data[: frame.at], struct.pack(">H", rows), data[frame.at + 2 :]))
        pixels, complaint = _jpeg_pixels(shorter, max(rows * frame.width, least), channels)
        if not complaint or _STOPPED_EARLY in complaint:
            return _sections(pixels, shape, channels, depth)
    pixels, complaint = _jpeg_pixels(data, frame.height * frame.width, channels)
    if complaint:
        raise DamagedDataError(f"JPEG data are damaged: {complaint}")
    return _sections(pixels, shape, channels, depth)


def read_png(data: bytes, shape: IntTriple, channels: int, dtype: np.dtype[Any], needed: int) -> NDArray[Any]:
    """Read a chunk stored as PNG.

    Parameters
    ----------
    data : bytes
        The picture.
    shape : tuple of int
        Voxels of the chunk along x, y, z.
    channels : int
        1 to 4 of uint8; 1, 3 or 4 of uint16.
    dtype : numpy.dtype
        uint8 or uint16.
    needed : int
        How many voxels to read, counted x fastest from the first.

    Returns
    -------
    numpy.ndarray
        (x, y, z, c) of `dtype`, with as many sections as hold `needed` voxels; those after them may be zero.

    Raises
    ------
    DamagedDataError
        If the picture is cut short, fails a checksum, or has another size or kind of pixel.
    """
    header, packed = _png_parts(data)
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    found = next((c for c, kind in _PNG_COLOURS.items() if kind == colour), 0)
    _check_picture("PNG", width, height, found, shape, channels)
    if bits != 8 * dtype.itemsize:
        raise DamagedDataError(f"PNG holds {bits} bits a voxel; {dtype} voxels are wanted")
    rows = height if interlaced else -(-needed // width)
    packed = _inflated(packed, width, height, channels * dtype.itemsize, interlaced, rows)
    depth = -(-needed // (shape[0] * shape[1]))
    pixels = np.zeros(max(rows * width, depth * shape[0] * shape[1]) * channels, dtype=dtype)
    target = pixels[: rows * width * channels]
    mode = _PNG_MODES[channels]
    if bits == 8:
        target[:] = _png_rows(packed, (width, rows), mode, mode, interlaced)
    elif channels == 1:
        target[:] = _png_rows(packed, (width, rows), "I", "I;16B", interlaced)
    else:
        # Pillow has no mode for several channels of 16 bits: take the high octets, then the low ones.
        target[:] = _png_rows(packed, (width, rows), mode, f"{mode};16B", interlaced)
        target <<= 8
        target |= _png_rows(packed, (width, rows), mode, f"{mode};16L", interlaced)
    return _sections(pixels, shape, channels, depth)


def _sections(pixels: NDArray[Any], shape: IntTriple, channels: int, depth: int) -> NDArray[Any]:
    x, y, _ = shape
    return pixels[: x * y * depth * channels].reshape(depth, y, x, channels).transpose(2, 1, 0, 3)


def _check_picture(name: str, width: int, height: int, found: int, shape: IntTriple, channels: int) -> None:
    if width * height != math.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise DamagedDataError(f"{name} of {width} x {height} pixels does not hold a chunk of {wanted} voxels")
    if found != channels:
        raise DamagedDataError(f"{name} holds {found or 'indexed'} channels; {channels} are wanted")


def _jpeg_pixels(data: bytes, count: int, channels: int) -> tuple[NDArray[np.uint8], str]:
    """Decode into room for `count` pixels; give them with the decoder's complaint, empty if it has none."""
    import simplejpeg

    pixels = np.zeros(count * channels, dtype=np.uint8)
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY" if channels == 1 else "RGB", buffer=pixels)
    except ValueError as error:
        return pixels, str(error) or "unreadable"
    return pixels, ""


def _frame(data: bytes) -> _Frame:
    """Walk the segments of a JPEG (ITU-T T.81, annex B) up to its first scan."""
    if not data.startswith(b"\xff\xd8"):
        raise DamagedDataError("JPEG data do not start as JPEG does")
    frame: _Frame | None = None
    restarts = False
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if len(body) < 6 or len(body) < 6 + 3 * body[5] or not body[1:5].strip(b"\0") or not body[5]:
                break
            heights = [body[7 + 3 * i] & 15 for i in range(body[5])]
            frame = _Frame(
                at=at + 5,
                height=int.from_bytes(body[1:3], "big"),
                width=int.from_bytes(body[3:5], "big"),
                channels=body[5],
                # Where colours have fewer rows, a row is mixed from the colour rows above and below it.
                context=8 * max(heights) if len(set(heights)) > 1 else 0,
                cuttable=marker in (0xC0, 0xC1),
            )
        elif marker == 0xDD:
            restarts = any(body)
        elif marker == 0xDA:
            if frame is None or not frame.width or not body:
                break
            single = body[0] == frame.channels
            return frame if single and not restarts else _uncut(frame)
        at += 2 + length
    raise DamagedDataError("JPEG data are damaged: no frame before the first scan")


def _uncut(frame: _Frame) -> _Frame:
    return _Frame(frame.at, frame.height, frame.width, frame.channels, frame.context, cuttable=False)


def _png_parts(data: bytes) -> tuple[bytes, bytes]:
    """Give the header and the packed pixels of a PNG (W3C PNG, section 5), every checksum checked."""
    if not data.startswith(_PNG_SIGNATURE):
        raise DamagedDataError("PNG data do not start as PNG does")
    header = None
    packed = []
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if len(checksum) != 4 or zlib.crc32(body, zlib.crc32(name)) != int.from_bytes(checksum, "big"):
            raise DamagedDataError(f"PNG data are damaged in their part {name!r}")
        if name == b"IHDR" and length == 13:
            header = body
        elif name == b"IDAT":
            packed.append(body)
        elif name == b"IEND":
            if header is None or not packed:
                break
            return header, b"".join(packed)
        at += 12 + length
    raise DamagedDataError("PNG data end early")


def _inflated(packed: bytes, width: int, height: int, step: int, interlaced: int, rows: int) -> bytes:
    """Inflate the pixels of a PNG, check how many there are, and wrap the first rows again uncompressed.

    Pillow's decoder takes a stream that ends early for rows of zeros. Inflating first is no slower: libdeflate
    is faster than the zlib in Pillow.
    """
    import deflate

    grids = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    shapes = [(len(range(x, width, dx)), len(range(y, height, dy))) for x, y, dx, dy in grids]
    size = sum(h * (1 + w * step) for w, h in shapes if w)
    try:
        plain = deflate.zlib_decompress(packed, size)
    except (deflate.DeflateError, ValueError) as error:
        raise DamagedDataError(f"PNG data are damaged: {error}") from None
    if len(plain) != size or interlaced > 1:
        raise DamagedDataError(f"PNG data hold {len(plain)} of {size} bytes of rows")
    kept = memoryview(plain)[: size if interlaced else rows * (1 + width * step)]
    return bytes(deflate.zlib_compress(kept, 0))


def _png_rows(packed: bytes, size: tuple[int, int], mode: str, raw: str, interlaced: int) -> NDArray[Any]:
    from PIL import Image

    try:
        picture = Image.frombytes(mode, size, packed, "zip", raw, interlaced)
    except (ValueError, OSError, SyntaxError) as error:
        raise DamagedDataError(f"PNG data are damaged: {error}") from None
    return np.asarray(picture).ravel()
