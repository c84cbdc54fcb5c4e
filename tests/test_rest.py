"""Requests to CAVE's services and to the chunked graph: what is sent, what comes back, how it fails."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from imageryclient.cave.chunkedgraph import ChunkedGraph
from imageryclient.cave.rest import Rest
from imageryclient.demo.faults import Fault
from imageryclient.errors import (
    AccessError,
    ArgumentError,
    DamagedDataError,
    FormatError,
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)
from imageryclient.geometry import Box
from imageryclient.storage import Patience

PLAIN = (("Content-Encoding", "identity"),)
QUICK = Patience(timeout=0.5, connect_timeout=0.5)


@pytest.fixture
def graph(datastack: Any, server: Any) -> tuple[Any, ChunkedGraph]:
    running = server()
    rest = Rest(f"{running.url}/segmentation/api/v1/table/{datastack.table}", datastack.token, QUICK)
    return running, ChunkedGraph(rest, datastack.history.layout)


@pytest.fixture
def rest(datastack: Any, server: Any) -> tuple[Any, Rest]:
    running = server()
    return running, Rest(running.url + "/", datastack.token, QUICK)


# ---- what is sent and what comes back ---------------------------------------------------------------------------


def test_documents(datastack: Any, rest: Any) -> None:
    running, asks = rest
    assert asks.get_json("info/api/v2/datastacks") == [datastack.name]
    assert asks.get_json("segmentation/api/versions") == [0, 1]
    table = f"segmentation/api/v1/table/{datastack.table}"
    answer = asks.post_json(f"{table}/is_latest_roots", {"node_ids": [5]}, {"timestamp": "1700000000"})
    assert answer == {"is_latest": [False]}
    request = running.requests[-1]
    assert (request.method, request.query) == ("POST", "timestamp=1700000000")
    assert request.header("Content-Type") == "application/json"
    assert request.header("Authorization") == f"Bearer {datastack.token}"
    assert "gzip" in request.header("Accept-Encoding")


@pytest.mark.parametrize("count", [1, 12_000, 13_000])
def test_large_bodies_go_out_compressed(datastack: Any, graph: Any, count: int) -> None:
    running, asks = graph
    ids = np.resize(datastack.history.supervoxels, count)
    roots = asks.roots(ids, datastack.late)
    assert np.array_equal(roots, np.resize(datastack.history.at(), count))
    request = running.requests[-1]
    assert (request.header("Content-Encoding") == "gzip") == (count * 8 > 100_000)
    sent = gzip.decompress(request.body) if request.header("Content-Encoding") else request.body
    assert sent == ids.astype("<u8").tobytes()
    assert request.header("Content-Type") == "application/octet-stream"


def test_roots_keep_order_doubles_and_zeros(datastack: Any, graph: Any) -> None:
    running, asks = graph
    ids = datastack.history.supervoxels[[5, 3, 5, 9]]
    roots = asks.roots(np.array([0, *ids, 0], np.uint64), datastack.late)
    assert roots.tolist() == [0, *datastack.history.roots(ids).tolist(), 0]
    running.requests.clear()
    assert asks.roots(np.zeros(3, np.uint64), datastack.late).tolist() == [0, 0, 0]
    assert asks.roots(np.empty(0, np.uint64), datastack.late).size == 0
    assert len(running.requests) == 0  # there is nothing to ask


def test_leaves_of_a_box(datastack: Any, graph: Any) -> None:
    _, asks = graph
    history = datastack.history
    for root in history.operations[-1].after + history.operations[0].before:
        box = Box((110, 70, 8), (200, 123, 30), datastack.fine)
        expected = history.leaves(root, np.array([box.start, box.stop]) - datastack.offsets[0])
        got = asks.leaves(root, box)
        assert got.dtype == np.uint64
        assert np.array_equal(got, np.sort(expected))
    assert asks.leaves(864691135341362885, box).size == 0


@pytest.mark.parametrize("status", [400, 404])
def test_a_root_the_graph_does_not_know_has_no_leaves(graph: Any, status: int) -> None:
    running, asks = graph
    running.faults = [Fault("leaves", status=status)]
    assert asks.leaves(5, Box((0, 0, 0), (9, 9, 9), (8.0, 8.0, 40.0))).size == 0
    running.faults = [Fault("leaves", status=403)]
    with pytest.raises(AccessError):
        asks.leaves(5, Box((0, 0, 0), (9, 9, 9), (8.0, 8.0, 40.0)))


def test_the_beginning_of_the_record(datastack: Any, graph: Any) -> None:
    running, asks = graph
    assert asks.oldest() == datetime.fromtimestamp(datastack.history.oldest, UTC)
    for body in (b"[]", b"{}"):
        running.faults = [Fault("oldest", body=body, headers=PLAIN)]
        with pytest.raises(DamagedDataError, match="another protocol"):
            asks.oldest()
    running.faults = [Fault("oldest", body=b'{"iso": "a while ago"}', headers=PLAIN)]
    with pytest.raises(DamagedDataError, match="a while ago"):
        asks.oldest()


def test_a_moment_before_the_beginning(datastack: Any, graph: Any) -> None:
    running, asks = graph
    early = datetime.fromtimestamp(datastack.history.oldest - 0.001, UTC)
    with pytest.raises(ArgumentError, match="begins") as caught:
        asks.roots(datastack.history.supervoxels, early)
    assert early.isoformat() in str(caught.value)
    assert asks.oldest().isoformat() in str(caught.value)
    exactly = datetime.fromtimestamp(datastack.history.oldest, UTC)
    running.requests.clear()
    assert np.all(asks.roots(datastack.history.supervoxels, exactly))
    assert len(running.requests) == 1


def test_supervoxels_of_another_graph(datastack: Any, graph: Any) -> None:
    _, asks = graph
    strange = datastack.history.supervoxels[:3] + np.uint64(9999)
    with pytest.raises(DamagedDataError, match="for 3 of them, such as") as caught:
        asks.roots(np.append(strange, datastack.history.supervoxels), datastack.late)
    assert str(strange[0]) in str(caught.value)


# ---- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "words"),
    [(None, "none was given"), ("0badf00d0badf00d", "is not accepted")],
)
def test_missing_and_wrong_tokens(server: Any, token: str | None, words: str) -> None:
    running = server()
    with pytest.raises(AccessError, match=words) as caught:
        Rest(running.url, token).get_json("info/api/v2/datastacks")
    message = str(caught.value)
    assert running.url in message
    assert "auth_token" in message
    assert "get_new_token" in message
    assert "0badf00d" not in message
    assert len(running.requests) == 1  # asking again changes nothing


def test_refused_redirected_and_not_there(datastack: Any, rest: Any, server: Any) -> None:
    running, asks = rest
    running.faults = [Fault("version", status=403, body=b'{"error": "missing_tos", "message": "accept the terms"}')]
    with pytest.raises(AccessError, match=r"permission.*accept the terms"):
        asks.get_json("info/version")
    other = server(datastack.folder / "jpeg")
    for status in (301, 302, 303, 307, 308):
        running.faults = [Fault("version", status=status, headers=(("Location", f"{other.url}/data/info"),))]
        with pytest.raises(AccessError, match=str(status)):
            asks.get_json("info/version")
    assert len(other.requests) == 0  # no redirect is followed
    with pytest.raises(NotFoundError, match="404"):
        asks.get_json("info/nothing")


def test_a_sign_in_page(server: Any) -> None:
    running = server(sign_in_page=True)
    with pytest.raises(AccessError, match="none was given"):
        Rest(running.url).get_json("info/version")
    assert len(running.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failures_that_pass(rest: Any, status: int) -> None:
    running, asks = rest
    running.faults = [Fault("version", status=status, times=2, headers=(("Retry-After", "20"),))]
    begun = time.perf_counter()
    assert asks.get_json("info/version") == "4.5.0"
    assert time.perf_counter() - begun < 10  # the server's own idea of a pause does not count
    assert len(running.requests) == 3


def test_failures_that_do_not(rest: Any) -> None:
    running, asks = rest
    running.faults = [Fault("version", status=503)]
    begun = time.perf_counter()
    with pytest.raises(StorageError, match="503 after 6 tries") as caught:
        asks.get_json("info/version")
    assert caught.value.status == 503
    assert time.perf_counter() - begun < 5
    assert len(running.requests) == 6
    running.faults = [Fault("version", status=418)]
    running.requests.clear()
    with pytest.raises(StorageError, match="418") as caught:
        asks.get_json("info/version")
    assert caught.value.status == 418
    assert len(running.requests) == 1


def test_a_server_that_hangs_breaks_or_is_down(rest: Any) -> None:
    running, asks = rest
    running.faults = [Fault("version", hang=30)]
    begun = time.perf_counter()
    with pytest.raises(StorageTimeoutError, match="no answer in time"):
        asks.get_json("info/version")
    assert time.perf_counter() - begun < 4
    for fault in ({"reset": True}, {"truncate": 2}):
        running.faults = [Fault("version", times=2, **fault)]
        assert asks.get_json("info/version") == "4.5.0"
        running.faults = [Fault("version", **fault)]
        with pytest.raises(OSError, match=r"breaks off|connection broke"):
            asks.get_json("info/version")
    running.stop()
    with pytest.raises(StorageError, match="cannot be reached"):
        asks.get_json("info/version")


def test_a_name_nobody_knows(trespasses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")  # beside the proxy of these tests
    with pytest.raises(StorageError, match="cannot be reached"):
        Rest("https://nowhere.invalid", None, QUICK).get_json("info")
    assert set(trespasses) == {"nowhere.invalid"}
    trespasses.clear()


def test_answers_that_cannot_be_decompressed(rest: Any) -> None:
    running, asks = rest
    running.faults = [Fault("version", garbage=True, times=2)]
    assert asks.get_json("info/version") == "4.5.0"
    running.faults = [Fault("version", garbage=True)]
    running.requests.clear()
    with pytest.raises(DamagedDataError, match="cannot be decompressed"):
        asks.get_json("info/version")
    assert len(running.requests) == 3


@pytest.mark.parametrize("body", [b"", b"{", b"<!doctype html><title>Welcome</title>", bytes(range(200, 256))])
def test_answers_that_are_no_documents(rest: Any, body: bytes) -> None:
    running, asks = rest
    running.faults = [Fault("version", body=body, headers=PLAIN)]
    with pytest.raises(FormatError, match="did not answer with JSON") as caught:
        asks.get_json("info/version")
    assert running.url in str(caught.value)


def test_a_server_that_repeats_the_token(datastack: Any, rest: Any) -> None:
    running, asks = rest
    token = datastack.token
    for said in ({"message": f"bad token {token}"}, {"error": f"Bearer {token}"}, f"you sent {token}", [token]):
        for status in (401, 403, 404, 400, 500):
            running.faults = [Fault("version", status=status, body=json.dumps(said).encode())]
            with pytest.raises(Exception, match=str(status)) as caught:
                asks.get_json("info/version")
            assert token not in str(caught.value)
            assert token not in repr(caught.value)
        running.faults = [Fault("version", body=f"<p>{token}".encode(), headers=PLAIN)]
        with pytest.raises(FormatError) as caught:
            asks.get_json("info/version")
        assert token not in str(caught.value)
    assert token not in repr(asks)
