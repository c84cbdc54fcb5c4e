from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imageryclient.painting.contours import FRAME, Contours, followers
from imageryclient.painting.curves import UNITS, Curves, voxel_middles

# A step from a knot at (0, 1) that leans 8 voxels is a parabola with the corners (0, 1), (0, 1/2), (4, 1/4): at t = 0.4
# it is as far from both edges.
FARTHEST = 0.64
TIP = np.hypot(0.5, 2)  # what is one voxel wide may end two voxels early
SECTIONS = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)).flatmap(
    lambda n: arrays(np.uint8, n[:2], elements=st.integers(0, n[2]))
)
LARGER = st.tuples(SECTIONS, st.integers(1, 3), st.integers(1, 4)).map(
    lambda made: np.kron(made[0], np.ones(made[1:], np.uint8))
)


def polygon(curves: Curves, ring: int, steps: int = 10) -> np.ndarray:
    """Points along a path."""
    t = np.arange(steps)[:, None] / steps
    which = range(curves.offsets[ring], curves.offsets[ring + 1])
    return np.concatenate([
        curves.start[k] + t * (curves.stop[k] - curves.start[k])
        if curves.straight[k]
        else (1 - t) ** 2 * curves.start[k] + 2 * t * (1 - t) * curves.control[k] + t**2 * curves.stop[k]
        for k in which
    ])  # fmt: skip


def inside(ring: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether a closed polygon passes an odd number of times to the right of each point."""
    odd = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        level = (y0 > points[:, 1]) != (y1 > points[:, 1])
        odd[level] ^= x0 + (points[level, 1] - y0) / (y1 - y0) * (x1 - x0) > points[level, 0]
    return odd


def distances(points: np.ndarray, path: np.ndarray) -> np.ndarray:
    """From each point to the nearest side of a closed polygon."""
    start, side = path[:, None], np.roll(path, -1, axis=0)[:, None] - path[:, None]
    squares = np.maximum((side**2).sum(axis=2, keepdims=True), 1e-12)
    at = (((points - start) * side).sum(axis=2, keepdims=True) / squares).clip(0, 1)
    return np.sqrt(((start + at * side - points) ** 2).sum(axis=2)).min(axis=0)


@settings(max_examples=60)
@given(LARGER)
def test_smooth_areas_leave_no_gap_and_do_not_overlap(labels: np.ndarray) -> None:
    curves = Curves.smooth(Contours.of(labels, include_null=True))
    height, width = labels.shape
    x, y = (np.arange(width * 5) + 0.4637) / 5, (np.arange(height * 5) + 0.5219) / 5  # on no line
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    covered = np.zeros((5, len(points)), bool)
    for ring, label in enumerate(curves.labels):
        covered[label] ^= inside(polygon(curves, ring), points)
    assert np.array_equal(covered.sum(axis=0), np.ones(len(points)))


@settings(max_examples=80)
@given(LARGER)
@example(np.repeat([[1, 1], [1, 0]], [3, 20], axis=1).astype(np.uint8))  # a long step beside a knot of the frame
def test_smooth_paths_are_closed_shared_and_near_the_voxels_edges(labels: np.ndarray) -> None:
    contours = Contours.of(labels, include_null=True)
    curves = Curves.smooth(contours)
    assert np.array_equal(curves.stop, curves.start[followers(curves.offsets)])
    for coordinates in (curves.start, curves.control, curves.stop):
        assert np.array_equal(coordinates * UNITS, np.round(coordinates * UNITS))
    owner = np.repeat(curves.labels, np.diff(curves.offsets))
    ends = np.concatenate([curves.start, curves.control, curves.stop], axis=1)[~curves.straight]
    bent = set(map(tuple, np.column_stack([owner[~curves.straight], curves.beyond[~curves.straight], ends]).tolist()))
    for label, beyond, x0, y0, cx, cy, x1, y1 in bent:
        assert beyond != FRAME
        assert (beyond, label, x1, y1, cx, cy, x0, y0) in bent
    assert np.isclose(curves.areas().sum(), labels.size)
    for ring in range(len(curves.labels)):
        stairs = contours.points[contours.offsets[ring] : contours.offsets[ring + 1]].astype(float)
        path = polygon(curves, ring)
        assert distances(path, stairs).max() <= FARTHEST + 1e-9
        assert distances(stairs, path).max() <= TIP + 1e-9
    knots = set(map(tuple, contours.points[contours.fixed].tolist()))
    assert knots <= set(map(tuple, curves.start.tolist()))


@pytest.mark.parametrize(("rise", "run"), [(1, 1), (1, 2), (1, 3), (2, 1), (1, 7), (4, 1)])
def test_the_stairs_of_a_straight_line_become_straight(rise: int, run: int) -> None:
    y, x = np.mgrid[:40, :60]
    curves = Curves.smooth(Contours.of((x // run * rise > y).astype(int) + 1))
    inner = curves.beyond != FRAME
    lengths = np.hypot(*(curves.stop - curves.start)[inner].T)
    slope = (curves.stop - curves.start)[inner][lengths.argmax()]
    assert abs(slope[1] / slope[0]) == rise / run
    assert lengths.max() > 0.8 * lengths.sum() / 2  # of both sides


def test_areas_are_those_of_the_curves() -> None:
    rng = np.random.default_rng(3)
    labels = np.kron(rng.integers(0, 3, (6, 6)), np.ones((3, 2), int))
    for curves in (Curves.exact(Contours.of(labels)), Curves.smooth(Contours.of(labels))):
        expected = np.zeros(3)
        for ring, label in enumerate(curves.labels):
            x, y = polygon(curves, ring, 200).T
            expected[label] += (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
        assert curves.areas() == pytest.approx(expected, abs=1e-2)


def test_exact_paths_are_the_voxels_edges() -> None:
    contours = Contours.of(np.array([[1, 2], [1, 1]]))
    curves = Curves.exact(contours)
    assert curves.straight.all()
    assert np.array_equal(curves.start, contours.points)
    assert curves.areas().tolist() == [0, 3, 1]


def test_corners_of_the_section_stay() -> None:
    for rows, columns in itertools.product((1, 2, 5), repeat=2):
        curves = Curves.smooth(Contours.of(np.ones((rows, columns), int)))
        assert curves.areas().tolist() == [0, rows * columns]


@pytest.mark.parametrize("include_null", [False, True])
@pytest.mark.parametrize("stretch", [(1, 5), (3, 1), (2, 4)])
def test_long_voxels_are_smoothed_as_square_ones_and_stretched(stretch: tuple[int, int], include_null: bool) -> None:
    rng = np.random.default_rng(7)
    voxels = np.kron(rng.integers(0, 4, (5, 6)), np.ones((2, 3), int))
    pixels = voxels.repeat(stretch[1], axis=0).repeat(stretch[0], axis=1)
    square = Curves.smooth(Contours.of(voxels, include_null))
    found = Curves.around(pixels, True, stretch, include_null)
    assert np.array_equal(found.labels, square.labels)
    for name in ("start", "control", "stop"):
        assert np.array_equal(getattr(found, name), getattr(square, name) * stretch)
    assert found.areas() == pytest.approx(square.areas() * stretch[0] * stretch[1])
    exact = Curves.around(pixels, False, stretch, include_null)
    assert np.array_equal(exact.start, Curves.exact(Contours.of(pixels, include_null)).start)


@given(st.integers(1, 12), st.floats(1, 7), st.integers(1, 9), st.floats(1, 7))
def test_stretched_sections_end_where_their_pixels_do(rows: int, high: float, columns: int, wide: float) -> None:
    shape = [max(1, round(voxels * by)) for voxels, by in ((rows, high), (columns, wide))]
    holders = [
        np.minimum(((np.arange(pixels) + 0.5) / by).astype(int), voxels - 1)
        for pixels, by, voxels in zip(shape, (high, wide), (rows, columns), strict=True)
    ]
    labels = 1 + (np.arange(rows * columns).reshape(rows, columns) * 7) % 3
    for pixels, by, holder, voxels in zip(shape, (high, wide), holders, (rows, columns), strict=True):
        assert np.array_equal(holder[voxel_middles(pixels, by)], np.arange(voxels))
    curves = Curves.around(labels[np.ix_(*holders)], True, (wide, high))
    size = (shape[1], shape[0])
    assert np.isclose(curves.areas().sum(), size[0] * size[1])
    ends = np.concatenate([curves.start, curves.control, curves.stop])
    assert (ends.min(axis=0) == 0).all()
    assert tuple(ends.max(axis=0)) == size
    assert np.array_equal(ends * UNITS, np.rint(ends * UNITS))
