"""Which places are done: a line for each, written after its files, by as many processes as there are.

A process that is killed leaves whole lines, and at most one torn one, which counts as not written: its place is made
again, with the same bytes. No process writes into the file of another.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .workspace import append

__all__ = ["Entry", "JournalWriter", "Ledger", "read_journal"]


@dataclass(frozen=True, slots=True)
class Entry:
    r"""A place that is done.

    Parameters
    ----------
    place : int
        Its number, in the order of the points.
    covered : tuple of float
        For each layer, the share of its voxels that come from data.
    voxels : tuple of int
        For each mask, the voxels that it has.

    Examples
    --------
    >>> line = Entry(7, (1.0, 0.5), (12,)).line()
    >>> line
    b'{"place":7,"covered":[1.0,0.5],"voxels":[12]}\n'
    >>> Entry.parse(line), Entry.parse(line[:-3])
    (Entry(place=7, covered=(1.0, 0.5), voxels=(12,)), None)
    """

    place: int
    covered: tuple[float, ...]
    voxels: tuple[int, ...] = ()

    def line(self) -> bytes:
        """Give the entry as a line of JSON."""
        document = {"place": self.place, "covered": self.covered, "voxels": self.voxels}
        return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Entry | None:
        """Read a line; None for a torn one."""
        if not line.endswith(b"\n"):
            return None
        try:
            document: Any = json.loads(line)
            covered, voxels = (tuple(document[name]) for name in ("covered", "voxels"))
            return cls(int(document["place"]), tuple(map(float, covered)), tuple(map(int, voxels)))
        except (ValueError, TypeError, KeyError):
            return None


class JournalWriter:
    """Adds lines to a journal of its own; made for one process and one thread at a time.

    Parameters
    ----------
    folder : pathlib.Path
        Where the journals lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = self._fresh()

    def _fresh(self) -> Path:
        return self._folder / f"{uuid.uuid4().hex}.jsonl"

    def add(self, entries: Iterable[Entry]) -> None:
        """Write that places are done, in one go.

        Raises
        ------
        StorageError
            If the disk is full, or does not let it be written.
        """
        lines = b"".join(entry.line() for entry in entries)
        if not lines:
            return
        try:
            append(self._path, lines)
        except BaseException:
            self._path = self._fresh()  # behind a line that may be torn no other can be read
            raise


def read_journal(folder: Path) -> Iterator[Entry]:
    """Give the entries of all journals in a folder, whole ones."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                entry = Entry.parse(line)
                if entry is not None:
                    yield entry


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """What is known of each place.

    Parameters
    ----------
    done : numpy.ndarray
        bool, shape (n,).
    covered : numpy.ndarray
        float64, shape (n, layers): the share of voxels that come from data; NaN where the place is not done.
    voxels : numpy.ndarray
        int64, shape (n, masks): the voxels of each mask; 0 where the place is not done.
    errors : dict of int to str
        Why places failed.
    """

    done: NDArray[np.bool_]
    covered: NDArray[np.float64]
    voxels: NDArray[np.int64]
    errors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, count: int, layers: int, masks: int) -> Ledger:
        """Give a ledger without entries."""
        return cls(np.zeros(count, np.bool_), np.full((count, layers), np.nan), np.zeros((count, masks), np.int64))

    def add(self, entries: Iterable[Entry]) -> None:
        """Take note of places that are done; those beyond the last place and of other columns are not."""
        for entry in entries:
            at = entry.place
            fits = (len(entry.covered), len(entry.voxels)) == (self.covered.shape[1], self.voxels.shape[1])
            if 0 <= at < len(self.done) and fits:
                self.done[at], self.covered[at], self.voxels[at] = True, entry.covered, entry.voxels
                self.errors.pop(at, None)

    def drop(self, places: Iterable[int], error: str) -> None:
        """Take note of places that are not done after all, and why."""
        for at in places:
            self.done[at], self.covered[at], self.voxels[at] = False, np.nan, 0
            self.errors[at] = error
