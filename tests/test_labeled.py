"""xarray's arrays of volumes and cutouts: the voxels, and where they lie."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.server import DemoServer
from imageryclient.errors import ArgumentError, MissingExtraError
from imageryclient.lazy import cutout_to_xarray, image_data, segmentation_data

xr = pytest.importorskip("xarray")
pytest.importorskip("dask.array")
Connect = Callable[..., ic.ImageryClient]


@pytest.fixture(autouse=True)
def _one_after_another() -> Any:
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


def test_a_volume_knows_where_its_voxels_lie(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any, chunk_requests: Callable[..., list[str]]
) -> None:
    served = server()
    client = connect(served)
    image, labels = image_data(client, mip=2), segmentation_data(client)
    assert not chunk_requests(served)
    assert image.dims == labels.dims == ("x", "y", "z")
    assert (image.name, labels.name) == ("image", "segmentation")
    assert image.x.values[0] == (50 + 0.5) * 16
    assert image.x.attrs["units"] == "nm"
    assert image.attrs["source"] == client.image_source
    assert (image.attrs["mip"], image.attrs["resolution"], image.attrs["voxel_offset"]) == (
        2,
        [16, 16, 40],
        [50, 30, 7],
    )
    assert labels.attrs["moment"] == datastack.late.isoformat()
    x, y, z = 203 * 8 + 1, 140 * 8 + 7, 24 * 40 + 39
    there = labels.sel(x=x, y=y, z=z, method="nearest").compute()
    assert int(there) == int(datastack.roots((203, 140, 24), (204, 141, 25))[0, 0, 0])
    part = image.sel(x=slice(1000, 1300), y=slice(900, 999), z=960 + 20)
    np.testing.assert_array_equal(part.values, datastack.image((62, 56, 24), (81, 62, 25), mip=2)[..., 0])


def test_a_volume_is_a_source_again(server: Callable[..., DemoServer], connect: Connect, datastack: Any) -> None:
    client = connect(server())
    again = ic.ImageryClient(image_source=image_data(client), segmentation_source=segmentation_data(client))
    cut = again.cutout(datastack.middle, (30, 20, 3), resolution=datastack.fine)
    first = client.cutout(datastack.middle, (30, 20, 3))
    assert cut.bounds == first.bounds
    np.testing.assert_array_equal(cut.image, first.image)
    np.testing.assert_array_equal(cut.segmentation, first.segmentation)


def test_a_cutout_becomes_a_dataset_of_both_layers(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any
) -> None:
    client = connect(server())
    cut = client.cutout(bounds=[[290, 200, 30], [310, 223, 44]], missing="fill")
    made = cutout_to_xarray(cut)
    assert set(made.data_vars) == {"image", "segmentation"}
    assert np.shares_memory(made.image.values, cut.image)
    np.testing.assert_array_equal(made.segmentation.values, cut.segmentation)
    assert made.attrs == {"resolution": [8, 8, 40], "voxel_offset": [290, 200, 30]}
    assert made.image.attrs["covered"] == cut.coverage["imagery"].fraction < 1
    assert made.segmentation.attrs["moment"] == datastack.late.isoformat()
    np.testing.assert_allclose(made.y.values, (np.arange(200, 223) + 0.5) * 8)
    whole = segmentation_data(client).sel(x=made.x[:15], y=made.y, z=made.z)
    np.testing.assert_array_equal(whole.values, made.segmentation.values[:15])


def test_channels_and_lone_layers() -> None:
    colors = np.zeros((4, 3, 2, 3), np.uint8)
    client = ic.ImageryClient(image_source=colors, resolution=(8, 8, 40))
    assert image_data(client).dims == ("x", "y", "z", "c")
    made = cutout_to_xarray(client.cutout(bounds=[[0, 0, 0], [4, 3, 2]]))
    assert list(made.data_vars) == ["image"]
    assert made.image.dims == ("x", "y", "z", "c")
    assert "moment" not in made.image.attrs
    with pytest.raises(ArgumentError, match="neither"):
        cutout_to_xarray(ic.Cutout(None, None, ic.Box((0, 0, 0), (1, 1, 1), (8.0, 8.0, 40.0))))


def test_a_missing_xarray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ic.ImageryClient(image_source=np.zeros((4, 3, 2), np.uint8), resolution=(8, 8, 40))
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingExtraError, match=r"imageryclient\[xarray\]"):
        image_data(client)
