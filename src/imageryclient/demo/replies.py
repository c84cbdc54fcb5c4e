"""What a server was asked and what it answers, apart from sockets."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload
from urllib.parse import parse_qsl

__all__ = ["Reply", "Request", "RequestLog", "json_reply", "text_reply"]


@dataclass(slots=True)
class Request:
    """One request, and what became of it.

    Parameters
    ----------
    method, path, query : str
        As they came, percent signs and all; the query without its question mark.
    headers : dict of str to str
        As they came. Not part of the repr, for they may hold a token.
    body : bytes
        What came with it.
    status : int, optional
        The status of the answer; None until then, and where the connection was reset.
    sent : int
        Bytes of the answer's body.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    status: int | None = None
    sent: int = 0

    @property
    def arguments(self) -> dict[str, str]:
        """The query, decoded; of a name that comes twice the last counts."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def header(self, name: str) -> str:
        """Give a header by its name in any case, "" where it is absent."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    def accepts_gzip(self) -> bool:
        """Tell whether the answer may be compressed."""
        return "gzip" in self.header("Accept-Encoding").lower()


class RequestLog(Sequence[Request]):
    """The requests that a server got, in the order of their arrival; fit for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Request] = []

    def add(self, request: Request) -> None:
        """Put a request at the end."""
        with self._lock:
            self._entries.append(request)

    def clear(self) -> None:
        """Forget all requests so far."""
        with self._lock:
            self._entries.clear()

    @property
    def paths(self) -> list[str]:
        """The path of each."""
        return [request.path for request in self]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Request]:
        with self._lock:
            return iter(list(self._entries))

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> list[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | list[Request]:
        with self._lock:
            return self._entries[index]

    def __repr__(self) -> str:
        return f"RequestLog({len(self)} requests)"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Parameters
    ----------
    status : int
        HTTP status.
    body : bytes
        What is sent.
    headers : mapping of str to str
        Without Content-Length, which follows from `body` and `length`.
    length : int, optional
        Content-Length, where it is not that of `body`: the body of a HEAD, or one that breaks off.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None

    @property
    def content_length(self) -> int:
        """What Content-Length says."""
        return len(self.body) if self.length is None else self.length

    def with_headers(self, **headers: str) -> Reply:
        """Give the reply with more headers; underscores stand for hyphens."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})

    def compressed(self) -> Reply:
        """Give the reply with its body gzipped, as PyChunkedGraph sends its successes."""
        if not 200 <= self.status < 300 or "Content-Encoding" in self.headers:
            return self
        packed = replace(self, body=gzip.compress(self.body, compresslevel=1, mtime=0))
        return packed.with_headers(Content_Encoding="gzip", Vary="Accept-Encoding")


def json_reply(value: Any, status: int = 200) -> Reply:
    """Give a value as JSON.

    Examples
    --------
    >>> json_reply([0, 1]).body
    b'[0,1]'
    """
    body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json"})


def text_reply(text: str, status: int = 200, kind: str = "text/html; charset=utf-8") -> Reply:
    """Give a text.

    Examples
    --------
    >>> text_reply("Unauthorized", 401).status
    401
    """
    return Reply(status, text.encode(), {"Content-Type": kind})
