"""What the writer wrote, decoded by the letter of the specification, without the package's reader."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import struct
import sys

import brotli
import compressed_segmentation
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageryclient.demo.writer import Layout, downsample_image, downsample_labels, write_precomputed
from imageryclient.errors import ArgumentError
from imageryclient.precomputed.info import parse_info
from imageryclient.scales import Sharding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SHAPE, OFFSET, CHUNK = (21, 13, 11), (5, -3, 100), (8, 8, 4)


def volume(dtype="uint64", channels=1, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    size = shape if channels == 1 else (*shape, channels)
    if dtype == "float32":
        return np.asfortranarray(rng.normal(size=size).astype(dtype))
    values = rng.integers(0, np.iinfo(dtype).max, 9, dtype=dtype, endpoint=True)
    return np.asfortranarray(values[rng.integers(0, 9, size)])


def decoded(data, encoding, shape, dtype, block_size=(8, 8, 8)):
    if encoding == "raw":
        return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape, order="F")
    x, y, z, c = shape
    if encoding == "compressed_segmentation":
        words = np.frombuffer(data, "<u4")
        starts = [*words[:c].tolist(), len(words)]
        channels = []
        for a, b in itertools.pairwise(starts):
            alone = struct.pack("<I", 1) + words[a:b].tobytes()
            channels.append(compressed_segmentation.decompress(alone, (x, y, z), dtype, block_size, order="F"))
        return np.stack([channel.reshape(x, y, z) for channel in channels], axis=-1)
    if encoding == "jpeg":
        flat = simplejpeg.decode_jpeg(data, "GRAY" if c == 1 else "RGB")
    else:
        flat = np.asarray(Image.open(io.BytesIO(data)))
    return flat.reshape(z, y, x, c).transpose(2, 1, 0, 3)


def unpacked(path, how):
    if how == "gz":
        return gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    if how == "br":
        return brotli.decompress(path.with_name(path.name + ".br").read_bytes())
    if how == "zstd":
        return zstd.decompress(path.with_name(path.name + ".zstd").read_bytes())
    data = path.read_bytes()
    return gzip.decompress(data) if how == "gzip" else data


def grid(shape, chunk):
    for place in itertools.product(*(range(-(-n // c)) for n, c in zip(shape, chunk, strict=True))):
        start = [p * c for p, c in zip(place, chunk, strict=True)]
        yield place, start, [min(a + c, n) for a, c, n in zip(start, chunk, shape, strict=True)]


def read_files(folder, layout, shape, dtype, channels):
    array = np.zeros((*shape, channels), dtype)
    for _, start, stop in grid(shape, layout.chunk_size):
        span = zip(start, stop, layout.voxel_offset, strict=True)
        name = "_".join(f"{a + o}-{b + o}" for a, b, o in span)
        size = (*(b - a for a, b in zip(start, stop, strict=True)), channels)
        data = unpacked(folder / layout.folder / name, layout.compress)
        where = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        array[where] = decoded(data, layout.encoding, size, dtype, layout.block_size)
    return array if channels > 1 else array[..., 0]


def murmur(key):
    """MurmurHash3_x86_128 of eight bytes, seed 0, its low 64 bits: the reference code, line by line."""

    def rot(v, r):
        return ((v << r) | (v >> (32 - r))) & 0xFFFFFFFF

    def mul(a, b):
        return (a * b) & 0xFFFFFFFF

    def fmix(h):
        h = mul(h ^ (h >> 16), 0x85EBCA6B)
        h = mul(h ^ (h >> 13), 0xC2B2AE35)
        return h ^ (h >> 16)

    low, high = struct.unpack("<II", struct.pack("<Q", key))
    h2 = mul(rot(mul(high, 0xAB0E9789), 16), 0x38B34AE5)
    h1 = mul(rot(mul(low, 0x239B961B), 15), 0xAB0E9789)
    h = [h1 ^ 8, h2 ^ 8, 8, 8]
    for mix in (True, False):
        h[0] = sum(h) & 0xFFFFFFFF
        h[1:] = [(v + h[0]) & 0xFFFFFFFF for v in h[1:]]
        if mix:
            h = [fmix(v) for v in h]
    return h[0] | h[1] << 32


def read_shards(folder, layout, shape, dtype):
    """Walk every shard file from front to back, and place chunks by undoing the Morton code."""
    sharding = layout.sharding
    places = {}
    sizes = [-(-n // c) for n, c in zip(shape, layout.chunk_size, strict=True)]
    for place, start, stop in grid(shape, layout.chunk_size):
        code, bit = 0, 0
        for level in range(8):
            for p, n in zip(place, sizes, strict=True):
                if 1 << level < n:
                    code |= (p >> level & 1) << bit
                    bit += 1
        places[code] = start, stop
    array, seen = np.zeros(shape, dtype), set()
    for file in sorted((folder / layout.folder).iterdir()):
        data = file.read_bytes()
        count = 1 << sharding.minishard_bits
        index = np.frombuffer(data, "<u8", 2 * count).reshape(count, 2)
        body = data[16 * count :]
        for minishard, (begin, end) in enumerate(index.tolist()):
            if begin == end:
                continue
            table = body[begin:end]
            if sharding.minishard_index_encoding == "gzip":
                table = gzip.decompress(table)
            steps = np.frombuffer(table, "<u8").reshape(3, -1).tolist()
            number = at = 0
            for step, gap, size in zip(*steps, strict=True):
                number, at = number + step, at + gap
                chunk, at = body[at : at + size], at + size
                if sharding.data_encoding == "gzip":
                    chunk = gzip.decompress(chunk)
                hashed = number >> sharding.preshift_bits
                hashed = murmur(hashed) if sharding.hash.startswith("murmur") else hashed
                assert hashed % count == minishard
                assert file.name == f"{(hashed >> sharding.minishard_bits) % (1 << sharding.shard_bits):x}.shard"
                start, stop = places[number]
                where = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
                size = (*(b - a for a, b in zip(start, stop, strict=True)), 1)
                array[where] = decoded(chunk, layout.encoding, size, dtype)[..., 0]
                seen.add(number)
    return array, seen


@pytest.mark.parametrize("compress", ["", "gzip", "gz", "br", "zstd"])
@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        *(("raw", dtype, c) for dtype in ("uint8", "uint16", "uint32", "uint64", "float32") for c in (1, 3)),
        *(("compressed_segmentation", dtype, c) for dtype in ("uint32", "uint64") for c in (1, 2)),
        *(("png", "uint8", c) for c in (1, 2, 3, 4)),
        ("png", "uint16", 1),
    ],
)
def test_lossless_encodings_keep_every_voxel(tmp_path, encoding, dtype, channels, compress):
    array = volume(dtype, channels)
    layout = Layout(resolution=(8, 8, 40), voxel_offset=OFFSET, chunk_size=CHUNK, encoding=encoding, compress=compress)
    assert write_precomputed(tmp_path / "v", [(array, layout)], kind="image") == tmp_path / "v"
    assert np.array_equal(read_files(tmp_path / "v", layout, SHAPE, dtype, channels), array)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_near_and_follows_its_quality(tmp_path, channels):
    ramp = np.add.outer(np.add.outer(np.arange(40) * 3, np.arange(30) * 2), np.arange(10))
    array = np.stack([ramp, 255 - ramp, ramp // 2], axis=-1).astype(np.uint8)
    array = array if channels == 3 else array[..., 0]
    layouts = [
        Layout(resolution=(8, 8, 40), key=f"q{q}", encoding="jpeg", jpeg_quality=q, chunk_size=(16, 16, 10))
        for q in (30, 95)
    ]
    write_precomputed(tmp_path, [(array, layout) for layout in layouts], kind="image")
    low, high = (read_files(tmp_path, layout, (40, 30, 10), "uint8", channels) for layout in layouts)
    error = [np.abs(some.astype(int) - array).mean() for some in (low, high)]
    assert error[1] < 1.2 < error[0] < 12


@pytest.mark.parametrize("block_size", [(8, 8, 8), (4, 8, 2), (16, 16, 1)])
def test_blocks_of_compressed_segmentation(tmp_path, block_size):
    array = volume()
    layout = Layout(resolution=(8, 8, 40), encoding="compressed_segmentation", block_size=block_size)
    write_precomputed(tmp_path, [(array, layout)], kind="segmentation")
    assert np.array_equal(read_files(tmp_path, layout, SHAPE, "uint64", 1), array)


@settings(max_examples=40)
@given(
    bits=st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 6)),
    hash_=st.sampled_from(["identity", "murmurhash3_x86_128"]),
    index=st.sampled_from(["raw", "gzip"]),
    data=st.sampled_from(["raw", "gzip"]),
    shape=st.tuples(*(st.integers(1, 20) for _ in range(3))),
)
def test_shards_hold_every_chunk(tmp_path_factory, bits, hash_, index, data, shape):
    preshift, mini, shard = bits
    sharding = Sharding(preshift, hash_, mini, min(shard, 4), index, data)
    array = volume(shape=shape)
    layout = Layout(resolution=(8, 8, 40), chunk_size=(4, 8, 5), sharding=sharding)
    folder = write_precomputed(tmp_path_factory.mktemp("v"), [(array, layout)], kind="segmentation")
    back, seen = read_shards(folder, layout, shape, "uint64")
    assert np.array_equal(back, array)
    assert len(seen) == len(list(grid(shape, (4, 8, 5))))


def test_absent_chunks_are_not_written(tmp_path):
    array = volume()
    plain = Layout(resolution=(8, 8, 40), chunk_size=CHUNK, absent=frozenset({(0, 0, 0), (2, 1, 2)}))
    sharded = Layout(
        resolution=(16, 16, 40),
        chunk_size=CHUNK,
        absent=plain.absent,
        sharding=Sharding(0, "identity", 1, 2, "raw", "raw"),
    )
    write_precomputed(tmp_path, [(array, plain), (array, sharded)], kind="segmentation")
    names = {path.name for path in (tmp_path / "8_8_40").iterdir()}
    assert "0-8_0-8_0-4" not in names
    assert "16-21_8-13_8-11" not in names
    assert len(names) == 3 * 2 * 3 - 2
    back, seen = read_shards(tmp_path, sharded, SHAPE, "uint64")
    assert len(seen) == 16
    assert not back[:8, :8, :4].any()
    assert np.array_equal(back[8:16], array[8:16])


def test_info_says_what_was_written(tmp_path):
    array = volume("uint32")
    sharding = Sharding(2, "murmurhash3_x86_128", 3, 1, "gzip", "raw")
    levels = [
        ((42, 26, 11), Layout(resolution=(4, 4, 40), voxel_offset=(10, -6, 100), placeholder=True)),
        (array, Layout(resolution=(8, 8, 40), voxel_offset=OFFSET, encoding="compressed_segmentation")),
        (array[::2, ::2], Layout(resolution=(16, 16.5, 40), voxel_offset=(5, -3, 100), sharding=sharding)),
    ]
    write_precomputed(tmp_path, levels, kind="segmentation", extra={"mesh": "mesh", "graph": {"n_layers": 4}})
    document = json.loads((tmp_path / "info").read_text())
    assert document["mesh"] == "mesh"
    assert document["graph"] == {"n_layers": 4}
    assert [scale["key"] for scale in document["scales"]] == ["placeholder", "8_8_40", "16_16.5_40"]
    assert not (tmp_path / "placeholder").exists()
    info = parse_info(document, "here")
    assert (info.kind, info.dtype, info.channels) == ("segmentation", np.dtype("uint32"), 1)
    assert info.scales[0].placeholder
    assert info.scales[0].bounds.shape == (42, 26, 11)
    assert (info.scales[1].bounds.start, info.scales[1].block_size) == (OFFSET, (8, 8, 8))
    assert (info.scales[2].sharding, info.scales[2].bounds.shape) == (sharding, (11, 7, 11))


def test_a_memory_map_is_read_in_chunks(tmp_path):
    class Watched:
        def __init__(self, array):
            self.array, self.shape, self.dtype, self.largest = array, array.shape, array.dtype, 0

        def __getitem__(self, key):
            self.largest = max(self.largest, self.array[key].size)
            return self.array[key]

    array = volume("uint16")
    watched, layout = Watched(array), Layout(resolution=(8, 8, 40), chunk_size=CHUNK)
    write_precomputed(tmp_path, [(watched, layout)], kind="image")
    assert watched.largest == np.prod(CHUNK)
    assert np.array_equal(read_files(tmp_path, layout, SHAPE, "uint16", 1), array)


@pytest.mark.parametrize(
    ("array", "layout", "says"),
    [
        (volume("uint16"), {"encoding": "jpeg"}, "jpeg cannot hold 1 channel.* of uint16"),
        (volume("uint8"), {"encoding": "compressed_segmentation"}, "compressed_segmentation cannot hold"),
        (volume("uint16", 3), {"encoding": "png"}, "png cannot hold 3"),
        (volume("uint8"), {"encoding": "crackle"}, "encoding must be one of raw, jpeg, png"),
        (volume("uint8"), {"compress": "lzma"}, "compress must be"),
        (volume("uint8").astype(np.float64), {}, "hold uint8.*got float64"),
        (volume("uint8")[0], {}, "must have shape"),
        (
            volume("uint8"),
            {"compress": "gzip", "sharding": Sharding(0, "identity", 0, 0, "raw", "raw")},
            "shards compress by their data_encoding",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, array, layout, says):
    with pytest.raises(ArgumentError, match=says):
        write_precomputed(tmp_path, [(array, Layout(resolution=(8, 8, 40), **layout))], kind="image")
    assert not (tmp_path / "info").exists()


def test_levels_must_agree(tmp_path):
    levels = [(volume("uint8"), Layout(resolution=(8, 8, 40))), (volume("uint16"), Layout(resolution=(16, 16, 40)))]
    with pytest.raises(ArgumentError, match="one dtype and number of channels"):
        write_precomputed(tmp_path, levels, kind="image")
    with pytest.raises(ArgumentError, match="at least one scale with data"):
        write_precomputed(tmp_path, [((4, 4, 4), Layout(resolution=(8, 8, 40), placeholder=True))], kind="image")


@settings(max_examples=60)
@given(
    shape=st.tuples(*(st.integers(1, 9) for _ in range(3))),
    factors=st.tuples(*(st.integers(1, 4) for _ in range(3))),
    dtype=st.sampled_from(["uint8", "uint16", "uint32", "float32"]),
    channels=st.sampled_from([1, 3]),
)
def test_shrunk_imagery_is_the_mean_of_what_it_covers(shape, factors, dtype, channels):
    array = volume(dtype, channels, shape)
    small = downsample_image(array, factors)
    assert small.dtype == array.dtype
    assert small.shape[:3] == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    for where in itertools.product(*map(range, small.shape[:3])):
        block = array[tuple(slice(i * f, (i + 1) * f) for i, f in zip(where, factors, strict=True))]
        mean = block.astype(np.float64).mean(axis=(0, 1, 2))
        expected = mean if dtype == "float32" else np.floor(mean + 0.5)
        assert np.allclose(small[where], expected, rtol=1e-6, atol=1e-6 if dtype == "float32" else 0)


def test_shrunk_labels_are_labels_that_were_there():
    array = volume()
    small = downsample_labels(array, (2, 3, 4))
    assert small.shape == (11, 5, 3)
    assert small[5, 2, 1] == array[10, 6, 4]
    assert np.isin(small, array).all()
    with pytest.raises(ArgumentError, match="uint64"):
        downsample_image(array, (2, 2, 2))
