"""Bytes from folders and servers: however they are compressed and named, however the server fails, never too many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cache import CACHE
from imageryclient.demo.faults import Fault, FaultPlan
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, DamagedDataError, NotFoundError, StorageError, StorageTimeoutError
from imageryclient.pools import MAX_IN_FLIGHT
from imageryclient.scales import Sharding
from imageryclient.storage import FolderStore, Patience, WebStore, open_store
from imageryclient.volumes import precomputed

AT = (8, 8, 40)
RNG = np.random.default_rng(2)
EM = np.asfortranarray(RNG.integers(1, 256, (50, 41, 13), dtype=np.uint8))
SEG = np.kron(RNG.integers(2**60, 2**63, (10, 9, 3), dtype=np.uint64), np.ones((5, 5, 5), np.uint64))[:50, :41, :13]


def client(place: str, array: np.ndarray = EM, **options: Any) -> ic.ImageryClient:
    layer = "image_source" if array.dtype == np.uint8 else "segmentation_source"
    return ic.ImageryClient(**{layer: place, "timeout": 5.0, **options})


def whole(client: ic.ImageryClient, array: np.ndarray = EM) -> np.ndarray:
    bounds = [[0, 0, 0], array.shape]
    if array.dtype == np.uint8:
        return client.image_cutout(bounds)
    return client.segmentation_cutout(bounds).astype(np.uint64)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again without a pause."""
    monkeypatch.setattr(precomputed, "time", SimpleNamespace(sleep=lambda seconds: None))


# ---- names and compressions -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("compress", ["", "gzip", "gz", "br", "zstd"])
@pytest.mark.parametrize(("array", "encoding"), [(EM, "raw"), (EM, "png"), (SEG, "compressed_segmentation")])
def test_compressed_files(tmp_path: Path, server: Any, compress: str, array: np.ndarray, encoding: str) -> None:
    layout = Layout(resolution=AT, chunk_size=(20, 16, 8), encoding=encoding, compress=compress)
    kind = "image" if array is EM else "segmentation"
    folder = write_precomputed(tmp_path / "layer", [(array, layout)], kind=kind)
    assert np.array_equal(whole(client(str(folder), array), array), array)
    for in_place in (True, False):
        running = server(tmp_path, gzip_in_place=in_place)
        assert np.array_equal(whole(client(running.layers["layer"], array), array), array)
    if compress or encoding != "raw":  # whose bytes have no check but their number
        ic.clear_cache()
        running.faults = [Fault(r"20-40.*8-13", garbage=True, times=2)]
        assert np.array_equal(whole(client(running.layers["layer"], array), array), array)


@pytest.mark.parametrize("name", ["plain", "my data", "50%", "100%25", "data #1 (new)", "größe", "a+b=c&d@e"])
def test_folders_of_every_name(tmp_path: Path, server: Any, name: str) -> None:
    layout = Layout(resolution=AT, chunk_size=(20, 16, 8), key=f"{name}/8_8_40")
    folder = write_precomputed(tmp_path / name / name, [(EM, layout)], kind="image")
    running = server(tmp_path)
    quoted = f"{running.url}/data/{quote(name)}/{quote(name)}"
    for place in (str(folder), folder.as_uri(), quoted, f"precomputed://{quoted}/"):
        assert np.array_equal(whole(client(place)), EM), place


def test_keys_that_climb(tmp_path: Path, server: Any) -> None:
    levels = [
        (EM, Layout(resolution=AT, chunk_size=(20, 16, 8), key="../elsewhere/8_8_40")),
        (EM[::2, ::2], Layout(resolution=(16, 16, 40), chunk_size=(20, 16, 8), key="../../top")),
    ]
    folder = write_precomputed(tmp_path / "a" / "b", levels, kind="image")
    running = server(tmp_path)
    for place in (str(folder), f"{running.url}/data/a/b"):
        reader = client(place)
        assert np.array_equal(whole(reader), EM)
        coarse = reader.image_cutout([[0, 0, 0], [25, 21, 13]], mip=1, resolution=(16, 16, 40))
        assert np.array_equal(coarse, EM[::2, ::2])
    assert not any(".." in path for path in running.requests.paths)


def test_odd_keys(tmp_path: Path, server: Any) -> None:
    (tmp_path / "layer" / "x").mkdir(parents=True)
    (tmp_path / "layer" / "x" / "y").write_bytes(b"here")
    (tmp_path / "beside").write_bytes(b"beside")
    for url in ((tmp_path / "layer").as_uri(), server(tmp_path).url + "/data/layer"):
        store = open_store(url)
        assert store.url == url
        assert url in repr(store)
        for key in ("x/y", "./x//y", "x/../x/y", "../layer/x/y"):
            assert store.get(key).data == b"here", key
        assert store.get("../beside").data == b"beside"
        assert store.get("../../../../beside").data is None
        for key in ("x", "nothing", "x/y/z", "x/nothing"):
            assert store.get(key).data is None if key != "x/y/z" or "http" in url else True
        assert store.get_range("x/y", 1, 3).data == b"er"
        assert store.get_range("nothing", 0, 3).data is None


def test_a_suffix_found_once_is_looked_for_first(tmp_path: Path) -> None:
    (tmp_path / "a.br").write_bytes(b"br")
    (tmp_path / "b").write_bytes(b"plain")
    (tmp_path / "b.br").write_bytes(b"br")
    store = FolderStore(tmp_path.as_uri())
    assert store.get("b").encoding == ""
    assert store.get("a").encoding == "br"
    assert store.get("b").encoding == "br"
    assert store.get("c").data is None
    assert store.cached("b") is None
    store.forget("b")
    (tmp_path / "b").write_bytes(b"changed")
    (tmp_path / "b.br").unlink()
    assert store.get("b").data == b"changed"


# ---- requests ---------------------------------------------------------------------------------------------------


def test_at_most_so_many_requests_at_once_for_both_layers_together(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, chunk_requests: Any
) -> None:
    lock, now, peak = threading.Lock(), 0, 0
    strike, answer = DemoServer._strike, DemoServer._answer

    def begin(self: DemoServer, request: Any) -> Any:
        nonlocal now, peak
        with lock:
            now += request.path.startswith("/data/")  # the graph's are one more at most
            peak = max(peak, now)
        return strike(self, request)

    def end(self: DemoServer, request: Any) -> Any:
        nonlocal now
        with lock:
            now -= request.path.startswith("/data/")
        return answer(self, request)

    monkeypatch.setattr(DemoServer, "_strike", begin)
    monkeypatch.setattr(DemoServer, "_answer", end)
    running = server(latency=0.05)
    reader = connect(running, missing="fill")
    cut = reader.cutout(bounds=[datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)])
    assert cut.image.any()
    assert len(chunk_requests(running)) == 72
    assert MAX_IN_FLIGHT - 8 <= peak <= MAX_IN_FLIGHT == 32


def test_nothing_is_fetched_twice(datastack: Any, server: Any, connect: Any, chunk_requests: Any) -> None:
    running = server()
    reader = connect(running, missing="fill", timestamp=None)
    far = np.add(datastack.offsets[0], datastack.supervoxels[0].shape)
    bounds = [far - [90, 50, 20], far + 3]  # the absent chunk is remembered, too
    first = reader.cutout(bounds=bounds)
    assert len(chunk_requests(running)) == len(set(chunk_requests(running))) > 4
    running.requests.clear()
    second = reader.cutout(bounds=bounds)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.segmentation, second.segmentation)
    assert [path.rpartition("/")[2] for path in running.requests.paths] == ["roots_binary"]
    running.requests.clear()
    other = connect(running, missing="fill", timestamp=None)
    other.cutout(bounds=bounds)
    assert len(running.requests) == 1  # a new client of the process finds all, info documents included
    ic.clear_cache()
    assert len(CACHE) == 0
    other.cutout(bounds=bounds)
    assert len(chunk_requests(running)) > 4


def test_many_threads_get_what_one_gets(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    rng = np.random.default_rng(4)
    boxes = [
        (low, low + rng.integers(1, [60, 60, 8]))
        for low in rng.integers(datastack.offsets[0], [300, 220, 43], (120, 3))
    ]
    serial = [
        (datastack.image(low, high), datastack.roots(low, high, datastack.late.timestamp())) for low, high in boxes
    ]
    reader = connect(running, missing="fill")

    def work(part: int) -> list[bool]:
        same = []
        for (low, high), (image, segmentation) in list(zip(boxes, serial, strict=True))[part::6]:
            got = reader.image_and_segmentation_cutout([low, high])
            same += [np.array_equal(got[0], np.squeeze(image))]
            same += [np.array_equal(got[1], np.squeeze(segmentation).astype(np.int64))]
        return same

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(6)))
    assert [len(result) for result in results] == [40] * 6
    assert all(all(result) for result in results)


# ---- failures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def layer(tmp_path: Path, server: Any) -> tuple[DemoServer, str]:
    """A server of one raw layer, and its address."""
    write_precomputed(tmp_path / "em", [(EM, Layout(resolution=AT, chunk_size=(20, 16, 8)))], kind="image")
    running = server(tmp_path)
    return running, running.layers["em"]


def test_pauses_are_bounded() -> None:
    patience = Patience()
    assert patience.tries == 6
    assert patience.pauses() == [0.05, 0.1, 0.2, 0.4, 0.5]
    assert Patience(tries=1).pauses() == []


def test_a_server_that_is_down(layer: Any) -> None:
    running, url = layer
    running.stop()
    begun = time.perf_counter()
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        whole(client(url))
    assert url in str(caught.value)
    assert time.perf_counter() - begun < 5
    assert len(str(caught.value)) < 300  # without obstore's dump


def test_a_server_that_hangs(layer: Any) -> None:
    running, url = layer
    reader = client(url, timeout=0.5)
    for match in ("info", "8_8_40"):
        running.faults = [Fault(match, hang=30)]
        begun = time.perf_counter()
        with pytest.raises(StorageTimeoutError, match="no answer in time"):
            whole(reader)
        assert time.perf_counter() - begun < 4
        running.faults = []
        if match == "info":
            reader.image_cutout([[0, 0, 0], [1, 1, 1]])
            ic.clear_cache()
    assert np.array_equal(whole(reader), EM)


def test_a_server_that_fails_for_a_while(layer: Any) -> None:
    running, url = layer
    for status in (429, 500, 502, 503, 504):
        ic.clear_cache()
        running.faults = [Fault("info", status=status, times=2), Fault("8_8_40", status=status, times=20)]
        assert np.array_equal(whole(client(url)), EM), status


def test_a_server_that_fails_for_ever(layer: Any) -> None:
    running, url = layer
    running.faults = [Fault("info", status=503)]
    begun = time.perf_counter()
    with pytest.raises(StorageError, match="503") as caught:
        whole(client(url, timeout=30))
    assert time.perf_counter() - begun < 5
    assert sum(path.endswith("/info") for path in running.requests.paths) <= 7  # the last asks how long to wait
    assert "Debug source" not in str(caught.value)


@pytest.mark.parametrize(("status", "words"), [(401, "401"), (403, "403")])
def test_refused_is_not_absent(layer: Any, status: int, words: str) -> None:
    running, url = layer
    running.faults = [Fault("20-40_0-16_0-8", status=status)]
    with pytest.raises(AccessError, match=words) as caught:
        whole(client(url, missing="fill"))
    assert url in str(caught.value)
    assert "middleauth+" in str(caught.value)
    assert isinstance(caught.value, PermissionError)
    ic.clear_cache()
    running.faults = [Fault("20-40_0-16_0-8", status=404)]
    got = whole(client(url, missing="fill"))
    assert not got[20:40, :16, :8].any()
    assert np.array_equal(got[:20], EM[:20])


DAMAGES = {
    "breaks off": {"truncate": 100},
    "short": {"shorten": 100},
    "garbage": {"garbage": True, "shorten": 999},  # raw bytes have no check but their number
    "empty": {"body": b""},
    "a page": {"body": b"<!doctype html>Please sign in"},
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_chunks_are_fetched_again_then_raised(layer: Any, damage: dict[str, Any]) -> None:
    running, url = layer
    running.faults = [Fault("20-40_0-16_0-8", times=2, **damage)]
    assert np.array_equal(whole(client(url)), EM)
    ic.clear_cache()
    running.faults = [Fault("20-40_0-16_0-8", **damage)]
    begun = time.perf_counter()
    with pytest.raises(DamagedDataError) as caught:
        whole(client(url, missing="fill"))
    assert time.perf_counter() - begun < 4
    for words in (url, "8_8_40/20-40_0-16_0-8", "mip 0", "[20:40, 0:16, 0:8] at 8 x 8 x 40 nm"):
        assert words in str(caught.value)
    running.faults = []
    assert np.array_equal(whole(client(url)), EM)  # nothing damaged stays at hand


def test_a_connection_that_breaks(layer: Any) -> None:
    running, url = layer
    running.faults = [Fault("20-40_0-16_0-8", reset=True, times=2)]
    assert np.array_equal(whole(client(url)), EM)
    ic.clear_cache()
    running.faults = [Fault("20-40_0-16_0-8", reset=True)]
    with pytest.raises(StorageError, match=r"20-40_0-16_0-8.*breaks the connection"):
        whole(client(url))


def test_an_unknown_compression(layer: Any) -> None:
    running, url = layer
    running.faults = [Fault("20-40_0-16_0-8", headers=(("Content-Encoding", "lzma"),))]
    with pytest.raises(ic.errors.FormatError, match=r"em: chunk 8_8_40/20-40_0-16_0-8: compression 'lzma'"):
        whole(client(url))


SHARDED = {
    "one minishard": Sharding(0, "identity", 0, 0, "raw", "raw"),
    "hashed, gzip": Sharding(1, "murmurhash3_x86_128", 2, 1, "gzip", "gzip"),
    "raw index": Sharding(2, "identity", 1, 2, "raw", "gzip"),
}


@pytest.fixture
def strike_span(monkeypatch: pytest.MonkeyPatch) -> Callable[[DemoServer, str, Fault], None]:
    """Lets a fault hit the requests for one range of bytes."""

    def strike(running: DemoServer, span: str, fault: Fault) -> None:
        plan, end = FaultPlan([fault]), span.rpartition("-")[2] or "no such"
        # Where an answer breaks off, obstore asks for the rest of the range.
        monkeypatch.setattr(
            running, "_strike", lambda request: plan.strike("") if request.header("Range").endswith("-" + end) else []
        )

    return strike


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("sharding", "damage"),
    [*((SHARDED["hashed, gzip"], damage) for damage in DAMAGES), *((one, "garbage") for one in SHARDED.values())],
)
def test_damaged_shards(tmp_path: Path, server: Any, strike_span: Any, sharding: Sharding, damage: str) -> None:
    layout = Layout(resolution=AT, chunk_size=(20, 16, 8), sharding=sharding, encoding="png")
    write_precomputed(tmp_path / "em", [(EM, layout)], kind="image")
    running = server(tmp_path)
    url = running.layers["em"]
    assert np.array_equal(whole(client(url)), EM)
    ic.clear_cache()
    running.requests.clear()
    corner = [[0, 0, 0], [9, 9, 5]]
    client(url).image_cutout(corner)
    spans = [request.header("Range") for request in running.requests if request.path.endswith(".shard")]
    assert len(spans) == 3  # the shard's index, a minishard's index, the chunk
    kind = {"breaks off": {"truncate": 0}, "short": {"shorten": 9}, "garbage": {"garbage": True}}.get(
        damage, DAMAGES[damage]
    )
    for span in spans:
        ic.clear_cache()
        strike_span(running, span, Fault("", times=2, **kind))
        reader = client(url, missing="raise")
        assert np.array_equal(reader.image_cutout(corner), EM[:9, :9, :5])
    for span in spans[-1:] if damage == "breaks off" else spans:
        ic.clear_cache()
        strike_span(running, span, Fault("", **kind))
        reader = client(url, missing="raise", timeout=1.0)
        with pytest.raises(DamagedDataError) as caught:
            reader.image_cutout(corner)
        for words in (url, ".shard", "mip 0", "[0:20, 0:16, 0:8] at 8 x 8 x 40 nm"):
            assert words in str(caught.value)
        strike_span(running, "", Fault(""))
        assert np.array_equal(reader.image_cutout(corner), EM[:9, :9, :5])


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("sharding", [None, *SHARDED.values()], ids=["files", *SHARDED])
def test_damaged_files(tmp_path: Path, sharding: Sharding | None) -> None:
    layout = Layout(resolution=AT, chunk_size=(20, 16, 8), sharding=sharding)
    folder = write_precomputed(tmp_path / "em", [(EM, layout)], kind="image")
    for file in (folder / "8_8_40").iterdir():
        file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DamagedDataError, match=r"chunk 8_8_40/.* of mip 0, which holds \["):
        whole(client(str(folder)))
    for file in (folder / "8_8_40").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DamagedDataError, match="chunk 8_8_40/"):
        whole(client(str(folder)))


class Plain(BaseHTTPRequestHandler):
    """A server that names no versions and knows no ranges; of the first answers it sends half."""

    protocol_version = "HTTP/1.1"
    etag = ""
    broken = 2

    def do_GET(self) -> None:
        broken = type(self).broken > 0
        type(self).broken -= 1
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        if self.etag:
            self.send_header("ETag", self.etag)
        self.end_headers()
        self.wfile.write(b"x" * (500 if broken else 1000))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def plain() -> Iterator[tuple[type[Plain], str]]:
    handler = type("Handler", (Plain,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield handler, f"http://127.0.0.1:{http.server_port}/data"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.mark.parametrize("etag", ["", '"one"'])
def test_servers_that_know_no_ranges(plain: Any, etag: str) -> None:
    handler, url = plain
    handler.etag = etag
    store = WebStore(url, None, Patience(timeout=5))
    handler.broken = 2 if not etag else 1
    assert store.get("a").data == b"x" * 1000
    handler.broken = 1000
    with pytest.raises(DamagedDataError, match=f"{url}/b: the server's answer breaks off"):
        store.get("b")
    handler.broken = 0
    assert store.get_range("c", 5, 9).data == b"xxxx"
    assert store.get_range("c", 995, 1009).data == b"xxxxx"
    assert store.get_range("d", -7, 0).data == b"xxxxxxx"
    handler.broken = 2 if not etag else 1
    assert store.get_range("e", 5, 9).data == b"xxxx"
    handler.broken = 1000
    with pytest.raises(DamagedDataError, match=f"{url}/f: the server's answer breaks off"):
        store.get_range("f", 5, 9)
    handler.broken = 0
    assert store.get("b").data == b"x" * 1000


def test_nothing_there(tmp_path: Path, server: Any) -> None:
    for place in (str(tmp_path / "nowhere"), str(tmp_path), server(tmp_path).url + "/data/nowhere"):
        with pytest.raises(NotFoundError, match=r"no folder|describes a volume") as caught:
            whole(client(place))
        assert place in str(caught.value)


def test_what_was_absent_is_looked_for_again_after_a_clear(tmp_path: Path, server: Any) -> None:
    running = server(tmp_path)
    store = WebStore(f"{running.url}/data", None, Patience())
    assert store.get("new").data is None
    (tmp_path / "new").write_bytes(b"new")
    assert store.get("new").data is None
    assert store.cached("new") is not None
    store.forget("new")
    assert store.cached("new") is None
    assert store.get("new").data == b"new"
    assert store.get_range("new", 0, 2).data == b"ne"
    store.forget("new", (0, 2))
    ic.clear_cache()
    assert store.cached("new") is None


def test_a_cache_folder_serves_other_processes_and_heals(datastack, server, connect, chunk_requests, tmp_path):
    running = server()
    where = {"bounds": datastack.middle, "bbox_size": (60, 50, 4)}
    first = connect(running, cache_dir=tmp_path / "cache").image_and_segmentation_cutout(**where)
    assert chunk_requests(running)
    ic.clear_cache()  # as in another process
    running.requests.clear()
    again = connect(running, cache_dir=tmp_path / "cache").image_and_segmentation_cutout(**where)
    assert not chunk_requests(running)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    ic.clear_cache()
    for file in (tmp_path / "cache").glob("??/*"):
        file.write_bytes(file.read_bytes()[:-5])
    healed = connect(running, cache_dir=tmp_path / "cache").image_and_segmentation_cutout(**where)
    for a, b in zip(first, healed, strict=True):
        assert np.array_equal(a, b)
    everything = b"".join(file.read_bytes() for file in (tmp_path / "cache").glob("??/*"))
    assert datastack.token.encode() not in everything
