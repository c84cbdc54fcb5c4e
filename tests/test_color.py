from __future__ import annotations

import colorsys
import itertools
import sys
import types

import hsluv
import numpy as np
import pytest

from imageryclient.errors import ArgumentError, MissingExtraError
from imageryclient.painting.color import discrete_colors, palette_colors, rgb_bytes, rgba_bytes


@pytest.mark.parametrize("count", [0, 1, 2, 7, 300])
@pytest.mark.parametrize(("h", "l", "s"), [(0.01, 0.65, 1.0), (0.3, 0.2, 0.5), (0.9, 0.95, 0.8), (2.5, 0.05, 0.1)])
def test_hues_are_spaced_evenly(count, h, l, s):  # noqa: E741
    hues = [(k / count + h) % 1 for k in range(count)]
    husl = discrete_colors(count, "husl", h=h, l=l, s=s)
    for got, hue in zip(husl, hues, strict=True):  # HSLuv is HUSL with finer constants
        want = np.clip(hsluv.hsluv_to_rgb((359 * hue, 99 * s, 99 * l)), 0, 1)
        np.testing.assert_allclose(got, want, atol=0.004)
    hls = discrete_colors(count, "hls", h=h, l=l, s=s)
    np.testing.assert_allclose(
        np.reshape(hls, (-1, 3)), np.reshape([colorsys.hls_to_rgb(x, l, s) for x in hues], (-1, 3)), atol=1e-9
    )


def test_first_colors_of_imageryclient_1_0_4():
    assert rgb_bytes(discrete_colors(5)).tolist() == [
        [254, 106, 134],
        [175, 156, 9],
        [10, 178, 118],
        [11, 170, 201],
        [210, 115, 254],
    ]


@pytest.mark.parametrize(("l", "value"), [(0, 0.0), (1.2, 1.0)])
def test_the_ends_of_lightness(l, value):  # noqa: E741
    np.testing.assert_allclose(discrete_colors(3, l=l), np.full((3, 3), value), atol=0.001)


def test_what_comes_back():
    keys = {2**63: 1, "a": 2}
    assert list(discrete_colors(keys)) == list(keys)
    for segs in ([1, 2], np.zeros((2, 5)), 2, np.int64(2), ("a", "b")):
        colors = discrete_colors(segs)
        assert isinstance(colors, list)
        assert [len(color) for color in colors] == [3, 3]
        assert all(type(c) is float and 0 <= c <= 1 for color in colors for c in color)
    with pytest.raises(ArgumentError, match="must not be negative"):
        discrete_colors(-1)


def test_cycles_and_samples():
    tab10 = discrete_colors(12, "tab10")
    assert tab10[0] == pytest.approx((0x1F / 255, 0x77 / 255, 0xB4 / 255))
    assert tab10[10:] == tab10[:2]
    assert discrete_colors(11, "deep")[10] == discrete_colors(1, "deep")[0] == (0x4C / 255, 0x72 / 255, 0xB0 / 255)
    assert discrete_colors(2, "deep6") == [discrete_colors(3, "deep")[k] for k in (0, 2)]
    np.testing.assert_allclose(discrete_colors(3, "gray"), [[v / 255] * 3 for v in (64, 128, 192)])
    np.testing.assert_allclose(discrete_colors(3, "gray_r"), [[1 - v / 255] * 3 for v in (64, 128, 192)])
    assert len(set(discrete_colors(40, "viridis"))) == 40
    assert discrete_colors(3, None) == tab10[:3]


def test_palettes_of_colors():
    assert discrete_colors(3, ["red", (0, 0, 1)]) == [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)]
    assert discrete_colors(1, [(255, 0, 51)]) == [(1.0, 0.0, 0.2)]
    assert discrete_colors(4, ["g", "c", "m", "y"]) == [(0, 0.5, 0), (0, 0.75, 0.75), (0.75, 0, 0.75), (0.75, 0.75, 0)]
    with pytest.raises(ArgumentError, match="at least one colour"):
        discrete_colors(3, [])


def test_names_shared_by_collections_give_no_word(capfd):
    for name in ("RdBu", "PRGn", "coolwarm", "rainbow_r", "copper", "ocean", "YlOrBr"):
        discrete_colors(2, name)
    assert capfd.readouterr() == ("", "")


def test_unknown_palettes_name_their_neighbours(monkeypatch):
    monkeypatch.setitem(sys.modules, "seaborn", None)
    with pytest.raises(ArgumentError, match=r"no palette 'virdis'.*viridis"):
        discrete_colors(3, "virdis")
    with pytest.raises(ArgumentError, match=r"no palette '!!'; 'husl'"):
        discrete_colors(3, "!!")


def test_palettes_of_seaborn(monkeypatch):
    monkeypatch.setitem(sys.modules, "seaborn", None)
    for name in ("ch:s=.25", "light:red", "blend:red,blue", "Blues_d"):
        with pytest.raises(MissingExtraError, match="pip install seaborn"):
            discrete_colors(3, name)

    def color_palette(name, count):
        if name != "light:red":
            raise ValueError(name)
        return [(1, 0.5, 0.25)] * count

    monkeypatch.setitem(sys.modules, "seaborn", types.SimpleNamespace(color_palette=color_palette))
    assert discrete_colors(2, "light:red") == [(1.0, 0.5, 0.25)] * 2
    with pytest.raises(ArgumentError, match="no palette 'light:blurple'"):
        discrete_colors(2, "light:blurple")


def test_rgb_bytes_cuts_off_as_before():
    colors = np.random.default_rng(0).random((50, 3))
    want = [[int(255 * c) for c in color] for color in colors]
    for given in (colors, colors.tolist(), [tuple(color) for color in colors], colors.astype(np.float64).copy("F")):
        assert rgb_bytes(given).tolist() == want
    single = colors.astype(np.float32)
    assert rgb_bytes(single).tolist() == [[int(255 * c) for c in color] for color in single]


def test_rgb_bytes_takes_many_kinds():
    assert rgb_bytes([]).shape == (0, 3)
    assert rgb_bytes([(1, 1, 1), (1.0, 0, 0, 0.5)]).tolist() == [[255, 255, 255], [255, 0, 0]]
    assert rgb_bytes([(1, 1, 1), (2, 0, 0)]).tolist() == [[1, 1, 1], [2, 0, 0]]
    assert rgb_bytes(np.array([[1, 1, 1]], np.uint8)).tolist() == [[1, 1, 1]]
    assert rgb_bytes([np.array([1, 0, 1], np.uint8)]).tolist() == [[1, 0, 1]]
    assert rgb_bytes(["#00000180", "orange", (255, 0, 0)]).tolist() == [[0, 0, 1], [255, 165, 0], [255, 0, 0]]
    assert rgb_bytes([(1 + 1e-9, 0, 0)]).tolist() == [[255, 0, 0]]
    everything = [f"#{v:02x}{v:02x}{v:02x}" for v in range(256)]
    assert rgb_bytes(everything)[:, 0].tolist() == list(range(256))


@pytest.mark.parametrize(
    "color", [(1, 0), (-0.1, 0, 0), (256, 0, 0), (np.nan, 0, 0), (0, np.nan, 0), 3, None, ("a",) * 3]
)
def test_what_is_no_color(color):
    with pytest.raises(ArgumentError, match="a colour is"):
        rgb_bytes([(0, 0, 0), color])


def test_misspelt_names():
    with pytest.raises(ArgumentError, match=r"'organe' is no colour.*orange"):
        rgb_bytes(["organe"])


def test_rgba_bytes():
    assert rgba_bytes([1, 2, 3]) == (1, 2, 3, 255)
    assert rgba_bytes(np.array([1, 2, 3, 4], np.uint8)) == (1, 2, 3, 4)
    assert rgba_bytes((1.0, 0.0, 0.2)) == (255, 0, 51, 255)
    assert rgba_bytes((255.0, 0.0, 128.0)) == (255, 0, 128, 255)
    assert rgba_bytes("white") == (255, 255, 255, 255)
    for bad in ((1, 2), (1, 2, 300), (-1, 2, 3), None, "whit", (1, 2, 3, 4, 5)):
        with pytest.raises(ArgumentError, match="colour"):
            rgba_bytes(bad)


def test_colors_of_many_ids_are_apart():
    colors = rgb_bytes(discrete_colors(10_000))
    assert colors.shape == (10_000, 3)
    few = rgb_bytes(discrete_colors(20)).astype(int)
    assert min(np.abs(a - b).sum() for a, b in itertools.combinations(few, 2)) > 10


def _one_by_one(colors):
    """Generators and iterables of unknown kind are read colour by colour."""
    return rgb_bytes(color for color in colors)


@pytest.mark.parametrize("top", [1.0, 1 + 1e-9, 1 + 1e-6, 1.1, 255.0])
@pytest.mark.parametrize("length", [3, 4])
def test_many_colors_at_once_are_as_one_by_one(top, length):
    colors = np.random.default_rng(1).random((200, length)) * min(top, 1)
    colors[7:9] = colors[7:9].round()
    if top > 1:
        colors[11, :3] = (top, 0.3, 0.999)
        colors[12, :3] = (1, top / 2, 0)
    for dtype in (np.float64, np.float32, np.float16):
        given = colors.astype(dtype)
        for kind in (given, np.asfortranarray(given), given[::2], given.tolist(), [tuple(c) for c in given]):
            want = _one_by_one(kind)
            got = rgb_bytes(kind)
            assert (got.dtype, got.shape) == (np.uint8, (len(kind), 3))
            np.testing.assert_array_equal(got, want)
            palette = discrete_colors(len(kind), kind)
            assert palette == [discrete_colors(1, iter([color]))[0] for color in kind]
            assert all(type(c) is float for color in palette for c in color)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 255.5])
def test_what_is_no_color_among_many(bad):
    colors = np.random.default_rng(2).random((50, 3))
    colors[30, 1] = bad
    for kind in (colors, colors.tolist(), list(map(tuple, colors)), colors.astype(np.float32)):
        with pytest.raises(ArgumentError, match="a colour is"):
            rgb_bytes(kind)
        with pytest.raises(ArgumentError, match="a colour is"):
            discrete_colors(60, kind)
    for kind in (colors[:, :2], colors[:, :2].tolist(), colors[None], colors[0], [["0.1", "0.2", "0.3"]]):
        with pytest.raises(ArgumentError, match="a colour is"):
            rgb_bytes(kind)
    assert rgb_bytes(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(("l", "s"), [(0.65, 1.0), (0.3, 0.8), (0.5, 0.5), (0.0, 1.0), (1.0, 0.2), (0.4, 0.0)])
def test_hls_is_that_of_the_standard_library(l, s):  # noqa: E741
    hues = (np.linspace(0, 1, 778)[:-1] + 0.01) % 1
    want = [colorsys.hls_to_rgb(hue, l, s) for hue in hues.tolist()]
    np.testing.assert_array_equal(palette_colors(777, "hls", l=l, s=s), want)


@pytest.mark.parametrize("palette", ["husl", "hls", "tab10", "deep6", "viridis", ["red", (0.1, 0.2, 0.3)], None])
@pytest.mark.parametrize("count", [0, 1, 23])
def test_palettes_as_an_array(palette, count):
    colors = palette_colors(count, palette)
    assert (colors.shape, colors.dtype) == ((count, 3), np.float64)
    assert discrete_colors(count, palette) == [tuple(color) for color in colors.tolist()]
