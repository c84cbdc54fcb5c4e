"""Word of how many places are done: a bar in a notebook or a terminal, or a function of the caller's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import ArgumentError

__all__ = ["Counter", "Progress", "counter"]

Progress = bool | Callable[[int, int], None] | None


class Counter(Protocol):
    """Counts places that are done."""

    def update(self, n: int = 1) -> object:
        """Count `n` more."""
        ...

    def close(self) -> object:
        """Count no more."""
        ...


class _Told:
    """Tells a function of each place: how many are done, and of how many."""

    def __init__(self, tell: Callable[[int, int], None], total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def update(self, n: int = 1) -> None:
        """Tell of `n` more."""
        self._done += n
        self._tell(self._done, self._total)

    def close(self) -> None:
        """Do nothing."""


def counter(progress: Progress, total: int, *, done: int = 0, unit: str = "place") -> Counter:
    """Make what a `progress` argument asks for.

    Parameters
    ----------
    progress : bool, callable or None
        True for a bar with rate and time left; a function is called with the number done and the total.
    total : int
        How many there are in all.
    done : int
        How many were done before.
    unit : str
        What is counted.

    Raises
    ------
    ArgumentError
        If it is something else.

    Examples
    --------
    >>> count = counter(lambda done, total: print(done, "of", total), 3)
    >>> count.update()
    1 of 3
    """
    if progress is None or progress is False:
        return _Told(lambda done, total: None, total)
    if callable(progress):
        told = _Told(progress, total)
        told._done = done
        return told
    if progress is not True:
        raise ArgumentError(f"progress must be True, False, or a function of (done, total); got {progress!r}")
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # of a notebook without widgets, where the plain bar does
        from tqdm.auto import tqdm

        # Places come in bursts, as groups of them are read; only the rate of all so far tells how long it will take.
        bar: Any = tqdm(total=total, initial=done, unit=unit, smoothing=0)
    counting: Counter = bar
    return counting
