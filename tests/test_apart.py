"""One section painted by itself, beside the same one painted with all the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imageryclient import Box, Cutout
from imageryclient.errors import ArgumentError

RNG = np.random.default_rng(8)
IMAGE = RNG.integers(0, 4000, (30, 24, 6), dtype=np.uint16)
IDS = np.kron(RNG.integers(2**53, 2**64, (6, 6, 3), dtype=np.uint64), np.ones((5, 4, 2), np.uint64)).astype(np.uint64)
CUT = Cutout(IMAGE, IDS, Box((3, 5, 7), (33, 29, 13), (8.0, 10.0, 40.0)))


@pytest.mark.parametrize("plane", [None, "xy", "xz", "yz"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"palette": "tab10", "percentiles": (5, 80), "gamma": 0.7},
        {"colors": {int(IDS[0, 0, 0]): "red"}, "alpha": 0.6, "display_range": (100, 50)},
        {"colors": ["red", "blue", "green"] * 36, "outline": True},
        {"palette": "neuroglancer:3", "highlight": [int(IDS[9, 9, 3])], "zoom": 2},
        {"outline": True, "fill": 0.3, "smooth": True, "width_nm": 20, "background": "white"},
        {"legend": {int(IDS[9, 9, 3]): "one"}, "zoom": 8, "scale_bar": True},
    ],
)
def test_a_section_looks_as_it_does_among_the_others(plane: Any, options: dict[str, Any]) -> None:
    every = CUT.overlay(plane=plane, **options)
    assert isinstance(every, list)
    for number in (0, len(every) - 1):
        alone = CUT.overlay(plane=plane, section=number, **options)
        assert not isinstance(alone, list)
        assert alone.mode == every[number].mode
        assert np.array_equal(np.asarray(alone), np.asarray(every[number]))


def test_the_others_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Cutout(None, IDS, CUT.bounds)
    cut.overlay(section=2)
    cut.overlay(section=2, plane="xz")
    assert cut._repr_png_() is not None
    assert "masks" not in vars(cut)
    cut.overlay(section=2, palette="tab10")
    assert "masks" in vars(cut)


@pytest.mark.parametrize("section", [-1, 6, 1.5, "a"])
def test_a_section_that_is_not_there_is_refused(section: Any) -> None:
    with pytest.raises(ArgumentError, match=r"there are 6 sections, counted from 0"):
        CUT.overlay(section=section)
