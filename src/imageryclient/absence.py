"""Why ids that were asked for have no voxel in a cutout of a proofread segmentation.

An id that has voxels in the cutout needs no proof. Of the others one request tells which are valid at the moment; those
that are lie elsewhere, and a second one, at the same time, finds parts of them near the box. Of those that are not the
graph is asked for their lives, and for their supervoxels in the box, which the cutout's own supervoxels and their roots
at the moment turn into shares.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .cave.lineage import AbsentId, Life, Nearest, Reason, Share
from .errors import DamagedDataError, SourceError, StorageError
from .geometry import Box, FloatTriple, Resolution
from .ids import Ids
from .pools import together
from .volumes import GrapheneVolume, IdsWanted

__all__ = ["Search", "explain", "slabs"]

log = logging.getLogger(__name__)

_SOUGHT = 5  # ids looked for near the box
_NEAR = 16  # graph chunks around the box
_SLAB = 2**24  # voxels counted at a time


@dataclass(frozen=True, slots=True)
class Search:
    """A cutout, and where to ask about it.

    Parameters
    ----------
    volume : GrapheneVolume
        The segmentation.
    given : Box
        The voxels of the cutout.
    own : Box
        Those of the scale it was read from.
    wanted : IdsWanted
        The ids and the moment.
    unit : tuple of float
        nm that the caller's numbers count.
    parts : callable
        Gives the supervoxels of the cutout, array after array.
    """

    volume: GrapheneVolume
    given: Box
    own: Box
    wanted: IdsWanted
    unit: Resolution
    parts: Callable[[], Iterable[Ids]]

    @property
    def inside(self) -> Box:
        """The cutout in voxels of the graph, the base scale's."""
        return self.own.at(self.base.resolution).intersect(self.base)

    @property
    def base(self) -> Box:
        """The whole volume at its base scale."""
        return self.volume.info.scales[0].bounds

    def contents(self) -> tuple[Ids, NDArray[np.int64]]:
        """Give the supervoxels of the cutout, sorted, and the voxels of each."""
        import fastremap

        counted = [fastremap.unique(part, return_counts=True) for part in self.parts()]
        ids, place = np.unique(np.concatenate([ids for ids, _ in counted]), return_inverse=True)
        counts = np.zeros(len(ids), np.int64)
        np.add.at(counts, place, np.concatenate([counts for _, counts in counted]).astype(np.int64))
        return ids[ids != 0], counts[ids != 0]


def explain(absent: Ids, search: Search) -> tuple[AbsentId, ...]:
    """Say why ids have no voxel in a cutout, in the order given; asks the graph.

    Raises
    ------
    StorageError, SourceError, DamagedDataError
        If it does not answer, or knows none of these questions.
    """
    graph, layout = search.volume.graph, search.volume.graph.layout
    roots, fates = absent, dict[int, AbsentId]()
    if layout is not None:
        layers = layout.layer_of(absent)
        roots = absent[layers == layout.n_layers]
        for one, layer in zip(absent.tolist(), layers.tolist(), strict=True):
            reason: Reason = "supervoxel" if layer == 1 else "node" if 1 < layer < layout.n_layers else "unknown"
            fates[one] = AbsentId(one, reason, layer=layer)
    moment, remember = search.wanted.moment, search.wanted.pinned
    current: NDArray[np.bool_]
    near: dict[int, Nearest]
    current, near = together(lambda: graph.current(roots, moment, remember=remember), lambda: _near(roots, search))
    found = [AbsentId(root, "elsewhere", nearest=near.get(root)) for root in roots[current].tolist()]
    found += _gone(roots[~current], search)
    top = None if layout is None else layout.n_layers
    fates.update({one.root_id: replace(one, layer=top) for one in found})
    return tuple(fates[one] for one in absent.tolist())


def _near(roots: Ids, search: Search) -> dict[int, Nearest]:
    """Find parts of roots around the box, if the roots are few."""
    layout = search.volume.graph.layout
    if layout is None or not 0 < roots.size <= _SOUGHT:
        return {}
    size = np.array(layout.chunk_size)
    inside = search.own.at(search.base.resolution)
    low, high = np.array(inside.start) - _NEAR * size, np.array(inside.stop) + _NEAR * size
    around = Box(tuple(low.tolist()), tuple(high.tolist()), inside.resolution).intersect(search.base)
    nodes = _leaves(roots, around, search, layer=2)
    chunks = {root: layout.chunk_of(ids[layout.layer_of(ids) == 2]) for root, ids in nodes.items()}
    return {root: _nearest(places, size, search) for root, places in chunks.items() if places.size}


def _nearest(chunks: NDArray[np.int64], size: NDArray[np.int64], search: Search) -> Nearest:
    """Give the centre of the chunk that is nearest to the box."""
    nm = np.array(search.base.resolution)
    low = np.maximum(chunks * size + search.volume.graph_origin, search.base.start)
    high = np.minimum(chunks * size + size + search.volume.graph_origin, search.base.stop)
    start, stop = np.array(search.given.nm)
    gaps = np.maximum(np.maximum(low * nm - stop, start - high * nm), 0)
    middle = (start + stop) / 2
    # Of chunks that reach into the box, the one whose centre is nearest to the box's.
    distance, spread = np.linalg.norm(gaps, axis=1), np.linalg.norm((low + high) / 2 * nm - middle, axis=1)
    best = int(np.lexsort((spread, distance))[0])
    voxel = np.floor((low[best] + high[best]) / 2 * nm / search.unit)
    return Nearest(cast(FloatTriple, tuple(voxel.tolist())), search.unit, float(distance[best]))


def _gone(roots: Ids, search: Search) -> list[AbsentId]:
    """Say of ids that are not valid at the moment when they were, and who has their voxels."""
    if not roots.size:
        return []
    lives: dict[int, Life]
    leaves: dict[int, Ids]
    lives, leaves = together(
        lambda: search.volume.graph.lives(roots), lambda: _leaves(roots, search.inside, search, layer=1)
    )
    shares = _shares({root: ids for root, ids in leaves.items() if ids.size}, search)
    fates = []
    for root in roots.tolist():
        life, heirs = lives.get(root), shares.get(root, ())
        if life is None:
            fates.append(AbsentId(root, "retired" if heirs else "unknown", successors=heirs))
            continue
        reason: Reason = "retired"
        if search.wanted.moment < life.born:
            reason = "unborn"
        elif not heirs and life.died is not None and search.wanted.moment < life.died:
            reason = "elsewhere"
        fates.append(AbsentId(root, reason, life.born, life.died, successors=heirs))
    return fates


def _leaves(roots: Ids, box: Box, search: Search, *, layer: int) -> dict[int, Ids]:
    """Give the supervoxels or nodes of roots in a box; none where the server does not say, as of roots of tomorrow."""
    if not box.voxels:
        return {}
    try:
        return search.volume.graph.leaves_many(roots, box, layer=layer)
    except (StorageError, SourceError, DamagedDataError):
        log.debug("%r does not tell the leaves of %s", search.volume.graph, roots, exc_info=True)
        return {}


def _shares(leaves: dict[int, Ids], search: Search) -> dict[int, tuple[Share, ...]]:
    """Give for each root, from its supervoxels, who has them at the moment."""
    if not leaves:
        return {}
    supervoxels, counts = search.contents()
    places = {root: np.flatnonzero(np.isin(supervoxels, ids, kind="sort")) for root, ids in leaves.items()}
    theirs = np.unique(np.concatenate(list(places.values())))
    owners = np.zeros(len(supervoxels), np.uint64)
    wanted = search.wanted
    owners[theirs] = search.volume.graph.roots(supervoxels[theirs], wanted.moment, remember=wanted.pinned)
    shares: dict[int, tuple[Share, ...]] = {}
    for root, place in places.items():
        heirs, which = np.unique(owners[place], return_inverse=True)
        voxels = np.zeros(len(heirs), np.int64)
        np.add.at(voxels, which, counts[place])
        order = np.lexsort((heirs, -voxels))
        whole = int(voxels.sum())
        shares[root] = tuple(Share(int(heirs[n]), int(voxels[n]), int(voxels[n]) / whole) for n in order)
    return shares


def slabs(box: Box) -> Iterator[Box]:
    """Part a box along z, so that each part is quickly counted."""
    x, y, _ = box.shape
    deep = max(1, _SLAB // max(1, x * y))
    for z in range(box.start[2], box.stop[2], deep):
        start, stop = (*box.start[:2], z), (*box.stop[:2], min(z + deep, box.stop[2]))
        yield Box(start, stop, box.resolution)
