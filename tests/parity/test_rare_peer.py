"""Rare encodings as CloudVolume writes them, and the CloudVolumes that a client hands out."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.volumes import open_volume

pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("volumes_driver.py")
MODULES = {
    "compresso": "compresso", "crackle": "crackle", "fpzip": "fpzip", "kempressed": "fpzip", "zfpc": "zfpc",
    "jxl": "imagecodecs",
}  # fmt: skip
SHAPE, CHUNK, OFFSET = (67, 37, 21), (32, 32, 8), (-37, 5, 20011)
SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 1,
    "hash": "murmurhash3_x86_128",
    "minishard_bits": 2,
    "shard_bits": 2,
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}


def array_of(encoding: str, dtype: str, channels: int) -> np.ndarray:
    rng = np.random.default_rng(len(encoding) + channels)
    if dtype == "float32":
        return rng.normal(0, 30, (*SHAPE, channels)).astype(np.float32)
    if dtype == "uint8" and encoding == "jxl":
        x, y, z, c = np.meshgrid(*map(np.arange, (*SHAPE, channels)), indexing="ij")
        return (120 + 60 * np.sin(x / 9 + c) + 40 * np.cos(y / 7 - z / 3)).astype(np.uint8)
    coarse = rng.integers(0, np.iinfo(dtype).max, [-(-n // 5) for n in SHAPE], dtype=dtype)
    fine = np.kron(coarse, np.ones((5, 5, 5), dtype))[tuple(slice(0, n) for n in SHAPE)]
    return fine[..., None]


def has(python: Path, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


KINDS = [
    *((e, d, 1) for e in ("compresso", "crackle") for d in ("uint8", "uint16", "uint32", "uint64")),
    *((e, "float32", c) for e in ("fpzip", "kempressed", "zfpc") for c in (1, 2)),
    ("jxl", "uint8", 1),
]


@pytest.fixture(scope="module")
def written(peer_python, tmp_path_factory):
    """Volumes that CloudVolume wrote, and what it reads of them: name to folder, encoding, given and read array."""
    folder = tmp_path_factory.mktemp("rare_peer")
    there = {encoding for encoding, module in MODULES.items() if has(peer_python, module)}
    if not there:
        pytest.skip("the peers' environment lacks the codecs: make it anew with `python tests/parity/environment.py`")
    write, inputs = [], {}
    for (encoding, dtype, channels), sharded in itertools.product(KINDS, (False, True)):
        if encoding not in there:
            continue
        name = f"{encoding}-{dtype}-{channels}-{'sharded' if sharded else 'files'}"
        inputs[name] = np.asfortranarray(array_of(encoding, dtype, channels))  # CloudVolume mixes up others
        scale = {
            "size": SHAPE,
            "resolution": [8, 8, 40],
            "voxel_offset": OFFSET,
            "chunk_size": (16, 16, 8) if sharded else CHUNK,
            "encoding": encoding,
            "sharding": SHARDING if sharded else None,
        }
        kind = "segmentation" if encoding in ("compresso", "crackle") else "image"
        case = {"name": name, "engine": "cloudvolume", "type": kind, "scales": [scale], "arrays": [name]}
        write.append({**case, "compress": None if channels == 1 else False, "reader": "cloudvolume"})
    (folder / "cases.json").write_text(json.dumps({"write": write, "read": []}))
    np.savez(folder / "inputs.npz", **inputs)
    subprocess.run([peer_python, DRIVER, folder], check=True)
    results = dict(np.load(folder / "results.npz"))
    return {
        case["name"]: (
            folder / "peers" / case["name"],
            case,
            inputs[case["name"]],
            results[f"{case['name']}/cloudvolume/0"],
        )
        for case in write
    }


@pytest.mark.parametrize("encoding", MODULES)
def test_what_cloudvolume_writes(written, encoding):
    pytest.importorskip(MODULES[encoding])
    count = 0
    for name, (folder, case, given, theirs) in written.items():
        if case["scales"][0]["encoding"] != encoding:
            continue
        volume = open_volume(str(folder))
        (scale,) = volume.info.scales
        block = volume.read(scale.bounds, scale)
        assert block.coverage.complete
        ours = block.data if block.data.ndim == 4 else block.data[..., None]
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        worst = {"jxl": 12, "kempressed": 1e-4}.get(encoding, 0)  # the one is lossy, the other rounds
        assert np.abs(ours.astype(np.float64) - given).max() <= worst if worst else np.array_equal(ours, given), name
        client = ic.ImageryClient(**{f"{'segmentation' if case['type'] == 'segmentation' else 'image'}_source": folder})
        start = [o + 20 for o in OFFSET[:2]] + [OFFSET[2] + 5]
        cut = client.cutout(bounds=[start, [a + n for a, n in zip(start, (30, 10, 9), strict=True)]])
        got = cut.segmentation if case["type"] == "segmentation" else cut.image
        part = ours[20:50, 20:30, 5:14]
        np.testing.assert_array_equal(got if got.ndim == 4 else got[..., None], part, err_msg=name)
        count += 1
    if not count:
        pytest.skip("the peers' environment lacks this codec")


def test_the_cloudvolumes_of_a_client(peer_python, datastack, server, sources, tmp_path):
    if not has(peer_python, "obstore, cmap"):
        pytest.skip("the peers' environment lacks what this package needs: make it anew")
    running = server()
    layout = Layout(resolution=(8, 8, 40), voxel_offset=datastack.offsets[0])
    flat = write_precomputed(tmp_path / "flat", [(datastack.supervoxels[0], layout)], kind="segmentation")
    local = {"image_source": str(datastack.folder / "imagery"), "segmentation_source": str(flat)}
    low, high = (200, 140, 20), (230, 160, 22)
    case = {"box": [low, high], "resolution": [8, 8, 40], "mip": {"image": 1, "segmentation": 0}}
    cases = {
        "local": {**case, "client": local},
        "file": {**case, "client": {name: f"precomputed://file://{path}" for name, path in local.items()}},
        "served": {
            **case,
            "client": {**sources(running), "auth_token": datastack.token},
            "timestamp": datastack.late.timestamp(),
        },
        "one": {**case, "client": {**local, "segmentation": False}},
    }
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    driver = Path(__file__).with_name("cloudvolume_driver.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(ic.__file__).parents[1])}
    subprocess.run(
        [peer_python, driver, tmp_path / "cases.json", tmp_path / "results.npz"], check=True, env=environment
    )
    results = dict(np.load(tmp_path / "results.npz"))
    assert {name.split("/")[0] for name in results if "segmentation" in name} == {"local", "file", "served"}
    for name in cases:
        np.testing.assert_array_equal(results[f"{name}/image"], datastack.image(low, high))
        assert results[f"{name}/image/resolution"].tolist() == [8, 8, 40]
    np.testing.assert_array_equal(results["local/segmentation"], datastack.labels(low, high))
    np.testing.assert_array_equal(
        results["served/segmentation"], datastack.roots(low, high, datastack.late.timestamp())
    )
