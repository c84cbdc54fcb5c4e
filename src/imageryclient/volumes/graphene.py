"""Graphene volumes: supervoxels stored as precomputed chunks, objects looked up in a chunked graph.

An id is read in three steps: the labels of the blocks a box touches, taken from their encoded tables; one
request for the objects they belong to; the objects' ids written in their place as the blocks are decoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import compress
from typing import Any
from urllib.parse import urlsplit

import fastremap
import numpy as np
from numpy.typing import NDArray

from ..cache import CACHE, Payload
from ..cachefolder import CacheFolder
from ..cave.chunkedgraph import ChunkedGraph
from ..cave.node_ids import NodeLayout
from ..cave.rest import Rest
from ..cloudpath import CloudPath, parse_source
from ..errors import ArgumentError, FormatError, NotFoundError, SourceError, StorageError
from ..geometry import Box, IntTriple
from ..ids import Ids, distinct
from ..pools import decode_pool, fetch_pool
from ..precomputed.info import parse_info
from ..precomputed.touched import TouchedLabels
from ..scales import Info, Scale
from ..storage import Patience, Store, open_store
from .base import Block, IdsWanted, replaced
from .precomputed import PrecomputedVolume, as_uint64

__all__ = ["GrapheneVolume"]

_TABLE = re.compile(r"^(?P<service>.*/segmentation)/(?:(?:api/)?v?[0-9.]+/)?(?:table/)?(?P<table>[^/]+)$")
_LEAVES_COST = 1000  # supervoxels one could look up for what a request for the leaves of one root costs


class GrapheneVolume(PrecomputedVolume):
    """A proofread segmentation: ids are those of a moment.

    Parameters
    ----------
    source : str
        The source string, for messages.
    store : Store
        Where the chunks of supervoxels lie.
    info : Info
        What the server's info document says.
    graph : ChunkedGraph
        Where objects are looked up.
    graph_origin : tuple of int
        The voxel of the base scale where the graph's chunk (0, 0, 0) begins.
    """

    versioned = True

    def __init__(
        self, source: str, store: Store, info: Info, graph: ChunkedGraph, graph_origin: IntTriple = (0, 0, 0)
    ) -> None:
        super().__init__(source, store, info)
        self.graph = graph
        self.graph_origin = graph_origin

    @classmethod
    def open_served(
        cls, path: CloudPath, token: str | None, patience: Patience, disk: CacheFolder | None
    ) -> GrapheneVolume:
        """Open what `graphene://https://SERVER/segmentation/table/TABLE` names."""
        service, table = _service(path)
        document, keep = _info_document(f"{service}/table/{table}", token, patience)
        info = parse_info(document, path.source)
        data = document.get("data_dir")
        if not isinstance(data, str) or not data:
            raise FormatError(f"{path.source}: the info document has no 'data_dir' to say where the supervoxels lie")
        keep()
        place = parse_source(data)
        # The token is the graph server's: it goes to the data only where the same server keeps them.
        same = place.middleauth and urlsplit(place.url)[:2] == urlsplit(path.url)[:2]
        store = open_store(place.url, token if same else None, patience, disk, place.endpoint)
        graph = ChunkedGraph(Rest(f"{service}/api/v1/table/{table}", token, patience), _layout(document))
        # Older graphs count chunks from voxel 0, whatever the offset of the volume.
        offset = info.scales[0].bounds.start if document.get("chunks_start_at_voxel_offset") else (0, 0, 0)
        return cls(path.source, store, info, graph, offset)

    def read_ids(self, box: Box, scale: Scale, wanted: IdsWanted) -> Block:
        """Read ids: those of the objects at the moment, or of the supervoxels."""
        if wanted.root_ids is None or scale.encoding != "compressed_segmentation" or self.info.dtype != np.uint64:
            block = self.read(box, scale)
            ids = as_uint64(block.data)
            if wanted.root_ids is not None:
                supervoxels = fastremap.unique(ids)
                objects = self._objects(supervoxels, box, wanted)
                ids = replaced(ids, supervoxels, objects)
            return Block(ids, block.coverage)

        parts: list[tuple[Box, TouchedLabels]] = []

        absent = self._each_region(box, scale, self._labels, lambda *part: parts.append(part))
        supervoxels = _union([labels.ids for _, labels in parts])
        objects = self._objects(supervoxels, box, wanted)
        data: NDArray[np.uint64] = np.zeros(box.shape, dtype=np.uint64, order="F")

        def place(part: tuple[Box, TouchedLabels]) -> None:
            region, labels = part
            labels.write(data[region.slices(box)], supervoxels, objects)

        for _ in decode_pool("labels").map(place, parts):
            pass
        return Block(data, self.coverage(box, scale, absent), int(objects.max(initial=0)))

    def objects(self, supervoxels: Ids, wanted: IdsWanted) -> Ids:
        """Give the object of each supervoxel at the moment, 0 for those not asked for."""
        if wanted.pinned and not supervoxels.any():  # nothing to ask about shows that there was a graph
            self.graph.check_age(wanted.moment)
        objects = self.graph.roots(supervoxels, wanted.moment, remember=wanted.pinned)
        if isinstance(wanted.root_ids, np.ndarray):
            objects[~np.isin(objects, wanted.root_ids[wanted.root_ids != 0], kind="sort")] = 0
        return objects

    def _objects(self, supervoxels: Ids, box: Box, wanted: IdsWanted) -> Ids:
        """Give what `objects` gives, by whichever way asks the server less."""
        if isinstance(wanted.root_ids, np.ndarray):
            roots = wanted.root_ids[wanted.root_ids != 0]
            if len(roots) * _LEAVES_COST < len(supervoxels):
                return self._objects_by_leaves(supervoxels, box, roots, wanted)
        return self.objects(supervoxels, wanted)

    def _objects_by_leaves(self, supervoxels: Ids, box: Box, roots: Ids, wanted: IdsWanted) -> Ids:
        objects = np.zeros(len(supervoxels), dtype=np.uint64)
        base = self.info.scales[0]
        inside = box.at(base.resolution).intersect(base.bounds)
        if not len(roots) or not inside.voxels:
            return objects

        leaves = fetch_pool().map(lambda root: self.graph.leaves(int(root), inside), roots)
        places = [np.flatnonzero(np.isin(supervoxels, of_root, kind="sort")) for of_root in leaves]
        found = [n for n, place in enumerate(places) if place.size]
        if found:
            # A root's leaves never change, so one of them tells whether the root is current. Servers differ in what
            # is_latest_roots says of roots that are made later.
            first = supervoxels[[places[n][0] for n in found]]
            current = self.graph.roots(first, wanted.moment, remember=wanted.pinned) == roots[found]
            for n in compress(found, current):
                objects[places[n]] = roots[n]
        elif wanted.pinned:
            self.graph.check_age(wanted.moment)
        return objects


def _union(arrays: list[Ids]) -> Ids:
    return distinct(np.concatenate(arrays)) if arrays else np.empty(0, dtype=np.uint64)


def _service(path: CloudPath) -> tuple[str, str]:
    match = _TABLE.match(path.url)
    if match is None:
        raise SourceError(
            f"{path.source!r} does not name a table; write graphene://https://SERVER/segmentation/table/TABLE"
        )
    return match["service"], match["table"]


def _layout(document: Any) -> NodeLayout | None:
    try:
        return NodeLayout.from_info(document.get("graph") or {})
    except (FormatError, ArgumentError):  # it serves checks alone, so a graph may leave it out
        return None


def _info_document(url: str, token: str | None, patience: Patience) -> tuple[Any, Callable[[], None]]:
    """Give the info document of a table, and what keeps it for the process once it proves good."""
    name = (url, token, "info", None)
    kept = CACHE.get(name)
    if kept is not None and kept.data is not None:
        return json.loads(kept.data), lambda: None
    try:
        document = Rest(url, token, patience).get_json("info")
    except StorageError as error:
        if error.status != 400:  # PyChunkedGraph's answer where there is no such table
            raise
        raise NotFoundError(f"{url}: {error}; check the name of the table") from None
    return document, lambda: CACHE.put(name, Payload(json.dumps(document).encode()))
