"""What was fetched and what was decoded of it, kept in memory within one limit, least recently used out first.

Bytes are kept as they came. Beside them lie regions of chunks that were decoded, in the form that takes least room:
imagery as it is shown, labels as positions in tables. They are voxels as stored, before any moment counts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from .cave.rootmemory import ROOTS
from .forking import keep_free

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
    """A thread-safe cache of payloads and of what was decoded of them, limited in bytes, both together.

    Over the limit, whichever of the two takes more than half of it gives way. So decoded regions may fill what encoded
    bytes leave, but never push them below half.

    Examples
    --------
    >>> cache = ByteCache(limit=1000)
    >>> cache.put("a", Payload(b"12345"))
    >>> cache.get("a").data, cache.get("b")
    (b'12345', None)
    >>> cache.keep("a", "first half", [1, 2], size=16)
    >>> cache.decoded("a", "first half")
    [1, 2]
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._entries: OrderedDict[Hashable, Payload] = OrderedDict()
        self._regions: OrderedDict[tuple[Hashable, Hashable], tuple[Any, int]] = OrderedDict()
        self._regions_size = 0
        self._lock = threading.Lock()

    @property
    def largest_decoded(self) -> int:
        """Bytes above which a read's decoded regions would only push out one another, and are not worth keeping."""
        return self.limit // 2

    def get(self, key: Hashable) -> Payload | None:
        """Give the payload kept under `key`, or None."""
        with self._lock:
            payload = self._entries.get(key)
            if payload is not None:
                self._entries.move_to_end(key)
            return payload

    def put(self, key: Hashable, payload: Payload) -> None:
        """Keep a payload, and let go of what is over the limit."""
        cost = _cost(payload)
        if cost > self.limit:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = payload
            self.size += cost
            self._fit()

    def discard(self, key: Hashable) -> None:
        """Forget one payload."""
        with self._lock:
            self._drop(key)

    def decoded(self, chunk: Hashable, region: Hashable) -> Any:
        """Give what was decoded of a region of a chunk, or None; it is shared, so it must not be changed."""
        with self._lock:
            kept = self._regions.get((chunk, region))
            if kept is None:
                return None
            self._regions.move_to_end((chunk, region))
            return kept[0]

    def keep(self, chunk: Hashable, region: Hashable, decoded: Any, size: int) -> None:
        """Keep what was decoded of a region, `size` bytes of it."""
        size += _OVERHEAD
        if size > self.largest_decoded:
            return
        with self._lock:
            self._drop_region((chunk, region))
            self._regions[chunk, region] = decoded, size
            self._regions_size += size
            self.size += size
            self._fit()

    def discard_decoded(self, chunk: Hashable) -> None:
        """Forget what was decoded of a chunk."""
        with self._lock:
            for name in [name for name in self._regions if name[0] == chunk]:
                self._drop_region(name)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._regions.clear()
            self.size = self._regions_size = 0

    def _fit(self) -> None:
        while self.size > self.limit:
            if self._regions_size > self.limit // 2:
                self._drop_region(next(iter(self._regions)))
            else:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.size -= _cost(old)

    def _drop_region(self, name: tuple[Hashable, Hashable]) -> None:
        old = self._regions.pop(name, None)
        if old is not None:
            self.size -= old[1]
            self._regions_size -= old[1]

    def __len__(self) -> int:
        return len(self._entries) + len(self._regions)

    def __repr__(self) -> str:
        return (
            f"ByteCache({len(self._entries)} payloads, {len(self._regions)} decoded regions, "
            f"{self.size} of {self.limit} bytes)"
        )


def _cost(payload: Payload) -> int:
    return _OVERHEAD + (len(payload.data) if payload.data is not None else 0)


CACHE = ByteCache(limit=256 * 2**20)
keep_free(CACHE._lock)


def clear_cache() -> None:
    """Forget every chunk and info document that this process has fetched or decoded, and every root it has looked up.

    A cache folder (`cache_dir`) and the volumes of living clients stay.

    Examples
    --------
    >>> clear_cache()
    """
    CACHE.clear()
    ROOTS.clear()
