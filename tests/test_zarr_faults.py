"""Zarr and N5 that are damaged, and servers that fail: an error, or the right voxels."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imageryclient.demo.faults import Fault
from imageryclient.demo.server import DemoServer
from imageryclient.errors import (
    AccessError,
    DamagedDataError,
    StorageError,
)
from imageryclient.storage import Patience
from zarr_writing import ARRAY, EXPLICIT, KINDS, LITTLE, RNG, n5, open_kind, opened, sharded, whole, zarr2, zarr3


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("places")
    return {kind: make(folder / kind) for kind, make in KINDS.items()}


# ---- damage -----------------------------------------------------------------------------------------------------


CHECKED: list[tuple[str, Callable[[Path], Path], str]] = [
    ("zarr2", lambda place: zarr2(place, compressor={"id": "zlib"}), "1.1.1"),
    ("zarr3", lambda place: zarr3(place, after=[{"name": "crc32c"}]), "c/1/1/1"),
    ("n5", lambda place: n5(place, compression={"type": "gzip"}), "1/1/1"),
    ("sharded", lambda place: sharded(place, after=[{"name": "crc32c"}]), "c/0/0/0"),
    ("sharded", lambda place: sharded(place, after=[{"name": "crc32c"}], index_location="start"), "c/0/0/0"),
]


@pytest.mark.parametrize(("kind", "make", "key"), CHECKED)
def test_damaged_chunks(tmp_path: Path, kind: str, make: Callable[[Path], Path], key: str) -> None:
    place = make(tmp_path / "a")
    file = place / key
    good = file.read_bytes()
    for n in sorted(RNG.integers(0, len(good), 5)):
        damaged = bytearray(good)
        damaged[n] ^= 1 << int(RNG.integers(8))
        file.write_bytes(damaged)
        try:
            data = whole(open_kind(kind, place)).data
        except DamagedDataError as error:
            assert key in str(error)  # noqa: PT017
            assert "fetched 3 times" in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(data, ARRAY.T)  # a byte that says nothing of the voxels


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_chunks(tmp_path: Path, kind: str) -> None:
    place = KINDS[kind](tmp_path / "a")
    key = {"zarr2": "1.1.1", "zarr3": "c/1/1/1", "n5": "1/1/1", "sharded": "c/0/0/0"}[kind]
    good = (place / key).read_bytes()
    for length in (0, 30, len(good) - 1):
        (place / key).write_bytes(good[:length])
        with pytest.raises(DamagedDataError, match=f"the volume: chunk .*{key} of mip 0, which holds .* is damaged"):
            whole(open_kind(kind, place))


def test_blocks_of_n5_at_the_far_side(tmp_path: Path) -> None:
    place = n5(tmp_path / "a")
    file = place / "2/2/2"
    header, data = file.read_bytes()[:16], file.read_bytes()[16:]
    assert struct.unpack(">HHIII", header)[2:] == (16, 16, 8)  # tensorstore writes them whole, others clip them
    block = np.frombuffer(data, ">u2").reshape((16, 16, 8), order="F")

    def clipped(*shape: int) -> None:
        small = block[tuple(map(slice, shape))]
        file.write_bytes(struct.pack(">HHIII", 0, 3, *shape) + small.tobytes("F"))

    clipped(13, 5, 7)
    np.testing.assert_array_equal(whole(open_kind("n5", place)).data, ARRAY.T)
    clipped(13, 4, 7)
    with pytest.raises(DamagedDataError, match="less than its place"):
        whole(open_kind("n5", place))
    file.write_bytes(struct.pack(">HHII", 0, 2, 16, 16) + data)
    with pytest.raises(DamagedDataError, match="2 dimensions"):
        whole(open_kind("n5", place))


def test_indexes_of_shards_that_make_no_sense(tmp_path: Path) -> None:
    place = sharded(tmp_path / "a", index_codecs=[LITTLE])
    file = place / "c/0/0/0"
    good = file.read_bytes()
    for offset, size in ((2**60, 10), (0, 2**62), (2**64 - 1, 5), (len(good) + 5, 7), (0, 0)):
        index = bytearray(good[-8 * 16 :])
        index[:16] = struct.pack("<QQ", offset, size)
        file.write_bytes(good[: -8 * 16] + index)
        with pytest.raises(DamagedDataError, match="chunk 0-0-0 of the shard c/0/0/0"):
            whole(opened(place, EXPLICIT))


CHUNK = r"/(c/)?[0-9]+[./][0-9]+[./][0-9]+$"


@pytest.mark.parametrize("fault", [{"garbage": True}, {"shorten": 40}, {"truncate": 40}, {"status": 503}])
def test_chunks_that_arrive_damaged_are_fetched_again(
    tmp_path: Path, server: Callable[..., DemoServer], fault: dict[str, Any]
) -> None:
    for number, (kind, make, _) in enumerate(CHECKED):
        make(tmp_path / str(number))
        running = server(tmp_path, faults=[Fault(CHUNK, times=2, **fault)])
        volume = open_kind(kind, f"{running.url}/data/{number}")
        np.testing.assert_array_equal(whole(volume).data, ARRAY.T)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_is_not_absent(places: dict[str, Path], kind: str, server: Callable[..., DemoServer]) -> None:
    patience = Patience(tries=2, timeout=5)
    for status, error in ((403, AccessError), (401, AccessError), (500, StorageError), (503, StorageError)):
        running = server(places[kind].parent, faults=[Fault(CHUNK, status=status)])
        with pytest.raises(error):
            whole(open_kind(kind, f"{running.url}/data/{kind}", patience=patience))


def test_buckets_that_refuse_what_is_not_there(places: dict[str, Path], server: Callable[..., DemoServer]) -> None:
    """Where nobody may list them, so that 403 is all that tells; but something must be there."""
    missing = {"zarr2": r"zarr\.json|\.zattrs|\.zgroup", "zarr3": r"\.z[a-z]+$", "n5": r"/data/attributes\.json"}
    for kind, names in missing.items():
        running = server(places[kind].parent, faults=[Fault(names, status=403)])
        np.testing.assert_array_equal(whole(open_kind(kind, f"{running.url}/data/{kind}")).data, ARRAY.T)
        running = server(places[kind].parent, faults=[Fault("/data/", status=403)])
        with pytest.raises(AccessError):
            open_kind(kind, f"{running.url}/data/{kind}")
