"""Zarr 3: a group with an array for imagery, segmentation and each mask, and in each a chunk for each place.

Written to https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html with the codecs transpose, bytes and zstd,
which zarr-python and tensorstore read; the group says what arrays it has, as zarr-python's consolidated metadata does,
so that nobody need look through its folder. A chunk that is not there, of a place that failed, is read as 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..workspace import Workspace
from .base import ArrayLayout, Layout, Products
from .png import write_pictures

__all__ = ["ZarrFormat"]

_LEVEL = 1
_DONE = ArrayLayout("done", "bool", ())


class ZarrFormat:
    """A folder that is a group of arrays (place, x, y, z), and `done`, bool, which says what places succeeded.

    Parameters
    ----------
    workspace : Workspace
        Where to.
    layout : Layout
        What.
    """

    def __init__(self, workspace: Workspace, layout: Layout) -> None:
        self._workspace = workspace
        self._layout = layout

    def prepare(self) -> None:
        """Write what the group and its arrays are."""
        documents = {array.name: _array_document(array, self._layout.count) for array in self._layout.arrays}
        documents["done"] = _done_document(self._layout.count)
        for name, document in documents.items():
            self._write_json(self._workspace.folder / name / "zarr.json", document)
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"imageryclient": dict(self._layout.about)},
            "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": documents},
        }
        self._write_json(self._workspace.folder / "zarr.json", group)

    def write(self, place: int, products: Products) -> None:
        """Write the chunks of a place, and its overlay."""
        for array in self._layout.arrays:
            key = ".".join(["c", str(place), *("0" for _ in array.row)])
            self._write_chunk(array.name, key, products.array(array.name)[np.newaxis])
        write_pictures(self._workspace, "overlay", self._layout.name(place), products.pictures)

    def finish(self, done: NDArray[np.bool_]) -> None:
        """Write what places succeeded."""
        self._write_chunk("done", "c.0", done)

    def _write_chunk(self, array: str, key: str, block: NDArray[Any]) -> None:
        self._workspace.write(self._workspace.folder / array / key, _compressed(block))

    def _write_json(self, path: Path, document: Any) -> None:
        self._workspace.write(path, json.dumps(document, indent=1).encode("ascii"))


def _array_document(array: ArrayLayout, count: int) -> dict[str, Any]:
    rank = len(array.row) + 1
    dtype = np.dtype(array.dtype)
    ends = {"configuration": {"endian": "little"}} if dtype.itemsize > 1 else {}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [count, *array.row],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, *array.row]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": False if dtype == np.bool_ else 0.0 if dtype.kind == "f" else 0,
        "codecs": [
            {"name": "transpose", "configuration": {"order": list(range(rank))[::-1]}},
            {"name": "bytes", **ends},
            {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": True}},
        ],
        "attributes": {},
        "dimension_names": list(array.dims),
        "storage_transformers": [],
    }


def _done_document(count: int) -> dict[str, Any]:
    document = _array_document(_DONE, count)
    size = max(count, 1)  # a chunk must not be empty
    return {
        **document,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [size]}},
        "dimension_names": ["place"],
    }


def _compressed(block: NDArray[Any]) -> bytes:
    """Give the bytes of a chunk: the first axis fastest, little-endian, in zstd with a checksum."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: _LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    little = block.astype(block.dtype.newbyteorder("<"), copy=False)
    return bytes(zstd.compress(little.tobytes("F"), options=options))
