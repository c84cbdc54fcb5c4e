from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imageryclient import compact
from imageryclient.compact import compact_labels, extents, integers, looked_up, occurring
from imageryclient.errors import ArgumentError

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=7)
LABELS = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 6))


def in_order(array, order):
    return {"C": np.ascontiguousarray, "F": np.asfortranarray, "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2]}[
        order
    ](array)


@given(LABELS, st.sampled_from(["C", "F", "strided"]), st.sampled_from([3, 1 << 22]))
def test_extents_equal_those_found_one_by_one(labels, order, chunk):
    labels = in_order(labels, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "_CHUNK", chunk)
        found = extents(labels, 6)
    for label in range(1, 7):
        where = np.argwhere(labels == label)
        assert found.counts[label] == len(where)
        if len(where):
            want = tuple(slice(a, b) for a, b in zip(where.min(0).tolist(), (where.max(0) + 1).tolist(), strict=True))
            assert found.box(label) == want
        else:
            assert found.box(label) == (slice(0, 0),) * labels.ndim
    assert found.counts[0] == 0


@given(
    hnp.arrays(np.uint64, SHAPES, elements=st.sampled_from([0, 1, 5, 2**53 + 1, 2**63, 2**64 - 1])),
    st.sampled_from(["C", "F", "strided"]),
    st.booleans(),
    st.sampled_from([3, 1 << 22]),
)
def test_compact_labels_stand_for_the_ids(segmentation, order, include_null, chunk):
    segmentation = in_order(segmentation, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "_CHUNK", chunk)
        ids, labels = compact_labels(segmentation, include_null)
        back = looked_up(np.concatenate([np.zeros(1, np.uint64), ids]), labels)
    want = np.unique(segmentation)
    assert ids.dtype == np.uint64
    assert ids.tolist() == [i for i in want.tolist() if i or include_null]
    np.testing.assert_array_equal(back, segmentation)
    assert labels.shape == segmentation.shape
    assert labels.dtype == np.uint8
    if not include_null:
        np.testing.assert_array_equal(labels == 0, segmentation == 0)


@pytest.mark.parametrize(
    ("count", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32)]
)
def test_labels_are_as_small_as_fits(count, dtype):
    ids, labels = compact_labels(np.arange(1, count + 1, dtype=np.uint64)[::-1].copy(), False)
    assert labels.dtype == dtype
    np.testing.assert_array_equal(ids[labels - 1], np.arange(count, 0, -1))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_every_integer_dtype(dtype):
    segmentation = np.arange(128).astype(dtype).reshape(16, 8)
    ids, labels = compact_labels(segmentation, True)
    assert ids.tolist() == list(range(128))
    np.testing.assert_array_equal(labels, segmentation.astype(int) + 1)


def test_negative_ids_are_refused():
    with pytest.raises(ArgumentError, match=r"must not be negative.*-4"):
        compact_labels(np.array([1, -4, 2]), False)


def test_integers():
    assert integers([1, 2**64 - 1], "ids").tolist() == [1, 2**64 - 1]
    assert integers([[1, 2**63], [0, 2]], "ids").tolist() == [[1, 2**63], [0, 2]]
    assert integers(np.array([True, False]), "ids").tolist() == [1, 0]
    assert integers([], "ids").dtype == np.uint64
    for bad in (np.array([1.0]), [1.5, 2.0], [0.5, 2**63], ["a"], [2**64], [[1, 2], [3]], np.array([1j])):
        with pytest.raises(ArgumentError, match="ids must"):
            integers(bad, "ids")


def test_occurring():
    assert occurring(np.array([[3, 1], [1, 3]]), 5).tolist() == [False, True, False, True, False]
