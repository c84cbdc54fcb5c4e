"""Blocks of a whole volume, aligned to its stored chunks."""

from __future__ import annotations

import math
from itertools import pairwise

from ..geometry import Box
from ..scales import Scale

__all__ = ["Chunks", "aligned_chunks"]

Chunks = tuple[tuple[int, ...], ...]
_OF_ARRAYS = (64, 64, 64)  # an array at hand does not say how it is stored


def aligned_chunks(scale: Scale, box: Box, itemsize: int, limit: int) -> Chunks:
    """Part a box along the grid of the stored chunks.

    A block is a power of 2 of stored chunks along each axis, doubled along the axis on which it is shortest in nm as
    long as it takes no more than `limit` bytes. So no stored chunk lies in two blocks, and a block is never smaller
    than a stored chunk.

    Parameters
    ----------
    scale : Scale
        Whose grid it is, which begins at the first voxel of its bounds.
    box : Box
        The voxels, on the grid of the scale.
    itemsize : int
        Bytes of a voxel.
    limit : int
        Bytes of a block.

    Returns
    -------
    tuple of tuple of int
        The sizes of the blocks along x, y and z.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> scale = Scale(0, "8_8_40", at, Box((10, 0, 0), (400, 128, 50), at), (64, 64, 16), "raw", None, None)
    >>> aligned_chunks(scale, scale.bounds, 1, 2**18)
    ((128, 128, 128, 6), (128,), (16, 16, 16, 2))
    """
    stored = scale.chunk_size
    if scale.encoding == "array":
        stored = tuple(min(a, b) for a, b in zip(stored, _OF_ARRAYS, strict=True))  # type: ignore[assignment]
    size = list(stored)
    while True:
        growing = [axis for axis in range(3) if size[axis] < box.shape[axis]]
        if not growing or 2 * math.prod(size) * itemsize > limit:
            break
        size[min(growing, key=lambda axis: size[axis] * scale.resolution[axis])] *= 2
    return tuple(_cut(*span) for span in zip(box.start, box.stop, scale.bounds.start, size, strict=True))


def _cut(start: int, stop: int, origin: int, size: int) -> tuple[int, ...]:
    first = origin + ((start - origin) // size + 1) * size
    return tuple(b - a for a, b in pairwise([start, *range(first, stop, size), stop]))
