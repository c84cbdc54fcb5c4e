"""How tensorstore is to decode one chunk that stands alone: metadata of an array that is just this chunk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FormatError

__all__ = ["Coding", "n5_coding", "zarr2_coding", "zarr3_coding"]

_ZARR2 = ("blosc", "bz2", "gzip", "zlib", "zstd", "lz4", "lzma")
_ZARR3 = ("transpose", "bytes", "blosc", "crc32c", "gzip", "zstd")
_ZARR3_WRAPPINGS = ("numcodecs.zlib", "numcodecs.bz2", "numcodecs.lzma", "numcodecs.lz4")
_RENAMED = {f"numcodecs.{name}": name for name in ("blosc", "gzip", "zstd")}
_N5 = ("raw", "blosc", "bzip2", "gzip", "lz4", "xz", "zstd")
_BLOSC = {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}  # any will do: a frame says what it is


@dataclass(frozen=True, slots=True)
class Coding:
    """What tensorstore needs to know of a chunk.

    Parameters
    ----------
    driver : str
        `"zarr"`, `"zarr3"` or `"n5"`.
    metadata : str
        JSON, of an array with one chunk.
    key : str
        What that chunk is called.
    gzipped : bool
        Whether the bytes of a chunk are a gzip stream.
    wrapping : str
        What has to be undone first, one of `WRAPPINGS` or "".
    header : int
        Bytes before what is wrapped.
    """

    driver: str
    metadata: str
    key: str
    gzipped: bool = False
    wrapping: str = ""
    header: int = 0


def zarr2_coding(chunk_shape: Sequence[int], dtype: str, order: str, compressor: object, filters: object) -> Coding:
    """Give the coding of a Zarr 2 chunk.

    Raises
    ------
    FormatError
        If it has filters, or a compressor that cannot be read.
    """
    if filters:
        names = (
            [f.get("id") if isinstance(f, Mapping) else f for f in filters] if isinstance(filters, list) else filters
        )
        raise FormatError(f"chunks go through the filters {names}, which cannot be read")
    plain: dict[str, Any] | None = None
    wrapping = ""
    if compressor is not None:
        name = compressor.get("id") if isinstance(compressor, Mapping) else compressor
        if name not in _ZARR2:
            raise FormatError(f"chunks are compressed with {name!r}; {', '.join(_ZARR2)} and none can be read")
        plain = {"id": name, **(_BLOSC if name == "blosc" else {})}
        wrapping, plain = {"lz4": ("lz4", {"id": "blosc", **_BLOSC}), "lzma": ("lzma", None)}.get(name, ("", plain))
    metadata = {
        "zarr_format": 2,
        "shape": list(chunk_shape),
        "chunks": list(chunk_shape),
        "dtype": dtype,
        "fill_value": None,
        "order": order,
        "filters": None,
        "compressor": plain,
        "dimension_separator": ".",
    }
    key = ".".join("0" for _ in chunk_shape)
    return Coding("zarr", json.dumps(metadata), key, plain is not None and plain["id"] == "gzip", wrapping)


def zarr3_coding(chunk_shape: Sequence[int], dtype: np.dtype[Any], codecs: Sequence[Mapping[str, Any]]) -> Coding:
    """Give the coding of a Zarr 3 chunk, or of an inner chunk or an index of a shard.

    Parameters
    ----------
    chunk_shape : sequence of int
        Its shape.
    dtype : numpy.dtype
        Of its elements.
    codecs : sequence of mapping
        As the metadata have them, each with `name` and perhaps `configuration`.

    Raises
    ------
    FormatError
        If one of the codecs cannot be read.
    """
    # numcodecs' own names of codecs that Zarr 3 has too
    codecs = [{**codec, "name": _RENAMED.get(codec["name"], codec["name"])} for codec in codecs]
    names = [codec["name"] for codec in codecs]
    for number, name in enumerate(names):
        if name not in _ZARR3 and (name not in _ZARR3_WRAPPINGS or number < len(names) - 1):
            raise FormatError(
                f"chunks go through the codec {name!r}; {', '.join(_ZARR3)} can be read, and as the last one "
                f"{', '.join(_ZARR3_WRAPPINGS)}"
            )
    wrapping = names[-1].removeprefix("numcodecs.") if names and names[-1] in _ZARR3_WRAPPINGS else ""
    plain = [_plain_codec(codec, dtype) for codec in (codecs[:-1] if wrapping else codecs)]
    if wrapping == "lz4":
        plain.append(_plain_codec({"name": "blosc"}, dtype))
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(chunk_shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk_shape)}},
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
        "fill_value": False if dtype.kind == "b" else 0,
        "codecs": plain,
    }
    key = ".".join("0" for _ in chunk_shape)
    return Coding("zarr3", json.dumps(metadata), key, names[-1:] == ["gzip"], wrapping)


def _plain_codec(codec: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Leave out what only matters when writing, as tensorstore refuses what it does not know."""
    name = codec["name"]
    configuration = codec.get("configuration") or {}
    if name == "bytes":
        endian = configuration.get("endian", "little")
        return {"name": name, "configuration": {"endian": endian} if dtype.itemsize > 1 else {}}
    if name == "transpose":
        return {"name": name, "configuration": {"order": configuration.get("order")}}
    if name == "blosc":
        return {
            "name": name,
            "configuration": {**_BLOSC, "shuffle": "shuffle", "typesize": dtype.itemsize},
        }
    return {"name": name, "configuration": {"level": 1}} if name == "gzip" else {"name": name}


def n5_coding(block_size: Sequence[int], dtype: np.dtype[Any], compression: Mapping[str, Any]) -> Coding:
    """Give the coding of an N5 block.

    Raises
    ------
    FormatError
        If its compression cannot be read.
    """
    name = compression.get("type")
    if name not in _N5:
        raise FormatError(f"blocks are compressed with {name!r}; {', '.join(_N5)} can be read")
    packed = name == "lz4"
    plain: dict[str, Any] = {"type": "blosc", **_BLOSC} if packed or name == "blosc" else {"type": name}
    if name == "gzip" and compression.get("useZlib"):
        plain["useZlib"] = True
    metadata = {
        "dimensions": list(block_size),
        "blockSize": list(block_size),
        "dataType": dtype.name,
        "compression": plain,
    }
    key = "/".join("0" for _ in block_size)
    wrapping, header = ("n5-lz4", 4 + 4 * len(block_size)) if packed else ("", 0)
    return Coding("n5", json.dumps(metadata), key, wrapping=wrapping, header=header)
