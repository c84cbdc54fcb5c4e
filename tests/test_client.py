"""The client against a server and against folders: its calls, its properties, its files."""

from __future__ import annotations

import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import (
    ArgumentError,
    FormatError,
    IdWarning,
    MissingExtraError,
    SourceError,
)


@pytest.fixture
def local(datastack: Any) -> ic.ImageryClient:
    return ic.ImageryClient(
        image_source=datastack.folder / "imagery",
        segmentation_source=datastack.folder / "supervoxels",
        resolution=datastack.fine,
    )


def corners(stack: Any, size: tuple[int, int, int] = (30, 24, 3)) -> tuple[np.ndarray, np.ndarray]:
    low = np.array(stack.middle)
    return low, low + size


# ---- cutouts ----------------------------------------------------------------------------------------------------


def test_every_call_against_a_server(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    low, high = corners(datastack)
    image = datastack.image(low, high)
    roots = datastack.roots(low, high, datastack.late.timestamp())
    assert np.array_equal(client.image_cutout([low, high]), image)
    got = client.segmentation_cutout([low, high])
    assert got.dtype == np.int64
    assert np.array_equal(got, roots.astype(np.int64))
    raw = client.segmentation_cutout([low, high], convert_to_int64=False)
    assert raw.dtype == np.uint64
    assert np.array_equal(raw, roots)
    masks = client.split_segmentation_cutout([low, high])
    assert list(masks) == np.unique(roots)[np.unique(roots) > 0].tolist()
    assert all(np.array_equal(mask, roots == root) for root, mask in masks.items())
    with_zero = client.split_segmentation_cutout([low, high], include_null_root=True)
    assert list(with_zero) == np.unique(roots).tolist()
    both = client.image_and_segmentation_cutout([low, high])
    assert np.array_equal(both[0], image)
    assert np.array_equal(both[1], roots.astype(np.int64))
    split = client.image_and_segmentation_cutout([low, high], split_segmentations=True, include_null_root=True)
    assert split[1] == with_zero
    assert client.image_and_segmentation_cutout([low, high], convert_to_int64=False)[1].dtype == np.uint64


def test_shapes_are_squeezed_but_not_those_of_a_cutout(datastack: Any, local: ic.ImageryClient) -> None:
    assert local.image_cutout(datastack.middle, bbox_size=(8, 6)).shape == (8, 6)
    assert local.image_cutout(datastack.middle, bbox_size=(8, 1, 3)).shape == (8, 3)
    assert local.segmentation_cutout(datastack.middle, bbox_size=(8, 6, 1)).shape == (8, 6)
    assert local.split_segmentation_cutout(datastack.middle, bbox_size=(8, 6)).shape == (8, 6)
    assert local.cutout(datastack.middle, (8, 6)).shape == (8, 6, 1)


def test_joint_cutouts_on_the_finer_grid_or_each_on_its_own(datastack: Any, local: ic.ImageryClient) -> None:
    low, high = corners(datastack, (16, 12, 3))
    fine, coarse = datastack.labels(low, high), datastack.image(low // [2, 2, 1], high // [2, 2, 1], 2)
    image, segmentation = local.image_and_segmentation_cutout([low, high], image_mip=2)
    assert np.array_equal(segmentation, fine.astype(np.int64))
    assert np.array_equal(image, coarse.repeat(2, axis=0).repeat(2, axis=1))
    image, segmentation = local.image_and_segmentation_cutout([low, high], image_mip=2, resize=False)
    assert np.array_equal(image, coarse)
    assert np.array_equal(segmentation, fine.astype(np.int64))
    image, segmentation = local.image_and_segmentation_cutout(
        [low // [2, 2, 1], high // [2, 2, 1]], resolution=(16, 16, 40), scale_to_bounds=True
    )
    assert image.shape == segmentation.shape == (8, 6, 3)
    assert np.array_equal(segmentation, fine[1::2, 1::2].astype(np.int64))


def test_cutout_takes_a_centre_or_bounds_in_voxels_or_nm(datastack: Any, local: ic.ImageryClient) -> None:
    low, high = corners(datastack, (16, 12, 3))
    by_bounds = local.cutout(bounds=[low, high])
    nm = np.array(datastack.fine)
    for cut in (
        local.cutout(low + [8, 6, 1], (16, 12, 3)),
        local.cutout((low + [8, 6, 1]) * [2, 2, 1], (32, 24, 3), resolution=(4, 4, 40)),
        local.cutout(bounds=[low * nm, high * nm], units="nm"),
        local.cutout((low + [8, 6, 1.5]) * nm, np.array([16, 12, 3]) * nm, units="nm"),
    ):
        assert cut.bounds == by_bounds.bounds
        assert np.array_equal(cut.image, by_bounds.image)
        assert np.array_equal(cut.segmentation, by_bounds.segmentation)
    with pytest.raises(ArgumentError, match="either a centre"):
        local.cutout()
    with pytest.raises(ArgumentError, match="either a centre"):
        local.cutout(low, bounds=[low, high])
    with pytest.raises(ArgumentError, match="'voxels' or 'nm'"):
        local.cutout(low, units="um")


def test_the_mip_of_a_cutout_is_that_of_the_imagery(datastack: Any, local: ic.ImageryClient) -> None:
    assert local.cutout(datastack.middle, (8, 8)).mips == {"imagery": 1, "segmentation": 0}
    assert local.cutout(datastack.middle, (8, 8), mip=2).mips == {"imagery": 2, "segmentation": 1}
    assert local.cutout(datastack.middle, (8, 8), image_mip=2).mips == {"imagery": 2, "segmentation": 0}
    assert local.cutout(datastack.middle, (8, 8), mip=2, segmentation_mip=0).mips == {"imagery": 2, "segmentation": 0}
    alone = ic.ImageryClient(segmentation_source=str(datastack.folder / "supervoxels"))
    assert alone.cutout(datastack.middle, (8, 8), mip=1, resolution=datastack.fine).mips == {"segmentation": 1}


@pytest.mark.parametrize("name", ["jpeg", "sharded"])
def test_other_encodings_over_http_and_from_disk(datastack: Any, server: Any, name: str) -> None:
    truth = datastack.images[0]
    offset = np.array([25, 15, 7])
    for source in (datastack.folder / name, server().layers[name]):
        client = ic.ImageryClient(image_source=source)
        got = client.image_cutout([offset, offset + truth.shape])
        assert got.dtype == np.uint8
        error = np.abs(got.astype(int) - truth)
        assert error.max() == 0 if name == "sharded" else error.mean() < 6


def test_large_ids_stay_uint64_with_one_warning_at_the_callers_line(tmp_path: Path) -> None:
    labels = np.full((9, 8, 2), 2**63 + 5, np.uint64)
    labels[0] = 2**64 - 1
    layout = Layout(resolution=(8, 8, 40), encoding="compressed_segmentation")
    folder = write_precomputed(tmp_path / "seg", [(labels, layout)], kind="segmentation")
    em = write_precomputed(tmp_path / "em", [(labels.astype(np.uint8), Layout(resolution=(8, 8, 40)))], kind="image")
    client = ic.ImageryClient(segmentation_source=folder, image_source=em)
    where = [[0, 0, 0], labels.shape]
    calls = (
        lambda: client.segmentation_cutout(where),
        lambda: client.image_and_segmentation_cutout(where)[1],
    )
    for call in calls:
        with pytest.warns(IdWarning, match=str(2**64 - 1)) as caught:
            got = call()
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert np.array_equal(got, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(client.segmentation_cutout(where, convert_to_int64=False), labels)
        assert list(client.split_segmentation_cutout(where)) == [2**63 + 5, 2**64 - 1]
        one = client.segmentation_cutout(where, 2**63 + 5, convert_to_int64=False)
        assert np.array_equal(one, np.where(labels == 2**63 + 5, labels, 0))


@pytest.mark.parametrize("form", [int, str, np.uint64, np.int64, lambda root: [root], lambda root: np.array([root])])
def test_ids_of_a_flat_segmentation_in_every_form(datastack: Any, local: ic.ImageryClient, form: Any) -> None:
    low, high = corners(datastack)
    truth = datastack.labels(low, high)
    root = int(np.unique(truth)[2])
    got = local.segmentation_cutout([low, high], form(root))
    assert np.array_equal(got, np.where(truth == root, truth, 0).astype(np.int64))
    assert not local.segmentation_cutout([low, high], []).any()
    assert np.array_equal(local.segmentation_cutout([low, high], None), truth.astype(np.int64))


@pytest.mark.parametrize("ids", [1.5, [1.0], "one", -1, [2**64], True, [None]])
def test_what_is_no_id(datastack: Any, local: ic.ImageryClient, ids: Any) -> None:
    with pytest.raises(ArgumentError, match="id"):
        local.segmentation_cutout(datastack.middle, ids, bbox_size=(8, 8))
    with pytest.raises(ArgumentError, match="id"):
        local.cutout(datastack.middle, root_ids=ids)


# ---- making one -------------------------------------------------------------------------------------------------


def test_properties(datastack: Any) -> None:
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    client = ic.ImageryClient(
        image_source=datastack.folder / "imagery",
        segmentation_source=str(datastack.folder / "supervoxels"),
        resolution=(2, 2, 20),
        auth_token="0badf00d",
        timestamp=moment,
    )
    assert client.image_source == str(datastack.folder / "imagery")
    assert client.segmentation_source == str(datastack.folder / "supervoxels")
    assert client.resolution.tolist() == [2, 2, 20]
    assert client.resolution.dtype == np.float64
    assert client.token == "0badf00d"
    assert client.timestamp == moment
    assert "imagery" in repr(client)
    assert "0badf00d" not in repr(client)


def test_the_resolution_of_coordinates(datastack: Any) -> None:
    em, seg = datastack.folder / "imagery", datastack.folder / "supervoxels"
    assert ic.ImageryClient(image_source=em).resolution.tolist() == [8, 8, 40]
    assert ic.ImageryClient(image_source=em, image_mip=2).resolution.tolist() == [16, 16, 40]
    assert ic.ImageryClient(image_source=em, image_mip=(16, 16, 40)).resolution.tolist() == [16, 16, 40]
    assert ic.ImageryClient(segmentation_source=seg, segmentation_mip=1).resolution.tolist() == [16, 16, 40]
    both = {"image_source": em, "segmentation_source": seg, "segmentation_mip": 1}
    assert ic.ImageryClient(**both).resolution.tolist() == [8, 8, 40]
    assert ic.ImageryClient(**both, resolution="image").resolution.tolist() == [8, 8, 40]
    assert ic.ImageryClient(**both, resolution="segmentation").resolution.tolist() == [16, 16, 40]
    for wrong, words in (("fine", "'image' or 'segmentation'"), ((8, 8), "three"), ((8, 8, -1), "positive")):
        with pytest.raises(ArgumentError, match=words):
            ic.ImageryClient(**both, resolution=wrong)
    with pytest.raises(ArgumentError, match="no segmentation"):
        ic.ImageryClient(image_source=em, resolution="segmentation")


def test_pixels_to_bbox_size(local: ic.ImageryClient) -> None:
    assert local.image_bbox_size_from_dimensions((256, 256), resolution=(4, 4, 40)) == [512, 512, 1]
    assert local.image_bbox_size_from_dimensions((256, 128), mip=2) == [512, 256, 1]
    assert local.segmentation_bbox_size_from_dimensions((10, 10, 5), mip=1) == [20, 20, 5]


def test_an_old_name_is_told_the_new_one(datastack: Any) -> None:
    with pytest.raises(TypeError, match=r"'base_resolution'.*resolution="):
        ic.ImageryClient(image_source=datastack.folder / "imagery", base_resolution="image")
    with pytest.raises(TypeError, match="unexpected argument 'imge_source'"):
        ic.ImageryClient(imge_source="gs://bucket/em")


def test_nothing_at_all(datastack: Any) -> None:
    for options in ({}, {"image_source": "gs://a/b", "imagery": False}, {"imagery": False, "segmentation": False}):
        with pytest.raises(ArgumentError, match="where the data are"):
            ic.ImageryClient(**options)


def test_a_layer_that_is_off_or_not_named(datastack: Any) -> None:
    em = datastack.folder / "imagery"
    off = ic.ImageryClient(image_source=em, segmentation_source="gs://bucket/seg", segmentation=False)
    unnamed = ic.ImageryClient(image_source=em)
    where = {"bounds": datastack.middle, "bbox_size": (8, 8), "resolution": datastack.fine}
    for client, words in ((off, "made with segmentation=False"), (unnamed, "pass segmentation_source=")):
        assert client.image_cutout(**where).shape == (8, 8)
        for call in (
            client.segmentation_cutout,
            client.split_segmentation_cutout,
            client.image_and_segmentation_cutout,
        ):
            with pytest.raises(ArgumentError, match=words):
                call(**where)
        with pytest.raises(ArgumentError, match=words):
            client.segmentation_bbox_size_from_dimensions((8, 8))
        assert client.cutout(datastack.middle, (8, 8)).segmentation is None
        assert client.segmentation_cv is None
    no_images = ic.ImageryClient(image_source=em, segmentation_source=datastack.folder / "supervoxels", imagery=False)
    with pytest.raises(ArgumentError, match="made with imagery=False"):
        no_images.image_cutout(**where)
    assert no_images.image_cv is None
    assert no_images.cutout(datastack.middle, (8, 8)).image is None
    assert no_images.resolution.tolist() == [8, 8, 40]


def test_imagery_in_place_of_a_segmentation(datastack: Any) -> None:
    client = ic.ImageryClient(segmentation_source=datastack.folder / "imagery")
    with pytest.raises((ArgumentError, FormatError), match="not a segmentation"):
        client.segmentation_cutout(datastack.middle, bbox_size=(8, 8))


@pytest.mark.parametrize("source", ["boss://collection/em", "", "ftp://server/em"])
def test_sources_that_cannot_be_read(source: Any) -> None:
    with pytest.raises(SourceError):
        ic.ImageryClient(image_source=source).image_cutout([[0, 0, 0], [1, 1, 1]])


def test_nothing_is_read_before_it_is_needed(server: Any, connect: Any) -> None:
    running = server()
    client = connect(running)
    assert client.token
    assert repr(client)
    assert client.timestamp
    assert client.resolution.tolist() == [8, 8, 40]
    assert len(running.requests) == 0


def test_the_layers_are_opened_together_and_once(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    client = connect(running)
    for _ in range(2):
        client.cutout(datastack.middle, (8, 8))
    assert sorted(path for path in running.requests.paths if path.endswith("/info")) == [
        "/data/imagery/info",
        f"/segmentation/table/{datastack.table}/info",
    ]


# ---- cloud-volume -----------------------------------------------------------------------------------------------


def test_cloudvolume_is_named_when_it_is_missing(local: ic.ImageryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudvolume", None)
    for name in ("image_cv", "segmentation_cv"):
        with pytest.raises(MissingExtraError, match=r"pip install 'imageryclient\[cloudvolume\]'") as caught:
            getattr(local, name)
        assert isinstance(caught.value, ImportError)


def test_cloudvolume_is_made_with_the_source_and_its_token(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def volume(source: str, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(source=source, **options)

    monkeypatch.setitem(sys.modules, "cloudvolume", SimpleNamespace(CloudVolume=volume))
    client = connect(server())
    image, segmentation = client.image_cv, client.segmentation_cv
    assert (image.source, image.secrets) == (client.image_source, None)
    assert (segmentation.source, segmentation.secrets) == (client.segmentation_source, datastack.token)
    assert image.fill_missing
    assert not image.bounded
    assert not image.progress


# ---- files ------------------------------------------------------------------------------------------------------


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture)


def test_files_of_imagery_and_masks(datastack: Any, local: ic.ImageryClient, tmp_path: Path) -> None:
    low, high = corners(datastack, (20, 16, 2))
    labels = datastack.labels(low, high)
    ids = np.unique(labels)[1:3]
    local.save_image_and_segmentation_masks(
        str(tmp_path / "cut"), bounds=[low, high], root_ids=ids, segmentation_colormap={int(ids[0]): (255, 0, 0)}
    )
    expected = {f"cut_slice_{z}_imagery.png" for z in range(2)}
    expected |= {f"cut_slice_{z}_root_id_{root}.png" for z in range(2) for root in ids}
    assert {file.name for file in tmp_path.iterdir()} == expected
    for z in range(2):
        image = pixels(tmp_path / f"cut_slice_{z}_imagery.png")
        assert np.array_equal(image[..., 0], datastack.image(low, high)[:, :, z].T)
        mask = pixels(tmp_path / f"cut_slice_{z}_root_id_{ids[0]}.png")
        assert np.array_equal(mask[..., 3] > 0, (labels[:, :, z] == ids[0]).T)
        assert set(map(tuple, mask.reshape(-1, 4))) <= {(0, 0, 0, 0), (255, 0, 0, 255)}
    local.save_imagery(str(tmp_path / "one"), datastack.middle, bbox_size=(8, 6))
    assert pixels(tmp_path / "one_imagery.png").shape == (6, 8, 3)
    local.save_segmentation_masks(str(tmp_path / "all"), datastack.middle, bbox_size=(8, 6))
    around = np.array(datastack.middle) - [4, 3, 0]
    there = np.unique(datastack.labels(around, around + [8, 6, 1]))
    assert len(list(tmp_path.glob("all_root_id_*.png"))) == np.count_nonzero(there)


def test_a_cutout_that_fails_writes_no_file(local: ic.ImageryClient, tmp_path: Path) -> None:
    for save in (local.save_imagery, local.save_segmentation_masks, local.save_image_and_segmentation_masks):
        with pytest.raises(ic.errors.OutOfBoundsError):
            save(str(tmp_path / "cut"), [[0, 0, 0], [5, 5, 5]])
    assert not list(tmp_path.iterdir())
