"""Numbers of objects, against voxels counted one by one."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient import Box, Cutout, SegmentationMasks
from imageryclient.errors import ArgumentError
from imageryclient.measuring import contact_areas, measure, nearest_distance

HUGE = 2**63 + 1  # an id that a float would lose
NM = (8.0, 4.0, 40.0)


@st.composite
def volumes(draw: Any, least: int = 0) -> tuple[np.ndarray, Box]:
    """A few objects in a small box somewhere, in either memory order."""
    shape = tuple(draw(st.integers(1, 6)) for _ in range(3))
    names = np.array([0, 3, 5, HUGE, HUGE + 1], np.uint64)
    numbers = draw(st.lists(st.integers(least, 4), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    start = tuple(draw(st.integers(-5, 100)) for _ in range(3))
    labels = names[numbers].reshape(shape, order=draw(st.sampled_from("CF")))
    return labels, Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)), NM)


def voxels_of(labels: np.ndarray, box: Box, root_id: int) -> np.ndarray:
    """The voxels of an id, one a row, counted as the box is."""
    return np.array([i for i in np.ndindex(labels.shape) if labels[i] == root_id]).reshape(-1, 3) + box.start


@given(volumes())
@settings(max_examples=40)
def test_each_object_is_measured_as_counted_by_hand(volume: tuple[np.ndarray, Box]) -> None:
    labels, box = volume
    found = measure(labels, box)
    assert found.ids.tolist() == sorted({int(n) for n in labels.flat} - {0})
    assert found.ids.dtype == np.uint64
    for n, root_id in enumerate(found.ids.tolist()):
        voxels = voxels_of(labels, box, root_id)
        assert found.voxels[n] == len(voxels)
        assert found.volume_um3[n] == pytest.approx(len(voxels) * 8 * 4 * 40 / 1e9)
        assert found.low[n].tolist() == voxels.min(axis=0).tolist()
        assert found.high[n].tolist() == (voxels.max(axis=0) + 1).tolist()
        np.testing.assert_allclose(found.low_nm[n], voxels.min(axis=0) * NM)
        np.testing.assert_allclose(found.high_nm[n], (voxels.max(axis=0) + 1) * NM)
        np.testing.assert_allclose(found.centroid[n], ((voxels + 0.5) * NM).mean(axis=0), atol=1e-9)
        touching = (voxels == box.start).any() or (voxels == np.array(box.stop) - 1).any()
        assert found.on_border[n] == touching


@given(volumes())
@settings(max_examples=40)
def test_contacts_are_the_faces_between_voxels(volume: tuple[np.ndarray, Box]) -> None:
    labels, box = volume
    faces: Counter[tuple[int, int, int]] = Counter()
    for here in np.ndindex(labels.shape):
        for axis in range(3):
            there = tuple(i + (n == axis) for n, i in enumerate(here))
            if there[axis] < labels.shape[axis]:
                low, high = sorted((int(labels[here]), int(labels[there])))
                if low and low != high:
                    faces[low, high, axis] += 1
    found = contact_areas(labels, box)
    pairs = sorted({(low, high) for low, high, _ in faces})
    assert [tuple(pair) for pair in found.pairs.tolist()] == pairs
    for (low, high), counts, area in zip(pairs, found.faces, found.area_um2, strict=True):
        assert counts.tolist() == [faces[low, high, axis] for axis in range(3)]
        by_hand = sum(counts[a] * NM[(a + 1) % 3] * NM[(a + 2) % 3] for a in range(3)) / 1e6
        assert area == pytest.approx(by_hand)
        assert found.between(high, low) == pytest.approx(by_hand)
    of_one = contact_areas(labels, box, ids=HUGE)
    assert [tuple(pair) for pair in of_one.pairs.tolist()] == [pair for pair in pairs if HUGE in pair]


@given(volumes(least=1))
@settings(max_examples=40)
def test_the_distance_is_that_of_the_closest_of_all_pairs_of_voxels(volume: tuple[np.ndarray, Box]) -> None:
    labels, box = volume
    present = sorted({int(n) for n in labels.flat})
    for one, other in itertools.combinations(present, 2):
        ours, theirs = ((voxels_of(labels, box, which) + 0.5) * NM for which in (one, other))
        shortest = np.sqrt(((ours[:, None] - theirs[None]) ** 2).sum(axis=2)).min()
        found = nearest_distance(labels, one, other, box)
        assert found.distance == pytest.approx(shortest)
        for which, point in ((one, found.first), (other, found.second)):
            at = np.floor(np.array(point) / NM).astype(int) - box.start
            assert labels[tuple(at)] == which
        assert np.linalg.norm(np.subtract(found.first, found.second)) == pytest.approx(found.distance)


def test_the_distance_of_scattered_objects_of_many_voxels() -> None:
    rng = np.random.default_rng(5)
    labels = np.zeros((60, 50, 20), np.uint64, order="F")
    ours = rng.integers(0, (60, 20, 20), (3000, 3))
    theirs = rng.integers((0, 27, 0), (60, 50, 20), (3000, 3))
    labels[tuple(ours.T)], labels[tuple(theirs.T)] = 1, 2
    ours, theirs = np.argwhere(labels == 1), np.argwhere(labels == 2)
    shortest = min(float((((theirs - one) * NM) ** 2).sum(axis=1).min()) for one in ours)
    box = Box((0, 0, 0), labels.shape, NM)
    assert nearest_distance(labels, 1, 2, box).distance == pytest.approx(np.sqrt(shortest))


def test_the_distance_of_surfaces_that_lie_alike_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ball in a hollow: nearly all places are equally close, so that hardly any group can be left out whole."""
    from imageryclient.measuring import distance

    compared = []
    pairs = distance._close_to
    monkeypatch.setattr(distance, "_close_to", lambda *given: compared.append(pairs(*given)) or compared[-1])
    away = np.sqrt(((np.indices((64, 64, 16)).T - (31.5, 31.5, 7.5)) ** 2 * (1, 1, 25)).sum(axis=3)).T
    labels = np.where(away < 14, 1, np.where((away > 29) & (away < 32), 2, 0)).astype(np.uint64)
    ours, theirs = (np.argwhere(labels == name) * NM for name in (1, 2))
    shortest = min(float(((theirs - one) ** 2).sum(axis=1).min()) for one in ours)
    found = nearest_distance(labels, 1, 2, Box((0, 0, 0), labels.shape, NM))
    assert found.distance == pytest.approx(np.sqrt(shortest))
    evaluated = sum(len(near) * len(far) for near, far in zip(compared[::2], compared[1::2], strict=True))
    assert evaluated < len(ours) * len(theirs) / 20


def test_a_large_volume_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(1).integers(0, 9, (17, 13, 11)).astype(np.uint64)
    box = Box((0, 0, 0), labels.shape, NM)
    whole, touching = measure(labels, box), contact_areas(labels, box)
    for module in ("objects", "contacts"):
        monkeypatch.setattr(f"imageryclient.measuring.{module}._CHUNK", 100)
    for order in "CF":
        turned = np.asarray(labels, order=order)
        np.testing.assert_array_equal(measure(turned, box).centroid, whole.centroid)
        np.testing.assert_array_equal(contact_areas(turned, box).faces, touching.faces)


def test_a_cutout_says_where_it_lies_and_ids_that_are_absent_get_a_row() -> None:
    labels = np.zeros((4, 4, 1), np.uint64)
    labels[1:3, 1] = HUGE
    cut = Cutout(None, labels, Box((10, 20, 5), (14, 24, 6), NM))
    found = measure(cut, ids=[7, str(HUGE)])
    assert found.ids.tolist() == [7, HUGE]
    assert found.voxels.tolist() == [0, 2]
    assert np.isnan(found.centroid[0]).all()
    assert found.low[0].tolist() == found.high[0].tolist() == [10, 20, 5]
    assert found.centroid[1].tolist() == [12 * 8, 21.5 * 4, 5.5 * 40]
    assert found.on_border.tolist() == [False, True]
    assert len(measure(cut, ids=[])) == 0
    nothing = Cutout(None, np.zeros((2, 2, 2), np.uint64), Box((0, 0, 0), (2, 2, 2), NM))
    assert len(measure(nothing)) == len(contact_areas(nothing)) == 0
    assert measure(nothing, ids=3).voxels.tolist() == [0]


def test_tables_become_frames_with_exact_ids() -> None:
    pytest.importorskip("pandas")
    labels = np.array([[[HUGE], [HUGE + 1]]], np.uint64)
    box = Box((1, 2, 3), (2, 4, 4), NM)
    frame = measure(labels, box).to_frame()
    assert frame["id"].dtype == np.uint64
    assert frame["id"].tolist() == [HUGE, HUGE + 1]
    row = frame.iloc[1]
    assert (row["voxels"], row["y_start"], row["y_stop"], row["y_start_nm"], row["y_nm"]) == (1, 3, 4, 12.0, 14.0)
    assert bool(row["on_border"])
    touching = contact_areas(labels, box).to_frame()
    assert touching.to_dict("list") == {
        "id_1": [HUGE], "id_2": [HUGE + 1], "area_um2": [8 * 40 / 1e6], "faces_x": [0], "faces_y": [1], "faces_z": [0],
    }  # fmt: skip


def test_masks_serve_as_well_as_labels() -> None:
    labels = np.array([[[5], [0]], [[5], [3]]])
    box = Box((0, 0, 0), (2, 2, 1), NM)
    chosen = SegmentationMasks(labels).select([5])
    assert measure(chosen, box).ids.tolist() == [5]
    assert len(contact_areas(chosen, box)) == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a, b: measure(a), "give the Box"),
        (lambda a, b: measure(a[0], b), "fills its box"),
        (lambda a, b: measure(a, b, ids=[0]), "0 stands for no object"),
        (lambda a, b: nearest_distance(a, 5, 6, b), "id 6 has no voxel"),
        (lambda a, b: nearest_distance(a, 5, 5, b), "both are 5"),
        (lambda a, b: nearest_distance(a, 5, [3, 5], b), "takes one id"),
        (lambda a, b: nearest_distance(a.astype(float), 5, 3, b), "cannot hold ids exactly"),
    ],
)
def test_what_cannot_be_measured_is_refused(call: Any, said: str) -> None:
    labels = np.array([[[5], [0]], [[5], [3]]])
    with pytest.raises(ArgumentError, match=said):
        call(labels, Box((0, 0, 0), (2, 2, 1), NM))
