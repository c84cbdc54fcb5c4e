"""An export on a Dask cluster: tasks are groups of neighbouring places, workers write what they read.

A task holds where the layers lie, what is read, and the places: no voxels, and no token. Tokens come to the workers
apart, by a plugin; they are in no graph, no argument of a task and no log. A worker that is lost has its groups done
again by another, with the same bytes; what it had written and noted in its journal stays.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..cave.datastack import saved_token
from ..cloudpath import CloudPath
from ..errors import ArgumentError, MissingExtraError, StorageError
from ..ids import Ids
from ..recipe import Recipe, recipe_of
from .failures import FailedPlace
from .journal import Entry
from .local import GROUP_BYTES
from .plan import Plan
from .reading import Group, ReadingGroup
from .stream import plan_groups
from .writing import Job, PlaceWriter

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Mission", "Outcome", "connect", "hold_tokens", "write_group", "write_on"]

_LARGEST = 256  # places in a task: so many are done again at most when a worker is lost
_SMALLEST = 16
_TASKS = 4  # for each thread of the cluster, so that all are busy to the end
_KEPT = 4  # clients in a worker
_TOKENS: dict[str, Mapping[str, str]] = {}  # of this process: by run, and by source
_CLIENTS: dict[str, tuple[ImageryClient, PlaceWriter]] = {}  # of this process: by run
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Mission:
    """What every task of a run shares; slim to pickle, without tokens.

    Parameters
    ----------
    run : str
        A name of its own, by which a worker finds tokens.
    recipe : Recipe
        How the client is made again.
    job : Job
        What is written.
    """

    run: str
    recipe: Recipe
    job: Job

    def tools(self) -> tuple[ImageryClient, PlaceWriter]:
        """Give the client, with the tokens that were brought, or else saved ones, and what writes.

        Both are made once in each process: the one has its memory of chunks, the other files of its own.
        """
        with _LOCK:
            if self.run not in _CLIENTS:
                while len(_CLIENTS) >= _KEPT:
                    del _CLIENTS[next(iter(_CLIENTS))]
                made: ImageryClient = self.recipe.make()
                made._layers._token_for = self._token_for
                _CLIENTS[self.run] = made, PlaceWriter(self.job)
            return _CLIENTS[self.run]

    def _token_for(self, path: CloudPath) -> str | None:
        return _TOKENS.get(self.run, {}).get(path.source) or saved_token(path)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the places of a group."""

    entries: tuple[Entry, ...]
    failed: tuple[FailedPlace, ...]


def connect(address: str) -> Any:
    """Give a client of the Dask cluster at an address, for use in a `with` block.

    Raises
    ------
    MissingExtraError
        If distributed is not installed.
    StorageError
        If there is no cluster there.
    """
    try:
        import distributed
    except ImportError:
        raise MissingExtraError("a Dask cluster needs distributed: pip install 'imageryclient[distributed]'") from None
    try:
        made: Any = distributed.Client
        return made(address)
    except (OSError, ValueError) as error:
        raise StorageError(f"there is no Dask scheduler at {address!r}: {error}") from None


def hold_tokens(run: str, tokens: Mapping[str, str]) -> None:
    """Keep tokens in this process for a run; none lets go of them, and of its client."""
    with _LOCK:
        _TOKENS.pop(run, None)
        if tokens:
            _TOKENS[run] = dict(tokens)
        else:
            _CLIENTS.pop(run, None)


def write_group(mission: Mission, group: Group, ids: Mapping[str, Ids]) -> Outcome:
    """Read a group and write its places: the task of a worker."""
    (client, writer), entries, failed = mission.tools(), list[Entry](), list[FailedPlace]()
    rows = {int(index): row for row, index in enumerate(group.indices.tolist())}
    reading = ReadingGroup(client, group)
    try:
        reading.finish()
        for read in reading.results():
            if not isinstance(read, FailedPlace):
                row = rows[read.index]
                written = writer.write(read, {name: int(column[row]) for name, column in ids.items()})
                if isinstance(written, Entry):
                    entries.append(written)
                    continue
                read = written
            failed.append(read)
    finally:
        reading.close()
    return Outcome(tuple(entries), tuple(failed))


def write_on(scheduler: Any, plan: Plan, rows: NDArray[np.int64]) -> Iterator[Entry | FailedPlace]:
    """Have places written by the workers of a cluster; give what became of each, as they come.

    Raises
    ------
    ArgumentError
        If a layer is an array at hand.
    StorageError
        If the output cannot be written by a worker.
    AccessError
        If the objects may not be looked up.
    """
    import distributed

    as_completed: Any = distributed.as_completed  # which has no types

    run, tokens = uuid.uuid4().hex, _tokens_of(plan.client)
    mission = Mission(run, _recipe_of(plan.client), plan.job)
    columns = {name: plan.places.ids[column] for name, column in plan.masks.items()}
    futures: dict[Any, Group] = {}
    with _tokens_on(scheduler, run, tokens):
        try:
            for number, group in enumerate(_tasks(plan, rows, sum(scheduler.nthreads().values()))):
                ids = {name: column[group.indices] for name, column in columns.items()}
                task = f"imageryclient-export-{run}-{number}"
                futures[scheduler.submit(write_group, mission, group, ids, key=task, pure=False)] = group
            for future in as_completed(list(futures)):
                try:
                    outcome: Outcome = future.result()
                except distributed.KilledWorker:
                    yield from _lost(futures.pop(future))
                    continue
                del futures[future]
                future.release()
                yield from outcome.entries
                yield from outcome.failed
        finally:
            if futures:
                scheduler.cancel(list(futures))


def _lost(group: Group) -> Iterator[FailedPlace]:
    """Say of a group that workers died of that they did; it may have been for want of memory."""
    error = StorageError("several workers of the cluster were lost while they read it; they may need more memory")
    for index, center in zip(group.indices.tolist(), group.centers.tolist(), strict=True):
        yield FailedPlace(index, tuple(center), error)


def _tasks(plan: Plan, rows: NDArray[np.int64], threads: int) -> Iterator[Group]:
    """Cut places into groups of neighbours, small enough to keep so many threads busy."""
    size = min(max(len(rows) // (_TASKS * max(threads, 1)), _SMALLEST), _LARGEST)
    for group in plan_groups(plan.client, plan.places.take(rows), plan.terms, budget=GROUP_BYTES):
        for first in range(0, len(group), size):
            yield group.take(np.arange(first, min(first + size, len(group))))


def _recipe_of(client: ImageryClient) -> Recipe:
    for name in client._layers.names:
        if client._layers.path(name) is None:
            raise ArgumentError(
                f"the {name} of this client is an array at hand, which the workers of a cluster do not have: "
                "export without scheduler=, or store the array where they can read it"
            )
    return recipe_of(client, resolution=client._resolution_of(None), missing="fill", memory_limit=None)


def _tokens_of(client: ImageryClient) -> dict[str, str]:
    """Give the token for each source that asks for one."""
    tokens = {}
    for name in client._layers.names:
        path, token = client._layers.path(name), client._layers.token(name)
        if path is not None and token is not None:
            tokens[path.source] = token
    return tokens


@contextmanager
def _tokens_on(scheduler: Any, run: str, tokens: Mapping[str, str]) -> Iterator[None]:
    """Bring tokens to the workers there are and those that come, and take them away again."""
    if not tokens:
        yield
        return
    scheduler.register_plugin(_plugin(run, tokens), name=f"imageryclient-{run}")
    try:
        yield
    finally:
        scheduler.unregister_worker_plugin(f"imageryclient-{run}")


def _plugin(run: str, tokens: Mapping[str, str]) -> Any:
    from distributed import WorkerPlugin

    class Tokens(WorkerPlugin):
        """Brings tokens to a worker; says nothing of them."""

        def setup(self, worker: Any) -> None:
            hold_tokens(run, tokens)

        def teardown(self, worker: Any) -> None:
            hold_tokens(run, {})

    return Tokens()
