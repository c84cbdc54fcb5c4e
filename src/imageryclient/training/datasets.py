"""Cutouts of many places by index, or one after the other, as PyTorch's DataLoader takes them."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..bulk.places import Places, parse_places
from ..errors import ArgumentError
from ..geometry import IntTriple, Resolution
from ..layers import Mip
from ..reading import Missing
from ..recipe import recipe_of
from .places import grid_of

if TYPE_CHECKING:
    from ..cutouts import Cutouts

__all__ = ["CutoutDataset", "CutoutStream", "Transform"]

Item = dict[str, Any]
Transform = Callable[[Item, np.random.Generator], Any]


class CutoutDataset:
    """Cutouts by index: all of one shape, the same in whatever process they are read.

    It has what PyTorch calls a map-style dataset, and is a plain sequence for others. It can be pickled and forked;
    each process makes a client of its own when it first reads, and no token is in the pickle.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    places : array_like, pandas.DataFrame or Places
        Shape (n, 3): centres in voxels of `resolution`; a CAVE table with a position; or what `random_places` gives.
    size : array_like, optional
        Two or three numbers of voxels of `resolution`; `Places` bring theirs along.
    resolution : array_like, optional
        nm per voxel of the places and the size; by default what a table says, or the client's.
    column : str, optional
        Which position of a table that has several.
    mip, image_mip, segmentation_mip : optional
        As for `client.cutout`.
    root_ids, timestamp : optional
        As for `client.cutout`. The moment is fixed here, for all items in all processes.
    missing : {"fill", "warn", "raise"}, optional
        What to do about voxels that are not there. By default "raise" for a client that raises, else "fill": they are 0
        in silence, and an item says under "covered" how much of it is data.
    transform : callable, optional
        What is given in the place of an item: `transform(item, rng)`, where `rng` is a `numpy.random.Generator` that
        depends on the seed, the epoch and the index alone. Workers that are spawned need one that can be pickled.
    seed : int
        Of the random generators.

    Raises
    ------
    ArgumentError, BoundsError
        If the places are none.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.arange(64 * 64 * 8, dtype=np.uint16).reshape(64, 64, 8), (8, 8, 40))
    >>> dataset = CutoutDataset(ic.ImageryClient(image_source=em), [[32, 32, 4], [20, 30, 5]], (16, 16, 4))
    >>> item = dataset[1]
    >>> len(dataset), item["image"].shape, item["center"].tolist(), item["index"], item["covered"]
    (2, (16, 16, 4), [20.0, 30.0, 5.0], 1, 1.0)
    """

    def __init__(
        self,
        client: Cutouts,
        places: Any,
        size: ArrayLike | None = None,
        *,
        resolution: ArrayLike | None = None,
        column: str | None = None,
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        root_ids: Any = "all",
        timestamp: Any = None,
        missing: Missing | None = None,
        transform: Transform | None = None,
        seed: int = 0,
    ) -> None:
        if isinstance(places, Places):
            if size is not None or resolution is not None:
                raise ArgumentError(
                    "these places bring their size and resolution along: leave size= and resolution= out"
                )
            self.places = places
        elif size is None:
            raise ArgumentError("say how large the cutouts are: size=, two or three numbers of voxels")
        else:
            default = client._resolution_of(None)
            self.places = parse_places(places, size=size, resolution=resolution, default=default, column=column)
        if not self.places.placed.all():
            raise ArgumentError(f"{int((~self.places.placed).sum())} of the places have no position: leave them out")
        self.transform = transform
        self.seed = seed
        self.epoch = 0
        wanted = client._wanted(root_ids, timestamp)
        self._reading: dict[str, Any] = {
            "image_mip": image_mip,
            "segmentation_mip": segmentation_mip,
            "mip": mip,
            "root_ids": wanted.root_ids,
            "timestamp": wanted.moment,
            "missing": missing or ("raise" if client._policy.missing == "raise" else "fill"),
        }
        pairs = client._pairs(mip, image_mip, segmentation_mip, wanted)
        self._grid: Resolution = grid_of([scale for _, scale, _ in pairs])
        self._recipe = recipe_of(client, timestamp=wanted.moment)
        self._live: Cutouts | None = client
        self._process = os.getpid()

    @property
    def client(self) -> Cutouts:
        """The client of this process."""
        here = os.getpid()
        if self._live is None:
            self._live = self._recipe.make()
        elif self._process != here:  # its locks may be held, and its connections used, by threads of the parent
            self._live = self._recipe.remake(self._live)
        self._process = here
        return self._live

    @property
    def shape(self) -> IntTriple:
        """Voxels of each cutout along x, y and z."""
        return self.places.shape_at(self._grid)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, on which the random generators of `transform` depend; begins with 0.

        Processes get it when they are started: with PyTorch's `persistent_workers`, they keep the first.
        """
        self.epoch = int(epoch)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Any:
        """Read a cutout.

        Returns
        -------
        dict
            Or what `transform` makes of it. `image`, axes (x, y, z), with channels (x, y, z, c), in the dtype of the
            imagery; `segmentation`, uint64, axes (x, y, z); those that the client has. `center`, float64, shape (3,),
            in voxels as the places were given; `index`, int; `covered`, float, the share of the voxels that come from
            data in the layer that has the fewest.

        Raises
        ------
        IndexError
            Beyond the last place.
        ImageryError
            As `client.cutout`.
        """
        return self.item(index, self.epoch)

    def item(self, index: int, epoch: int) -> Any:
        """Read a cutout as it is in an epoch; otherwise as by index."""
        number = int(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} places, counted from 0; got {index}")
        number %= len(self)
        place = self.places.take([number])
        box: Any = place.boxes_at(self._grid)[0]
        cut = self.client.cutout(bounds=box, **self._reading)
        item: Item = {} if cut.image is None else {"image": cut.image}
        if cut.segmentation is not None:
            item["segmentation"] = cut.segmentation
        item["center"] = place.centers[0].copy()
        item["index"] = number
        item["covered"] = min(coverage.fraction for coverage in cut.coverage.values())
        if self.transform is None:
            return item
        return self.transform(item, np.random.default_rng([self.seed, epoch, number]))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_live": None}

    def __repr__(self) -> str:
        x, y, z = self.shape
        return f"<CutoutDataset: {len(self)} cutouts of {x} x {y} x {z} voxels>"


class CutoutStream:
    """Cutouts one after the other, shuffled anew in each epoch, shared out among workers.

    With PyTorch imported before one is made it is an `IterableDataset`, and the workers of a DataLoader share the
    places: each is read once an epoch, by one of them. Without PyTorch it is an iterable like any other. While one
    cutout is worked with, the next are read.

    Parameters
    ----------
    dataset : CutoutDataset
        The cutouts.
    shuffle : bool
        Whether each epoch has an order of its own, by the seed; else it is that of the places.
    seed : int
        The same seed and epoch give the same order, whatever the number of workers.
    epochs : int or None
        How many follow each other each time one iterates; None for no end.
    shard : tuple of int
        Which share this process takes, and of how many: the rank and the world size where several train together.
    ahead : int
        How many cutouts are read ahead.

    Raises
    ------
    ArgumentError
        If the shard is none.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.zeros((64, 64, 8), np.uint8), (8, 8, 40))
    >>> dataset = CutoutDataset(ic.ImageryClient(image_source=em), [[32, 32, 4]] * 5, (16, 16, 4))
    >>> [item["index"] for item in CutoutStream(dataset, shuffle=False, shard=(1, 2))]
    [1, 3]
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
        ahead: int = 2,
    ) -> None:
        rank, world = shard
        if not 0 <= rank < world:
            raise ArgumentError(f"shard is (which, of how many), counted from 0; got {shard!r}")
        self.dataset, self.shuffle, self.seed, self.epochs = dataset, shuffle, seed, epochs
        self.shard, self.ahead = (rank, world), ahead
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is next; begins with 0. As for `CutoutDataset.set_epoch`."""
        self.epoch = int(epoch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Give the order of all places in an epoch: int64, shape (n,)."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def __iter__(self) -> Iterator[Any]:
        which, of = _worker()
        rank, world = self.shard
        which, of = rank * of + which, world * of
        numbered = (
            (epoch, int(number)) for epoch in self._epochs() for number in self.order(epoch)[which::of]
        )  # fmt: skip
        with ThreadPoolExecutor(max(1, self.ahead), thread_name_prefix="imageryclient-ahead") as pool:
            begun: deque[Any] = deque()
            try:
                for epoch, number in numbered:
                    begun.append(pool.submit(self.dataset.item, number, epoch))
                    if len(begun) > self.ahead:
                        yield begun.popleft().result()
                while begun:
                    yield begun.popleft().result()
            finally:
                for waiting in begun:
                    waiting.cancel()

    def _epochs(self) -> Iterator[int]:
        epoch = self.epoch
        while self.epochs is None or epoch < self.epoch + self.epochs:
            yield epoch
            epoch += 1

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


def _worker() -> tuple[int, int]:
    """Give which worker of a DataLoader this is, and how many there are; (0, 1) outside of one."""
    torch = sys.modules.get("torch.utils.data")
    info = None if torch is None else torch.get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
