"""Many boxes of one layer read together: each chunk fetched once and decoded once, and cut for every box it lies in.

`begin` has the chunks fetched in the background, `decode` decodes them as they come, `look_up` asks in one request
whose their supervoxels are, `part` gives what one box takes from them. What is held meanwhile are the voxels that boxes
touch: imagery as it is shown, labels a byte a voxel or little more.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..cache import Payload
from ..coverage import Coverage, outside_of
from ..errors import ImageryError
from ..geometry import Box
from ..ids import Ids, distinct
from ..pools import Backlog, fetch_pool
from ..precomputed.chunks import around
from ..precomputed.touched import TouchedLabels
from ..scales import Scale
from .base import Block, IdsWanted, Volume, only_wanted, read_block, replaced
from .chunksource import ChunkSource, Found, HasChunks, HasIds, PrecomputedChunks, StoredBox
from .graphene import GrapheneVolume
from .precomputed import PrecomputedVolume, as_uint64

__all__ = ["Gathering", "Names", "Part", "begin", "join", "look_up"]

S = TypeVar("S", bound=StoredBox)


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
        The layer. Of one that `shares_chunks` they are shared; of others each box is read by itself.
    scale : Scale
        One of its scales.
    boxes : sequence of Box
        At the resolution of the scale; may reach beyond its bounds.
    wanted : IdsWanted, optional
        For a segmentation.
    """
    info = volume.info
    if isinstance(volume, PrecomputedVolume):
        source = PrecomputedChunks(volume, scale)
        if wanted is None:
            return _Chunks(source, boxes, info.dtype, info.channels)
        as_uint64(np.empty((0,) * (3 if info.channels == 1 else 4), info.dtype))
        if isinstance(volume, GrapheneVolume):
            return _Chunks(source, boxes, np.dtype(np.uint64), info.channels, proofread=True)
        return _Chunks(source, boxes, np.dtype(np.uint64), info.channels, wanted)
    if isinstance(volume, HasChunks) and volume.shares_chunks:
        return _Chunks(volume.chunks(scale), boxes, info.dtype, info.channels, wanted)
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


class _Chunks(Generic[S]):
    """The chunks of a layer that any of the boxes touches.

    Parameters
    ----------
    source : ChunkSource
        The chunks.
    boxes : sequence of Box
        The boxes.
    dtype : numpy.dtype
        Of what comes back.
    channels : int
        Numbers per voxel.
    wanted : IdsWanted, optional
        Which ids to leave when boxes are put together.
    proofread : bool
        Whether the voxels are supervoxels, of which it is to be told which there are.
    """

    def __init__(
        self,
        source: ChunkSource[S],
        boxes: Sequence[Box],
        dtype: np.dtype[Any],
        channels: int,
        wanted: IdsWanted | None = None,
        *,
        proofread: bool = False,
    ) -> None:
        self._source, self._dtype, self._channels = source, dtype, channels
        self._wanted, self._proofread = wanted, proofread
        self._regions: dict[S, list[Box]] = {}
        for box in boxes:
            for chunk in source.touched(box):
                self._regions.setdefault(chunk, []).append(box.intersect(chunk.box))
        self._held: dict[S, dict[Box, Found] | ImageryError | None] = {}  # None for one that was never written
        self._at_hand: dict[S, Payload] = {}
        self._coming: dict[Future[Payload], S] = {}
        source.expect(list(self._regions))
        for chunk in self._regions:
            payload = source.at_hand(chunk)
            if payload is None:
                self._coming[source.later(chunk)] = chunk
            else:
                self._at_hand[chunk] = payload

    def decode(self) -> Ids:
        """Decode each chunk as it comes, perhaps with others that came meanwhile."""
        decoding: list[Future[None]] = []
        backlog: Backlog[tuple[S, Payload], None] = Backlog(self._decode, self._source.decoders, self._source.at_once)
        try:
            while self._at_hand:
                decoding.append(backlog.add(self._at_hand.popitem()))
            for fetched in as_completed(list(self._coming)):
                chunk = self._coming.pop(fetched)
                if fetched.cancelled():  # by another that waited for it too, and was left
                    fetched = fetch_pool().submit(self._source.fetch, chunk)
                error = fetched.exception()
                if error is None:
                    decoding.append(backlog.add((chunk, fetched.result())))
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

    def _decode(self, some: list[tuple[S, Payload]]) -> list[Exception | None]:
        wanted = [(chunk, _fewest(self._regions[chunk]), payload) for chunk, payload in some]
        each: Sequence[Sequence[Found] | ImageryError | None]
        try:
            each = self._source.decoded(wanted)
        except ImageryError as error:
            each = [error] * len(wanted)
        for (chunk, regions, _), found in zip(wanted, each, strict=True):
            if found is None or isinstance(found, ImageryError):
                self._held[chunk] = found
            else:
                self._held[chunk] = dict(zip(regions, found, strict=True))
        return [None] * len(some)

    def _stored(self) -> list[dict[Box, Found]]:
        return [held for held in self._held.values() if isinstance(held, dict)]

    def rename(self, names: Names) -> None:
        """Put objects in the place of supervoxels."""

        def rename(regions: dict[Box, Found]) -> None:
            for region, found in regions.items():
                named = found.renamed(*names) if isinstance(found, TouchedLabels) else _renamed(found, names)
                regions[region] = named

        for _ in self._source.decoders.map(rename, self._stored()):
            pass

    def part(self, box: Box) -> Part:
        """Cut the part of a box out of the chunks, without copying."""
        found: list[_Piece] = []
        absent: list[Box] = []
        for chunk in self._source.touched(box):
            region, held = box.intersect(chunk.box), self._held[chunk]
            channels = self._source.channels(chunk)
            if isinstance(held, ImageryError):
                raise held.with_traceback(None)
            if held is None:
                absent.append(region)
                if self._source.fill is not None:
                    found.append(_Piece(region, channels, self._source.fill))
            elif region in held:
                found.append(_Piece(region, channels, held[region]))
            else:
                ((outer, whole),) = held.items()
                slices = region.slices(outer)
                part = whole.cropped(slices) if isinstance(whole, TouchedLabels) else whole[slices]
                found.append(_Piece(region, channels, part))
        return _Cut(self._source.coverage(box, absent), found, self._dtype, self._channels, self._wanted)

    def close(self) -> None:
        """Cancel the fetches that wait."""
        for waiting in self._coming:
            waiting.cancel()


class _Piece(NamedTuple):
    """What a box takes from one chunk: voxels (x, y, z, c), or one value for all, or labels."""

    region: Box
    channels: slice
    found: Found


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A box cut out of chunks; `wanted` where ids are still to be left out."""

    coverage: Coverage
    pieces: list[_Piece]
    dtype: np.dtype[Any]
    channels: int
    wanted: IdsWanted | None

    def block(self, volume: Volume, names: Names | None = None) -> Block:
        """Put the chunks together."""
        box = self.coverage.box
        data = np.zeros((*box.shape, self.channels), self.dtype, order="F")
        for region, channels, found in self.pieces:
            target = data[region.slices(box)][..., channels]
            if isinstance(found, TouchedLabels):
                found.write(target[..., 0], *(names or ()))
            else:
                target[...] = found if names is None else _renamed(found, names)
        block = Block(data[..., 0] if self.channels == 1 else data, self.coverage)
        if self.wanted is None:
            return block
        if isinstance(volume, HasIds):
            return volume.as_ids(block, self.wanted)
        return Block(only_wanted(block.data, self.wanted), self.coverage)

    def detached(self) -> Part:
        """Copy what is shared with other boxes."""
        pieces = [
            piece._replace(
                found=piece.found.detached() if isinstance(piece.found, TouchedLabels) else piece.found.copy(order="F")
            )
            for piece in self.pieces
        ]
        return replace(self, pieces=pieces)


def join(parts: Sequence[Part], box: Box, scale: Scale) -> Part:
    """Give the part of a box, of the parts of pieces of it, each of one chunk, that make up all it takes."""
    cuts = [part for part in parts if isinstance(part, _Cut)]
    absent = sorted((gap for cut in cuts for gap in cut.coverage.absent), key=lambda gap: gap.start[::-1])
    coverage = Coverage(box, outside_of(box, scale.bounds), tuple(absent))
    return replace(cuts[0], coverage=coverage, pieces=[piece for cut in cuts for piece in cut.pieces])


def _renamed(voxels: NDArray[Any], names: Names) -> NDArray[np.uint64]:
    """Give a copy of supervoxels, (x, y, z, 1), with objects in their place."""
    return replaced(np.asfortranarray(voxels[..., 0], np.uint64), *names)[..., None]


def _fewest(regions: list[Box]) -> list[Box]:
    """Give the regions of a chunk, or the box around them all, whichever has fewer voxels."""
    regions = list(dict.fromkeys(regions))
    outer = around(regions)
    return regions if sum(region.voxels for region in regions) < outer.voxels else [outer]
