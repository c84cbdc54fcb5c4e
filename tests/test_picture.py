from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.painting.picture import as_rgba, from_rgba_pixels, upright


@pytest.mark.parametrize(("channels", "mode"), [((), "L"), ((1,), "L"), ((3,), "RGB"), ((4,), "RGBA")])
@pytest.mark.parametrize("order", ["C", "F"])
def test_x_runs_right_and_y_runs_down(channels, mode, order):
    array = np.random.default_rng(0).integers(0, 256, (5, 3, *channels), dtype=np.uint8)
    picture = upright(np.asarray(array, order=order))
    assert (picture.mode, picture.size) == (mode, (5, 3))
    for x in range(5):
        for y in range(3):
            assert np.all(picture.getpixel((x, y)) == array[x, y])


def test_the_picture_is_a_copy():
    array = np.zeros((4, 4), np.uint8, order="F")
    picture = upright(array)
    array[:] = 9
    assert picture.getextrema() == (0, 0)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, np.float32, np.float64])
def test_values_that_fit_8_bits(dtype):
    assert upright(np.array([[0, 100]], dtype=dtype)).getpixel((0, 1)) == 100
    assert upright(np.array([[0.0, 99.9]])).getpixel((0, 1)) == 99


def test_bool_is_black_and_white():
    assert upright(np.array([[True, False]])).getpixel((0, 0)) == 255


@pytest.mark.parametrize(
    "array", [np.array([[0, 256]]), np.array([[-1, 0]]), np.array([[np.nan]]), np.array([[0, 4000]], np.uint16)]
)
def test_values_beyond_8_bits_are_refused(array):
    with pytest.raises(ArgumentError, match="values from 0 to 255"):
        upright(array)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 4, 4), (0, 4), ()])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ArgumentError, match="a picture needs an array of shape"):
        upright(np.zeros(shape, np.uint8))


def test_text_is_refused():
    with pytest.raises(ArgumentError, match="numbers from 0 to 255"):
        upright(np.array([["a"]]))


def test_as_rgba():
    assert as_rgba(np.full((2, 2), 7)).getpixel((0, 0)) == (7, 7, 7, 255)
    given = Image.new("RGBA", (2, 2))
    assert as_rgba(given) is not given
    assert as_rgba(Image.new("L", (3, 2), 5)).getpixel((0, 0)) == (5, 5, 5, 255)


def test_from_rgba_pixels_takes_any_memory_order():
    pixels = np.arange(6 * 4, dtype=np.uint8).reshape(2, 3, 4)
    packed = pixels.view(np.uint32)[:, :, 0]
    for array in (packed, np.asfortranarray(packed)):
        np.testing.assert_array_equal(np.asarray(from_rgba_pixels(array)), pixels)
