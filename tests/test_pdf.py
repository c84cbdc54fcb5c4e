"""Figures of vectors as PDF: read back by a small reader of its own, and by Poppler where that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from drawings import NM, made, painted
from imageryclient.errors import ImageryWarning
from imageryclient.painting import primitives
from imageryclient.painting.helvetica import helvetica, helvetica_width
from imageryclient.painting.legend import Legend
from imageryclient.painting.primitives import Disc, Group, Ink, Words
from imageryclient.painting.vector import Page, VectorFigure, vector_figures

BLACK, RED = Ink((0, 0, 0)), Ink((255, 0, 0), 0.5)
WIDE = Page((200, 100), 10.0, 10_000.0)


class Pdf:
    """What a PDF says, by its own table of objects."""

    def __init__(self, document: bytes) -> None:
        start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", document)[1])
        assert document[start:].startswith(b"xref\n0 ")
        places = [int(row) for row in re.findall(rb"(\d{10}) 00000 n \n", document[start:])]
        assert f"/Size {len(places) + 1} " in document[start:].decode("ascii")
        self.objects: dict[int, bytes] = {}
        for number, (at, end) in enumerate(zip(places, [*places[1:], start], strict=True), start=1):
            whole = document[at:end]
            assert whole.startswith(b"%d 0 obj\n" % number)
            assert whole.endswith(b"\nendobj\n")
            self.objects[number] = whole[len(b"%d 0 obj\n" % number) : -len(b"\nendobj\n")]
        for body in self.objects.values():
            for reference in re.findall(rb"(\d+) 0 R", body.partition(b"stream\n")[0]):
                assert int(reference) in self.objects

    def stream(self, number: int) -> bytes:
        head = re.match(rb"(<<[^\n]*/Length (\d+)>>)\nstream\n", self.objects[number])
        assert len(self.objects[number]) == head.end() + int(head[2]) + len(b"\nendstream")
        return zlib.decompress(self.objects[number][head.end() :][: int(head[2])])

    def of_kind(self, kind: bytes) -> list[int]:
        return [number for number, body in self.objects.items() if kind in body.partition(b"stream\n")[0]]

    @cached_property
    def page(self) -> bytes:
        (number,) = self.of_kind(b"/Type /Page /")
        return self.objects[number]

    @cached_property
    def content(self) -> str:
        return self.stream(int(re.search(rb"/Contents (\d+) 0 R", self.page)[1])).decode("ascii")

    @cached_property
    def layers(self) -> dict[str, str]:
        """The name in drawings of each layer, and the name it shows."""
        (names,) = {re.search(rb"/Properties (\d+) 0 R", body)[1] for body in self.objects.values() if b"/Prop" in body}
        found = re.findall(r"/(\w+) (\d+) 0 R", self.objects[int(names)].decode("ascii"))
        return {name: self.named(int(number)) for name, number in found}

    def named(self, number: int) -> str:
        text = re.fullmatch(rb"<</Type /OCG /Name (?:\((.*)\)|<FEFF([0-9A-F]*)>)>>", self.objects[number])
        plain = re.sub(rb"\\(.)", rb"\1", text[1]) if text[1] is not None else b""
        return plain.decode("ascii") or bytes.fromhex(text[2].decode("ascii")).decode("utf-16-be")

    def form(self, name: str) -> str:
        number = int(re.search(rf"/{name} (\d+) 0 R".encode(), self.page)[1])
        return self.stream(number).decode("ascii")

    def drawn(self, content: str) -> list[tuple[str, str]]:
        """The layers that are drawn in, and what is drawn in each; checks that all that opens is closed."""
        parts = re.findall(r"/OC /(L\d+) BDC\n(.*?)\nEMC", content, re.DOTALL)
        assert content.count(" BDC") == content.count("EMC") == len(parts)
        for _, inside in parts:
            words = inside.split()
            assert words.count("q") == words.count("Q")
            assert words.count("BT") == words.count("ET")
        return [(self.layers[name], inside) for name, inside in parts]


def document(**options: Any) -> tuple[VectorFigure, Pdf]:
    cut = made()
    (figure,) = vector_figures(cut.image, cut.segmentation, NM, **options)
    return figure, Pdf(figure.to_pdf())


def annotated(*marks: primitives.Primitive, name: str = "marks") -> Pdf:
    return Pdf(VectorFigure(WIDE, annotations=(Group(name, marks),)).to_pdf())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"smooth": False},
        {"outline": True, "merge_outline": False, "side": "in", "width": 1.5},
        {"outline": True, "side": "out", "fill": 0.3},
        {"outline": True, "merge_outline": False, "side": "on", "fill": 0.3, "dash": (4, 2)},
    ],
)
def test_a_pdf_has_a_page_of_true_size_the_imagery_and_a_layer_for_each_id(options: dict[str, Any]) -> None:
    cut = made()
    (figure,) = vector_figures(cut.image, cut.segmentation, NM, scale_bar=True, **options)
    written = figure.to_pdf("tïtle", "(record)\\")
    pdf = Pdf(written)
    box = [float(word) for word in re.search(rb"/MediaBox \[([^]]*)\]", pdf.page)[1].split()]
    assert box == pytest.approx([0, 0, 7.2 * 72 / 25.4, 5.6 * 72 / 25.4])
    ids = [str(root) for root in cut.masks.ids]
    assert list(pdf.layers.values()) == ["imagery", "segmentation", *ids, "scale-bar"]
    assert [name for name, _ in pdf.drawn(pdf.content)] == ["imagery", "segmentation", "scale-bar"]
    assert b"<FEFF007400EF0074006C0065>" in written
    assert rb"/ImageryClient (\(record\)\\)" in written
    assert [pdf.stream(number) for number in pdf.of_kind(b"/Image ")] == [cut.image[:, :, 0].T.tobytes()]
    curves = figure.drawing.curves
    if not options.get("outline") or "fill" in options:
        areas = pdf.drawn(pdf.form("Areas1"))
        assert [name for name, _ in areas] == ids
        ends = [tuple(map(float, line.split()[-3:-1])) for _, inside in areas for line in inside.splitlines()
                if line.endswith((" l", " c"))]  # fmt: skip
        own = sum(span.last - span.first for shape in figure.drawing.shapes for span in shape.area)
        assert len(ends) == own
        assert {tuple(point) for point in curves.stop} >= set(ends)
    if options.get("outline"):
        lines = pdf.drawn(pdf.form("Outlines"))
        assert [name for name, _ in lines] == [str(shape.id) for shape in figure.drawing.shapes if shape.line]
        assert ("[4 2] 0 d" in pdf.form("Outlines")) == ("dash" in options)
    assert b"200 nm".hex().upper() in pdf.content


def test_imagery_with_opacity_has_a_mask_in_a_pdf() -> None:
    image = np.random.default_rng(2).integers(0, 256, (5, 4, 1, 4), dtype=np.uint8)
    (figure,) = vector_figures(image, None, NM, background="#ff0000")
    pdf = Pdf(figure.to_pdf())
    upright = image[:, :, 0].swapaxes(0, 1)
    assert {pdf.stream(number) for number in pdf.of_kind(b"/Image ")} == {
        upright[..., :3].tobytes(), upright[..., 3].tobytes(),
    }  # fmt: skip
    assert pdf.drawn(pdf.content)[0] == ("background", "q /O1000 gs 1 0 0 rg 0 0 5 4 re f Q")


def test_areas_of_one_opacity_are_painted_as_one() -> None:
    cut = made()
    first, second, *others = map(int, cut.masks.ids)
    _, pdf = document(alpha={first: 0.9, second: 0}, outline=False)
    shown = re.findall(r"q /(O\d+) gs /(Areas\d) Do Q", pdf.content)
    assert [state for state, _ in shown] == ["O200", "O900"]
    drawn = [[name for name, _ in pdf.drawn(pdf.form(form))] for _, form in shown]
    assert drawn == [[str(root) for root in others], [str(first)]]
    states = pdf.objects[int(re.search(rb"/ExtGState (\d+) 0 R", pdf.page)[1])]
    assert re.findall(rb"/O200 <</Type /ExtGState /ca (\S+) /CA (\S+)>>", states) == [(b"0.2", b"0.2")]
    assert len(pdf.of_kind(b"/Group <</S /Transparency /CS /DeviceRGB>> /Resources")) == 2


def test_a_disc_is_round() -> None:
    pdf = annotated(Disc(30, 20, 8, fill=RED, line=BLACK, width=0.5), name="(ö)")
    ((name, inside),) = pdf.drawn(pdf.content)
    assert name == "(ö)"
    area, line = (part.split() for part in re.findall(r"[\d. mch-]+ [fS]\b", inside))
    assert area[:-1] == line[:-1]
    numbers = [float(word) for word in area if word not in "mchfS"]
    (x, y), points = numbers[:2], np.array(numbers[2:]).reshape(-1, 3, 2)
    start, t = np.array([x, y]), np.linspace(0, 1, 20)[:, None]
    for a, b, end in points:
        curve = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * end
        assert np.abs(np.hypot(*(curve - (30, 20)).T) - 8).max() < 0.003
        start = end
    assert start.tolist() == [x, y] == [38, 20]
    assert "/O500 gs 1 0 0 rg" in inside
    assert "/O1000 gs 0 0 0 RG 0.5 w" in inside


def test_text_has_its_anchor_and_its_halo_below_it() -> None:
    texts = [Words(100, 50, "2 µm (a)", 10, BLACK, anchor) for anchor in ("left", "middle", "right")]
    pdf = annotated(*texts, Words(9, 9, "b", 10, BLACK, "left", halo=RED))
    ((_, inside),) = pdf.drawn(pdf.content)
    shown = re.findall(r"(\d) Tr 1 0 0 -1 (\S+) (\S+) Tm <([0-9A-F]*)> Tj", inside)
    assert {bytes.fromhex(letters).decode("cp1252") for *_, letters in shown} == {"2 µm (a)", "b"}
    left, middle, right = (float(x) for _, x, *_ in shown[:3])
    width = 10 * (0.556 + 0.278 + 0.556 + 0.833 + 0.278 + 0.333 + 0.556 + 0.333)
    assert (left, 100 - middle, 100 - right) == pytest.approx((100, width / 2, width))
    assert float(shown[0][2]) == pytest.approx(50 + 7.18 / 2)
    assert [how for how, *_ in shown[3:]] == ["1", "0"]
    assert "/O500 gs 1 0 0 RG 2 w BT" in inside


def test_letters_that_helvetica_lacks_are_spelled_or_said() -> None:
    pdf = annotated(Words(9, 9, "α → Győr ≥ 5 μm", 10, BLACK))
    assert b"alpha -> Gyor >= 5 \xb5m".hex().upper() in pdf.content
    with pytest.warns(ImageryWarning, match="no 神, 経: question marks"):
        assert b"?? ?".hex().upper() in annotated(Words(9, 9, "神経 神", 10, BLACK)).content


def test_a_legend_beside_the_section_widens_the_page() -> None:
    legend = Legend({"axons": "red"}, place="left")
    figure, pdf = document(legend=legend, background="#ffffff")
    left, top, width, height = figure.page.box
    assert (top, width + left, height) == (0, 90, 70)
    assert left < -20
    box = [float(word) for word in re.search(rb"/MediaBox \[([^]]*)\]", pdf.page)[1].split()]
    scale = box[2] / width
    assert box[3] == pytest.approx(70 * scale)
    assert list(map(float, pdf.content.split()[:6])) == pytest.approx([scale, 0, 0, -scale, -left * scale, box[3]])
    *_, (name, beside) = pdf.drawn(pdf.content)
    assert name == "legend"
    assert "re W n" not in beside
    assert f"{left:.7g} 0 {width:.7g} 70 re f" in pdf.drawn(pdf.content)[0][1]


@given(st.text(max_size=12) | st.text(st.characters(max_codepoint=126), max_size=12))
@example("\x7f")  # a control character too
def test_any_text_is_spelled_in_winansi(text: str) -> None:
    letters, lost = helvetica(text)
    assert all(code >= 32 for code in letters)
    assert helvetica_width(letters) >= 0.19 * len(letters)
    assert set(lost) <= set(text)
    assert not lost.encode("cp1252", "ignore")
    assert letters.count(b"?") >= sum(text.count(letter) for letter in lost)
    if text.isascii():
        assert (letters.decode("ascii"), lost) == ("".join(c if c.isprintable() else " " for c in text), "")


LOOKS: tuple[dict[str, Any], ...] = (
    {"alpha": 0.5, "scale_bar": True},
    {"alpha": 0.9, "fill": 0.3, "outline": True, "merge_outline": False, "side": "in", "width": 2},
    {
        "alpha": 0.9,
        "fill": 0.3,
        "outline": True,
        "merge_outline": False,
        "side": "out",
        "width": 2,
        "background": "red",
    },
    {
        "alpha": 0.9,
        "outline": True,
        "side": "out",
        "width": 3,
        "dash": (6, 3),
        "legend": Legend({"axons": "red"}, place="upper left"),
        "zoom": 2,
    },
)


@pytest.mark.slow
def test_poppler_paints_what_chromium_paints(tmp_path: Path) -> None:
    if shutil.which("pdftoppm") is None:
        pytest.skip("Poppler is not installed")
    figures = [document(**options)[0] for options in LOOKS]
    shown = painted([figure.document(".svg") for figure in figures], (360, 280), tmp_path)
    for figure, expected in zip(figures, shown, strict=True):
        (tmp_path / "figure.pdf").write_bytes(figure.to_pdf())
        size = ["-scale-to-x", "360", "-scale-to-y", "280"]
        subprocess.run(["pdftoppm", "-png", "-singlefile", *size, "figure.pdf", "shot"], cwd=tmp_path, check=True)
        with Image.open(tmp_path / "shot.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        differences = np.abs(pixels - expected).max(axis=2)
        assert (differences <= 12).mean() > 0.9
        assert differences.mean() < 6
