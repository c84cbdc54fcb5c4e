"""The cutouts of many places, one after the other: neighbours read together, memory bounded whatever the number."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..errors import AccessError, ArgumentError, BoundsError, ImageryError, MissingDataError, MissingDataWarning
from ..ids import distinct
from ..layers import Mip
from ..reading import Missing, Policy, say, warn_of_future
from ..volumes.base import is_versioned
from .ahead import each_ahead, pace
from .failures import FailedPlace, OnError, parse_on_error, warn_of_failures
from .grouping import along_curve, cut_groups
from .places import Places, parse_places
from .progress import Counter, counter
from .reading import LASTING, Group, Parts, PlaceCutout, ReadingGroup, finished, make_group, read_in_turn
from .shelf import Shelf
from .terms import Terms, check_size, grids_of, kept_bytes, layers_of, names_of, terms_of

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["BUDGET", "Order", "cutouts", "plan_groups"]

BUDGET = 256 * 2**20
_SHELF = 3 * 2**29  # bytes that wait for their turn, in a file
_FIRST = 64  # places that are read before the first is given
_FOR_GOOD = (BoundsError, MissingDataError)  # not worth another try
Order = Literal["input", "completed"]
Outcome = PlaceCutout | FailedPlace
Result = TypeVar("Result")


def cutouts(
    client: ImageryClient,
    points: Any,
    bbox_size: ArrayLike = (256, 256),
    *,
    mip: Mip = None,
    image_mip: Mip = None,
    segmentation_mip: Mip = None,
    resolution: ArrayLike | None = None,
    root_ids: Any = "all",
    timestamp: Any = None,
    column: str | None = None,
    ids_columns: Sequence[str] = (),
    order: Order = "input",
    on_error: OnError = "raise",
    progress: bool | Callable[[int, int], None] | None = None,
    missing: Missing | None = None,
    budget: int = BUDGET,
) -> Iterator[Outcome]:
    """Cut out many places of one size, each as `client.cutout` would.

    Neighbouring places are read together: each chunk is fetched once and decoded once for all of a group, and the
    roots of its supervoxels are looked up in one request. All places are seen at one moment, fixed by this call.

    Parameters
    ----------
    client : ImageryClient
        Where from.
    points : array_like, pandas.DataFrame, pandas.Series or path
        Shape (n, 3): x, y, z of the centres; or a CAVE table with a position, split or joined; or a CSV file with such
        columns, or with x, y and z.
    bbox_size : array_like
        Two or three numbers of voxels of `resolution`; two make one section. All cutouts have one shape, see `Places`.
    mip, image_mip, segmentation_mip
        As for `client.cutout`.
    resolution : array_like, optional
        nm per voxel of the numbers. By default what the table says of itself
        (`df.attrs["dataframe_resolution"]`); else the client's.
    root_ids, timestamp
        As for `client.cutout`. Ids that a place does not hold are no reason to warn.
    column : str, optional
        Which position of a table that has several, such as "pre_pt_position".
    ids_columns : sequence of str
        Columns of ids to hand out with each cutout, as `ids`.
    order : {"input", "completed"}
        As given, for which up to 1.5 GiB wait in a temporary file that no one else sees; or as they come, which is
        fastest and begins at once. Each cutout tells its `index`.
    on_error : {"raise", "skip", "return"}
        What to do about a place that cannot be read, once it was tried again after the others: raise its error, leave
        it out and warn at the end, or give a `FailedPlace`.
    progress : bool or callable, optional
        True shows a bar, in a notebook or in a terminal, with rate and time left; or what is to be called with the
        number of places done and that of all.
    missing : {"warn", "fill", "raise"}, optional
        What to do about voxels outside the data or never written, in place of the client's: "warn" warns once, at the
        end; "raise" makes such a place fail.
    budget : int
        Bytes that chunks and waiting cutouts may take, beside the chunks the process keeps anyway.

    Yields
    ------
    PlaceCutout or FailedPlace
        A `Cutout` that tells its `index`, the row of the place; `FailedPlace` only if `on_error` is "return".

    Raises
    ------
    ArgumentError, BoundsError, ScaleError, TooLargeError
        At once, if an argument makes no sense or one cutout alone would exceed the limit of memory.
    ImageryError
        If a place fails and `on_error` is "raise"; that of the place.
    AccessError
        If the roots may not be looked up, whatever `on_error` says.

    Examples
    --------
    >>> import tempfile, imageryclient as ic
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> em = np.arange(64 * 64 * 8, dtype=np.uint8).reshape(64, 64, 8)
    >>> folder = write_precomputed(tempfile.mkdtemp(), [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    >>> client = ic.ImageryClient(image_source=str(folder))
    >>> for cut in cutouts(client, [[16, 16, 4], [40, 20, 4]], (8, 8)):
    ...     print(cut.index, cut.image.shape, cut.bounds.start, cut.image[0, 0, 0] == em[cut.bounds.start])
    0 (8, 8, 1) (12, 12, 4) True
    1 (8, 8, 1) (36, 16, 4) True
    """
    if order not in get_args(Order):
        raise ArgumentError(f"order must be 'input' or 'completed'; got {order!r}")
    if budget <= 0:
        raise ArgumentError(f"budget must be a number of bytes above 0; got {budget!r}")
    places = parse_places(
        points,
        size=bbox_size,
        resolution=resolution,
        default=client._resolution_of(None),
        column=column,
        ids_columns=ids_columns,
    )
    terms = terms_of(
        client,
        mip=mip,
        image_mip=image_mip,
        segmentation_mip=segmentation_mip,
        root_ids=root_ids,
        timestamp=timestamp,
        missing=missing,
    )
    check_size(client, terms, places.shape_at(terms.resolution))
    on_error = parse_on_error(on_error)
    if terms.missing != "fill" and any(is_versioned(layer.volume) for layer, _ in layers_of(client, terms)):
        warn_of_future(terms.wanted)
    return _told(_Run(client, places, terms, order, budget, counter(progress, len(places))), on_error)


def plan_groups(
    client: ImageryClient,
    places: Places,
    terms: Terms,
    *,
    budget: int = BUDGET,
    result_bytes: int = 0,
    first: int = 0,
) -> Iterator[Group]:
    """Cut places into groups of neighbours, each to be read at once.

    Parameters
    ----------
    client : ImageryClient
        Where from.
    places : Places
        Those without a position are left out.
    terms : Terms
        What to read.
    budget : int
        Bytes that the chunks of a group may take, with the results of it if `result_bytes` is given.
    result_bytes : int
        Bytes of one place's result, where those of a group are kept together.
    first : int
        Number of the first group.
    """
    placed = np.flatnonzero(places.placed)
    some = places.take(placed)
    starts, shape = some.starts_at(terms.resolution), some.shape_at(terms.resolution)
    grids = grids_of(client, terms)
    order = along_curve(starts, shape, terms.resolution, grids)
    cut = cut_groups(order, starts, shape, terms.resolution, grids, budget=budget, result_bytes=result_bytes)
    for number, rows in enumerate(cut, first):
        yield make_group(number, some, rows, terms)


@dataclass(frozen=True, slots=True)
class _Run:
    """All places of a call."""

    client: ImageryClient
    places: Places
    terms: Terms
    order: Order
    budget: int
    count: Counter

    def outcomes(self) -> Iterator[Outcome]:
        """Give what becomes of each place, in the order asked for; failures after they were tried again."""
        if self.order == "completed":
            yield from self._twice(self.places, finished)
            return
        with Shelf(_SHELF, self.budget // 16) as shelf:
            for some in self._windows():
                yield from self._in_turn(some, shelf)
                shelf.clear()

    def _windows(self) -> Iterator[Places]:
        """Cut the places into as many as the shelf holds; the first are few, so that they come soon."""
        yield self.places.take(slice(0, _FIRST))
        rest = len(self.places) - _FIRST
        if rest > 0:
            each = kept_bytes(self.client, self.terms, self.places.shape_at(self.terms.resolution))
            windows = -(-rest // max(1, _SHELF // each))
            for rows in np.array_split(np.arange(_FIRST, len(self.places)), windows):
                yield self.places.take(rows)

    def _in_turn(self, places: Places, shelf: Shelf) -> Iterator[Outcome]:
        """Read places in the order of the curve, shelve what they take from the chunks, and give them as they are.

        The objects of all are looked up in one request.
        """
        failed: dict[int, FailedPlace] = {}
        supervoxels = [np.empty(0, np.uint64)]

        def shelved(reading: ReadingGroup) -> Iterator[int | FailedPlace]:
            supervoxels.append(reading.decode())
            yield from _shelved(reading, shelf)

        for outcome in self._twice(places, shelved):
            if isinstance(outcome, FailedPlace):
                failed[outcome.index] = outcome
        lost: ImageryError | None = None
        names = None
        for _ in range(2):
            try:
                names, lost = names_of(self.client, self.terms, distinct(np.concatenate(supervoxels))), None
                break
            except AccessError:
                raise
            except LASTING as error:
                lost = error

        def made(n: int) -> Outcome:
            index = int(places.index[n])
            if index in failed:
                return failed[index]
            if lost is not None:
                x, y, z = places.centers[n].tolist()
                return FailedPlace(index, (x, y, z), lost)
            packed = shelf.take(index)
            if packed is not None:
                parts: Parts = pickle.loads(packed)
                outcome = parts.cutout(self.client, self.terms, names)
                if not isinstance(outcome, FailedPlace) or isinstance(outcome.error, _FOR_GOOD):
                    return outcome
            return self._alone(places.take([n]))

        shape = places.shape_at(self.terms.resolution)
        yield from each_ahead(made, range(len(places)), *pace(self.client, self.terms, shape))

    def _twice(
        self, places: Places, read: Callable[[ReadingGroup], Iterator[Result]]
    ) -> Iterator[Result | FailedPlace]:
        """Read places in the order of the curve; those that fail once more at the end."""
        again: list[int] = []
        for outcome in self._once(places, read):
            if isinstance(outcome, FailedPlace) and not isinstance(outcome.error, _FOR_GOOD):
                again.append(outcome.index)
            else:
                self.count.update()
                yield outcome
        if again:
            for outcome in self._once(places.take(np.flatnonzero(np.isin(places.index, again))), read):
                self.count.update()
                yield outcome

    def _alone(self, place: Places) -> Outcome:
        """Read one place by itself."""
        reading = ReadingGroup(self.client, make_group(0, place, np.array([0]), self.terms))
        try:
            reading.finish()
            return reading.cutout(0)
        finally:
            reading.close()

    def _once(self, places: Places, read: Callable[[ReadingGroup], Iterator[Result]]) -> Iterator[Result | FailedPlace]:
        for n in np.flatnonzero(~places.placed).tolist():
            index = int(places.index[n])
            x, y, z = places.centers[n].tolist()
            yield FailedPlace(index, (x, y, z), BoundsError(f"place {index} has no position"))
        groups = plan_groups(self.client, places, self.terms, budget=self.budget // 2)
        yield from read_in_turn(self.client, groups, read)


def _shelved(reading: ReadingGroup, shelf: Shelf) -> Iterator[int | FailedPlace]:
    """Put what each place takes from the chunks on the shelf; give its index."""

    def put(n: int) -> int | FailedPlace:
        parts = reading.parts(n)
        if isinstance(parts, FailedPlace):
            return parts
        shelf.put(parts.index, pickle.dumps(parts.detached(), protocol=5))
        return parts.index

    yield from each_ahead(put, range(len(reading.group)), *reading.pace)


def _told(run: _Run, on_error: OnError) -> Iterator[Outcome]:
    """Hand on what becomes of the places, with the ids given with them; say at the end what was missing."""
    policy = Policy(run.terms.missing)
    failed: list[FailedPlace] = []
    gaps, example = 0, ""
    try:
        for outcome in run.outcomes():
            if isinstance(outcome, FailedPlace):
                if on_error == "raise":
                    raise outcome.error
                if on_error == "skip":
                    failed.append(outcome)
                    continue
            elif policy.missing == "warn":
                words = [f"{name}: {said}" for name, c in outcome.coverage.items() if (said := c.describe())]
                gaps += bool(words)
                if words and not example:
                    example = f"place {outcome.index}, {'; '.join(words)}"
            yield _named(outcome, run.places)
    finally:
        run.count.close()
    if gaps:
        fact = f"{gaps} of {len(run.places)} places are not data throughout; the first is {example}"
        say(policy, fact, "what is missing is 0 in the results", MissingDataWarning)
    if failed:
        warn_of_failures(failed, len(run.places))


def _named(outcome: Outcome, places: Places) -> Outcome:
    """Give a cutout the ids that were given with its place."""
    if isinstance(outcome, FailedPlace) or not places.ids:
        return outcome
    return replace(outcome, ids={name: int(column[outcome.index]) for name, column in places.ids.items()})
