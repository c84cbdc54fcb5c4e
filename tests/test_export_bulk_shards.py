"""Few files: packs, shards of Zarr arrays put together from them, and the one writer that an output has at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.bulk import export as module
from imageryclient.bulk import writing
from imageryclient.bulk.export import export
from imageryclient.bulk.failures import FailedPlace
from imageryclient.bulk.formats.shards import ShardReader, crc32c
from imageryclient.bulk.lock import locked
from imageryclient.bulk.packs import Packs
from imageryclient.bulk.workspace import append
from imageryclient.errors import ArgumentError, StorageError

SIZE = (24, 20, 3)
COUNT = 23
FAR = 11  # the place that cannot be had


@pytest.fixture
def flat(datastack: Any) -> ic.ImageryClient:
    return ic.ImageryClient(
        image_source=str(datastack.folder / "imagery"),
        segmentation_source=str(datastack.folder / "supervoxels"),
        resolution=datastack.fine,
        missing="fill",
    )


@pytest.fixture
def points() -> np.ndarray:
    centers = np.random.default_rng(3).integers((120, 80, 10), (280, 200, 40), (COUNT, 3))
    centers[FAR] = 9000
    return centers


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PARTS = st.lists(
    st.tuples(st.integers(0, 40), st.tuples(st.binary(max_size=9), st.binary(max_size=9))), min_size=1, max_size=12
)


@settings(max_examples=40)
@given(PARTS, st.data())
def test_packs_give_what_was_whole_when_they_were_cut_off(
    tmp_path_factory: pytest.TempPathFactory, added: list[Any], data: Any
) -> None:
    folder = tmp_path_factory.mktemp("packs")
    packs, ends = Packs(folder, parts=2, places=100), [0]
    for place, parts in added:
        packs.add(place, parts)
        (path,) = folder.iterdir()
        ends.append(path.stat().st_size)
    cut = data.draw(st.integers(0, ends[-1]))
    path.write_bytes(path.read_bytes()[:cut])
    whole = {place: list(parts) for (place, parts), end in zip(added, ends[1:], strict=True) if end <= cut}
    with Packs(folder, parts=2, places=100).opened(0) as pack:
        assert pack.places == set(whole)
        assert all(pack.parts(place) == parts for place, parts in whole.items())


def test_packs_of_several_writers_lie_by_ranges(tmp_path: Path) -> None:
    one, other = Packs(tmp_path, parts=1, places=10), Packs(tmp_path, parts=1, places=10)
    for place in (3, 25, 4):
        one.add(place, [b"one%d" % place])
    other.add(9, [b"nine"])
    assert one.numbers() == [0, 2]
    assert len(list(tmp_path.iterdir())) == 3
    with one.opened(0) as pack:
        assert {place: pack.parts(place) for place in pack.places} == {3: [b"one3"], 4: [b"one4"], 9: [b"nine"]}
        assert pack.parts(5) is None
    one.drop(0)
    assert other.numbers() == [2]


def test_damage_in_a_pack_is_seen(tmp_path: Path) -> None:
    packs = Packs(tmp_path, parts=2, places=10)
    packs.add(1, [b"image", b"ids"])
    packs.add(2, [b"more", b"ids"])
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[data.index(b"image")] ^= 1
    path.write_bytes(data)
    with packs.opened(0) as pack:
        assert (pack.parts(1), pack.parts(2)) == (None, [b"more", b"ids"])
    data[8] ^= 1  # the number of the first place: behind a head that is damaged nothing can be read
    path.write_bytes(data)
    with packs.opened(0) as pack:
        assert not pack.places


def test_no_record_follows_one_that_may_be_torn(tmp_path: Path) -> None:
    packs = Packs(tmp_path / "gone", parts=1, places=10)
    with pytest.raises(StorageError):
        packs.add(1, [b"a"])
    first = packs._writer
    (tmp_path / "gone").mkdir()
    packs.add(1, [b"a"])
    assert [path.name for path in (tmp_path / "gone").iterdir()] == [f"000000.{first}.pack"]
    (tmp_path / "gone" / f"000000.{first}.pack").unlink()
    (tmp_path / "gone").rmdir()
    with pytest.raises(StorageError):
        packs.add(1, [b"a"])
    assert packs._writer != first


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_what_a_full_disk_took_in_part_is_an_error() -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        append(Path("/dev/full"), b"line\n")


def test_all_is_written_where_the_system_takes_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.open

    class Slow:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *raised: object) -> None:
            self.file.close()

        def write(self, data: Any) -> int:
            return int(self.file.write(data[:3]))

    monkeypatch.setattr(Path, "open", lambda self, *args, **kwargs: Slow(original(self, *args, **kwargs)))
    append(tmp_path / "file", b"0123456789")
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_checksums_of_shards_are_those_of_the_rfc() -> None:
    """RFC 3720, B.4."""
    for data, expected in (
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ):
        assert crc32c(data) == expected


@pytest.mark.parametrize("shard", [5, COUNT, 1000])
def test_a_sharded_output_holds_the_same(flat: ic.ImageryClient, points: Any, tmp_path: Path, shard: int) -> None:
    zarr, ts = pytest.importorskip("zarr"), pytest.importorskip("tensorstore")
    xarray = pytest.importorskip("xarray")
    export(flat, points, tmp_path / "files", bbox_size=SIZE, places_per_shard=1)
    report = export(flat, points, tmp_path / "shards", bbox_size=SIZE, places_per_shard=shard)
    assert (report.done, report.failed) == (COUNT - 1, 1)
    one, other = (zarr.open_group(tmp_path / name, mode="r") for name in ("files", "shards"))
    assert other["image"].shards == (min(shard, COUNT), *SIZE)
    assert other["image"].chunks == (1, *SIZE)
    assert other["done"][:].tolist() == [place != FAR for place in range(COUNT)]
    for name in ("image", "segmentation"):
        expected = one[name][:]
        assert np.array_equal(other[name][:], expected)
        assert np.array_equal(other[name][7], expected[7])
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "shards" / name)}}
        assert np.array_equal(ts.open(spec, open=True, read=True).result()[:].read().result(), expected)
    with xarray.open_zarr(tmp_path / "shards") as dataset:
        assert np.array_equal(dataset.segmentation[COUNT - 1].values, one["segmentation"][COUNT - 1])
    shards = -(-COUNT // shard)
    names = {f"{name}/c.{n}.0.0.0" for name in ("image", "segmentation") for n in range(shards)}
    heads = {"zarr.json", "image/zarr.json", "segmentation/zarr.json", "done/zarr.json", "done/c.0"}
    assert set(tree(tmp_path / "shards")) == names | heads | {"settings.json", "manifest.csv"}


class Stop(Exception):
    """What interrupts an export here."""


def stop_after(patch: pytest.MonkeyPatch, count: int) -> None:
    original, written = writing.PlaceWriter.write, []

    def write(self: Any, cut: Any, ids: Any) -> Any:
        if len(written) >= count:
            raise Stop
        written.append(cut.index)
        return original(self, cut, ids)

    patch.setattr(writing.PlaceWriter, "write", write)


@pytest.mark.parametrize("name", ["zarr", "h5"])
def test_interrupted_at_any_step_of_its_end_it_is_the_same(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    """Between any two changes that the end makes to the disk: files renamed, packs and folders removed."""
    pytest.importorskip({"h5": "h5py"}.get(name, "numpy"))
    options: dict[str, Any] = {"format": name, "bbox_size": SIZE}
    options |= {"places_per_shard": 6} if name == "zarr" else {}
    for folder in ("whole", "broken"):
        (tmp_path / folder).mkdir()
    export(flat, points, tmp_path / "whole" / "out", **options)
    to, stops, step = tmp_path / "broken" / "out", 0, 0
    with monkeypatch.context() as patch:
        stop_after(patch, 9)
        with pytest.raises(Stop):
            export(flat, points, to, **options)
    for step in range(40):
        with monkeypatch.context() as patch:
            count, ending = [0], [False]

            def counted(original: Any, count: list[int] = count, ending: list[bool] = ending, step: int = step) -> Any:
                def change(*args: Any, **kwargs: Any) -> Any:
                    count[0] += ending[0]
                    if ending[0] and count[0] > step:
                        raise Stop
                    return original(*args, **kwargs)

                return change

            def begin(plan: Any, wait: float, ending: list[bool] = ending, end: Any = module._finish) -> None:
                ending[0] = True
                end(plan, wait)

            patch.setattr(module, "_finish", begin)
            patch.setattr(os, "replace", counted(os.replace))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            try:
                report = export(flat, points, to, **options)
            except Stop:
                stops += 1
                continue
            assert (report.done, report.first_error is None) == (COUNT - 1, False)
            break
    assert stops > 3
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")


@pytest.mark.parametrize("name", ["zarr", "h5"])
def test_places_that_come_later_are_put_between_those_there_are(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    """As after a server that did not give some of them: the output is that of a run that got all at once."""
    pytest.importorskip({"h5": "h5py"}.get(name, "numpy"))
    options: dict[str, Any] = {"format": name, "bbox_size": SIZE, "patience": 0}
    options |= {"places_per_shard": 6} if name == "zarr" else {}
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    export(flat, points, tmp_path / "whole" / "out", **options)
    original = writing.PlaceWriter.write

    def write(self: Any, cut: Any, ids: Any) -> Any:
        if cut.index % 3 == 0 or cut.index > 16:
            return FailedPlace(cut.index, (0.0, 0.0, 0.0), ArgumentError("not now"))
        return original(self, cut, ids)

    with monkeypatch.context() as patch:
        patch.setattr(writing.PlaceWriter, "write", write)
        report = export(flat, points, tmp_path / "parts" / "out", **options)
    assert 5 < report.failed < COUNT - 5
    before = tree(tmp_path / "parts")
    report = export(flat, points, tmp_path / "parts" / "out", **options)
    assert report.failed == 1
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole") != before


@pytest.mark.parametrize("name", ["zarr", "h5"])
def test_what_is_gone_or_damaged_is_said_and_made_again(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    pytest.importorskip({"h5": "h5py"}.get(name, "numpy"))
    options: dict[str, Any] = {"format": name, "bbox_size": SIZE}
    options |= {"places_per_shard": 6} if name == "zarr" else {}
    for folder in ("whole", "broken"):
        (tmp_path / folder).mkdir()
    export(flat, points, tmp_path / "whole" / "out", **options)
    to = tmp_path / "broken" / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 12)
        with pytest.raises(Stop):
            export(flat, points, to, **options)
    path = sorted((tmp_path / "broken").rglob("*.pack"))[0]
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"??")
    report = export(flat, points, to, **options)
    assert report.failed == 2
    assert report.first_error is not None
    assert "gone or damaged" in report.manifest.read_text()
    assert export(flat, points, to, **options).failed == 1
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")


def test_shards_that_are_damaged_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    for data in (b"", b"short", bytes(3 * 16 + 4)):
        (tmp_path / "shard").write_bytes(data)
        shard = ShardReader(tmp_path / "shard", 3)
        assert (shard.held, shard.chunk(1)) == (set(), None)
        shard.close()


def test_how_many_lie_in_a_shard_is_kept(flat: ic.ImageryClient, points: Any, tmp_path: Path) -> None:
    export(flat, points, tmp_path / "out", bbox_size=SIZE, places_per_shard=6)
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["places_per_shard"] == 6
    assert export(flat, points, tmp_path / "out", bbox_size=SIZE).resumed == COUNT - 1
    with pytest.raises(ArgumentError, match="places_per_shard 6 there, 7 now"):
        export(flat, points, tmp_path / "out", bbox_size=SIZE, places_per_shard=7)
    for wrong in (0, -1, 2.5, True, "auto"):
        with pytest.raises(ArgumentError, match="places_per_shard must be a whole number"):
            export(flat, points, tmp_path / "other", bbox_size=SIZE, places_per_shard=wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="npz has no shards"):
        export(flat, points, tmp_path / "other", bbox_size=SIZE, format="npz", places_per_shard=6)


def test_an_output_has_one_writer_at_a_time(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go = threading.Event(), threading.Event()
    original = writing.PlaceWriter.write

    def write(self: Any, cut: Any, ids: Any) -> Any:
        held.set()
        assert go.wait(20)
        return original(self, cut, ids)

    with monkeypatch.context() as patch:
        patch.setattr(writing.PlaceWriter, "write", write)
        first = threading.Thread(target=export, args=(flat, points, tmp_path / "out"), kwargs={"bbox_size": SIZE})
        first.start()
        assert held.wait(20)
        said = rf"is being written by process {os.getpid()} on .*one writer at a time"
        with pytest.raises(StorageError, match=said):
            export(flat, points, tmp_path / "out", bbox_size=SIZE)
        go.set()
        first.join(20)
    assert export(flat, points, tmp_path / "out", bbox_size=SIZE).resumed == COUNT - 1
    assert not list((tmp_path / "out").rglob(".*"))


HOLD = """
import sys, time
from pathlib import Path
from imageryclient.bulk.lock import locked
with locked(Path(sys.argv[1]), Path("out")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "sub" / ".lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        with pytest.raises(StorageError, match=f"process {process.pid} on"), locked(path, tmp_path):
            pass
    finally:
        process.kill()
        process.communicate()
    assert path.exists()
    with locked(path, tmp_path):
        assert path.read_text().startswith(f"process {os.getpid()} on")
    assert not path.exists()


def test_where_there_are_no_locks_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def none(*args: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path / ".lock", tmp_path), locked(tmp_path / ".lock", tmp_path):
        pass


def test_an_interrupt_says_how_to_go_on(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Any, cut: Any, ids: Any) -> Callable[..., Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing.PlaceWriter, "write", write)
        with pytest.raises(KeyboardInterrupt) as raised:
            export(flat, points, tmp_path / "out", bbox_size=SIZE)
    assert raised.value.__notes__ == ["places that are done are kept: the same call goes on with the others"]
    assert export(flat, points, tmp_path / "out", bbox_size=SIZE).done == COUNT - 1
