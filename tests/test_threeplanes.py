"""Three planes as figures of vectors, their files, and what a browser paints of them beside the picture."""

from __future__ import annotations

import pathlib
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import imageryclient as ic
from drawings import NM, cells, painted
from imageryclient.cli import main
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError, BoundsError
from imageryclient.files.reading import read_record
from imageryclient.geometry import Box
from imageryclient.painting.assembled import stack_figures
from imageryclient.painting.figure import Arrangement, stack_images
from imageryclient.painting.marks import Points
from imageryclient.painting.orthogonal import OrthogonalPlanes
from imageryclient.painting.threeplanes import orthogonal_figure, orthogonal_vectors
from imageryclient.painting.vector import sheet_figures

NS = {"": "http://www.w3.org/2000/svg"}
LABEL = "{http://www.inkscape.org/namespaces/inkscape}label"
BIG = np.uint64(864691135000000000)


def block(depth: int = 14, width: int = 90, height: int = 70) -> ic.Cutout:
    """Cells that end at some depths, over noise."""
    ids = np.repeat(cells(width, height)[:, :, None], depth, axis=2).astype(np.uint64)
    ids[:, :, depth // 2 :] = cells(width, height, seed=1)[:, :, None]
    ids = np.where(ids > 3, ids + BIG, 0).astype(np.uint64)
    image = np.random.default_rng(5).integers(40, 220, ids.shape, dtype=np.uint8)
    return ic.Cutout(image, ids, Box((10, 20, 30), (10 + width, 20 + height, 30 + depth), NM))


def drawn(cut: ic.Cutout, at: Any = None, **options: Any) -> Any:
    planes = OrthogonalPlanes.through(cut.bounds, at)
    return orthogonal_vectors(cut.image, cut.segmentation, planes, **cut._painting(options))


def test_each_panel_is_a_layer_of_imagery_segments_lines_and_text() -> None:
    cut = block()
    document = ET.fromstring(drawn(cut, scale_bar=200, alpha=0.4, zoom=2).to_svg("t", "{}"))
    assert document.attrib["viewBox"] == "0 0 163 143"  # 90 + 3 + 70 pixels; six of the picture are three of these
    assert (document.attrib["width"], document.attrib["height"]) == ("13.04mm", "11.44mm")
    assert [group.attrib["id"] for group in document.iterfind("g", NS)] == ["background", "xy", "yz", "xz", "letters"]
    planes = OrthogonalPlanes.through(cut.bounds)
    places = {"xy": "translate(0 0)", "yz": "translate(93 0)", "xz": "translate(0 73)"}
    for plane, place in places.items():
        panel = document.find(f"g[@id='{plane}']", NS)
        assert panel.attrib["transform"] == place
        names = [group.attrib["id"].removeprefix(f"{plane}-") for group in panel.iterfind("g", NS)]
        assert names == ["imagery", "segmentation", "crossing", *(["scale-bar"] if plane == "xy" else [])]
        seen = np.unique(planes.cut(cut.segmentation, plane))
        groups = panel.findall(".//g[@data-id]", NS)
        assert sorted(int(group.attrib["data-id"]) for group in groups) == seen[seen > 0].tolist()
        assert {group.attrib["id"] for group in groups} == {f"{plane}-id-{one}" for one in seen[seen > 0].tolist()}
        assert {group.attrib[LABEL] for group in groups} == {str(one) for one in seen[seen > 0].tolist()}
        (line,) = panel.findall(f"g[@id='{plane}-crossing']/path", NS)
        assert (line.attrib["stroke"], line.attrib["fill"]) == ("#ffffff", "none")
        image = panel.find(f"g[@id='{plane}-imagery']/image", NS)
        assert (int(image.attrib["width"]), int(image.attrib["height"])) == planes.section(plane).size
    assert document.find(".//g[@id='xy-scale-bar']/text", NS).text == "200 nm"
    assert {text.text for text in document.iterfind("g[@id='letters']/text", NS)} == {"xy", "yz", "xz"}
    ids = Counter(element.attrib["id"] for element in document.iter() if "id" in element.attrib)
    assert max(ids.values()) == 1
    used = {value[5:-1] for element in document.iter() for value in element.attrib.values() if value[:5] == "url(#"}
    assert used <= set(ids)


def test_names_lead_to_their_own_panel_with_every_kind_of_outline() -> None:
    cut = block()
    for options in ({"side": "out", "merge_outline": True}, {"side": "out"}, {"side": "in", "fill": 0.2}, {"dash": 4}):
        document = ET.fromstring(drawn(cut, outline=True, **options).to_svg())
        ids = [element.attrib["id"] for element in document.iter() if "id" in element.attrib]
        assert len(set(ids)) == len(ids)
        for plane in ("xy", "yz", "xz"):
            panel = document.find(f"g[@id='{plane}']", NS)
            for element in panel.iter():
                for value in element.attrib.values():
                    if value.startswith(("url(#", "#area", f"#{plane}")):
                        assert value.removeprefix("url(").startswith(f"#{plane}-")


def test_a_pdf_has_a_layer_for_each_panel_and_those_in_it() -> None:
    cut = block()
    figure = drawn(cut, alpha=0.4, legend={int(cut.masks.ids[2]): "axon"})
    document = figure.to_pdf()
    assert document == figure.to_pdf()
    for name, count in (("xy", 1), ("yz", 1), ("xz", 1), ("imagery", 3), ("segmentation", 3), ("letters", 1),
                        ("crossing", 3), ("scale-bar", 1), ("legend", 1), (str(cut.masks.ids[0]), 0)):  # fmt: skip
        found = document.count(f"/Name ({name})".encode())
        assert found == count if count else found in (1, 2, 3)
    for name in (b"/ImageryIn1 ", b"/ImageryIn2 ", b"/ImageryIn3 ", b"/Areas1In3 "):
        assert name in document


def test_a_figure_of_vectors_is_as_large_as_the_picture() -> None:
    cut = block()
    there = int(cut.segmentation[5, 5, 7])
    named = {"labels": {there: "axon"}, "legend": True}
    for options in ({"zoom": 3}, {"zoom": 2.5, "spacing": 9}, {"legend": ic.Legend(place="below"), "zoom": 2}, named):
        zoom = options.get("zoom", 1)
        box = drawn(cut, **options).page.box
        assert cut.planes(**options).size == tuple(round(length * zoom) for length in box[2:])
    texts = [one.text for one in drawn(cut, **named).beside[0].primitives if hasattr(one, "text")]
    assert "axon" in texts  # in the legend too
    assert str(there) not in texts
    assert str(BIG + np.uint64(23)) in texts


def test_planes_without_imagery_lie_on_white() -> None:
    cut = block()
    bare = ic.Cutout(None, cut.segmentation, cut.bounds)
    picture = np.asarray(
        bare.planes(lines=False, names=False, scale_bar=False, alpha=0.5, colors=dict.fromkeys(bare.masks, "red"))
    )
    assert {tuple(color) for color in picture.reshape(-1, 3).tolist()} <= {
        (255, 255, 255),
        (255, 128, 128),
        (255, 127, 127),
    }
    document = drawn(bare, at=(55, 60, 33)).to_svg()
    assert "<image" not in document


def test_figures_of_several_are_arranged_as_pictures_are() -> None:
    cut, tilted = block(1), block(3)
    figures = [*sheet_figures(cut.sheets("xy"), legend=True), None, *sheet_figures(tilted.sheets("xz"))[:2]]
    pictures = [cut.overlay(legend=True, palette="husl"), None, *tilted.overlay(plane="xz")[:2]]
    options: dict[str, Any] = {"columns": 2, "letters": "a", "titles": ["one", None, "two", "three"], "spacing": 4}
    figure = stack_figures(figures, Arrangement(**options, background="black"))
    assert stack_images(pictures, **options, background="black").size == figure.page.size
    assert [panel.name for panel in figure.panels] == ["panel-1", "panel-3", "panel-4"]
    document = ET.fromstring(figure.to_svg())
    texts = [text.text for text in document.iterfind("g[@id='letters']/text", NS)]
    assert list(dict.fromkeys(texts)) == ["a", "one", "b", "two", "c", "three"]
    assert stack_figures(figures, Arrangement(background="transparent")).background is None
    with pytest.raises(ArgumentError, match="at least one"):
        stack_figures([None])


# ---- files ------------------------------------------------------------------------------------------------------


def stored(cut: ic.Cutout, folder: pathlib.Path) -> ic.Cutout:
    """The same cutout, read from files."""
    at = Layout(resolution=NM, chunk_size=(32, 32, 8), voxel_offset=cut.bounds.start)
    for name, data, kind in (("em", cut.image, "image"), ("seg", cut.segmentation, "segmentation")):
        write_precomputed(folder / name, [(data, at)], kind=kind)
    client = ic.ImageryClient(image_source=folder / "em", segmentation_source=folder / "seg")
    return client.cutout(bounds=cut.bounds)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files_of_planes_know_what_they_are_and_are_made_again(tmp_path: pathlib.Path, suffix: str) -> None:
    cut = stored(block(4, 40, 30), tmp_path)
    at = [40.25, 33, 33]
    options: dict[str, Any] = {
        "lines": "yellow", "names": False, "spacing": 3, "outline": True, "width_nm": 16, "scale_bar": 100.0,
        "legend": True, "labels": True, "zoom": 2, "marks": Points([at], NM, color="red", name="here"),
    }  # fmt: skip
    file = tmp_path / f"planes.{suffix}"
    assert cut.save(file, planes=at, **options) == [file]
    record = read_record(file)
    assert record.bounds == cut.bounds
    assert record.painting["planes"] == at
    assert record.painting["lines"] == "yellow"
    _, (again,) = ic.remake(file)
    assert again.read_bytes() == file.read_bytes()
    _, (picture,) = ic.remake(file, tmp_path / "again.png")
    with Image.open(picture) as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(cut.planes(at, **options)))
    if suffix != "png":
        return
    assert len(ic.remake(file, tmp_path / "sweep.gif")[1]) == 1
    assert len(ic.remake(file, tmp_path / "stack.ome.tif")[1]) == 2
    opened_again = ic.load_cutout(file)
    assert np.array_equal(opened_again.segmentation, cut.segmentation)


def test_what_planes_do_not_go_with(tmp_path: pathlib.Path) -> None:
    cut = block()
    for options in ({"plane": "xz"}, {"section": 2}):
        with pytest.raises(ArgumentError, match="one of them"):
            cut.save(tmp_path / "a.svg", planes=True, **options)
    with pytest.raises(ArgumentError, match="movie goes through"):
        cut.save(tmp_path / "a.gif", planes=True)
    with pytest.raises(BoundsError, match="cross within"):
        cut.save(tmp_path / "a.png", planes=(0, 0, 0))
    assert len(cut.save(tmp_path / "a.png", planes=False)) == 14
    assert len(cut.save(tmp_path / "a.gif", planes=False)) == 1
    (file,) = cut.save(tmp_path / "c.png", planes=np.array([40, 33, 33]))
    assert read_record(file).painting["planes"] == [40, 33, 33]
    own = replace(cut, painting={**cut.painting, "plane": "xz"})  # as of a link's view
    assert own.save(tmp_path / "c.svg", planes=True) == [tmp_path / "c.svg"]
    assert "plane" not in read_record(tmp_path / "c.svg").painting
    assert len(cut.save(tmp_path / "b.png", planes=None)) == 14


def test_planes_from_the_command_line(tmp_path: pathlib.Path) -> None:
    cut = stored(block(), tmp_path)
    words = ["cutout", "--image", tmp_path / "em", "--segmentation", tmp_path / "seg", "--center", "55,55,37",
             "--size", "40,30,8", "--planes", "-o", tmp_path / "planes.svg"]  # fmt: skip
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 0, result.output
    assert read_record(tmp_path / "planes.svg").painting["planes"] is True
    assert '<g id="yz"' in (tmp_path / "planes.svg").read_text(encoding="utf-8")
    assert CliRunner().invoke(main, [*map(str, words), "--plane", "xz"]).exit_code == 2
    assert cut.shape == (90, 70, 14)


# ---- in a browser -----------------------------------------------------------------------------------------------

LOOKS: dict[str, dict[str, Any]] = {
    "voxel by voxel": {"smooth": False, "alpha": 0.5},
    "smooth": {"alpha": 0.5, "scale_bar": 200.0, "lines": "yellow", "percentiles": (2, 98)},
    "lines": {"outline": True, "alpha": 0.9, "fill": 0.3, "width": 8, "background": "#203040"},
    "around all": {
        "outline": True,
        "merge_outline": True,
        "side": "out",
        "width": 8,
        "legend": ic.Legend({"x": "red"}, place="lower right"),
    },
    "without imagery": {"alpha": 0.6},
}


@pytest.mark.slow
def test_a_browser_paints_the_picture(tmp_path: pathlib.Path) -> None:
    cut, zoom = block(), 4
    pictures, documents = [], []
    for name, look in LOOKS.items():
        part = ic.Cutout(None if name == "without imagery" else cut.image, cut.segmentation, cut.bounds)
        options = part._painting({"smooth": True, "zoom": zoom, **look})
        given = part.image, part.segmentation, OrthogonalPlanes.through(part.bounds, (40, 62, 33), nm_per_pixel=8)
        pictures.append(np.asarray(orthogonal_figure(*given, **options).convert("RGB")).astype(int))
        documents.append(orthogonal_vectors(*given, **options).document(".svg"))
    height, width, _ = pictures[0].shape
    shown = painted(documents, (width, height), tmp_path)
    for name, picture, seen in zip(LOOKS, pictures, shown, strict=True):
        differences = np.abs(seen - picture).max(axis=2)
        assert (differences <= 8).mean() >= (0.98 if name == "voxel by voxel" else 0.95), name
        assert differences.mean() < 2, name
