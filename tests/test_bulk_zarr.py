"""Boxes of Zarr and N5 layers read together: what each is given is what it would be read as by itself."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient import dataset
from imageryclient.bulk.failures import FailedPlace
from imageryclient.bulk.stream import cutouts
from imageryclient.demo.faults import Fault
from imageryclient.demo.server import DemoServer
from imageryclient.errors import DamagedDataError, FormatError, ImageryError, StorageError
from imageryclient.geometry import Box
from imageryclient.storage import Patience
from imageryclient.volumes import Block, IdsWanted, Volume
from imageryclient.volumes.base import read_block
from imageryclient.volumes.chunksource import shares_chunks
from imageryclient.volumes.gathering import begin
from zarr_writing import ALL, ARRAY, AT, EXPLICIT, KINDS, RNG, n5, ome_image, open_kind, opened, sharded, zarr2

CRC = {"name": "crc32c"}
ABSENT = [(0, 0, 0), (8, 16, 32), (16, 32, 32)]
CHANNELS = RNG.integers(1, 9, (2, 3, 9, 17, 18), dtype=np.uint8)


def channels(folder: Path) -> Path:
    """An array with axes t, c, z, y, x: chunks of one and of two of the channels, one of them absent."""
    metadata = {"chunks": [1, 2, 8, 16, 16], "compressor": {"id": "zlib"}, "fill_value": 7}
    return zarr2(folder, CHANNELS, absent=[(1, 2, 0, 0, 0)], **metadata)


MAKERS: dict[str, Callable[[Path], Any]] = {
    "zarr2": lambda folder: opened(zarr2(folder, absent=ABSENT, fill_value=5), EXPLICIT),
    "floats": lambda folder: opened(zarr2(folder, ARRAY.astype("f4"), absent=ABSENT, fill_value="NaN"), EXPLICIT),
    "zarr3": lambda folder: opened(KINDS["zarr3"](folder, absent=ABSENT, after=[{"name": "zstd"}]), EXPLICIT),
    "sharded": lambda folder: opened(sharded(folder, absent=ABSENT, after=[CRC]), EXPLICIT),
    "first": lambda folder: opened(sharded(folder, absent=ABSENT, index_location="start"), EXPLICIT),
    "n5": lambda folder: opened(n5(folder, absent=ABSENT, compression={"type": "gzip"}), "", "n5"),
    "ome": lambda folder: opened(ome_image(folder)),
    "channels": lambda folder: opened(channels(folder), "#resolution=8,8,40&axes=tczyx&t=1"),
    "channel": lambda folder: opened(channels(folder), "#resolution=8,8,40&axes=tczyx&t=1&c=2"),
    "xyz": lambda folder: opened(zarr2(folder, np.ascontiguousarray(ARRAY.T)), "#resolution=8,8,40&axes=xyz"),
}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("arrays")
    return {name: make(folder / name) for name, make in MAKERS.items()}


def together(volume: Volume, boxes: list[Box], mip: int = 0, wanted: IdsWanted | None = None) -> list[Any]:
    """Read boxes together, and give each as a block or as the error that it raises."""
    scale = volume.info.scales[mip]
    gathering = begin(volume, scale, boxes, wanted)
    gathering.decode()
    return [attempt(lambda box=box: gathering.part(box).block(volume)) for box in boxes]


def apart(volume: Volume, boxes: list[Box], mip: int = 0, wanted: IdsWanted | None = None) -> list[Any]:
    scale = volume.info.scales[mip]
    return [attempt(lambda box=box: read_block(volume, box, scale, wanted)) for box in boxes]


def attempt(read: Callable[[], Block]) -> Block | ImageryError:
    try:
        return read()
    except ImageryError as error:
        return error


def same(one: Any, other: Any) -> None:
    if isinstance(other, ImageryError):
        assert (type(one), str(one)) == (type(other), str(other))
        return
    assert one.coverage == other.coverage
    assert one.data.dtype == other.data.dtype
    assert one.data.flags.f_contiguous
    np.testing.assert_array_equal(one.data, other.data)


boxes = st.lists(
    st.tuples(*[st.lists(st.integers(-9, n + 9), min_size=2, max_size=2, unique=True) for n in (45, 37, 23)]),
    min_size=1,
    max_size=5,
)


@settings(max_examples=15)
@given(corners=boxes)
def test_boxes_read_together_are_those_read_apart(volumes: dict[str, Any], corners: list[Any]) -> None:
    for volume in volumes.values():
        assert shares_chunks(volume)
        for scale in volume.info.scales:
            places = [Box(*zip(*map(sorted, corner), strict=True), scale.resolution) for corner in corners]
            gathering = begin(volume, scale, places)
            assert not gathering.decode().size
            for box in places:
                expected, part = volume.read(box, scale), gathering.part(box)
                same(part.block(volume), expected)
                same(pickle.loads(pickle.dumps(part.detached())).block(volume), expected)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "uint64"])
def test_ids_are_those_read_apart(tmp_path: Path, dtype: str) -> None:
    array = (ARRAY % 7).astype(dtype)
    if dtype == "uint64":
        array[array == 3] = 2**64 - 2
    if dtype == "int32":
        array[8, 8, 8] = -4
    volume = opened(zarr2(tmp_path / "a", array, absent=ABSENT), EXPLICIT)
    places = [Box((0, 0, 0), (20, 20, 9), AT), Box((5, 5, 4), (9, 9, 9), AT), Box((40, 30, -3), (50, 36, 20), AT)]
    for asked in ("all", None, np.array([1, 2, 2**64 - 2], np.uint64)):
        wanted = IdsWanted(asked, ALL.moment)
        found, expected = together(volume, places, wanted=wanted), apart(volume, places, wanted=wanted)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
        assert [isinstance(one, FormatError) for one in found] == (
            [True, True, False] if dtype == "int32" else [False] * 3
        )


def test_several_numbers_are_no_ids(volumes: dict[str, Any]) -> None:
    places = [Box((0, 0, 0), (3, 3, 3), AT), Box((9, 9, 9), (12, 12, 12), AT)]
    for one, other in zip(*(read(volumes["channels"], places, wanted=ALL) for read in (together, apart)), strict=True):
        same(one, other)
        assert isinstance(one, FormatError)


# ---- damage -----------------------------------------------------------------------------------------------------

PLACES = [Box((x, y, z), (x + 4, y + 4, z + 4), AT) for x in (2, 18, 34) for y in (2, 18) for z in (1, 9)]


@pytest.mark.parametrize(
    ("kind", "make", "key"),
    [
        ("zarr2", lambda place: zarr2(place, compressor={"id": "zlib"}), "1.1.1"),
        ("n5", lambda place: n5(place, compression={"type": "gzip"}), "1/1/1"),
        ("sharded", lambda place: sharded(place, after=[CRC]), "c/0/0/0"),
    ],
)
def test_a_damaged_chunk_spoils_only_its_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, make: Callable[[Path], Path], key: str
) -> None:
    monkeypatch.setattr("imageryclient.volumes.zarrchunks.time.sleep", lambda seconds: None)
    file = make(tmp_path / "a") / key
    good = bytearray(file.read_bytes())
    for at in (
        100,
        len(good) - 30,
    ):  # voxels of a chunk; of a sharded array the index too, which spoils all of the shard
        damaged = good.copy()
        damaged[at] ^= 4
        file.write_bytes(damaged)
        volume = open_kind(kind, tmp_path / "a")
        found = together(volume, PLACES)
        for one, other in zip(found, apart(volume, PLACES), strict=True):
            same(one, other)
        spoilt = [box for box, one in zip(PLACES, found, strict=True) if isinstance(one, DamagedDataError)]
        if kind == "sharded" and at > 100:
            assert spoilt == [box for box in PLACES if box.start[0] < 32]
        else:
            assert [tuple(n // c for n, c in zip(box.start, (16, 16, 8), strict=True)) for box in spoilt] in (
                [(1, 1, 1)],
                [(0, 0, 0)],  # of the shard, the chunk at its start
            )


def client_of(url: str, kind: str) -> ic.ImageryClient:
    ending = "" if kind == "n5" else f"|zarr:{EXPLICIT}"
    source = f"{'n5' if kind == 'n5' else 'zarr'}://{url}{ending}"
    return ic.ImageryClient(image_source=source, missing="fill")


def some_places(count: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-3, [48, 40, 26], (count, 3)).clip(0, [44, 36, 22])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["input", "completed"])
def test_each_chunk_is_asked_for_once(tmp_path: Path, server: Callable[..., DemoServer], kind: str, order: Any) -> None:
    KINDS[kind](tmp_path / "a", absent=ABSENT)
    running = server(tmp_path)
    client = client_of(f"{running.url}/data/a", kind)
    client.cutout((20, 20, 10), (2, 2, 1))
    ic.clear_cache()
    running.requests.clear()
    points = some_places(60)
    found = list(cutouts(client, points, (12, 11, 5), order=order))
    asked = Counter((request.path, request.header("Range")) for request in running.requests)
    # 27 chunks, or as many in 8 shards without those that are not there, and the indexes of these
    assert len(asked) == (27 if kind != "sharded" else 24 + 8)
    assert set(asked.values()) == {1}
    for one in found[::7]:
        assert not isinstance(one, FailedPlace)
        alone = client.cutout(bounds=one.bounds)
        np.testing.assert_array_equal(one.image, alone.image)
        assert one.coverage == alone.coverage


def test_groups_at_the_same_time_ask_once(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    for kind in ("zarr2", "sharded"):
        KINDS[kind](tmp_path / kind)
        running = server(tmp_path, latency=0.05)
        volume = open_kind(kind, f"{running.url}/data/{kind}")
        scale = volume.info.scales[0]
        running.requests.clear()
        gatherings = [begin(volume, scale, PLACES) for _ in range(3)]
        for gathering in gatherings:
            gathering.decode()
            same(gathering.part(PLACES[0]).block(volume), volume.read(PLACES[0], scale))
        counts = Counter((request.path, request.header("Range")) for request in running.requests)
        assert set(counts.values()) == {1}
        assert len(counts) == (12 if kind == "zarr2" else 12 + 2)


def test_a_group_that_is_left_takes_nothing_from_another(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    zarr2(tmp_path / "a")
    volume = open_kind("zarr2", f"{server(tmp_path, latency=0.05).url}/data/a")
    scale = volume.info.scales[0]
    left, kept = (begin(volume, scale, [scale.bounds]) for _ in range(2))
    left.close()
    kept.decode()
    same(kept.part(scale.bounds).block(volume), volume.read(scale.bounds, scale))


def test_what_a_server_refuses_fails_only_its_places(
    tmp_path: Path, server: Callable[..., DemoServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "Patience", partial(Patience, tries=2, pause=0.01, longest_pause=0.01))
    zarr2(tmp_path / "a")
    running = server(tmp_path, faults=[Fault(r"/1\.1\.1$", status=500)])
    client = client_of(f"{running.url}/data/a", "zarr2")
    refused = Box((16, 16, 8), (32, 32, 16), AT)
    padded = np.pad(ARRAY.T, 9)
    failed = []
    points = some_places(30)
    for one in cutouts(client, points, (6, 6, 4), on_error="return"):
        start = np.floor(points[one.index]).astype(int) - [3, 3, 2]
        x, y, z = start.tolist()
        box = Box((x, y, z), (x + 6, y + 6, z + 4), AT)
        assert isinstance(one, FailedPlace) == bool(box.intersect(refused).voxels)
        if isinstance(one, FailedPlace):
            assert isinstance(one.error, StorageError)
            failed.append(one)
        else:
            expected = padded[tuple(slice(a + 9, b + 9) for a, b in zip(box.start, box.stop, strict=True))]
            np.testing.assert_array_equal(one.image, expected)
    assert 0 < len(failed) < 30
