"""Results that wait for their turn: in memory while they are few, beyond that in a file that no one else sees."""

from __future__ import annotations

import tempfile
import threading
from types import TracebackType
from typing import Self

__all__ = ["Shelf"]


class Shelf:
    """Bytes by number, up to a limit; what finds no room is not kept, and the caller has to make it again.

    Parameters
    ----------
    limit : int
        Bytes in all.
    in_memory : int
        Bytes that are held in memory; beyond them all lie in a temporary file, which ends with the shelf.

    Examples
    --------
    >>> with Shelf(limit=10, in_memory=100) as shelf:
    ...     shelf.put(7, b"voxels"), shelf.put(8, b"more voxels"), shelf.take(7), shelf.take(8)
    (True, False, b'voxels', None)
    """

    def __init__(self, limit: int, in_memory: int) -> None:
        self._limit = limit
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory, prefix="imageryclient-")  # noqa: SIM115
        self._spans: dict[int, tuple[int, int]] = {}
        self._end = 0
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> bool:
        """Keep bytes; False where there is no room for them, on the shelf or on the disk."""
        with self._lock:
            if self._end + len(data) > self._limit:
                return False
            try:
                self._file.seek(self._end)
                self._file.write(data)
                self._file.flush()
            except OSError:  # a full disk
                return False
            self._spans[number] = self._end, len(data)
            self._end += len(data)
            return True

    def take(self, number: int) -> bytes | None:
        """Give bytes, or None where they were not kept."""
        with self._lock:
            span = self._spans.pop(number, None)
            if span is None:
                return None
            self._file.seek(span[0])
            return self._file.read(span[1])

    def clear(self) -> None:
        """Forget everything, and use the room again."""
        with self._lock:
            self._spans.clear()
            self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
