"""What a process that was forked must not take over from its parent: locks that were held, threads, connections.

PyTorch's DataLoader and `multiprocessing` fork on Linux, often long after the parent began to read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

__all__ = ["drop_in_child", "keep_free", "note_threads", "threads_are_lost"]

_threads_began = False
_lost = False


def keep_free(lock: threading.Lock) -> None:
    """Hold a lock while the process forks, so that in the child no thread that is not there holds it.

    Examples
    --------
    >>> lock = threading.Lock()
    >>> keep_free(lock)
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def drop_in_child(drop: Callable[[], object]) -> None:
    """Call this in every child, to drop what belongs to the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=drop)


def note_threads() -> None:
    """Take note that obstore is used from here on: its threads, of which it makes one set, serve this process alone."""
    global _threads_began
    _threads_began = True


def threads_are_lost() -> bool:
    """Tell whether obstore would wait for threads of the parent for ever, as this process was forked after it began."""
    return _lost


def _mark_child() -> None:
    global _lost
    _lost = _lost or _threads_began


drop_in_child(_mark_child)
