"""Many places in a row: their order, what is said of them, and room that does not grow with their number."""

from __future__ import annotations

import tempfile
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.bulk import stream
from imageryclient.bulk.failures import FailedPlace
from imageryclient.bulk.places import Places
from imageryclient.bulk.progress import counter
from imageryclient.bulk.reading import PlaceCutout
from imageryclient.bulk.shelf import Shelf
from imageryclient.bulk.stream import cutouts
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError, BoundsError, MissingDataError, MissingDataWarning, TooLargeError

SHAPE = (128, 96, 32)
EM = np.asfortranarray(np.random.default_rng(2).integers(1, 256, SHAPE, dtype=np.uint8))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> ic.ImageryClient:
    layout = Layout(resolution=(8, 8, 40), chunk_size=(32, 32, 8))
    return ic.ImageryClient(
        image_source=str(write_precomputed(tmp_path_factory.mktemp("em"), [(EM, layout)], kind="image"))
    )


def centers(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform([8, 8, 2], np.array(SHAPE) - [8, 8, 2], (count, 3))


def right(one: Any) -> bool:
    return isinstance(one, PlaceCutout) and np.array_equal(one.image, EM[one.bounds.slices(BOUNDS)])


BOUNDS = ic.Box((0, 0, 0), SHAPE, (8.0, 8.0, 40.0))


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 300])
def test_input_order_is_that_of_the_points(client: Any, count: int) -> None:
    points = centers(count)
    found = list(cutouts(client, points, (16, 16, 4)))
    assert [one.index for one in found] == list(range(count))
    assert all(map(right, found))


def test_completed_order_gives_each_once_and_neighbours_together(client: Any) -> None:
    points = centers(200)
    found = list(cutouts(client, points, (16, 16, 4), order="completed", budget=50_000))
    assert sorted(one.index for one in found) == list(range(200))
    assert all(map(right, found))
    steps = np.linalg.norm(np.diff(points[[one.index for one in found]], axis=0), axis=1).mean()
    assert steps < 0.7 * np.linalg.norm(np.diff(points, axis=0), axis=1).mean()


def test_what_finds_no_room_on_the_shelf_is_read_again(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_SHELF", 20_000)
    put = Shelf.put
    monkeypatch.setattr(Shelf, "put", lambda self, number, data: number % 3 > 0 and put(self, number, data))
    found = list(cutouts(client, centers(150), (16, 16, 4)))
    assert [one.index for one in found] == list(range(150))
    assert all(map(right, found))


def test_a_shelf_keeps_what_fits(tmp_path: Path) -> None:
    with Shelf(limit=1000, in_memory=100) as shelf:
        assert all(shelf.put(n, bytes([n]) * 90) for n in range(11))
        assert not shelf.put(11, bytes(90))
        assert [shelf.take(n) for n in (10, 0, 5)] == [[bytes([n]) * 90] for n in (10, 0, 5)]
        assert shelf.take(0) is None
        shelf.clear()
        assert shelf.take(3) is None
        assert shelf.put(3, b"new")
        assert shelf.put(4, b"other")
        assert shelf.put(3, b"newer")
        assert shelf.take(3) == [b"new", b"newer"]


def test_a_place_of_which_a_piece_finds_no_room_is_dropped_whole() -> None:
    with Shelf(limit=100, in_memory=100) as shelf:
        assert shelf.put(1, bytes(60))
        assert not shelf.put(1, bytes(60))
        assert not shelf.put(1, bytes(10))
        assert shelf.take(1) is None
        assert shelf.put(2, bytes(40))
        shelf.drop(2)
        assert shelf.take(2) is None


def test_a_full_disk_is_room_that_is_not_there(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(tempfile.SpooledTemporaryFile[bytes]):
        def write(self, data: Any) -> int:  # type: ignore[override]
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    found = list(cutouts(client, centers(20), (16, 16, 4)))
    assert [one.index for one in found] == list(range(20))
    assert all(map(right, found))


def test_ids_go_with_their_places(client: Any) -> None:
    pandas = pytest.importorskip("pandas")
    points = centers(30)
    roots = np.random.default_rng(4).integers(2**60, 2**63, (30, 2), dtype=np.uint64)
    table = pandas.DataFrame(
        {
            "ctr_pt_position_x": points[:, 0],
            "ctr_pt_position_y": points[:, 1],
            "ctr_pt_position_z": points[:, 2],
            "pre_pt_root_id": roots[:, 0],
            "post_pt_root_id": roots[:, 1],
        }
    )
    for order in ("input", "completed"):
        names = ("pre_pt_root_id", "post_pt_root_id")
        for one in cutouts(client, table, (8, 8, 2), ids_columns=names, order=order):
            assert isinstance(one, PlaceCutout)
            assert one.ids == dict(zip(names, roots[one.index].tolist(), strict=True))
            assert right(one)


def test_places_outside_fail_and_those_partly_outside_are_told_of_once(client: Any) -> None:
    points = centers(20)
    points[3] = [1000, 20, 5]
    points[7] = [2, 20, 5]
    points[11] = np.nan
    with pytest.warns(MissingDataWarning) as heard:
        found = list(cutouts(client, points, (16, 16, 4), on_error="return"))
    assert [one.index for one in found] == list(range(20))
    failed = [one for one in found if isinstance(one, FailedPlace)]
    assert [one.index for one in failed] == [3, 11]
    assert all(isinstance(one.error, BoundsError) for one in failed)
    assert "lies wholly outside the data" in str(failed[0].error)
    assert "has no position" in str(failed[1].error)
    assert len(heard) == 1
    assert "1 of 20 places are not data throughout; the first is place 7" in str(heard[0].message)
    assert heard[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(cutouts(client, points, (16, 16, 4), on_error="return", missing="fill"))
    strict = list(cutouts(client, points, (16, 16, 4), on_error="return", missing="raise"))
    assert [one.index for one in strict if isinstance(one, FailedPlace)] == [3, 7, 11]
    assert isinstance(strict[7], FailedPlace)
    assert isinstance(strict[7].error, MissingDataError)
    with pytest.raises(BoundsError, match="outside"):
        list(cutouts(client, points, (16, 16, 4), missing="fill"))


def test_those_skipped_are_counted(client: Any) -> None:
    points = centers(5)
    points[3] = [1000, 20, 5]
    with pytest.warns(MissingDataWarning, match=r"1 of 5 places could not be read and were left out; .* 3 at \(1000"):
        found = list(cutouts(client, points, (16, 16, 4), on_error="skip"))
    assert [one.index for one in found] == [0, 1, 2, 4]


@pytest.mark.parametrize("order", ["input", "completed"])
def test_progress_counts_each_place_once(client: Any, order: Any, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[int, int]] = []
    points = centers(90)
    points[4] = [1000, 20, 5]
    list(
        cutouts(client, points, (16, 16, 4), order=order, progress=lambda *told: heard.append(told), on_error="return")
    )
    assert heard == [(n, 90) for n in range(1, 91)]
    list(cutouts(client, points[:3], (16, 16, 4), order=order, progress=True))
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "place/s" in shown or "s/place" in shown
    with pytest.raises(ArgumentError, match="progress must be"):
        counter(3, 10)  # type: ignore[arg-type]


def test_arguments_are_checked_at_once(client: Any) -> None:
    with pytest.raises(ArgumentError, match="order must be"):
        cutouts(client, centers(2), order="random")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="on_error must be"):
        cutouts(client, centers(2), on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="budget must be"):
        cutouts(client, centers(2), budget=0)
    with pytest.raises(TooLargeError, match="smaller boxes"):
        cutouts(
            ic.ImageryClient(image_source=EM, resolution=(8, 8, 40), voxel_offset=(0, 0, 0), memory_limit=10),
            centers(2),
        )
    with pytest.raises(BoundsError):
        cutouts(client, [[1, 2]])


def test_the_room_taken_does_not_grow_with_the_number_of_places(client: Any) -> None:
    def peak(count: int, order: Any) -> float:
        places = Places(centers(count), BOUNDS.resolution, (32.0, 32.0, 8.0))
        tracemalloc.start()
        for one in cutouts(client, places, order=order, budget=2**20, missing="fill"):
            assert isinstance(one, PlaceCutout)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / 2**20

    for order in ("input", "completed"):
        few = peak(40, order)
        assert peak(300, order) < few + 1.5, order
