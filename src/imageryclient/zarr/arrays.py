"""The metadata of one array of Zarr 2, Zarr 3 or N5, read and checked.

Specified at https://zarr-specs.readthedocs.io and https://github.com/saalfeldlab/n5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import FormatError
from .codings import Coding, n5_coding, zarr2_coding, zarr3_coding
from .units import read_quantity

__all__ = ["ArrayFormat", "Shards", "ZarrArray", "parse_n5", "parse_zarr2", "parse_zarr3"]

ArrayFormat = Literal["zarr2", "zarr3", "n5"]

_ZARR3_TYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_ZARR3_TYPES = (*_ZARR3_TYPES, "float16", "float32", "float64")
_N5_TYPES = (*_ZARR3_TYPES[1:9], "float32", "float64")
_CRC_BYTES = 4
_LONGEST_INDEX = 2**28


@dataclass(frozen=True, slots=True)
class Shards:
    """How the chunks of an array are packed into shards.

    Parameters
    ----------
    grid : tuple of int
        Chunks of a shard along each axis.
    index : Coding
        How its index is encoded: an offset and a size, both uint64, for each chunk.
    index_bytes : int
        Length of the index.
    at_end : bool
        Whether the index lies at the end of the shard, or else at its start.
    """

    grid: tuple[int, ...]
    index: Coding
    index_bytes: int
    at_end: bool


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """One array: its voxels, and the chunks they are stored in.

    Parameters
    ----------
    format : {"zarr2", "zarr3", "n5"}
        What it is stored as.
    shape : tuple of int
        Its shape, along its own axes.
    chunk_shape : tuple of int
        Of a chunk; of the inner chunks where there are shards.
    dtype : numpy.dtype
        Of an element, in the byte order of this machine.
    fill : int, float or bool
        What elements of chunks that are not stored are.
    coding : Coding
        How a chunk is encoded.
    shards : Shards or None
        None where each chunk is a file of its own.
    prefix, separator : str
        A file is called `prefix`, then its place in the grid joined by `separator`.
    guessed : bool
        Whether the separator is a guess, as metadata of old do not say it.
    names : tuple of (str or None)
        Names of the axes, None for those without.
    lengths : tuple of (float or None)
        nm per voxel along the axes, where the array's own metadata say so (`dimension_units`).
    """

    format: ArrayFormat
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: int | float | bool
    coding: Coding
    shards: Shards | None = None
    prefix: str = ""
    separator: str = "."
    guessed: bool = False
    names: tuple[str | None, ...] = ()
    lengths: tuple[float | None, ...] = field(default=())

    def file_key(self, index: Sequence[int]) -> str:
        """Name the file that holds a chunk, relative to the array.

        Examples
        --------
        >>> array = parse_n5({"dimensions": [90, 90], "blockSize": [64, 64], "dataType": "uint8",
        ...                   "compression": {"type": "gzip"}})
        >>> array.file_key((1, 0))
        '1/0'
        """
        if self.shards is not None:
            index = [i // n for i, n in zip(index, self.shards.grid, strict=True)]
        return self.prefix + self.separator.join(map(str, index))

    def place_in_shard(self, index: Sequence[int]) -> tuple[int, ...]:
        """Give the place of a chunk within its shard."""
        grid = self.shards.grid if self.shards is not None else (1,) * len(self.shape)
        return tuple(i % n for i, n in zip(index, grid, strict=True))


def parse_zarr2(document: object, attributes: Mapping[str, Any]) -> ZarrArray:
    """Read a `.zarray` document, and the `.zattrs` beside it.

    Raises
    ------
    FormatError
        If it is not such a document, or its chunks cannot be read; the message names the field.

    Examples
    --------
    >>> array = parse_zarr2({"zarr_format": 2, "shape": [90, 90], "chunks": [64, 64], "dtype": ">u2", "order": "C",
    ...                      "compressor": None, "fill_value": 0, "filters": None}, {"_ARRAY_DIMENSIONS": ["y", "x"]})
    >>> array.names, array.dtype, array.file_key((1, 0))
    (('y', 'x'), dtype('uint16'), '1.0')
    """
    fields = _mapping(document, "the document")
    if fields.get("zarr_format") != 2:
        raise FormatError(f"zarr_format is {fields.get('zarr_format')!r} instead of 2")
    shape, chunks = _shapes(fields, "shape", fields, "chunks")
    text = fields.get("dtype")
    try:
        stored = np.dtype(text) if isinstance(text, str) else None
    except TypeError:
        stored = None
    if stored is None or stored.kind not in "biuf" or stored.itemsize > 8:
        raise FormatError(f"dtype {text!r} is not one of booleans, whole numbers and floats of 8 to 64 bits")
    order = fields.get("order", "C")
    if order not in ("C", "F"):
        raise FormatError(f"order is {order!r} instead of 'C' or 'F'")
    coding = zarr2_coding(chunks, stored.str, order, fields.get("compressor"), fields.get("filters"))
    dtype = stored.newbyteorder("=")
    return ZarrArray(
        "zarr2",
        shape,
        chunks,
        dtype,
        _fill(fields.get("fill_value"), dtype),
        coding,
        separator=_separator(fields.get("dimension_separator", ".")),
        guessed="dimension_separator" not in fields,
        names=_names(attributes.get("_ARRAY_DIMENSIONS"), len(shape)),
        lengths=_lengths(attributes, len(shape)),
    )


def parse_zarr3(document: object) -> ZarrArray:
    """Read the `zarr.json` document of an array.

    Raises
    ------
    FormatError
        If it is not such a document, or its chunks cannot be read; the message names the field.
    """
    fields = _mapping(document, "the document")
    if fields.get("zarr_format") != 3 or fields.get("node_type") != "array":
        raise FormatError("this is not the metadata of a Zarr 3 array")
    grid = _named(fields.get("chunk_grid"), "chunk_grid")
    if grid["name"] != "regular":
        raise FormatError(f"chunk_grid is {grid['name']!r}; a regular one can be read")
    shape, chunks = _shapes(fields, "shape", grid["configuration"], "chunk_shape")
    kind = fields.get("data_type")
    if kind not in _ZARR3_TYPES:
        raise FormatError(f"data_type {kind!r} is not one of {', '.join(_ZARR3_TYPES)}")
    if fields.get("storage_transformers"):
        raise FormatError("storage_transformers cannot be read")
    dtype = np.dtype(kind)
    encoding = _named(fields.get("chunk_key_encoding", "default"), "chunk_key_encoding")
    if encoding["name"] not in ("default", "v2"):
        raise FormatError(f"chunk_key_encoding {encoding['name']!r} is not one of default, v2")
    default = encoding["name"] == "default"
    separator = _separator(encoding["configuration"].get("separator", "/" if default else "."))
    codecs = _codecs(fields.get("codecs"), "codecs")
    shards = None
    if any(codec["name"] == "sharding_indexed" for codec in codecs):
        if len(codecs) > 1:
            raise FormatError(f"sharding together with {[codec['name'] for codec in codecs]} cannot be read in parts")
        shards, chunks, codecs = _shards(codecs[0]["configuration"], chunks)
    attributes = fields.get("attributes")
    return ZarrArray(
        "zarr3",
        shape,
        chunks,
        dtype,
        _fill(fields.get("fill_value"), dtype),
        zarr3_coding(chunks, dtype, codecs),
        shards,
        f"c{separator}" if default else "",
        separator,
        names=_names(fields.get("dimension_names"), len(shape)),
        lengths=_lengths(attributes if isinstance(attributes, Mapping) else {}, len(shape)),
    )


def parse_n5(document: object) -> ZarrArray:
    """Read the `attributes.json` document of an N5 dataset; its axes are x first.

    Raises
    ------
    FormatError
        If it is not such a document, or its blocks cannot be read; the message names the field.
    """
    fields = _mapping(document, "the document")
    shape, blocks = _shapes(fields, "dimensions", fields, "blockSize")
    kind = fields.get("dataType")
    if kind not in _N5_TYPES:
        raise FormatError(f"dataType {kind!r} is not one of {', '.join(_N5_TYPES)}")
    compression = fields.get("compression", fields.get("compressionType", "raw"))
    if isinstance(compression, str):  # as the first version of N5 has it
        compression = {"type": compression}
    dtype = np.dtype(kind)
    return ZarrArray(
        "n5",
        shape,
        blocks,
        dtype,
        0,
        n5_coding(blocks, dtype, _mapping(compression, "compression")),
        separator="/",
        names=_names(fields.get("axes"), len(shape)),
    )


def _shards(configuration: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Shards, tuple[int, ...], Any]:
    inner = _whole(configuration.get("chunk_shape"), "sharding_indexed chunk_shape", least=1)
    if len(inner) != len(shape) or any(n % c for n, c in zip(shape, inner, strict=True)):
        raise FormatError(f"inner chunks of {inner} do not divide shards of {shape}")
    grid = tuple(n // c for n, c in zip(shape, inner, strict=True))
    location = configuration.get("index_location", "end")
    if location not in ("start", "end"):
        raise FormatError(f"index_location is {location!r} instead of 'start' or 'end'")
    index_codecs = _codecs(configuration.get("index_codecs"), "index_codecs")
    names = [codec["name"] for codec in index_codecs]
    if names not in (["bytes"], ["bytes", "crc32c"]):
        raise FormatError(f"index_codecs are {names}; bytes, and bytes with crc32c, can be read")
    length = 16 * math.prod(grid) + _CRC_BYTES * (len(names) - 1)
    if length > _LONGEST_INDEX:
        raise FormatError(f"the index of a shard of {grid} chunks has {length} bytes, which is beyond reason")
    index = zarr3_coding((*grid, 2), np.dtype(np.uint64), index_codecs)
    codecs = _codecs(configuration.get("codecs"), "codecs of the inner chunks")
    return Shards(grid, index, length, location == "end"), inner, codecs


def _shapes(
    fields: Mapping[str, Any], shape_name: str, more: Mapping[str, Any], chunk_name: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = _whole(fields.get(shape_name), shape_name, least=0)
    chunks = _whole(more.get(chunk_name), chunk_name, least=1)
    if len(shape) != len(chunks):
        raise FormatError(f"{shape_name} {shape} and {chunk_name} {chunks} differ in their number of axes")
    return shape, chunks


def _whole(value: object, name: str, least: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(n) is int and least <= n < 2**62 for n in value):
        raise FormatError(f"{name} must be a list of whole numbers; it is {value!r}")
    return tuple(value)


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{name} must be an object; it is {value!r}"[:200])
    return value


def _named(value: object, name: str) -> dict[str, Any]:
    """Read a Zarr 3 extension point: `{"name": …, "configuration": {…}}`, or just the name."""
    if isinstance(value, str):
        return {"name": value, "configuration": {}}
    fields = _mapping(value, name)
    if not isinstance(fields.get("name"), str):
        raise FormatError(f"{name} has no name: {value!r}"[:200])
    return {"name": fields["name"], "configuration": _mapping(fields.get("configuration") or {}, name)}


def _codecs(value: object, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise FormatError(f"{name} must be a list of codecs; it is {value!r}"[:200])
    return [_named(codec, name) for codec in value]


def _separator(value: object) -> str:
    if value not in (".", "/"):
        raise FormatError(f"the separator of chunk names is {value!r} instead of '.' or '/'")
    return str(value)


def _names(value: object, rank: int) -> tuple[str | None, ...]:
    if not isinstance(value, list) or len(value) != rank:
        return (None,) * rank
    return tuple(name if isinstance(name, str) and name else None for name in value)


def _lengths(attributes: Mapping[str, Any], rank: int) -> tuple[float | None, ...]:
    units = attributes.get("dimension_units")
    if not isinstance(units, list) or len(units) != rank:
        return (None,) * rank
    return tuple(map(read_quantity, units))  # "nm" alone is a voxel of 1 nm, as in tensorstore and Neuroglancer


def _fill(value: object, dtype: np.dtype[Any]) -> int | float | bool:
    """Read a fill value, which for floats may be a name or their bits in hexadecimal."""
    if value is None:
        return False if dtype.kind == "b" else 0
    try:
        if dtype.kind == "b" and isinstance(value, (bool, int)):
            return bool(value)
        if dtype.kind == "f":
            if isinstance(value, str) and value.lower().startswith("0x"):
                bits = np.array(int(value, 16), dtype=f"u{dtype.itemsize}")
                return float(bits.view(dtype))
            if isinstance(value, (str, int, float)):
                return float(value)
        elif isinstance(value, (int, str)) or (isinstance(value, float) and value.is_integer()):
            number = int(value)
            limits = np.iinfo(dtype)
            if limits.min <= number <= limits.max:
                return number
    except (ValueError, OverflowError):
        pass
    raise FormatError(f"fill_value {value!r} is not a value of {dtype}")
