"""Bytes from a bucket of Google's, Amazon's or Azure's, or of a server that follows their rules.

Public buckets are read without credentials, at the plain address they have, unsigned. Where that is refused, the
credentials that are found are tried one after the other, and what works is remembered for the bucket.

What is absent and what is refused
----------------------------------
A bucket whose visitors may read but not list it answers 403, not 404, for a key that does not exist. Such an answer
is taken for an absence only on evidence: a key that surely does not exist is refused in the same way, and another key
of the same folder could be read in the same way. (Where others of the folder are being read, their answers are waited
for, and what a cache holds of it is asked for again.) Without evidence it is an error. An absence that is concluded so
is one like any other: a coverage records it, and a warning tells of it.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from ..cache import ABSENT, Payload
from ..cachefolder import CacheFolder
from ..errors import AccessError
from ..forking import drop_in_child
from .address import Bucket
from .base import Patience, Span, walk_key
from .network import authorities
from .remote import RemoteStore
from .transfer import CredentialError
from .ways import Way, ways_to

__all__ = ["BucketStore"]

log = logging.getLogger(__name__)

_OUTDATED = re.compile("ExpiredToken|InvalidToken|TokenRefreshRequired|InvalidAccessKeyId|401 Unauthorized")
_SAID = re.compile(r"access refused \((.*?)\):")


class BucketStore(RemoteStore):
    """A folder of a bucket; what was sent is kept in the cache of the process.

    Parameters
    ----------
    url : str
        The folder's address, for messages.
    bucket : Bucket
        The bucket.
    path : str
        The folder within it.
    patience : Patience
        Time-outs and tries.
    disk : CacheFolder, optional
        Where to keep, between processes, what was sent.
    """

    def __init__(
        self, url: str, bucket: Bucket, path: str, patience: Patience, disk: CacheFolder | None = None
    ) -> None:
        super().__init__(url, disk)
        self._bucket = bucket
        self._folders = [folder for folder in path.split("/") if folder]
        self._access = _access(bucket, patience, authorities())

    @property
    def identity(self) -> tuple[Bucket, str]:
        """The bucket and the folder; the credentials are those of the process."""
        return self._bucket, "/".join(self._folders)

    def _read(self, key: str, span: Span) -> Payload:
        return self._access.read(self._locate(key), span, f"{self.url}/{key}")

    def _found(self, key: str) -> None:
        self._access.hint(self._locate(key))

    def _forget(self, key: str) -> None:
        self._access.forget(self._locate(key))

    def _locate(self, key: str) -> str:
        climb, path = walk_key(key)
        return "/".join([*self._folders[: max(0, len(self._folders) - climb)], path])


@lru_cache(maxsize=64)
def _access(bucket: Bucket, patience: Patience, trusted: tuple[str, ...]) -> _Access:
    return _Access(bucket, patience)


drop_in_child(_access.cache_clear)


class _Access:
    """How a bucket is reached: found out by the first read, remembered for the process."""

    def __init__(self, bucket: Bucket, patience: Patience) -> None:
        self._bucket = bucket
        self._patience = patience
        self._finding = threading.RLock()
        self._way: Way | None = None
        self._others: Iterator[Way] | None = None  # those not tried yet
        self._tried: list[str] = []
        self._notes: list[str] = []
        self._news = threading.Condition()
        # By way and folder: how many reads are under way, whether any was let in, whether absences are refused.
        self._reading: Counter[tuple[Way, str]] = Counter()
        self._readable: set[tuple[Way, str]] = set()
        self._hiding: dict[tuple[Way, str], bool] = {}
        self._known: dict[str, str] = {}  # by folder, a path that was read at another time, as a cache tells

    def read(self, path: str, span: Span, place: str) -> Payload:
        way = self._way
        if way is None:
            with self._finding:  # one finds the way, the others wait for it
                if self._way is None:
                    return self._find_first(path, span, place)
                way = self._way
        try:
            return self._ask(way, path, span, place)
        except AccessError as error:
            refusal = str(error)
        with self._finding:
            if self._way is way and _OUTDATED.search(refusal):
                self._way = None  # the environment may hold newer ones by now
                return self._find_first(path, span, place)
            if self._way is way:
                payload = self._find(path, span, place)  # another may know more
                if payload is not None:
                    return payload
        if self._way is not way:
            return self.read(path, span, place)
        hides = self._hides(way, path, place)
        if hides and self._reads(way, path, place):
            return ABSENT
        found = _SAID.search(refusal)
        said = f"{place}: access refused ({found.group(1) if found else refusal}) {way.name}. "
        if hides:
            said += "The bucket answers so for what does not exist, too, and nothing of the same folder can be read. "
        raise AccessError(f"{said}{self._history}")

    def hint(self, path: str) -> None:
        """Take note of a path that is known to exist."""
        self._known[path.rpartition("/")[0]] = path

    def forget(self, path: str) -> None:
        if self._way is not None:
            self._way.forget(path)

    def _find_first(self, path: str, span: Span, place: str) -> Payload:
        self._tried.clear()
        self._notes.clear()
        self._others = ways_to(self._bucket, self._patience, self._notes)
        try:
            payload = self._find(path, span, place)
        finally:
            if self._way is None:
                self._others = None  # all are tried anew the next time
        if payload is None:
            raise AccessError(f"{place}: access refused. {self._history}")
        return payload

    def _find(self, path: str, span: Span, place: str) -> Payload | None:
        """Read in the first of the ways not tried yet that is let in; None where none is."""
        for way in self._others or ():
            try:
                payload = self._ask(way, path, span, place)
            except (AccessError, CredentialError) as error:
                said = _SAID.search(str(error))
                self._tried.append(f"{way.name} ({said.group(1) if said else error})")
            else:
                log.debug("%s is read %s", self._bucket.url, way.name)
                self._way = way
                return payload
        self._others = None
        return None

    def _ask(self, way: Way, path: str, span: Span, place: str) -> Payload:
        folder = (way, path.rpartition("/")[0])
        with self._news:
            self._reading[folder] += 1
        payload = None
        try:
            payload = way.read(path, span, place)
        finally:
            with self._news:
                self._reading[folder] -= 1
                if payload is not None and payload.data is not None:
                    self._readable.add(folder)
                self._news.notify_all()
        return payload

    def _hides(self, way: Way, path: str, place: str) -> bool:
        """Tell whether what surely does not exist in a path's folder is refused, not said to be absent."""
        folder = path.rpartition("/")[0]
        with self._finding:
            if (way, folder) not in self._hiding:
                never = f"{folder}/imageryclient-never-written-{uuid.uuid4().hex}".lstrip("/")
                try:
                    self._hiding[way, folder] = way.read(never, None, place).data is not None
                except AccessError:
                    self._hiding[way, folder] = True
            return self._hiding[way, folder]

    def _reads(self, way: Way, path: str, place: str) -> bool:
        """Tell whether anything of a path's folder can be read."""
        folder = path.rpartition("/")[0]
        name = (way, folder)
        with self._news:
            self._news.wait_for(lambda: name in self._readable or not self._reading[name], self._patience.timeout)
            if name in self._readable or folder not in self._known:
                return name in self._readable
        try:
            return self._ask(way, self._known[folder], (0, 1), place).data is not None
        except AccessError:
            return False

    @property
    def _history(self) -> str:
        tried = f"Tried: {'; '.join(self._tried)}. " if self._tried else ""
        missed = f"Not found: {'; '.join(self._notes)}. " if self._notes else ""
        return f"{tried}{missed}Give the credentials of an account that may read {self._bucket.url}, or ask its owner"
