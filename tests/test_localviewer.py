"""The viewer of this machine: its state, and the voxels it hands out, over loopback."""

from __future__ import annotations

import io
import json
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from imageryclient.cutout import Cutout
from imageryclient.errors import MissingExtraError
from imageryclient.geometry import Box
from imageryclient.neuroglancer.states import parse_state
from imageryclient.section import Section
from imageryclient.sectioncutout import SectionCutout

RNG = np.random.default_rng(1)
AT = (8.0, 8.0, 40.0)
START, STOP = (100, 50, 7), (140, 80, 13)
IMAGE = RNG.integers(0, 256, (40, 30, 6), dtype=np.uint8)
IDS = RNG.integers(2**60, 2**60 + 5, (40, 30, 6)).astype(np.uint64)
SOURCES = {"imagery": "precomputed://gs://bucket/em", "segmentation": "/no/such/folder"}


@pytest.fixture
def neuroglancer() -> Iterator[Any]:
    package = pytest.importorskip("neuroglancer")
    yield package
    package.stop()


def fetched(viewer: Any, name: str, start: str, end: str) -> tuple[dict[str, Any], np.ndarray]:
    """What the browser gets of a layer: its description, and a block of its voxels."""
    token = viewer.state.layers[name].source[0].url.rsplit("/", 1)[1]
    base = str(viewer).split("/v/")[0] + "/neuroglancer"
    with urllib.request.urlopen(f"{base}/info/{token}", timeout=10) as answer:
        info = json.load(answer)
    with urllib.request.urlopen(f"{base}/npz/{token}/1,1,1/{start}/{end}", timeout=10) as answer:
        return info, np.load(io.BytesIO(zlib.decompress(answer.read())))


def test_a_viewer_shows_the_cutout_over_its_sources(neuroglancer: Any) -> None:
    cut = Cutout(IMAGE, IDS, Box(START, STOP, AT), sources=SOURCES)
    viewer = cut.view(palette="tab10", alpha=0.4, display_range=(200, 20))
    assert str(viewer).startswith("http://127.0.0.1:")
    view = parse_state(viewer.state.to_json())
    assert [layer.name for layer in view.layers] == ["imagery", "imagery (cutout)", "segmentation (cutout)"]
    under, image, segments = view.layers
    assert under.sources == ("precomputed://gs://bucket/em",)
    assert under.contrast == image.contrast == (200, 20)
    assert image.opacity == 1
    assert segments.segments == tuple(cut.masks)
    assert segments.selected_alpha == 0.4
    assert set(segments.colors) == set(cut.masks)
    assert view.center == (960, 520, 400)
    for name, array in (("imagery (cutout)", IMAGE), ("segmentation (cutout)", IDS)):
        info, block = fetched(viewer, name, "3,2,1", "9,8,4")
        assert np.array_equal(block, array[3:9, 2:8, 1:4])
        assert block.dtype == array.dtype
        assert [int(n) for n in info["voxelOffset"]] == list(START)
        assert [round(info["coordinateSpace"][axis][0] * 1e9, 6) for axis in "xyz"] == list(AT)


def test_a_section_lies_where_it_was_cut(neuroglancer: Any) -> None:
    section = Section((1000.0, 900.0, 800.0), (40, 30), 8.0, (0.6, 0.0, 0.0, 0.8))
    viewer = SectionCutout(IMAGE[:, :, 0], None, section).view()
    view = parse_state(viewer.state.to_json())
    assert (view.center, view.orientation) == (section.center, section.orientation)
    (layer,) = view.layers
    (placement,) = layer.placements
    assert placement.transform is not None
    at = np.array([5.5, 7.5, 0.5]) * 8  # of pixel (5, 7), in nm of the volume
    where = placement.transform[:, :3] @ at + placement.transform[:, 3]
    assert np.allclose(where, section.points((slice(5, 6), slice(7, 8)))[0])
    _, block = fetched(viewer, "imagery (cutout)", "0,0,0", "40,30,1")
    assert np.array_equal(block, IMAGE[:, :, :1])


@pytest.mark.parametrize("dtype", ["bool", "float16", ">u2"])
def test_voxels_of_kinds_that_a_viewer_does_not_know(neuroglancer: Any, dtype: str) -> None:
    cut = Cutout((IMAGE > 90).astype(dtype), None, Box(START, STOP, AT))
    info, block = fetched(cut.view(), "imagery (cutout)", "0,0,0", "40,30,6")
    assert info["dataType"] in ("uint8", "float32", "uint16")
    assert np.array_equal(block, IMAGE > 90)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    with pytest.raises(MissingExtraError, match=r"imageryclient\[neuroglancer\]"):
        Cutout(IMAGE, None, Box(START, STOP, AT)).view()
