"""Cutouts of many places by index, as PyTorch's DataLoader takes a map-style dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..bulk.places import Places, parse_places
from ..errors import ArgumentError
from ..geometry import IntTriple, Resolution
from ..layers import Mip
from ..reading import Missing
from ..recipe import recipe_of
from .epochs import SharedEpoch
from .places import grid_of

if TYPE_CHECKING:
    from ..cutouts import Cutouts

__all__ = ["CutoutDataset", "Transform"]

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
    masks : mapping of str to str, optional
        Names, and the columns of a table that hold an id for each place, such as `{"post": "post_pt_root_id"}`: the
        item has a mask of that object, "mask_post".
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
    >>> dataset.set_epoch(3)
    >>> bool((dataset.item(1, epoch=3)["image"] == item["image"]).all())  # but for `transform` all epochs are alike
    True
    """

    def __init__(
        self,
        client: Cutouts,
        places: Any,
        size: ArrayLike | None = None,
        *,
        resolution: ArrayLike | None = None,
        column: str | None = None,
        masks: Mapping[str, str] | None = None,
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        root_ids: Any = "all",
        timestamp: Any = None,
        missing: Missing | None = None,
        transform: Transform | None = None,
        seed: int = 0,
    ) -> None:
        self._masks = dict(masks or {})
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
            self.places = parse_places(
                places,
                size=size,
                resolution=resolution,
                default=default,
                column=column,
                ids_columns=list(dict.fromkeys(self._masks.values())),
            )
        if not self.places.placed.all():
            raise ArgumentError(f"{int((~self.places.placed).sum())} of the places have no position: leave them out")
        absent = [column for column in self._masks.values() if column not in self.places.ids]
        if absent:
            raise ArgumentError(f"these places bring no ids {absent[0]!r} along, which masks= names: give a table")
        if self._masks and "segmentation" not in client._layers.names:
            raise ArgumentError("masks= are made of a segmentation, and this client has none")
        self.transform = transform
        self.seed = seed
        self._epoch = SharedEpoch()
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

    @property
    def epoch(self) -> int:
        """Which epoch it is, counted from 0; it goes on when `set_epoch` says so, and not by itself."""
        return self._epoch.number

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, on which the random generators of `transform` depend; begins with 0.

        To be called before each pass, as of PyTorch's DistributedSampler: else each is like the first. The workers of a
        DataLoader hear of it, also those that stay from pass to pass (`persistent_workers`).

        Parameters
        ----------
        epoch : int
            Counted from 0.
        """
        self._epoch.number = int(epoch)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Any:
        """Read a cutout.

        Returns
        -------
        dict
            Or what `transform` makes of it. `image`, axes (x, y, z), with channels (x, y, z, c), in the dtype of the
            imagery; `segmentation`, uint64, axes (x, y, z); those that the client has. `mask_NAME`, bool, axes
            (x, y, z), of each of the `masks`. `center`, float64, shape (3,), in voxels as the places were given;
            `index`, int; `covered`, float, the share of the voxels that come from data in the layer that has the
            fewest.

        Raises
        ------
        IndexError
            Beyond the last place.
        ImageryError
            As `client.cutout`.
        """
        return self.item(index, self.epoch)

    def item(self, index: int, epoch: int) -> Any:
        """Read a cutout as it is in an epoch; otherwise as by index.

        Parameters
        ----------
        index : int
            Which place.
        epoch : int
            Which epoch, for the generator that `transform` is given.

        Returns
        -------
        dict
            Or what `transform` makes of it; see `__getitem__`.

        Raises
        ------
        IndexError
            Beyond the last place.
        ImageryError
            As `client.cutout`.
        """
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
            for name, column in self._masks.items():
                root_id = place.ids[column][0]
                item[f"mask_{name}"] = (cut.segmentation == root_id) & (root_id > 0)
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
