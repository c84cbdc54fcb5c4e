"""Answers that obstore does not take: of a length not said beforehand, or whose headers matter; through urllib3."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..cache import ABSENT, Payload
from ..errors import AccessError, ImageryError, NotFoundError, StorageError, StorageTimeoutError
from .base import BrokenAnswerError, Patience, Span
from .failures import cloud_code
from .masking import masked
from .network import http_pool

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["asked_pause", "cut", "part", "quoted", "read", "region_of"]

_PIECE = 1 << 18
_PASSING = (429, 500, 502, 503, 504)
_BREAKS = 3


def quoted(path: str) -> str:
    """Give a key as it stands in an address.

    Examples
    --------
    >>> quoted("my data/50%")
    'my%20data/50%25'
    """
    return quote(path, safe="/~-._")


def read(address: str, span: Span, headers: Mapping[str, str], patience: Patience, place: str, cure: str) -> Payload:
    """GET an address, or a span of its bytes, whatever way the server frames them.

    Raises
    ------
    AccessError, StorageError, StorageTimeoutError, DamagedDataError
        As a store does.
    """
    ranged = {}
    if span:
        ranged["Range"] = f"bytes={span[0]}" if span[0] < 0 else f"bytes={span[0]}-{span[1] - 1}"
    breaks = 0
    pauses = [*patience.pauses(), None]
    for pause in pauses:
        try:
            status, encoding, data = _exchange(address, {**headers, **ranged}, patience, place)
        except BrokenAnswerError:
            breaks += 1
            if breaks == _BREAKS or pause is None:
                raise
        else:
            if status < 300:
                payload = Payload(data, encoding)
                return part(payload, span) if span and status != 206 else payload
            if status == 404:
                return ABSENT
            if status not in _PASSING or pause is None:
                raise _refused(status, data, place, cure)
        if pause is not None:
            time.sleep(pause)
    raise AssertionError("unreachable")


def part(payload: Payload, span: tuple[int, int]) -> Payload:
    """Give a span of the bytes of a whole file; what a server put on for the way is undone first.

    Examples
    --------
    >>> part(Payload(b"abcdef"), (2, 4)).data
    b'cd'
    """
    if payload.data is None:
        return payload
    data = payload.data
    if payload.encoding not in ("", "identity"):
        from ..precomputed.codecs import decompress

        data = bytes(decompress(data, payload.encoding))
    return Payload(data[span[0] : None if span[0] < 0 else span[1]])


def cut(pieces: Iterable[bytes], span: tuple[int, int]) -> bytes:
    """Give a span of bytes that come in pieces, and read no further.

    Examples
    --------
    >>> cut([b"abc", b"def", b"ghi"], (2, 4))
    b'cd'
    """
    kept, begin = [], 0
    for piece in pieces:
        kept.append(piece[max(0, span[0] - begin) : max(0, span[1] - begin)])
        begin += len(piece)
        if begin >= span[1]:
            break
    return b"".join(kept)


def asked_pause(address: str, headers: Mapping[str, str], patience: Patience) -> float | None:
    """Ask a busy server how long to wait: seconds, 0 if it is busy no more, None if it does not say."""
    from urllib3 import Timeout, exceptions

    try:
        response = http_pool(address).request(
            "GET",
            address,
            headers={**headers, "Range": "bytes=0-0"},
            timeout=Timeout(connect=patience.connect_timeout, read=patience.timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        response.release_conn()
        response.close()
    except exceptions.HTTPError:
        return None
    if response.status not in _PASSING:
        return 0.0
    return _seconds(response.headers.get("Retry-After", ""))


def region_of(address: str, patience: Patience) -> str | None:
    """Ask in which region a bucket lies; Amazon says so to anyone."""
    from urllib3 import Timeout, exceptions

    try:
        response = http_pool(address).request(
            "HEAD", address, timeout=Timeout(total=patience.timeout), retries=False, redirect=False
        )
    except exceptions.HTTPError:
        return None
    return response.headers.get("x-amz-bucket-region")


def _exchange(address: str, headers: Mapping[str, str], patience: Patience, place: str) -> tuple[int, str, bytes]:
    from urllib3 import Retry, Timeout, exceptions

    try:
        response = http_pool(address).request(
            "GET",
            address,
            headers={"Accept-Encoding": "gzip", "User-Agent": "imageryclient", **headers},
            timeout=Timeout(connect=patience.connect_timeout, read=patience.timeout),
            retries=Retry(total=3, status=0, raise_on_status=False),  # a token stays behind where a redirect leads away
            preload_content=False,
            decode_content=False,
        )
        data = _body(response, time.monotonic() + patience.timeout)
    except (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError, TimeoutError):
        raise StorageTimeoutError(
            f"{place}: no answer in time; the server hangs or is overloaded, try again later"
        ) from None
    except (exceptions.ProtocolError, exceptions.IncompleteRead):
        raise BrokenAnswerError(f"{place}: the server's answer breaks off before its end") from None
    except exceptions.HTTPError as error:
        reason = type(getattr(error, "reason", None) or error).__name__
        raise StorageError(f"{place}: the server cannot be reached, or it breaks the connection ({reason})") from None
    return response.status, response.headers.get("Content-Encoding", ""), data


def _body(response: BaseHTTPResponse, deadline: float) -> bytes:
    pieces = []
    try:
        for piece in response.stream(_PIECE, decode_content=False):
            pieces.append(piece)
            if time.monotonic() > deadline:
                response.close()
                raise TimeoutError
    finally:
        response.release_conn()
    return b"".join(pieces)


def _refused(status: int, body: bytes, place: str, cure: str) -> ImageryError:
    text = body[:2000].decode("utf-8", "replace")
    code = cloud_code(text)
    failure: StorageError
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return NotFoundError(f"{place}: there is no such bucket ({code}); check its name")
    if status in (401, 403):
        failure = AccessError(f"{place}: access refused ({status}{f', {code}' if code else ''}): {cure}")
    else:
        failure = StorageError(f"{place}: the server answered {status}: {masked(' '.join(text.split()))[:200]}")
    failure.status = status
    return failure


def _seconds(value: str) -> float | None:
    from email.utils import parsedate_to_datetime

    value = value.strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
