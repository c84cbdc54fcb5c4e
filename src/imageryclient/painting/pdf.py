"""Vector figures as PDF 1.7: a page, its imagery, paths, text, and a layer for each segment and group of annotations.

Names of sections in comments are of ISO 32000-1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .._version import __version__
from ..errors import ImageryWarning
from ..warning import warn_caller
from .curves import Curves
from .helvetica import CAPITALS, helvetica, helvetica_width
from .lettering import HALO
from .pdffile import Layers, Opacities, PdfFile, references, text_string
from .primitives import Disc, Path, Words
from .shapes import SEAM

if TYPE_CHECKING:
    from PIL import Image

    from .primitives import Ink, Primitive
    from .shapes import Drawing, Shape, Span
    from .vector import Panel, VectorFigure

__all__ = ["pdf_document"]

_POINTS = 72 / 25.4  # in a mm
_SHIFTS = {"left": 0.0, "middle": 0.5, "right": 1.0}  # of a text's start, in its widths
_FONTS = ("Helvetica", "Helvetica-Bold")  # which every reader has
_ROUND = 0.5522847  # of a radius: how far control points of a quarter of a circle lie from its ends


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
        The file: one page with layers `background`, `imagery`, `segmentation`, a layer in it for each segment, named
        by its id, and one for each group of annotations, such as `scale-bar`; a panel is a layer that holds these. Text
        is in Helvetica, which every reader has. The same figure makes the same bytes.

    Warns
    -----
    ImageryWarning
        If a text has characters that Helvetica has not in a PDF; see `helvetica.helvetica`.

    Examples
    --------
    >>> from imageryclient.painting.vector import vector_figures
    >>> figure = vector_figures(None, np.array([[[7]]]), (8.0, 8.0, 40.0))[0]
    >>> figure.to_pdf()[:8], b"/Name (7)" in figure.to_pdf()
    (b'%PDF-1.7', True)
    """
    file = PdfFile()
    catalog, pages, page = file.reserve(), file.reserve(), file.reserve()
    drawn = _Contents(file, Layers(file), Opacities(file))
    left, top, *whole = figure.page.box
    wide, high = (length * _POINTS for length in figure.page.size_mm)
    scale = high / whole[1]
    corner = f"{0.0 - left * scale:.9g} {high + top * scale:.9g}"
    drawing = [f"{scale:.9g} 0 0 {-scale:.9g} {corner} cm"]  # from pixels, y down, to points, y up
    drawing += drawn.operators(figure)
    drawn.speller.warn()
    fonts = " ".join(
        f"/{name} <</Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding>>" for name in _FONTS
    )
    resources = (
        f"<</XObject {references(drawn.objects)} /Properties {drawn.layers.names} 0 R "
        f"/Font <<{fonts}>> /ExtGState {drawn.opacities.names} 0 R>>"
    )
    drawn.opacities.finish()
    content = file.add_stream("", "\n".join(drawing).encode("ascii"))
    file.set(catalog, f"<</Type /Catalog /Pages {pages} 0 R /OCProperties {drawn.layers.finished()}>>")
    file.set(pages, f"<</Type /Pages /Kids [{page} 0 R] /Count 1>>")
    file.set(
        page,
        f"<</Type /Page /Parent {pages} 0 R /MediaBox [0 0 {wide:.9g} {high:.9g}] /Resources {resources} "
        f"/Contents {content} 0 R /Group <</S /Transparency /CS /DeviceRGB>>>>",
    )
    entries = {"Title": title, "ImageryClient": record, "Creator": f"imageryclient {__version__}"}
    named = " ".join(f"/{name} {text_string(value)}" for name, value in entries.items() if value)
    return file.to_bytes(catalog, file.add(f"<<{named}>>"))


@dataclass(slots=True)
class _Contents:
    """What the page shows: it is drawn with the objects gathered here; those of panels have numbers in their names."""

    file: PdfFile
    layers: Layers
    opacities: Opacities
    speller: _Speller = field(default_factory=lambda: _Speller())
    objects: dict[str, int] = field(default_factory=dict)
    panels: int = 0

    def operators(self, figure: VectorFigure, parent: int = 0, within: str = "") -> list[str]:
        """Draw a figure in layers of the page or of one of them."""
        layers, drawing = self.layers, list[str]()
        width, height = figure.page.size
        left, top, wide, high = figure.page.box
        if figure.background is not None:
            ink = f"{self.opacities.chosen(figure.background.alpha)} {_color(figure.background)} rg"
            sheet = f"q {ink} {left:.7g} {top:.7g} {wide:.7g} {high:.7g} re f Q"
            drawing += layers.within(layers.add("background", parent), [sheet])
        if figure.picture is not None:
            self.objects[f"Imagery{within}"] = _image(self.file, figure.picture)
            place = f"{width:.7g} 0 0 {-height:.7g} 0 {height:.7g}"
            drawing += layers.within(layers.add("imagery", parent), [f"q {place} cm /Imagery{within} Do Q"])
        if figure.drawing is not None:
            pen = _Pen.of(figure.drawing.curves)
            parts = _Segments(figure.drawing, pen, (width, height), layers, self.opacities, parent, within)
            forms = parts.forms(self.file)
            self.objects |= forms
            drawing += layers.within(parts.layer, [parts.shown(name) for name in forms])
        for panel in figure.panels:
            drawing += self._panel(panel, parent)
        clip = f" 0 0 {width:.7g} {height:.7g} re W n" if any(figure.page.margins) else ""
        for groups, cut_off in ((figure.annotations, clip), (figure.beside, "")):
            for group in groups:
                marks = [part for one in group.primitives for part in _primitive(one, self.opacities, self.speller)]
                drawing += layers.within(layers.add(group.name, parent), [f"q 1 j{cut_off}", *marks, "Q"])
        return drawing

    def _panel(self, panel: Panel, parent: int) -> list[str]:
        """Draw a figure on its place, cut off at the border of its page."""
        self.panels += 1
        layer, (x, y) = self.layers.add(panel.name, parent), panel.shift
        left, top, wide, high = panel.figure.page.box
        size = f"{panel.scale:.9g}"
        place = f"q {size} 0 0 {size} {x:.7g} {y:.7g} cm {left:.7g} {top:.7g} {wide:.7g} {high:.7g} re W n"
        inside = self.operators(panel.figure, layer, f"In{self.panels}")
        return self.layers.within(layer, [place, *inside, "Q"])


@dataclass(slots=True)
class _Segments:
    """The shapes as drawings of their own: areas of one opacity as a group, which is painted as one (11.6.6); lines."""

    drawing: Drawing
    pen: _Pen
    size: tuple[float, float]
    layers: Layers
    opacities: Opacities
    parent: int = 0
    within: str = ""
    layer: int = 0
    owners: dict[int, int] = field(default_factory=dict)
    groups: dict[str, float] = field(default_factory=dict)

    def forms(self, file: PdfFile) -> dict[str, int]:
        """Add the drawings to a file, in the order they are painted."""
        self.layer = self.layers.add("segmentation", self.parent)
        self.owners = {shape.id: self.layers.add(str(shape.id), self.layer) for shape in self.drawing.shapes}
        found = {}
        for number, (alpha, shapes) in enumerate(self.drawing.by_opacity().items(), start=1):
            if alpha:
                name = f"Areas{number}{self.within}"
                self.groups[name] = alpha
                found[name] = self._form(file, self._areas(shapes), " /Group <</S /Transparency /CS /DeviceRGB>>")
        if self.drawing.style.outline:
            found[f"Outlines{self.within}"] = self._form(file, self._outlines())
        return found

    def shown(self, name: str) -> str:
        """Write that one of the drawings is painted."""
        opacity = self.opacities.chosen(self.groups[name]) + " " if name in self.groups else ""
        return f"q {opacity}/{name} Do Q"

    def _form(self, file: PdfFile, parts: list[str], group: str = "") -> int:
        width, height = self.size
        resources = f"<</Properties {self.layers.names} 0 R /ExtGState {self.opacities.names} 0 R>>"
        head = f"/Type /XObject /Subtype /Form /BBox [0 0 {width:.7g} {height:.7g}]{group} /Resources {resources}"
        return file.add_stream(head, "\n".join(parts).encode("ascii"))

    def _areas(self, shapes: Sequence[Shape]) -> list[str]:
        parts = [f"1 j {SEAM:.6g} w"]
        for shape in shapes:
            if shape.area_ink is not None:
                color = _color(shape.area_ink)
                path = [f"{color} rg {color} RG", self.pen.path(shape.area), "B" if self.drawing.style.smooth else "f"]
                parts += self.layers.within(self.owners[shape.id], path)
        return parts

    def _outlines(self) -> list[str]:
        """Draw lines, of which one side is clipped unless they are on the edge."""
        style, free = self.drawing.style, self.drawing.free
        parts = [f"1 j {1 if style.dash is None else 0} J {2 * style.reach:.6g} w"]
        if style.dash is not None:
            parts.append(_dashes(style.dash.drawn, style.dash.left_out))
        if free is not None:
            parts.append(f"{self.pen.path(free)}\nW* n")
        for shape in self.drawing.shapes:
            if shape.line_ink is None or not shape.line:
                continue
            path = [f"{self.opacities.chosen(shape.line_ink.alpha)} {_color(shape.line_ink)} RG"]
            if free is None and style.side != "on":
                around = "0 0 {:.7g} {:.7g} re\n".format(*self.size) if style.side == "out" else ""
                path = ["q", *path, f"{around}{self.pen.path(shape.area)}\nW* n", self.pen.path(shape.line), "S", "Q"]
            else:
                path += [self.pen.path(shape.line), "S"]
            parts += self.layers.within(self.owners[shape.id], path)
        return parts


@dataclass(slots=True)
class _Speller:
    """Spells texts with the letters there are, and remembers which there are not."""

    lost: dict[str, None] = field(default_factory=dict)

    def spelled(self, text: str) -> bytes:
        """Give a text in WinAnsi."""
        letters, lost = helvetica(text)
        self.lost |= dict.fromkeys(lost)
        return letters

    def warn(self) -> None:
        """Say what question marks stand for."""
        if self.lost:
            fact = f"a PDF's own Helvetica has no {', '.join(self.lost)}: question marks stand for them in its texts"
            warn_caller(ImageryWarning(f"{fact}; write others, or save as .svg"))


def _primitive(one: Primitive, opacities: Opacities, speller: _Speller) -> Iterable[str]:
    """Draw first the area, then the line, as SVG does."""
    if isinstance(one, Words):
        yield from _words(one, opacities, speller)
        return
    path = _circle(one) if isinstance(one, Disc) else _polygon(one.points, one.closed)
    if one.fill is not None:
        yield f"{opacities.chosen(one.fill.alpha)} {_color(one.fill)} rg"
        yield f"{path} f"
    if one.line is not None:
        dash = one.dash if isinstance(one, Path) else None
        yield f"q {opacities.chosen(one.line.alpha)} {_color(one.line)} RG {one.width:.6g} w"
        yield "1 J" if dash is None else f"0 J {_dashes(*dash)}"
        yield f"{path} S Q"


def _circle(disc: Disc) -> str:
    x, y, r = disc.x, disc.y, disc.radius
    turn = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 0))
    parts = [f"{x + r:.7g} {y:.7g} m"]
    for (ax, ay), (bx, by) in pairwise(turn):
        points = ((ax + _ROUND * bx, ay + _ROUND * by), (bx + _ROUND * ax, by + _ROUND * ay), (bx, by))
        parts.append(" ".join(f"{x + r * px:.7g} {y + r * py:.7g}" for px, py in points) + " c")
    return " ".join([*parts, "h"])


def _polygon(points: Iterable[tuple[float, float]], closed: bool) -> str:
    sides = [f"{x:.7g} {y:.7g} {'l' if at else 'm'}" for at, (x, y) in enumerate(points)]
    return " ".join([*sides, "h"] if closed else sides)


def _words(words: Words, opacities: Opacities, speller: _Speller) -> Iterable[str]:
    letters = speller.spelled(words.text)
    start = words.x - _SHIFTS[words.anchor] * helvetica_width(letters) * words.size
    shown = _letters(letters, _FONTS[words.bold], words.size, start, words.y + CAPITALS / 2 * words.size)
    if words.halo is not None:
        width = 2 * HALO * words.size
        yield f"q {opacities.chosen(words.halo.alpha)} {_color(words.halo)} RG {width:.6g} w {shown.format(1)} Q"
    yield f"{opacities.chosen(words.ink.alpha)} {_color(words.ink)} rg {shown.format(0)}"


def _letters(letters: bytes, font: str, size: float, x: float, baseline: float) -> str:
    """Write text from a place; braces stand for how it is shown: 0 filled, 1 its outline alone (9.3.6)."""
    return f"BT /{font} {size:.7g} Tf {{}} Tr 1 0 0 -1 {x:.7g} {baseline:.7g} Tm <{letters.hex().upper()}> Tj ET"


def _color(ink: Ink) -> str:
    return " ".join(f"{channel / 255:.4g}" for channel in ink.color)


def _dashes(drawn: float, left_out: float) -> str:
    return f"[{drawn:.6g} {left_out:.6g}] 0 d"


def _image(file: PdfFile, picture: Image.Image) -> int:
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


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes segments; PDF knows cubic curves alone: for each segment its control points and its end."""

    curves: Curves
    rows: list[list[float]]
    starts: list[list[float]]
    straight: list[bool]

    @classmethod
    def of(cls, curves: Curves) -> _Pen:
        start, control, stop = curves.start, curves.control, curves.stop
        rows = np.concatenate([(start + 2 * control) / 3, (stop + 2 * control) / 3, stop], axis=1)
        return cls(curves, rows.tolist(), start.tolist(), curves.straight.tolist())

    def path(self, spans: Iterable[Span]) -> str:
        parts = []
        for span in spans:
            if span.tight:
                parts.append(_polygon(span.middles(self.curves).tolist(), span.closed))
                continue
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
