"""Which chunks of a scale a box touches, and what each is called.

Chunks lie on a grid that starts at the first voxel of the scale; those at its far side are clipped.
Names are specified at
https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/volume.md.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ..geometry import Box, IntTriple
from ..scales import Scale

__all__ = ["Chunk", "around", "chunk_id", "chunk_key", "chunks_covering"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a scale.

    Parameters
    ----------
    index : tuple of int
        Position in the grid of chunks.
    box : Box
        Voxels it holds, clipped to the bounds of the scale.
    """

    index: IntTriple
    box: Box


def chunks_covering(scale: Scale, box: Box) -> list[Chunk]:
    """List the chunks that hold voxels of `box`, x fastest; none where the box misses the scale.

    Parameters
    ----------
    scale : Scale
        The scale to read.
    box : Box
        Voxels at the resolution of the scale; what lies outside its bounds is left out.

    Examples
    --------
    >>> from imageryclient.scales import Scale
    >>> at = (4.0, 4.0, 40.0)
    >>> scale = Scale(0, "4_4_40", at, Box((10, 0, 0), (110, 100, 10), at), (64, 64, 8), "raw", None, None)
    >>> for chunk in chunks_covering(scale, Box((70, 0, 0), (200, 10, 1), at)):
    ...     print(chunk.index, chunk_key(scale, chunk))
    (0, 0, 0) 4_4_40/10-74_0-64_0-8
    (1, 0, 0) 4_4_40/74-110_0-64_0-8
    """
    inside = box.intersect(scale.bounds)
    if not inside.voxels:
        return []
    origin, size = scale.bounds.start, scale.chunk_size
    first = [(a - o) // c for a, o, c in zip(inside.start, origin, size, strict=True)]
    last = [(b - 1 - o) // c for b, o, c in zip(inside.stop, origin, size, strict=True)]
    x, y, z = (range(a, b + 1) for a, b in zip(first, last, strict=True))
    return [_chunk(scale, (i, j, k)) for k in z for j in y for i in x]


def around(boxes: Sequence[Box]) -> Box:
    """Give the smallest box that holds all of these, which lie on one grid; one at least.

    Examples
    --------
    >>> at = (4.0, 4.0, 40.0)
    >>> around([Box((0, 5, 0), (2, 6, 1), at), Box((1, 0, 0), (3, 1, 1), at)])
    Box(start=(0, 0, 0), stop=(3, 6, 1), resolution=(4.0, 4.0, 40.0))
    """
    start = tuple(map(min, zip(*(box.start for box in boxes), strict=True)))
    stop = tuple(map(max, zip(*(box.stop for box in boxes), strict=True)))
    return Box(cast(IntTriple, start), cast(IntTriple, stop), boxes[0].resolution)


def chunk_key(scale: Scale, chunk: Chunk) -> str:
    """Name the file of an unsharded chunk, relative to the volume, without `./` and needless `../`."""
    spans = "_".join(f"{a}-{b}" for a, b in zip(chunk.box.start, chunk.box.stop, strict=True))
    return posixpath.normpath(posixpath.join(scale.key, spans))


def chunk_id(index: IntTriple, grid_shape: IntTriple) -> int:
    """Number a chunk of a sharded scale by its compressed Morton code.

    Bits of x, y and z take turns, lowest first; an axis drops out once the bits its grid needs are spent.

    Examples
    --------
    >>> chunk_id((1, 1, 1), (4, 2, 2)), chunk_id((2, 0, 0), (4, 2, 2)), chunk_id((2, 0, 0), (4, 1, 1))
    (7, 8, 2)
    """
    needed = [(n - 1).bit_length() for n in grid_shape]
    code = place = 0
    for bit in range(max(needed)):
        for position, bits in zip(index, needed, strict=True):
            if bit < bits:
                code |= (position >> bit & 1) << place
                place += 1
    return code


def _chunk(scale: Scale, index: IntTriple) -> Chunk:
    start = tuple(o + i * c for o, i, c in zip(scale.bounds.start, index, scale.chunk_size, strict=True))
    stop = tuple(min(a + c, b) for a, c, b in zip(start, scale.chunk_size, scale.bounds.stop, strict=True))
    return Chunk(index, Box(cast(IntTriple, start), cast(IntTriple, stop), scale.resolution))
