from __future__ import annotations

import colorsys

import numpy as np
import pytest

from imageryclient.errors import ArgumentError
from imageryclient.painting.color import discrete_colors
from imageryclient.painting.hues import oklch
from imageryclient.painting.steady import is_steady, steady_colors

IDS = [1, 2, 3, 720575940621039145, 864691135341362885, 2**63, 2**64 - 1]
GOLDEN = [[38, 139, 176], [190, 168, 0], [49, 173, 182], [60, 211, 176], [46, 234, 0], [236, 158, 50], [207, 207, 58]]
GOLDEN_7 = [[191, 39, 180], [43, 153, 199], [255, 174, 57]]


def linear(rgb):
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lightness(colors):
    """CIE L*, 0 to 100, of sRGB in 8 bits."""
    y = linear(colors / 255) @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(y) - 16


def oklab(colors):
    to_lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
              [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.cbrt(linear(colors / 255) @ np.transpose(to_lms)) @ np.transpose(to_lab)


def many(count, seed=0):
    return np.random.default_rng(seed).integers(2**53, 2**63, count, dtype=np.uint64)


def test_colors_stay_from_version_to_version():
    assert steady_colors(IDS, "steady").tolist() == GOLDEN
    assert steady_colors(IDS, "steady:0").tolist() == GOLDEN
    assert steady_colors(IDS[:3], "steady:7").tolist() == GOLDEN_7


def test_colors_do_not_depend_on_what_else_is_shown():
    ids = many(5000)
    colors = steady_colors(ids, "steady")
    assert (colors.shape, colors.dtype) == ((5000, 3), np.uint8)
    for size in (1, 7, 1000):
        np.testing.assert_array_equal(steady_colors(ids[:size], "steady"), colors[:size])
    np.testing.assert_array_equal(steady_colors(ids[::-1], "steady")[::-1], colors)
    assert discrete_colors({int(ids[3]): None}, "steady")[int(ids[3])] == tuple((colors[3] / 255).tolist())


@pytest.mark.parametrize(
    "ids", [many(5000), np.arange(1, 5001, dtype=np.uint64), np.arange(5000, dtype=np.uint64) << 50]
)
def test_colors_are_saturated_even_and_spread(ids):
    colors = steady_colors(ids, "steady")
    light = lightness(colors.astype(float))
    assert light.min() > 40
    assert light.max() < 90
    hues, saturation = np.array([colorsys.rgb_to_hsv(*color)[:2] for color in (colors / 255).tolist()]).T
    assert saturation.min() > 0.3
    assert np.median(saturation) > 0.6
    assert np.histogram(hues, 6, (0, 1))[0].min() > 0.05 * len(ids)
    assert len(np.unique(colors, axis=0)) > 2500


def test_two_colors_are_far_apart_as_a_rule():
    lab = oklab(steady_colors(many(1000), "steady").astype(float))
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(1000, 1)]
    assert np.median(apart) > 0.2
    assert np.mean(apart < 0.03) < 0.02  # hardly to be told apart


def test_seeds_give_other_colors():
    ids = many(500)
    one, other = steady_colors(ids, "steady"), steady_colors(ids, "steady:1")
    assert (one != other).any(axis=1).mean() > 0.95


def test_which_palettes_are_steady():
    assert [is_steady(name) for name in ("steady", "steady:5", "neuroglancer", "neuroglancer:1")] == [True] * 4
    assert [is_steady(name) for name in ("husl", "steadying", None, ["red"])] == [False] * 4
    for palette in ("steady:x", "steady:-1", "neuroglancer:4294967296"):
        with pytest.raises(ArgumentError, match="whole number of 32 bits"):
            steady_colors([1], palette)
    with pytest.raises(ArgumentError, match="pass a mapping whose keys they are"):
        discrete_colors(5, "steady")


def test_oklch_is_the_inverse_of_oklab():
    hues = np.linspace(0, 360, 50, endpoint=False)
    for light, share in ((0.6, 1.0), (0.8, 0.5)):
        rgb = oklch(np.full(50, light), np.full(50, share), hues)
        lab = oklab(255 * rgb)
        np.testing.assert_allclose(lab[:, 0], light, atol=1e-4)
        turned = (np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) - hues + 180) % 360 - 180
        np.testing.assert_allclose(turned, 0, atol=0.1)
        if share == 1:  # on the border of what sRGB has
            np.testing.assert_allclose(np.minimum(rgb, 1 - rgb).min(axis=1), 0, atol=1e-4)
