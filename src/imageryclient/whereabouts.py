"""Where an object is: from the chunks its graph says it lies in, or by looking for its voxels.

A proofread object is made of level-2 nodes, each of which names the chunk it lies in by the bits of its id. So one
request tells a box that holds the whole object, without a voxel read. It is as coarse as the graph's chunks; a scale
may be read at its six sides to tighten it. A flat segmentation has no such list: its coarsest scales are searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .cave.node_ids import NodeLayout
from .errors import ArgumentError, DamagedDataError, MissingDataError, SourceError, StorageError
from .geometry import Box, IntTriple
from .ids import Ids
from .moment import format_moment
from .pools import together
from .scales import Scale
from .volumes import GrapheneVolume, IdsWanted, SegmentationVolume
from .volumes.base import listed

__all__ = ["chunks_of", "cover", "parts_of", "search", "staleness", "tighten", "whole_of"]

_AT_ONCE = 8  # chunks of the graph read at the same time
_BLOCK = 2**22  # voxels read at a time, in whole chunks
_SEARCHED = 2**28  # voxels of a scale that is searched without being asked for


def parts_of(volume: GrapheneVolume, root: int) -> Ids:
    """Give the level-2 nodes of an object.

    Raises
    ------
    ArgumentError
        If the id is not that of an object, by its layer bits; or the graph does not say how ids are laid out.
    MissingDataError
        If nobody knows the id.
    """
    layout = _layout(volume)
    layer = int(layout.layer_of(root))
    if layer != layout.n_layers:
        kind = "no node of this graph"
        if 0 < layer < layout.n_layers:
            kind = "a supervoxel" if layer == 1 else f"a node of layer {layer}"
        raise ArgumentError(f"{root} is {kind}, not an object: those are of layer {layout.n_layers} in {volume.source}")
    parts = volume.graph.level_two(root)
    if not parts.size:
        raise MissingDataError(
            f"{volume.source} knows no object {root}: the id has no parts anywhere; check its digits and the table"
        )
    return parts


def whole_of(volume: GrapheneVolume, parts: Ids) -> Box | None:
    """Give the box of the graph chunks that level-2 nodes lie in, in the base scale; None beyond its bounds."""
    low, high = _corners(volume, parts)
    if not len(low):
        return None
    return Box(_triple(low.min(axis=0)), _triple(high.max(axis=0)), volume.info.scales[0].resolution)


def chunks_of(volume: GrapheneVolume, parts: Ids) -> list[Box]:
    """Give the graph chunks that level-2 nodes lie in, one by one, as boxes of the base scale."""
    resolution = volume.info.scales[0].resolution
    corners = (corner.tolist() for corner in _corners(volume, parts))
    return [Box(_triple(low), _triple(high), resolution) for low, high in zip(*corners, strict=True)]


def _corners(volume: GrapheneVolume, parts: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the lower and the upper corner of each chunk, clipped to the volume, shape (n, 3)."""
    layout, bounds = _layout(volume), volume.info.scales[0].bounds
    size = np.array(layout.chunk_size)
    low = np.unique(layout.chunk_of(parts[layout.layer_of(parts) <= 2]), axis=0) * size + volume.graph_origin
    high = np.minimum(low + size, bounds.stop)
    low = np.maximum(low, bounds.start)
    inside = np.all(high > low, axis=1)
    return low[inside], high[inside]


def staleness(volume: GrapheneVolume, root: int, wanted: IdsWanted) -> str:
    """Say why the id of an object is none at a moment; "" if it is one."""
    # Its level-2 nodes would not tell: edits make new ones, and an old one leads to its old root for ever.
    if volume.graph.current(np.array([root], np.uint64), wanted.moment, remember=wanted.pinned)[0]:
        return ""
    volume.graph.check_age(wanted.moment)
    fact = f"{root} is no object at {format_moment(wanted.moment)}"
    try:
        life = volume.graph.lives(np.array([root], np.uint64)).get(root)
    except (StorageError, SourceError, DamagedDataError):  # not every server tells
        life = None
    if life is None:
        return f"{fact}: it was retired before, or is made later"
    if life.born > wanted.moment:
        return f"{fact}: it is only valid from {format_moment(life.born)} on"
    return f"{fact}: it was valid from {format_moment(life.born)}" + (
        f" until {format_moment(life.died)}" if life.died else ""
    )


def _layout(volume: GrapheneVolume) -> NodeLayout:
    layout = volume.graph.layout
    if layout is None:
        raise ArgumentError(
            f"{volume.source}: its info document does not say how the ids of its graph are laid out, so where an "
            "object lies cannot be told"
        )
    return layout


def cover(boxes: Iterable[Box]) -> Box:
    """Give the smallest box that holds all of some boxes, of one grid.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> cover([Box((0, 0, 0), (2, 2, 2), at), Box((5, 0, 1), (6, 1, 3), at)])
    Box(start=(0, 0, 0), stop=(6, 2, 3), resolution=(8.0, 8.0, 40.0))
    """
    all_of_them = list(boxes)
    starts, stops = np.array([b.start for b in all_of_them]), np.array([b.stop for b in all_of_them])
    return Box(_triple(starts.min(axis=0)), _triple(stops.max(axis=0)), all_of_them[0].resolution)


def tighten(volume: SegmentationVolume, scale: Scale, chunks: list[Box], wanted: IdsWanted) -> Box | None:
    """Give the box of an object's voxels at a scale; None if it has none there.

    Along each axis chunks are read from the outermost inwards, until some hold the object.

    Parameters
    ----------
    volume : SegmentationVolume
        The layer.
    scale : Scale
        The scale to read.
    chunks : list of Box
        Boxes of any one grid, all of the object within.
    wanted : IdsWanted
        The object's id, and the moment.
    """
    parts = [box.at(scale.resolution).intersect(scale.bounds) for box in chunks]
    parts = [part for part in parts if part.voxels]
    extents: dict[Box, Box | None] = {}

    def read(some: list[Box]) -> None:
        unread = [part for part in dict.fromkeys(some) if part not in extents]
        for n in range(0, len(unread), _AT_ONCE):
            now = unread[n : n + _AT_ONCE]
            found = together(*(lambda part=part: _extent(volume, scale, part, wanted) for part in now))
            extents.update(zip(now, found, strict=True))

    sides = [(axis, far) for axis in range(3) for far in (False, True)]
    limits = {(axis, far): [(p.stop if far else p.start)[axis] for p in parts] for axis, far in sides}
    outermost = [max(limits[side]) if side[1] else min(limits[side]) for side in sides] if parts else []
    read([p for side, end in zip(sides, outermost, strict=False) for p in _at(parts, limits[side], end)])
    corners: dict[tuple[int, bool], int] = {}
    for side in sides:
        axis, far = side
        for end in sorted(set(limits[side]), reverse=far):
            layer = _at(parts, limits[side], end)
            read(layer)
            seen = [box for part in layer if (box := extents[part]) is not None]
            if seen:
                corners[side] = (cover(seen).stop if far else cover(seen).start)[axis]
                break
        else:
            return None
    start, stop = ([corners[axis, far] for axis in range(3)] for far in (False, True))
    return Box(_triple(start), _triple(stop), scale.resolution)


def _at(parts: list[Box], limits: list[int], end: int) -> list[Box]:
    return [part for part, limit in zip(parts, limits, strict=True) if limit == end]


def search(volume: SegmentationVolume, scale: Scale | None, wanted: IdsWanted) -> Box:
    """Give the box of an object's voxels by reading a whole scale, block by block.

    Parameters
    ----------
    volume : SegmentationVolume
        The layer.
    scale : Scale or None
        The scale to search; None for the coarsest where the object is seen. Of that the box has a voxel more on each
        side, as coarse scales lose thin ends.
    wanted : IdsWanted
        The object's id, and the moment.

    Raises
    ------
    MissingDataError
        If no voxel has the id.
    """
    if scale is not None:
        box = _extent(volume, scale, scale.bounds, wanted)
        if box is None:
            raise MissingDataError(f"{_named(wanted)} has no voxel at mip {scale.mip} of {volume.source}")
        return box
    scales = [s for s in reversed(volume.info.scales) if not s.placeholder]
    searched = [s for s in scales if s.bounds.voxels <= _SEARCHED] or scales[:1]
    for one in searched:
        box = _extent(volume, one, one.bounds, wanted)
        if box is not None:
            start, stop = (_triple(np.array(corner) + by) for corner, by in ((box.start, -1), (box.stop, 1)))
            return Box(start, stop, one.resolution).intersect(one.bounds)
    larger = [s for s in scales if s not in searched]
    hint = f"; not searched, as they are large: {listed(larger)}: pass one as mip" if larger else ""
    raise MissingDataError(f"{_named(wanted)} has no voxel at {listed(searched)} of {volume.source}{hint}")


def _extent(volume: SegmentationVolume, scale: Scale, box: Box, wanted: IdsWanted) -> Box | None:
    extents = []
    for block in _blocks(scale, box):
        ids = volume.read_ids(block, scale, wanted).data
        if ids.any():
            spans = [np.flatnonzero(ids.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
            low = [int(span[0]) + o for span, o in zip(spans, block.start, strict=True)]
            high = [int(span[-1]) + 1 + o for span, o in zip(spans, block.start, strict=True)]
            extents.append(Box(_triple(low), _triple(high), scale.resolution))
    return cover(extents) if extents else None


def _blocks(scale: Scale, box: Box) -> Iterator[Box]:
    """Cut a box within a scale into blocks of whole chunks that are small enough to read one after the other."""
    size = np.array(scale.chunk_size)
    for axis in (0, 1, 2):
        while size.prod() * 2 <= _BLOCK and size[axis] < box.shape[axis]:
            size[axis] *= 2
    origin = scale.bounds.start
    first = [o + (a - o) // int(c) * int(c) for a, o, c in zip(box.start, origin, size, strict=True)]
    x, y, z = (range(a, b, int(c)) for a, b, c in zip(first, box.stop, size, strict=True))
    for k in z:
        for j in y:
            for i in x:
                start = np.array((i, j, k))
                yield Box(_triple(start), _triple(start + size), scale.resolution).intersect(box)


def _named(wanted: IdsWanted) -> str:
    assert isinstance(wanted.root_ids, np.ndarray)
    return f"the id {', '.join(map(str, wanted.root_ids.tolist()))}"


def _triple(numbers: NDArray[np.int64] | list[int]) -> IntTriple:
    return cast(IntTriple, tuple(int(n) for n in numbers))
