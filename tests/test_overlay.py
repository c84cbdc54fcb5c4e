from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.masks import SegmentationMasks
from imageryclient.painting import nearby as around
from imageryclient.painting import paint
from imageryclient.painting.color import discrete_colors
from imageryclient.painting.display import to_display
from imageryclient.painting.overlay import composite_overlay


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


@settings(max_examples=150)
@given(
    STYLES,
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from([5, 1 << 18]),
    st.sampled_from([-(1 << 30), 1 << 30, None]),
)
def test_labels_and_masks_equal_the_plain_way(style, seed, with_imagery, batch, one_by_one):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 40, 2).tolist())
    imagery = rng.integers(0, 256, shape, dtype=np.uint8) if with_imagery else None
    few = np.array([0, 3, 9, 2**63, 2**64 - 2, 2**64 - 1], dtype=np.uint64)[: rng.integers(1, 7)]
    blocks = rng.choice(few if rng.random() < 0.7 else few[-1:], shape)
    ids = np.repeat(np.repeat(blocks, 4, 0), 3, 1)[: shape[0], : shape[1]]
    overlapping = [rng.random(shape) < share for share in (0.1, 0.0, 0.7, 0.05)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paint, "_BATCH", batch)
        if one_by_one is not None:
            patch.setattr(paint, "_ONE_BY_ONE", one_by_one)
        keys = np.unique(ids[ids > 0]).tolist()
        if keys:
            colors = discrete_colors(dict.fromkeys(keys))
            want = plainly([ids == key for key in keys], colors.values(), imagery=imagery, **style)
            masks = SegmentationMasks(ids)
            apart = np.repeat(np.repeat(ids, 2, 0), 3, 1)[::2, ::3]
            for segs in (ids, np.asfortranarray(ids), apart, masks, dict(masks), list(masks.values())):
                given_colors = list(colors.values()) if isinstance(segs, list) else colors
                for chosen in (None, given_colors):
                    beneath = imagery[::-1, ::-1][::-1, ::-1] if segs is apart and with_imagery else imagery
                    got = composite_overlay(segs, colors=chosen, imagery=beneath, **style)
                    assert (got.mode, got.size) == ("RGBA", shape)
                    np.testing.assert_array_equal(np.asarray(got), np.asarray(want))
        colors = rng.random((4, 3))
        want = plainly(overlapping, colors, imagery=imagery, **style)
        for segs in (overlapping, [mask.astype(float) for mask in overlapping], dict(enumerate(overlapping))):
            got = composite_overlay(segs, colors=colors, imagery=imagery, **style)
            np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


def test_outlines_far_from_another_label(monkeypatch):
    """Pixels are looked around by the hundred; here some hundreds of them have nothing near but their own label."""
    monkeypatch.setattr(around, "_GATHERED", 1)
    ids = np.zeros((200, 20), np.uint64)
    ids[:, :10] = 7
    imagery = np.full(ids.shape, 90, np.uint8)
    style = {"alpha": 0.5, "outline": True, "merge_outline": False, "overlap": True, "width": 3, "side": "out"}
    for segs, masks in ((ids, [ids == 7]), (ids.T.copy(), [ids.T == 7])):
        for beneath in (imagery.reshape(segs.shape), None):
            got = composite_overlay(segs, imagery=beneath, colors=["red"], **style)
            want = plainly(masks, [(1, 0, 0)], imagery=beneath, **style)
            np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


def volume(seed=0, shape=(9, 8, 5)):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 4, 6, 2**60], shape).astype(np.uint64), rng.integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=40)
@given(STYLES, st.integers(1, 7), st.integers(0, 2**32), st.sampled_from([0, 1, 2]), st.sampled_from("CF"))
def test_volumes_of_many_ids_equal_the_plain_way(style, width, seed, dim, order):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, [10, 10, 10])
    names = rng.integers(2**64 - 2**12, 2**64, int(rng.choice([1, 3, 20, 300])), dtype=np.uint64)
    ids = np.asarray(names[rng.integers(0, names.size, shape)], order=order)
    ids[rng.random(shape) < rng.choice([0, 0.5, 0.95])] = 0
    ids = np.repeat(ids, 2, axis=(dim + 1) % 3)
    imagery = np.asarray(rng.integers(0, 256, ids.shape, dtype=np.uint8), order=order)
    colors = discrete_colors(SegmentationMasks(ids))
    style = {**style, "width": width}
    for beneath in (imagery, None)[:: int(rng.choice([-1, 1]))][:1]:
        for n, got in enumerate(composite_overlay(ids, imagery=beneath, dim=dim, **style)):
            flat, under = np.take(ids, n, dim), None if beneath is None else np.take(beneath, n, dim)
            here = np.unique(flat[flat > 0]).tolist() or [1]
            chosen = [colors.get(key, (0, 0, 0)) for key in here]
            want = plainly([flat == key for key in here], chosen, imagery=under, **style)
            np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


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


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "bool"])
@pytest.mark.parametrize("style", [{}, {"outline": True, "width": 2, "side": "in"}])
def test_imagery_of_other_numbers_is_shown_in_one_range(dtype, style):
    ids, _ = volume()
    values = np.random.default_rng(2).normal(900, 300, ids.shape).astype(dtype)
    if dtype == "float32":
        values[0, 0, 0] = np.nan
    ranges = [None] if dtype == "bool" else [None, (500, 1200), (1200.5, 0)]
    for shown in ranges:
        want = composite_overlay(ids, imagery=to_display(values, shown), **style)
        got = composite_overlay(ids, imagery=values, display_range=shown, **style)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        alone = composite_overlay({}, imagery=values, display_range=shown)
        np.testing.assert_array_equal(np.asarray(alone[3])[..., 0].T, to_display(values, shown)[:, :, 3])
        np.testing.assert_array_equal(
            np.asarray(composite_overlay({}, imagery=values[:, :, 3], display_range=shown))[..., 0].T,
            to_display(values[:, :, 3], shown),
        )


def test_color_imagery_of_other_numbers_and_ranges():
    ids, image = volume()
    rgb = np.random.default_rng(3).integers(0, 60000, (*ids.shape, 3)).astype(np.uint16)
    for values, shown in ((rgb, None), (rgb, (0, 30000)), (rgb[..., 0].astype(np.uint8), (50, 90))):
        want = composite_overlay(ids, imagery=to_display(values, shown))
        got = composite_overlay(ids, imagery=values, display_range=shown)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    one = composite_overlay(ids, imagery=image[..., np.newaxis])
    np.testing.assert_array_equal(np.asarray(one[0]), np.asarray(composite_overlay(ids, imagery=image)[0]))


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
        ({"side": "left"}, "side must be 'in', 'out' or 'on'; got 'left'"),
        ({"outline": True, "width": 0}, "at least 1 pixel; got 0"),
        ({"imagery": np.zeros((3, 1), np.uint8)}, r"imagery has shape \(3, 1\); the segmentation has shape \(1, 3\)"),
        ({"imagery": Image.new("L", (3, 1))}, r"picture is \(3, 1\) pixels; the segmentation has shape \(1, 3\)"),
        ({"imagery": np.zeros((1, 3, 2), np.uint8)}, r"imagery has shape \(1, 3, 2\)"),
        ({"imagery": np.ones((1, 3), complex)}, "imagery must hold real numbers; got complex128"),
        ({"imagery": np.ones((1, 3)), "display_range": (5, 5)}, r"two different finite numbers.*got \(5, 5\)"),
        ({"imagery": Image.new("L", (1, 3)), "display_range": (0, 9)}, "a picture is shown as it is"),
        ({"imagery": np.ones((1, 3, 4))}, "imagery with opacity.* must be uint8; got float64"),
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
