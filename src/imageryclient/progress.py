"""Word of how far a read has come, for whoever wants to show it; nobody by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Listener", "advance", "expect", "heard_by"]


class Listener(Protocol):
    """Hears how many chunks a read takes, and of each one that is done; from any thread."""

    def expect(self, chunks: int) -> None:
        """Hear that so many more chunks will come."""

    def advance(self) -> None:
        """Hear that one chunk is done."""


_listener: ContextVar[Listener | None] = ContextVar("imageryclient_progress", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let `listener` hear of the reads made inside the `with` block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def expect(chunks: int) -> None:
    """Say that so many more chunks will be read."""
    listener = _listener.get()
    if listener is not None:
        listener.expect(chunks)


def advance() -> None:
    """Say that one chunk is done."""
    listener = _listener.get()
    if listener is not None:
        listener.advance()
