from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imageryclient.painting.outline import dilated, inner_outlines, outlined

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=14)
MASKS = hnp.arrays(np.bool_, SHAPES, elements=st.integers(0, 5).map(lambda n: n == 0))


def distance(mask):
    """Steps to the nearest pixel of a mask, counted out pixel by pixel."""
    there = np.argwhere(mask)
    grid = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), axis=-1)
    if not len(there):
        return np.full(mask.shape, np.inf)
    return np.abs(grid[..., None, :] - there).sum(-1).min(-1)


@given(MASKS, st.integers(0, 20))
def test_dilation_is_a_distance(mask, width):
    np.testing.assert_array_equal(dilated(mask, width), distance(mask) <= width)
    np.testing.assert_array_equal(dilated(np.asfortranarray(mask), width), distance(mask) <= width)


@given(MASKS, st.integers(1, 12))
def test_outlines_lie_on_their_side(mask, width):
    before = mask.copy()
    np.testing.assert_array_equal(outlined(mask, width, "out"), (distance(mask) <= width) & ~mask)
    np.testing.assert_array_equal(outlined(mask, width, "in"), (distance(~mask) <= width) & mask)
    np.testing.assert_array_equal(mask, before)


@given(hnp.arrays(np.uint16, SHAPES, elements=st.integers(0, 4)), st.integers(1, 8))
def test_inner_outlines_of_all_labels_together(labels, width):
    together = inner_outlines(labels, width)
    for label in range(5):
        mask = labels == label
        np.testing.assert_array_equal(together & mask, outlined(mask, width, "in"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 8), (64, 64)])
def test_full_and_empty(shape):
    full = np.ones(shape, bool)
    for width in (1, 3, 100):
        for side in ("in", "out"):
            assert not outlined(full, width, side).any()
            assert not outlined(~full, width, side).any()
