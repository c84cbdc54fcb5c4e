from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imageryclient.errors import ArgumentError
from imageryclient.painting.figure import stack_images


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
