"""The threads of the process: many that wait for bytes, a few that decode them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from . import progress

__all__ = [
    "MAX_IN_FLIGHT",
    "Backlog",
    "array_pool",
    "cut_pool",
    "decode_pool",
    "fetch_pool",
    "pipelined",
    "pipelined_backlog",
    "together",
]

MAX_IN_FLIGHT = 32
T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")
_DECODERS = max(2, min(4, os.cpu_count() or 2))


@lru_cache(maxsize=1)
def fetch_pool() -> ThreadPoolExecutor:
    """Threads that wait for storage; their number is the limit of requests in flight."""
    return ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="imageryclient-fetch")


@lru_cache(maxsize=2)
def decode_pool(what: Literal["imagery", "labels"] = "imagery") -> ThreadPoolExecutor:
    """Threads that decode; two to four, as more only contend.

    Labels have threads of their own: they lead to a request for roots, and must not queue behind imagery.
    """
    return ThreadPoolExecutor(_DECODERS, thread_name_prefix=f"imageryclient-{what}")


@lru_cache(maxsize=1)
def array_pool() -> ThreadPoolExecutor:
    """The one thread that reads callers' arrays for many places: some do not bear several readers at a time."""
    return ThreadPoolExecutor(1, thread_name_prefix="imageryclient-array")


@lru_cache(maxsize=4)
def cut_pool(threads: int) -> ThreadPoolExecutor:
    """Threads that put cutouts of many places together, so many of them.

    They last: memory that ever new threads take and give back lies scattered, and a process that makes them grows.
    """
    return ThreadPoolExecutor(threads, thread_name_prefix="imageryclient-cut")


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same time, and give their results in order.

    All of them end before this returns; the first error, in order, is raised.

    Examples
    --------
    >>> together(lambda: 1, lambda: 2)
    [1, 2]
    """
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException | None] = [None] * len(calls)

    def run(n: int) -> None:
        try:
            results[n] = calls[n]()
        except BaseException as error:
            errors[n] = error

    threads = [
        threading.Thread(target=copy_context().run, args=(run, n), name=f"imageryclient-read-{n}", daemon=True)
        for n in range(1, len(calls))
    ]
    for thread in threads:
        thread.start()
    if calls:
        run(0)
    for thread in threads:
        thread.join()
    for error in errors:
        if error is not None:
            raise error
    return results


class Backlog(Generic[T, R]):
    """What waits to be worked on, where several things at once take less time than one after the other.

    A thread that is free takes what waits by then, as much as may be taken at once.

    Parameters
    ----------
    work : callable
        Turns several things into a result for each; an exception among the results is that of one of them.
    workers : Executor
        The threads.
    at_once : int
        How many things are taken at once, at most.

    Examples
    --------
    >>> backlog = Backlog(lambda numbers: [10 * n for n in numbers], decode_pool(), at_once=2)
    >>> [coming.result() for coming in [backlog.add(n) for n in (1, 2, 3)]]
    [10, 20, 30]
    """

    def __init__(self, work: Callable[[list[T]], list[R | Exception]], workers: Executor, at_once: int) -> None:
        self._work, self._workers, self._at_once = work, workers, at_once
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._takers = 0  # that were sent to the threads, and have not taken anything yet
        self._lock = threading.Lock()

    def add(self, item: T) -> Future[R]:
        """Have a thing worked on; give what becomes of it."""
        coming: Future[R] = Future()
        with self._lock:
            self._waiting.append((item, coming))
            enough = self._takers * self._at_once >= len(self._waiting)
            self._takers += not enough
        if not enough:
            self._workers.submit(self._take)
        return coming

    def _take(self) -> None:
        with self._lock:
            self._takers -= 1
            some = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
        taken = [(item, coming) for item, coming in some if coming.set_running_or_notify_cancel()]
        if not taken:
            return
        try:
            results = self._work([item for item, _ in taken])
        except BaseException as error:
            for _, coming in taken:
                coming.set_exception(error)
            return
        for (_, coming), result in zip(taken, results, strict=True):
            if isinstance(result, Exception):
                coming.set_exception(result)
            else:
                coming.set_result(result)


def pipelined(
    items: Sequence[T],
    at_hand: Callable[[T], P | None],
    fetch: Callable[[T], P],
    decode: Callable[[T, P], R],
    decoders: Executor,
) -> list[R]:
    """Fetch many things at the same time and decode each as it comes; what is at hand is not fetched.

    The first error is raised, and what was not begun by then is left.

    Parameters
    ----------
    items : sequence
        What to get.
    at_hand, fetch : callable
        Give what `decode` takes: without waiting, or None; and by waiting for it, in the fetching threads.
    decode : callable
        Turns it into a result, in the decoding threads.
    decoders : Executor
        These threads.

    Returns
    -------
    list
        A result for each item, in the order in which they were decoded.

    Examples
    --------
    >>> sorted(pipelined([1, 2], lambda n: n if n == 2 else None, lambda n: 10, lambda n, got: got + n, decode_pool()))
    [4, 11]
    """
    return pipelined_backlog(items, at_hand, fetch, lambda item, got: decoders.submit(decode, item, got))


def pipelined_backlog(
    items: Sequence[T],
    at_hand: Callable[[T], P | None],
    fetch: Callable[[T], P],
    decode_later: Callable[[T, P], Future[R]],
) -> list[R]:
    """As `pipelined`, where `decode_later` has each decoded as it comes, perhaps with others of a `Backlog`."""
    progress.expect(len(items))
    decoding: list[Future[R]] = []
    fetching: dict[Future[P], T] = {}
    results: list[R] = []
    try:
        for item in items:
            known = at_hand(item)
            if known is None:
                fetching[fetch_pool().submit(fetch, item)] = item
            else:
                decoding.append(decode_later(item, known))
        for fetched in as_completed(list(fetching)):
            decoding.append(decode_later(fetching.pop(fetched), fetched.result()))
        for done in decoding:
            results.append(done.result())
            progress.advance()
    finally:
        futures: list[Future[Any]] = [*fetching, *decoding]
        for waiting in futures:
            waiting.cancel()
    return results


def _forget_pools() -> None:
    """Let a forked child make threads of its own, as its parent's do not live in it."""
    fetch_pool.cache_clear()
    decode_pool.cache_clear()
    array_pool.cache_clear()
    cut_pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)
