"""Single voxels of a chunk: of compressed_segmentation without decoding any block, of others from the box they span."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError, FormatError
from ..geometry import Box, IntTriple
from ..scales import Info, Scale
from .chunks import Chunk
from .codecs import Octets, decode_chunk
from .labels import EncodedLabels

__all__ = ["labels_at", "values_at"]


def labels_at(data: Octets, voxels: NDArray[np.int64], scale: Scale, info: Info, chunk: Chunk) -> NDArray[np.uint64]:
    """Read the labels of some voxels of a chunk.

    Parameters
    ----------
    data : bytes or bytearray
        The chunk, decompressed from whatever it was stored in.
    voxels : numpy.ndarray
        int64, shape (n, 3): voxels of the scale, all within the chunk.
    scale, info : Scale, Info
        Where it is from.
    chunk : Chunk
        Which chunk it is.

    Returns
    -------
    numpy.ndarray
        uint64, shape (n,).

    Raises
    ------
    DamagedDataError
        If the data are not what a chunk of this size and encoding can be.
    FormatError
        If the encoding is unknown, or its voxels are no labels.

    Examples
    --------
    >>> at = (8.0, 8.0, 40.0)
    >>> box = Box((0, 0, 0), (2, 1, 1), at)
    >>> scale = Scale(0, "8_8_40", at, box, (2, 1, 1), "compressed_segmentation", (2, 1, 1), None)
    >>> info = Info("segmentation", np.dtype("uint64"), 1, (scale,))
    >>> data = np.array([1, 2 | 1 << 24, 6, 7, 0, 9, 0, 0b10], dtype="<u4").tobytes()
    >>> labels_at(data, np.array([[1, 0, 0], [0, 0, 0]]), scale, info, Chunk((0, 0, 0), box))
    array([9, 7], dtype=uint64)
    """
    if info.channels != 1 or info.dtype.kind not in "ui":
        raise FormatError(f"labels are one whole number per voxel; these are {info.channels} of {info.dtype}")
    if scale.encoding == "compressed_segmentation" and info.dtype in (np.uint32, np.uint64):
        return _from_tables(EncodedLabels.parse(data, chunk, scale, info), voxels)
    return values_at(data, voxels, scale, info, chunk)[:, 0].astype(np.uint64)


def values_at(data: Octets, voxels: NDArray[np.int64], scale: Scale, info: Info, chunk: Chunk) -> NDArray[Any]:
    """Read some voxels of a chunk of any encoding, as `labels_at`: shape (n, channels), in the dtype of the layer."""
    start, stop = voxels.min(axis=0), voxels.max(axis=0) + 1
    region = Box(_triple(start), _triple(stop), chunk.box.resolution)
    x, y, z = (voxels - start).T
    found: NDArray[Any] = decode_chunk(data, scale, info, chunk, region)[x, y, z]
    return found


def _from_tables(encoded: EncodedLabels, voxels: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Look up each voxel's position in its block's table, and there its label."""
    size = np.array(encoded.block_size)
    inside = voxels - np.array(encoded.box.start)
    x, y, z = (inside // size).T
    bits, values, tables = (part[z, y, x].astype(np.int64) for part in (encoded.bits, encoded.values, encoded.tables))
    place = (inside % size) @ np.array([1, size[0], size[0] * size[1]])
    first = place * bits
    packed = bits > 0
    word = np.where(packed, values + first // 32, 0)
    positions = (encoded.words[word].astype(np.int64) >> (first % 32)) & ((1 << bits) - 1)
    stride = encoded.dtype.itemsize // 4
    at = tables + stride * np.where(packed, positions, 0)
    ends = encoded.limits[np.searchsorted(encoded.limits, tables, side="right")]
    if np.any(at + stride > ends):
        raise DamagedDataError("compressed_segmentation holds a voxel whose label lies outside its table")
    labels: NDArray[np.uint64] = encoded.words[at].astype(np.uint64)
    if stride == 2:
        labels |= encoded.words[at + 1].astype(np.uint64) << np.uint64(32)
    return labels


def _triple(numbers: NDArray[Any]) -> IntTriple:
    return cast(IntTriple, tuple(numbers.tolist()))
