"""Writes Zarr and N5 with tensorstore, and opens them, for the tests of volumes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imageryclient.storage import open_store
from imageryclient.volumes.base import Block, IdsWanted
from imageryclient.volumes.zarr import ZarrVolume

ts = pytest.importorskip("tensorstore")

AT = (8.0, 8.0, 40.0)
EXPLICIT = "#resolution=8,8,40&axes=zyx"
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
ALL = IdsWanted("all", datetime(2024, 1, 1, tzinfo=UTC))
RNG = np.random.default_rng(2)
ARRAY = RNG.integers(1, 60000, (23, 37, 45), dtype=np.uint16)  # z, y, x
CHUNKS = (8, 16, 16)


def write(folder: Path, driver: str, array: np.ndarray, metadata: dict[str, Any], absent: Any = ()) -> None:
    """Write an array with tensorstore, without the chunks that begin at the places in `absent`."""
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{folder}/"}, "metadata": metadata}
    kind = {
        "zarr": ("dtype", array.dtype.str),
        "zarr3": ("data_type", array.dtype.name),
        "n5": ("dataType", array.dtype.name),
    }
    spec["metadata"] = dict([kind[driver]], **metadata)
    spec["store_data_equal_to_fill_value"] = True
    made = ts.open(spec, create=True, dtype=array.dtype, shape=array.shape).result()
    chunks = made.chunk_layout.read_chunk.shape
    with ts.Transaction() as transaction:
        for start in itertools.product(*(range(0, n, c) for n, c in zip(array.shape, chunks, strict=True))):
            if start not in absent:
                part = tuple(slice(a, min(a + c, n)) for a, c, n in zip(start, chunks, array.shape, strict=True))
                made.with_transaction(transaction)[part].write(array[part]).result()


def zarr2(folder: Path, array: np.ndarray = ARRAY, absent: Any = (), **metadata: Any) -> Path:
    write(
        folder, "zarr", array, {"chunks": [8] * (array.ndim - 3) + list(CHUNKS), "compressor": None, **metadata}, absent
    )
    return folder


def zarr3(folder: Path, array: np.ndarray = ARRAY, absent: Any = (), after: Any = (), **metadata: Any) -> Path:
    grid = {"name": "regular", "configuration": {"chunk_shape": CHUNKS}}
    write(folder, "zarr3", array, {"chunk_grid": grid, "codecs": [LITTLE, *after], **metadata}, absent)
    return folder


def sharded(folder: Path, absent: Any = (), after: Any = (), **configuration: Any) -> Path:
    inner = {"chunk_shape": CHUNKS, "codecs": [LITTLE, *after], "index_codecs": [LITTLE, {"name": "crc32c"}]}
    codecs = [{"name": "sharding_indexed", "configuration": {**inner, **configuration}}]
    grid = {"name": "regular", "configuration": {"chunk_shape": [16, 32, 32]}}
    write(folder, "zarr3", ARRAY, {"chunk_grid": grid, "codecs": codecs}, absent)
    return folder


def n5(folder: Path, array: np.ndarray = ARRAY, absent: Any = (), **metadata: Any) -> Path:
    """N5 has x first."""
    plain = {"blockSize": CHUNKS[::-1], "compression": {"type": "raw"}, "resolution": AT, "units": ["nm"] * 3}
    write(folder, "n5", array.T, {**plain, **metadata}, [start[::-1] for start in absent])
    return folder


def opened(place: Path | str, inner: str = "", format: Any = "zarr", **options: Any) -> ZarrVolume:
    url = place.as_uri() if isinstance(place, Path) else place
    return ZarrVolume.open("the volume", open_store(url, **options), format, inner)


def whole(volume: ZarrVolume, mip: int = 0) -> Block:
    scale = volume.info.scales[mip]
    return volume.read(scale.bounds, scale)


def write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


KINDS: dict[str, Callable[..., Path]] = {"zarr2": zarr2, "zarr3": zarr3, "n5": n5, "sharded": sharded}


def open_kind(kind: str, place: Path | str, **options: Any) -> ZarrVolume:
    return opened(place, *(("", "n5") if kind == "n5" else (EXPLICIT,)), **options)


SPACE = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]


def ome_image(folder: Path, version: str = "0.4", **more: Any) -> Path:
    levels = [ARRAY, ARRAY[:, ::2, ::2]]
    datasets = []
    for n, level in enumerate(levels):
        (zarr2 if version == "0.4" else zarr3)(folder / str(n), level)
        scale = [40, 8 * 2**n, 8 * 2**n]
        datasets.append({"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    image = {"multiscales": [{"axes": SPACE, "datasets": datasets, "version": version}], **more}
    group(folder, image, version)
    return folder


def group(folder: Path, attributes: dict[str, Any], version: str = "0.4") -> Path:
    if version == "0.4":
        write_json(folder / ".zgroup", {"zarr_format": 2})
        write_json(folder / ".zattrs", attributes)
    else:
        ome = {"ome": {"version": version, **attributes}}
        write_json(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": ome})
    return folder
