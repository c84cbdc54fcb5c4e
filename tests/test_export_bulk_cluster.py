"""Exports on a Dask cluster: the same output, whatever becomes of its workers, and no token in what it keeps."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.bulk import cluster
from imageryclient.bulk.export import export
from imageryclient.bulk.plan import Asked, make_plan
from imageryclient.demo.server import DEMO_TOKEN
from imageryclient.errors import ArgumentError, StorageError

SIZE = (32, 24, 4)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def points() -> np.ndarray:
    centers = np.random.default_rng(2).integers((120, 80, 10), (280, 200, 40), (100, 3))
    centers[7] = 9000
    return centers


@pytest.fixture
def guarded(connect: Callable[..., Any], datastack: Any) -> Callable[[Any], ic.ImageryClient]:
    """A client whose segmentation asks for a token."""

    def make(served: Any) -> ic.ImageryClient:
        return connect(served, segmentation_source=f"graphene://middleauth+{served.url}/segmentation/table/little_v1")

    return make


def test_a_task_is_slim_and_holds_no_token(
    server: Callable[..., Any], guarded: Callable[[Any], ic.ImageryClient], points: np.ndarray, tmp_path: Path
) -> None:
    plan = make_plan(guarded(server()), points, tmp_path / "out", Asked(bbox_size=SIZE), resume=True)
    mission = cluster.Mission("run", cluster._recipe_of(plan.client), plan.job)
    group = next(cluster._tasks(plan, plan.left, 2))
    packed = pickle.dumps((mission, group))
    assert DEMO_TOKEN.encode() not in packed
    assert len(packed) < 4000 + 80 * len(group)
    assert cluster._tokens_of(plan.client) == {plan.client.segmentation_source: DEMO_TOKEN}
    plugin = cluster._plugin("run", {"source": DEMO_TOKEN})
    assert DEMO_TOKEN not in repr(plugin) + repr(vars(plugin))
    assert DEMO_TOKEN not in repr(mission)


@pytest.mark.parametrize("shard", [1, 30])
def test_a_task_writes_what_an_export_here_writes(
    server: Callable[..., Any],
    guarded: Callable[[Any], ic.ImageryClient],
    points: np.ndarray,
    tmp_path: Path,
    shard: int,
) -> None:
    """As a worker has it: pickled, in whatever order, and one group twice."""
    client = guarded(server())
    asked = Asked(bbox_size=SIZE, places_per_shard=shard)
    plan = make_plan(client, points, tmp_path / "out", asked, resume=True)
    with plan.begun():
        pass
    mission = cluster.Mission("run", cluster._recipe_of(client), plan.job)
    groups = list(cluster._tasks(plan, plan.left, 1))
    assert len(groups) > 2
    assert sorted(np.concatenate([group.indices for group in groups])) == list(range(100))
    cluster.hold_tokens("run", cluster._tokens_of(client))
    try:
        failed = []
        for group in [groups[1], *groups[2:], groups[0], groups[1]]:
            outcome = cluster.write_group(*pickle.loads(pickle.dumps((mission, group, {}))))
            assert len(outcome.entries) + len(outcome.failed) == len(group)
            failed += [one.index for one in pickle.loads(pickle.dumps(outcome)).failed]
        assert failed == [7]
    finally:
        cluster.hold_tokens("run", {})
    assert not cluster._TOKENS
    assert not cluster._CLIENTS
    assert export(client, points, tmp_path / "out", bbox_size=SIZE).resumed == 99
    export(client, points, tmp_path / "whole", bbox_size=SIZE, places_per_shard=shard)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_arrays_at_hand_stay_here(points: np.ndarray, tmp_path: Path) -> None:
    client = ic.ImageryClient(image_source=np.zeros((64, 64, 8), np.uint8), resolution=(8, 8, 40))
    with pytest.raises(ArgumentError, match="export without scheduler="):
        export(client, points, tmp_path / "out", bbox_size=SIZE, scheduler=object())  # type: ignore[arg-type]


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                local_directory=str(tmp_path / "dask"),
                silence_logs=50,
            ) as made,
            distributed.Client(made) as client,
        ):
            yield client


def everything_kept(dask_scheduler: Any) -> str:
    """All that a scheduler knows of tasks, and what it logged."""
    import cloudpickle

    tasks = [(repr(task), cloudpickle.dumps(task.run_spec)) for task in dask_scheduler.tasks.values()]
    logs = [dask_scheduler.transition_log, dask_scheduler.get_events(), dask_scheduler.get_logs()]
    return repr(tasks) + repr(logs)


def set_allowed_failures(dask_scheduler: Any, number: int) -> None:
    dask_scheduler.allowed_failures = number


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("allowed", [3, 0], ids=["again by Dask", "again at the end"])
def test_a_worker_killed_in_mid_run_changes_nothing(
    allowed: int,
    dask: Any,
    server: Callable[..., Any],
    guarded: Callable[[Any], ic.ImageryClient],
    points: np.ndarray,
    tmp_path: Path,
) -> None:
    served = server(latency=0.02)
    client = guarded(served)
    seen: list[str] = []
    dask.run_on_scheduler(set_allowed_failures, number=allowed)
    victims = list(dask.run(os.getpid).values())

    def strike() -> None:
        journal = tmp_path / "dask_out" / ".journal"
        while not any(path.stat().st_size for path in journal.glob("*.jsonl")):
            time.sleep(0.005)
        seen.append(dask.run_on_scheduler(everything_kept))
        os.kill(victims[0], getattr(signal, "SIGKILL", signal.SIGTERM))

    killer = threading.Thread(target=strike, daemon=True)
    killer.start()
    report = export(client, points, tmp_path / "dask_out", bbox_size=SIZE, scheduler=dask)
    killer.join(10)
    assert not killer.is_alive()
    assert (report.done, report.failed) == (99, 1)
    seen.append(dask.run_on_scheduler(everything_kept))
    assert "imageryclient-export" in seen[0]
    assert DEMO_TOKEN not in "".join(seen)
    assert victims[0] not in dask.run(os.getpid).values()
    export(client, points, tmp_path / "here", bbox_size=SIZE)
    assert tree(tmp_path / "dask_out") == tree(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_disk_that_is_full_for_a_worker_ends_the_export(
    dask: Any, server: Callable[..., Any], guarded: Callable[[Any], ic.ImageryClient], points: Any, tmp_path: Path
) -> None:
    client, to = guarded(server()), tmp_path / "out"

    def fill() -> None:
        def full(self: Path, data: Any) -> int:
            raise OSError(28, "No space left on device")

        Path.write_bytes = full  # type: ignore[method-assign,assignment]

    dask.run(fill)
    with pytest.raises(StorageError, match="the disk is full"):
        export(client, points, to, bbox_size=SIZE, scheduler=dask)
    assert export(client, points, to, bbox_size=SIZE).done == 99
