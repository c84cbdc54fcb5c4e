"""What an export keeps beside its voxels: journals, settings, the manifest, and files that are whole."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageryclient.bulk.journal import Entry, JournalWriter, Ledger, read_journal
from imageryclient.bulk.manifest import Manifest, read_entries, write_manifest
from imageryclient.bulk.settings import Settings, digest_of, plain
from imageryclient.bulk.workspace import Workspace, writing
from imageryclient.errors import ArgumentError, FormatError, StorageError

ENTRIES = st.lists(
    st.builds(
        Entry,
        st.integers(0, 10**6),
        st.tuples(st.floats(0, 1), st.floats(0, 1)),
        st.tuples(st.integers(0, 2**40)),
    ),
    max_size=8,
)


@settings(max_examples=60)
@given(ENTRIES, st.data())
def test_whole_lines_are_read_and_a_torn_one_is_not(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], data: Any
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    JournalWriter(folder).add(entries)
    for path in folder.iterdir():
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        assert list(read_journal(folder)) == entries[:kept]


def test_every_writer_has_a_file_of_its_own(tmp_path: Path) -> None:
    one, other = JournalWriter(tmp_path), JournalWriter(tmp_path)
    for number in range(3):
        one.add([Entry(number, (1.0,))])
        other.add([Entry(10 + number, (1.0,))])
    one.add([])
    assert len(list(tmp_path.iterdir())) == 2
    assert sorted(entry.place for entry in read_journal(tmp_path)) == [0, 1, 2, 10, 11, 12]


def test_lines_that_are_none_are_left_out(tmp_path: Path) -> None:
    good = Entry(3, (1.0,)).line()
    (tmp_path / "a.jsonl").write_bytes(b"[]\n{}\n" + good[:9] + good + b"\x00\xff\n" + good + good[:-1])
    assert list(read_journal(tmp_path)) == [Entry(3, (1.0,))]


def test_no_line_follows_one_that_may_be_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path / "gone")
    with pytest.raises(StorageError):
        writer.add([Entry(1, ())])
    (tmp_path / "gone").mkdir()
    first = writer._path
    writer.add([Entry(2, ())])
    assert [entry.place for entry in read_journal(tmp_path / "gone")] == [2]
    assert writer._path == first


def test_the_ledger_takes_what_fits(tmp_path: Path) -> None:
    ledger = Ledger.empty(3, 1, 1)
    ledger.errors[1] = "no"
    ledger.add([Entry(1, (0.5,), (7,)), Entry(9, (1.0,), (1,)), Entry(0, (1.0, 1.0), (1,)), Entry(-1, (1.0,), (1,))])
    assert ledger.done.tolist() == [False, True, False]
    assert (ledger.covered[1, 0], ledger.voxels[1, 0], ledger.errors) == (0.5, 7, {})


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    workspace.begin()
    target = workspace.output / "deep" / "file.bin"
    with pytest.raises(ZeroDivisionError), workspace.staged(target) as name:  # noqa: PT012
        name.write_bytes(b"half")
        raise ZeroDivisionError
    assert not target.exists()
    workspace.write(target, b"one")
    workspace.write(target, b"two")
    assert target.read_bytes() == b"two"
    assert not list(workspace.staging.iterdir())
    workspace.end()
    assert [path.name for path in workspace.output.iterdir()] == ["deep"]
    with pytest.raises(StorageError, match="cannot be written"):
        workspace.write(target, b"three")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_device_that_is_full() -> None:
    with pytest.raises(StorageError, match="the disk is full"), writing("out"), open("/dev/full", "wb") as full:
        full.write(b"0" * 2**20)


def some() -> Settings:
    return Settings(
        format="zarr", manifest="csv", sources={"imagery": "gs://b/em"}, mips={"imagery": 1}, dtypes={},
        shape=(8, 8, 1), voxel=(8.0, 8.0, 40.0), resolution=(4.0, 4.0, 40.0),
        size_resolution=(4.0, 4.0, 40.0), moment="2024-05-01T00:00:00+00:00",
        root_ids="all", missing="fill", masks={}, overlay=None, places=3, digest="abc",
    )  # fmt: skip


def test_settings_are_resumed_or_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.begin()
    some().save(workspace)
    assert some().resumed(workspace, frozen=True) == some()
    later = replace(some(), moment="2025-01-01T00:00:00+00:00")
    assert later.resumed(workspace, frozen=False) == some()
    assert later.resumed(workspace, frozen=False).at == datetime(2024, 5, 1, tzinfo=UTC)
    with pytest.raises(ArgumentError, match=r'moment "2024-05-01T00:00:00\+00:00" there, "2025'):
        later.resumed(workspace, frozen=True)
    with pytest.raises(ArgumentError, match=r"another version of imageryclient, .*: layout 2 there, 3 now"):
        replace(some(), version=3).resumed(workspace, frozen=True)
    workspace.settings.write_text("{")
    with pytest.raises(FormatError, match="does not say what was exported"):
        some().resumed(workspace, frozen=True)


def test_places_and_ids_have_a_digest() -> None:
    centers, ids = np.array([[1.0, 2, 3], [4, 5, 6]]), {"pre": np.array([1, 2], np.uint64)}
    digests = [
        digest_of(centers, ids),
        digest_of(centers[::-1], ids),
        digest_of(centers, {"post": ids["pre"]}),
        digest_of(centers, {"pre": ids["pre"] + np.uint64(1)}),
        digest_of(centers, {}),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_of(np.asfortranarray(centers), ids) == digests[0]
    assert plain({"colors": {7: (1, np.uint8(2))}}) == {"colors": {"7": [1, 2]}}
    with pytest.raises(ArgumentError, match="option of an export"):
        plain({"palette": object()})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_manifest_holds_every_digit(tmp_path: Path, kind: Any) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    ledger = Ledger.empty(3, 1, 1)
    ledger.add([Entry(0, (0.1 + 0.2,), (5,)), Entry(2, (1.0,), (0,))])
    ledger.errors[1] = 'StorageError: "quoted", with a comma\nand a line'
    manifest = Manifest(
        centers=np.array([[1.5, 2, 3], [np.nan, np.nan, np.nan], [7, 8, 9]]),
        resolution=(4.0, 4.0, 40.0), starts=np.array([[1, 2, 3], [0, 0, 0], [-4, 5, 6]]), shape=(8, 8, 2),
        voxel=(8.0, 8.0, 40.0), moment=datetime(2024, 5, 1, tzinfo=UTC), layers=("imagery",), masks=("pre",),
        ledger=ledger, ids={"pre_pt_root_id": np.array([864691135341362885, 0, 2**64 - 1], np.uint64)},
    )  # fmt: skip
    workspace = Workspace(tmp_path)
    workspace.begin()
    path = write_manifest(kind, manifest, workspace)
    assert list(read_entries(path, ("imagery",), ("pre",))) == [Entry(0, (0.1 + 0.2,), (5,)), Entry(2, (1.0,), (0,))]
    with pytest.raises(FormatError, match="no manifest of this export"):
        list(read_entries(path, ("segmentation",), ()))
    read = pd.read_csv(path, dtype={"pre_pt_root_id": "UInt64"}) if kind == "csv" else pd.read_parquet(path)
    assert read["status"].tolist() == ["done", "failed", "done"]
    assert read["error"][1] == ledger.errors[1]
    assert read["stop_x"].dropna().tolist() == [9, 4]
    assert read["x"].isna().tolist() == [False, True, False]
    if kind == "csv":
        assert int(read["pre_pt_root_id"][2]) == 2**64 - 1
    else:
        import pyarrow.parquet as parquet

        table = parquet.read_table(path)
        assert table["pre_pt_root_id"].to_pylist() == [864691135341362885, None, 2**64 - 1]
        assert str(table.schema.field("start_x").type) == "int64"
