"""Cutouts put together ahead of whoever takes them: as many as there is room for, in a few threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ..geometry import IntTriple
from ..pools import cut_pool
from ..volumes import Volume
from ..volumes.chunksource import shares_chunks
from ..volumes.memory import MemoryVolume
from .terms import Terms, layers_of, result_bytes

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["each_ahead", "pace"]

_THREADS = 2  # that put results together; more only contend
_WAITING = 6  # that read boxes by themselves where chunks cannot be shared
_AHEAD_BYTES = 64 * 2**20
T = TypeVar("T")
R = TypeVar("R")


def each_ahead(make: Callable[[T], R], items: Iterable[T], threads: int, ahead: int) -> Iterator[R]:
    """Give `make(item)` for each, in order; the next few are made meanwhile, in threads that may not call this too.

    Examples
    --------
    >>> list(each_ahead(lambda n: 10 * n, range(3), threads=2, ahead=2))
    [0, 10, 20]
    """
    pool = cut_pool(threads)
    coming: deque[Future[R]] = deque()
    rest = iter(items)
    try:
        coming.extend(pool.submit(make, item) for item in islice(rest, ahead))
        while coming:
            ready = coming.popleft().result()
            coming.extend(pool.submit(make, item) for item in islice(rest, 1))
            yield ready
    finally:
        wait([future for future in coming if not future.cancel()])


def pace(client: ImageryClient, terms: Terms, shape: IntTriple) -> tuple[int, int]:
    """Give how many threads put cutouts together, and how many cutouts may wait."""
    threads = _threads([layer.volume for layer, _ in layers_of(client, terms)])
    each = result_bytes(client, terms, shape)
    return threads, max(1, min(2 * threads, _AHEAD_BYTES // max(1, each)))


def _threads(volumes: Sequence[Volume]) -> int:
    apart = [volume for volume in volumes if not shares_chunks(volume)]
    if any(isinstance(volume, MemoryVolume) for volume in apart):  # of which copies are made: that takes no waiting
        return 1
    return _WAITING if apart else _THREADS
