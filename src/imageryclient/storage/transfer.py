"""One store of obstore's, read as servers are: answers that break off, no ranges, no lengths, waits asked for."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from ..cache import ABSENT, CACHE, Payload
from ..errors import ImageryError, StorageError
from ..forking import note_threads, threads_are_lost
from . import direct
from .base import BrokenAnswerError, Patience, Span, read_span
from .failures import asked_elsewhere, broke_off, explained, is_unsized, no_ranges, says_absent, status_of

__all__ = ["CredentialError", "Transfer"]

log = logging.getLogger(__name__)

_BREAKS = 3  # how often an answer may break off
_WHOLE = 64 * 2**20  # bytes of a file that is kept whole where its server knows no ranges
_BUSY = (429, 503)


class CredentialError(StorageError):
    """Credentials that could not be had, or not be used."""


class Transfer:
    """Reads from one server or bucket in one way.

    Parameters
    ----------
    store : obstore's store
        HTTPStore, S3Store, GCSStore or AzureStore.
    server : str
        The address that the store begins at.
    patience : Patience
        Time-outs and tries.
    cure : str
        What to do where access is refused, for messages.
    headers : dict of str to str, optional
        What is sent along, where a request needs no more than that; None where requests are signed.
    suffixes : bool
        Whether the server may be asked for the last bytes of a file; Azure knows ranges, but not those.
    """

    def __init__(
        self,
        store: Any,
        server: str,
        patience: Patience,
        cure: str,
        headers: dict[str, str] | None = None,
        *,
        suffixes: bool = True,
    ) -> None:
        self.server = server
        self._store = store
        self._patience = patience
        self._cure = cure
        self._headers = headers
        self._direct = False  # whether the server is known to answer in ways that obstore does not take
        self._ranges = True
        self._suffixes = suffixes
        self._lock = threading.Lock()

    def read(self, path: str, span: Span, place: str) -> Payload:
        """Read the bytes under a path, or a span of them; an absent payload where there are none.

        Parameters
        ----------
        path : str
            From the server, or the bucket, on.
        span : tuple of int, optional
            First byte and one past the last.
        place : str
            What is read, for messages.

        Raises
        ------
        AccessError
            If access is refused.
        NotFoundError
            If the bucket does not exist.
        CredentialError
            If credentials could not be had.
        StorageError, StorageTimeoutError, DamagedDataError
            If the server fails, hangs, or breaks off.
        """
        self._check_process(place)
        waited = 0.0
        for last in (False, False, True):
            try:
                if self._direct or threads_are_lost():
                    return self._direct_read(path, span, place)
                return self._read(path, span, place)
            except StorageError as error:
                if last or error.status not in _BUSY or self._headers is None:
                    raise
                pause = direct.asked_pause(self._address(path), self._headers, self._patience)
                if pause is None:
                    raise
                waited += pause
                if waited > self._patience.timeout:
                    failure = StorageError(f"{error}; it asks to wait {pause:.0f} s, which is longer than the time-out")
                    failure.status = error.status
                    raise failure from None
            log.debug("%s: the server asks to wait %.1f s", place, pause)
            time.sleep(pause)
        raise AssertionError("unreachable")

    def forget(self, path: str) -> None:
        """Drop what is at hand of a path."""
        CACHE.discard((self, path))

    def _read(self, path: str, span: Span, place: str) -> Payload:
        # obstore tries again when a server answers 429 or 5xx or not at all. A body that broke off it only resumes,
        # where the server names a version (ETag) and knows ranges.
        pauses = self._patience.pauses()[: _BREAKS - 1]
        while True:
            unsized = rangeless = again = False
            ranges, suffixes = self._ranges, self._suffixes
            try:
                return self._ask(path, span)
            except FileNotFoundError as error:
                if says_absent(error):
                    return ABSENT
                failure = explained(error, place, self._cure)
            except Exception as error:
                unsized = is_unsized(error) and self._headers is not None
                rangeless = span is not None and ranges and no_ranges(error)
                again = broke_off(error)
                failure = self._explained(error, place)
            # Raised out here, ours does not carry obstore's along, which quotes what the server says.
            if unsized:
                self._direct = True
                return self._direct_read(path, span, place)
            if rangeless and span is not None and span[0] < 0 and suffixes:
                self._suffixes = False
            elif rangeless:
                self._ranges = False
            elif not again:
                raise failure
            elif not pauses:
                raise BrokenAnswerError(f"{place}: the server's answer breaks off before its end")
            else:
                log.debug("the answer for %s broke off; trying again", place)
                time.sleep(pauses.pop(0))

    def _check_process(self, place: str) -> None:
        if not threads_are_lost():
            note_threads()
        elif self._headers is None:
            raise StorageError(
                f"{place}: this process was forked from one that had read before, and cannot sign requests to "
                f"{self.server}: start processes with multiprocessing's 'spawn' or 'forkserver' "
                "(of a DataLoader, multiprocessing_context=), or before the first read"
            )

    def _ask(self, path: str, span: Span) -> Payload:
        if span is not None:
            if not self._ranges:
                return self._part_of_whole(path, span)
            if span[0] < 0 and not self._suffixes:
                size = int(self._store.head(path)["size"])
                span = max(0, size + span[0]), size
            return Payload(read_span(self._store, path, span))
        result = self._store.get(path)
        encoding = str(result.attributes.get("Content-Encoding", ""))
        return Payload(bytes(result.bytes()), encoding)

    def _part_of_whole(self, path: str, span: tuple[int, int]) -> Payload:
        """Take a span out of a whole file, as its server knows no ranges; a small file is kept for the next span."""
        with self._lock:  # one after the other, so that no file is fetched twice
            whole = CACHE.get((self, path))
            if whole is None:
                result = self._store.get(path)
                encoding = str(result.attributes.get("Content-Encoding", ""))
                size = int(result.meta["size"])
                if not encoding and size > _WHOLE:
                    first, last = (max(0, size + span[0]), size) if span[0] < 0 else span
                    return Payload(direct.cut((bytes(piece) for piece in result.stream()), (first, last)))
                whole = Payload(bytes(result.bytes()), encoding)
                CACHE.put((self, path), whole)
        return direct.part(whole, span)

    def _explained(self, error: Exception, place: str) -> ImageryError:
        elsewhere = asked_elsewhere(error, self.server)
        if elsewhere:
            failure = explained(error, place, self._cure)
            return CredentialError(f"no credentials could be had from {elsewhere} ({status_of(str(error)) or failure})")
        return explained(error, place, self._cure)

    def _address(self, path: str) -> str:
        return f"{self.server}/{direct.quoted(path)}"

    def _direct_read(self, path: str, span: Span, place: str) -> Payload:
        assert self._headers is not None
        return direct.read(self._address(path), span, self._headers, self._patience, place, self._cure)
