"""Groups of places: what comes is what a cutout of each place would be, and each chunk is asked for once."""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient import dataset
from imageryclient.bulk.failures import FailedPlace
from imageryclient.bulk.places import parse_places
from imageryclient.bulk.reading import PlaceCutout, ReadingGroup, read_group
from imageryclient.bulk.stream import cutouts, plan_groups
from imageryclient.bulk.terms import terms_of
from imageryclient.demo.server import Fault
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, DamagedDataError, StorageError
from imageryclient.pools import cut_pool, fetch_pool
from imageryclient.storage import Patience
from imageryclient.volumes import precomputed


def same(one: Any, other: Any) -> None:
    """Check that two cutouts are the same, arrays and all that is said of them."""
    for name in ("image", "segmentation"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert np.array_equal(a, b)
    for name in ("bounds", "timestamp", "sources", "mips", "root_ids"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.coverage.keys() == other.coverage.keys()
    for name, coverage in one.coverage.items():
        assert coverage.box == other.coverage[name].box
        assert set(coverage.outside) == set(other.coverage[name].outside)
        assert set(coverage.absent) == set(other.coverage[name].absent)


def places_near(datastack: Any, seed: int, count: int) -> np.ndarray:
    """Centres all over the volume and a little beyond it, some of them close together."""
    rng = np.random.default_rng(seed)
    low, shape = np.array(datastack.offsets[0]), np.array(datastack.supervoxels[0].shape)
    spread = rng.uniform(-10, shape + 10, (count, 3))
    spread[1::3] = spread[0] + rng.uniform(-20, 20, spread[1::3].shape) * [1, 1, 0.2]
    return low + spread.clip(-2, shape + 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mip": 1},
        {"image_mip": 2, "segmentation_mip": 0},
        {"image_mip": 1, "segmentation_mip": 1},
        {"mip": 2, "root_ids": None},
        {"mip": 0},
        {"timestamp": 1.6e9 + 10},
    ],
)
def test_each_place_is_what_a_cutout_gives(datastack: Any, server: Any, connect: Any, options: Any) -> None:
    running = server()
    client = connect(running, missing="fill")
    points = places_near(datastack, 4, 24)
    size = (37, 30, 6)
    bulk = list(cutouts(client, points, size, **options))
    ic.clear_cache()
    assert [one.index for one in bulk] == list(range(len(points)))
    for one in bulk:
        assert isinstance(one, PlaceCutout)
        same(one, client.cutout(bounds=one.bounds, resolution=one.resolution, **options))
    first = bulk[0]
    if first.resolution == (8.0, 8.0, 40.0):
        same(first, client.cutout(points[0], size, **options))


@pytest.mark.parametrize("order", ["input", "completed"])
def test_the_present_is_one_moment_for_all(datastack: Any, server: Any, connect: Any, order: Any) -> None:
    client = connect(server(), missing="fill", timestamp=None)
    stream = cutouts(client, places_near(datastack, 7, 80), (24, 24, 8), order=order, budget=100_000)
    before = datetime.now(UTC)
    found = [one for one in stream if isinstance(one, PlaceCutout)]
    assert len(found) == 80
    (moment,) = {one.timestamp for one in found}
    assert moment is not None
    assert moment < before  # of the call, not of the first read
    for one in found:
        assert np.array_equal(one.segmentation, datastack.roots(one.bounds.start, one.bounds.stop))  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["input", "completed"])
def test_only_the_ids_asked_for(datastack: Any, server: Any, connect: Any, order: Any) -> None:
    client = connect(server(), missing="fill")
    points = places_near(datastack, 5, 12)
    present = np.unique(np.concatenate([np.unique(c.segmentation) for c in cutouts(client, points, (40, 40, 8))]))
    some = present[present > 0][::3]
    for one in cutouts(client, points, (40, 40, 8), root_ids=some, order=order):
        same(one, client.cutout(bounds=one.bounds, resolution=one.resolution, root_ids=some))


EM = np.asfortranarray(np.random.default_rng(2).integers(0, 256, (96, 80, 24), dtype=np.uint8))
IDS = np.asfortranarray(
    np.random.default_rng(3).integers(0, 40, (12, 10, 24)).repeat(8, 0).repeat(8, 1).astype(np.uint32)
)


def stored(folder: Path, name: str, array: np.ndarray, kind: Any, **options: Any) -> str:
    layout = Layout(resolution=(8, 8, 40), voxel_offset=(10, 20, 3), chunk_size=(32, 32, 8), **options)
    return str(write_precomputed(folder / name, [(array, layout)], kind=kind))


def sources_of(folder: Path) -> dict[str, Callable[[], ic.ImageryClient]]:
    rgb = np.stack([EM, EM[::-1], EM[:, ::-1]], axis=-1)
    at: dict[str, Any] = {"resolution": (8, 8, 40), "voxel_offset": (10, 20, 3)}
    segments = {"encoding": "compressed_segmentation", "compress": "gzip"}
    return {
        "imagery": lambda: ic.ImageryClient(image_source=stored(folder, "em", EM, "image", encoding="png")),
        "colour": lambda: ic.ImageryClient(image_source=stored(folder, "rgb", rgb, "image")),
        "flat": lambda: ic.ImageryClient(segmentation_source=stored(folder, "ids", IDS, "segmentation", **segments)),
        "flat and raw": lambda: ic.ImageryClient(
            image_source=stored(folder, "em", EM, "image"),
            segmentation_source=stored(folder, "raw", IDS, "segmentation", encoding="raw"),
        ),
        "arrays": lambda: ic.ImageryClient(image_source=EM, segmentation_source=IDS, **at),
        "imagery and an array": lambda: ic.ImageryClient(
            image_source=stored(folder, "em", EM, "image"), segmentation_source=IDS, **at
        ),
    }


@pytest.mark.parametrize("name", ["imagery", "colour", "flat", "flat and raw", "arrays", "imagery and an array"])
@pytest.mark.parametrize("order", ["input", "completed"])
def test_every_kind_of_source(tmp_path: Path, name: str, order: Any) -> None:
    client = sources_of(tmp_path)[name]()
    points = np.random.default_rng(6).uniform([0, 10, 2], [115, 110, 28], (9, 3))
    found = list(cutouts(client, points, (33, 20, 5), order=order, missing="fill", root_ids="all"))
    assert sorted(one.index for one in found) == list(range(len(points)))
    for one in found:
        assert isinstance(one, PlaceCutout)
        same(one, client.cutout(points[one.index], (33, 20, 5), missing="fill"))
    if name.startswith("flat"):
        for one in cutouts(client, points, (33, 20, 5), order=order, missing="fill", root_ids=[3, 7]):
            assert isinstance(one, PlaceCutout)
            same(one, client.cutout(points[one.index], (33, 20, 5), missing="fill", root_ids=[3, 7]))


def test_a_zarr_array(tmp_path: Path) -> None:
    tensorstore = pytest.importorskip("tensorstore")
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(tmp_path / "em.zarr")}}
    made = tensorstore.open(
        {**spec, "metadata": {"chunks": [32, 32, 8]}, "create": True}, dtype="uint8", shape=EM.shape
    )
    made.result().write(EM).result()
    source = f"{(tmp_path / 'em.zarr').as_uri()}|zarr2:#axes=xyz&resolution=8,8,40"
    client = ic.ImageryClient(image_source=source, missing="fill")
    points = np.random.default_rng(6).uniform([0, 0, 0], EM.shape, (6, 3))
    for one in cutouts(client, points, (20, 20, 4)):
        assert isinstance(one, PlaceCutout)
        same(one, client.cutout(points[one.index], (20, 20, 4)))


def chunk_paths(running: Any) -> list[str]:
    return [path for path in running.requests.paths if "/data/" in path and not path.endswith("/info")]


@pytest.mark.parametrize("order", ["input", "completed"])
def test_no_chunk_is_fetched_twice_and_roots_are_asked_for_together(
    datastack: Any, server: Any, connect: Any, order: Any
) -> None:
    running = server()
    client = connect(running, missing="fill")
    found = list(cutouts(client, places_near(datastack, 8, 60), (50, 50, 8), order=order))
    assert len(found) == 60
    fetched = Counter(chunk_paths(running))
    assert fetched
    assert max(fetched.values()) == 1
    assert sum(path.endswith("roots_binary") for path in running.requests.paths) == 1


def test_a_group_travels_to_another_client(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    client = connect(running, missing="fill")
    points = places_near(datastack, 9, 20)
    places = parse_places(points, size=(40, 40, 6), resolution=datastack.fine)
    groups = list(plan_groups(client, places, terms_of(client), budget=150_000))
    assert len(groups) > 2
    assert sorted(np.concatenate([group.indices for group in groups]).tolist()) == list(range(20))
    for group in groups:
        there = pickle.loads(pickle.dumps(group))
        assert len(pickle.dumps(group)) < 1500 + 100 * len(group)
        results = read_group(connect(running, missing="fill"), there)
        assert [one.index for one in results] == group.indices.tolist()
        for one, box in zip(results, group.boxes, strict=True):
            assert isinstance(one, PlaceCutout)
            assert one.bounds == box
            same(one, client.cutout(points[one.index], (40, 40, 6)))


# ---- what goes wrong --------------------------------------------------------------------------------------------

BAD = "164-228_124-188_23-39"  # a chunk that lies in both layers


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few further tries made, and those at once."""
    monkeypatch.setattr(dataset, "Patience", partial(Patience, tries=2, pause=0.01, longest_pause=0.01))
    monkeypatch.setattr(precomputed, "time", SimpleNamespace(sleep=lambda seconds: None))


def touching(points: np.ndarray, size: Any) -> list[int]:
    start = np.floor(points).astype(int) - np.array(size) // 2
    low, high = np.array([164, 124, 23]), np.array([228, 188, 39])
    return np.flatnonzero(np.all((start < high) & (start + size > low), axis=1)).tolist()


@pytest.mark.parametrize("order", ["input", "completed"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(f"imagery/.*{BAD}", garbage=True), DamagedDataError),
        (Fault(f"supervoxels/.*{BAD}", shorten=60), DamagedDataError),
        (Fault(f"imagery/.*{BAD}", status=503), StorageError),
    ],
)
@pytest.mark.usefixtures("hurried")
def test_a_chunk_that_cannot_be_read_costs_its_places_alone(
    datastack: Any, server: Any, connect: Any, fault: Fault, kind: type[Exception], order: Any
) -> None:
    points = places_near(datastack, 4, 30)
    size = (37, 30, 6)
    truth = {one.index: one for one in cutouts(connect(server(), missing="fill"), points, size)}
    ic.clear_cache()
    running = server(faults=[fault])
    client = connect(running, missing="fill")
    hit = touching(points, size)
    assert 0 < len(hit) < 30
    found = list(cutouts(client, points, size, order=order, on_error="return"))
    assert sorted(one.index for one in found) == list(range(30))
    if order == "input":
        assert [one.index for one in found] == list(range(30))
    assert [one.index for one in sorted(found, key=lambda one: one.index) if isinstance(one, FailedPlace)] == hit
    for one in found:
        if isinstance(one, FailedPlace):
            assert isinstance(one.error, kind)
            assert one.center == tuple(points[one.index])
            assert f"FailedPlace {one.index} at" in repr(one)
        else:
            assert np.array_equal(one.image, truth[one.index].image)  # type: ignore[arg-type]
            assert np.array_equal(one.segmentation, truth[one.index].segmentation)  # type: ignore[arg-type]
    with pytest.raises(kind):
        list(cutouts(client, points, size, order=order))


@pytest.mark.usefixtures("hurried")
def test_places_that_fail_are_tried_again_at_the_end(datastack: Any, server: Any, connect: Any) -> None:
    running = server(faults=[Fault(f"imagery/.*{BAD}", garbage=True, times=3)])
    client = connect(running, missing="fill")
    points = places_near(datastack, 4, 30)
    found = list(cutouts(client, points, (37, 30, 6), order="completed"))
    assert all(isinstance(one, PlaceCutout) for one in found)
    again = touching(points, (37, 30, 6))
    assert sorted(one.index for one in found[-len(again) :]) == again


@pytest.mark.usefixtures("hurried")
def test_a_graph_that_does_not_answer(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server(faults=[Fault("roots_binary", status=500)]), missing="fill")
    points = places_near(datastack, 4, 6)
    found = list(cutouts(client, points, (20, 20, 4), on_error="return"))
    assert [type(one) for one in found] == [FailedPlace] * 6
    with pytest.warns(ic.errors.MissingDataWarning, match="6 of 6 places could not be read"):
        assert not list(cutouts(client, points, (20, 20, 4), order="completed", on_error="skip"))


def test_what_may_not_be_read_ends_it_all(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server(faults=[Fault("roots_binary", status=403)]), missing="fill")
    for order in ("input", "completed"):
        with pytest.raises(AccessError):
            list(cutouts(client, places_near(datastack, 4, 6), (20, 20, 4), order=order, on_error="return"))


def test_a_group_that_is_left_early_leaves_nothing_running(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server(latency=0.05), missing="fill")
    places = parse_places(places_near(datastack, 4, 20), size=(40, 40, 6), resolution=datastack.fine)
    (group,) = plan_groups(client, places, terms_of(client))
    pools = {pool.submit(threading.get_ident).result() for pool in (fetch_pool(), cut_pool(1), cut_pool(2))}
    before = set(threading.enumerate())
    reading = ReadingGroup(client, group)
    reading.close()
    for order in ("completed", "input"):
        stream = cutouts(client, places, order=order)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    lasting = {thread.name.rsplit("_", 1)[0] for thread in before if thread.ident in pools} | {"imageryclient-decode"}
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("imageryclient") and thread.name.rsplit("_", 1)[0] not in lasting:
            thread.join(10)
            assert not thread.is_alive(), thread.name
    for pool in (fetch_pool(), cut_pool(2)):
        assert pool.submit(int).result(10) == 0  # nor does anything stand in the way of the next
