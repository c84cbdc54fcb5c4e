"""What stores beyond this machine share: what was sent is kept in the cache of the process and, on request, on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from ..cache import CACHE, Payload
from ..cachefolder import CacheFolder
from .base import Span

__all__ = ["RemoteStore"]

# Read anew by each process: scales are added to volumes, chunks are not changed.
_DOCUMENTS = frozenset({"info", "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata", "attributes.json"})


class RemoteStore(ABC):
    """Bytes by key from elsewhere, each fetched once.

    Parameters
    ----------
    url : str
        What keys are relative to.
    disk : CacheFolder, optional
        Where to keep, between processes, what was sent.
    """

    def __init__(self, url: str, disk: CacheFolder | None = None) -> None:
        self.url = url
        self._disk = disk

    @property
    @abstractmethod
    def identity(self) -> tuple[Hashable, ...]:
        """What tells its bytes from others' in the caches; it may hold a token, so it is not for showing."""

    @abstractmethod
    def _read(self, key: str, span: Span) -> Payload:
        """Fetch, whatever is at hand."""

    @abstractmethod
    def _forget(self, key: str) -> None:
        """Drop what connections keep of a file."""

    def _found(self, key: str) -> None:  # noqa: B027, what most need not know
        """Take note that a file was at hand, which was there when it was fetched."""

    def get(self, key: str) -> Payload:
        """Give all bytes under `key`, with the Content-Encoding the server names."""
        return self._keep(key, None)

    def get_range(self, key: str, start: int, stop: int) -> Payload:
        """Give bytes `start` to `stop` of what lies under `key`, or its last -`start`."""
        return self._keep(key, (start, stop))

    def cached(self, key: str, span: Span = None) -> Payload | None:
        """Give what the cache holds, or None."""
        return CACHE.get(self._name(key, span))

    def forget(self, key: str, span: Span = None) -> None:
        """Drop what the cache holds."""
        self._forget(key)
        CACHE.discard(self._name(key, span))
        if self._disk is not None:
            self._disk.discard(self._name_on_disk(key, span))

    def _keep(self, key: str, span: Span) -> Payload:
        payload = self.cached(key, span)
        if payload is None:
            disk = None if key.rpartition("/")[2] in _DOCUMENTS else self._disk
            payload = None if disk is None else disk.get(self._name_on_disk(key, span))
            if payload is None:
                payload = self._read(key, span)
                if disk is not None:
                    disk.put(self._name_on_disk(key, span), payload)
                CACHE.put(self._name(key, span), payload)
                return payload
            CACHE.put(self._name(key, span), payload)
        if payload.data is not None:
            self._found(key)
        return payload

    def _name(self, key: str, span: Span) -> tuple[Hashable, ...]:
        return (*self.identity, key, span)

    def _name_on_disk(self, key: str, span: Span) -> str:
        # The folder turns names into digests, so that a token is not to be read there.
        return repr(self._name(key, span))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
