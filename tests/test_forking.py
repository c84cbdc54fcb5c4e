"""Processes that are forked from one that reads: what they read is right, and none waits for threads left behind."""

from __future__ import annotations

import multiprocessing
import pickle
import queue
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cache import CACHE
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, StorageError
from imageryclient.training import CutoutDataset

Connect = Callable[..., ic.ImageryClient]
forked = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux may a process that has threads fork")


def in_a_fork(call: Callable[[], Any]) -> Any:
    """What a call gives in a forked child, or the error it raises there."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def run() -> None:
        try:
            answers.put(call())
        except BaseException as error:
            answers.put(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which is what is tested
        child = context.Process(target=run, daemon=True)
        child.start()
    try:
        return answers.get(timeout=30)
    except queue.Empty:
        pytest.fail("the child waits for ever")
    finally:
        child.kill()
        child.join()
        answers.close()


@forked
@pytest.mark.parametrize("kind", ["imagery", "sharded", "jpeg"])
def test_a_child_reads_folders_and_servers_after_its_parent(
    kind: str, server: Callable[..., DemoServer], datastack: Any
) -> None:
    served = server()
    for source in (str(datastack.folder / kind), f"precomputed://{served.url}/data/{kind}"):
        client = ic.ImageryClient(image_source=source)
        scale = client.volumes["imagery"].info.scales[-1].bounds
        whole = client.image_cutout(scale, mip=scale.resolution)
        ic.clear_cache()
        np.testing.assert_array_equal(in_a_fork(lambda c=client, s=scale: c.image_cutout(s, mip=s.resolution)), whole)
        ic.clear_cache()
        np.testing.assert_array_equal(client.image_cutout(scale, mip=scale.resolution), whole)


@forked
def test_a_child_asks_the_graph_with_the_token_of_its_parent(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any
) -> None:
    client = connect(server())
    dataset = CutoutDataset(client, [datastack.middle], (20, 16, 3))
    here = dataset[0]
    ic.clear_cache()
    there = in_a_fork(lambda: dataset[0])
    for name in ("image", "segmentation"):
        np.testing.assert_array_equal(there[name], here[name])
    start = np.subtract(datastack.middle, (10, 8, 1))
    np.testing.assert_array_equal(there["segmentation"], datastack.roots(start, start + (20, 16, 3)))


@forked
def test_locks_that_others_hold_are_free_in_a_child(datastack: Any) -> None:
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"))
    dataset = CutoutDataset(client, [datastack.middle], (20, 16, 3), resolution=datastack.fine)
    here = dataset[0]["image"]
    (volume,) = client.volumes.values()
    stop, begun = threading.Event(), threading.Event()

    def busy() -> None:
        while not stop.is_set():
            with CACHE._lock:
                begun.set()

    def hold() -> None:
        with volume._lock, client._layers._lock:
            begun.wait()
            stop.wait()

    threads = [threading.Thread(target=busy), threading.Thread(target=hold)]
    for thread in threads:
        thread.start()
    try:
        begun.wait()
        for _ in range(3):
            np.testing.assert_array_equal(in_a_fork(lambda: dataset[0]["image"]), here)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@forked
def test_a_bucket_whose_requests_are_signed_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from imageryclient.storage.base import Patience
    from imageryclient.storage.transfer import Transfer

    transfer = Transfer(None, "https://bucket.example.org", Patience(), "")
    monkeypatch.setattr("imageryclient.forking._lost", True)
    with pytest.raises(StorageError, match="spawn"):
        transfer.read("info", None, "the info document")


@forked
def test_ranges_of_plain_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imageryclient.storage import open_store

    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "b.gz").write_bytes(b"zipped")
    (tmp_path / "folder").mkdir()
    store = open_store(tmp_path.as_uri())

    def answers() -> list[Any]:
        spans = [(0, 3), (4, 6), (8, 99), (-3, 0), (-99, 0)]
        return [store.get("a"), store.get("b"), store.get("c"), store.get("folder")] + [
            store.get_range("a", *span) for span in spans
        ]

    usual = answers()
    monkeypatch.setattr("imageryclient.forking._lost", True)
    assert answers() == usual


def test_a_client_is_pickled_without_its_token(
    server: Callable[..., DemoServer], connect: Connect, cave: Callable[..., Any], datastack: Any, tmp_path: Path
) -> None:
    served = server()
    cut = connect(served).cutout(datastack.middle, (20, 16, 2))
    of_cave = ic.ImageryClient(cave(served), resolution=datastack.fine, timestamp=datastack.late)
    for client in (connect(served, cache_dir=tmp_path / "cache", missing="fill"), of_cave):
        sent = pickle.dumps(client)
        assert client.token.encode() not in sent
        made = pickle.loads(sent)
        assert repr(made) == repr(client)
        assert made.token is None
        np.testing.assert_array_equal(made.image_cutout(datastack.middle, (20, 16, 2)), cut.image)
        with pytest.raises(AccessError, match="token"):
            made.cutout(datastack.middle, (20, 16, 2))
    secrets = Path("~/.cloudvolume/secrets").expanduser()
    secrets.mkdir(parents=True)
    (secrets / "cave-secret.json").write_text(f'{{"token": "{of_cave.token}"}}')
    np.testing.assert_array_equal(made.cutout(datastack.middle, (20, 16, 2)).segmentation, cut.segmentation)
    again = pickle.loads(pickle.dumps(made))
    assert again.cutout(datastack.middle, (20, 16, 2)).timestamp == cut.timestamp


def test_a_client_of_arrays_and_of_relative_folders_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    em = np.arange(512, dtype=np.uint8).reshape(8, 8, 8)
    write_precomputed(tmp_path / "em", [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    monkeypatch.chdir(tmp_path)
    opened = ic.open_volume("em")
    sent = [
        pickle.dumps(ic.ImageryClient(image_source=source, resolution=(8, 8, 40), segmentation_source=em))
        for source in ("em", Path("em"), em, opened)
    ]
    box = [[1, 2, 3], [4, 5, 6]]
    for client in map(pickle.loads, sent):
        np.testing.assert_array_equal(client.image_cutout(box), em[1:4, 2:5, 3:6])
    monkeypatch.chdir(tmp_path.parent)
    np.testing.assert_array_equal(pickle.loads(sent[0]).image_cutout(box), em[1:4, 2:5, 3:6])


def test_importing_alone_begins_no_threads_that_a_fork_loses() -> None:
    program = (
        "import imageryclient as ic; ic.ImageryClient; from imageryclient import forking; print(forking._threads_began)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [b"False"]
