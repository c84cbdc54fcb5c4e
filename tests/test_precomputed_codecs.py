from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import numpy as np
import pytest

from imageryclient.errors import ArgumentError, DamagedDataError, FormatError, MissingExtraError
from imageryclient.geometry import Box, IntTriple
from imageryclient.precomputed.chunks import Chunk
from imageryclient.precomputed.codecs import decode_chunk, decompress
from imageryclient.scales import Info, Scale

try:
    from compression import zstd
except ImportError:
    from backports import zstd

AT = (8.0, 8.0, 40.0)
PLAIN = np.random.default_rng(0).integers(0, 4, 5000, dtype=np.uint8).tobytes()
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
ALIASES = {"gz": "gzip", "x-gzip": "gzip", "GZIP": "gzip", "brotli": "br", "zst": "zstd"}


@pytest.mark.parametrize("name", [*COMPRESS, *ALIASES])
@pytest.mark.parametrize("plain", [PLAIN, b"", b"a", b"\0" * 100_000])
def test_decompress(name: str, plain: bytes) -> None:
    assert decompress(COMPRESS[ALIASES.get(name, name)](plain), name) == plain


def test_plain_data_pass() -> None:
    for name in ("", "identity", "raw"):
        assert decompress(PLAIN, name) is PLAIN
    with pytest.raises(FormatError, match="lzma"):
        decompress(PLAIN, "lzma")


@pytest.mark.parametrize("level", [0, 1, 9])
def test_gzip_members(level: int) -> None:
    one, two = gzip.compress(PLAIN, level), gzip.compress(PLAIN[::-1] + b"more", level)
    assert decompress(one + two, "gzip") == PLAIN + PLAIN[::-1] + b"more"
    assert decompress(one + one, "gzip") == PLAIN * 2
    assert decompress(one + gzip.compress(b""), "gzip") == PLAIN
    for pad in (1, 4, 8, 100):
        assert decompress(one + b"\0" * pad, "gzip") == PLAIN
        assert decompress(one + b"\0" * pad + two, "gzip") == PLAIN + PLAIN[::-1] + b"more"
    for junk in (b"x", b"junk", one[:9], b"\0\0\0\1"):
        with pytest.raises(DamagedDataError):
            decompress(one + junk, "gzip")


def test_gzip_holding_its_own_signature() -> None:
    plain = b"\x1f\x8b\x08" * 50
    assert decompress(gzip.compress(plain, 0), "gzip") == plain


@pytest.mark.parametrize("size", [0, 1, len(PLAIN) - 1, len(PLAIN) + 1, 2**32 - 1])
def test_gzip_of_a_wrong_size(size: int) -> None:
    with pytest.raises(DamagedDataError):
        decompress(gzip.compress(PLAIN)[:-4] + struct.pack("<I", size), "gzip")


def test_bare_deflate() -> None:
    squeeze = zlib.compressobj(wbits=-15)
    bare = squeeze.compress(PLAIN) + squeeze.flush()
    assert decompress(bare, "deflate") == PLAIN
    with pytest.raises(DamagedDataError):
        decompress(zlib.compress(PLAIN) + b"x", "deflate")


@pytest.mark.parametrize("name", COMPRESS)
def test_truncated_data_raise(name: str) -> None:
    whole = COMPRESS[name](PLAIN)
    for cut in [*range(40), *range(40, len(whole), 17), *range(len(whole) - 20, len(whole))]:
        with pytest.raises(DamagedDataError):
            decompress(whole[:cut], name)


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_flipped_bits_never_pass(name: str) -> None:
    whole = COMPRESS[name](PLAIN)
    random = np.random.default_rng(2)
    for at in [*range(30), *random.integers(0, len(whole), 300), *range(len(whole) - 12, len(whole))]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(random.integers(8))
        try:
            assert decompress(bytes(damaged), name) == PLAIN  # a bit that means nothing, as in gzip's time
        except DamagedDataError:
            continue


@pytest.mark.parametrize("name", COMPRESS)
def test_random_bytes_raise(name: str) -> None:
    random = np.random.default_rng(3)
    start = COMPRESS[name](PLAIN)[:6]
    for n in range(300):
        noise = start * (n % 2) + random.bytes(int(random.integers(20, 300)))
        with pytest.raises(DamagedDataError):
            decompress(noise, name)


def make(shape: IntTriple, dtype: str = "uint8", channels: int = 1, encoding: str = "raw") -> tuple[Scale, Info, Chunk]:
    start = (5, -3, 7)
    box = Box(start, (5 + shape[0], shape[1] - 3, 7 + shape[2]), AT)
    block = (8, 8, 8) if encoding == "compressed_segmentation" else None
    scale = Scale(0, "key", AT, box, shape, encoding, block, None)
    return scale, Info("image", np.dtype(dtype), channels, (scale,)), Chunk((0, 0, 0), box)


def parts(box: Box, count: int, seed: int) -> list[Box]:
    random = np.random.default_rng(seed)
    found = [box]
    for _ in range(count):
        low = [int(random.integers(a, b)) for a, b in zip(box.start, box.stop, strict=True)]
        high = [int(random.integers(a, b)) + 1 for a, b in zip(low, box.stop, strict=True)]
        found.append(Box((low[0], low[1], low[2]), (high[0], high[1], high[2]), AT))
    return found


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int64", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_raw(dtype: str, channels: int) -> None:
    shape = (7, 5, 4)
    random = np.random.default_rng(4)
    volume: Any = random.integers(-100, 100, (*shape, channels)).astype(dtype)
    data = volume.astype(volume.dtype.newbyteorder("<")).tobytes(order="F")
    scale, info, chunk = make(shape, dtype, channels)
    for region in [None, *parts(chunk.box, 20, 5)]:
        found = decode_chunk(data, scale, info, chunk, region)
        assert found.dtype == volume.dtype
        np.testing.assert_array_equal(found, volume[(region or chunk.box).slices(chunk.box)])
    for damaged in (data[:-1], data + b"\0", b"", data * 2):
        with pytest.raises(DamagedDataError, match=str(len(data))):
            decode_chunk(damaged, scale, info, chunk)


def test_regions_beyond_the_chunk() -> None:
    scale, info, chunk = make((4, 4, 4))
    data = bytes(64)
    for region in (chunk.box.moved((1, 0, 0)), chunk.box.moved((0, -1, 0)), Box((0, 0, 0), (99, 99, 99), AT)):
        with pytest.raises(ArgumentError):
            decode_chunk(data, scale, info, chunk, region)
    empty = Box(chunk.box.start, (9, 1, 7), AT)
    assert decode_chunk(data, scale, info, chunk, empty).shape == (4, 4, 0, 1)


@pytest.mark.parametrize("encoding", ["compresso", "crackle", "fpzip", "zfpc", "kempressed", "jxl"])
def test_rare_encodings_name_the_extra(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageryclient.precomputed.rare.find_spec", lambda name: None)
    dtype = {"compresso": "uint64", "crackle": "uint64", "jxl": "uint8"}.get(encoding, "float32")
    scale, info, chunk = make((4, 4, 4), dtype, encoding=encoding)
    with pytest.raises(MissingExtraError, match=encoding) as caught:
        decode_chunk(b"", scale, info, chunk)
    assert "pip install 'imageryclient[cloudvolume]'" in str(caught.value)


def test_unknown_encodings_list_the_known() -> None:
    scale, info, chunk = make((4, 4, 4), encoding="webp")
    with pytest.raises(FormatError, match=r"'webp'.*raw, jpeg, png") as caught:
        decode_chunk(b"", scale, info, chunk)
    assert "pip" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("jpeg", "uint16", 1),
        ("jpeg", "uint8", 2),
        ("png", "uint32", 1),
        ("png", "uint8", 5),
        ("png", "uint16", 2),
        ("compressed_segmentation", "uint8", 1),
    ],
)
def test_voxels_an_encoding_cannot_hold(encoding: str, dtype: str, channels: int) -> None:
    scale, info, chunk = make((8, 8, 8), dtype, channels, encoding)
    with pytest.raises(FormatError, match=dtype):
        decode_chunk(b"\0" * 64, scale, info, chunk)
