"""Annotations drawn on pictures, each edge as sharp as pixels allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .lettering import BOLD, CAPITALS, HALO, letters, text_width
from .picture import as_rgba
from .primitives import Disc, Group, Ink, Path, Primitive, Words
from .raster import Area, Cover, capsule, covers, ring

__all__ = ["Rectangle", "bounding_box", "draw", "moved"]

Rectangle = tuple[float, float, float, float]


def draw(picture: Image.Image, groups: Iterable[Group]) -> Image.Image:
    """Draw annotations on a picture.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of any mode; not changed.
    groups : iterable of Group
        What to draw, the last on top. What lies beyond the picture is left out.

    Returns
    -------
    PIL.Image.Image
        A new RGBA picture of the same size. Each pixel is mixed by the share of it that a disc or path covers, which
        is exact; what is drawn makes transparent pixels opaque.

    Examples
    --------
    >>> dot = Group("dots", (Disc(10, 10, 4, fill=Ink((255, 0, 0))),))
    >>> marked = draw(Image.new("L", (20, 20)), [dot])
    >>> marked.getpixel((10, 10)), round(float(np.asarray(marked)[..., 0].sum()) / 255, 1)  # an area of 16 pi
    ((255, 0, 0, 255), 50.3)
    """
    canvas = np.array(as_rgba(picture))
    height, width = canvas.shape[:2]
    layers = list(_layers(primitive for group in groups for primitive in group.primitives))
    found = iter(covers([layer.area for layer in layers if not isinstance(layer, Words)], (width, height)))
    pixels = canvas.reshape(-1, 4)
    opaque = bool((pixels[:, 3] == 255).all())
    for layer in layers:
        if isinstance(layer, Words):
            for ink, cover in _written(layer, width, height):
                _lay(pixels, cover, ink, opaque)
        else:
            _lay(pixels, next(found), layer.ink, opaque)
    return Image.fromarray(canvas, "RGBA")


def bounding_box(primitives: Iterable[Primitive]) -> Rectangle | None:
    """Give the left, top, right and bottom of what primitives cover, halos too; None where there are none.

    Examples
    --------
    >>> bounding_box([Disc(10, 10, 4), Path(((0, 2), (5, 2)), width=2)])
    (-1.0, 1.0, 14, 14)
    """
    boxes = [_box(primitive) for primitive in primitives]
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def moved(group: Group, x: float, y: float) -> Group:
    """Give a group moved by some pixels to the right and down."""
    return Group(group.name, tuple(_moved(primitive, x, y) for primitive in group.primitives))


def _moved(primitive: Primitive, x: float, y: float) -> Primitive:
    if isinstance(primitive, Path):
        return replace(primitive, points=tuple((a + x, b + y) for a, b in primitive.points))
    return replace(primitive, x=primitive.x + x, y=primitive.y + y)


@dataclass(frozen=True, slots=True)
class _Layer:
    """An ink laid on an area."""

    ink: Ink
    area: Area


def _layers(primitives: Iterable[Primitive]) -> Iterator[_Layer | Words]:
    for primitive in primitives:
        if isinstance(primitive, Words):
            yield from _struck(primitive)
            continue
        if primitive.fill is not None:
            yield _Layer(primitive.fill, _filled(primitive))
        if primitive.line is not None and primitive.width > 0:
            yield _Layer(primitive.line, _stroked(primitive))


def _struck(words: Words) -> list[Words]:
    """Strike bold letters three times, each a little to the right, and their rims below all of them."""
    if not words.bold:
        return [words]
    steps = [replace(words, x=words.x + step * words.size, bold=False) for step in (0.0, BOLD / 2, BOLD)]
    rims = [] if words.halo is None else [replace(step, ink=words.halo) for step in steps]
    return [*rims, *(replace(step, halo=None) for step in steps)]


def _written(words: Words, width: int, height: int) -> Iterator[tuple[Ink, Cover]]:
    """Give the pixels of a picture that the rim and the letters of a text cover."""
    drawn = letters(words.text, _left(words), words.y, words.size)
    x = np.arange(drawn.left, drawn.left + drawn.shares.shape[1])
    y = np.arange(drawn.top, drawn.top + drawn.shares.shape[0])
    inside = ((x >= 0) & (x < width)) & ((y >= 0) & (y < height))[:, None]
    place = x + y[:, None] * width
    parts = [(words.ink, drawn.shares)]
    if words.halo is not None:
        parts.insert(0, (words.halo, drawn.rimmed(max(1.0, HALO * words.size))))
    for ink, shares in parts:
        seen = (shares > 0) & inside
        yield ink, Cover(place[seen], shares[seen] / 255)


def _filled(primitive: Disc | Path) -> Area:
    if isinstance(primitive, Disc):
        return Area(((ring(primitive.x, primitive.y, primitive.radius),),))
    return Area(((np.array(primitive.points, np.float64),),))


def _stroked(primitive: Disc | Path) -> Area:
    if isinstance(primitive, Disc):
        half = primitive.width / 2
        outer = ring(primitive.x, primitive.y, primitive.radius + half)
        if primitive.radius <= half:
            return Area(((outer,),))
        return Area(((outer, ring(primitive.x, primitive.y, primitive.radius - half)[::-1]),))
    points = [*primitive.points, *(primitive.points[:1] if primitive.closed else ())]
    runs = list(pairwise(points))
    flat = primitive.dash is not None
    if primitive.dash is not None:
        runs = _dashed(points, primitive.dash)
    return Area(tuple((capsule(start, stop, primitive.width, flat),) for start, stop in runs))


def _dashed(
    points: Sequence[tuple[float, float]], dash: tuple[float, float]
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Give the straight parts that are drawn: along the whole path, the first length of `dash` in each period."""
    on, off = dash
    if on <= 0 or off <= 0:
        return list(pairwise(points)) if on > 0 else []
    runs = []
    done = 0.0
    for start, stop in pairwise(points):
        a, b = np.array(start), np.array(stop)
        length = float(np.hypot(*(b - a)))
        if length:
            dashes = np.arange(int(done // (on + off)), int((done + length) // (on + off)) + 1) * (on + off) - done
            for first in dashes.tolist():
                low, high = max(0.0, first), min(length, first + on)
                if low < high:
                    (xa, ya), (xb, yb) = (a + (b - a) * (at / length) for at in (low, high))
                    runs.append(((float(xa), float(ya)), (float(xb), float(yb))))
        done += length
    return runs


def _lay(pixels: NDArray[np.uint8], cover: Cover, ink: Ink, opaque: bool) -> None:
    """Lay an ink over pixels, (n, 4), as far as each is covered."""
    if not cover.pixels.size or ink.alpha <= 0:
        return
    share = (cover.shares * min(1.0, ink.alpha))[:, None]
    below = pixels[cover.pixels].astype(np.float64)
    color = np.array(ink.color, np.float64)
    if opaque:
        pixels[cover.pixels, :3] = np.rint(below[:, :3] + (color - below[:, :3]) * share)
        return
    opacity = share + below[:, 3:] / 255 * (1 - share)
    weight = np.divide(share, opacity, out=np.zeros_like(share), where=opacity > 0)
    pixels[cover.pixels, :3] = np.rint(below[:, :3] + (color - below[:, :3]) * weight)
    pixels[cover.pixels, 3:] = np.rint(255 * opacity)


def _left(words: Words) -> float:
    """Give where a text starts."""
    behind = {"left": 0.0, "middle": 0.5, "right": 1.0}[words.anchor]
    return words.x - behind * text_width(words.text, words.size)


def _box(primitive: Primitive) -> Rectangle:
    if isinstance(primitive, Words):
        left, half = _left(primitive), CAPITALS * primitive.size / 2
        rim = max(1.0, HALO * primitive.size) if primitive.halo is not None else 0.0
        right = left + text_width(primitive.text, primitive.size) + primitive.bold * BOLD * primitive.size
        return left - rim, primitive.y - half - rim, right + rim, primitive.y + half + rim
    half = 0.0 if primitive.line is None and primitive.fill is not None else primitive.width / 2
    if isinstance(primitive, Disc):
        reach = primitive.radius + (half if primitive.line is not None else 0)
        return primitive.x - reach, primitive.y - reach, primitive.x + reach, primitive.y + reach
    x, y = zip(*primitive.points, strict=True)
    return min(x) - half, min(y) - half, max(x) + half, max(y) + half
