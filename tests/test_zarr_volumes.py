"""Zarr and N5 read as volumes: boxes, gaps, channels, ids, and what is fetched for them."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient import progress
from imageryclient.demo.server import DemoServer
from imageryclient.errors import (
    FormatError,
    MissingExtraError,
)
from imageryclient.geometry import Box
from imageryclient.volumes.base import IdsWanted, SegmentationVolume, Volume
from imageryclient.volumes.zarr import ZarrSegmentation
from zarr_writing import (
    ALL,
    ARRAY,
    AT,
    EXPLICIT,
    KINDS,
    LITTLE,
    RNG,
    open_kind,
    opened,
    sharded,
    whole,
    write,
    write_json,
    zarr2,
    zarr3,
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("places")
    return {kind: make(folder / kind) for kind, make in KINDS.items()}


# ---- boxes ------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    corners=st.tuples(*[st.lists(st.integers(-9, n + 9), min_size=2, max_size=2, unique=True) for n in (45, 37, 23)])
)
def test_any_box(places: dict[str, Path], corners: tuple[list[int], ...]) -> None:
    start, stop = zip(*map(sorted, corners), strict=True)
    box = Box(start, stop, AT)
    expected = np.pad(ARRAY.T, 9)[tuple(slice(a + 9, b + 9) for a, b in zip(start, stop, strict=True))]
    inside = np.pad(np.ones_like(ARRAY.T, bool), 9)[
        tuple(slice(a + 9, b + 9) for a, b in zip(start, stop, strict=True))
    ]
    for kind, place in places.items():
        volume = open_kind(kind, place)
        block = volume.read(box, volume.info.scales[0])
        np.testing.assert_array_equal(block.data, expected)
        assert block.data.flags.f_contiguous
        np.testing.assert_array_equal(block.coverage.mask(), inside)
        assert not block.coverage.absent


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_volume_says_of_itself(places: dict[str, Path], kind: str) -> None:
    volume = open_kind(kind, places[kind])
    assert isinstance(volume, ZarrSegmentation)
    assert isinstance(volume, SegmentationVolume)
    assert isinstance(volume, Volume)
    assert volume.versioned is False
    assert volume.source == "the volume"
    assert repr(volume) == "ZarrSegmentation('the volume')"
    info = volume.info
    assert (info.kind, info.dtype, info.channels) == ("image", np.dtype(np.uint16), 1)
    (scale,) = info.scales
    assert scale.bounds == Box((0, 0, 0), (45, 37, 23), AT)
    assert (scale.mip, scale.chunk_size, scale.grid_shape) == (0, (16, 16, 8), (3, 3, 3))
    assert scale.encoding == {"sharded": "zarr3"}.get(kind, kind)
    assert not scale.placeholder


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_that_were_never_written(tmp_path: Path, kind: str) -> None:
    absent = [(0, 0, 0), (8, 16, 32), (16, 32, 32)]
    volume = open_kind(kind, KINDS[kind](tmp_path / "a", absent=absent))
    block = whole(volume)
    gaps = [Box((0, 0, 0), (16, 16, 8), AT), Box((32, 16, 8), (45, 32, 16), AT), Box((32, 32, 16), (45, 37, 23), AT)]
    assert list(block.coverage.absent) == gaps
    expected = ARRAY.T.copy()
    for gap in gaps:
        expected[gap.slices(block.box)] = 0
    np.testing.assert_array_equal(block.data, expected)


def test_a_whole_shard_that_was_never_written(tmp_path: Path) -> None:
    place = sharded(tmp_path / "a")
    (place / "c/1/1/1").unlink()
    block = whole(opened(place, EXPLICIT))
    assert list(block.coverage.absent) == [Box((32, 32, 16), (45, 37, 23), AT)]


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("uint64", 2**64 - 1),
        ("int16", -3),
        ("bool", True),
        ("float32", "NaN"),
        ("float64", "-Infinity"),
        ("float16", 1.5),
    ],
)
@pytest.mark.parametrize("make", [zarr2, zarr3])
def test_fill_values(tmp_path: Path, make: Callable[..., Path], dtype: str, fill: Any) -> None:
    array = (ARRAY % 2).astype(dtype)
    if make is zarr3 and dtype == "bool":
        array = array.astype(bool)
    codecs = {"codecs": [LITTLE if np.dtype(dtype).itemsize > 1 else {"name": "bytes"}]} if make is zarr3 else {}
    volume = opened(make(tmp_path / "a", array, absent=[(0, 0, 0)], fill_value=fill, **codecs), EXPLICIT)
    assert isinstance(volume, ZarrSegmentation) == (np.dtype(dtype).kind != "f")
    expected = array.T.copy()
    expected[:16, :16, :8] = np.array(fill).astype(dtype)
    block = whole(volume)
    np.testing.assert_array_equal(block.data, expected)
    assert block.data.dtype == dtype
    assert len(block.coverage.absent) == 1


def test_channels_come_last_and_can_be_chosen(tmp_path: Path) -> None:
    array = RNG.integers(1, 9, (2, 3, 9, 17, 18), dtype=np.uint8)
    metadata = {"chunks": [1, 2, 8, 16, 16], "compressor": {"id": "zlib"}, "order": "F"}
    place = zarr2(tmp_path / "a", array, absent=[(0, 2, 0, 0, 0)], **metadata)
    explicit = "#resolution=8,8,40&axes=tczyx"
    stored = array.copy()
    stored[0, 2:, :8, :16, :16] = 0
    block = whole(opened(place, explicit))
    np.testing.assert_array_equal(block.data, stored[0].transpose(3, 2, 1, 0))
    # a chunk of one of the channels is missing, so the voxels are
    assert block.coverage.absent == (Box((0, 0, 0), (16, 16, 8), AT),)
    for c, t in itertools.product(range(3), range(2)):
        volume = opened(place, f"{explicit}&c={c}&t={t}")
        assert volume.info.channels == 1
        np.testing.assert_array_equal(whole(volume).data, stored[t, c].T)
    chosen = opened(place, f"{explicit}&t=1")
    np.testing.assert_array_equal(whole(chosen).data, array[1].transpose(3, 2, 1, 0))
    assert isinstance(chosen, ZarrSegmentation)
    with pytest.raises(FormatError, match=r"3 numbers per voxel.*#c=0"):
        chosen.read_ids(chosen.info.scales[0].bounds, chosen.info.scales[0], ALL)


def test_a_picture_without_depth(tmp_path: Path) -> None:
    place = tmp_path / "a"
    write(place, "zarr", ARRAY[0], {"chunks": [16, 16], "compressor": {"id": "blosc"}})
    volume = opened(place, "#resolution=8,8,40&axes=yx")
    np.testing.assert_array_equal(whole(volume).data, ARRAY[0].T[..., None])


def test_chunks_in_folders_of_which_the_metadata_say_nothing(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    """As Zarr's NestedDirectoryStore wrote them, before the separator was part of the metadata."""
    for name, separator in (("a", "/"), ("b", ".")):
        place = zarr2(tmp_path / name, absent=[(0, 0, 0)], dimension_separator=separator)
        document = json.loads((place / ".zarray").read_text())
        assert document.pop("dimension_separator") == separator
        write_json(place / ".zarray", document)
    expected = ARRAY.T.copy()
    expected[:16, :16, :8] = 0
    running = server(tmp_path)
    for url in (tmp_path.as_uri(), f"{running.url}/data"):
        for name in "ab":
            volume = opened(f"{url}/{name}", EXPLICIT)
            for _ in range(2):
                block = whole(volume)
                np.testing.assert_array_equal(block.data, expected)
                assert len(block.coverage.absent) == 1


# ---- ids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "uint64"])
def test_ids(tmp_path: Path, dtype: str) -> None:
    array = (ARRAY % 7).astype(dtype)
    if dtype == "uint64":
        array[array == 3] = 2**64 - 2
    volume = opened(zarr2(tmp_path / "a", array), EXPLICIT)
    assert isinstance(volume, ZarrSegmentation)
    (scale,) = volume.info.scales
    for wanted in (ALL, IdsWanted(None, ALL.moment)):
        ids = volume.read_ids(scale.bounds, scale, wanted).data
        assert ids.dtype == np.uint64
        np.testing.assert_array_equal(ids, array.T.astype(np.uint64))
    some = np.array([1, 2, 2**64 - 2], np.uint64)
    ids = volume.read_ids(scale.bounds, scale, IdsWanted(some, ALL.moment)).data
    np.testing.assert_array_equal(ids, np.where(np.isin(array.T.astype(np.uint64), some), array.T.astype(np.uint64), 0))


def test_negative_numbers_are_no_ids(tmp_path: Path) -> None:
    array = ARRAY.astype(np.int32)
    array[5, 6, 7] = -4
    volume = opened(zarr2(tmp_path / "a", array), EXPLICIT)
    assert isinstance(volume, ZarrSegmentation)
    (scale,) = volume.info.scales
    with pytest.raises(FormatError, match="negative number -4"):
        volume.read_ids(scale.bounds, scale, ALL)
    volume.read_ids(Box((8, 0, 0), (20, 6, 5), AT), scale, ALL)


# ---- servers ----------------------------------------------------------------------------------------------------


def test_only_what_a_box_needs_is_fetched(places: dict[str, Path], server: Callable[..., DemoServer]) -> None:
    running = server(places["sharded"].parent)
    base = f"{running.url}/data"
    box = Box((3, 4, 5), (5, 6, 7), AT)
    counts = {}
    for kind in places:
        volume = open_kind(kind, f"{base}/{kind}")
        running.requests.clear()
        for _ in range(2):  # the second time from the cache
            np.testing.assert_array_equal(volume.read(box, volume.info.scales[0]).data, ARRAY.T[3:5, 4:6, 5:7])
        counts[kind] = len(running.requests.paths)
    assert counts == {"zarr2": 1, "zarr3": 1, "n5": 1, "sharded": 2}  # the shard's index, and one of its chunks


def test_gzip_of_a_chunk_that_a_server_calls_an_encoding(tmp_path: Path, server: Callable[..., DemoServer]) -> None:
    zarr3(tmp_path / "a", after=[{"name": "gzip"}])
    zarr2(tmp_path / "b")
    for file in (tmp_path / "b").glob("[0-9]*"):
        file.write_bytes(gzip.compress(file.read_bytes()))
    running = server(tmp_path)
    for name in "ab":
        np.testing.assert_array_equal(whole(opened(f"{running.url}/data/{name}", EXPLICIT)).data, ARRAY.T)


def test_progress_is_told(places: dict[str, Path]) -> None:
    class Listener:
        expected = done = 0

        def expect(self, chunks: int) -> None:
            self.expected += chunks

        def advance(self) -> None:
            self.done += 1

    for kind, place in places.items():
        listener = Listener()
        volume = open_kind(kind, place)
        with progress.heard_by(listener):
            whole(volume)
        assert listener.expected == listener.done == 27


# ---- what is not there ------------------------------------------------------------------------------------------


def test_without_tensorstore(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'imageryclient\[zarr\]'"):
        opened(places["zarr2"], EXPLICIT)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
def test_a_forked_process_gets_an_error_and_lives(places: dict[str, Path]) -> None:
    script = """
import os, sys
from imageryclient.errors import ImageryError
from imageryclient.volumes import open_volume
volume = open_volume(sys.argv[1])
scale = volume.info.scales[0]
volume.read(scale.bounds, scale)
child = os.fork()
if child == 0:
    for call in (lambda: volume.read(scale.bounds, scale), lambda: open_volume(sys.argv[1])):
        try:
            call()
        except ImageryError as error:
            assert "spawn" in str(error)
        else:
            os._exit(3)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
volume.read(scale.bounds, scale)
"""
    subprocess.run([sys.executable, "-c", script, str(places["n5"])], check=True, timeout=60)
