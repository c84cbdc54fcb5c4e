"""What is written on a picture beside its pixels: marks, labels, a scale bar and a legend, as one.

They are made as groups of primitives, which are drawn on pictures here, and as vectors by `svg` and `pdf`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..compact import compact_labels, extents
from ..errors import ArgumentError
from ..section import Section
from .color import rgb_bytes, rgba_bytes
from .draw import Rectangle, bounding_box, draw, moved
from .labels import Labels, place_labels
from .legend import BESIDE, Entry, Legend, LegendBlock, LegendPlace, Swatch, legend_block
from .marks import Lines, Mark, Points, mark_from_dict
from .primitives import Group, Ink, Path, Primitive, Words
from .scalebar import bar_group, legible_on

__all__ = ["Annotated", "Annotations", "annotate", "annotation_from_dict", "annotation_groups", "as_legend", "by_size"]

_DARK = 110  # mean of a background's channels, below which letters on it are white


@dataclass(frozen=True, slots=True)
class Annotations:
    """What to write on a picture.

    Parameters
    ----------
    marks : sequence of Mark
        Points, lines, text, arrows.
    labels : bool, sequence of int, mapping of int to str, or Labels
        Whether to write ids into segments: into all, just these, or with a text for each. Those named one by one that
        do not fit stand beside their segments.
    legend : bool, str, sequence of int, mapping, or Legend
        Whether to tell what colours stand for: the ids, with the texts of `labels` where they have some; just these;
        ids with a text for each; or texts with a colour for each. Or the place of a legend, such as "upper left".
    scale_bar : bool or float
        Whether to draw a scale bar, of a round length that fits or of so many nm.
    background : colour or None
        Of the page beside the picture, where a legend lies; None for none.
    """

    marks: Sequence[Mark] = ()
    labels: Any = False
    legend: Any = False
    scale_bar: bool | float = False
    background: Any = "white"

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        asked = any(not _is_no(part) for part in (self.labels, self.legend, self.scale_bar))
        return asked or bool(len(self.marks))


@dataclass(frozen=True, slots=True)
class Annotated:
    """What is to be drawn.

    Parameters
    ----------
    groups : tuple of Group
        On the picture, which clips them, from the lowest to the topmost. Places are pixels of the picture.
    beside : tuple of Group
        A legend beside the picture, in the same pixels.
    margins : tuple of int
        Pixels that the page has more than the picture: left, top, right, bottom.
    background : tuple of int or None
        Of the page, (r, g, b, a) from 0 to 255; None for none.
    left_out : tuple of int
        Ids of segments whose labels found no room, largest first.
    """

    groups: tuple[Group, ...]
    beside: tuple[Group, ...] = ()
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)
    background: tuple[int, int, int, int] | None = None
    left_out: tuple[int, ...] = ()

    def drawn_on(self, picture: Image.Image) -> Image.Image:
        """Give a picture with them, RGBA, larger by the margins."""
        marked = draw(picture, self.groups)
        left, top, right, bottom = self.margins
        if not any(self.margins):
            return marked
        size = (marked.width + left + right, marked.height + top + bottom)
        page = Image.new("RGBA", size, self.background or (255, 255, 255, 0))
        page.paste(marked, (left, top))
        return draw(page, [moved(group, left, top) for group in self.beside])


def annotate(
    picture: Image.Image,
    section: Section,
    depth: float,
    what: Annotations,
    *,
    segmentation: NDArray[Any] | None = None,
    colors: Mapping[int, Any] | None = None,
    zoom: float = 1.0,
    legend_ids: Sequence[int] | None = None,
) -> Image.Image:
    """Draw annotations on a picture.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of any mode; not changed.
    section : Section
        Where its pixels lie: of the picture's size, and with its nm per pixel.
    depth : float
        The section's own thickness in nm.
    what : Annotations
        What to draw.
    segmentation : numpy.ndarray, optional
        Ids, axes (right, down), for labels and the legend.
    colors : mapping, optional
        The colour that each id is painted in, for the legend.
    zoom : float
        Pixels of the picture for each of the segmentation.
    legend_ids : sequence of int, optional
        The ids that a legend may tell, in its order, whether they are in this picture or in others that it goes with;
        by default those of the segmentation, the largest first.

    Returns
    -------
    PIL.Image.Image
        RGBA; larger than the picture where there is a legend beside it.

    Examples
    --------
    >>> plane = Section((800.0, 600.0, 20.0), (200, 150), 8.0)
    >>> annotate(Image.new("L", (200, 150)), plane, 40.0, Annotations(scale_bar=True)).size
    (200, 150)
    """
    if picture.size != section.size:
        raise ArgumentError(f"the picture is {picture.size} pixels; the section {section.size}")
    made = annotation_groups(
        section,
        depth,
        what,
        segmentation=segmentation,
        colors=colors,
        zoom=zoom,
        picture=picture,
        legend_ids=legend_ids,
    )
    return made.drawn_on(picture)


def annotation_groups(
    section: Section,
    depth: float,
    what: Annotations,
    *,
    segmentation: NDArray[Any] | None = None,
    colors: Mapping[int, Any] | None = None,
    zoom: float = 1.0,
    picture: Image.Image | None = None,
    legend_ids: Sequence[int] | None = None,
) -> Annotated:
    """Make annotations, for whatever draws them.

    Parameters
    ----------
    section, depth, what, segmentation, colors, zoom, legend_ids
        As for `annotate`.
    picture : PIL.Image.Image, optional
        What lies below them, from which the colour of the scale bar follows; without one it is black.

    Returns
    -------
    Annotated
        Marks by their names, "labels", "scale-bar", and "legend", on the picture or beside it.

    Raises
    ------
    ArgumentError
        If labels or a legend of ids are asked for and there is no segmentation, or are no such thing.
    """
    groups = [group for mark in what.marks for group in mark.groups(section, depth) if group.primitives]
    taken = [_box_of(part) for group in groups for part in group.primitives if isinstance(part, Words)]
    above: list[Group] = []
    if not _is_no(what.scale_bar):
        bar = _bar(section, what.scale_bar, picture)
        above.append(bar)
        left, top, right, bottom = _box_of(*bar.primitives)
        air = 0.03 * min(section.size)
        taken.append((left - air, top - air, right + air, bottom + air))
    labels, legend = _as_labels(what.labels), as_legend(what.legend)
    background = None if what.background is None else rgba_bytes(what.background)
    margins, beside = (0, 0, 0, 0), list[Group]()
    if legend is not None:
        light = background is None or legend.place not in BESIDE or sum(background[:3]) >= 3 * _DARK
        ids = by_size(segmentation) if legend_ids is None else list(legend_ids)
        entries = _entries(legend, labels, what.marks, ids, colors)
        if entries:
            block = legend_block(entries, section.size, legend, Ink((0, 0, 0) if light else (255, 255, 255)))
            margins, x, y = _placed(block, legend, section.size, above)
            if any(margins):
                beside.append(block.at(x, y))
            else:
                taken.append((x, y, x + block.width, y + block.height))
                above += [Group("legend-background", (_panel(taken[-1]),)), block.at(x, y)]
    left_out: tuple[int, ...] = ()
    if labels is not None:
        if segmentation is None:
            raise ArgumentError("labels name segments; there is no segmentation")
        found = place_labels(segmentation, labels, zoom=zoom, avoid=taken)
        left_out = found.left_out
        if found.group.primitives:
            groups.append(found.group)
    return Annotated((*groups, *above), tuple(beside), margins, background if any(margins) else None, left_out)


def annotation_from_dict(document: Mapping[str, Any]) -> Mark | Labels | Legend:
    """Read a mark, `Labels` or a `Legend` that their `to_dict` has written.

    Raises
    ------
    ArgumentError
        If it is none.

    Examples
    --------
    >>> annotation_from_dict({"kind": "legend", "title": "Cells"}).title
    'Cells'
    """
    kinds = {"labels": Labels, "legend": Legend}
    values = dict(document)
    kind = kinds.get(values.pop("kind", ""))
    if kind is None:
        return mark_from_dict(document)
    try:
        return cast("Labels | Legend", kind(**values))
    except TypeError as error:
        raise ArgumentError(f"these are no {document['kind']} that can be drawn: {error}") from None


def _as_labels(value: Any) -> Labels | None:
    if isinstance(value, Labels) or _is_no(value):
        return value or None
    return Labels() if _is_yes(value) else Labels(value)


def as_legend(value: Any) -> Legend | None:
    """Read an argument `legend`; None where there is to be none."""
    if isinstance(value, Legend) or _is_no(value):
        return value or None
    if isinstance(value, str):
        return Legend(place=cast("LegendPlace", value))
    return Legend() if _is_yes(value) else Legend(value)


def _is_no(value: Any) -> bool:
    return value is None or (isinstance(value, (bool, np.bool_)) and not value)


def _is_yes(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) and bool(value)


def _entries(
    legend: Legend,
    labels: Labels | None,
    marks: Sequence[Mark],
    ids: Sequence[int] | None,
    colors: Mapping[int, Any] | None,
) -> list[Entry]:
    """Give what a legend of these ids tells, each line once; None for any ids that it names."""
    texts = legend.texts
    if texts is not None and any(isinstance(key, str) for key in texts):
        return [Entry(str(text), ink) for text, ink in _inks(texts).items()]
    found: list[Entry] = []
    if texts is None:
        for mark in marks:
            if isinstance(mark, (Points, Lines)) and mark.name not in ("points", "lines") and len(mark.color) == 1:
                swatch: Swatch = "line" if isinstance(mark, Lines) else "disc" if mark.filled else "ring"
                found.append(Entry(mark.name, Ink(tuple(mark.color[0].tolist())), swatch))
        known = {} if labels is None or labels.texts is None else labels.texts
        texts = {number: known.get(number) for number in ids or ()}
    elif ids is not None:
        there = set(ids)
        texts = {number: text for number, text in texts.items() if number in there}
    if colors is None and texts:
        raise ArgumentError("a legend of ids needs the colours that they are painted in")
    painted = _inks({number: colors[number] for number in texts if number in colors} if colors else {})
    for number, ink in painted.items():
        text = texts[number]
        found.append(Entry(str(number) if text is None else str(text), ink))
    return list(dict.fromkeys(found))


def _inks(colors: Mapping[Any, Any]) -> dict[Any, Ink]:
    """Read colours together, as `composite_overlay` does."""
    return {key: Ink(tuple(rgb)) for key, rgb in zip(colors, rgb_bytes(list(colors.values())).tolist(), strict=True)}


def by_size(segmentation: NDArray[Any] | None) -> list[int] | None:
    """Give the ids of a segmentation, the largest first; None without one.

    Examples
    --------
    >>> by_size(np.array([[7, 7], [0, 9]]))
    [7, 9]
    """
    if segmentation is None:
        return None
    ids, labels = compact_labels(np.asarray(segmentation), include_null=False)
    counts = extents(labels, len(ids)).counts[1:]
    return cast(list[int], ids[np.lexsort((ids, -counts))].tolist())


def _box_of(*parts: Primitive) -> Rectangle:
    box = bounding_box(parts)
    assert box is not None
    return box


def _bar(section: Section, length: bool | float, picture: Image.Image | None) -> Group:
    if not (_is_yes(length) or isinstance(length, (int, float, np.number))):
        raise ArgumentError(f"scale_bar is True, or a length in nm, such as 500; got {length!r:.80}")
    nm = None if _is_yes(length) else float(length)
    if picture is None:
        return bar_group(section.size, section.nm_per_pixel, nm, color=(0, 0, 0))
    ink = legible_on(picture, bar_group(section.size, section.nm_per_pixel, nm))
    return bar_group(section.size, section.nm_per_pixel, nm, color=ink, rim=ink != (0, 0, 0))


def _placed(
    block: LegendBlock, legend: Legend, size: tuple[int, int], above: Sequence[Group]
) -> tuple[tuple[int, int, int, int], float, float]:
    """Give the margins that a legend needs, and where its upper left corner lies."""
    width, height = math.ceil(block.width), math.ceil(block.height)
    beyond = max(0, height - size[1])
    if legend.place == "right":
        return (0, 0, width, beyond), float(size[0]), 0.0
    if legend.place == "left":
        return (width, 0, 0, beyond), float(-width), 0.0
    if legend.place == "below":
        return (0, 0, max(0, width - size[0]), height), 0.0, float(size[1])
    vertical, _, side = legend.place.partition(" ")
    gap = 0.02 * min(size)
    x = gap if side == "left" else size[0] - gap - block.width
    y = gap if vertical == "upper" else size[1] - gap - block.height
    box = (x, y, x + block.width, y + block.height)
    for group in above:  # above or below the scale bar
        left, top, right, bottom = _box_of(*group.primitives)
        if left < box[2] and box[0] < right and top < box[3] and box[1] < bottom:
            y = top - gap - block.height if vertical == "lower" else bottom + gap
    return (0, 0, 0, 0), x, y


def _panel(box: Rectangle) -> Path:
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Path(corners, closed=True, fill=Ink((255, 255, 255), 0.85))
