"""A long history over the phantom, at many random moments, against a replay of its operations voxel by voxel."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.build import build_demo
from imageryclient.demo.history import History
from imageryclient.demo.phantom import fragment, make_phantom
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.errors import IdWarning

SHAPE, CHUNK, NM = (320, 320, 32), (64, 64, 16), (8.0, 8.0, 40.0)
MOMENTS = 50


@dataclass(frozen=True)
class World:
    """A served phantom, the supervoxel of each voxel, and which supervoxels each object ever had, from when till when.

    Everything but the supervoxels, their objects at the start and the list of edits is worked out here.
    """

    url: str
    labels: np.ndarray
    history: History
    times: list[float]
    states: list[dict[int, frozenset[int]]]
    members: dict[int, frozenset[int]]
    born: dict[int, float]
    died: dict[int, float]

    def state(self, moment: float) -> dict[int, frozenset[int]]:
        return self.states[max(n for n, time in enumerate(self.times) if time <= moment)]

    def voxels(self, labels: np.ndarray, moment: float) -> np.ndarray:
        """The object of each voxel, by a table from every supervoxel."""
        owner = {sv: root for root, members in self.state(moment).items() for sv in members}
        names, inverse = np.unique(labels, return_inverse=True)
        owners = np.array([owner.get(sv, 0) for sv in names.tolist()], np.uint64)
        return owners[inverse].reshape(labels.shape)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("phantom")
    phantom = make_phantom(SHAPE, NM, 3)
    options = {"resolution": NM, "graph_chunk": CHUNK, "edits": 300, "seed": 3}
    build_demo(folder, phantom.image, phantom.bodies, **options)
    labels = fragment(phantom.bodies, NodeLayout.covering(SHAPE, CHUNK), resolution=NM, seed=3)
    history = History.load(folder)
    assert len(history.operations) >= 200
    now: dict[int, frozenset[int]] = {}
    for sv, root in zip(history.supervoxels.tolist(), history.at(history.oldest).tolist(), strict=True):
        now[root] = now.get(root, frozenset()) | {sv}
    members, born, died = dict(now), dict.fromkeys(now, history.oldest), dict[int, float]()
    times, states = [history.oldest], [dict(now)]
    for op in history.operations:
        moved = frozenset(history.moved(op).tolist())
        before = [now.pop(root) for root in op.before]
        after = [frozenset().union(*before)] if op.kind == "merge" else [before[0] - moved, moved]
        made = dict(zip(op.after, after, strict=True))
        now.update(made)
        members.update(made)
        born.update(dict.fromkeys(op.after, op.time))
        died.update(dict.fromkeys(op.before, op.time))
        times.append(op.time)
        states.append(dict(now))
    with DemoServer(folder) as server:
        url = f"graphene://{server.url}/segmentation/table/{server.table}"
        yield World(url, labels, history, times, states, members, born, died)


def random_moments(world: World, rng: np.random.Generator) -> list[float]:
    """Before all edits, after them, and at, just before, just after and between some of them."""
    edits = world.times[1:]
    moments = [world.times[0], edits[0] - 1e-6, edits[-1], edits[-1] + 1e6]
    shifts = [0.0, -1e-6, -1.0, 1.0, 1e-6, 0.5]
    while len(moments) < MOMENTS - 10:
        moments.append(float(rng.choice(edits)) + shifts[len(moments) % len(shifts)])
    moments += rng.uniform(edits[0], edits[-1], 10).tolist()
    return [round(moment, 6) for moment in moments]


def when(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1e6))


@pytest.mark.parametrize("route", [0, 10**9], ids=["by leaves", "by look-up"])
def test_cutouts_lives_shares_and_followers_at_random_moments(
    world: World, route: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imageryclient.volumes.graphene._LEAVES_COST", route)
    client = ic.ImageryClient(segmentation_source=world.url, auth_token=DEMO_TOKEN, resolution=NM)
    rng = np.random.default_rng(7 + bool(route))
    told: Counter[str] = Counter()
    moments = random_moments(world, rng)
    assert len(moments) == MOMENTS
    for moment in moments:
        low = rng.integers(0, np.array(SHAPE) - [60, 60, 6])
        high = np.minimum(low + rng.integers([40, 40, 3], [180, 180, 16]), SHAPE)
        labels = world.labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        truth = world.voxels(labels, moment)
        got = client.segmentation_cutout([low, high], timestamp=when(moment))
        assert np.array_equal(got, np.squeeze(truth).astype(np.int64)), moment

        other = float(rng.choice(moments))
        seen = np.unique(world.voxels(labels, other))
        asked = rng.choice(seen[seen != 0], min(4, np.count_nonzero(seen)), replace=False)
        changed = [root for root in world.members if root in seen and root not in world.state(moment)]
        asked = np.union1d(asked, np.array(changed[:3], np.uint64))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            some = client.segmentation_cutout([low, high], asked, timestamp=when(moment))
        assert np.array_equal(some, np.squeeze(np.where(np.isin(truth, asked), truth, 0)).astype(np.int64))
        absent = {one.root_id: one for w in caught if w.category is IdWarning for one in w.message.absent}
        assert list(absent) == [root for root in asked.tolist() if root not in truth]
        heirs: set[int] = set()
        for root, one in absent.items():
            born, died = world.born[root], world.died.get(root)
            reason = "unborn" if moment < born else "retired" if died is not None and died <= moment else "elsewhere"
            assert one.reason == reason, (root, moment, one)
            told[reason] += 1
            mine = np.isin(labels, np.array(list(world.members[root]), np.uint64))
            counts = Counter(truth[mine].tolist())
            if reason == "elsewhere":
                assert not counts
                continue
            assert (one.born, one.died) == (when(born), None if died is None else when(died))
            assert {s.root_id: s.voxels for s in one.successors} == counts
            assert [s.fraction for s in one.successors] == [s.voxels / mine.sum() for s in one.successors]
            assert [s.voxels for s in one.successors] == sorted(counts.values(), reverse=True)
            heirs |= set(counts)
            told["heirs"] += len(counts)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            followed = client.segmentation_cutout([low, high], asked, timestamp=when(moment), follow=True)
        kept = np.array([*heirs, *asked.tolist()], np.uint64)
        assert np.array_equal(followed, np.squeeze(np.where(np.isin(truth, kept), truth, 0)).astype(np.int64))
        assert any("replaced" in str(w.message) for w in caught) == bool(heirs)
    assert min(told["retired"], told["unborn"]) > 10, told
    assert told["heirs"] > told["retired"]
