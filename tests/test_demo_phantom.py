from __future__ import annotations

import itertools

import numpy as np
import pytest

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.neuropil import grow
from imageryclient.demo.noise import Drift, blurred
from imageryclient.demo.phantom import fragment, make_phantom
from imageryclient.demo.sections import cut
from imageryclient.errors import ArgumentError

SHAPE = (256, 224, 16)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(SHAPE, seed=3)


def pieces(labels):
    """Number the connected pieces of equal labels, faces touching; 0 stays 0. Brute force: minima spread."""
    number = np.arange(1, labels.size + 1).reshape(labels.shape)
    number[labels == 0] = 0
    joints = []
    for axis in range(3):
        low, high = ([slice(None)] * 3 for _ in range(2))
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        low, high = tuple(low), tuple(high)
        same = (labels[low] == labels[high]) & (labels[low] != 0)
        joints.append((number[low][same], number[high][same]))
    a, b = (np.concatenate(side) for side in zip(*joints, strict=True))
    root = np.arange(labels.size + 1)
    while True:
        least = np.minimum(root[a], root[b])
        before = root.copy()
        np.minimum.at(root, root[a], least)
        np.minimum.at(root, root[b], least)
        root = root[root]
        if np.array_equal(root, before):
            return root[number]


def test_shapes_and_kinds(phantom):
    assert phantom.image.shape == phantom.bodies.shape == SHAPE
    assert (phantom.image.dtype, phantom.bodies.dtype) == (np.uint8, np.uint32)
    assert phantom.resolution == (8.0, 8.0, 40.0)
    assert phantom.image.flags.f_contiguous


def test_the_seed_says_all(phantom):
    again, other = make_phantom(SHAPE, seed=3), make_phantom((64, 64, 4), seed=4)
    assert np.array_equal(again.image, phantom.image)
    assert np.array_equal(again.bodies, phantom.bodies)
    assert not np.array_equal(other.bodies, make_phantom((64, 64, 4), seed=3).bodies)


def test_ids_are_dense_and_many(phantom):
    ids = np.unique(phantom.bodies)
    assert np.array_equal(ids, np.arange(len(ids)))
    area = SHAPE[0] * SHAPE[1]
    for section in range(SHAPE[2]):
        there = len(np.unique(phantom.bodies[:, :, section])) - 1
        assert 400 < there * 1024**2 / area < 1400  # several hundred in a picture of 1024 x 1024


def test_calibres_vary_widely(phantom):
    sizes = np.bincount(phantom.bodies[:, :, 8].ravel())[1:]
    diameter = 2 * np.sqrt(sizes[sizes > 0] / np.pi)
    assert 20 < np.median(diameter) < 55
    assert diameter.max() > 2 * np.median(diameter)


def test_objects_are_tubes_in_one_piece(phantom):
    pieces_of = pieces(phantom.bodies)
    inside = phantom.bodies > 0
    pairs, counts = np.unique(
        np.stack([phantom.bodies[inside].astype(np.int64), pieces_of[inside]]), axis=1, return_counts=True
    )
    best = np.zeros(int(phantom.bodies.max()) + 1, np.int64)
    np.maximum.at(best, pairs[0], counts)
    assert best.sum() > 0.997 * inside.sum()
    depth = [len(np.unique(np.nonzero(phantom.bodies == body)[2])) for body in range(1, len(best), 5)]
    assert np.median(depth) >= 6


def test_borders_are_dark_and_thin(phantom):
    image, bodies = phantom.image.astype(float), phantom.bodies
    gap = bodies == 0
    assert 0.03 < gap.mean() < 0.15
    assert image[gap].mean() + 40 < image[~gap].mean()
    # two pixels off a border it is bright again, in the middle of most cells
    far = ~gap
    for axis, by in itertools.product((0, 1), (-4, 4)):
        far &= ~np.roll(gap, by, axis)
    assert image[far].mean() > image[~gap & ~far].mean() + 3
    assert 20 < image.std() < 45
    assert 110 < image.mean() < 165


def test_sections_differ_in_brightness_but_follow_each_other(phantom):
    means = phantom.image.mean(axis=(0, 1))
    assert 0.5 < means.std() < 10
    same = (phantom.bodies[..., 1:] == phantom.bodies[..., :-1]).mean()
    assert same > 0.6
    flat = phantom.image.reshape(-1, SHAPE[2], order="F").astype(float)
    near = np.mean([np.corrcoef(flat[:, z], flat[:, z + 1])[0, 1] for z in range(SHAPE[2] - 1)])
    apart = np.mean([np.corrcoef(flat[:, z], flat[:, z + 10])[0, 1] for z in range(SHAPE[2] - 10)])
    assert near > 0.35
    assert near > apart + 0.1


@pytest.mark.parametrize(
    ("shape", "resolution"), [((1, 1, 1), (8, 8, 40)), ((50, 3, 2), (8, 8, 40)), ((90, 70, 5), (4.0, 6.0, 30.0))]
)
def test_odd_shapes_and_resolutions(shape, resolution):
    phantom = make_phantom(shape, resolution, seed=1)
    assert phantom.image.shape == shape
    assert phantom.image.min() > 0


def test_a_bad_shape_is_refused():
    with pytest.raises(ArgumentError, match="three positive numbers"):
        make_phantom((10, 10), seed=0)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="resolution"):
        make_phantom((10, 10, 10), (8, 8, 0))


def test_cut_agrees_with_all_distances():
    """Whose a pixel is, from the distances to every strand."""
    rng = np.random.default_rng(5)
    strands = grow(rng, (1200.0, 900.0), 6, 40.0)
    y, x = (axis.astype(np.float32) for axis in np.meshgrid(np.arange(4, 900, 8), np.arange(4, 1200, 8), indexing="ij"))
    cells = cut(strands, 3, x, y, (8.0, 8.0), 40.0)
    delta = np.stack([x, y], axis=-1)[:, :, None] - strands.centers[3]
    slope = strands.slopes[3]
    steep = np.linalg.norm(slope, axis=1)
    along = np.einsum("yxni,ni->yxn", delta, slope / np.maximum(steep, 1e-9)[:, None])
    across2 = np.sum(delta**2, axis=-1) - along**2
    shrunk = along**2 / (1 + np.minimum(steep**2, 4))
    distance = np.sqrt(np.maximum(across2 + shrunk, 0)) - strands.radii[3]
    by_cell = np.full((*x.shape, len(strands.cell)), np.inf)
    for strand, cell in enumerate(strands.cell):
        by_cell[..., cell] = np.minimum(by_cell[..., cell], distance[..., strand])
    ranked = np.sort(by_cell, axis=-1)
    agrees = strands.cell[cells.first] == np.argmin(by_cell, axis=-1)
    assert agrees[ranked[..., 1] - ranked[..., 0] > 8].all()
    assert agrees.mean() > 0.995
    assert (strands.cell[cells.first] != strands.cell[cells.second]).all()
    assert (cells.depth >= 0).all()


def test_fragments_lie_in_one_chunk_and_one_body(phantom):
    layout = NodeLayout.covering(SHAPE, (100, 64, 6))
    ids = fragment(phantom.bodies, layout, resolution=phantom.resolution, split=0.5, seed=1)
    assert ids.dtype == np.uint64
    assert ids.shape == SHAPE
    assert np.array_equal(ids == 0, phantom.bodies == 0)
    found = np.unique(ids[ids > 0])
    assert (layout.layer_of(found) == 1).all()
    where = np.stack(np.nonzero(ids), axis=1)
    assert np.array_equal(layout.chunk_of(ids[ids > 0]), where // (100, 64, 6))
    pairs = np.unique(np.stack([ids[ids > 0], phantom.bodies[ids > 0].astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(found)
    # segments of each chunk count from 1 without holes
    chunk, segment = layout.chunk_of(found), layout.segment_of(found)
    for place in np.unique(chunk, axis=0):
        mine = segment[(chunk == place).all(axis=1)]
        assert np.array_equal(np.sort(mine), np.arange(1, len(mine) + 1))


def test_fragments_without_splits_are_the_bodies_cut_at_chunks(phantom):
    layout = NodeLayout.covering(SHAPE, (64, 64, 8))
    whole = fragment(phantom.bodies, layout, split=0)
    more = fragment(phantom.bodies, layout, split=1, seed=2)
    chunk = np.ravel_multi_index(np.indices(SHAPE).reshape(3, -1) // np.array([[64], [64], [8]]), (4, 4, 2)).reshape(
        SHAPE
    )
    expected = np.unique(np.stack([chunk.ravel(), phantom.bodies.ravel()]), axis=1)
    assert len(np.unique(whole[whole > 0])) == (expected[1] > 0).sum()
    assert len(np.unique(more)) > 1.8 * len(np.unique(whole))
    assert np.array_equal(more, fragment(phantom.bodies, layout, split=1, seed=2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64])
def test_fragment_takes_any_labels(dtype):
    labels = np.zeros((5, 4, 3), dtype)
    labels[1:4] = np.iinfo(dtype).max
    labels[4] = 1
    ids = fragment(labels, NodeLayout.covering(labels.shape, (8, 8, 8)), split=0)
    assert len(np.unique(ids)) == 3
    assert len(np.unique(ids[1:4])) == 1


def test_drift_has_the_strength_asked_for_and_moves_slowly():
    drift = Drift(np.random.default_rng(0), (200, 240), (8.0, 8.0), [(300.0, 5.0), (100.0, 2.0)], 400.0)
    fields = [drift.at(z) for z in (0.0, 40.0, 900.0)]
    assert np.hypot(5, 2) * 0.8 < np.std(fields) < np.hypot(5, 2) * 1.2
    near, apart = (np.corrcoef(fields[0].ravel(), field.ravel())[0, 1] for field in fields[1:])
    assert near > 0.9 > 0.3 > abs(apart)


@pytest.mark.parametrize("sigma", [0.8, 1.7])
def test_blur_keeps_the_mean_and_spreads(sigma):
    picture = np.zeros((300, 400), np.float32)
    picture[150, 200] = 1
    result = blurred(picture, sigma)
    assert np.isclose(result.sum(), 1, atol=1e-5)
    rows = np.arange(300) - 150
    assert np.isclose((result.sum(axis=1) * rows**2).sum(), sigma**2, rtol=0.12)
    assert np.allclose(blurred(np.full((5, 7), 3, np.float32), sigma), 3, atol=1e-5)
