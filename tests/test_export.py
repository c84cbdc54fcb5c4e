from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from PIL import Image

from imageryclient.errors import ArgumentError, NotFoundError, StorageError
from imageryclient.files.export import atomic_file, save_imagery_slices, save_mask_slices, save_png_atomic
from imageryclient.masks import SegmentationMasks


def read(path):
    """The pixels, as (x, y, channels)."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image).swapaxes(0, 1)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


IMAGE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_imagery_of_many_sections(tmp_path, axis):
    files = save_imagery_slices(tmp_path / "p", IMAGE, slice_axis=axis)
    count = IMAGE.shape[axis]
    assert [file.name for file in files] == [f"p_slice_{n}_imagery.png" for n in range(count)]
    assert names(tmp_path) == sorted(file.name for file in files)
    for n, file in enumerate(files):
        section = np.take(IMAGE, n, axis=axis)
        np.testing.assert_array_equal(read(file), np.repeat(section[:, :, None], 3, axis=2))


@pytest.mark.parametrize("image", [IMAGE[:, :, 0], IMAGE[:, :, :1]])
def test_imagery_of_one_section(tmp_path, image):
    (file,) = save_imagery_slices(f"{tmp_path}/p", image)
    assert file == tmp_path / "p_imagery.png"
    np.testing.assert_array_equal(read(file), np.repeat(IMAGE[:, :, :1], 3, axis=2))


def test_imagery_in_color(tmp_path):
    files = save_imagery_slices(tmp_path / "p", np.stack([IMAGE, IMAGE[::-1]], axis=2))
    np.testing.assert_array_equal(read(files[1]), IMAGE[::-1])


def test_kwargs_go_to_pillow(tmp_path):
    (small,) = save_imagery_slices(tmp_path / "a", np.zeros((64, 64)), compress_level=9)
    (large,) = save_imagery_slices(tmp_path / "b", np.zeros((64, 64)), compress_level=0)
    assert small.stat().st_size < large.stat().st_size


@pytest.mark.parametrize("lazy", [True, False])
def test_masks(tmp_path, lazy):
    ids = np.array([[0, 7, 7], [9, 9, 7]], dtype=np.uint64)
    masks = SegmentationMasks(ids) if lazy else {7: (ids == 7).astype(int), np.uint64(9): ids == 9}
    files = save_mask_slices(tmp_path / "p", masks, {7: [10, 20, 30], 9: None, 1: "red"})
    assert [file.name for file in files] == ["p_root_id_7.png", "p_root_id_9.png"]
    for file, key, color in zip(files, (7, 9), ((10, 20, 30, 255), (255,) * 4), strict=True):
        np.testing.assert_array_equal(read(file), (ids == key)[:, :, None] * np.array(color, np.uint8))


def test_mask_sections_and_colors(tmp_path):
    mask = np.random.default_rng(1).random((4, 5, 3)) > 0.5
    files = save_mask_slices(
        tmp_path / "p", {"axon": mask, 3: mask}, {3: (1, 2, 3, 4), "axon": "#0000ff"}, slice_axis=1
    )
    assert [file.name for file in files] == [f"p_slice_{n}_root_id_{key}.png" for key in ("axon", 3) for n in range(5)]
    np.testing.assert_array_equal(read(files[1]), mask[:, 1][:, :, None] * np.array([0, 0, 255, 255], np.uint8))
    np.testing.assert_array_equal(read(files[7]), mask[:, 2][:, :, None] * np.array([1, 2, 3, 4], np.uint8))


def test_no_masks_no_files(tmp_path):
    assert save_mask_slices(tmp_path / "p", {}) == []
    assert names(tmp_path) == []


def test_verbose_says_which_files(tmp_path, capsys):
    (file,) = save_imagery_slices(tmp_path / "p", IMAGE[:, :, 0], verbose=True)
    assert capsys.readouterr().out == f"Saved {file}...\n"
    save_imagery_slices(tmp_path / "p", IMAGE[:, :, 0])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("axis", [3, -4])
def test_axes_out_of_range(tmp_path, axis):
    with pytest.raises(ArgumentError, match="slice_axis must be an axis"):
        save_imagery_slices(tmp_path / "p", IMAGE, slice_axis=axis)
    with pytest.raises(ArgumentError, match="slice_axis must be an axis"):
        save_mask_slices(tmp_path / "p", {1: IMAGE > 3}, slice_axis=axis)


def test_shapes_that_do_not_fit(tmp_path):
    with pytest.raises(ArgumentError, match=r"imagery must have axes.*\(5,\)"):
        save_imagery_slices(tmp_path / "p", np.zeros(5))
    with pytest.raises(ArgumentError, match="the mask of 4 must have axes"):
        save_mask_slices(tmp_path / "p", {4: np.zeros((2, 2, 2, 3))})
    with pytest.raises(ArgumentError, match="values from 0 to 255"):
        save_imagery_slices(tmp_path / "p", np.full((2, 2), 700))
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"there is no folder .*nowhere"):
        save_imagery_slices(tmp_path / "nowhere" / "p", IMAGE)
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "nowhere" / "x"):
        pass


def test_a_disk_that_cannot_be_written_is_said(tmp_path):
    target = tmp_path / "x.png"
    target.write_bytes(b"before")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(StorageError, match=r"x\.png' cannot be written: the disk is full") as caught,
        atomic_file(target),
    ):
        raise full
    assert caught.value.__cause__ is full
    open_elsewhere = PermissionError(errno.EACCES, "used by another process")  # as Windows has it
    with pytest.raises(StorageError, match=r"used by another process\. Mend that and try again"), atomic_file(target):
        raise open_elsewhere
    assert target.read_bytes() == b"before"
    assert names(tmp_path) == ["x.png"]


def test_a_failure_leaves_what_was_there(tmp_path):
    target = tmp_path / "x.png"
    target.write_bytes(b"before")

    def fail(path):
        with atomic_file(path) as name:
            assert name.parent == tmp_path
            assert name.suffix == ".png"
            name.write_bytes(b"half")
            raise RuntimeError("full disk")

    with pytest.raises(RuntimeError):
        fail(target)
    with pytest.raises(OSError, match="cannot write mode"):
        save_png_atomic(Image.new("HSV", (2, 2)), target)
    assert names(tmp_path) == ["x.png"]
    assert target.read_bytes() == b"before"
    assert save_png_atomic(Image.new("L", (2, 2), 9), os.fspath(target)) == target
    assert names(tmp_path) == ["x.png"]
    assert read(target)[0, 0] == 9
