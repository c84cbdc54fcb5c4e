"""Cutouts one after the other, as PyTorch's DataLoader takes an iterable dataset."""

from __future__ import annotations

import itertools
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from .datasets import CutoutDataset
from .epochs import SharedEpoch

__all__ = ["CutoutStream"]


class CutoutStream:
    """Cutouts one after the other, shuffled anew in each epoch, shared out among workers.

    With PyTorch imported before one is made it is an `IterableDataset`, and the workers of a DataLoader share the
    places: each is read once an epoch, by one of them. Without PyTorch it is an iterable like any other. While one
    cutout is worked with, the next are read.

    Which epoch it is `set_epoch` says, before each pass, as of PyTorch's DistributedSampler; else each pass is like the
    first. With `epochs=None` one pass never ends, and goes from epoch to epoch by itself.

    Parameters
    ----------
    dataset : CutoutDataset
        The cutouts.
    shuffle : bool
        Whether each epoch has an order of its own, by the seed; else it is that of the places.
    seed : int
        The same seed and epoch give the same order, whatever the number of workers; with `batch_size`, the same
        batches.
    epochs : int or None
        How many follow each other each time one iterates; None for no end.
    shard : tuple of int
        Which share this process takes, and of how many: the rank and the world size where several train together.
    even : bool
        Whether all shares are of one length, as those that train together must take as many steps: of a number of
        places that does not come out even a few are left out, others in each epoch.
    batch_size : int
        How many in a row one worker takes. With that of the DataLoader its batches are the same for any number of
        workers.
    ahead : int
        How many cutouts are read ahead.

    Raises
    ------
    ArgumentError
        If the shard is none, or the batch size no positive number.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.zeros((64, 64, 8), np.uint8), (8, 8, 40))
    >>> dataset = CutoutDataset(ic.ImageryClient(image_source=em), [[32, 32, 4]] * 5, (16, 16, 4))
    >>> [item["index"] for item in CutoutStream(dataset, shuffle=False, shard=(1, 2))]
    [1, 3]
    >>> shuffled = CutoutStream(dataset, seed=3)
    >>> shuffled.set_epoch(1)
    >>> [item["index"] for item in shuffled] == shuffled.order(1).tolist()
    True
    """

    def __new__(cls, *_: Any, **__: Any) -> CutoutStream:  # noqa: D102
        # A DataLoader tells the two kinds of datasets apart by PyTorch's own class.
        torch = sys.modules.get("torch.utils.data")
        made: CutoutStream = object.__new__(_iterable(torch.IterableDataset) if torch and cls is CutoutStream else cls)
        return made

    def __init__(
        self,
        dataset: CutoutDataset,
        *,
        shuffle: bool = True,
        seed: int = 0,
        epochs: int | None = 1,
        shard: tuple[int, int] = (0, 1),
        even: bool = False,
        batch_size: int = 1,
        ahead: int = 2,
    ) -> None:
        rank, world = shard
        if not 0 <= rank < world:
            raise ArgumentError(f"shard is (which, of how many), counted from 0; got {shard!r}")
        if batch_size < 1:
            raise ArgumentError(f"batch_size must be 1 at least; got {batch_size!r}")
        self.dataset, self.shuffle, self.seed, self.epochs = dataset, shuffle, seed, epochs
        self.shard, self.even, self.batch_size, self.ahead = (rank, world), even, batch_size, ahead
        self._epoch = SharedEpoch()

    @property
    def epoch(self) -> int:
        """Which epoch the next pass begins with, counted from 0."""
        return self._epoch.number

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is next; begins with 0.

        Parameters
        ----------
        epoch : int
            As for `CutoutDataset.set_epoch`.
        """
        self._epoch.number = int(epoch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Give the order of all places in an epoch.

        Parameters
        ----------
        epoch : int
            Which one.

        Returns
        -------
        numpy.ndarray
            int64, shape (n,): indices of the dataset.
        """
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def __len__(self) -> int:
        """How many cutouts a pass gives, in all workers of this share."""
        if _needs_class(self):
            raise TypeError("PyTorch takes this for no iterable dataset: import torch before a CutoutStream is made")
        if self.epochs is None:
            raise TypeError("a CutoutStream with epochs=None has no end, and no length")
        return self.epochs * len(self._share(np.arange(len(self.dataset))))

    def __iter__(self) -> Iterator[Any]:
        with ThreadPoolExecutor(max(1, self.ahead), thread_name_prefix="imageryclient-ahead") as pool:
            begun: deque[Any] = deque()
            try:
                for epoch, number in self._numbered():
                    begun.append(pool.submit(self.dataset.item, number, epoch))
                    if len(begun) > self.ahead:
                        yield begun.popleft().result()
                while begun:
                    yield begun.popleft().result()
            finally:
                for waiting in begun:
                    waiting.cancel()

    def _numbered(self) -> Iterator[tuple[int, int]]:
        """Give the epochs and places that this worker reads, in order."""
        which, of = _worker()
        first, before = self.epoch, 0
        for epoch in itertools.count(first) if self.epochs is None else range(first, first + self.epochs):
            share = self._share(self.order(epoch))
            taker = (before + np.arange(len(share))) // self.batch_size % of
            for number in share[taker == which].tolist():
                yield epoch, number
            before += len(share)

    def _share(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        rank, world = self.shard
        return order[rank : len(order) - len(order) % world if self.even else None : world]

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (dict(self.__dict__),)

    def __repr__(self) -> str:
        return f"<CutoutStream of {self.dataset!r}>"


def _remade(state: dict[str, Any]) -> CutoutStream:
    made = CutoutStream.__new__(CutoutStream)
    made.__dict__.update(state)
    return made


@lru_cache(maxsize=1)
def _iterable(base: type) -> type:
    """Give a class that is both ours and PyTorch's."""
    return type("CutoutStream", (CutoutStream, base), {"__module__": __name__, "__doc__": CutoutStream.__doc__})


def _needs_class(stream: CutoutStream) -> bool:
    torch = sys.modules.get("torch.utils.data")
    return torch is not None and not isinstance(stream, torch.IterableDataset)


def _worker() -> tuple[int, int]:
    """Give which worker of a DataLoader this is, and how many there are; (0, 1) outside of one."""
    torch = sys.modules.get("torch.utils.data")
    info = None if torch is None else torch.get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
