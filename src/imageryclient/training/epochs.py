"""The number of the epoch, which processes that are already running hear of, too.

PyTorch's DataLoader hands a dataset to its workers when it starts them. With `persistent_workers` that is once, so what
is said to the dataset afterwards must lie in memory that they share.
"""

from __future__ import annotations

import multiprocessing.context
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue
from typing import Any

__all__ = ["SharedEpoch"]


class SharedEpoch:
    """A number that a process and those that it starts have in common.

    Processes that are forked or spawned with it, as those of a DataLoader are, see what is set later. A copy that comes
    in another way, such as in a task for a pool that runs already, holds the number as it was.

    Parameters
    ----------
    number : int
        What it is at first.

    Examples
    --------
    >>> epoch = SharedEpoch()
    >>> epoch.number = 3
    >>> epoch
    SharedEpoch(3)
    """

    __slots__ = ("_cell",)

    def __init__(self, number: int = 0) -> None:
        self._cell: Any = RawValue("q", number)  # written by one process, and read whole, so it needs no lock

    @property
    def number(self) -> int:
        """The epoch, counted from 0."""
        return int(self._cell.value)

    @number.setter
    def number(self, number: int) -> None:
        self._cell.value = number

    def __reduce__(self) -> tuple[Callable[..., SharedEpoch], tuple[Any, ...]]:
        if multiprocessing.context.get_spawning_popen() is None:
            return SharedEpoch, (self.number,)
        return _sharing, (self._cell,)  # which only a process that is just being started can be given

    def __repr__(self) -> str:
        return f"SharedEpoch({self.number})"


def _sharing(cell: Any) -> SharedEpoch:
    made = SharedEpoch.__new__(SharedEpoch)
    made._cell = cell
    return made
