"""Sections through strands: whose each pixel is, and how far it lies from the border of its cell.

Strand i with centre c_i and radius r_i owns the points nearest to it by `|x - c_i|_i - r_i`: an additively weighted
Voronoi diagram (Okabe et al., Spatial Tessellations, 2000), whose borders bulge from the thick towards the thin. The
norm of each strand is stretched along its slope, since an oblique tube is cut in an ellipse. Lengths are nm,
pictures (y, x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .neuropil import Strands, metric_of
from .noise import Floats, bands

__all__ = ["Cells", "cut", "pixels_of"]

Ints = NDArray[np.intp]

_COARSE = 4  # pixels of the blocks whose nearest strands are looked for
_SLACK = 300.0  # nm beyond its wall that a strand may still own
_FAR = np.float32(1e5)


@dataclass(frozen=True, slots=True)
class Cells:
    """One section of the strands.

    Parameters
    ----------
    x, y : numpy.ndarray
        Shape (height, width), nm: the place of each pixel among the strands, after warping.
    first, second : numpy.ndarray
        The strand each pixel belongs to, and the nearest one of another cell; -1 for none.
    depth : numpy.ndarray
        nm from the middle of the gap between the two cells.
    smear : numpy.ndarray
        nm that the border moves sideways within the thickness of the section.
    """

    x: Floats
    y: Floats
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    depth: Floats
    smear: Floats


def cut(strands: Strands, section: int, x: Floats, y: Floats, steps: tuple[float, float], thickness: float) -> Cells:
    """Cut one section: who owns each pixel, and how far it lies from the border.

    Parameters
    ----------
    strands : Strands
        What is cut.
    section : int
        Which section.
    x, y : numpy.ndarray
        Shape (height, width), float32, nm: where each pixel lies among the strands.
    steps : tuple of float
        nm per pixel down and across.
    thickness : float
        nm of the section.
    """
    centers, slopes, radii = strands.centers[section], strands.slopes[section], strands.radii[section]
    metric = metric_of(slopes)
    table = np.column_stack([centers, metric, radii]).astype(np.float32)
    rows = np.minimum(np.arange(0, x.shape[0], _COARSE) + _COARSE // 2, x.shape[0] - 1)
    columns = np.minimum(np.arange(0, x.shape[1], _COARSE) + _COARSE // 2, x.shape[1] - 1)
    sparse = np.ix_(rows, columns)
    nearest = _nearest(table, slopes, strands.cell, x[sparse], y[sparse], (steps[0] * _COARSE, steps[1] * _COARSE))

    first, second = np.empty(x.shape, np.int32), np.empty(x.shape, np.int32)
    depth, smear = np.empty(x.shape, np.float32), np.empty(x.shape, np.float32)
    table = np.hstack([table, slopes.astype(np.float32)])
    for rows in bands(x.shape, _COARSE):
        candidates = [who[rows.start // _COARSE : -(-rows.stop // _COARSE)] for who in nearest]
        part = _ranked(table, candidates, x[rows], y[rows], thickness)
        first[rows], second[rows], depth[rows], smear[rows] = part
    return Cells(x, y, first, second, depth, smear)


def _ranked(
    table: Floats, nearest: Sequence[NDArray[np.int32]], x: Floats, y: Floats, thickness: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats, Floats]:
    """Rank anew at each pixel what is nearest in the middle of its small block."""
    d1, d2 = np.full(x.shape, _FAR), np.full(x.shape, _FAR)
    i1, i2 = np.full(x.shape, -1, np.int32), np.full(x.shape, -1, np.int32)
    for candidates in nearest:
        who = candidates.repeat(_COARSE, axis=0)[: x.shape[0]].repeat(_COARSE, axis=1)[:, : x.shape[1]]
        d = _distance(_looked_up(table[:, :6], who), x, y)
        d[who < 0] = _FAR
        closer, next_ = d < d1, d < d2
        i2 = np.where(closer, i1, np.where(next_, who, i2))
        d2 = np.where(closer, d1, np.minimum(d2, d))
        i1, d1 = np.where(closer, who, i1), np.minimum(d1, d)
    depth, smear = _borders(table, x, y, (i1, i2), (d1, d2), thickness)
    return i1, i2, depth, smear


def _nearest(
    table: Floats,
    slopes: NDArray[np.float64],
    cell: Ints,
    x: Floats,
    y: Floats,
    steps: tuple[float, float],
) -> list[NDArray[np.int32]]:
    """Find the three nearest cells of each pixel, and the nearest strand of each; -1 for none."""
    shared = np.bincount(cell, minlength=len(cell))[cell] > 1
    # distance and strand in one number, so that ranking is minimum and maximum
    bits = len(cell).bit_length()
    mask = (1 << bits) - 1
    none = np.int64(int(_FAR) << (bits + 6) | mask)
    ranks = [np.full(x.shape, none) for _ in range(3)]
    owner = np.concatenate([cell, np.full(mask + 1 - len(cell), -1)])
    for strand, window in _windows(table, slopes, x, y, steps):
        d = _distance(table[strand], x[window], y[window])
        key = (d * 64).astype(np.int64) << bits | strand
        first, second, third = (rank[window] for rank in ranks)
        if shared[strand]:
            # a cell competes once: its better strand takes the place of the other
            for rank in (first, second):
                same = owner[rank & mask] == cell[strand]
                np.copyto(rank, key, where=same & (key < rank))
                key[same] = none
            same = owner[third & mask] == cell[strand]
            key[same & (third <= key)] = none
            third[same & (key < third)] = none
        np.minimum(third, key, out=third)
        for low, high in ((second, third), (first, second)):
            less = np.minimum(low, high)
            np.maximum(low, high, out=high)
            low[...] = less
    return [np.where(rank == none, -1, rank & mask).astype(np.int32) for rank in ranks]


def _looked_up(table: Floats, who: NDArray[np.int32]) -> list[Floats]:
    """Give each column of the table as a picture."""
    index = who.astype(np.intp)
    return [column.take(index, mode="wrap") for column in np.ascontiguousarray(table.T)]


def _distance(strand: Sequence[Floats] | Floats, x: Floats, y: Floats) -> Floats:
    """Distance from the wall of a strand, negative inside; `strand` is x, y, a, b, c, radius."""
    dx, dy = x - strand[0], y - strand[1]
    q = dx * (strand[2] * dx + (strand[3] + strand[3]) * dy) + strand[4] * (dy * dy)
    distance: Floats = np.sqrt(q) - strand[5]
    return distance


def _borders(
    table: Floats,
    x: Floats,
    y: Floats,
    who: tuple[NDArray[np.int32], NDArray[np.int32]],
    distances: tuple[Floats, Floats],
    thickness: float,
) -> tuple[Floats, Floats]:
    """From the distances to the two nearest walls, the distance to the border between them and its tilt."""
    across, down, rising = [], [], []
    for strand, d in zip(who, distances, strict=True):
        cx, cy, a, b, c, r, sx, sy = _looked_up(table, strand)
        dx, dy, q = x - cx, y - cy, np.maximum(d + r, np.float32(1))
        gx, gy = (a * dx + b * dy) / q, (b * dx + c * dy) / q
        across.append(gx)
        down.append(gy)
        rising.append(gx * sx + gy * sy)
    steep = np.sqrt(np.square(across[1] - across[0]) + np.square(down[1] - down[0]))
    # where walls run side by side the border is far, whatever their difference
    steep = np.maximum(steep, np.float32(0.25))
    depth = np.where(who[1] < 0, _FAR, (distances[1] - distances[0]) / steep)
    smear = np.float32(thickness) * np.abs(rising[1] - rising[0]) / steep
    return depth, smear


def pixels_of(points: NDArray[np.float64], x: Floats, y: Floats, steps: tuple[float, float]) -> NDArray[np.float64]:
    """Find where points among the strands lie in the picture.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (n, 2), x and y in nm.
    x, y : numpy.ndarray
        As in `Cells`.
    steps : tuple of float
        nm per pixel down and across.

    Returns
    -------
    numpy.ndarray
        Shape (n, 2): column and row of the pixel's corner, fractional; without the warp outside the picture.
    """
    height, width = x.shape
    per_pixel = (steps[1], steps[0])
    pixel = points / per_pixel
    for _ in range(3):
        # the warp where the point is, then where that leads
        at = np.clip(pixel.astype(np.intp), 0, (width - 1, height - 1))
        inside = (pixel >= 0) & (pixel < (width, height))
        here = np.column_stack([field[at[:, 1], at[:, 0]] for field in (x, y)])
        pixel = np.where(inside, at + 0.5 + (points - here) / per_pixel, pixel)
    return pixel


def _windows(
    table: Floats, slopes: NDArray[np.float64], x: Floats, y: Floats, steps: tuple[float, float]
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """For each strand, the part of the picture that it may own or be second in."""
    height, width = x.shape
    stretch = np.sqrt(1 + np.minimum(np.sum(np.square(slopes), axis=1), 2.5))
    reach = (table[:, 5] + _SLACK) * stretch + 100
    pixel = pixels_of(table[:, :2].astype(np.float64), x, y, steps)
    low = np.floor(pixel - reach[:, None] / (steps[1], steps[0])).astype(np.intp)
    high = np.ceil(pixel + reach[:, None] / (steps[1], steps[0])).astype(np.intp)
    seen = (table[:, 5] > 0) & np.all((high > 0) & (low < (width, height)), axis=1)
    for strand in np.flatnonzero(seen).tolist():
        (left, top), (right, bottom) = np.maximum(low[strand], 0).tolist(), high[strand].tolist()
        yield strand, (slice(top, bottom), slice(left, right))
