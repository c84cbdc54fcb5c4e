"""Cells of an array that a caller holds, read once for many boxes: worth it where a read is more than a copy.

Dask computes, h5py and Zarr decode whole chunks for whatever is taken of them. Cells are some of these chunks or parts
of one, so large that a place of usual size lies in few, as each read by itself takes time, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays.source import PlacedArray
from ..cache import Payload
from ..coverage import Coverage, outside_of
from ..errors import ImageryError
from ..geometry import Box, IntTriple
from ..pools import array_pool
from ..precomputed.chunks import Chunk, around, chunks_covering
from ..scales import Scale

__all__ = ["ArrayChunks", "cell_size", "is_read_in_chunks"]

_LEAST = (64, 64, 16)  # voxels of a cell along x, y, z, or nearly so
_MOST = 128  # along each: chunks of some arrays are far larger than what is read of them


def is_read_in_chunks(array: PlacedArray) -> bool:
    """Tell whether reading a part of an array is more than copying it."""
    return not isinstance(array.array, np.ndarray)


def cell_size(array: PlacedArray) -> IntTriple:
    """Give the voxels of a cell along x, y, z.

    Examples
    --------
    >>> from imageryclient.arrays.source import place_arrays
    >>> _, (array,) = place_arrays(np.zeros((100, 70, 20), np.uint8), (8.0, 8.0, 40.0))
    >>> cell_size(array)  # which tells of no chunks
    (64, 64, 16)
    """
    stored = getattr(array.array, "chunks", None)
    if not isinstance(stored, tuple) or len(stored) != len(array.origin):
        return _LEAST
    each = [size[0] if isinstance(size, tuple) else size for size in stored]  # those of Dask may differ in length
    x, y, z = (
        least if at is None else _along(each[at], least) for at, least in zip(array.axes[:3], _LEAST, strict=True)
    )
    return x, y, z


class ArrayChunks:
    """The cells of an array, a `ChunkSource`.

    Parameters
    ----------
    source : str
        A name, for messages.
    array : PlacedArray
        The array.
    scale : Scale
        The scale that it is.
    """

    at_once = 1
    fill = None

    def __init__(self, source: str, array: PlacedArray, scale: Scale) -> None:
        self._source, self._array = source, array
        self._cells = replace(scale, chunk_size=cell_size(array))

    @property
    def decoders(self) -> Executor:
        """The one thread that reads arrays, of which some do not bear several readers at a time."""
        return array_pool()

    def touched(self, box: Box) -> Sequence[Chunk]:
        """List the cells that hold voxels of a box, x fastest."""
        return chunks_covering(self._cells, box)

    def channels(self, chunk: Chunk) -> slice:
        """Tell that a cell holds all of them."""
        return slice(None)

    def expect(self, touched: Sequence[Chunk]) -> None:
        """Do nothing: cells are where they are."""

    def at_hand(self, chunk: Chunk) -> Payload:
        """Give no bytes: a cell is read when it is decoded."""
        return Payload(b"")

    def later(self, chunk: Chunk) -> Future[Payload]:
        """Give no bytes, at once."""
        coming: Future[Payload] = Future()
        coming.set_result(self.fetch(chunk))
        return coming

    def fetch(self, chunk: Chunk) -> Payload:
        """Give no bytes."""
        return Payload(b"")

    def decoded(
        self, wanted: Sequence[tuple[Chunk, Sequence[Box], Payload]]
    ) -> list[Sequence[NDArray[Any]] | ImageryError | None]:
        """Read regions of some cells, (x, y, z, c), those of each by one read of the box around them."""
        results: list[Sequence[NDArray[Any]] | ImageryError | None] = []
        for _, regions, _ in wanted:
            try:
                results.append(self._read(regions))
            except ImageryError as error:
                results.append(error)
        return results

    def _read(self, regions: Sequence[Box]) -> list[NDArray[Any]]:
        outer = around(regions)
        try:
            whole = self._array.read(outer)
        except Exception as error:
            error.add_note(f"while reading {outer} of {self._source}")
            raise
        return [whole[region.slices(outer)].copy(order="F") for region in regions]

    def coverage(self, box: Box, absent: Sequence[Box]) -> Coverage:
        """Tell which voxels of a box the array holds."""
        return Coverage(box, outside_of(box, self._array.bounds))


def _along(chunk: int, least: int) -> int:
    """Give how long cells are along an axis with chunks of so many voxels: whole chunks, or whole parts of one."""
    if chunk <= _MOST:
        return chunk * -(-least // chunk)
    return next((n for n in range(_MOST, _MOST // 4, -1) if chunk % n == 0), _MOST // 2)
