"""Boxes of a caller's array read together: what each is given is what it would be read as by itself."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.bulk.stream import cutouts
from imageryclient.errors import ArgumentError
from imageryclient.geometry import Box
from imageryclient.volumes.base import IdsWanted
from imageryclient.volumes.chunksource import shares_chunks
from imageryclient.volumes.gathering import begin
from imageryclient.volumes.memory import open_arrays
from zarr_writing import ALL

da = pytest.importorskip("dask.array")

AT = (8.0, 8.0, 40.0)
OFFSET = (5, -3, 2)
SHAPE = (150, 40, 20)
DATA = np.random.default_rng(4).integers(0, 2**16, SHAPE, dtype=np.uint16)
COLOURS = np.random.default_rng(5).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


class Counted:
    """An array that tells what was read of it."""

    dtype, shape = DATA.dtype, SHAPE

    def __init__(self, chunks: Any = None) -> None:
        self.read: list[tuple[slice, ...]] = []
        if chunks is not None:
            self.chunks = chunks

    def __getitem__(self, part: tuple[slice, ...]) -> np.ndarray:
        self.read.append(part)
        return DATA[part]


KINDS: dict[str, Any] = {
    "irregular": (da.from_array(DATA, chunks=((70, 1, 79), (40,), (5, 9, 6))), DATA),
    "colours": (da.from_array(COLOURS, chunks=(64, 16, 20, 2)), COLOURS),
    "turned": (da.from_array(np.ascontiguousarray(DATA.T), chunks=(7, 16, 140)).T, DATA),
    "big-endian": (da.from_array(DATA.astype(">u2"), chunks=30), DATA),
    "cubes": (Counted(), DATA),
    "regular": (Counted((64, 16, 7)), DATA),
}

boxes = st.lists(
    st.tuples(
        *[
            st.lists(st.integers(o - 6, o + n + 6), min_size=2, max_size=2, unique=True).map(sorted)
            for o, n in zip(OFFSET, SHAPE, strict=True)
        ]
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=5)
@given(corners=boxes)
def test_boxes_read_together_are_those_read_apart(corners: list[Any]) -> None:
    places = [Box(*zip(*corner, strict=True), AT) for corner in corners]
    for array, true in KINDS.values():
        volume = open_arrays(array, AT, OFFSET)
        assert shares_chunks(volume)
        (scale,) = volume.info.scales
        gathering = begin(volume, scale, places)
        gathering.decode()
        for box in places:
            expected = np.zeros((*box.shape, *true.shape[3:]), true.dtype)
            inside = box.intersect(scale.bounds)
            if inside.voxels:
                expected[inside.slices(box)] = true[inside.slices(scale.bounds)]
            part = gathering.part(box)
            for block in (part.block(volume), pickle.loads(pickle.dumps(part.detached())).block(volume)):
                assert block.coverage == volume.read(box, scale).coverage
                assert block.data.dtype == true.dtype
                np.testing.assert_array_equal(block.data, expected)


def test_each_cell_is_read_once() -> None:
    array = Counted((64, 16, 7))
    client = ic.ImageryClient(image_source=array, resolution=AT, voxel_offset=(0, 0, 0))
    points = np.random.default_rng(6).uniform([8, 8, 4], np.array(SHAPE) - [8, 8, 4], (80, 3))
    for one in cutouts(client, points, (16, 16, 8)):
        np.testing.assert_array_equal(one.image, DATA[one.bounds.slices(Box((0, 0, 0), SHAPE, AT))])
    assert len(array.read) <= 2 * 3  # cells of 64 x 64 x 21 voxels, for the first few places and for the rest


@pytest.mark.parametrize(
    ("chunks", "size"),
    [
        (None, (64, 64, 16)),
        ((150, 40, 20), (75, 80, 20)),
        (((150,), (13, 27), (20,)), (75, 65, 20)),
        ((1, 1), (64, 64, 16)),
        ((1, 2048, 127), (64, 128, 127)),
        ((131, 32, 7), (64, 64, 21)),
    ],
)
def test_cells_are_whole_chunks_or_parts_of_one(chunks: Any, size: Any) -> None:
    volume = open_arrays(Counted(chunks), AT, OFFSET)
    (scale,) = volume.info.scales
    assert volume.cell_size(scale) == size
    cells = volume.chunks(scale).touched(scale.bounds)
    assert sum(cell.box.voxels for cell in cells) == scale.bounds.voxels
    middle = Box((77, 10, 9), (78, 11, 10), AT)
    assert [cell.box.intersect(middle) for cell in volume.chunks(scale).touched(middle)] == [middle]
    assert not volume.chunks(scale).touched(Box((200, 0, 0), (210, 5, 5), AT))


def test_arrays_at_hand_are_not_read_ahead() -> None:
    assert not shares_chunks(open_arrays(DATA, AT))
    assert not shares_chunks(open_arrays([DATA, DATA[::2, ::2]], AT))


def test_ids_are_those_read_apart() -> None:
    data = DATA.astype(np.int32) % 9
    data[20, 20, 10] = -1
    volume = open_arrays(da.from_array(data, chunks=50), AT, segmentation=True)
    (scale,) = volume.info.scales
    places = [Box((0, 0, 0), (15, 15, 9), AT), Box((10, 10, 5), (30, 30, 15), AT)]
    for asked in ("all", np.array([3, 5], np.uint64)):
        wanted = IdsWanted(asked, ALL.moment)
        gathering = begin(volume, scale, places, wanted)
        gathering.decode()
        alone = volume.read_ids(places[0], scale, wanted)
        block = gathering.part(places[0]).block(volume)
        assert block.data.dtype == np.uint64
        np.testing.assert_array_equal(block.data, alone.data)
        with pytest.raises(ArgumentError, match=r"an id is a whole number from 0.*there is -1"):
            gathering.part(places[1]).block(volume)


def test_what_an_array_raises_is_raised_with_its_place() -> None:
    class Broken(Counted):
        def __getitem__(self, part: tuple[slice, ...]) -> np.ndarray:
            raise RuntimeError("the disk is gone")

    volume = open_arrays(Broken(), AT)
    gathering = begin(volume, volume.info.scales[0], [Box((1, 2, 3), (4, 5, 6), AT)])
    with pytest.raises(RuntimeError, match="the disk is gone") as caught:
        gathering.decode()
    assert caught.value.__notes__ == ["while reading [1:4, 2:5, 3:6] at 8 x 8 x 40 nm of array"]
