"""Turns: sections about an axis of their picture, against rotations written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError
from imageryclient.section import Section
from imageryclient.turning import turning_sections

AXES = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}
parts = st.floats(-1, 1).filter(lambda n: abs(n) > 0.01)


@given(
    turn=st.tuples(parts, parts, parts, parts),
    panel=st.sampled_from(["xy", "xz", "yz"]),
    axis=st.sampled_from("xyz"),
    degrees=st.floats(-400, 400).filter(lambda n: n % 360 != 0),
    frames=st.integers(2, 6),
)
def test_the_axes_of_the_picture_turn(turn: Any, panel: Any, axis: Any, degrees: float, frames: int) -> None:
    start = Section((10.0, 20.0, 30.0), (6, 4), 2.0, turn, panel)
    found = list(turning_sections(start, axis, degrees, frames))
    assert len(found) == frames
    first, second = AXES[axis]
    for number, section in enumerate(found):
        angle = np.radians(degrees * number / (frames - 1))
        local = np.eye(3)
        local[[first, second], [first, second]] = np.cos(angle)
        local[second, first], local[first, second] = np.sin(angle), -np.sin(angle)
        assert np.allclose(section.axes, start.axes @ local, atol=1e-9)
        assert (section.center, section.size, section.nm_per_pixel, section.panel) == (
            start.center, start.size, start.nm_per_pixel, panel,
        )  # fmt: skip


def test_whole_turns_go_round_without_a_halt() -> None:
    start = Section((0.0, 0.0, 0.0), (4, 4), 1.0)
    angles = [
        np.degrees(np.arctan2(one.normal[0], one.normal[2])) % 360 for one in turning_sections(start, "y", 360, 4)
    ]
    assert np.allclose(angles, [0, 90, 180, 270])
    assert len(list(turning_sections(start, "y", 90, 1))) == 1


@pytest.mark.parametrize("change", [{"axis": "w"}, {"degrees": np.nan}, {"frames": 0}, {"frames": 1.5}])
def test_what_makes_no_turn(change: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(change))):
        turning_sections(Section((0.0, 0.0, 0.0), (4, 4), 1.0), **change)
