"""Whole volumes as Dask arrays: equal to cutouts, read late, small to send."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, ArgumentError, MissingDataError, MissingExtraError, ScaleError
from imageryclient.geometry import Box
from imageryclient.lazy import image_array, segmentation_array
from imageryclient.lazy.chunks import aligned_chunks
from imageryclient.lazy.reader import _picked, image_reader, segmentation_reader
from imageryclient.scales import Scale

pytest.importorskip("dask.array")
Connect = Callable[..., ic.ImageryClient]


@pytest.fixture(autouse=True)
def _one_after_another() -> Any:
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def folder_client(datastack: Any) -> ic.ImageryClient:
    """A client of the folders, in which the farthest chunk was never written."""
    parts = {"image_source": datastack.folder / "imagery", "segmentation_source": datastack.folder / "supervoxels"}
    return ic.ImageryClient(**{name: str(path) for name, path in parts.items()}, resolution=datastack.fine)


def test_blocks_of_the_whole_volume_are_read_when_computed(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any, chunk_requests: Callable[..., list[str]]
) -> None:
    served = server()
    client = connect(served)
    image, labels = image_array(client), segmentation_array(client)
    assert image.shape == labels.shape == (205, 163, 37)
    assert (image.dtype, labels.dtype) == (np.uint8, np.uint64)
    assert not chunk_requests(served)
    part = (slice(60, 130), slice(0, 70), slice(15, 20))
    stop = (230, 130, 27)
    np.testing.assert_array_equal(image[part].compute(), datastack.image((160, 60, 22), stop))
    np.testing.assert_array_equal(labels[part].compute(), datastack.roots((160, 60, 22), stop))
    assert int(labels[100, 80, 17].compute()) == int(datastack.roots((200, 140, 24), (201, 141, 25))[0, 0, 0])
    coarse = image_array(client, mip=(16, 16, 40), chunks=(50, 64, -1))
    assert coarse.chunks == ((50, 50, 3), (64, 18), (37,))
    np.testing.assert_array_equal(coarse.compute(), datastack.images[2])


def test_what_was_never_written_is_0_without_a_word_or_an_error(folder_client: ic.ImageryClient) -> None:
    image = image_array(folder_client, missing="fill")
    corner = [[290, 180, 30], [305, 223, 44]]
    cut = folder_client.cutout(bounds=corner, missing="fill")
    part = (slice(190, 205), slice(120, 163), slice(23, 37))
    np.testing.assert_array_equal(image[part].compute(), cut.image)
    np.testing.assert_array_equal(segmentation_array(folder_client)[part].compute(), cut.segmentation)
    assert not cut.coverage["imagery"].complete
    strict = image_array(folder_client, missing="raise", chunks=(64, 64, 16))
    np.testing.assert_array_equal(strict[:5, :5, :5].compute(), image[:5, :5, :5].compute())
    by_client = ic.ImageryClient(image_source=folder_client.image_source, missing="raise")
    for array in (strict, image_array(by_client)):
        with pytest.raises(MissingDataError, match="never written"):
            array[-5:, -5:, -5:].compute()


def test_all_blocks_see_one_moment(server: Callable[..., DemoServer], connect: Connect, datastack: Any) -> None:
    client = connect(server(), timestamp=None)
    early = datastack.history.operations[10].time
    stop = tuple(a + n for a, n in zip((100, 60, 7), (205, 163, 37), strict=True))
    then = segmentation_array(client, timestamp=early, chunks=(128, 128, 16))
    whole = datastack.roots((100, 60, 7), stop, early)
    np.testing.assert_array_equal(then.compute(), whole)
    one = int(whole[100, 80, 17])
    only = segmentation_array(client, timestamp=early, root_ids=[one])
    np.testing.assert_array_equal(
        only[90:110, 70:90, 17].compute(), np.where(whole == one, whole, 0)[90:110, 70:90, 17]
    )
    reader = segmentation_reader(client)
    assert reader.wanted is not None
    moments = {pickle.loads(pickle.dumps(reader)).wanted.moment for _ in range(3)}
    assert moments == {reader.wanted.moment}
    supervoxels = segmentation_array(client, root_ids=None)
    np.testing.assert_array_equal(supervoxels[:9, :9, :9].compute(), datastack.labels((100, 60, 7), (109, 69, 16)))


def test_names_tell_what_is_in_the_array(folder_client: ic.ImageryClient, datastack: Any) -> None:
    twin = ic.ImageryClient(image_source=str(datastack.folder / "imagery"))
    assert image_array(folder_client).name == image_array(twin).name
    names = {
        image_array(folder_client).name,
        image_array(folder_client, mip=2).name,
        image_array(folder_client, chunks=(64, 64, 16)).name,
        image_array(folder_client, missing="raise").name,
        *(segmentation_array(folder_client, timestamp=moment).name for moment in (1.7e9, 1.8e9)),
        segmentation_array(folder_client, timestamp=1.7e9, root_ids=[3]).name,
        segmentation_array(folder_client, timestamp=1.7e9, root_ids=[4]).name,
    }
    assert len(names) == 8


def test_what_is_sent_is_small_and_holds_no_token(server: Callable[..., DemoServer], connect: Connect) -> None:
    client = connect(server())
    for array, reader in (
        (image_array(client), image_reader(client)),
        (segmentation_array(client), segmentation_reader(client)),
    ):
        graph = pickle.dumps(array[:100, :100, :10].__dask_graph__())
        assert client.token.encode() not in graph
        assert len(pickle.dumps(reader)) < 2000
    sent = pickle.loads(pickle.dumps(image_reader(client)))
    assert sent.live is None
    np.testing.assert_array_equal(sent[5:9, ..., 3], image_reader(client)[5:9, ..., 3])
    with pytest.raises(AccessError, match="token"):
        pickle.loads(pickle.dumps(segmentation_reader(client)))[:5, :5, :5]


def test_another_process_opens_the_source_with_the_token_saved_there(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any, tmp_path: Path
) -> None:
    client = connect(server(), cache_dir=tmp_path / "cache")
    secrets = Path("~/.cloudvolume/secrets").expanduser()
    secrets.mkdir(parents=True)
    (secrets / "cave-secret.json").write_text(f'{{"token": "{client.token}"}}')
    (tmp_path / "sent").write_bytes(pickle.dumps((segmentation_reader(client), image_reader(client))))
    program = (
        "import pickle, sys, numpy; folder = sys.argv[1]\n"
        "for n, reader in enumerate(pickle.load(open(folder + '/sent', 'rb'))):\n"
        "    numpy.save(f'{folder}/{n}.npy', reader[20:40, 30:50, 4])\n"
        "    assert pickle.loads(pickle.dumps(reader)).volume is reader.volume\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    span = (120, 90, 11), (140, 110, 12)
    np.testing.assert_array_equal(np.load(tmp_path / "0.npy"), datastack.roots(*span)[..., 0])
    np.testing.assert_array_equal(np.load(tmp_path / "1.npy"), datastack.image(*span)[..., 0])
    assert any((tmp_path / "cache").rglob("*"))


@pytest.mark.slow
def test_processes_compute_as_threads_do(folder_client: ic.ImageryClient) -> None:
    image = image_array(folder_client, chunks=(128, 128, 64))
    np.testing.assert_array_equal(image.compute(scheduler="processes"), image.compute(scheduler="threads"))


def test_arrays_at_hand_and_channels() -> None:
    rng = np.random.default_rng(1)
    colors = rng.integers(0, 256, (30, 20, 5, 3), dtype=np.uint8)
    labels = rng.integers(0, 9, (30, 20, 5), dtype=np.int32)
    where = {"resolution": (8, 8, 40), "voxel_offset": (5, 6, 7)}
    client = ic.ImageryClient(image_source=colors, segmentation_source=labels, **where)
    image, ids = image_array(client, chunks=(10, 20, 2)), segmentation_array(client)
    assert image.chunks == ((10, 10, 10), (20,), (2, 2, 1), (3,))
    np.testing.assert_array_equal(image.compute(), colors)
    np.testing.assert_array_equal(image[::-3, 4, 1:4, 1].compute(), colors[::-3, 4, 1:4, 1])
    assert ids.dtype == np.uint64
    np.testing.assert_array_equal(ids.sum(axis=2).compute(), labels.sum(axis=2))
    sent = pickle.loads(pickle.dumps(image_reader(client)))
    np.testing.assert_array_equal(sent[3:5], colors[3:5])


def test_a_volume_of_a_petavoxel_takes_no_time_to_name_and_to_look_into(tmp_path: Path) -> None:
    em = np.full((64, 64, 64), 7, np.uint8)
    folder = write_precomputed(tmp_path / "em", [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    info = json.loads((folder / "info").read_text())
    info["scales"][0]["size"] = [200_000, 160_000, 20_000]
    (folder / "info").write_text(json.dumps(info))
    image = image_array(ic.ImageryClient(image_source=str(folder)))
    assert image.npartitions > 1e7
    assert image.chunksize == (512, 512, 128)
    part = image[5:500:90, 7, 60:68]
    assert part.compute().tolist() == [[7] * 4 + [0] * 4, *[[0] * 8] * 5]


@st.composite
def grids(draw: Any) -> tuple[Scale, Box, int, int]:
    chunk, start = (tuple(draw(st.integers(1, 9)) for _ in range(3)) for _ in range(2))
    size = tuple(draw(st.integers(1, 60)) for _ in range(3))
    bounds = Box(start, tuple(a + n for a, n in zip(start, size, strict=True)), (8.0, 8.0, 40.0))
    low = tuple(a - draw(st.integers(0, 5)) for a in bounds.start)
    high = tuple(b + draw(st.integers(0, 5)) for b in bounds.stop)
    scale = Scale(0, "8_8_40", bounds.resolution, bounds, chunk, "raw", None, None)
    return scale, Box(low, high, bounds.resolution), draw(st.sampled_from([1, 8])), draw(st.integers(1, 5000))


@given(grids())
@settings(max_examples=60)
def test_no_stored_chunk_lies_in_two_blocks(grid: tuple[Scale, Box, int, int]) -> None:
    scale, box, itemsize, limit = grid
    blocks = aligned_chunks(scale, box, itemsize, limit)
    largest = 1
    for axis, sizes in enumerate(blocks):
        assert sum(sizes) == box.shape[axis]
        assert min(sizes) > 0
        edges = box.start[axis] + np.cumsum(sizes)[:-1] - scale.bounds.start[axis]
        assert not (edges % scale.chunk_size[axis]).any()
        largest *= max(sizes)
    assert largest * itemsize <= max(limit, itemsize * np.prod(scale.chunk_size))


@given(st.data())
@settings(max_examples=60)
def test_an_index_is_read_by_the_smallest_box_that_holds_it(data: Any) -> None:
    array = np.arange(7 * 5 * 3).reshape(7, 5, 3)
    number = st.integers(-9, 9)
    step = number.filter(bool)
    parts = [
        data.draw(st.one_of(st.slices(n), st.builds(slice, number, number, step), st.integers(-n, n - 1)))
        for n in array.shape[: data.draw(st.integers(0, 3))]
    ]
    if data.draw(st.booleans()):
        parts.insert(data.draw(st.integers(0, len(parts))), Ellipsis)
    if Ellipsis in parts and parts.index(Ellipsis) < len(parts) - 1:
        parts = parts[: parts.index(Ellipsis) + 1]
    spans, rest = _picked(tuple(parts), array.shape)
    block = array[tuple(slice(*span) for span in spans)]
    wanted = array[tuple(parts)]
    got = block[rest] if block.size else np.empty(block.shape)[rest]
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)
    if wanted.size:
        extents = [np.unique(axis) for axis in np.unravel_index(wanted.reshape(-1), array.shape)]
        assert spans == [(int(axis[0]), int(axis[-1]) + 1) for axis in extents]


def test_what_cannot_be_an_array_is_refused(folder_client: ic.ImageryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScaleError, match="placeholder"):
        image_array(folder_client, mip=0)
    with pytest.raises(ScaleError, match="has no mip 9"):
        image_array(folder_client, mip=9)
    with pytest.raises(ArgumentError, match="'fill' or 'raise'"):
        image_array(folder_client, missing="warn")
    with pytest.raises(ArgumentError, match="chunks="):
        image_array(folder_client, chunks=(1, 2, 3, 4, 5))
    for index in ([1, 2], (0, 0, 0, 0), 1000):
        with pytest.raises(IndexError):
            image_reader(folder_client)[index]
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(MissingExtraError, match=r"imageryclient\[dask\]"):
        image_array(folder_client)


def test_a_folder_named_from_where_one_stands_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    em = np.arange(512, dtype=np.uint8).reshape(8, 8, 8)
    write_precomputed(tmp_path / "em", [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(image_reader(ic.ImageryClient(image_source="em")))
    monkeypatch.chdir(tmp_path.parent)
    np.testing.assert_array_equal(pickle.loads(sent)[:], em)
