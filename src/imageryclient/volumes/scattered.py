"""Single voxels of a layer, many of them and anywhere: each chunk is fetched and read once, then let go."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, IntTriple
from ..ids import Ids
from ..moment import now
from ..precomputed.chunks import Chunk, chunks_covering
from ..precomputed.codecs import Octets
from ..precomputed.scattered import labels_at, values_at
from ..scales import Info, Scale
from .base import Block, IdsWanted, SegmentationVolume, Volume
from .precomputed import PrecomputedVolume

__all__ = ["IdsAt", "VoxelsAt", "ids_at", "image_at"]

_AT_ONCE = 256  # chunks whose bytes may be held together
_LARGEST = 2**22  # voxels read in one block
_READERS = 8


@dataclass(frozen=True, slots=True, eq=False)
class VoxelsAt:
    """Imagery at some voxels.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n,) or, with several channels, (n, c); in the dtype of the layer, 0 where there is none.
    outside, absent : numpy.ndarray
        bool, shape (n,): voxels beyond the layer, and voxels of chunks that were never written.
    """

    values: NDArray[Any]
    outside: NDArray[np.bool_]
    absent: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class IdsAt:
    """Ids as stored at some voxels, and why others have none.

    Parameters
    ----------
    ids : numpy.ndarray
        uint64, shape (n,): supervoxels, or the ids of a flat segmentation; 0 where there are none.
    outside, absent : numpy.ndarray
        bool, shape (n,): voxels beyond the layer, and voxels of chunks that were never written.
    """

    ids: Ids
    outside: NDArray[np.bool_]
    absent: NDArray[np.bool_]


def ids_at(volume: SegmentationVolume, scale: Scale, voxels: NDArray[np.int64]) -> IdsAt:
    """Read ids as they are stored at single voxels.

    Parameters
    ----------
    volume : SegmentationVolume
        The layer.
    scale : Scale
        One of its scales.
    voxels : numpy.ndarray
        int64, shape (n, 3), voxels of the scale, in any order, anywhere.

    Raises
    ------
    DamagedDataError, StorageError
        If a chunk cannot be read.
    """
    ids = np.zeros(len(voxels), dtype=np.uint64)
    wanted = IdsWanted(None, now())
    return IdsAt(ids, *_fill(ids, volume, scale, voxels, labels_at, lambda box: volume.read_ids(box, scale, wanted)))


def image_at(volume: Volume, scale: Scale, voxels: NDArray[np.int64]) -> VoxelsAt:
    """Read imagery at single voxels; as `ids_at`."""
    channels = volume.info.channels
    values = np.zeros((len(voxels), channels), dtype=volume.info.dtype)

    def read(box: Box) -> Block:
        block = volume.read(box, scale)
        return replace(block, data=block.data.reshape(*box.shape, channels))

    missing = _fill(values, volume, scale, voxels, values_at, read)
    return VoxelsAt(values[:, 0] if channels == 1 else values, *missing)


_Look = Callable[[Octets, NDArray[np.int64], Scale, Info, Chunk], NDArray[Any]]


def _fill(
    values: NDArray[Any],
    volume: Volume,
    scale: Scale,
    voxels: NDArray[np.int64],
    look: _Look,
    read: Callable[[Box], Block],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Write the voxels into `values`, from chunks as they are stored or else from blocks; give those that are not."""
    bounds = scale.bounds
    inside = np.all((voxels >= bounds.start) & (voxels < bounds.stop), axis=1)
    stored = np.zeros(len(voxels), dtype=np.bool_)
    rows = np.flatnonzero(inside)
    if isinstance(volume, PrecomputedVolume):
        _from_chunks(volume, scale, voxels, rows, look, values, stored)
    else:
        _from_blocks(scale, voxels, rows, read, values, stored)
    return ~inside, inside & ~stored


def _cells(
    scale: Scale, size: NDArray[np.int64], voxels: NDArray[np.int64], rows: NDArray[np.intp]
) -> list[NDArray[np.intp]]:
    """Part rows by the cell of a grid that their voxels lie in."""
    if not rows.size:
        return []
    place = (voxels[rows] - scale.bounds.start) // size
    grid = -(-np.array(scale.bounds.shape) // size)
    number = np.ravel_multi_index(place.T[::-1], grid[::-1].tolist())
    order = np.argsort(number, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(number[order])) + 1)


def _from_chunks(
    volume: PrecomputedVolume,
    scale: Scale,
    voxels: NDArray[np.int64],
    rows: NDArray[np.intp],
    look: _Look,
    values: NDArray[Any],
    stored: NDArray[np.bool_],
) -> None:
    rows_of: dict[IntTriple, NDArray[np.intp]] = {}
    chunks: list[Chunk] = []
    for group in _cells(scale, np.array(scale.chunk_size), voxels, rows):
        first = voxels[group[0]]
        chunks += chunks_covering(scale, Box(_triple(first), _triple(first + 1), scale.resolution))
        rows_of[chunks[-1].index] = group

    def use(chunk: Chunk, _: Box, raw: Octets) -> None:
        mine = rows_of[chunk.index]
        values[mine] = look(raw, voxels[mine], scale, volume.info, chunk)
        stored[mine] = True

    for n in range(0, len(chunks), _AT_ONCE):
        volume._each_chunk(scale.bounds, scale, use, chunks[n : n + _AT_ONCE])


def _from_blocks(
    scale: Scale,
    voxels: NDArray[np.int64],
    rows: NDArray[np.intp],
    read: Callable[[Box], Block],
    values: NDArray[Any],
    stored: NDArray[np.bool_],
) -> None:
    size = np.array(scale.chunk_size)
    while size.prod() > _LARGEST:  # an array that has no chunks
        size[size.argmax()] //= 2

    def use(mine: NDArray[np.intp]) -> None:
        places = voxels[mine]
        box = Box(_triple(places.min(axis=0)), _triple(places.max(axis=0) + 1), scale.resolution)
        block = read(box)
        x, y, z = (places - box.start).T
        values[mine] = block.data[x, y, z]
        stored[mine] = block.coverage.mask()[x, y, z]

    groups = _cells(scale, size, voxels, rows)
    with ThreadPoolExecutor(min(_READERS, max(1, len(groups))), thread_name_prefix="imageryclient-points") as readers:
        for done in [readers.submit(copy_context().run, use, group) for group in groups]:
            done.result()


def _triple(numbers: NDArray[np.int64]) -> IntTriple:
    return cast(IntTriple, tuple(numbers.tolist()))
