"""What places take from chunks, cut along the curve and put together again: nothing lost, no chunk decoded twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.bulk import stream
from imageryclient.bulk.failures import FailedPlace
from imageryclient.bulk.grouping import Grid
from imageryclient.bulk.reading import PlaceCutout
from imageryclient.bulk.scattering import batches
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import DamagedDataError, MissingDataWarning
from imageryclient.scales import Scale
from imageryclient.volumes.precomputed import PrecomputedVolume

SHAPE = (96, 80, 24)
AT = (8.0, 8.0, 40.0)
EM = np.asfortranarray(np.random.default_rng(2).integers(1, 256, SHAPE, dtype=np.uint8))
IDS = np.asfortranarray(
    np.random.default_rng(3).integers(1, 2**60, (12, 10, 6), dtype=np.uint64).repeat(8, 0).repeat(8, 1).repeat(4, 2)
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> ic.ImageryClient:
    """Imagery and ids in chunks of different sizes, the ids at another resolution; one chunk of each is not there."""
    em = write_precomputed(
        tmp_path_factory.mktemp("em"), [(EM, Layout(resolution=AT, chunk_size=(32, 32, 8)))], kind="image"
    )
    layout = Layout(resolution=(16, 16, 40), chunk_size=(16, 24, 8), encoding="compressed_segmentation")
    ids = write_precomputed(tmp_path_factory.mktemp("ids"), [(IDS[::2, ::2], layout)], kind="segmentation")
    (em / "8_8_40" / "32-64_32-64_8-16").unlink()
    (ids / "16_16_40" / "16-32_0-24_0-8").unlink()
    return ic.ImageryClient(image_source=str(em), segmentation_source=str(ids), resolution=AT)


def centers(count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform([-4, -4, -1], np.array(SHAPE) + [4, 4, 1], (count, 3))


@pytest.mark.filterwarnings("ignore::imageryclient.errors.MissingDataWarning")
def test_places_are_put_together_as_a_cutout_is(client: Any) -> None:
    points = centers(40)
    for one, point in zip(client.cutouts(points, (30, 20, 6)), points, strict=True):
        alone = client.cutout(point, (30, 20, 6))
        assert np.array_equal(one.image, alone.image)
        assert np.array_equal(one.segmentation, alone.segmentation)
        assert one.coverage == alone.coverage
        assert one.image.flags.f_contiguous


def test_each_chunk_is_decoded_once_for_all(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[Any] = Counter()
    decoded = PrecomputedVolume.decoded

    def counted(self: Any, scale: Any, chunk: Any, *rest: Any) -> Any:
        seen[self.source, chunk.index] += 1
        return decoded(self, scale, chunk, *rest)

    monkeypatch.setattr(PrecomputedVolume, "decoded", counted)
    assert len(list(client.cutouts(centers(100), (30, 20, 6), budget=100_000, missing="fill"))) == 100
    assert set(seen.values()) == {1}
    assert len(seen) == 27 + 18


def test_only_the_places_of_a_chunk_that_cannot_be_read_fail_and_it_is_tried_twice(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    decoded = PrecomputedVolume.decoded

    def failing(self: Any, scale: Any, chunk: Any, *rest: Any) -> Any:
        if chunk.index == (0, 0, 0) and scale.encoding != "compressed_segmentation":
            tries.append(chunk)
            raise DamagedDataError("it is damaged")
        return decoded(self, scale, chunk, *rest)

    monkeypatch.setattr(PrecomputedVolume, "decoded", failing)
    found = list(client.cutouts(centers(60), (16, 16, 4), missing="fill", on_error="return"))
    assert [one.index for one in found] == list(range(60))
    low = np.floor(centers(60)) - [8, 8, 2]
    concerned = np.all((low < [32, 32, 8]) & (low + [16, 16, 4] > 0), axis=1)
    assert [isinstance(one, FailedPlace) for one in found] == concerned.tolist()
    assert concerned.any()
    assert len(tries) == 2


def test_a_window_holds_what_the_shelf_does(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []
    monkeypatch.setattr(stream, "_SHELF", 60_000)
    whole = stream._Run._window

    def window(self: Any, places: Any, shelf: Any) -> Any:
        windows.append(len(places))
        return whole(self, places, shelf)

    monkeypatch.setattr(stream._Run, "_window", window)
    with pytest.warns(MissingDataWarning):
        found = list(client.cutouts(centers(50), (16, 16, 4)))
    assert all(isinstance(one, PlaceCutout) for one in found)
    assert [one.index for one in found] == list(range(50))
    assert sum(windows) == 50
    assert max(windows) <= 12
    windows.clear()
    monkeypatch.setattr(stream, "_SHELF", 10**9)
    monkeypatch.setattr(stream, "_FIRST", 2)
    assert len(list(client.cutouts(centers(50), (16, 16, 4), missing="fill"))) == 50
    assert windows == [2, 32, 16]


@pytest.mark.parametrize("budget", [1, 5_000, 10**9])
def test_batches_hold_every_voxel_once_and_keep_to_the_budget(budget: int) -> None:
    bounds = ic.Box((3, 5, 1), (99, 85, 25), AT)
    scale = Scale(0, "0", AT, bounds, (32, 16, 8), "raw", None, None)
    grid = Grid(bounds.start, (32, 16, 8), AT, 2)
    rng = np.random.default_rng(5)
    boxes = {}
    for n in range(20):
        start = rng.integers([-5, -5, -2], [95, 80, 24])
        boxes[3 * n] = ic.Box(tuple(start.tolist()), tuple((start + [20, 9, 5]).tolist()), AT)
    made = batches(1, scale, grid, boxes, budget)
    counts = {n: np.zeros(box.shape, int) for n, box in boxes.items()}
    seen: list[set[Any]] = []
    for batch in made:
        assert batch.layer == 1
        chunks: Counter[Any] = Counter()
        for n, pieces in batch.taken.items():
            for piece in pieces:
                counts[n][piece.slices(boxes[n])] += 1
                first, last = (
                    (np.array(end) - bounds.start) // grid.chunk_size for end in (piece.start, np.array(piece.stop) - 1)
                )
                assert first.tolist() == last.tolist()
                chunks[tuple(first.tolist())] += piece.voxels
        assert len(chunks) == 1 or sum(min(voxels, 32 * 16 * 8) for voxels in chunks.values()) * 2 <= budget
        seen.append(set(chunks))
    assert sum(map(len, seen)) == len(set().union(*seen))
    for n, box in boxes.items():
        inside = np.zeros(box.shape, int)
        inside[box.intersect(bounds).slices(box)] = 1
        assert np.array_equal(counts[n], inside)
