"""Zarr 3: a group with an array for imagery, segmentation and each mask, and in each a chunk for each place.

Written to https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html with the codecs transpose, bytes and zstd,
which zarr-python and tensorstore read; the group says what arrays it has, as zarr-python's consolidated metadata does,
so that nobody need look through its folder. A chunk that is not there, of a place that failed, is read as 0.

A chunk is a file, or lies with those of other places in a shard. Shards are put together at the end, from packs.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..packs import OpenPack, Packs
from ..workspace import Workspace, writing
from .base import ArrayLayout, Layout, Products
from .png import write_pictures
from .shards import ShardReader, ShardWriter

__all__ = ["ZarrFormat", "fitting_shards"]

_LEVEL = 1
_DONE = ArrayLayout("done", "bool", ())
_FILES = 10_000  # of which a folder's reader takes no notice
_SHARD_BYTES = 2**30  # before compression
_SHARD_PLACES = 1000


def fitting_shards(layout: Layout) -> int:
    """Give the places in a shard where nobody says: one, a file for each, as long as that does not make many files.

    Examples
    --------
    >>> fitting_shards(Layout(2000, (64, 64, 8), "uint8", 1, True))
    1
    >>> fitting_shards(Layout(100_000, (64, 64, 8), "uint8", 1, True))
    1000
    >>> fitting_shards(Layout(100_000, (256, 256, 16), "uint8", 1, True))
    113
    """
    if layout.count * len(layout.arrays) <= _FILES:
        return 1
    return max(1, min(_SHARD_PLACES, _SHARD_BYTES // sum(array.nbytes for array in layout.arrays)))


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
        self._shard = layout.places_per_file
        self._packs = Packs(workspace.packs, len(layout.arrays), self._shard)

    def prepare(self) -> None:
        """Write what the group and its arrays are."""
        documents = {
            array.name: _array_document(array, self._layout.count, self._shard) for array in self._layout.arrays
        }
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
        chunks = [_compressed(products.array(array.name)[np.newaxis]) for array in self._layout.arrays]
        if self._shard == 1:
            for array, chunk in zip(self._layout.arrays, chunks, strict=True):
                self._workspace.write(self._path(array, place), chunk)
        else:
            self._packs.add(place, chunks)
        write_pictures(self._workspace, "overlay", self._layout.name(place), products.pictures)

    def _path(self, array: ArrayLayout, number: int) -> Path:
        """Give the file of a place, or of a shard."""
        return self._workspace.folder / array.name / ".".join(["c", str(number), *("0" for _ in array.row)])

    def finish(self, done: NDArray[np.bool_]) -> list[int]:
        """Put the shards together, and write what places succeeded."""
        lost: list[int] = []
        if self._shard > 1:
            packed = set(self._packs.numbers())
            for number, first in enumerate(range(0, len(done), self._shard)):
                wanted = set(np.flatnonzero(done[first : first + self._shard]).tolist())
                lost += (first + n for n in self._put_together(number, wanted, number in packed))
        kept = done.copy()
        kept[lost] = False
        self._workspace.write(self._workspace.folder / "done" / "c.0", _compressed(kept))
        return lost

    def _put_together(self, number: int, wanted: set[int], packed: bool) -> list[int]:
        """Make the shards of one range of places anew, from its packs and the shards there are; give what is lost."""
        paths, first = [self._path(array, number) for array in self._layout.arrays], number * self._shard
        with writing(self._workspace.output), ExitStack() as stack:
            before = [stack.enter_context(closing(ShardReader(path, self._shard))) for path in paths]
            if not packed and all(shard.held == wanted for shard in before):
                return []
            if not wanted:
                for path in paths:
                    path.unlink(missing_ok=True)
                self._packs.drop(number)
                return []
        with writing(self._workspace.output), ExitStack() as stack:
            shards = []
            for path in paths:
                name = stack.enter_context(self._workspace.staged(path, lasting=True))
                shards.append(ShardWriter(stack.enter_context(name.open("wb")), self._shard))
            before = [stack.enter_context(closing(ShardReader(path, self._shard))) for path in paths]
            pack = stack.enter_context(self._packs.opened(number))
            lost = []
            for place in sorted(wanted):
                chunks = _either(pack, first + place, before, place)
                if chunks is None:
                    lost.append(place)
                    continue
                for shard, chunk in zip(shards, chunks, strict=True):
                    shard.add(place, chunk)
            for shard in shards:
                shard.end()
        self._packs.drop(number)
        return lost

    def _write_json(self, path: Path, document: Any) -> None:
        self._workspace.write(path, json.dumps(document, indent=1).encode("ascii"))


def _either(pack: OpenPack, place: int, before: list[ShardReader], number: int) -> list[bytes] | None:
    """Give the chunks of a place from a pack, else from the shards there were."""
    chunks = pack.parts(place)
    if chunks is not None:
        return chunks
    found = [chunk for shard in before if (chunk := shard.chunk(number)) is not None]
    return found if len(found) == len(before) else None


def _array_document(array: ArrayLayout, count: int, shard: int) -> dict[str, Any]:
    rank = len(array.row) + 1
    dtype = np.dtype(array.dtype)
    ends = {"configuration": {"endian": "little"}} if dtype.itemsize > 1 else {}
    codecs: list[dict[str, Any]] = [
        {"name": "transpose", "configuration": {"order": list(range(rank))[::-1]}},
        {"name": "bytes", **ends},
        {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": True}},
    ]
    if shard > 1:
        sharding = {
            "chunk_shape": [1, *array.row],
            "codecs": codecs,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        }
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [count, *array.row],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard, *array.row]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": False if dtype == np.bool_ else 0.0 if dtype.kind == "f" else 0,
        "codecs": codecs,
        "attributes": {},
        "dimension_names": list(array.dims),
        "storage_transformers": [],
    }


def _done_document(count: int) -> dict[str, Any]:
    document = _array_document(_DONE, count, 1)
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
