"""Zarr 2 and 3, sharded too, N5 and OME-Zarr as zarr-python, ome-zarr, tensorstore and z5py write them."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from imageryclient.demo.server import DemoServer
from imageryclient.geometry import Box
from imageryclient.storage import open_store
from imageryclient.volumes.zarr import ZarrSegmentation, ZarrVolume

pytest.importorskip("tensorstore")
pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("zarr_driver.py")

SIZES = {"x": 45, "y": 37, "z": 23, "c": 3, "t": 2}
CHUNKS = {"x": 16, "y": 8, "z": 8, "c": 2, "t": 1}
SHARDS = {"x": 32, "y": 24, "z": 16, "c": 2, "t": 1}
DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"
)  # fmt: skip
ORDERS = ("zyx", "xyz", "czyx", "zyxc", "tczyx", "yxz", "xyzc")
MARGIN = 4  # voxels by which boxes may reach beyond the data
BLOSC = [("lz4", 1), ("zstd", 2), ("blosclz", 0), ("zlib", 1), ("lz4hc", -1)]


def sizes(of, axes):
    return [of[axis] for axis in axes]


def voxels(axes, dtype, seed):
    """Small values in blocks, as labels are, with a few large ones."""
    rng = np.random.default_rng(seed)
    shape = sizes(SIZES, axes)
    small = rng.integers(0, 5, [-(-n // 3) for n in shape])
    for axis in range(len(shape)):
        small = np.repeat(small, 3, axis=axis)
    array = small[tuple(map(slice, shape))].astype(dtype)
    if np.dtype(dtype).kind in "ui":
        array[rng.random(shape) < 0.01] = np.iinfo(dtype).max
        array[rng.random(shape) < 0.01] = np.iinfo(dtype).min
    elif np.dtype(dtype).kind == "f":
        array[rng.random(shape) < 0.01] = -1.5
    return array


class Cases:
    def __init__(self):
        self.listed, self.inputs = [], {}

    def add(self, engine, axes, dtype, what, *, inner=None, fill=0, format="zarr", **case):
        number = len(self.listed)
        name = f"{number}-{engine}-{axes}-{dtype}-{what}"
        array = voxels(axes, dtype, number)
        array[tuple(slice(0, CHUNKS[axis]) for axis in axes)] = fill  # so that the first chunk need not be written
        self.inputs[name] = array
        inner = f"#resolution=8,8,40&axes={axes}" if inner is None else inner
        self.listed.append({"engine": engine, "name": name, "array": name, "axes": axes, "inner": inner, "fill": fill,
                            "format": format, "chunks": sizes(CHUNKS, axes), **case})  # fmt: skip


def zarr_cases(cases):
    axes, dtypes = itertools.cycle(ORDERS), itertools.cycle(DTYPES)
    compressors = [None, {"id": "zlib", "level": 3}, {"id": "gzip", "level": 3}, {"id": "bz2", "level": 2}]
    compressors += [{"id": "zstd", "level": 2}, {"id": "lz4"}, {"id": "lzma"}]
    compressors += [{"id": "blosc", "cname": cname, "clevel": 4, "shuffle": shuffle} for cname, shuffle in BLOSC]
    for number, (compressor, order) in enumerate(itertools.product(compressors, "CF")):
        options = {"zarr_format": 2, "compressor": compressor, "order": order, "separator": "./"[number % 2]}
        what = f"2{order}{'none' if compressor is None else compressor['id']}"
        cases.add("zarr", next(axes), next(dtypes), what, options=options)
    for dtype in ("<u2", ">u2", ">i4", ">u8", "<f4", ">f8", ">f2"):
        cases.add(
            "zarr", "zyx", np.dtype(dtype).newbyteorder("=").name, "2endian", options={"zarr_format": 2}, stored=dtype
        )
    for dtype, fill in (
        ("uint64", 2**64 - 1),
        ("float32", "NaN"),
        ("int16", -7),
        ("bool", True),
        ("float64", "-Infinity"),
    ):
        for version in (2, 3):
            number = float(fill) if isinstance(fill, str) else fill
            options = {"zarr_format": version, "fill_value": fill}
            cases.add("zarr", "zyx", dtype, f"{version}fill", options=options, fill=number)
    named = {"zarr_format": 3, "dimension_names": ["z", "y", "x"]}
    cases.add("zarr", "zyx", "uint8", "3named", options=named, inner="#resolution=8,8,40")
    units = {"dimension_units": ["40 nm", "0.008 um", "8 nm"]}
    cases.add("zarr", "zyx", "uint8", "3units", options=named, inner="", attributes=units)
    xarray = {"_ARRAY_DIMENSIONS": ["z", "y", "x"]}
    cases.add(
        "zarr", "zyx", "int16", "2named", options={"zarr_format": 2}, inner="#resolution=8,8,40", attributes=xarray
    )
    chains = [[], [("gzip", {"level": 3})], [("zstd", {"level": 2})], [("zstd", {"level": 2, "checksum": True})],
              [("crc32c", {})], [("zstd", {"level": 1}), ("crc32c", {})]]  # fmt: skip
    chains += [[(f"numcodecs.{name}", {})] for name in ("zlib", "bz2", "lzma", "lz4", "zstd", "blosc", "gzip")]
    chains += [[("blosc", {"cname": cname, "shuffle": shuffle})] for cname, shuffle in
               (("lz4", "shuffle"), ("zstd", "bitshuffle"), ("zlib", "noshuffle"))]  # fmt: skip
    separators = itertools.cycle([("default", "/"), ("default", "."), ("v2", "."), ("v2", "/")])
    for number, (chain, sharded) in enumerate(itertools.product(chains, (False, True))):
        order = next(axes)
        options = {"zarr_format": 3, "compressors": chain, "separator": next(separators)}
        if number % 3 == 0:
            options["transpose"] = list(range(len(order)))[::-1]
        if number % 4 == 1:
            options["endian"] = "big"
        if sharded:
            options["shards"] = sizes(SHARDS, order)
            options["index_at_start"] = number % 8 == 3
        what = f"3{'shards' if sharded else ''}{'-'.join(name for name, _ in chain)}"
        cases.add("zarr", order, next(dtypes), what, options=options)


def tensorstore_cases(cases):
    axes, dtypes = itertools.cycle(("zyx", "xyz", "zyxc", "czyx")), itertools.cycle(DTYPES)
    for compressor in (None, {"id": "blosc"}, {"id": "zlib"}, {"id": "bz2"}, {"id": "zstd"}):
        order = next(axes)
        metadata = {"chunks": sizes(CHUNKS, order), "compressor": compressor, "order": "CF"[len(cases.listed) % 2]}
        cases.add("tensorstore", order, next(dtypes), "zarr2", driver="zarr", metadata=metadata)
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    for after in ([], [{"name": "gzip"}], [{"name": "zstd"}], [{"name": "blosc"}], [{"name": "crc32c"}]):
        for sharded in (False, True):
            order, dtype = next(axes), next(dtypes)
            bytes_codec = little if np.dtype(dtype).itemsize > 1 else {"name": "bytes"}
            codecs = [
                {"name": "transpose", "configuration": {"order": list(range(len(order)))[::-1]}},
                bytes_codec,
                *after,
            ]
            if sharded:
                configuration = {
                    "chunk_shape": sizes(CHUNKS, order),
                    "codecs": codecs,
                    "index_location": ("start", "end")[len(cases.listed) % 2],
                    "index_codecs": [little, {"name": "crc32c"}][: 1 + len(cases.listed) // 2 % 2],
                }
                codecs = [{"name": "sharding_indexed", "configuration": configuration}]
            shape = sizes(SHARDS if sharded else CHUNKS, order)
            grid = {"name": "regular", "configuration": {"chunk_shape": shape}}
            metadata = {"chunk_grid": grid, "codecs": codecs, "data_type": dtype}
            cases.add("tensorstore", order, dtype, f"zarr3{sharded}", driver="zarr3", metadata=metadata)
    n5_types = itertools.cycle([dtype for dtype in DTYPES if dtype not in ("bool", "float16")])
    compressions = [{"type": "raw"}, {"type": "gzip"}, {"type": "gzip", "useZlib": True}, {"type": "bzip2"},
                    {"type": "xz"}, {"type": "zstd"}]  # fmt: skip
    compressions += [{"type": "blosc", "cname": cname, "clevel": 5, "shuffle": max(0, s)} for cname, s in BLOSC]
    for compression in compressions:
        metadata = {"compression": compression, "blockSize": sizes(CHUNKS, "xyz"), "axes": ["x", "y", "z"],
                    "units": ["nm", "nm", "um"], "resolution": [8, 8, 0.04]}  # fmt: skip
        what = f"n5{compression['type']}"
        cases.add("tensorstore", "xyz", next(n5_types), what, driver="n5", metadata=metadata, inner="", format="n5")
    metadata = {"compression": {"type": "gzip"}, "blockSize": sizes(CHUNKS, "xyzc")}
    cases.add("tensorstore", "xyzc", "uint16", "n5", driver="n5", metadata=metadata, format="n5")


def ome_cases(cases):
    um = {"type": "space", "unit": "micrometer"}
    space = [{"name": axis, **um} for axis in "zyx"]
    for version, centred in itertools.product(("0.4", "0.5"), (False, True)):
        move = [{"type": "translation", "translation": [0, 0.004, 0.004]}] if centred else []
        fine = [{"type": "scale", "scale": [0.04, 0.008, 0.008]}]
        coarse = [{"type": "scale", "scale": [0.04, 0.016, 0.016]}, *move]
        ome = {"version": version, "axes": space, "factors": [1, 2, 2], "transformations": [fine, coarse]}
        cases.add("ome-zarr", "zyx", "uint16", f"{version}{centred}", inner="", ome=ome)
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}, *space]
    levels = [
        [{"type": "scale", "scale": [1, 1, 0.04, 0.008, 0.008]}],
        [{"type": "scale", "scale": [1, 1, 0.04, 0.016, 0.016]}],
    ]
    ome = {"axes": axes, "factors": [1, 1, 1, 2, 2], "transformations": levels}
    cases.add("ome-zarr", "tczyx", "uint8", "0.4", inner="", ome={"version": "0.4", **ome})
    cases.add("ome-zarr", "tczyx", "uint8", "0.5", inner="", ome={"version": "0.5", **ome})


def z5_cases(cases):
    resolution = {"resolution": [8, 8, 40]}
    for compression, dtype in (
        ("gzip", "uint16"),
        ("raw", "uint64"),
        ("blosc", "float32"),
        ("zlib", "int8"),
        ("zstd", "uint8"),
    ):
        # z5py turns shape and blocks around for N5, so what it calls z, y, x is x, y, z there
        more = {"zarr": False, "compression": compression, "attributes": resolution}
        if compression != "zlib":
            cases.add("z5py", "zyx", dtype, "n5", inner="a.n5/raw", format="n5", **more)
    for compression, dtype in (("zlib", "uint16"), ("raw", "uint64"), ("blosc", "float32")):
        inner = "a.zr/raw#resolution=8,8,40&axes=zyx"
        cases.add("z5py", "zyx", dtype, "zarr", inner=inner, zarr=True, compression=compression)


@pytest.fixture(scope="module")
def peer(peer_python, tmp_path_factory):
    """What the peers wrote: the cases, the arrays, the folder."""
    folder = tmp_path_factory.mktemp("zarr_peer")
    cases = Cases()
    zarr_cases(cases)
    tensorstore_cases(cases)
    z5_cases(cases)
    ome_cases(cases)
    (folder / "peers").mkdir()
    (folder / "cases.json").write_text(json.dumps(cases.listed))
    np.savez(folder / "inputs.npz", **cases.inputs)
    subprocess.run([peer_python, DRIVER, folder], check=True)
    return cases, folder


def as_xyzc(array, axes):
    """The array as it must be read: x, y, z, the first time point, channels last."""
    if "t" in axes:
        array = array.take(0, axis=axes.index("t"))
        axes = axes.replace("t", "")
    array = array.transpose([axes.index(axis) for axis in "xyzc" if axis in axes])
    return array if array.ndim == 4 else array[..., None]


def random_box(rng, bounds):
    start, stop = [], []
    for a, b in zip(bounds.start, bounds.stop, strict=True):
        low, high = sorted(int(n) for n in rng.choice(np.arange(a - MARGIN, b + MARGIN + 1), 2, replace=False))
        start.append(low)
        stop.append(high)
    return Box(tuple(start), tuple(stop), bounds.resolution)


def expected_box(array, box):
    wide = np.pad(array, [(MARGIN, MARGIN)] * 3 + [(0, 0)])
    return wide[tuple(slice(a + MARGIN, b + MARGIN) for a, b in zip(box.start, box.stop, strict=True))]


def read(volume, box, scale):
    data = volume.read(box, scale).data
    return data if data.ndim == 4 else data[..., None]


def check(case, array, store, rng):
    volume = ZarrVolume.open(case["name"], store, case["format"], case["inner"])
    scale = volume.info.scales[0]
    array = as_xyzc(array, case["axes"])
    assert scale.resolution == (8.0, 8.0, 40.0), case
    assert scale.bounds == Box((0, 0, 0), array.shape[:3], scale.resolution), case
    assert volume.info.dtype == array.dtype, case
    assert isinstance(volume, ZarrSegmentation) == (array.dtype.kind in "uib")
    block = volume.read(scale.bounds, scale)
    whole = block.data if block.data.ndim == 4 else block.data[..., None]
    np.testing.assert_array_equal(whole, array, err_msg=str(case))
    first = Box((0, 0, 0), scale.chunk_size, scale.resolution)
    assert block.coverage.absent in ((), (first,)), case  # some write chunks that hold nothing but the fill value
    assert block.coverage.absent or case["engine"] != "zarr", case
    for _ in range(2):
        box = random_box(rng, scale.bounds)
        np.testing.assert_array_equal(read(volume, box, scale), expected_box(array, box), err_msg=str(case))
    return volume


def check_ome(volume, case, array, place):
    """Both scales lie together, and the labels with them, by whichever path they are named."""
    array = as_xyzc(array, case["axes"])[::2, ::2]
    coarse = volume.info.scales[1]
    assert volume.info.kind == "image"
    assert coarse.bounds == Box((0, 0, 0), array.shape[:3], (16.0, 16.0, 40.0))
    np.testing.assert_array_equal(read(volume, coarse.bounds, coarse), array)
    key = volume.info.scales[1].key
    for store, inner in ((place, "labels/cells"), (place / "labels/cells", ""), (place / "labels", "cells")):
        labels = ZarrVolume.open("labels", open_store(store.as_uri()), "zarr", inner)
        assert labels.info.kind == "segmentation"
        assert labels.info.scales[1].bounds == coarse.bounds
        np.testing.assert_array_equal(
            read(labels, coarse.bounds, labels.info.scales[1]), array.astype(np.uint32) * 70000
        )
    # the array of the coarse scale alone, of which the group above says where it lies
    for store, inner in ((place, key), (place / key, "")):
        alone = ZarrVolume.open("alone", open_store(store.as_uri()), "zarr", inner)
        (scale,) = alone.info.scales
        assert scale.bounds == coarse.bounds
        np.testing.assert_array_equal(read(alone, scale.bounds, scale), array)


def test_what_the_peers_write(peer):
    cases, folder = peer
    rng = np.random.default_rng(3)
    for case in cases.listed:
        place = folder / "peers" / case["name"]
        array = cases.inputs[case["name"]]
        volume = check(case, array, open_store(place.as_uri()), rng)
        if "ome" in case:
            check_ome(volume, case, array, place)
    assert len(cases.listed) > 90


def test_the_same_from_a_server(peer):
    cases, folder = peer
    rng = np.random.default_rng(4)
    with DemoServer(folder / "peers") as server:
        for case in cases.listed[::2]:
            check(case, cases.inputs[case["name"]], open_store(f"{server.url}/data/{case['name']}"), rng)
