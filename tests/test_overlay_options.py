"""What `composite_overlay` does beyond imageryclient 1.0.4, pixel by pixel against plain arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.masks import SegmentationMasks
from imageryclient.painting.color import discrete_colors, rgb_bytes
from imageryclient.painting.display import to_display
from imageryclient.painting.outline import outlined
from imageryclient.painting.overlay import composite_overlay
from imageryclient.painting.steady import steady_colors

NAMES = [3, 70, 2**53 + 1, 2**63 + 5]
COLORS = {3: "red", 70: "#00ff00", 2**53 + 1: (0, 0, 255), 2**63 + 5: "gold"}


def scene(seed=0, shape=(21, 17)):
    """Ids in blocks, with gaps, and imagery; (x, y)."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.array([0, 0, *NAMES], np.uint64), (shape[0] // 3 + 1, shape[1] // 3 + 1))
    ids = np.kron(ids, np.ones((3, 3), np.uint64))[: shape[0], : shape[1]]
    return ids, rng.integers(0, 256, shape, dtype=np.uint8)


def over(below, above):
    return np.array(Image.alpha_composite(Image.fromarray(below), Image.fromarray(above)))


def layer(mask, color, opacity):
    """One colour on a mask, (x, y), as a picture's pixels, (y, x)."""
    out = np.zeros((*mask.shape[::-1], 4), np.uint8)
    out[mask.T] = [*rgb_bytes([color])[0], int(255 * opacity)]
    return out


def grey(imagery):
    return np.dstack([imagery.T] * 3 + [np.full_like(imagery.T, 255)])


def plainly(ids, below, areas, lines=None, width=1, side="out", merged=False):
    """Areas, then outlines, each id after the other."""
    out = below
    for key in NAMES:
        out = over(out, layer(ids == key, *areas(key)))
    if lines is not None:
        above = np.zeros_like(below)
        for key in NAMES:
            above = over(above, layer(outlined(ids == key, width, side), *lines(key)))
        if merged:
            above[~outlined(ids > 0, width, side).T] = 0
        out = over(out, above)
    return out


def pixels(picture):
    return np.asarray(picture)


@pytest.mark.parametrize("as_masks", [False, True])
@pytest.mark.parametrize("beneath", ["grey", "nothing", "picture"])
def test_opacity_of_each_id(as_masks, beneath):
    ids, imagery = scene(1)
    alpha = {3: 1, "70": 0.5, 2**63 + 5: 0}
    below = grey(imagery) if beneath != "nothing" else np.zeros((*imagery.shape[::-1], 4), np.uint8)
    given_imagery = {"grey": imagery, "nothing": None, "picture": Image.fromarray(grey(imagery))}[beneath]
    opacity = {3: 1, 70: 0.5, 2**53 + 1: 0.2, 2**63 + 5: 0}
    want = plainly(ids, below, lambda key: (COLORS[key], opacity[key]))
    segs = dict(SegmentationMasks(ids)) if as_masks else ids
    got = composite_overlay(segs, colors=COLORS, alpha=alpha, imagery=given_imagery)
    np.testing.assert_array_equal(pixels(got), want)


@settings(max_examples=25)
@given(
    st.integers(0, 99),
    st.integers(1, 3),
    st.sampled_from(["in", "out"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.3, {3: 0.9, 70: 0.0}, {}]),
    st.sampled_from([1, 0.6, {3: 0.4, 70: 0.0}]),
)
def test_areas_under_outlines(seed, width, side, merged, bare, fill, alpha):
    ids, imagery = scene(seed)

    def share(values, other):
        return lambda key: (COLORS[key], values.get(key, other) if isinstance(values, dict) else values)

    below = np.zeros((*ids.shape[::-1], 4), np.uint8) if bare else grey(imagery)
    want = plainly(ids, below, share(fill, 0), share(alpha, 0.2), width, side, merged)
    style = {"outline": True, "width": width, "side": side, "merge_outline": merged, "alpha": alpha, "fill": fill}
    for segs in (ids, dict(SegmentationMasks(ids))):
        got = composite_overlay(segs, colors=COLORS, imagery=None if bare else imagery, **style)
        visible = want[..., 3] > 0
        np.testing.assert_array_equal(pixels(got)[visible], want[visible])
        np.testing.assert_array_equal(pixels(got)[..., 3], want[..., 3])


@pytest.mark.parametrize("chosen", [70, "70", [70, 2**63 + 5], np.array([70], np.uint64), (np.int64(3),), []])
def test_highlighted_ids_stay_and_others_fade(chosen):
    ids, imagery = scene(2)
    stay = {int(key) for key in np.atleast_1d(np.array(chosen, dtype=object))}
    want = plainly(ids, grey(imagery), lambda key: (COLORS[key], 0.5) if key in stay else ((150, 150, 150), 0.5 * 0.25))
    got = composite_overlay(ids, colors=COLORS, imagery=imagery, alpha=0.5, highlight=chosen, rest=0.25)
    np.testing.assert_array_equal(pixels(got), want)


def test_highlighted_masks_by_name():
    masks = {"axon": np.array([[True, False]]), "spine": np.array([[False, True]])}
    got = composite_overlay(masks, colors=["red", "blue"], alpha=1, highlight="spine", rest=0)
    assert pixels(got).reshape(-1, 4).tolist() == [[0, 0, 0, 0], [0, 0, 255, 255]]


@pytest.mark.parametrize("background", ["white", (10, 20, 30), "#ff000080"])
@pytest.mark.parametrize("style", [{}, {"outline": True, "width": 2}, {"smooth": True}])
def test_background(background, style):
    ids, _ = scene(3)
    plain = composite_overlay(ids, colors=COLORS, alpha=0.5, **style)
    got = composite_overlay(ids, colors=COLORS, alpha=0.5, background=background, **style)
    color = {"white": (255, 255, 255, 255), (10, 20, 30): (10, 20, 30, 255), "#ff000080": (255, 0, 0, 128)}[background]
    np.testing.assert_array_equal(pixels(got), over(np.full_like(pixels(plain), color), pixels(plain)))


def nearest(size, zoom):
    """Which voxel holds the centre of each pixel."""
    count = max(1, math.ceil(size * zoom - 0.5))
    return [min(math.floor((at + 0.5) / zoom), size - 1) for at in range(count)]


@pytest.mark.parametrize("zoom", [1, 2, 3.7, 0.5, 1 / 3, 0.01])
@pytest.mark.parametrize("style", [{}, {"outline": True, "width": 3, "alpha": 1, "fill": 0.4}])
def test_zoom_takes_the_nearest_voxel(zoom, style):
    ids, imagery = scene(4)
    across, down = nearest(ids.shape[0], zoom), nearest(ids.shape[1], zoom)
    large, under = ids[np.ix_(across, down)], imagery[np.ix_(across, down)]
    colored = np.random.default_rng(0).integers(0, 256, (*ids.shape, 3), dtype=np.uint8)
    for small, wide in ((imagery, under), (colored, colored[np.ix_(across, down)]), (None, None)):
        for make in (lambda values: values, lambda values: {key: values == key for key in NAMES}):
            got = composite_overlay(make(ids), colors=COLORS, imagery=small, zoom=zoom, **style)
            want = composite_overlay(make(large), colors=COLORS, imagery=wide, **style)
            np.testing.assert_array_equal(pixels(got), pixels(want))
    alone = composite_overlay({}, imagery=imagery, zoom=zoom)
    np.testing.assert_array_equal(pixels(alone), grey(under))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_percentiles_and_gamma(dtype):
    ids, _ = scene(5)
    values = (np.random.default_rng(5).gamma(2, 30, (*ids.shape, 3)).clip(0, 255)).astype(dtype)
    if dtype == np.float32:
        values[0, 0, 0] = np.nan
    low, high = np.percentile(values[np.isfinite(values)], (2, 90))
    for turned, gamma in ((False, 1), (False, 0.5), (True, 2)):
        limits = (high, low) if turned else (low, high)
        share = np.clip((values.astype(float) - limits[0]) / (limits[1] - limits[0]), 0, 1)
        want = np.rint(255 * np.nan_to_num(share) ** gamma)
        percentiles = (90, 2) if turned else (2, 90)
        segs = np.stack([ids] * 3, axis=2)
        pictures = composite_overlay(segs, alpha=0, imagery=values, percentiles=percentiles, gamma=gamma)
        shown = np.stack([pixels(picture)[..., 0].T for picture in pictures], axis=2)
        finite = np.isfinite(values)
        np.testing.assert_allclose(shown[finite], want[finite], atol=1)
        np.testing.assert_array_equal(shown, to_display(values, percentiles=percentiles, gamma=gamma))


def test_contrast_leaves_opacity_as_it_is():
    rgba = np.random.default_rng(6).integers(0, 256, (4, 5, 4), dtype=np.uint8)
    got = composite_overlay(np.zeros((4, 5), int), imagery=rgba, display_range=(255, 0))
    want = np.concatenate([255 - rgba[..., :3], rgba[..., 3:]], axis=2).swapaxes(0, 1)
    seen = want[..., 3] > 0
    np.testing.assert_array_equal(pixels(got)[seen], want[seen])


def test_one_color_wherever_an_id_appears():
    ids, _ = scene(7)
    colors = discrete_colors(dict.fromkeys(NAMES), "steady")
    whole = composite_overlay(ids, palette="steady", alpha=1)
    for key in NAMES:
        alone = composite_overlay(np.where(ids == key, ids, np.uint64(0)), palette="steady", alpha=1)
        here = (ids == key).T
        want = [*(round(255 * c) for c in colors[key]), 255]
        assert (pixels(alone)[here] == want).all()
        assert (pixels(whole)[here] == want).all()


@pytest.mark.parametrize("palette", ["neuroglancer:7", "steady:9"])
def test_own_default_and_steady_colors_in_that_order(palette):
    """As Neuroglancer does: segmentColors, then segmentDefaultColor, then the colour of the id."""
    ids = np.array([NAMES], np.uint64)
    own = {"70": "#102030", 5: "unused"}
    of_palette = steady_colors(NAMES, palette)
    got = pixels(composite_overlay(ids, colors=own, palette=palette, alpha=1))[:, 0]
    np.testing.assert_array_equal(np.delete(got[:, :3], 1, 0), np.delete(of_palette, 1, 0))
    assert got[1].tolist() == [0x10, 0x20, 0x30, 255]
    got = pixels(composite_overlay(ids, colors=own, palette=palette, default_color="white", alpha=1))[:, 0]
    assert got.tolist() == [[255] * 4, [0x10, 0x20, 0x30, 255], [255] * 4, [255] * 4]
    got = pixels(composite_overlay(ids, palette="tab10", default_color="white", alpha=1))
    assert (got == 255).all()


SMOOTH = {"smooth": True, "alpha": 1, "outline": True}


def test_smooth_areas_are_those_of_the_curves():
    """A disc: its area, round at any zoom, with soft edges."""
    x, y = np.mgrid[:40, :40] - 19.5
    ids = (np.hypot(x, y) < 15).astype(np.uint64)
    for zoom in (1, 4):
        opacity = pixels(composite_overlay(ids, colors=["red"], alpha=1, smooth=True, zoom=zoom))[..., 3] / 255
        far = np.hypot(*(np.mgrid[: 40 * zoom, : 40 * zoom] + 0.5 - 20 * zoom)) / zoom
        assert (opacity[far < 14] == 1).all()
        assert (opacity[far > 16] == 0).all()
        np.testing.assert_allclose(opacity.sum() / zoom**2, ids.sum(), rtol=0.01)
        assert len(np.unique(opacity)) > 10


def test_smooth_neighbours_show_no_seam():
    ids, imagery = scene(8, (30, 30))
    ids[ids == 0] = 3
    style = {"colors": ["red"] * 4, "alpha": 0.5, "imagery": imagery, "zoom": 2}
    got, want = (pixels(composite_overlay(ids, smooth=smooth, **style)).astype(int) for smooth in (True, False))
    assert np.abs(got - want).max() <= 1


@pytest.mark.parametrize("side", ["in", "out", "on"])
@pytest.mark.parametrize("merged", [True, False])
def test_smooth_outlines_lie_where_pixel_outlines_do(side, merged):
    x, y = np.mgrid[:60, :50]
    ids = np.zeros((60, 50), np.uint64)
    ids[np.hypot(x - 20, y - 25) < 14] = 3
    ids[np.hypot(x - 42, y - 25) < 12] = 70
    style = {"merge_outline": merged, "colors": {3: "red", 70: "blue"}}
    soft = pixels(composite_overlay(ids, width=4, side=side, **style, **SMOOTH)).astype(float)
    if side == "on":
        hard = [
            pixels(composite_overlay(ids, alpha=1, outline=True, width=2, side=at, **style)) for at in ("in", "out")
        ]
        hard = np.maximum(*(one[..., 3] for one in hard)) / 255.0
    else:
        hard = pixels(composite_overlay(ids, outline=True, alpha=1, width=4, side=side, **style))[..., 3] / 255.0
    assert np.abs(soft[..., 3] / 255 - hard).mean() < 0.06
    # four steps to the neighbours lead less far aslant
    assert 0.95 < soft[..., 3].sum() / 255 / hard.sum() < 1.3


def test_smooth_masks_are_painted_as_labels_are():
    """Where masks do not overlap; but for a few pixels that the border of one shares with the outline of the other."""
    x, y = np.mgrid[:40, :40]
    ids = np.zeros((40, 40), np.uint64)
    ids[np.hypot(x - 12, y - 20) < 9] = 3
    ids[np.hypot(x - 30, y - 18) < 7] = 70
    for style in ({"smooth": True, "alpha": 0.7}, {**SMOOTH, "width": 3, "fill": 0.3}, {**SMOOTH, "side": "in"},
                  {"outline": True, "dash": 4, "alpha": 0.9}):  # fmt: skip
        for zoom in (1, 2.5):
            labels = composite_overlay(ids, colors=COLORS, zoom=zoom, **style)
            masks = composite_overlay(dict(SegmentationMasks(ids)), colors=COLORS, zoom=zoom, **style)
            differ = np.abs(pixels(labels)[..., 3].astype(int) - pixels(masks)[..., 3])
            assert differ.max() <= 64
            assert differ.mean() < 0.2


def test_overlapping_masks_in_order():
    first, second = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    first[2:14, 2:14], second[8:18, 8:18] = True, True
    for overlap, want in ((True, [0, 0, 255, 255]), (False, [255, 0, 0, 255])):
        got = composite_overlay([first, second], colors=["red", "blue"], alpha=1, smooth=True, overlap=overlap)
        assert got.getpixel((10, 10)) == tuple(want)
        assert (got.getpixel((4, 4)), got.getpixel((16, 16))) == ((255, 0, 0, 255), (0, 0, 255, 255))
    lined = composite_overlay([first, second], colors=["red", "blue"], width=2, **SMOOTH)
    assert lined.getpixel((10, 7))[3] == 0  # within the first mask: no part of the outline around both
    assert lined.getpixel((10, 1)) == (255, 0, 0, 255)


def test_smooth_sections_of_a_volume():
    ids = np.stack([scene(seed)[0] for seed in (1, 2)], axis=2)
    colors = discrete_colors(SegmentationMasks(ids))
    for at, picture in enumerate(composite_overlay(ids, smooth=True, outline=True, width=1.5, zoom=2)):
        alone = composite_overlay(ids[:, :, at], colors=colors, smooth=True, outline=True, width=1.5, zoom=2)
        np.testing.assert_array_equal(pixels(picture), pixels(alone))


def test_dashes_are_drawn_in_their_share():
    x, y = np.mgrid[:80, :80] - 39.5
    ids = (np.hypot(x, y) < 30).astype(np.uint64)
    inks = [
        pixels(composite_overlay(ids, alpha=1, outline=True, width=3, dash=dash))[..., 3].sum()
        for dash in ((1000, 1), (9, 3), (4, 4))
    ]
    np.testing.assert_allclose(np.array(inks[1:]) / inks[0], [0.75, 0.5], atol=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": {3: 1.5}}, "alpha is an opacity from 0 to 1; got 1.5"),
        ({"alpha": "half"}, "alpha is an opacity from 0 to 1; got 'half'"),
        ({"alpha": {3.0: 1}}, "float"),
        ({"fill": 0.5}, "pass outline=True"),
        ({"fill": -1, "outline": True}, "fill is an opacity from 0 to 1; got -1"),
        ({"dash": 0, "outline": True}, "two positive lengths in pixels.*got 0"),
        ({"dash": (1, 2, 3), "outline": True}, "two positive lengths"),
        ({"dash": "long"}, "two positive lengths"),
        ({"zoom": 0}, "zoom must be a positive number.*got 0"),
        ({"zoom": "2x"}, "zoom must be a positive number"),
        ({"zoom": float("nan")}, "zoom must be a positive number"),
        ({"highlight": 3.5}, "float"),
        ({"rest": 2}, "rest is a share"),
        ({"background": "blurple"}, "is no colour"),
        ({"default_color": "blurple"}, "is no colour"),
        ({"smooth": True, "outline": True, "width": 0}, "positive number of pixels; got 0"),
        ({"outline": True, "width": 0.5}, "at least 1 pixel.*smooth=True"),
        ({"percentiles": (5, 5)}, "percentiles must be two different numbers"),
        ({"percentiles": (-1, 50)}, "from 0 to 100"),
        ({"percentiles": (1, 99), "display_range": (0, 1)}, "give one of them"),
        ({"gamma": 0}, "gamma must be a positive number"),
        ({"gamma": "bright"}, "gamma must be a positive number"),
        ({"imagery": Image.new("L", (21, 17)), "gamma": 2}, "a picture is shown as it is"),
        ({"palette": "steady:many"}, "whole number of 32 bits"),
        ({"palette": "tab10", "colors": {3: "red"}}, 'add them to colors, pass default_color or palette="steady"'),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        composite_overlay(scene()[0], **arguments)


@pytest.mark.parametrize("kind", ["ids", "masks"])
def test_smooth_curves_follow_long_voxels(kind: str) -> None:
    """A picture of voxels five times as high as wide is one of square voxels, seen through a grid as fine along y."""
    y, x = np.mgrid[:12, :40]
    ids = np.where((x - 20) ** 2 + (4 * (y - 5)) ** 2 < 260, 7, 0).T
    tall = ids.repeat(5, axis=1)
    segs = tall if kind == "ids" else {7: tall == 7}
    square = np.asarray(composite_overlay(ids, ["black"], 1, smooth=True, zoom=20))[..., 3]
    inside = square.reshape(60, 4, 40, 20).mean(axis=(1, 3))
    found = np.asarray(composite_overlay(segs, ["black"], 1, smooth=True, stretch=(1, 5)))[..., 3]
    assert np.abs(found - inside).max() < 6  # curves are drawn as straight pieces, 0.02 pixels from them
    assert np.abs(np.asarray(composite_overlay(segs, ["black"], 1, smooth=True))[..., 3] - inside).max() > 200

    line = {"outline": True, "merge_outline": False, "side": "on", "width": 2}
    found = np.asarray(composite_overlay(segs, ["black"], 1, smooth=True, stretch=(1, 5), **line))[..., 3] / 255
    full = square > 127
    edge = full & ~(np.roll(full, 1, 0) & np.roll(full, -1, 0) & np.roll(full, 1, 1) & np.roll(full, -1, 1))
    spots = (np.argwhere(edge) + 0.5) / (4, 20)
    pixels = np.stack(np.mgrid[:60, :40], axis=-1) + 0.5
    away = np.linalg.norm(pixels[:, :, None] - spots, axis=-1).min(axis=2)
    assert np.abs(found - np.clip(1.5 - away, 0, 1)).max() < 0.3  # spots are a quarter of a pixel high


@pytest.mark.parametrize("stretch", [(0, 1), 5, "xy", (1, np.nan), (1, 2, 3)])
def test_voxels_that_are_no_whole_pixels_are_refused(stretch) -> None:
    with pytest.raises(ArgumentError, match="how many pixels a voxel"):
        composite_overlay(scene()[0], COLORS, stretch=stretch)


def test_pixels_larger_than_voxels_are_followed() -> None:
    ids, _ = scene()
    small, plain = (composite_overlay(ids, COLORS, smooth=True, stretch=by) for by in ((0.5, 0.2), (1, 1)))
    assert np.array_equal(np.asarray(small), np.asarray(plain))


@pytest.mark.parametrize("options", [{"side": "in"}, {"side": "out"}, {"side": "on"}, {"smooth": True, "side": "in"}])
def test_the_widest_lines_fill_all(options: dict) -> None:
    ids, _ = scene()
    wide, enough = (
        composite_overlay(ids, COLORS, 1, outline=True, merge_outline=False, width=width, **options)
        for width in (10**7, 80)
    )
    assert np.array_equal(np.asarray(wide), np.asarray(enough))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": None}, "alpha is an opacity"),
        ({"alpha": [0.1, 0.2]}, "alpha is an opacity"),
        ({"alpha": {3: None}}, "got None"),
        ({"highlight": 3, "rest": "x"}, "rest"),
        ({"outline": True, "width": "2"}, "at least 1 pixel"),
        ({"outline": True, "width": None}, "at least 1 pixel"),
        ({"outline": True, "width": math.inf}, "at least 1 pixel"),
        ({"outline": True, "smooth": True, "width": "2"}, "positive number of pixels"),
        ({"zoom": None}, "zoom"),
        ({"zoom": 1e9}, "would not fit into memory"),
        ({"colors": None, "palette": 5}, "a palette is a name"),
        ({"colors": None, "palette": {3: "red"}}, "colors={id: colour}"),
        ({"colors": None, "palette": "Steady"}, "near it: steady"),
        ({"colors": None, "palette": "neuroglancr"}, "near it: neuroglancer"),
    ],
)
def test_more_that_makes_no_sense_is_said(options: dict, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        composite_overlay(scene()[0], **({"colors": COLORS} | options))


def test_columns_of_tables_are_options() -> None:
    pandas = pytest.importorskip("pandas")
    ids, image = scene()
    table = pandas.DataFrame({"id": NAMES, "color": list(COLORS.values()), "alpha": [0.1, 0.4, 0.7, 1]}).set_index("id")
    found = composite_overlay(ids, table["color"], table["alpha"], image)
    assert found == composite_overlay(ids, COLORS, table["alpha"].to_dict(), image)
    in_order = composite_overlay(ids, pandas.Series(list(COLORS.values())), 0.5)
    assert in_order == composite_overlay(ids, list(COLORS.values()), 0.5)


@pytest.mark.parametrize("name", ["transparent", "none"])
def test_no_background_by_name(name: str) -> None:
    ids, _ = scene()
    assert composite_overlay(ids, COLORS, background=name) == composite_overlay(ids, COLORS)


@pytest.mark.parametrize("kind", ["ids", "masks"])
@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"smooth": True},
        {"side": "on"},
        {"smooth": True, "fill": 0.3},
        {"dash": (3, 2)},
        {"overlap": False, "smooth": True},
    ],
)
def test_sections_without_segments_are_painted_like_others(kind: str, merge: bool, options: dict) -> None:
    ids, image = scene()
    stack = np.stack([ids, np.zeros_like(ids)], axis=2)
    segs = stack if kind == "ids" else {name: stack == name for name in NAMES}
    beneath = np.stack([image, image], axis=2)
    _, found = composite_overlay(segs, COLORS, imagery=beneath, outline=True, merge_outline=merge, **options)
    assert np.array_equal(np.asarray(found)[..., 0], image.T)
