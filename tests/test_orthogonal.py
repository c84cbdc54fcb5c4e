"""Three planes beside sampling every pixel of them by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import imageryclient as ic
from imageryclient import Box
from imageryclient.errors import ArgumentError, BoundsError
from imageryclient.painting.draw import draw
from imageryclient.painting.marks import Points
from imageryclient.painting.orthogonal import Crossing, OrthogonalPlanes
from imageryclient.painting.overlay import composite_overlay
from imageryclient.painting.shared import shared_options
from imageryclient.painting.threeplanes import orthogonal_figure
from imageryclient.section import voxels_at

GAP = 4
sides = st.sampled_from([4.0, 8.0, 13.5, 40.0])
boxes = st.builds(
    lambda start, shape, resolution: Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)), resolution),
    st.tuples(*[st.integers(-9, 900)] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(sides, sides, sides),
)


def block_of(box):
    return np.random.default_rng(3).integers(0, 256, box.shape, dtype=np.uint8)


@settings(max_examples=60)
@given(boxes, st.tuples(*[st.floats(0, 0.999)] * 3), st.sampled_from([None, 4.0, 9.0]))
def test_every_pixel_takes_the_voxel_that_contains_its_centre(box, share, nm_per_pixel) -> None:
    block = block_of(box)
    low, high = box.nm
    at = [a + s * (b - a) for a, b, s in zip(low, high, share, strict=True)]
    planes = OrthogonalPlanes.through(box, at, resolution=(1, 1, 1), nm_per_pixel=nm_per_pixel)
    nm = nm_per_pixel or min(box.resolution)
    assert planes.nm_per_pixel == nm
    figure = np.asarray(orthogonal_figure(block, None, planes, lines=False, names=False, scale_bar=False, spacing=GAP))[
        ..., 0
    ].T
    width, height, depth = (max(1, round((b - a) / nm)) for a, b in zip(low, high, strict=True))
    assert figure.shape == (width + GAP + depth, height + GAP + depth)

    def voxel(axis, place):
        found = math.floor(place / box.resolution[axis] + 1e-6) - box.start[axis]
        return min(max(found, 0), box.shape[axis] - 1)

    def index(x, y, z):
        return voxel(0, x), voxel(1, y), voxel(2, z)

    across, down, deep = (
        [low[axis] + (i + 0.5) * nm for i in range(n)] for axis, n in enumerate((width, height, depth))
    )
    for i in range(width):
        for j in range(height):
            assert figure[i, j] == block[index(across[i], down[j], at[2])]
        for k in range(depth):
            assert figure[i, height + GAP + k] == block[index(across[i], at[1], deep[k])]
    for j in range(height):
        for k in range(depth):
            assert figure[width + GAP + k, j] == block[index(at[0], down[j], deep[k])]


@settings(max_examples=30)
@given(boxes, st.sampled_from(["xy", "xz", "yz"]))
def test_the_sections_say_where_the_pixels_lie(box, plane) -> None:
    planes = OrthogonalPlanes.through(box)
    section = planes.section(plane)
    block = block_of(box)
    voxels = voxels_at(section.points(section.whole), box.resolution) - np.array(box.start)
    voxels = voxels.clip(0, np.array(box.shape) - 1)
    expected = block[tuple(voxels.T)].reshape(section.size[::-1]).T
    assert np.array_equal(planes.cut(block, plane), expected)
    right, down, behind = section.pixels(planes.at)[0]
    assert abs(right - section.size[0] / 2) < 0.51  # the point is the middle of the block
    assert abs(down - section.size[1] / 2) < 0.51
    assert abs(behind) <= box.resolution[3 - sum("xyz".index(axis) for axis in plane)] / 2 + 1e-6


def test_lines_cross_in_the_point_and_go_on_in_the_next_panel() -> None:
    box = Box((100, 50, 7), (140, 80, 17), (8.0, 8.0, 40.0))
    planes = OrthogonalPlanes.through(box, (112, 71, 9))
    block = np.full(box.shape, 100, np.uint8)
    options = {"names": False, "scale_bar": False, "spacing": GAP}
    figure = np.asarray(orthogonal_figure(block, None, planes, lines="black", **options))[..., 0].T
    column, row, section = 12, 21, 2 * 5
    lines = np.zeros((40 + GAP + 50, 30 + GAP + 50), bool)
    lines[column] = lines[40 + GAP + section] = lines[:, row] = lines[:, 30 + GAP + section] = True
    gap = np.zeros_like(lines)
    gap[40 : 40 + GAP] = gap[:, 30 : 30 + GAP] = gap[40:, 30:] = True
    expected = np.where(gap, 255, np.where(lines, 25, 100))
    expected[40 + GAP :, 30 + GAP :] = 255
    assert np.array_equal(figure, expected)


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("zoom", [1, 2, 2.5])
def test_lines_are_sharp_at_any_zoom(width, zoom) -> None:
    planes = OrthogonalPlanes.through(Box((0, 0, 0), (40, 30, 10), (8.0, 8.0, 40.0)), (12, 21, 3))
    section = planes.section("xy").zoomed(zoom)
    (group,) = Crossing(planes.at, "red", 1.0, width).groups(section, 40.0)
    drawn = np.asarray(draw(Image.new("RGB", section.size), [group]))[..., 0].T
    assert set(np.unique(drawn).tolist()) == {0, 255}
    columns, rows = np.flatnonzero(drawn.all(axis=1)), np.flatnonzero(drawn.all(axis=0))
    for found, place in ((columns, 12 * zoom), (rows, 21 * zoom)):
        assert len(found) == width
        assert abs((found[0] + found[-1] + 1) / 2 - place) <= 0.5
    assert np.count_nonzero(drawn) == width * sum(section.size) - width**2


def test_a_part_is_painted_as_the_whole() -> None:
    box = Box((0, 0, 0), (30, 20, 4), (8.0, 8.0, 40.0))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, box.shape, dtype=np.uint16)
    ids = rng.integers(0, 9, box.shape, dtype=np.uint64)
    ids[10:20, :, 2] = np.uint64(2**63)
    cut = ic.Cutout(image, ids, box)
    planes = OrthogonalPlanes.through(box)
    for more in ({}, {"palette": "tab10", "gamma": 0.5}, {"percentiles": (10, 90), "alpha": 0.6}):
        options = {"palette": "husl", "alpha": 0.3, **more}
        shared = shared_options(image, cut.masks.ids.tolist(), options)
        part = composite_overlay(planes.cut(ids, "xy"), imagery=planes.cut(image, "xy"), **shared)
        assert np.array_equal(np.asarray(part), np.asarray(cut.overlay(section=2, **options)))
    assert shared_options(np.full(5, 300.0), [], {"gamma": 2, "width": 3}) == {"gamma": 2, "width": 3}
    assert shared_options(None, [], {"palette": "husl", "alpha": 1}) == {"alpha": 1}


def test_names_and_scale_bar() -> None:
    box = Box((0, 0, 0), (200, 160, 2), (8.0, 8.0, 40.0))
    block = np.full(box.shape, 100, np.uint8)
    planes = OrthogonalPlanes.through(box)
    figure = np.asarray(orthogonal_figure(block, None, planes, lines=False, scale_bar=400, spacing=GAP))[..., 0]
    assert (figure[:30, :40] != 100).any()  # xy
    assert (figure[164:, :200] == 100).all()  # xz and yz are 10 pixels thin
    assert (figure[:160, 204:] == 100).all()
    lower = figure[100:160, 100:200]
    assert (lower != 100).sum(axis=1).max() == 50
    with pytest.raises(ArgumentError, match="shorter"):
        orthogonal_figure(block, None, planes, scale_bar=5000)


def test_colors_are_those_of_the_block_in_each_panel() -> None:
    box = Box((0, 0, 0), (12, 10, 8), (8.0, 8.0, 8.0))
    ids = np.random.default_rng(4).integers(0, 40, box.shape, dtype=np.uint64)
    planes = OrthogonalPlanes.through(box)
    cut = ic.Cutout(None, ids, box)
    plain = {"lines": False, "names": False, "scale_bar": False, "spacing": 0}
    for options in ({"palette": "husl"}, {"palette": "tab10", "ids": sorted(cut.masks)}):
        figure = orthogonal_figure(None, ids, planes, alpha=1, **plain, **options)
        painted = {"palette": options["palette"], "alpha": 1, "background": "white"}
        below = np.asarray(cut.overlay(plane="xz", section=5, **painted))[..., :3]
        beside = np.asarray(cut.overlay(plane="yz", section=6, **painted))[:, ::-1, :3]
        shown = np.asarray(figure)
        covered = cut.segmentation[:, 5].T > 0
        assert np.array_equal(shown[10:, :12][covered], below[covered])
        covered = cut.segmentation[6] > 0
        assert np.array_equal(shown[:10, 12:][covered], beside[covered])


def test_marks_are_shown_in_the_panels_near_them() -> None:
    box = Box((0, 0, 0), (40, 30, 10), (8.0, 8.0, 40.0))
    planes = OrthogonalPlanes.through(box, (20.5, 15.5, 5.5))
    spot = Points([[6.5, 4.5, 5.5]], (8, 8, 40), color="red", radius=3)  # in the xy plane alone
    figure = orthogonal_figure(
        np.zeros(box.shape, np.uint8), None, planes, marks=spot, lines=False, names=False, scale_bar=False, spacing=GAP
    )
    red = (np.asarray(figure)[..., 0] > 128) & (np.asarray(figure)[..., 1] < 50)
    rows, columns = np.nonzero(red)
    assert (round(columns.mean()), round(rows.mean())) == (6, 4)
    assert columns.max() < 11
    assert rows.max() < 9


def test_a_legend_lies_beside_the_figure() -> None:
    box = Box((0, 0, 0), (80, 60, 40), (8.0, 8.0, 8.0))
    ids = np.ones(box.shape, np.uint64)
    planes = OrthogonalPlanes.through(box)
    plain = orthogonal_figure(None, ids, planes, scale_bar=False, colors=["red"], alpha=1)
    with_legend = orthogonal_figure(None, ids, planes, scale_bar=False, colors=["red"], alpha=1, legend={1: "soma"})
    assert with_legend.height == plain.height
    assert with_legend.width > plain.width
    assert np.array_equal(np.asarray(with_legend.convert("RGB"))[:, : plain.width], np.asarray(plain))
    beside = np.asarray(with_legend.convert("RGB"))[:, plain.width :]
    assert (beside == (255, 0, 0)).all(axis=2).any()


def test_where_planes_can_not_cross() -> None:
    box = Box((10, 10, 10), (20, 20, 20), (8.0, 8.0, 40.0))
    for at in ((9, 15, 15), (15, 20, 15)):
        with pytest.raises(BoundsError, match="must cross within the cutout"):
            OrthogonalPlanes.through(box, at)
    assert OrthogonalPlanes.through(box, (19.99, 10, 15)).section("yz").center[0] == 19.5 * 8
    with pytest.raises(BoundsError, match="three numbers"):
        OrthogonalPlanes.through(box, (15, 15))
    with pytest.raises(ArgumentError, match="nm_per_pixel"):
        OrthogonalPlanes.through(box, nm_per_pixel=0)
    with pytest.raises(ArgumentError, match="opacity"):
        Crossing((0, 0, 0), alpha=2)
    with pytest.raises(ArgumentError, match="width"):
        Crossing((0, 0, 0), width=0)
