"""What was decoded is kept for the next cutout of the same voxels: never wrong, never stale, never another's."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cache import CACHE, ByteCache, Payload
from imageryclient.demo.server import Fault
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import DamagedDataError, ImageryError, StorageError
from imageryclient.volumes import precomputed

EM = np.random.default_rng(2).integers(1, 256, (96, 80, 24), dtype=np.uint8)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each chunk that is decoded."""
    seen: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **options: Any) -> Any:
            seen.append(name)
            return call(*args, **options)

        return noted

    monkeypatch.setattr(precomputed, "decode_chunk", noting("voxels", precomputed.decode_chunk))
    parse = precomputed.EncodedLabels.parse
    monkeypatch.setattr(precomputed.EncodedLabels, "parse", noting("labels", parse))
    return seen


def boxes(datastack: Any, seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    low, shape = np.array(datastack.offsets[0]), np.array(datastack.supervoxels[0].shape)
    made = []
    for _ in range(count):
        start = low + rng.integers(-5, shape - 3)
        made.append((start, start + rng.integers(1, [90, 80, 20])))
    return made


def test_repeated_cutouts_are_the_same_and_decode_nothing(datastack: Any, server: Any, connect: Any, decoded: Any):
    running = server()
    for start, stop in boxes(datastack, 1, 12):
        first = connect(running, missing="fill")
        one = first.image_and_segmentation_cutout([start, stop])
        assert decoded
        decoded.clear()
        running.requests.clear()
        true = np.squeeze(datastack.image(start, stop))
        roots = np.squeeze(datastack.roots(start, stop, datastack.late.timestamp()))
        others = (first, first, connect(running, missing="fill"))
        more = (client.image_and_segmentation_cutout([start, stop]) for client in others)
        for image, ids in chain([one], more):
            assert np.array_equal(image, true)
            assert np.array_equal(ids.astype(np.uint64), roots)
            image[...], ids[...] = 1, 2  # what callers get is theirs
        assert not decoded
        assert not running.requests.paths
        ic.clear_cache()


@pytest.mark.parametrize("layer", ["imagery", "jpeg", "sharded", "supervoxels"])
def test_any_layer_with_and_without_what_is_kept(
    datastack: Any, server: Any, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    source = f"precomputed://{server().url}/data/{layer}"
    name = "segmentation_source" if layer == "supervoxels" else "image_source"
    client = ic.ImageryClient(**{name: source}, missing="fill", resolution=(8, 8, 40))
    rng = np.random.default_rng(5)
    places = boxes(datastack, 6, 8)
    for n in rng.integers(0, len(places), 24):
        box = np.array(places[n]) + rng.integers(-1, 2) * np.array([1, 0, 0])
        kept = client.cutout(bounds=box)
        with monkeypatch.context() as patch:
            patch.setattr(precomputed, "CACHE", ByteCache(0))
            plain = client.cutout(bounds=box)
        for array in ("image", "segmentation"):
            assert np.array_equal(getattr(kept, array), getattr(plain, array))
        assert kept.coverage == plain.coverage
    assert len(CACHE) > 0


def test_objects_of_one_moment_are_never_shown_at_another(datastack: Any, server: Any, connect: Any, decoded: Any):
    client = connect(server(), missing="fill")
    operations = datastack.history.operations
    start = np.array(datastack.offsets[0]) + 20
    stop = start + [150, 120, 14]
    client.segmentation_cutout([start, stop])
    decoded.clear()
    own = datastack.labels(start, stop)
    for operation in operations[::4]:
        for moment in (operation.time - 0.5, operation.time + 0.5):
            roots = datastack.roots(start, stop, moment)
            assert np.array_equal(client.segmentation_cutout([start, stop], timestamp=moment).astype(np.uint64), roots)
            some = np.unique(roots[roots > 0])[::2]
            kept = np.where(np.isin(roots, some), roots, 0)
            got = client.segmentation_cutout([start, stop], some, timestamp=moment)
            assert np.array_equal(got.astype(np.uint64), kept)
        assert np.array_equal(client.segmentation_cutout([start, stop], None).astype(np.uint64), own)
    assert not decoded


def test_what_one_user_may_read_is_not_shown_to_another(tmp_path: Path, server: Any, decoded: Any) -> None:
    write_precomputed(tmp_path / "em", [(EM, Layout(resolution=(8, 8, 40), encoding="png"))], kind="image")
    running = server(tmp_path)
    source = f"precomputed://middleauth+{running.url}/data/em"

    def cut(token: str) -> np.ndarray:
        return ic.ImageryClient(image_source=source, auth_token=token).image_cutout([[0, 0, 0], EM.shape])

    assert np.array_equal(cut("one"), EM)
    decoded.clear()
    assert np.array_equal(cut("one"), EM)
    assert not decoded
    running.faults = [Fault("/data/", status=403)]
    with pytest.raises(StorageError):
        cut("two")
    assert not decoded
    assert np.array_equal(cut("one"), EM)


def test_files_may_change(tmp_path: Path, decoded: Any) -> None:
    folder = tmp_path / "em"
    layout = Layout(resolution=(8, 8, 40), encoding="png")
    write_precomputed(folder, [(EM, layout)], kind="image")
    client = ic.ImageryClient(image_source=str(folder))
    assert np.array_equal(client.image_cutout([[0, 0, 0], EM.shape]), EM)
    shutil.rmtree(folder)
    write_precomputed(folder, [(255 - EM, layout)], kind="image")
    assert np.array_equal(client.image_cutout([[0, 0, 0], EM.shape]), 255 - EM)
    assert len(CACHE) == 0


def test_damaged_chunks_leave_nothing_behind(tmp_path: Path, server: Any) -> None:
    layout = Layout(resolution=(8, 8, 40), encoding="png", chunk_size=(32, 32, 16))
    write_precomputed(tmp_path / "em", [(EM, layout)], kind="image")
    running = server(tmp_path)
    client = ic.ImageryClient(image_source=f"precomputed://{running.url}/data/em")
    box = [[5, 5, 3], [70, 60, 20]]
    want = EM[5:70, 5:60, 3:20]
    running.faults = [Fault("0-32_0-32_0-16", shorten=200)]
    with pytest.raises(DamagedDataError):
        client.image_cutout(box)
    running.faults = []
    assert np.array_equal(client.image_cutout(box), want)
    volume = client.volumes["imagery"]
    scale = volume.info.scales[0]
    chunk = precomputed.chunks_covering(scale, scale.bounds)[0]
    before = len(CACHE)
    volume._forget(scale, chunk)
    assert len(CACHE) == before - 2  # the chunk and what was decoded of it
    assert np.array_equal(client.image_cutout(box), want)


def test_a_stream_of_cutouts_keeps_to_the_limit(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server(), missing="fill")
    largest = 0
    monkeypatch.setattr(CACHE, "limit", 300_000)
    for start, stop in boxes(datastack, 12, 25):
        image, ids = client.image_and_segmentation_cutout([start, stop])
        assert np.array_equal(image, np.squeeze(datastack.image(start, stop)))
        assert np.array_equal(
            ids.astype(np.uint64), np.squeeze(datastack.roots(start, stop, datastack.late.timestamp()))
        )
        assert CACHE.size <= 300_000
        largest = max(largest, CACHE.size)
    assert largest > 200_000


def test_what_is_too_large_or_only_copied_is_not_kept(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoding in ("raw", "png"):
        write_precomputed(tmp_path / encoding, [(EM, Layout(resolution=(8, 8, 40), encoding=encoding))], kind="image")
    running = server(tmp_path)

    def regions(encoding: str) -> int:
        ic.clear_cache()
        client = ic.ImageryClient(image_source=f"precomputed://{running.url}/data/{encoding}")
        client.image_cutout([[0, 0, 0], EM.shape])
        return len(CACHE._regions)

    assert regions("raw") == 0
    assert regions("png") > 0
    monkeypatch.setattr(CACHE, "limit", 2 * EM.size - 2)
    assert regions("png") == 0


def test_a_region_kept_holds_little_else(tmp_path: Path, server: Any) -> None:
    layout = Layout(resolution=(8, 8, 40), encoding="png", chunk_size=(96, 80, 24))
    write_precomputed(tmp_path / "em", [(EM, layout)], kind="image")
    client = ic.ImageryClient(image_source=f"precomputed://{server(tmp_path).url}/data/em")
    for box in (
        [[3, 4, 23], [30, 40, 24]],
        [[0, 0, 0], [96, 80, 24]],
        [[1, 0, 0], [96, 80, 22]],
        [[0, 0, 8], [96, 80, 9]],
    ):
        ic.clear_cache()
        got = client.image_cutout(box)
        (low, high) = box
        assert np.array_equal(got, np.squeeze(EM[low[0] : high[0], low[1] : high[1], low[2] : high[2]]))
        ((kept, size),) = CACHE._regions.values()
        while isinstance(kept.base, np.ndarray):
            kept = kept.base
        assert kept.nbytes <= size <= 1.25 * got.nbytes + 1000


def test_halves() -> None:
    cache = ByteCache(limit=10_000)
    for n in range(20):
        cache.keep("chunk", n, n, 700)
    assert 8_000 < cache.size <= 10_000  # alone it may fill all
    for n in range(20):
        cache.put(n, Payload(bytes(700)))
    encoded = [n for n in range(20) if cache.get(n) is not None]
    regions = [n for n in range(20) if cache.decoded("chunk", n) is not None]
    assert 4_000 < 900 * len(encoded) <= 10_000
    assert 4_000 < 900 * len(regions) <= 5_000
    for n in range(20, 60):
        cache.keep("chunk", n, n, 700)
    assert [n for n in encoded if cache.get(n) is not None] == encoded  # never pushed below half
    assert cache.size <= 10_000
    cache.keep("chunk", "huge", "huge", 6_000)
    assert cache.decoded("chunk", "huge") is None
    cache.keep("other", 0, "kept", 10)
    cache.discard_decoded("chunk")
    assert cache.decoded("other", 0) == "kept"
    assert cache.decoded("chunk", 59) is None
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


def test_regions_count_right_under_threads() -> None:
    cache = ByteCache(limit=50_000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(400):
            chunk, region = (int(n) for n in rng.integers(12, size=2))
            if rng.random() < 0.4:
                cache.keep(chunk, region, (chunk, region), int(rng.integers(1, 2000)))
            elif rng.random() < 0.3:
                cache.put(chunk, Payload(bytes(int(rng.integers(1, 2000)))))
            elif rng.random() < 0.05:
                cache.discard_decoded(chunk)
            else:
                assert cache.decoded(chunk, region) in (None, (chunk, region))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert 0 < cache.size <= cache.limit
    for chunk in range(12):
        cache.discard_decoded(chunk)
        cache.discard(chunk)
    assert (len(cache), cache.size) == (0, 0)


def test_an_error_while_writing_what_was_kept_is_raised(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server())
    where = {"bounds": datastack.middle, "bbox_size": (90, 80, 3), "root_ids": None}
    first = client.segmentation_cutout(**where)

    def broken(*_: Any) -> None:
        raise ImageryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(precomputed.TouchedLabels, "write", broken)
        with pytest.raises(ImageryError, match="no room"):
            client.segmentation_cutout(**where)
    assert np.array_equal(client.segmentation_cutout(**where), first)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_ids_beyond_int64_are_seen_only_where_they_are(tmp_path: Path, server: Any, dtype: str) -> None:
    labels = np.arange(32 * 16 * 8, dtype=dtype).reshape(32, 16, 8) // 7
    labels[3, 2, 1] = largest = np.iinfo(dtype).max
    layout = Layout(resolution=(8, 8, 40), encoding="compressed_segmentation", chunk_size=(16, 16, 8))
    write_precomputed(tmp_path / "ids", [(labels, layout)], kind="segmentation")
    client = ic.ImageryClient(segmentation_source=f"precomputed://{server(tmp_path).url}/data/ids")
    for low in ((0, 0, 0), (4, 2, 1), (3, 2, 1), (16, 0, 0)):
        for _ in range(2):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                got = client.segmentation_cutout([low, (32, 16, 8)])
            want = labels[tuple(slice(n, None) for n in low)]
            assert np.array_equal(got.astype(np.uint64), want.astype(np.uint64))
            beyond = int(want.max()) >= 2**63
            assert beyond == (dtype == "uint64" and int(want.max()) == largest)
            assert got.dtype == (np.uint64 if beyond else np.int64)
            assert [one.category for one in said] == [ic.errors.IdWarning] * beyond
