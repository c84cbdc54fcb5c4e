"""Discs, paths and words on pictures, measured: areas, centres, and what is mixed with what."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageryclient.painting.draw import bounding_box, draw, moved
from imageryclient.painting.lettering import CAPITALS, letters, text_width
from imageryclient.painting.primitives import Disc, Group, Ink, Path, Primitive, Words
from imageryclient.painting.raster import Area, capsule, covers, ring

WHITE = Ink((255, 255, 255))


def shares(*primitives: Primitive, size: tuple[int, int] = (60, 50)) -> np.ndarray:
    """How far each pixel is covered, (y, x), as drawn in white on black."""
    return np.asarray(draw(Image.new("L", size), [Group("all", primitives)]))[..., 0] / 255


def center(covered: np.ndarray) -> tuple[float, float]:
    y, x = np.indices(covered.shape) + 0.5
    return float((covered * x).sum() / covered.sum()), float((covered * y).sum() / covered.sum())


def brute(polygons: list[np.ndarray], size: tuple[int, int], fine: int = 16) -> np.ndarray:
    """The share of each pixel within any polygon, by points in them."""
    x, y = np.meshgrid((np.arange(size[0] * fine) + 0.5) / fine, (np.arange(size[1] * fine) + 0.5) / fine)
    inside = np.zeros(x.shape, bool)
    for points in polygons:
        winding = np.zeros(x.shape, int)
        for (xa, ya), (xb, yb) in zip(points, np.roll(points, -1, axis=0), strict=True):
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                left = xa + (y - ya) / (yb - ya) * (xb - xa) <= x
            winding += left & (ya <= y) & (y < yb)
            winding -= left & (yb <= y) & (y < ya)
        inside |= winding != 0
    return inside.reshape(size[1], fine, size[0], fine).mean(axis=(1, 3))


def cover_of(areas: list[Area], size: tuple[int, int]) -> list[np.ndarray]:
    out = []
    for cover in covers(areas, size):
        grid = np.zeros(size[0] * size[1])
        grid[cover.pixels] = cover.shares
        out.append(grid.reshape(size[1], size[0]))
    return out


coordinate = st.floats(-8, 28, allow_subnormal=False)


@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3), min_size=1, max_size=3))
def test_triangles_cover_what_points_in_them_say(triangles: list) -> None:
    polygons = [np.array(points, float) for points in triangles]
    size = (20, 17)
    each = cover_of([Area(((points,),)) for points in polygons], size)
    for found, points in zip(each, polygons, strict=True):
        assert np.abs(found - brute([points], size)).max() < 0.09
    (together,) = cover_of([Area(tuple((points,) for points in polygons))], size)
    assert np.array_equal(together, np.max(each, axis=0))


@given(st.floats(5, 55), st.floats(5, 45), st.floats(0.3, 4.5))
def test_discs_have_their_area_and_their_centre(x: float, y: float, radius: float) -> None:
    covered = shares(Disc(x, y, radius, fill=WHITE))
    around = 2 * math.pi * radius + 4  # pixels at the edge, each rounded to 8 bits
    assert covered.sum() == pytest.approx(math.pi * radius**2, abs=around / 255)
    if radius >= 2:
        assert center(covered) == pytest.approx((x, y), abs=0.01)


def test_rings_have_the_area_between_their_circles() -> None:
    covered = shares(Disc(30.3, 24.6, 10, line=WHITE, width=3))
    assert covered.sum() == pytest.approx(math.pi * (11.5**2 - 8.5**2), abs=0.4)
    assert covered[24, 30] == 0
    assert covered[24, 20] > 0.9
    assert shares(Disc(30, 25, 1, line=WHITE, width=4)).sum() == pytest.approx(9 * math.pi, abs=0.1)


def test_discs_that_reach_in_are_clipped() -> None:
    whole = shares(Disc(10, 12, 6, fill=WHITE), size=(30, 30))
    cut = shares(Disc(0, 2, 6, fill=WHITE), size=(20, 20))
    assert np.array_equal(cut, whole[10:, 10:])
    assert not shares(Disc(-40, 10, 5, fill=WHITE), Disc(10, 300, 5, fill=WHITE)).any()


@given(st.tuples(st.floats(8, 50), st.floats(8, 40)), st.tuples(st.floats(8, 50), st.floats(8, 40)), st.floats(1, 6))
def test_lines_have_round_ends(start: tuple, stop: tuple, width: float) -> None:
    covered = shares(Path((start, stop), line=WHITE, width=width))
    length = math.dist(start, stop)
    assert covered.sum() == pytest.approx(length * width + math.pi * width**2 / 4, abs=0.02 * (length + width) + 0.1)
    if width >= 3:
        assert center(covered) == pytest.approx(((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2), abs=0.06)


def test_corners_are_joined_and_nothing_is_laid_twice() -> None:
    half = Ink((255, 255, 255), 0.5)
    covered = shares(Path(((10, 10), (40, 10), (40, 40)), line=half, width=4))
    assert covered.max() == pytest.approx(0.5, abs=0.005)
    assert covered[10, 40] == pytest.approx(0.5, abs=0.005)
    assert covered.sum() == pytest.approx(0.5 * (4 * 60 - 4 + 5 * math.pi), abs=0.5)


def test_a_rectangle_is_exact() -> None:
    corners = ((10.25, 5.5), (20.75, 5.5), (20.75, 9.0), (10.25, 9.0))
    covered = shares(Path(corners, closed=True, fill=WHITE))
    assert covered[5, 10] == pytest.approx(0.375, abs=1 / 255)
    assert covered[7, 10] == pytest.approx(0.75, abs=1 / 255)
    assert covered[6:9, 11:20].min() == 1
    assert covered.sum() == pytest.approx(10.5 * 3.5, abs=0.1)
    hollow = shares(Path(corners, closed=True, line=WHITE, width=1))
    assert hollow[7, 15] == 0
    assert hollow[7, 10] == pytest.approx(1, abs=0.3)


def test_dashes_go_on_around_corners() -> None:
    covered = shares(Path(((5, 10), (25, 10), (25, 40)), line=WHITE, width=2, dash=(6, 4)))
    assert covered[9, 5:26].round(2).tolist() == [1] * 6 + [0] * 4 + [1] * 6 + [0] * 5  # the next starts at the corner
    down = covered[10:40, 24].round(2)
    assert down.tolist() == [1] * 6 + [0] * 4 + [1] * 6 + [0] * 4 + [1] * 6 + [0] * 4
    same = Path(((5, 10), (25, 10)), line=WHITE)
    assert np.array_equal(
        shares(Path(same.points, line=WHITE, dash=(3, 0))).round(1)[9:11, 6:24], shares(same).round(1)[9:11, 6:24]
    )
    assert not shares(Path(same.points, line=WHITE, dash=(0, 3))).any()


def test_inks_mix_with_what_lies_below() -> None:
    picture = Image.new("RGB", (20, 20), (100, 100, 100))
    marked = draw(picture, [Group("a", (Disc(10, 10, 5, fill=Ink((200, 0, 100), 0.25)),))])
    assert marked.mode == "RGBA"
    assert marked.getpixel((10, 10)) == (125, 75, 100, 255)
    assert marked.getpixel((0, 0)) == (100, 100, 100, 255)
    assert picture.getpixel((10, 10)) == (100, 100, 100)


def test_transparent_pixels_show_the_ink_and_its_opacity() -> None:
    marked = draw(
        Image.new("RGBA", (20, 20), (9, 9, 9, 0)), [Group("a", (Disc(10, 10, 5, fill=Ink((200, 0, 100), 0.4)),))]
    )
    assert marked.getpixel((10, 10)) == (200, 0, 100, 102)
    twice = draw(marked, [Group("b", (Disc(10, 10, 2, fill=Ink((0, 255, 0))),))])
    assert twice.getpixel((10, 10)) == (0, 255, 0, 255)


def test_later_ones_lie_on_top() -> None:
    red, blue = Disc(10, 10, 5, fill=Ink((255, 0, 0))), Disc(10, 10, 3, fill=Ink((0, 0, 255)))
    assert draw(Image.new("L", (20, 20)), [Group("a", (red,)), Group("b", (blue,))]).getpixel((10, 10))[:3] == (
        0,
        0,
        255,
    )
    assert draw(Image.new("L", (20, 20)), [Group("b", (blue, red))]).getpixel((10, 10))[:3] == (255, 0, 0)


@pytest.mark.parametrize("anchor", ["left", "middle", "right"])
def test_words_stand_at_their_anchor(anchor: str) -> None:
    covered = shares(Words(100, 40, "HIH", 30, WHITE, anchor), size=(200, 80))  # type: ignore[arg-type]
    columns, rows = np.flatnonzero(covered.max(axis=0) > 0.5), np.flatnonzero(covered.max(axis=1) > 0.5)
    width = text_width("HIH", 30)
    assert {"left": columns[0], "middle": columns.mean(), "right": columns[-1]}[anchor] == pytest.approx(100, abs=3)
    assert columns[-1] - columns[0] == pytest.approx(width, abs=7)
    assert rows.mean() + 0.5 == pytest.approx(40, abs=0.6)
    assert len(rows) == pytest.approx(CAPITALS * 30, abs=1)


def test_a_rim_makes_white_letters_legible_on_white() -> None:
    page = Image.new("L", (120, 40), 255)
    word = Words(60, 20, "bouton", 20, WHITE, halo=Ink((0, 0, 0)))
    marked = np.asarray(draw(page, [Group("a", (word,))]))[..., 0]
    assert marked.min() == 0
    left, top, right, _ = bounding_box([word])  # type: ignore[misc]
    dark = np.argwhere(marked < 200)
    assert left - 1 <= dark[:, 1].min()
    assert dark[:, 1].max() <= right + 1
    assert top - 3 <= dark[:, 0].min()


def test_a_micro_is_a_u_with_a_longer_stem() -> None:
    for size in (9, 14, 20, 46):
        micro, plain = (letters(text, 5, 30, size).shares.astype(int) for text in ("µ", "u"))
        differs = np.argwhere(micro[: plain.shape[0], : plain.shape[1]] - plain)
        assert len(differs)
        baseline = np.flatnonzero(plain.max(axis=1) > 127)[-1]
        below = micro[baseline + 2 :].max(axis=0) > 100
        stems = np.flatnonzero(below)
        assert stems.size
        assert stems.max() - stems.min() < 0.2 * size  # one stem, the left one
        assert stems.mean() < np.flatnonzero(plain.max(axis=0) > 127).mean()
    assert text_width("µ", 20) == text_width("μ", 20) == text_width("u", 20)


def test_letters_that_no_font_has_do_not_stop_a_picture() -> None:
    covered = shares(Words(30, 25, "\U000e0fff → Å", 12, WHITE))
    assert covered.any()
    assert text_width("αβγ", 20) > 20
    assert not shares(Words(30, 25, "", 12, WHITE)).any()


def test_groups_can_be_moved() -> None:
    group = Group(
        "a", (Disc(10, 12, 4, fill=WHITE), Path(((3, 4), (9, 20)), line=WHITE), Words(20, 20, "a", 12, WHITE))
    )
    before, after = (draw(Image.new("L", (60, 60)), [one]) for one in (group, moved(group, 7, 5)))
    assert np.array_equal(np.asarray(before)[:50, :50, 0], np.asarray(after)[5:55, 7:57, 0])
    assert bounding_box([]) is None


def test_polygons_of_circles_and_lines_go_one_way_around() -> None:
    for points in (ring(3, 4, 2), capsule((1, 2), (5, 9), 3, False), capsule((1, 2), (1, 2), 3, False)):
        x, y = points.T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0


def test_two_thousand_marks_leave_no_picture_behind() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 2000, (2000, 2)).tolist()
    discs = tuple(Disc(x, y, 4, fill=WHITE, line=Ink((255, 0, 0)), width=1) for x, y in places)
    marked = np.asarray(draw(Image.new("L", (2000, 2000)), [Group("synapses", discs)]))
    for x, y in places:
        assert marked[min(int(y), 1999), min(int(x), 1999), 0] == 255
