"""Polygons as the share of each pixel that they cover, exactly, for thousands of them at once.

The sums of signed areas of fonts' rasterizers, made for arrays: every edge is cut where it crosses the lines between
pixels; a piece in a pixel adds its height to the cover of all pixels to its right, and the part of it beside itself to
its own. Only pixels that edges touch are summed up; those between are filled. The work follows the length of edges and
the pixels covered, and not the size of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Area", "Cover", "capsule", "covers", "ring"]

_SAGITTA = 0.02  # pixels between a circle and the sides of the polygon that stands for it, whose area is the same
_SAGITTA_OF_ENDS = 0.004  # the same for the ends of lines, whose area is less
_FAINTEST = 1 / 1024
_EDGES = 1 << 17  # cut at once, which bounds the temporary arrays


@dataclass(frozen=True, slots=True)
class Area:
    """What is covered once: parts that may overlap, each of closed rings of points, shape (n, 2).

    Where the rings of one part wind around a place in opposite ways, as a circle in another, there is a hole.
    """

    parts: tuple[tuple[NDArray[np.float64], ...], ...]


@dataclass(frozen=True, slots=True)
class Cover:
    """Pixels, counted row by row, and the share of each that is covered, from 0 to 1."""

    pixels: NDArray[np.int64]
    shares: NDArray[np.float64]


def ring(x: float, y: float, radius: float) -> NDArray[np.float64]:
    """Give a circle as a polygon of the same area.

    Examples
    --------
    >>> x, y = ring(5, 5, 3).T
    >>> abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2) - 9 * np.pi) < 1e-9
    True
    """
    sides = max(12, math.ceil(math.pi / math.acos(1 - min(1.0, _SAGITTA / max(radius, _SAGITTA)))))
    return radius * _unit_ring(sides) + (x, y)


@lru_cache(maxsize=256)
def _unit_ring(sides: int) -> NDArray[np.float64]:
    turn = 2 * math.pi / sides
    angles = np.arange(sides) * turn
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * math.sqrt(turn / math.sin(turn))


def capsule(start: tuple[float, float], stop: tuple[float, float], width: float, flat: bool) -> NDArray[np.float64]:
    """Give a straight line as a polygon, whose ends are flat or half circles around its own.

    Examples
    --------
    >>> capsule((1, 1), (4, 1), 2, flat=True).tolist()
    [[1.0, 0.0], [4.0, 0.0], [4.0, 2.0], [1.0, 2.0]]
    """
    a, b = np.array(start, np.float64), np.array(stop, np.float64)
    length = float(np.hypot(*(b - a)))
    along = (b - a) / length if length else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    half = width / 2
    if flat:
        return np.array([a - half * across, b - half * across, b + half * across, a + half * across])
    sides = max(6, math.ceil(math.pi / 2 / math.acos(1 - min(1.0, _SAGITTA_OF_ENDS / max(half, _SAGITTA_OF_ENDS)))))
    angles = (np.arange(sides + 1) / sides - 0.5)[:, None] * math.pi
    cap = half * (np.cos(angles) * along + np.sin(angles) * across)
    return np.concatenate([b + cap, a - cap])


def covers(areas: list[Area], size: tuple[int, int]) -> list[Cover]:
    """Tell which pixels of a picture areas cover.

    Parameters
    ----------
    areas : list of Area
        Places in pixels; what lies beyond the picture is left out.
    size : tuple of int
        Width and height of the picture.

    Returns
    -------
    list of Cover
        One for each. A part of an area covers just its share of a pixel; of several parts the largest share counts.

    Examples
    --------
    >>> (cover,) = covers([Area(((np.array([[0.5, 1], [3, 1], [3, 1.25], [0.5, 1.25]]),),))], (4, 3))
    >>> cover.pixels.tolist(), cover.shares.tolist()
    ([4, 5, 6], [0.125, 0.25, 0.25])
    """
    found: list[Cover] = []
    first = 0
    while first < len(areas):
        edges, last = 0, first
        while last < len(areas) and (last == first or edges < _EDGES):
            edges += sum(len(points) for part in areas[last].parts for points in part)
            last += 1
        found += _covers(areas[first:last], size)
        first = last
    return found


def _covers(areas: list[Area], size: tuple[int, int]) -> list[Cover]:
    width, height = size
    rings: list[NDArray[np.float64]] = []
    part_of_ring: list[int] = []
    area_of_part: list[int] = []
    for number, area in enumerate(areas):
        for part in area.parts:
            for points in part:
                rings.append(points)
                part_of_ring.append(len(area_of_part))
            area_of_part.append(number)
    if not rings:
        return [Cover(np.zeros(0, np.int64), np.zeros(0))] * len(areas)
    lengths = [len(points) for points in rings]
    starts = np.concatenate(rings)
    ends = np.cumsum(lengths)
    following = np.arange(1, len(starts) + 1)
    following[ends - 1] = ends - lengths
    stops = starts[following]
    parts = np.repeat(part_of_ring, lengths)
    keys, shares = _summed(*_pieces(starts, stops, parts, width, height), width)
    column, row = keys % (width + 1), keys // (width + 1) % height
    seen = (column < width) & (shares > _FAINTEST)
    key = (np.array(area_of_part)[keys // ((width + 1) * height)] * height + row) * width + column
    key, shares = _largest(key[seen], shares[seen])
    bounds = np.searchsorted(key, np.arange(len(areas) + 1) * (width * height)).tolist()
    return [Cover(key[a:b] - number * width * height, shares[a:b]) for number, (a, b) in enumerate(pairwise(bounds))]


def _pieces(
    starts: NDArray[np.float64], stops: NDArray[np.float64], parts: NDArray[np.int64], width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Cut edges along the pixels' borders: for each piece its pixel, its height, and the share of that it adds there.

    Pixels are counted part by part and row by row, with one more column for what lies to the right of the picture;
    what lies to the left is moved to its border.
    """
    rising = stops - starts
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = np.sort(np.stack([-starts[:, 1], height - starts[:, 1]], axis=1) / rising[:, 1:], axis=1)
    low, high = np.fmax(ends[:, 0], 0), np.fmin(ends[:, 1], 1)
    within = (rising[:, 1] != 0) & (low < high)
    starts, rising, parts, low, high = (array[within] for array in (starts, rising, parts, low, high))
    count = len(starts)
    if not count:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    cuts = [low, high]
    owners = [np.arange(count)] * 2
    for axis, most in ((0, width), (1, height)):
        a, b = (starts[:, axis] + t * rising[:, axis] for t in (low, high))
        lowest = np.maximum(np.ceil(np.minimum(a, b)), 0).astype(np.int64)
        crossed = np.maximum(np.minimum(np.floor(np.maximum(a, b)), most).astype(np.int64) - lowest + 1, 0)
        crossed[rising[:, axis] == 0] = 0
        owner = np.repeat(np.arange(count), crossed)
        line = np.arange(owner.size) - np.repeat(np.cumsum(crossed) - crossed, crossed) + lowest[owner]
        cuts.append(np.clip((line - starts[owner, axis]) / rising[owner, axis], low[owner], high[owner]))
        owners.append(owner)
    order = np.argsort(2.0 * np.concatenate(owners) + np.concatenate(cuts))
    cut, owner = np.concatenate(cuts)[order], np.concatenate(owners)[order]
    real = (owner[1:] == owner[:-1]) & (cut[1:] > cut[:-1])
    owner, before, after = owner[:-1][real], cut[:-1][real], cut[1:][real]
    xa, ya = (starts[owner, axis] + before * rising[owner, axis] for axis in (0, 1))
    xb, yb = (starts[owner, axis] + after * rising[owner, axis] for axis in (0, 1))
    middle = np.clip((xa + xb) / 2, 0, width)
    column = np.minimum(np.floor(middle), width)
    row = np.clip(np.floor((ya + yb) / 2), 0, height - 1)
    key = (parts[owner] * height + row.astype(np.int64)) * (width + 1) + column.astype(np.int64)
    return key, yb - ya, (yb - ya) * (column + 1 - middle)


def _summed(
    keys: NDArray[np.int64], heights: NDArray[np.float64], own: NDArray[np.float64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Add up the pieces: pixels that are covered, and by how much. Rings are closed, so each row comes to nothing."""
    if not keys.size:
        return keys, heights
    order = np.argsort(keys, kind="stable")
    keys, heights, own = keys[order], heights[order], own[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    touched = keys[firsts]
    heights, own = np.add.reduceat(heights, firsts), np.add.reduceat(own, firsts)
    running = np.cumsum(heights)
    gaps = np.diff(touched, append=touched[-1] + 1) - 1
    gaps[np.abs(running) < _FAINTEST] = 0
    filled = np.repeat(touched + 1, gaps) + np.arange(gaps.sum()) - np.repeat(np.cumsum(gaps) - gaps, gaps)
    shares = np.concatenate([running - heights + own, np.repeat(running, gaps)])
    return np.concatenate([touched, filled]), np.minimum(np.abs(shares), 1)


def _largest(keys: NDArray[np.int64], shares: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sort by key, and keep the largest share of each."""
    if not keys.size:
        return keys, shares
    order = np.argsort(keys, kind="stable")
    keys, shares = keys[order], shares[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[firsts], np.maximum.reduceat(shares, firsts)
