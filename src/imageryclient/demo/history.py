"""The record of a proofread segmentation: which root each supervoxel had at every moment.

Each operation retires one or two roots and makes new ones; ids are never used twice. An operation at time T
is seen by questions about T and later. Times are unix seconds, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..cave.node_ids import NodeLayout
from ..errors import ArgumentError, BoundsError, MissingDataError
from ..ids import as_ids
from .hierarchy import Hierarchy
from .history_files import Stored, restore, store
from .lineage import Descent, Lineage
from .operations import Operation, perform
from .proofreading import plan_edits

__all__ = ["History"]

Ids = NDArray[np.uint64]


class History:
    """Who belonged to what, and when.

    Make one with `History.create` or `History.load`.

    Attributes
    ----------
    supervoxels : numpy.ndarray
        uint64, sorted: all supervoxels.
    layout : NodeLayout
        How ids are laid out.
    oldest : float
        When the record begins, unix seconds.
    operations : tuple of Operation
        All edits, by time.
    versions : dict of int to float
        Materialization versions and their moments.
    descent : Descent
        Which root came from which.

    Examples
    --------
    >>> import numpy as np
    >>> layout = NodeLayout.covering((400, 100, 100), (100, 100, 100))
    >>> supervoxels = layout.compose(1, [(i // 4, 0, 0) for i in range(16)], [1, 2, 3, 4] * 4)
    >>> history = History.create(supervoxels, np.repeat([7, 8, 9, 0], 4), layout, start=1.7e9, edits=5)
    >>> before, after = history.at(history.oldest), history.at()
    >>> np.array_equal(before, after)
    False
    >>> len(np.unique(after))
    7
    """

    def __init__(
        self,
        supervoxels: Ids,
        pieces: NDArray[np.int64],
        initial: Ids,
        layout: NodeLayout,
        oldest: float,
        operations: Sequence[Operation],
        versions: Mapping[int, float],
    ) -> None:
        self.supervoxels = supervoxels
        self.layout = layout
        self.oldest = float(oldest)
        self.operations = tuple(operations)
        self.versions = dict(versions)
        self._pieces = pieces
        self._initial = initial
        self._times = np.array([op.time for op in self.operations], np.float64)
        self._order = np.argsort(pieces, kind="stable")
        self._first = np.concatenate([[0], np.cumsum(np.bincount(pieces, minlength=initial.size))])
        self._hierarchy = Hierarchy(supervoxels, pieces, layout)
        self._made: dict[int, NDArray[np.int64]] = {}
        for op in self.operations:
            self._made.update(zip(op.after, self._outcome(op), strict=True))
        self.descent = Descent(self.operations, self.oldest)

    @classmethod
    def create(
        cls,
        supervoxels: ArrayLike,
        bodies: ArrayLike,
        layout: NodeLayout,
        *,
        start: float,
        edits: int = 40,
        seed: int = 0,
        interval: float = 3600.0,
        versions: int = 4,
    ) -> History:
        """Invent a history that begins with mistakes and ends with the true bodies.

        Parameters
        ----------
        supervoxels : array_like
            uint64, shape (n,), sorted, each once.
        bodies : array_like
            Shape (n,): the true object of each supervoxel; 0 for none, which keeps a root of its own.
        layout : NodeLayout
            How ids are laid out; new roots are of its layer `n_layers`.
        start : float
            When the record begins, unix seconds.
        edits : int
            The most operations; fewer where the bodies allow no more.
        seed : int
            The same seed gives the same history.
        interval : float
            Mean time from one operation to the next, seconds. Operations fall on whole seconds.
        versions : int
            Materialization versions, at least 2: the first before all operations, the last after them.

        Raises
        ------
        ArgumentError
            If the arguments do not fit each other.
        """
        ids = as_ids(supervoxels)
        truth = np.asarray(bodies)
        if ids.ndim != 1 or ids.size == 0 or np.any(ids[1:] <= ids[:-1]):
            raise ArgumentError("supervoxels must be a sorted row of ids, each once")
        if truth.shape != ids.shape or truth.dtype.kind not in "iu":
            raise ArgumentError(
                f"bodies must be one whole number for each of {ids.size} supervoxels; "
                f"got shape {truth.shape}, dtype {truth.dtype}"
            )
        if np.any(layout.layer_of(ids) != 1):
            raise ArgumentError("supervoxels must be of layer 1")
        if edits < 0 or versions < 2 or interval < 4:
            raise ArgumentError("edits must be at least 0, versions at least 2, interval at least 4 seconds")
        rng = np.random.default_rng(seed)
        positions = layout.chunk_of(ids).astype(np.float64) * layout.chunk_size
        compact = np.unique(truth, return_inverse=True)[1].astype(np.int64) + 1
        compact[truth == 0] = 0
        plan = plan_edits(compact, positions, edits, rng)
        begin = float(np.floor(start))
        jitter = np.floor(interval * rng.uniform(-0.4, 0.4, len(plan.steps)))
        times = begin + np.floor(interval) * np.arange(1, len(plan.steps) + 1) + jitter
        initial, operations = perform(plan, layout, times.tolist())
        seen = np.round(np.linspace(0, len(operations), versions)).astype(int)
        marks = [begin, *times.tolist()]
        moments = {number: marks[k] + 1.0 for number, k in enumerate(seen.tolist(), start=1)}
        return cls(ids, plan.pieces, initial, layout, begin, operations, moments)

    def at(self, timestamp: float | None = None) -> Ids:
        """Give the root of every supervoxel at a moment, uint64, in the order of `supervoxels`.

        Parameters
        ----------
        timestamp : float, optional
            Unix seconds; None for after the last operation.

        Raises
        ------
        ArgumentError
            If the moment is before the record begins.
        """
        return self._state(timestamp)[self._pieces]

    def roots(
        self,
        ids: ArrayLike,
        timestamp: float | None = None,
        *,
        stop_layer: int | None = None,
        absent: Literal["raise", "zero"] = "raise",
    ) -> Ids:
        """Give the root of each supervoxel at a moment.

        Parameters
        ----------
        ids : array_like
            Supervoxels, or nodes of higher layers; any shape. 0 gives 0. A root that ever was gives itself,
            as in PyChunkedGraph.
        timestamp : float, optional
            Unix seconds; None for after the last operation.
        stop_layer : int, optional
            Give the nodes of this layer in place of roots; nodes above it give themselves.
        absent : {"raise", "zero"}
            What an unknown id does.

        Returns
        -------
        numpy.ndarray
            uint64, shape of `ids`.

        Raises
        ------
        MissingDataError
            If an id is unknown.
        ArgumentError
            If the moment is before the record begins, or there is no such layer.
        """
        top = self.layout.n_layers
        stop = top if stop_layer is None else stop_layer
        if not 1 <= stop <= top:
            raise ArgumentError(f"the graph has layers 1 to {top}; got stop_layer={stop_layer}")
        wanted = as_ids(ids)
        flat = wanted.ravel()
        state = self._state(timestamp)
        layers = self.layout.layer_of(flat)
        result = np.zeros(flat.shape, np.uint64)
        known = flat == 0
        for layer in range(1, top + 1):
            which = layers == layer
            if not np.any(which):
                continue
            asked = flat[which]
            table, first = self._hierarchy.table(layer) if layer < top else (self._lives[0], None)
            where = np.searchsorted(table, asked).clip(max=table.size - 1)
            hit = table[where] == asked
            if layer >= stop or first is None:
                found = asked
            elif stop < top:
                found = self.nodes(stop)[first[where]]
            else:
                found = state[self._pieces[first[where]]]
            result[which] = np.where(hit, found, 0)
            known[which] = hit
        if absent == "raise" and not np.all(known):
            _refuse(flat[~known], flat.size)
        return result.reshape(wanted.shape)

    def leaves(self, root: int, bounds: ArrayLike | None = None, *, layer: int = 1) -> Ids:
        """Give the supervoxels of a root that is or ever was, or of a node of a layer between.

        Parameters
        ----------
        root : int
            The root or the node.
        bounds : array_like, optional
            Shape (2, 3): lower and upper corner, voxels of the base scale. Only supervoxels whose graph chunk
            meets the box come back.
        layer : int
            Above 1: the nodes of that layer in place of supervoxels.

        Returns
        -------
        numpy.ndarray
            uint64, sorted.

        Raises
        ------
        MissingDataError
            If there never was such a root or node.
        BoundsError
            If `bounds` are not two corners.
        """
        own = int(self.layout.layer_of(root))
        if 1 < own < self.layout.n_layers:
            index = np.flatnonzero(self.nodes(own) == as_ids(root))
            if index.size == 0:
                raise MissingDataError(f"there is no node {root}")
        else:
            parts = [
                self._order[self._first[piece] : self._first[piece + 1]] for piece in self._pieces_of(root).tolist()
            ]
            index = np.sort(np.concatenate(parts))
        if bounds is not None:
            box = np.asarray(bounds)
            if box.shape != (2, 3) or box.dtype.kind not in "iu":
                raise BoundsError(f"bounds must be a lower and an upper corner in whole voxels; got {bounds!r}")
            box = box.astype(np.int64)
            size = np.array(self.layout.chunk_size, np.int64)
            chunks = self.layout.chunk_of(self.supervoxels[index])
            inside = (chunks >= box[0] // size) & (chunks < -(-box[1] // size))
            index = index[np.all(inside, axis=1)]
        if layer == 1:
            return self.supervoxels[index]
        if layer >= own:
            return np.array([root], np.uint64)
        return np.unique(self.nodes(layer)[index])

    def nodes(self, layer: int) -> Ids:
        """Give the node of a layer below the roots above every supervoxel; see `Hierarchy`."""
        return self._hierarchy.nodes(layer)

    def is_latest(self, roots: ArrayLike, timestamp: float | None = None) -> NDArray[np.bool_]:
        """Tell for each id whether it is a root at a moment; unknown ids are not.

        Returns
        -------
        numpy.ndarray
            bool, shape of `roots`.
        """
        asked = as_ids(roots)
        known, born, ended = self._lives
        where = np.searchsorted(known, asked).clip(max=known.size - 1)
        moment = np.inf if timestamp is None else float(timestamp)
        alive = (born[where] <= moment) & ((moment < ended[where]) | np.isinf(ended[where]))
        alive &= known[where] == asked
        return np.asarray(alive, np.bool_)

    def root_timestamps(self, roots: ArrayLike) -> NDArray[np.float64]:
        """Give the moment when each root was made, unix seconds.

        Raises
        ------
        MissingDataError
            If there never was such a root.
        """
        known, born, _ = self._lives
        return born[_positions(known, as_ids(roots))]

    def end_timestamps(self, roots: ArrayLike) -> NDArray[np.float64]:
        """Give the moment when each root was retired, unix seconds; infinity for those that still are.

        Raises
        ------
        MissingDataError
            If there never was such a root.
        """
        known, _, ended = self._lives
        return ended[_positions(known, as_ids(roots))]

    def past_ids(self, root: int, timestamp: float | None = None) -> Ids:
        """Give the roots at a moment from which `root` descends, sorted; itself where it is no younger.

        Parameters
        ----------
        root : int
            A root that is or ever was.
        timestamp : float, optional
            Unix seconds; None, or a moment before the record begins, for its beginning.

        Raises
        ------
        MissingDataError
            If there never was such a root.
        """
        self._pieces_of(root)
        return self.descent.past(int(root), max(self.oldest, -np.inf if timestamp is None else timestamp))

    def future_ids(self, root: int, timestamp: float | None = None) -> Ids:
        """Give the roots at a moment that descend from `root`, sorted; itself where it lasts that long.

        Parameters
        ----------
        root : int
            A root that is or ever was.
        timestamp : float, optional
            Unix seconds; None for after the last operation.

        Raises
        ------
        MissingDataError
            If there never was such a root.
        """
        self._pieces_of(root)
        return self.descent.future(int(root), np.inf if timestamp is None else timestamp)

    def lineage(self, roots: ArrayLike, past: float | None = None, future: float | None = None) -> Lineage:
        """Give all ancestors and descendants of some roots.

        Parameters
        ----------
        roots : array_like
            Where to begin.
        past, future : float, optional
            Unix seconds. Links that cross such a moment are the last to be followed.

        Raises
        ------
        MissingDataError
            If there never was such a root.
        """
        begin = as_ids(roots).ravel()
        self.root_timestamps(begin)
        return self.descent.graph(
            begin.tolist(), -np.inf if past is None else past, np.inf if future is None else future
        )

    def operation_of(self, root: int) -> Operation | None:
        """Give the operation that made a root; None for roots of the beginning."""
        return self.descent.makers.get(int(root))

    def moved(self, operation: Operation) -> Ids:
        """Give the supervoxels that joined (merge) or left (split, undo) an object, uint64, sorted."""
        mask = np.zeros(self._initial.size, np.bool_)
        mask[operation.pieces] = True
        return self.supervoxels[mask[self._pieces]]

    def save(self, folder: Path | str) -> None:
        """Write `history.npz` and `history.json` into a folder."""
        store(
            Path(folder),
            Stored(
                self.supervoxels,
                self._pieces,
                self._initial,
                self.layout,
                self.oldest,
                self.operations,
                self.versions,
            ),
        )

    @classmethod
    def load(cls, folder: Path | str) -> History:
        """Read what `save` wrote.

        Raises
        ------
        NotFoundError
            If the files are absent.
        FormatError
            If they do not hold a history.
        """
        stored = restore(Path(folder))
        return cls(
            stored.supervoxels,
            stored.pieces,
            stored.initial,
            stored.layout,
            stored.oldest,
            stored.operations,
            stored.versions,
        )

    def _state(self, timestamp: float | None) -> Ids:
        """Give the root of every piece at a moment."""
        done = len(self.operations)
        if timestamp is not None:
            if not timestamp >= self.oldest:
                raise ArgumentError(f"the record begins at {self.oldest:.0f} (unix seconds); asked for {timestamp}")
            done = int(np.searchsorted(self._times, timestamp, side="right"))
        state = self._initial.copy()
        for op in self.operations[:done]:
            for root in op.after:
                state[self._made[root]] = root
        return state

    def _outcome(self, op: Operation) -> list[NDArray[np.int64]]:
        """Give the pieces of each root that an operation made."""
        if op.is_merge:
            return [np.concatenate([self._pieces_of(root) for root in op.before])]
        return [np.setdiff1d(self._pieces_of(op.before[0]), op.pieces), op.pieces]

    def _pieces_of(self, root: int) -> NDArray[np.int64]:
        made = self._made.get(int(root))
        if made is None:
            made = np.flatnonzero(self._initial == as_ids(root))
        if made.size == 0:
            raise MissingDataError(f"there never was a root {root}")
        return made

    @cached_property
    def _lives(self) -> tuple[Ids, NDArray[np.float64], NDArray[np.float64]]:
        """All roots ever, sorted, with the moments that they were made and retired."""
        made = [(root, op.time) for root, op in self.descent.makers.items()]
        roots = np.concatenate([np.unique(self._initial), np.array([r for r, _ in made], np.uint64)])
        born = np.full(roots.size, self.oldest)
        born[roots.size - len(made) :] = [time for _, time in made]
        order = np.argsort(roots)
        roots, born = roots[order], born[order]
        ended = np.full(roots.size, np.inf)
        for root, op in self.descent.enders.items():
            ended[np.searchsorted(roots, np.uint64(root))] = op.time
        return roots, born, ended


def _positions(known: Ids, asked: Ids) -> NDArray[np.intp]:
    where = np.searchsorted(known, asked).clip(max=known.size - 1)
    absent = known[where] != asked
    if np.any(absent):
        _refuse(asked[absent], asked.size)
    return where


def _refuse(unknown: Ids, asked: int) -> NoReturn:
    raise MissingDataError(f"{unknown.size} of {asked} ids never were in the graph, such as {unknown.flat[0]}")
