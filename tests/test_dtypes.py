"""Imagery of every dtype and segmentations of every width, from where they are stored to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError
from imageryclient.files.export import save_imagery_slices

AT = (8.0, 8.0, 40.0)
SHAPE = (40, 30, 6)
BOX = [[5, 4, 1], [25, 22, 4]]
PART = (slice(5, 25), slice(4, 22), slice(1, 4))
IMAGES = [
    ("uint8", ()), ("uint16", ()), ("uint32", ()), ("uint64", ()), ("int8", ()), ("int16", ()), ("int32", ()),
    ("float32", ()), ("uint8", (3,)), ("uint16", (2,)), ("float32", (5,)),
]  # fmt: skip
IDS = ["uint8", "uint16", "uint32", "uint64", "int32"]


def pixels(path: Path) -> np.ndarray:
    """As (x, y) or (x, y, c)."""
    with Image.open(path) as image:
        return np.asarray(image).swapaxes(0, 1)


def picture(dtype: str, channels: tuple[int, ...] = ()) -> np.ndarray:
    rng = np.random.default_rng(8)
    if dtype.startswith("float"):
        array = rng.normal(0, 1e6, (*SHAPE, *channels)).astype(dtype)
        array[7, 7, 2] = np.nan
        return array
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, (*SHAPE, *channels), dtype=dtype, endpoint=True)


def labels(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(9)
    few = rng.integers(0, min(np.iinfo(dtype).max, np.iinfo(np.int64).max), 20, dtype=dtype, endpoint=True)
    return np.kron(few[rng.integers(0, 20, (20, 15, 6))], np.ones((2, 2, 1), dtype)).astype(dtype)


def sources(kind: str, array: np.ndarray, folder: Path, stored: bool) -> Any:
    """The array as a source: at hand, or stored as a precomputed volume."""
    if not stored:
        return ic.ArraySource(array, AT)
    layout = Layout(resolution=AT, chunk_size=(16, 16, 4), encoding="raw")
    return str(write_precomputed(folder / kind, [(array, layout)], kind=kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(("dtype", "channels"), IMAGES)
def test_imagery_keeps_its_values(dtype: str, channels: tuple[int, ...], stored: bool, tmp_path: Path) -> None:
    array, ids = picture(dtype, channels), labels("uint32")
    client = ic.ImageryClient(
        image_source=sources("image", array, tmp_path, stored),
        segmentation_source=sources("segmentation", ids, tmp_path, stored),
    )
    got = client.image_cutout(BOX)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, array[PART])
    fine = client.image_cutout(BOX, resolution=AT, scale_to_bounds=True)
    np.testing.assert_array_equal(fine, array[PART])
    both = client.image_and_segmentation_cutout(BOX)
    np.testing.assert_array_equal(both[0], array[PART])
    np.testing.assert_array_equal(both[1], ids[PART])
    one = client.image_cutout([[5, 4, 1], [25, 22, 2]])  # one section: (x, y) or (x, y, c), as from 1.0.4
    np.testing.assert_array_equal(one, array[PART][:, :, 0])
    cut = client.cutout(bounds=BOX)
    np.testing.assert_array_equal(cut.image, array[PART])
    with np.load(cut.save(tmp_path / "cut.npz")[0]) as saved:
        assert saved["image"].dtype == dtype
        np.testing.assert_array_equal(saved["image"], array[PART])
        np.testing.assert_array_equal(saved["segmentation"], ids[PART])
    if channels in ((), (3,)):
        assert [p.size for p in cut.overlay()] == [(20, 18)] * 3
        shown = cut.overlay(display_range=(0, 100), alpha=0)
        grey = np.asarray(shown[0]).swapaxes(0, 1)[..., 0].astype(float)
        first = array[PART][:, :, 0, ...] if not channels else array[PART][:, :, 0, 0]
        assert np.abs(grey - np.clip(np.nan_to_num(first.astype(float)), 0, 100) * 2.55).max() <= 0.6


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("dtype", IDS)
def test_segmentations_of_every_width(dtype: str, stored: bool, tmp_path: Path) -> None:
    if stored and dtype == "int32":
        pytest.skip("a stored segmentation has no sign")
    ids = labels(dtype)
    client = ic.ImageryClient(segmentation_source=sources("segmentation", ids, tmp_path, stored))
    got = client.segmentation_cutout(BOX)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, ids[PART])
    raw = client.segmentation_cutout(BOX, convert_to_int64=False)
    assert raw.dtype == np.uint64
    np.testing.assert_array_equal(raw, ids[PART].astype(np.uint64))
    present = np.unique(ids[PART])
    present = present[present > 0]
    masks = client.split_segmentation_cutout(BOX)
    assert list(masks) == present.tolist()
    np.testing.assert_array_equal(masks[int(present[-1])], ids[PART] == present[-1])
    kept = client.segmentation_cutout(BOX, root_ids=present[:3])
    np.testing.assert_array_equal(kept, np.where(np.isin(ids[PART], present[:3]), ids[PART], 0))
    client.save_segmentation_masks(str(tmp_path / "p"), [[5, 4, 1], [25, 22, 2]])
    file = tmp_path / f"p_root_id_{present[-1]}.png"
    if file.exists():
        np.testing.assert_array_equal(pixels(file)[..., 3] > 0, ids[PART][:, :, 0] == present[-1])
    cut = client.cutout(bounds=BOX)
    assert cut.segmentation.dtype == np.uint64
    assert len(cut.overlay()) == 3


def client_of(array: np.ndarray) -> ic.ImageryClient:
    ids = labels("uint8")
    return ic.ImageryClient(image_source=array, segmentation_source=ids, resolution=AT)


def test_files_of_16_bits_keep_their_values(tmp_path: Path) -> None:
    array = picture("uint16")
    client_of(array).save_imagery(str(tmp_path / "p"), BOX)
    for z in range(3):
        got = pixels(tmp_path / f"p_slice_{z}_imagery.png")
        assert got.dtype == np.uint16
        np.testing.assert_array_equal(got, array[PART][:, :, z])
    (file,) = save_imagery_slices(tmp_path / "big", array[:, :, 0].astype(">u2"))
    np.testing.assert_array_equal(pixels(file), array[:, :, 0])
    (file,) = save_imagery_slices(tmp_path / "one", array[:, :, :1, None])
    np.testing.assert_array_equal(pixels(file), array[:, :, 0])


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "uint8", "bool"])
def test_files_with_a_display_range(dtype: str, tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 250, SHAPE).astype(dtype)
    client_of(array).save_image_and_segmentation_masks(str(tmp_path / "p"), BOX, display_range=(0, 500))
    got = pixels(tmp_path / "p_slice_1_imagery.png")
    assert got.shape == (20, 18, 3)
    assert np.abs(got[..., 0] - array[PART][:, :, 1].astype(float) / 500 * 255).max() <= 0.5
    assert list(tmp_path.glob("p_slice_0_root_id_*.png"))


def test_files_in_colour_are_of_sections_not_of_channels(tmp_path: Path) -> None:
    array = picture("uint8", (3,))
    client = client_of(array)
    client.save_imagery(str(tmp_path / "stack"), BOX)
    np.testing.assert_array_equal(pixels(tmp_path / "stack_slice_2_imagery.png"), array[PART][:, :, 2])
    thin = [[5, 4, 1], [25, 22, 2]]
    client.save_imagery(str(tmp_path / "one"), thin)
    np.testing.assert_array_equal(pixels(tmp_path / "one_imagery.png"), array[PART][:, :, 0])
    client.save_image_and_segmentation_masks(str(tmp_path / "both"), thin)
    np.testing.assert_array_equal(pixels(tmp_path / "both_imagery.png"), array[PART][:, :, 0])
    client.save_imagery(str(tmp_path / "line"), [[5, 4, 1], [25, 5, 2]])
    np.testing.assert_array_equal(pixels(tmp_path / "line_imagery.png"), array[PART][:, :1, 0])
    opaque = np.random.default_rng(3).integers(0, 256, (5, 4, 1, 4), dtype=np.uint8)
    (file,) = save_imagery_slices(tmp_path / "rgba", opaque)
    np.testing.assert_array_equal(pixels(file), opaque[:, :, 0])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (picture("float32"), r"values from 0 to 255, or uint16; these are nan .* pass display_range="),
        (picture("int16"), r"from 0 to 255, or uint16; these are -32.* in int16: pass display_range="),
        (np.full(SHAPE, 0.75, np.float32), r"would all be black.*display_range=\(0, 1\)"),
        (picture("uint16", (3,)), r"colours of 8 bits; these are uint16: pass display_range="),
        (picture("uint8", (2,)), r"or, in colour, \(x, y, z, 3\).*got shape \(20, 18, 3, 2\)"),
    ],
)
def test_what_a_file_cannot_hold_is_said(array: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        client_of(array).save_imagery(str(tmp_path / "p"), BOX)
    assert list(tmp_path.iterdir()) == []
