"""What every storage offers, and how long to wait for it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from ..cache import Payload
from ..errors import DamagedDataError

__all__ = ["BrokenAnswerError", "Patience", "Span", "Store", "read_span", "walk_key"]

Span = tuple[int, int] | None  # bytes from .. to, or (-n, 0) for the last n; None for all


class BrokenAnswerError(DamagedDataError):
    """An answer that breaks off before its end, however often it is asked for: trying again is of no use."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait and how often to try again.

    Parameters
    ----------
    timeout : float
        Seconds one request may take; also the longest wait that a server may ask for (Retry-After).
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

    @property
    def identity(self) -> Hashable | None:
        """What tells its bytes from others' in the caches of the process; None where nothing may be kept."""
        ...

    def get(self, key: str) -> Payload:
        """Give all bytes under `key`; an absent payload when there are none."""
        ...

    def get_range(self, key: str, start: int, stop: int) -> Payload:
        """Give bytes `start` to `stop` of what lies under `key`; with `start` -n and `stop` 0, its last n bytes."""
        ...

    def cached(self, key: str, span: tuple[int, int] | None = None) -> Payload | None:
        """Give what is at hand without asking the storage, or None."""
        ...

    def forget(self, key: str, span: tuple[int, int] | None = None) -> None:
        """Drop what is at hand, so that the next `get` fetches again."""
        ...


def read_span(store: Any, path: str, span: tuple[int, int]) -> bytes:
    """Read a span of bytes from one of obstore's stores."""
    if span[0] < 0:
        return bytes(store.get(path, options={"range": {"suffix": -span[0]}}).bytes())
    return bytes(store.get_range(path, start=span[0], end=span[1]))


def walk_key(key: str) -> tuple[int, str]:
    """Give how many folders a key climbs, and the path from there.

    Keys such as "../other/8_8_40" are legal in an info document; obstore takes neither those nor empty parts.

    Examples
    --------
    >>> walk_key("../other//8_8_40"), walk_key("a/../b")
    ((1, 'other/8_8_40'), (0, 'b'))
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
