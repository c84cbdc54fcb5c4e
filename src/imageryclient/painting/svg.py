"""Vector figures as SVG 1.1, with the layers of Inkscape, for browsers, Illustrator and Inkscape."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from .curves import UNITS, Curves
from .vector import SEAM

if TYPE_CHECKING:
    from PIL import Image

    from .vector import Bar, Lines, Shape, Span, VectorFigure

__all__ = ["svg_document"]

_NAMESPACES = (
    'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
)
_CRISP = 'shape-rendering="crispEdges"'
_UNWRITABLE = str.maketrans(dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF]))  # in XML


def svg_document(figure: VectorFigure, title: str = "", record: str = "") -> str:
    """Write a figure as SVG.

    Parameters
    ----------
    figure : VectorFigure
        What to draw.
    title : str
        What programs show of the file.
    record : str
        What the file says of itself, in `metadata`.

    Returns
    -------
    str
        The document: of groups `imagery`, `segmentation`, which holds a group `id-ID` for each segment with the id in
        `data-id`, and `scale-bar`; each of them is a layer to Inkscape. Its viewBox is in pixels of the section, its
        width and height in mm. The same figure makes the same text.

    Examples
    --------
    >>> from imageryclient.painting.vector import vector_figures
    >>> print(vector_figures(None, np.array([[[7]]]), (8.0, 8.0, 40.0), smooth=False)[0].to_svg())
    <?xml version="1.0" encoding="UTF-8"?>
    <svg xmlns="..." ... width="0.08mm" height="0.08mm" viewBox="0 0 1 1">
    <g id="segmentation" inkscape:groupmode="layer" inkscape:label="segmentation" opacity="0.2">
    <g id="id-7" data-id="7" inkscape:groupmode="layer" inkscape:label="7" fill="#fe6a86" shape-rendering="crispEdges">
    <path d="M0 0h1v1h-1z"/>
    </g>
    </g>
    </svg>
    <BLANKLINE>
    """
    width, height = figure.size
    wide, high = map(_number, figure.size_mm)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg {_NAMESPACES} version="1.1" width="{wide}mm" height="{high}mm" viewBox="0 0 {width} {height}">',
    ]
    if title:
        parts.append(f"<title>{_escaped(title)}</title>")
    if record:
        parts.append(f'<metadata id="imageryclient">{_escaped(record)}</metadata>')
    if figure.picture is not None:
        parts += [f"<g {_layer('imagery')}>", _image(figure.picture), "</g>"]
    if figure.curves is not None:
        parts += _segmentation(figure, _Pen.of(figure.curves))
    if figure.bar is not None:
        parts += _scale_bar(figure.bar)
    return "\n".join([*parts, "</svg>", ""])


def _segmentation(figure: VectorFigure, pen: _Pen) -> Iterable[str]:
    lines, layer = figure.lines, _layer("segmentation")
    if lines is None:
        # Opacity of all together: areas that overlap a little do not show it.
        yield f'<g {layer} opacity="{_number(figure.alpha)}">'
    else:
        yield f'<g {layer} fill="none" stroke-linejoin="round" stroke-linecap="round">'
        if lines.free is not None:
            yield f'<clipPath id="free"><path d="{pen.path(lines.free)}"/></clipPath>'
    for shape in figure.shapes:
        color = "#" + bytes(shape.color).hex()
        group = f'<g id="id-{shape.id}" data-id="{shape.id}" inkscape:groupmode="layer" inkscape:label="{shape.id}"'
        if lines is not None:
            yield f'{group} stroke="{color}" stroke-opacity="{_number(figure.alpha)}" {_stroke(lines)}>'
            yield from _outline(figure, pen, shape, lines)
        else:
            seam = f'stroke="{color}" stroke-width="{SEAM}" stroke-linejoin="round"'
            yield f'{group} fill="{color}" {seam if figure.smooth else _CRISP}>'
            yield f'<path d="{pen.path(shape.area)}"/>'
        yield "</g>"
    yield "</g>"


def _stroke(lines: Lines) -> str:
    return f'stroke-width="{_number(lines.width if lines.side == "on" else 2 * lines.width)}"'


def _outline(figure: VectorFigure, pen: _Pen, shape: Shape, lines: Lines) -> Iterable[str]:
    """Draw a line of twice the width, of which one side is clipped."""
    path = f'<path d="{pen.path(shape.line)}"'
    if not shape.line:
        return
    if lines.side == "on":
        yield f"{path}/>"
    elif lines.free is not None:
        yield f'{path} clip-path="url(#free)"/>'
    else:
        width, height = figure.size
        around = f"M0 0h{width}v{height}H0z" if lines.side == "out" else ""
        area = f'<path clip-rule="evenodd" d="{around}{pen.path(shape.area)}"/>'
        yield f'<clipPath id="side-{shape.id}">{area}</clipPath>'
        yield f'{path} clip-path="url(#side-{shape.id})"/>'


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes segments as path data, relative to each other; T continues a curve whose control point is mirrored.

    For each segment, in units: from its start to its control point and to its end, and where it starts.
    """

    moves: list[list[int]]
    starts: list[list[int]]
    straight: list[bool]
    mirrored: list[bool]

    @classmethod
    def of(cls, curves: Curves) -> _Pen:
        start, control, straight = curves.start, curves.control, curves.straight
        moves = np.concatenate([control - start, curves.stop - start], axis=1) * UNITS
        mirrored = np.zeros(len(start), np.bool_)
        mirrored[1:] = ~straight[1:] & ~straight[:-1] & (2 * start[1:] - control[:-1] == control[1:]).all(axis=1)
        starts = start * UNITS
        return cls(
            moves.astype(np.int64).tolist(), starts.astype(np.int64).tolist(), straight.tolist(), mirrored.tolist()
        )

    def path(self, spans: Iterable[Span]) -> str:
        parts: list[str] = []
        for span in spans:
            x, y = self.starts[span.first]
            parts.append(f"M{_units(x)}{_next(y)}")
            last = span.last - 1 if span.closed and self.straight[span.last - 1] else span.last  # closing draws it
            for at in range(span.first, last):
                cx, cy, dx, dy = self.moves[at]
                if self.mirrored[at] and at > span.first:
                    parts.append(f"t{_units(dx)}{_next(dy)}")
                elif not self.straight[at]:
                    parts.append(f"q{_units(cx)}{_next(cy)}{_next(dx)}{_next(dy)}")
                elif not dy:
                    parts.append(f"h{_units(dx)}")
                elif not dx:
                    parts.append(f"v{_units(dy)}")
                else:
                    parts.append(f"l{_units(dx)}{_next(dy)}")
            if span.closed:
                parts.append("z")
        return "".join(parts)


class _Numbers(dict[int, str]):
    """The text of coordinates, each made once."""

    def __missing__(self, units: int) -> str:
        text = _number(units / UNITS)
        text = text.replace("0.", ".", 1) if abs(units) < UNITS else text
        self[units] = text
        return text


class _Following(dict[int, str]):
    """The text of coordinates that follow another one: a minus parts them as well as a space."""

    def __missing__(self, units: int) -> str:
        text = _KNOWN[units]
        self[units] = text = text if text.startswith("-") else f" {text}"
        return text


_KNOWN, _KNOWN_NEXT = _Numbers(), _Following()
_units, _next = _KNOWN.__getitem__, _KNOWN_NEXT.__getitem__


def _image(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = picture.size
    shown = 'image-rendering="optimizeSpeed" style="image-rendering:pixelated" preserveAspectRatio="none"'
    return f'<image width="{width}" height="{height}" {shown} xlink:href="data:image/png;base64,{data}"/>'


def _scale_bar(bar: Bar) -> Iterable[str]:
    place = " ".join(f'{name}="{_number(value)}"' for name, value in
                     (("x", bar.left), ("y", bar.top), ("width", bar.width), ("height", bar.height)))  # fmt: skip
    font = f'font-family="Helvetica, Arial, sans-serif" font-size="{_number(bar.font_size)}" text-anchor="middle"'
    yield f'<g {_layer("scale-bar")} fill="#{bytes(bar.color).hex()}">'
    yield f"<rect {place}/>"
    yield f'<text x="{_number(bar.text_middle)}" y="{_number(bar.baseline)}" {font}>{_escaped(bar.text)}</text>'
    yield "</g>"


def _layer(name: str) -> str:
    return f'id={quoteattr(name)} inkscape:groupmode="layer" inkscape:label={quoteattr(name)}'


def _escaped(text: str) -> str:
    return escape(text.translate(_UNWRITABLE))


def _number(value: float) -> str:
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
