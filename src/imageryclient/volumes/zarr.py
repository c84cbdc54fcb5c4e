"""Zarr and N5 volumes: chunks fetched together by this package, each decoded by tensorstore as it comes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..geometry import Box
from ..scales import Info, Scale
from ..storage import Store
from ..zarr.choice import parse_choice
from ..zarr.decoding import need_tensorstore
from ..zarr.grids import Grid, StoredChunk, lay_out
from .base import Block, IdsWanted, only_wanted
from .zarrchunks import ZarrChunks, ZarrScale
from .zarrnodes import Nodes, ZarrFormat

__all__ = ["ZarrSegmentation", "ZarrVolume"]


class ZarrVolume:
    """A volume in Zarr 2, Zarr 3 or N5, of one scale or many.

    Parameters
    ----------
    source : str
        The source string, for messages.
    store : Store
        Where the container lies.
    info : Info
        What its metadata say.
    grids : list of Grid
        The array of each scale.
    """

    def __init__(self, source: str, store: Store, info: Info, grids: list[Grid]) -> None:
        self.source = source
        self.info = info
        self._store = store
        who: Literal["labels", "imagery"] = "labels" if info.kind == "segmentation" else "imagery"
        self._scales = [
            ZarrScale(source, store, scale, grid, who) for scale, grid in zip(info.scales, grids, strict=True)
        ]

    @classmethod
    def open(cls, source: str, store: Store, format: ZarrFormat, inner: str = "") -> ZarrVolume:
        """Open what lies in `store`, or at a path within it; whole numbers come as `ZarrSegmentation`.

        Parameters
        ----------
        source : str
            The source string, for messages.
        store : Store
            Where the container, a group of it, or an array lies.
        format : {"zarr", "zarr2", "zarr3", "n5"}
            "zarr" for whichever version of Zarr is found; 3 goes before 2.
        inner : str
            A path within the store, and what to choose there: `PATH#c=1&t=0&resolution=4,4,40&axes=zyx`, every part of
            which may be left out; see `parse_choice`. By default all channels are read, and the first time point.

        Raises
        ------
        NotFoundError
            If nothing lies there.
        FormatError
            If it is no volume, or its chunks are encoded in a way that cannot be read; the message says what to choose.
        ScaleError
            If nothing says how large a voxel is.
        SourceError
            If `inner` chooses what is not there, or has to choose.
        MissingExtraError
            If tensorstore is not installed.
        """
        need_tensorstore()
        choice = parse_choice(inner, source, format)
        found = Nodes(source, store, format).find(choice.path)
        scales, grids = lay_out(found.levels, choice, source)
        info = Info("segmentation" if found.labels else "image", grids[0].array.dtype, grids[0].channels, tuple(scales))
        return (ZarrSegmentation if info.dtype.kind in "uib" else ZarrVolume)(source, store, info, grids)

    def read(self, box: Box, scale: Scale) -> Block:
        """Read a block of a scale.

        Parameters
        ----------
        box : Box
            Voxels at the resolution of the scale; may reach beyond its bounds.
        scale : Scale
            One of `info.scales`.

        Returns
        -------
        Block
            Axes (x, y, z), with several channels (x, y, z, c); Fortran order; 0 outside the array, and its fill value
            where chunks are not stored.

        Raises
        ------
        DamagedDataError
            If a chunk fails its checks three times over.
        """
        chunks, channels = self.chunks(scale), self.info.channels
        data = np.zeros((*box.shape, channels), dtype=self.info.dtype, order="F")

        def place(stored: StoredChunk, region: Box, voxels: NDArray[Any] | None) -> None:
            given = chunks.fill if voxels is None else voxels
            if given is not None:
                x, y, z = region.slices(box)
                data[x, y, z, chunks.channels(stored)] = given

        absent = chunks.each(box, place)
        return Block(data[..., 0] if channels == 1 else data, chunks.coverage(box, absent))

    @property
    def shares_chunks(self) -> bool:
        """Whether boxes read together share what is read: its chunks."""
        return True

    def chunks(self, scale: Scale) -> ZarrChunks:
        """Give the chunks of a scale, for one read or for boxes read together."""
        return ZarrChunks(self._scales[scale.mip])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"


class ZarrSegmentation(ZarrVolume):
    """An array of whole numbers, which may be ids: they do not change over time."""

    versioned = False

    def read_ids(self, box: Box, scale: Scale, wanted: IdsWanted) -> Block:
        """Read ids; "all" and None give them as stored, an array keeps only those.

        Raises
        ------
        FormatError
            If there are several numbers per voxel, or negative ones.
        """
        return self.as_ids(self.read(box, scale), wanted)

    def as_ids(self, block: Block, wanted: IdsWanted) -> Block:
        """Give what was read as ids.

        Raises
        ------
        FormatError
            If there are several numbers per voxel, or negative ones.
        """
        data = block.data
        if data.ndim != 3:
            raise FormatError(
                f"{self.source} holds {self.info.channels} numbers per voxel, and an id is one; choose a channel at "
                "the end of the source, such as |zarr:PATH#c=0"
            )
        if data.dtype.kind == "i" and data.size and int(data.min()) < 0:
            raise FormatError(f"{self.source}: {block.box} holds the negative number {int(data.min())}, which is no id")
        ids = data.astype(np.uint64, copy=False)
        return Block(only_wanted(ids, wanted), block.coverage)
