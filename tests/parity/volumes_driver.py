"""Runs in the peers' environment: writes and reads volumes with tensorstore and cloud-volume.

`python volumes_driver.py FOLDER` reads FOLDER/cases.json and FOLDER/inputs.npz. For each case of "write" it makes
a volume below FOLDER/peers; for each of "read" it opens one. What it reads, of both, comes to FOLDER/results.npz
as NAME/ENGINE/MIP, with axes (x, y, z, channel). It imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorstore as ts
from cloudvolume import CloudVolume, chunks
from cloudvolume.datasource.precomputed.common import compressed_morton_code
from cloudvolume.datasource.precomputed.sharding import ShardingSpecification


def ts_open(source, mip, **more):
    if source.startswith("http"):
        kvstore = {"driver": "http", "base_url": source}
    else:
        kvstore = {"driver": "file", "path": f"{source}/"}
    spec = {"driver": "neuroglancer_precomputed", "kvstore": kvstore, "fill_missing_data_reads": False}
    if not more:
        spec["scale_index"] = mip
    return ts.open({**spec, **more}, create=bool(more), open=True).result()


def ts_write(case, arrays, folder):
    for scale, array in zip(case["scales"], arrays, strict=True):
        metadata = {key: scale[key] for key in ("size", "resolution", "voxel_offset", "chunk_size", "encoding")}
        for key in ("sharding", "compressed_segmentation_block_size", "jpeg_quality"):
            if scale.get(key) is not None:
                metadata[key] = scale[key]
        multi = {"type": case["type"], "data_type": str(array.dtype), "num_channels": array.shape[3]}
        store = ts_open(folder, None, multiscale_metadata=multi, scale_metadata=metadata)
        with ts.Transaction() as transaction:
            store.with_transaction(transaction)[ts.d[:].translate_to[0]].write(array).result()


def ts_read(source, count):
    return [np.asarray(ts_open(source, mip).read().result()) for mip in range(count)]


def cv_write(case, arrays, folder):
    scales = []
    for scale in case["scales"]:
        known = {key: value for key, value in scale.items() if value is not None}
        known["chunk_sizes"] = [known.pop("chunk_size")]
        scales.append({**known, "key": "_".join(map(str, scale["resolution"]))})
    info = {
        "@type": "neuroglancer_multiscale_volume",
        "type": case["type"],
        "data_type": str(arrays[0].dtype),
        "num_channels": arrays[0].shape[3],
        "scales": scales,
    }
    for mip, array in enumerate(arrays):
        volume = CloudVolume(f"file://{folder}", mip=mip, info=info, compress=case.get("compress"), progress=False)
        volume.commit_info()
        if scales[mip].get("sharding"):
            cv_shards(volume, scales[mip], array, Path(folder, scales[mip]["key"]))
        else:
            volume[:] = array


def cv_shards(volume, scale, array, folder):
    """Write all chunks of a scale; cloud-volume's own upload takes one shard of consecutive chunks at a time."""
    size = np.array(scale["chunk_sizes"][0])
    grid = -(-np.array(array.shape[:3]) // size)
    encoded = {}
    for place in np.ndindex(*grid):
        start = np.array(place) * size
        chunk = array[tuple(slice(a, b) for a, b in zip(start, start + size, strict=True))]
        block = scale.get("compressed_segmentation_block_size")
        code = int(compressed_morton_code(place, grid))
        encoded[code] = chunks.encode(np.asfortranarray(chunk), scale["encoding"], block_size=block)
    folder.mkdir()
    for name, data in ShardingSpecification.from_dict(scale["sharding"]).synthesize_shards(encoded).items():
        (folder / name).write_bytes(data)


def cv_read(source, count):
    path = f"precomputed://{source}" if source.startswith("http") else f"file://{source}"
    return [np.asarray(CloudVolume(path, mip=mip, progress=False)[:]) for mip in range(count)]


def main():
    folder = Path(sys.argv[1])
    inputs = dict(np.load(folder / "inputs.npz"))
    cases = json.loads((folder / "cases.json").read_text())
    write = {"tensorstore": ts_write, "cloudvolume": cv_write}
    read = {"tensorstore": ts_read, "cloudvolume": cv_read}
    wanted = []
    for case in cases["write"]:
        place = folder / "peers" / case["name"]
        place.mkdir(parents=True)
        write[case["engine"]](case, [inputs[name] for name in case["arrays"]], str(place))
        wanted.append((case["name"], case["reader"], str(place), len(case["arrays"])))
    for case in cases["read"]:
        wanted += [(case["name"], engine, case["source"], case["count"]) for engine in case["engines"]]
    results = {}
    with ThreadPoolExecutor(8) as pool:  # cloud-volume sleeps a third of a second for many a shard
        arrays = pool.map(lambda want: read[want[1]](*want[2:]), wanted)
        for (name, engine, _, _), scales in zip(wanted, arrays, strict=True):
            results.update({f"{name}/{engine}/{mip}": array for mip, array in enumerate(scales)})
    np.savez(folder / "results.npz", **results)


if __name__ == "__main__":
    main()
