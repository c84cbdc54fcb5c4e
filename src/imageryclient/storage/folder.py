"""Bytes from a folder on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache import ABSENT, Payload
from ..cloudpath import file_path
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

    def _ask(self, key: str, call: Callable[[LocalStore, str], bytes], suffix: str = "") -> bytes | None:
        folder, path = self._locate(key)
        if not folder.is_dir():
            return None
        try:
            return call(_local_store(str(folder)), path + suffix)
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


@lru_cache(maxsize=64)
def _local_store(folder: str) -> LocalStore:
    from obstore.store import LocalStore

    return LocalStore(folder)
