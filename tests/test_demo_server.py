from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from caveclient import CAVEclient

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.faults import Fault
from imageryclient.demo.history import History
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.demo.static import parse_range
from imageryclient.errors import ArgumentError, FormatError, NotFoundError

STACK = "tiny"
OFFSET = (100, 200, 0)


def make_folder(folder: Path, kind: str = "graphene") -> History:
    layout = NodeLayout.covering((200, 160, 60), (50, 40, 30))
    chunks = np.array([(x, y, z) for x in range(4) for y in range(4) for z in range(2)])
    supervoxels = np.sort(layout.compose(1, np.repeat(chunks, 5, axis=0), np.tile(np.arange(1, 6), len(chunks))))
    bodies = np.random.default_rng(1).integers(0, 20, supervoxels.size)
    history = History.create(supervoxels, bodies, layout, start=1.7e9, edits=32, seed=3)
    scale = {"key": "8_8_40", "resolution": [8, 8, 40], "voxel_offset": OFFSET, "size": [200, 160, 60]}
    for layer in ("imagery", "supervoxels", "segmentation"):
        (folder / layer / "8_8_40").mkdir(parents=True)
        info = {"type": "image", "data_type": "uint8", "num_channels": 1, "scales": [scale]}
        (folder / layer / "info").write_text(json.dumps(info))
        (folder / layer / "8_8_40" / "chunk").write_bytes(bytes(range(256)) * 4)
    history.save(folder)
    demo = {
        "datastack": STACK,
        "description": "A tiny datastack.",
        "viewer_resolution": [4, 4, 40],
        "layers": {"imagery": "imagery", "supervoxels": "supervoxels", "segmentation": "segmentation"},
        "table": "tiny_v1",
        "graph": {**layout.to_info(), "bounding_box": [200, 160, 60], "cv_mip": 0},
        "segmentation_kind": kind,
    }
    (folder / "demo.json").write_text(json.dumps(demo))
    return history


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("stack")
    make_folder(where)
    return where


@pytest.fixture
def server(folder: Path) -> Iterator[DemoServer]:
    with DemoServer(folder) as running:
        yield running


@pytest.fixture
def history(server: DemoServer) -> History:
    assert server.history is not None
    return server.history


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep caveclient's tokens and its map of servers away from the real home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))


@pytest.fixture
def cave() -> Iterator[Any]:
    """Make clients, and close the sessions that caveclient leaves open."""
    made: list[Any] = []

    def make(server: DemoServer, token: str | None = DEMO_TOKEN, **options: Any) -> Any:
        options = {"max_retries": 0, "write_server_cache": False, **options}
        client = CAVEclient(STACK, server_address=server.url, auth_token=token, **options)
        made.append(client)
        return client

    yield make
    for client in made:
        for part in (client._info, client._chunkedgraph, client._materialize, client._state):
            if part is not None:
                part.session.close()


def when(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def moments(history: History) -> list[datetime]:
    times = [op.time for op in history.operations]
    return [when(t) for t in (history.oldest, times[0] - 1, times[0], *times[5::9], times[-1] + 1)]


def fetch(server: DemoServer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask exactly for a path: no client tidies it up, decodes the answer or follows."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


# ---- the real caveclient --------------------------------------------------------------------------------------


def test_what_caveclient_asks_when_it_is_made(server: DemoServer, cave: Any) -> None:
    cave(server)
    assert server.requests.paths == ["/info/version", f"/info/api/v2/datastack/full/{STACK}"]
    assert all(request.header("Authorization") == f"Bearer {DEMO_TOKEN}" for request in server.requests)
    server.requests.clear()
    cave(server, version=2)
    assert server.requests.paths == [
        "/info/version",
        f"/info/api/v2/datastack/full/{STACK}",
        "/materialize/api/versions",
        "/materialize/version",
        f"/materialize/api/v3/datastack/{STACK}/versions",
        f"/materialize/api/v3/datastack/{STACK}/version/2",
    ]


def test_sources(server: DemoServer, cave: Any) -> None:
    client = cave(server)
    assert client.info.image_source() == f"precomputed://{server.url}/data/imagery"
    assert client.info.segmentation_source() == f"graphene://{server.url}/segmentation/table/tiny_v1"
    assert np.array_equal(client.info.viewer_resolution(), [4, 4, 40])
    assert client.info.get_datastacks() == [STACK]
    assert [mirror["image_source"] for mirror in client.info.get_image_mirrors()] == [client.info.image_source()]
    assert server.datastack == STACK
    info = client.chunkedgraph.segmentation_info
    assert info["data_dir"] == f"{server.url}/data/supervoxels"
    assert NodeLayout.from_info(info["graph"]) == server.history.layout  # type: ignore[union-attr]
    assert client.chunkedgraph.base_resolution == [8, 8, 40]
    assert client.chunkedgraph.server_version is not None
    for layer, url in server.layers.items():
        assert requests.get(f"{url}/info", timeout=5).status_code == 200, layer


def test_flat_segmentation(tmp_path: Path, cave: Any) -> None:
    make_folder(tmp_path, "precomputed")
    with DemoServer(tmp_path) as server:
        client = cave(server)
        assert client.info.segmentation_source() == f"precomputed://{server.url}/data/segmentation"
        assert client.materialize.get_versions() == [1, 2, 3, 4]
        assert fetch(server, "/segmentation/table/tiny_v1/info", Authorization=f"Bearer {DEMO_TOKEN}")[0] == 404


def test_roots_at_any_moment(server: DemoServer, history: History, cave: Any) -> None:
    graph = cave(server).chunkedgraph
    asked = np.append(history.supervoxels[::-1], np.uint64(0))
    for moment in moments(history):
        roots = graph.get_roots(asked, timestamp=moment)
        assert roots.dtype == np.uint64
        assert np.array_equal(roots[:-1], history.at(moment.timestamp())[::-1])
        assert roots[-1] == 0
    assert np.array_equal(graph.get_roots(history.supervoxels), history.at())
    one = int(history.supervoxels[7])
    assert graph.get_root_id(one, timestamp=when(history.oldest)) == history.at(history.oldest)[7]
    for layer in (2, 3):
        nodes = graph.get_roots(history.supervoxels, stop_layer=layer)
        assert np.array_equal(nodes, history.nodes(layer))
    assert graph.get_root_id(one, level2=True) == history.nodes(2)[7]


def test_roots_of_what_is_unknown_are_zero(server: DemoServer, history: History, cave: Any) -> None:
    graph = cave(server).chunkedgraph
    known = int(history.supervoxels[0])
    assert graph.get_roots([known, known + 1000]).tolist() == [history.at()[0], 0]
    before = when(history.oldest - 10)
    assert graph.get_roots([known], timestamp=before).tolist() == [known]  # as where it knows none of those asked for
    assert graph.get_roots([known + 1000]).tolist() == [known + 1000]
    nodes = [known, known + 1000, int(history.nodes(2)[0]), int(history.at()[0]), 7]
    assert graph.is_valid_nodes(nodes).tolist() == [True, False, True, True, False]
    with pytest.raises(requests.HTTPError, match="500"):
        graph.get_root_id(known + 1000)


def test_leaves(server: DemoServer, history: History, cave: Any) -> None:
    graph = cave(server).chunkedgraph
    every = {root for op in history.operations for root in (*op.before, *op.after)}
    for root in sorted(every)[::5]:
        assert sorted(graph.get_leaves(root).tolist()) == history.leaves(root).tolist()
        bounds = np.array([[110, 190], [205, 239], [0, 31]])
        inside = history.leaves(root, bounds.T - OFFSET).tolist()
        assert sorted(graph.get_leaves(root, bounds=bounds).tolist()) == inside
        level2 = graph.get_leaves(root, stop_layer=2)
        assert sorted(level2.tolist()) == history.leaves(root, layer=2).tolist()
        assert sorted(graph.get_leaves(int(level2[0])).tolist()) == history.leaves(int(level2[0])).tolist()
    roots = sorted(every)[:6]
    many = graph.get_leaves_many(roots)
    assert {int(k): sorted(v.tolist()) for k, v in many.items()} == {r: history.leaves(r).tolist() for r in roots}
    assert graph.get_leaves(max(every) + 999).size == 0


def test_latest_and_timestamps(server: DemoServer, history: History, cave: Any) -> None:
    graph = cave(server).chunkedgraph
    every = sorted({root for op in history.operations for root in (*op.before, *op.after)})
    for moment in moments(history):
        latest = graph.is_latest_roots(every, timestamp=moment)  # edits at the moment do not count
        assert np.array_equal(latest, history.is_latest(every, moment.timestamp() - 1e-3))
    born = graph.get_root_timestamps(every)
    assert [b.timestamp() for b in born] == history.root_timestamps(every).tolist()
    last = graph.get_root_timestamps(every, latest=True, timestamp=when(history.operations[-1].time + 5))
    ended = np.minimum(history.end_timestamps(every), history.operations[-1].time + 5)
    assert [moment.timestamp() for moment in last] == pytest.approx((ended - 1e-3).tolist(), abs=1e-5)
    assert graph.get_oldest_timestamp().timestamp() == history.oldest


def test_successors(server: DemoServer, history: History, cave: Any) -> None:
    graph = cave(server).chunkedgraph
    old = np.unique(history.at(history.oldest))
    retired = old[~history.is_latest(old)]
    middle = history.operations[len(history.operations) // 2].time
    for root in retired[:8].tolist():
        assert sorted(graph.get_latest_roots(root)) == history.future_ids(root).tolist()
        assert sorted(graph.get_latest_roots(root, timestamp=when(middle))) == history.future_ids(root, middle).tolist()
        suggested, overlap = graph.suggest_latest_roots(root, return_all=True, return_fraction_overlap=True)
        heirs, counts = np.unique(history.roots(history.leaves(root)), return_counts=True)
        assert sorted(suggested.tolist()) == heirs.tolist()
        assert suggested[0] in heirs[counts == counts.max()]
        assert overlap.sum() == pytest.approx(1)
        assert graph.get_lineage_graph(root, timestamp_future=when(history.oldest + 9e9))["directed"]
    young = [op.after[0] for op in history.operations[-4:]]
    for root in young:
        assert sorted(graph.get_original_roots(root)) == history.past_ids(root).tolist()
        past = graph.get_past_ids([root], timestamp_past=when(middle))
        assert past["past_id_map"][root] == history.past_ids(root, middle).tolist()
        assert past["future_id_map"][root] == history.future_ids(root).tolist()
    lineage = graph.get_lineage_graph(young[-1], timestamp_future=when(9e9), as_nx_graph=True)
    mine = history.lineage([young[-1]])
    assert sorted(lineage.nodes) == mine.roots.tolist()
    assert sorted(lineage.edges) == [tuple(link) for link in mine.links.tolist()]


def test_versions_pin_the_moment(server: DemoServer, history: History, cave: Any) -> None:
    for version, moment in history.versions.items():
        client = cave(server, version=version)
        assert client.timestamp.timestamp() == moment
        assert client.materialize.get_timestamp().timestamp() == moment
        assert np.array_equal(client.chunkedgraph.get_roots(history.supervoxels), history.at(moment))
    client = cave(server)
    assert client.timestamp is None
    assert client.materialize.get_versions() == list(history.versions)
    assert client.materialize.get_version_metadata(1)["time_stamp"] == when(history.versions[1])
    metadata = client.materialize.get_versions_metadata()
    assert [entry["version"] for entry in metadata] == list(history.versions)
    assert client.materialize.get_tables() == []
    with pytest.raises(ValueError, match="not available"):
        cave(server, version=99)


def test_states(server: DemoServer, cave: Any) -> None:
    client = cave(server)
    state = {"layers": [{"segments": ["864691135012345678"]}], "position": [1.5, 2, 3]}
    number = client.state.upload_state_json(state)
    assert client.state.get_state_json(number) == state
    other = client.state.upload_state_json({"a": 1})
    assert other != number
    assert client.state.get_state_json(number) == state
    url = client.state.build_neuroglancer_url(number, target_site="spelunker")
    assert url.endswith(f"/#!middleauth+{server.url}/nglstate/api/v1/{number}")
    assert requests.get(f"{server.url}/nglstate/api/v1/{number}", timeout=5).status_code == 401
    with pytest.raises(requests.HTTPError, match="404"):
        client.state.get_state_json(1)
    with pytest.raises(requests.HTTPError, match="400"):
        requests.post(
            f"{server.url}/nglstate/api/v1/post",
            data=b"{",
            headers={"Authorization": f"Bearer {DEMO_TOKEN}"},
            timeout=5,
        ).raise_for_status()


# ---- tokens ---------------------------------------------------------------------------------------------------


def test_wrong_and_missing_tokens(server: DemoServer, cave: Any) -> None:
    for token in ("wrong", None):
        with pytest.raises(requests.HTTPError, match="401"):
            cave(server, token)
    path = f"/info/api/v2/datastack/full/{STACK}"
    status, headers, body = fetch(server, path)
    assert (status, body) == (401, b"Unauthorized")
    assert headers["www-authenticate"].startswith('Bearer realm="http://127.0.0.1')
    status, headers, body = fetch(server, path, Authorization="Bearer wrong")
    assert (status, body) == (401, b"Invalid/Expired Token")
    assert 'error="invalid_token"' in headers["www-authenticate"]
    assert fetch(server, path, Authorization=f"Basic {DEMO_TOKEN}")[0] == 400
    assert fetch(server, path, Authorization=f"Bearer {DEMO_TOKEN}")[0] == 200
    assert fetch(server, path, Cookie=f"middle_auth_token={DEMO_TOKEN}")[0] == 200
    assert fetch(server, f"{path}?middle_auth_token={DEMO_TOKEN}")[0] == 200
    assert DEMO_TOKEN not in repr(list(server.requests)[:-1])


def test_sign_in_page(folder: Path, cave: Any) -> None:
    with DemoServer(folder, sign_in_page=True) as server:
        status, headers, _ = fetch(server, "/info/version")
        assert status == 302
        assert headers["location"].startswith(f"{server.url}/sticky_auth/api/v1/authorize?redirect=")
        assert fetch(server, "/info/version", Authorization="Bearer no")[0] == 401
        assert requests.get(f"{server.url}/info/version", timeout=5).text.startswith("<!doctype html>")
        with pytest.raises(Exception, match="not setup a token"):
            cave(server, None)


def test_no_token_at_all(folder: Path, cave: Any) -> None:
    with DemoServer(folder, token=None) as server:
        assert fetch(server, "/info/version")[0] == 200
        assert cave(server, "anything").info.image_source().endswith("/data/imagery")


def test_data_are_public_unless_protected(folder: Path) -> None:
    path = "/data/imagery/info"
    with DemoServer(folder) as server:
        assert fetch(server, path)[0] == 200
    with DemoServer(folder, protect_data=True) as server:
        assert fetch(server, path)[0] == 401
        assert fetch(server, path, Authorization=f"Bearer {DEMO_TOKEN}")[0] == 200


# ---- the graph's protocol -------------------------------------------------------------------------------------


def post(server: DemoServer, call: str, body: bytes, table: str = "tiny_v1", **headers: str) -> requests.Response:
    named = {"Authorization": f"Bearer {DEMO_TOKEN}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    url = f"{server.url}/segmentation/api/v1/table/{table}/{call}"
    return requests.post(url, data=body, headers=named, timeout=10)


def test_gzip_both_ways(server: DemoServer, history: History) -> None:
    body = history.supervoxels.astype("<u8").tobytes()
    plain = post(server, "roots_binary", body, Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    packed = post(server, "roots_binary", gzip.compress(body), Content_Encoding="gzip", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == server.requests[-1].sent
    assert plain.content == packed.content == history.at().tobytes()


def test_ids_as_text(server: DemoServer, history: History) -> None:
    root = int(history.at()[0])
    body = json.dumps({"node_ids": [str(root)]}).encode()
    answer = post(server, "node/leaves_many?int64_as_str=1", body).json()
    assert answer == {str(root): [str(leaf) for leaf in history.leaves(root).tolist()]}
    answer = post(
        server, "roots?int64_as_str=true", json.dumps({"node_ids": history.supervoxels[:3].tolist()}).encode()
    )
    assert answer.json() == {"root_ids": [str(r) for r in history.at()[:3].tolist()]}
    lineage = post(server, "lineage_graph_multiple?int64_as_str=1", json.dumps({"root_ids": [root]}).encode()).json()
    assert all(isinstance(node["id"], str) for node in lineage["nodes"])
    assert all(isinstance(node["timestamp"], float) for node in lineage["nodes"])


def test_errors_as_pychunkedgraph_gives_them(server: DemoServer, history: History) -> None:
    answer = post(server, "roots_binary?timestamp=soon", b"")
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert answer.json()["message"] == "Timestamp parameter timestamp is not a valid unix timestamp"
    assert set(answer.json()) == {"timestamp", "duration", "code", "message"}
    assert post(server, "roots_binary?timestamp=nan", b"").status_code == 400
    for call, body in (
        ("roots_binary", b"1234567"),
        ("roots_binary?stop_layer=77", b""),
        ("is_latest_roots", b"{}"),
        ("is_latest_roots", b"no json"),
        ("root_timestamps", json.dumps({"node_ids": [5, int(history.at()[0])]}).encode()),
        ("root_timestamps?latest=1&timestamp=5", json.dumps({"node_ids": [int(history.at()[0])]}).encode()),
        ("leaves_many?bounds=1-2", b'{"node_ids": [5]}'),
    ):
        answer = post(server, call, body)
        assert answer.status_code == 500, call
        assert answer.json()["code"] == 500
    assert post(server, "root_timestamps", b'{"node_ids": [5, 6]}').json() == {"timestamp": []}
    assert post(server, "roots_binary", b"", table="other").status_code == 400
    assert post(server, "no_such_call", b"").status_code == 404
    assert post(server, "oldest_timestamp", b"").status_code == 404
    broken = post(server, "roots_binary", b"not gzip", Content_Encoding="gzip")
    assert broken.status_code == 500


# ---- files ----------------------------------------------------------------------------------------------------


def test_ranges(server: DemoServer) -> None:
    path = "/data/imagery/8_8_40/chunk"
    whole = bytes(range(256)) * 4
    for span, expected in (
        ("0-9", whole[:10]),
        ("1000-", whole[1000:]),
        ("-3", whole[-3:]),
        ("1020-9999", whole[1020:]),
    ):
        status, headers, body = fetch(server, path, Range=f"bytes={span}")
        assert (status, body) == (206, expected)
        start = whole.rindex(expected) if span != "0-9" else 0
        assert headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/1024"
        assert server.requests[-1].sent == len(expected)
    for span in ("bytes=0-1,5-6", "items=0-1", "bytes=-", "bytes=5-2"):
        assert fetch(server, path, Range=span)[::2] == (200, whole)
    status, headers, body = fetch(server, path, Range="bytes=1024-")
    assert (status, headers["content-range"], body) == (416, "bytes */1024", b"")
    assert fetch(server, path, Range="bytes=-0")[0] == 416


def test_parse_range_of_an_empty_file() -> None:
    with pytest.raises(IndexError):
        parse_range("bytes=0-", 0)
    assert parse_range("bytes=0-0", 1) == (0, 1)


def test_head_and_cors(server: DemoServer) -> None:
    path = "/data/imagery/8_8_40/chunk"
    status, headers, body = fetch(server, path, "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "1024")
    assert headers["access-control-allow-origin"] == "*"
    assert headers["accept-ranges"] == "bytes"
    assert fetch(server, path)[1]["etag"] == headers["etag"]
    status, headers, _ = fetch(server, path, "OPTIONS", Origin="https://example.org")
    assert status == 204
    assert "Range" in headers["access-control-allow-headers"]
    assert fetch(server, "/segmentation/table/tiny_v1/info", "OPTIONS")[0] == 204
    assert fetch(server, path, "PUT")[0] == 405
    assert fetch(server, "/data/imagery/8_8_40/absent")[0] == 404
    assert fetch(server, "/data/imagery/8_8_40")[0] == 404


def test_encodings(tmp_path: Path) -> None:
    plain = b"the voxels" * 50
    packed = gzip.compress(plain)
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "info").write_text("{}")
    (layer / "inside").write_bytes(packed)
    (layer / "a.shard").write_bytes(packed)
    (layer / "beside.gz").write_bytes(packed)
    (layer / "brotli.br").write_bytes(b"br")
    (layer / "zstandard.zstd").write_bytes(b"zstd")
    (layer / "both").write_bytes(b"plain wins")
    (layer / "both.gz").write_bytes(packed)
    with DemoServer(tmp_path) as server:
        assert server.layers == {"layer": f"{server.url}/data/layer"}
        assert server.datastack is None
        assert server.history is None
        for name in ("inside", "beside"):
            status, headers, body = fetch(server, f"/data/layer/{name}")
            assert (status, headers["content-encoding"], body) == (200, "gzip", packed)
            assert requests.get(f"{server.url}/data/layer/{name}", timeout=5).content == plain
        assert fetch(server, "/data/layer/inside", Range="bytes=0-4")[2] == packed[:5]
        for name, content in (("a.shard", packed), ("beside.gz", packed), ("both", b"plain wins")):
            status, headers, body = fetch(server, f"/data/layer/{name}")
            assert (status, body) == (200, content)
            assert "content-encoding" not in headers
        assert fetch(server, "/data/layer/brotli")[1]["content-encoding"] == "br"
        assert fetch(server, "/data/layer/zstandard")[1]["content-encoding"] == "zstd"
        assert fetch(server, "/info/version")[0] == 404
    with DemoServer(tmp_path, gzip_in_place=False) as server:
        assert "content-encoding" not in fetch(server, "/data/layer/inside")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/data/../demo.json",
        "/data/imagery/../../demo.json",
        "/data/imagery/../supervoxels/info",
        "/data/imagery/%2e%2e/%2e%2e/demo.json",
        "/data/imagery/..%2f..%2fdemo.json",
        "/data/imagery/..%5c..%5cdemo.json",
        "/data/imagery/%2fetc%2fpasswd",
        "/data/imagery//etc/passwd",
        "/data//etc/passwd",
        "/data/imagery/%252e%252e/demo.json",
        "/data/imagery/./info",
        "/data/imagery/C:/Windows/win.ini",
        "/data/C%3A%5CWindows%5Cwin.ini",
        "/data/imagery/info%00",
        "/data/imagery/info/",
        "/data/demo.json",
        "/data/history.npz",
        "/data/",
        "/data",
        "/demo.json",
        "/",
        "/data/imagery/out/secret",
        "/data/imagery/outfile",
        "/data/imagery/" + "x" * 5000,
    ],
)
def test_no_way_out_of_the_layers(folder: Path, path: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    links = [(folder / "imagery" / "out", tmp_path), (folder / "imagery" / "outfile", secret)]
    try:
        for link, target in links:
            link.symlink_to(target)
    except OSError:
        if "out" in path:
            pytest.skip("no symbolic links here")
    try:
        with DemoServer(folder, token=None) as server:
            status, _, body = fetch(server, path)
        assert status == 404
        assert b"secret" not in body
        assert b"datastack" not in body
    finally:
        for link, _ in links:
            link.unlink(missing_ok=True)


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("here")
    try:
        (tmp_path / "link").symlink_to("real")
    except OSError:
        pytest.skip("no symbolic links here")
    with DemoServer(tmp_path) as server:
        assert fetch(server, "/data/link")[2] == b"here"


# ---- faults ---------------------------------------------------------------------------------------------------


def test_status_some_times(server: DemoServer) -> None:
    server.faults = [Fault(r"/imagery/", status=503, times=2, headers=(("Retry-After", "1"),))]
    path = "/data/imagery/info"
    answers = [fetch(server, path) for _ in range(3)]
    assert [status for status, _, _ in answers] == [503, 503, 200]
    assert answers[0][1]["retry-after"] == "1"
    assert fetch(server, "/data/segmentation/info")[0] == 200
    assert [request.status for request in server.requests] == [503, 503, 200, 200]
    server.faults = [Fault("imagery", status=403, body=b'{"error":"missing_tos"}')]
    assert fetch(server, path)[::2] == (403, b'{"error":"missing_tos"}')
    server.faults = []
    assert fetch(server, path)[0] == 200
    assert server.faults == ()


def test_broken_bodies(server: DemoServer) -> None:
    path = "/data/imagery/8_8_40/chunk"
    whole = bytes(range(256)) * 4
    server.faults = [Fault("chunk$", shorten=100)]
    assert fetch(server, path)[::2] == (200, whole[:100])
    server.faults = [Fault("chunk$", garbage=True)]
    status, _, body = fetch(server, path)
    assert (status, len(body)) == (200, 1024)
    assert body != whole
    server.faults = [Fault("chunk$", truncate=100)]
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(server, path)
    assert caught.value.partial == whole[:100]
    assert server.requests[-1].sent == 100
    server.faults = [Fault("chunk$", garbage=True), Fault("chunk$", shorten=10), Fault("info$", status=500)]
    assert len(fetch(server, path)[2]) == 10
    server.faults = [Fault("chunk$", reset=True, times=1)]
    with pytest.raises(ConnectionResetError):
        fetch(server, path)
    assert server.requests[-1].status is None
    assert fetch(server, path)[2] == whole


def test_chance(server: DemoServer) -> None:
    def run() -> list[int]:
        server.faults = [Fault("info", status=500, probability=0.5, seed=4)]
        return [fetch(server, "/data/imagery/info")[0] for _ in range(30)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first


def test_hanging_requests_do_not_hold_up_stop(folder: Path) -> None:
    server = DemoServer(folder, faults=[Fault("info", hang=60)]).start()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            fetch(server, "/data/imagery/info")
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while len(server.requests) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    begun = time.perf_counter()
    server.stop()
    assert time.perf_counter() - begun < 10
    for thread in threads:
        thread.join(5)
    assert len(failures) == 3


def test_latency(folder: Path) -> None:
    with DemoServer(folder, latency=0.1) as server:
        begun = time.perf_counter()
        assert fetch(server, "/data/imagery/info")[0] == 200
        assert time.perf_counter() - begun >= 0.1


# ---- the server itself ----------------------------------------------------------------------------------------


def test_start_stop_and_start_again(folder: Path) -> None:
    server = DemoServer(folder)
    with pytest.raises(ArgumentError, match="start"):
        _ = server.url
    assert "stopped" in repr(server)
    server.start()
    url = server.url
    assert server.start().url == url
    assert DEMO_TOKEN not in repr(server)
    server.stop()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=2)
    with server:
        assert fetch(server, "/data/imagery/info")[0] == 200
    names = [thread.name for thread in threading.enumerate()]
    assert "imageryclient-demo" not in names


def test_loopback_only(server: DemoServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    port = int(server.url.rsplit(":", 1)[1])
    bound = server._http.socket.getsockname()  # type: ignore[union-attr]
    assert bound == ("127.0.0.1", port)


def test_keep_alive_and_many_at_once(server: DemoServer) -> None:
    answers: list[int] = []

    def ask() -> None:
        host, port = server.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            for _ in range(20):
                connection.request("GET", "/data/imagery/8_8_40/chunk")
                sock = connection.sock
                answer = connection.getresponse()
                answers.append(len(answer.read()))
                assert connection.sock is sock
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [1024] * 320
    assert len(server.requests) == 320
    server.requests.clear()
    assert len(server.requests) == 0


def raw(server: DemoServer, message: bytes) -> bytes:
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n", b" 400 "),
        (b"POST /x HTTP/1.1\r\nContent-Length: -4\r\n\r\n", b" 400 "),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b" 411 "),
        (b"BREW /x HTTP/1.1\r\n\r\n", b" 501 "),
        (b"nonsense\r\n\r\n", b" 400 "),
        (b"POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", b""),
    ],
)
def test_odd_messages(server: DemoServer, message: bytes, status: bytes) -> None:
    first = raw(server, message).split(b"\r\n")[0]
    assert status in first or first.startswith(b"<!DOCTYPE")
    assert fetch(server, "/data/imagery/info")[0] == 200


def test_what_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        DemoServer(tmp_path / "absent")
    make_folder(tmp_path)
    text = json.loads((tmp_path / "demo.json").read_text())
    for broken in ({**text, "segmentation_kind": "other"}, {"datastack": "x"}, []):
        (tmp_path / "demo.json").write_text(json.dumps(broken))
        with pytest.raises(FormatError, match=r"demo\.json"):
            DemoServer(tmp_path)
    (tmp_path / "demo.json").write_text(json.dumps(text))
    os.remove(tmp_path / "history.json")
    with pytest.raises(NotFoundError, match="no history"):
        DemoServer(tmp_path)
