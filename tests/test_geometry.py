from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError, BoundsError
from imageryclient.geometry import Box, Region, as_resolution, bounds_from_center, index_map

corner = st.tuples(*[st.integers(-(10**6), 10**6)] * 3)
extent = st.tuples(*[st.integers(1, 300)] * 3)
nm = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 16, 30, 33, 40, 45, 100, 0.5, 3.5])
resolution = st.tuples(nm, nm, nm)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    start, size = draw(corner), draw(extent)
    return Box(start, tuple(a + s for a, s in zip(start, size, strict=True)), draw(resolution))


@given(boxes(), resolution)
def test_a_box_at_another_resolution_is_the_smallest_cover(box: Box, other) -> None:
    cover = box.at(other)
    for a, b, lo, hi, mine, theirs in zip(
        cover.start, cover.stop, box.start, box.stop, box.resolution, other, strict=True
    ):
        ratio = Fraction(mine) / Fraction(theirs)
        assert a == math.floor(lo * ratio)
        assert b == math.ceil(hi * ratio)


@given(boxes(), resolution)
def test_each_voxel_takes_the_one_that_contains_its_centre(box: Box, other) -> None:
    source = box.at(other)
    for axis, indices in enumerate(index_map(box, source)):
        ratio = Fraction(box.resolution[axis]) / Fraction(other[axis])
        for n in (0, len(indices) // 2, len(indices) - 1):
            centre = (box.start[axis] + n + Fraction(1, 2)) * ratio
            assert indices[n] + source.start[axis] == math.floor(centre)
        assert np.all(np.diff(indices) >= 0)


@given(boxes(), boxes())
def test_intersection_holds_just_what_both_hold(a: Box, b: Box) -> None:
    b = Box(b.start, b.stop, a.resolution)
    both = a.intersect(b)
    for axis in range(3):
        mine = set(range(a.start[axis], a.stop[axis])) & set(range(b.start[axis], b.stop[axis]))
        assert set(range(both.start[axis], both.stop[axis])) == mine


def test_a_hair_beside_a_voxel_is_that_voxel() -> None:
    region = Region.from_bounds([[0.1 + 0.2, 0, 0], [3 - 1e-9, 1, 1]], (10.0, 1.0, 1.0))
    assert region.at((1.0, 1.0, 1.0)).start[0] == 3
    assert region.at((1.0, 1.0, 1.0)).stop[0] == 30
    assert region.grid.stop[0] == 3


@pytest.mark.parametrize(
    ("center", "size", "start"),
    [
        ([10, 10, 10], (4, 4, 4), (8, 8, 8)),
        ([10, 10, 10], (5, 5, 5), (8, 8, 8)),
        ([10.9, 10.9, 10.9], (1, 1), (10, 10, 10)),
        ([-3, -3.5, 0], (2, 3, 1), (-4, -5, 0)),
    ],
)
def test_a_box_starts_at_the_floor_of_its_centre_less_half_its_size(center, size, start) -> None:
    assert Region.from_center(center, size, (1.0, 1.0, 1.0)).grid.start == start


def test_bounds_from_center_gives_whole_numbers_for_whole_sizes() -> None:
    bounds = bounds_from_center(np.array([100, 200, 30]), width=50, height=51, depth=3)
    assert bounds.dtype == np.int64
    assert bounds.tolist() == [[75, 175, 29], [125, 226, 32]]
    assert bounds_from_center([0, 0, 0], width=2.5).tolist() == [[-1, 0, 0], [1.5, 1, 1]]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ([[0, 0, 0], [0, 10, 10]], "empty"),
        ([[10, 0, 0], [0, 10, 10]], "reversed"),
        ([[0, 0, 0], [10, math.nan, 10]], "finite"),
        ([[0, 0, 0], [10, math.inf, 10]], "finite"),
        ([[0, 0], [10, 10]], "2 x 3"),
        ([0, 0, 0], "bbox_size"),
        ("here", "2 x 3"),
        (None, "2 x 3"),
        ([[0, 0, 0], [1, 2]], "2 x 3"),
        ([[0, 0, 0], [1e300, 2, 2]], "finite"),
    ],
)
def test_bounds_that_make_no_box_are_refused(bounds, words) -> None:
    with pytest.raises(BoundsError, match=words) as caught:
        Region.from_bounds(bounds, (4.0, 4.0, 40.0))
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("center", "size"),
    [([0, 0], (1, 1)), ([0, 0, 0], 5), ([0, 0, 0], (1,)), ([0, 0, 0], (1, 0)), ([0, 0, 0], (1, -2, 1)),
     ([0, 0, math.nan], (1, 1)), ("x", (1, 1)), ([0, 0, 0], (1, 2, 3, 4))],
)  # fmt: skip
def test_centres_and_sizes_that_make_no_box_are_refused(center, size) -> None:
    with pytest.raises(BoundsError):
        Region.from_center(center, size, (4.0, 4.0, 40.0))


@pytest.mark.parametrize("value", [None, 4, [4, 4], [4, 4, 0], [4, 4, -1], [4, 4, math.nan], "444", [[4, 4, 40]]])
def test_resolutions_that_make_no_sense_are_refused(value) -> None:
    with pytest.raises(ArgumentError):
        as_resolution(value)


def test_bounds_may_come_as_cloudvolume_gives_them() -> None:
    class Bbox:
        minpt, maxpt = np.array([1, 2, 3]), np.array([4, 5, 6])

    assert Region.from_bounds(Bbox(), (1.0, 1.0, 1.0)).grid.start == (1, 2, 3)
    box = Box((0, 0, 0), (4, 4, 4), (8.0, 8.0, 40.0))
    assert Region.from_bounds(box, (4.0, 4.0, 40.0)).at((4.0, 4.0, 40.0)).stop == (8, 8, 4)
