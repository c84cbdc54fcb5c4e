"""Volumes that tensorstore and cloud-volume write are read as they read them, and they read what the demo writes."""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from imageryclient import ImageryClient
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.geometry import Box
from imageryclient.scales import Sharding
from imageryclient.volumes import open_volume

pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("volumes_driver.py")

MURMUR = "murmurhash3_x86_128"
SHARDINGS = [
    Sharding(0, "identity", 0, 0, "raw", "raw"),
    Sharding(0, "identity", 2, 1, "gzip", "raw"),
    Sharding(3, "identity", 1, 2, "raw", "gzip"),
    Sharding(1, "identity", 3, 9, "gzip", "gzip"),
    Sharding(0, MURMUR, 3, 2, "gzip", "gzip"),
    Sharding(2, MURMUR, 2, 5, "raw", "gzip"),
    Sharding(9, MURMUR, 1, 4, "gzip", "raw"),
    Sharding(0, MURMUR, 0, 3, "raw", "raw"),
    Sharding(0, MURMUR, 6, 0, "raw", "raw"),
]
OFFSETS = [(0, 0, 0), (-37, 5, -3), (1000003, 64, 20011)]


def image(shape, channels, dtype, seed):
    """Smooth with some noise, as JPEG meets it; wide values where the type has room."""
    rng = np.random.default_rng(seed)
    x, y, z, c = np.meshgrid(*map(np.arange, (*shape, channels)), indexing="ij")
    smooth = 120 + 60 * np.sin(x / 9 + c) + 40 * np.cos(y / 7 - z / 3)
    values = np.clip(smooth + rng.normal(0, 8, smooth.shape), 1, 254)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    wide = rng.integers(1, np.iinfo(dtype).max, smooth.shape, dtype=dtype, endpoint=True)
    return values.astype(dtype) if np.dtype(dtype).itemsize == 1 else wide


def labels(shape, channels, dtype, seed):
    """Blocks of large ids, with a corner of none."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, np.iinfo(dtype).max, 400, dtype=dtype)
    blocks = ids[rng.integers(0, 400, [*(-(-s // 5) for s in shape), channels])]
    array = np.repeat(np.repeat(np.repeat(blocks, 5, 0), 5, 1), 5, 2)[: shape[0], : shape[1], : shape[2]]
    array[:3, :3, :3] = 0
    return array


class Cases:
    """What the peers are to write, with the arrays for it."""

    def __init__(self):
        self.write = []
        self.inputs = {}

    def add(self, engine, encoding, dtype, channels=1, *, levels=1, compress=None, sharding=None):
        count = len(self.write)
        shape, chunk = ((75, 66, 19), (32, 32, 8)) if sharding is None else ((67, 37, 21), (8, 8, 8))
        integer = np.dtype(dtype).kind == "u" and encoding not in ("jpeg", "png")
        make = labels if integer and count % 2 and np.dtype(dtype).itemsize > 1 else image
        make = labels if encoding == "compressed_segmentation" else make
        scales, arrays = [], []
        for mip in range(levels):
            factor = 2**mip
            small = (-(-shape[0] // factor), -(-shape[1] // factor), shape[2])
            x, y, z = OFFSETS[count % 3]
            arrays.append(f"w{count}m{mip}")
            self.inputs[arrays[-1]] = make(small, channels, dtype, 100 * count + mip)
            scale = {
                "size": small,
                "resolution": [8 * factor, 8 * factor, 40],
                "voxel_offset": [x // factor, y // factor, z],
                "chunk_size": chunk,
                "encoding": encoding,
            }
            if sharding is not None:
                scale["sharding"] = {"@type": "neuroglancer_uint64_sharded_v1", **asdict(sharding)}
            if encoding == "compressed_segmentation":
                scale["compressed_segmentation_block_size"] = [(8, 8, 8), (4, 8, 2), (16, 5, 3)][count % 3]
            scales.append(scale)
        name = f"{count}-{engine}-{encoding}-{np.dtype(dtype).name}-{channels}"
        kind = "segmentation" if make is labels and channels == 1 else "image"
        case = {"name": name, "engine": engine, "type": kind, "scales": scales, "arrays": arrays, "compress": compress}
        # cloud-volume mixes up the channels of JPEG when it reads, not when it writes
        reader = "tensorstore" if encoding == "jpeg" and channels > 1 else engine
        self.write.append({**case, "reader": reader})


def peers_cases():
    cases = Cases()
    for engine in ("tensorstore", "cloudvolume"):
        for dtype, channels in itertools.product(("uint8", "uint16", "uint32", "uint64"), (1, 3)):
            cases.add(engine, "raw", dtype, channels)
        cases.add(engine, "raw", "float32")
        for channels in (1, 3):
            cases.add(engine, "jpeg", "uint8", channels, levels=2, compress=False)
        for dtype in ("uint32", "uint64"):
            cases.add(engine, "compressed_segmentation", dtype, levels=3, compress="gzip")
        for count, sharding in enumerate(SHARDINGS):
            for encoding, dtype, channels in (
                ("raw", ("uint8", "uint16", "uint32", "uint64")[count % 4], 1 + 2 * (count % 2)),
                ("compressed_segmentation", ("uint64", "uint32")[count % 2], 1),
                ("jpeg", "uint8", 1 + 2 * (count % 2)),
            ):
                cases.add(engine, encoding, dtype, channels, sharding=sharding, levels=1 + count % 2)
    for dtype, channels in (("uint8", 1), ("uint8", 2), ("uint8", 3), ("uint8", 4), ("uint16", 1)):
        for sharding in (None, SHARDINGS[4]):
            cases.add("tensorstore", "png", dtype, channels, sharding=sharding)
    for dtype in ("uint32", "uint64"):
        cases.add("tensorstore", "compressed_segmentation", dtype, 3)
    for compress, encoding in itertools.product(
        (False, "gzip", "br", "zstd"), ("raw", "jpeg", "compressed_segmentation")
    ):
        dtype = "uint64" if encoding == "compressed_segmentation" else "uint8"
        cases.add("cloudvolume", encoding, dtype, compress=compress)
    return cases


def demo_volumes(folder):
    """Volumes of every kind that the demo's writer makes: name to whole arrays, and whether only HTTP will do."""
    volumes = {}

    def add(name, array, encoding, *, kind="image", levels=1, **more):
        chunk = (8, 8, 8) if "sharding" in more else (32, 32, 8)
        scales, arrays = [], []
        for mip in range(levels):
            factor = 2**mip
            arrays.append(np.asfortranarray(array[::factor, ::factor]))
            layout = Layout(
                resolution=(8 * factor, 8 * factor, 40),
                voxel_offset=(36 // factor, 8 // factor, 3),
                chunk_size=chunk,
                encoding=encoding,
                **more,
            )
            scales.append((arrays[-1], layout))
        write_precomputed(folder / name, scales, kind=kind)
        volumes[name] = arrays, bool(more.get("compress"))

    for dtype, channels in itertools.product(("uint8", "uint16", "uint32", "uint64"), (1, 3)):
        add(f"raw-{dtype}-{channels}", image((75, 66, 19), channels, dtype, 1), "raw", levels=2)
    add("raw-float32", image((75, 66, 19), 1, np.float32, 1), "raw")
    for channels in (1, 3):
        add(f"jpeg-{channels}", image((75, 66, 19), channels, "uint8", 2), "jpeg", levels=2)
    for channels in (1, 2, 3, 4):
        add(f"png-{channels}", image((75, 66, 19), channels, "uint8", 3), "png")
    add("png-uint16", image((75, 66, 19), 1, "uint16", 3), "png")
    for dtype in ("uint32", "uint64"):
        segmentation = labels((75, 66, 19), 1, dtype, 4)
        add(f"cseg-{dtype}", segmentation, "compressed_segmentation", kind="segmentation", levels=3)
        for block in ((4, 8, 2), (16, 5, 3)):
            name = f"cseg-{dtype}-{block[0]}"
            add(name, segmentation, "compressed_segmentation", kind="segmentation", block_size=block)
        add(f"cseg-{dtype}-3", labels((75, 66, 19), 3, dtype, 5), "compressed_segmentation")
    for compress in ("gzip", "gz", "br", "zstd"):
        add(f"{compress}-raw", image((75, 66, 19), 1, "uint8", 6), "raw", compress=compress)
        segmentation = labels((75, 66, 19), 1, "uint64", 7)
        add(f"{compress}-cseg", segmentation, "compressed_segmentation", kind="segmentation", compress=compress)
    for count, sharding in enumerate(SHARDINGS):
        add(f"shard{count}-raw", image((67, 37, 21), 1 + count % 2, "uint16", 8), "raw", sharding=sharding, levels=2)
        add(f"shard{count}-jpeg", image((67, 37, 21), 1, "uint8", 9), "jpeg", sharding=sharding)
        segmentation = labels((67, 37, 21), 1, "uint64", 10)
        add(f"shard{count}-cseg", segmentation, "compressed_segmentation", kind="segmentation", sharding=sharding)
    return volumes


@pytest.fixture(scope="module")
def peer(peer_python, tmp_path_factory):
    """The peers' volumes and read-backs, and their readings of ours."""
    folder = tmp_path_factory.mktemp("volumes_peer")
    cases = peers_cases()
    ours = folder / "ours"
    volumes = demo_volumes(ours)
    with DemoServer(ours) as server:
        read = []
        for name, (arrays, http) in volumes.items():
            case = {"name": name, "count": len(arrays), "engines": ["tensorstore", "cloudvolume"]}
            # cloud-volume reads PNG only with pyspng, and mixes up the channels of JPEG
            if name.startswith("png") or name == "jpeg-3":
                case["engines"] = ["tensorstore"]
            read.append({**case, "source": f"{server.url}/data/{name}" if http else str(ours / name)})
        (folder / "cases.json").write_text(json.dumps({"write": cases.write, "read": read}))
        np.savez(folder / "inputs.npz", **cases.inputs)
        subprocess.run([peer_python, DRIVER, folder], check=True)
    return cases, volumes, dict(np.load(folder / "results.npz")), folder


def whole(volume, mip):
    """All of a scale, with an axis of channels."""
    scale = volume.info.scales[mip]
    block = volume.read(scale.bounds, scale)
    assert block.coverage.complete
    return block.data if block.data.ndim == 4 else block.data[..., None]


def test_what_the_peers_write(peer):
    cases, _, results, folder = peer
    kinds = set()
    for case in cases.write:
        volume = open_volume(str(folder / "peers" / case["name"]))
        assert len(volume.info.scales) == len(case["scales"])
        for mip, name in enumerate(case["arrays"]):
            ours, theirs = whole(volume, mip), results[f"{case['name']}/{case['reader']}/{mip}"]
            assert ours.dtype == theirs.dtype, case
            np.testing.assert_array_equal(ours, theirs, err_msg=str(case))
            encoding, given = case["scales"][mip]["encoding"], cases.inputs[name]
            if encoding == "jpeg":  # lossy, but not by much
                assert np.abs(ours.astype(int) - given).mean() < 8, case
            else:
                np.testing.assert_array_equal(ours, given, err_msg=str(case))
        kinds.add((case["engine"], encoding, "sharding" in case["scales"][0]))
    assert len(kinds) == 2 * 2 * 3 + 2


def test_boxes_of_what_the_peers_write(peer):
    cases, _, results, folder = peer
    rng = np.random.default_rng(5)
    for case in cases.write:
        volume = open_volume(str(folder / "peers" / case["name"]))
        for mip in range(len(case["arrays"])):
            stored, scale = results[f"{case['name']}/{case['reader']}/{mip}"], volume.info.scales[mip]
            for _ in range(3):
                box = Box(*random_span(rng, scale.bounds), scale.resolution)
                data = volume.read(box, scale).data
                expected = stored[box.slices(scale.bounds)]
                np.testing.assert_array_equal(data if data.ndim == 4 else data[..., None], expected, err_msg=str(case))


def test_cutouts_of_what_the_peers_write(peer):
    cases, _, results, folder = peer
    rng = np.random.default_rng(6)
    for case in cases.write:
        segmentation = case["type"] == "segmentation"
        source = str(folder / "peers" / case["name"])
        client = ImageryClient(**{"segmentation_source" if segmentation else "image_source": source})
        cut = client.segmentation_cutout if segmentation else client.image_cutout
        for mip, info in enumerate(case["scales"]):
            stored = results[f"{case['name']}/{case['reader']}/{mip}"]
            bounds = open_volume(source).info.scales[mip].bounds
            start, stop = random_span(rng, bounds)
            more = {"root_ids": None, "convert_to_int64": False} if segmentation else {}
            data = cut([start, stop], mip=mip, resolution=info["resolution"], **more)
            expected = np.squeeze(stored[Box(start, stop, bounds.resolution).slices(bounds)])
            np.testing.assert_array_equal(data, expected, err_msg=str(case))


def random_span(rng, bounds):
    """Two corners within a box, as tuples."""
    pairs = [
        sorted(rng.choice(np.arange(a, b + 1), 2, replace=False))
        for a, b in zip(bounds.start, bounds.stop, strict=True)
    ]
    return tuple(int(a) for a, _ in pairs), tuple(int(b) for _, b in pairs)


def test_what_the_demo_writes(peer):
    _, volumes, results, folder = peer
    compared = 0
    for name, (arrays, _) in volumes.items():
        ours = open_volume(str(folder / "ours" / name))
        for engine, mip in itertools.product(("tensorstore", "cloudvolume"), range(len(arrays))):
            theirs = results.get(f"{name}/{engine}/{mip}")
            if theirs is None:
                continue
            np.testing.assert_array_equal(whole(ours, mip), theirs, err_msg=f"{name} {engine} {mip}")
            if "jpeg" not in name:
                given = arrays[mip] if arrays[mip].ndim == 4 else arrays[mip][..., None]
                np.testing.assert_array_equal(theirs, given, err_msg=f"{name} {engine} {mip}")
            compared += 1
    assert compared > 100
