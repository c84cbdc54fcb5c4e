"""An export on this machine: while a group is written the next one is read."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from .failures import FailedPlace
from .journal import Entry
from .plan import Plan
from .reading import PlaceCutout, finished, read_in_turn
from .stream import BUDGET, plan_groups
from .writing import PlaceWriter

__all__ = ["GROUP_BYTES", "WRITERS", "read_places", "write_here"]

GROUP_BYTES = BUDGET // 2  # of which two are at hand at a time
WRITERS = max(2, min(4, os.cpu_count() or 2))


def read_places(plan: Plan, rows: NDArray[np.int64]) -> Iterator[PlaceCutout | FailedPlace]:
    """Read places, as they come: the chunks of the next group come in while one is put together."""
    groups = plan_groups(plan.client, plan.places.take(rows), plan.terms, budget=GROUP_BYTES)
    yield from read_in_turn(plan.client, groups, finished)


def write_here(plan: Plan, rows: NDArray[np.int64]) -> Iterator[Entry | FailedPlace]:
    """Read places and write them, in a few threads; give what became of each.

    Raises
    ------
    StorageError
        If the disk is full, or does not let the output be written.
    AccessError
        If the objects may not be looked up.
    """
    writer = PlaceWriter(plan.job)
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="imageryclient-write") as pool:
        writing: deque[Future[Entry | FailedPlace]] = deque()
        try:
            for read in read_places(plan, rows):
                if isinstance(read, FailedPlace):
                    yield read
                    continue
                writing.append(pool.submit(writer.write, read, plan.ids_at(read.index)))
                del read
                yield from _ready(writing, 2 * WRITERS)
            yield from _ready(writing, 0)
        finally:
            for waiting in writing:
                waiting.cancel()


def _ready(writing: deque[Future[Entry | FailedPlace]], most: int) -> Iterable[Entry | FailedPlace]:
    """Give those that are written, waiting for the first while there are more than so many."""
    while writing and (len(writing) > most or writing[0].done()):
        yield writing.popleft().result()
