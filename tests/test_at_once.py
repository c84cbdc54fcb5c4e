"""Many threads, moments and clients at once, and caches cleared amid it: each sees its own moment and no other's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cave.rootmemory import ROOTS
from imageryclient.demo.replies import Reply, Request
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.errors import AccessError, MissingDataError

THREADS = 8
OTHER = "fedcba9876543210fedcba9876543210"
BEHIND = 10 * 3600.0  # seconds


class TwoUsers(DemoServer):
    """Lets in another token, too; to that user everything happened later, so it is told of an earlier moment."""

    def _answer(self, request: Request) -> Reply:
        if request.header("Authorization") == f"Bearer {OTHER}":
            query = request.arguments
            if "timestamp" in query:
                query["timestamp"] = repr(float(query["timestamp"]) - BEHIND)
            headers = {**request.headers, "Authorization": f"Bearer {DEMO_TOKEN}"}
            request = replace(request, headers=headers, query=urlencode(query))
        return super()._answer(request)


@pytest.fixture
def table(datastack: Any) -> Callable[[Any, Any, float], np.ndarray]:
    """The objects of a box at a moment, from the operations alone: each renames supervoxels."""
    history = datastack.history
    owner = dict(zip(history.supervoxels.tolist(), history.at(history.oldest).tolist(), strict=True))
    states = [(history.oldest, dict(owner))]
    for op in history.operations:
        moved = set(history.moved(op).tolist())
        for sv, root in owner.items():
            if root in op.before:
                owner[sv] = op.after[-1] if sv in moved or op.kind == "merge" else op.after[0]
        states.append((op.time, dict(owner)))

    def look_up(low: Any, high: Any, moment: float) -> np.ndarray:
        state = [names for begun, names in states if begun <= moment][-1]
        names, inverse = np.unique(datastack.labels(low, high), return_inverse=True)
        roots = np.array([state.get(sv, 0) for sv in names.tolist()], np.uint64)
        return roots[inverse].reshape(np.subtract(high, low))

    return look_up


@pytest.mark.parametrize("clearing", [False, True])
def test_threads_moments_and_users(datastack: Any, table: Any, clearing: bool) -> None:
    history = datastack.history
    late = history.operations[-1].time
    moments = [history.oldest + BEHIND, *(op.time + shift for op in history.operations[12:] for shift in (0, -1e-6))]
    whole = np.array(datastack.offsets[0]), np.add(datastack.offsets[0], (*datastack.supervoxels[0].shape[:2], 32))
    done, stop = [0] * THREADS, threading.Event()
    with TwoUsers(datastack.folder) as server:
        source = f"graphene://{server.url}/segmentation/table/{datastack.table}"

        def connect(token: str, moment: float | None = None) -> ic.ImageryClient:
            at = None if moment is None else datetime.fromtimestamp(moment, UTC)
            return ic.ImageryClient(
                segmentation_source=source, auth_token=token, resolution=datastack.fine, timestamp=at, missing="fill"
            )

        shared = {token: connect(token) for token in (DEMO_TOKEN, OTHER)}

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for turn in range(25):
                token = (DEMO_TOKEN, OTHER)[int(rng.integers(2))]
                moment = float(rng.choice(moments))
                seen = moment - (BEHIND if token == OTHER else 0)
                low = rng.integers(whole[0], whole[1] - 8)
                high = np.minimum(low + rng.integers(1, [40, 40, 12]), whole[1])
                truth = table(low, high, seen)
                if turn % 5 == 0:  # a client of its own, with a moment of its own
                    got = connect(token, moment).segmentation_cutout([low, high])
                elif turn % 5 == 1:  # some ids, of which some belong to another moment
                    ids = np.unique(table(low, high, float(rng.choice(moments))))
                    truth = np.where(np.isin(truth, ids), truth, 0)
                    got = shared[token].segmentation_cutout([low, high], ids, timestamp=moment)
                elif turn % 5 == 2:  # the present, which never is remembered
                    truth = table(low, high, late)
                    got = shared[token].segmentation_cutout([low, high])
                elif turn % 5 == 3 and token == DEMO_TOKEN:
                    stranger = connect("0badf00d")
                    with pytest.raises(AccessError):
                        stranger.segmentation_cutout([low, high], timestamp=moment)
                    continue
                else:
                    got = shared[token].segmentation_cutout([low, high], timestamp=moment)
                assert np.array_equal(got, np.squeeze(truth).astype(np.int64)), (seed, turn)
                done[seed] += 1

        def clear() -> None:
            while not stop.wait(0.01):
                ic.clear_cache()

        clearer = threading.Thread(target=clear)
        if clearing:
            clearer.start()
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(work, range(THREADS)))
        finally:
            stop.set()
            if clearing:
                clearer.join()
        assert min(done) >= 15
        lookups = [r for r in server.requests if r.path.endswith("roots_binary")]
        assert clearing or len(lookups) < sum(done)  # some were remembered, and yet none was mixed up


def test_warnings_are_those_of_their_own_call(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server(), missing="raise")
    history = datastack.history
    whole = [np.array(datastack.offsets[0]), np.add(datastack.offsets[0], (*datastack.supervoxels[0].shape[:2], 32))]

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(4):
            op = history.operations[int(rng.integers(len(history.operations)))]
            with pytest.raises(MissingDataError) as caught:
                client.segmentation_cutout(whole, op.before, timestamp=op.time)
            assert [one.root_id for one in caught.value.absent] == list(op.before)
            heirs = {share.root_id for one in caught.value.absent for share in one.successors}
            assert heirs == set(op.after)
            assert {one.died for one in caught.value.absent} == {datetime.fromtimestamp(op.time, UTC)}

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_what_one_user_was_told_does_not_answer_another(datastack: Any, table: Any) -> None:
    moment = datastack.history.operations[-1].time
    low = np.array(datastack.offsets[0])
    high = low + [200, 160, 30]
    here = []
    for _ in range(2):
        with TwoUsers(datastack.folder) as server:
            source = f"graphene://{server.url}/segmentation/table/{datastack.table}"
            for token, behind in ((DEMO_TOKEN, 0.0), (OTHER, BEHIND)):
                client = ic.ImageryClient(segmentation_source=source, auth_token=token, resolution=datastack.fine)
                got = client.segmentation_cutout([low, high], timestamp=moment)
                assert np.array_equal(got, table(low, high, moment - behind).astype(np.int64))
                here.append(got)
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)
            asked = datastack.history.supervoxels[:5]
            names = [(source.replace("graphene://", "").replace("/table/", "/api/v1/table/"), token)
                     for token in (DEMO_TOKEN, OTHER, "0badf00d", None)]  # fmt: skip
            assert [bool(ROOTS.recall(name, at, asked)[1].any()) for name in names] == [True, True, False, False]
    assert not np.array_equal(here[0], here[1])
