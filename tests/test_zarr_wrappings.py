"""LZ4 blocks, as numcodecs and N5 frame them, put into Blosc frames; and what the standard library undoes."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.errors import DamagedDataError
from imageryclient.zarr.codings import n5_coding, zarr2_coding, zarr3_coding
from imageryclient.zarr.decoding import Decoder
from imageryclient.zarr.wrappings import unwrap

pytest.importorskip("tensorstore")

Sequences = list[tuple[bytes, int, int]]


def lz4_block(sequences: Sequences, tail: bytes) -> tuple[bytes, bytes]:
    """Write sequences of literals and a match (how far back, how long), and literals at the end: plain and packed."""
    plain, packed = bytearray(), bytearray()

    def extra(length: int) -> bytes:
        return b"" if length < 15 else b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255])

    for literals, back, length in sequences:
        plain += literals
        back = min(back, len(plain))
        packed.append(min(15, len(literals)) << 4 | min(15, length - 4))
        packed += extra(len(literals)) + literals + struct.pack("<H", back) + extra(length - 4)
        for _ in range(length):
            plain.append(plain[-back])
    packed.append(min(15, len(tail)) << 4)
    packed += extra(len(tail)) + tail
    return bytes(plain + tail), bytes(packed)


SEQUENCES = st.lists(
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 300), st.integers(4, 600)), max_size=8
)
TAIL = st.binary(min_size=12, max_size=300)


def decoded(size: int, packed: bytes) -> bytes:
    coding = zarr2_coding([size], "|u1", "C", {"id": "lz4"}, None)
    return Decoder(coding).decode(struct.pack("<i", size) + packed, (slice(0, size),)).tobytes()


@settings(max_examples=60)
@given(sequences=SEQUENCES, tail=TAIL)
def test_any_block(sequences: Sequences, tail: bytes) -> None:
    plain, packed = lz4_block(sequences, tail)
    assert decoded(len(plain), packed) == plain


def test_a_block_that_is_as_long_as_what_it_holds() -> None:
    """Blosc would take it for one that is not compressed."""
    plain, packed = lz4_block([(b"abcdefgh", 8, 4)], b"123456789012")
    assert len(plain) == len(packed) == 24
    assert decoded(24, packed) == plain


@pytest.mark.parametrize("size", [100, 64, 50])
def test_frames_of_n5(size: int) -> None:
    """Frames of lz4-java: blocks of 64 bytes, some stored as they are, and one that ends them."""
    rng = np.random.default_rng(size)
    voxels = np.concatenate([rng.integers(0, 255, size // 2), np.full(size - size // 2, 7)]).astype(np.uint8)
    frames = b""
    for start in range(0, size, 64):
        part = voxels[start : start + 64].tobytes()
        for packed, token in ((part, 0x10), (lz4_block([], part)[1], 0x20)):
            if token == (0x10 if start else 0x20):
                frames += struct.pack("<8sBiii", b"LZ4Block", token | 6, len(packed), len(part), 0) + packed
    frames += struct.pack("<8sBiii", b"LZ4Block", 0x16, 0, 0, 0)
    header = struct.pack(">HHI", 0, 1, size)
    decoder = Decoder(n5_coding([size], np.dtype(np.uint8), {"type": "lz4"}))
    np.testing.assert_array_equal(decoder.decode(header + frames, (slice(0, size),)), voxels)
    for wrong in (b"", frames[:-21], frames[: len(frames) // 2], b"x" * 60, frames.replace(b"LZ4Block", b"LZ4Blink")):
        if wrong != frames[:-21]:  # the last frame says nothing but that it is the last
            with pytest.raises(DamagedDataError):
                decoder.decode(header + wrong, (slice(0, size),))


def test_what_the_standard_library_undoes() -> None:
    voxels = np.arange(60, dtype=np.uint16)
    for name, pack in (("zlib", zlib.compress), ("bz2", bz2.compress), ("lzma", lzma.compress)):
        codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": f"numcodecs.{name}"}]
        decoder = Decoder(zarr3_coding([60], voxels.dtype, codecs))
        packed = pack(voxels.tobytes())
        np.testing.assert_array_equal(decoder.decode(packed, (slice(5, 9),)), voxels[5:9])
        for wrong in (packed[:-9], b"", b"nothing", pack(voxels[:-1].tobytes())):
            with pytest.raises(DamagedDataError):
                decoder.decode(wrong, (slice(5, 9),))


@pytest.mark.parametrize(
    "data", [b"", b"\0\0", struct.pack("<i", -1), struct.pack("<i", 5), struct.pack("<i", 3) + b"abc"]
)
def test_blocks_that_make_no_sense(data: bytes) -> None:
    with pytest.raises(DamagedDataError):
        Decoder(zarr2_coding([5], "|u1", "C", {"id": "lz4"}, None)).decode(data, (slice(0, 5),))


@settings(max_examples=200)
@given(data=st.binary(max_size=60))
def test_no_bytes_are_more_than_damaged(data: bytes) -> None:
    for name in ("zlib", "bz2", "lzma", "lz4", "n5-lz4"):
        try:
            unwrap(name, data)
        except DamagedDataError as error:
            assert name in str(error)  # noqa: PT017
