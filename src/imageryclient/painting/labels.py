"""Names of segments written inside them, without overlap.

A text stands where the largest rectangle of its proportions fits into its segment: there it has most room. If that is
smaller than the text, the letters shrink, down to a smallest size; what does not fit even then stands beside its
segment at the end of a line, where that is wanted and there is room, or is left out.

Which rectangles fit where is asked of all segments in one pass for each of a few sizes: along x by the length of runs,
along y by counting changes in the running sum of a column.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compact import compact_labels, extents
from ..errors import ArgumentError
from .draw import Rectangle
from .lettering import CAPITALS, HALO, text_width
from .placing import Recorded, as_ink, as_texts, check_positive, keep, within
from .primitives import Disc, Group, Ink, Path, Primitive, Words

__all__ = ["Labels", "PlacedLabels", "place_labels", "short_names"]

_ROOMS = (6.0, 4.0, 2.8, 2.0, 1.4, 1.0)  # sizes of rectangles over that of the text, largest first
_SHRINK = 0.85
_FEWEST_DIGITS = 4
_AIR = 1.15  # height of the room for a text over that of its capitals, with its rim
_OF_PICTURE, _OF_SEGMENT = 0.024, 0.3  # size of the font over the side of the picture, and of a large segment
_NAMED = 0.034  # over the side of the picture where names are given
_FINE = 8  # places are tried at an eighth of a text's height, or at every pixel
_MOST_LINES = 60  # beyond which they hide more than they tell
_TURNS = 16
_REACHES = (1.2, 2.0, 3.0, 4.5, 6.5)  # lengths of lines over the size of the font


@dataclass(frozen=True, slots=True, eq=False)
class Labels(Recorded):
    """Which segments are named in a picture, and how that looks.

    Parameters
    ----------
    texts : mapping of int to str, or sequence of int, optional
        The text of each id that is to have one, or just those ids, named by `short_names`. By default all ids in the
        picture.
    size : float, optional
        Of the font in pixels of the picture; by default in proportion to it, and less where segments are many and
        small.
    smallest : float, optional
        To which it may shrink; by default half the size, and not below 8 pixels.
    color : colour
        Of the letters.
    rim : colour or None
        Of the rim around them, which is drawn with an opacity of 0.65.
    lines : bool, optional
        Whether a text that fits nowhere into its segment stands beside it, at the end of a line; by default those of
        `texts` do. The largest segments come first, and there are 60 lines at most.

    Examples
    --------
    >>> Labels({864691135341362885: "bouton"}).to_dict()
    {'kind': 'labels', 'texts': {'864691135341362885': 'bouton'}}
    """

    texts: Any = None
    size: float | None = None
    smallest: float | None = None
    color: Any = "white"
    rim: Any = "black"
    lines: bool | None = None

    def __post_init__(self) -> None:
        """Read ids, and check the rest."""
        keep(self, texts=as_texts(self.texts, "labels"))
        wrong = next((key for key in self.texts or () if isinstance(key, str)), None)
        if wrong is not None:
            raise ArgumentError(f"labels must be ids, or a mapping from ids to text; got {wrong!r:.80} for an id")
        for name in ("size", "smallest"):
            if getattr(self, name) is not None:
                check_positive(**{name: getattr(self, name)})
        _ = self.ink, self.halo

    @property
    def ink(self) -> Ink:
        """Of the letters."""
        return as_ink(self.color)

    @property
    def halo(self) -> Ink | None:
        """Of the rim around them."""
        return None if self.rim is None else as_ink(self.rim, 0.65)

    def sizes(self, picture: float, segment: float) -> list[float]:
        """Give the sizes of the font to try.

        Parameters
        ----------
        picture, segment : float
            The sides of the picture and of a usual segment in pixels, were they squares.

        Returns
        -------
        list of float
            Pixels, largest first.

        Examples
        --------
        >>> [round(size, 1) for size in Labels(size=16.0, smallest=12).sizes(512, 40)]
        [16.0, 13.6, 12]
        """
        share = _NAMED if self.texts and any(self.texts.values()) else _OF_PICTURE
        first = self.size or max(10.0, min(share * picture, _OF_SEGMENT * segment))
        last = min(first, self.smallest or max(8.0, first / 2))
        steps = math.ceil(math.log(last / first) / math.log(_SHRINK) - 1e-9)
        return [max(last, first * _SHRINK**step) for step in range(steps + 1)]


@dataclass(frozen=True, slots=True)
class PlacedLabels:
    """Labels, placed.

    Parameters
    ----------
    group : Group
        Named "labels".
    left_out : tuple of int
        Ids that are in the picture and found no room, largest first.
    """

    group: Group
    left_out: tuple[int, ...]


def short_names(ids: Sequence[int]) -> dict[int, str]:
    """Give each id the last digits that tell it from the others, four at least, behind an ellipsis.

    Examples
    --------
    >>> short_names([864691135341362885, 864691135341367102, 17])
    {864691135341362885: '…2885', 864691135341367102: '…7102', 17: '17'}
    """
    digits = _FEWEST_DIGITS
    while len({number % 10**digits for number in ids}) < len(set(ids)):
        digits += 1
    return {
        number: str(number) if number < 10 ** (digits + 1) else f"…{number % 10**digits:0{digits}}" for number in ids
    }


def place_labels(
    segmentation: NDArray[Any], look: Labels | None = None, *, zoom: float = 1.0, avoid: Sequence[Rectangle] = ()
) -> PlacedLabels:
    """Write names into segments.

    Parameters
    ----------
    segmentation : numpy.ndarray
        Ids, axes (x, y); 0 is no segment.
    look : Labels, optional
        Which ones, and how they look. Ids that are not there do not matter.
    zoom : float
        Pixels of the picture for each of the segmentation.
    avoid : sequence of tuple
        Left, top, right and bottom of places that stay free, in pixels of the picture.

    Returns
    -------
    PlacedLabels
        Places are pixels of the picture. The rectangles of the texts do not overlap, and lie within their segments,
        but for those at the end of a line. The time follows the pixels of the segmentation: 0.2 s for a million, for
        2,000 ids as for two.

    Examples
    --------
    >>> ids = np.zeros((200, 100), np.uint64)
    >>> ids[20:160, 30:70] = 864691135341362885
    >>> (word,) = place_labels(ids).group.primitives
    >>> word.text, word.x, word.y
    ('…2885', 88.5, 49.5)
    """
    ids, labels = compact_labels(np.asarray(segmentation), include_null=False)
    if labels.ndim != 2:
        raise ArgumentError(f"labels are placed in a picture of ids, axes (x, y); got shape {labels.shape}")
    look = look or Labels()
    counts = extents(labels, len(ids)).counts
    there = ids.tolist()
    names = _names(there, look.texts)
    wanted = [label for label, number in enumerate(there, start=1) if names.get(number)]
    wanted.sort(key=lambda label: (-int(counts[label]), label))
    if not wanted:
        return PlacedLabels(Group("labels", ()), ())
    kept = np.zeros(len(ids) + 1, np.int32)
    kept[wanted] = np.arange(1, len(wanted) + 1)
    words = [names[there[label - 1]] for label in wanted]
    room = _Room.of(kept[labels], words, zoom, avoid)
    sizes = look.sizes(zoom * math.sqrt(labels.size), zoom * math.sqrt(_usual(counts[1:])))
    placed = room.places(sizes)
    drawn = {
        number: Words(x, y, words[number - 1], size, look.ink, "middle", look.halo)
        for number, (x, y, size) in placed.items()
    }
    extra: list[Primitive] = []
    missing = [number for number in range(1, len(words) + 1) if number not in drawn]
    if missing and (look.lines or (look.lines is None and look.texts is not None)):
        rest = missing[:_MOST_LINES]
        anchors = room.anchors(rest)
        taken = [_room_of(word) for word in drawn.values()] + list(avoid)
        beside = _Beside(taken, list(anchors.values()), room.picture, [])
        for number in rest:
            found = beside.place(anchors[number], words[number - 1], sizes[0])
            if found is not None:
                extra += _line(*beside.lines[-1], look)
                drawn[number] = Words(*found, words[number - 1], sizes[0], look.ink, "middle", look.halo)
                missing.remove(number)
    group = Group("labels", (*extra, *(drawn[number] for number in sorted(drawn))))
    return PlacedLabels(group, tuple(there[wanted[number - 1] - 1] for number in missing))


def _names(there: list[int], texts: Mapping[int, str | None] | None) -> dict[int, str]:
    chosen = there if texts is None else [number for number in there if number in texts]
    short = short_names(chosen)
    if texts is None:
        return short
    return {number: short[number] if texts[number] is None else str(texts[number]) for number in chosen}


def _usual(areas: NDArray[np.int64]) -> int:
    """Give the area of the segment that half of all segments' pixels lie in, or in larger ones."""
    order = np.sort(areas)
    return int(order[np.searchsorted(np.cumsum(order), order.sum() / 2)])


def _room_of(word: Words) -> Rectangle:
    width, height = _extent(word.text)
    half, high = width * word.size / 2, height * word.size / 2
    return word.x - half, word.y - high, word.x + half, word.y + high


def _extent(text: str) -> tuple[float, float]:
    """Give the width and height that a text needs, with its rim, for a font of size 1."""
    return text_width(text, 1.0) + 2 * HALO, CAPITALS * _AIR + 2 * HALO


@dataclass(frozen=True, slots=True)
class _Room:
    """Where rectangles fit into labels, (x, y), which are counted from the largest segment.

    `reach` counts for each pixel those of its own label in a row on both sides of it, the smaller number. `extent` is
    the width and height of each label's text, for a font of size 1, in pixels of the segmentation.
    """

    labels: NDArray[np.int32]
    reach: NDArray[np.int32]
    extent: NDArray[np.float64]
    zoom: float

    @classmethod
    def of(cls, labels: NDArray[np.int32], words: list[str], zoom: float, avoid: Sequence[Rectangle]) -> _Room:
        labels = np.ascontiguousarray(labels)
        for left, top, right, bottom in avoid:
            columns = slice(max(0, math.floor(left / zoom)), max(0, math.ceil(right / zoom)))
            labels[columns, max(0, math.floor(top / zoom)) : max(0, math.ceil(bottom / zoom))] = 0
        extent = np.array([(0.0, 0.0), *map(_extent, words)]) / zoom
        return cls(labels, _reach(labels), extent, zoom)

    @property
    def picture(self) -> tuple[float, float]:
        """Width and height."""
        return self.labels.shape[0] * self.zoom, self.labels.shape[1] * self.zoom

    def places(self, sizes: list[float]) -> dict[int, tuple[float, float, float]]:
        """Give the place and the size of each text that fits, by label."""
        found: dict[int, tuple[float, float, float]] = {}
        left = np.ones(len(self.extent), np.bool_)
        left[0] = False
        for room in [factor * sizes[0] for factor in _ROOMS] + sizes[1:]:
            for label, x, y in self._fitting(room, left):
                found[label] = ((x + 0.5) * self.zoom, (y + 0.5) * self.zoom, min(room, sizes[0]))
                left[label] = False
            if not left.any():
                break
        return found

    def _fitting(self, size: float, left: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
        """Give each label that is left and into which a text of some size fits, and the middle of where it does."""
        half = np.ceil(self.extent * size / 2 - 0.5).astype(np.int32)
        need = np.where(left, half[:, 0], np.iinfo(np.int32).max)
        step = max(1, int(self.extent[1:, 1].max() * size / _FINE))
        labels, reach = self.labels[step // 2 :: step], self.reach[step // 2 :: step]
        wide = np.where(reach >= need[labels], labels, 0)
        k = int(half[1:, 1].max())
        if 2 * k >= wide.shape[1] or not wide.any():
            return []
        changes = np.zeros(wide.shape, np.int32)
        np.cumsum(wide[:, 1:] != wide[:, :-1], axis=1, out=changes[:, 1:])
        stop = wide.shape[1] - k
        fits = (wide[:, k:stop] > 0) & (changes[:, 2 * k :] == changes[:, : wide.shape[1] - 2 * k])
        x, y = np.nonzero(fits)
        y += k
        return _middles(wide[x, y], x * step + step // 2, y)

    def anchors(self, labels: list[int]) -> dict[int, tuple[float, float]]:
        """Give the widest place of labels, in pixels of the picture."""
        chosen = np.zeros(len(self.extent), np.bool_)
        chosen[labels] = True
        x, y = np.nonzero(chosen[self.labels])
        owner = self.labels[x, y]
        down = _reach(np.ascontiguousarray(self.labels.T)).T[x, y]
        depth = np.minimum(self.reach[x, y], down)
        most = np.zeros(len(self.extent), np.int32)
        np.maximum.at(most, owner, depth)
        best = depth == most[owner]
        middles = _middles(owner[best], x[best], y[best])
        return {label: ((i + 0.5) * self.zoom, (j + 0.5) * self.zoom) for label, i, j in middles}


def _reach(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Count for each pixel those of its label in a row on either side along the first axis; the smaller number."""
    count = labels.shape[0]
    at = np.arange(count, dtype=np.int32)[:, None]
    differs = labels[1:] != labels[:-1]
    starts = np.zeros(labels.shape, np.int32)
    np.multiply(differs, at[1:], out=starts[1:], casting="unsafe")
    np.maximum.accumulate(starts, axis=0, out=starts)
    stops = np.full(labels.shape, count - 1, np.int32)
    np.copyto(stops[:-1], np.broadcast_to(at[:-1], differs.shape), where=differs)
    stops[::-1] = np.minimum.accumulate(stops[::-1], axis=0)
    reach: NDArray[np.int32] = np.minimum(at - starts, stops - at)
    return reach


def _middles(owner: NDArray[np.int32], x: NDArray[np.intp], y: NDArray[np.intp]) -> list[tuple[int, int, int]]:
    """Give for each label the one of its pixels that is nearest to their mean."""
    if not owner.size:
        return []
    count = np.maximum(np.bincount(owner), 1)
    mean_x, mean_y = (np.bincount(owner, values) / count for values in (x, y))
    far = (x - mean_x[owner]) ** 2 + (y - mean_y[owner]) ** 2
    order = np.lexsort((y, x, far, owner))
    firsts = order[np.flatnonzero(np.diff(owner[order], prepend=0))]
    return list(zip(owner[firsts].tolist(), x[firsts].tolist(), y[firsts].tolist(), strict=True))


@dataclass(slots=True)
class _Beside:
    """Free places for texts beside their segments: what lies on `boxes`, lines drawn and other `dots` is not free."""

    boxes: list[Rectangle]
    dots: list[tuple[float, float]]
    picture: tuple[float, float]
    lines: list[tuple[tuple[float, float], tuple[float, float]]]

    def place(self, anchor: tuple[float, float], text: str, size: float) -> tuple[float, float] | None:
        """Give the middle of the nearest free place around a dot, and take it; None if there is none."""
        half = np.array(_extent(text)) * size / 2
        angles = 2 * np.pi * (np.arange(_TURNS) + 0.5) / _TURNS
        turns = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ends = (np.array(_REACHES)[:, None, None] * size * turns).reshape(-1, 2) + anchor
        rims = np.tile((half / np.abs(turns)).min(axis=1)[:, None] * turns, (len(_REACHES), 1))
        middles = ends + rims  # the text touches the end of its line
        low, high = middles - half, middles + half
        free = ((low >= 0) & (high <= self.picture)).all(axis=1)
        others = [(x - 4, y - 4, x + 4, y + 4) for x, y in self.dots if (x, y) != anchor]
        boxes = np.array([*self.boxes, *others]).reshape(-1, 1, 4)
        free &= ((boxes[..., 2:] <= low) | (boxes[..., :2] >= high)).any(axis=2).all(axis=0)
        free &= ~_cross(np.array(anchor), ends, boxes[..., :2], boxes[..., 2:])
        drawn = np.array(self.lines).reshape(-1, 1, 2, 2)
        free &= ~_cross(drawn[:, :, 0], drawn[:, :, 1], low, high)
        if not free.any():
            return None
        best = int(free.argmax())
        self.boxes.append((*low[best].tolist(), *high[best].tolist()))
        self.lines.append((anchor, tuple(ends[best].tolist())))
        x, y = middles[best].tolist()
        return x, y


def _cross(
    starts: NDArray[np.float64], ends: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell for each column which has a straight line that passes through a rectangle."""
    parts = np.broadcast_arrays(starts, ends, low, high)
    first, last = within(*(part.reshape(-1, 2) for part in parts))
    return np.asarray((first <= last).reshape(parts[0].shape[:-1]).any(axis=0))


def _line(start: tuple[float, float], end: tuple[float, float], look: Labels) -> list[Primitive]:
    """Give a line with a dot in its segment."""
    drawn: list[Primitive] = []
    if look.halo is not None:
        drawn += [Path((start, end), line=look.halo, width=3.0), Disc(*start, 3.5, fill=look.halo)]
    return [*drawn, Path((start, end), line=look.ink, width=1.25), Disc(*start, 2.5, fill=look.ink)]
