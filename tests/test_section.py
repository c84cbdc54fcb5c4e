"""Sections: where their pixels lie, worked out in exact fractions; orientations; boxes; placements."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError, BoundsError
from imageryclient.geometry import TOLERANCE
from imageryclient.neuroglancer.placement import Placement
from imageryclient.section import Section, orientation_across, voxels_at

# The axes of each panel, to the right, down and into the screen, as whole numbers.
PANELS = {
    "xy": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "xz": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "yz": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
}
whole = st.integers(-5, 5)
quaternions = st.tuples(whole, whole, whole, whole).filter(any)
directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: math.hypot(*v) > 0.1)


def turned(quaternion: tuple[int, ...], vector: tuple[int, ...]) -> list[Fraction]:
    """q v q* / |q|^2, by Hamilton's products of whole numbers: exact."""

    def product(p: tuple[Any, ...], q: tuple[Any, ...]) -> tuple[Any, ...]:
        a, b, c, d = p
        e, f, g, h = q
        return (
            d * e + a * h + b * g - c * f,
            d * f - a * g + b * h + c * e,
            d * g + a * f - b * e + c * h,
            d * h - a * e - b * f - c * g,
        )

    x, y, z, w = quaternion
    out = product(product(quaternion, (*vector, 0)), (-x, -y, -z, w))
    return [Fraction(n, x * x + y * y + z * z + w * w) for n in out[:3]]


@given(quaternions, st.sampled_from(sorted(PANELS)), st.tuples(whole, whole, whole), st.integers(1, 4))
def test_pixels_lie_where_the_formula_puts_them(
    turn: tuple[int, ...], panel: Any, center: tuple[int, ...], nm: int
) -> None:
    section = Section(center, (5, 4), nm, turn, panel)  # type: ignore[arg-type]
    right, down, into = (turned(turn, axis) for axis in PANELS[panel])
    assert section.normal == pytest.approx([float(n) for n in into], abs=1e-12)
    found = section.points(section.whole).reshape(4, 5, 3)
    for j in range(4):
        for i in range(5):
            a, b = i + Fraction(1, 2) - Fraction(5, 2), j + Fraction(1, 2) - 2
            exact = [c + nm * (a * r + b * d) for c, r, d in zip(center, right, down, strict=True)]
            assert found[j, i] == pytest.approx([float(n) for n in exact], abs=1e-9)
            depth = 7 * np.array([float(n) for n in into])
            assert section.pixels(found[j, i] + depth)[0] == pytest.approx([i + 0.5, j + 0.5, 7], abs=1e-9)


@given(quaternions, st.integers(1, 70), st.integers(1, 40), st.tuples(st.floats(-1e4, 1e4), st.floats(-50, 50), whole))
def test_a_box_holds_the_voxels_of_all_pixels_and_no_more(
    turn: tuple[int, ...], width: int, height: int, center: tuple[float, ...]
) -> None:
    section = Section(center, (width, height), 3.7, turn)  # type: ignore[arg-type]
    at = (4.0, 4.0, 40.0)
    voxels = voxels_at(section.points(section.whole), at)
    box = section.box(at)
    assert (box.start, box.stop) == (tuple(voxels.min(axis=0)), tuple(voxels.max(axis=0) + 1))


@given(quaternions, st.floats(0.2, 6), st.integers(1, 40), st.integers(1, 40))
@example((0, 0, 0, 1), 1.1, 1, 25)  # 1.1 * 25 is a little more than 27.5: the last centre lies on the border
def test_a_zoomed_section_begins_where_it_did(turn: tuple[int, ...], zoom: float, width: int, height: int) -> None:
    section = Section((10.0, -20.0, 30.0), (width, height), 8.0, turn)  # type: ignore[arg-type]
    zoomed = section.zoomed(zoom)
    corner = np.array(section.center) - section.axes[:, :2] @ np.array(section.size) * 4.0
    assert zoomed.pixels(corner)[0] == pytest.approx([0, 0, 0], abs=1e-6)
    some = corner + section.axes @ np.array([16.0, 4.0, 5.0])
    assert zoomed.pixels(some)[0] == pytest.approx([2 * zoom, zoom / 2, 5], abs=1e-6)
    for pixels, voxels in zip(zoomed.size, (width, height), strict=True):
        centres = np.arange(9 * voxels + 9) + 0.5
        assert pixels == max(1, int((centres < voxels * zoom - TOLERANCE).sum()))


def test_tiles_make_the_whole() -> None:
    section = Section((10.0, 20.0, 30.0), (23, 9), 2.5, (0.1, 0.2, 0.3, 0.9))
    picture = np.full((9, 23, 3), np.nan)
    for across, down in section.tiles(8):
        part = picture[down, across]
        assert np.isnan(part).all()
        part[:] = section.points((across, down)).reshape(part.shape)
    assert np.array_equal(picture.reshape(-1, 3), section.points(section.whole))


@given(directions, directions)
def test_a_normal_and_what_is_up_give_an_orientation(normal: tuple[float, ...], up: tuple[float, ...]) -> None:
    n, u = np.array(normal), np.array(up)
    n, u = n / np.linalg.norm(n), u / np.linalg.norm(u)
    if abs(n @ u) > 0.999:
        return
    axes = Section((0.0, 0.0, 0.0), (2, 2), 1.0, orientation_across(normal, up)).axes
    assert np.allclose(axes[:, 2], n, atol=1e-9)
    assert -axes[:, 1] @ u > 0
    assert abs(axes[:, 0] @ u) < 1e-9
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1)


@pytest.mark.parametrize(
    ("normal", "right", "down"),
    [((0, 0, 3), (1, 0, 0), (0, 1, 0)), ((1, 0, 0), (0, 0, -1), (0, 1, 0)), ((0, -1, 0), (1, 0, 0), (0, 0, 1))],
)
def test_normals_along_the_axes_look_as_the_panels_do(normal: Any, right: Any, down: Any) -> None:
    section = Section((0.0, 0.0, 0.0), (2, 2), 1.0, orientation_across(normal))
    assert np.allclose(section.axes[:, 0], right)
    assert np.allclose(section.axes[:, 1], down)
    assert section.aligned


def test_extents_of_aligned_and_tilted_sections() -> None:
    half = 0.5**0.5
    assert Section((0.0, 0.0, 0.0), (60, 40), 8.0).extent == (480, 320, 0)
    assert Section((0.0, 0.0, 0.0), (60, 40), 8.0, (half, 0, 0, half)).extent == pytest.approx((480, 0, 320))
    tilted = Section((0.0, 0.0, 0.0), (60, 40), 8.0, orientation_across((1, 0, 1)))
    assert tilted.extent == pytest.approx((480 * half, 320, 480 * half))
    assert not tilted.aligned


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"center": (1, 2)}, BoundsError, "center must be three numbers"),
        ({"center": (1, 2, math.inf)}, BoundsError, "center"),
        ({"center": (1, 2, 1e300)}, BoundsError, "centre"),
        ({"size": 5}, ArgumentError, "size must be two"),
        ({"size": (5, 0)}, ArgumentError, "whole pixels"),
        ({"size": (5, 2.5)}, ArgumentError, "whole pixels"),
        ({"nm_per_pixel": 0}, ArgumentError, "nm_per_pixel"),
        ({"nm_per_pixel": 1e300}, ArgumentError, "larger than any data"),
        ({"panel": "zz"}, ArgumentError, "panel"),
        ({"orientation": (0, 0, 0, 0)}, ArgumentError, "all zeros"),
        ({"orientation": "up"}, ArgumentError, "orientation must be four numbers"),
    ],
)
def test_what_is_no_section_is_said(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Section(**{"center": (0, 0, 0), "size": (4, 4), "nm_per_pixel": 8.0, **change})


def test_what_is_no_direction_is_said() -> None:
    for normal, up in (((0, 0, 0), None), ((0, 0, 1), (0, 0, -2)), ("z", None), ((1, 0, 0), (0, 0, 0))):
        with pytest.raises(ArgumentError, match=r"direction|another way|numbers"):
            orientation_across(normal, up)


def test_a_placement_is_undone_point_by_point() -> None:
    rng = np.random.default_rng(3)
    own, given_size = (8.0, 8.0, 40.0), (10.0, 9.0, 35.0)
    matrix = np.column_stack([rng.normal(size=(3, 3)), rng.normal(size=3) * 1e4])
    voxels = rng.uniform(0, 500, (50, 3))
    shown = voxels * given_size @ matrix[:, :3].T + matrix[:, 3]
    place = Placement(given_size, matrix)
    assert np.allclose(shown @ place.inward(own)[:, :3].T + place.inward(own)[:, 3], voxels * own, atol=1e-6)
    assert place.moves(own)
    assert not Placement().moves(own)
    assert not Placement(voxel_size=own).moves(own)
    assert np.array_equal(Placement().inward(own), np.eye(3, 4))
    with pytest.raises(ArgumentError, match="flat"):
        Placement(transform=np.array([[1.0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]])).inward(own)
