"""Volumes of arrays at hand: in memory, or anywhere an array package reads them from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.source import PlacedArray, place_arrays
from ..coverage import Coverage, outside_of
from ..errors import ArgumentError
from ..geometry import Box, IntTriple, Resolution
from ..scales import Info, Scale
from .arraychunks import ArrayChunks, cell_size, is_read_in_chunks
from .base import Block, IdsWanted, only_wanted

__all__ = ["MemorySegmentation", "MemoryVolume", "open_arrays"]


class MemoryVolume:
    """Imagery in arrays, one for each scale.

    Parameters
    ----------
    source : str
        A name, for messages.
    arrays : sequence of PlacedArray
        The scales, finest first.
    """

    kind: Literal["image", "segmentation"] = "image"

    def __init__(self, source: str, arrays: Sequence[PlacedArray]) -> None:
        self.source = source
        self._arrays = arrays
        scales = tuple(
            Scale(mip, f"scale {mip}", a.bounds.resolution, a.bounds, a.bounds.shape, "array", None, None)
            for mip, a in enumerate(arrays)
        )
        self.info = Info(self.kind, arrays[0].dtype, arrays[0].channels, scales)

    def read(self, box: Box, scale: Scale) -> Block:
        """Read a block of a scale, as `Volume.read`: what lies within the array, and 0 beyond.

        Returns
        -------
        Block
            Axes (x, y, z), with several channels (x, y, z, c); in memory in the order of the array, which takes a
            tenth of the time of turning it; shares none with it.
        """
        array, channels = self._arrays[scale.mip], self.info.channels
        shape = (*box.shape, channels)
        inside = box.intersect(array.bounds)
        if inside.voxels:
            try:
                found = array.read(inside)
            except Exception as error:
                error.add_note(f"while reading {inside} of {self.source}")
                raise
            data = np.zeros_like(found, self.info.dtype, order="K", subok=False, shape=shape)
            data[inside.slices(box)] = found
        else:
            data = np.zeros(shape, self.info.dtype, order="F")
        return Block(data[..., 0] if channels == 1 else data, Coverage(box, outside_of(box, array.bounds)))

    @property
    def shares_chunks(self) -> bool:
        """Whether boxes read together had better share what is read: all but NumPy's arrays, which are at hand."""
        return any(map(is_read_in_chunks, self._arrays))

    def cell_size(self, scale: Scale) -> IntTriple:
        """Give the voxels along x, y, z of the parts in which a scale is best read."""
        return cell_size(self._arrays[scale.mip])

    def chunks(self, scale: Scale) -> ArrayChunks:
        """Give the parts in which a scale is read for boxes that are read together."""
        return ArrayChunks(self.source, self._arrays[scale.mip], scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"


class MemorySegmentation(MemoryVolume):
    """Ids in arrays, of any integer dtype, or a mask, whose ids are 0 and 1.

    Raises
    ------
    ArgumentError
        If the arrays hold floats, or several numbers per voxel.
    """

    kind = "segmentation"
    versioned = False

    def __init__(self, source: str, arrays: Sequence[PlacedArray]) -> None:
        super().__init__(source, arrays)
        if self.info.channels != 1 or self.info.dtype.kind not in "bui":
            raise ArgumentError(
                f"{source}: a segmentation holds one whole number per voxel; this array holds {self.info.channels} of "
                f"{self.info.dtype}"
            )

    def read_ids(self, box: Box, scale: Scale, wanted: IdsWanted) -> Block:
        """Read ids; "all" and None give them as they are, an array keeps only those.

        Raises
        ------
        ArgumentError
            If an id in the box is negative.
        """
        return self.as_ids(self.read(box, scale), wanted)

    def as_ids(self, block: Block, wanted: IdsWanted) -> Block:
        """Give what was read as ids.

        Raises
        ------
        ArgumentError
            If one of them is negative.
        """
        if block.data.dtype.kind == "i" and block.data.size and block.data.min() < 0:
            raise ArgumentError(
                f"{self.source}: an id is a whole number from 0; in {block.box} there is {block.data.min()}"
            )
        ids: Any = block.data.astype(np.uint64, order="K", copy=False)
        return Block(only_wanted(ids, wanted), block.coverage)


def open_arrays(
    source: Any,
    resolution: Resolution | None = None,
    voxel_offset: ArrayLike | None = None,
    *,
    segmentation: bool = False,
) -> MemoryVolume:
    """Make a volume of an array, an `ArraySource`, or a list of them as scales, finest first.

    Parameters
    ----------
    source : array, ArraySource, or sequence of these
        See `ArraySource`.
    resolution, voxel_offset : optional
        For arrays that do not say of themselves how large their voxels are and where they begin.
    segmentation : bool
        Whether the numbers are ids.

    Raises
    ------
    ArgumentError
        If it is no array, does not say where its voxels lie, or cannot be what it is to be.

    Examples
    --------
    >>> volume = open_arrays(np.zeros((8, 8, 4), np.uint32), (8.0, 8.0, 40.0), segmentation=True)
    >>> volume.info.kind, str(volume.info.scales[0].bounds)
    ('segmentation', '[0:8, 0:8, 0:4] at 8 x 8 x 40 nm')
    """
    name, arrays = place_arrays(source, resolution, voxel_offset)
    return MemorySegmentation(name, arrays) if segmentation else MemoryVolume(name, arrays)
