"""What was fetched, kept as it came: encoded bytes in memory, least recently used out first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from .rootmemory import ROOTS

__all__ = ["ABSENT", "CACHE", "ByteCache", "Payload", "clear_cache"]

_OVERHEAD = 200  # bytes of bookkeeping an entry costs, absences included


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes as stored, and how they are compressed: "", "gzip", "br" or "zstd".

    `data is None` says that nothing is stored under the key.
    """

    data: bytes | None
    encoding: str = ""


ABSENT = Payload(None)


class ByteCache:
    """A thread-safe cache of payloads, limited in bytes.

    Examples
    --------
    >>> cache = ByteCache(limit=1000)
    >>> cache.put("a", Payload(b"12345"))
    >>> cache.get("a").data, cache.get("b")
    (b'12345', None)
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._entries: OrderedDict[Hashable, Payload] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Payload | None:
        """Give the payload kept under `key`, or None."""
        with self._lock:
            payload = self._entries.get(key)
            if payload is not None:
                self._entries.move_to_end(key)
            return payload

    def put(self, key: Hashable, payload: Payload) -> None:
        """Keep a payload, and let go of the least recently used ones over the limit."""
        cost = _cost(payload)
        if cost > self.limit:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = payload
            self.size += cost
            while self.size > self.limit:
                _, old = self._entries.popitem(last=False)
                self.size -= _cost(old)

    def discard(self, key: Hashable) -> None:
        """Forget one payload."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.size = 0

    def _drop(self, key: Hashable) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.size -= _cost(old)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"ByteCache({len(self)} entries, {self.size} of {self.limit} bytes)"


def _cost(payload: Payload) -> int:
    return _OVERHEAD + (len(payload.data) if payload.data is not None else 0)


CACHE = ByteCache(limit=256 * 2**20)


def clear_cache() -> None:
    """Forget every chunk and info document that this process has fetched, and every root it has looked up.

    A cache folder (`cache_dir`) and the volumes of living clients stay.

    Examples
    --------
    >>> clear_cache()
    """
    CACHE.clear()
    ROOTS.clear()
