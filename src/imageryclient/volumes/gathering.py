"""Many boxes of one layer read together: each chunk fetched once and decoded once, and cut for every box it lies in.

`begin` has the chunks fetched in the background, `decode` decodes them as they come, `look_up` asks in one request
whose their supervoxels are, `part` gives what one box takes from them. What is held meanwhile are the voxels that boxes
touch: imagery as it is shown, labels a byte a voxel or little more.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..cache import Payload
from ..coverage import Coverage
from ..errors import ImageryError
from ..geometry import Box
from ..ids import Ids, distinct
from ..pools import fetch_pool
from ..precomputed.chunks import Chunk, around, chunks_covering
from ..precomputed.labels import TouchedLabels
from ..scales import Scale
from .base import Block, IdsWanted, Volume, only_wanted, read_block, replaced
from .graphene import GrapheneVolume
from .precomputed import PrecomputedVolume, as_uint64

__all__ = ["Gathering", "Names", "Part", "begin", "look_up"]

Found = NDArray[Any] | TouchedLabels


class Names(NamedTuple):
    """Supervoxels, sorted, and the object that each belongs to, or 0."""

    supervoxels: Ids
    objects: Ids


class Part(Protocol):
    """What one box takes from a layer, not yet in an array of its own."""

    def block(self, volume: Volume, names: Names | None = None) -> Block:
        """Give the voxels, as `read` or `read_ids` of the volume would.

        Of supervoxels that were not looked up with the boxes, `names` says whose they are.
        """
        ...

    def detached(self) -> Part:
        """Give the same in memory of its own, as little as it takes: to keep, or to pickle."""
        ...


class Gathering(Protocol):
    """A layer of which many boxes are read."""

    def decode(self) -> Ids:
        """Wait for the chunks and decode them; give the supervoxels that are to be looked up, sorted.

        Of chunks that cannot be read only `part` tells.
        """
        ...

    def rename(self, names: Names) -> None:
        """Put objects in the place of supervoxels, in all of the boxes."""
        ...

    def part(self, box: Box) -> Part:
        """Give the part of one of the boxes.

        Raises
        ------
        StorageError, SourceError, DamagedDataError
            If one of its chunks could not be read.
        """
        ...

    def close(self) -> None:
        """Leave what was not begun."""
        ...


def look_up(volume: Volume, supervoxels: Ids, wanted: IdsWanted | None) -> Names | None:
    """Ask whose supervoxels are, in one request; None for a layer that has none, or whose supervoxels are wanted.

    Raises
    ------
    StorageError, SourceError, DamagedDataError, ArgumentError
        If that cannot be told.
    """
    if not isinstance(volume, GrapheneVolume) or wanted is None or wanted.root_ids is None:
        return None
    return Names(supervoxels, volume.objects(supervoxels, wanted))


def begin(volume: Volume, scale: Scale, boxes: Sequence[Box], wanted: IdsWanted | None = None) -> Gathering:
    """Begin to read boxes of a layer together.

    Parameters
    ----------
    volume : Volume
        The layer. Of a precomputed or a proofread one chunks are shared; of others each box is read by itself.
    scale : Scale
        One of its scales.
    boxes : sequence of Box
        At the resolution of the scale; may reach beyond its bounds.
    wanted : IdsWanted, optional
        For a segmentation.
    """
    if isinstance(volume, PrecomputedVolume):
        return _Chunks(volume, scale, boxes, wanted)
    return _Apart(scale, wanted)


@dataclass(frozen=True, slots=True)
class _Apart:
    """Boxes read one by one."""

    scale: Scale
    wanted: IdsWanted | None

    def decode(self) -> Ids:
        """Do nothing: boxes are read when they are put together."""
        return np.empty(0, np.uint64)

    def rename(self, names: Names) -> None:
        """Do nothing: no such layer has supervoxels."""

    def part(self, box: Box) -> Part:
        """Note the box."""
        return _Unread(box, self.scale, self.wanted)

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class _Unread:
    """A box that is read by itself."""

    box: Box
    scale: Scale
    wanted: IdsWanted | None

    def block(self, volume: Volume, names: Names | None = None) -> Block:
        """Read it."""
        return read_block(volume, self.box, self.scale, self.wanted)

    def detached(self) -> Part:
        """Give it as it is."""
        return self


class _Chunks:
    """The chunks of a precomputed layer that any of the boxes touches."""

    def __init__(self, volume: PrecomputedVolume, scale: Scale, boxes: Sequence[Box], wanted: IdsWanted | None) -> None:
        self._volume, self._scale, self._wanted = volume, scale, wanted
        self._dtype, self._channels = volume.info.dtype, volume.info.channels
        if wanted is not None:
            as_uint64(np.empty((0,) * (3 if self._channels == 1 else 4), self._dtype))
            self._dtype = np.dtype(np.uint64)
        self._proofread = isinstance(volume, GrapheneVolume) and wanted is not None
        self._regions: dict[Chunk, list[Box]] = {}
        for box in [] if scale.placeholder else boxes:
            for chunk in chunks_covering(scale, box):
                self._regions.setdefault(chunk, []).append(box.intersect(chunk.box))
        self._held: dict[Chunk, dict[Box, Found] | ImageryError | None] = {}  # None for one that was never written
        self._at_hand: dict[Chunk, Payload] = {}
        self._coming: dict[Future[Payload], Chunk] = {}
        for chunk in self._regions:
            payload = volume.chunk_at_hand(scale, chunk)
            if payload is None:
                self._coming[volume.fetch_later(scale, chunk)] = chunk
            else:
                self._at_hand[chunk] = payload

    def decode(self) -> Ids:
        """Decode each chunk as it comes."""
        decoding: list[Future[None]] = []
        submit = self._volume.decoders.submit
        try:
            while self._at_hand:
                decoding.append(submit(self._decode, *self._at_hand.popitem()))
            for fetched in as_completed(list(self._coming)):
                chunk = self._coming.pop(fetched)
                if fetched.cancelled():  # by another that waited for it too, and was left
                    fetched = fetch_pool().submit(self._volume.fetch_chunk, self._scale, chunk)
                error = fetched.exception()
                if error is None:
                    decoding.append(submit(self._decode, chunk, fetched.result()))
                elif isinstance(error, ImageryError):
                    self._held[chunk] = error
                else:
                    raise error
            for done in decoding:
                done.result()
        finally:
            self.close()
            for waiting in decoding:
                waiting.cancel()
        if not self._proofread:
            return np.empty(0, np.uint64)
        each = [
            found.ids if isinstance(found, TouchedLabels) else distinct(found)
            for regions in self._stored()
            for found in regions.values()
        ]
        return distinct(np.concatenate([np.empty(0, np.uint64), *each]))

    def _decode(self, chunk: Chunk, payload: Payload) -> None:
        regions = _fewest(self._regions[chunk])
        try:
            found = self._volume.decoded(self._scale, chunk, regions, payload)
        except ImageryError as error:
            self._held[chunk] = error
        else:
            self._held[chunk] = None if found is None else dict(zip(regions, found, strict=True))

    def _stored(self) -> list[dict[Box, Found]]:
        return [held for held in self._held.values() if isinstance(held, dict)]

    def rename(self, names: Names) -> None:
        """Put objects in the place of supervoxels."""

        def rename(regions: dict[Box, Found]) -> None:
            for region, found in regions.items():
                named = found.renamed(*names) if isinstance(found, TouchedLabels) else _renamed(found, names)
                regions[region] = named

        for _ in self._volume.decoders.map(rename, self._stored()):
            pass

    def part(self, box: Box) -> Part:
        """Cut the part of a box out of the chunks, without copying."""
        scale = self._scale
        found: list[tuple[Box, Found]] = []
        absent: list[Box] = []
        if scale.placeholder:
            inside = box.intersect(scale.bounds)
            absent += [inside] if inside.voxels else []
        for chunk in [] if scale.placeholder else chunks_covering(scale, box):
            region, held = box.intersect(chunk.box), self._held[chunk]
            if isinstance(held, ImageryError):
                raise held.with_traceback(None)
            if held is None:
                absent.append(region)
            elif region in held:
                found.append((region, held[region]))
            else:
                ((outer, whole),) = held.items()
                slices = region.slices(outer)
                found.append((region, whole.cropped(slices) if isinstance(whole, TouchedLabels) else whole[slices]))
        kept = None if self._proofread else self._wanted
        return _Cut(self._volume.coverage(box, scale, absent), found, self._dtype, self._channels, kept)

    def close(self) -> None:
        """Cancel the fetches that wait."""
        for waiting in self._coming:
            waiting.cancel()


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A box cut out of chunks; `wanted` where ids are still to be left out."""

    coverage: Coverage
    found: list[tuple[Box, Found]]
    dtype: np.dtype[Any]
    channels: int
    wanted: IdsWanted | None

    def block(self, volume: Volume, names: Names | None = None) -> Block:
        """Put the chunks together."""
        box = self.coverage.box
        data = np.zeros((*box.shape, self.channels), self.dtype, order="F")
        for region, found in self.found:
            target = data[region.slices(box)]
            if isinstance(found, TouchedLabels):
                found.write(target[..., 0], *(names or ()))
            else:
                target[...] = found if names is None else _renamed(found, names)
        given = data[..., 0] if self.channels == 1 else data
        return Block(given if self.wanted is None else only_wanted(given, self.wanted), self.coverage)

    def detached(self) -> Part:
        """Copy what is shared with other boxes."""
        found = [
            (region, held.detached() if isinstance(held, TouchedLabels) else held.copy(order="F"))
            for region, held in self.found
        ]
        return replace(self, found=found)


def _renamed(voxels: NDArray[Any], names: Names) -> NDArray[np.uint64]:
    """Give a copy of supervoxels, (x, y, z, 1), with objects in their place."""
    return replaced(np.asfortranarray(voxels[..., 0], np.uint64), *names)[..., None]


def _fewest(regions: list[Box]) -> list[Box]:
    """Give the regions of a chunk, or the box around them all, whichever has fewer voxels."""
    regions = list(dict.fromkeys(regions))
    outer = around(regions)
    return regions if sum(region.voxels for region in regions) < outer.voxels else [outer]
