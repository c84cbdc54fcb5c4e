"""TIFF stacks, read back by tifffile and by Pillow."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imageryclient.cutout import Cutout
from imageryclient.errors import ArgumentError, MissingExtraError, NotFoundError
from imageryclient.files.reading import read_record
from imageryclient.files.stacks import is_ome
from imageryclient.geometry import Box

tifffile = pytest.importorskip("tifffile")

RNG = np.random.default_rng(8)
AT = (4.3, 6.0, 45.0)
SHAPE = (13, 9, 5)
BOX = Box((100, 200, 30), (113, 209, 35), AT)
BIG = 864691135341362885
OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def voxels(dtype: Any, channels: int = 0, order: str = "F") -> np.ndarray:
    shape = (*SHAPE, channels) if channels else SHAPE
    kind = np.dtype(dtype)
    numbers = RNG.normal(size=shape) if kind.kind == "f" else RNG.integers(0, 120, shape)
    return np.array(numbers, dtype=kind, order=order)


def segments() -> np.ndarray:
    return np.asfortranarray(RNG.choice(np.array([0, 7, BIG, 2**64 - 1], np.uint64), SHAPE))


def pages(array: np.ndarray) -> np.ndarray:
    """What the pages must be: one section after another, y down, x to the right, channels as the file has them."""
    turned = array.swapaxes(0, 2)
    return turned if array.ndim == 3 or array.shape[3] == 3 else np.moveaxis(turned, 3, 1)


def resolution(page: Any) -> tuple[float, float]:
    """Pixels per unit."""
    x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
    return x[0] / x[1], y[0] / y[1]


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32"])
def test_a_stack_for_imagej(tmp_path: Path, dtype: str, order: str) -> None:
    array = voxels(dtype, order=order)
    (file,) = Cutout(array, None, BOX, sources={"imagery": "gs://bucket/em"}).save(tmp_path / "place.tif")
    with tifffile.TiffFile(file) as opened:
        assert opened.is_imagej
        assert np.array_equal(opened.asarray(), pages(array))
        about = opened.imagej_metadata
        assert (about["slices"], about["unit"], about["spacing"]) == (5, "um", pytest.approx(0.045))
        assert about["Labels"] == [f"z {z}" for z in range(30, 35)]
        assert resolution(opened.pages[0]) == pytest.approx((1e3 / 4.3, 1e3 / 6), rel=1e-6)
    assert read_record(file).sources == {"imagery": "gs://bucket/em"}
    with Image.open(file) as opened:
        assert opened.n_frames == 5
        opened.seek(3)
        assert np.array_equal(np.asarray(opened), array[:, :, 3].T)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "bool"])
def test_a_stack_in_ome_tiff(tmp_path: Path, dtype: str) -> None:
    array = voxels(dtype) if dtype != "bool" else voxels("uint8") > 60
    (file,) = Cutout(array, None, BOX, sources={"imagery": "gs://bucket/em"}).save(tmp_path / "place.ome.tif")
    with tifffile.TiffFile(file) as opened:
        assert opened.is_ome
        assert np.array_equal(opened.asarray(), pages(array * np.uint8(255) if dtype == "bool" else array))
        assert opened.pages[0].tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        assert resolution(opened.pages[0]) == pytest.approx((1e7 / 4.3, 1e7 / 6), rel=1e-6)
        document = ElementTree.fromstring(opened.ome_metadata)
    of = document.find(f".//{OME}Pixels").attrib
    assert [of[f"Size{axis}"] for axis in "XYZ"] == ["13", "9", "5"]
    assert [float(of[f"PhysicalSize{axis}"]) for axis in "XYZ"] == pytest.approx([0.0043, 0.006, 0.045])
    assert {of[f"PhysicalSize{axis}Unit"] for axis in "XYZ"} == {"µm"}
    assert document.find(f"{OME}Image").attrib["Name"] == "imagery"
    record = read_record(file)
    assert record.bounds == BOX
    assert document.find(f"{OME}Image/{OME}Description").text == record.describe()


@pytest.mark.parametrize("name", ["place.tif", "place.ome.tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels(tmp_path: Path, name: str, channels: int) -> None:
    array = voxels("uint8", channels)
    (file,) = Cutout(array, None, BOX).save(tmp_path / name)
    with tifffile.TiffFile(file) as opened:
        assert np.array_equal(opened.asarray(), pages(array[..., 0] if channels == 1 else array))
        rgb = opened.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    assert rgb == (channels == 3)


@pytest.mark.parametrize(
    ("name", "beside"), [("a.b.TIF", "a.b_segmentation.TIF"), ("p.ome.tif", "p_segmentation.ome.tif")]
)
def test_a_segmentation_is_labels_and_the_ids_they_stand_for(tmp_path: Path, name: str, beside: str) -> None:
    array = segments()
    files = Cutout(voxels("uint8"), array, BOX).save(tmp_path / name)
    assert [file.name for file in files] == [name, beside]
    with tifffile.TiffFile(files[1]) as opened:
        labels = opened.asarray()
        text = opened.ome_metadata if opened.is_ome else opened.imagej_metadata["Info"]
    assert labels.dtype == np.uint8
    table = np.array([0, 7, BIG, 2**64 - 1], np.uint64)
    assert np.array_equal(table[labels], pages(array))
    assert f'"labels": ["7", "{BIG}", "{2**64 - 1}"]' in text.replace("&quot;", '"')
    alone = Cutout(None, array, BOX).save(tmp_path / "alone.tif")
    assert [file.name for file in alone] == ["alone.tif"]


def test_one_section_and_no_id(tmp_path: Path) -> None:
    box = Box((0, 0, 5), (3, 2, 6), AT)
    files = Cutout(np.ones((3, 2, 1), np.uint8), np.zeros((3, 2, 1), np.uint64), box).save(tmp_path / "one.tif")
    for file, value in zip(files, (1, 0), strict=True):
        assert np.array_equal(tifffile.imread(file), np.full((2, 3), value))


@pytest.mark.parametrize(
    ("dtype", "name", "advice"),
    [
        ("int64", "place.ome.tif", r"8, 16 and 32 bits.*int64.*\.npz"),
        ("float16", "place.tif", r"uint8, uint16 and float32.*float16.*\.npz"),
        ("uint32", "place.tif", r"uint32: save it as \.ome\.tif"),
        ("float64", "place.tif", r"float64: save it as \.ome\.tif"),
    ],
)
def test_voxels_a_stack_cannot_hold(tmp_path: Path, dtype: str, name: str, advice: str) -> None:
    with pytest.raises(ArgumentError, match=advice):
        Cutout(voxels(dtype), None, BOX).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_stacks_beyond_four_gib_are_ome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageryclient.files.stacks._CLASSIC", 500)
    cut = Cutout(voxels("uint8"), None, BOX)
    with pytest.raises(ArgumentError, match=r"4 GiB.*\.ome\.tif"):
        cut.save(tmp_path / "place.tif")
    (file,) = cut.save(tmp_path / "place.ome.tif")
    with tifffile.TiffFile(file) as opened:
        assert opened.is_bigtiff
        assert np.array_equal(opened.asarray(), pages(cut.image))
    assert read_record(file).bounds == BOX


@pytest.mark.parametrize("name", ["place.tif", "place.ome.tif"])
def test_a_disk_that_fails_leaves_neither_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    cut = Cutout(voxels("uint8"), segments(), BOX)
    (tmp_path / name).write_bytes(b"of yesterday")
    original, count = np.ascontiguousarray, 0

    def full(*rest: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == 8:  # amid the second file
            raise OSError("no space left")
        return original(*rest, **options)

    monkeypatch.setattr("imageryclient.files.stacks.np.ascontiguousarray", full)
    with pytest.raises(OSError, match="no space left"):
        cut.save(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"of yesterday"


def test_without_tifffile_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Cutout(voxels("uint8"), None, BOX)
    (file,) = cut.save(tmp_path / "place.tif")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingExtraError, match=r"imageryclient\[tiff\]"):
        cut.save(tmp_path / "other.tif")
    with pytest.raises(MissingExtraError, match=r"imageryclient\[tiff\]"):
        read_record(file)
    assert [file.name for file in tmp_path.iterdir()] == ["place.tif"]


def test_nothing_to_save_and_nowhere_to(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="neither imagery nor segmentation"):
        Cutout(None, None, BOX).save(tmp_path / "place.tif")
    with pytest.raises(NotFoundError, match="no folder"):
        Cutout(voxels("uint8"), None, BOX).save(tmp_path / "absent" / "place.tif")


def test_which_names_are_ome() -> None:
    assert is_ome(Path("a.ome.tif"))
    assert is_ome(Path("a.b.OME.TIFF"))
    assert not is_ome(Path("ome.tif"))
    assert not is_ome(Path("a.tif"))
