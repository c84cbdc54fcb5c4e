"""Scale bars, measured in pixels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.painting.scalebar import ScaleBar, scale_bar

UNITS = {"nm": 1.0, "µm": 1e3, "mm": 1e6, "m": 1e9}


@given(st.floats(0.01, 1e5), st.integers(50, 5000))
def test_lengths_are_round_and_near_a_fifth_of_the_picture(nm_per_pixel: float, width: int) -> None:
    bar = ScaleBar.fitting(width, nm_per_pixel)
    assert bar.pixels * nm_per_pixel == pytest.approx(bar.nm)
    assert 0.2 / 1.6 <= bar.pixels / width <= 0.2 * 1.6
    number, unit = re.fullmatch(r"(\S+) (\S+)", bar.label).groups()  # type: ignore[union-attr]
    assert float(number) * UNITS[unit] == pytest.approx(bar.nm)
    assert f"{bar.nm:e}"[0] in "125"


@given(st.floats(0.5, 200), st.integers(120, 700), st.integers(100, 400), st.sampled_from(["left", "right"]))
def test_the_bar_is_as_long_as_it_says(nm_per_pixel: float, width: int, height: int, side: str) -> None:
    marked = scale_bar(Image.new("L", (width, height)), nm_per_pixel, label=False, corner=f"lower {side}")  # type: ignore[arg-type]
    rows = np.asarray(marked)[..., 0].astype(float) / 255
    measured = rows.sum(axis=1).max()
    assert measured == pytest.approx(ScaleBar.fitting(width, nm_per_pixel).pixels, abs=0.01)
    whole = np.flatnonzero(rows.max(axis=0))
    assert whole[0] > 0
    assert whole[-1] < width - 1
    assert (rows.max(axis=1) > 0).sum() == max(2, round(0.012 * min(width, height)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16"])
@pytest.mark.parametrize("corner", ["lower right", "lower left", "upper right", "upper left"])
def test_any_picture_and_corner(mode: str, corner: str) -> None:
    before = Image.new(mode, (300, 200))
    copy = before.copy()
    after = scale_bar(before, 8, corner=corner, color="red")  # type: ignore[arg-type]
    assert before.tobytes() == copy.tobytes()
    assert after.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")
    assert after.size == before.size
    marked = np.argwhere(np.asarray(after)[..., 0] > 200)
    vertical, side = corner.split()
    assert (marked[:, 0].mean() > 100) == (vertical == "lower")
    assert (marked[:, 1].mean() > 150) == (side == "right")
    assert np.asarray(after)[..., 1].max() == 0


def test_a_transparent_picture_gets_an_opaque_bar() -> None:
    marked = np.asarray(scale_bar(Image.new("RGBA", (300, 200), (10, 20, 30, 0)), 8, color="#ffffff"))
    solid = marked[marked[..., 3] == 255]
    assert len(solid)
    assert (solid == 255).all()
    assert (marked[:100, :, 3] == 0).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nm_per_pixel": 0}, "nm_per_pixel"),
        ({"nm_per_pixel": float("nan")}, "nm_per_pixel"),
        ({"nm_per_pixel": 8, "length": -1}, "length"),
        ({"nm_per_pixel": 8, "length": 1e6}, "shorter"),
        ({"nm_per_pixel": 8, "corner": "middle"}, "corner"),
        ({"nm_per_pixel": 8, "font_size": 300}, "no room"),
    ],
)
def test_what_cannot_be_drawn_is_said(options: dict, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        scale_bar(Image.new("L", (200, 100)), **options)
