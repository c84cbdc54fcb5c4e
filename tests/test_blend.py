from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imageryclient.painting import blend
from imageryclient.painting.blend import opaque, over, tinted


def pillow(below, above):
    pictures = [Image.fromarray(np.ascontiguousarray(p).view(np.uint8).reshape(1, -1, 4)) for p in (below, above)]
    return np.asarray(Image.alpha_composite(*pictures)).view(np.uint32).reshape(-1)


def pixels(channels):
    return np.ascontiguousarray(channels, np.uint8).view(np.uint32)[..., 0]


def test_over_is_pillows_for_every_pair_of_opacities():
    rng = np.random.default_rng(0)
    above, below = (a.reshape(-1) for a in np.mgrid[1:256, 0:256])
    for _ in range(6):
        low = pixels(np.column_stack([rng.integers(0, 256, (below.size, 3)), below]))
        high = pixels(np.column_stack([rng.integers(0, 256, (above.size, 3)), above]))
        np.testing.assert_array_equal(over(low, high), pillow(low, high))


@pytest.mark.parametrize("block", [1 << 15, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_tints_are_pillows_for_every_grey_and_opacity(monkeypatch, block, dtype):
    monkeypatch.setattr(blend, "_BLOCK", block)
    rng = np.random.default_rng(1)
    for alpha in range(256) if block > 256 else (0, 1, 77, 254, 255):
        table = pixels(np.column_stack([rng.integers(0, 256, (9, 3)), np.full(9, alpha)]))
        table[0] = rng.integers(0, 2**32) if alpha % 2 else 0  # does not count
        grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 9, axis=1)
        labels = np.repeat(np.arange(9, dtype=dtype)[None], 256, axis=0)
        above = np.where(labels > 0, table[labels], 0)
        want = pillow(opaque(grey), above).reshape(grey.shape)
        np.testing.assert_array_equal(tinted(grey, labels, table), want)
        np.testing.assert_array_equal(tinted(grey.T, labels.T, table), want.T)


def test_grey_becomes_opaque(monkeypatch):
    monkeypatch.setattr(blend, "_BLOCK", 100)
    grey = np.random.default_rng(2).integers(0, 256, (50, 31), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(grey).convert("RGBA")).view(np.uint32)[..., 0]
    np.testing.assert_array_equal(opaque(grey), picture)
    np.testing.assert_array_equal(opaque(grey.T), picture.T)


def test_a_segmentation_of_nothing_leaves_grey():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    nothing = np.zeros((3, 4), np.uint8)
    np.testing.assert_array_equal(tinted(grey, nothing, np.zeros(1, np.uint32)), opaque(grey))


def test_tints_of_many_opacities_are_pillows():
    rng = np.random.default_rng(3)
    grey = rng.integers(0, 256, (90, 70), dtype=np.uint8)
    for count in (3, 255):
        labels = rng.integers(0, count + 1, grey.shape, dtype=np.uint8)
        rgba = rng.integers(0, 256, (count + 1, 4), dtype=np.uint8)
        table = rgba.view(np.uint32)[:, 0]
        rgba[0] = 0
        want = Image.alpha_composite(Image.fromarray(grey).convert("RGBA"), Image.fromarray(rgba[labels]))
        np.testing.assert_array_equal(tinted(grey, labels, table).view(np.uint8).reshape(90, 70, 4), np.asarray(want))
