"""Points, whereabouts and changes of a client: against whole arrays, voxel by voxel, and the whole history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.cave import chunkedgraph
from imageryclient.demo.faults import Fault
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, downsample_labels, write_precomputed
from imageryclient.errors import (
    ArgumentError,
    BoundsError,
    DamagedDataError,
    IdWarning,
    MissingDataError,
    MissingDataWarning,
    OutOfBoundsError,
)
from imageryclient.progress import heard_by
from imageryclient.scales import Sharding


def at(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(seconds * 1e6))


def spread(stack: Any, count: int, seed: int, beyond: int = 0, mip: int = 0) -> np.ndarray:
    """Voxels anywhere in the data, and as far beyond them."""
    rng = np.random.default_rng(seed)
    offset, shape = np.array(stack.offsets[mip]), np.array(stack.supervoxels[mip].shape)
    return rng.integers(offset - beyond, offset + shape + beyond, (count, 3))


def stored(stack: Any, voxels: np.ndarray, mip: int = 0) -> np.ndarray:
    """The supervoxel of each voxel, by indexing the whole array; 0 beyond it."""
    array, inside = stack.supervoxels[mip], voxels - stack.offsets[mip]
    fits = np.all((inside >= 0) & (inside < array.shape), axis=1)
    ids = np.zeros(len(voxels), np.uint64)
    ids[fits] = array[tuple(inside[fits].T)]
    return ids


def roots_requests(server: DemoServer) -> list[str]:
    return [path for path in server.requests.paths if path.endswith("/roots_binary")]


@pytest.fixture
def live(server: Callable[..., DemoServer], connect: Callable[..., Any]) -> tuple[DemoServer, ic.ImageryClient]:
    running = server()
    return running, connect(running, missing="fill", timestamp=None)


# ---- points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mip", [0, 1])
def test_points_at_every_kind_of_moment(datastack: Any, live: Any, mip: int) -> None:
    _, client = live
    history = datastack.history
    unit = (datastack.fine, datastack.coarse)[mip]
    xyz = spread(datastack, 4000, mip, beyond=9, mip=mip)
    labels = stored(datastack, xyz, mip)
    assert np.array_equal(client.supervoxels_at(xyz, resolution=unit, mip=mip), labels)
    times = [op.time for op in history.operations]
    for time in (history.oldest, times[0] - 1e-6, *times[::7], times[3] + 0.5, times[-1], times[-1] + 1e8):
        got = client.root_ids_at(xyz, resolution=unit, mip=mip, timestamp=at(time))
        assert got.dtype == np.uint64
        assert np.array_equal(got, history.roots(labels, time))


def test_moments_in_any_writing(datastack: Any, live: Any) -> None:
    _, client = live
    op = datastack.history.operations[7]
    xyz = spread(datastack, 500, 4)
    labels = stored(datastack, xyz)
    moment = at(op.time)
    for same in (
        op.time, int(op.time), moment, moment.replace(tzinfo=None), moment.isoformat(),
        moment.astimezone(timezone(timedelta(hours=-7))), moment.astimezone(timezone(timedelta(hours=5, minutes=30))),
    ):  # fmt: skip
        assert np.array_equal(client.root_ids_at(xyz, timestamp=same), datastack.history.roots(labels, op.time))
    before = client.root_ids_at(xyz, timestamp=moment - timedelta(seconds=1))
    assert np.array_equal(before, datastack.history.roots(labels, op.time - 1))


def test_the_moment_is_that_of_the_caveclients_version(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    xyz = spread(datastack, 300, 6)
    labels = stored(datastack, xyz)
    for version, moment in datastack.history.versions.items():
        client = ic.ImageryClient(cave(running, version=version), missing="fill")
        got = client.root_ids_at(xyz, resolution=(8, 8, 40))
        assert np.array_equal(got, datastack.history.roots(labels, moment))
        real = client._datastack.client.chunkedgraph.get_roots(labels)  # type: ignore[union-attr]
        assert np.array_equal(got, real)


@given(
    st.lists(st.tuples(*[st.floats(-30, 1200)] * 3), min_size=1, max_size=30),
    st.sampled_from([(8, 8, 40), (4, 4, 40), (1, 1, 1), (32, 32, 40), (12, 5, 100)]),
    st.sampled_from([0, 1]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_place_counts_for_the_voxel_that_holds_it(
    datastack: Any, fine_client: ic.ImageryClient, xyz: list[Any], unit: Any, mip: int
) -> None:
    grid = np.array((datastack.fine, datastack.coarse)[mip], dtype=np.float64)
    middle = np.array(datastack.middle) * datastack.fine / np.array(unit)
    points = middle + np.array(xyz) - 400
    voxels = np.floor(points * unit / grid + 1e-6).astype(np.int64)
    expected = stored(datastack, voxels, mip)
    try:
        got = fine_client.supervoxels_at(points, resolution=unit, mip=mip)
    except OutOfBoundsError:
        inside = np.all((voxels >= datastack.offsets[mip]), axis=1)
        assert not expected[inside].any()
    else:
        assert np.array_equal(got, expected)


@pytest.fixture(scope="module")
def fine_client(datastack: Any) -> ic.ImageryClient:
    source = str(datastack.folder / "supervoxels")
    return ic.ImageryClient(segmentation_source=source, resolution=datastack.fine, missing="fill")


def test_points_agree_with_cutouts(datastack: Any, live: Any) -> None:
    _, client = live
    low, high = np.array(datastack.middle) - [20, 20, 3], np.array(datastack.middle) + [21, 19, 3]
    cut = client.segmentation_cutout([low, high], timestamp=datastack.late)
    points = np.argwhere(np.ones(cut.shape, bool)) + low
    assert np.array_equal(client.root_ids_at(points, timestamp=datastack.late), cut.ravel())
    assert np.array_equal(client.root_ids_at(points + 0.99, timestamp=datastack.late), cut.ravel())


def test_one_point_none_and_twice_the_same(datastack: Any, live: Any) -> None:
    server, client = live
    one = client.root_ids_at(datastack.middle)
    assert one.shape == (1,)
    assert one[0] == client.root_ids_at([datastack.middle] * 5)[3] != 0
    server.requests.clear()
    assert client.root_ids_at([]).shape == (0,)
    assert client.supervoxels_at(np.empty((0, 3))).dtype == np.uint64
    assert not server.requests.paths


def test_ten_thousand_points_fetch_no_chunk_twice_and_ask_for_roots_once(
    datastack: Any, live: Any, chunk_requests: Any
) -> None:
    server, client = live
    xyz = spread(datastack, 10_000, 8)
    got = client.root_ids_at(xyz, timestamp=datastack.late)
    labels = stored(datastack, xyz)
    assert np.array_equal(got, datastack.history.roots(labels, datastack.late.timestamp()))
    chunks = Counter(chunk_requests(server))
    assert max(chunks.values()) == 1
    assert len(chunks) == 4 * 3 * 3
    assert len(roots_requests(server)) == 1
    (asked,) = (request for request in server.requests if request.path.endswith("/roots_binary"))
    assert asked.status == 200
    server.requests.clear()
    assert np.array_equal(client.root_ids_at(xyz[::-1], timestamp=datastack.late), got[::-1])
    assert not server.requests.paths  # chunks and roots are remembered


def test_many_supervoxels_take_several_requests(datastack: Any, live: Any, monkeypatch: Any) -> None:
    server, client = live
    monkeypatch.setattr(chunkedgraph, "BATCH", 100)
    xyz = spread(datastack, 2000, 9)
    labels = stored(datastack, xyz)
    got = client.root_ids_at(xyz)
    assert np.array_equal(got, datastack.history.roots(labels))
    assert len(roots_requests(server)) == -(-np.unique(labels[labels > 0]).size // 100)


def test_only_the_chunks_of_the_points_are_read(datastack: Any, live: Any, chunk_requests: Any) -> None:
    server, client = live
    offset = np.array(datastack.offsets[0])
    client.supervoxels_at([offset, offset + [200, 160, 30]])
    assert len(chunk_requests(server)) == 2


def test_points_far_apart_are_read_in_turns(datastack: Any, live: Any, chunk_requests: Any, monkeypatch: Any) -> None:
    from imageryclient.volumes import scattered

    monkeypatch.setattr(scattered, "_AT_ONCE", 5)
    server, client = live
    xyz = spread(datastack, 700, 10)
    assert np.array_equal(client.supervoxels_at(xyz), stored(datastack, xyz))
    assert max(Counter(chunk_requests(server)).values()) == 1


def test_progress_is_told(datastack: Any, live: Any, chunk_requests: Any) -> None:
    server, client = live

    class Counting:
        expected = done = 0

        def expect(self, chunks: int) -> None:
            self.expected += chunks

        def advance(self) -> None:
            self.done += 1

    with heard_by(listener := Counting()):
        client.supervoxels_at(spread(datastack, 500, 3))
    assert listener.expected == listener.done == len(chunk_requests(server))


# ---- points that are not there ----------------------------------------------------------------------------------


def test_what_is_missing_is_said_with_figures(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    far = np.add(datastack.offsets[0], datastack.supervoxels[0].shape)
    points = [datastack.middle, far - 1, far - 2, far + 5, [None] * 3, far + 50]
    with pytest.warns(MissingDataWarning) as caught:
        got = client.root_ids_at(points)
    (said,) = (str(one.message) for one in caught)
    assert "2 of 6 points lie outside the data, which span [100:305, 60:223, 7:44] at 8 x 8 x 40 nm" in said
    assert "2 of 6 points lie in chunks that were never written" in said
    assert "1 of 6 points have no position (rows 4)" in said
    assert caught[0].filename == __file__
    assert got[0] != 0
    assert not got[1:].any()
    with pytest.raises(MissingDataError, match="2 of 6 points lie outside"):
        client.root_ids_at(points, missing="raise")
    assert np.array_equal(client.root_ids_at(points, missing="fill"), got)


def test_the_resolution_that_would_fit_is_named(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    xyz = spread(datastack, 50, 2)
    fits = r"as voxels of 32 x 32 x 40 nm\. All would fit as voxels of 8 x 8 x 40 nm: pass resolution=\(8, 8, 40\)"
    with pytest.raises(OutOfBoundsError, match=f"all 50 points lie outside .* {fits}"):
        client.root_ids_at(xyz, resolution=(32, 32, 40))
    nm = xyz * np.array(datastack.fine)
    with pytest.raises(OutOfBoundsError, match=r"fit as voxels of 1 x 1 x 1 nm: pass resolution=\(1, 1, 1\)"):
        client.root_ids_at(nm)
    assert np.array_equal(client.root_ids_at(nm, resolution=(1, 1, 1)), client.root_ids_at(xyz))
    with pytest.warns(
        MissingDataWarning, match=r"50 of 51 points lie outside .* 50 of them would fit as voxels of 1 x 1 x 1"
    ):
        client.root_ids_at([*nm, [101, 61, 8]])


def test_rows_without_a_position_alone(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    with pytest.warns(MissingDataWarning, match=r"3 of 3 points have no position \(rows 0, 1, 2\)"):
        assert client.root_ids_at([None, None, None]).tolist() == [0, 0, 0]
    with pytest.raises(BoundsError, match="points must be"):
        client.root_ids_at([1, 2])


def test_points_need_a_segmentation(datastack: Any, server: Any, sources: Any) -> None:
    imagery = sources(server())["image_source"]
    with pytest.raises(ArgumentError, match="no segmentation"):
        ic.ImageryClient(image_source=imagery).root_ids_at([[1, 2, 3]])


def test_damage_is_fetched_again_then_an_error(datastack: Any, server: Any, connect: Any) -> None:
    once, ever = (server(faults=[Fault(r"/data/supervoxels/8_8_40/", shorten=90, times=n)]) for n in (2, None))
    expected = stored(datastack, np.array([datastack.middle]))
    assert np.array_equal(connect(once).supervoxels_at(datastack.middle), expected)
    with pytest.raises(DamagedDataError, match="chunk"):
        connect(ever).supervoxels_at(datastack.middle)
    broken = server(faults=[Fault("roots_binary$", body=b"1234567")])
    with pytest.raises(DamagedDataError, match="roots_binary"):
        connect(broken).root_ids_at(datastack.middle)


# ---- other volumes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_flat_segmentations_give_their_ids(tmp_path: Path, sharded: bool, encoding: str) -> None:
    labels = np.random.default_rng(0).integers(0, 2**63, (9, 8, 7), dtype=np.uint64).repeat(5, 0).repeat(5, 1)
    sharding = Sharding(1, "murmurhash3_x86_128", 2, 1, "gzip", "raw") if sharded else None
    absent = frozenset() if sharded else frozenset({(1, 0, 0)})
    layout = Layout(
        resolution=(8, 8, 40), voxel_offset=(3, 4, 5), chunk_size=(16, 16, 4), encoding=encoding, sharding=sharding,
        absent=absent,
    )  # fmt: skip
    write_precomputed(tmp_path, [(labels, layout)], kind="segmentation")
    client = ic.ImageryClient(segmentation_source=str(tmp_path), missing="fill")
    if not sharded:
        labels[16:32, :16, :4] = 0
    xyz = np.random.default_rng(1).integers(0, labels.shape, (600, 3))
    for got in (client.root_ids_at(xyz + [3, 4, 5]), client.supervoxels_at(xyz + [3, 4, 5])):
        assert np.array_equal(got, labels[tuple(xyz.T)])
    if absent:
        with pytest.warns(MissingDataWarning, match="of 600 points lie in chunks that were never written"):
            client.root_ids_at(xyz + [3, 4, 5], missing="warn")


def test_volumes_that_are_not_precomputed(datastack: Any) -> None:
    """Anything that reads blocks of ids."""
    from imageryclient.layers import Layer
    from imageryclient.volumes import open_volume

    inner = open_volume(str(datastack.folder / "supervoxels"))

    class Other:
        source, info, versioned = inner.source, inner.info, False

        def read(self, box: Any, scale: Any) -> Any:
            return inner.read(box, scale)

        def read_ids(self, box: Any, scale: Any, wanted: Any) -> Any:
            return inner.read_ids(box, scale, wanted)  # type: ignore[attr-defined]

    client = ic.ImageryClient(segmentation_source="precomputed://https://example.org", resolution=(8, 8, 40))
    other = Other()
    client._layers._opened["segmentation"] = Layer("segmentation", other, other.info.scales[0])
    xyz = spread(datastack, 800, 12, beyond=6)
    assert np.array_equal(client.root_ids_at(xyz, missing="fill"), stored(datastack, xyz))
    with pytest.warns(MissingDataWarning, match="never written"):
        client.supervoxels_at(xyz)


def test_arrays_at_hand(datastack: Any, monkeypatch: Any) -> None:
    from imageryclient.volumes import scattered

    monkeypatch.setattr(scattered, "_LARGEST", 20_000)
    options = {"resolution": datastack.fine, "voxel_offset": datastack.offsets[0], "missing": "fill"}
    client = ic.ImageryClient(segmentation_source=datastack.supervoxels[0], **options)
    xyz = spread(datastack, 900, 13, beyond=6)
    assert np.array_equal(client.root_ids_at(xyz), stored(datastack, xyz))
    voxels = np.argwhere(datastack.supervoxels[0] == stored(datastack, xyz).max()) + datastack.offsets[0]
    box = client.bounds_of(stored(datastack, xyz).max(), mip=0)
    assert (box.start, box.stop) == (tuple(voxels.min(axis=0)), tuple(voxels.max(axis=0) + 1))


# ---- where an object is -----------------------------------------------------------------------------------------


def boxes_of(stack: Any, root: int, moment: float) -> tuple[ic.Box, ic.Box]:
    """The box of an object's voxels (8 x 8 x 40 nm), and that of the graph chunks that hold its supervoxels."""
    history = stack.history
    mine = history.at(moment) == root
    labels = stack.supervoxels[0]
    voxels = labels[labels > 0]
    here = np.zeros(labels.shape, bool)
    here[labels > 0] = mine[np.searchsorted(history.supervoxels, voxels)]
    chunks = history.layout.chunk_of(history.supervoxels[mine])
    size, offset = np.array(history.layout.chunk_size), np.array(stack.offsets[0])
    whole = [chunks.min(axis=0) * size, np.minimum((chunks.max(axis=0) + 1) * size, labels.shape)]
    tight = whole
    if here.any():
        spans = [np.flatnonzero(here.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        tight = [np.array([span[0] for span in spans]), np.array([span[-1] + 1 for span in spans])]
    boxes = [ic.Box(*(tuple((c + offset).tolist()) for c in pair), (8.0, 8.0, 40.0)) for pair in (tight, whole)]
    return boxes[0], boxes[1]


def test_bounds_of_objects_at_several_moments(datastack: Any, live: Any) -> None:
    server, client = live
    history = datastack.history
    for time in (history.oldest, history.operations[11].time, history.operations[-1].time):
        for root in np.unique(history.at(time))[::14].tolist():
            tight, whole = boxes_of(datastack, root, time)
            server.requests.clear()
            assert client.bounds_of(root, timestamp=at(time)) == whole
            assert not [path for path in server.requests.paths if path.startswith("/data/")]
            if root in np.unique(history.roots(datastack.supervoxels[0], time)):
                assert client.bounds_of(root, timestamp=at(time), mip=0) == tight


def test_bounds_hold_what_the_real_caveclient_tells(datastack: Any, server: Any, cave: Any) -> None:
    running = server()
    layout = datastack.history.layout
    for version, moment in datastack.history.versions.items():
        real = cave(running, version=version)
        client = ic.ImageryClient(real, resolution=datastack.fine)
        for root in np.unique(datastack.history.at(moment))[3::20].tolist():
            places = layout.chunk_of(real.chunkedgraph.get_leaves(root, stop_layer=2))
            low = places.min(axis=0) * layout.chunk_size + datastack.offsets[0]
            high = (places.max(axis=0) + 1) * layout.chunk_size + datastack.offsets[0]
            box = client.bounds_of(root)
            assert box.start == tuple(low.tolist())
            assert box.stop == tuple(np.minimum(high, (305, 223, 44)).tolist())


def test_bounds_come_in_the_clients_voxels_or_others(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server(), resolution=(4, 4, 40))
    root = int(np.unique(datastack.history.at())[3])
    _, whole = boxes_of(datastack, root, datastack.late.timestamp())
    assert client.bounds_of(root) == whole.at((4.0, 4.0, 40.0))
    assert client.bounds_of(str(root), resolution=(8, 8, 40)) == whole
    assert client.bounds_of(np.uint64(root), resolution=(64, 64, 40)).resolution == (64.0, 64.0, 40.0)


def test_coarser_scales_give_the_box_seen_there(datastack: Any, live: Any) -> None:
    _, client = live
    late = datastack.late.timestamp()
    roots = datastack.history.roots(datastack.supervoxels[1], late)
    for root in np.unique(roots)[1::9].tolist():
        voxels = np.argwhere(roots == root) + datastack.offsets[1]
        box = client.bounds_of(root, mip=1, resolution=datastack.coarse, timestamp=datastack.late)
        assert (box.start, box.stop) == (tuple(voxels.min(axis=0)), tuple(voxels.max(axis=0) + 1))


def test_ids_that_are_no_objects_are_told_apart(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    history = datastack.history
    supervoxel, node = int(history.supervoxels[0]), int(history.nodes(2)[0])
    with pytest.raises(ArgumentError, match="is a supervoxel, not an object: those are of layer"):
        client.bounds_of(supervoxel)
    with pytest.raises(ArgumentError, match="is a node of layer 2, not an object"):
        client.bounds_of(node)
    for strange in (0, 12345, 2**63 + 5):
        with pytest.raises(ArgumentError, match="is no node of this graph"):
            client.bounds_of(strange)
    unknown = int(history.layout.compose(history.layout.n_layers, (0, 0, 0), 9999)[0])
    with pytest.raises(MissingDataError, match=f"knows no object {unknown}"):
        client.bounds_of(unknown)
    for wrong in ([], [1, 2], 1.5, "all", None, -1):
        with pytest.raises(ArgumentError):
            client.bounds_of(wrong)


def test_ids_of_other_moments(datastack: Any, server: Any, connect: Any) -> None:
    client = connect(server())
    op = datastack.history.operations[5]
    old, new = op.before[0], op.after[0]
    _, was = boxes_of(datastack, old, op.time - 1)
    _, later = boxes_of(datastack, new, op.time)
    for root, moment, box in ((old, op.time, was), (new, op.time - 1, later)):
        times = [datastack.history.root_timestamps([root])[0], datastack.history.end_timestamps([root])[0]]
        born, died = (f"{at(t):%Y-%m-%d %H:%M:%S} UTC" if np.isfinite(t) else "" for t in times)
        fate = f"was valid from {born} until {died}" if moment >= op.time else f"is only valid from {born} on"
        with pytest.warns(IdWarning, match=f"{root} is no object at .*: it {fate}"):
            assert client.bounds_of(root, timestamp=at(moment)) == box
        assert client.bounds_of(root, timestamp=at(moment), missing="fill") == box
        for options in ({"missing": "raise"}, {"mip": 0, "missing": "fill"}):
            with pytest.raises(MissingDataError, match=f"{root} is no object at"):
                client.bounds_of(root, timestamp=at(moment), **options)
    assert client.bounds_of(old, timestamp=at(op.time - 1)) == was


def test_graphs_whose_chunks_start_at_voxel_zero(datastack: Any, live: Any) -> None:
    _, client = live
    volume = client.volumes["segmentation"]
    root = int(np.unique(datastack.history.at())[3])
    _, whole = boxes_of(datastack, root, datastack.late.timestamp())
    volume.graph_origin = (36, 60, 7)  # type: ignore[attr-defined]
    moved = client.bounds_of(root, timestamp=datastack.late)
    assert moved.start[0] == max(100, whole.start[0] - 64)


def test_flat_objects_are_looked_for_from_the_coarsest_scale(tmp_path: Path) -> None:
    labels = np.zeros((96, 64, 16), np.uint64)
    labels[8:40, 8:24, 4:9] = 70
    labels[90:93, 5:6, 2:3] = 71
    small = downsample_labels(labels, (4, 4, 1))
    layouts = [Layout(resolution=(8, 8, 40), voxel_offset=(16, 8, 4), chunk_size=(32, 32, 8)),
               Layout(resolution=(32, 32, 40), voxel_offset=(4, 2, 4), chunk_size=(16, 16, 8))]  # fmt: skip
    write_precomputed(tmp_path, list(zip((labels, small), layouts, strict=True)), kind="segmentation")
    client = ic.ImageryClient(segmentation_source=str(tmp_path))
    assert client.bounds_of(70, mip=0) == ic.Box((24, 16, 8), (56, 32, 13), (8.0, 8.0, 40.0))
    assert client.bounds_of(70) == ic.Box((20, 12, 7), (60, 36, 14), (8.0, 8.0, 40.0))
    assert 71 not in small  # so thin that only the finer scale shows it
    assert client.bounds_of(71) == ic.Box((105, 12, 5), (110, 15, 8), (8.0, 8.0, 40.0))
    assert client.bounds_of(71, mip=0) == ic.Box((106, 13, 6), (109, 14, 7), (8.0, 8.0, 40.0))
    with pytest.raises(MissingDataError, match=r"the id 99 has no voxel at mip 1 .* mip 0"):
        client.bounds_of(99)
    with pytest.raises(MissingDataError, match="the id 71 has no voxel at mip 1"):
        client.bounds_of(71, mip=1)


def test_large_scales_are_not_searched_unasked(datastack: Any, monkeypatch: Any) -> None:
    from imageryclient import whereabouts

    monkeypatch.setattr(whereabouts, "_SEARCHED", 400_000)
    monkeypatch.setattr(whereabouts, "_BLOCK", 70_000)  # several blocks each
    client = ic.ImageryClient(segmentation_source=str(datastack.folder / "supervoxels"), missing="fill")
    labels = datastack.supervoxels[0]
    for supervoxel in np.unique(labels)[1::60].tolist():
        voxels = np.argwhere(labels == supervoxel) + datastack.offsets[0]
        box = client.bounds_of(supervoxel, mip=0)
        assert (box.start, box.stop) == (tuple(voxels.min(axis=0)), tuple(voxels.max(axis=0) + 1))
    with pytest.raises(MissingDataError, match="not searched, as they are large: mip 0 "):
        client.bounds_of(99)


def test_cutouts_around_objects(datastack: Any, live: Any, monkeypatch: Any) -> None:
    from imageryclient import lookups

    _, client = live
    root = int(np.unique(datastack.roots(datastack.middle, np.add(datastack.middle, 1)))[0])
    late = datastack.late.timestamp()
    _, whole = boxes_of(datastack, root, late)
    cut = client.cutout(around=root, timestamp=datastack.late)
    assert cut.bounds == whole
    assert np.array_equal(cut.segmentation, datastack.roots(whole.start, whole.stop, late))
    assert np.array_equal(cut.image, datastack.image(whole.start, whole.stop))
    voxels = np.argwhere(cut.segmentation == root)
    assert len(voxels) == np.count_nonzero(datastack.history.roots(datastack.supervoxels[0], late) == root)

    alone = client.cutout(around=root, root_ids=root, timestamp=datastack.late, segmentation_mip=1, image_mip=2)
    assert alone.mips == {"imagery": 2, "segmentation": 1}
    assert alone.resolution == datastack.coarse
    assert set(np.unique(alone.segmentation).tolist()) == {0, root}

    monkeypatch.setattr(lookups, "_AROUND", whole.voxels * 9 - 1)
    assert client.cutout(around=root, timestamp=datastack.late).resolution == datastack.coarse
    monkeypatch.setattr(lookups, "_AROUND", 1000)
    assert client.cutout(around=root, timestamp=datastack.late).resolution == datastack.coarse
    for wrong in ({}, {"center": datastack.middle, "around": root}, {"bounds": whole, "around": root}):
        with pytest.raises(ArgumentError, match="one of the three"):
            client.cutout(**wrong)


def test_objects_too_thin_or_beyond_the_data(datastack: Any, live: Any) -> None:
    _, client = live
    history = datastack.history
    seen = set(np.unique(datastack.roots(*_corners_of(datastack, 1), history.operations[-1].time, 1)).tolist())
    volume: Any = client.volumes["segmentation"]
    root = int(np.unique(history.at())[3])
    for lost in sorted(set(np.unique(history.at()).tolist()) - seen)[:2]:
        with pytest.raises(MissingDataError, match="too thin"):
            client.bounds_of(lost, mip=1, timestamp=datastack.late)
    volume.graph_origin = (5000, 0, 0)
    with pytest.raises(MissingDataError, match="beyond the bounds"):
        client.bounds_of(root, timestamp=datastack.late)


def _corners_of(stack: Any, mip: int) -> tuple[Any, Any]:
    return stack.offsets[mip], np.add(stack.offsets[mip], stack.supervoxels[mip].shape)


def test_graphs_that_do_not_say_how_ids_are_laid_out(datastack: Any, live: Any) -> None:
    _, client = live
    volume: Any = client.volumes["segmentation"]
    volume.graph._layout = None
    with pytest.raises(ArgumentError, match="does not say how the ids"):
        client.bounds_of(5)
    assert client.root_ids_at(datastack.middle)[0] > 0
