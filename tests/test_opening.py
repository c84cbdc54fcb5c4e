from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cache import ABSENT, Payload
from imageryclient.cloudpath import parse_source
from imageryclient.demo.faults import Fault
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import (
    AccessError,
    ArgumentError,
    FormatError,
    ImageryError,
    MissingExtraError,
    NotFoundError,
    SourceError,
    StorageError,
)
from imageryclient.storage import Patience
from imageryclient.volumes import SegmentationVolume, Volume, open_volume
from imageryclient.volumes.documents import find_format

EM = np.random.default_rng(1).integers(1, 255, (40, 30, 9), np.uint8)
LABELS = np.random.default_rng(2).integers(1, 9, (40, 30, 9)).astype(np.uint32)
QUICK = Patience(timeout=5.0, pause=0.001, longest_pause=0.002)
PLAIN = (("Content-Encoding", "identity"),)
ZARRAY = {"zarr_format": 2, "order": "C", "compressor": None, "filters": None, "fill_value": 0}


def write_zarr2(folder: Path, array: np.ndarray, **attributes: Any) -> None:
    """One chunk, axes z, y, x as OME-Zarr has them."""
    turned = np.ascontiguousarray(array.T)
    folder.mkdir(parents=True)
    about = {**ZARRAY, "shape": turned.shape, "chunks": turned.shape, "dtype": turned.dtype.str}
    (folder / ".zarray").write_text(json.dumps(about))
    (folder / ".zattrs").write_text(json.dumps(attributes))
    (folder / "0.0.0").write_bytes(turned.tobytes())


def write_zarr3(folder: Path, array: np.ndarray) -> None:
    turned = np.ascontiguousarray(array.T)
    folder.mkdir(parents=True)
    about = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": turned.shape,
        "data_type": str(array.dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": turned.shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "fill_value": 0,
        "dimension_names": ["z", "y", "x"],
        "attributes": {},
    }
    (folder / "zarr.json").write_text(json.dumps(about))
    (folder / "c" / "0" / "0").mkdir(parents=True)
    (folder / "c" / "0" / "0" / "0").write_bytes(turned.tobytes())


def write_ome(folder: Path, array: np.ndarray) -> None:
    scales = [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [40, 8, 8]}]}]
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    multiscales = [{"version": "0.4", "axes": axes, "datasets": scales}]
    (folder / ".zattrs").write_text(json.dumps({"multiscales": multiscales}))
    write_zarr2(folder / "s0", array)


def write_n5(folder: Path, array: np.ndarray) -> None:
    folder.mkdir()
    about = {
        "dimensions": array.shape,
        "blockSize": array.shape,
        "dataType": str(array.dtype),
        "compression": {"type": "raw"},
        "resolution": [8, 8, 40],
        "units": ["nm", "nm", "nm"],
        "axes": ["x", "y", "z"],
    }
    (folder / "attributes.json").write_text(json.dumps(about))
    (folder / "0" / "0").mkdir(parents=True)
    head = np.array([0, 3], ">u2").tobytes() + np.array(array.shape, ">u4").tobytes()
    big = array.astype(array.dtype.newbyteorder(">"))
    (folder / "0" / "0" / "0").write_bytes(head + big.tobytes(order="F"))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of volumes in all formats, each of the same voxels."""
    folder = tmp_path_factory.mktemp("shelf")
    write_precomputed(folder / "em", [(EM, Layout(resolution=(8, 8, 40)))], kind="image")
    write_precomputed(folder / "labels", [(LABELS, Layout(resolution=(8, 8, 40)))], kind="segmentation")
    write_ome(folder / "em.zarr", EM)
    write_ome(folder / "labels.zarr", LABELS)
    write_ome(folder / "real.zarr", EM.astype(np.float32))
    write_zarr3(folder / "em3.zarr", EM)
    write_n5(folder / "em.n5", EM)
    return folder


@pytest.fixture
def served(shelf: Path, server: Callable[..., DemoServer]) -> DemoServer:
    ic.clear_cache()
    return server(shelf)


def opened(source: str | Path, **options: Any) -> Volume:
    return open_volume(parse_source(source), patience=QUICK, **options)


def voxels(volume: Volume) -> np.ndarray:
    (scale,) = volume.info.scales
    return volume.read(scale.bounds, scale).data


# ---- formats, named or found -------------------------------------------------------------------------------------

SOURCES = {
    "precomputed://{}/em": "em",
    "{}/em": "em",
    "{}/em/": "em",
    "{}/em/info": "em",
    "precomputed://{}/em/info": "em",
    "{}/em/|neuroglancer-precomputed:": "em",
    "{}/labels": "labels",
    "{}/em.zarr": "em",
    "{}/em.zarr/": "em",
    "{}/em.zarr/.zattrs": "em",
    "zarr://{}/em.zarr": "em",
    "zarr2://{}/em.zarr": "em",
    "{}/em.zarr/|zarr2:": "em",
    "{}/em.zarr/|zarr:s0": "em",
    "zarr://{}/em.zarr/s0": "em",
    "{}/em.zarr/s0": "em",
    "{}/labels.zarr": "labels",
    "{}/em3.zarr/|zarr3:#resolution=8,8,40": "em",
    "{}/em.n5": "em",
    "n5://{}/em.n5": "em",
    "{}/em.n5/|n5:": "em",
}


def check(source: str, name: str) -> None:
    if "zarr" in source or "n5" in source:
        pytest.importorskip("tensorstore")
    volume = opened(source)
    assert volume.source == source
    assert [scale.resolution for scale in volume.info.scales] == [(8, 8, 40)]
    assert np.array_equal(voxels(volume), EM if name == "em" else LABELS)
    assert name == "em" or isinstance(volume, SegmentationVolume)


@pytest.mark.parametrize(("source", "name"), SOURCES.items(), ids=SOURCES)
def test_folders(shelf: Path, source: str, name: str) -> None:
    check(source.format(shelf), name)


@pytest.mark.parametrize(("source", "name"), SOURCES.items(), ids=SOURCES)
def test_servers(served: DemoServer, source: str, name: str) -> None:
    check(source.format(f"{served.url}/data"), name)


@pytest.mark.parametrize("source", ["precomputed://s3+{}/data/em", "s3://{}/data/em", "precomputed://s3://{}/data/em/"])
def test_buckets_of_other_servers(served: DemoServer, source: str) -> None:
    check(source.format(served.url), "em")


def test_names_that_need_quoting(shelf: Path, tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    name = "my em (1)#2 50%é"
    shutil.copytree(shelf / "em", tmp_path / name)
    check(f"{tmp_path}/{name}", "em")
    check((tmp_path / name).as_uri(), "em")
    running = server(tmp_path)
    for quoted in ("my em (1)%232 50%25é", "my%20em%20(1)%232%2050%25%C3%A9"):
        check(f"precomputed://{running.url}/data/{quoted}", "em")
        check(f"precomputed://s3+{running.url}/data/{quoted}", "em")
        ic.clear_cache()


def test_a_named_format_costs_one_request(served: DemoServer) -> None:
    opened(f"precomputed://{served.url}/data/em")
    assert served.requests.paths == ["/data/em/info"]


def test_the_documents_are_asked_for_together() -> None:
    meeting = threading.Barrier(6)

    class Waiting:
        url = "https://example.org/em"

        def get(self, key: str) -> Payload:
            if not key.startswith(".."):
                meeting.wait(timeout=10)
            return ABSENT

        def forget(self, key: str) -> None:
            pass

    with pytest.raises(NotFoundError, match="describes a volume"):
        find_format(parse_source("https://example.org/em"), Waiting())


def test_a_precomputed_volume_goes_before_others_in_the_same_folder(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "em", tmp_path / "both")
    shutil.copytree(shelf / "labels.zarr", tmp_path / "both", dirs_exist_ok=True)
    check(f"{tmp_path}/both", "em")


def test_a_client_takes_integers_of_a_zarr_as_ids_and_refuses_real_numbers(shelf: Path) -> None:
    pytest.importorskip("tensorstore")
    client = ic.ImageryClient(segmentation_source=shelf / "labels.zarr")
    cut = client.segmentation_cutout([[0, 0, 0], [40, 30, 9]])
    assert np.array_equal(cut, LABELS)
    client = ic.ImageryClient(segmentation_source=shelf / "real.zarr")
    with pytest.raises(ArgumentError, match="holds imagery, not a segmentation: its voxels are float32"):
        client.segmentation_cutout([[0, 0, 0], [4, 3, 2]])
    client = ic.ImageryClient(segmentation_source=shelf / "em")
    with pytest.raises(ArgumentError, match="not a segmentation: its info document says type 'image'"):
        client.segmentation_cutout([[0, 0, 0], [4, 3, 2]])


@pytest.mark.parametrize("source", ["{}/em.zarr", "zarr2://{}/em.zarr", "{}/em.n5"])
def test_a_missing_extra_is_named(shelf: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'imageryclient\[zarr\]'"):
        opened(source.format(shelf))


# ---- nothing there -----------------------------------------------------------------------------------------------

ALL = ("info (precomputed)", "zarr.json (Zarr 3)", ".zarray, .zgroup and .zattrs (Zarr 2)", "attributes.json (N5)")


def refusal(source: str | Path, kind: type[ImageryError] = NotFoundError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        opened(source, **options)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_that_was_looked_for_is_named(served: DemoServer, tmp_path: Path) -> None:
    for source in (f"{served.url}/data/nothing", tmp_path, f"s3+{served.url}/data/nothing"):
        message = refusal(source)
        for words in ALL:
            assert words in message
    assert "check the path, and that there is a bucket 'data'" in message


def test_what_was_not_there_is_looked_for_again(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    running = server(tmp_path)
    refusal(f"{running.url}/data/later")
    write_precomputed(tmp_path / "later", [(EM, Layout(resolution=(8, 8, 40)))], kind="image")
    check(f"{running.url}/data/later", "em")


def test_folders_that_are_not_there(shelf: Path) -> None:
    assert "there is no folder" in refusal(shelf / "nothing" / "below")
    assert f"{shelf} holds em" in refusal(f"precomputed://{shelf}/em2")
    assert f"{shelf} holds labels, labels.zarr" in refusal(shelf / "label")
    assert "is a file, not the folder of a volume" in refusal(shelf / "em.zarr" / "s0" / "0.0.0")
    assert "there are volumes in folders below it: em, em.n5, em.zarr" in refusal(shelf)
    assert "there are volumes in folders below it: em, em.n5" in refusal(f"precomputed://{shelf}")


def test_another_format_than_the_one_named(served: DemoServer, shelf: Path) -> None:
    for place in (f"{served.url}/data", shelf):
        message = refusal(f"precomputed://{place}/em.zarr")
        assert "there is no info document" in message
        assert "there is .zgroup, so write zarr2:// before the place, or leave the format out" in message
        assert "there is attributes.json, so write n5://" in refusal(f"precomputed://{place}/em.n5")


def test_another_format_than_zarr(served: DemoServer, shelf: Path) -> None:
    pytest.importorskip("tensorstore")
    for place in (f"{served.url}/data", shelf):
        assert "there is info, so write precomputed://" in refusal(f"zarr3://{place}/em")
        assert "there is attributes.json, so write n5://" in refusal(f"zarr://{place}/em.n5")
        assert "there is .zgroup, so write zarr2://" in refusal(f"zarr3://{place}/em.zarr")
    assert "real.zarr" in refusal(f"zarr3://{shelf}/em4.zarr")


@pytest.mark.parametrize("start", ["", "precomputed://"])
def test_a_folder_of_one_scale(served: DemoServer, shelf: Path, start: str) -> None:
    web = f"{served.url}/data"
    for place, url in ((web, web), (f"s3://{web}", f"s3+{web}"), (shelf, shelf.as_uri())):
        message = refusal(f"{start}{place}/em/8_8_40")
        assert f"it is one scale of the volume in the folder above: name {url}/em, and choose the scale" in message
        assert "[8, 8, 40]" in message


# ---- something else there ----------------------------------------------------------------------------------------


def test_web_pages(served: DemoServer) -> None:
    page = b"<!DOCTYPE html><html><head><title>Sign in &amp;\n go on</title></head></html>"
    served.faults = [Fault("/data/em/", body=page)]
    for start in ("", "precomputed://"):
        message = refusal(f"{start}{served.url}/data/em", FormatError)
        assert "is not JSON but a web page, titled 'Sign in & go on'" in message
        assert "name the folder of the data" in message
        assert "middleauth+" in message


def test_a_page_in_the_place_of_all_that_is_not_there_hides_no_zarr(served: DemoServer) -> None:
    pytest.importorskip("tensorstore")
    served.faults = [Fault("/em.zarr/(info|zarr.json|attributes.json)", status=200, body=b"<html></html>")]
    check(f"{served.url}/data/em.zarr", "em")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty, so not JSON"),
        ("voxels", "is not JSON; it begins with 'voxels'"),
        ("<?xml version='1.0'?><Error><Code>Broken</Code></Error>", "XML that says Broken"),
        ("[1]", "must be a JSON object"),
        ("3", "must be a JSON object"),
        ('{"@type": "neuroglancer_annotations_v1"}', "it holds annotations and no voxels"),
        ('{"@type": "neuroglancer_legacy_mesh"}', "it holds meshes and no voxels"),
        ('{"@type": "neuroglancer_skeletons"}', "it holds skeletons and no voxels"),
        (
            '{"redirect": "precomputed://gs://bucket/em"}',
            "sends on to another place; name precomputed://gs://bucket/em",
        ),
        ('{"type": "image"}', "'data_type' is missing"),
    ],
)
def test_documents_that_describe_no_volume(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "info").write_text(text)
    assert words in refusal(f"precomputed://{tmp_path}", SourceError)
    if text not in ("[1]", "3"):
        assert words in refusal(tmp_path, SourceError)
    else:
        assert "hold no JSON object" in refusal(tmp_path, FormatError)


def changed(shelf: Path, **fields: Any) -> str:
    document = json.loads((shelf / "em" / "info").read_text())
    document["scales"][0].update(fields)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"chunk_sizes": [[64, 0, 64]]}, "'scales[0].chunk_sizes[0]' must be at least 1; it is 0"),
        ({"voxel_offset": [0.5, 0, 0]}, "'scales[0].voxel_offset' must be a whole number; it is 0.5"),
        ({"size": [40, -30, 9]}, "'scales[0].size' must be at least 0; it is -30"),
        ({"resolution": [8, 8, 0]}, "'scales[0].resolution' must be three positive numbers"),
        ({"size": None}, "'scales[0].size' is missing; there is key"),
        ({"encoding": 3}, "'scales[0].encoding' must be text; it is 3"),
    ],
)
def test_scales_that_do_not_fit(shelf: Path, tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    (tmp_path / "info").write_text(changed(shelf, **fields))
    assert words in refusal(tmp_path, FormatError)


# ---- servers that refuse or fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "kind"), [(401, AccessError), (403, AccessError), (503, StorageError)])
def test_refusals_and_failures(served: DemoServer, status: int, kind: type[ImageryError]) -> None:
    served.faults = [Fault("/data/em/", status=status)]
    with pytest.raises(kind, match=str(status)) as caught:
        opened(f"{served.url}/data/em")
    assert f"{served.url}/data/em/info" in str(caught.value)


def test_a_server_that_refuses_all_that_begins_with_a_dot(served: DemoServer) -> None:
    served.faults = [Fault(r"/\.z", status=403)]
    assert "nothing at" in refusal(f"{served.url}/data/nothing")
    check(f"{served.url}/data/em", "em")


def test_a_server_that_refuses_what_is_not_there_hides_no_zarr(served: DemoServer) -> None:
    pytest.importorskip("tensorstore")
    served.faults = [Fault("/em.zarr/(info|zarr.json|.zarray|attributes.json)", status=403)]
    check(f"{served.url}/data/em.zarr", "em")


def test_a_bucket_that_does_not_exist(served: DemoServer) -> None:
    body = b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code></Error>"
    served.faults = [Fault("/data/em/", status=404, body=body)]
    for start in ("", "precomputed://"):
        with pytest.raises(NotFoundError, match="s3://data/em/info: there is no such bucket"):
            opened(f"{start}s3+{served.url}/data/em")


def test_a_segmentation_of_cave_without_its_format(datastack: Any, server: Callable[..., DemoServer]) -> None:
    running = server()
    table = f"{running.url}/segmentation/table/{datastack.table}"
    with pytest.raises(AccessError, match=f"A segmentation of CAVE is written graphene://{table}"):
        opened(table)
    with pytest.raises(SourceError, match=f"served by CAVE; write graphene://{table}"):
        opened(f"middleauth+{table}", token=DEMO_TOKEN)
    assert opened(f"graphene://{table}", token=DEMO_TOKEN).info.kind == "segmentation"


def test_a_token_goes_only_where_the_source_asks_for_one(datastack: Any, server: Callable[..., DemoServer]) -> None:
    running = server(protect_data=True)
    with pytest.raises(AccessError, match="middleauth"):
        opened(f"{running.url}/data/imagery", token=DEMO_TOKEN)
    assert opened(f"middleauth+{running.url}/data/imagery", token=DEMO_TOKEN).info.kind == "image"


def test_a_graph_whose_voxels_lie_in_a_bucket(datastack: Any, server: Callable[..., DemoServer]) -> None:
    running = server()
    table = f"/segmentation/table/{datastack.table}/info"
    document = json.loads((datastack.folder / "supervoxels" / "info").read_text())
    document["data_dir"] = f"s3+{running.url}/data/supervoxels"
    running.faults = [Fault(table, body=json.dumps(document).encode(), headers=PLAIN)]
    volume = opened(f"graphene://{running.url}/segmentation/table/{datastack.table}", token=DEMO_TOKEN)
    scale = volume.info.scales[0]
    assert volume.read(scale.bounds, scale).data.any()
