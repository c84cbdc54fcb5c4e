"""Places drawn at random, and datasets of cutouts: what is drawn, what an item is, who reads what."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import sys
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.demo.server import DemoServer
from imageryclient.errors import ArgumentError, BoundsError, MissingDataError
from imageryclient.geometry import Box, Region
from imageryclient.training import CutoutDataset, CutoutStream, Mask, object_mask, random_places

Connect = Callable[..., ic.ImageryClient]
UNIT = (4.0, 4.0, 40.0)


def client_of(box: Box) -> ic.ImageryClient:
    return ic.ImageryClient(image_source=ic.ArraySource(np.zeros(box.shape, np.uint8), box.resolution, box.start))


def lies_inside(center: tuple[int, ...], size: tuple[int, ...], box: Box) -> bool:
    """Whether the caller's box, and the voxels that are read for it, lie in the data."""
    region = Region.from_center(center, size, UNIT)
    spans = [s * u / r for s, u, r in zip(size, UNIT, box.resolution, strict=True)]
    shape = [int(np.ceil(span)) for span in spans]
    starts = [int(np.floor(a * u / r + 0.5)) for a, u, r in zip(region.low, UNIT, box.resolution, strict=True)]
    read = all(b >= a and b + n <= c for a, b, n, c in zip(box.start, starts, shape, box.stop, strict=True))
    low, high = box.nm
    ends = zip(low, region.low, region.high, UNIT, high, strict=True)
    return read and all(a <= p * u and q * u <= b for a, p, q, u, b in ends)


@st.composite
def settings_of_places(draw: Any) -> tuple[Box, tuple[int, ...]]:
    start = tuple(draw(st.integers(-3, 5)) for _ in range(3))
    shape = tuple(draw(st.integers(1, n)) for n in (4, 3, 3))
    resolution = draw(st.sampled_from([(4.0, 4.0, 40.0), (8.0, 8.0, 40.0), (12.0, 4.0, 20.0)]))
    size = tuple(draw(st.integers(1, 3)) for _ in range(3))
    return Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)), resolution), size


@given(settings_of_places())
@settings(max_examples=20)
def test_just_the_places_whose_boxes_lie_inside_are_drawn(given_places: tuple[Box, tuple[int, ...]]) -> None:
    box, size = given_places
    low, high = box.nm
    ranges = [range(int(a // u) - 4, int(b // u) + 5) for a, b, u in zip(low, high, UNIT, strict=True)]
    centers = set(np.ndindex(*map(len, ranges)))
    fitting = {
        c for c in (tuple(r[i] for r, i in zip(ranges, n, strict=True)) for n in centers) if lies_inside(c, size, box)
    }
    client = client_of(box)
    if not fitting:
        with pytest.raises(ArgumentError, match="no box"):
            random_places(client, 5, size, resolution=UNIT)
        return
    drawn = random_places(client, 60 * len(fitting), size, resolution=UNIT, seed=1)
    counts = Counter(tuple(map(int, center)) for center in drawn.centers)
    assert set(counts) <= fitting
    if len(fitting) < 300:
        assert set(counts) == fitting
        assert max(counts.values()) < 130  # about 60 each


@given(settings_of_places(), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_a_mask_holds_the_centres_each_as_likely_as_any(given_places: tuple[Box, tuple[int, ...]], rnd: Any) -> None:
    box, size = given_places
    coarse = Box((-1, -1, -1), (3, 4, 5), (20.0, 12.0, 60.0))
    mask = np.array([rnd.random() < 0.4 for _ in range(coarse.voxels)]).reshape(coarse.shape)
    low, high = box.nm
    fitting = set()
    for center in np.ndindex(*(int((b - a) // u) + 9 for a, b, u in zip(low, high, UNIT, strict=True))):
        c = tuple(n + int(a // u) - 4 for n, a, u in zip(center, low, UNIT, strict=True))
        at = [int((n + 0.5) * u // r) - s for n, u, r, s in zip(c, UNIT, coarse.resolution, coarse.start, strict=True)]
        inside = all(0 <= i < n for i, n in zip(at, coarse.shape, strict=True)) and mask[tuple(at)]
        if inside and lies_inside(c, size, box):
            fitting.add(c)
    client = client_of(box)
    try:
        drawn = random_places(client, 60 * len(fitting) or 1, size, resolution=UNIT, inside=Mask(mask, coarse), seed=2)
    except ArgumentError:
        assert not fitting
        return
    counts = Counter(tuple(map(int, center)) for center in drawn.centers)
    assert set(counts) <= fitting
    if len(fitting) < 300:
        assert set(counts) == fitting
        assert max(counts.values()) < 130


def test_the_seed_chooses_and_bounds_hold_the_whole_boxes() -> None:
    client = client_of(Box((10, 20, 5), (110, 90, 45), (8.0, 8.0, 40.0)))
    places = random_places(client, 200, (16, 8, 4), seed=[7, 1])
    assert places.centers.tolist() == random_places(client, 200, (16, 8, 4), seed=[7, 1]).centers.tolist()
    assert places.centers.tolist() != random_places(client, 200, (16, 8, 4), seed=[7, 2]).centers.tolist()
    inner = random_places(client, 200, (16, 8), inside=[[40, 30, 10], [60, 50, 12]])
    low = inner.centers - [8, 4, 0]
    assert low.min(axis=0).tolist() == [40, 30, 10]
    assert (low + [16, 8, 1]).max(axis=0).tolist() == [60, 50, 12]
    assert len(random_places(client, 0, (16, 8, 4))) == 0
    with pytest.raises(ArgumentError, match="whole voxels"):
        random_places(client, 3, (16.5, 8, 4))
    with pytest.raises(ArgumentError, match="no box"):
        random_places(client, 3, (101, 8, 4))
    with pytest.raises(ArgumentError, match="fills its box"):
        Mask(np.zeros((2, 2, 2)), Box((0, 0, 0), (2, 2, 3), UNIT))
    with pytest.raises(BoundsError):
        random_places(client, 3, (4, 4, 4), inside=7)


def test_places_in_an_object(server: Callable[..., DemoServer], connect: Connect, datastack: Any) -> None:
    client = connect(server())
    root = int(datastack.roots(datastack.middle, np.add(datastack.middle, 1))[0, 0, 0])
    mask = object_mask(client, root, mip=1)
    assert mask.bounds.resolution == datastack.coarse
    truth = datastack.roots(mask.bounds.start, mask.bounds.stop, mip=1) == root
    np.testing.assert_array_equal(mask.inside, truth)
    assert truth.sum() == (datastack.history.roots(datastack.supervoxels[1], None) == root).sum()
    places = random_places(client, 300, (12, 12, 3), inside=mask, seed=4)
    for x, y, z in places.centers[:50].astype(int):
        half = (x // 2, y // 2, z)
        assert datastack.roots(half, np.add(half, 1), mip=1)[0, 0, 0] == root
    with pytest.raises(ArgumentError, match="no voxel at mip"):
        object_mask(ic.ImageryClient(segmentation_source=_speck(), resolution=(8, 8, 40)), 5, mip=1)


def _speck() -> list[np.ndarray]:
    fine = np.zeros((8, 8, 2), np.uint32)
    fine[3, 3, 0] = 5
    return [fine, np.zeros((4, 4, 2), np.uint32)]


def test_items_are_cutouts_of_one_shape(server: Callable[..., DemoServer], connect: Connect, datastack: Any) -> None:
    client = connect(server())
    centers = np.add(datastack.middle, [[0, 0, 0], [9, -5, 2], [-17, 31, -4]])
    dataset = CutoutDataset(client, centers, (20, 16, 3))
    assert (len(dataset), dataset.shape) == (3, (20, 16, 3))
    for number, item in enumerate(dataset):
        start = centers[number] - [10, 8, 1]
        np.testing.assert_array_equal(item["image"], datastack.image(start, start + (20, 16, 3)))
        np.testing.assert_array_equal(item["segmentation"], datastack.roots(start, start + (20, 16, 3)))
        assert (item["image"].dtype, item["segmentation"].dtype) == (np.uint8, np.uint64)
        assert item["center"].tolist() == centers[number].tolist()
        assert (item["index"], item["covered"]) == (number, 1.0)
    assert dataset[-1]["index"] == 2
    coarse = CutoutDataset(client, centers + 0.5, (20, 16, 3), mip=2)
    assert {item["image"].shape for item in coarse} == {(10, 8, 3)} == {coarse.shape}
    for index in (3, -4):
        with pytest.raises(IndexError, match="3 places"):
            dataset[index]
    at_rim = CutoutDataset(client, [[100, 60, 7]], (20, 16, 2))
    assert at_rim[0]["covered"] == 1 / 8
    with pytest.raises(MissingDataError, match="outside the data"):
        CutoutDataset(connect(server(), missing="raise"), [[100, 60, 7]], (20, 16, 2))[0]
    with pytest.raises(ArgumentError, match="no position"):
        CutoutDataset(client, [[1, 2, np.nan]], (4, 4, 4))
    with pytest.raises(ArgumentError, match="size="):
        CutoutDataset(client, centers)
    with pytest.raises(ArgumentError, match="leave size="):
        CutoutDataset(client, coarse.places, (4, 4, 4))


def test_places_drawn_lie_inside_what_is_read(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any
) -> None:
    client = connect(server(), segmentation=False)
    for mip, size in ((1, (31, 20, 5)), (2, (33, 20, 5))):
        places = random_places(client, 30, size, mip=mip, seed=3, inside=[[100, 60, 7], [290, 223, 39]])
        dataset = CutoutDataset(client, places, mip=mip)
        assert all(item["covered"] == 1 for item in dataset)


def _augmented(item: dict[str, Any], rng: np.random.Generator) -> tuple[int, int]:
    return item["index"], int(rng.integers(1 << 30))


def test_what_is_random_depends_on_seed_epoch_and_index_alone(datastack: Any) -> None:
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    places = random_places(client, 6, (8, 8, 2), seed=1)
    dataset = CutoutDataset(client, places, transform=_augmented, seed=5)
    first = list(dataset)
    assert len({number for _, number in first}) == 6
    assert [pickle.loads(pickle.dumps(dataset))[n] for n in (3, 1)] == [first[3], first[1]]
    again = CutoutDataset(client, places, transform=_augmented, seed=5)
    again.set_epoch(1)
    assert not set(again) & set(first)
    stream = CutoutStream(dataset, epochs=2)
    both = list(stream)
    assert sorted(both[:6]) == sorted(first)
    assert sorted(both[6:]) == sorted(again)
    stream.set_epoch(1)
    assert next(iter(stream)) == both[6]


def test_the_stream_is_shared_out_whole(datastack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    dataset = CutoutDataset(client, random_places(client, 11, (8, 8, 2)))

    def read(**options: Any) -> list[int]:
        return [item["index"] for item in CutoutStream(dataset, **options)]

    assert read(shuffle=False) == list(range(11))
    alone = read(seed=3)
    assert alone == read(seed=3, ahead=0) == CutoutStream(dataset, seed=3).order(0).tolist()
    assert sorted(alone) == list(range(11))
    assert alone != read(seed=4)
    shares = [read(seed=3, shard=(rank, 3)) for rank in range(3)]
    assert [alone[rank::3] for rank in range(3)] == shares
    endless = iter(CutoutStream(dataset, epochs=None))
    assert Counter(next(endless)["index"] for _ in range(33)) == dict.fromkeys(range(11), 3)
    endless.close()  # type: ignore[attr-defined]
    with pytest.raises(ArgumentError, match="shard"):
        CutoutStream(dataset, shard=(2, 2))

    data = types.ModuleType("torch.utils.data")
    data.IterableDataset = type("IterableDataset", (), {})  # type: ignore[attr-defined]
    worker: list[Any] = [None]
    data.get_worker_info = lambda: worker[0]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    stream = CutoutStream(dataset, seed=3, shard=(1, 2))
    assert isinstance(stream, data.IterableDataset)  # type: ignore[attr-defined]
    stream = pickle.loads(pickle.dumps(stream))
    assert isinstance(stream, data.IterableDataset)  # type: ignore[attr-defined]
    assert isinstance(stream, CutoutStream)
    parts = []
    for number in range(2):
        worker[0] = types.SimpleNamespace(id=number, num_workers=2)
        parts.append([item["index"] for item in stream])
    assert parts == [alone[1::4], alone[3::4]]
    batches = []
    for workers in (1, 2, 3):
        iterators = []
        for number in range(workers):
            worker[0] = types.SimpleNamespace(id=number, num_workers=workers)
            iterators.append([item["index"] for item in CutoutStream(dataset, seed=3, epochs=2, batch_size=4)])
        # A DataLoader takes a batch from one worker after the other.
        cut = [[one[n : n + 4] for n in range(0, len(one), 4)] for one in iterators]
        batches.append([one for turn in itertools.zip_longest(*cut) for one in turn if one])
    assert batches[0] == batches[1] == batches[2]
    assert list(itertools.chain(*batches[0])) == alone + CutoutStream(dataset, seed=3).order(1).tolist()


def test_shares_may_be_made_even_and_have_a_length(datastack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    dataset = CutoutDataset(client, random_places(client, 11, (8, 8, 2)))
    for even, lengths in ((False, [4, 4, 3]), (True, [3, 3, 3])):
        streams = [CutoutStream(dataset, seed=3, shard=(rank, 3), even=even) for rank in range(3)]
        assert [len(stream) for stream in streams] == lengths
        read = [[item["index"] for item in stream] for stream in streams]
        assert [len(one) for one in read] == lengths
        assert len(set(itertools.chain(*read))) == sum(lengths)
    assert len(CutoutStream(dataset, epochs=2)) == 22
    with pytest.raises(TypeError, match="no end"):
        len(CutoutStream(dataset, epochs=None))
    with pytest.raises(ArgumentError, match="batch_size"):
        CutoutStream(dataset, batch_size=0)
    early = CutoutStream(dataset)
    data = types.ModuleType("torch.utils.data")
    data.IterableDataset = type("IterableDataset", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    with pytest.raises(TypeError, match="import torch before"):
        len(early)


def _listen(pipe: Any, dataset: CutoutDataset, stream: CutoutStream) -> None:
    while pipe.recv():
        pipe.send((dataset[2], next(iter(stream))))


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])  # as forkserver does
def test_workers_that_stay_hear_of_the_epoch(method: str, datastack: Any) -> None:
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    dataset = CutoutDataset(client, random_places(client, 6, (8, 8, 2), seed=1), transform=_augmented)
    stream = CutoutStream(dataset)
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=_listen, args=(theirs, dataset, stream), daemon=True)
    process.start()
    heard = []
    for epoch in (0, 1, 5):
        dataset.set_epoch(epoch)
        stream.set_epoch(epoch)
        ours.send(True)
        assert ours.poll(60)
        heard.append(ours.recv())
        assert heard[-1] == (dataset[2], next(iter(stream)))
    ours.send(False)
    process.join(60)
    assert len(set(heard)) == 3
    assert pickle.loads(pickle.dumps(stream)).epoch == 5


def test_items_have_masks_of_the_ids_of_a_table(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any
) -> None:
    client = connect(server())
    root = int(datastack.roots(datastack.middle, np.add(datastack.middle, 1))[0, 0, 0])
    table = {"x": [200, 210], "y": [140, 140], "z": [24, 24], "post_pt_root_id": [root, 0]}
    pandas = pytest.importorskip("pandas")
    synapses = pandas.DataFrame({**table, "pre_pt_root_id": pandas.array([5, root], dtype="UInt64")})
    masks = {"pre": "pre_pt_root_id", "post": "post_pt_root_id"}
    first, second = CutoutDataset(client, synapses, (20, 16, 3), masks=masks)
    assert first["mask_post"].dtype == np.bool_
    np.testing.assert_array_equal(first["mask_post"], first["segmentation"] == root)
    assert first["mask_post"].any()
    assert not first["mask_pre"].any()
    np.testing.assert_array_equal(second["mask_pre"], second["segmentation"] == root)
    assert not second["mask_post"].any()
    with pytest.raises(ArgumentError, match="bring no ids"):
        CutoutDataset(client, random_places(client, 2, (4, 4, 4)), masks=masks)
    with pytest.raises(ArgumentError, match="has none"):
        CutoutDataset(connect(server(), segmentation=False), synapses, (4, 4, 4), masks=masks)


def test_a_failure_comes_out_where_it_belongs(datastack: Any) -> None:
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    dataset = CutoutDataset(client, [datastack.middle, [-500, 0, 0], datastack.middle], (8, 8, 2))
    stream = iter(CutoutStream(dataset, shuffle=False))
    assert next(stream)["index"] == 0
    with pytest.raises(BoundsError, match="wholly outside"):
        next(stream)


def _read_there(sent: tuple[CutoutDataset, int]) -> Any:
    dataset, number = sent
    return dataset[number], dataset[0]["index"]


def test_a_process_of_its_own_reads_folders_and_servers(
    server: Callable[..., DemoServer], connect: Connect, datastack: Any
) -> None:
    client = connect(server())
    secrets = Path("~/.cloudvolume/secrets").expanduser()
    secrets.mkdir(parents=True)
    (secrets / "cave-secret.json").write_text(f'{{"token": "{client.token}"}}')
    local = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    centers = [datastack.middle, np.add(datastack.middle, (4, 5, 1))]
    sent = [CutoutDataset(one, centers, (20, 16, 3)) for one in (client, local)]
    assert client.token.encode() not in pickle.dumps(sent)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map_async(_read_there, [(dataset, 1) for dataset in sent], chunksize=1).get(60)
    for dataset, (item, first) in zip(sent, found, strict=True):
        here = dataset[1]
        assert first == 0
        assert set(item) == set(here)
        for name in ("image", "segmentation"):
            np.testing.assert_array_equal(item.get(name), here.get(name))
