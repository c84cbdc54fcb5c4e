"""Bytes from a web server."""

from __future__ import annotations

import threading
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from ..cache import Payload
from ..cachefolder import CacheFolder
from ..forking import drop_in_child, keep_free
from .base import Patience, Span, walk_key
from .masking import keep_secret
from .network import authorities, client_options, retry_config
from .remote import RemoteStore
from .transfer import Transfer

__all__ = ["WebStore", "open_web"]

_opening = threading.Lock()
keep_free(_opening)

# Google sends files that are stored compressed decompressed, and of a length not said beforehand, to clients that do
# not say they take gzip. Others compress on the way where a client does say so, and then do not tell the length.
_STORED_COMPRESSED = ("storage.googleapis.com", "storage.cloud.google.com")


class WebStore(RemoteStore):
    """A web server's folder; what it sent is kept in the cache of the process.

    Parameters
    ----------
    url : str
        `http://…` or `https://…`.
    token : str, optional
        Sent as a bearer token to this server, and to no other: it stays behind where a redirect leads to another
        host, port or scheme.
    patience : Patience
        Time-outs and tries.
    disk : CacheFolder, optional
        Where to keep, between processes, what was sent.
    """

    def __init__(self, url: str, token: str | None, patience: Patience, disk: CacheFolder | None = None) -> None:
        super().__init__(url, disk)
        self._token = token
        self._patience = patience
        self._transfer: Transfer | None = None
        keep_secret(token)

    @property
    def identity(self) -> tuple[str, str | None]:
        """The address and the token: what one user may read is not shown to another."""
        return self.url, self._token

    def _read(self, key: str, span: Span) -> Payload:
        if self._transfer is None:
            # It begins at the server, as obstore quotes keys rightly but not the address of the store.
            parts = urlsplit(self.url)
            self._transfer = open_web(f"{parts.scheme}://{parts.netloc}", self._token, self._patience)
        return self._transfer.read(self._locate(key), span, f"{self.url}/{key}")

    def _forget(self, key: str) -> None:
        if self._transfer is not None:
            self._transfer.forget(self._locate(key))

    def _locate(self, key: str) -> str:
        climb, path = walk_key(key)
        folders = [folder for folder in unquote(urlsplit(self.url).path).split("/") if folder]
        return "/".join([*folders[: max(0, len(folders) - climb)], path])


def open_web(server: str, token: str | None, patience: Patience, *, suffixes: bool = True) -> Transfer:
    """Give the connections to a web server, made once; `suffixes` as for `Transfer`."""
    with _opening:  # making one takes 10 ms, most of it for certificates, so layers that open together make one
        return _opened(server, token, patience, suffixes, authorities())


@lru_cache(maxsize=64)
def _opened(server: str, token: str | None, patience: Patience, suffixes: bool, trusted: tuple[str, ...]) -> Transfer:
    from obstore.store import HTTPStore

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if (urlsplit(server).hostname or "").endswith(_STORED_COMPRESSED):
        headers["Accept-Encoding"] = "gzip"
    options = client_options(server, patience, headers, alone=True)
    store = HTTPStore.from_url(server, client_options=options, retry_config=retry_config(patience))
    return Transfer(store, server, patience, _cure(token), headers, suffixes=suffixes)


drop_in_child(_opened.cache_clear)


def _cure(token: str | None) -> str:
    if token:
        return "the token given is not accepted there, or has no permission; get a new one or ask the data's owner"
    return (
        "no token was sent. If a CAVE server keeps these data, write middleauth+ before https:// in the source and "
        "pass auth_token=; otherwise ask the data's owner for permission"
    )
