"""The threads of the process: many that wait for bytes, a few that decode them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Literal

__all__ = ["MAX_IN_FLIGHT", "decode_pool", "fetch_pool", "together"]

MAX_IN_FLIGHT = 32
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


def _forget_pools() -> None:
    """Let a forked child make threads of its own, as its parent's do not live in it."""
    fetch_pool.cache_clear()
    decode_pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)
