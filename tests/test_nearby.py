from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imageryclient.painting import nearby as around
from imageryclient.painting.nearby import gathered, labels_around

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)


def told(labels, pixels, width):
    """What `labels_around` tells of each pixel, in its order."""
    found = [[] for _ in range(pixels.size)]
    seen = []
    for some, rounds in labels_around(labels, pixels, width):
        seen.append(np.arange(pixels.size)[some])
        for places, near in rounds:
            assert len(set(places.tolist())) == len(places)
            for place, label in zip(places.tolist(), near.tolist(), strict=True):
                found[some.start + place].append(label)
    assert np.concatenate([np.zeros(0, int), *seen]).tolist() == list(range(pixels.size))
    return found


@settings(max_examples=80)
@given(
    st.sampled_from([(np.uint8, 255), (np.uint16, 2**16 - 1), (np.uint32, 2**32 - 1), (np.uint8, 9)]),
    SHAPES,
    st.integers(1, 7),
    st.integers(0, 2**32),
    st.sampled_from([1, 1 << 18]),
)
def test_each_pixel_is_told_the_other_labels_within_some_steps(kind, shape, width, seed, at_once):
    dtype, largest = kind
    rng = np.random.default_rng(seed)
    names = np.array([0, 1, 2, largest - 1, largest, *rng.integers(0, largest, 30)]).astype(dtype)
    labels = names[rng.integers(0, rng.integers(1, len(names) + 1), shape)]
    labels = np.repeat(labels, rng.integers(1, 4), axis=1)
    pixels = np.flatnonzero(rng.random(labels.size) < 0.7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(around, "_GATHERED", at_once)
        found = told(labels, pixels, width)
        assert found == told(np.asfortranarray(labels), pixels, width)
    y, x = np.indices(labels.shape)
    for pixel, got in zip(pixels.tolist(), found, strict=True):
        row, column = divmod(pixel, labels.shape[1])
        near = labels[abs(y - row) + abs(x - column) <= width]
        assert got == [n for n in np.unique(near).tolist() if n and n != labels[row, column]]


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_how_many_labels_are_looked_at(width):
    y, x = np.mgrid[-width : width + 1, -width : width + 1]
    assert gathered(width) == np.count_nonzero(abs(y) + abs(x) <= width) - 1


def test_no_pixels_and_more_pixels_than_go_at_once():
    assert list(labels_around(np.zeros((3, 3), np.uint8), np.zeros(0, np.intp), 2)) == []
    labels = np.random.default_rng(0).integers(0, 300, (70, 60)).astype(np.uint16)
    pixels = np.arange(labels.size)
    with pytest.MonkeyPatch.context() as patch:
        whole = told(labels, pixels, 2)
        patch.setattr(around, "_GATHERED", 1 << 12)
        assert told(labels, pixels, 2) == whole
