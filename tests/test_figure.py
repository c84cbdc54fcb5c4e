from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.painting.figure import stack_images
from imageryclient.painting.panels import Panels


def parts():
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)),
        rng.integers(0, 256, (12, 34), dtype=np.uint8),
        Image.new("L", (7, 9), 80),
        rng.integers(0, 256, (5, 6, 3), dtype=np.uint8),
    ]


def pixels(part):
    array = part if isinstance(part, np.ndarray) else np.asarray(part).swapaxes(0, 1)
    return array[:, :, :3] if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
@pytest.mark.parametrize("spacing", [0, 1, 10])
def test_each_part_lies_in_its_place_on_white(direction, spacing):
    figure = np.asarray(stack_images(parts(), direction=direction, spacing=spacing)).swapaxes(0, 1)
    axis = 0 if direction == "horizontal" else 1
    seen = np.zeros(figure.shape[:2], bool)
    at = 0
    for part in map(pixels, parts()):
        where = [slice(0, size) for size in part.shape[:2]]
        where[axis] = slice(at, at + part.shape[axis])
        np.testing.assert_array_equal(figure[tuple(where)], part)
        seen[tuple(where)] = True
        at += part.shape[axis] + spacing
    assert (figure[~seen] == 255).all()
    assert figure.shape[axis] == at - spacing
    assert figure.shape[1 - axis] == max(pixels(part).shape[1 - axis] for part in parts())


def test_the_parts_stay_as_they_are():
    given = parts()
    stack_images(given)
    for part, before in zip(given, parts(), strict=True):
        np.testing.assert_array_equal(np.asarray(part), np.asarray(before))


def test_takes_any_iterable():
    assert stack_images(iter(parts()[:1])).size == (30, 20)
    assert stack_images(np.zeros((3, 4, 5), np.uint8), spacing=2).size == (16, 5)


def test_what_makes_no_figure():
    with pytest.raises(ArgumentError, match="'horizontal' or 'vertical'; got 'diagonal'"):
        stack_images(parts(), direction="diagonal")
    with pytest.raises(ArgumentError, match="at least one image"):
        stack_images([])
    for spacing in (-1, 2.5):
        with pytest.raises(ArgumentError, match="whole number of pixels"):
            stack_images(parts(), spacing=spacing)


def arranged(align="upper left", **options):
    """The parts in two columns, where the figure must show each, and where it must show the background."""
    figure = stack_images(parts(), columns=2, spacing=3, align=align, **options)
    shapes = [pixels(part).shape[:2] for part in parts()]
    layout = Panels.arranged(shapes, columns=2, spacing=3, align=align)
    return np.asarray(figure).swapaxes(0, 1), layout.spots


@pytest.mark.parametrize("align", ["upper left", "lower middle", "middle"])
def test_rows_and_columns_hold_the_pictures_as_they_are(align):
    seen, spots = arranged(align)
    assert seen.shape == (30 + 3 + 12, 34 + 3 + 9, 3)
    rest = np.ones(seen.shape[:2], bool)
    for spot, part in zip(spots, map(pixels, parts()), strict=True):
        where = (slice(spot.left, spot.left + spot.width), slice(spot.top, spot.top + spot.height))
        np.testing.assert_array_equal(seen[where], part)
        rest[where] = False
    assert (seen[rest] == 255).all()


def test_a_background_shows_through():
    half = Image.new("RGBA", (6, 5), (200, 100, 0, 128))
    clear = Image.new("RGBA", (6, 5), (9, 9, 9, 0))
    figure = stack_images([half, clear], background="#0000ff", spacing=2)
    assert figure.mode == "RGB"
    assert figure.getpixel((6, 0)) == figure.getpixel((10, 2)) == (0, 0, 255)
    assert np.abs(np.array(figure.getpixel((2, 2))) - (100, 50, 127)).max() <= 1
    figure = stack_images([half, clear], background="transparent", spacing=2)
    assert figure.mode == "RGBA"
    assert figure.getpixel((2, 2)) == (200, 100, 0, 128)
    assert figure.getpixel((6, 0))[3] == figure.getpixel((10, 2))[3] == 0


def test_letters_and_titles_lie_above_and_leave_the_pictures_alone():
    grey = [np.full((90, 70), 120, np.uint8)] * 4
    plain = np.asarray(stack_images(grey, columns=2))
    figure = np.asarray(stack_images(grey, columns=2, letters=True, titles=["EM", None, "", "µm"], font_size=16))
    rooms = 24  # a line and a half, above each row
    assert figure.shape == (plain.shape[0] + 2 * rooms, plain.shape[1], 3)
    for row in (0, 1):
        top = row * (70 + 10 + rooms)
        assert (figure[top + rooms : top + rooms + 70, :90] == 120).all()
        assert (figure[top + rooms : top + rooms + 70, 100:] == 120).all()
        for column in (0, 100):
            above = figure[top : top + rooms, column : column + 90]
            assert above[:, :20].min() < 60  # the letter
            assert above[-2:].min() == 255  # apart from the picture
            assert (above[:, 25:].min() < 60) == ((row, column) in [(0, 0), (1, 100)])  # the title
    assert (figure[:, 90:100] == 255).all()


def test_letters_inside_are_legible_on_black_and_white():
    for shade in (0, 255):
        bare = np.full((90, 70), shade, np.uint8)
        figure = np.asarray(stack_images([bare], letters="(a)", letters_inside=True))
        assert figure.shape == (70, 90, 3)
        written = np.flatnonzero((figure != shade).any(axis=(0, 2)))
        assert 0 < written[0] < written[-1] < 45
        assert figure.min() == 0
        assert figure.max() == 255


def test_what_is_written_is_seen_on_any_background():
    bare = [np.full((90, 70), 120, np.uint8)]
    for background, ink in (("black", 255), ("white", 0), ("transparent", 0)):
        figure = np.asarray(stack_images(bare, titles=["EM"], background=background, font_size=20).convert("RGBA"))
        assert figure.shape[:2] == (100, 90)
        assert (figure[:30] == (ink, ink, ink, 255)).all(axis=2).any()
    red = np.asarray(stack_images(bare, titles=["EM"], color="red", font_size=20))
    assert (red[:30] == (255, 0, 0)).all(axis=2).any()


def test_an_empty_place_takes_no_letter():
    bare = np.full((40, 40), 120, np.uint8)
    figure = stack_images([bare, None, bare, bare], rows=2, letters=True, font_size=12)
    beside = stack_images([bare, None, bare, bare], rows=2, letters=["A", "", "B", "C"], font_size=12)
    assert figure.size == (90, 2 * (40 + 18) + 10)
    np.testing.assert_array_equal(np.asarray(figure), np.asarray(beside))
    assert (np.asarray(figure)[:58, 50:] == 255).all()


def test_a_long_title_widens_its_column():
    figure = stack_images([np.zeros((20, 20), np.uint8)] * 2, titles=["a title longer than its picture", "b"])
    assert figure.width > 100
    assert (np.asarray(figure)[:, -10:] == 0).any()


def test_what_can_not_be_written():
    with pytest.raises(ArgumentError, match="4 images need as many titles"):
        stack_images(parts(), titles=["one"])
    with pytest.raises(ArgumentError, match="4 images need as many titles"):
        stack_images(parts(), titles="four")
    with pytest.raises(ArgumentError, match="at least one image"):
        stack_images([None, None])
    with pytest.raises(ArgumentError, match="font_size"):
        stack_images(parts(), font_size=0)
