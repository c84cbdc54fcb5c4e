"""Ids that were asked for and are not there: why, who has their voxels, and how they are followed."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

import imageryclient as ic
from imageryclient import absence
from imageryclient.cave.lineage import AbsentId, Share
from imageryclient.demo.faults import Fault
from imageryclient.demo.replies import Reply, Request
from imageryclient.demo.server import DemoServer
from imageryclient.errors import IdWarning, MissingDataError
from imageryclient.volumes import graphene

UNKNOWN = 864691135341362885
PLAIN = (("Content-Encoding", "identity"),)


def when(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1e6))


def shares(before: np.ndarray, after: np.ndarray, root: int) -> tuple[Share, ...]:
    """Who has at one moment the voxels that a root has at another, counted voxel by voxel."""
    counts = Counter(after[before == root].tolist())
    whole = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Share(heir, voxels, voxels / whole) for heir, voxels in ordered)


@pytest.fixture
def whole(datastack: Any) -> list[Any]:
    """All but the last sections, where a chunk is absent."""
    return [datastack.offsets[0], np.add(datastack.offsets[0], (*datastack.supervoxels[0].shape[:2], 32))]


@pytest.fixture
def live(server: Any, connect: Any) -> tuple[Any, ic.ImageryClient]:
    running = server()
    return running, connect(running, timestamp=None)


@pytest.fixture(params=[0, 10**9], ids=["by leaves", "by look-up"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(graphene, "_LEAVES_COST", request.param)
    return request.param


def heard(call: Any) -> tuple[Any, list[Any]]:
    """What a call gives, and the warnings it makes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    assert {w.category for w in caught} <= {IdWarning, ic.errors.MissingDataWarning}
    return result, [w for w in caught if w.category is IdWarning]


def questions(server: Any) -> Counter[str]:
    """What the graph was asked."""
    return Counter(path.rsplit("/", 1)[-1] for path in server.requests.paths if "/table/" in path)


# ---- out of date ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["merge", "split", "undo"])
def test_ids_out_of_date_are_told_with_their_lives_and_shares(
    datastack: Any, live: Any, whole: Any, route: int, kind: str
) -> None:
    _, client = live
    history = datastack.history
    op = next(op for op in history.operations if op.kind == kind)
    lives = dict(zip(op.before + op.after, history.root_timestamps(op.before + op.after), strict=True))
    ends = dict(zip(op.before + op.after, history.end_timestamps(op.before + op.after), strict=True))
    before, after = (datastack.roots(*whole, t) for t in (op.time - 1e-6, op.time))
    for asked, moment, then, now, reason in (
        (op.before, op.time, before, after, "retired"),
        (op.after, op.time - 1e-6, after, before, "unborn"),
        (op.before, op.time - 1e-6, before, before, ""),
        (op.after, op.time, after, after, ""),
    ):
        got, caught = heard(lambda ids=asked, at=moment: client.segmentation_cutout(whole, ids, timestamp=when(at)))
        assert np.array_equal(got, np.where(np.isin(now, asked), now, 0).astype(np.int64))
        if not reason:
            assert not caught
            continue
        assert not got.any()
        (warning,) = caught
        assert warning.filename == __file__
        absent = warning.message.absent
        assert warning.message.stale == absent
        assert [one.root_id for one in absent] == list(asked)
        for one in absent:
            assert one.reason == reason
            assert one.born == when(lives[one.root_id])
            assert one.died == (None if np.isinf(ends[one.root_id]) else when(ends[one.root_id]))
            assert one.successors == shares(then, now, one.root_id)
            assert one.layer == history.layout.n_layers
            assert str(one) in str(warning.message)
        assert "follow=True" in str(warning.message)


def test_shares_are_of_the_voxels_in_the_box(datastack: Any, live: Any, whole: Any) -> None:
    _, client = live
    history = datastack.history
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(30):
        low = rng.integers(whole[0], np.array(whole[1]) - [60, 60, 6])
        high = np.minimum(low + rng.integers([40, 40, 3], [90, 90, 30]), whole[1])
        time = float(rng.choice([op.time for op in history.operations]))
        then, now = datastack.roots(low, high, history.oldest), datastack.roots(low, high, time)
        gone = np.setdiff1d(np.unique(then), np.append(np.unique(now), np.uint64(0)))
        if not gone.size:
            continue
        _, caught = heard(
            lambda box=(low, high), ids=gone, at=time: client.segmentation_cutout(list(box), ids, timestamp=when(at))
        )
        for one in caught[0].message.absent:
            assert one.successors == shares(then, now, one.root_id)
            seen += len(one.successors) > 1
    assert seen > 3


@pytest.mark.parametrize("slab", [1, 2**24])
def test_shares_on_other_grids_are_of_the_voxels_given(
    datastack: Any, live: Any, whole: Any, monkeypatch: pytest.MonkeyPatch, slab: int
) -> None:
    monkeypatch.setattr(absence, "_SLAB", slab)
    _, client = live
    history = datastack.history
    op = next(op for op in history.operations if op.kind == "split")
    halves = [np.array(whole[0]) // [2, 2, 1], np.array(whole[1]) // [2, 2, 1]]
    options = {"resolution": datastack.coarse, "timestamp": when(op.time)}
    coarse = [datastack.roots(*halves, t, mip=1) for t in (op.time - 1, op.time)]
    _, caught = heard(lambda: client.segmentation_cutout(halves, op.before, mip=1, **options))
    assert caught[0].message.absent[0].successors == shares(*coarse, op.before[0])
    fine = [datastack.roots(*(h * [2, 2, 1] for h in halves), t)[1::2, 1::2] for t in (op.time - 1, op.time)]
    _, caught = heard(lambda: client.segmentation_cutout(halves, op.before, mip=0, scale_to_bounds=True, **options))
    assert caught[0].message.absent[0].successors == shares(*fine, op.before[0])


def test_each_call_says_it_once_at_the_callers_line(datastack: Any, live: Any, whole: Any) -> None:
    _, client = live
    op = datastack.history.operations[3]
    options = {"root_ids": op.before, "timestamp": when(op.time)}
    for call in (
        lambda: client.segmentation_cutout(whole, **options),
        lambda: client.split_segmentation_cutout(whole, **options),
        lambda: client.image_and_segmentation_cutout(whole, **options),
        lambda: client.cutout(bounds=whole, **options),
    ):
        _, (warning,) = heard(call)
        assert warning.filename == __file__
        assert len(warning.message.stale) == len(op.before)


# ---- other reasons ----------------------------------------------------------------------------------------------


def test_what_is_no_object_is_told_apart(datastack: Any, live: Any, route: int) -> None:
    server, client = live
    history = datastack.history
    layout = history.layout
    low = np.array(datastack.middle)
    end = history.operations[-1].time
    near = np.unique(datastack.roots(low, low + 20, end))
    far = np.setdiff1d(history.at(), near)
    op = next(op for op in history.operations if np.isin(op.before, datastack.roots(low, low + 20, op.time - 1)).any())
    stale = next(root for root in op.before if np.isin(root, datastack.roots(low, low + 20, op.time - 1)))
    asked = {
        int(near[-1]): None,
        stale: "retired",
        int(far[0]): "elsewhere",
        int(history.supervoxels[3]): "supervoxel",
        int(history.supervoxels[3]) + 5000: "supervoxel",  # by its bits alone
        int(history.nodes(2)[3]): "node",
        int(layout.compose(3, [0, 0, 0], 1)[0]): "node",
        int(near[-1]) + 10**6: "unknown",  # a root that never was
        UNKNOWN: "unknown",  # of a graph with more layers
        12345: "unknown",
        2**63 + 1: "unknown",
    }
    assert layout.n_layers > 3
    got, caught = heard(lambda: client.segmentation_cutout([low, low + 20], list(asked), timestamp=when(end)))
    assert set(np.unique(got).tolist()) <= {0, int(near[-1])}
    (warning,) = caught
    absent = {one.root_id: one for one in warning.message.absent}
    assert {root: one.reason for root, one in absent.items()} == {k: v for k, v in asked.items() if v}
    assert absent[int(history.nodes(2)[3])].layer == 2
    words = str(warning.message)
    assert f"10 of the {len(asked)} ids" in words
    assert "…" in words  # five are named
    assert [one.root_id for one in warning.message.stale] == [stale]
    assert questions(server)["is_latest_roots"] == 1


@pytest.mark.parametrize("unit", ["viewer", "coarse"])
def test_the_nearest_place_of_what_is_elsewhere(datastack: Any, live: Any, unit: str) -> None:
    _, client = live
    history = datastack.history
    layout = history.layout
    resolution, end = np.array(getattr(datastack, unit)), history.operations[-1].time
    rng = np.random.default_rng(2)
    origin, nm = np.array(datastack.offsets[0]), np.array(datastack.fine)
    bounds = origin, origin + datastack.supervoxels[0].shape
    tried = 0
    for _ in range(8):
        low = origin + rng.integers(0, [150, 110, 25])
        high = low + [16, 16, 3]
        present = np.unique(datastack.roots(low, high, end))
        absent = rng.choice(np.setdiff1d(history.at(), present), 3, replace=False)
        box = [low * nm / resolution, high * nm / resolution]
        _, (warning,) = heard(
            lambda box=box, ids=absent: client.segmentation_cutout(box, ids, timestamp=when(end), resolution=resolution)
        )
        for one in warning.message.absent:
            chunks = np.unique(layout.chunk_of(history.leaves(one.root_id)), axis=0)
            starts = origin + chunks * layout.chunk_size
            stops = np.minimum(starts + layout.chunk_size, bounds[1])
            gaps = np.maximum(np.maximum(starts - high, low - stops), 0) * nm
            distances = np.sqrt((gaps**2).sum(axis=1))
            assert one.nearest.distance == pytest.approx(distances.min())
            assert one.nearest.resolution == tuple(resolution)
            centers = (starts + stops) / 2 * nm
            off = np.abs(centers[np.isclose(distances, distances.min())] - one.nearest.nm)
            assert (off <= resolution).all(axis=1).any()
            # The place given is in a chunk that the object is in.
            inside = (np.array(one.nearest.nm) + resolution / 2) / nm
            assert any(np.all((a <= inside) & (inside < b)) for a, b in zip(starts, stops, strict=True))
            tried += 1
    assert tried == 24


def test_many_that_lie_elsewhere_are_one_question(datastack: Any, live: Any) -> None:
    server, client = live
    low = np.array(datastack.middle)
    end = datastack.history.operations[-1].time
    far = np.setdiff1d(datastack.history.at(), datastack.roots(low, low + 10, end))
    assert far.size > 20
    client.segmentation_cutout([low, low + 10], timestamp=when(end))
    server.requests.clear()
    _, (warning,) = heard(lambda: client.segmentation_cutout([low, low + 10], far, timestamp=when(end)))
    assert {one.reason for one in warning.message.absent} == {"elsewhere"}
    assert questions(server) == {"is_latest_roots": 1}


def test_a_box_beyond_the_data(datastack: Any, live: Any, whole: Any) -> None:
    _, client = live
    op = datastack.history.operations[0]
    box = [np.array(whole[1]) - [1, 1, 1], np.array(whole[1]) + 20]
    _, caught = heard(lambda: client.segmentation_cutout(box, op.before, timestamp=when(op.time)))
    assert {one.reason for one in caught[0].message.absent} == {"retired"}


def test_zero_is_no_id_to_miss(datastack: Any, live: Any) -> None:
    _, client = live
    low = np.array(datastack.middle)
    root = int(np.unique(datastack.roots(low, low + 1))[-1])
    _, caught = heard(lambda: client.segmentation_cutout([low, low + 1], [0, root]))
    assert not caught


# ---- requests ---------------------------------------------------------------------------------------------------


def test_ids_that_are_there_need_no_proof(datastack: Any, live: Any, chunk_requests: Any) -> None:
    server, client = live
    low = np.array(datastack.middle)
    end = datastack.history.operations[-1].time
    present = np.unique(datastack.roots(low, low + 20, end))[1:]
    client.segmentation_cutout(low, bbox_size=(1, 1))  # opened
    for options in ({}, {"follow": True}, {"missing": "raise"}):
        ic.clear_cache()
        server.requests.clear()
        client.segmentation_cutout([low, low + 20], present, timestamp=when(end), **options)
        assert questions(server) == {"roots_binary": 1}
        # Two round trips: chunks all at once, then roots.
        order = ["roots" if path.endswith("roots_binary") else "chunk" for path in server.requests.paths]
        assert order == ["chunk"] * len(chunk_requests(server)) + ["roots"]


def test_what_each_case_asks(datastack: Any, live: Any, whole: Any) -> None:
    server, client = live
    history = datastack.history
    op = history.operations[3]
    low = np.array(datastack.middle)
    client.segmentation_cutout(whole, timestamp=when(op.time))
    far = np.setdiff1d(history.at(op.time), datastack.roots(low, low + 10, op.time))[:2]
    cases = {
        "stale": (whole, op.before, {"is_latest_roots": 1, "root_timestamps": 2, "leaves_many": 2}),
        "elsewhere": ([low, low + 10], far, {"is_latest_roots": 1, "leaves_many": 1}),
        "unknown": (
            [low, low + 10],
            [int(far.max()) + 10**6],
            {"is_latest_roots": 1, "leaves_many": 2, "root_timestamps": 2, "valid_nodes": 1},
        ),
        "no object": ([low, low + 10], [int(history.supervoxels[0]), 7], {}),
    }
    for name, (box, ids, asked) in cases.items():
        server.requests.clear()
        _, caught = heard(lambda box=box, ids=ids: client.segmentation_cutout(box, ids, timestamp=when(op.time)))
        assert len(caught) == 1
        assert questions(server) == asked, name
        server.requests.clear()
        _, again = heard(lambda box=box, ids=ids: client.segmentation_cutout(box, ids, timestamp=when(op.time)))
        assert str(again[0].message) == str(caught[0].message)
        assert "is_latest_roots" not in questions(server)  # remembered, as the moment is past
        server.requests.clear()
        client.segmentation_cutout(box, ids, timestamp=when(op.time), missing="fill")
        assert not questions(server), name


# ---- policies ---------------------------------------------------------------------------------------------------


def test_fill_is_silent_and_raise_raises(datastack: Any, live: Any, whole: Any) -> None:
    _, client = live
    op = datastack.history.operations[3]
    options = {"root_ids": [*op.before, UNKNOWN], "timestamp": when(op.time)}
    got, caught = heard(lambda: client.segmentation_cutout(whole, missing="fill", **options))
    assert not caught
    assert not got.any()
    with pytest.raises(MissingDataError, match=str(op.before[0])) as error:
        client.segmentation_cutout(whole, missing="raise", **options)
    assert [one.reason for one in error.value.absent] == ["retired"] * len(op.before) + ["unknown"]
    assert error.value.absent[0].successors
    assert "is no id of this graph" in str(error.value)
    assert str(error.value).endswith("follow=True takes what has the same voxels")


# ---- following --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["merge", "split", "undo"])
def test_following_there_and_back(datastack: Any, live: Any, whole: Any, route: int, kind: str) -> None:
    _, client = live
    history = datastack.history
    op = next(op for op in history.operations if op.kind == kind)
    for asked, moment, heirs in ((op.before, op.time, op.after), (op.after, op.time - 1e-6, op.before)):
        truth = datastack.roots(*whole, moment)
        expected = np.where(np.isin(truth, heirs), truth, 0)
        options = {"root_ids": asked, "timestamp": when(moment), "follow": True}
        got, (warning,) = heard(lambda options=options: client.segmentation_cutout(whole, **options))
        assert np.array_equal(got, expected.astype(np.int64))
        assert warning.filename == __file__
        words = str(warning.message)
        assert all(str(one) in words for one in (*asked, *heirs))
        who = "the id asked for is" if len(asked) == 1 else f"{len(asked)} of the {len(asked)} ids asked for are"
        assert words.startswith(f"{who} not valid at")
        assert {s.root_id for one in warning.message.stale for s in one.successors} == set(heirs)
        masks, _ = heard(lambda options=options: client.split_segmentation_cutout(whole, **options))
        assert set(masks) == set(heirs)
        both, _ = heard(lambda options=options: client.image_and_segmentation_cutout(whole, **options))
        assert np.array_equal(both[1], expected.astype(np.int64))
        cut, _ = heard(lambda options=options: client.cutout(bounds=whole, **options))
        assert np.array_equal(cut.segmentation, expected)
        assert set(cut.masks) == set(heirs)


def test_following_takes_those_in_the_box_and_leaves_the_rest(datastack: Any, live: Any, whole: Any) -> None:
    server, client = live
    history = datastack.history
    end = history.operations[-1].time
    everything = datastack.roots(*whole, end)
    early = datastack.roots(*whole, history.oldest)
    gone = np.setdiff1d(np.unique(early), np.append(np.unique(everything), np.uint64(0)))
    rng = np.random.default_rng(3)
    for _ in range(100):
        low = rng.integers(whole[0], np.array(whole[1]) - [60, 60, 6])
        high = low + [60, 60, 6]
        then, now = (datastack.roots(low, high, t) for t in (history.oldest, end))
        here, elsewhere = np.intersect1d(gone, then), np.setdiff1d(gone, then)
        if here.size and elsewhere.size and np.setdiff1d(now[now != 0], now[np.isin(then, here)]).size:
            break
    present = np.setdiff1d(now[now != 0], now[np.isin(then, here)])[:1]
    assert here.size
    assert elsewhere.size
    heirs = np.unique(now[np.isin(then, here)])
    ids = [*here.tolist(), *elsewhere.tolist(), *present.tolist(), UNKNOWN]
    options = {"root_ids": ids, "timestamp": when(end), "follow": True}
    got, caught = heard(lambda: client.segmentation_cutout([low, high], **options))
    kept = np.union1d(heirs, present)
    assert np.array_equal(got, np.where(np.isin(now, kept), now, 0).astype(np.int64))
    assert [one.root_id for one in caught[0].message.absent] == here.tolist()
    rest = caught[1].message.absent
    assert {one.root_id: one.reason for one in rest} == {
        **dict.fromkeys(elsewhere.tolist(), "retired"),
        UNKNOWN: "unknown",
    }
    with pytest.raises(MissingDataError) as error, pytest.warns(IdWarning, match="replaced"):
        client.segmentation_cutout([low, high], missing="raise", **options)
    assert error.value.absent == rest
    server.requests.clear()
    silent, caught = heard(lambda: client.segmentation_cutout([low, high], missing="fill", **options))
    assert not caught
    assert np.array_equal(silent, got)


def test_following_satisfies_the_strict(datastack: Any, live: Any, whole: Any) -> None:
    _, client = live
    op = datastack.history.operations[3]
    options = {"root_ids": op.before, "timestamp": when(op.time), "follow": True, "missing": "raise"}
    with pytest.warns(IdWarning, match="replaced by what has the same voxels"):
        assert client.segmentation_cutout(whole, **options).any()


def test_files_of_masks_follow_too(datastack: Any, live: Any, whole: Any, tmp_path: Path) -> None:
    _, client = live
    op = datastack.history.operations[3]
    options = {"root_ids": op.before, "timestamp": when(op.time), "follow": True, "missing": "fill"}
    client.save_segmentation_masks(f"{tmp_path}/a", whole, **options)
    client.save_image_and_segmentation_masks(f"{tmp_path}/b", whole, **options)
    for start in "ab":
        saved = {int(file.stem.rpartition("_")[2]) for file in tmp_path.glob(f"{start}_*root_id_*.png")}
        assert saved == set(op.after)


def test_there_is_nothing_to_follow_without_ids_or_moments(datastack: Any, live: Any, whole: Any) -> None:
    _, client = live
    for ids in ("all", None, [], 0):
        got, caught = heard(lambda ids=ids: client.segmentation_cutout(whole, ids, follow=True))
        assert not caught
        assert np.array_equal(got, client.segmentation_cutout(whole, ids))
    flat = ic.ImageryClient(segmentation_source=datastack.folder / "supervoxels", resolution=datastack.fine)
    one = int(datastack.history.supervoxels[0])
    _, (warning,) = heard(lambda: flat.segmentation_cutout(whole, [one, 5], follow=True))
    assert "1 of the 2 ids asked for have no voxel" in str(warning.message)
    assert "they may lie elsewhere" in str(warning.message)
    assert warning.message.absent == ()


# ---- servers differ ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["is_latest_roots", "leaves_many", "root_timestamps"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 404},
        {"status": 400},
        {"status": 401},
        {"status": 403},
        {"status": 500},
        {"status": 503},
        {"body": b"{}", "headers": PLAIN},
        {"body": b"<html>", "headers": PLAIN},
        {"body": b'{"is_latest": [1.5], "timestamp": ["a"]}', "headers": PLAIN},
    ],
    ids=["404", "400", "401", "403", "500", "503", "empty", "page", "nonsense"],
)
def test_a_graph_that_does_not_explain_leaves_the_cutout_as_it_is(
    datastack: Any, live: Any, call: str, fault: dict[str, Any]
) -> None:
    server, client = live
    op = datastack.history.operations[3]
    low = np.array(datastack.middle)
    server.faults = [Fault(call, **fault)]
    present = int(np.unique(datastack.roots(low, low + 10, op.time))[-1])
    options = {"root_ids": [present, *op.before], "timestamp": when(op.time)}
    for follow in (False, True):
        got, caught = heard(lambda more=follow: client.segmentation_cutout([low, low + 10], follow=more, **options))
        assert present in got
        assert any("have no voxel" in str(w.message) or "replaced" in str(w.message) for w in caught)


def test_servers_that_do_not_tell_ends(datastack: Any, live: Any, whole: Any) -> None:
    # PyChunkedGraph before 2.17 gives the births in place of the ends.
    server, client = live
    op = datastack.history.operations[3]
    births = datastack.history.root_timestamps(op.before).tolist()
    server.faults = [Fault("root_timestamps", body=json.dumps({"timestamp": births}).encode(), headers=PLAIN)]
    _, (warning,) = heard(lambda: client.segmentation_cutout(whole, op.before, timestamp=when(op.time)))
    for one, born in zip(warning.message.absent, births, strict=True):
        assert (one.reason, one.born, one.died) == ("retired", when(born), None)
        assert one.successors
        assert f"{one.root_id} is no longer valid, its voxels here belong to" in str(warning.message)


def test_unknown_ids_do_not_hide_what_is_known_of_others(datastack: Any, live: Any, whole: Any) -> None:
    server, client = live
    op = datastack.history.operations[3]
    strange = op.before[0] + 10**6
    for faults, known in (([], True), ([Fault("valid_nodes", status=404)], False)):
        server.faults = faults
        server.requests.clear()
        _, (warning,) = heard(lambda: client.segmentation_cutout(whole, [strange, *op.before], timestamp=when(op.time)))
        reasons = [one.reason for one in warning.message.absent]
        assert reasons == (["unknown"] + ["retired"] * len(op.before) if known else [])
        assert questions(server)["root_timestamps"] <= 4  # a 500 that is an answer is not asked for again


def test_ids_newer_than_a_public_table(datastack: Any, live: Any, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphene, "_LEAVES_COST", 0)
    # Public tables end at a moment: PyChunkedGraph refuses to tell the leaves of what was made since, with 401.
    server, client = live
    op = datastack.history.operations[-1]
    said = json.dumps({"code": 401, "message": "root_id not valid at timestamp"}).encode()
    server.faults = [Fault("leaves", status=401, body=said)]
    got, (warning,) = heard(lambda: client.segmentation_cutout(whole, op.after[0], timestamp=when(op.time - 1)))
    assert not got.any()
    assert warning.message.absent == (
        AbsentId(op.after[0], "unborn", when(op.time), None, datastack.history.layout.n_layers),
    )
    server.faults = [Fault("leaves", status=401)]
    with pytest.raises(ic.errors.AccessError):
        client.segmentation_cutout(whole, op.after[0], timestamp=when(op.time - 1))


class Public(DemoServer):
    """A table that ends at a moment, as those do that CAVE shows to everyone: later questions are about that moment."""

    ends = 0.0

    def _answer(self, request: Request) -> Reply:
        query = request.arguments
        if "timestamp" in query or "latest" in query:
            query["timestamp"] = repr(min(float(query.get("timestamp", 1e12)), self.ends))
            request = replace(request, query=urlencode(query))
        return super()._answer(request)


def test_a_public_table_that_has_ended(datastack: Any, whole: Any) -> None:
    history = datastack.history
    early, last = history.operations[3], history.operations[-1]
    with Public(datastack.folder) as server:
        server.ends = last.time - 1
        source = f"graphene://{server.url}/segmentation/table/{datastack.table}"
        client = ic.ImageryClient(segmentation_source=source, auth_token=datastack.token, resolution=datastack.fine)
        current = int(last.before[0])
        ids = [*early.before, *last.after, current]
        got, (warning,) = heard(lambda: client.segmentation_cutout(whole, ids))
        truth = datastack.roots(*whole, server.ends)
        assert np.array_equal(got, np.where(truth == current, truth, 0).astype(np.int64))
        fates = {one.root_id: one for one in warning.message.absent}
        assert list(fates) == [*early.before, *last.after]
        for root in early.before:
            assert fates[root].reason == "retired"
            assert fates[root].born == when(history.root_timestamps([root])[0])
            assert {share.root_id for share in fates[root].successors} <= set(np.unique(truth).tolist())
        for root in last.after:  # made since
            assert fates[root].stale
            assert fates[root].born == when(last.time)
            assert {share.root_id for share in fates[root].successors} <= set(last.before)
        elsewhere = np.setdiff1d(history.at(server.ends), datastack.roots(whole[0], np.add(whole[0], 20), server.ends))
        _, (warning,) = heard(lambda: client.segmentation_cutout([whole[0], np.add(whole[0], 20)], elsewhere[:3]))
        assert {one.reason for one in warning.message.absent} == {"elsewhere"}


def test_a_graph_that_does_not_say_how_ids_are_laid_out(datastack: Any, live: Any, whole: Any) -> None:
    server, client = live
    document = json.loads((datastack.folder / "supervoxels" / "info").read_text())
    table = {"data_dir": f"{server.url}/data/supervoxels", **document}
    server.faults = [Fault("table/.*info", body=json.dumps(table).encode(), headers=PLAIN)]
    op = datastack.history.operations[3]
    strange = op.before[0] + 10**6
    _, (warning,) = heard(lambda: client.segmentation_cutout(whole, [*op.before, strange], timestamp=when(op.time)))
    reasons = {one.root_id: one.reason for one in warning.message.absent}
    assert reasons == {**dict.fromkeys(op.before, "retired"), strange: "unknown"}
    assert {one.layer for one in warning.message.absent} == {None}
