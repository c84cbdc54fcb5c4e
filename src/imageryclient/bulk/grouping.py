"""Which places to read together: an order in which neighbours follow each other, cut into groups within a byte budget.

The order is that of Hilbert's curve through the chunks that the places lie in: consecutive cells of it are always
neighbours. The transformation is Skilling's ("Programming the Hilbert curve", AIP Conference Proceedings 707, 2004).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..geometry import TOLERANCE, IntTriple, Resolution

__all__ = ["Grid", "along_curve", "curve_order", "cut_groups", "hilbert_code"]

Hull = tuple[int, int, int, int, int, int]
_AT_ONCE = 4096  # places
_BITS = 20  # of each coordinate: three of them fit 64 bits


@dataclass(frozen=True, slots=True)
class Grid:
    """How a layer lies in chunks.

    Parameters
    ----------
    origin, chunk_size : tuple of int
        The first voxel of the scale, and voxels of a chunk.
    resolution : tuple of float
        nm per voxel of the scale.
    voxel_bytes : int
        Bytes that a decoded voxel takes.
    """

    origin: IntTriple
    chunk_size: IntTriple
    resolution: Resolution
    voxel_bytes: int

    def spans(
        self, starts: NDArray[np.int64], shape: IntTriple, resolution: Resolution
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the first voxel of each box, and one past its last, counted from the origin; shape (n, 3)."""
        ratio = np.array(resolution) / np.array(self.resolution)
        low = np.floor(starts * ratio + TOLERANCE) - self.origin
        high = np.ceil((starts + np.array(shape)) * ratio - TOLERANCE) - self.origin
        return low.astype(np.int64), high.astype(np.int64)

    def pieces(self, low: Sequence[int], high: Sequence[int]) -> Iterator[tuple[IntTriple, Hull]]:
        """Give the chunks that a span lies in, and what it takes of each: first voxels, and one past the last."""
        axes = [
            [(n, max(a, n * c), min(b, (n + 1) * c)) for n in range(a // c, (b - 1) // c + 1)]
            for a, b, c in zip(low, high, self.chunk_size, strict=True)
        ]
        for (i, x0, x1), (j, y0, y1), (k, z0, z1) in product(*axes):
            yield (i, j, k), (x0, y0, z0, x1, y1, z1)


def hilbert_code(cells: NDArray[np.int64], bits: int = _BITS) -> NDArray[np.uint64]:
    """Give the place of cells on Hilbert's curve.

    Parameters
    ----------
    cells : numpy.ndarray
        Shape (n, 3): whole numbers from 0 to 2**bits - 1.
    bits : int
        Of each number, 1 to 20; the time it takes grows with them.

    Returns
    -------
    numpy.ndarray
        uint64, shape (n,): cells whose numbers follow each other share a face.

    Examples
    --------
    >>> hilbert_code(np.array([[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 1]])).tolist()
    [0, 1, 2, 3, 4]
    """
    axes = [column.astype(np.uint64) for column in np.asarray(cells).T]
    one = np.uint64(1)
    for bit in range(bits - 1, 0, -1):
        q = one << np.uint64(bit)
        below = q - one
        for axis in range(3):
            high = (axes[axis] & q) != 0
            swapped = np.where(high, 0, (axes[0] ^ axes[axis]) & below)
            axes[0] = np.where(high, axes[0] ^ below, axes[0] ^ swapped)
            axes[axis] = axes[axis] ^ swapped if axis else axes[0]
    axes[1] ^= axes[0]
    axes[2] ^= axes[1]
    flips = np.zeros_like(axes[0])
    for bit in range(bits - 1, 0, -1):
        q = one << np.uint64(bit)
        flips = np.where((axes[2] & q) != 0, flips ^ (q - one), flips)
    axes = [axis ^ flips for axis in axes]
    code = np.zeros_like(axes[0])
    for bit in range(bits - 1, -1, -1):
        for axis in axes:
            code = code << one | (axis >> np.uint64(bit) & one)
    return np.asarray(code)


def along_curve(
    starts: NDArray[np.int64], shape: IntTriple, resolution: Resolution, grids: Sequence[Grid]
) -> NDArray[np.int64]:
    """Order boxes of one shape so that neighbours follow each other.

    Parameters
    ----------
    starts : numpy.ndarray
        int64, shape (n, 3): the first voxel of each.
    shape, resolution : tuple
        Voxels of each, and nm per voxel.
    grids : sequence of Grid
        How the layers lie in chunks; a cell of the curve is as large as the largest of them. Without any, boxes are
        the cells.

    Returns
    -------
    numpy.ndarray
        int64, shape (n,): positions in `starts`. Boxes of one cell keep the order they have.
    """
    if not len(starts):
        return np.empty(0, np.int64)
    sizes = [np.array(grid.chunk_size) * grid.resolution / np.array(resolution) for grid in grids]
    cell = np.max(sizes, axis=0) if sizes else np.array(shape, np.float64)
    middle = (starts + np.array(shape) / 2) / cell
    cells = np.floor(middle - middle.min(axis=0)).astype(np.int64)
    return curve_order(cells)


def curve_order(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order cells along Hilbert's curve; of more than 2**20 along an axis some share a step of it.

    Parameters
    ----------
    cells : numpy.ndarray
        Shape (n, 3), one at least: whole numbers from 0.

    Returns
    -------
    numpy.ndarray
        int64, shape (n,): positions in `cells`; equal ones keep the order they have.

    Examples
    --------
    >>> curve_order(np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]])).tolist()
    [1, 3, 2, 0]
    """
    needed = max(1, int(cells.max()).bit_length())
    code = hilbert_code(cells >> max(0, needed - _BITS), min(needed, _BITS))
    return np.argsort(code, kind="stable").astype(np.int64)


def cut_groups(
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    shape: IntTriple,
    resolution: Resolution,
    grids: Sequence[Grid],
    *,
    budget: int,
    result_bytes: int = 0,
    largest: int = 1024,
) -> Iterator[NDArray[np.int64]]:
    """Cut an order into groups whose chunks and results take no more than so many bytes together.

    Of a chunk counts what the boxes take of it, or the box around that, whichever is less.

    Parameters
    ----------
    order : numpy.ndarray
        Positions in `starts`.
    starts, shape, resolution
        The boxes, as for `along_curve`.
    grids : sequence of Grid
        How the layers lie in chunks.
    budget : int
        Bytes. A box that takes more by itself makes a group of its own.
    result_bytes : int
        Bytes that the result of one box takes, if those of a group are kept together.
    largest : int
        Boxes in a group at most.

    Yields
    ------
    numpy.ndarray
        int64: parts of `order`, one after the other.
    """
    group: list[int] = []
    taken: dict[tuple[int, IntTriple], tuple[Hull, int]] = {}
    held = 0
    for n, spans in _spans(order, starts, shape, resolution, grids):
        alone = {
            (layer, index): (hull, _voxels(hull))
            for layer, (grid, (low, high)) in enumerate(zip(grids, spans, strict=True))
            for index, hull in grid.pieces(low, high)
        }
        more = {key: _joined(taken[key], part) if key in taken else part for key, part in alone.items()}
        growth = result_bytes
        for key, part in more.items():
            known = _held(taken[key]) if key in taken else 0
            growth += (_held(part) - known) * grids[key[0]].voxel_bytes
        if group and (held + growth > budget or len(group) >= largest):
            yield np.array(group, np.int64)
            group, taken, held, more = [], {}, 0, alone
            growth = result_bytes + sum(voxels * grids[layer].voxel_bytes for (layer, _), (_, voxels) in alone.items())
        group.append(n)
        taken.update(more)
        held += growth
    if group:
        yield np.array(group, np.int64)


def _spans(
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    shape: IntTriple,
    resolution: Resolution,
    grids: Sequence[Grid],
) -> Iterator[tuple[int, list[tuple[list[int], list[int]]]]]:
    """Give each position with its spans on the grids; lists of numbers take room, so only of some at a time."""
    for begin in range(0, len(order), _AT_ONCE):
        rows = order[begin : begin + _AT_ONCE]
        each = [
            zip(*(part.tolist() for part in grid.spans(starts[rows], shape, resolution)), strict=True) for grid in grids
        ]
        for n, *spans in zip(rows.tolist(), *each, strict=True):
            yield n, spans


def _joined(one: tuple[Hull, int], other: tuple[Hull, int]) -> tuple[Hull, int]:
    """Give the box around what is taken of a chunk, and the voxels that are taken, counted for each box."""
    (a, b, c, d, e, f), voxels = one
    (u, v, w, x, y, z), more = other
    return (min(a, u), min(b, v), min(c, w), max(d, x), max(e, y), max(f, z)), voxels + more


def _held(part: tuple[Hull, int]) -> int:
    return min(part[1], _voxels(part[0]))


def _voxels(hull: Hull) -> int:
    x0, y0, z0, x1, y1, z1 = hull
    return (x1 - x0) * (y1 - y0) * (z1 - z0)
