from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imageryclient.painting.contours import FRAME, Contours, followers

SECTIONS = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4)).flatmap(
    lambda n: arrays(np.uint8, n[:2], elements=st.integers(0, n[2]))
)
CHECKERS = np.indices((5, 6)).sum(axis=0) % 2


def rings(found: Contours) -> list[tuple[int, np.ndarray]]:
    ends = found.offsets.tolist()
    parts = zip(found.labels.tolist(), ends, ends[1:], strict=False)
    return [(label, found.points[first:last]) for label, first, last in parts]


def crossings(points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """How often, and with which winding, a ring passes to the right of each voxel's centre."""
    count, winding = np.zeros(shape, int), np.zeros(shape, int)
    for (x0, y0), (x1, y1) in zip(points.tolist(), np.roll(points, -1, axis=0).tolist(), strict=True):
        assert (x0 == x1) != (y0 == y1)
        for row in range(min(y0, y1), max(y0, y1)):
            count[row, :x0] += 1
            winding[row, :x0] += 1 if y1 > y0 else -1
    return count, winding


def check(labels: np.ndarray) -> None:
    found = Contours.of(labels, include_null=True)
    even_odd = np.zeros((5, *labels.shape), int)
    nonzero = np.zeros((5, *labels.shape), int)
    areas = np.zeros(5)
    for label, points in rings(found):
        count, winding = crossings(points, labels.shape)
        even_odd[label] += count
        nonzero[label] += winding
        x, y = points.T.astype(float)
        areas[label] += (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
    expected = labels == np.arange(5)[:, None, None]
    assert np.array_equal(even_odd % 2 == 1, expected)
    assert np.array_equal(nonzero, expected)
    assert np.array_equal(areas, expected.sum(axis=(1, 2)))
    assert (np.diff(found.labels) >= 0).all()
    framed = np.pad(labels.astype(int), 1, constant_values=FRAME)
    after = followers(found.offsets)
    for (x, y), (ahead_x, ahead_y), beyond in zip(found.points, found.points[after], found.beyond, strict=True):
        right, down = np.sign([ahead_x - x, ahead_y - y])
        # the voxel to the left of the first step: above it when it heads right, at its right when it heads down
        row = y - 1 if right > 0 else y if right < 0 or down > 0 else y - 1
        column = x if right > 0 or down > 0 else x - 1
        assert framed[1 + row, 1 + column] == beyond
    for first, last in zip(found.offsets, found.offsets[1:], strict=False):
        assert found.fixed[first] or not found.fixed[first:last].any()


@settings(max_examples=150)
@given(SECTIONS)
def test_rings_cover_their_voxels_and_no_others(labels: np.ndarray) -> None:
    check(labels)


@pytest.mark.parametrize(
    "labels",
    [
        CHECKERS,
        CHECKERS + 1,
        np.kron(CHECKERS, np.ones((2, 3), int)),
        np.pad(np.zeros((3, 3), int), 2, constant_values=3),
        np.pad(np.array([[1, 0], [0, 1]]), 1),
        np.ones((1, 1), int),
        np.array([[1, 2, 1, 0, 1]]),
        np.array([[1, 2, 1, 0, 1]]).T,
        np.eye(6, dtype=int),
        np.full((3, 4), 2),
    ],
)
def test_checkers_holes_borders_and_corners_that_touch(labels: np.ndarray) -> None:
    check(labels)


def test_the_rings_of_nothing_are_none() -> None:
    found = Contours.of(np.zeros((4, 5), int))
    assert found.labels.size == found.points.size == 0
    assert found.offsets.tolist() == [0]


def test_points_are_turns_and_knots_alone() -> None:
    labels = np.ones((6, 8), int)
    labels[2:4, 3:6] = 2
    labels[:, 6:] = 3
    found = Contours.of(labels)
    assert [(label, points.tolist()) for label, points in rings(found)] == [
        (1, [[0, 0], [6, 0], [6, 2], [3, 2], [3, 4], [6, 4], [6, 6], [0, 6]]),
        (2, [[6, 2], [6, 4], [3, 4], [3, 2]]),
        (3, [[6, 0], [8, 0], [8, 6], [6, 6], [6, 4], [6, 2]]),
    ]


def test_knots_are_where_more_than_two_lines_meet_and_the_corners_of_the_section() -> None:
    found = Contours.of(np.array([[1, 1, 2], [1, 3, 2]]))
    knots = {tuple(point) for point in found.points[found.fixed].tolist()}
    assert knots == {(0, 0), (3, 0), (0, 2), (3, 2), (2, 0), (1, 2), (2, 2), (2, 1)}
    assert {tuple(point) for point in found.points[~found.fixed].tolist()} == {(1, 1)}
