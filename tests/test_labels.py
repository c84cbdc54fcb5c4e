"""Labels: inside their segments, beside each other, and no more than there is room for."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError
from imageryclient.painting.annotations import annotation_from_dict
from imageryclient.painting.draw import bounding_box
from imageryclient.painting.labels import Labels, PlacedLabels, place_labels, short_names
from imageryclient.painting.lettering import CAPITALS, text_width
from imageryclient.painting.primitives import Disc, Path, Words

BIG = 864691135000000000


def blobs(seed: int, size: tuple[int, int] = (140, 110), count: int = 12, waves: float = 5.0) -> np.ndarray:
    """Ids like cells in a section, some of them 0, axes (x, y)."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, size, (count, 2))
    x, y = np.mgrid[: size[0], : size[1]]
    wavy = np.stack([x + waves * np.sin(y / 7), y + waves * np.sin(x / 9)], axis=-1)
    labels = ((wavy[:, :, None] - seeds) ** 2).sum(axis=3).argmin(axis=2)
    ids = (rng.permutation(10**6)[:count] + BIG).astype(np.uint64)
    ids[: count // 5] = 0
    return ids[labels]


def words(placed: PlacedLabels) -> list[Words]:
    return [part for part in placed.group.primitives if isinstance(part, Words)]


def inked(word: Words) -> tuple[float, float, float, float]:
    """What the letters cover, without their rim."""
    width, height = text_width(word.text, word.size), CAPITALS * word.size
    return word.x - width / 2, word.y - height / 2, word.x + width / 2, word.y + height / 2


def ids_below(ids: np.ndarray, box: tuple[float, float, float, float], zoom: float) -> set[int]:
    left, top, right, bottom = (part / zoom for part in box)
    assert left >= 0
    assert top >= 0
    return set(np.unique(ids[int(left) : math.ceil(right), int(top) : math.ceil(bottom)]).tolist())


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.7, 1.0, 2.5, 4.0]), st.integers(3, 30))
def test_texts_lie_within_their_segments_and_do_not_overlap(seed: int, zoom: float, count: int) -> None:
    ids = blobs(seed, count=count)
    there = [int(number) for number in np.unique(ids) if number]
    names = short_names(there)
    placed = place_labels(ids, zoom=zoom)
    by_text = {text: number for number, text in names.items()}
    named = {by_text[word.text]: bounding_box([word]) for word in words(placed)}
    assert sorted([*named, *placed.left_out]) == there
    for number, box in named.items():
        assert box is not None
        assert ids_below(ids, box, zoom) == {number}
    boxes = list(named.values())
    for first in range(len(boxes)):
        for a, b in ((boxes[first], other) for other in boxes[first + 1 :]):
            assert a is not None
            assert b is not None
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_left_out_fits_nowhere(seed: int) -> None:
    ids = blobs(seed, count=25)
    placed = place_labels(ids, Labels(size=10, smallest=10))
    names = short_names([int(number) for number in np.unique(ids) if number])
    assert placed.left_out
    for number in placed.left_out:
        # the rectangle with its rim, around the centre of each pixel in turn
        half = (text_width(names[number], 10) / 2 + 1, (CAPITALS * 1.15 * 10) / 2 + 1)
        nx, ny = (math.ceil(part - 0.5) for part in half)
        mask = ids == number
        whole = np.lib.stride_tricks.sliding_window_view(mask, (2 * nx + 1, 2 * ny + 1)).all(axis=(2, 3))
        assert not whole.any()


def test_the_widest_place_is_chosen() -> None:
    ids = np.zeros((300, 120), np.uint64)
    ids[5:200, 50:70] = 7  # a process
    ids[200:280, 20:100] = 7  # and the bouton at its end
    ids[:, 110:] = 8
    placed = place_labels(ids, Labels({7: "bouton"}, size=10))
    (word,) = words(placed)
    assert 225 < word.x < 255
    assert 50 < word.y < 70
    assert word.size == 10
    again = place_labels(ids, Labels({7: "bouton"}, size=10), avoid=[(200, 0, 300, 120)])
    (word,) = words(again)
    assert word.x < 170


def test_letters_shrink_before_they_are_left_out() -> None:
    ids = np.zeros((100, 40), np.uint64)
    ids[10:60, 10:22] = 1234
    for size, smallest, fits in ((8, 8, True), (14, 8, True), (14, 13, False), (30, 10, True), (30, None, False)):
        placed = place_labels(ids, Labels(size=size, smallest=smallest))
        assert bool(words(placed)) == fits
        assert placed.left_out == (() if fits else (1234,))
        if fits:
            assert smallest <= words(placed)[0].size <= size
            assert ids_below(ids, inked(words(placed)[0]), 1) == {1234}


def test_those_named_one_by_one_stand_beside_their_segments() -> None:
    ids = np.zeros((200, 150), np.uint64)
    ids[100:104, 60:80] = 5
    ids[20:90, 20:130] = 6
    placed = place_labels(ids, Labels({5: "a thin process", 6: "soma"}, size=12))
    beside = next(word for word in words(placed) if word.text == "a thin process")
    assert beside.size == 12
    assert ids_below(ids, inked(beside), 1) <= {0, 5, 6}
    dots = [part for part in placed.group.primitives if isinstance(part, Disc)]
    assert {ids[int(dot.x), int(dot.y)] for dot in dots} == {5}
    lines = [part for part in placed.group.primitives if isinstance(part, Path)]
    assert {line.points[0] for line in lines} == {(dots[0].x, dots[0].y)}
    soma = next(word for word in words(placed) if word.text == "soma")
    a, b = inked(beside), inked(soma)
    assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert place_labels(ids, Labels({5: "a thin process"}, size=12, lines=False)).left_out == (5,)
    assert place_labels(ids, Labels(size=40)).left_out == (5,)


@pytest.mark.parametrize("seed", range(4))
def test_no_text_beside_a_segment_covers_another_text(seed: int) -> None:
    ids = blobs(seed, size=(300, 260), count=60, waves=9)
    there = [int(number) for number in np.unique(ids) if number]
    placed = place_labels(ids, Labels(there, size=11))
    boxes = [bounding_box([word]) for word in words(placed)]
    assert len(boxes) + len(placed.left_out) == len(there)
    for first, a in enumerate(boxes):
        assert a is not None
        assert a[0] >= 0
        assert a[2] <= 300
        for b in boxes[first + 1 :]:
            assert b is not None
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_ids_are_told_apart_by_their_last_digits() -> None:
    rng = np.random.default_rng(0)
    ids = (rng.choice(10**9, 2000, replace=False) + BIG).tolist()
    names = short_names(ids)
    assert len(set(names.values())) == 2000
    assert all(str(number).endswith(text.removeprefix("…")) for number, text in names.items())
    assert len({len(text) for text in names.values()}) == 1
    assert short_names([]) == {}
    assert short_names([12345, 100012345]) == {12345: "12345", 100012345: "100012345"}


def test_texts_for_some_and_ids_for_others() -> None:
    ids = np.zeros((300, 200), np.uint64)
    ids[10:140, 10:190], ids[150:290, 10:190] = BIG + 1, BIG + 2
    assert [w.text for w in words(place_labels(ids, Labels({BIG + 1: "pyramidal", 99: "elsewhere"})))] == ["pyramidal"]
    assert [w.text for w in words(place_labels(ids, Labels([BIG + 2])))] == ["…0002"]
    assert [w.text for w in words(place_labels(ids, Labels({BIG + 1: "", BIG + 2: None})))] == ["…0002"]
    assert place_labels(np.zeros((5, 5), np.uint64)) == PlacedLabels(place_labels(ids, Labels([])).group, ())
    with pytest.raises(ArgumentError, match="axes"):
        place_labels(np.zeros((5, 5, 5), np.uint64))


def test_labels_outlive_json() -> None:
    for look in (
        Labels(),
        Labels([BIG + 1]),
        Labels({BIG + 1: "a", 5: None}, size=20, color="red", rim=None, lines=True),
    ):
        again = annotation_from_dict(json.loads(json.dumps(look.to_dict())))
        assert again == look
        assert isinstance(again, Labels)
        assert again.texts == look.texts
    for options in ({"size": 0}, {"smallest": -1}, {"color": "no colour"}, {"texts": "7"}):
        with pytest.raises(ArgumentError):
            Labels(**options)


def test_two_thousand_ids_stay_usable() -> None:
    rng = np.random.default_rng(1)
    grid = np.arange(2000).reshape(50, 40)
    ids = rng.choice(10**9, 2000, replace=False).astype(np.uint64)[grid] + np.uint64(BIG)
    ids = np.repeat(np.repeat(ids, 20, axis=0), 20, axis=1)
    crowded = place_labels(ids)
    assert len(crowded.left_out) == 2000  # 20 pixels are too few for any
    roomy = place_labels(ids, zoom=5)
    assert not roomy.left_out
    assert len({word.size for word in words(roomy)}) == 1


def test_names_that_are_given_are_larger_where_there_is_room() -> None:
    ids = np.zeros((600, 600), np.uint64)
    ids[50:550, 50:550] = BIG
    (number,), (name,) = words(place_labels(ids)), words(place_labels(ids, Labels({BIG: "soma"})))
    assert name.size > 1.3 * number.size
    assert words(place_labels(ids, Labels([BIG])))[0].size == number.size
