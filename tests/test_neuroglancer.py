"""Neuroglancer's links, states and colours, read as the viewer reads them."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.errors import ArgumentError
from imageryclient.neuroglancer.colors import segment_colors
from imageryclient.neuroglancer.links import make_link, parse_link
from imageryclient.neuroglancer.states import parse_state

ID = 864691135341362885
DIMENSIONS = {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}
STATE: dict[str, Any] = {
    "dimensions": DIMENSIONS,
    "position": [240640.5, 207872.25, 21360.5],
    "crossSectionScale": 1.5,
    "crossSectionOrientation": [0, 0, 1, 1],
    "layout": {"type": "xy-3d", "orthographicProjection": True},
    "layers": [
        {
            "type": "image",
            "name": "em 100%",
            "source": {"url": "precomputed://gs://bucket/em", "subsources": {"default": True}},
            "shaderControls": {"normalized": {"range": [200, 50]}},
        },
        {
            "type": "segmentation",
            "name": "seg",
            "source": ["graphene://middleauth+https://example.org/segmentation/table/t", {"url": "precomputed://x"}],
            "segments": [str(ID), "!7", str(2**64 - 1)],
            "segmentColors": {str(ID): "#ff0000"},
            "segmentDefaultColor": "#00ff00",
            "colorSeed": 4294967295,
            "selectedAlpha": 0.25,
            "notSelectedAlpha": 0.1,
            "saturation": 0.5,
            "ignoreNullVisibleSet": False,
            "timestamp": 1700000000,
        },
        {"type": "annotation", "name": "synapses", "source": "local://annotations", "visible": False},
    ],
}


@pytest.mark.parametrize("site", ["https://neuroglancer-demo.appspot.com/", "https://spelunker.cave-explorer.org"])
@pytest.mark.parametrize(
    "write",
    [
        lambda state: json.dumps(state),
        lambda state: quote(json.dumps(state)),
        lambda state: quote(json.dumps(state), safe='{}":,[]'),
        lambda state: json.dumps(state, indent=1, ensure_ascii=False),
    ],
)
def test_a_state_within_a_link_is_read_percent_encoded_or_raw(site: str, write: Any) -> None:
    link = parse_link(f"{site}#!{write(STATE)}")
    assert link.state == STATE
    assert link.site == site.rstrip("/")


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("https://v.org/#!gs://bucket/states/one.json", "gs://bucket/states/one.json"),
        ("https://v.org/#!https://s.org/one.json", "https://s.org/one.json"),
        (
            "https://v.org/#!middleauth+https://global.org/nglstate/api/v1/4567",
            "middleauth+https://global.org/nglstate/api/v1/4567",
        ),
        (
            "https://v.org/#!middleauth%2Bhttps%3A//global.org/nglstate/api/v1/4",
            "middleauth+https://global.org/nglstate/api/v1/4",
        ),
        ("https://v.org/?json_url=https://global.org/nglstate/4567", "https://global.org/nglstate/4567"),
        ("https://v.org/?json_url=https%3A%2F%2Fglobal.org%2Fnglstate%2F45", "https://global.org/nglstate/45"),
        ("https://global.org/nglstate/api/v1/4567", "https://global.org/nglstate/api/v1/4567"),
        ("https://s.org/one.json", "https://s.org/one.json"),
    ],
)
def test_a_link_may_name_where_its_state_is_stored(link: str, address: str) -> None:
    found = parse_link(link)
    assert (found.state, found.state_url) == (None, address)


@pytest.mark.parametrize(
    "link",
    ["", "   ", 5, None, "https://v.org/", "https://v.org/#!", "https://v.org/#!{\"layers\": [", "gs://bucket/em",
     "https://v.org/#!nothing", "[1, 2]", "https://v.org/#![1,2]"],
)  # fmt: skip
def test_what_is_no_link_gives_one_clear_error(link: Any) -> None:
    with pytest.raises(ArgumentError, match=r"link|state"):
        parse_link(link)


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(0, 2**64 - 1), st.lists(st.text())), max_size=4))
def test_a_link_made_is_the_link_read(state: dict[str, Any]) -> None:
    assert parse_link(make_link(state, "https://v.org/")).state == state


def test_a_state_says_place_field_layers_ids_and_contrast() -> None:
    view = parse_state(STATE)
    assert view.center == (962562.0, 831489.0, 854420.0)
    assert view.voxel_size == (4.0, 4.0, 40.0)
    assert view.position == (240640.5, 207872.25, 21360.5)
    assert view.nm_per_pixel == 6.0
    assert view.orientation == pytest.approx((0, 0, math.sqrt(0.5), math.sqrt(0.5)))
    assert view.layout == "xy-3d"
    em, seg, synapses = view.layers
    assert (em.kind, em.name, em.sources, em.contrast) == (
        "image", "em 100%", ("precomputed://gs://bucket/em",), (200.0, 50.0)
    )  # fmt: skip
    assert seg.sources == ("graphene://middleauth+https://example.org/segmentation/table/t", "precomputed://x")
    assert seg.segments == (ID, 2**64 - 1)
    assert seg.listed == (7,)
    assert dict(seg.colors) == {ID: "#ff0000"}
    assert (seg.default_color, seg.color_seed) == ("#00ff00", 2**32 - 1)
    assert (seg.selected_alpha, seg.unselected_alpha, seg.saturation, seg.hides_all) == (0.25, 0.1, 0.5, True)
    assert seg.timestamp == 1700000000
    assert (synapses.kind, synapses.shown) == ("annotation", False)
    assert view.layer("segmentation") is seg
    assert view.layer("annotation") is None
    with pytest.raises(ArgumentError, match="it has 'seg'"):
        view.layer("segmentation", "other")


def test_older_states_are_read_alike() -> None:
    view = parse_state(
        {
            "navigation": {
                "pose": {
                    "position": {"voxelSize": [4, 4, 40], "voxelCoordinates": [240640.5, 207872.25, 21360.5]},
                    "orientation": [0, 0, 0, 2],
                },
                "zoomFactor": 6,
            },
            "layers": [{"type": "segmentation_with_graph", "name": "s", "source": "graphene://https://e.org/t",
                        "segments": [str(ID)], "hiddenSegments": ["9"]}],
        }
    )  # fmt: skip
    assert view.center == (962562.0, 831489.0, 854420.0)
    assert (view.nm_per_pixel, view.orientation) == (6.0, (0, 0, 0, 1))
    assert (view.layers[0].kind, view.layers[0].segments, view.layers[0].listed) == ("segmentation", (ID,), (9,))


@pytest.mark.parametrize(
    ("dimensions", "voxel_size"),
    [
        ({"x": [8, "nm"], "y": [8, "nm"], "z": [0.033, "um"]}, (8.0, 8.0, 33.0)),
        ({"t": [1, "s"], "z": [3.3e-8, "m"], "y": [1.6e-8, "m"], "x": [8e-9, "m"]}, (8.0, 16.0, 33.0)),
    ],
)
def test_dimensions_have_units_and_any_order(dimensions: dict[str, Any], voxel_size: tuple[float, ...]) -> None:
    place = dict(zip("xyzt", (10, 20, 30, 5), strict=True))
    view = parse_state({"dimensions": dimensions, "position": [place[axis] for axis in dimensions]})
    assert view.voxel_size == voxel_size
    assert view.position == (10, 20, 30)
    assert view.nm_per_pixel == 8.0  # a missing scale is 1


def test_a_transform_counts_lengths_but_for_its_shift() -> None:
    transform = {
        "inputDimensions": {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]},
        "outputDimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
        "matrix": [[1, 0, 0, 10], [0, -1, 0, 20], [0, 0, 1, 3]],
    }
    state = {**STATE, "layers": [{"type": "image", "source": {"url": "precomputed://x", "transform": transform}}]}
    layer = parse_state(state).layers[0]
    (placement,) = layer.placements
    assert placement.voxel_size == (8.0, 8.0, 40.0)
    assert placement.transform is not None
    assert placement.transform.tolist() == [[1, 0, 0, 40], [0, -1, 0, 80], [0, 0, 1, 120]]
    transform["matrix"] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert parse_state(state).layers[0].placements[0].transform is None


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ({"source": "graphene://https://e.org/t"}, "segmentation"),
        ({"type": "auto", "source": "precomputed://x", "segments": ["1"]}, "segmentation"),
        ({"type": "auto", "source": "precomputed://x", "shader": "void main() {}"}, "image"),
        ({"type": "mesh", "source": "x"}, "other"),
        ({}, "other"),
    ],
)
def test_a_layer_without_a_type_is_told_by_its_fields(layer: dict[str, Any], kind: str) -> None:
    assert parse_state({**STATE, "layers": [layer]}).layers[0].kind == kind


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"dimensions": {}}, "dimensions"),
        ({"dimensions": {"x": [1, "parsec"], "y": [1, "nm"], "z": [1, "nm"]}}, "dimensions.x"),
        ({"position": None}, "position"),
        ({"position": [1, 2]}, "position"),
        ({"position": [1, 2, "three"]}, "position"),
        ({"crossSectionOrientation": [0, 0, 0, 0]}, "crossSectionOrientation"),
        ({"layers": [{"type": "segmentation", "segments": ["1e18"]}]}, "segment"),
        ({"layers": [{"type": "segmentation", "segments": [str(2**64)]}]}, "segment"),
        ({"layers": ["seg"]}, r"layers\[0\]"),
        ({"layers": "seg"}, "layers"),
    ],
)
def test_a_state_that_makes_no_sense_names_the_field(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        parse_state({**STATE, **change})


def same(one: Any, other: Any) -> bool:
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.allclose(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == pytest.approx(other)) if isinstance(one, float) else bool(one == other)


def test_a_view_is_written_as_the_state_it_is_read_from() -> None:
    transform = {
        "inputDimensions": {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]},
        "outputDimensions": {"x": [1e-9, "m"], "y": [1e-9, "m"], "z": [1e-9, "m"]},
        "matrix": [[1, 0, 0, 10], [0, -1, 0, 20], [0.5, 0, 1, 3]],
    }
    moved = {"type": "image", "name": "moved", "source": {"url": "precomputed://x", "transform": transform}}
    view = parse_state({**STATE, "layers": [*STATE["layers"], moved]})
    state = view.to_state()
    assert json.loads(json.dumps(state)) == state
    assert all(isinstance(i, str) for i in state["layers"][1]["segments"])
    assert same(parse_state(state), view)


def hashed(segment: int, seed: int) -> tuple[int, int, int]:
    """Neuroglancer's colour of one id in Python integers, as docs of its hash function say."""

    def turn(value: int, bits: int) -> int:
        return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF

    state = seed
    for part in (segment & 0xFFFFFFFF, segment >> 32):
        mixed = turn(part * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF
        state = (turn(state ^ mixed, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    hue, saturation = (state & 255) / 255, 0.5 + 0.5 * (state >> 8 & 255) / 255
    base = (abs(6 * hue - 3) - 1, 2 - abs(6 * hue - 2), 2 - abs(6 * hue - 4))
    red, green, blue = (
        math.floor(255 * float(np.float32((min(max(c, 0), 1) - 1) * saturation + 1)) + 0.5) for c in base
    )
    return red, green, blue


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(0, 2**32 - 1))
def test_colours_follow_the_hash(ids: list[int], seed: int) -> None:
    painted = segment_colors(np.array(ids, np.uint64), seed)
    assert painted.shape == (len(ids), 3)
    assert painted.tolist() == [list(hashed(i, seed)) for i in ids]


def test_a_layers_own_colours_go_first() -> None:
    painted = segment_colors([ID, 5], colors={ID: "#01020380"}, default="#0a0b0c")
    assert painted.tolist() == [[1, 2, 3], [10, 11, 12]]


def test_the_palette_colours_ids_wherever_they_appear() -> None:
    ids = np.array([[ID, 5, 0], [5, 2**64 - 1, ID]], np.uint64)
    picture = np.asarray(ic.composite_overlay(ids, palette="neuroglancer:12", alpha=1))
    for x, y in np.ndindex(ids.shape):
        expected = (*hashed(int(ids[x, y]), 12), 255) if ids[x, y] else (0, 0, 0, 0)
        assert tuple(picture[y, x]) == expected
    alone = ic.discrete_colors({ID: None}, palette="neuroglancer")
    assert np.round(255 * np.array(alone[ID])).astype(int).tolist() == [8, 255, 77]
    assert ic.discrete_colors({5: 0, ID: 0}, palette="neuroglancer")[ID] == alone[ID]
    for wrong in ("neuroglancer:x", f"neuroglancer:{2**32}"):
        with pytest.raises(ArgumentError, match="seed"):
            ic.discrete_colors({1: 0}, palette=wrong)
    with pytest.raises(ArgumentError, match="mapping"):
        ic.discrete_colors(3, palette="neuroglancer")
