"""What changed between two moments, against each voxel's roots and the history's own operations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.changes import Change, Changes, compare
from imageryclient.demo.server import DemoServer
from imageryclient.errors import ArgumentError, MissingDataWarning, MissingExtraError
from imageryclient.moment import parse_moment


def at(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1e6))


def expected_rows(before: np.ndarray, after: np.ndarray) -> set[tuple[int, int, int, str]]:
    """Pairs, voxels and kinds by looking at every pair of ids and every voxel of it."""
    rows = set()
    for old in np.unique(before[before > 0]).tolist():
        went_to = after[before == old]
        for new in np.unique(went_to).tolist():
            if new == old:
                continue
            split = len(np.unique(went_to)) > 1
            merged = len(np.unique(before[after == new])) > 1
            kind = {(0, 0): "renamed", (1, 0): "merged", (0, 1): "split", (1, 1): "merged and split"}[merged, split]
            rows.add((old, new, int(np.count_nonzero(went_to == new)), kind))
    return rows


@pytest.fixture
def live(server: Callable[..., DemoServer], connect: Callable[..., Any]) -> tuple[DemoServer, ic.ImageryClient]:
    running = server()
    return running, connect(running, missing="fill")


# ---- the comparison alone ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(4, 9), st.integers(1, 5)), max_size=12))
@settings(max_examples=200)
def test_kinds_against_every_voxel(parts: list[tuple[int, int, int]]) -> None:
    old, new, voxels = (np.array([part[n] for part in parts], dtype=np.int64) for n in range(3))
    rows = compare(old.astype(np.uint64), new.astype(np.uint64), voxels)
    before, after = np.repeat(old, voxels), np.repeat(new, voxels)
    assert {(row.old, row.new, row.voxels, row.kind) for row in rows} == expected_rows(before, after)
    assert [row.voxels for row in rows] == sorted((row.voxels for row in rows), reverse=True)
    for row in rows:
        assert row.of_old == row.voxels / np.count_nonzero(before == row.old)
        assert row.of_new == row.voxels / np.count_nonzero(after == row.new)


def test_ids_stay_exact() -> None:
    a, b = 2**63 + 1, 2**64 - 1
    (row,) = compare(np.array([a], "u8"), np.array([b], "u8"), np.array([3]))
    assert row == Change(a, b, 3, 1.0, 1.0, "renamed")


# ---- a server's history -----------------------------------------------------------------------------------------


def test_changes_between_random_moments(datastack: Any, live: Any) -> None:
    _, client = live
    history = datastack.history
    times = [history.oldest, *(op.time for op in history.operations)]
    rng = np.random.default_rng(4)
    kinds = set()
    for n in range(12):
        first, last = sorted(rng.choice(len(times), 2, replace=False).tolist())
        low = np.array(datastack.offsets[0]) + rng.integers(0, [120, 80, 30])
        high = low + rng.integers([20, 20, 1], [90, 80, 12])
        changes = client.changes([low, high], at(times[first]), at(times[last]), mip=n % 2 + 1)
        unit, mip = ((datastack.fine, 0), (datastack.coarse, 1))[n % 2]
        box = ic.Box(tuple(low.tolist()), tuple(high.tolist()), datastack.fine).at(unit)
        assert (changes.bounds.start, changes.bounds.stop, changes.bounds.resolution) == (box.start, box.stop, unit)
        before, after = (datastack.roots(box.start, box.stop, times[k], mip) for k in (first, last))
        assert np.array_equal(changes.before, before)
        assert np.array_equal(changes.after, after)
        assert np.array_equal(changes.changed, before != after)
        assert {(r.old, r.new, r.voxels, r.kind) for r in changes.rows} == expected_rows(before, after)
        assert sum(row.voxels for row in changes.rows) == np.count_nonzero(before != after)
        assert np.array_equal(changes.image, datastack.image(box.start, box.stop, mip + 1))
        assert sum(changes.counts.values()) == len(changes.rows)
        assert (changes.since, changes.until) == (at(times[first]), at(times[last]))
        kinds |= set(changes.counts)
    assert kinds >= {"merged", "split", "renamed"}


def test_one_edit_is_seen_from_its_second_on(datastack: Any, live: Any) -> None:
    _, client = live
    whole = [datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)]
    present = set(np.unique(datastack.supervoxels[0]).tolist())
    seen = 0
    for op in datastack.history.operations[::8]:
        changes = client.changes(whole, op.time - 1, op.time, segmentation_mip=0)
        assert {row.old for row in changes.rows} <= set(op.before)
        assert {row.new for row in changes.rows} <= set(op.after)
        moved = set(datastack.history.moved(op).tolist()) & present
        seen += bool(moved)
        if moved and len(changes.rows) > 1:
            assert set(changes.counts) == {"merged" if op.is_merge else "split"}
        assert not client.changes(whole, op.time - 2, op.time - 1, segmentation_mip=0).rows
        assert not client.changes(whole, op.time, op.time + 1, segmentation_mip=0).rows
    assert seen >= 3


def test_moments_in_any_writing_and_that_of_the_caveclient(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    history = datastack.history
    first, last = min(history.versions), max(history.versions)
    client = ic.ImageryClient(cave(running, version=last), resolution=datastack.fine, missing="fill")
    since = at(history.versions[first])
    low = np.array(datastack.middle) - [60, 60, 2]
    bounds = [low, low + [120, 120, 4]]
    expected = client.changes(bounds, since)
    assert expected.until == at(history.versions[last])
    assert expected.rows
    before = datastack.roots(expected.bounds.start, expected.bounds.stop, since.timestamp())
    assert np.array_equal(expected.before, before)
    for same in (
        since.timestamp(), since.replace(tzinfo=None), since.isoformat(), np.datetime64(since.replace(tzinfo=None)),
        since.astimezone(timezone(timedelta(hours=9, minutes=30))), since.astimezone(timezone(timedelta(hours=-8))),
    ):  # fmt: skip
        changes = client.changes(bounds, same)
        assert (changes.since, changes.rows) == (since, expected.rows)


def test_supervoxels_are_read_once_and_roots_asked_twice(datastack: Any, live: Any, chunk_requests: Any) -> None:
    server, client = live
    ops = datastack.history.operations
    changes = client.changes(datastack.middle, at(ops[0].time - 1), bbox_size=(80, 80, 4), missing="raise")
    assert changes.until == datastack.late  # the client's moment
    asked = [path for path in server.requests.paths if path.endswith("/roots_binary")]
    assert len(asked) == 2
    assert len(set(chunk_requests(server))) == len(chunk_requests(server))
    server.requests.clear()
    client.changes(datastack.middle, at(ops[5].time), at(ops[20].time), bbox_size=(80, 80, 4))
    assert {path.rpartition("/")[2] for path in server.requests.paths} == {"roots_binary"}


def test_clients_without_imagery_and_boxes_beyond_the_data(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server(), imagery=False, resolution=(8, 8, 40))
    far = np.add(datastack.offsets[0], datastack.supervoxels[0].shape)
    with pytest.warns(MissingDataWarning, match="outside the data"):
        changes = client.changes([far - [150, 100, 30], far + 3], at(1.6e9))
    assert changes.image is None
    assert not changes.coverage["segmentation"].complete
    assert not changes.before[-3:].any()
    pictures = changes.overlay()
    assert isinstance(pictures, list)
    assert len(pictures) == 33
    assert pictures[0].size == (153, 103)


def test_what_cannot_be_compared_is_refused(datastack: Any, live: Any) -> None:
    _, client = live
    box = [datastack.middle, np.add(datastack.middle, 5)]
    early, late = datastack.history.oldest, datastack.late
    for since, until in ((late, early), (late, late), (late, None)):
        with pytest.raises(ArgumentError, match="since must be before until"):
            client.changes(box, since, until)
    with pytest.raises(ArgumentError, match=r"record|reach back|begin"):
        client.changes(box, early - 3600, late)
    flat = ic.ImageryClient(segmentation_source=str(datastack.folder / "supervoxels"))
    with pytest.raises(ArgumentError, match="flat segmentation"):
        flat.changes(box, early, late)


# ---- as a table and as a picture --------------------------------------------------------------------------------

# Supervoxels 1 to 8 in a row, four voxels each; 1 and 2 are one object before, and 4 and 5.
OLD = [10, 10, 20, 30, 30, 40, 50, 60]
# 10 splits, its second part merges with 20; 40 and 50 merge; 30 is renamed; 60 stays.
NEW = [11, 21, 21, 31, 31, 41, 41, 60]
KINDS = ["split", "merged and split", "merged", "renamed", "renamed", "merged", "merged", None]


@pytest.fixture
def row_of_eight() -> Changes:
    labels = np.arange(1, 9, dtype=np.uint64).repeat(4)[:, None, None].repeat(3, axis=1)
    box = ic.Box((0, 0, 0), labels.shape, (8.0, 8.0, 40.0))
    image = np.full(labels.shape, 100, np.uint8)
    moments = parse_moment("2024-01-01"), parse_moment("2024-02-01T12:00:00.5")
    return Changes.between(labels, box, *moments, lambda _: (np.array(OLD, "u8"), np.array(NEW, "u8")), image)


def test_the_picture_shows_the_kinds(row_of_eight: Changes) -> None:
    picture = row_of_eight.overlay(alpha=1)
    assert picture.size == (32, 3)
    shown = [picture.getpixel((4 * n + 1, 1))[:3] for n in range(8)]
    looks = {
        "merged": lambda r, g, b: g > 1.5 * r and g > 1.5 * b,
        "split": lambda r, g, b: r > 2 * g and r > 2 * b,
        "merged and split": lambda r, g, b: b > r > 1.5 * g,
        "renamed": lambda r, g, b: r > g > 2 * b,
        None: lambda r, g, b: r == g == b == int(0.6 * 100 + 0.4 * 140),
    }
    for (r, g, b), kind in zip(shown, KINDS, strict=True):
        assert looks[kind](r, g, b), (kind, r, g, b)
    assert shown[3] == shown[4]  # one object
    assert len(set(shown)) == 7
    assert all(channel[3] == 255 for channel in (picture.getpixel((0, 0)), picture.getpixel((31, 2))))


def test_pictures_take_the_options_of_overlays_but_no_colours(row_of_eight: Changes) -> None:
    lines = row_of_eight.overlay(alpha=1, outline=True, width=1, side="in", merge_outline=False)
    assert lines.getpixel((1, 1)) == (100, 100, 100, 255)  # within
    assert lines.getpixel((3, 1))[0] > 150  # at the edge of what was split
    for options in ({"colors": {}}, {"palette": "husl"}):
        with pytest.raises(ArgumentError, match="kind"):
            row_of_eight.overlay(**options)


def test_the_table_in_words(row_of_eight: Changes) -> None:
    text = str(row_of_eight)
    assert text.splitlines()[0] == (
        "Changes in [0:32, 0:3, 0:1] at 8 x 8 x 40 nm from 2024-01-01 00:00:00 UTC to 2024-02-01 12:00:00.5 UTC: "
        "3 merged, 1 split, 1 merged and split, 1 renamed"
    )
    assert len(text.splitlines()) == 8
    assert "10        11      12    50 %   100 %  split" in text
    assert repr(row_of_eight) == f"<{text.splitlines()[0]}>"


def test_long_tables_are_cut() -> None:
    count = 50
    labels = np.arange(1, count + 1, dtype=np.uint64)[:, None, None]
    box = ic.Box((0, 0, 0), labels.shape, (8.0, 8.0, 40.0))
    pair = (np.arange(count, dtype=np.uint64) + 100, np.arange(count, dtype=np.uint64) + 900)
    moments = parse_moment("2024-01-01"), parse_moment("2024-02-01")
    changes = Changes.between(labels, box, *moments, lambda _: pair)
    assert str(changes).splitlines()[-1] == "and 30 more"
    assert len(changes.to_dataframe()) == count
    same = Changes.between(labels, box, *moments, lambda _: (pair[0], pair[0]))
    assert str(same).endswith("nothing changed")
    assert not same.changed.any()
    assert same.overlay(alpha=0.5).size == (count, 1)
    assert list(same.to_dataframe()) == ["old_root", "new_root", "voxels", "of_old", "of_new", "kind"]
    nobody = Changes.between(labels * 0, box, *moments, lambda ids: (ids, ids))
    assert not nobody.rows
    assert not nobody.before.any()


def test_data_frames_hold_exact_ids(row_of_eight: Changes) -> None:
    frame = row_of_eight.to_dataframe()
    assert frame.old_root.dtype == frame.new_root.dtype == np.uint64
    assert frame.values.tolist() == [
        [row.old, row.new, row.voxels, row.of_old, row.of_new, row.kind] for row in row_of_eight.rows
    ]


def test_pandas_is_named_where_it_is_missing(row_of_eight: Changes, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        row_of_eight.to_dataframe()
