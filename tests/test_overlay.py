from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageryclient import paint
from imageryclient.color import discrete_colors
from imageryclient.errors import ArgumentError
from imageryclient.masks import SegmentationMasks
from imageryclient.overlay import composite_overlay


def grown(mask, width):
    for _ in range(width):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    return mask


def edges(mask, width, side):
    return grown(mask, width) & ~mask if side == "out" else grown(~mask, width) & mask


def plainly(masks, colors, alpha, imagery, outline, merge_outline, overlap, width, side):
    """The same picture painted mask after mask, each on a whole frame."""
    canvas = Image.new("RGBA", masks[0].shape)
    for mask, color in zip(masks, colors, strict=True):
        painted = edges(mask, width, side) if outline else mask
        if not overlap:
            painted = painted & (np.asarray(canvas).swapaxes(0, 1)[..., 3] == 0)
        frame = np.zeros((*mask.shape, 4), np.uint8)
        frame[painted] = [*(int(255 * c) for c in color), int(255 * alpha)]
        canvas = Image.alpha_composite(canvas, Image.fromarray(np.ascontiguousarray(frame.swapaxes(0, 1))))
    pixels = np.array(canvas)
    if outline and merge_outline:
        pixels[..., 3][~edges(np.any(masks, axis=0), width, side).T] = 0
    canvas = Image.fromarray(pixels)
    if imagery is None:
        return canvas
    return Image.alpha_composite(Image.fromarray(np.ascontiguousarray(imagery.T)).convert("RGBA"), canvas)


STYLES = st.fixed_dictionaries(
    {
        "alpha": st.floats(0, 1),
        "outline": st.booleans(),
        "merge_outline": st.booleans(),
        "overlap": st.booleans(),
        "width": st.integers(1, 10),
        "side": st.sampled_from(["in", "out"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(STYLES, st.integers(0, 2**32), st.booleans(), st.sampled_from([5, 1 << 18]))
def test_labels_and_masks_equal_the_plain_way(style, seed, with_imagery, batch):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 40, 2).tolist())
    imagery = rng.integers(0, 256, shape, dtype=np.uint8) if with_imagery else None
    blocks = rng.choice(np.array([0, 3, 9, 2**63, 2**64 - 2], dtype=np.uint64), shape)
    ids = np.repeat(np.repeat(blocks, 4, 0), 3, 1)[: shape[0], : shape[1]]
    overlapping = [rng.random(shape) < share for share in (0.1, 0.0, 0.7, 0.05)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paint, "_BATCH", batch)
        keys = np.unique(ids[ids > 0]).tolist()
        if keys:
            colors = discrete_colors(dict.fromkeys(keys))
            want = plainly([ids == key for key in keys], colors.values(), imagery=imagery, **style)
            masks = SegmentationMasks(ids)
            for segs in (ids, np.asfortranarray(ids), masks, dict(masks), list(masks.values())):
                given_colors = list(colors.values()) if isinstance(segs, list) else colors
                for chosen in (None, given_colors):
                    got = composite_overlay(segs, colors=chosen, imagery=imagery, **style)
                    assert (got.mode, got.size) == ("RGBA", shape)
                    np.testing.assert_array_equal(np.asarray(got), np.asarray(want))
        colors = rng.random((4, 3))
        want = plainly(overlapping, colors, imagery=imagery, **style)
        for segs in (overlapping, [mask.astype(float) for mask in overlapping], dict(enumerate(overlapping))):
            got = composite_overlay(segs, colors=colors, imagery=imagery, **style)
            np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


def volume(seed=0, shape=(9, 8, 5)):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 4, 6, 2**60], shape).astype(np.uint64), rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("style", [{}, {"outline": True, "width": 1, "merge_outline": False}])
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2])
def test_sections_have_the_same_colors(dim, style):
    ids, image = volume()
    ids[:, :, 2:] = np.where(ids[:, :, 2:] == 4, 0, ids[:, :, 2:])
    colors = discrete_colors(SegmentationMasks(ids))
    for segs in (ids, SegmentationMasks(ids), dict(SegmentationMasks(ids))):
        for imagery in (image, None):
            pictures = composite_overlay(segs, imagery=imagery, dim=dim, **style)
            assert len(pictures) == ids.shape[dim]
            for n, picture in enumerate(pictures):
                beneath = None if imagery is None else np.take(image, n, axis=dim)
                want = composite_overlay(np.take(ids, n, axis=dim), colors=colors, imagery=beneath, **style)
                np.testing.assert_array_equal(np.asarray(picture), np.asarray(want))


def test_imagery_in_color():
    ids, _ = volume()
    rgb = np.random.default_rng(1).integers(0, 256, (*ids.shape, 3), dtype=np.uint8)
    pictures = composite_overlay(ids, imagery=rgb)
    for n in range(5):
        flat = composite_overlay(ids[:, :, n], imagery=rgb[:, :, n], colors=discrete_colors(SegmentationMasks(ids)))
        beneath = Image.fromarray(np.ascontiguousarray(rgb[:, :, n].swapaxes(0, 1)))
        with_picture = composite_overlay(ids[:, :, n], imagery=beneath, colors=discrete_colors(SegmentationMasks(ids)))
        np.testing.assert_array_equal(np.asarray(pictures[n]), np.asarray(flat))
        np.testing.assert_array_equal(np.asarray(with_picture), np.asarray(flat))


def test_one_section_of_a_volume_takes_flat_imagery():
    ids, image = volume(shape=(6, 7, 1))
    want = composite_overlay(ids, imagery=image)
    for beneath in (image[:, :, 0], Image.fromarray(np.ascontiguousarray(image[:, :, 0].T))):
        np.testing.assert_array_equal(np.asarray(composite_overlay(ids, imagery=beneath)[0]), np.asarray(want[0]))


def test_nothing_to_paint_gives_the_imagery():
    _, image = volume()
    flat = image[:, :, 0]
    plain = np.dstack([flat.T, flat.T, flat.T, np.full_like(flat.T, 255)])
    for style in ({}, {"outline": True}, {"overlap": False}):
        for segs in ({}, [], np.zeros_like(flat), SegmentationMasks(np.zeros_like(flat)), [flat > 255]):
            for beneath in (flat, Image.fromarray(np.ascontiguousarray(flat.T))):
                got = composite_overlay(segs, imagery=beneath, **style)
                np.testing.assert_array_equal(np.asarray(got), plain)
        for segs in ({}, np.zeros_like(image)):
            got = composite_overlay(segs, imagery=image, dim=2, **style)
            assert len(got) == 5
            np.testing.assert_array_equal(np.asarray(got[0]), plain)
        assert composite_overlay(np.zeros((4, 3), int), **style).getextrema() == ((0, 0),) * 4
    for segs in ({}, []):
        with pytest.raises(ArgumentError, match="the size of the picture is unknown"):
            composite_overlay(segs)


def test_colors_of_many_kinds():
    ids = np.array([[5, 9]], dtype=np.uint64)
    for colors in (
        {5: "red", 9: "#00f"},
        {np.uint64(5): (1, 0, 0), np.int32(9): (0, 0, 1.0), 77: "nonsense"},
        {5: (255, 0, 0), 9: (0, 0, 255)},
        ["red", "blue", "green"],
        np.array([[1.0, 0, 0], [0, 0, 1.0]]),
        np.array([[255, 0, 0, 9], [0, 0, 255, 9]], dtype=np.uint8),
    ):
        picture = composite_overlay(ids, colors=colors, alpha=1)
        assert np.asarray(picture).reshape(-1, 4).tolist() == [[255, 0, 0, 255], [0, 0, 255, 255]]


def test_the_null_root_is_painted_when_asked_for():
    masks = SegmentationMasks(np.array([[0, 9]]), include_null_root=True)
    picture = composite_overlay(masks, colors={0: "red", 9: "blue"}, alpha=1)
    assert picture.getpixel((0, 0)) == (255, 0, 0, 255)


def test_inputs_stay_as_they_are():
    ids, image = volume()
    masks = [ids == 4, ids == 6]
    before = ids.copy(), image.copy(), [mask.copy() for mask in masks]
    for segs, style in itertools.product((ids, masks), ({}, {"outline": True, "width": 2})):
        composite_overlay(segs, imagery=image, **style)[0].putpixel((0, 0), (1, 2, 3, 4))
    np.testing.assert_array_equal(ids, before[0])
    np.testing.assert_array_equal(image, before[1])
    np.testing.assert_array_equal(masks, before[2])


IDS = np.array([[5, 9, 0]], dtype=np.uint64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colors": {5: "red"}}, "1 of 2 ids have no colour, the first of them 9"),
        ({"colors": ["red"]}, "need as many colours; got 1, none for 9"),
        ({"colors": "red"}, "colors must be a mapping or a sequence"),
        ({"colors": 7}, "colors must be a mapping or a sequence"),
        ({"colors": {5: "red", 9: (1, 2)}}, "a colour is"),
        ({"alpha": 1.5}, "alpha is an opacity from 0 to 1; got 1.5"),
        ({"alpha": float("nan")}, "alpha is an opacity"),
        ({"side": "left"}, "side must be 'in' or 'out'; got 'left'"),
        ({"outline": True, "width": 0}, "at least 1 pixel; got 0"),
        ({"imagery": np.zeros((3, 1), np.uint8)}, r"imagery has shape \(3, 1\); the segmentation has shape \(1, 3\)"),
        ({"imagery": Image.new("L", (3, 1))}, r"picture is \(3, 1\) pixels; the segmentation has shape \(1, 3\)"),
        ({"imagery": np.zeros((1, 3, 2), np.uint8)}, r"imagery has shape \(1, 3, 2\)"),
        ({"imagery": np.full((1, 3), 999)}, "values from 0 to 255"),
        ({"palette": "no such palette"}, "there is no palette"),
        ({"segs": np.zeros((2, 2))}, "must hold integers"),
        ({"segs": np.zeros(4, int)}, r"axes \(x, y\) or \(x, y, z\); got shape \(4,\)"),
        ({"segs": np.zeros((4, 0), int)}, "no pixels to paint"),
        ({"segs": [np.zeros((2, 2), bool), np.zeros((2, 3), bool)]}, r"0 has \(2, 2\), 1 has \(2, 3\)"),
        ({"segs": {"a": np.zeros(3)}}, "mask a has shape"),
        ({"segs": "text"}, "segs must be an array of ids"),
        ({"segs": 5}, "segs must be an array of ids"),
        ({"segs": np.ones((2, 2, 2), int), "dim": 3}, "dim must be an axis"),
        ({"segs": np.ones((2, 2, 2), int), "imagery": Image.new("L", (2, 2))}, "the picture is"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        composite_overlay(**{"segs": IDS, **arguments})


def test_many_ids_take_no_more_memory_than_a_few():
    """Painting 1,600 ids holds a handful of arrays, not one for each."""
    import tracemalloc

    rng = np.random.default_rng(0)
    ids = np.repeat(np.repeat(rng.integers(1, 2**63, (40, 40), dtype=np.uint64), 12, 0), 12, 1)
    tracemalloc.start()
    try:
        for style in ({}, {"outline": True, "width": 2}, {"overlap": False}):
            composite_overlay(ids, **style)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * ids.size
