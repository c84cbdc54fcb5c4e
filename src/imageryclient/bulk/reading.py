"""The cutouts of a group of places: chunks fetched and decoded once for all of them, roots looked up in one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..cutout import Cutout
from ..cutouts import asked_ids
from ..errors import (
    AccessError,
    DamagedDataError,
    ImageryError,
    MissingDataError,
    OutOfBoundsError,
    SourceError,
    StorageError,
)
from ..geometry import Box, IntTriple, Region, Resolution
from ..ids import Ids, distinct
from ..layers import Layer
from ..pools import together
from ..reading import Policy, Reading, read_layers
from ..scales import Scale
from ..volumes import Block, IdsWanted
from ..volumes.base import is_versioned
from ..volumes.gathering import Gathering, Names, Part, begin, look_up
from .ahead import each_ahead, pace
from .failures import FailedPlace
from .places import Places, boxes_from
from .terms import Terms, layers_of

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = [
    "LASTING",
    "Group",
    "Parts",
    "PlaceCutout",
    "ReadingGroup",
    "finished",
    "iter_group",
    "make_group",
    "read_group",
    "read_in_turn",
]

Result = TypeVar("Result")
LASTING = (SourceError, StorageError, DamagedDataError)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Neighbouring places to be read together; all that a worker needs beside a client.

    Parameters
    ----------
    number : int
        Which of the groups it is.
    indices : numpy.ndarray
        int64, shape (k,): the rows of its places among those given.
    centers : numpy.ndarray
        float64, shape (k, 3), in voxels of `unit`, for messages.
    starts : numpy.ndarray
        int64, shape (k, 3): the first voxel of each box.
    shape : tuple of int
        Voxels of each box.
    unit : tuple of float
        nm per voxel of `centers`.
    terms : Terms
        What to read.
    """

    number: int
    indices: NDArray[np.int64]
    centers: NDArray[np.float64]
    starts: NDArray[np.int64]
    shape: IntTriple
    unit: Resolution
    terms: Terms

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def boxes(self) -> list[Box]:
        """The boxes of its places, at the resolution of the results."""
        return boxes_from(self.starts, self.shape, self.terms.resolution)

    def take(self, rows: ArrayLike) -> Group:
        """Give a group of some of the places, by position."""
        rows = np.asarray(rows, np.int64)
        return replace(self, indices=self.indices[rows], centers=self.centers[rows], starts=self.starts[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What one place takes from the chunks of each layer, not yet in arrays of its own.

    Parameters
    ----------
    index : int
        The row of the place among those given.
    center : tuple of float
        As given.
    box : Box
        Its voxels.
    found : tuple of Part
        For each layer, in the order of the terms.
    """

    index: int
    center: tuple[float, float, float]
    box: Box
    found: tuple[Part, ...]

    def detached(self) -> Parts:
        """Give the same in memory of its own: to keep, or to pickle."""
        return replace(self, found=tuple(part.detached() for part in self.found))

    def cutout(self, client: ImageryClient, terms: Terms, names: Names | None = None) -> PlaceCutout | FailedPlace:
        """Put the cutout together; of supervoxels not looked up yet, `names` says whose they are."""
        pairs = layers_of(client, terms)
        try:
            blocks: dict[str, Block] = {
                layer.name: part.block(layer.volume, names if layer.name == "segmentation" else None).on(self.box)
                for (layer, _), part in zip(pairs, self.found, strict=True)
            }
            missing = [f"{name}: {words}" for name, block in blocks.items() if (words := block.coverage.describe())]
            if missing and terms.missing == "raise":
                raise MissingDataError("; ".join(missing))
        except ImageryError as error:
            return FailedPlace(self.index, self.center, error)
        layers = {layer.name: layer for layer, _ in pairs}
        picture, ids = blocks.get("imagery"), blocks.get("segmentation")
        versioned = ids is not None and is_versioned(layers["segmentation"].volume)
        return PlaceCutout(
            image=None if picture is None else picture.data,
            segmentation=None if ids is None else ids.data,
            bounds=self.box,
            timestamp=terms.wanted.moment if versioned else None,
            coverage={name: block.coverage for name, block in blocks.items()},
            sources={name: layer.volume.source for name, layer in layers.items()},
            mips={layer.name: scale.mip for layer, scale in pairs},
            root_ids="all" if ids is None else asked_ids(terms.wanted, ids.data),
            index=self.index,
        )


@dataclass(frozen=True, eq=False, repr=False)
class PlaceCutout(Cutout):
    """The cutout of one of many places.

    Parameters
    ----------
    index : int
        The row of the place among those given, from 0.
    ids : mapping of str to int
        The ids that were given with it, by column.
    """

    index: int = -1
    ids: Mapping[str, int] = field(default_factory=dict)


def make_group(number: int, places: Places, rows: NDArray[np.int64], terms: Terms) -> Group:
    """Make a group of some of the places, all of which have a position."""
    some = places.take(rows)
    starts, shape = some.starts_at(terms.resolution), some.shape_at(terms.resolution)
    return Group(number, some.index, some.centers, starts, shape, places.resolution, terms)


def read_group(client: ImageryClient, group: Group) -> list[PlaceCutout | FailedPlace]:
    """Read a group of places.

    Parameters
    ----------
    client : ImageryClient
        Of the same layers as the group was made with.
    group : Group
        The places.

    Returns
    -------
    list
        For each place, in the order of the group, its cutout or why there is none.

    Raises
    ------
    AccessError
        If the roots may not be looked up: that concerns all places.
    """
    return list(iter_group(client, group))


def iter_group(client: ImageryClient, group: Group) -> Iterator[PlaceCutout | FailedPlace]:
    """As `read_group`, one place after the other: the arrays of only a few are held at a time."""
    reading = ReadingGroup(client, group)
    try:
        reading.finish()
        yield from reading.results()
    finally:
        reading.close()


class ReadingGroup:
    """A group being read: chunks come in the background from the start, `finish` decodes them.

    Parameters
    ----------
    client : ImageryClient
        Of the same layers as the group was made with.
    group : Group
        The places.
    """

    def __init__(self, client: ImageryClient, group: Group) -> None:
        self.group = group
        self._client = client
        self._boxes = group.boxes
        self._pairs = layers_of(client, group.terms)
        self._failed: dict[int, ImageryError] = {}
        within = [n for n, box in enumerate(self._boxes) if self._is_possible(n, box)]
        self._gatherings: list[tuple[Layer, Scale, Gathering]] = []
        for layer, scale in self._pairs:
            boxes = [self._boxes[n].at(scale.resolution) for n in within]
            self._gatherings.append((layer, scale, begin(layer.volume, scale, boxes, self._ids(layer))))

    def _ids(self, layer: Layer) -> IdsWanted | None:
        return self.group.terms.wanted if layer.name == "segmentation" else None

    def _is_possible(self, n: int, box: Box) -> bool:
        """Tell whether a box lies within any layer; if not, keep what a cutout would raise."""
        if any(box.at(scale.resolution).intersect(scale.bounds).voxels for _, scale in self._pairs):
            return True
        readings = [Reading(layer.name, layer.volume, scale, box, self._ids(layer)) for layer, scale in self._pairs]
        region = Region.from_bounds(box, box.resolution)
        try:
            read_layers(readings, region, Policy(), [self.group.unit, self._client._resolution_of(None)])
        except OutOfBoundsError as error:
            self._failed[n] = error
        return False

    def decode(self) -> Ids:
        """Wait for the chunks and decode them; give the supervoxels that are to be looked up, sorted."""
        found = together(*(gathering.decode for _, _, gathering in self._gatherings))
        return distinct(np.concatenate([np.empty(0, np.uint64), *found]))

    def finish(self) -> None:
        """Decode the chunks, and look roots up.

        Raises
        ------
        AccessError
            If the roots may not be looked up.
        """

        def finished(layer: Layer, gathering: Gathering) -> None:
            names = look_up(layer.volume, gathering.decode(), self._ids(layer))
            if names is not None:
                gathering.rename(names)

        try:
            together(*(partial(finished, layer, gathering) for layer, _, gathering in self._gatherings))
        except AccessError:
            raise
        except LASTING as error:
            for n in range(len(self.group)):
                self._failed.setdefault(n, error)

    def parts(self, n: int) -> Parts | FailedPlace:
        """Give what the `n`-th place takes from each layer, or why it has nothing."""
        box, index = self._boxes[n], int(self.group.indices[n])
        x, y, z = self.group.centers[n].tolist()
        try:
            if n in self._failed:
                raise self._failed[n].with_traceback(None)
            found = [gathering.part(box.at(scale.resolution)) for _, scale, gathering in self._gatherings]
        except ImageryError as error:
            return FailedPlace(index, (x, y, z), error)
        return Parts(index, (x, y, z), box, tuple(found))

    def cutout(self, n: int) -> PlaceCutout | FailedPlace:
        """Give the `n`-th place, or why it cannot be had."""
        parts = self.parts(n)
        return parts if isinstance(parts, FailedPlace) else parts.cutout(self._client, self.group.terms)

    def results(self) -> Iterator[PlaceCutout | FailedPlace]:
        """Give each place in the order of the group; the next few are put together meanwhile."""
        yield from each_ahead(self.cutout, range(len(self.group)), *self.pace)

    @property
    def pace(self) -> tuple[int, int]:
        """How many threads put cutouts together, and how many cutouts may wait."""
        return pace(self._client, self.group.terms, self.group.shape)

    def close(self) -> None:
        """Let go of the chunks, and leave what was not begun."""
        for _, _, gathering in self._gatherings:
            gathering.close()
        self._gatherings = []


def read_in_turn(
    client: ImageryClient, groups: Iterable[Group], read: Callable[[ReadingGroup], Iterator[Result]]
) -> Iterator[Result]:
    """Give what `read` makes of each group; while one is put together, the chunks of the next come in."""
    begun: deque[ReadingGroup] = deque()
    try:
        for group in groups:
            begun.append(ReadingGroup(client, group))
            if len(begun) > 1:
                yield from read(begun[0])
                begun.popleft().close()
        while begun:
            yield from read(begun[0])
            begun.popleft().close()
    finally:
        for one in begun:
            one.close()


def finished(reading: ReadingGroup) -> Iterator[PlaceCutout | FailedPlace]:
    """Give the cutouts of a group, after the roots of all were looked up."""
    reading.finish()
    yield from reading.results()
