"""The info document of a precomputed volume, read and checked.

Specified at https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/volume.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np

from ..errors import ArgumentError, FormatError
from ..geometry import Box, IntTriple, as_resolution
from ..scales import Info, Scale, Sharding

__all__ = ["parse_info", "parse_sharding"]

_DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32")
_VOLUME = "neuroglancer_multiscale_volume"
_OTHERS = {  # what else lies in folders with an info document
    "neuroglancer_annotations_v1": "annotations",
    "neuroglancer_legacy_mesh": "meshes",
    "neuroglancer_multilod_draco": "meshes",
    "neuroglancer_segment_properties": "properties of segments",
    "neuroglancer_skeletons": "skeletons",
}
_SHARDED = "neuroglancer_uint64_sharded_v1"
_HASHES = ("identity", "murmurhash3_x86_128")
_ENCODINGS = ("raw", "gzip")


def parse_info(document: object, source: str) -> Info:
    """Read an info document.

    Parameters
    ----------
    document : object
        The document as `json.loads` gives it.
    source : str
        Where it came from, for messages.

    Returns
    -------
    Info
        Encodings this package does not know are kept as they are; only reading chunks of them fails.

    Raises
    ------
    FormatError
        If a field is missing or is not what the format says; the message names source and field.

    Examples
    --------
    >>> info = parse_info({
    ...     "type": "image", "data_type": "uint8", "num_channels": 1,
    ...     "scales": [{"key": "4_4_40", "size": [100, 100, 10], "resolution": [4, 4, 40],
    ...                 "chunk_sizes": [[64, 64, 8]], "encoding": "raw"}]}, "file:///tmp/em")
    >>> info.scales[0].bounds.shape, info.scales[0].grid_shape
    ((100, 100, 10), (2, 2, 2))
    """
    try:
        return _info(document)
    except FormatError as error:
        raise FormatError(f"{source}: the info document is not that of a precomputed volume: {error}") from None


def parse_sharding(document: object) -> Sharding:
    """Read the sharding part of a scale (or of any other sharded collection).

    Raises
    ------
    FormatError
        If a field is missing or is not what the format says.

    Examples
    --------
    >>> parse_sharding({"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 9, "hash": "identity",
    ...                 "minishard_bits": 6, "shard_bits": 15}).data_encoding
    'raw'
    """
    return _sharding(document, "sharding")


def _info(document: object) -> Info:
    fields = _mapping(document, "the document")
    declared = fields.get("@type", _VOLUME)
    if declared != _VOLUME:
        other = _OTHERS.get(declared) if isinstance(declared, str) else None
        raise FormatError(
            f"'@type' is {_shown(declared)}, so it holds {other} and no voxels; name the volume they belong to, which "
            "often is the folder above"
            if other
            else f"'@type' is {_shown(declared)}, not {_VOLUME!r}"
        )
    kind = _choice(_field(fields, "type"), "type", ("image", "segmentation"))
    dtype = _choice(_field(fields, "data_type"), "data_type", _DTYPES)
    channels = _integer(_field(fields, "num_channels"), "num_channels", 1)
    listed = _field(fields, "scales")
    if not _is_list(listed) or not listed:
        raise FormatError(f"'scales' must be a list of at least one scale; it is {_shown(listed)}")
    scales = tuple(_scale(mip, scale) for mip, scale in enumerate(listed))
    _check_overlap([scale for scale in scales if not scale.placeholder and scale.bounds.voxels])
    return Info(cast(Literal["image", "segmentation"], kind), np.dtype(dtype), channels, scales)


def _scale(mip: int, document: object) -> Scale:
    name = f"scales[{mip}]"
    fields = _mapping(document, name)

    def field(key: str) -> Any:
        return _field(fields, key, f"{name}.")

    key = field("key")
    if not isinstance(key, str):
        raise FormatError(f"'{name}.key' must be text; it is {_shown(key)}")
    try:
        resolution = as_resolution(field("resolution"))
    except ArgumentError:
        raise FormatError(
            f"'{name}.resolution' must be three positive numbers; it is {_shown(fields['resolution'])}"
        ) from None
    size = _triple(field("size"), f"{name}.size", 0)
    offset = fields.get("voxel_offset")
    start = (0, 0, 0) if offset is None else _triple(offset, f"{name}.voxel_offset", None)
    sizes = field("chunk_sizes")
    if not _is_list(sizes) or not sizes:
        raise FormatError(f"'{name}.chunk_sizes' must be a list of sizes; it is {_shown(sizes)}")
    chunk_size = _triple(sizes[0], f"{name}.chunk_sizes[0]", 1)
    encoding = field("encoding")
    if not isinstance(encoding, str):
        raise FormatError(f"'{name}.encoding' must be text; it is {_shown(encoding)}")
    encoding = encoding.lower()
    block_size = None
    if encoding == "compressed_segmentation":
        block = "compressed_segmentation_block_size"
        block_size = _triple(field(block), f"{name}.{block}", 1)
    sharding = fields.get("sharding")
    return Scale(
        mip=mip,
        key=key,
        resolution=resolution,
        bounds=Box(start, cast(IntTriple, tuple(map(sum, zip(start, size, strict=True)))), resolution),
        chunk_size=chunk_size,
        encoding=encoding,
        block_size=block_size,
        sharding=None if sharding is None else _sharding(sharding, f"{name}.sharding"),
    )


def _check_overlap(scales: Sequence[Scale]) -> None:
    """Refuse scales that lie apart in space, as then one of them is not where it says; a voxel is let pass."""
    for scale in scales[1:]:
        for axis in range(3):
            (low, high), (least, most) = (
                (box.start[axis] * box.resolution[axis], box.stop[axis] * box.resolution[axis])
                for box in (scales[0].bounds, scale.bounds)
            )
            slack = scale.resolution[axis]
            if least > high + slack or most < low - slack:
                raise FormatError(
                    f"scales[{scale.mip}] lies from {least:g} to {most:g} nm along {'xyz'[axis]}, which is apart from "
                    f"scales[{scales[0].mip}] at {low:g} to {high:g} nm; 'voxel_offset', 'size' or 'resolution' of one "
                    "of them is wrong"
                )


def _sharding(document: object, name: str) -> Sharding:
    fields = _mapping(document, name)
    declared = _field(fields, "@type", f"{name}.")
    if declared != _SHARDED:
        raise FormatError(f"'{name}.@type' is {_shown(declared)}, not {_SHARDED!r}")

    def bits(key: str, most: int) -> int:
        return _integer(_field(fields, key, f"{name}."), f"{name}.{key}", 0, most)

    minishard_bits = bits("minishard_bits", 32)
    return Sharding(
        preshift_bits=bits("preshift_bits", 64),
        hash=_choice(_field(fields, "hash", f"{name}."), f"{name}.hash", _HASHES),
        minishard_bits=minishard_bits,
        shard_bits=bits("shard_bits", 64 - minishard_bits),
        minishard_index_encoding=_choice(
            fields.get("minishard_index_encoding", "raw"), f"{name}.minishard_index_encoding", _ENCODINGS
        ),
        data_encoding=_choice(fields.get("data_encoding", "raw"), f"{name}.data_encoding", _ENCODINGS),
    )


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{name} must be a JSON object; it is {_shown(value)}")
    return value


def _field(fields: Mapping[str, Any], key: str, prefix: str = "") -> Any:
    if fields.get(key) is None:
        there = ", ".join(map(str, fields)) or "nothing"
        raise FormatError(f"'{prefix}{key}' is missing; there is {there}")
    return fields[key]


def _choice(value: object, name: str, choices: Sequence[str]) -> str:
    found = value.lower() if isinstance(value, str) else value
    if found not in choices:
        raise FormatError(f"{name!r} must be one of {', '.join(choices)}; it is {_shown(value)}")
    return cast(str, found)


def _integer(value: object, name: str, least: int | None, most: int | None = None) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or isinstance(value, bool):
        raise FormatError(f"{name!r} must be a whole number; it is {_shown(value)}")
    number = int(cast(int, value))
    if (least is not None and number < least) or (most is not None and number > most):
        span = f"at least {least}" if most is None else f"from {least} to {most}"
        raise FormatError(f"{name!r} must be {span}; it is {_shown(value)}")
    return number


def _triple(value: object, name: str, least: int | None) -> IntTriple:
    if not _is_list(value) or len(cast(Sequence[Any], value)) != 3:
        raise FormatError(f"{name!r} must be three whole numbers; it is {_shown(value)}")
    x, y, z = (_integer(item, name, least) for item in cast(Sequence[Any], value))
    return x, y, z


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
