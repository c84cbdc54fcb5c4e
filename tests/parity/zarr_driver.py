"""Runs in the peers' environment: writes Zarr and N5 with the libraries that people use for it.

`python zarr_driver.py FOLDER` reads FOLDER/cases.json and FOLDER/inputs.npz, and makes for each case what its engine
is to write, below FOLDER/peers; FOLDER/versions.json says which were used. It imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import ome_zarr.format
import ome_zarr.writer
import tensorstore as ts
import z5py
import zarr
import zarr.codecs
import zarr.codecs.numcodecs
import zarr.registry


def zarr_array(place, case, array):
    """zarr-python, either version of the format."""
    options = dict(case["options"])
    version = options.pop("zarr_format")
    more = {}
    for name in ("shards", "dimension_names", "fill_value", "config"):
        if name in options:
            value = options.pop(name)
            more[name] = tuple(value) if name == "shards" else value
    if version == 2:
        more["order"] = options.pop("order", "C")
        if "separator" in options:
            more["chunk_key_encoding"] = {"name": "v2", "configuration": {"separator": options.pop("separator")}}
        compressor = options.pop("compressor", None)
        if compressor is not None:
            import numcodecs

            compressor = numcodecs.get_codec(compressor)
        more["compressors"] = compressor
    else:
        if "separator" in options:
            name, separator = options.pop("separator")
            more["chunk_key_encoding"] = {"name": name, "configuration": {"separator": separator}}
        if "transpose" in options:
            more["filters"] = [zarr.codecs.TransposeCodec(order=tuple(options.pop("transpose")))]
        more["serializer"] = zarr.codecs.BytesCodec(endian=options.pop("endian", "little"))
        more["compressors"] = [codec(one) for one in options.pop("compressors", [])]
        if options.pop("index_at_start", False):
            # create_array() has no word for it
            inner = (*more.pop("filters", []), more.pop("serializer"), *more.pop("compressors"))
            shards = more.pop("shards")
            more["serializer"] = zarr.codecs.ShardingCodec(
                chunk_shape=tuple(case["chunks"]), codecs=inner, index_location="start"
            )
            more |= {"chunks": shards, "compressors": None, "filters": None}
    assert not options, options
    made = zarr.create_array(
        store=str(place), shape=array.shape, dtype=array.dtype, zarr_format=version,
        **{"chunks": tuple(case["chunks"]), **more},
    )  # fmt: skip
    made[...] = array
    made.attrs.update(case.get("attributes", {}))


def codec(one):
    name, configuration = one
    if name.startswith("numcodecs."):
        return zarr.registry.get_codec_class(name)(**configuration)
    kinds = {
        "gzip": zarr.codecs.GzipCodec,
        "zstd": zarr.codecs.ZstdCodec,
        "blosc": zarr.codecs.BloscCodec,
        "crc32c": zarr.codecs.Crc32cCodec,
    }
    return kinds[name](**configuration)


def tensorstore_array(place, case, array):
    spec = {
        "driver": case["driver"],
        "kvstore": {"driver": "file", "path": f"{place}/"},
        "metadata": case["metadata"],
        **case.get("spec", {}),
    }
    if case["driver"] == "zarr":
        spec["metadata"] = {**spec["metadata"], "dtype": array.dtype.str}
    made = ts.open(spec, create=True, dtype=array.dtype, shape=array.shape).result()
    made.write(array).result()


def z5_array(place, case, array):
    place.mkdir()
    with z5py.File(str(place / ("a.zr" if case["zarr"] else "a.n5")), mode="a") as file:
        made = file.create_dataset(
            "raw", data=array, chunks=tuple(case["chunks"]), compression=case["compression"], **case.get("options", {})
        )
        made.attrs.update(case.get("attributes", {}))


def ome_image(place, case, array):
    """ome-zarr-py: an image with its pyramid, and labels of it."""
    chunks, case = case["chunks"], case["ome"]
    kind = {"0.4": ome_zarr.format.FormatV04, "0.5": ome_zarr.format.FormatV05}[case["version"]]()
    group = zarr.open_group(str(place), mode="w", zarr_format=kind.zarr_format)
    levels = [array, array[tuple(slice(None, None, f) for f in case["factors"])]]
    options = {"axes": case["axes"], "coordinate_transformations": case["transformations"], "fmt": kind}
    options["storage_options"] = {"chunks": tuple(chunks)}
    ome_zarr.writer.write_multiscale(levels, group, **options)
    labels = [level.astype(np.uint32) * 70000 for level in levels]
    ome_zarr.writer.write_multiscale_labels(labels, group, name="cells", **options)


def main():
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    inputs = dict(np.load(folder / "inputs.npz"))
    write = {"zarr": zarr_array, "tensorstore": tensorstore_array, "z5py": z5_array, "ome-zarr": ome_image}
    for case in json.loads((folder / "cases.json").read_text()):
        array = inputs[case["array"]]
        array = array.astype(np.dtype(case["stored"])) if "stored" in case else array
        write[case["engine"]](folder / "peers" / case["name"], case, array)
    packages = ("zarr", "ome-zarr", "tensorstore", "z5py", "numcodecs")
    (folder / "versions.json").write_text(json.dumps({name: version(name) for name in packages}))


if __name__ == "__main__":
    main()
