"""Packs: the parts of many places in few files, until all of those that go together are there.

What is to lie in one file at the end is made in whatever order places are read. Each process adds what it has of a
place to a pack of its own, one for each range of so many places; at the end the packs of a range are put together in
the order of the places, and go. So there are never many more files than the output has, and its bytes do not depend on
who wrote what when.

A record is a head (what it is of, how long its parts are, a checksum of them, and one of the head), then the parts. A
process that is killed leaves whole records, and at most one torn one at the end of a pack, which counts as not written.
"""

from __future__ import annotations

import struct
import threading
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .workspace import append, writing

__all__ = ["OpenPack", "Packs"]

_MARK = b"ICPACK\x00\x01"
_CHECK = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class _Record:
    """Where the parts of a place lie."""

    file: BinaryIO
    offset: int
    lengths: tuple[int, ...]
    checksum: int


class Packs:
    """Files of parts; written from any thread, and by several processes at once, each into its own.

    Parameters
    ----------
    folder : pathlib.Path
        Where they lie.
    parts : int
        Of each place.
    places : int
        In a range: places 0 to `places - 1` are the first, and so on.

    Examples
    --------
    >>> import tempfile
    >>> packs = Packs(Path(tempfile.mkdtemp()), parts=2, places=10)
    >>> packs.add(13, [b"image", b"ids"])
    >>> packs.numbers()
    [1]
    >>> with packs.opened(1) as pack:
    ...     sorted(pack.places), pack.parts(13)
    ([13], [b'image', b'ids'])
    """

    def __init__(self, folder: Path, parts: int, places: int) -> None:
        self._folder = folder
        self._head = struct.Struct(f"<8sQ{parts}QI")
        self._places = places
        self._lock = threading.Lock()
        self._writer = uuid.uuid4().hex

    def add(self, place: int, parts: Sequence[bytes]) -> None:
        """Keep the parts of a place.

        Raises
        ------
        StorageError
            If the disk is full, or does not let it be written.
        """
        payload = b"".join(parts)
        head = self._head.pack(_MARK, place, *map(len, parts), zlib.crc32(payload))
        data = head + _CHECK.pack(zlib.crc32(head)) + payload
        with self._lock:
            path = self._folder / f"{place // self._places:06d}.{self._writer}.pack"
            try:
                append(path, data)
            except BaseException:
                self._writer = uuid.uuid4().hex  # behind a record that may be torn no other can be read
                raise

    def numbers(self) -> list[int]:
        """Give the ranges of which there is anything."""
        return sorted({int(path.name.partition(".")[0]) for path in self._folder.glob("*.pack")})

    @contextmanager
    def opened(self, number: int) -> Iterator[OpenPack]:
        """Open what there is of a range, to read it."""
        with ExitStack() as stack:
            records: dict[int, _Record] = {}
            for path in sorted(self._folder.glob(f"{number:06d}.*.pack")):
                file = stack.enter_context(path.open("rb"))
                records.update(self._records(file, path.stat().st_size))
            yield OpenPack(records)

    def _records(self, file: BinaryIO, size: int) -> Iterator[tuple[int, _Record]]:
        """Give the whole records of a file, up to one that is torn."""
        at, length = 0, self._head.size + _CHECK.size
        while at + length <= size:
            file.seek(at)
            head = file.read(length)
            if len(head) < length or zlib.crc32(head[: -_CHECK.size]) != _CHECK.unpack(head[-_CHECK.size :])[0]:
                return
            mark, place, *lengths, checksum = self._head.unpack(head[: -_CHECK.size])
            offset = at + length
            at = offset + sum(lengths)
            if mark != _MARK or at > size:
                return
            yield place, _Record(file, offset, tuple(lengths), checksum)

    def drop(self, number: int) -> None:
        """Remove what there is of a range."""
        for path in self._folder.glob(f"{number:06d}.*.pack"):
            with writing(path):
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class OpenPack:
    """What there is of a range of places."""

    records: Mapping[int, _Record]

    @property
    def places(self) -> set[int]:
        """The places there are."""
        return set(self.records)

    def parts(self, place: int) -> list[bytes] | None:
        """Give the parts of a place; None where there are none, or where they are damaged."""
        record = self.records.get(place)
        if record is None:
            return None
        record.file.seek(record.offset)
        payload = record.file.read(sum(record.lengths))
        if zlib.crc32(payload) != record.checksum:
            return None
        parts, at = [], 0
        for length in record.lengths:
            parts.append(payload[at : at + length])
            at += length
        return parts
