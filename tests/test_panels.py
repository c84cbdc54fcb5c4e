"""The geometry of panels beside rules that say where things must lie."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError
from imageryclient.painting.panels import Panels, panel_letters

lengths = st.integers(1, 60)
sizes = st.lists(st.tuples(lengths, lengths), min_size=1, max_size=9)
aligns = st.sampled_from([f"{a} {b}" for a in ("upper", "middle", "lower") for b in ("left", "middle", "right")])


@st.composite
def layouts(draw):
    given_sizes = draw(sizes)
    words = draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20)), min_size=9, max_size=9))
    headings = [(w, h) if w and h else (0, 0) for w, h in words[: len(given_sizes)]]
    columns = draw(st.one_of(st.none(), st.integers(1, 5)))
    return Panels.arranged(
        given_sizes,
        draw(st.none() if columns else st.one_of(st.none(), st.integers(1, 5))),
        columns,
        direction=draw(st.sampled_from(["horizontal", "vertical"])),
        spacing=draw(st.integers(0, 12)),
        align=draw(aligns),
        headings=headings,
    )


def cell(panels, n):
    """Column and row of a panel: every place listed in the order they are filled."""
    if panels.direction == "horizontal":
        places = [(column, row) for row in range(panels.rows) for column in range(panels.columns)]
    else:
        places = [(column, row) for column in range(panels.columns) for row in range(panels.rows)]
    return places[n]


@given(layouts())
def test_panels_and_headings_lie_within_and_apart(panels) -> None:
    width, height = panels.size
    drawn = [spot for spot in (*panels.spots, *panels.heads) if spot.width and spot.height]
    for spot in drawn:
        assert spot.left >= 0
        assert spot.left + spot.width <= width
        assert spot.top >= 0
        assert spot.top + spot.height <= height
    for a, b in itertools.combinations(drawn, 2):
        beside = a.left + a.width <= b.left or b.left + b.width <= a.left
        apart = a.top + a.height <= b.top or b.top + b.height <= a.top
        assert beside or apart


@given(layouts())
def test_rows_and_columns_are_as_large_as_they_must_be_and_no_larger(panels) -> None:
    count = len(panels.sizes)
    assert panels.rows * panels.columns >= count
    wide, high, above = [0] * panels.columns, [0] * panels.rows, [0] * panels.rows
    for n in range(count):
        column, row = cell(panels, n)
        wide[column] = max(wide[column], panels.sizes[n][0], panels.headings[n][0])
        high[row] = max(high[row], panels.sizes[n][1])
        above[row] = max(above[row], panels.headings[n][1])
    assert panels.size == (
        sum(wide) + panels.spacing * (panels.columns - 1),
        sum(high) + sum(above) + panels.spacing * (panels.rows - 1),
    )
    vertical, horizontal = panels.align.split()
    for n, spot in enumerate(panels.spots):
        column, row = cell(panels, n)
        left = sum(wide[:column]) + column * panels.spacing
        top = sum(high[:row]) + sum(above[: row + 1]) + row * panels.spacing
        spare_x, spare_y = wide[column] - spot.width, high[row] - spot.height
        assert (spot.width, spot.height) == panels.sizes[n]
        assert spot.left - left == {"left": 0, "middle": spare_x // 2, "right": spare_x}[horizontal]
        assert spot.top - top == {"upper": 0, "middle": spare_y // 2, "lower": spare_y}[vertical]


@given(layouts())
def test_a_heading_sits_on_its_panel(panels) -> None:
    for n, (spot, head) in enumerate(zip(panels.spots, panels.heads, strict=True)):
        assert head.top + head.height == spot.top
        assert head.left <= spot.left
        assert head.left == spot.left or head.width > panels.widths[cell(panels, n)[0]] - spot.left


def test_one_row_or_one_column_unless_told() -> None:
    three = [(4, 4)] * 3
    assert [(p.rows, p.columns) for p in (Panels.arranged(three), Panels.arranged(three, direction="vertical"))] == [
        (1, 3),
        (3, 1),
    ]
    seven = [(4, 4)] * 7
    assert (Panels.arranged(seven, rows=2).columns, Panels.arranged(seven, columns=3).rows) == (4, 3)
    assert Panels.arranged(seven, rows=2, columns=5).size == (20, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 2, "columns": 3}, "2 rows of 3 columns have no place for 7 images"),
        ({"rows": 0}, "rows must be a whole number, from 1; got 0"),
        ({"columns": 2.5}, "columns must be a whole number, from 1; got 2.5"),
        ({"align": "left"}, "such as 'upper left'"),
        ({"align": "left upper"}, "such as 'upper left'"),
        ({"spacing": "wide"}, "whole number of pixels"),
    ],
)
def test_what_makes_no_figure(options, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        Panels.arranged([(4, 4)] * 7, **options)


def test_letters() -> None:
    assert panel_letters(True, 3) == panel_letters("A", 3) == ("A", "B", "C")
    assert panel_letters("(a)", 2) == ("(a)", "(b)")
    assert panel_letters("1.", 11)[-1] == "11."
    assert panel_letters("a", 54)[25:28] + panel_letters("A", 703)[701:] == ("z", "aa", "ab", "ZZ", "AAA")
    assert panel_letters(False, 2) == panel_letters(None, 2) == ("", "")
    assert panel_letters(["left", None], 2) == ("left", "")
    with pytest.raises(ArgumentError, match="such as 'A'"):
        panel_letters("b", 2)
    with pytest.raises(ArgumentError, match="3 images need as many letters; got 2"):
        panel_letters(["a", "b"], 3)
