from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np

from imageryclient.cave.rootmemory import RootMemory

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def truth(graph: int, moment: int, supervoxels: np.ndarray) -> np.ndarray:
    return supervoxels * np.uint64(1000) + np.uint64(graph * 100 + moment)


def test_what_was_said_of_one_moment_or_graph_never_answers_for_another() -> None:
    memory = RootMemory(limit=5000)

    def work(seed: int) -> int:
        rng = np.random.default_rng(seed)
        recalled = 0
        for _ in range(200):
            graph, moment = int(rng.integers(3)), int(rng.integers(5))
            when = NOON + timedelta(microseconds=moment)
            asked = rng.choice(np.arange(1, 400, dtype=np.uint64), int(rng.integers(1, 200)), replace=False)
            roots, known = memory.recall(graph, when, asked)
            assert np.array_equal(roots[known], truth(graph, moment, asked)[known])
            assert not roots[~known].any()
            recalled += int(known.sum())
            fresh = asked[~known]
            memory.learn(graph, when, fresh, truth(graph, moment, fresh))
        return recalled

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) > 1000
    assert memory.size <= memory.limit


def test_the_least_recent_moments_go_first() -> None:
    memory = RootMemory(limit=250)
    ids = np.arange(1, 101, dtype=np.uint64)
    for n in range(3):
        memory.learn("graph", NOON + timedelta(seconds=n), ids, ids)
        memory.recall("graph", NOON, ids[:1])
    assert memory.recall("graph", NOON, ids)[1].all()
    assert not memory.recall("graph", NOON + timedelta(seconds=1), ids)[1].any()
    assert memory.recall("graph", NOON + timedelta(seconds=2), ids)[1].all()
    memory.learn("graph", NOON, np.arange(1, 1000, dtype=np.uint64), np.arange(1, 1000, dtype=np.uint64))
    assert memory.size == 200
    memory.clear()
    assert memory.size == 0
    assert not memory.recall("graph", NOON, ids)[1].any()
