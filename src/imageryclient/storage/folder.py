"""Bytes from a folder on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cache import ABSENT, Payload
from ..cloudpath import file_path
from ..forking import note_threads, threads_are_lost
from .base import read_span, walk_key
from .failures import explained

if TYPE_CHECKING:
    from obstore.store import LocalStore

__all__ = ["FolderStore"]

_SIBLINGS = {".gz": "gzip", ".br": "br", ".zstd": "zstd"}  # as CloudVolume names them on disk


class FolderStore:
    """A folder on disk. A chunk `NAME` may be stored as `NAME`, `NAME.gz`, `NAME.br` or `NAME.zstd`.

    Nothing is cached: the operating system does, and files may change.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._folder: Path = file_path(url)
        self._suffix = ""  # the one found last is looked for first

    @property
    def identity(self) -> None:
        """None: files may change, so nothing is kept of them."""
        return None

    def get(self, key: str) -> Payload:
        """Give all bytes under `key`, or under `key` with a suffix that says how they are compressed."""
        suffixes = ["", *_SIBLINGS]
        suffixes.sort(key=lambda suffix: suffix != self._suffix)
        for suffix in suffixes:
            data = self._ask(key, lambda store, path: bytes(store.get(path).bytes()), suffix)
            if data is not None:
                self._suffix = suffix
                return Payload(data, _SIBLINGS.get(suffix, ""))
        return ABSENT

    def get_range(self, key: str, start: int, stop: int) -> Payload:
        """Give bytes `start` to `stop` of the file `key`, or its last -`start`."""
        data = self._ask(key, lambda store, path: read_span(store, path, (start, stop)))
        return ABSENT if data is None else Payload(data)

    def cached(self, key: str, span: tuple[int, int] | None = None) -> Payload | None:
        """Give None: a folder is read anew each time."""
        return None

    def forget(self, key: str, span: tuple[int, int] | None = None) -> None:
        """Do nothing, as nothing is kept."""

    def _ask(self, key: str, call: Callable[[Any, str], bytes], suffix: str = "") -> bytes | None:
        folder, path = self._locate(key)
        if not folder.is_dir():
            return None
        try:
            return call(_reader(folder), path + suffix)
        except FileNotFoundError:
            return None
        except Exception as error:
            failure = explained(error, f"{self.url}/{key}", "the file's permissions do not let this user read it")
        raise failure

    def _locate(self, key: str) -> tuple[Path, str]:
        climb, path = walk_key(key)
        folder = self._folder
        for _ in range(climb):
            folder = folder.parent
        return folder, path

    def __repr__(self) -> str:
        return f"FolderStore({self.url!r})"


def _reader(folder: Path) -> LocalStore | _PlainFolder:
    if threads_are_lost():
        return _PlainFolder(folder)
    note_threads()
    return _local_store(str(folder))


class _PlainFolder:
    """What is used of obstore's LocalStore, without its threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, path: str, *, options: dict[str, Any] | None = None) -> _Found:
        """Read a file, or its last bytes."""
        last = None if options is None else options["range"]["suffix"]
        return _Found(self._read(path, -last if last else 0))

    def get_range(self, path: str, *, start: int, end: int) -> bytes:
        """Read some bytes of a file."""
        return self._read(path, start, end - start)

    def _read(self, path: str, start: int, length: int = -1) -> bytes:
        try:
            with open(self._folder / path, "rb") as file:
                file.seek(max(0, start + file.seek(0, os.SEEK_END)) if start < 0 else start)
                return file.read(length)
        except IsADirectoryError:
            raise FileNotFoundError(path) from None


class _Found(NamedTuple):
    data: bytes

    def bytes(self) -> bytes:
        """Give them, as obstore's answers do."""
        return self.data


@lru_cache(maxsize=64)
def _local_store(folder: str) -> LocalStore:
    from obstore.store import LocalStore

    return LocalStore(folder)
