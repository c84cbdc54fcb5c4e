"""Planes beside sampling every pixel by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.errors import ArgumentError
from imageryclient.painting.planes import PlaneGrid

sizes = st.integers(1, 9)
lengths = st.sampled_from([4.0, 8.0, 10.0, 13.5, 33.0, 40.0])
TURNS = {"xy": ("x", "y", "z"), "xz": ("x", "z", "y"), "yz": ("-z", "y", "x")}


@given(
    st.tuples(sizes, sizes, sizes), st.tuples(lengths, lengths, lengths), st.sampled_from(sorted(TURNS)), st.booleans()
)
def test_each_pixel_takes_the_voxel_that_contains_its_centre(shape, resolution, plane, channels) -> None:
    block = np.arange(math.prod(shape) * (3 if channels else 1)).reshape(*shape, *((3,) if channels else ()))
    grid = PlaneGrid(plane, resolution)
    sections = grid.sections(block)
    right, down, into = ("xyz".index(name[-1]) for name in TURNS[plane])
    assert grid.nm_per_pixel == min(resolution[right], resolution[down])
    width, height, count = sections.shape[:3]
    assert count == shape[into]
    for pixels, axis in ((width, right), (height, down)):
        assert abs(pixels * grid.nm_per_pixel - shape[axis] * resolution[axis]) <= grid.nm_per_pixel / 2 + 1e-9
    for i in range(width):
        for j in range(height):
            at = [0, 0, 0]
            place = (i + 0.5) * grid.nm_per_pixel / resolution[right]
            if TURNS[plane][0].startswith("-"):
                place = shape[right] - place
            at[right] = min(max(0, math.floor(place + 1e-6)), shape[right] - 1)
            at[down] = min(int((j + 0.5) * grid.nm_per_pixel / resolution[down]), shape[down] - 1)
            for n in range(count):
                at[into] = n
                assert np.array_equal(sections[i, j, n], block[tuple(at)])


def test_square_voxels_are_not_copied() -> None:
    block = np.zeros((5, 6, 7), np.uint8)
    assert np.shares_memory(PlaneGrid("yz", (8.0, 8.0, 8.0)).sections(block), block)


def test_a_cutout_is_painted_across_any_axis() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (30, 20, 6), dtype=np.uint8)
    labels = rng.integers(0, 3, (30, 20, 6), dtype=np.uint64)
    cut = ic.Cutout(image, labels, ic.Box((0, 0, 0), (30, 20, 6), (8.0, 8.0, 40.0)))
    assert [len(cut.overlay(plane=plane)) for plane in ("xy", "xz", "yz")] == [6, 20, 30]
    assert cut.overlay(plane="xz")[0].size == (30, 30)
    assert cut.overlay(plane="yz")[0].size == (30, 20)
    plain = ic.Cutout(image[:, 3:4], None, ic.Box((0, 3, 0), (30, 4, 6), (8.0, 8.0, 40.0)))
    shown = np.asarray(plain.overlay(plane="xz"))[..., 0]
    assert np.array_equal(shown[::5], image[:, 3].T)
    colors = {1: (255, 0, 0), 2: (0, 255, 0)}
    painted = np.asarray(cut.overlay(plane="yz", colors=colors, alpha=1)[4])
    for z in range(6):
        for y in range(20):
            label = int(labels[4, y, z])
            expected = (*colors[label], 255) if label else (*[image[4, y, z]] * 3, 255)
            assert tuple(painted[y, 29 - 5 * z]) == expected
    with pytest.raises(ArgumentError, match="'xy', 'xz' or 'yz'"):
        cut.overlay(plane="zx")  # type: ignore[arg-type]


def test_a_scale_bar_counts_the_planes_own_pixels() -> None:
    cut = ic.Cutout(np.zeros((200, 1, 60), np.uint8), None, ic.Box((0, 0, 0), (200, 1, 60), (10.0, 10.0, 40.0)))
    marked = np.asarray(cut.overlay(plane="xz", scale_bar=500))[..., :3].max(axis=-1) / 255
    assert marked.shape == (240, 200)
    assert marked[230:].sum(axis=1).max() == pytest.approx(50, abs=0.05)
    with pytest.raises(ArgumentError, match="shorter"):
        cut.overlay(scale_bar=5000)


@given(
    st.tuples(sizes, sizes, sizes),
    st.tuples(lengths, lengths, lengths),
    st.tuples(*[st.integers(-30, 30)] * 3),
    st.sampled_from(sorted(TURNS)),
)
def test_places_are_where_the_voxels_shown_lie(shape, resolution, start, plane) -> None:
    """Voxel numbers painted on a plane, beside the voxels that the places' own points fall in."""
    box = ic.Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)), resolution)
    numbers = np.arange(math.prod(shape)).reshape(shape)
    grid = PlaneGrid(plane, resolution)
    sections, places = grid.sections(numbers), grid.places(box)
    assert len(places) == sections.shape[2]
    for at, place in enumerate(places):
        assert place.size == sections.shape[:2]
        points = place.points(place.whole)
        voxels = np.floor(points / resolution + 1e-6).astype(int) - start
        voxels = voxels.clip(0, np.array(shape) - 1)  # the last pixel may lie beyond the last voxel by half
        assert np.array_equal(numbers[tuple(voxels.T)], sections[:, :, at].T.ravel())
        depths = (points - place.center) @ place.axes[:, 2]
        assert np.allclose(depths, 0, atol=1e-6)
        assert grid.depth == resolution["xyz".index(TURNS[plane][2])]
