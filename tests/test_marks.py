"""Marks: which pixel a place is, how near the section it has to be, and how far it fades."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageryclient.errors import ArgumentError, BoundsError
from imageryclient.painting.draw import draw, moved
from imageryclient.painting.marks import Arrow, Lines, Mark, Points, Text, mark_from_dict
from imageryclient.painting.primitives import Disc, Path, Words
from imageryclient.section import Section, orientation_across

NM = (8.0, 8.0, 40.0)


def discs(mark: Mark, section: Section, depth: float = 40.0) -> list[Disc]:
    (group,) = mark.groups(section, depth)
    assert all(isinstance(part, Disc) for part in group.primitives)
    return [part for part in group.primitives if isinstance(part, Disc)]


def paths(mark: Mark, section: Section, depth: float = 40.0) -> list[Path]:
    (group,) = mark.groups(section, depth)
    return [part for part in group.primitives if isinstance(part, Path)]


def level(z: int) -> Section:
    """The xy section of voxels z, of 100 x 80 pixels from voxel (0, 0)."""
    return Section((400.0, 320.0, (z + 0.5) * 40), (100, 80), 8.0)


# ---- where -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("panel", "center", "place", "pixel"),
    [
        ("xy", (400, 320, 220), (30, 50, 5.5), (30, 50)),  # x to the right, y down, from voxel (0, 0)
        ("xz", (400, 400, 320), (30, 50, 2), (30, 10)),  # x to the right, z down: 2 * 40 nm are 10 pixels
        ("yz", (400, 320, 400), (50, 30, 2), (90, 30)),  # z to the left: from 100 pixels 10 less
    ],
)
def test_places_are_the_pixels_one_works_out_by_hand(panel: Any, center: Any, place: Any, pixel: Any) -> None:
    section = Section(center, (100, 80), 8.0, panel=panel)
    (disc,) = discs(Points([place], NM), section)
    assert (disc.x, disc.y) == pytest.approx(pixel)
    (word,) = Text(place, NM, "a", size=8, offset=(3, -2)).groups(section, 40)[0].primitives
    assert isinstance(word, Words)
    assert (word.x, word.y) == pytest.approx((pixel[0] + 3, pixel[1] - 2))


def test_places_on_a_tilted_section_are_its_own_pixels() -> None:
    section = Section((4000.0, 5000.0, 3000.0), (60, 40), 12.5, orientation_across((1, 2, 3)))
    centers = section.points(section.whole)
    found = discs(Points(centers, "nm", radius=1), section, depth=1.0)
    assert len(found) == 60 * 40
    j, i = np.divmod(np.arange(60 * 40), 60)
    at = {(round(disc.x - 0.5), round(disc.y - 0.5)) for disc in found}
    assert at == set(zip(i.tolist(), j.tolist(), strict=True))
    assert max(abs(disc.x % 1 - 0.5) for disc in found) < 1e-6
    pushed = centers + 30 * np.array(section.normal)
    assert not discs(Points(pushed, "nm"), section, depth=1.0)
    assert len(discs(Points(pushed, "nm", depth=100), section, depth=1.0)) == 60 * 40


def test_units_count_what_they_say() -> None:
    in_voxels, in_nm = Points([[30, 50, 5]], NM), Points([[240, 400, 200]], "nm")
    assert (
        [(d.x, d.y) for d in discs(in_voxels, level(5))] == [(d.x, d.y) for d in discs(in_nm, level(5))] == [(30, 50)]
    )
    with pytest.raises(ArgumentError, match="resolution='nm'"):
        Points([[1, 2, 3]], None)
    with pytest.raises(ArgumentError, match="resolution='nm'"):
        Points([[1, 2, 3]], "voxels")


def test_radii_in_nm_follow_the_zoom() -> None:
    near = Section((400.0, 320.0, 220.0), (400, 320), 2.0)
    assert discs(Points([[30, 50, 5]], NM, radius=40, unit="nm"), level(5))[0].radius == 5
    assert discs(Points([[30, 50, 5]], NM, radius=40, unit="nm"), near)[0].radius == 20
    assert discs(Points([[30, 50, 5]], NM, radius=7), near)[0].radius == 7


def test_discs_that_reach_into_the_picture_are_kept() -> None:
    rows = [[-3, 10, 5], [-9, 10, 5], [103, 10, 5], [10, -3, 5], [10, 84, 5], [10, 95, 5], [np.nan] * 3]
    assert [(d.x, d.y) for d in discs(Points(rows, NM, radius=4), level(5))] == [
        (-3, 10),
        (103, 10),
        (10, -3),
        (10, 84),
    ]


# ---- how deep ----------------------------------------------------------------------------------------------------


@given(st.integers(-3, 3), st.sampled_from(["xy", "xz", "yz"]))
def test_each_voxel_coordinate_lies_in_just_one_section(voxel: int, panel: Any) -> None:
    axis = {"xy": 2, "xz": 1, "yz": 0}[panel]
    nm = (7.0, 9.0, 40.0)
    place = np.array([0.0, 0, 0])
    place[axis] = voxel
    shown = []
    for number in range(-5, 5):
        center = np.zeros(3)
        center[axis] = (number + 0.5) * nm[axis]
        section = Section(tuple(center.tolist()), (50, 50), 7.0, panel=panel)
        if discs(Points([place], nm), section, depth=nm[axis]):
            shown.append(number)
    assert shown == [voxel]


@given(st.floats(-300, 300), st.floats(1, 200))
def test_points_fade_along_the_depth_beyond_the_section(offset: float, depth: float) -> None:
    away = max(abs(offset) - 20, 0.0)
    place = [[80, 80, 220 + offset]]
    found = discs(Points(place, "nm", depth=depth), level(5))
    if away > depth * (1 + 1e-9):
        assert not found
    elif away < depth * (1 - 1e-9):
        assert found[0].fill is not None
        assert found[0].fill.alpha == pytest.approx(1 - away / depth, abs=1e-9)
        (steady,) = discs(Points(place, "nm", depth=depth, fade=False), level(5))
        assert steady.fill is not None
        assert steady.fill.alpha == 1


def test_the_nearest_point_lies_on_top() -> None:
    found = discs(Points([[1, 1, 5.5], [2, 1, 7], [3, 1, 3], [4, 1, 5.1]], NM, depth=200), level(5))
    assert [disc.x for disc in found] == [3, 2, 4, 1]


@settings(max_examples=60)
@given(st.lists(st.integers(-400, 400), min_size=6, max_size=6), st.integers(1, 90), st.integers(0, 200))
def test_lines_are_cut_at_the_faces(numbers: list[int], thickness: int, depth: int) -> None:
    a, b = numbers[:3], numbers[3:]
    section = Section((0.0, 0.0, 0.0), (4000, 4000), 1.0)
    found = paths(Lines([a], [b], "nm", depth=depth, fade=False), section, depth=float(thickness))
    half = Fraction(thickness, 2) + depth
    if a[2] == b[2]:
        if abs(a[2]) < half:
            assert len(found) == 1
        elif abs(a[2]) > half:
            assert not found
        return
    cuts = sorted([(-half - a[2]) / (b[2] - a[2]), (half - a[2]) / (b[2] - a[2])])
    first, last = max(cuts[0], Fraction(0)), min(cuts[1], Fraction(1))
    if first > last:
        assert not found
    elif first < last:
        ends = [tuple(float(p + t * (q - p)) + 2000 for p, q in zip(a[:2], b[:2], strict=True)) for t in (first, last)]
        assert np.allclose(found[0].points, ends, atol=1e-6)


def test_lines_fade_by_the_middle_of_what_is_seen() -> None:
    # from the section's plane to 420 nm behind it, of which 100 nm beyond its thickness are shown: 0 to 120
    (path,) = paths(Lines([[0, 80, 220]], [[420, 80, 640]], "nm", depth=100), level(5))
    assert path.points == ((0, 10), (15, 10))
    assert path.line is not None
    assert path.line.alpha == pytest.approx(1 - 40 / 100)


def test_lines_wholly_beside_the_picture_are_left_out() -> None:
    starts = [[-20, 10, 5], [-20, 50, 5], [10, 10, 5], [np.nan, 0, 0], [-20, -90, 5]]
    ends = [[-10, 70, 5], [120, 50, 5], [10, 10, 6], [0, 0, 5], [120, -10, 5]]
    found = paths(Lines(starts, ends, NM), level(5))
    assert [path.points for path in found] == [((-20, 50), (120, 50)), ((10, 10), (10, 10))]


# ---- tables and skeletons ----------------------------------------------------------------------------------------


def table(**more: Any) -> pd.DataFrame:
    rows = {
        "ctr_pt_position": [[10, 20, 5], [30, 40, 5], None, [50, 60, 5]],
        "pre_pt_position": [[8, 20, 5], [30, 38, 5], [1, 1, 5], [52, 60, 5]],
        "post_pt_position": [[12, 20, 5], [30, 42, 5], [2, 2, 5], [48, 60, 5]],
        "pre_pt_root_id": [864691135341362885, 864691135341367102, 864691135341362885, 5],
    }
    frame = pd.DataFrame(rows | more)
    frame.attrs["dataframe_resolution"] = [8, 8, 40]
    return frame


def test_synapses_of_a_table() -> None:
    found = discs(Points.of_table(table(), "ctr_pt_position", color="red"), level(5))
    assert [(d.x, d.y) for d in found] == [(10, 20), (30, 40), (50, 60)]
    halved = discs(Points.of_table(table(), "ctr_pt_position", resolution=(4, 4, 40)), level(5))
    assert [(d.x, d.y) for d in halved] == [(5, 10), (15, 20), (25, 30)]
    lines = paths(Lines.of_table(table()), level(5))
    assert lines[0].points == ((8, 20), (12, 20))
    assert len(lines) == 4
    bare = table()
    bare.attrs.clear()
    with pytest.raises(ArgumentError, match="does not say"):
        Points.of_table(bare, "ctr_pt_position")


def test_colours_by_a_column() -> None:
    colors = {864691135341362885: "red", 864691135341367102: "blue", None: (0, 128, 0)}
    found = discs(Points.of_table(table(), "ctr_pt_position", by="pre_pt_root_id", color=colors), level(5))
    assert [disc.fill.color for disc in found if disc.fill] == [(255, 0, 0), (0, 0, 255), (0, 128, 0)]
    del colors[None]
    with pytest.raises(ArgumentError, match="such as 5"):
        Points.of_table(table(), "ctr_pt_position", by="pre_pt_root_id", color=colors)
    with pytest.raises(ArgumentError, match="no column 'cell_type'"):
        Points.of_table(table(), "ctr_pt_position", by="cell_type", color=colors)
    with pytest.raises(ArgumentError, match="mapping"):
        Lines.of_table(table(), by="pre_pt_root_id", color="red")


def test_one_colour_for_each() -> None:
    for colors in (["red", "blue"], [(255, 0, 0), (0, 0, 255)], np.array([[1.0, 0, 0], [0, 0, 1.0]])):
        found = discs(Points([[1, 1, 5], [2, 2, 5]], NM, color=colors), level(5))
        assert [disc.fill.color for disc in found if disc.fill] == [(255, 0, 0), (0, 0, 255)]
    three = Points([[1, 1, 5]] * 3, NM, color=(1.0, 0.5, 0))
    assert [disc.fill.color for disc in discs(three, level(5)) if disc.fill] == [(255, 127, 0)] * 3
    with pytest.raises(ArgumentError, match="2 marks need one colour"):
        Points([[1, 1, 5], [2, 2, 5]], NM, color=["red"] * 3)


def test_the_edges_of_a_skeleton() -> None:
    vertices = [[10, 10, 5], [20, 10, 5], [20, 30, 5]]
    found = paths(Lines.of_edges(vertices, [[0, 1], [1, 2]], NM), level(5))
    assert [path.points for path in found] == [((10, 10), (20, 10)), ((20, 10), (20, 30))]
    assert not paths(Lines.of_edges(vertices, [], NM), level(5))
    for edges in ([[0, 3]], [[-1, 0]], [[0, 1, 2]], [[0.0, 1.0]]):
        with pytest.raises(ArgumentError):
            Lines.of_edges(vertices, edges, NM)


# ---- text and arrows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("angle", "tail"), [(0, (20, 40)), (90, (50, 70)), (180, (80, 40)), (270, (50, 10))])
def test_arrows_point_where_they_should(angle: float, tail: tuple[float, float]) -> None:
    parts = Arrow((50, 40, 5), NM, angle=angle, length=30, words="here").groups(level(5), 40)[0].primitives
    *_, shaft, head = parts
    assert isinstance(shaft, Path)
    assert isinstance(head, Path)
    assert head.points[0] == (50, 40)
    assert shaft.points[0] == pytest.approx(tail)
    (word,) = [part for part in parts if isinstance(part, Words)]
    assert math.dist((word.x, word.y), (50, 40)) > math.dist(tail, (50, 40))


def drawn(mark: Mark, opacity: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of a picture of 100 x 80 a mark changes, in a margin of 60: on the picture, and beside it."""
    wide = Section((400.0, 320.0, 220.0), (220, 200), 8.0)
    (group,) = mark.groups(level(5), 40)
    white = draw(Image.new("L", wide.size, 255), [moved(group, 60, 60)])
    changed = np.asarray(white)[..., 0] < 255 * (1 - opacity)
    inside = np.zeros_like(changed)
    inside[60:140, 60:160] = True
    return changed & inside, changed & ~inside


@pytest.mark.parametrize("anchor", ["left", "middle", "right"])
@pytest.mark.parametrize("place", [(1, 1, 5), (99, 79, 5), (50, 1, 5), (99, 40, 5), (50, 40, 5)])
def test_all_of_a_text_is_in_the_picture(place: tuple[int, int, int], anchor: Any) -> None:
    on, beside = drawn(Text(place, NM, "bouton", size=14, color="black", anchor=anchor))
    assert on.any()
    assert not beside.any()
    far = Text((50, 40, 5), NM, "a text that is wider than the picture", size=14).groups(level(5), 40)[0].primitives[0]
    assert (far.x, far.y) == (50, 40)  # there is no place where it would be whole


@pytest.mark.parametrize("x", [4, 50, 96])
@pytest.mark.parametrize("y", [4, 40, 76])
def test_arrows_turn_where_they_would_leave_the_picture(x: int, y: int) -> None:
    arrow = Arrow((x, y, 5), NM, length=20, words="PSD", size=10, color="black")
    on, beside = drawn(arrow)
    assert on.any()
    assert not beside.any()
    given = Arrow((x, y, 5), NM, length=20, words="PSD", size=10, color="black", angle=-45)
    if drawn(given)[1].any():
        assert arrow.groups(level(5), 40) != given.groups(level(5), 40)
    else:
        assert arrow.groups(level(5), 40) == given.groups(level(5), 40)


def test_notes_are_seen_in_their_own_section_alone() -> None:
    for note in (Text((50, 40, 5), NM, "a"), Arrow((50, 40, 5), NM)):
        assert note.groups(level(5), 40)[0].primitives
        assert not note.groups(level(6), 40)[0].primitives
        assert not note.groups(Section((4000.0, 320.0, 220.0), (100, 80), 8.0), 40)[0].primitives
    faint = Text((50, 40, 6.5), NM, "a", depth=40, fade=True).groups(level(5), 40)[0].primitives[0]
    assert isinstance(faint, Words)
    assert faint.ink.alpha == pytest.approx(0.5)
    assert faint.halo is not None
    assert faint.halo.alpha == pytest.approx(0.3)
    (plain,) = Text((50, 40, 5), NM, "a", rim=False).groups(level(5), 40)[0].primitives
    assert isinstance(plain, Words)
    assert plain.halo is None


# ---- written down ------------------------------------------------------------------------------------------------

MARKS: list[Any] = [
    Points([[1, 2, 3], [4.5, 5, 6]], NM, color=["red", (0, 0, 1.0)], radius=30, unit="nm", filled=False, name="T-bars"),
    Points([[1, 2, 3], [np.nan] * 3], "nm"),
    Lines([[1, 2, 3]], [[4, 5, 6]], NM, dash=(3, 2), depth=80, fade=False),
    Text((1, 2, 3), NM, "Zelle µ", offset=(4, -5), anchor="left", rim=False),
    Arrow((1, 2, 3), NM, angle=30, words="PSD", color="#010203"),
]


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: type(mark).__name__)
def test_marks_outlive_json(mark: Any) -> None:
    again = mark_from_dict(json.loads(json.dumps(mark.to_dict(), allow_nan=False)))
    assert again == mark
    assert again.groups(level(0), 400) == mark.groups(level(0), 400)
    assert mark != MARKS[0] or mark is MARKS[0]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Points([[1, 2]], NM), BoundsError),
        (lambda: Points([[1, 2, 3]], (0, 1, 1)), (ArgumentError, BoundsError)),
        (lambda: Points([[1, 2, 3]], NM, radius=0), ArgumentError),
        (lambda: Points([[1, 2, 3]], NM, depth=-1), ArgumentError),
        (lambda: Points([[1, 2, 3]], NM, unit="mm"), ArgumentError),  # type: ignore[arg-type]
        (lambda: Points([[1, 2, 3]], NM, color="no such colour"), ArgumentError),
        (lambda: Lines([[1, 2, 3]], [[1, 2, 3]] * 2, NM), ArgumentError),
        (lambda: Lines([[1, 2, 3]], [[1, 2, 3]], NM, dash=(0, 1)), ArgumentError),
        (lambda: Text([[1, 2, 3]] * 2, NM, "a"), ArgumentError),
        (lambda: Text([1, 2, 3], NM, "a", anchor="top"), ArgumentError),  # type: ignore[arg-type]
        (lambda: Arrow([1, 2, 3], NM, angle=math.inf), ArgumentError),
        (lambda: mark_from_dict({"kind": "sphere"}), ArgumentError),
        (lambda: mark_from_dict({"kind": "text", "words": "a", "colour": "red"}), ArgumentError),
    ],
)
def test_what_makes_no_mark_is_refused(make: Any, error: Any) -> None:
    with pytest.raises(error):
        make()


def test_a_hundred_thousand_points() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform((0, 0, 0), (1000, 1000, 400), (100_000, 3))
    found = discs(Points(places, NM), level(5))
    seen = (places[:, 0] < 105.5) & (places[:, 1] < 85.5) & (np.floor(places[:, 2]) == 5)
    assert len(found) == seen.sum()
