"""Vector figures as PDF 1.7, written object by object: a page, its imagery, paths, text, and a layer for each segment.

Names of sections in comments are of ISO 32000-1.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._version import __version__
from .curves import Curves
from .vector import SEAM

if TYPE_CHECKING:
    from PIL import Image

    from .vector import Bar, Lines, Shape, Span, VectorFigure

__all__ = ["pdf_document"]

_POINTS = 72 / 25.4  # in a mm
_WIDTHS = {" ": 278, ".": 278, "m": 833}  # of letters in Helvetica, in thousandths of its size; of most others:
_WIDTH = 556
_LAYERS = ("imagery", "segmentation", "scale-bar")


def pdf_document(figure: VectorFigure, title: str = "", record: str = "") -> bytes:
    """Write a figure as PDF.

    Parameters
    ----------
    figure : VectorFigure
        What to draw.
    title : str
        What programs show of the file.
    record : str
        What the file says of itself, as `ImageryClient` of its information.

    Returns
    -------
    bytes
        The file: one page with layers `imagery`, `segmentation`, a layer in it for each segment, named by its id, and
        `scale-bar`, whose text is in Helvetica, which every reader has. The same figure makes the same bytes.

    Examples
    --------
    >>> from imageryclient.painting.vector import vector_figures
    >>> figure = vector_figures(None, np.array([[[7]]]), (8.0, 8.0, 40.0))[0]
    >>> figure.to_pdf()[:8], b"/Name (7)" in figure.to_pdf()
    (b'%PDF-1.7', True)
    """
    file = _File()
    catalog, pages, page = file.reserve(), file.reserve(), file.reserve()
    layers = {name: file.add(_layer(name)) for name in _LAYERS}
    owners = {f"id-{shape.id}": file.add(_layer(str(shape.id))) for shape in figure.shapes}
    height = figure.size[1]
    wide, high = (length * _POINTS for length in figure.size_mm)
    scale = high / height
    drawing = [f"{scale:.9g} 0 0 {-scale:.9g} 0 {high:.9g} cm"]  # from pixels, y down, to points, y up
    objects = {}
    if figure.picture is not None:
        objects["Imagery"] = _image(file, figure.picture)
        drawing += _within("imagery", [f"q {figure.size[0]} 0 0 {-height} 0 {height} cm /Imagery Do Q"])
    if figure.curves is not None:
        objects["Segmentation"] = _segmentation(file, figure, _Pen.of(figure.curves), owners)
        drawing += _within("segmentation", ["q /Shapes gs /Segmentation Do Q"])
    if figure.bar is not None:
        drawing += _within("scale-bar", _scale_bar(figure.bar))
    font = "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding>>"
    state = f"<</Type /ExtGState /ca {figure.alpha:.4g} /CA {figure.alpha:.4g}>>"
    resources = (
        f"<</XObject {_references(objects)} /Properties {_references(layers)} "
        f"/Font <</Helvetica {font}>> /ExtGState <</Shapes {state}>>>>"
    )
    content = file.add_stream("", "\n".join(drawing).encode("ascii"))
    inside = " ".join(f"{number} 0 R" for number in owners.values())
    order = f"{layers['imagery']} 0 R {layers['segmentation']} 0 R [{inside}] {layers['scale-bar']} 0 R"
    every = " ".join(f"{number} 0 R" for number in [*layers.values(), *owners.values()])
    box = f"[0 0 {wide:.9g} {high:.9g}]"
    file.set(
        catalog, f"<</Type /Catalog /Pages {pages} 0 R /OCProperties <</OCGs [{every}] /D <</Order [{order}]>>>>>>"
    )
    file.set(pages, f"<</Type /Pages /Kids [{page} 0 R] /Count 1>>")
    file.set(
        page,
        f"<</Type /Page /Parent {pages} 0 R /MediaBox {box} /Resources {resources} /Contents {content} 0 R "
        "/Group <</S /Transparency /CS /DeviceRGB>>>>",
    )
    entries = {"Title": title, "ImageryClient": record, "Creator": f"imageryclient {__version__}"}
    about = file.add("<<" + " ".join(f"/{name} {_text(value)}" for name, value in entries.items() if value) + ">>")
    return file.to_bytes(catalog, about)


class _File:
    """Objects, numbered from 1, and where they lie in the file."""

    def __init__(self) -> None:
        self._objects: list[bytes] = []

    def reserve(self) -> int:
        self._objects.append(b"null")
        return len(self._objects)

    def set(self, number: int, body: str) -> None:
        self._objects[number - 1] = body.encode("ascii")

    def add(self, body: str) -> int:
        number = self.reserve()
        self.set(number, body)
        return number

    def add_stream(self, entries: str, data: bytes) -> int:
        packed = zlib.compress(data)
        head = f"<<{entries} /Filter /FlateDecode /Length {len(packed)}>>\nstream\n".encode("ascii")
        self._objects.append(head + packed + b"\nendstream")
        return len(self._objects)

    def to_bytes(self, catalog: int, about: int) -> bytes:
        parts = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]
        at, places = len(parts[0]), []
        for number, body in enumerate(self._objects, start=1):
            places.append(at)
            parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
            at += len(parts[-1])
        count = len(places) + 1
        rows = "".join(f"{place:010d} 00000 n \n" for place in places)
        trailer = f"<</Size {count} /Root {catalog} 0 R /Info {about} 0 R>>"
        end = f"xref\n0 {count}\n0000000000 65535 f \n{rows}trailer\n{trailer}\nstartxref\n{at}\n%%EOF\n"
        return b"".join([*parts, end.encode("ascii")])


def _layer(name: str) -> str:
    return f"<</Type /OCG /Name {_text(name)}>>"  # 8.11, optional content


def _within(layer: str, drawing: Iterable[str]) -> list[str]:
    return [f"/OC /{layer} BDC", *drawing, "EMC"]


def _references(numbers: dict[str, int]) -> str:
    return "<<" + " ".join(f"/{name} {number} 0 R" for name, number in numbers.items()) + ">>"


def _text(text: str) -> str:
    """Write a text string: as it is where it is ASCII, else in UTF-16."""
    if not text.isascii():
        return "<FEFF" + text.encode("utf-16-be", "replace").hex().upper() + ">"
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return "(" + escaped.replace("\r", "\\r").replace("\n", "\\n") + ")"


def _image(file: _File, picture: Image.Image) -> int:
    """Add a picture, L, RGB or RGBA; the opacity is a picture of its own."""
    width, height = picture.size
    size = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 8 /Interpolate false"
    mask = ""
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A").tobytes()
        mask = f" /SMask {file.add_stream(f'{size} /ColorSpace /DeviceGray', alpha)} 0 R"
        picture = picture.convert("RGB")
    space = "DeviceGray" if picture.mode == "L" else "DeviceRGB"
    return file.add_stream(f"{size} /ColorSpace /{space}{mask}", picture.tobytes())


def _segmentation(file: _File, figure: VectorFigure, pen: _Pen, owners: dict[str, int]) -> int:
    """Add the shapes as one drawing; areas are a group, whose opacity is that of all together (11.6.6)."""
    width, height = figure.size
    parts = ["1 j 1 J"]
    for shape in figure.shapes:
        if figure.lines is None:
            drawing = [pen.path(shape.area), "B" if figure.smooth else "f"]
            width_of_line = SEAM
        else:
            drawing = list(_outline(figure, pen, shape, figure.lines))
            width_of_line = figure.lines.width * (1 if figure.lines.side == "on" else 2)
        color = " ".join(f"{channel / 255:.4g}" for channel in shape.color)
        parts += _within(f"id-{shape.id}", [f"{color} rg {color} RG {width_of_line:.6g} w", *drawing])
    group = " /Group <</S /Transparency /CS /DeviceRGB>>" if figure.lines is None else ""
    head = f"/Type /XObject /Subtype /Form /BBox [0 0 {width} {height}]{group}"
    return file.add_stream(f"{head} /Resources <</Properties {_references(owners)}>>", "\n".join(parts).encode("ascii"))


def _outline(figure: VectorFigure, pen: _Pen, shape: Shape, lines: Lines) -> Iterable[str]:
    """Draw a line; unless it is on the edge, one of twice the width, of which one side is clipped."""
    if not shape.line:
        return
    if lines.side == "on":
        yield f"{pen.path(shape.line)}\nS"
        return
    if lines.free is not None:
        clip = pen.path(lines.free)
    else:
        around = "0 0 {} {} re\n".format(*figure.size) if lines.side == "out" else ""
        clip = around + pen.path(shape.area)
    yield f"q\n{clip}\nW* n\n{pen.path(shape.line)}\nS\nQ"


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes segments; PDF knows cubic curves alone: for each segment its control points and its end."""

    rows: list[list[float]]
    starts: list[list[float]]
    straight: list[bool]

    @classmethod
    def of(cls, curves: Curves) -> _Pen:
        start, control, stop = curves.start, curves.control, curves.stop
        rows = np.concatenate([(start + 2 * control) / 3, (stop + 2 * control) / 3, stop], axis=1)
        return cls(rows.tolist(), start.tolist(), curves.straight.tolist())

    def path(self, spans: Iterable[Span]) -> str:
        parts = []
        for span in spans:
            parts.append("{:.7g} {:.7g} m".format(*self.starts[span.first]))
            for at in range(span.first, span.last):
                ax, ay, bx, by, x, y = self.rows[at]
                if self.straight[at]:
                    parts.append(f"{x:.7g} {y:.7g} l")
                else:
                    parts.append(f"{ax:.7g} {ay:.7g} {bx:.7g} {by:.7g} {x:.7g} {y:.7g} c")
            if span.closed:
                parts.append("h")
        return "\n".join(parts)


def _scale_bar(bar: Bar) -> Iterable[str]:
    yield " ".join(f"{channel / 255:.4g}" for channel in bar.color) + " rg"
    yield f"{bar.left:.7g} {bar.top:.7g} {bar.width:.7g} {bar.height:.7g} re f"
    length = sum(_WIDTHS.get(letter, _WIDTH) for letter in bar.text) / 1000 * bar.font_size
    start = bar.text_middle - length / 2
    place = f"1 0 0 -1 {start:.7g} {bar.baseline:.7g} Tm"
    yield f"BT /Helvetica {bar.font_size:.7g} Tf {place} <{bar.text.encode('cp1252').hex().upper()}> Tj ET"
