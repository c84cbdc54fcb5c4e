"""Chunks of the rare encodings, made by the packages that CloudVolume writes them with."""

from __future__ import annotations

import json
import struct
import threading
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.errors import DamagedDataError, FormatError, MissingExtraError
from imageryclient.precomputed import apart, rare
from imageryclient.precomputed.rare import read_rare

PACKAGE = {
    "compresso": "compresso", "crackle": "crackle", "fpzip": "fpzip", "kempressed": "fpzip", "zfpc": "zfpc",
    "jxl": "imagecodecs",
}  # fmt: skip
LABELS = ("compresso", "crackle")
SHAPE = (30, 23, 9)
rng = np.random.default_rng(3)


def codec(encoding: str) -> ModuleType:
    return pytest.importorskip(PACKAGE[encoding])


def voxels(encoding: str, channels: int = 1, shape: tuple[int, ...] = SHAPE, dtype: str | None = None) -> np.ndarray:
    """A chunk (x, y, z, c) of what the encoding holds."""
    if encoding in LABELS:
        coarse = rng.integers(0, np.iinfo(dtype or "u8").max, [-(-n // 4) for n in shape], dtype=dtype or "u8")
        fine = np.kron(coarse, np.ones((4, 4, 4), coarse.dtype))[tuple(slice(0, n) for n in shape)]
        return np.asfortranarray(fine[..., None])
    if encoding == "jxl":
        return np.asfortranarray(rng.integers(0, 256, (*shape, channels), dtype=np.uint8))
    return np.asfortranarray(rng.normal(0, 50, (*shape, channels)).astype(np.float32))


def encoded(encoding: str, array: np.ndarray) -> bytes:
    """As cloud-volume's `chunks.encode` does; colours of jxl side by side, as any imagecodecs takes them."""
    module = codec(encoding)
    if encoding == "compresso":
        return bytes(module.compress(array[..., 0]))
    if encoding == "crackle":
        return bytes(module.compress(array[..., 0], parallel=1))
    if encoding == "fpzip":
        return bytes(module.compress(array, order="F"))
    if encoding == "kempressed":
        return bytes(module.compress(np.float32(2) + np.swapaxes(array, 2, 3), order="F"))
    if encoding == "zfpc":
        return bytes(module.compress(array))
    x, y, z, channels = array.shape
    rows = array.transpose(3, 2, 1, 0).reshape(channels, z * y, x)
    picture, kind = (rows[0], "GRAY") if channels == 1 else (np.ascontiguousarray(np.moveaxis(rows, 0, -1)), "RGB")
    return bytes(module.jpegxl_encode(picture, level=100, lossless=True, photometric=kind, numthreads=1))


def same(encoding: str, got: np.ndarray, wanted: np.ndarray) -> None:
    if encoding == "kempressed":  # 2 is added in 32 bits
        wanted = (wanted + np.float32(2)) - np.float32(2)
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == wanted.dtype


@pytest.mark.parametrize("encoding", PACKAGE)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [SHAPE, (64, 64, 1), (1, 5, 2)])
def test_every_voxel(encoding: str, channels: int, shape: tuple[int, int, int]) -> None:
    if encoding in LABELS and channels > 1:
        pytest.skip("holds one channel")
    array = voxels(encoding, channels, shape)
    same(encoding, read_rare(encoded(encoding, array), encoding, shape, channels, array.dtype), array)


@pytest.mark.parametrize("encoding", LABELS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_labels_of_every_width(encoding: str, dtype: str) -> None:
    array = voxels(encoding, dtype=dtype)
    data = encoded(encoding, array)
    got = read_rare(data, encoding, SHAPE, 1, np.dtype(np.uint64))  # narrower ones fit
    np.testing.assert_array_equal(got, array)
    assert got.dtype == np.uint64
    if dtype == "uint64":
        with pytest.raises(DamagedDataError, match="hold uint64; uint32 is wanted"):
            read_rare(data, encoding, SHAPE, 1, np.dtype(np.uint32))


def test_colours_of_other_writers() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    array = voxels("jxl", 3)
    rows = np.ascontiguousarray(array.transpose(2, 1, 0, 3).reshape(-1, SHAPE[0], 3))
    data = bytes(imagecodecs.jpegxl_encode(rows, level=100, lossless=True, numthreads=1))
    np.testing.assert_array_equal(read_rare(data, "jxl", SHAPE, 3, np.dtype(np.uint8)), array)


@pytest.mark.parametrize("encoding", PACKAGE)
def test_chunks_of_another_size_are_damaged(encoding: str) -> None:
    array = voxels(encoding)
    data = encoded(encoding, array)
    for shape, channels in (((30, 23, 8), 1), ((23, 30, 9), 1), (SHAPE, 3)):
        if channels > 1 and encoding in LABELS:
            continue
        if encoding == "jxl" and shape == (23, 30, 9):  # a picture may have any width, as in JPEG
            continue
        with pytest.raises(DamagedDataError, match=rf"{encoding} data .*wanted"):
            read_rare(data, encoding, shape, channels, array.dtype)


@pytest.mark.parametrize("encoding", PACKAGE)
def test_data_cut_short_or_empty(encoding: str) -> None:
    array = voxels(encoding)
    data = encoded(encoding, array)
    cuts = [0, 20, 40, len(data) // 2, len(data) - 40]
    for cut in cuts if encoding in ("fpzip", "kempressed") else [*cuts, len(data) - 5, len(data) - 1]:
        with pytest.raises(DamagedDataError, match=encoding):
            read_rare(data[:cut], encoding, SHAPE, 1, array.dtype)
    same(encoding, read_rare(data, encoding, SHAPE, 1, array.dtype), array)


@pytest.mark.parametrize("encoding", PACKAGE)
def test_damage_never_ends_the_process(encoding: str) -> None:
    array = voxels(encoding)
    data = encoded(encoding, array)
    raised = 0
    for at in [*range(1, 40, 7), *rng.integers(0, len(data), 5).tolist()]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        try:
            got = read_rare(bytes(damaged), encoding, SHAPE, 1, array.dtype)
            assert (got.shape, got.dtype) == (array.shape, array.dtype)
        except DamagedDataError:
            raised += 1
    assert raised > 1


def test_labels_of_crackle_have_a_checksum() -> None:
    crackle = codec("crackle")
    array = voxels("crackle")
    data = bytearray(encoded("crackle", array))
    labels = bytes(crackle.codec.raw_labels(bytes(data)))
    data[bytes(data).index(labels) + len(labels) // 2] ^= 1
    with pytest.raises(DamagedDataError, match="labels fail their checksum"):
        read_rare(bytes(data), "crackle", SHAPE, 1, np.dtype(np.uint64))


def test_many_threads_each_have_a_decoder() -> None:
    array = voxels("compresso")
    data = encoded("compresso", array)
    wrong = []

    def read() -> None:
        for _ in range(5):
            if not np.array_equal(read_rare(data, "compresso", SHAPE, 1, array.dtype), array):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert 1 <= len(apart._idle) <= 3


def test_a_decoder_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("compresso", voxels("compresso"))
    monkeypatch.setattr(apart, "_LONGEST", 0.3)
    monkeypatch.setattr(apart, "_PROGRAM", "import time; time.sleep(60)")
    apart._close_all()
    with pytest.raises(DamagedDataError, match="their decoder broke off"):
        apart.decode_apart("compresso", data)


@pytest.mark.parametrize("encoding", PACKAGE)
def test_a_missing_decoder_names_the_extra(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rare, "find_spec", lambda name: None)
    dtype = {"jxl": "u1", "compresso": "u8", "crackle": "u4"}.get(encoding, "f4")
    words = rf"encoded as '{encoding}', which needs .*pip install 'imageryclient\[cloudvolume\]'"
    with pytest.raises(MissingExtraError, match=words) as caught:
        read_rare(b"", encoding, SHAPE, 1, np.dtype(dtype))
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    ("encoding", "channels", "dtype"),
    [
        ("compresso", 2, "u8"),
        ("crackle", 1, "f4"),
        ("crackle", 1, "i4"),
        ("fpzip", 1, "u1"),
        ("zfpc", 1, "i4"),
        ("jxl", 2, "u1"),
        ("jxl", 1, "u2"),
    ],
)
def test_voxels_an_encoding_cannot_hold(encoding: str, channels: int, dtype: str) -> None:
    with pytest.raises(FormatError, match=rf"encoding '{encoding}' holds .*; the volume has {channels} of"):
        read_rare(b"", encoding, SHAPE, channels, np.dtype(dtype))


# ---- volumes ----------------------------------------------------------------------------------------------------

OFFSET, SIZE, CHUNK = (100, 60, 7), (70, 50, 20), (32, 32, 8)


def volume(folder: Path, encoding: str, array: np.ndarray) -> None:
    info = {
        "type": "segmentation" if encoding in LABELS else "image",
        "data_type": str(array.dtype),
        "num_channels": array.shape[3],
        "scales": [
            {
                "key": "8_8_40",
                "size": SIZE,
                "resolution": [8, 8, 40],
                "voxel_offset": OFFSET,
                "chunk_sizes": [CHUNK],
                "encoding": encoding,
            }
        ],
    }
    (folder / "8_8_40").mkdir(parents=True)
    (folder / "info").write_text(json.dumps(info))
    for place in np.ndindex(*(-(-n // c) for n, c in zip(SIZE, CHUNK, strict=True))):
        low = [p * c for p, c in zip(place, CHUNK, strict=True)]
        high = [min(a + c, n) for a, c, n in zip(low, CHUNK, SIZE, strict=True)]
        part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        name = "_".join(f"{o + a}-{o + b}" for o, a, b in zip(OFFSET, low, high, strict=True))
        (folder / "8_8_40" / name).write_bytes(encoded(encoding, np.asfortranarray(part)))


@pytest.mark.parametrize("encoding", PACKAGE)
def test_cutouts(encoding: str, tmp_path: Path) -> None:
    array = voxels(encoding, shape=SIZE)
    volume(tmp_path, encoding, array)
    source: dict[str, Any] = {"segmentation_source" if encoding in LABELS else "image_source": str(tmp_path)}
    client = ic.ImageryClient(**source)
    part = (slice(20, 60), slice(10, 40), slice(5, 11))
    bounds = [[o + s.start for o, s in zip(OFFSET, part, strict=True)], [o + s.stop for o, s in zip(OFFSET, part)]]  # noqa: B905
    if encoding in LABELS:
        got = client.segmentation_cutout(bounds, convert_to_int64=False)
        some = np.unique(array[part])[:4]
        kept = client.segmentation_cutout(bounds, root_ids=some, convert_to_int64=False)
        np.testing.assert_array_equal(kept, np.where(np.isin(array[part][..., 0], some), array[part][..., 0], 0))
    else:
        got = client.image_cutout(bounds)
    same(encoding, got, array[part][..., 0])
    chunk = tmp_path / "8_8_40" / "100-132_60-92_7-15"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    ic.clear_cache()
    with pytest.raises(DamagedDataError, match=rf"100-132_60-92_7-15.*{encoding} data.*fetched 3 times"):
        client.cutout(bounds=bounds)
    chunk.unlink()
    cut = client.cutout(bounds=bounds, missing="fill")
    (coverage,) = cut.coverage.values()
    assert not coverage.mask()[:12, :22, :3].any()
    assert coverage.mask()[12:].all()


def test_struct_of_zfpc_is_that_of_its_package() -> None:
    zfpc = pytest.importorskip("zfpc")
    array = voxels("zfpc", 3)
    for together in ([True] * 4, [True, True, False, False], [True, True, True, False]):
        data = bytes(zfpc.compress(array, correlated_dims=together))
        same("zfpc", read_rare(data, "zfpc", SHAPE, 3, array.dtype), array)
    data = bytes(zfpc.compress(array[..., 0].astype(np.int32)))
    with pytest.raises(DamagedDataError, match="other numbers than float32"):
        read_rare(data, "zfpc", SHAPE, 1, np.dtype(np.float32))
    longer = bytearray(encoded("zfpc", array))
    struct.pack_into("<Q", longer, 31, 5)
    with pytest.raises(DamagedDataError, match="not as long as their index says"):
        read_rare(bytes(longer), "zfpc", SHAPE, 3, np.dtype(np.float32))


def test_all_decoders_are_known() -> None:
    assert set(rare.DECODERS) == set(PACKAGE) == set(rare._PACKAGES)
    assert all(module == PACKAGE[name] for name, (module, _) in rare._PACKAGES.items())
    assert find_spec("numpy") is not None
