from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.history import History
from imageryclient.errors import (
    ArgumentError,
    BoundsError,
    FormatError,
    MissingDataError,
    NotFoundError,
)

START = 1.7e9


def invent(seed: int, edits: int = 40, grid: int = 5, objects: int = 12) -> tuple[History, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    layout = NodeLayout.covering((grid * 50, grid * 40, 60), (50, 40, 30))
    chunks = np.array([(x, y, z) for x in range(grid) for y in range(grid) for z in range(2)])
    count = 6
    supervoxels = np.sort(
        layout.compose(1, np.repeat(chunks, count, axis=0), np.tile(np.arange(1, count + 1), len(chunks)))
    )
    bodies = rng.integers(0, objects + 1, supervoxels.size)
    history = History.create(supervoxels, bodies, layout, start=START, edits=edits, seed=seed)
    return history, bodies


class Replay:
    """Sets of supervoxels by root, from the operations alone, one at a time."""

    def __init__(self, history: History) -> None:
        first = history.at(history.oldest)
        now: dict[int, set[int]] = {}
        for supervoxel, root in zip(history.supervoxels.tolist(), first.tolist(), strict=True):
            now.setdefault(root, set()).add(supervoxel)
        self.states = [(history.oldest, dict(now))]
        self.ever = dict(now)
        self.born = dict.fromkeys(now, history.oldest)
        self.died: dict[int, float] = {}
        self.parents: dict[int, tuple[int, ...]] = {}
        for op in history.operations:
            moved = set(history.moved(op).tolist())
            before = [now.pop(root) for root in op.before]
            if op.kind == "merge":
                assert len(before) == 2
                assert moved == before[1]
                after = [before[0] | before[1]]
            else:
                assert len(before) == 1
                assert moved < before[0]
                after = [before[0] - moved, moved]
            assert len(after) == len(op.after)
            for root, members in zip(op.after, after, strict=True):
                assert root not in self.ever, "an id was used twice"
                now[root] = self.ever[root] = members
                self.born[root] = op.time
                self.parents[root] = op.before
            self.died.update(dict.fromkeys(op.before, op.time))
            self.states.append((op.time, dict(now)))

    def at(self, moment: float) -> dict[int, set[int]]:
        return [state for begun, state in self.states if begun <= moment][-1]

    def ancestors(self, root: int, moment: float) -> set[int]:
        if self.born[root] <= moment:
            return {root}
        return set().union(*(self.ancestors(parent, moment) for parent in self.parents[root]))


def partition(labels: NDArray[np.integer]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@pytest.mark.parametrize("seed", range(8))
def test_every_moment_equals_a_replay_of_the_operations(seed: int) -> None:
    history, _ = invent(seed)
    replay = Replay(history)
    moments = [history.oldest] + [op.time for op in history.operations]
    for moment in [*moments, *(m + 0.5 for m in moments), *(m - 1e-3 for m in moments[1:])]:
        expected = {sv: root for root, members in replay.at(moment).items() for sv in members}
        assert dict(zip(history.supervoxels.tolist(), history.at(moment).tolist(), strict=True)) == expected
        roots = np.array(sorted(replay.ever), np.uint64)
        alive = [root in replay.at(moment) for root in roots.tolist()]
        assert history.is_latest(roots, moment).tolist() == alive
    for root, members in replay.ever.items():
        assert history.leaves(root).tolist() == sorted(members)
    assert history.root_timestamps(list(replay.born)).tolist() == list(replay.born.values())
    ends = [replay.died.get(root, np.inf) for root in replay.born]
    assert history.end_timestamps(list(replay.born)).tolist() == ends


@pytest.mark.parametrize("seed", range(8))
def test_the_end_is_the_truth(seed: int) -> None:
    history, bodies = invent(seed)
    truth = np.where(bodies == 0, -1 - np.arange(bodies.size), bodies)
    assert partition(history.at()) == partition(truth)
    assert partition(history.at(history.oldest)) != partition(truth)


@pytest.mark.parametrize("seed", range(4))
def test_the_beginning_has_pieces_and_false_mergers(seed: int) -> None:
    history, bodies = invent(seed, objects=30)
    kinds = [op.kind for op in history.operations]
    assert kinds.count("undo") == 5
    assert kinds.count("split") == 10
    assert len(kinds) == 40
    first = history.at(history.oldest)
    held = [set(bodies[first == root].tolist()) for root in np.unique(first)]
    assert any(len(found) > 1 for found in held)
    assert any(np.unique(first[bodies == body]).size > 1 for body in range(1, 31))
    lonely = first[bodies == 0]
    assert np.unique(lonely).size == lonely.size
    assert not np.isin(first[bodies != 0], lonely).any()
    times = [op.time for op in history.operations]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert all(moment == int(moment) for moment in times)
    assert [op.number for op in history.operations] == list(range(1, 41))


def test_versions_see_different_states() -> None:
    history, _ = invent(0)
    moments = list(history.versions.values())
    assert list(history.versions) == [1, 2, 3, 4]
    assert moments == sorted(moments)
    states = [history.at(moment).tobytes() for moment in moments]
    assert len(set(states)) == 4
    assert states[0] == history.at(history.oldest).tobytes()
    assert states[-1] == history.at().tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_descent(seed: int) -> None:
    history, _ = invent(seed, edits=24, objects=4)
    replay = Replay(history)
    pairs = {(old, new) for new, parents in replay.parents.items() for old in parents}
    moments = [history.oldest, *(op.time for op in history.operations[::5]), history.operations[-1].time + 9]
    for root in replay.ever:
        for moment in moments:
            assert set(history.past_ids(root, moment).tolist()) == replay.ancestors(root, moment)
            heirs = {r for r in replay.at(moment) if root in reach(pairs, r)} if replay.born[root] <= moment else set()
            assert set(history.future_ids(root, moment).tolist()) == heirs
        lineage = history.lineage([root])
        family = reach(pairs, root) | {r for r in replay.ever if root in reach(pairs, r)}
        assert set(lineage.roots.tolist()) == family
        assert {tuple(link) for link in lineage.links.tolist()} <= pairs
        assert len(lineage.links) == sum(
            (old in reach(pairs, root) and new in reach(pairs, root))
            or (root in reach(pairs, old) and root in reach(pairs, new))
            for old, new in pairs
        )


def reach(pairs: set[tuple[int, int]], root: int) -> set[int]:
    """A root and all before it."""
    found = {root}
    while True:
        more = {old for old, new in pairs if new in found} - found
        if not more:
            return found
        found |= more


def test_leaves_in_bounds() -> None:
    history, _ = invent(1)
    layout = history.layout
    sizes = np.array(layout.chunk_size)
    rng = np.random.default_rng(5)
    root = int(np.unique(history.at())[-1])
    for root in np.unique(history.at())[-6:].tolist():
        for _ in range(20):
            low = rng.integers(-20, 200, 3)
            high = low + rng.integers(1, 120, 3)
            expected = []
            for supervoxel in history.leaves(root).tolist():
                begin = layout.chunk_of(supervoxel) * sizes
                if np.all(begin < high) and np.all(begin + sizes > low):
                    expected.append(supervoxel)
            assert history.leaves(root, [low, high]).tolist() == expected
    with pytest.raises(BoundsError, match="corner"):
        history.leaves(root, [0, 1, 2])
    with pytest.raises(BoundsError, match="whole voxels"):
        history.leaves(root, [[0.5, 0, 0], [1, 1, 1]])


def test_layers_between_make_a_tree_at_every_moment() -> None:
    history, _ = invent(3)
    layout = history.layout
    layers = range(2, layout.n_layers)
    assert len(layers) >= 2
    below = history.supervoxels
    for layer in layers:
        nodes = history.nodes(layer)
        assert np.all(layout.layer_of(nodes) == layer)
        assert np.array_equal(layout.chunk_of(nodes), layout.chunk_of(history.supervoxels) >> (layer - 2))
        parents: dict[int, int] = {}
        for child, parent in zip(below.tolist(), nodes.tolist(), strict=True):
            assert parents.setdefault(child, parent) == parent
        for moment in (history.oldest, history.operations[10].time, None):
            assert np.array_equal(history.roots(nodes, moment), history.at(moment))
        assert np.array_equal(history.roots(below, stop_layer=layer), nodes)
        below = nodes
        one = int(nodes[0])
        assert history.leaves(one).tolist() == history.supervoxels[nodes == one].tolist()
        root = int(history.at()[0])
        assert history.leaves(root, layer=layer).tolist() == np.unique(nodes[history.at() == root]).tolist()
        assert history.roots([root], stop_layer=layer).tolist() == [root]


def test_odd_ids() -> None:
    history, _ = invent(2)
    known = int(history.supervoxels[3])
    root = int(history.at()[3])
    assert history.roots([[known, 0]]).tolist() == [[root, 0]]
    assert history.roots(known).shape == ()
    assert history.roots([]).shape == (0,)
    for old in history.operations[0].before:
        assert history.roots([old]).tolist() == [old]
    for unknown in (known + 1000, 12345, 200 << 56, root + 1000):
        with pytest.raises(MissingDataError, match=f"1 of 2 ids .* {unknown}"):
            history.roots([known, unknown])
        assert history.roots([known, unknown], absent="zero").tolist() == [root, 0]
        assert history.is_latest([unknown, root]).tolist() == [False, True]
        with pytest.raises(MissingDataError):
            history.leaves(unknown)
        with pytest.raises(MissingDataError):
            history.root_timestamps([root, unknown])
        with pytest.raises(MissingDataError):
            history.lineage([unknown])
        with pytest.raises(MissingDataError):
            history.past_ids(unknown)
    with pytest.raises(LookupError):
        history.roots([5])
    with pytest.raises(ArgumentError, match="begins"):
        history.at(START - 1)
    with pytest.raises(ArgumentError, match="stop_layer"):
        history.roots([known], stop_layer=40)
    assert not history.is_latest([root], START - 1).any()


def test_same_seed_same_history() -> None:
    one, _ = invent(7)
    other, _ = invent(7)
    assert one.operations[5].after == other.operations[5].after
    assert np.array_equal(one.at(), other.at())
    assert [op.time for op in one.operations] == [op.time for op in other.operations]


def test_save_and_load(tmp_path: Path) -> None:
    history, _ = invent(4)
    history.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["history.json", "history.npz"]
    again = History.load(tmp_path)
    assert again.versions == history.versions
    assert again.oldest == history.oldest
    assert again.layout == history.layout
    for one, other in zip(history.operations, again.operations, strict=True):
        assert (one.number, one.time, one.kind, one.before, one.after) == (
            other.number,
            other.time,
            other.kind,
            other.before,
            other.after,
        )
        assert np.array_equal(again.at(one.time), history.at(one.time))
        assert np.array_equal(again.moved(other), history.moved(one))


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no history"):
        History.load(tmp_path)
    history, _ = invent(4)
    history.save(tmp_path)
    text = json.loads((tmp_path / "history.json").read_text())
    for broken in ({**text, "format": "x"}, {**text, "graph": {}}, {**text, "operations": [{}]}, [], 5):
        (tmp_path / "history.json").write_text(json.dumps(broken))
        with pytest.raises(FormatError):
            History.load(tmp_path)
    (tmp_path / "history.json").write_text(json.dumps(text))
    (tmp_path / "history.npz").write_bytes((tmp_path / "history.npz").read_bytes()[:100])
    with pytest.raises(FormatError):
        History.load(tmp_path)


def test_without_any_edit(tmp_path: Path) -> None:
    history, bodies = invent(0, edits=0)
    assert history.operations == ()
    truth = np.where(bodies == 0, -1 - np.arange(bodies.size), bodies)
    assert partition(history.at(START)) == partition(truth)
    history.save(tmp_path)
    assert np.array_equal(History.load(tmp_path).at(), history.at())


def test_small_worlds_take_what_edits_they_can() -> None:
    layout = NodeLayout.covering((100, 100, 100), (100, 100, 100))
    ids = layout.compose(1, (0, 0, 0), np.arange(1, 4))
    for bodies in ([0, 0, 0], [1, 1, 1], [1, 2, 3], [1, 1, 2]):
        history = History.create(ids, np.array(bodies), layout, start=START, edits=30)
        Replay(history)
        truth = np.where(np.array(bodies) == 0, -1 - np.arange(3), bodies)
        assert partition(history.at()) == partition(truth)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"supervoxels": [3, 1]}, "sorted row"),
        ({"supervoxels": []}, "sorted row"),
        ({"bodies": [1, 2, 3]}, "one whole number"),
        ({"bodies": [0.5, 1.0]}, "one whole number"),
        ({"supervoxels": [1, 2]}, "layer 1"),
        ({"versions": 1}, "versions"),
        ({"edits": -1}, "edits"),
    ],
)
def test_refused_arguments(change: dict[str, object], error: str) -> None:
    layout = NodeLayout.covering((100, 100, 100), (100, 100, 100))
    arguments: dict[str, object] = {
        "supervoxels": layout.compose(1, (0, 0, 0), [1, 2]),
        "bodies": [1, 1],
        "layout": layout,
        "start": START,
    }
    with pytest.raises(ArgumentError, match=error):
        History.create(**{**arguments, **change})  # type: ignore[arg-type]


def test_a_quarter_of_a_million_roots_at_once() -> None:
    layout = NodeLayout.covering((1000, 1000, 500), (50, 50, 50))
    rng = np.random.default_rng(0)
    chunks = rng.integers(0, (20, 20, 10), (300_000, 3))
    ids = np.unique(layout.compose(1, chunks, rng.integers(1, 1 << 24, 300_000)))
    history = History.create(ids, rng.integers(0, 5000, ids.size), layout, start=START)
    asked = rng.choice(ids, 250_000)
    moment = history.operations[20].time
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        roots = history.roots(asked, moment)
        times.append(time.perf_counter() - begun)
    assert np.array_equal(roots, history.at(moment)[np.searchsorted(ids, asked)])
    assert min(times) < 0.2
