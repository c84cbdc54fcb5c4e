"""Requests to CAVE's services: JSON and bytes, a bearer token, bounded tries, errors that say what to do."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ..errors import (
    AccessError,
    DamagedDataError,
    FormatError,
    ImageryError,
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)
from ..storage.base import Patience
from ..storage.failures import UNTRUSTED
from ..storage.masking import keep_secret, masked
from ..storage.network import http_pool

if TYPE_CHECKING:
    from urllib3 import Retry

__all__ = ["Rest"]

_PASSING = (429, 500, 502, 503, 504)  # states that may be over at the next try
_COMPRESS_OVER = 100_000  # bytes of a request body
_TRIES = 3  # for an answer that cannot be decompressed
_HURRY = 10.0  # seconds


class Rest:
    """A CAVE server that answers under one address.

    Parameters
    ----------
    url : str
        What every path is relative to.
    token : str, optional
        Sent to this server alone: urllib3 drops it when a redirect leads to another host.
    patience : Patience, optional
        Time-outs and tries.
    """

    def __init__(self, url: str, token: str | None = None, patience: Patience | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._patience = patience or Patience()
        keep_secret(token)

    @property
    def name(self) -> tuple[str, str | None]:
        """What tells answers of this server to this user from others; it holds the token, so it is not for showing."""
        return self.url, self._token

    def hurried(self) -> Rest:
        """Give the same server, asked with less patience: for answers that one can do without."""
        patience = replace(
            self._patience, timeout=min(self._patience.timeout, _HURRY), tries=min(self._patience.tries, 2)
        )
        return Rest(self.url, self._token, patience)

    def get_json(
        self, path: str, query: Mapping[str, str] | None = None, document: Any = None, *, final: Collection[int] = ()
    ) -> Any:
        """GET a JSON document; where one goes along, it is the request's body.

        A status that is `final` is an answer, and not asked about again.
        """
        body = None if document is None else json.dumps(document).encode()
        return self._json(self._request("GET", path, query, body, "application/json" if body else None, final), path)

    def post_json(
        self, path: str, document: Any, query: Mapping[str, str] | None = None, *, final: Collection[int] = ()
    ) -> Any:
        """POST a JSON document and give the answer's; `final` as for `get_json`."""
        body = json.dumps(document).encode()
        return self._json(self._request("POST", path, query, body, "application/json", final), path)

    def post_bytes(self, path: str, body: bytes, query: Mapping[str, str] | None = None) -> bytes:
        """POST bytes and give the answer's bytes."""
        return self._request("POST", path, query, body, "application/octet-stream")

    def _json(self, data: bytes, path: str) -> Any:
        try:
            return json.loads(data)
        except ValueError:
            start = masked(" ".join(data[:200].decode("utf-8", "replace").split()))[:80]
            raise FormatError(
                f"{self._address(path)} did not answer with JSON but with {start!r}; is the address right?"
            ) from None

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None = None,
        content_type: str | None = None,
        final: Collection[int] = (),
    ) -> bytes:
        from urllib3 import Timeout, exceptions

        headers = {"Accept-Encoding": "gzip", "User-Agent": "imageryclient"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if content_type:
            headers["Content-Type"] = content_type
        if body is not None and len(body) > _COMPRESS_OVER:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        address = self._address(path)
        url = f"{address}?{urlencode(query)}" if query else address
        for pause in [*self._patience.pauses()[: _TRIES - 1], None]:
            try:
                response = http_pool(url).request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=Timeout(connect=self._patience.connect_timeout, read=self._patience.timeout),
                    retries=_retries(self._patience, final),
                )
                break
            except exceptions.DecodeError:  # the one failure that urllib3 does not try again
                if pause is None:
                    raise DamagedDataError(f"{address}: the answer is damaged, it cannot be decompressed") from None
                time.sleep(pause)
            except exceptions.HTTPError as error:
                raise _unanswered(error, address) from None
        if response.status >= 300:
            raise self._refused(response.status, response.data, path, response.status in final)
        return response.data

    def _address(self, path: str) -> str:
        return f"{self.url}/{path}" if path else self.url

    def _refused(self, status: int, body: bytes, path: str, final: bool) -> ImageryError:
        error = self._refusal(status, body, path, final)
        if isinstance(error, StorageError):
            error.status = status
        return error

    def _refusal(self, status: int, body: bytes, path: str, final: bool) -> ImageryError:
        server = urlsplit(self.url)
        place = f"{server.scheme}://{server.netloc}"
        said = self._said(body)
        if status == 401 or (status in (301, 302, 303, 307, 308)):
            given = "the token given is not accepted" if self._token else "it asks for a token and none was given"
            return AccessError(
                f"{place} refused the request ({status}): {given}. Get a token with "
                "CAVEclient(server_address=…).auth.get_new_token(), keep it with client.auth.save_token(token=…), "
                f"or pass auth_token=…{said}"
            )
        if status == 403:
            return AccessError(
                f"{place} refused the request (403): this user has no permission for {self._address(path)}; "
                f"ask the data's owner, or accept the terms of service the server names{said}"
            )
        if status == 404:
            return NotFoundError(
                f"{self._address(path)} does not exist (404); check the name of the table or datastack{said}"
            )
        tries = f" after {self._patience.tries} tries" if status in _PASSING and not final else ""
        return StorageError(f"{self._address(path)}: the server answered {status}{tries}{said}")

    def _said(self, body: bytes) -> str:
        text = body[:2000].decode("utf-8", "replace")
        try:
            document = json.loads(text)
        except ValueError:
            document = text
        if isinstance(document, dict):
            document = document.get("message") or document.get("error") or ""
        words = masked(" ".join(str(document).split()))[:200]
        return f". The server said: {words}" if words and not words.startswith("<") else ""

    def __repr__(self) -> str:
        return f"Rest({self.url!r})"


def _unanswered(error: Exception, address: str) -> ImageryError:
    from urllib3 import exceptions

    reason = getattr(error, "reason", None) or error
    if isinstance(reason, exceptions.NewConnectionError):  # before the time-outs, of which it is one to urllib3
        return StorageError(f"{address}: the server cannot be reached; check the address and the network")
    if isinstance(reason, (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError)):
        return StorageTimeoutError(f"{address}: no answer in time; the server hangs or is overloaded, try again later")
    if isinstance(reason, exceptions.SSLError) and "certificate" in str(reason).lower():
        return StorageError(f"{address}: {UNTRUSTED}")
    if isinstance(reason, exceptions.ProtocolError) and "IncompleteRead" in str(reason):
        return DamagedDataError(f"{address}: the server's answer breaks off before its end")
    return StorageError(f"{address}: the connection broke or cannot be made ({type(reason).__name__})")


def _retries(patience: Patience, final: Collection[int]) -> Retry:
    from urllib3 import Retry

    return Retry(
        total=patience.tries - 1,
        connect=2,
        read=2,
        redirect=0,  # CAVE redirects only to its log-in page
        status_forcelist=set(_PASSING).difference(final),
        allowed_methods=None,  # every call here only asks, POST too
        backoff_factor=patience.pause,
        backoff_max=patience.longest_pause,
        raise_on_redirect=False,
        raise_on_status=False,
        respect_retry_after_header=False,  # the pauses stay below a second
    )
