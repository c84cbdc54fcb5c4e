"""Bytes by key and by range, from folders and web servers, through obstore.

A `Store` answers with the bytes as they are stored and how they are compressed; it never decodes. What is not
there is an absent payload, what is refused or broken is an error: 403 is not 404. Tries, pauses and time-outs
are bounded, so a server that hangs or fails makes an error in known time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from .cache import ABSENT, CACHE, Payload
from .cachefolder import CacheFolder
from .cloudpath import file_path
from .errors import AccessError, DamagedDataError, ImageryError, StorageError, StorageTimeoutError

if TYPE_CHECKING:
    from obstore.store import HTTPStore, LocalStore

__all__ = ["BrokenAnswerError", "FolderStore", "Patience", "Store", "WebStore", "open_store"]

log = logging.getLogger(__name__)

_opening = threading.Lock()

_INFO = "info"  # read anew by each process: scales are added to volumes, chunks are not changed
_SIBLINGS = {".gz": "gzip", ".br": "br", ".zstd": "zstd"}  # as CloudVolume names them on disk


class BrokenAnswerError(DamagedDataError):
    """An answer that breaks off before its end, however often it is asked for: trying again is of no use."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait and how often to try again.

    Parameters
    ----------
    timeout : float
        Seconds one request may take.
    connect_timeout : float
        Seconds to reach the server.
    tries : int
        How often a request is made at most.
    pause, longest_pause : float
        Seconds before the second try, doubled for each later one up to `longest_pause`.
    """

    timeout: float = 30.0
    connect_timeout: float = 5.0
    tries: int = 6
    pause: float = 0.05
    longest_pause: float = 0.5

    def pauses(self) -> list[float]:
        """Seconds to wait before each further try."""
        return [min(self.pause * 2**n, self.longest_pause) for n in range(self.tries - 1)]


class Store(Protocol):
    """Where encoded chunks lie."""

    @property
    def url(self) -> str:
        """The address that keys are relative to."""
        ...

    def get(self, key: str) -> Payload:
        """Give all bytes under `key`; an absent payload when there are none."""
        ...

    def get_range(self, key: str, start: int, stop: int) -> Payload:
        """Give bytes `start` to `stop` of what lies under `key`."""
        ...

    def cached(self, key: str, span: tuple[int, int] | None = None) -> Payload | None:
        """Give what is at hand without asking the storage, or None."""
        ...

    def forget(self, key: str, span: tuple[int, int] | None = None) -> None:
        """Drop what is at hand, so that the next `get` fetches again."""
        ...


def open_store(
    url: str, token: str | None = None, patience: Patience | None = None, disk: CacheFolder | None = None
) -> Store:
    """Open the folder or the web address `url`.

    Parameters
    ----------
    url : str
        `file:///…`, `http://…` or `https://…`, as in `CloudPath.url`.
    token : str, optional
        Sent as a bearer token to this server, and to no other.
    patience : Patience, optional
        Time-outs and tries.
    disk : CacheFolder, optional
        Where to keep, between processes, what a server sent.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "info").write_bytes(b"{}")
    >>> open_store(folder.as_uri()).get("info").data
    b'{}'
    """
    if url.startswith("file://"):
        return FolderStore(url)
    return WebStore(url, token, patience or Patience(), disk)


class FolderStore:
    """A folder on disk. A chunk `NAME` may be stored as `NAME`, `NAME.gz`, `NAME.br` or `NAME.zstd`.

    Nothing is cached: the operating system does, and files may change.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._folder: Path = file_path(url)
        self._suffix = ""  # the one found last is looked for first

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
        """Give bytes `start` to `stop` of the file `key`."""
        data = self._ask(key, lambda store, path: bytes(store.get_range(path, start=start, end=stop)))
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
            raise _translated(
                error, f"{self.url}/{key}", "the file's permissions do not let this user read it"
            ) from None

    def _locate(self, key: str) -> tuple[Path, str]:
        climb, path = _walked(key)
        folder = self._folder
        for _ in range(climb):
            folder = folder.parent
        return folder, path

    def __repr__(self) -> str:
        return f"FolderStore({self.url!r})"


class WebStore:
    """A web server's folder; what it sent is kept in the cache of the process."""

    def __init__(self, url: str, token: str | None, patience: Patience, disk: CacheFolder | None = None) -> None:
        self.url = url
        self._token = token
        self._patience = patience
        self._disk = disk

    def get(self, key: str) -> Payload:
        """Give all bytes under `key`, with the Content-Encoding the server names."""

        def call(store: HTTPStore, path: str) -> Payload:
            result = store.get(path)
            encoding = str(result.attributes.get("Content-Encoding", ""))
            return Payload(bytes(result.bytes()), encoding)

        return self._keep(key, None, call)

    def get_range(self, key: str, start: int, stop: int) -> Payload:
        """Give bytes `start` to `stop` of what lies under `key`."""

        def call(store: HTTPStore, path: str) -> Payload:
            return Payload(bytes(store.get_range(path, start=start, end=stop)))

        return self._keep(key, (start, stop), call)

    def cached(self, key: str, span: tuple[int, int] | None = None) -> Payload | None:
        """Give what the cache holds, or None."""
        return CACHE.get(self._name(key, span))

    def forget(self, key: str, span: tuple[int, int] | None = None) -> None:
        """Drop what the cache holds."""
        CACHE.discard(self._name(key, span))
        if self._disk is not None:
            self._disk.discard(self._name_on_disk(key, span))

    def _name(self, key: str, span: tuple[int, int] | None) -> tuple[object, ...]:
        return (self.url, self._token, key, span)

    def _keep(self, key: str, span: tuple[int, int] | None, call: Callable[[HTTPStore, str], Payload]) -> Payload:
        payload = self.cached(key, span)
        if payload is None:
            disk = None if key == _INFO else self._disk
            payload = None if disk is None else disk.get(self._name_on_disk(key, span))
            if payload is None:
                payload = self._ask(key, call)
                if disk is not None:
                    disk.put(self._name_on_disk(key, span), payload)
            CACHE.put(self._name(key, span), payload)
        return payload

    def _name_on_disk(self, key: str, span: tuple[int, int] | None) -> str:
        # The folder turns names into digests, so that the token is not to be read there.
        return repr(self._name(key, span))

    def _ask(self, key: str, call: Callable[[HTTPStore, str], Payload]) -> Payload:
        place = f"{self.url}/{key}"
        server, path = self._locate(key)
        store = _web_store(server, self._token, self._patience)
        # obstore tries again when a server answers 429 or 5xx or not at all. A body that broke off it only resumes,
        # where the server names a version (ETag) and knows ranges.
        for pause in [*self._patience.pauses()[:2], None]:
            try:
                return call(store, path)
            except FileNotFoundError:
                return ABSENT
            except Exception as error:
                again = _broke_off(error)
                failure = _translated(error, place, self._cure, self._token)
            # Raised out here, ours does not carry obstore's along, which quotes what the server says.
            if not again:
                raise failure
            if pause is not None:
                log.debug("the answer for %s broke off; trying again", place)
                time.sleep(pause)
        raise BrokenAnswerError(f"{place}: the server's answer breaks off before its end")

    def _locate(self, key: str) -> tuple[str, str]:
        # The store begins at the server, as obstore quotes keys rightly but not the address of the store.
        parts = urlsplit(self.url)
        climb, path = _walked(key)
        folders = [folder for folder in unquote(parts.path).split("/") if folder]
        return f"{parts.scheme}://{parts.netloc}", "/".join([*folders[: max(0, len(folders) - climb)], path])

    @property
    def _cure(self) -> str:
        if self._token:
            return "the token given is not accepted there, or has no permission; get a new one or ask the data's owner"
        return (
            "no token was sent. If a CAVE server keeps these data, write middleauth+ before https:// in the source and "
            "pass auth_token=; otherwise ask the data's owner for permission"
        )

    def __repr__(self) -> str:
        return f"WebStore({self.url!r})"


@lru_cache(maxsize=64)
def _local_store(folder: str) -> LocalStore:
    from obstore.store import LocalStore

    return LocalStore(folder)


def _web_store(url: str, token: str | None, patience: Patience) -> HTTPStore:
    with _opening:  # making one takes 10 ms, most of it for certificates, so layers that open together make one
        return _opened_web_store(url, token, patience)


@lru_cache(maxsize=64)
def _opened_web_store(url: str, token: str | None, patience: Patience) -> HTTPStore:
    from obstore.store import HTTPStore

    return HTTPStore.from_url(
        url,
        client_options={
            "allow_http": True,
            "timeout": timedelta(seconds=patience.timeout),
            "connect_timeout": timedelta(seconds=patience.connect_timeout),
            **({"default_headers": {"Authorization": f"Bearer {token}"}} if token else {}),
        },
        retry_config={
            "max_retries": patience.tries - 1,
            "backoff": {
                "init_backoff": timedelta(seconds=patience.pause),
                "max_backoff": timedelta(seconds=patience.longest_pause),
                "base": 2,
            },
            "retry_timeout": timedelta(seconds=min(10.0, patience.timeout)),
        },
    )


def _walked(key: str) -> tuple[int, str]:
    """Give how many folders a key climbs, and the path from there.

    Keys such as "../other/8_8_40" are legal in an info document; obstore takes neither those nor empty parts.
    """
    climb, path = 0, list[str]()
    for part in key.split("/"):
        if part != "..":
            path += [part] if part not in ("", ".") else []
        elif path:
            path.pop()
        else:
            climb += 1
    return climb, "/".join(path)


def _broke_off(error: Exception) -> bool:
    from obstore import exceptions

    text = str(error)
    if "Range request not supported" in text:  # so ends resuming at a server that knows no ranges
        return not isinstance(error, exceptions.NotSupportedError)
    return "body error" in text


def _translated(error: Exception, place: str, cure: str, secret: str | None = None) -> ImageryError:
    """Turn obstore's error into ours, without its debugging dump."""
    from obstore import exceptions

    text = str(error)
    reason = " ".join(text.split("\n\nDebug source")[0].split())
    reason = (reason.replace(secret, "***") if secret else reason)[:300]  # servers may repeat what they were sent
    if isinstance(error, (exceptions.UnauthenticatedError, PermissionError, exceptions.PermissionDeniedError)):
        return AccessError(f"{place}: access refused ({_status(reason) or 'permission denied'}): {cure}")
    if "operation timed out" in text or "TimedOut" in text or "kind: Timeout" in text:
        return StorageTimeoutError(f"{place}: no answer in time; the server hangs or is overloaded, try again later")
    if "kind: Connect" in text:
        return StorageError(f"{place}: the server cannot be reached, or it breaks the connection; check the address")
    if "Requested range was invalid" in text or _status(reason).startswith("416"):
        return DamagedDataError(f"{place}: ends before the bytes that its index names")
    return StorageError(f"{place}: could not be read: {reason}")


def _status(reason: str) -> str:
    _, found, status = reason.partition("status code: ")
    return status.split(":")[0].strip() if found else ""
