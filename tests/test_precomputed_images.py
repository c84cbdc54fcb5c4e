from __future__ import annotations

import io
import math
import struct
import threading
from typing import Any

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from imageryclient.errors import DamagedDataError
from imageryclient.geometry import Box, IntTriple
from imageryclient.precomputed.chunks import Chunk
from imageryclient.precomputed.codecs import decode_chunk
from imageryclient.scales import Info, Scale

AT = (8.0, 8.0, 40.0)
SHAPE = (40, 30, 12)


def make(encoding: str, dtype: str, channels: int, shape: IntTriple = SHAPE) -> tuple[Scale, Info, Chunk]:
    box = Box((5, -3, 7), (5 + shape[0], shape[1] - 3, 7 + shape[2]), AT)
    scale = Scale(0, "key", AT, box, shape, encoding, None, None)
    return scale, Info("image", np.dtype(dtype), channels, (scale,)), Chunk((0, 0, 0), box)


def texture(shape: IntTriple, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Something smooth with noise on it, (x, y, z, c)."""
    random = np.random.default_rng(seed)
    x, y, z, c = np.meshgrid(*map(np.arange, (*shape, channels)), indexing="ij")
    wave = 128 + 60 * np.sin(x / 5 + c) + 50 * np.cos(y / 7 - z) + random.normal(0, 12, (*shape, channels))
    return np.clip(wave, 0, 255).astype(np.uint8)


def picture(volume: NDArray[Any], width: int) -> NDArray[Any]:
    """Rows of pixels: x fastest, then y, then z; (height, width, c)."""
    flat = volume.transpose(2, 1, 0, 3).reshape(-1, volume.shape[3])
    return np.ascontiguousarray(flat.reshape(-1, width, volume.shape[3]))


def volume_of(rows: NDArray[Any], shape: IntTriple) -> NDArray[Any]:
    return rows.reshape(shape[2], shape[1], shape[0], -1).transpose(2, 1, 0, 3)


def parts(box: Box, count: int, seed: int) -> list[Box]:
    random = np.random.default_rng(seed)
    x, y, z = box.stop
    found = [box, Box(box.start, (x, y, box.start[2] + 1), AT), Box((*box.start[:2], z - 1), box.stop, AT)]
    for _ in range(count):
        low = [int(random.integers(a, b)) for a, b in zip(box.start, box.stop, strict=True)]
        high = [int(random.integers(a, b)) + 1 for a, b in zip(low, box.stop, strict=True)]
        found.append(Box((low[0], low[1], low[2]), (high[0], high[1], high[2]), AT))
    return found


def pillow(rows: NDArray[Any], name: str, **options: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows).save(target, name, **options)
    return target.getvalue()


def jpegs(rows: NDArray[np.uint8]) -> dict[str, bytes]:
    if rows.shape[2] == 1:
        found = {"gray": simplejpeg.encode_jpeg(rows, quality=85, colorspace="GRAY")}
    else:
        found = {
            kind: simplejpeg.encode_jpeg(rows, quality=85, colorsubsampling=kind)
            for kind in ("444", "422", "420", "440", "411")
        }
    found["progressive"] = pillow(rows, "jpeg", progressive=True)
    found["restarts"] = pillow(rows, "jpeg", restart_marker_rows=1)
    found["optimized"] = pillow(rows, "jpeg", optimize=True, comment=b"\xff\xd9 \xff\xc0")
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [40, 1200, 24, 75])
def test_jpeg_parts_equal_the_whole(channels: int, width: int) -> None:
    scale, info, chunk = make("jpeg", "uint8", channels)
    for name, data in jpegs(picture(texture(SHAPE, channels), width)).items():
        space = "GRAY" if channels == 1 else "RGB"
        wanted = volume_of(simplejpeg.decode_jpeg(data, colorspace=space), SHAPE)
        for region in parts(chunk.box, 40, width):
            found = decode_chunk(data, scale, info, chunk, region)
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, wanted[region.slices(chunk.box)], err_msg=f"{name} {region}")
        np.testing.assert_array_equal(decode_chunk(data, scale, info, chunk), wanted)


def test_jpeg_of_every_depth() -> None:
    shape = (17, 3, 29)
    scale, info, chunk = make("jpeg", "uint8", 3, shape)
    data = simplejpeg.encode_jpeg(picture(texture(shape, 3), 17), colorsubsampling="420")
    wanted = volume_of(simplejpeg.decode_jpeg(data), shape)
    for z in range(shape[2]):
        region = Box((5, -3, 7 + z), (22, 0, 8 + z), AT)
        np.testing.assert_array_equal(decode_chunk(data, scale, info, chunk, region), wanted[:, :, z : z + 1])


@pytest.mark.parametrize("channels", [1, 3])
def test_truncated_jpeg_raises(channels: int) -> None:
    scale, info, chunk = make("jpeg", "uint8", channels)
    first = Box(chunk.box.start, (45, 27, 8), AT)
    for data in jpegs(picture(texture(SHAPE, channels), 40)).values():
        for cut in [*range(0, 700, 7), *range(700, len(data), 301), len(data) - 2, len(data) - 1]:
            for region in (first, None):
                with pytest.raises(DamagedDataError):
                    decode_chunk(data[:cut], scale, info, chunk, region)
        with pytest.raises(DamagedDataError):  # cut short and closed again
            decode_chunk(data[: len(data) // 2] + b"\xff\xd9", scale, info, chunk)
        decode_chunk(data + b"\0" * 5, scale, info, chunk)


def test_flipped_jpeg_raises_or_decodes() -> None:
    scale, info, chunk = make("jpeg", "uint8", 1)
    random = np.random.default_rng(6)
    data = jpegs(picture(texture(SHAPE, 1), 40))["gray"]
    raised = 0
    for at in [*range(2, 650), *random.integers(650, len(data) - 2, 200)]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(random.integers(8))
        for region in (None, Box(chunk.box.start, (45, 27, 9), AT)):
            try:
                found = decode_chunk(bytes(damaged), scale, info, chunk, region)
                assert found.shape[:3] == (region or chunk.box).shape
            except DamagedDataError:
                raised += 1
    assert raised > 300


def test_jpeg_damage_in_the_rows_read_is_seen() -> None:
    scale, info, chunk = make("jpeg", "uint8", 1)
    data = jpegs(picture(texture(SHAPE, 1), 40))["gray"]
    scan = data.index(b"\xff\xda") + 12
    damaged = data[:scan] + b"\xff\xd9" + data[scan + 2 :]  # ends before its first row
    with pytest.raises(DamagedDataError):
        decode_chunk(damaged, scale, info, chunk, Box(chunk.box.start, (45, 27, 8), AT))


def test_pictures_of_another_kind_raise() -> None:
    gray, colour = picture(texture(SHAPE, 1), 40), picture(texture(SHAPE, 3), 40)
    deep = gray.astype(np.uint16)
    cases: list[tuple[str, str, int, bytes]] = [
        ("jpeg", "uint8", 1, pillow(gray[:-1], "jpeg")),
        ("jpeg", "uint8", 1, pillow(colour, "jpeg")),
        ("jpeg", "uint8", 3, pillow(gray, "jpeg")),
        ("jpeg", "uint8", 1, pillow(gray, "png")),
        ("jpeg", "uint8", 1, b""),
        ("png", "uint8", 1, pillow(gray[:, :-1], "png")),
        ("png", "uint8", 1, pillow(colour, "png")),
        ("png", "uint8", 3, pillow(gray, "png")),
        ("png", "uint8", 1, pillow(deep, "png")),
        ("png", "uint16", 1, pillow(gray, "png")),
        ("png", "uint8", 1, pillow(gray, "jpeg")),
        ("png", "uint8", 1, b""),
    ]
    indexed = io.BytesIO()
    Image.fromarray(gray[..., 0]).convert("P").save(indexed, "png")
    cases.append(("png", "uint8", 1, indexed.getvalue()))
    for encoding, dtype, channels, data in cases:
        scale, info, chunk = make(encoding, dtype, channels)
        with pytest.raises(DamagedDataError):
            decode_chunk(data, scale, info, chunk)


def png(rows: NDArray[Any], filters: int | None = None) -> bytes:
    """Write a PNG of any depth by hand; rows take the filter types in turn, or the one given."""
    import zlib

    height, width, channels = rows.shape
    size = rows.dtype.itemsize
    stored = rows.astype(rows.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8).astype(int)
    step = channels * size
    packed = bytearray()
    above = np.zeros_like(stored[0])
    for y, row in enumerate(stored):
        kind = y % 5 if filters is None else filters
        left = np.concatenate([np.zeros(step, dtype=int), row[:-step]])
        corner = np.concatenate([np.zeros(step, dtype=int), above[:-step]])
        guess = left + above - corner
        distance = [abs(guess - p) for p in (left, above, corner)]
        near_left = (distance[0] <= distance[1]) & (distance[0] <= distance[2])
        paeth = np.where(near_left, left, np.where(distance[1] <= distance[2], above, corner))
        predicted = [0 * row, left, above, (left + above) // 2, paeth][kind]
        packed += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    header = struct.pack(">IIBBBBB", width, height, 8 * size, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    body = zlib.compress(bytes(packed))
    half = len(body) // 2
    found = b"\x89PNG\r\n\x1a\n"
    for name, part in ((b"IHDR", header), (b"IDAT", body[:half]), (b"IDAT", body[half:]), (b"IEND", b"")):
        found += struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
    return found


@pytest.mark.parametrize(
    ("dtype", "channels"),
    [("uint8", 1), ("uint8", 2), ("uint8", 3), ("uint8", 4), ("uint16", 1), ("uint16", 3), ("uint16", 4)],
)
@pytest.mark.parametrize("width", [40, 75])
def test_png(dtype: str, channels: int, width: int) -> None:
    random = np.random.default_rng(7)
    volume = random.integers(0, np.iinfo(dtype).max, (*SHAPE, channels), endpoint=True).astype(dtype)
    scale, info, chunk = make("png", dtype, channels)
    data = png(picture(volume, width))
    for region in parts(chunk.box, 25, 8):
        found = decode_chunk(data, scale, info, chunk, region)
        assert found.dtype == volume.dtype
        np.testing.assert_array_equal(found, volume[region.slices(chunk.box)])


@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_pillow(channels: int) -> None:
    volume = texture(SHAPE, channels)
    scale, info, chunk = make("png", "uint8", channels)
    np.testing.assert_array_equal(decode_chunk(pillow(picture(volume, 40), "png"), scale, info, chunk), volume)


def test_interlaced_png() -> None:
    # Pillow writes no interlaced PNG; this one is 8 x 8, all seven passes made by hand.
    import zlib

    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    packed = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in image[y::dy, x::dx])
    data = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    for name, part in ((b"IHDR", header), (b"IDAT", zlib.compress(packed)), (b"IEND", b"")):
        data += struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
    scale, info, chunk = make("png", "uint8", 1, (8, 4, 2))
    wanted = volume_of(image[..., None], (8, 4, 2))
    np.testing.assert_array_equal(decode_chunk(data, scale, info, chunk), wanted)
    first = Box(chunk.box.start, (13, 1, 8), AT)
    np.testing.assert_array_equal(decode_chunk(data, scale, info, chunk, first), wanted[:, :, :1])


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 3)])
def test_damaged_png_raises(dtype: str, channels: int) -> None:
    shape = (10, 8, 3)
    scale, info, chunk = make("png", dtype, channels, shape)
    random = np.random.default_rng(9)
    volume = random.integers(0, 250, (*shape, channels)).astype(dtype)
    data = png(picture(volume, 10))
    for cut in range(len(data)):
        with pytest.raises(DamagedDataError):
            decode_chunk(data[:cut], scale, info, chunk)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(random.integers(8))
        with pytest.raises(DamagedDataError):
            decode_chunk(bytes(damaged), scale, info, chunk)


def test_png_with_too_few_rows_raises() -> None:
    import zlib

    rows = picture(texture((10, 8, 3), 1), 10)
    short = png(rows[:-1])
    header = struct.pack(">IIBBBBB", 10, len(rows), 8, 0, 0, 0, 0)
    start = short.index(b"IHDR")
    part = b"IHDR" + header
    fixed = short[:start] + part + struct.pack(">I", zlib.crc32(part)) + short[start + len(part) + 4 :]
    scale, info, chunk = make("png", "uint8", 1, (10, 8, 3))
    with pytest.raises(DamagedDataError):
        decode_chunk(fixed, scale, info, chunk)


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_random_bytes_raise(encoding: str) -> None:
    random = np.random.default_rng(10)
    rows = picture(texture(SHAPE, 1), 40)
    good = pillow(rows, encoding)
    scale, info, chunk = make(encoding, "uint8", 1)
    for n in range(400):
        kept = [0, 2, 30, 200, 620, 660][n % 6]
        noise = good[:kept] + random.bytes(int(random.integers(0, 400))) + good[-2:] * (n % 2)
        with pytest.raises(DamagedDataError):
            decode_chunk(noise, scale, info, chunk)


def test_threads() -> None:
    scale, info, chunk = make("jpeg", "uint8", 3)
    data = jpegs(picture(texture(SHAPE, 3), 40))["420"]
    wanted = decode_chunk(data, scale, info, chunk).copy()
    regions = parts(chunk.box, 60, 11)
    wrong: list[Box] = []

    def work(mine: list[Box]) -> None:
        for region in mine:
            found = decode_chunk(data, scale, info, chunk, region)
            if not np.array_equal(found, wanted[region.slices(chunk.box)]):
                wrong.append(region)

    threads = [threading.Thread(target=work, args=(regions[k::4],)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert math.prod(wanted.shape) == chunk.box.voxels * 3
