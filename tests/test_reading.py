"""Every kind of file of all that is saved: what it says, whether it is made again and opens; and damaged ones."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import imageryclient as ic
from imageryclient.cutout import Cutout
from imageryclient.errors import FormatError, NotFoundError
from imageryclient.files.reading import read_record
from imageryclient.files.record import Record
from imageryclient.geometry import Box
from imageryclient.section import Section
from imageryclient.viewer import read_view

pytest.importorskip("av")

AT = (8.0, 8.0, 40.0)
KINDS = {
    "cutout": ("png", "svg", "pdf", "npz", "tif", "ome.tif", "mp4", "webp", "gif"),
    "section": ("png", "svg", "pdf", "npz"),
    "planes": ("png", "svg", "pdf"),
    "turn": ("mp4", "webp", "gif"),
}
EVERY = [(what, kind) for what, kinds in KINDS.items() for kind in kinds]


def saved(client: Any, what: str, path: Path, middle: Any) -> list[Path]:
    """Each kind of figure of a place, with colours that somebody chose."""
    place = client.cutout(middle, (24, 18, 3))
    ids = place.masks.ids.tolist()
    painting: dict[str, Any] = {"colors": {ids[0]: "red", ids[1]: "#0000ff"}, "default_color": "gold", "alpha": 0.5}
    if what == "cutout":
        return list(place.save(path, **painting))
    if what == "planes":
        return list(place.save(path, planes=True, **painting))
    if what == "section":
        return list(client.section(middle, (24, 18), normal=(0.3, 0.1, 1)).save(path, **painting))
    return [client.turn(path, middle, (24, 18), degrees=90, seconds=1, fps=3, **painting)]


@pytest.mark.parametrize(("what", "kind"), EVERY)
def test_each_file_says_what_it_is_is_made_again_and_opens(
    datastack: Any, server: Any, connect: Any, tmp_path: Path, what: str, kind: str
) -> None:
    running = server()
    moment = datastack.history.operations[5].time + 1
    client = connect(running, timestamp=moment, missing="fill")
    files = saved(client, what, tmp_path / f"place.{kind}", datastack.middle)
    file = files[0]
    record = read_record(file)
    assert set(record.sources) == {"imagery", "segmentation"}
    assert all("http" in source for source in record.sources.values())
    assert isinstance(record.place, Box if what in ("cutout", "planes") else Section)
    resolution = record.bounds.resolution if isinstance(record.place, Box) else record.resolution
    assert resolution is not None
    assert record.mips == {"imagery": 1, "segmentation": 0}
    assert record.timestamp == client._moment
    assert record.root_ids == "all"
    assert record.version == ic.__version__
    assert record.covered == {"imagery": 1, "segmentation": 1}
    center = [c * nm for c, nm in zip(datastack.middle, datastack.fine, strict=True)]
    link = read_view(record.link or "")
    assert np.abs(np.array(link.center) - center).max() <= 40
    assert {layer.name for layer in link.layers} == {"imagery", "segmentation"}
    if kind not in ("npz", "tif", "ome.tif"):  # which are not painted
        assert "red" in record.painting["colors"].values()
    assert running.token not in record.to_json()
    (cut,), again = ic.remake(file, auth_token=running.token)
    for one, other in zip(files, again, strict=False):  # of the pictures of a stack it is the one of that section
        assert one.read_bytes() == other.read_bytes()
    opened, reopened = (ic.load_cutout(one, **_access(kind, running)) for one in (file, again[0]))
    whole = client.cutout(datastack.middle, (24, 18, 3)) if isinstance(cut, Cutout) else cut
    for one in (opened, reopened):
        assert type(one) is type(cut)
        assert np.array_equal(one.image, whole.image)
        assert np.array_equal(one.segmentation, whole.segmentation)
        assert one.image.dtype == whole.image.dtype
        assert (one.timestamp, one.sources, one.mips) == (cut.timestamp, cut.sources, cut.mips)


def _access(kind: str, running: Any) -> dict[str, str]:
    """What files without voxels need."""
    return {} if kind in ("npz", "tif", "ome.tif") else {"auth_token": running.token}


@pytest.mark.parametrize("name", ["place.tif", "place.ome.tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
@pytest.mark.parametrize("channels", [None, 2, 3])
def test_a_stack_opens_as_the_cutout_it_was(tmp_path: Path, name: str, dtype: str, channels: int | None) -> None:
    rng = np.random.default_rng(4)
    for depth in (1, 3):
        shape = (7, 5, depth) if channels is None else (7, 5, depth, channels)
        image = rng.integers(0, 2, shape).astype(dtype)
        ids = rng.choice(np.array([0, 3, 2**63 + 1], np.uint64), shape[:3])
        box = Box((1, 2, 3), (8, 7, 3 + depth), AT)
        cut = Cutout(image, ids, box, sources={"imagery": "gs://a", "segmentation": "gs://b"}, root_ids=(3, 2**63 + 1))
        files = cut.save(tmp_path / name)
        whole = ic.load_cutout(files[0])
        assert isinstance(whole, Cutout)
        assert (whole.bounds, whole.root_ids, whole.image.dtype) == (box, cut.root_ids, image.dtype)
        assert np.array_equal(whole.image, image)
        assert np.array_equal(whole.segmentation, ids)
        labels = ic.load_cutout(files[1])
        assert labels.image is None
        assert np.array_equal(labels.segmentation, ids)
        files[1].unlink()
        assert ic.load_cutout(files[0]).segmentation is None
    other = Cutout(None, ids, Box((2, 2, 3), (9, 7, 6), AT)).save(
        tmp_path / name.replace("place", "place_segmentation")
    )
    assert other == [files[1]]
    assert ic.load_cutout(files[0]).segmentation is None  # what lies beside it is of another place


# ---- what is no such file ---------------------------------------------------------------------------------------


def figures(folder: Path) -> list[Path]:
    """A small file of each kind."""
    image = np.random.default_rng(4).integers(0, 255, (20, 16, 3), dtype=np.uint8)
    cut = Cutout(image, None, Box((0, 0, 5), (20, 16, 8), AT), sources={"imagery": "precomputed://gs://bucket/em"})
    made = []
    for kind in KINDS["cutout"]:
        chosen = {"section": 0} if kind in ("png", "svg", "pdf") else {}
        made += cut.save(folder / f"a.{kind}", **chosen)
    return made


def test_a_truncated_file_has_its_record_or_says_so(tmp_path: Path) -> None:
    for file in figures(tmp_path):
        whole, record = file.read_bytes(), read_record(file)
        half = tmp_path / f"half{file.name[1:]}"
        found = set()
        for length in sorted(
            {*np.geomspace(1, len(whole) - 1, 40).astype(int).tolist(), len(whole) - 1, len(whole) // 2}
        ):
            half.write_bytes(whole[:length])
            try:
                assert read_record(half) == record
                found.add("whole")
            except FormatError as error:
                assert str(error).startswith(half.name)  # noqa: PT017
                found.add("said")
                with pytest.raises(FormatError, match=re.escape(half.name)):
                    ic.load_cutout(half)
        assert "said" in found


@pytest.mark.parametrize("kind", ["tif", "ome.tif", "npz"])
def test_a_truncated_file_of_voxels_does_not_open(tmp_path: Path, kind: str) -> None:
    image = np.random.default_rng(4).integers(0, 255, (20, 16, 3), dtype=np.uint8)
    (file,) = Cutout(image, None, Box((0, 0, 5), (20, 16, 8), AT)).save(tmp_path / f"a.{kind}")
    whole = file.read_bytes()
    for length in range(len(whole) // 8, len(whole), max(1, len(whole) // 60)):
        file.write_bytes(whole[:length])
        try:
            assert np.array_equal(ic.load_cutout(file).image, image)
        except FormatError as error:
            assert str(error).startswith(file.name)  # noqa: PT017
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=re.escape(file.name)):
        ic.load_cutout(file)


def test_files_of_others_say_nothing(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    for name in ("a.png", "a.jpg", "a.gif", "a.webp", "a.tif", "a.pdf", "a.bmp"):
        picture.save(tmp_path / name)
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "empty.png").write_bytes(b"")
    np.savez(tmp_path / "a.npz", image=np.zeros(3))
    for file in tmp_path.iterdir():
        with pytest.raises(FormatError, match=rf"{file.name} (does not say what was cut out|is no cutout)"):
            read_record(file)
        for opening in (ic.load_cutout, ic.redo, ic.remake):
            with pytest.raises(FormatError, match=file.name):
                opening(file)
    for opening in (ic.load_cutout, ic.redo, ic.remake):
        with pytest.raises(NotFoundError, match="there is no file"):
            opening(tmp_path / "absent.png")


def test_a_record_of_a_newer_version_is_said(tmp_path: Path) -> None:
    record = Record(Box((0, 0, 5), (8, 8, 6), AT), {"imagery": "gs://bucket/em"})
    newer = {"imageryclient": "99.1"}

    def written(**changes: Any) -> Path:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("imageryclient", json.dumps(record.to_dict() | changes))
        Image.new("RGB", (3, 3)).save(tmp_path / "a.png", pnginfo=info)
        return tmp_path / "a.png"

    assert read_record(written(**newer, more={"not": "known"})).place == record.place
    for change in ({"format": 2}, {"bounds": {"corners": [1]}}, {"format": "3.1"}):
        with pytest.raises(
            FormatError, match=r"a\.png was written by imageryclient 99\.1, and .* pip install --upgrade"
        ):
            read_record(written(**newer, **change))
        with pytest.raises(FormatError, match="does not tell what was cut out"):
            read_record(written(**change))


def test_a_picture_painted_by_a_newer_version(datastack: Any, tmp_path: Path) -> None:
    shutil.copytree(datastack.folder / "imagery", tmp_path / "em")
    client = ic.ImageryClient(image_source=tmp_path / "em", missing="fill")
    (file,) = client.cutout(datastack.middle, (20, 20), resolution=datastack.fine).save(tmp_path / "a.svg")
    text = file.read_text(encoding="utf-8").replace('"alpha"', '"glow"')
    painted = text.replace('"painting": {', '"painting": {"glow": 3, ')
    file.write_text(painted, encoding="utf-8")
    with pytest.raises(TypeError, match="glow"):
        ic.remake(file)
    file.write_text(painted.replace(f'"imageryclient": "{ic.__version__}"', '"imageryclient": "3.0"'), encoding="utf-8")
    with pytest.raises(FormatError, match=r"painted by imageryclient 3\.0, .*glow.*--upgrade"):
        ic.remake(file)
