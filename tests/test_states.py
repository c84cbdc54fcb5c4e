"""States as they are found: of old viewers, with shaders, groups, transforms and axes of all kinds, and broken ones."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError, ImageryError
from imageryclient.neuroglancer.links import make_link, parse_link
from imageryclient.neuroglancer.states import parse_state

A, B, C = 864691135341362885, 720575940621039145, 2**64 - 1
NM = {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]}
PLACE: dict[str, Any] = {"dimensions": NM, "position": [30, 20, 4.5], "layout": "xy"}
CAVE = (
    "#uicontrol float black slider(min=0, max=1, default=0.2)\n#uicontrol float white slider(min=0, max=1, default=0.6)"
    "\nfloat rescale(float value) {\n  return (value - black) / (white - black);\n}\nvoid main() {\n"
    "  float val = toNormalized(getDataValue());\n  if (val < black) {\n    emitRGB(vec3(0,0,0));\n"
    "  } else if (val > white) {\n    emitRGB(vec3(1.0, 1.0, 1.0));\n  } else {\n    emitGrayscale(rescale(val));\n"
    "  }\n}\n"
)


def layer_of(**fields: Any) -> Any:
    return parse_state({**PLACE, "layers": [{"type": "image", "source": "precomputed://x", **fields}]}).layers[0]


def segments_of(**fields: Any) -> Any:
    return layer_of(type="segmentation", **fields)


# ---- links ------------------------------------------------------------------------------------------------------


def old_style(value: Any) -> str:
    """Write JSON as the oldest viewers did in links."""
    if isinstance(value, dict):
        return "{" + "_".join(f"{old_style(key)}:{old_style(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + "_".join(map(old_style, value)) + "]"
    if isinstance(value, str):
        swapped = value.translate(str.maketrans("'\"", "\"'"))
        return json.dumps(swapped).translate(str.maketrans("'\"", "\"'"))
    return json.dumps(value)


@pytest.mark.parametrize("encode", [str, quote])
def test_the_oldest_links_write_json_in_another_way(encode: Any) -> None:
    state = {"layers": {"em_1 & co": {"source": "precomputed://gs://a_b/c,d"}}, "list": [1, 2.5, None], "it": "isn't"}
    assert parse_link(f"https://v.org/#!{encode(old_style(state))}").state == state


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=8), st.integers(), st.none(), st.booleans())))
def test_whatever_they_held_is_read(state: dict[str, Any]) -> None:
    written = old_style({"first": 1, **state})
    assert parse_link(f"https://v.org/#!{quote(written)}").state == {"first": 1, **state}


def test_links_encoded_twice_and_links_that_add_to_a_view_are_read() -> None:
    text = quote(json.dumps(PLACE))
    for link in (f"https://v.org/#!{quote(text)}", f"https://v.org/#!+{text}", f" https://v.org/#!{text}\n"):
        assert parse_link(link).state == PLACE


def test_sites_go_by_name_or_address() -> None:
    assert make_link({}, "spelunker") == "https://spelunker.cave-explorer.org/#!%7B%7D"
    assert make_link({}, "google") == make_link({})
    assert make_link({}, "https://v.org/view/#!{}") == "https://v.org/view/#!%7B%7D"
    with pytest.raises(ArgumentError, match="'google' or 'spelunker'"):
        make_link({}, "splunker")


@pytest.mark.parametrize("text", ["{" * 100_000, '{"a":' * 100_000, '{"position": [' + "1" * 5000 + "]}", "{'a'_}"])
def test_what_is_too_deep_or_too_long_is_no_state(text: str) -> None:
    with pytest.raises(ArgumentError, match="not JSON"):
        parse_link(f"https://v.org/#!{text}")


# ---- place ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "nm"),
    [("m", 1e9), ("cm", 1e7), ("mm", 1e6), ("um", 1e3), ("µm", 1e3), ("μm", 1e3), ("nm", 1), ("pm", 1e-3)],
)
def test_lengths_have_any_prefix(unit: str, nm: float) -> None:
    view = parse_state({**PLACE, "dimensions": {axis: [4, unit] for axis in "xyz"}})
    assert view.voxel_size == (4 * nm,) * 3


def test_other_dimensions_stand_anywhere_in_the_position() -> None:
    dimensions = {"t": [1, "s"], "x": NM["x"], "c^": {"coordinates": [0], "labels": ["a"]}, "y": NM["y"], "z": NM["z"]}
    view = parse_state({**PLACE, "dimensions": dimensions, "position": [7, 30, 0, 20, 4.5], "displayDimensions": None})
    assert view.position == (30, 20, 4.5)
    assert view.displayed == (0, 1, 2)


@pytest.mark.parametrize(
    ("change", "right", "down"),
    [
        ({}, "x", "y"),
        ({"displayDimensions": ["y", "x", "z"]}, "y", "x"),
        ({"displayDimensions": ["z"]}, "z", "x"),
        ({"dimensions": {"z": NM["z"], "y": NM["y"], "x": NM["x"]}, "position": [4.5, 20, 30]}, "z", "y"),
        ({"displayDimensions": ["z", "x", "y"], "layout": "xz"}, "z", "y"),
    ],
)
def test_axes_are_displayed_in_the_order_of_the_state(change: dict[str, Any], right: str, down: str) -> None:
    view = parse_state({**PLACE, **change})
    section = view.section((40, 30))
    assert view.position == (30, 20, 4.5)
    expected = [[float(axis == one) for axis in "xyz"] for one in (right, down)]
    assert np.allclose(section.axes[:, :2].T, expected, atol=1e-12)
    again = parse_state(view.to_state()).section((40, 30))
    assert np.allclose(again.axes, section.axes)
    assert again.nm_per_pixel == section.nm_per_pixel


def test_of_rows_of_panels_the_first_counts_with_its_own_place_and_layers() -> None:
    first = {
        "type": "viewer", "layout": {"type": "xz"}, "layers": ["b"],
        "position": {"link": "unlinked", "value": [1, 2, 3]}, "crossSectionScale": {"link": "relative", "value": 2},
    }  # fmt: skip
    layout = {"type": "row", "children": [{"type": "column", "children": [first, {"type": "viewer", "layout": "xy"}]}]}
    layers = [{"type": "image", "name": name, "source": "precomputed://x"} for name in "ab"]
    view = parse_state({**PLACE, "layout": layout, "layers": layers})
    assert (view.layout, view.panel, view.position, view.nm_per_pixel) == ("xz", "xz", (1, 2, 3), 16)
    assert [layer.shown for layer in view.layers] == [False, True]


# ---- sources ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transform",
    [
        [[2, 0, 0, 80], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        [2, 0, 0, 80, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
        {"translation": [80, 0, 0], "scale": [2, 1, 1]},
        {"translation": [80, 0, 0], "scale": [-2, -1, 1], "rotation": [0, 0, 5, 0]},
    ],
)
def test_layers_of_the_older_viewer_move_by_nm(transform: Any) -> None:
    (placement,) = layer_of(transform=transform).placements
    assert placement.voxel_size is None
    assert placement.transform == pytest.approx(np.array([[2, 0, 0, 80], [0, 1, 0, 0], [0, 0, 1, 0]]))


def test_columns_of_a_matrix_are_axes_of_the_source_and_rows_those_of_the_view() -> None:
    turned = {"z": NM["z"], "y": NM["y"], "x": NM["x"]}
    moved = {"outputDimensions": turned, "matrix": [[0, 0, 1, 5], [0, 1, 0, 2], [1, 0, 0, 0]]}
    (placement,) = layer_of(source={"url": "precomputed://x", "transform": moved}).placements
    assert placement.transform.tolist() == [[1, 0, 0, 0], [0, 1, 0, 16], [0, 0, 1, 200]]
    own = {
        **moved,
        "matrix": [[1, 0, 0, 5], [0, 1, 0, 2], [0, 0, 1, 0]],
    }  # a zarr array has its axes in that order, too
    (placement,) = layer_of(source={"url": "zarr://x", "transform": own}).placements
    assert placement.transform.tolist() == [[1, 0, 0, 0], [0, 1, 0, 16], [0, 0, 1, 200]]
    named = {**own, "inputDimensions": turned}
    (placement,) = layer_of(source={"url": "precomputed://x", "transform": named}).placements
    assert placement.transform.tolist() == [[1, 0, 0, 0], [0, 1, 0, 16], [0, 0, 1, 200]]
    assert placement.voxel_size == (8, 8, 40)


def test_each_source_has_a_place_of_its_own() -> None:
    moved = {"outputDimensions": NM, "matrix": [[1, 0, 0, 10], [0, 1, 0, 0], [0, 0, 1, 0]]}
    layer = layer_of(source=["precomputed://x", {"url": "precomputed://mesh", "transform": moved}])
    assert layer.placements[0].transform is None
    assert layer.placements[1].transform[0, 3] == 80


# ---- looks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "dtype", "shown"),
    [
        ({}, "uint8", None),
        ({}, "uint16", (0, 65535)),
        ({}, "float32", (0, 1)),
        ({"shaderControls": {"normalized": {"window": [0, 100]}}}, "uint8", None),
        ({"shaderControls": {"normalized": {"range": ["200", "50"]}}}, "uint8", (200, 50)),
        ({"shaderControls": {"normalized": {"range": [100, 100]}}}, "uint8", (100, 100.5)),
        ({"shader": "#uicontrol invlerp normalized(range=[20, 90])\n"}, "uint8", (20, 90)),
        (
            {
                "shader": "#uicontrol invlerp contrast(range=[20, 90])\n",
                "shaderControls": {"contrast": {"range": [3, 4]}},
            },
            "uint8",
            (3, 4),
        ),
        ({"shader": CAVE}, "uint8", (51, 153)),
        ({"shader": CAVE, "shaderControls": {"white": 0.4}}, "uint16", (13107, 26214)),
        ({"shader": CAVE, "shaderControls": {"black": 0.8}}, "uint8", (204 - 255e-6, 204)),
    ],
)
def test_black_and_white_are_those_of_the_shader(fields: dict[str, Any], dtype: str, shown: Any) -> None:
    state = {**PLACE, "layers": [{"type": "image", "source": "precomputed://x", **fields}]}
    view = parse_state(state)
    found = view.painting(dtype=dtype).get("display_range")
    assert found == (None if shown is None else pytest.approx(shown))
    assert parse_state(view.to_state()).painting(dtype=dtype).get("display_range") == found


@pytest.mark.parametrize(
    ("segments", "shown", "listed"),
    [
        ([str(A), f"!{B}"], (A,), (B,)),
        ([f"!{A}", str(A)], (A,), ()),  # shown if it is shown once
        ([A, C], (A, C), ()),  # numbers, as some write them
        (None, (), ()),
    ],
)
def test_segments_are_shown_or_listed(segments: Any, shown: tuple[int, ...], listed: tuple[int, ...]) -> None:
    layer = segments_of(segments=segments)
    assert (layer.segments, layer.listed) == (shown, listed)


def test_ids_that_are_one_are_chosen_and_painted_together() -> None:
    groups = [[str(A), str(B)], ["7", "8"], ["8", "9"]]
    layer = segments_of(segments=[str(A), "9"], equivalences=groups, segmentColors={"7": "red", "8": "blue"})
    assert layer.equivalences == ((7, 8, 9), (B, A))
    assert layer.segments == (B, 7)
    assert sorted(layer.selected) == [7, 8, 9, B, A]
    view = parse_state({**PLACE, "layers": [{"type": "segmentation", "source": "x", "equivalences": groups}]})
    colors = view.painting([7, 8, 9, A, B])["colors"]
    assert colors[A] == "#" + ic.neuroglancer.colors.segment_colors([B])[0].tobytes().hex()
    assert parse_state(view.to_state()) == view


def test_layers_may_be_linked_to_the_segments_and_colours_of_another() -> None:
    lead = {"type": "segmentation", "name": "lead", "source": "x", "segments": [str(A)], "colorSeed": 5}
    follows = {"type": "segmentation", "name": "b", "source": "y", "linkedSegmentationGroup": "lead"}
    apart = {**follows, "name": "c", "linkedSegmentationColorGroup": False, "colorSeed": 2}
    _, both, ids_alone = parse_state({**PLACE, "layers": [lead, follows, apart]}).layers
    assert (both.segments, both.color_seed) == ((A,), 5)
    assert (ids_alone.segments, ids_alone.color_seed) == ((A,), 2)


@pytest.mark.parametrize(("said", "rgb"), [("rgba(255, 0, 0, 0.5)", (255, 0, 0)), ("rgb(0 255 0 / 50%)", (0, 255, 0)),
                                           ("hsl(240, 100%, 50%)", (0, 0, 255)), ("Red", (255, 0, 0))])  # fmt: skip
def test_colours_are_written_as_css_has_them(said: str, rgb: tuple[int, ...]) -> None:
    layer = segments_of(segmentColors={str(A): said}, segmentDefaultColor=said)
    painted = ic.neuroglancer.colors.segment_colors([A, B], colors=layer.colors, default=layer.default_color)
    assert painted.tolist() == [list(rgb)] * 2


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        ({"segments": str(A)}, "segments"),
        ({"segments": ["-5"]}, "segments"),
        ({"segments": ["٣"]}, "segments"),
        ({"segments": [True]}, "segments"),
        ({"segments": [1e18]}, "segments"),
        ({"segments": ["1" * 5000]}, "segments"),
        ({"equivalences": [5]}, "equivalences"),
        ({"segmentColors": {"x": "red"}}, "segmentColors"),
        ({"segmentColors": {"5": "rad"}}, r"segmentColors\.5"),
        ({"segmentDefaultColor": 5}, "segmentDefaultColor"),
        ({"colorSeed": -1}, "colorSeed"),
        ({"selectedAlpha": 2}, "selectedAlpha"),
        ({"selectedAlpha": 10**400}, "selectedAlpha"),
        ({"saturation": float("nan")}, "saturation"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"transform": [[1]]}, "transform"),
        ({"shaderControls": {"normalized": {"range": [1]}}}, "shaderControls.normalized.range"),
        ({"source": {"url": "x", "transform": {"matrix": [[1]], "outputDimensions": NM}}}, "matrix"),
        ({"source": {"url": "x", "transform": {"matrix": 5}}}, "outputDimensions"),
        ({"source": {"url": "x", "transform": "no"}}, "transform"),
    ],
)
def test_a_layer_that_makes_no_sense_names_the_field(layer: dict[str, Any], named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        segments_of(**layer)


# ---- broken ones ------------------------------------------------------------------------------------------------

FULL: dict[str, Any] = {
    **PLACE,
    "crossSectionScale": 1.5,
    "crossSectionOrientation": [0, 0.1, 0, 1],
    "displayDimensions": ["x", "y", "z"],
    "layout": {"type": "row", "children": [{"type": "viewer", "layout": "xy", "layers": ["em", "seg"]}]},
    "layers": [
        {
            "type": "image", "name": "em", "visible": True, "opacity": 0.4, "shader": CAVE,
            "source": {
                "url": "precomputed://em",
                "transform": {"matrix": [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0]],
                              "outputDimensions": NM, "inputDimensions": NM},
            },
            "shaderControls": {"normalized": {"range": [1, 2]}, "black": 0.1},
        },
        {
            "type": "segmentation", "name": "seg", "source": ["precomputed://seg", {"url": "precomputed://mesh"}],
            "segments": [str(A), f"!{B}"], "hiddenSegments": ["5"], "equivalences": [["7", "8"]], "colorSeed": 4,
            "segmentColors": {str(A): "#ff0000"}, "segmentDefaultColor": "#00ff00", "selectedAlpha": 0.3,
            "notSelectedAlpha": 0.1, "saturation": 0.5, "timestamp": 1700000000, "transform": {"scale": [1, 1, 2]},
        },
    ],
}  # fmt: skip
OLD: dict[str, Any] = {
    "navigation": {"pose": {"position": {"voxelSize": [8, 8, 40], "voxelCoordinates": [30, 20, 4.5]},
                            "orientation": [0, 0, 0, 1]}, "zoomFactor": 8},
    "layers": {"em": {"type": "image", "source": "precomputed://em"}, "seg": {"source": "precomputed://seg"}},
}  # fmt: skip
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [0, -1, 1e308, -1e308, 1e-308, 10**400, 2**64, "", "x", "m", "5", "-5", "!", "xy", "precomputed://x"]
    )
    | st.floats()
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyzt") | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths_of(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in items for path in [(*before, key), *paths_of(item, (*before, key))]]


def changed(state: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Give a state with another value at a place; `...` leaves it out."""
    state = json.loads(json.dumps(state))
    at = state
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return state


@st.composite
def broken_states(draw: st.DrawFn) -> Any:
    state = draw(st.sampled_from([FULL, OLD]))
    for _ in range(draw(st.integers(1, 2))):
        paths = paths_of(state)
        if paths:
            state = changed(state, draw(st.sampled_from(paths)), draw(st.just(...) | ANY))
    return state


@settings(max_examples=100)
@given(broken_states())
def test_a_broken_state_is_read_or_gives_one_clear_error(state: Any) -> None:
    try:
        view = parse_state(state)
        written = view.to_state()
    except ArgumentError:
        return
    json.dumps(written, allow_nan=False)
    again = parse_state(written)
    kept = [layer for layer in view.layers if layer.kind == "segmentation"]
    assert [layer.segments for layer in again.layers if layer.kind == "segmentation"] == [one.segments for one in kept]


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["dimensions", "position", "layers", "navigation", "layout"]) | st.text(), ANY))
def test_any_json_is_a_state_or_gives_one_clear_error(state: dict[str, Any]) -> None:
    with suppress(ArgumentError):
        parse_state(state)


@settings(max_examples=50)
@given(st.data())
def test_a_link_cut_off_or_garbled_gives_one_clear_error(data: st.DataObject) -> None:
    link = data.draw(
        st.sampled_from([make_link(FULL), f"https://v.org/#!{json.dumps(OLD)}", f"v.org/#!{old_style(OLD)}"])
    )
    at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(link))] * 2)))
    garbled = link[:at] + data.draw(st.text(max_size=3)) + link[end:]
    with suppress(ArgumentError):
        found = parse_link(garbled)
        if found.state is not None:
            parse_state(found.state)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(3)
    em = rng.integers(0, 256, (64, 40, 8), dtype=np.uint8)
    at = Layout(resolution=(8, 8, 40), encoding="raw")
    write_precomputed(folder / "em", [(em, at)], kind="image")
    write_precomputed(folder / "seg", [((em // 64).astype(np.uint64) + np.uint64(A), at)], kind="segmentation")
    return folder


def placed(state: Any, folder: Path) -> Any:
    text = json.dumps(state)
    for name in ("em", "seg"):
        text = text.replace(f'"precomputed://{name}"', json.dumps(f"precomputed://{(folder / name).as_uri()}"))
    return json.loads(text)


@settings(max_examples=40)
@given(state=broken_states())
def test_a_broken_link_is_cut_out_and_painted_or_gives_one_clear_error(folders: Path, state: Any) -> None:
    with suppress(ImageryError):
        _, cut = ic.from_neuroglancer(placed(state, folders), (12, 9), missing="fill", memory_limit=2**28)
        cut.overlay()


def test_what_a_layer_holds_is_told_by_its_data_where_nothing_else_does(folders: Path) -> None:
    _, cut = ic.from_neuroglancer(placed(OLD, folders), (12, 10))
    assert cut.shape == (12, 10, 1)
    assert cut.segmentation is not None
    assert cut.image is not None
    state = placed({**OLD, "layers": {"no": {"source": "precomputed://gone"}}}, folders)
    with pytest.raises(ArgumentError, match="'no'"):
        ic.from_neuroglancer(state)


@pytest.mark.parametrize(("layout", "size"), [("xz", (12, 10)), ("yz", (12, 10))])
def test_a_picture_shows_the_plane_of_the_panel(
    folders: Path, layout: str, size: tuple[int, int], tmp_path: Path
) -> None:
    state = placed({**OLD, "layout": layout}, folders)
    _, cut = ic.from_neuroglancer(state, size)
    picture = cut.overlay()
    assert not isinstance(picture, list)
    assert picture.size == (12 if layout == "xz" else 15, 15 if layout == "xz" else 10)  # whole voxels of 40 nm
    assert [file.name for file in cut.save(tmp_path / "view.png")] == ["view.png"]
    assert [file.name for file in cut.save(tmp_path / "view.svg")] == ["view.svg"]
    assert cut.as_view().layout == layout if cut.sources["imagery"].startswith("http") else True
    again, options = ic.redo(tmp_path / "view.png")
    assert np.array_equal(np.asarray(again.overlay(**options)), np.asarray(picture))


def test_others_that_are_seen_faintly_are_cut_out_too(folders: Path) -> None:
    looks = {"segments": [str(A)], "notSelectedAlpha": 0.1, "selectedAlpha": 0.4}
    layers = {**OLD["layers"], "seg": {"source": "precomputed://seg", **looks}}
    state = placed({**OLD, "layers": layers}, folders)
    _, cut = ic.from_neuroglancer(state, (40, 30))
    assert set(cut.masks) == {A, A + 1, A + 2, A + 3}
    assert cut.painting["alpha"] == {i: 0.4 if i == A else 0.1 for i in cut.masks}


def test_a_view_turned_by_a_right_angle_is_painted_as_the_viewer_shows_it(folders: Path) -> None:
    state = placed({**FULL, "crossSectionOrientation": [0, 0, 1, 0], "layers": FULL["layers"][1:]}, folders)
    del state["layers"][0]["transform"]
    for name in ("layout", "crossSectionScale"):
        state.pop(name)
    _, upright = ic.from_neuroglancer({**state, "crossSectionOrientation": None}, (12, 10), root_ids="all")
    _, turned = ic.from_neuroglancer(state, (12, 10), root_ids="all")
    assert np.array_equal(np.asarray(turned.overlay()), np.asarray(upright.overlay())[::-1, ::-1])
