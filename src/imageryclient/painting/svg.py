"""Vector figures as SVG 1.1, with the layers of Inkscape, for browsers, Illustrator and Inkscape."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from .curves import UNITS, Curves
from .helvetica import CAPITALS
from .lettering import HALO
from .look import strays
from .primitives import Disc, Path, Words
from .shapes import SEAM

if TYPE_CHECKING:
    from PIL import Image

    from .primitives import Group, Ink, Primitive
    from .shapes import Drawing, Shape, Span
    from .vector import Panel, VectorFigure

__all__ = ["svg_document"]

_NAMESPACES = (
    'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
)
_CRISP = ' shape-rendering="crispEdges"'
_FONT = 'font-family="Helvetica, Arial, sans-serif"'
_ANCHORS = {"left": "start", "middle": "middle", "right": "end"}
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
        The document: of groups `background`, `imagery`, `segmentation`, which holds a group `id-ID` for each segment
        with the id in `data-id`, and one for each group of annotations, such as `scale-bar`; each of them is a layer to
        Inkscape. A panel is a group of its own that holds these, each with the panel's name and a dash before its own,
        as `xy-id-ID`. A segment's area and outline are the paths `area-ID` and `outline-ID` of its group; where
        outlines lie on other segments' areas, they lie in a group of their own, above all areas. Its viewBox is in
        pixels of the section, its width and height in mm. The same figure makes the same text.

    Examples
    --------
    >>> from imageryclient.painting.vector import vector_figures
    >>> print(vector_figures(None, np.array([[[7]]]), (8.0, 8.0, 40.0), smooth=False)[0].to_svg())
    <?xml version="1.0" encoding="UTF-8"?>
    <svg xmlns="..." ... width="0.08mm" height="0.08mm" viewBox="0 0 1 1">
    <g id="segmentation" inkscape:groupmode="layer" inkscape:label="segmentation" opacity="0.2">
    <g id="id-7" inkscape:groupmode="layer" inkscape:label="7" data-id="7">
    <path id="area-7" fill="#fe6a86" shape-rendering="crispEdges" d="M0 0h1v1h-1z"/>
    </g>
    </g>
    </svg>
    <BLANKLINE>
    """
    wide, high = map(_number, figure.page.size_mm)
    box = figure.page.box
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg {_NAMESPACES} version="1.1" width="{wide}mm" height="{high}mm" viewBox="{" ".join(map(_number, box))}">',
    ]
    if title:
        parts.append(f"<title>{_escaped(title)}</title>")
    if record:
        parts.append(f'<metadata id="imageryclient">{_escaped(record)}</metadata>')
    return "\n".join([*parts, *_contents(figure), "</svg>", ""])


def _contents(figure: VectorFigure, prefix: str = "") -> Iterable[str]:
    """Write what a figure shows; all names begin with `prefix`."""
    box, sheet = figure.page.box, _rectangle(0, 0, *figure.page.size)
    if figure.background is not None:
        yield f"<g {_layer('background', prefix)}>"
        yield f'<path{_inked(figure.background)} d="{_rectangle(*box)}"/></g>'
    if figure.picture is not None:
        yield from (f"<g {_layer('imagery', prefix)}>", _image(figure.picture), "</g>")
    clip = ""
    if any(figure.page.margins):
        clip = f' clip-path="url(#{prefix}section)"'
        yield f'<clipPath id="{prefix}section"><path d="{sheet}"/></clipPath>'
    if figure.drawing is not None:
        yield from _segmentation(figure.drawing, _Pen.of(figure.drawing.curves, prefix), sheet, clip)
    groups = [*figure.annotations, *figure.beside]
    names = _names([*(panel.name for panel in figure.panels), *(group.name for group in groups)])
    for panel in figure.panels:
        yield from _panel(next(names), panel, prefix)
    for number, group in enumerate(groups):
        yield from _annotation(prefix + next(names), group, clip if number < len(figure.annotations) else "")


def _panel(name: str, panel: Panel, prefix: str) -> Iterable[str]:
    """Write a figure on its place, cut off at the border of its page."""
    x, y = map(_number, panel.shift)
    page = _rectangle(*panel.figure.page.box)
    yield f'<clipPath id="{prefix}{name}-page"><path d="{page}"/></clipPath>'
    size = "" if panel.scale == 1 else f" scale({panel.scale:.9g})"
    place = f'transform="translate({x} {y}){size}" clip-path="url(#{prefix}{name}-page)"'
    yield f"<g {_layer(name, prefix, panel.name)} {place}>"
    yield from _contents(panel.figure, f"{prefix}{name}-")
    yield "</g>"


def _segmentation(drawing: Drawing, pen: _Pen, sheet: str, clip: str) -> Iterable[str]:
    style, layer = drawing.style, _layer("segmentation", pen.prefix) + clip
    if not style.outline:
        yield from _areas(drawing, pen, layer)
        return
    yield f'<g {layer} stroke-linejoin="round" stroke-linecap="{"round" if style.dash is None else "butt"}">'
    if drawing.free is not None:
        yield f'<clipPath id="{pen.prefix}free"><path d="{pen.path(drawing.free)}"/></clipPath>'
    apart = strays(style) and any(shape.area_ink for shape in drawing.shapes)
    if apart:
        yield from _areas(drawing, pen, _layer("areas", pen.prefix))
        yield f"<g {_layer('outlines', pen.prefix)}>"
    for shape in drawing.shapes:
        yield f"<g {_of_id(shape, pen, 'outline-of-' if apart else 'id-')}>"
        if shape.area_ink is not None and not apart:
            opacity = _number(shape.area_ink.alpha)
            yield _area(drawing, pen, shape, _seam(shape.area_ink.alpha), f' opacity="{opacity}"')
        yield from _outline(drawing, pen, shape, sheet)
        yield "</g>"
    yield "</g>" * (1 + apart)


def _areas(drawing: Drawing, pen: _Pen, layer: str) -> Iterable[str]:
    """Draw areas that have one opacity together, so that those which overlap a little do not show it."""
    faint = drawing.by_opacity()
    if len(faint) != 1:
        yield f"<g {layer}>"
    for alpha, shapes in faint.items():
        group = layer if len(faint) == 1 else _layer(f"opacity-{_number(alpha)}", pen.prefix)
        yield f'<g {group} opacity="{_number(alpha)}">'
        for shape in shapes:
            yield f"<g {_of_id(shape, pen, 'id-')}>"
            if shape.area_ink is not None:
                yield _area(drawing, pen, shape, SEAM)
            yield "</g>"
        yield "</g>"
    if len(faint) != 1:
        yield "</g>"


def _area(drawing: Drawing, pen: _Pen, shape: Shape, seam: float, opacity: str = "") -> str:
    assert shape.area_ink is not None
    color = _hex(shape.area_ink)
    edge = (
        f' stroke="{color}" stroke-width="{_number(seam)}" stroke-linejoin="round"' if drawing.style.smooth else _CRISP
    )
    return f'<path id="{pen.prefix}area-{shape.id}" fill="{color}"{opacity}{edge} d="{pen.path(shape.area)}"/>'


def _seam(alpha: float) -> float:
    """Give the overlap of areas that are not painted as one.

    Two borders that each cover half a pixel leave a sixth of alpha² of it bare along an edge, on average; where areas
    overlap, what is below is covered twice.
    """
    return min(SEAM, alpha / (6 * (1 - alpha))) if alpha < 1 else SEAM


def _outline(drawing: Drawing, pen: _Pen, shape: Shape, sheet: str) -> Iterable[str]:
    """Draw a line, of which one side is clipped unless it is on the edge."""
    style, ink = drawing.style, shape.line_ink
    if ink is None or not shape.line:
        return
    clip = ""
    if drawing.free is not None:
        clip = f' clip-path="url(#{pen.prefix}free)"'
    elif style.side != "on":
        clip = f' clip-path="url(#{pen.prefix}side-{shape.id})"'
        if style.side == "out":
            bound = f'<path clip-rule="evenodd" d="{sheet}{pen.path(shape.area)}"/>'
        elif shape.area_ink is not None:
            bound = f'<use xlink:href="#{pen.prefix}area-{shape.id}"/>'
        else:
            bound = f'<path d="{pen.path(shape.area)}"/>'
        yield f'<clipPath id="{pen.prefix}side-{shape.id}">{bound}</clipPath>'
    dash = "" if style.dash is None else _dashes(style.dash.drawn, style.dash.left_out)
    look = f"{_inked(None, ink)}{_width(2 * style.reach)}{dash}{clip}"
    yield f'<path id="{pen.prefix}outline-{shape.id}"{look} d="{pen.path(shape.line)}"/>'


def _names(given: Iterable[str]) -> Iterator[str]:
    """Give each panel and group of annotations an id of its own, as near to its name as XML and others' ids allow."""
    taken = {"background", "imagery", "imageryclient", "segmentation", "areas", "outlines", "free", "section"}
    for wanted in given:
        base = re.sub(r"[^\w.-]+", "-", wanted, flags=re.ASCII).strip("-")
        if not base[:1].isalpha() or base.partition("-")[0] in ("id", "area", "outline", "side", "opacity"):
            base = f"annotation-{base}".strip("-")
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name)
        yield name


def _annotation(name: str, group: Group, clip: str = "") -> Iterable[str]:
    yield f'<g {_layer(name, label=group.name)} stroke-linejoin="round" stroke-linecap="round"{clip}>'
    yield from map(_primitive, group.primitives)
    yield "</g>"


def _primitive(one: Primitive) -> str:
    if isinstance(one, Disc):
        place = f'cx="{_number(one.x)}" cy="{_number(one.y)}" r="{_number(one.radius)}"'
        return f"<circle {place}{_inked(one.fill, one.line)}{_width(one.width) if one.line else ''}/>"
    if isinstance(one, Path):
        line = _width(one.width) if one.line else ""
        line += f'{_dashes(*one.dash)} stroke-linecap="butt"' if one.line and one.dash else ""
        return f'<path{_inked(one.fill, one.line)}{line} d="{_polygon(one.points, one.closed)}"/>'
    return _words(one)


def _polygon(points: Iterable[tuple[float, float]], closed: bool) -> str:
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in points) + ("z" if closed else "")


def _words(words: Words) -> str:
    baseline = words.y + CAPITALS / 2 * words.size
    place = f'x="{_number(words.x)}" y="{_number(baseline)}" text-anchor="{_ANCHORS[words.anchor]}"'
    halo = "" if words.halo is None else f'{_width(2 * HALO * words.size)} paint-order="stroke"'
    halo += ' font-weight="bold"' if words.bold else ""
    look = f'{_FONT} font-size="{_number(words.size)}"{_inked(words.ink, words.halo)}{halo}'
    return f"<text {place} {look}>{_escaped(words.text)}</text>"


def _inked(fill: Ink | None, line: Ink | None = None) -> str:
    parts = ' fill="none"' if fill is None else f' fill="{_hex(fill)}"'
    if fill is not None and fill.alpha != 1:
        parts += f' fill-opacity="{_number(fill.alpha)}"'
    if line is not None:
        parts += f' stroke="{_hex(line)}"'
        if line.alpha != 1:
            parts += f' stroke-opacity="{_number(line.alpha)}"'
    return parts


def _hex(ink: Ink) -> str:
    return "#" + bytes(ink.color).hex()


def _width(width: float) -> str:
    return f' stroke-width="{_number(width)}"'


def _dashes(drawn: float, left_out: float) -> str:
    return f' stroke-dasharray="{_number(drawn)} {_number(left_out)}"'


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f"M{_number(x)} {_number(y)}h{_number(width)}v{_number(height)}H{_number(x)}z"


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes segments as path data, relative to each other; T continues a curve whose control point is mirrored.

    For each segment, in units: from its start to its control point and to its end, and where it starts. The names of
    what it writes begin with `prefix`.
    """

    curves: Curves
    moves: list[list[int]]
    starts: list[list[int]]
    straight: list[bool]
    mirrored: list[bool]
    prefix: str

    @classmethod
    def of(cls, curves: Curves, prefix: str = "") -> _Pen:
        start, control, straight = curves.start, curves.control, curves.straight
        moves = np.concatenate([control - start, curves.stop - start], axis=1) * UNITS
        mirrored = np.zeros(len(start), np.bool_)
        mirrored[1:] = ~straight[1:] & ~straight[:-1] & (2 * start[1:] - control[:-1] == control[1:]).all(axis=1)
        starts = start * UNITS
        return cls(
            curves,
            moves.astype(np.int64).tolist(),
            starts.astype(np.int64).tolist(),
            straight.tolist(),
            mirrored.tolist(),
            prefix,
        )

    def path(self, spans: Iterable[Span]) -> str:
        parts: list[str] = []
        for span in spans:
            if span.tight:
                parts.append(_polygon(span.middles(self.curves).tolist(), span.closed))
                continue
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


def _layer(name: str, prefix: str = "", label: str = "") -> str:
    shown = quoteattr((label or name).translate(_UNWRITABLE))
    return f'id={quoteattr(prefix + name)} inkscape:groupmode="layer" inkscape:label={shown}'


def _of_id(shape: Shape, pen: _Pen, kind: str) -> str:
    return f'{_layer(f"{kind}{shape.id}", pen.prefix, str(shape.id))} data-id="{shape.id}"'


def _escaped(text: str) -> str:
    return escape(text.translate(_UNWRITABLE))


def _number(value: float) -> str:
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
