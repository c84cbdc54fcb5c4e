from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imageryclient.errors import ArgumentError
from imageryclient.masks import SegmentationMasks, segmentation_masks

BIG = 864691135012345679
SEGMENTATIONS = hnp.arrays(
    np.uint64,
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=7),
    elements=st.sampled_from([0, 3, 9, BIG, 2**64 - 1]),
)


def as_dict(segmentation, include_null=False):
    return {int(i): segmentation == i for i in np.unique(segmentation) if i or include_null}


@given(SEGMENTATIONS, st.booleans(), st.booleans())
def test_equals_a_dictionary_of_masks(segmentation, include_null, fortran):
    given_array = np.asfortranarray(segmentation) if fortran else segmentation
    masks = segmentation_masks(given_array, include_null_root=include_null)
    want = as_dict(segmentation, include_null)
    assert list(masks) == list(want) == masks.ids.tolist()
    assert len(masks) == len(want)
    assert (masks.shape, masks.ndim) == (segmentation.shape, segmentation.ndim)
    for key, mask in masks.items():
        assert type(key) is int
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, want[key])
        assert masks.voxel_count(key) == want[key].sum()
        np.testing.assert_array_equal(masks.crop(key), want[key][masks.bounding_box(key)])
        assert masks.crop(key).sum() == want[key].sum()
        assert all(masks.crop(key).any(axis=tuple(a for a in range(masks.ndim) if a != axis))[[0, -1]].all()
                   for axis in range(masks.ndim))  # fmt: skip
    np.testing.assert_array_equal(masks.segmentation(), segmentation)
    np.testing.assert_array_equal(masks.labels == 0, ~np.any([np.zeros(segmentation.shape, bool), *want.values()], 0))


@given(SEGMENTATIONS, st.data())
def test_select(segmentation, data):
    masks = SegmentationMasks(segmentation)
    chosen = data.draw(st.lists(st.sampled_from(masks.ids.tolist()))) if len(masks) else []
    few = masks.select(chosen)
    assert list(few) == sorted(set(chosen))
    for key in few:
        np.testing.assert_array_equal(few[key], segmentation == np.uint64(key))
    np.testing.assert_array_equal(few.segmentation(), np.where(np.isin(segmentation, few.ids), segmentation, 0))


def test_select_names_an_unknown_id():
    with pytest.raises(KeyError, match="id 4 is not among the 2 ids"):
        SegmentationMasks([[1, 2]]).select([1, 4])


@pytest.mark.parametrize(
    "key",
    [BIG, np.uint64(BIG), np.int64(BIG), str(BIG), np.array(BIG), np.array([BIG], dtype=np.uint64)[0]],
)
def test_look_up_takes_every_kind_of_integer(key):
    masks = SegmentationMasks(np.array([[BIG, 7]], dtype=np.uint64))
    assert masks[key].tolist() == [[True, False]]
    assert key in masks
    assert masks.get(key) is not None
    assert masks.voxel_count(key) == 1


@pytest.mark.parametrize("key", [8, 0, -1, 2**64, 7.0, np.float64(7), None, "x", "", "-7", (7,), BIG + 1])
def test_look_up_of_what_is_not_there(key):
    masks = SegmentationMasks(np.array([[BIG, 7]], dtype=np.uint64))
    assert key not in masks
    assert masks.get(key, "none") == "none"
    with pytest.raises(KeyError):
        masks[key]


def test_narrow_integers():
    masks = SegmentationMasks(np.array([[200, 7]], dtype=np.uint8))
    assert np.uint8(200) in masks
    assert np.int16(7) in masks
    assert True not in masks


def test_from_labels_merges_and_leaves_out():
    labels = np.array([[0, 1, 2], [3, 4, 4]], dtype=np.uint16)
    ids = [0, 50, 2**63, 50, 3, 99]
    masks = SegmentationMasks.from_labels(labels, ids)
    assert list(masks) == [3, 50, 2**63]
    np.testing.assert_array_equal(masks.segmentation(), np.array(ids, dtype=np.uint64)[labels])
    with_null = SegmentationMasks.from_labels(labels, np.array(ids, np.uint64), include_null_root=True)
    assert list(with_null) == [0, 3, 50, 2**63]
    assert with_null[0].tolist() == [[True, False, False], [False, False, False]]
    for bad in (np.array([[6]]), np.array([[-1]])):
        with pytest.raises(ArgumentError, match="indices into the 6 ids"):
            SegmentationMasks.from_labels(bad, ids)
    assert len(SegmentationMasks.from_labels(np.zeros((2, 0), int), [])) == 0


def test_no_ids():
    masks = SegmentationMasks(np.zeros((4, 3, 2), np.uint64))
    assert (len(masks), list(masks), masks.shape) == (0, [], (4, 3, 2))
    assert not masks.segmentation().any()
    assert dict(masks.items()) == {}
    assert "0 ids (none)" in repr(masks)
    assert SegmentationMasks(np.zeros((0, 3), np.int64)).shape == (0, 3)


def test_floats_are_refused():
    with pytest.raises(ArgumentError, match="float64, which cannot hold ids exactly"):
        SegmentationMasks(np.zeros((2, 2)))


def test_bool_segmentation_is_id_1():
    assert list(SegmentationMasks(np.array([[True, False]]))) == [1]


def test_copies_in_every_way():
    masks = SegmentationMasks(np.array([[1, 2], [0, 2]]))
    for other in (pickle.loads(pickle.dumps(masks)), copy.copy(masks), copy.deepcopy(masks)):
        assert other == masks
        assert not other.labels.flags.writeable
        np.testing.assert_array_equal(other[2], masks[2])
    assert masks != SegmentationMasks(np.array([[1, 2], [0, 3]]))
    assert masks != {1: 1}


def test_nothing_is_shared():
    segmentation = np.array([[1, 2], [0, 2]], dtype=np.uint64)
    masks = SegmentationMasks(segmentation)
    segmentation[:] = 9
    assert list(masks) == [1, 2]
    masks[1][:] = True
    assert masks[1].sum() == 1
    for array in (masks.labels, masks.ids):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_masks_keep_the_memory_order():
    segmentation = np.arange(24, dtype=np.uint64).reshape(2, 3, 4)
    assert SegmentationMasks(segmentation)[3].flags.c_contiguous
    assert SegmentationMasks(np.asfortranarray(segmentation))[3].flags.f_contiguous


def test_repr_shows_the_first_ids():
    assert repr(SegmentationMasks(np.array([[1, 2], [3, 4]]))) == (
        "<SegmentationMasks: 4 ids (1, 2, 3, ...) in an array of (2, 2)>"
    )


def test_memory_does_not_grow_with_ids():
    rng = np.random.default_rng(0)
    segmentation = np.repeat(np.repeat(rng.integers(1, 2**63, (40, 40), dtype=np.uint64), 16, 0), 16, 1)
    tracemalloc.start()
    try:
        masks = SegmentationMasks(segmentation)
        masks.voxel_count(next(iter(masks)))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(masks) == 1600
    assert held < 3 * segmentation.size
    assert peak < 10 * segmentation.size


def test_a_mask_does_not_take_a_pass_over_the_labels():
    segmentation = np.zeros((512, 512, 16), np.uint64, order="F")
    segmentation[5:9, 5:9, 3] = 12
    masks = SegmentationMasks(segmentation)
    assert masks.bounding_box(12) == (slice(5, 9), slice(5, 9), slice(3, 4))
    tracemalloc.start()
    try:
        assert masks.crop(12).all()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < segmentation.size / 100  # a pass would take a byte for each voxel


def test_a_single_voxel():
    masks = SegmentationMasks(np.uint64(7))
    assert (list(masks), masks.shape, masks.voxel_count(7), masks.bounding_box(7)) == ([7], (), 1, ())
    assert masks[7].shape == ()
    assert masks[7]
    assert masks.crop(7).shape == ()
    assert list(SegmentationMasks(np.uint64(0))) == []
    assert not SegmentationMasks(np.uint64(0), include_null_root=True)[0] ^ True
