"""What is known of a layer of voxels before any is read: its kind, its dtype, its scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from .geometry import Box, IntTriple, Resolution

__all__ = ["Info", "Scale", "Sharding"]


@dataclass(frozen=True, slots=True)
class Sharding:
    """How the chunks of one scale are packed into shard files.

    Parameters
    ----------
    preshift_bits : int
        Low bits of a chunk id that are dropped before hashing, so that neighbours share a minishard.
    hash : str
        `"identity"` or `"murmurhash3_x86_128"`.
    minishard_bits, shard_bits : int
        Bits of the hash that choose the minishard, and above them the shard.
    minishard_index_encoding, data_encoding : str
        `"raw"` or `"gzip"`.
    """

    preshift_bits: int
    hash: str
    minishard_bits: int
    shard_bits: int
    minishard_index_encoding: str
    data_encoding: str


@dataclass(frozen=True, slots=True)
class Scale:
    """One resolution of a volume.

    Parameters
    ----------
    mip : int
        Position among the scales of the info document.
    key : str
        Folder of the chunks, relative to the volume; may climb with `../`.
    resolution : tuple of float
        nm per voxel along x, y, z.
    bounds : Box
        Voxels the scale holds, at `resolution`.
    chunk_size : tuple of int
        Voxels of a whole chunk; the first size listed when there are several.
    encoding : str
        As the document has it, in lower case; may be one this package cannot read.
    block_size : tuple of int or None
        Block of the compressed_segmentation encoding, None for others.
    sharding : Sharding or None
        None when each chunk is a file of its own.
    """

    mip: int
    key: str
    resolution: Resolution
    bounds: Box
    chunk_size: IntTriple
    encoding: str
    block_size: IntTriple | None
    sharding: Sharding | None

    @property
    def placeholder(self) -> bool:
        """Whether the scale only stands for a resolution that was never stored."""
        return self.key == "placeholder"

    @property
    def grid_shape(self) -> IntTriple:
        """Chunks along x, y, z."""
        shape = (-(-n // c) for n, c in zip(self.bounds.shape, self.chunk_size, strict=True))
        return cast(IntTriple, tuple(shape))


@dataclass(frozen=True, slots=True)
class Info:
    """What the info document of a volume says.

    Parameters
    ----------
    kind : {"image", "segmentation"}
        What the volume holds.
    dtype : numpy.dtype
        Of a voxel.
    channels : int
        Numbers per voxel.
    scales : tuple of Scale
        In the order of the document, usually finest first.
    """

    kind: Literal["image", "segmentation"]
    dtype: np.dtype[Any]
    channels: int
    scales: tuple[Scale, ...]
