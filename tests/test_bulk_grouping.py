"""The order of places, and the groups it is cut into: pure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.bulk.grouping import Grid, along_curve, cut_groups, hilbert_code

AT = (8.0, 8.0, 40.0)
GRID = Grid((3, 5, 1), (16, 16, 8), AT, 2)
COARSE = Grid((1, 2, 0), (16, 16, 8), (16.0, 16.0, 40.0), 1)


def test_the_curve_visits_every_cell_of_a_cube_and_steps_to_neighbours() -> None:
    cells = np.stack(np.meshgrid(*(np.arange(16),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    code = hilbert_code(cells)
    assert sorted(code.tolist()) == list(range(16**3))
    assert np.all(np.abs(np.diff(cells[np.argsort(code)], axis=0)).sum(axis=1) == 1)
    few = hilbert_code(cells, bits=4)
    assert sorted(few.tolist()) == list(range(16**3))
    assert np.all(np.abs(np.diff(cells[np.argsort(few)], axis=0)).sum(axis=1) == 1)


def test_cells_far_apart_have_codes_of_their_own() -> None:
    cells = np.random.default_rng(1).integers(0, 2**20, (500, 3))
    assert len(set(hilbert_code(cells).tolist())) == 500


@pytest.mark.parametrize("spread", [1, 300, 2**21, 2**40])
def test_an_order_is_a_permutation(spread: int) -> None:
    starts = np.random.default_rng(2).integers(-spread, spread, (200, 3))
    assert sorted(along_curve(starts, (8, 8, 4), AT, [GRID, COARSE]).tolist()) == list(range(200))
    assert sorted(along_curve(starts, (8, 8, 4), AT, []).tolist()) == list(range(200))


def test_no_places_have_no_order() -> None:
    assert along_curve(np.empty((0, 3), np.int64), (8, 8, 4), AT, [GRID]).tolist() == []
    assert not list(cut_groups(np.empty(0, np.int64), np.empty((0, 3), np.int64), (8, 8, 4), AT, [GRID], budget=1))


def taken(starts: np.ndarray, shape: tuple, grid: Grid) -> int:
    """Bytes taken of each chunk, or of the box around that, by looking at every voxel of the grid's."""
    hulls: dict[tuple, list] = {}
    for start in starts:
        axes = []
        for axis in range(3):
            nm = np.arange(start[axis] * AT[axis], (start[axis] + shape[axis]) * AT[axis])
            axes.append(sorted({int(n // grid.resolution[axis]) - grid.origin[axis] for n in nm}))
        for x in axes[0]:
            for y in axes[1]:
                for z in axes[2]:
                    key = (x // grid.chunk_size[0], y // grid.chunk_size[1], z // grid.chunk_size[2])
                    hulls.setdefault(key, []).append((x, y, z))
    around = (int(np.prod(np.ptp(np.array(found), axis=0) + 1)) for found in hulls.values())
    return grid.voxel_bytes * sum(min(a, len(found)) for a, found in zip(around, hulls.values(), strict=True))


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 25), st.integers(500, 20_000), st.integers(0, 3000))
def test_groups_keep_to_the_budget_and_are_as_large_as_it_allows(seed: int, count: int, budget: int, each: int) -> None:
    starts = np.random.default_rng(seed).integers(-20, 60, (count, 3))
    shape = (9, 6, 3)
    order = along_curve(starts, shape, AT, [GRID, COARSE])
    groups = list(cut_groups(order, starts, shape, AT, [GRID, COARSE], budget=budget, result_bytes=each))

    def cost(rows: np.ndarray) -> int:
        return len(rows) * each + sum(taken(starts[rows], shape, grid) for grid in (GRID, COARSE))

    assert np.concatenate(groups).tolist() == order.tolist()
    for n, group in enumerate(groups):
        assert len(group) == 1 or cost(group) <= budget
        if n + 1 < len(groups):
            assert cost(np.append(group, groups[n + 1][0])) > budget


def test_groups_have_a_largest_number() -> None:
    starts = np.zeros((10, 3), np.int64)
    groups = cut_groups(np.arange(10), starts, (8, 8, 4), AT, [GRID], budget=10**9, largest=4)
    assert [len(group) for group in groups] == [4, 4, 2]
