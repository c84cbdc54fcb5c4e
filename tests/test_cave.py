"""CAVE: what a real CAVEclient supplies, and where its token goes: to its own servers and nowhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cave.datastack import Datastack, open_datastack, saved_token
from imageryclient.cloudpath import parse_source
from imageryclient.demo.faults import Fault
from imageryclient.errors import AccessError, ArgumentError, MissingExtraError, NotFoundError, StorageError

OTHER = "fedcba9876543210fedcba9876543210"


def headers(server: Any) -> set[str]:
    """What the server was sent as Authorization."""
    return {request.header("Authorization") for request in server.requests}


def save(name: str, token: object) -> None:
    folder = Path("~/.cloudvolume/secrets").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name.replace(":", "_" if sys.platform == "win32" else ":")).write_text(json.dumps(token))


def box(stack: Any) -> dict[str, Any]:
    return {"bounds": [np.array(stack.middle), np.array(stack.middle) + [20, 15, 3]], "resolution": stack.fine}


# ---- what a CAVEclient supplies ---------------------------------------------------------------------------------


def test_a_caveclient_is_all_that_is_needed(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    client = ic.ImageryClient(cave(running, version=3))
    assert client.image_source == f"precomputed://{running.url}/data/imagery"
    assert client.segmentation_source == f"graphene://{running.url}/segmentation/table/{datastack.table}"
    assert client.resolution.tolist() == list(datastack.viewer)
    assert client.token == datastack.token
    assert client.timestamp.timestamp() == datastack.history.versions[3]
    low, high = box(datastack)["bounds"]
    in_viewer_voxels = [low * [2, 2, 1], high * [2, 2, 1]]
    image, segmentation = client.image_and_segmentation_cutout(in_viewer_voxels)
    assert np.array_equal(image, datastack.image(low, high))
    expected = datastack.roots(low, high, datastack.history.versions[3])
    assert np.array_equal(segmentation, expected.astype(np.int64))


def test_what_is_given_goes_before_what_the_caveclient_says(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    client = ic.ImageryClient(
        cave(running),
        resolution="image",
        image_source=str(datastack.folder / "jpeg"),
        auth_token=datastack.token,
        timestamp="2020-09-20T00:00:00",
    )
    assert client.image_source == str(datastack.folder / "jpeg")
    assert client.resolution.tolist() == [32, 32, 40]
    assert client.timestamp == "2020-09-20T00:00:00"
    assert client.segmentation_cutout(**box(datastack)).any()


@pytest.mark.parametrize("layer", ["imagery", "segmentation"])
def test_one_layer_of_a_datastack(datastack: Any, server: Any, cave: Any, layer: str) -> None:
    running = server()
    caveclient = cave(running)
    running.requests.clear()
    off = "segmentation" if layer == "imagery" else "imagery"
    client = ic.ImageryClient(caveclient, **{off: False})
    cut = client.cutout(**box(datastack))
    assert list(cut.sources) == [layer]
    assert not any(off in path and path.startswith("/data") for path in running.requests.paths)
    assert getattr(client, {"imagery": "segmentation_cv", "segmentation": "image_cv"}[layer]) is None


def test_the_caveclient_is_looked_at_only_for_what_is_needed() -> None:
    class Info:
        def image_source(self) -> str:
            return "precomputed://gs://bucket/em"

        def viewer_resolution(self) -> list[int]:
            return [4, 4, 40]

    client = ic.ImageryClient(SimpleNamespace(info=Info()), segmentation=False)
    assert client.image_source == "precomputed://gs://bucket/em"
    assert client.segmentation_source is None
    assert client.token is None
    assert isinstance(client.timestamp, float)
    assert Datastack(SimpleNamespace(info=Info())).moment() is None


# ---- opening a datastack by name --------------------------------------------------------------------------------


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    made: list[Any] = []
    yield made
    for client in made:
        client._info.session.close()


def test_open_datastack(datastack: Any, server: Any, opened: list[Any]) -> None:
    running = server()
    opened.append(open_datastack(datastack.name, running.url, version=2, token=datastack.token))
    assert opened[0].version == 2
    client = ic.ImageryClient(opened[0])
    assert client.timestamp.timestamp() == datastack.history.versions[2]
    opened[0]._materialize.session.close()


def test_datastacks_that_cannot_be_opened(datastack: Any, server: Any) -> None:
    running = server()
    with pytest.raises(NotFoundError, match="no datastack 'unknown'") as caught:
        open_datastack("unknown", running.url, token=datastack.token)
    assert running.url in str(caught.value)
    for token in (None, OTHER):
        with pytest.raises(AccessError, match="save_token") as caught:
            open_datastack(datastack.name, running.url, token=token)
        assert running.url in str(caught.value)
        assert OTHER not in str(caught.value)
    running.faults = [Fault("full", status=418)]
    with pytest.raises(StorageError, match="418"):
        open_datastack(datastack.name, running.url, token=datastack.token)
    running.stop()


def test_caveclient_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caveclient", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'imageryclient\[cave\]'"):
        open_datastack("minnie65_public")


# ---- tokens -----------------------------------------------------------------------------------------------------


def test_tokens_saved_on_disk(datastack: Any, server: Any) -> None:
    running = server()
    source = f"graphene://{running.url}/segmentation/table/{datastack.table}"
    path = parse_source(source)
    assert saved_token(path) is None
    save("cave-secret.json", {"token": OTHER})
    assert saved_token(path) == OTHER
    if sys.platform != "win32":
        save(f"{path.host}-cave-secret.json", {"token": datastack.token})
        assert saved_token(path) == datastack.token
        assert saved_token(parse_source("graphene://https://example.org/segmentation/table/t")) == OTHER
        assert ic.ImageryClient(segmentation_source=source).segmentation_cutout(**box(datastack)).any()
        assert headers(running) == {f"Bearer {datastack.token}", ""}
        with pytest.raises(AccessError):  # what is given explicitly wins
            ic.ImageryClient(segmentation_source=source, auth_token=OTHER).segmentation_cutout(**box(datastack))
    for broken in ("no object", {}, {"token": ""}, []):
        save("cave-secret.json", broken)
        assert saved_token(parse_source("graphene://https://example.org/segmentation/table/t")) is None


def test_an_explicit_token_wins_over_the_caveclients(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    caveclient = cave(running)
    running.requests.clear()
    client = ic.ImageryClient(caveclient, auth_token=OTHER)
    assert client.token == OTHER
    with pytest.raises(AccessError, match="not accepted"):
        client.segmentation_cutout(**box(datastack))
    assert f"Bearer {OTHER}" in headers(running)


def test_the_token_goes_to_the_graph_alone(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    connect(running).cutout(datastack.middle, (30, 30))
    for request in running.requests:
        expected = "" if request.path.startswith("/data/") else f"Bearer {datastack.token}"
        assert request.header("Authorization") == expected, request.path
        assert datastack.token not in request.path + request.query + request.body.decode("latin-1")


def redirected(running: Any, data_dir: str) -> None:
    """Let the graph's info say that the supervoxels lie elsewhere."""
    folder = running.folder / "supervoxels" / "info"
    document = json.loads(folder.read_text())
    table = {"data_dir": data_dir, "graph": running.history.layout.to_info(), **document}
    running.faults = [
        Fault("table/.*info", body=json.dumps(table).encode(), headers=(("Content-Encoding", "identity"),))
    ]


@pytest.mark.parametrize("middleauth", ["", "middleauth+"])
@pytest.mark.parametrize("how", ["auth_token", "caveclient"])
def test_data_on_another_server_do_not_get_the_token(
    datastack: Any, server: Any, cave: Any, middleauth: str, how: str
) -> None:
    running, other = server(), server(datastack.folder / "supervoxels", token=None)
    redirected(running, f"precomputed://{middleauth}{other.url}/data")
    given = {"auth_token": datastack.token} if how == "auth_token" else {"client": cave(running)}
    client = ic.ImageryClient(
        segmentation_source=f"graphene://{running.url}/segmentation/table/{datastack.table}",
        timestamp=datastack.late,
        imagery=False,
        **given,
    )
    where = box(datastack)
    expected = datastack.roots(*where["bounds"], datastack.late.timestamp())
    assert np.array_equal(client.segmentation_cutout(**where), expected.astype(np.int64))
    assert len(other.requests) > 0
    assert headers(other) == {""}
    assert headers(running) == {f"Bearer {datastack.token}"}


def test_data_on_the_same_server_get_the_token_if_they_ask_for_it(datastack: Any, server: Any, connect: Any) -> None:
    running = server(protect_data=True)
    with pytest.raises(AccessError, match=r"middleauth\+"):
        connect(running).segmentation_cutout(**box(datastack))
    ic.clear_cache()
    redirected(running, f"precomputed://middleauth+{running.url}/data/supervoxels")
    got = connect(running).segmentation_cutout(**box(datastack))
    expected = datastack.roots(*box(datastack)["bounds"], datastack.late.timestamp())
    assert np.array_equal(got, expected.astype(np.int64))


def test_protected_imagery(datastack: Any, server: Any) -> None:
    running = server(protect_data=True)
    low, high = box(datastack)["bounds"]
    source = f"precomputed://middleauth+{running.url}/data/imagery"
    client = ic.ImageryClient(image_source=source, auth_token=datastack.token)
    assert np.array_equal(client.image_cutout(**box(datastack)), datastack.image(low, high))
    assert headers(running) == {f"Bearer {datastack.token}"}
    for token, words in ((None, "no token was sent"), (OTHER, "not accepted")):
        client = ic.ImageryClient(image_source=source, auth_token=token)
        with pytest.raises(AccessError, match=words) as caught:
            client.image_cutout(**box(datastack))
        assert running.url in str(caught.value)
        assert OTHER not in str(caught.value)


def test_other_protected_sources_do_not_get_the_caveclients_token(datastack: Any, server: Any, cave: Any) -> None:
    running, other = server(), server(datastack.folder / "jpeg", token=None)
    client = ic.ImageryClient(cave(running), image_source=f"precomputed://middleauth+{other.url}/data")
    cut = client.cutout(**box(datastack))
    assert cut.image.any()
    assert headers(other) == {""}
    own = ic.ImageryClient(cave(running), image_source=f"precomputed://middleauth+{running.url}/data/imagery")
    running.requests.clear()
    own.image_cutout(**box(datastack))
    assert headers(running) == {f"Bearer {datastack.token}"}


class Elsewhere(BaseHTTPRequestHandler):
    """Keeps the headers of whoever comes."""

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization", ""))  # type: ignore[attr-defined]
        body = b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[ThreadingHTTPServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    http.seen = []  # type: ignore[attr-defined]
    thread = Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.mark.parametrize("match", ["imagery/info", "imagery/8_8_40", "table/.*info", "roots_binary"])
@pytest.mark.parametrize("status", [302, 307])
def test_redirects_elsewhere_do_not_carry_the_token(
    datastack: Any, server: Any, elsewhere: Any, match: str, status: int
) -> None:
    running = server(protect_data=True)
    url = f"http://127.0.0.1:{elsewhere.server_port}/x"
    redirected(running, f"precomputed://middleauth+{running.url}/data/supervoxels")
    running.faults = (Fault(match, status=status, headers=(("Location", url),)), *running.faults)
    client = ic.ImageryClient(
        image_source=f"precomputed://middleauth+{running.url}/data/imagery",
        segmentation_source=f"graphene://{running.url}/segmentation/table/{datastack.table}",
        auth_token=datastack.token,
        timeout=2,
    )
    with pytest.raises(ic.errors.ImageryError) as caught:
        client.cutout(**box(datastack))
    assert datastack.token not in str(caught.value)
    assert set(elsewhere.seen) <= {""}
    assert headers(running) == {f"Bearer {datastack.token}"}


def test_a_wrong_timestamp_or_token_type_is_refused_at_once() -> None:
    with pytest.raises(ArgumentError, match="timestamp"):
        ic.ImageryClient(image_source="gs://bucket/em", timestamp="soon")
