"""Proofread segmentations: every voxel at every kind of moment, however asked, against a look-up voxel by voxel."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.cave import chunkedgraph
from imageryclient.demo.faults import Fault
from imageryclient.errors import ArgumentError, DamagedDataError, IdWarning, MissingDataError, NotFoundError
from imageryclient.volumes import graphene

UNKNOWN = 864691135341362885
PLAIN = (("Content-Encoding", "identity"),)  # in place of the gzip that an answer came in


def when(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1e6))


def moments(history: Any, rng: np.random.Generator) -> list[float]:
    """The beginning, the end, and around edits: exactly at them, the microsecond before, and between."""
    times = [op.time for op in history.operations]
    chosen = sorted(rng.choice(len(times), 10, replace=False).tolist())
    around = [t for n in chosen for t in (times[n], times[n] - 1e-6, times[n] + 0.25)]
    middles = [(a + b) / 2 for a, b in zip(times[::9], times[1::9], strict=False)]
    return [history.oldest, times[0] - 1e-6, *around, *middles, times[-1], times[-1] + 1e8]


def boxes(stack: Any, mip: int, rng: np.random.Generator, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random boxes in voxels of the mip that touch the data; thin, thick, partly outside."""
    shape, offset = np.array(stack.supervoxels[mip].shape), np.array(stack.offsets[mip])
    made = []
    for n in range(count):
        size = rng.integers(1, [90, 90, 20])
        if n % 3 == 0:
            size[rng.integers(3)] = 1
        low = offset + rng.integers(1 - size, shape) if n % 4 == 1 else offset + rng.integers(0, shape - 1)
        made.append((low, low + size))
    far = offset + shape
    made.append((far - [70, 50, 9], far))  # over the absent chunk, at mip 0
    return made


@pytest.fixture
def live(server: Callable[..., Any], connect: Callable[..., ic.ImageryClient]) -> tuple[Any, ic.ImageryClient]:
    running = server()
    return running, connect(running, missing="fill", timestamp=None)


def lookups(server: Any) -> list[Any]:
    return [request for request in server.requests if request.path.endswith("/roots_binary")]


@pytest.fixture(params=[0, 10**9], ids=["by leaves", "by look-up"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(graphene, "_LEAVES_COST", request.param)
    return request.param


# ---- every voxel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mip", [0, 1])
def test_every_voxel_at_every_kind_of_moment(datastack: Any, live: Any, mip: int) -> None:
    _, client = live
    rng = np.random.default_rng(mip)
    times = moments(datastack.history, rng)
    assert len(times) >= 25
    seen = set()
    unit = (datastack.fine, datastack.coarse)[mip]
    every = boxes(datastack, mip, rng, len(times) - 1)
    for time, (low, high) in zip(times, every, strict=True):
        got = client.segmentation_cutout([low, high], mip=mip, resolution=unit, timestamp=when(time))
        expected = datastack.roots(low, high, time, mip)
        assert got.dtype == np.int64
        assert np.array_equal(got, np.squeeze(expected).astype(np.int64))
        seen.update(np.unique(expected).tolist())
    changed = {root for op in datastack.history.operations for root in op.after}
    assert len(seen & changed) > 20  # or the moments would prove nothing


def test_an_edit_is_seen_from_its_own_moment_on(datastack: Any, live: Any) -> None:
    _, client = live
    history = datastack.history
    whole = [datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)]
    labels = np.unique(datastack.supervoxels[0])[1:]
    for op in history.operations[::13]:
        before, after = (
            np.unique(client.segmentation_cutout(whole, timestamp=when(t))) for t in (op.time - 1e-6, op.time)
        )
        assert set(before[1:]) == set(history.roots(labels, op.time - 1e-6).tolist())
        assert not set(op.before) & set(after.tolist())
        assert set(after[1:]) == set(history.roots(labels, op.time).tolist())


def test_the_absent_chunk_is_said_and_zero(datastack: Any, live: Any) -> None:
    _, client = live
    far = np.add(datastack.offsets[0], datastack.supervoxels[0].shape)
    cut = client.cutout(bounds=[far - [30, 40, 8], far], timestamp=datastack.late)
    expected = datastack.roots(far - [30, 40, 8], far, datastack.late.timestamp())
    assert np.array_equal(cut.segmentation, expected)
    mask = cut.coverage["segmentation"].mask()
    assert not expected[~mask].any()
    assert 0 < mask.mean() < 1
    assert expected[mask].all(axis=None) or (expected[mask] == 0).mean() < 0.5


# ---- which ids --------------------------------------------------------------------------------------------------


def test_no_ids_gives_supervoxels_and_asks_the_graph_nothing(datastack: Any, live: Any) -> None:
    server, client = live
    for mip in (0, 1):
        for low, high in boxes(datastack, mip, np.random.default_rng(5), 6):
            unit = (datastack.fine, datastack.coarse)[mip]
            got = client.segmentation_cutout([low, high], None, mip=mip, resolution=unit)
            assert np.array_equal(got, np.squeeze(datastack.labels(low, high, mip)).astype(np.int64))
    assert not lookups(server)


def test_some_ids_by_both_routes(datastack: Any, live: Any, route: int) -> None:
    server, client = live
    history = datastack.history
    rng = np.random.default_rng(8)
    stale = history.operations[0].before[0]
    unborn = history.operations[-1].after[0]
    for n, time in enumerate(moments(history, rng)[::3]):
        mip = n % 2
        low, high = boxes(datastack, mip, rng, 1)[n % 2]
        truth = datastack.roots(low, high, time, mip)
        present = np.unique(truth)[1:]
        if not present.size:
            continue
        one = int(rng.choice(present))
        asked = {
            "int": one,
            "text": str(one),
            "numpy": np.uint64(one),
            "many": rng.choice(present, min(7, present.size), replace=False),
            "strangers": [one, stale, unborn, UNKNOWN, 1],
            "nothing": [],
            "zero": [0, one],
        }
        for name, ids in asked.items():
            server.requests.clear()
            got = client.segmentation_cutout(
                [low, high],
                ids,
                mip=mip,
                resolution=(datastack.fine, datastack.coarse)[mip],
                timestamp=when(time),
            )
            wanted = np.atleast_1d(np.array(ids, dtype=object)).astype(np.uint64)
            expected = np.where(np.isin(truth, wanted), truth, 0)
            assert np.array_equal(got, np.squeeze(expected).astype(np.int64)), (name, time)
            assert len(lookups(server)) <= 1
            leaves = [path for path in server.requests.paths if "/leaves" in path]
            assert len(leaves) == (0 if route else np.count_nonzero(wanted))


def test_roots_that_come_or_went_have_no_voxel_even_if_the_server_calls_them_latest(
    datastack: Any, live: Any, route: int
) -> None:
    # Older PyChunkedGraphs say of a root that is made later, or that never was, that it is the latest.
    server, client = live
    server.faults = [Fault("is_latest_roots", body=b'{"is_latest": [true, true]}', headers=PLAIN)]
    history = datastack.history
    for op in history.operations[::8]:
        whole = [datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)]
        before = client.segmentation_cutout(whole, op.after, timestamp=when(op.time - 1e-6))
        after = client.segmentation_cutout(whole, op.before, timestamp=when(op.time))
        assert not before.any()
        assert not after.any()
        now = client.segmentation_cutout(whole, op.after, timestamp=when(op.time))
        truth = history.roots(datastack.supervoxels[0], op.time)
        assert np.array_equal(now, np.where(np.isin(truth, op.after), truth, 0).astype(np.int64))


def test_ids_that_are_not_there_are_named_once(datastack: Any, server: Any, connect: Any, route: int) -> None:
    client = connect(server())
    low, high = np.array(datastack.middle) - [20, 20, 0], np.array(datastack.middle) + [20, 20, 1]
    present = np.unique(datastack.roots(low, high, datastack.late.timestamp()))[1:]
    stale = datastack.history.operations[0].before[0]
    with pytest.warns(IdWarning) as caught:
        client.segmentation_cutout([low, high], [int(present[0]), stale, UNKNOWN])
    assert len(caught) == 1
    words = str(caught[0].message)
    assert "2 of the 3 ids" in words
    assert str(stale) in words
    assert f"{datastack.late:%Y-%m-%d %H:%M:%S} UTC" in words
    assert caught[0].filename == __file__
    with pytest.raises(MissingDataError, match=str(UNKNOWN)):
        client.segmentation_cutout([low, high], [UNKNOWN], missing="raise")


# ---- requests ---------------------------------------------------------------------------------------------------


def test_one_look_up_for_a_cutout(datastack: Any, live: Any) -> None:
    server, client = live
    around = [np.array(datastack.middle) - 30, np.array(datastack.middle) + [30, 30, -10]]
    for call in (
        lambda: client.segmentation_cutout(around),
        lambda: client.split_segmentation_cutout(around),
        lambda: client.image_and_segmentation_cutout(around),
        lambda: client.cutout(bounds=around),
        lambda: client.segmentation_cutout(around, scale_to_bounds=True, resolution=datastack.fine),
    ):
        server.requests.clear()
        call()
        (request,) = lookups(server)
        asked = np.frombuffer(request.body, "<u8").tolist()
        assert len(set(asked)) == len(asked)
        assert set(np.unique(datastack.labels(*around))[1:].tolist()) <= set(asked)
        # Of the encoding's blocks of 8 that the box touches, not of whole chunks.
        assert set(asked) <= set(np.unique(datastack.labels(around[0] - 7, around[1] + 7)).tolist())


def test_large_look_ups_come_in_batches_of_one_moment(
    datastack: Any, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = live
    monkeypatch.setattr(chunkedgraph, "BATCH", 50)
    whole = [datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)]
    labels = np.unique(datastack.supervoxels[0])[1:]
    got = client.segmentation_cutout(whole)
    assert np.array_equal(got, datastack.history.roots(datastack.supervoxels[0]).astype(np.int64))
    requests = lookups(server)
    assert len(requests) == -(-labels.size // 50)
    assert len({request.arguments["timestamp"] for request in requests}) == 1


# ---- moments ----------------------------------------------------------------------------------------------------


def test_moments_in_every_form(datastack: Any, live: Any) -> None:
    server, client = live
    op = datastack.history.operations[20]
    moment = when(op.time)
    around = [datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)]
    expected = datastack.roots(*around, op.time).astype(np.int64)
    assert not np.array_equal(expected, datastack.roots(*around, op.time - 1).astype(np.int64))
    forms = [
        moment,
        moment.replace(tzinfo=None),
        moment.astimezone(timezone(timedelta(hours=5, minutes=30))),
        int(op.time),
        float(op.time),
        np.float64(op.time),
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S}Z",
        np.datetime64(moment.replace(tzinfo=None)),
    ]
    for form in forms:
        ic.clear_cache()
        server.requests.clear()
        assert np.array_equal(client.segmentation_cutout(around, timestamp=form), expected), form
        assert [request.arguments["timestamp"] for request in lookups(server)] == [str(int(op.time))]
    with pytest.raises(ArgumentError, match="yesterday"):
        client.segmentation_cutout(around, timestamp="yesterday")


def test_now_is_frozen_when_the_client_is_made(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    frozen, live = connect(running, timestamp="now"), connect(running, timestamp=None)
    assert frozen.timestamp.tzinfo is UTC
    first, second = (frozen.cutout(datastack.middle, (8, 8)) for _ in range(2))
    assert first.timestamp == second.timestamp == frozen.timestamp
    early, late = (live.cutout(datastack.middle, (8, 8)) for _ in range(2))
    assert frozen.timestamp < early.timestamp < late.timestamp
    assert early.timestamp.timestamp() <= live.timestamp


def test_the_version_of_a_caveclient_counts_at_each_call(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    history = datastack.history
    caveclient = cave(running, version=1)
    client = ic.ImageryClient(client=caveclient, missing="fill", resolution=datastack.fine)
    whole = [datastack.offsets[0], np.add(datastack.offsets[0], datastack.supervoxels[0].shape)]
    for version in (1, 4, 2):
        caveclient.version = version
        moment = history.versions[version]
        assert np.array_equal(client.segmentation_cutout(whole), datastack.roots(*whole, moment).astype(np.int64))
        assert client.timestamp == when(moment)
        assert client.cutout(bounds=whole).timestamp == when(moment)
    fixed = ic.ImageryClient(client=caveclient, timestamp=when(history.oldest), resolution=datastack.fine)
    assert fixed.cutout(datastack.middle, (8, 8)).timestamp == when(history.oldest)


def test_a_moment_before_the_graph_is_refused(datastack: Any, live: Any, route: int) -> None:
    server, client = live
    around = [np.array(datastack.middle) - 10, np.array(datastack.middle) + 5]
    early = when(datastack.history.oldest - 1)
    with pytest.raises(ArgumentError, match="later timestamp") as caught:
        client.segmentation_cutout(around, timestamp=early)
    assert early.isoformat() in str(caught.value)
    assert when(datastack.history.oldest).isoformat() in str(caught.value)
    assert len(lookups(server)) == 1
    root = int(np.unique(datastack.roots(*around))[1])
    with pytest.raises(ArgumentError, match="later timestamp"):
        client.segmentation_cutout(around, root, timestamp=early)


# ---- answers that are wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        lambda n: Fault("roots_binary", truncate=20),
        lambda n: Fault("roots_binary", garbage=True),
        lambda n: Fault("roots_binary", shorten=20),
        lambda n: Fault("roots_binary", body=bytes(8 * n), headers=PLAIN),
        lambda n: Fault("roots_binary", body=bytes(8 * n - 8), headers=PLAIN),
        lambda n: Fault("roots_binary", body=np.random.default_rng(1).bytes(8 * n), headers=PLAIN),
        lambda n: Fault("roots_binary", body=b"<html>welcome</html>", headers=PLAIN),
        lambda n: Fault("roots_binary", body=b"", headers=PLAIN),
    ],
    ids=["breaks off", "garbage", "short", "zeros", "one too few", "no roots", "a page", "empty"],
)
def test_wrong_answers_are_asked_again_then_raised(datastack: Any, live: Any, broken: Any) -> None:
    server, client = live
    around = [np.array(datastack.middle) - 10, np.array(datastack.middle) + 5]
    labels = np.unique(datastack.labels(*around))
    fault = broken(np.count_nonzero(labels))
    for times in (1, 2):
        ic.clear_cache()
        server.faults = [Fault(**{**_fields(fault), "times": times})]
        got = client.segmentation_cutout(around, timestamp=datastack.late)
        assert np.array_equal(got, datastack.roots(*around, datastack.late.timestamp()).astype(np.int64))
    ic.clear_cache()
    server.faults = [fault]
    server.requests.clear()
    with pytest.raises(DamagedDataError, match="roots_binary") as caught:
        client.segmentation_cutout(around, timestamp=datastack.late)
    assert server.url in str(caught.value)
    assert len(lookups(server)) <= 6


def _fields(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in Fault.__slots__}


def test_a_server_that_does_not_tell_its_oldest_moment(datastack: Any, live: Any) -> None:
    server, client = live
    around = [np.array(datastack.middle) - 10, np.array(datastack.middle) + 5]
    for fault in (Fault("oldest", status=404), Fault("oldest", body=b'{"iso": "long ago"}', headers=PLAIN)):
        server.faults = [fault]
        with pytest.raises(DamagedDataError, match="do not belong together"):
            client.segmentation_cutout(around, timestamp=when(datastack.history.oldest - 1))


def test_an_unknown_table_and_an_address_without_one(datastack: Any, server: Any) -> None:
    url = server().url
    for source, words in (
        (f"graphene://{url}/segmentation/table/other", "check the name of the table"),
        (f"graphene://{url}/nowhere", "does not name a table"),
    ):
        client = ic.ImageryClient(segmentation_source=source, auth_token=datastack.token)
        with pytest.raises(ic.errors.SourceError, match=words) as caught:
            client.segmentation_cutout(datastack.middle, bbox_size=(8, 8))
        assert isinstance(caught.value, NotFoundError) == (words == "check the name of the table")


@pytest.mark.parametrize(
    "form",
    [
        "graphene://{}/segmentation/table/{}",
        "graphene://middleauth+{}/segmentation/table/{}",
        "graphene://{}/segmentation/1.0/{}",
        "graphene://{}/segmentation/api/v1/table/{}",
    ],
)
def test_forms_of_the_address(datastack: Any, server: Any, form: str) -> None:
    source = form.format(server().url, datastack.table)
    client = ic.ImageryClient(segmentation_source=source, auth_token=datastack.token, timestamp=datastack.late)
    low = np.array(datastack.middle)
    got = client.segmentation_cutout([low, low + 4])
    assert np.array_equal(got, datastack.roots(low, low + 4, datastack.late.timestamp()).astype(np.int64))


def test_roots_of_a_pinned_moment_are_asked_for_once_and_of_the_present_each_time(datastack, server, connect):
    running = server()
    client = connect(running, timestamp=None)
    where = {"bounds": datastack.middle, "bbox_size": (60, 50, 4)}

    def asked(**options) -> int:
        running.requests.clear()
        client.segmentation_cutout(**where, **options)
        return len(lookups(running))

    moments = [operation.time + 0.5 for operation in datastack.history.operations[5:8]]
    assert [asked(timestamp=moment) for moment in moments] == [1, 1, 1]
    assert [asked(timestamp=moment) for moment in moments] == [0, 0, 0]
    assert len(running.requests) == 0  # no chunk either
    assert asked(timestamp=moments[0], mip=1) <= 1
    assert [asked(), asked()] == [1, 1]
    ic.clear_cache()
    assert asked(timestamp=moments[0]) == 1


def test_what_is_remembered_of_a_moment_never_answers_for_another(datastack, server, connect):
    running = server()
    client = connect(running, missing="fill")
    low = np.array(datastack.offsets[0])
    high = low + datastack.supervoxels[0].shape
    moments = [operation.time + 0.5 for operation in datastack.history.operations]

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(12):
            moment = float(rng.choice(moments))
            start = rng.integers(low, high - 8)
            stop = start + rng.integers(1, 9, 3)
            got = client.segmentation_cutout([start, stop], timestamp=moment)
            assert np.array_equal(got.astype(np.uint64), np.squeeze(datastack.roots(start, stop, moment)))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
