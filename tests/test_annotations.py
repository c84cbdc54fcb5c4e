"""Annotations together: what is on the picture, what is beside it, and what makes room for what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.painting.annotations import Annotated, Annotations, annotate, annotation_groups
from imageryclient.painting.draw import bounding_box
from imageryclient.painting.labels import Labels
from imageryclient.painting.legend import Legend
from imageryclient.painting.marks import Lines, Points, Text
from imageryclient.painting.primitives import Disc, Group, Path, Words
from imageryclient.section import Section

BIG = 864691135000000000
PLANE = Section((1600.0, 1200.0, 20.0), (400, 300), 8.0)
IDS = np.zeros((400, 300), np.uint64)
IDS[10:200, 10:290], IDS[210:390, 10:150], IDS[210:390, 155:290] = BIG + 1, BIG + 2, BIG + 3
COLORS = {BIG + 1: "red", BIG + 2: "#00ff00", BIG + 3: (0, 0, 255)}
GREY = Image.new("L", (400, 300), 120)


def made(**what: Any) -> Annotated:
    return annotation_groups(PLANE, 40.0, Annotations(**what), segmentation=IDS, colors=COLORS, picture=GREY)


def named(groups: tuple[Group, ...], name: str) -> Group:
    (group,) = [group for group in groups if group.name == name]
    return group


def texts(group: Group) -> list[str]:
    return [part.text for part in group.primitives if isinstance(part, Words)]


def overlap(a: Any, b: Any) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def test_nothing_to_write_changes_nothing() -> None:
    assert not Annotations()
    assert Annotations(labels=True)
    assert Annotations(scale_bar=500.0)
    assert made() == Annotated(())
    assert np.array_equal(np.asarray(annotate(GREY, PLANE, 40.0, Annotations())), np.asarray(GREY.convert("RGBA")))
    with pytest.raises(ArgumentError, match="section"):
        annotate(GREY.resize((20, 20)), PLANE, 40.0, Annotations())


def test_labels_keep_away_from_the_bar_the_legend_and_texts() -> None:
    note = Text((300, 220, 0), (8, 8, 40), "a note that is rather long", size=14)
    found = made(marks=[note], labels=True, scale_bar=True, legend=Legend(place="upper left"))
    assert [group.name for group in found.groups] == ["text", "labels", "scale-bar", "legend-background", "legend"]
    kept = [bounding_box(group.primitives) for group in found.groups if group.name != "labels"]
    for word in named(found.groups, "labels").primitives:
        assert not any(overlap(bounding_box([word]), box) for box in kept)
    assert len(named(found.groups, "labels").primitives) == 3


def test_a_legend_beside_makes_the_page_larger() -> None:
    for place, sides in (("right", (2,)), ("left", (0,)), ("below", (3,))):
        found = made(legend=Legend(place=place))
        assert [margin > 0 for margin in found.margins] == [side in sides for side in range(4)]
        (legend,) = found.beside
        box = bounding_box(legend.primitives)
        assert box is not None
        left, top, right, bottom = found.margins
        assert -left <= box[0]
        assert -top <= box[1]
        assert box[2] <= 400 + right
        assert box[3] <= 300 + bottom
        assert not overlap(box, (0, 0, 400, 300))
        picture = found.drawn_on(GREY)
        assert picture.size == (400 + left + right, 300 + top + bottom)
        assert np.array_equal(np.asarray(picture)[top : top + 300, left : left + 400], np.asarray(GREY.convert("RGBA")))
        assert picture.getpixel((picture.width - 1, picture.height - 1))[:3] == (
            (255,) * 3 if place != "left" else (120,) * 3
        )


def test_marks_at_the_edge_stay_on_the_picture() -> None:
    spot = Points([[399.5, 100, 0]], (8, 8, 40), color="red", radius=10)
    picture = annotate(GREY, PLANE, 40.0, Annotations(marks=[spot], legend=True), segmentation=IDS, colors=COLORS)
    assert picture.getpixel((398, 100))[:3] == (255, 0, 0)
    assert picture.getpixel((402, 100))[:3] == (255, 255, 255)


def test_the_legend_tells_of_what_is_painted_the_largest_first() -> None:
    (legend,) = made(legend=True).beside
    assert texts(legend) == [str(BIG + 1), str(BIG + 2), str(BIG + 3)]
    swatches = [part.fill.color for part in legend.primitives if isinstance(part, Path) and part.fill]
    assert swatches == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    (legend,) = made(legend=True, labels={BIG + 1: "soma", BIG + 2: "axon", BIG + 3: None}).beside
    assert texts(legend) == ["soma", "axon", str(BIG + 3)]
    (legend,) = made(legend={BIG + 3: "third", 17: "elsewhere"}).beside
    assert texts(legend) == ["third"]
    (legend,) = made(legend=[BIG + 2]).beside
    assert texts(legend) == [str(BIG + 2)]
    (legend,) = made(legend={"axons": "red", "others": "#808080"}).beside
    assert texts(legend) == ["axons", "others"]


def test_segments_of_one_name_and_colour_are_told_once() -> None:
    colors = dict.fromkeys(COLORS, "red")
    found = annotation_groups(
        PLANE, 40.0, Annotations(legend=dict.fromkeys(COLORS, "axon")), segmentation=IDS, colors=colors
    )  # fmt: skip
    assert texts(found.beside[0]) == ["axon"]


def test_marks_with_names_are_in_the_legend() -> None:
    marks = [Points([[10, 10, 0]], (8, 8, 40), name="T-bars"), Points([[20, 10, 0]], (8, 8, 40), color="blue")]
    (legend,) = made(marks=marks, legend=True).beside
    assert texts(legend)[0] == "T-bars"
    assert [part.fill.color for part in legend.primitives if isinstance(part, Disc) and part.fill] == [(255, 255, 0)]


def test_legends_show_rings_as_rings_and_lines_as_lines() -> None:
    at = [[10, 10, 0]]
    marks = [
        Points(at, (8, 8, 40), name="ring", filled=False, color="blue"),
        Lines(at, [[20, 10, 0]], (8, 8, 40), name="partners", color="red"),
    ]
    (legend,) = made(marks=marks, legend=True).beside
    assert texts(legend)[:2] == ["ring", "partners"]
    ring, line = legend.primitives[0], legend.primitives[2]
    assert isinstance(ring, Disc)
    assert isinstance(line, Path)
    assert (ring.fill, ring.line.color, line.line.color, line.closed) == (None, (0, 0, 255), (255, 0, 0), False)


def test_letters_are_white_on_a_dark_page() -> None:
    (legend,) = made(legend=True, background="black").beside
    assert {part.ink.color for part in legend.primitives if isinstance(part, Words)} == {(255, 255, 255)}
    clear = made(legend=True, background=None)
    assert clear.background is None
    assert clear.drawn_on(GREY).getpixel((410, 295))[3] == 0


def test_a_legend_in_a_corner_makes_way_for_the_bar() -> None:
    for place in ("lower right", "upper right", "lower left", "upper left"):
        found = made(scale_bar=True, legend=Legend(place=place))
        assert not any(found.margins)
        boxes = [bounding_box(group.primitives) for group in found.groups]
        assert not overlap(boxes[0], boxes[1])
        assert boxes[1] is not None
        assert 0 <= boxes[1][0] <= boxes[1][2] <= 400
        assert 0 <= boxes[1][1] <= boxes[1][3] <= 300


def test_zoomed_pictures_have_labels_of_the_ids_below() -> None:
    small = IDS[::4, ::4]
    found = annotation_groups(PLANE, 40.0, Annotations(labels=True), segmentation=small, zoom=4)
    for word in named(found.groups, "labels").primitives:
        assert isinstance(word, Words)
        assert str(IDS[int(word.x), int(word.y)]).endswith(word.text.removeprefix("…"))


def test_what_lacks_its_layer_is_said() -> None:
    with pytest.raises(ArgumentError, match="no segmentation"):
        annotation_groups(PLANE, 40.0, Annotations(labels=True))
    with pytest.raises(ArgumentError, match="colours"):
        annotation_groups(PLANE, 40.0, Annotations(legend=True), segmentation=IDS)
    with pytest.raises(ArgumentError, match="shorter"):
        made(scale_bar=1e9)
    assert annotation_groups(PLANE, 40.0, Annotations(legend=True)) == Annotated(())
    assert made(labels=Labels(size=200)).left_out == (BIG + 1, BIG + 2, BIG + 3)
