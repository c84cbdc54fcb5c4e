"""Moments: in every form, in several time zones, to the second at the edit itself, and where there can be none."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import imageryclient as ic
from imageryclient import moment as moments
from imageryclient.demo.faults import Fault
from imageryclient.errors import ArgumentError, IdWarning
from imageryclient.moment import format_moment, is_settled, parse_moment, unix_seconds
from imageryclient.volumes import graphene

ZONES = ("UTC", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Chatham")


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The local time zone, in turn each of several."""
    if not hasattr(time, "tzset"):
        pytest.skip("the local time zone cannot be set here")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def whole(stack: Any) -> list[Any]:
    return [stack.offsets[0], np.add(stack.offsets[0], stack.supervoxels[0].shape)]


def forms(instant: datetime) -> dict[str, Any]:
    """One moment in every form there is; naive ones are UTC."""
    naive = instant.astimezone(UTC).replace(tzinfo=None)
    made = {
        "aware": instant,
        "naive": naive,
        "behind": instant.astimezone(timezone(timedelta(hours=-9, minutes=-30))),
        "zone": instant.astimezone(ZoneInfo("Asia/Kolkata")),
        "float": instant.timestamp(),
        "numpy float": np.float64(instant.timestamp()),
        "text": instant.isoformat(),
        "text in Z": naive.isoformat() + "Z",
        "text without zone": naive.isoformat(" "),
        "text of a zone": instant.astimezone(ZoneInfo("America/Los_Angeles")).isoformat(),
        "numpy": np.datetime64(naive),
        "numpy in ns": np.datetime64(naive, "ns"),
    }
    if not instant.microsecond:
        made |= {"int": int(instant.timestamp()), "numpy int": np.int64(instant.timestamp())}
    return made


def test_every_form_in_every_time_zone_at_an_edit(datastack: Any, server: Any, connect: Any, zone: str) -> None:
    running = server()
    client = connect(running, missing="fill")
    pandas = pytest.importorskip("pandas")
    op = datastack.history.operations[20]
    before, after = (datastack.roots(*whole(datastack), t).astype(np.int64) for t in (op.time - 1, op.time))
    assert not np.array_equal(before, after)
    cases = {0: after, 1: after, -1: before, 1e-6: after, -1e-6: before, 0.5: after, -0.001: before}
    for shift, expected in cases.items():
        instant = datetime.fromtimestamp(op.time, UTC) + timedelta(microseconds=round(shift * 1e6))
        named = forms(instant)
        named["pandas"] = pandas.Timestamp(instant)
        named["pandas in a zone"] = pandas.Timestamp(instant).tz_convert("Europe/Berlin")
        named["naive pandas"] = pandas.Timestamp(instant.replace(tzinfo=None))
        for name, form in named.items():
            assert parse_moment(form) == instant, (name, zone)
            assert type(parse_moment(form)) is datetime
        for name in ("naive", "zone", "naive pandas"):
            got = client.segmentation_cutout(whole(datastack), timestamp=named[name])
            assert np.array_equal(got, expected), (name, shift, zone)
    sent = {request.arguments["timestamp"] for request in running.requests if "roots_binary" in request.path}
    assert len(sent) == len(cases)  # one look-up for each moment, whatever its form


def test_the_caveclient_in_every_time_zone(datastack: Any, server: Any, cave: Any, zone: str) -> None:
    running = server()
    history = datastack.history
    caveclient = cave(running, version=1)
    client = ic.ImageryClient(caveclient, missing="fill", resolution=datastack.fine)
    for version in (1, 3, 2):
        caveclient.version = version
        cut = client.cutout(bounds=whole(datastack))
        assert cut.timestamp == client.timestamp == datetime.fromtimestamp(history.versions[version], UTC)
        assert np.array_equal(cut.segmentation, datastack.roots(*whole(datastack), history.versions[version]))
        # CAVEclient's own look-ups see the same.
        theirs = caveclient.chunkedgraph.get_roots(history.supervoxels)
        assert np.array_equal(theirs, history.at(cut.timestamp.timestamp()))
    given = client.cutout(bounds=whole(datastack), timestamp=history.operations[4].time)
    assert given.timestamp == datetime.fromtimestamp(history.operations[4].time, UTC)


def test_hours_that_come_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    assert parse_moment(second) - parse_moment(first) == timedelta(hours=1)
    pandas = pytest.importorskip("pandas")
    assert parse_moment(pandas.Timestamp(second)) == parse_moment(second)
    assert parse_moment(pandas.Timestamp("2024-05-01 12:00:00.123456789")).microsecond == 123456
    with pytest.raises(ArgumentError, match="NaT"):
        parse_moment(pandas.NaT)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1714564800000, "milliseconds"),
        (1.7145648e18, "milliseconds"),
        (np.float32(1.7e9), "float64"),
        ("1714564800", "ISO text"),
        (datetime(2024, 5, 1).date(), "unix seconds"),
    ],
)
def test_what_is_meant_is_guessed(value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        parse_moment(value)


def test_seconds_before_the_epoch() -> None:
    assert unix_seconds(parse_moment(-0.5)) == "-0.5"
    assert unix_seconds(parse_moment(-86400)) == "-86400"
    assert format_moment(parse_moment("1969-12-31T23:59:59.5Z")) == "1969-12-31 23:59:59.5 UTC"


# ---- the present and the future ---------------------------------------------------------------------------------


def lookups(server: Any) -> int:
    return sum(request.path.endswith("/roots_binary") for request in server.requests)


def test_what_is_remembered_is_so_far_past_that_no_edit_can_come_before_it(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = server()
    client = connect(running)
    present = datetime.now(UTC)
    monkeypatch.setattr("imageryclient.dataset.now", lambda: present)
    for minutes, asked in ((0, 2), (1, 2), (4, 2), (6, 1), (600, 1)):
        instant = present - timedelta(minutes=minutes)
        assert is_settled(instant, present) == (asked == 1)
        running.requests.clear()
        for _ in range(2):
            client.segmentation_cutout(datastack.middle, bbox_size=(20, 20), timestamp=instant)
        assert lookups(running) == asked, minutes


def test_a_moment_in_the_future_is_that_of_the_present_and_says_so(datastack: Any, server: Any, connect: Any) -> None:
    running = server()
    client = connect(running)
    soon = datetime.now(UTC) + timedelta(days=365)
    calls = (
        lambda **more: client.segmentation_cutout(**more),
        lambda **more: client.split_segmentation_cutout(**more),
        lambda **more: client.image_and_segmentation_cutout(**more),
    )
    where = {"bounds": datastack.middle, "bbox_size": (40, 40)}
    expected = client.segmentation_cutout(**where)
    for call in calls:
        running.requests.clear()
        for missing in ("warn", "raise"):
            with pytest.warns(IdWarning, match="lies in the future") as caught:
                call(timestamp=soon, missing=missing, **where)
            assert len(caught) == 1
            assert caught[0].filename == __file__
            assert format_moment(soon) in str(caught[0].message)
        assert lookups(running) == 2  # never remembered
    with pytest.warns(IdWarning, match="future"):
        assert np.array_equal(client.segmentation_cutout(timestamp=soon, **where), expected)
    with pytest.warns(IdWarning, match="future"):
        cut = client.cutout(datastack.middle, (8, 8), timestamp=soon)
    assert cut.timestamp == soon
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.segmentation_cutout(timestamp=soon, missing="fill", **where)
        client.segmentation_cutout(root_ids=None, timestamp=soon, **where)  # supervoxels have no moment
        flat = ic.ImageryClient(segmentation_source=datastack.folder / "supervoxels", timestamp=soon)
        flat.segmentation_cutout(resolution=datastack.fine, **where)


def test_now_is_one_moment_for_a_call_and_moves_from_call_to_call(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = server()
    client = connect(running, timestamp=None)
    first = datetime(2026, 1, 1, tzinfo=UTC)
    ticks = iter(first + timedelta(seconds=n) for n in range(1000))
    monkeypatch.setattr(moments, "now", lambda: next(ticks))
    monkeypatch.setattr("imageryclient.dataset.now", lambda: next(ticks))
    stamps = []
    for _ in range(3):
        running.requests.clear()
        cut = client.cutout(datastack.middle, (60, 60))
        sent = {r.arguments["timestamp"] for r in running.requests if r.path.endswith("/roots_binary")}
        assert sent == {unix_seconds(cut.timestamp)}
        stamps.append(cut.timestamp)
    assert stamps == sorted(set(stamps))
    assert client.cutout(datastack.middle, (8, 8), timestamp="now").timestamp > stamps[-1]


def test_the_moment_is_in_what_is_saved(datastack: Any, server: Any, connect: Any, tmp_path: Any) -> None:
    client = connect(server())
    cut = client.cutout(datastack.middle, (20, 20), timestamp=datastack.history.operations[7].time)
    (file,) = cut.save(tmp_path / "cut.npz")
    with np.load(file) as arrays:
        assert f'"timestamp": "{cut.timestamp.isoformat()}"' in str(arrays["metadata"])


# ---- before the beginning ---------------------------------------------------------------------------------------


def empty_box(stack: Any) -> list[Any]:
    """A box in which no voxel belongs to anything."""
    labels = stack.supervoxels[0]
    for x, y, z in np.argwhere(labels[::4, ::4, ::2] == 0) * [4, 4, 2]:
        if not labels[x : x + 4, y : y + 4, z : z + 2].any():
            low = np.add(stack.offsets[0], (x, y, z))
            return [low, low + [4, 4, 2]]
    raise AssertionError("there is no such box")


@pytest.mark.parametrize("cost", [0, 10**9], ids=["by leaves", "by look-up"])
def test_a_moment_before_the_graph_is_refused_on_every_route(
    datastack: Any, server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, cost: int
) -> None:
    monkeypatch.setattr(graphene, "_LEAVES_COST", cost)
    running = server()
    client = connect(running, missing="fill")
    early = datetime.fromtimestamp(datastack.history.oldest, UTC) - timedelta(microseconds=1)
    low = np.array(datastack.middle)
    root = int(np.unique(datastack.roots(low, low + [30, 30, 2]))[-1])
    far = [np.array(datastack.offsets[0]), np.array(datastack.offsets[0]) + 3]
    for bounds, ids in (
        ([low, low + [30, 30, 2]], "all"),
        ([low, low + [30, 30, 2]], root),
        (far, root),  # not in the box
        (far, 864691135012345678),  # nowhere
        (empty_box(datastack), "all"),
        (empty_box(datastack), root),
    ):
        with pytest.raises(ArgumentError, match="later timestamp") as caught:
            client.segmentation_cutout(bounds, ids, timestamp=early)
        assert early.isoformat() in str(caught.value)
        client.segmentation_cutout(bounds, ids, timestamp=early + timedelta(microseconds=1))
    oldest = [path for path in running.requests.paths if path.endswith("oldest_timestamp")]
    assert len(oldest) == 1  # a graph is asked once
    assert not client.segmentation_cutout(empty_box(datastack), None, timestamp=early).any()  # supervoxels are for ever


@pytest.mark.parametrize("answer", ["zeros", "supervoxels"])
def test_servers_differ_in_what_they_say_of_a_moment_before_the_graph(
    datastack: Any, server: Any, connect: Any, answer: str
) -> None:
    running = server()
    client = connect(running)
    low = np.array(datastack.middle)
    client.segmentation_cutout([low, low + 8])
    asked = np.frombuffer(running.requests[-1].body, "<u8")
    body = bytes(asked.nbytes) if answer == "zeros" else asked.tobytes()
    running.faults = [Fault("roots_binary", body=body, headers=(("Content-Encoding", "identity"),))]
    with pytest.raises(ArgumentError, match="does not reach back"):
        client.segmentation_cutout([low, low + 8], timestamp=datastack.history.oldest - 1)
