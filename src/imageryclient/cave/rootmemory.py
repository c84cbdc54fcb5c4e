"""Roots that were looked up, remembered for pinned moments: what a graph said of a moment does not change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ..forking import keep_free
from ..ids import Ids

__all__ = ["ROOTS", "RootMemory"]


class RootMemory:
    """Supervoxels and their roots, for each graph and moment apart; limited in number, the least recent go first.

    Examples
    --------
    >>> from imageryclient.moment import parse_moment
    >>> memory, noon = RootMemory(limit=1000), parse_moment("2024-05-01T12:00:00Z")
    >>> memory.learn("graph", noon, np.array([1, 2], np.uint64), np.array([8, 9], np.uint64))
    >>> memory.recall("graph", noon, np.array([2, 3], np.uint64))
    (array([9, 0], dtype=uint64), array([ True, False]))
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._tables: OrderedDict[tuple[Hashable, datetime], tuple[Ids, Ids]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, graph: Hashable, moment: datetime, supervoxels: Ids) -> tuple[Ids, NDArray[np.bool_]]:
        """Give the roots that are remembered, 0 for the others, and which ones they are."""
        with self._lock:
            table = self._tables.get((graph, moment))
            if table is None:
                return np.zeros(supervoxels.shape, np.uint64), np.zeros(supervoxels.shape, np.bool_)
            self._tables.move_to_end((graph, moment))
        known, roots = table  # never changed in place, so they can be read without the lock
        place = np.minimum(np.searchsorted(known, supervoxels), len(known) - 1)
        found = known[place] == supervoxels
        return np.where(found, roots[place], np.uint64(0)), found

    def learn(self, graph: Hashable, moment: datetime, supervoxels: Ids, roots: Ids) -> None:
        """Remember what the graph said of a moment."""
        if not len(supervoxels) or len(supervoxels) > self.limit:
            return
        name = (graph, moment)
        known, first = np.unique(supervoxels, return_index=True)
        roots = roots[first]
        with self._lock:
            old = self._tables.pop(name, None)
            if old is not None:
                self.size -= len(old[0])
                place = np.searchsorted(old[0], known)
                fresh = old[0][np.minimum(place, len(old[0]) - 1)] != known
                known, roots = (
                    np.insert(before, place[fresh], new[fresh]) for before, new in zip(old, (known, roots), strict=True)
                )
            self._tables[name] = (known, roots)
            self.size += len(known)
            while self.size > self.limit:
                _, gone = self._tables.popitem(last=False)
                self.size -= len(gone[0])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._tables.clear()
            self.size = 0

    def __repr__(self) -> str:
        return f"RootMemory({self.size} supervoxels at {len(self._tables)} moments, of {self.limit})"


ROOTS = RootMemory(limit=4_000_000)  # 64 MB
keep_free(ROOTS._lock)
