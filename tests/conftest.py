"""What the tests share: a small datastack with the arrays behind it, servers for it, and no network beyond loopback."""

from __future__ import annotations

import ipaddress
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import imageryclient as ic
from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.history import History
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.demo.writer import Layout, downsample_image, downsample_labels, write_precomputed
from imageryclient.scales import Sharding

# ---- properties -------------------------------------------------------------------------------------------------

# What runs for everyone tries the same examples every time; `search` tries others, and more of them.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None)
settings.load_profile("repeatable")

# ---- no network beyond loopback ---------------------------------------------------------------------------------


class Trespass(OSError):
    """A connection beyond loopback."""


def _is_here(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def trespasses() -> Iterator[list[str]]:
    """Every attempt of this process to reach beyond loopback; all of them fail.

    Python's sockets are watched directly. obstore's are not Python's, so it is sent through a proxy that only
    takes note; processes that tests start inherit that.
    """
    seen: list[str] = []
    patch = pytest.MonkeyPatch()

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any, *rest: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
                seen.append(str(address))
                raise Trespass(f"a test reached for {address}")
            return original(self, address, *rest)

        return call

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if not _is_here(host):
            seen.append(str(host))
            raise socket.gaierror(f"a test reached for {host}")
        return getaddrinfo(host, *rest, **options)

    getaddrinfo = socket.getaddrinfo
    patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    patch.setattr(socket, "getaddrinfo", look_up)

    proxy = socket.create_server(("127.0.0.1", 0))

    def note() -> None:
        while True:
            connection, _ = proxy.accept()
            with connection:
                connection.settimeout(2)
                try:
                    asked = connection.recv(2000)
                except OSError:
                    asked = b"an unknown place"
            if asked == b"enough":
                return
            seen.append(asked.split(b"\r\n")[0].decode("latin-1"))

    watcher = threading.Thread(target=note, daemon=True)
    watcher.start()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variant in (name, name.upper()):
            patch.setenv(variant, f"http://127.0.0.1:{proxy.getsockname()[1]}")
    for variant in ("no_proxy", "NO_PROXY"):
        patch.setenv(variant, "127.0.0.1,localhost,::1")
    yield seen
    patch.undo()
    with socket.create_connection(proxy.getsockname()) as last:
        last.sendall(b"enough")
    watcher.join(5)
    proxy.close()


@pytest.fixture(autouse=True)
def _at_home(
    trespasses: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A home of its own, a cache of its own, and no way out."""
    home = str(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("USERPROFILE", home)
    trespasses.clear()
    yield
    ic.clear_cache()
    assert not trespasses, f"reached beyond loopback: {trespasses}"


# ---- a datastack ------------------------------------------------------------------------------------------------

OFFSET = (100, 60, 7)
SHAPE = (205, 163, 37)
GRAPH_CHUNK = (64, 64, 16)
ABSENT = (3, 2, 2)  # the farthest chunk, never written in either layer
HALF = (2, 2, 1)


@dataclass(frozen=True)
class Stack:
    """A datastack's folder, and the whole arrays it was written from.

    `images` and `supervoxels` hold, by mip, an array (x, y, z), 0 where the chunk was never written; `offsets`
    its first voxel. `truth` is the body of every supervoxel in `history.supervoxels`.
    """

    folder: Path
    history: History
    images: dict[int, np.ndarray]
    supervoxels: dict[int, np.ndarray]
    offsets: dict[int, tuple[int, int, int]]

    name = "little"
    table = "little_v1"
    token = DEMO_TOKEN
    viewer = (4, 4, 40)
    fine = (8, 8, 40)
    coarse = (16, 16, 40)
    middle = (200, 140, 24)  # in voxels of 8 x 8 x 40, amid the data

    @staticmethod
    def cut(array: np.ndarray, offset: tuple[int, ...], start: Any, stop: Any) -> np.ndarray:
        """The voxels from `start` to `stop` of an array that begins at `offset`, 0 beyond it; one by one."""
        picks, inside = [], []
        for axis in range(3):
            index = np.arange(start[axis], stop[axis]) - offset[axis]
            inside.append((index >= 0) & (index < array.shape[axis]))
            picks.append(index.clip(0, array.shape[axis] - 1))
        out = array[np.ix_(*picks)].copy()
        out[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = 0
        return out

    def image(self, start: Any, stop: Any, mip: int = 1) -> np.ndarray:
        """What an imagery cutout must give, in voxels of that mip (1: 8 x 8 x 40 nm, 2: 16 x 16 x 40 nm)."""
        return self.cut(self.images[mip], self.offsets[mip - 1], start, stop)

    def labels(self, start: Any, stop: Any, mip: int = 0) -> np.ndarray:
        """The supervoxels, in voxels of that mip (0: 8 x 8 x 40 nm, 1: 16 x 16 x 40 nm)."""
        return self.cut(self.supervoxels[mip], self.offsets[mip], start, stop)

    def roots(self, start: Any, stop: Any, moment: float | None = None, mip: int = 0) -> np.ndarray:
        """The objects at a moment (unix seconds), by looking up every voxel."""
        return self.history.roots(self.labels(start, stop, mip), moment)

    @property
    def late(self) -> datetime:
        """A moment after all edits."""
        return datetime.fromtimestamp(self.history.operations[-1].time + 60, UTC)


def _supervoxels(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, NodeLayout]:
    """Bodies of 45 seeds, cut at graph chunks and once more within; some voxels belong to none."""
    layout = NodeLayout.covering(SHAPE, GRAPH_CHUNK)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    rough = grid[::3, ::3].astype(np.float32)  # every third voxel will do: bodies are 3 x 3 blocks

    def nearest(count: int) -> np.ndarray:
        seeds = rng.uniform(0, SHAPE, (count, 3)).astype(np.float32)
        best, far = np.zeros(rough.shape[:3], np.int64), np.full(rough.shape[:3], np.inf, np.float32)
        for number, seed in enumerate(seeds):
            x, y, z = np.moveaxis(rough - seed, -1, 0)
            distance = x * x + y * y + 25 * z * z
            closer = distance < far
            best[closer], far[closer] = number, distance[closer]
        return best.repeat(3, axis=0).repeat(3, axis=1)[: SHAPE[0], : SHAPE[1]]

    bodies, parts = nearest(50) + 1, nearest(70)
    bodies[bodies > 45] = 0  # the last few are gaps between bodies
    chunks = grid // np.array(GRAPH_CHUNK)
    code = (bodies * 100 + parts) * 4096 + (chunks @ np.array([256, 16, 1]))
    names, inverse = np.unique(code, return_inverse=True)
    where = names % 4096
    places = np.stack([where // 256, where // 16 % 16, where % 16], axis=1)
    counter = np.zeros(len(names), np.int64)
    for place in np.unique(where):
        mine = where == place
        counter[mine] = np.arange(1, mine.sum() + 1)
    ids = layout.compose(1, places, counter)
    owner = names // 4096 // 100
    ids[owner == 0] = 0
    return ids[inverse.reshape(SHAPE)], ids[owner > 0], owner[owner > 0], layout


@pytest.fixture(scope="session")
def datastack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A datastack of 45 bodies with 40 edits, in a folder that must not be changed."""
    folder = tmp_path_factory.mktemp("datastack")
    rng = np.random.default_rng(11)
    fine = downsample_image(rng.integers(1, 256, SHAPE, dtype=np.uint8), (1, 1, 1))
    images = {1: fine, 2: downsample_image(fine, HALF)}
    labels, ids, bodies, layout = _supervoxels(rng)
    order = np.argsort(ids)
    history = History.create(ids[order], bodies[order], layout, start=1.6e9, edits=40, seed=5)
    supervoxels = {0: np.asfortranarray(labels), 1: np.asfortranarray(downsample_labels(labels, HALF))}
    offsets = {0: OFFSET, 1: tuple(o // h for o, h in zip(OFFSET, HALF, strict=True))}
    finest = tuple(2 * n for n in SHAPE[:2]) + SHAPE[2:]
    start = tuple(2 * n for n in OFFSET[:2]) + OFFSET[2:]
    absent = {"absent": frozenset({ABSENT})}
    em = [
        (finest, Layout(resolution=Stack.viewer, voxel_offset=start, chunk_size=GRAPH_CHUNK, placeholder=True)),
        (
            images[1],
            Layout(resolution=Stack.fine, voxel_offset=OFFSET, chunk_size=GRAPH_CHUNK, encoding="png", **absent),
        ),
        (images[2], Layout(resolution=Stack.coarse, voxel_offset=offsets[1], chunk_size=(50, 64, 9), encoding="raw")),
    ]
    write_precomputed(folder / "imagery", em, kind="image")
    segments = {"encoding": "compressed_segmentation", "compress": "gzip"}
    seg = [
        (
            supervoxels[0],
            Layout(resolution=Stack.fine, voxel_offset=OFFSET, chunk_size=GRAPH_CHUNK, **segments, **absent),
        ),
        (supervoxels[1], Layout(resolution=Stack.coarse, voxel_offset=offsets[1], chunk_size=(40, 48, 16), **segments)),
    ]
    write_precomputed(folder / "supervoxels", seg, kind="segmentation")
    smooth = downsample_image(fine, (4, 4, 1))
    at = {"resolution": (32, 32, 40), "voxel_offset": (25, 15, 7), "chunk_size": (32, 32, 8)}
    sharding = Sharding(1, "murmurhash3_x86_128", 2, 1, "gzip", "raw")
    for name, more in (("jpeg", {"encoding": "jpeg"}), ("sharded", {"sharding": sharding})):
        write_precomputed(folder / name, [(smooth, Layout(**at, **more))], kind="image")
    images[0] = smooth
    history.save(folder)
    demo = {
        "datastack": Stack.name,
        "description": "Forty-five bodies.",
        "viewer_resolution": Stack.viewer,
        "layers": {name: name for name in ("imagery", "supervoxels", "jpeg", "sharded")},
        "table": Stack.table,
        "graph": {**layout.to_info(), "bounding_box": SHAPE, "cv_mip": 0},
        "segmentation_kind": "graphene",
    }
    (folder / "demo.json").write_text(json.dumps(demo))
    last = tuple(slice(a * c, None) for a, c in zip(ABSENT, GRAPH_CHUNK, strict=True))
    stored = {1: images[1].copy(), 2: images[2], 0: smooth}
    stored[1][last] = 0
    supervoxels[0][last] = 0
    for array in itertools.chain(stored.values(), supervoxels.values()):
        array.flags.writeable = False
    return Stack(folder, history, stored, supervoxels, offsets)


@pytest.fixture
def server(datastack: Stack) -> Iterator[Callable[..., DemoServer]]:
    """Makes servers: of the datastack, or of the folder given; they end with the test."""
    running: list[DemoServer] = []

    def make(folder: Path | None = None, **options: Any) -> DemoServer:
        running.append(DemoServer(folder or datastack.folder, **options).start())
        return running[-1]

    yield make
    for one in running:
        one.stop()


@pytest.fixture
def sources(datastack: Stack) -> Callable[[DemoServer], dict[str, str]]:
    """The source strings of the datastack on a server, as keywords for a client."""

    def of(server: DemoServer) -> dict[str, str]:
        return {
            "image_source": f"precomputed://{server.url}/data/imagery",
            "segmentation_source": f"graphene://{server.url}/segmentation/table/{datastack.table}",
        }

    return of


@pytest.fixture
def connect(sources: Callable[[DemoServer], dict[str, str]], datastack: Stack) -> Callable[..., ic.ImageryClient]:
    """Makes clients of a server: both layers, the token, coordinates in voxels of 8 x 8 x 40 nm, after all edits."""

    def make(server: DemoServer, **options: Any) -> ic.ImageryClient:
        defaults = {"auth_token": DEMO_TOKEN, "resolution": Stack.fine, "timestamp": datastack.late, "timeout": 5.0}
        return ic.ImageryClient(**{**sources(server), **defaults, **options})

    return make


@pytest.fixture
def cave() -> Iterator[Callable[..., Any]]:
    """Makes real CAVEclients of a server, and closes the sessions that caveclient leaves open."""
    caveclient = pytest.importorskip("caveclient")
    made: list[Any] = []

    def make(server: DemoServer, token: str | None = DEMO_TOKEN, **options: Any) -> Any:
        options = {"max_retries": 0, "write_server_cache": False, **options}
        name = options.pop("datastack", server.datastack)
        made.append(caveclient.CAVEclient(name, server_address=server.url, auth_token=token, **options))
        return made[-1]

    yield make
    for client in made:
        for part in ("_info", "_chunkedgraph", "_materialize", "_state"):
            if getattr(client, part, None) is not None:
                getattr(client, part).session.close()


@pytest.fixture
def chunk_requests() -> Callable[[DemoServer], list[str]]:
    """The paths of the chunks that a server was asked for."""

    def of(server: DemoServer) -> list[str]:
        return [path for path in server.requests.paths if path.startswith("/data/") and not path.endswith("/info")]

    return of
