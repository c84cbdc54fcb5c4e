from __future__ import annotations

import json

import compressed_segmentation
import deflate
import numpy as np
import pytest
import simplejpeg

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.build import build_demo, build_fib25, build_phantom
from imageryclient.demo.history import History
from imageryclient.demo.phantom import make_phantom
from imageryclient.demo.writer import downsample_image
from imageryclient.errors import ArgumentError, NotFoundError
from imageryclient.precomputed.chunks import chunk_id, chunk_key, chunks_covering
from imageryclient.precomputed.info import parse_info
from imageryclient.precomputed.sharding import index_entry_range, locate, minishard_range, parse_minishard_index

SHAPE = (150, 140, 20)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(SHAPE, seed=2)


@pytest.fixture(scope="module")
def built(tmp_path_factory, phantom):
    return build_demo(
        tmp_path_factory.mktemp("demo"),
        phantom.image,
        phantom.bodies,
        resolution=phantom.resolution,
        graph_chunk=(64, 64, 8),
        voxel_offset=(40, 80, 7),
        edits=12,
        seed=5,
    )


def info_of(folder, layer):
    return parse_info(json.loads((folder / layer / "info").read_text()), layer)


def stored(folder, scale, chunk):
    if scale.sharding is None:
        return (folder / chunk_key(scale, chunk)).read_bytes()
    number = chunk_id(chunk.index, scale.grid_shape)
    at = locate(number, scale.sharding)
    data = (folder / scale.key / at.shard_file).read_bytes()
    start, stop = minishard_range(data[slice(*index_entry_range(at.minishard))], scale.sharding)
    start, stop = parse_minishard_index(data[start:stop], scale.sharding).find(number)
    return bytes(deflate.gzip_decompress(data[start:stop]))


def read(folder, layer, mip):
    info = info_of(folder, layer)
    scale = info.scales[mip]
    array = np.zeros(scale.bounds.shape, info.dtype)
    for chunk in chunks_covering(scale, scale.bounds):
        data, (x, y, z) = stored(folder / layer, scale, chunk), chunk.box.shape
        if scale.encoding == "jpeg":
            part = simplejpeg.decode_jpeg(data, "GRAY").reshape(z, y, x).transpose(2, 1, 0)
        else:
            data = bytes(deflate.gzip_decompress(data)) if data[:2] == b"\x1f\x8b" else data
            part = compressed_segmentation.decompress(data, (x, y, z), info.dtype, scale.block_size, order="F")
            part = part.reshape(x, y, z)
        array[chunk.box.slices(scale.bounds)] = part
    return array


def test_demo_json_tells_what_there_is(built):
    about = json.loads((built / "demo.json").read_text())
    assert about["datastack"] == about["table"] == "phantom"
    assert about["viewer_resolution"] == [4.0, 4.0, 40.0]
    assert about["segmentation_kind"] == "graphene"
    assert set(about["layers"]) == {"imagery", "supervoxels", "segmentation"}
    assert all((built / folder / "info").is_file() for folder in about["layers"].values())
    layout = NodeLayout.from_info(about["graph"])
    history = History.load(built)
    assert history.layout == layout
    assert {int(number) for number in about["versions"]} == set(history.versions)
    assert not (built / "demo.json.part").exists()


def test_scales_begin_with_a_placeholder(built):
    scales = info_of(built, "imagery").scales
    assert [scale.key for scale in scales] == ["placeholder", "8_8_40", "16_16_40", "32_32_40"]
    assert scales[0].placeholder
    assert not (built / "imagery" / "placeholder").exists()
    assert [scale.bounds.start for scale in scales] == [(80, 160, 7), (40, 80, 7), (20, 40, 7), (10, 20, 7)]
    assert scales[0].bounds.shape == (300, 280, 20)
    assert info_of(built, "supervoxels").scales[0].resolution == (8.0, 8.0, 40.0)


def test_imagery_is_the_phantom_within_what_jpeg_costs(built, phantom):
    assert np.abs(read(built, "imagery", 1).astype(int) - phantom.image).mean() < 3
    smaller = downsample_image(downsample_image(phantom.image, (2, 2, 1)), (2, 2, 1))
    assert np.abs(read(built, "imagery", 3).astype(int) - smaller).mean() < 3


def test_supervoxels_keep_to_their_graph_chunk_and_body(built, phantom):
    ids, layout = read(built, "supervoxels", 0), History.load(built).layout
    assert np.array_equal(ids == 0, phantom.bodies == 0)
    inside = np.nonzero(ids)
    assert np.array_equal(layout.chunk_of(ids[inside]), np.stack(inside, axis=1) // (64, 64, 8))
    pairs = np.unique(np.stack([ids[inside], phantom.bodies[inside].astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(np.unique(ids[inside]))
    assert np.array_equal(read(built, "supervoxels", 1), ids[::2, ::2])
    assert np.array_equal(read(built, "supervoxels", 2), ids[::4, ::4])


def test_the_flat_segmentation_holds_the_last_roots(built, phantom):
    history = History.load(built)
    ids, roots = read(built, "supervoxels", 0), read(built, "segmentation", 0)
    assert np.array_equal(roots, history.roots(ids))
    assert np.array_equal(read(built, "segmentation", 2), roots[::4, ::4])
    # the last state is the truth: one root for a body, one body for a root
    inside = roots > 0
    pairs = np.unique(np.stack([roots[inside], phantom.bodies[inside].astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))
    assert (history.layout.layer_of(np.unique(roots[inside])) == history.layout.n_layers).all()
    # and the first is not
    assert not np.array_equal(history.at(history.oldest), history.at())
    assert history.supervoxels.size == np.unique(ids).size - 1


def test_the_seed_says_all(tmp_path):
    one, other = (build_phantom(tmp_path / name, (96, 80, 8), seed=1) for name in "ab")
    for file in sorted(one.rglob("*")):
        if file.is_file() and file.suffix != ".npz":
            assert file.read_bytes() == (other / file.relative_to(one)).read_bytes(), file
    assert np.array_equal(History.load(one).at(), History.load(other).at())


def test_cubes_shrink_along_z_too(tmp_path):
    rng = np.random.default_rng(0)
    supervoxels = rng.integers(0, 30, (10, 10, 10)).repeat(5, 0).repeat(5, 1).repeat(5, 2).astype(np.uint32)
    table = np.stack([np.arange(30), np.arange(30) % 7 + 100], axis=1).astype(np.uint32)
    table[0] = 0
    em = rng.integers(0, 255, supervoxels.shape, dtype=np.uint8)
    np.savez(tmp_path / "sample.npz", em=em, supervoxels=supervoxels, bodies=table)
    folder = build_fib25(tmp_path / "demo", tmp_path / "sample.npz")
    scales = info_of(folder, "imagery").scales
    assert [scale.resolution for scale in scales] == [(5, 5, 10), (10, 10, 10), (20, 20, 20), (40, 40, 40)]
    roots = read(folder, "segmentation", 0)
    bodies = table[supervoxels, 1]
    inside = bodies > 0
    pairs = np.unique(np.stack([roots[inside], bodies[inside].astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == 7
    assert json.loads((folder / "demo.json").read_text())["viewer_resolution"] == [5, 5, 10]


def test_what_does_not_fit_is_refused(tmp_path, phantom):
    def build(**others):
        given = {"image": phantom.image, "bodies": phantom.bodies, "resolution": (8, 8, 40), **others}
        return build_demo(tmp_path, given.pop("image"), given.pop("bodies"), **given)

    with pytest.raises(ArgumentError, match="one shape"):
        build(bodies=phantom.bodies[1:])
    with pytest.raises(ArgumentError, match="multiple of"):
        build(voxel_offset=(2, 0, 0))
    with pytest.raises(ArgumentError, match="no object"):
        build(bodies=np.zeros_like(phantom.bodies))
    with pytest.raises(NotFoundError, match="there is no file"):
        build_fib25(tmp_path, tmp_path / "absent.npz")
    assert not (tmp_path / "demo.json").exists()
