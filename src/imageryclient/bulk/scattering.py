"""What many places take from chunks, put on the shelf: each chunk is read once for all of them, and then let go.

Places that are wanted in an order of their own cannot be put together as their chunks come: a place far ahead in that
order may lie in the same chunk. So it is done as sorting is done on disks, in two passes. `scatter` goes through the
chunks of all places along a Hilbert curve, a few at a time. Of each it cuts out what each place takes, puts these
pieces on the shelf under the number of the place, and lets go of the chunk. `gathered` takes the pieces of one place
from the shelf and gives what they make up.

So no chunk is decoded twice, as it would be by neighbouring groups of places, and only the chunks at hand are held, not
those of a group: what is held does not depend on the number of places, and does not come and go by hundreds of
megabytes, which the allocator would keep in pieces between what stays.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ImageryError
from ..geometry import Box, IntTriple
from ..ids import Ids, distinct
from ..layers import Layer
from ..scales import Scale
from ..volumes import IdsWanted
from ..volumes.gathering import Gathering, Part, begin, join
from .ahead import each_ahead
from .grouping import Grid, curve_order
from .shelf import Shelf
from .terms import Terms, grids_of, layers_of

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Batch", "Scattered", "batches", "gathered", "scatter"]

_THREADS = 2  # that cut chunks up: while one waits for bytes and decoders, the other cuts
_AHEAD = 5  # batches whose bytes come in meanwhile
_SHARE = 16  # of the budget, for the chunks of a batch


@dataclass(frozen=True, slots=True)
class Batch:
    """A few neighbouring chunks of a layer, and what is taken of them.

    Parameters
    ----------
    layer : int
        Which of the layers.
    taken : mapping of int to list of Box
        By the number of the place, the voxels it takes, each box within one chunk.
    """

    layer: int
    taken: Mapping[int, list[Box]]


@dataclass(frozen=True, slots=True)
class Scattered:
    """What became of places that were put on the shelf.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, sorted: those that are to be looked up.
    failed : mapping of int to ImageryError
        Why a place has no pieces, by its number.
    """

    supervoxels: Ids
    failed: Mapping[int, ImageryError]


def batches(layer: int, scale: Scale, grid: Grid, boxes: Mapping[int, Box], budget: int) -> list[Batch]:
    """Cut boxes at the borders of chunks, and these chunks, along a Hilbert curve, into batches within a budget.

    Parameters
    ----------
    layer : int
        Which of the layers, for `Batch`.
    scale, grid : Scale, Grid
        Its bounds, and how it lies in chunks.
    boxes : mapping of int to Box
        At the resolution of the scale, by the number of the place; may reach beyond its bounds.
    budget : int
        Bytes of decoded voxels; a chunk that takes more makes a batch of its own.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> scale = Scale(0, "0", at, Box((0, 0, 0), (64, 64, 8), at), (32, 32, 8), "raw", None, None)
    >>> grid = Grid((0, 0, 0), (32, 32, 8), at, 1)
    >>> boxes = {3: Box((30, 0, 0), (34, 2, 1), at), 5: Box((40, 1, 2), (44, 3, 3), at)}
    >>> [{n: [box.start for box in part] for n, part in b.taken.items()} for b in batches(0, scale, grid, boxes, 1)]
    [{3: [(30, 0, 0)]}, {3: [(32, 0, 0)], 5: [(40, 1, 2)]}]
    """
    origin = scale.bounds.start
    chunks: dict[IntTriple, list[tuple[int, Box]]] = {}
    for number, box in boxes.items():
        inside = box.intersect(scale.bounds)
        if not inside.voxels:
            continue
        low, high = ([a - o for a, o in zip(end, origin, strict=True)] for end in (inside.start, inside.stop))
        for index, hull in grid.pieces(low, high):
            chunks.setdefault(index, []).append((number, _box(hull, scale)))
    if not chunks:
        return []
    indices = list(chunks)
    made: list[Batch] = []
    taken: dict[int, list[Box]] = {}
    held = 0
    for at in curve_order(np.array(indices)).tolist():
        pieces = chunks[indices[at]]
        cost = min(sum(piece.voxels for _, piece in pieces), prod(grid.chunk_size)) * grid.voxel_bytes
        if taken and held + cost > budget:
            made.append(Batch(layer, taken))
            taken, held = {}, 0
        for number, piece in pieces:
            taken.setdefault(number, []).append(piece)
        held += cost
    return [*made, Batch(layer, taken)]


def scatter(client: ImageryClient, terms: Terms, boxes: Mapping[int, Box], shelf: Shelf, budget: int) -> Scattered:
    """Put what places take from their chunks on the shelf; a place that finds no room there is dropped from it.

    Parameters
    ----------
    client : ImageryClient
        Where from.
    terms : Terms
        What to read.
    boxes : mapping of int to Box
        The voxels of each place, by its number.
    shelf : Shelf
        Where to.
    budget : int
        Bytes that chunks may take.
    """
    layers = layers_of(client, terms)
    failed: dict[int, ImageryError] = {}
    supervoxels = [np.empty(0, np.uint64)]
    begun: dict[int, Gathering] = {}

    def opened() -> Iterator[tuple[int, Batch]]:
        for n, batch in enumerate(_of_all(layers, grids_of(client, terms), boxes, budget // _SHARE)):
            layer, scale = layers[batch.layer]
            pieces = [piece for taken in batch.taken.values() for piece in taken]
            begun[n] = begin(layer.volume, scale, pieces, wanted_of(layer, terms))
            yield n, batch

    def cut(one: tuple[int, Batch]) -> Ids:
        n, batch = one
        gathering = begun.pop(n)  # and with the end of this goes what it holds, whether or not its turn has come
        found = gathering.decode()
        for number, taken in batch.taken.items():
            if number in failed:
                continue
            try:
                parts = [gathering.part(piece) for piece in taken]
            except ImageryError as error:
                failed.setdefault(number, error.with_traceback(None))
            else:
                shelf.put(number, pickle.dumps((batch.layer, [part.detached() for part in parts]), protocol=5))
        return found

    try:
        supervoxels += each_ahead(cut, opened(), _THREADS, _AHEAD)
    finally:
        for left in begun.values():
            left.close()
    return Scattered(distinct(np.concatenate(supervoxels)), failed)


def gathered(client: ImageryClient, terms: Terms, box: Box, packed: Sequence[bytes]) -> tuple[Part, ...]:
    """Give what a place takes from each layer, of its pieces from the shelf.

    Layers that were not scattered, as they lie in no chunks to be shared, are read when their part is put together.
    """
    pieces: dict[int, list[Part]] = {}
    for each in packed:
        layer, parts = pickle.loads(each)
        pieces.setdefault(layer, []).extend(parts)
    return tuple(
        join(pieces[n], box.at(scale.resolution), scale)
        if n in pieces
        else begin(layer.volume, scale, [inside := box.at(scale.resolution)], wanted_of(layer, terms)).part(inside)
        for n, (layer, scale) in enumerate(layers_of(client, terms))
    )


def wanted_of(layer: Layer, terms: Terms) -> IdsWanted | None:
    """Give which ids to read of a layer; None of imagery."""
    return terms.wanted if layer.name == "segmentation" else None


def _box(hull: tuple[int, int, int, int, int, int], scale: Scale) -> Box:
    """Give the box of voxels counted from the first of the scale."""
    (a, b, c), (x0, y0, z0, x1, y1, z1) = scale.bounds.start, hull
    return Box((x0 + a, y0 + b, z0 + c), (x1 + a, y1 + b, z1 + c), scale.resolution)


def _of_all(
    layers: Sequence[tuple[Layer, Scale]], grids: Sequence[Grid], boxes: Mapping[int, Box], budget: int
) -> list[Batch]:
    """Give the batches of all layers whose chunks are shared; those of one stretch of the curve after each other."""
    found: list[tuple[float, Batch]] = []
    for n, ((_, scale), grid) in enumerate(zip(layers, grids, strict=True)):
        if grid.voxel_bytes and not scale.placeholder:
            within = {number: box.at(scale.resolution) for number, box in boxes.items()}
            some = batches(n, scale, grid, within, budget)
            found += [(at / len(some), batch) for at, batch in enumerate(some)]
    return [batch for _, batch in sorted(found, key=lambda pair: pair[0])]
