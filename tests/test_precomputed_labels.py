from __future__ import annotations

import itertools
import struct
import threading
import tracemalloc
from typing import Any, Literal

import compressed_segmentation
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imageryclient.errors import ArgumentError, DamagedDataError, FormatError
from imageryclient.geometry import Box, IntTriple
from imageryclient.precomputed.chunks import Chunk
from imageryclient.precomputed.codecs import decode_chunk
from imageryclient.precomputed.labels import EncodedLabels
from imageryclient.precomputed.touched import TouchedLabels
from imageryclient.scales import Info, Scale

AT = (8.0, 8.0, 40.0)
WIDTHS = (0, 1, 2, 4, 8, 16, 32)


def make(
    shape: IntTriple, dtype: str = "uint64", block: IntTriple = (8, 8, 8), channels: int = 1
) -> tuple[Chunk, Scale, Info]:
    box = Box((5, -3, 7), (5 + shape[0], shape[1] - 3, 7 + shape[2]), AT)
    scale = Scale(0, "key", AT, box, shape, "compressed_segmentation", block, None)
    return Chunk((0, 0, 0), box), scale, Info("segmentation", np.dtype(dtype), channels, (scale,))


def cells(shape: IntTriple, dtype: str = "uint64", seed: int = 0, most: int = 2**64 - 1) -> NDArray[Any]:
    """Slanted cells with empty space, one noisy corner and one of two labels; (x, y, z), x fastest."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, min(most, np.iinfo(dtype).max), 500, dtype=np.uint64, endpoint=True)
    x, y, z = np.meshgrid(*map(np.arange, shape), indexing="ij")
    labels = ids[((x + z) // 11 + 7 * ((y + x // 3) // 9) + 31 * (z // 5)) % 500].astype(dtype)
    labels[(x // 8 + y // 8) % 3 == 0] = 0
    corner = labels[:10, :9, :6]
    corner[...] = random.integers(0, 400, corner.shape)
    labels[-6:, -6:, -4:] = random.integers(0, 2, labels[-6:, -6:, -4:].shape)
    return np.asfortranarray(labels)


def encode(
    labels: NDArray[Any],
    block: IntTriple,
    widths: NDArray[Any] | None = None,
    shared: bool = False,
    junk: bool = False,
    short: bool = False,
) -> bytes:
    """Write compressed_segmentation after its specification, slowly, with the liberties it allows.

    `widths` gives the least bits of each block; `shared` uses one table for all blocks; `junk` fills the padding
    of clipped blocks with ones; `short` leaves the padding at the very end out.
    """
    stride = labels.dtype.itemsize // 4
    grid = [-(-n // b) for n, b in zip(labels.shape, block, strict=True)]
    headers: list[int] = []
    body: list[int] = []
    base = 2 * int(np.prod(grid))

    def table_words(table: NDArray[Any]) -> list[int]:
        return [int(v) >> (32 * k) & 0xFFFFFFFF for v in table for k in range(stride)]

    common = np.unique(labels)
    if shared:
        body += table_words(common)
    for k, j, i in itertools.product(*map(range, grid[::-1])):
        low = [n * b for n, b in zip((i, j, k), block, strict=True)]
        part = labels[tuple(slice(a, a + b) for a, b in zip(low, block, strict=True))]
        table = common if shared else np.unique(part)
        least = 0 if widths is None else int(widths[k, j, i])
        width = next(w for w in WIDTHS if w >= least and 2**w >= len(table))
        packed = 0
        positions = np.searchsorted(table, part)
        last = 0
        for z, y, x in itertools.product(*map(range, block[::-1])):
            at = x + block[0] * (y + block[1] * z)
            if x < part.shape[0] and y < part.shape[1] and z < part.shape[2]:
                packed |= int(positions[x, y, z]) << (width * at)
                last = at
            elif junk:
                packed |= ((1 << width) - 1) << (width * at)
        words = -(-width * int(np.prod(block)) // 32)
        if shared:
            start = base
        else:
            start = base + len(body)
            body += table_words(table)
        headers += [start | width << 24, base + len(body)]
        if short and len(headers) == base:
            words = -(-width * (last + 1) // 32)
        body += [packed >> (32 * n) & 0xFFFFFFFF for n in range(words)]
    return struct.pack(f"<{1 + base + len(body)}I", 1, *headers, *body)


def boxes(box: Box, count: int, seed: int) -> list[Box]:
    random = np.random.default_rng(seed)
    (x0, y0, z0), (x1, y1, z1) = box.start, box.stop
    middle = (z0 + z1) // 2
    found = [box, Box((x0, y0, middle), (x1, y1, middle + 1), AT), Box((x0, y0, z1 - 1), box.stop, AT)]
    found += [Box((x1 - 1, y0, z0), box.stop, AT), Box((x0, y1 - 1, z0), box.stop, AT)]
    for _ in range(count):
        low = [int(random.integers(a, b)) for a, b in zip(box.start, box.stop, strict=True)]
        high = [int(random.integers(a, b)) + 1 for a, b in zip(low, box.stop, strict=True)]
        found.append(Box((low[0], low[1], low[2]), (high[0], high[1], high[2]), AT))
    return found


def check(data: bytes, labels: NDArray[Any], block: IntTriple, count: int = 12, seed: int = 0) -> None:
    """Compare every way to read with plain indexing of what was encoded."""
    chunk, scale, info = make(labels.shape, labels.dtype.name, block)  # type: ignore[arg-type]
    encoded = EncodedLabels.parse(data, chunk, scale, info)
    everything = np.unique(labels).astype(np.uint64)
    old = np.unique(np.append(everything, np.uint64(12345)))
    new = np.random.default_rng(seed).integers(0, 2**64 - 1, len(old), dtype=np.uint64)
    for region in boxes(chunk.box, count, seed):
        wanted = labels[region.slices(chunk.box)]
        ids = encoded.touched(region).ids
        assert ids.dtype == np.uint64
        assert np.all(np.isin(np.unique(wanted), ids))
        assert np.all(np.isin(ids, everything))
        assert np.all(ids[1:] > ids[:-1])
        plain = encoded.decode(region)
        assert (plain.dtype, plain.flags.f_contiguous) == (np.uint64, True)
        np.testing.assert_array_equal(plain, wanted)
        replaced = new[np.searchsorted(old, wanted)]
        np.testing.assert_array_equal(encoded.decode(region, old, new), replaced)
        few = ids, new[np.searchsorted(old, ids)]
        np.testing.assert_array_equal(encoded.decode(region, *few), replaced)
        touched = encoded.touched(region)
        np.testing.assert_array_equal(touched.ids, ids)
        assert touched.shape == region.shape
        for order in ("F", "C"):
            check_writing(touched, wanted, (), order)
            check_writing(touched, replaced, (old, new), order)
            check_writing(touched, replaced, few, order)
        stored = decode_chunk(data, scale, info, chunk, region)
        assert (stored.dtype, stored.shape) == (labels.dtype, (*region.shape, 1))
        np.testing.assert_array_equal(stored[..., 0], wanted)


def check_writing(
    touched: TouchedLabels, wanted: NDArray[Any], labels: tuple[NDArray[np.uint64], ...], order: Literal["C", "F"]
) -> None:
    """Write into the middle of a larger array, and see that nothing beside it changes."""
    x, y, z = wanted.shape
    large = np.full((x + 5, y + 2, z + 3), 2**63 + 1, dtype=np.uint64, order=order)
    expected = large.copy(order)
    place = slice(2, 2 + x), slice(1, 1 + y), slice(3, 3 + z)
    expected[place] = wanted
    touched.write(large[place], *labels)
    np.testing.assert_array_equal(large, expected)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("shape", [(32, 24, 16), (37, 29, 13), (8, 8, 8), (5, 3, 2), (1, 1, 1), (9, 64, 1)])
@pytest.mark.parametrize("block", [(8, 8, 8), (4, 4, 4), (16, 8, 4), (3, 5, 7), (64, 64, 64)])
def test_against_the_package_of_the_field(dtype: str, shape: IntTriple, block: IntTriple) -> None:
    labels = cells(shape, dtype)
    data = compressed_segmentation.compress(labels, block_size=block, order="F")
    check(data, labels, block)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_bit_width(dtype: str, width: int) -> None:
    random = np.random.default_rng(width)
    labels = cells((19, 12, 17), dtype, seed=width)
    same = np.full((3, 2, 3), width)
    check(encode(labels, (8, 8, 8), same), labels, (8, 8, 8))
    mixed = random.choice(WIDTHS, (3, 2, 3))
    check(encode(labels, (8, 8, 8), mixed, junk=True), labels, (8, 8, 8))


@settings(max_examples=60)
@given(st.data())
def test_any_encoding(data: st.DataObject) -> None:
    def triple(low: int, high: int) -> IntTriple:
        x, y, z = (data.draw(st.integers(low, high)) for _ in range(3))
        return x, y, z

    shape, block = triple(1, 14), triple(1, 9)
    seed = data.draw(st.integers(0, 2**20))
    dtype = data.draw(st.sampled_from(["uint32", "uint64"]))
    labels = cells(shape, dtype, seed)
    grid = [-(-n // b) for n, b in zip(shape, block, strict=True)][::-1]
    widths = np.random.default_rng(seed).choice(data.draw(st.lists(st.sampled_from(WIDTHS), min_size=1)), grid)
    shared, junk, short = (data.draw(st.booleans()) for _ in range(3))
    check(encode(labels, block, widths, shared, junk, short), labels, block, count=4, seed=seed)


def test_one_table_for_all_blocks() -> None:
    labels = cells((33, 18, 11))
    labels[:8, :8, :8] = np.random.default_rng(0).integers(0, 2**64 - 1, (8, 8, 8), dtype=np.uint64)
    check(encode(labels, (4, 4, 4), shared=True), labels, (4, 4, 4))


@pytest.mark.parametrize("value", [0, 7, 2**64 - 1])
def test_one_label(value: int) -> None:
    labels = np.full((20, 17, 9), value, dtype=np.uint64, order="F")
    data = compressed_segmentation.compress(labels, order="F")
    check(data, labels, (8, 8, 8))
    chunk, scale, info = make((20, 17, 9))
    assert EncodedLabels.parse(data, chunk, scale, info).touched(chunk.box).ids.tolist() == [value]


def test_ids_are_those_of_touched_blocks() -> None:
    labels = np.arange(4, dtype=np.uint64).repeat(8)[:, None, None] * np.ones((1, 8, 8), dtype=np.uint64)
    chunk, scale, info = make((32, 8, 8))
    data = compressed_segmentation.compress(np.asfortranarray(labels), order="F")
    encoded = EncodedLabels.parse(data, chunk, scale, info)
    assert encoded.touched(Box((14, -3, 7), (22, 5, 8), AT)).ids.tolist() == [1, 2]


def test_empty_box() -> None:
    labels = cells((20, 17, 9))
    chunk, scale, info = make((20, 17, 9))
    encoded = EncodedLabels.parse(compressed_segmentation.compress(labels, order="F"), chunk, scale, info)
    empty = Box(chunk.box.start, (15, 5, 7), AT)
    assert encoded.touched(empty).ids.tolist() == []
    assert encoded.touched(empty).ids.dtype == np.uint64
    assert encoded.decode(empty).shape == (10, 8, 0)
    touched = encoded.touched(empty)
    touched.write(np.zeros((10, 8, 0), dtype=np.uint64), touched.ids, touched.ids)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_channels(dtype: str) -> None:
    shape, channels = (19, 12, 9), 3
    volume = np.stack([cells(shape, dtype, seed) for seed in range(channels)], axis=3)
    volume = np.asfortranarray(volume)
    single = [compressed_segmentation.compress(volume[..., c].copy("F"), order="F")[4:] for c in range(channels)]
    starts = np.cumsum([channels, *(len(s) // 4 for s in single)])
    data = struct.pack("<3I", *starts[:3].tolist()) + b"".join(single)
    chunk, scale, info = make(shape, dtype, channels=channels)
    for region in boxes(chunk.box, 10, 1):
        found = decode_chunk(data, scale, info, chunk, region)
        assert found.dtype == volume.dtype
        np.testing.assert_array_equal(found, volume[region.slices(chunk.box)])
    for c in range(channels):
        ids = EncodedLabels.parse(data, chunk, scale, info, c).touched(chunk.box).ids
        assert ids.tolist() == np.unique(volume[..., c]).tolist()
    for wrong in ((4, 100, 200), (3, 2, 200), (3, 100, 2**31), (3, int(starts[2]), int(starts[1]))):
        with pytest.raises(DamagedDataError):
            decode_chunk(struct.pack("<3I", *wrong) + data[12:], scale, info, chunk)


def test_what_cannot_be() -> None:
    labels = cells((20, 17, 9))
    data = compressed_segmentation.compress(labels, order="F")
    chunk, scale, info = make((20, 17, 9))
    encoded = EncodedLabels.parse(data, chunk, scale, info)
    with pytest.raises(ArgumentError):
        encoded.decode(chunk.box.moved((0, 0, 1)))
    with pytest.raises(ArgumentError):
        encoded.touched(chunk.box.moved((0, 0, 1)))
    touched = encoded.touched(chunk.box)
    out = np.zeros((20, 17, 9), dtype=np.uint64)
    for old in (touched.ids[1:], touched.ids[:-1], touched.ids[:0]):
        with pytest.raises(ArgumentError):
            encoded.decode(chunk.box, old, old)
        with pytest.raises(ArgumentError):
            touched.write(out, old, old)
    for wrong in (out[:-1], out[None], out.T, out.astype(np.float64), out.astype(np.uint32), out.astype(np.int64)):
        before = wrong.copy()
        with pytest.raises(ArgumentError):
            touched.write(wrong)
        np.testing.assert_array_equal(wrong, before)
    with pytest.raises(FormatError, match="uint16"):
        EncodedLabels.parse(data, chunk, scale, Info("segmentation", np.dtype("uint16"), 1, (scale,)))


def changed(data: bytes, word: int, value: int) -> bytes:
    return data[: 4 * word] + struct.pack("<I", value) + data[4 * word + 4 :]


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_damaged_headers_raise(dtype: str) -> None:
    shape = (20, 17, 9)
    labels = cells(shape, dtype)
    data = compressed_segmentation.compress(labels, order="F")
    chunk, scale, info = make(shape, dtype)
    blocks = 3 * 3 * 2
    words = len(data) // 4
    damaged = [changed(data, 0, start) for start in (0, 2, words, 2**32 - 1)]
    for n in range(blocks):
        table, values = struct.unpack_from("<2I", data, 4 + 8 * n)
        at, bits = table & 0xFFFFFF, table >> 24
        for wrong in (0, 2 * blocks - 1, words - 1, words, 0xFFFFFF):
            damaged.append(changed(data, 1 + 2 * n, wrong | bits << 24))
        for width in (3, 5, 7, 9, 17, 31, 33, 64, 255):
            damaged.append(changed(data, 1 + 2 * n, at | width << 24))
        if bits:
            for wrong in (0, 2 * blocks - 1, words - 1, words, 2**31, 2**32 - 1):
                damaged.append(changed(data, 2 + 2 * n, wrong))
        assert values <= words
    for bad in damaged:
        with pytest.raises(DamagedDataError):
            EncodedLabels.parse(bad, chunk, scale, info).decode(chunk.box)
        with pytest.raises(DamagedDataError):
            decode_chunk(bad, scale, info, chunk)


def test_values_beyond_their_table_raise() -> None:
    along = np.arange(16, dtype=np.uint64) // 8 * 10 + np.arange(16, dtype=np.uint64) % 3
    labels = np.asfortranarray(np.broadcast_to(along[:, None, None], (16, 8, 8)))  # three labels in each block
    data = compressed_segmentation.compress(labels, order="F")
    chunk, scale, info = make((16, 8, 8))
    for n in range(2):
        _, values = struct.unpack_from("<2I", data, 4 + 8 * n)
        damaged = bytearray(data)
        damaged[4 + 4 * values] |= 3
        encoded = EncodedLabels.parse(bytes(damaged), chunk, scale, info)
        touched = Box((5 + 8 * n, -3, 7), (13 + 8 * n, 5, 15), AT)
        for call in (encoded.touched, encoded.decode, encoded.stored):
            with pytest.raises(DamagedDataError):
                call(touched)
        other = touched.moved((8 - 16 * n, 0, 0))
        np.testing.assert_array_equal(encoded.decode(other), labels[other.slices(chunk.box)])


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("shape", [(16, 16, 8), (20, 17, 9)])
def test_truncated_data_never_pass(dtype: str, shape: IntTriple) -> None:
    labels = cells(shape, dtype)
    data = compressed_segmentation.compress(labels, order="F")
    chunk, scale, info = make(shape, dtype)
    for cut in [*range(200), *range(200, len(data), 31), *range(len(data) - 40, len(data))]:
        try:
            found = decode_chunk(data[:cut], scale, info, chunk)
        except DamagedDataError:
            continue
        assert cut > len(data) * 0.9  # nothing but padding of the last block is gone
        np.testing.assert_array_equal(found[..., 0], labels)


def test_flipped_and_random_bytes_raise_or_decode() -> None:
    shape = (20, 17, 9)
    chunk, scale, info = make(shape)
    data = compressed_segmentation.compress(cells(shape), order="F")
    random = np.random.default_rng(3)
    thin = Box((8, 0, 9), (21, 13, 10), AT)
    raised = 0
    for n in range(1500):
        damaged = bytearray(data)
        if n % 3 == 0:
            damaged[int(random.integers(4 + 8 * 18))] = int(random.integers(256))
        elif n % 3 == 1:
            damaged[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        else:
            damaged[int(random.integers(200)) :] = random.bytes(int(random.integers(400)))
        region = thin if n % 2 else chunk.box
        try:
            encoded = EncodedLabels.parse(bytes(damaged), chunk, scale, info)
            touched = encoded.touched(region)
        except DamagedDataError:
            raised += 1
            continue
        found = np.zeros(region.shape, dtype=np.uint64, order="F")
        touched.write(found, touched.ids, touched.ids)
        assert np.isin(found, touched.ids).all()
    assert raised > 500


def test_memory_kept_is_a_byte_a_voxel() -> None:
    shape = (128, 128, 32)
    labels = np.asfortranarray(cells(shape))
    chunk, scale, info = make(shape)
    data = compressed_segmentation.compress(labels, order="F")
    encoded = EncodedLabels.parse(data, chunk, scale, info)
    encoded.touched(chunk.box)
    out = np.zeros((200, *shape[1:]), dtype=np.uint64, order="F")
    tracemalloc.start()
    try:
        touched = encoded.touched(chunk.box)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        touched.write(out[:128])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1.25 * labels.size
    assert peak - kept < labels.nbytes / 4
    np.testing.assert_array_equal(out[:128], labels)


def test_threads() -> None:
    shape = (40, 33, 18)
    labels = cells(shape)
    chunk, scale, info = make(shape)
    encoded = EncodedLabels.parse(compressed_segmentation.compress(labels, order="F"), chunk, scale, info)
    wrong: list[Box] = []

    def work(seed: int) -> None:
        for region in boxes(chunk.box, 40, seed):
            touched = encoded.touched(region)
            found = np.zeros(region.shape, dtype=np.uint64, order="F")
            touched.write(found, touched.ids, touched.ids)
            if not np.array_equal(found, labels[region.slices(chunk.box)]):
                wrong.append(region)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
