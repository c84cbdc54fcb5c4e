"""How far a read has come, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..progress import heard_by

__all__ = ["shown_progress"]


class _Bar:
    """A bar on a terminal that counts chunks."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=0, unit="chunk", desc="reading", leave=False)

    def expect(self, chunks: int) -> None:
        self._bar.total += chunks
        self._bar.refresh()

    def advance(self) -> None:
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


@contextmanager
def shown_progress() -> Iterator[None]:
    """Show a bar while chunks are read, where somebody looks on."""
    if not sys.stderr.isatty():
        yield
        return
    bar = _Bar()
    try:
        with heard_by(bar):
            yield
    finally:
        bar.close()
