"""Figures of several cutouts as files: what they show beside pictures put together by hand, and made again."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, PngImagePlugin

import imageryclient as ic
from drawings import NM, cells, painted
from imageryclient.cli import main
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError, FormatError
from imageryclient.files.panels import PanelsRecord, panels_in
from imageryclient.files.reading import read_record

NS = {"": "http://www.w3.org/2000/svg"}
BIG = 864691135000000000


@pytest.fixture
def client(tmp_path: Path) -> ic.ImageryClient:
    """Folders of cells over noise."""
    ids = np.repeat(cells(60, 50)[:, :, None], 8, axis=2).astype(np.uint64) + np.uint64(BIG)
    image = np.random.default_rng(5).integers(40, 220, ids.shape, dtype=np.uint8)
    for name, data, kind in (("em", image, "image"), ("seg", ids, "segmentation")):
        write_precomputed(tmp_path / name, [(data, Layout(resolution=NM, chunk_size=(32, 32, 8)))], kind=kind)
    return ic.ImageryClient(image_source=tmp_path / "em", segmentation_source=tmp_path / "seg")


def panels(client: ic.ImageryClient) -> list[Any]:
    cut = client.cutout([30, 25, 4], (40, 30))
    tilted = client.section([30, 25, 4], (36, 30), normal=(0.2, 0, 1))
    stack = client.cutout([30, 25, 4], (40, 30, 6))
    line = {"outline": True, "highlight": cut.masks.ids[:2].tolist()}
    return [cut, (cut, line), None, (tilted, {"alpha": 0.6}), (stack, {"section": 2}), (stack, {"planes": True})]


ARRANGEMENT: dict[str, Any] = {
    "columns": 3, "letters": "(a)", "titles": [str(BIG + 7), None, None, "µ", None, None], "spacing": 5,
}  # fmt: skip


def test_a_picture_of_panels_is_the_pictures_put_together(client: ic.ImageryClient, tmp_path: Path) -> None:
    parts = panels(client)
    file = ic.save_panels(tmp_path / "panels.png", parts, zoom=2, palette="tab10", **ARRANGEMENT)
    (cut, (_, line), _, (tilted, _), (stack, _), _), shared = parts, {"zoom": 2, "palette": "tab10"}
    pictures = [
        cut.overlay(**shared),
        cut.overlay(**shared, **line),
        None,
        tilted.overlay(**shared, alpha=0.6),
        stack.overlay(**shared, section=2),
        stack.planes(**shared),
    ]
    with Image.open(file) as opened:
        assert np.array_equal(
            np.asarray(opened), np.asarray(ic.stack_images(pictures, background="white", **ARRANGEMENT))
        )
        assert opened.text["Description"].startswith("5 panels: imagery (")
    record = panels_in(file)
    assert record is not None
    assert [panel is None for panel in record.panels] == [False, False, True, False, False, False]
    assert record.panels[0].painting == cut.record(**shared).painting
    assert record.panels[3].place == tilted.section
    assert record.arrangement == {**ARRANGEMENT, "background": "white"}
    assert PanelsRecord.from_json(record.to_json(), "it") == record


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_of_panels_is_made_again(client: ic.ImageryClient, tmp_path: Path, suffix: str) -> None:
    file = ic.save_panels(tmp_path / f"panels.{suffix}", panels(client), smooth=True, **ARRANGEMENT)
    result = CliRunner().invoke(main, ["redo", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert (tmp_path / f"panels_redone.{suffix}").read_bytes() == file.read_bytes()
    other = "svg" if suffix != "svg" else "png"
    cuts, (elsewhere,) = ic.remake(file, tmp_path / f"other.{other}")
    assert len(cuts) == 3  # the first two panels are of one place, and the last two
    direct = ic.save_panels(tmp_path / f"direct.{other}", panels(client), smooth=True, **ARRANGEMENT)
    assert elsewhere.read_bytes() == direct.read_bytes()
    for opening in (read_record, ic.redo, ic.load_cutout):
        with pytest.raises(ArgumentError, match=r"several cutouts: imageryclient\.remake"):
            opening(file)
    with pytest.raises(ArgumentError, match=r"panels is saved as"):
        ic.remake(file, tmp_path / "a.npz")


def test_panels_of_vectors_have_names_of_their_own(client: ic.ImageryClient, tmp_path: Path) -> None:
    zoomed = [(cut, options | {"zoom": 2 + number}) for number, (cut, options) in enumerate(
        one if isinstance(one, tuple) else (one, {}) for one in panels(client) if one is not None)]  # fmt: skip
    file = ic.save_panels(tmp_path / "panels.svg", zoomed, rows=2, letters_inside=True, letters=True)
    document = ET.parse(file).getroot()
    names = [group.attrib["id"] for group in document.iterfind("g", NS)]
    assert names == ["background", *(f"panel-{n}" for n in range(1, 6)), "letters"]
    ids = [element.attrib["id"] for element in document.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert document.find("g[@id='panel-5']/g[@id='panel-5-xz']/g[@id='panel-5-xz-crossing']/path", NS) is not None
    assert "scale(1.5)" in document.find("g[@id='panel-2']", NS).attrib["transform"]
    box = [float(number) for number in document.attrib["viewBox"].split()]
    with Image.open(ic.save_panels(tmp_path / "a.png", zoomed, rows=2, letters_inside=True, letters=True)) as picture:
        assert picture.size == (round(2 * box[2]), round(2 * box[3]))


def test_what_makes_no_panels(client: ic.ImageryClient, tmp_path: Path) -> None:
    cut, stack = client.cutout([30, 25, 4], (20, 16)), client.cutout([30, 25, 4], (20, 16, 2))
    for given, said in (([], "at least one"), ([None], "at least one"), ([cut, stack], "panel 2 has 2 sections"),
                        ([cut.image], "a panel is a cutout"), ([cut.overlay()], "a panel is a cutout")):  # fmt: skip
        for kind in ("png", "svg"):
            with pytest.raises(ArgumentError, match=said):
                ic.save_panels(tmp_path / f"a.{kind}", given)
    with pytest.raises(ArgumentError, match=r"\.png, \.svg or \.pdf"):
        ic.save_panels(tmp_path / "a.gif", [cut])
    with pytest.raises(ArgumentError, match="one section"):
        ic.save_panels(tmp_path / "a.svg", [client.section([30, 25, 4], (20, 16))], planes=True)
    with pytest.raises(ArgumentError, match="need as many titles"):
        ic.save_panels(tmp_path / "a.svg", [cut], titles=["a", "b"])
    assert not list(tmp_path.glob("a.*"))
    for panels_said in ([{"imageryclient": "2"}], "x", [7]):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("imageryclient", json.dumps({"imageryclient": "2", "panels": panels_said}))
        Image.new("RGB", (3, 3)).save(tmp_path / "broken.png", pnginfo=info)
        with pytest.raises(FormatError, match=r"broken\.png does not tell"):
            ic.remake(tmp_path / "broken.png")


@pytest.mark.slow
def test_a_browser_paints_the_panels(client: ic.ImageryClient, tmp_path: Path) -> None:
    options = {"zoom": 4, "smooth": True, **ARRANGEMENT, "letters": False, "titles": None}
    with Image.open(ic.save_panels(tmp_path / "a.png", panels(client), **options)) as opened:
        picture = np.asarray(opened.convert("RGB")).astype(int)
    file = ic.save_panels(tmp_path / "a.svg", panels(client), **options)
    (shown,) = painted([file.read_bytes()], (picture.shape[1], picture.shape[0]), tmp_path)
    differences = np.abs(shown - picture).max(axis=2)
    assert (differences <= 8).mean() >= 0.95
    assert differences.mean() < 2
