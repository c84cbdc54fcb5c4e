"""Records: what a file says, to JSON and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import imageryclient as ic
from imageryclient.coverage import Coverage
from imageryclient.errors import ArgumentError, FormatError
from imageryclient.files.record import Record
from imageryclient.files.turn import Turn
from imageryclient.geometry import Box
from imageryclient.neuroglancer.placement import Placement
from imageryclient.section import Section

AT = (8.0, 8.0, 40.0)
BOX = Box((10, 20, 30), (14, 25, 31), AT)
BIG = 864691135341362885  # no float holds it

corners = st.tuples(*[st.integers(-(2**50), 2**50)] * 3)
boxes = st.builds(
    lambda start, size, resolution: Box(start, tuple(a + b for a, b in zip(start, size, strict=True)), resolution),
    corners,
    st.tuples(*[st.integers(1, 2**20)] * 3),
    st.tuples(*[st.floats(1e-3, 1e6)] * 3),
)
ids = st.integers(0, 2**64 - 1)
digits = st.integers(-(2**70), 2**70).map(str)
plain = (
    st.text(st.characters(exclude_categories=["Cs"])) | digits | st.none() | st.booleans() | st.floats(-1e300, 1e300)
)
values = st.recursive(plain | ids, lambda inner: st.lists(inner) | st.dictionaries(ids, inner), max_leaves=6)


numbers = st.floats(-1e9, 1e9)
sections = st.builds(
    Section,
    st.tuples(*[numbers] * 3),
    st.tuples(*[st.integers(1, 5000)] * 2),
    st.floats(1e-3, 1e3),
    st.tuples(*[st.floats(0.125, 2)] * 4),
    st.sampled_from(["xy", "xz", "yz"]),
)
placements = st.builds(
    Placement,
    st.none() | st.tuples(*[st.floats(1e-3, 1e6)] * 3),
    st.none() | st.lists(numbers, min_size=12, max_size=12).map(lambda row: np.array(row).reshape(3, 4)),
)


turns = st.builds(
    Turn, st.sampled_from("xyz"), st.floats(-720, 720), st.floats(1, 100), st.floats(2, 100), st.booleans()
)


@st.composite
def records(draw: Any) -> Record:
    names = st.sampled_from(["imagery", "segmentation"])
    gaps = st.lists(boxes, max_size=3).map(tuple)
    place = draw(boxes | sections)
    about: dict[str, Any] = {}
    if isinstance(place, Section):
        about["shares"] = draw(st.dictionaries(names, st.floats(0, 1)))
        about["placements"] = draw(st.dictionaries(names, placements))
        about["resolution"] = draw(st.none() | st.tuples(*[st.floats(1e-3, 1e6)] * 3))
        about["turn"] = draw(st.none() | turns)
    else:
        about["coverage"] = draw(st.dictionaries(names, st.builds(Coverage, st.just(place), gaps, gaps)))
        about["taken_from"] = draw(st.lists(boxes, max_size=2).map(tuple))
    return Record(
        place=place,
        **about,
        sources=draw(st.dictionaries(names, st.text())),
        mips=draw(st.dictionaries(names, st.integers(0, 20))),
        root_ids=draw(st.none() | st.just("all") | st.lists(ids, max_size=5).map(tuple)),
        timestamp=draw(st.none() | st.datetimes(timezones=st.just(UTC))),
        painting=draw(st.dictionaries(st.text(), values, max_size=3)),
        unsaid=tuple(sorted(draw(st.sets(st.text(), max_size=2)))),
        link=draw(st.none() | st.text()),
        version=draw(st.text()),
    )


@given(records())
def test_a_record_comes_back_from_its_json(record: Record) -> None:
    text = record.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert Record.from_json(text) == record
    assert Record.from_json(json.dumps(json.loads(text), indent=1)) == record  # whoever wrote it anew


def test_ids_are_text_so_that_readers_with_floats_keep_them() -> None:
    record = Record(BOX, root_ids=(BIG, 7), painting={"colors": {BIG: "red"}, "highlight": [BIG, 7]})
    document = json.loads(record.to_json())
    assert document["root_ids"] == [str(BIG), "7"]
    assert document["painting"] == {"colors": {str(BIG): "red"}, "highlight": [str(BIG), 7]}
    lossy = json.dumps(json.loads(record.to_json(), parse_int=float))  # as JavaScript reads them
    assert str(BIG) in lossy


def test_what_options_json_cannot_hold_are_named() -> None:
    painting = {
        "palette": "tab10",
        "imagery": Image.new("L", (2, 2)),
        "alpha": np.float64(0.25),
        "width": np.int64(3),
        "colors": {np.uint64(BIG): (0.5, 1, 0), 7: np.array([0.25, 0.5, 1.0])},
        "shade": lambda x: x,
        "h": float("nan"),
        "by_name": {"a": 1},
        "raw": b"x",
        "length": np.array(3),
    }
    record = Record.from_json(Record(BOX, painting=painting).to_json())
    assert record.unsaid == ("by_name", "h", "imagery", "raw", "shade")
    assert record.painting == {
        "palette": "tab10",
        "alpha": 0.25,
        "width": 3,
        "length": 3,
        "colors": {BIG: [0.5, 1, 0], 7: [0.25, 0.5, 1.0]},
    }
    assert Record.from_json(record.to_json()) == record  # once more, and what was unsaid stays so


def test_moments_are_utc_whatever_zone_wrote_them() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert Record.from_json(Record(BOX, timestamp=noon).to_json()).timestamp == datetime(2024, 5, 1, 10, tzinfo=UTC)


def test_a_record_of_an_older_file_has_defaults() -> None:
    old = {"imageryclient": "2.0.0a0", "timestamp": None, "sources": {"imagery": "em"}, "mips": {"imagery": 1},
           "bounds": {"start": [10, 20, 30], "stop": [14, 25, 31], "resolution": [8, 8, 40]},
           "covered": {"imagery": 1.0}, "of the future": 1}  # fmt: skip
    assert Record.from_json(json.dumps(old)) == Record(BOX, {"imagery": "em"}, {"imagery": 1}, version="2.0.0a0")


@pytest.mark.parametrize(
    "change",
    [
        {"bounds": None},
        {"bounds": {"start": [1, 2], "stop": [3, 4], "resolution": [8, 8, 40]}},
        {"bounds": {"start": [1.5, 2, 3], "stop": [3, 4, 5], "resolution": [8, 8, 40]}},
        {"bounds": {"start": [1, 2, 3], "stop": [3, 4, 5], "resolution": [8, 0, 40]}},
        {"bounds": {"start": [1, 2, 3], "stop": [3, 4, 5]}},
        {"timestamp": "yesterday"},
        {"timestamp": 1.7e9},
        {"root_ids": "some"},
        {"root_ids": [BIG]},  # a number, which may have been through a float
        {"root_ids": 5},
        {"sources": ["em"]},
        {"sources": {"imagery": 5}},
        {"mips": {"imagery": "x"}},
        {"coverage": {"imagery": {}}},
        {"painting": {"colors": {"red": 1}}},
        {"imageryclient": ...},
    ],
)
def test_what_is_no_record_is_refused_with_its_name(change: dict[str, Any]) -> None:
    document = Record(BOX).to_dict() | change
    document = {key: value for key, value in document.items() if value is not ...}
    with pytest.raises(FormatError, match=r"figure\.png does not tell what was cut out"):
        Record.from_json(json.dumps(document), "figure.png")


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "[" * 100_000, '{"imageryclient": "2"}'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="does not tell"):
        Record.from_json(text)


SECTION = Section((80.0, 160.0, 1200.0), (30, 20), 8.0, (0.6, 0.0, 0.0, 0.8))


def test_a_section_has_a_place_and_no_bounds() -> None:
    record = Record(SECTION, {"imagery": "em"}, shares={"imagery": 0.75}, placements={"imagery": Placement(AT)})
    again = Record.from_json(record.to_json())
    assert again == record
    assert again.covered == {"imagery": 0.75}
    assert again.placements["imagery"] == Placement(AT) != Placement((8.0, 8.0, 41.0))
    assert record.describe().startswith("imagery (em), 30 x 20 pixels of 8 nm around (80, 160, 1200) nm")
    with pytest.raises(ArgumentError, match="no bounds"):
        _ = record.bounds


@pytest.mark.parametrize(
    "change",
    [
        {"section": None},
        {"section": {"center": [1, 2, 3]}},
        {"section": {"center": [1, 2], "size": [3, 3], "nm_per_pixel": 1, "orientation": [0, 0, 0, 1], "panel": "xy"}},
        {"placements": {"imagery": {"voxel_size": None, "transform": [[1, 0, 0]]}}},
        {"placements": {"imagery": {"voxel_size": [1, 2]}}},
        {"covered": {"imagery": "all"}},
        {"resolution": [8, 8]},
    ],
)
def test_what_is_no_record_of_a_section_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="does not tell what was cut out"):
        Record.from_json(json.dumps(Record(SECTION).to_dict() | change))


def test_texts_stay_texts_and_ids_ids() -> None:
    painting = {"labels": {BIG: str(BIG), 7: "7", 8: "a"}, "highlight": [BIG], "alpha": {BIG: 0.5, 7: 1}}
    record = Record.from_json(Record(BOX, painting=painting).to_json())
    assert record.painting == painting
    assert isinstance(record.painting["labels"][BIG], str)


def test_a_line_for_those_who_read_properties() -> None:
    record = Record(BOX, {"imagery": "em", "segmentation": "seg"}, timestamp=datetime(2024, 5, 1, 12, tzinfo=UTC))
    assert record.describe() == (
        "imagery (em) and segmentation (seg), 4 x 5 x 1 voxels of 8 x 8 x 40 nm from (10, 20, 30), "
        "at 2024-05-01 12:00:00 UTC"
    )
    assert record.version == ic.__version__
