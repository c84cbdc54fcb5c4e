"""Layers for napari, laid out by napari's rules as its documentation states them; napari itself is not needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, downsample_image, write_precomputed
from imageryclient.errors import ArgumentError, ScaleError
from imageryclient.lazy import napari_layers

pytest.importorskip("dask.array")
Connect = Callable[..., ic.ImageryClient]


def levels_of(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


def shown_at(layer: Any, nm: tuple[float, float, float], level: int = 0) -> Any:
    """What napari shows at a place (x, y, z) in nm: of the pixel whose centre is nearest."""
    data, options, _ = layer
    finest, array = levels_of(data)[0], levels_of(data)[level]
    index = (np.array(nm[::-1]) - options["translate"]) / options["scale"]
    factor = np.array(finest.shape[:3]) / array.shape[:3]
    return array[tuple(np.floor((index + 0.5) / factor).astype(int).tolist())].compute(scheduler="synchronous")


def test_layers_lie_where_their_voxels_are(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any, chunk_requests: Callable[..., list[str]]
) -> None:
    served = server()
    image, labels = napari_layers(connect(served))
    assert not chunk_requests(served)
    assert (image[2], labels[2]) == ("image", "labels")
    for data, options, _ in (image, labels):
        assert options["multiscale"]
        assert options["units"] == ("nm", "nm", "nm")
        assert options["axis_labels"] == ("z", "y", "x")
        assert options["scale"] == (40.0, 8.0, 8.0)
        fine, coarse = data
        assert fine.shape == (37, coarse.shape[1] * 2, coarse.shape[2] * 2)
    assert image[1]["contrast_limits"] == (0, 255)
    assert labels[1]["metadata"]["moment"] == datastack.late.isoformat()
    for x, y, z in ((200, 140, 24), (100, 60, 7), (304, 222, 30)):
        nm = (x * 8 + 3.0, y * 8 + 5.0, z * 40 + 10.0)
        assert shown_at(image, nm) == datastack.image((x, y, z), (x + 1, y + 1, z + 1))[0, 0, 0]
        assert shown_at(labels, nm) == datastack.roots((x, y, z), (x + 1, y + 1, z + 1))[0, 0, 0]
        half = (x // 2, y // 2, z)
        assert shown_at(image, nm, 1) == datastack.image(half, np.add(half, 1), mip=2)[0, 0, 0]
        assert shown_at(labels, nm, 1) == datastack.roots(half, np.add(half, 1), mip=1)[0, 0, 0]


def test_pictures_are_upright(server: Callable[..., DemoServer], connect: Connect, datastack: Any) -> None:
    client = connect(server(), segmentation=False)
    (layer,) = napari_layers(client, mips=[1])
    rows_and_columns = layer[0][5].compute(scheduler="synchronous")
    picture = client.cutout(bounds=[[100, 60, 12], [305, 223, 13]]).overlay(display_range=(0, 255)).convert("L")
    np.testing.assert_array_equal(rows_and_columns, np.asarray(picture))


def test_every_level_holds_the_same_box_whatever_its_bounds(tmp_path: Any) -> None:
    em = np.random.default_rng(2).integers(1, 255, (45, 29, 7), dtype=np.uint8)
    whole = np.zeros((56, 40, 8), np.uint8)
    whole[5:50, 6:35, 1:8] = em
    at = [((8, 8, 40), (1, 1, 1)), ((16, 16, 40), (2, 2, 1)), ((32, 32, 80), (4, 4, 2))]
    scales = [(em, Layout(resolution=(8, 8, 40), voxel_offset=(5, 6, 1)))]
    scales += [(downsample_image(whole, factor), Layout(resolution=nm)) for nm, factor in at[1:]]
    scales.append((whole[::3], Layout(resolution=(12, 8, 40))))
    folder = write_precomputed(tmp_path / "em", scales, kind="image")
    client = ic.ImageryClient(image_source=str(folder))
    ((data, options, _),) = napari_layers(client)
    assert [level.shape for level in data] == [(8, 32, 48), (8, 16, 24), (4, 8, 12)]
    assert options["translate"] == (20.0, 4 * 8 + 4.0, 4 * 8 + 4.0)
    np.testing.assert_array_equal(data[0].compute(scheduler="synchronous"), whole[4:52, 4:36].T)
    np.testing.assert_array_equal(data[2].compute(scheduler="synchronous"), scales[2][0][1:13, 1:9].T)
    with pytest.raises(ArgumentError, match="whole multiples"):
        napari_layers(client, mips=[0, 3])
    with pytest.raises(ArgumentError, match="one scale"):
        napari_layers(client, mips=[])
    with pytest.raises(ScaleError):
        napari_layers(client, mips=[7])


def test_colours_and_channels() -> None:
    rng = np.random.default_rng(3)
    colors = rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    ((data, options, _),) = napari_layers(ic.ImageryClient(image_source=colors, resolution=(8, 8, 40)))
    assert options["rgb"]
    assert not options["multiscale"]
    np.testing.assert_array_equal(data.compute(scheduler="synchronous"), colors.transpose(2, 1, 0, 3))
    stains = rng.integers(0, 999, (6, 5, 4, 2), dtype=np.uint16)
    layers = napari_layers(ic.ImageryClient(image_source=stains, resolution=(8, 8, 40)))
    assert [layer[1]["name"] for layer in layers] == ["imagery 0", "imagery 1"]
    np.testing.assert_array_equal(layers[1][0].compute(scheduler="synchronous"), stains[..., 1].T)
    assert "contrast_limits" not in layers[0][1]
