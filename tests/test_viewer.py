"""Neuroglancer links opened against the demo server, and the links cutouts give."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

import imageryclient as ic
from conftest import Stack
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.errors import AccessError, ArgumentError, FormatError, NotFoundError, OutOfBoundsError
from imageryclient.neuroglancer.links import parse_link
from imageryclient.neuroglancer.states import parse_state
from imageryclient.viewer import read_view

VIEWER = "https://viewer.example.org"


def state_of(server: DemoServer, datastack: Stack, **more: Any) -> dict[str, Any]:
    """A view of the middle of the data: 8 nm a pixel, coordinates in 4 x 4 x 40 nm."""
    x, y, z = datastack.middle
    segmentation = f"graphene://middleauth+{server.url}/segmentation/table/{datastack.table}"
    return {
        "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
        "position": [2 * x, 2 * y, z + 0.5],
        "crossSectionScale": 2,
        "layers": [
            {"type": "image", "name": "em", "source": f"precomputed://{server.url}/data/imagery"},
            {"type": "segmentation", "name": "seg", "source": segmentation, "timestamp": datastack.late.timestamp()},
        ],
        **more,
    }


def test_a_link_gives_the_voxels_the_viewer_shows(server: Callable[..., DemoServer], datastack: Stack) -> None:
    running = server()
    link = f"{VIEWER}/#!{quote(json.dumps(state_of(running, datastack)))}"
    client, cut = ic.from_neuroglancer(link, size=(60, 40), auth_token=DEMO_TOKEN)
    x, y, z = datastack.middle
    start, stop = (x - 30, y - 20, z), (x + 30, y + 20, z + 1)
    assert (cut.bounds.start, cut.bounds.stop, cut.resolution) == (start, stop, datastack.fine)
    assert np.array_equal(cut.image, datastack.image(start, stop))
    assert np.array_equal(cut.segmentation, datastack.roots(start, stop, datastack.late.timestamp()))
    assert cut.timestamp == datastack.late
    assert client.resolution.tolist() == [4, 4, 40]


@pytest.mark.parametrize(
    ("layout", "turn", "plane", "shape"),
    [
        ("xy-3d", None, None, (60, 40, 1)),
        ("4panel", None, None, (60, 40, 1)),
        ("xz", None, None, (60, 1, 9)),
        ("yz-3d", None, None, (1, 40, 13)),
        ("xy", None, "xz", (60, 1, 9)),
        ("xy", [0.5**0.5, 0, 0, 0.5**0.5], None, (60, 1, 9)),  # about x: what xz shows
    ],
)
def test_panels_and_quarter_turns(
    server: Callable[..., DemoServer], datastack: Stack, layout: str, turn: Any, plane: Any, shape: tuple[int, ...]
) -> None:
    state = state_of(server(), datastack, layout=layout, **({"crossSectionOrientation": turn} if turn else {}))
    _, cut = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN, plane=plane)
    assert cut.shape == shape
    middle = [(a + b) / 2 for a, b in zip(cut.bounds.start, cut.bounds.stop, strict=True)]
    assert middle == pytest.approx([*datastack.middle[:2], datastack.middle[2] + 0.5], abs=0.51)
    assert np.array_equal(cut.image, datastack.image(cut.bounds.start, cut.bounds.stop))


def test_a_wide_field_is_read_at_a_coarser_scale(server: Callable[..., DemoServer], datastack: Stack) -> None:
    state = state_of(server(), datastack, crossSectionScale=4)
    _, cut = ic.from_neuroglancer(state, size=(30, 20), auth_token=DEMO_TOKEN)
    assert cut.mips == {"imagery": 2, "segmentation": 1}
    assert cut.shape == (30, 20, 1)
    assert np.array_equal(cut.image, datastack.image(cut.bounds.start, cut.bounds.stop, mip=2))


def test_selected_segments_are_those_cut_out(server: Callable[..., DemoServer], datastack: Stack) -> None:
    running = server()
    _, whole = ic.from_neuroglancer(state_of(running, datastack), size=(60, 40), auth_token=DEMO_TOKEN)
    chosen = [int(i) for i in whole.masks.ids[:2]]
    state = state_of(running, datastack)
    state["layers"][1]["segments"] = [*map(str, chosen), f"!{whole.masks.ids[2]}"]
    _, cut = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN)
    assert sorted(cut.masks.ids) == sorted(chosen)
    _, every = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN, root_ids="all")
    assert np.array_equal(every.segmentation, whole.segmentation)


def test_stored_states_are_fetched_with_the_token(
    server: Callable[..., DemoServer], cave: Callable[..., Any], datastack: Stack
) -> None:
    running = server()
    client = cave(running)
    number = client.state.upload_state_json(state_of(running, datastack))
    address = f"{running.url}/nglstate/api/v1/{number}"
    for link in (f"{VIEWER}/#!middleauth+{address}", f"{VIEWER}/?json_url={address}", address):
        assert read_view(link, auth_token=DEMO_TOKEN).position[2] == datastack.middle[2] + 0.5
        assert read_view(link, client=client).nm_per_pixel == 8
        with pytest.raises(AccessError):
            read_view(link)
    with pytest.raises(NotFoundError):
        read_view(f"{VIEWER}/#!middleauth+{running.url}/nglstate/api/v1/99999", auth_token=DEMO_TOKEN)
    _, cut = ic.from_neuroglancer(f"{VIEWER}/?json_url={address}", size=(20, 20), client=client)
    assert cut.shape == (20, 20, 1)


def test_a_state_in_a_file_is_read(server: Callable[..., DemoServer], datastack: Stack, tmp_path: Any) -> None:
    (tmp_path / "view.json").write_text(json.dumps(state_of(server(), datastack)))
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "page.json").write_text("<html>")
    with DemoServer(tmp_path) as files:
        address = f"{files.url}/data/view.json"
        assert read_view(f"{VIEWER}/#!{address}").voxel_size == (4.0, 4.0, 40.0)
        for name in ("list", "page"):
            with pytest.raises(FormatError):
                read_view(f"{VIEWER}/#!{files.url}/data/{name}.json")


def test_what_cannot_be_cut_out_is_said(server: Callable[..., DemoServer], datastack: Stack) -> None:
    running = server()
    with pytest.raises(ArgumentError, match="no imagery and no segmentation"):
        ic.from_neuroglancer(state_of(running, datastack, layers=[{"type": "annotation", "source": "local://a"}]))
    with pytest.raises(ArgumentError, match="size"):
        ic.from_neuroglancer(state_of(running, datastack), size=5, auth_token=DEMO_TOKEN)
    with pytest.raises(ArgumentError, match="plane"):
        ic.from_neuroglancer(state_of(running, datastack), plane="zz", auth_token=DEMO_TOKEN)  # type: ignore[arg-type]
    with pytest.raises(OutOfBoundsError):
        ic.from_neuroglancer(state_of(running, datastack, position=[1, 1, 1]), size=(5, 5), auth_token=DEMO_TOKEN)
    for source, words in (("boss://a/b", "boss"), ([], "names none")):
        state = state_of(running, datastack, layers=[{"type": "image", "name": "em", "source": source}])
        with pytest.raises(ArgumentError, match=f"layer 'em'.*{words}"):
            ic.from_neuroglancer(state)
    flat = {"outputDimensions": state_of(running, datastack)["dimensions"], "matrix": [[0, 0, 0, 5], *np.eye(4)[1:3]]}
    flat["matrix"] = [list(map(float, row)) for row in flat["matrix"]]
    source = {"url": f"precomputed://{running.url}/data/imagery", "transform": flat}
    with pytest.raises(ArgumentError, match="flat"):
        ic.from_neuroglancer(state_of(running, datastack, layers=[{"type": "image", "source": source}]))


def test_a_cutout_gives_a_link_that_leads_back_to_it(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], datastack: Stack
) -> None:
    cut = connect(server()).cutout(datastack.middle, size=(41, 30), root_ids="all")
    one = cut.masks.ids[0]
    link = cut.neuroglancer_url(VIEWER, resolution=datastack.viewer, colors={one: "red"}, contrast=(200, 20))
    assert link.startswith(f"{VIEWER}/#!%7B")
    view = parse_state(parse_link(link).state or {})
    assert view.voxel_size == datastack.viewer
    em, seg = view.layers
    assert em.contrast == (200, 20)
    assert set(seg.segments) == set(cut.masks.ids)
    assert seg.colors[one] == "#ff0000"
    assert set(seg.colors) == set(cut.masks.ids)  # as the picture has them
    assert seg.sources[0].startswith("graphene://middleauth+http")
    _, again = ic.from_neuroglancer(link, size=(41, 30), auth_token=DEMO_TOKEN)
    assert again.bounds == cut.bounds
    assert np.array_equal(again.image, cut.image)
    assert np.array_equal(again.segmentation, cut.segmentation)
    assert again.timestamp == cut.timestamp


def test_a_folder_has_no_link(datastack: Stack) -> None:
    cut = ic.ImageryClient(image_source=datastack.folder / "jpeg").cutout(bounds=[[30, 20, 9], [34, 24, 10]])
    with pytest.raises(ArgumentError, match="imageryclient serve FOLDER"):
        cut.neuroglancer_url()


def test_a_picture_of_a_view_looks_as_the_view(server: Callable[..., DemoServer], datastack: Stack) -> None:
    running = server()
    state = state_of(running, datastack)
    _, plain = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN)
    one, two = (int(i) for i in plain.masks.ids[:2])
    state["layers"][0]["shaderControls"] = {"normalized": {"range": [200, 20]}}
    state["layers"][1] |= {"segmentColors": {str(one): "#ff0000"}, "colorSeed": 7, "selectedAlpha": 0.25}
    _, cut = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN)
    same = {"palette": "neuroglancer:7", "colors": {one: "red"}, "alpha": 0.25, "display_range": (200, 20)}
    assert np.array_equal(np.asarray(cut.overlay()), np.asarray(plain.overlay(**same)))
    back = parse_state(parse_link(cut.neuroglancer_url()).state or {})
    em, seg = back.layers
    assert (em.contrast, seg.color_seed, seg.selected_alpha, dict(seg.colors)) == ((200, 20), 7, 0.25, {one: "#ff0000"})
    state["layers"][1] |= {"saturation": 0.5, "segments": [str(one)], "notSelectedAlpha": 0.1}
    _, faint = ic.from_neuroglancer(state, size=(60, 40), auth_token=DEMO_TOKEN, root_ids="all")
    assert faint.painting["alpha"][one] == 0.25
    assert faint.painting["alpha"][two] == 0.1
    assert faint.painting["colors"][one] == "#ff8080"


def test_a_link_carries_the_look_of_the_picture(
    server: Callable[..., DemoServer], connect: Callable[..., ic.ImageryClient], datastack: Stack
) -> None:
    cut = connect(server()).cutout(datastack.middle, size=(41, 30))
    link = cut.neuroglancer_url(palette="tab10", alpha=0.4, percentiles=(5, 95), gamma=0.5)
    view = parse_state(parse_link(link).state or {})
    em, seg = view.layers
    assert view.painting(dtype=cut.image.dtype)["display_range"] == pytest.approx(np.percentile(cut.image, (5, 95)))
    assert em.gamma == 0.5
    assert seg.selected_alpha == 0.4
    assert set(seg.colors) == set(cut.masks)
    painted = cut.overlay(palette="tab10", alpha=0.4, percentiles=(5, 95), gamma=0.5)
    assert np.array_equal(np.asarray(cut.overlay(**view.painting(dtype=cut.image.dtype))), np.asarray(painted))
