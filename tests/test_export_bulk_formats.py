"""Formats of an export, read back with the libraries that their users use."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.bulk.formats import Layout, Products, open_format, workspace_for
from imageryclient.bulk.formats.base import OutputFormat
from imageryclient.bulk.workspace import Workspace
from imageryclient.cutout import Cutout
from imageryclient.errors import ArgumentError
from imageryclient.files.reading import read_record
from imageryclient.geometry import Box

BIG = 864691135341362885
SHAPE = (13, 9, 4)
COUNT = 5
FAILED = 3


def cut(place: int, dtype: str = "uint8", channels: int = 1) -> Cutout:
    rng = np.random.default_rng(place)
    row = (*SHAPE, channels) if channels > 1 else SHAPE
    values = rng.integers(0, 200, row)
    image = np.array(values, dtype=dtype, order="F" if place % 2 else "C")
    ids = np.asfortranarray(rng.choice(np.array([0, 7, BIG, 2**64 - 1], np.uint64), SHAPE))
    start = (100 * place, 5, -3)
    stop = tuple(a + n for a, n in zip(start, SHAPE, strict=True))
    return Cutout(image, ids, Box(start, stop, (8.0, 8.0, 40.0)), sources={"imagery": "gs://bucket/em"})


def products(place: int, dtype: str = "uint8", channels: int = 1) -> Products:
    made = cut(place, dtype, channels)
    assert made.segmentation is not None
    picture = Image.new("RGBA", SHAPE[:2], (place, 1, 2, 255))
    return Products(made, {"pre": made.segmentation == 7, "post": made.segmentation == BIG}, [picture])


def begun(tmp_path: Path, name: str, dtype: str = "uint8", channels: int = 1) -> tuple[Workspace, OutputFormat]:
    suffix = {"zarr": ".zarr", "h5": ".h5"}.get(name, "")
    workspace = workspace_for(name, tmp_path / f"out{suffix}")  # type: ignore[arg-type]
    layout = Layout(COUNT, SHAPE, dtype, channels, True, ("pre", "post"), {"format": name})
    workspace.check()
    workspace.begin()
    written = open_format(name, workspace, layout)  # type: ignore[arg-type]
    written.prepare()
    return workspace, written


def export(tmp_path: Path, name: str, dtype: str = "uint8", channels: int = 1) -> Workspace:
    workspace, written = begun(tmp_path, name, dtype, channels)
    for place in (4, 0, 2, 1):
        written.write(place, products(place, dtype, channels))
    written.finish(np.arange(COUNT) != FAILED)
    workspace.end()
    return workspace


def expected(name: str, place: int, dtype: str = "uint8", channels: int = 1) -> np.ndarray:
    made = products(place, dtype, channels)
    array = made.array(name)
    return np.zeros_like(array) if place == FAILED else array


ARRAYS = ("image", "segmentation", "mask_pre", "mask_post")


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 2), ("float32", 1), ("int64", 3)])
def test_zarr_is_read_by_zarr_python_and_tensorstore(tmp_path: Path, dtype: str, channels: int) -> None:
    zarr, ts = pytest.importorskip("zarr"), pytest.importorskip("tensorstore")
    workspace = export(tmp_path, "zarr", dtype, channels)
    group = zarr.open_group(workspace.output, mode="r")
    assert sorted(name for name, _ in group.members()) == sorted([*ARRAYS, "done"])
    assert group["done"][:].tolist() == [True, True, True, False, True]
    assert group.attrs["imageryclient"] == {"format": "zarr"}
    for name in ARRAYS:
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(workspace.output / name)}}
        other = ts.open(spec, open=True, read=True).result()
        assert group[name].chunks[0] == 1
        for place in range(COUNT):
            wanted = expected(name, place, dtype, channels)
            assert group[name].dtype == wanted.dtype
            assert np.array_equal(group[name][place], wanted)
            assert np.array_equal(other[place].read().result(), wanted)
    assert group["image"].metadata.dimension_names[:4] == ("place", "x", "y", "z")


def test_zarr_is_a_dataset_of_xarray(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    workspace = export(tmp_path, "zarr")
    with xarray.open_zarr(workspace.output) as dataset:
        assert dict(dataset.sizes) == {"place": COUNT, "x": 13, "y": 9, "z": 4}
        assert np.array_equal(dataset.segmentation[2].values, expected("segmentation", 2))


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 2), ("float32", 1)])
def test_h5_is_read_by_h5py(tmp_path: Path, dtype: str, channels: int) -> None:
    h5py = pytest.importorskip("h5py")
    workspace = export(tmp_path, "h5", dtype, channels)
    assert [path.name for path in tmp_path.iterdir() if path.name != "out.overlay"] == ["out.h5"]
    assert len(list((tmp_path / "out.overlay").iterdir())) == 4
    with h5py.File(workspace.output) as file:
        assert json.loads(file["settings"][()]) == {"format": "h5"}
        assert file["done"][:].tolist() == [True, True, True, False, True]
        assert [dim.label for dim in file["segmentation"].dims] == ["place", "x", "y", "z"]
        for name in ARRAYS:
            wanted = np.stack([expected(name, place, dtype, channels) for place in range(COUNT)])
            assert file[name].dtype == wanted.dtype
            assert np.array_equal(file[name][:], wanted)


def test_h5_takes_in_what_comes_later(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    workspace = export(tmp_path, "h5")
    again, written = begun_again(workspace)
    written.write(FAILED, products(FAILED))
    written.finish(np.ones(COUNT, bool))
    again.end()
    with h5py.File(workspace.output) as file:
        wanted = np.stack([products(place).array("segmentation") for place in range(COUNT)])
        assert np.array_equal(file["segmentation"][:], wanted)
        assert file["done"][:].all()


def begun_again(workspace: Workspace) -> tuple[Workspace, OutputFormat]:
    workspace.begin()
    layout = Layout(COUNT, SHAPE, "uint8", 1, True, ("pre", "post"), {"format": "h5"})
    return workspace, open_format("h5", workspace, layout)


def test_npz_is_read_by_numpy_and_as_a_cutout(tmp_path: Path) -> None:
    workspace = export(tmp_path, "npz")
    assert sorted(path.name for path in workspace.output.glob("*.npz")) == [
        f"{place:06d}.npz" for place in (0, 1, 2, 4)
    ]
    with zipfile.ZipFile(workspace.output / "000002.npz") as zipped:
        assert zipped.testzip() is None
        assert [info.filename for info in zipped.infolist()] == ["metadata.npy", *(f"{name}.npy" for name in ARRAYS)]
    with np.load(workspace.output / "000002.npz") as saved:
        for name in ARRAYS:
            assert np.array_equal(saved[name], expected(name, 2))
    loaded = ic.load_cutout(workspace.output / "000004.npz")
    assert loaded.bounds == cut(4).bounds
    assert np.array_equal(loaded.image, cut(4).image)


def test_tiff_is_read_by_tifffile(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    workspace = export(tmp_path, "tiff")
    for place in (0, 1, 2, 4):
        image = tifffile.imread(workspace.output / "imagery" / f"{place:06d}.tif")
        assert np.array_equal(image.transpose(2, 1, 0), expected("image", place))
        mask = tifffile.imread(workspace.output / "mask_post" / f"{place:06d}.tif")
        assert np.array_equal(mask.transpose(2, 1, 0) == 255, expected("mask_post", place))
        file = workspace.output / "segmentation" / f"{place:06d}.tif"
        labels = tifffile.imread(file).transpose(2, 1, 0)
        with tifffile.TiffFile(file) as opened:
            ids = json.loads(opened.imagej_metadata["Info"])["labels"]
        assert np.array_equal(np.array([0, *map(int, ids)], np.uint64)[labels], expected("segmentation", place))
        assert read_record(file).bounds == cut(place).bounds


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 1), ("uint8", 3)])
def test_pictures_hold_the_voxels(tmp_path: Path, dtype: str, channels: int) -> None:
    workspace = export(tmp_path, "png", dtype, channels)
    for place in (0, 1, 2, 4):
        for z in range(SHAPE[2]):
            with Image.open(workspace.output / "imagery" / f"{place:06d}_slice_{z}.png") as picture:
                seen = np.asarray(picture)
            assert np.array_equal(seen.swapaxes(0, 1), expected("image", place, dtype, channels)[:, :, z])
            with Image.open(workspace.output / "mask_pre" / f"{place:06d}_slice_{z}.png") as picture:
                assert np.array_equal(np.asarray(picture).T > 0, expected("mask_pre", place, dtype, channels)[:, :, z])
        with Image.open(workspace.output / "overlay" / f"{place:06d}.png") as picture:
            assert picture.getpixel((0, 0)) == (place, 1, 2, 255)


@pytest.mark.parametrize(("name", "dtype"), [("png", "float32"), ("tiff", "uint64")])
def test_values_that_a_format_does_not_hold(tmp_path: Path, name: str, dtype: str) -> None:
    with pytest.raises(ArgumentError, match=r"export it as zarr, npz or h5"):
        begun(tmp_path, name, dtype)


@pytest.mark.parametrize("name", ["zarr", "npz", "png", "tiff", "h5"])
def test_the_same_places_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
        export(folder, name)
    found = [
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    ]
    assert found[0] == found[1]
    assert found[0]


def test_more_segments_than_a_stack_holds_leave_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    workspace = workspace_for("tiff", tmp_path / "out")
    workspace.begin()
    written = open_format("tiff", workspace, Layout(1, (300, 300, 1), "uint8", 1, True))
    ids = np.arange(1, 90001, dtype=np.uint64).reshape(300, 300, 1)
    made = Cutout(np.zeros(ids.shape, np.uint8), ids, Box((0, 0, 0), ids.shape, (8.0, 8.0, 40.0)))
    with pytest.raises(ArgumentError, match="a stack holds 65535 segments; there are 90000"):
        written.write(0, Products(made))
    workspace.end()
    assert not list(workspace.output.iterdir())
