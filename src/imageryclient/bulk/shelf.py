"""Pieces that wait for their turn: in memory while they are few, beyond that in a file that no one else sees.

What stays in memory of a piece in the file are three numbers. The file grows to a limit and is written anew from its
beginning after `clear`; it has no name that others could open, and ends with the shelf or the process.
"""

from __future__ import annotations

import tempfile
import threading
from types import TracebackType
from typing import Self

__all__ = ["Shelf"]


class Shelf:
    """Pieces, in bytes, by the number of what they belong to, up to a limit; from any thread.

    A number of which a piece finds no room is dropped as a whole: the caller has to make it again.

    Parameters
    ----------
    limit : int
        Bytes in all.
    in_memory : int
        Bytes that are held in memory; beyond them all lie in a temporary file, which ends with the shelf.

    Examples
    --------
    >>> with Shelf(limit=10, in_memory=100) as shelf:
    ...     shelf.put(7, b"some"), shelf.put(8, b"more"), shelf.put(7, b"of"), shelf.put(8, b"voxels")
    ...     shelf.take(7), shelf.take(8)
    (True, True, True, False)
    ([b'some', b'of'], None)
    """

    def __init__(self, limit: int, in_memory: int) -> None:
        self._limit = limit
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory, prefix="imageryclient-")  # noqa: SIM115
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._dropped: set[int] = set()
        self._end = 0
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> bool:
        """Keep a piece of a number; False where there is no room for all of them, on the shelf or on the disk."""
        with self._lock:
            if number in self._dropped:
                return False
            if self._end + len(data) > self._limit or not self._written(data):
                self._dropped.add(number)
                self._spans.pop(number, None)
                return False
            self._spans.setdefault(number, []).append((self._end, len(data)))
            self._end += len(data)
            return True

    def _written(self, data: bytes) -> bool:
        try:
            self._file.seek(self._end)
            self._file.write(data)
            self._file.flush()
        except OSError:  # a full disk
            return False
        return True

    def take(self, number: int) -> list[bytes] | None:
        """Give the pieces of a number, as they were put; None where they were not kept, or taken before."""
        with self._lock:
            spans = self._spans.pop(number, None)
            return None if spans is None else [self._read(*span) for span in spans]

    def _read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        return self._file.read(size)

    def drop(self, number: int) -> None:
        """Forget the pieces of a number, which may be put anew."""
        with self._lock:
            self._spans.pop(number, None)
            self._dropped.discard(number)

    def clear(self) -> None:
        """Forget everything, and use the room again."""
        with self._lock:
            self._spans.clear()
            self._dropped.clear()
            self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
