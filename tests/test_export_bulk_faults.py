"""Exports from servers that fail: only the places concerned are marked, all others are right."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.bulk import export as module
from imageryclient.bulk.estimate import chunks_needed, estimate_export, index_requests
from imageryclient.bulk.export import export
from imageryclient.demo.faults import Fault
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import AccessError, StorageError
from imageryclient.geometry import Box
from imageryclient.precomputed.chunks import chunk_id, chunks_covering
from imageryclient.precomputed.sharding import locate
from imageryclient.scales import Scale, Sharding

pd = pytest.importorskip("pandas")
SIZE = (24, 20, 3)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(8).integers((120, 80, 10), (280, 200, 40), (40, 3))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files(folder: Path) -> dict[str, bytes]:
    """The chunks alone: settings and manifest name the server."""
    return {name: data for name, data in tree(folder).items() if "/c." in name}


@pytest.fixture
def whole(
    server: Callable[..., Any], connect: Callable[..., ic.ImageryClient], points: np.ndarray, tmp_path: Path
) -> Path:
    """What an undisturbed export gives."""
    assert export(connect(server()), points, tmp_path / "whole", bbox_size=SIZE).failed == 0
    ic.clear_cache()
    return tmp_path / "whole"


def test_a_twentieth_of_all_answers_is_503(
    server: Callable[..., Any], connect: Callable[..., ic.ImageryClient], points: Any, tmp_path: Path, whole: Path
) -> None:
    client = connect(server(faults=[Fault("", status=503, probability=0.05, seed=3)]))
    assert export(client, points, tmp_path / "out", bbox_size=SIZE).failed == 0
    assert files(tmp_path / "out") == files(whole)


@pytest.mark.parametrize("layer", ["imagery", "supervoxels"])
def test_a_damaged_chunk_concerns_its_places_alone(
    server: Callable[..., Any],
    connect: Callable[..., ic.ImageryClient],
    points: Any,
    tmp_path: Path,
    whole: Path,
    layer: str,
    datastack: Any,
) -> None:
    key = "8_8_40/164-228_124-188_23-39"
    served = server(faults=[Fault(f"/{layer}/{key}", shorten=30)])
    client = connect(served)
    report = export(client, points, tmp_path / "out", bbox_size=SIZE)
    damaged = Box((164, 124, 23), (228, 188, 39), datastack.fine)
    concerned = [
        bool(damaged.intersect(Box(tuple(s), tuple(s + np.array(SIZE)), datastack.fine)).voxels)
        for s in points - np.array(SIZE) // 2
    ]
    manifest = pd.read_csv(report.manifest)
    assert 0 < sum(concerned) < len(points)
    assert (manifest["status"] == "failed").tolist() == concerned
    assert manifest["error"].dropna().str.contains("DamagedDataError").all()
    assert manifest["error"].dropna().str.contains(re.escape(key)).all()
    names = {
        f"{array}/c.{n}.0.0.0" for array in ("image", "segmentation") for n in np.flatnonzero(~np.array(concerned))
    }
    assert {name for name in files(tmp_path / "out") if name != "done/c.0"} == names
    assert all(data == files(whole)[name] for name, data in files(tmp_path / "out").items() if name in names)
    served.faults = ()
    again = export(client, points, tmp_path / "out", bbox_size=SIZE)
    assert (again.failed, again.resumed) == (0, len(points) - sum(concerned))
    assert files(tmp_path / "out") == files(whole)
    assert set(pd.read_csv(again.manifest)["status"]) == {"done"}


def test_a_server_that_goes_away_is_waited_for(
    server: Callable[..., Any],
    connect: Callable[..., ic.ImageryClient],
    points: Any,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = server()
    client = connect(served, timeout=1.0)
    assert client.volumes
    served.faults = [Fault("/data/", status=503)]
    rounds: list[float] = []

    def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 3:
            served.faults = ()

    monkeypatch.setattr(module.time, "sleep", sleep)
    told: list[int] = []
    report = export(
        client, points, tmp_path / "out", bbox_size=SIZE, progress=lambda done, total: told.append(done)
    )  # fmt: skip
    assert (report.failed, rounds) == (0, [0.0, 1.0, 2.0])
    assert told == list(range(1, len(points) + 1))
    assert files(tmp_path / "out") == files(whole)


def test_patience_ends(
    server: Callable[..., Any], connect: Callable[..., ic.ImageryClient], points: Any, tmp_path: Path
) -> None:
    served = server()
    client = connect(served, timeout=1.0)
    assert client.volumes
    served.faults = [Fault("/data/imagery/", status=503)]
    report = export(client, points[:3], tmp_path / "out", bbox_size=SIZE, patience=0.0)
    assert (report.done, report.failed) == (0, 3)
    assert report.first_error is not None
    assert report.first_error.startswith("StorageError: ")
    served.faults = ()
    assert export(client, points[:3], tmp_path / "out", bbox_size=SIZE).done == 3


def test_a_token_that_is_refused_ends_the_export(
    server: Callable[..., Any], connect: Callable[..., ic.ImageryClient], points: Any, tmp_path: Path
) -> None:
    served = server()
    client = connect(served)
    assert client.volumes
    served.faults = [Fault("roots", status=403)]
    with pytest.raises(AccessError):
        export(client, points, tmp_path / "out", bbox_size=SIZE)
    served.faults = ()
    assert export(client, points, tmp_path / "out", bbox_size=SIZE).failed == 0


def test_the_estimate_counts_what_is_fetched(
    server: Callable[..., Any],
    connect: Callable[..., ic.ImageryClient],
    chunk_requests: Callable[[Any], list[str]],
    points: Any,
    tmp_path: Path,
) -> None:
    served = server()
    client = connect(served)
    estimate = estimate_export(client, points, tmp_path / "out", bbox_size=SIZE, sample=0)
    assert not chunk_requests(served)
    assert (estimate.places, estimate.left, estimate.groups) == (40, 40, 1)
    assert estimate.bytes_out == 40 * 24 * 20 * 3 * 9
    assert estimate.seconds is estimate.bytes_in is None
    sampled = estimate_export(client, points, tmp_path / "out", bbox_size=SIZE, sample=40)
    assert not (tmp_path / "out").exists()
    fetched = chunk_requests(served)
    assert len(fetched) == len(set(fetched)) == estimate.requests - 1
    sizes = [served.folder / path.removeprefix("/data/") for path in fetched]
    assert sampled.bytes_in == sum(path.stat().st_size for path in sizes if path.exists())
    assert sampled.seconds is not None
    assert sampled.seconds > 0
    export(client, points, tmp_path / "out", bbox_size=SIZE)
    assert estimate_export(client, points, tmp_path / "out", bbox_size=SIZE).requests == 0


@pytest.mark.parametrize("voxel", [(8.0, 8.0, 40.0), (4.0, 4.0, 40.0), (16.0, 16.0, 40.0)])
def test_chunks_are_numbered_as_they_are_listed_one_by_one(voxel: Any) -> None:
    at = (8.0, 8.0, 40.0)
    scale = Scale(0, "8_8_40", at, Box((-5, 7, 3), (200, 150, 40), at), (32, 50, 9), "raw", None, None)
    starts = np.random.default_rng(1).integers((-100, -50, -10), (300, 250, 60), (200, 3))
    shape, (nx, ny, _) = (33, 20, 5), scale.grid_shape
    boxes = [Box(tuple(s), tuple(s + np.array(shape)), voxel).at(at) for s in starts]
    found = {chunk.index for box in boxes for chunk in chunks_covering(scale, box)}
    assert chunks_needed(starts, shape, voxel, scale).tolist() == sorted(x + nx * (y + ny * z) for x, y, z in found)


@pytest.mark.parametrize("bits", [(1, 2, 3), (0, 0, 2), (3, 1, 0)])
def test_indices_of_shards_are_counted_as_they_are_met_one_by_one(bits: tuple[int, int, int]) -> None:
    sharding = Sharding(bits[0], "identity", bits[1], bits[2], "raw", "raw")
    at = (8.0, 8.0, 40.0)
    scale = Scale(0, "8_8_40", at, Box((0, 0, 0), (300, 150, 40), at), (32, 50, 9), "raw", None, sharding)
    nx, ny, nz = scale.grid_shape
    for count in (0, 3, 20, nx * ny * nz):
        chunks = np.sort(np.random.default_rng(count).choice(nx * ny * nz, count, replace=False))
        places = [(int(n % nx), int(n // nx % ny), int(n // (nx * ny))) for n in chunks]
        met = {locate(chunk_id(place, scale.grid_shape), sharding) for place in places}
        assert index_requests(chunks, scale) == 2 * len(met)


@pytest.mark.parametrize("hash", ["identity", "murmurhash3_x86_128"])
def test_the_estimate_of_sharded_layers_is_what_is_fetched(
    server: Callable[..., Any], tmp_path: Path, hash: Any
) -> None:
    em = np.random.default_rng(2).integers(0, 255, (128, 128, 32), dtype=np.uint8)
    layout = Layout(resolution=(8, 8, 40), chunk_size=(16, 16, 8), sharding=Sharding(1, hash, 3, 2, "gzip", "raw"))
    write_precomputed(tmp_path / "data" / "em", [(em, layout)], kind="image")
    served = server(tmp_path / "data")
    client = ic.ImageryClient(image_source=f"precomputed://{served.url}/data/em", missing="fill")
    points = np.random.default_rng(3).integers((8, 8, 4), (120, 120, 28), (60, 3))
    assert client.volumes
    before = len(served.requests)
    estimate = estimate_export(client, points, tmp_path / "out", bbox_size=(16, 16, 8), sample=60)
    requests = len(served.requests) - before
    assert abs(estimate.requests - requests) <= requests // 20
    bodies = sum(request.sent for request in served.requests[before:])
    assert estimate.bytes_in is not None
    assert 0.8 * bodies < estimate.bytes_in <= bodies
    report = export(client, points, tmp_path / "out", bbox_size=(16, 16, 8))
    written = list(report.output.glob("image/c.*"))
    assert len(written) == estimate.files_out == 60
    assert estimate.bytes_on_disk == sum(path.stat().st_size for path in written)


def test_a_second_export_at_the_same_time_harms_nothing(
    server: Callable[..., Any], connect: Callable[..., ic.ImageryClient], points: Any, tmp_path: Path, whole: Path
) -> None:
    """One of two writes, the other is refused, or comes when all is done."""
    client, both = connect(server(latency=0.01)), threading.Barrier(2)

    def run() -> None:
        both.wait(10)
        with contextlib.suppress(StorageError):
            export(client, points, tmp_path / "out", bbox_size=SIZE)

    other = threading.Thread(target=run)
    other.start()
    run()
    other.join()
    assert export(client, points, tmp_path / "out", bbox_size=SIZE).failed == 0
    assert files(tmp_path / "out") == files(whole)
