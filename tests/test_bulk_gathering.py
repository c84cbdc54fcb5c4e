"""Boxes of one layer read together: what each is given is what it would be read as by itself."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any, cast

import compressed_segmentation
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imageryclient.cave.chunkedgraph import ChunkedGraph
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.geometry import Box
from imageryclient.precomputed.chunks import chunks_covering
from imageryclient.precomputed.labels import EncodedLabels
from imageryclient.scales import Info, Scale, Sharding
from imageryclient.volumes import Block, GrapheneVolume, IdsWanted, PrecomputedVolume, open_volume
from imageryclient.volumes.gathering import begin, look_up

AT = (8.0, 8.0, 40.0)
SHAPE = (70, 50, 20)
OFFSET = (5, -3, 2)
RNG = np.random.default_rng(5)
# Blocks of labels, some of them noisy, so that tables are of all sizes.
IDS = RNG.integers(2**56, 2**57, (14, 10, 5), dtype=np.uint64).repeat(5, 0).repeat(5, 1).repeat(4, 2)
IDS[30:60, 10:30, 4:9] = RNG.choice(np.unique(IDS), (30, 20, 5))
MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
ENCODINGS: dict[str, dict[str, Any]] = {
    "encoded": {"encoding": "compressed_segmentation", "compress": "gzip"},
    "raw": {"encoding": "raw"},
    "sharded": {"encoding": "compressed_segmentation", "sharding": Sharding(1, "identity", 1, 1, "gzip", "gzip")},
}

SCALE = Scale(0, "whole", AT, Box(OFFSET, (75, 47, 22), AT), SHAPE, "compressed_segmentation", (8, 8, 8), None)
INFO = Info("segmentation", np.dtype(np.uint64), 1, (SCALE,))
ENCODED = compressed_segmentation.compress(np.asfortranarray(IDS)[..., None], block_size=(8, 8, 8), order="F")


class Graph:
    """Objects made up of supervoxels by arithmetic."""

    asked = 0

    def roots(self, supervoxels: np.ndarray, moment: datetime, *, remember: bool = False) -> np.ndarray:
        self.asked += 1
        return np.asarray(supervoxels // np.uint64(3))

    def check_age(self, moment: datetime) -> None:
        """Be old enough."""


@pytest.fixture(scope="module", params=list(ENCODINGS))
def volume(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GrapheneVolume:
    layout = Layout(resolution=AT, voxel_offset=OFFSET, chunk_size=(32, 24, 8), **ENCODINGS[request.param])
    folder = write_precomputed(tmp_path_factory.mktemp("ids"), [(IDS, layout)], kind="segmentation")
    flat = open_volume(str(folder))
    assert isinstance(flat, PrecomputedVolume)
    return GrapheneVolume("graphene://made", flat._store, flat.info, cast(ChunkedGraph, Graph()))


def a_box(draw: st.DrawFn) -> Box:
    start = [draw(st.integers(o - 6, o + n - 1)) for o, n in zip(OFFSET, SHAPE, strict=True)]
    size = [draw(st.integers(1, n)) for n in (45, 40, 15)]
    x, y, z = start
    return Box((x, y, z), (x + size[0], y + size[1], z + size[2]), AT)


boxes = st.lists(st.composite(a_box)(), min_size=1, max_size=6)


def equal(one: Block, other: Block) -> bool:
    return (
        one.data.dtype == other.data.dtype
        and np.array_equal(one.data, other.data)
        and one.coverage.outside == other.coverage.outside
        and set(one.coverage.absent) == set(other.coverage.absent)
    )


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes=boxes, asked=st.sampled_from(["all", None, "some"]))
def test_boxes_read_together_are_those_read_apart(volume: GrapheneVolume, boxes: list[Box], asked: Any) -> None:
    some = np.unique(IDS)[::4] // np.uint64(3)
    wanted = IdsWanted(some if asked == "some" else asked, MOMENT)
    scale = volume.info.scales[0]
    apart = [volume.read_ids(box, scale, wanted) for box in boxes]
    gathering = begin(volume, scale, boxes, wanted)
    cast(Any, volume.graph).asked = 0
    names = look_up(volume, gathering.decode(), wanted)
    assert cast(Any, volume.graph).asked == (asked is not None)
    # Kept as supervoxels, and named when they are put together,
    kept = [pickle.loads(pickle.dumps(gathering.part(box).detached())) for box in boxes]
    assert all(equal(part.block(volume, names), one) for part, one in zip(kept, apart, strict=True))
    # or named first.
    if names is not None:
        gathering.rename(names)
    assert all(equal(gathering.part(box).block(volume), one) for box, one in zip(boxes, apart, strict=True))
    assert all(equal(gathering.part(box).detached().block(volume), one) for box, one in zip(boxes, apart, strict=True))
    stored = begin(volume, scale, boxes)
    stored.decode()
    assert all(equal(stored.part(box).block(volume), volume.read(box, scale)) for box in boxes)


@settings(max_examples=40)
@given(st.data())
def test_labels_are_cropped_and_renamed_as_arrays_are(data: st.DataObject) -> None:
    region, part = outer_and_inner(data)
    chunk = chunks_covering(SCALE, SCALE.bounds)[0]
    touched = EncodedLabels.parse(ENCODED, chunk, SCALE, INFO).touched(region)
    true = IDS[part.slices(SCALE.bounds)]
    old = np.unique(IDS)
    cropped = touched.cropped(part.slices(region))
    for labels in (cropped, cropped.detached()):
        out = np.zeros(part.shape, np.uint64, order="F")
        labels.write(out)
        assert np.array_equal(out, true)
        labels.write(out, old, old // np.uint64(5))
        assert np.array_equal(out, true // np.uint64(5))
        labels.renamed(old, old // np.uint64(5)).write(out)
        assert np.array_equal(out, true // np.uint64(5))
    assert np.isin(true, cropped.ids).all()
    assert not np.shares_memory(cropped.detached()._slabs[0].positions, touched._slabs[0].positions)


def outer_and_inner(data: st.DataObject) -> tuple[Box, Box]:
    """Draw a box within the volume, and one within that."""
    corners = []
    for low, high in zip(SCALE.bounds.start, SCALE.bounds.stop, strict=True):
        a, b, c, d = sorted(data.draw(st.lists(st.integers(low, high), min_size=4, max_size=4)))
        b = min(b, high - 1)
        corners.append((min(a, b), b, max(c, b + 1), max(d, c, b + 1)))
    outer = Box(*(cast(Any, tuple(corner[n] for corner in corners)) for n in (0, 3)), AT)
    return outer, Box(*(cast(Any, tuple(corner[n] for corner in corners)) for n in (1, 2)), AT)
