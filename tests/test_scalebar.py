"""Scale bars, measured in pixels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.painting.annotations import Annotations, annotate, annotation_groups
from imageryclient.painting.draw import draw
from imageryclient.painting.primitives import Group, Path, Words
from imageryclient.painting.scalebar import ScaleBar, bar_group, scale_bar
from imageryclient.section import Section

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


@pytest.mark.parametrize("seed", range(50))
def test_bars_measured_in_pixels_are_true_at_any_resolution_and_zoom(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nm, zoom = float(np.exp(rng.uniform(np.log(0.7), np.log(300)))), float(rng.choice([0.5, 1, 1.5, 2, 3, 4, 8]))
    voxels = rng.integers(60, 160, 2)
    size = (round(voxels[0] * zoom + 60), round(voxels[1] * zoom + 60))
    section = Section((0.0, 0.0, 0.0), size, nm / zoom)
    made = annotation_groups(section, nm, Annotations(scale_bar=True), picture=Image.new("L", size))
    (group,) = made.groups
    text = next(part.text for part in group.primitives if isinstance(part, Words))
    rows = np.asarray(draw(Image.new("L", size), [Group("bar", group.primitives[:1])]))[..., 0] / 255
    number, unit = text.split()
    measured = rows.sum(axis=1).max() * nm / zoom  # pixels, some of them covered in part, as nm
    assert measured == pytest.approx(float(number) * UNITS[unit], abs=0.01 * nm / zoom)
    picture = np.asarray(annotate(Image.new("L", size), section, nm, Annotations(scale_bar=True)))
    low = np.flatnonzero(rows.max(axis=1))
    assert np.array_equal(picture[low[0] : low[-1] + 1, :, 0], np.rint(rows[low[0] : low[-1] + 1] * 255))


def test_the_bar_is_white_on_tissue_and_black_on_white() -> None:
    def shown(picture: Image.Image) -> tuple[int, ...]:
        group = bar_group(picture.size, 8)
        corner = group.primitives[0]
        assert isinstance(corner, Path)
        x, y = corner.points[0]
        pixel = scale_bar(picture, 8).getpixel((int(x) + 5, int(y) + 1))
        assert isinstance(pixel, tuple)
        return pixel[:3]

    assert shown(Image.new("L", (300, 200), 140)) == (255, 255, 255)
    assert shown(Image.new("L", (300, 200), 255)) == (0, 0, 0)
    assert shown(Image.new("RGBA", (300, 200), (0, 0, 0, 0))) == (0, 0, 0)
    patch = Image.new("RGB", (300, 200), "white")
    patch.paste((90, 90, 90), (200, 150, 300, 200))
    assert shown(patch) == (255, 255, 255)


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
