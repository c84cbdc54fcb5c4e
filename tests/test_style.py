from __future__ import annotations

import numpy as np
import pytest

from imageryclient.errors import ArgumentError
from imageryclient.painting.steady import steady_colors
from imageryclient.painting.style import Dash, Style, colors_for, inks_for

KEYS = [5, 2**63 + 1, 9]
RGB = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def test_areas_or_outlines_or_both():
    area = inks_for(KEYS, RGB, alpha=0.5)
    assert area.area.tolist() == [[*color, 127] for color in RGB]
    assert area.line.tolist() == [[*color, 0] for color in RGB]
    line = inks_for(KEYS, RGB, alpha=0.5, outline=True)
    assert (line.area[:, 3].tolist(), line.line[:, 3].tolist()) == ([0, 0, 0], [127, 127, 127])
    both = inks_for(KEYS, RGB, alpha={5: 1, 2**63 + 1: 0}, outline=True, fill={9: 0.4})
    assert (both.area[:, 3].tolist(), both.line[:, 3].tolist()) == ([0, 0, 102], [255, 0, 51])


@pytest.mark.parametrize("alpha", [0, 0.2, 0.5, 0.999, 1, np.float32(0.25), np.float64(0.3), True])
def test_opacity_is_cut_off_as_before(alpha):
    assert inks_for(KEYS, RGB, alpha=alpha).area[:, 3].tolist() == [int(alpha * 255)] * 3


def test_keys_as_ids_in_all_forms():
    exact = 2**63 + 1
    for key in (exact, str(exact), np.uint64(exact)):
        assert inks_for(KEYS, {5: "red", key: "blue", 9: "lime"}).area[1, :3].tolist() == [0, 0, 255]
        assert inks_for(KEYS, RGB, alpha={key: 1}).area[:, 3].tolist() == [51, 255, 51]
        assert inks_for(KEYS, RGB, alpha=1, highlight=key, rest=0).area[:, 3].tolist() == [0, 255, 0]
    assert inks_for(["a", "b"], ["red", "blue"], alpha={"b": 1}).area[:, 3].tolist() == [51, 255]


def test_nothing_to_paint():
    for palette in ("husl", "steady", "tab10"):
        inks = inks_for([], None, palette, outline=True, fill=0.1, highlight=[7])
        assert inks.area.shape == inks.line.shape == (0, 4)


def test_colors_of_those_without_their_own():
    steady = steady_colors(KEYS, "steady:3").tolist()
    assert colors_for(KEYS, None, "steady:3").tolist() == steady
    assert colors_for(KEYS, {9: (1.0, 0, 0)}, "steady:3").tolist() == [*steady[:2], [255, 0, 0]]
    assert colors_for(KEYS, {9: "red"}, "husl", default_color=(1.0, 1.0, 1.0)).tolist() == [
        [255, 255, 255],
        [255, 255, 255],
        [255, 0, 0],
    ]
    with pytest.raises(ArgumentError, match="2 of 3 ids have no colour, the first of them 5"):
        colors_for(KEYS, {9: "red"})


@pytest.mark.parametrize(
    "palette",
    ["tab10", "Set2", "viridis", "magma_r", "deep", "colorblind6", "husl", "hls", "tol:bright", "crameri:batlow",
     "glasbey:glasbey", "cmocean:thermal", "colorbrewer:Paired", "okabeito:okabeito", "hsv", "twilight", "cubehelix",
     "rainbow", "Spectral", "steady", "neuroglancer:5", ["red", "blue"]],
)  # fmt: skip
def test_palettes_of_all_makers(palette):
    colors = colors_for(KEYS, None, palette)
    assert (colors.shape, colors.dtype) == ((3, 3), np.uint8)
    assert len(np.unique(colors, axis=0)) > 1


def test_style_is_checked_once():
    style = Style.checked(outline=True, width=3.7, side="out", zoom=2, background="white")
    assert (style.width, style.steps, style.traced, style.zoom, style.background) == (3, 3, False, 2, (255,) * 4)
    thin = Style.checked(outline=True, width=0.5, side="on")
    assert (thin.traced, thin.smooth, thin.reach) == (True, False, 0.25)
    dashed = Style.checked(outline=True, width=2, dash=(4, 1))
    assert (dashed.smooth, dashed.dash, dashed.reach) == (True, Dash(4, 1), 2)
    assert not Style.checked(dash=4, width=0).traced  # there are no outlines
    assert not Style.checked(outline=True, side="on").areas().outline


@pytest.mark.parametrize("dash", [0, -1, (1,), (1, 2, 3), (1, 0), "ab", (1, float("inf")), [None, 1]])
def test_what_is_no_dash(dash):
    with pytest.raises(ArgumentError, match="dash must be two positive lengths"):
        Dash.checked(dash)
