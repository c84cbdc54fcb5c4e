"""Figures of vectors as files: what is in them, and what a browser paints of them."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import imageryclient as ic
from imageryclient.cli import main
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError
from imageryclient.files.loading import read_record
from imageryclient.geometry import Box
from imageryclient.painting.color import steady_colors
from imageryclient.painting.contours import FRAME, Contours
from imageryclient.painting.curves import Curves
from imageryclient.painting.vector import vector_figures

NS = {"": "http://www.w3.org/2000/svg"}
INK, LINK = "{http://www.inkscape.org/namespaces/inkscape}", "{http://www.w3.org/1999/xlink}"
NM = (8.0, 8.0, 40.0)
BIG = 864691135000000000
WORDS = re.compile(r"[Mhvlqtz]|-?(?:\d+\.?\d*|\.\d+)")


def cells(width: int = 90, height: int = 70, count: int = 25, seed: int = 0) -> np.ndarray:
    """Labels from 0 like cells in a section, axes (x, y)."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, (width, height), (count, 2))
    x, y = np.mgrid[:width, :height]
    wavy = np.stack([x + 3 * np.sin(y / 9), y + 3 * np.sin(x / 7)], axis=-1)
    return ((wavy[:, :, None] - seeds) ** 2).sum(axis=3).argmin(axis=2)


def made(depth: int = 1) -> ic.Cutout:
    labels = np.stack([cells(seed=n) for n in range(depth)], axis=2).astype(np.uint64)
    ids = np.where(labels > 4, labels + np.uint64(BIG), 0).astype(np.uint64)
    image = np.random.default_rng(5).integers(40, 220, ids.shape, dtype=np.uint8)
    box = Box((10, 20, 30), (100, 90, 30 + depth), NM)
    return ic.Cutout(image, ids, box, sources={"imagery": "precomputed://gs://a/<em>&(1)", "segmentation": "gs://b"})


def parsed(path: str) -> list[list[tuple[float, float]]]:
    """The points of path data where its segments end, each part from its start."""
    words = iter(WORDS.findall(path))
    lengths = {"M": 2, "h": 1, "v": 1, "l": 2, "q": 4, "t": 2, "z": 0}
    parts: list[list[tuple[float, float]]] = []
    x = y = 0.0
    for command in words:
        numbers = [float(next(words)) for _ in range(lengths[command])]
        if command == "M":
            x, y = numbers
            parts.append([])
        elif command == "z":
            continue
        elif command in "hv":
            x, y = (x + numbers[0], y) if command == "h" else (x, y + numbers[0])
        else:
            x, y = x + numbers[-2], y + numbers[-1]
        parts[-1].append((x, y))
    return parts


def drawn(cut: ic.Cutout, **options: Any) -> ET.Element:
    (figure,) = vector_figures(cut.image, cut.segmentation, cut.resolution, **options)
    return ET.fromstring(figure.to_svg())


def groups(document: ET.Element) -> dict[int, ET.Element]:
    return {int(g.attrib["data-id"]): g for g in document.iterfind(".//g[@data-id]", NS)}


# ---- SVG --------------------------------------------------------------------------------------------------------


def test_an_svg_has_a_layer_for_imagery_each_id_and_the_scale_bar() -> None:
    cut = made()
    document = drawn(cut, scale_bar=True, palette="neuroglancer", alpha=0.35)
    assert document.attrib["viewBox"] == "0 0 90 70"
    assert (document.attrib["width"], document.attrib["height"]) == ("7.2mm", "5.6mm")
    assert [group.attrib["id"] for group in document.iterfind("g", NS)] == ["imagery", "segmentation", "scale-bar"]
    assert document.find("g[@id='segmentation']", NS).attrib["opacity"] == "0.35"
    found = groups(document)
    assert list(found) == cut.masks.ids.tolist()
    for (root, group), color in zip(found.items(), steady_colors(list(found), "neuroglancer"), strict=True):
        assert group.attrib["id"] == f"id-{root}"
        assert group.attrib[f"{INK}label"] == str(root)
        assert group.attrib[f"{INK}groupmode"] == "layer"
        assert group.attrib["fill"] == "#" + bytes(color).hex()
        assert len(group.findall("path", NS)) == 1


def test_the_imagery_is_a_png_of_its_values_shown_as_pixels() -> None:
    cut = made()
    image = drawn(cut).find("g[@id='imagery']/image", NS)
    assert "pixelated" in image.attrib["style"]
    kind, _, data = image.attrib[f"{LINK}href"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as picture:
        assert np.array_equal(np.asarray(picture).T, cut.image[:, :, 0])
    colored = np.repeat(cut.image[..., None], 3, axis=3)
    (figure,) = vector_figures(colored, None, NM)
    assert figure.picture.mode == "RGB"
    assert drawn(made(), display_range=(50, 60)).find("g[@id='imagery']/image", NS).attrib != image.attrib


@pytest.mark.parametrize("smooth", [True, False])
def test_paths_are_the_curves_of_the_labels(smooth: bool) -> None:
    cut = made()
    contours = Contours.of(cut.masks.labels[:, :, 0].T)
    curves = Curves.smooth(contours) if smooth else Curves.exact(contours)
    for label, group in enumerate(groups(drawn(cut, smooth=smooth)).values(), start=1):
        parts = parsed(group.find("path", NS).attrib["d"])
        rings = np.flatnonzero(curves.labels == label)
        assert len(parts) == len(rings)
        for part, ring in zip(parts, rings, strict=True):
            first, last = curves.offsets[ring : ring + 2]
            points = [tuple(curves.start[first]), *map(tuple, curves.stop[first:last])]
            assert part == points[: len(part)]
            assert len(points) - len(part) <= 1  # a line at the end is drawn by closing


@pytest.mark.parametrize(("merged", "side"), [(True, "out"), (False, "in"), (False, "out"), (True, "on"), (True, "in")])
def test_outlines_leave_out_the_border_and_when_merged_the_contacts(merged: bool, side: Any) -> None:
    cut = made()
    document = drawn(cut, outline=True, merge_outline=merged, side=side, width=2, alpha=0.5)
    curves = Curves.smooth(Contours.of(cut.masks.labels[:, :, 0].T))
    found = groups(document)
    assert list(found) == cut.masks.ids.tolist()
    for label, group in enumerate(found.values(), start=1):
        which = np.repeat(curves.labels, np.diff(curves.offsets)) == label
        which &= curves.beyond == 0 if merged else curves.beyond != FRAME
        paths = group.findall("path", NS)
        assert bool(paths) == which.any()
        if not paths:
            continue
        points = {point for part in parsed(paths[0].attrib["d"]) for point in part}
        assert points == {tuple(end) for ends in (curves.start, curves.stop) for end in ends[which]}
        assert float(group.attrib["stroke-width"]) == (2 if side == "on" else 4)
        assert group.attrib["stroke-opacity"] == "0.5"
        bounded = "free" if merged and side == "out" else f"side-{group.attrib['data-id']}"
        assert paths[0].attrib.get("clip-path") == (None if side == "on" else f"url(#{bounded})")
    names = [clip.attrib["id"] for clip in document.iter(f"{{{NS['']}}}clipPath")]
    assert len(set(names)) == len(names)


def test_the_scale_bar_is_true_and_its_label_is_text() -> None:
    for length, text in ((True, "200 nm"), (320.0, "320 nm"), (40, "40 nm")):
        bar = drawn(made(), scale_bar=length).find("g[@id='scale-bar']", NS)
        rectangle = {name: float(value) for name, value in bar.find("rect", NS).attrib.items()}
        assert rectangle["width"] * 8 == float(text.split()[0])
        assert rectangle["x"] + rectangle["width"] < 90
        assert bar.find("text", NS).text == text
        assert bar.attrib["fill"] == "#ffffff"
    cut = made()
    (figure,) = vector_figures(None, cut.segmentation, (80.0, 80.0, 40.0), scale_bar=1000)
    assert "1 µm" in figure.to_svg()
    assert figure.bar.color == (0, 0, 0)


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_planes_and_sections_are_those_of_the_overlay(plane: Any) -> None:
    cut = made(depth=6)
    pictures = cut.overlay(plane=plane)
    figures = vector_figures(cut.image, cut.segmentation, cut.resolution, plane=plane)
    assert [figure.size for figure in figures] == [picture.size for picture in pictures]
    width, height = figures[0].size_mm
    extent = {"xy": (720, 560), "xz": (720, 240), "yz": (240, 560)}[plane]
    assert (width, height) == pytest.approx((extent[0] / 100, extent[1] / 100))
    (fourth,) = vector_figures(cut.image, cut.segmentation, cut.resolution, plane=plane, section=4)
    assert fourth.to_svg() == figures[4].to_svg()
    plain = cut.overlay(plane=plane, alpha=0)[4].convert("L")
    assert np.array_equal(np.asarray(figures[4].picture), np.asarray(plain))


def test_the_size_of_the_page_follows_the_magnification() -> None:
    cut = made()
    assert drawn(cut, magnification=25_000).attrib["width"] == "18mm"
    assert vector_figures(cut.image, None, (4.0, 8.0, 40.0))[0].size_mm == pytest.approx((3.6, 5.6))


def test_text_is_escaped_and_the_same_figure_makes_the_same_file() -> None:
    cut = made()
    first, second = (vector_figures(cut.image, cut.segmentation, NM, scale_bar=True)[0] for _ in range(2))
    title, record = 'a<b & "c"\x00 ]]> é', '{"x": "<metadata>&"}'
    document = first.to_svg(title, record)
    assert document == second.to_svg(title, record)
    assert first.to_pdf(title, record) == second.to_pdf(title, record)
    root = ET.fromstring(document)
    assert root.find("title", NS).text == 'a<b & "c" ]]> é'
    assert root.find("metadata", NS).text == record


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": 2}, "alpha"),
        ({"side": "left"}, "'in', 'out' or 'on'"),
        ({"outline": True, "width": 0}, "width"),
        ({"magnification": 0}, "magnification"),
        ({"colors": {BIG: "red"}}, "no colour"),
        ({"plane": "zz"}, "plane"),
        ({"section": 3}, "section=3"),
        ({"scale_bar": 1e6}, "shorter"),
    ],
)
def test_what_makes_no_sense_is_said(options: dict[str, Any], said: str) -> None:
    cut = made()
    with pytest.raises(ArgumentError, match=said):
        vector_figures(cut.image, cut.segmentation, NM, **options)


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ArgumentError, match="neither"):
        vector_figures(None, None, NM)
    with pytest.raises(ArgumentError, match="no pixels"):
        vector_figures(np.zeros((0, 4, 1), np.uint8), None, NM)
    assert not groups(drawn(ic.Cutout(None, np.zeros((3, 4, 1), np.uint64), Box((0, 0, 0), (3, 4, 1), NM))))


# ---- PDF --------------------------------------------------------------------------------------------------------


def streams(document: bytes) -> list[tuple[bytes, bytes]]:
    """The dictionaries and unpacked data of all streams, found by the table of objects."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", document)[1])
    assert document[start:].startswith(b"xref\n")
    rows = re.findall(rb"(\d{10}) 00000 n \n", document[start:])
    found = []
    for number, row in enumerate(rows, start=1):
        body = document[int(row) :]
        assert body.startswith(b"%d 0 obj\n" % number)
        head = re.match(rb"\d+ 0 obj\n(<<[^\n]*/Length (\d+)>>)\nstream\n", body)
        if head:
            found.append((head[1], zlib.decompress(body[head.end() :][: int(head[2])])))
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"smooth": False},
        {"outline": True, "merge_outline": False, "side": "in", "width": 1.5},
        {"outline": True, "side": "out"},
        {"outline": True, "merge_outline": False, "side": "on"},
    ],
)
def test_a_pdf_has_a_page_of_true_size_the_imagery_and_a_layer_for_each_id(options: dict[str, Any]) -> None:
    cut = made()
    (figure,) = vector_figures(cut.image, cut.segmentation, NM, scale_bar=True, **options)
    document = figure.to_pdf("tïtle", "(record)\\")
    box = [float(word) for word in re.search(rb"/MediaBox \[([^]]*)\]", document)[1].split()]
    assert box == pytest.approx([0, 0, 7.2 * 72 / 25.4, 5.6 * 72 / 25.4])
    names = [name.decode() for name in re.findall(rb"/OCG /Name \(([^)]*)\)", document)]
    assert names == ["imagery", "segmentation", "scale-bar", *map(str, cut.masks.ids)]
    assert b"<FEFF007400EF0074006C0065>" in document
    assert rb"/ImageryClient (\(record\)\\)" in document
    images = [data for head, data in streams(document) if b"/Image " in head]
    assert images == [cut.image[:, :, 0].T.tobytes()]
    (shapes,) = (data.decode() for head, data in streams(document) if b"/Form " in head)
    for opening, closing in ((" BDC", "EMC"), ("q\n", "Q\n")):
        assert shapes.count(opening) == shapes.count(closing) + shapes.endswith(closing.strip()) * (closing == "Q\n")
    assert re.findall(r"/OC /id-(\d+) BDC", shapes) == [str(root) for root in cut.masks.ids]
    ends = [tuple(map(float, line.split()[-3:-1])) for line in shapes.splitlines() if line.endswith((" l", " c"))]
    curves = figure.curves
    assert {tuple(point) for point in curves.stop} >= set(ends)
    if not options.get("outline"):
        assert len(ends) == len(curves.stop)
    (page,) = (data for head, data in streams(document) if head.startswith(b"<< /Filter"))
    assert b"<" + b"200 nm".hex().upper().encode() + b"> Tj" in page


def test_imagery_with_opacity_has_a_mask_in_a_pdf() -> None:
    image = np.random.default_rng(2).integers(0, 256, (5, 4, 1, 4), dtype=np.uint8)
    (figure,) = vector_figures(image, None, NM)
    found = {data for head, data in streams(figure.to_pdf()) if b"/Image " in head}
    upright = image[:, :, 0].swapaxes(0, 1)
    assert found == {upright[..., :3].tobytes(), upright[..., 3].tobytes()}


# ---- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_cutouts_are_saved_as_vectors_that_know_what_they_are(suffix: str, tmp_path: Path) -> None:
    cut = made()
    (file,) = cut.save(tmp_path / f"one{suffix}", alpha=0.4, scale_bar=True)
    record = read_record(file)
    assert (record.bounds, record.sources, dict(record.painting)) == (
        cut.bounds, dict(cut.sources), {"alpha": 0.4, "scale_bar": True},
    )  # fmt: skip
    stack = made(depth=3)
    files = stack.save(tmp_path / f"many{suffix.upper()}")
    assert [file.name for file in files] == [f"many_slice_{n}{suffix.upper()}" for n in range(3)]
    assert [read_record(file).painting["section"] for file in files] == [0, 1, 2]
    with pytest.raises(ArgumentError):
        stack.save(tmp_path / f"none{suffix}", alpha=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"one{suffix}", *(f.name for f in files)])


def test_sections_at_any_angle_are_saved_as_vectors(tmp_path: Path) -> None:
    cut = made(depth=8)
    client = ic.ImageryClient(image_source=cut.image, segmentation_source=cut.segmentation, resolution=NM)
    tilted = client.section((45, 35, 4), (40, 30), normal=(1, 0, 1))
    (file,) = tilted.save(tmp_path / "tilted.svg", alpha=0.5)
    document = ET.fromstring(file.read_text(encoding="utf-8"))
    assert document.attrib["viewBox"] == "0 0 40 30"
    assert sorted(groups(document)) == tilted.masks.ids.tolist()
    assert tilted.save(tmp_path / "tilted.pdf")[0].read_bytes().startswith(b"%PDF")


def test_the_command_line_writes_vectors(tmp_path: Path) -> None:
    cut = made()
    at = Layout(resolution=NM, chunk_size=(32, 32, 1))
    write_precomputed(tmp_path / "em", [(cut.image, at)], kind="image")
    write_precomputed(tmp_path / "seg", [(cut.segmentation, at)], kind="segmentation")
    for name, mark in (("a.svg", b'<g id="id-'), ("a.pdf", b"/Subtype /Form")):
        words = ["cutout", "--image", tmp_path / "em", "--segmentation", tmp_path / "seg", "--center", "40,40,0",
                 "--size", "40,30", "--outline", "--scale-bar", "-o", tmp_path / name]  # fmt: skip
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        assert mark in (tmp_path / name).read_bytes()
        assert CliRunner().invoke(main, ["redo", str(tmp_path / name)]).exit_code == 0
        again = tmp_path / name.replace(".", "_redone.")
        assert again.read_bytes() == (tmp_path / name).read_bytes()


# ---- in a browser -----------------------------------------------------------------------------------------------


def painted(document: bytes, size: tuple[int, int], folder: Path) -> np.ndarray:
    """What Chromium shows of an SVG, one pixel for each of its units; axes (y, x, channel)."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    (folder / "figure.svg").write_bytes(document)
    width, height = size
    style = f"body{{margin:0;overflow:hidden}}img{{display:block;width:{width}px;height:{height}px}}"
    (folder / "page.html").write_text(f'<!doctype html><style>{style}</style><img src="figure.svg">')
    offline = ["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND"]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
             "--force-color-profile=srgb", f"--window-size={width},{height}", f"--user-data-dir={folder / 'profile'}",
             f"--screenshot={folder / 'shot.png'}", *offline]  # fmt: skip
    subprocess.run([browser, *flags, (folder / "page.html").as_uri()], check=True, capture_output=True, timeout=100)
    with Image.open(folder / "shot.png") as picture:
        return np.asarray(picture.convert("RGB"))[:height, :width].astype(int)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "vectors", "near", "share"),
    [
        ({"alpha": 0.5}, {"smooth": False}, 2, 1.0),
        ({"alpha": 0.5, "palette": "neuroglancer"}, {}, 8, 0.85),
        ({"outline": True, "merge_outline": False, "side": "in", "width": 2, "alpha": 0.8}, {"smooth": False}, 8, 0.85),
        ({"outline": True, "merge_outline": True, "side": "out", "width": 4, "alpha": 0.8}, {"smooth": False}, 8, 0.93),
        ({"outline": True, "merge_outline": True, "side": "in", "width": 4, "alpha": 0.8}, {"smooth": False}, 8, 0.93),
    ],
)
def test_a_browser_paints_the_overlay(
    options: dict[str, Any], vectors: dict[str, Any], near: int, share: float, tmp_path: Path
) -> None:
    cut = made()
    (figure,) = vector_figures(cut.image, cut.segmentation, NM, **options, **vectors)
    shown = painted(figure.document(".svg"), (360, 280), tmp_path).reshape(70, 4, 90, 4, 3).mean(axis=(1, 3))
    expected = np.asarray(cut.overlay(**options).convert("RGB")).astype(int)
    differences = np.abs(shown - expected).max(axis=2)
    assert (differences <= near).mean() >= share
    assert differences.mean() < 10
