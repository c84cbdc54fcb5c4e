"""Which arrays a source means: OME-Zarr, N5's pyramids, and groups that say nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.faults import Fault
from imageryclient.demo.server import DemoServer
from imageryclient.errors import (
    FormatError,
    MissingDataWarning,
    NotFoundError,
    ScaleError,
    SourceError,
)
from zarr_writing import (
    ARRAY,
    AT,
    EXPLICIT,
    SPACE,
    group,
    n5,
    ome_image,
    opened,
    whole,
    write,
    write_json,
    zarr2,
    zarr3,
)

# ---- which arrays a source means --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_images_and_labels(tmp_path: Path, version: str) -> None:
    root = ome_image(tmp_path / "a", version)
    group(root / "labels", {"labels": ["cells"]}, version)
    ome_image(root / "labels/cells", version, **{"image-label": {"version": version}})
    for format in ("zarr", "zarr2" if version == "0.4" else "zarr3"):
        volume = opened(root, format=format)
        assert [scale.resolution for scale in volume.info.scales] == [(8, 8, 40), (16, 16, 40)]
        assert [scale.key for scale in volume.info.scales] == ["0", "1"]
        np.testing.assert_array_equal(whole(volume, 1).data, ARRAY[:, ::2, ::2].T)
        assert volume.info.kind == "image"
        labels = opened(root, "labels/cells", format=format)
        assert labels.info.kind == "segmentation"
        assert [scale.key for scale in labels.info.scales] == ["labels/cells/0", "labels/cells/1"]
        np.testing.assert_array_equal(whole(labels, 1).data, ARRAY[:, ::2, ::2].T)
    with pytest.raises(FormatError, match="'labels' within it: it holds labels; name one of them: cells"):
        opened(root, "labels")
    wrong = "zarr3" if version == "0.4" else "zarr2"
    with pytest.raises(NotFoundError, match="nothing lies at"):
        opened(root, format=wrong)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_bioformats2raw(tmp_path: Path, version: str) -> None:
    root = group(tmp_path / "a", {"bioformats2raw.layout": 3}, version)
    ome_image(root / "0", version)
    np.testing.assert_array_equal(whole(opened(root)).data, ARRAY.T)
    group(root / "OME", {"series": ["0"]}, version)
    np.testing.assert_array_equal(whole(opened(root)).data, ARRAY.T)
    group(root / "OME", {"series": ["0", "1"]}, version)
    with pytest.raises(FormatError, match="name one of them: 0, 1; end the source with"):
        opened(root)
    shutil.rmtree(root / "OME")
    ome_image(root / "1", version)
    with pytest.raises(FormatError, match="several images"):
        opened(root)
    np.testing.assert_array_equal(whole(opened(root, "1")).data, ARRAY.T)


def test_plates(tmp_path: Path) -> None:
    root = group(tmp_path / "a", {"plate": {"wells": [{"path": "A/1"}, {"path": "A/2"}]}})
    group(root / "A/1", {"well": {"images": [{"path": "0"}]}})
    ome_image(root / "A/1/0")
    with pytest.raises(FormatError, match=r"plate.*A/1/0; its wells are A/1, A/2"):
        opened(root)
    with pytest.raises(FormatError, match="name one of its fields: 0"):
        opened(root, "A/1")
    np.testing.assert_array_equal(whole(opened(root, "A/1/0")).data, ARRAY.T)


def test_groups_that_say_nothing(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    root = group(tmp_path / "a", {})
    zarr2(root / "em")
    zarr2(root / "more/em")
    with pytest.raises(FormatError, match="name one of its arrays: em, more; end the source with"):
        opened(root)
    write_json(root / ".zmetadata", {"metadata": {"em/.zarray": {}, "more/em/.zarray": {}, ".zgroup": {}}})
    running = server(tmp_path)
    with pytest.raises(FormatError, match="name one of its arrays: em, more/em; end the source with"):
        opened(f"{running.url}/data/a")
    consolidated = {"metadata": {"em": {"node_type": "array"}, "more": {"node_type": "group"}}}
    newer = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": consolidated}
    write_json(tmp_path / "b/zarr.json", newer)
    with pytest.raises(FormatError, match="name one of its arrays: em; end the source with"):
        opened(f"{running.url}/data/b")
    with pytest.raises(NotFoundError, match=r"zarr\.json, \.zarray, .zattrs, .zgroup"):
        opened(root, "nowhere")
    with pytest.raises(NotFoundError, match=r"attributes\.json"):
        opened(root, "", "n5")
    with pytest.raises(ScaleError, match=r"\|zarr:em#axes=zyx&resolution=4,4,40"):
        opened(root, "em#axes=zyx")
    with pytest.raises(SourceError, match=r"\|zarr:em#axes=zyx"):
        opened(root, "em")


def test_scales_that_are_listed_and_not_there(tmp_path: Path) -> None:
    root = ome_image(tmp_path / "a")
    shutil.rmtree(root / "1")
    with pytest.raises(NotFoundError, match="'1' is listed"):
        opened(root)


def test_metadata_that_are_broken(tmp_path: Path) -> None:
    root = zarr2(tmp_path / "a")
    for text, words in (("{", "not JSON"), ("[]", "no JSON object"), ('{"zarr_format": 2}', "shape")):
        (root / ".zarray").write_text(text)
        with pytest.raises(FormatError, match=words):
            opened(root, EXPLICIT)


def test_n5_groups(tmp_path: Path) -> None:
    at = {"resolution": [8, 8, 40]}
    root = tmp_path / "a.n5"
    for place, attributes in (("listed", {**at, "downsamplingFactors": [[1, 1, 1], [2, 2, 1]]}), ("plain", {})):
        n5(root / place / "s0", resolution=AT)
        n5(root / place / "s1", ARRAY[:, ::2, ::2], downsamplingFactors=[2, 2, 1])
        write_json(root / place / "attributes.json", attributes)
    # as BigDataViewer has it, what holds for all lies further up
    write_json(root / "setup0/attributes.json", {"downsamplingFactors": [[1, 1, 1], [2, 2, 1]], "dataType": "uint16"})
    write_json(root / "setup0/timepoint0/attributes.json", {**at, "multiScale": True})
    for n in range(2):
        shutil.copytree(root / f"plain/s{n}", root / f"setup0/timepoint0/s{n}")
        one = json.loads((root / f"setup0/timepoint0/s{n}/attributes.json").read_text())
        bare = {key: one[key] for key in ("dimensions", "blockSize", "dataType", "compression")}
        write_json(root / f"setup0/timepoint0/s{n}/attributes.json", bare)
    for inner in ("listed", "plain", "setup0/timepoint0"):
        for place, path in ((root, inner), (root / inner, "")):
            volume = opened(place, path, "n5")
            assert [scale.resolution for scale in volume.info.scales] == [(8, 8, 40), (16, 16, 40)]
            np.testing.assert_array_equal(whole(volume, 1).data, ARRAY[:, ::2, ::2].T)
            coarse = opened(place, f"{path}/s1", "n5")
            assert coarse.info.scales[0].resolution == (16, 16, 40)
            np.testing.assert_array_equal(whole(coarse).data, ARRAY[:, ::2, ::2].T)
    write_json(root / "attributes.json", {"n5": "2.0.0"})
    with pytest.raises(FormatError, match="name one of its arrays: listed, plain, setup0"):
        opened(root, "", "n5")


def test_axes_that_an_n5_group_names(tmp_path: Path) -> None:
    root = tmp_path / "a.n5"
    array = ARRAY.transpose(1, 0, 2)  # N5's order is y, z, x then, of what numpy calls x, z, y
    write(root / "raw/s0", "n5", array.T, {"blockSize": [16, 8, 16], "compression": {"type": "gzip"}})
    write_json(root / "raw/attributes.json", {"axes": ["x", "z", "y"], "resolution": [8, 40, 8], "scales": [[1, 1, 1]]})
    for inner in ("raw", "raw/s0"):
        volume = opened(root, inner, "n5")
        assert volume.info.scales[0].resolution == (8, 8, 40)
        np.testing.assert_array_equal(whole(volume).data, ARRAY.T)


def test_n5_in_a_bucket_that_refuses_what_is_not_there(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    for n, factors in enumerate(([1, 1, 1], [2, 2, 1])):
        n5(tmp_path / f"b/a.n5/raw/s{n}", ARRAY[:, ::2, ::2] if n else ARRAY, downsamplingFactors=factors)
    write_json(tmp_path / "b/a.n5/raw/attributes.json", {})
    missing = r"/(data|b|a\.n5|s2)/attributes\.json"
    running = server(tmp_path, faults=[Fault(missing, status=403)])
    for url, inner in ((f"{running.url}/data/b", "a.n5/raw"), (f"{running.url}/data/b/a.n5/raw", "")):
        volume = opened(url, inner, "n5")
        assert [scale.resolution for scale in volume.info.scales] == [(8, 8, 40), (16, 16, 40)]
        coarse = opened(f"{url}/{inner}/s1" if inner else f"{url}/s1", "", "n5")
        np.testing.assert_array_equal(whole(coarse).data, ARRAY[:, ::2, ::2].T)


def test_cutouts_of_a_client(tmp_path: Path) -> None:
    root = ome_image(tmp_path / "a", "0.5")
    group(root / "labels", {"labels": ["cells"]}, "0.5")
    cells = (ARRAY % 50).astype(np.uint64) + 2**40
    zarr3(root / "labels/cells/0", cells, absent=[(8, 16, 16)])
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [40, 8, 8]}]}]
    multiscales = [{"axes": SPACE, "datasets": datasets}]
    group(root / "labels/cells", {"multiscales": multiscales, "image-label": {}}, "0.5")
    client = ic.ImageryClient(
        image_source=root, segmentation_source=f"{root}|zarr3:labels/cells", resolution=[8, 8, 40]
    )
    bounds, part = [[5, 3, 2], [30, 16, 8]], (slice(5, 30), slice(3, 16), slice(2, 8))
    image, segmentation = client.image_and_segmentation_cutout(bounds, split_segmentations=False)
    np.testing.assert_array_equal(image, ARRAY.T[part])
    np.testing.assert_array_equal(segmentation, cells.T[part])
    coarse = client.image_cutout([[4, 4, 2], [30, 16, 8]], mip=1)
    np.testing.assert_array_equal(coarse, ARRAY[2:8, ::2, ::2].T[2:15, 2:8])
    one = int(cells[4, 5, 6])
    masks = client.split_segmentation_cutout(bounds, root_ids=[one])
    np.testing.assert_array_equal(masks[one], cells.T[part] == one)
    with pytest.warns(MissingDataWarning, match="never written"):
        cut = client.segmentation_cutout([[16, 16, 8], [32, 32, 16]])
    assert not cut.any()


def test_what_is_called_labels(tmp_path: Path) -> None:
    root = tmp_path / "labels/a"
    ome_image(root)
    group(root / "labels", {"labels": ["cells", "em"]})
    for name in ("cells", "elsewhere"):
        ome_image(root / "labels" / name)
    for place, inner, kind in (
        (root, "", "image"),  # its folder is called so, but is no group
        (root, "labels/cells", "segmentation"),
        (root, "labels/cells/1", "segmentation"),
        (root / "labels", "cells/1", "segmentation"),
        (root / "labels/cells", "", "segmentation"),
        (root / "labels/cells", "1", "segmentation"),
        (root / "labels/cells/1", "", "segmentation"),
        (root / "labels/elsewhere", "", "image"),
    ):
        assert opened(place, inner).info.kind == kind, (place, inner)
