"""The cutouts of many places, one after the other: neighbours read together, memory bounded whatever the number.

There are two ways. As they come, places are read in groups of neighbours along a Hilbert curve (`grouping`, `reading`):
the chunks of one group are held, and its cutouts given, while those of the next are fetched. In the order given, which
has nothing to do with where places lie, as many places as a file on disk has room for are taken at a time: what they
take from chunks is put there along the curve, then taken from there in order (`scattering`, `shelf`). Either way what
is held is a few chunks, a few cutouts, and the arrays of the places' positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..errors import AccessError, ArgumentError, BoundsError, ImageryError, MissingDataError, MissingDataWarning
from ..ids import Ids, distinct
from ..layers import Mip
from ..reading import Missing, Policy, say, warn_of_future
from ..volumes.base import is_versioned
from ..volumes.gathering import Names
from .ahead import each_ahead, pace
from .failures import FailedPlace, OnError, parse_on_error, warn_of_failures
from .grouping import along_curve, cut_groups
from .places import Places, parse_places
from .progress import Counter, counter
from .reading import LASTING, Group, Parts, PlaceCutout, ReadingGroup, finished, make_group, read_in_turn
from .scattering import gathered, scatter
from .shelf import Shelf
from .terms import Terms, check_size, grids_of, kept_bytes, layers_of, names_of, terms_of

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["BUDGET", "Order", "cutouts", "plan_groups"]

BUDGET = 256 * 2**20
_SHELF = 3 * 2**29  # bytes that wait for their turn, in a file
_FIRST = 64  # places that are read before the first is given
_GROWTH = 16  # times as many are read before the next
_FOR_GOOD = (BoundsError, MissingDataError)  # not worth another try
Order = Literal["input", "completed"]
Outcome = PlaceCutout | FailedPlace


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
        Two or three numbers of voxels of `resolution`, by default the client's, also where a table has its positions in
        nm; two make one section. All cutouts have one shape, see `Places`.
    mip, image_mip, segmentation_mip
        As for `client.cutout`.
    resolution : array_like, optional
        nm per voxel of all numbers. By default the client's, but for positions in a table that says its own
        (`df.attrs["dataframe_resolution"]`).
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
        for outcome in self._as_they_come() if self.order == "completed" else self._in_order():
            self.count.update()
            yield outcome

    def _as_they_come(self) -> Iterator[Outcome]:
        """Read places in the order of the curve; those that fail once more at the end."""
        again: list[int] = []
        for outcome in self._once(self.places):
            if isinstance(outcome, FailedPlace) and not isinstance(outcome.error, _FOR_GOOD):
                again.append(outcome.index)
            else:
                yield outcome
        if again:
            yield from self._once(self.places.take(np.flatnonzero(np.isin(self.places.index, again))))

    def _once(self, places: Places) -> Iterator[Outcome]:
        for n in np.flatnonzero(~places.placed).tolist():
            yield _unplaced(places, n)
        groups = plan_groups(self.client, places, self.terms, budget=self.budget // 2)
        yield from read_in_turn(self.client, groups, finished)

    def _in_order(self) -> Iterator[Outcome]:
        """Read as many places as the shelf holds, give them in order, and so on."""
        with Shelf(_SHELF, self.budget // 64) as shelf:
            for some in self._windows():
                yield from self._window(some, shelf)
                shelf.clear()

    def _windows(self) -> Iterator[Places]:
        """Cut the places into as many as the shelf holds; of many the first are few, so that they come soon."""
        count = len(self.places)
        each = kept_bytes(self.client, self.terms, self.places.shape_at(self.terms.resolution))
        room = max(1, _SHELF // each)
        start, size = 0, count if count <= 4 * _FIRST else _FIRST
        while start < count:
            size = min(size, room)
            if size == room:  # from here on all are of one size
                size = -(-(count - start) // -(-(count - start) // room))
            yield self.places.take(slice(start, start + size))
            start, size = start + size, size * _GROWTH

    def _window(self, places: Places, shelf: Shelf) -> Iterator[Outcome]:
        """Put what places take from the chunks on the shelf, and give them in order.

        The objects of all are looked up in one request.
        """
        rows = np.flatnonzero(places.placed)
        shape = places.shape_at(self.terms.resolution)
        boxes = dict(zip(rows.tolist(), places.take(rows).boxes_at(self.terms.resolution), strict=True))
        found = scatter(self.client, self.terms, boxes, shelf, self.budget)
        failed: dict[int, ImageryError] = {n: e for n, e in found.failed.items() if isinstance(e, _FOR_GOOD)}
        supervoxels = found.supervoxels
        again = {n: boxes[n] for n in found.failed if n not in failed}
        if again:
            for n in again:
                shelf.drop(n)
            found = scatter(self.client, self.terms, again, shelf, self.budget)
            failed |= found.failed
            supervoxels = distinct(np.concatenate([supervoxels, found.supervoxels]))
        names, lost = self._names(supervoxels)

        def made(n: int) -> Outcome:
            if n not in boxes:
                return _unplaced(places, n)
            error = failed.get(n, lost)
            if error is not None:
                return _failed(places, n, error)
            packed = shelf.take(n)
            if packed is not None:
                center = cast("tuple[float, float, float]", tuple(places.centers[n].tolist()))
                taken = gathered(self.client, self.terms, boxes[n], packed)
                outcome = Parts(int(places.index[n]), center, boxes[n], taken).cutout(self.client, self.terms, names)
                if not isinstance(outcome, FailedPlace) or isinstance(outcome.error, _FOR_GOOD):
                    return outcome
            return self._alone(places.take([n]))

        yield from each_ahead(made, range(len(places)), *pace(self.client, self.terms, shape))

    def _names(self, supervoxels: Ids) -> tuple[Names | None, ImageryError | None]:
        """Ask whose supervoxels are, twice if need be; give that, or why it cannot be told."""
        for last in (False, True):
            try:
                return names_of(self.client, self.terms, supervoxels), None
            except AccessError:
                raise
            except LASTING as error:
                if last:
                    return None, error
        raise AssertionError

    def _alone(self, place: Places) -> Outcome:
        """Read one place by itself, twice if need be."""
        for last in (False, True):
            reading = ReadingGroup(self.client, make_group(0, place, np.array([0]), self.terms))
            try:
                reading.finish()
                outcome = reading.cutout(0)
            finally:
                reading.close()
            if last or not isinstance(outcome, FailedPlace) or isinstance(outcome.error, _FOR_GOOD):
                return outcome
        raise AssertionError


def _failed(places: Places, n: int, error: ImageryError) -> FailedPlace:
    """Give the `n`-th place as one that failed."""
    x, y, z = places.centers[n].tolist()
    return FailedPlace(int(places.index[n]), (x, y, z), error)


def _unplaced(places: Places, n: int) -> FailedPlace:
    """Give the `n`-th place, which has no position, as one that failed."""
    return _failed(places, n, BoundsError(f"place {int(places.index[n])} has no position"))


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
