"""What PyChunkedGraph answers: unknown nodes, mixed layers, empty lists, ids as text, refusals; each understood or
told as what it is. The answers are those of its code (app/segmentation/common.py and graph/chunkedgraph.py, 2.21)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cave.chunkedgraph import ChunkedGraph
from imageryclient.cave.lineage import Life
from imageryclient.cave.rest import Rest
from imageryclient.demo.faults import Fault
from imageryclient.errors import (
    AccessError,
    ArgumentError,
    DamagedDataError,
    FormatError,
    ImageryError,
    NotFoundError,
    StorageError,
)
from imageryclient.geometry import Box
from imageryclient.ids import Ids
from imageryclient.storage import Patience

PLAIN = (("Content-Encoding", "identity"),)
QUICK = Patience(timeout=1.0, connect_timeout=1.0, tries=3)
BOX = Box((100, 60, 7), (305, 223, 44), (8.0, 8.0, 40.0))


def when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def graph(datastack: Any, server: Any) -> tuple[Any, ChunkedGraph]:
    running = server()
    rest = Rest(f"{running.url}/segmentation/api/v1/table/{datastack.table}", datastack.token, QUICK)
    return running, ChunkedGraph(rest, datastack.history.layout)


@pytest.fixture
def roots(datastack: Any) -> Ids:
    op = datastack.history.operations[3]
    return np.array([*op.before, *op.after], np.uint64)


CALLS: dict[str, Callable[[ChunkedGraph, Any, Ids], Any]] = {
    "roots_binary": lambda graph, stack, roots: graph.roots(stack.history.supervoxels[:9], stack.late),
    "leaves": lambda graph, stack, roots: graph.leaves(int(roots[0]), BOX),
    "leaves?stop_layer": lambda graph, stack, roots: graph.level_two(int(roots[0])),
    "leaves_many": lambda graph, stack, roots: graph.leaves_many(roots, BOX),
    "is_latest_roots": lambda graph, stack, roots: graph.current(roots, stack.late),
    "root_timestamps": lambda graph, stack, roots: graph.lives(roots),
    "valid_nodes": lambda graph, stack, roots: graph.known(roots),
    "oldest_timestamp": lambda graph, stack, roots: graph.oldest(),
}


# ---- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
def test_every_refusal_of_every_call_is_a_clear_error(
    datastack: Any, graph: Any, roots: Ids, call: str, status: int
) -> None:
    running, asks = graph
    said = {"timestamp": "…", "duration": 5.1, "code": status, "message": f"because of {datastack.token} and more"}
    name = call.split("?", maxsplit=1)[0]
    running.faults = [Fault(f"{name}$", status=status, body=json.dumps(said).encode())]
    if name == "leaves" and status in (400, 404):
        assert CALLS[call](asks, datastack, roots).size == 0  # an object that the graph does not know
        return
    with pytest.raises(ImageryError) as caught:
        CALLS[call](asks, datastack, roots)
    words = str(caught.value)
    expected = {401: AccessError, 403: AccessError, 404: NotFoundError}.get(status, StorageError)
    assert type(caught.value) is expected
    assert getattr(caught.value, "status", status) == status
    assert str(status) in words
    assert running.url in words
    assert "The server said: because of *** and more" in words
    assert datastack.token not in words
    asked = sum(request.path.endswith(name) for request in running.requests)
    again = status == 503 or (status == 500 and name in ("roots_binary", "leaves"))
    births_and_ends = 2 if name == "root_timestamps" else 1
    hurried = name not in ("roots_binary", "leaves", "oldest_timestamp")  # only explains
    most = 2 if hurried else QUICK.tries
    tries = most if again else 1
    if name == "root_timestamps" and status == 500:
        tries = 2  # perhaps an id is unknown, and without it there would be an answer
    assert asked == tries * births_and_ends
    assert (f"after {most} tries" in words) == again


@pytest.mark.parametrize("call", [name for name in CALLS if name != "roots_binary"])
@pytest.mark.parametrize("body", [b"<!doctype html>", b"[]", b"{}", b'{"code": 5}', b"null", b"7"])
def test_answers_of_another_kind(datastack: Any, graph: Any, roots: Ids, call: str, body: bytes) -> None:
    running, asks = graph
    running.faults = [Fault(f"{call.split('?', maxsplit=1)[0]}$", body=body, headers=PLAIN)]
    if call == "leaves_many" and body.startswith(b"{"):
        assert all(not leaves.size for leaves in CALLS[call](asks, datastack, roots).values())
        return
    with pytest.raises((DamagedDataError, FormatError)) as caught:
        CALLS[call](asks, datastack, roots)
    assert running.url in str(caught.value)


# ---- ids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [str, int])
def test_ids_as_text_or_as_numbers(graph: Any, form: Any) -> None:
    running, asks = graph
    big = [864691135341362885, 2**64 - 1, 2**53 + 1]
    one, many = json.dumps({"leaf_ids": [form(i) for i in big]}), json.dumps({"7": [form(i) for i in big]})
    running.faults = [
        Fault("/leaves$", body=one.encode(), headers=PLAIN),
        Fault("leaves_many", body=many.encode(), headers=PLAIN),
        Fault("valid_nodes", body=json.dumps({"valid_roots": [form(i) for i in big]}).encode(), headers=PLAIN),
    ]
    assert asks.leaves(7, BOX).tolist() == sorted(big)
    assert asks.level_two(7).tolist() == sorted(big)
    assert {k: v.tolist() for k, v in asks.leaves_many(np.array([7, 8], np.uint64), BOX).items()} == {
        7: sorted(big),
        8: [],
    }
    assert asks.known(np.array([2**53, *big], np.uint64)).tolist() == big
    assert running.requests[0].arguments["int64_as_str"] == "1"


@pytest.mark.parametrize("bad", ["[8.64691135341362885e17]", '["many"]', "[null]", "[-1]", '[{"id": 5}]', "[true]"])
def test_ids_that_are_none_are_the_servers_fault(graph: Any, bad: str) -> None:
    running, asks = graph
    running.faults = [
        Fault("/leaves$", body=f'{{"leaf_ids": {bad}}}'.encode(), headers=PLAIN),
        Fault("leaves_many", body=f'{{"7": {bad}}}'.encode(), headers=PLAIN),
        Fault("valid_nodes", body=f'{{"valid_roots": {bad}}}'.encode(), headers=PLAIN),
    ]
    seven = np.array([7], np.uint64)
    for call in (lambda: asks.leaves(7, BOX), lambda: asks.leaves_many(seven, BOX), lambda: asks.known(seven)):
        with pytest.raises(DamagedDataError, match="another protocol or is broken"):
            call()


def test_empty_lists(graph: Any) -> None:
    running, asks = graph
    nothing = np.empty(0, np.uint64)
    assert asks.roots(nothing, datetime.now(UTC)).size == 0
    assert asks.leaves_many(nothing, BOX) == {}
    assert asks.current(nothing, datetime.now(UTC)).size == 0
    assert asks.lives(nothing) == {}
    assert asks.known(nothing).size == 0
    assert len(running.requests) == 0  # there is nothing to ask
    running.faults = [Fault("leaves", body=b'{"leaf_ids": []}', headers=PLAIN)]
    assert asks.leaves(7, BOX).tolist() == []


# ---- what the graph knows ---------------------------------------------------------------------------------------


def test_lives(datastack: Any, graph: Any) -> None:
    running, asks = graph
    history = datastack.history
    every = np.unique([root for op in history.operations for root in (*op.before, *op.after)]).astype(np.uint64)
    ends = history.end_timestamps(every)
    lives = asks.lives(every)
    assert list(lives) == every.tolist()
    for root, born, died in zip(every.tolist(), history.root_timestamps(every), ends, strict=True):
        assert lives[root] == Life(when(born), None if np.isinf(died) else when(died))
    assert len(running.requests) == 2  # however many there are
    running.requests.clear()
    strange = np.array([every[-1] + np.uint64(1000), *every[:3], 5], np.uint64)
    assert asks.lives(strange) == {root: lives[root] for root in every[:3].tolist()}
    assert asks.lives(strange[:1]) == {}
    assert asks.known(strange).tolist() == every[:3].tolist()


@pytest.mark.parametrize("shift", [0, 1e-6, -1e-6, 0.0005, -0.0005, 0.001, 30])
def test_which_roots_are_current_at_an_edit_to_the_microsecond(datastack: Any, graph: Any, shift: float) -> None:
    # The server cuts moments off to milliseconds, and does not count an edit at the very one.
    running, asks = graph
    history = datastack.history
    op = history.operations[11]
    ids = np.array([*op.before, *op.after, op.after[0] + 5000, int(history.supervoxels[0])], np.uint64)
    moment = when(op.time) + timedelta(microseconds=round(shift * 1e6))
    edited = shift >= 0
    expected = [not edited] * len(op.before) + [edited] * len(op.after) + [False, False]
    assert asks.current(ids, moment).tolist() == expected
    assert len(running.requests) == 1


def test_leaves_of_many(datastack: Any, graph: Any, roots: Ids) -> None:
    running, asks = graph
    box = Box((110, 70, 8), (200, 123, 30), datastack.fine)
    asked = np.append(roots, [np.uint64(5), roots[-1] + np.uint64(1000)])
    leaves, nodes = asks.leaves_many(asked, box), asks.leaves_many(asked, box, layer=2)
    assert len(running.requests) == 2
    for root in asked.tolist():
        inside = np.array([box.start, box.stop]) - datastack.offsets[0]
        known = root in roots
        assert leaves[root].tolist() == (history_leaves(datastack, root, inside, 1) if known else [])
        assert nodes[root].tolist() == (history_leaves(datastack, root, inside, 2) if known else [])
        assert np.array_equal(leaves[root], asks.leaves(root, box))


def history_leaves(stack: Any, root: int, inside: np.ndarray, layer: int) -> list[int]:
    return sorted(stack.history.leaves(root, inside, layer=layer).tolist())


# ---- roots ------------------------------------------------------------------------------------------------------


def test_answers_of_mixed_layers(datastack: Any, graph: Any) -> None:
    # Where the tree above a supervoxel breaks off, the server gives the highest node there is.
    running, asks = graph
    history = datastack.history
    asked = history.supervoxels[:6]
    answer = history.at()[:6].copy()
    answer[4] = history.nodes(2)[4]
    running.faults = [Fault("roots_binary", body=answer.tobytes(), headers=PLAIN)]
    with pytest.raises(DamagedDataError, match="numbers that are no roots for 1 of them") as caught:
        asks.roots(asked, datastack.late)
    assert f"such as {answer[4]} for {asked[4]}" in str(caught.value)
    running.faults = [Fault("roots_binary", body=answer.tobytes(), headers=PLAIN, times=2)]
    assert np.array_equal(asks.roots(asked, datastack.late), history.at()[:6])


def test_a_server_that_knows_none_of_the_supervoxels_gives_them_back(datastack: Any, graph: Any) -> None:
    _, asks = graph
    strange = datastack.history.supervoxels[:3] + np.uint64(9999)
    for layout in (datastack.history.layout, None):
        other = ChunkedGraph(asks._rest, layout)
        with pytest.raises(DamagedDataError, match=f"such as {strange[0]} for {strange[0]}"):
            other.roots(strange, datastack.late)
        with pytest.raises(ArgumentError, match="does not reach back"):
            other.roots(datastack.history.supervoxels[:3], when(datastack.history.oldest - 5))


def test_unknown_ids_in_a_cutout_never_hinder_it(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    client = connect(running)
    low = np.array(datastack.middle)
    truth = datastack.roots(low, low + 12, datastack.late.timestamp())
    one = int(np.unique(truth)[-1])
    strangers = [1, 2**56, 2**63, 2**64 - 1, one + 4321, int(datastack.history.supervoxels[0]) + 777]
    with pytest.warns(ic.errors.IdWarning) as caught:
        got = client.segmentation_cutout([low, low + 12], [one, *strangers])
    assert np.array_equal(got, np.where(truth == one, truth, 0).astype(np.int64))
    reasons = {item.root_id: item.reason for item in caught[0].message.absent}
    assert list(reasons) == strangers
    assert reasons[strangers[-1]] == reasons[2**56] == "supervoxel"
    assert {reasons[one + 4321], reasons[2**63], reasons[1]} == {"unknown"}
