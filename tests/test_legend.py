"""Legends: what they show, how large they are, and how they end."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError
from imageryclient.painting.annotations import annotation_from_dict
from imageryclient.painting.draw import bounding_box
from imageryclient.painting.legend import Entry, Legend, legend_block
from imageryclient.painting.primitives import Disc, Ink, Path, Words


def entries(count: int, length: int = 12) -> list[Entry]:
    return [Entry(f"{number:0{length}}", Ink((number % 256, 9, 9))) for number in range(count)]


@given(
    st.integers(1, 300), st.integers(60, 1500), st.integers(60, 1500), st.integers(1, 20),
    st.sampled_from(["right", "below", "upper left"]), st.sampled_from(["", "Cells"]),
)  # fmt: skip
def test_legends_hold_what_they_draw_and_count_the_rest(
    count: int, width: int, height: int, length: int, place: Any, title: str
) -> None:
    block = legend_block(entries(count, length), (width, height), Legend(place=place, title=title))
    box = bounding_box(block.primitives)
    assert box is not None
    assert box[0] >= 0
    assert box[1] >= 0
    assert box[2] <= block.width + 1e-6
    assert box[3] <= block.height + 1e-6
    texts = [part.text for part in block.primitives if isinstance(part, Words)]
    swatches = [part for part in block.primitives if isinstance(part, Path)]
    assert len(swatches) == block.shows >= 1
    assert texts[bool(title) :][: block.shows] == [f"{number:0{length}}" for number in range(block.shows)]
    if block.shows < count:
        assert texts[-1] == f"and {count - block.shows:,} more"
    if place != "below" and block.height > height:
        assert block.shows <= 3  # a picture too low for as much as that
    words = [part for part in block.primitives if isinstance(part, Words)]
    assert min(word.size for word in words) >= 9
    for first, word in enumerate(words):  # no line on another
        for other in words[first + 1 :]:
            assert abs(word.y - other.y) > word.size or abs(word.x - other.x) > word.size


@pytest.mark.parametrize("place", ["right", "upper left", "below"])
def test_two_thousand_entries_stay_readable(place: Any) -> None:
    block = legend_block(entries(2000, 18), (1024, 1024), Legend(place=place))
    assert block.width <= 1024
    assert block.height <= 1024
    assert (12 if place == "upper left" else 20) <= block.shows <= 60
    assert {part.size for part in block.primitives if isinstance(part, Words)} == {
        0.022 * 1024
    } or place == "upper left"


def test_swatches_have_their_colour_and_shape() -> None:
    block = legend_block([Entry("axons", Ink((255, 0, 0))), Entry("synapses", Ink((0, 0, 255)), "disc")], (500, 400))
    square, first, disc, second = block.primitives
    assert isinstance(square, Path)
    assert square.fill == Ink((255, 0, 0))
    assert isinstance(disc, Disc)
    assert disc.fill == Ink((0, 0, 255))
    assert isinstance(first, Words)
    assert isinstance(second, Words)
    middle = np.mean([y for _, y in square.points])
    assert (first.y, second.y) == pytest.approx((middle, disc.y))
    assert first.x == second.x > max(x for x, _ in square.points)


def test_a_legend_is_put_where_it_shall_be() -> None:
    block = legend_block(entries(3), (500, 400), Legend(title="Cells"))
    box, there = bounding_box(block.primitives), bounding_box(block.at(500, 20).primitives)
    assert box is not None
    assert there == pytest.approx((box[0] + 500, box[1] + 20, box[2] + 500, box[3] + 20))


def test_legends_outlive_json() -> None:
    for look in (
        Legend(),
        Legend([864691135341362885]),
        Legend({864691135341362885: "a"}, title="Cells", place="below", size=12),
        Legend({"axon": "red"}, most=3, color="white"),
    ):
        again = annotation_from_dict(json.loads(json.dumps(look.to_dict())))
        assert again == look
        assert isinstance(again, Legend)
        assert again.texts == look.texts
    for options in ({"place": "above"}, {"size": 0}, {"most": 0}, {"color": "no colour"}, {"texts": "axon"}):
        with pytest.raises(ArgumentError):
            Legend(**options)
    with pytest.raises(ArgumentError, match="legend"):
        annotation_from_dict({"kind": "legend", "colour": 5})
