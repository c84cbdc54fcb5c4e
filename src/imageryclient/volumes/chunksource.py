"""The chunks of one scale of a layer, as they are offered to whoever reads many boxes together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from ..cache import Payload
from ..coverage import Coverage
from ..errors import ImageryError
from ..geometry import Box
from ..precomputed.chunks import Chunk, chunks_covering
from ..precomputed.touched import TouchedLabels
from ..scales import Scale
from .base import Block, IdsWanted, Volume
from .precomputed import PrecomputedVolume

__all__ = ["ChunkSource", "Found", "HasChunks", "HasIds", "PrecomputedChunks", "StoredBox", "shares_chunks"]

Found = NDArray[Any] | TouchedLabels


class StoredBox(Hashable, Protocol):
    """What is stored together, a chunk."""

    @property
    def box(self) -> Box:
        """The voxels it holds."""
        ...


S = TypeVar("S", bound=StoredBox)


class ChunkSource(Protocol[S]):
    """The chunks of one scale of a layer, for boxes that are read together."""

    @property
    def decoders(self) -> Executor:
        """The threads that decode them."""
        ...

    @property
    def at_once(self) -> int:
        """How many are best decoded together."""
        ...

    @property
    def fill(self) -> NDArray[Any] | None:
        """What voxels of chunks are that are not stored, without axes; None for 0."""
        ...

    def touched(self, box: Box) -> Sequence[S]:
        """List the chunks that hold voxels of a box, of some or all of the channels."""
        ...

    def channels(self, chunk: S) -> slice:
        """Tell which channels a chunk holds."""
        ...

    def expect(self, touched: Sequence[S]) -> object:
        """Have what is needed to find chunks read in the background."""
        ...

    def at_hand(self, chunk: S) -> Payload | None:
        """Give the bytes of a chunk if they are at hand."""
        ...

    def later(self, chunk: S) -> Future[Payload]:
        """Have a chunk fetched in the background, once for all who wait for it at the same time."""
        ...

    def fetch(self, chunk: S) -> Payload:
        """Give the bytes of a chunk, and wait for them."""
        ...

    def decoded(
        self, wanted: Sequence[tuple[S, Sequence[Box], Payload]]
    ) -> Sequence[Sequence[Found] | ImageryError | None]:
        """Decode regions of `at_once` chunks, each voxels (x, y, z, c) or labels; None for a chunk never written."""
        ...

    def coverage(self, box: Box, absent: Sequence[Box]) -> Coverage:
        """Tell which voxels of a box come from data, of which `absent` parts were never written."""
        ...


@runtime_checkable
class HasChunks(Protocol):
    """A layer that offers its chunks."""

    @property
    def shares_chunks(self) -> bool:
        """Whether boxes read together had better share them."""
        ...

    def chunks(self, scale: Scale) -> ChunkSource[Any]:
        """Give the chunks of a scale, for boxes that are read together."""
        ...


@runtime_checkable
class HasIds(Protocol):
    """A layer of which what was read is still to be made ids."""

    def as_ids(self, block: Block, wanted: IdsWanted) -> Block:
        """Give what was read as ids."""
        ...


def shares_chunks(volume: Volume) -> bool:
    """Tell whether boxes of a layer that are read together share its chunks."""
    return isinstance(volume, PrecomputedVolume) or (isinstance(volume, HasChunks) and volume.shares_chunks)


@dataclass(frozen=True, slots=True)
class PrecomputedChunks:
    """The chunks of a precomputed layer, a `ChunkSource`.

    Parameters
    ----------
    volume : PrecomputedVolume
        The layer.
    scale : Scale
        One of its scales.
    """

    volume: PrecomputedVolume
    scale: Scale
    at_once = 1
    fill = None

    @property
    def decoders(self) -> Executor:
        """The threads that decode them."""
        return self.volume.decoders

    def touched(self, box: Box) -> Sequence[Chunk]:
        """List the chunks that hold voxels of a box; none of a scale without data."""
        return [] if self.scale.placeholder else chunks_covering(self.scale, box)

    def channels(self, chunk: Chunk) -> slice:
        """Tell that a chunk holds all of them."""
        return slice(None)

    def expect(self, touched: Sequence[Chunk]) -> None:
        """Do nothing: indexes of shards are kept by the volume."""

    def at_hand(self, chunk: Chunk) -> Payload | None:
        """Give the bytes of a chunk if they are at hand."""
        return self.volume.chunk_at_hand(self.scale, chunk)

    def later(self, chunk: Chunk) -> Future[Payload]:
        """Have a chunk fetched in the background, once for all who wait for it at the same time."""
        return self.volume.fetch_later(self.scale, chunk)

    def fetch(self, chunk: Chunk) -> Payload:
        """Give the bytes of a chunk, and wait for them."""
        return self.volume.fetch_chunk(self.scale, chunk)

    def decoded(
        self, wanted: Sequence[tuple[Chunk, Sequence[Box], Payload]]
    ) -> Sequence[Sequence[Found] | ImageryError | None]:
        """Decode regions of each of some chunks, in memory of their own."""
        results: list[Sequence[Found] | ImageryError | None] = []
        for chunk, regions, payload in wanted:
            try:
                results.append(self.volume.decoded(self.scale, chunk, regions, payload))
            except ImageryError as error:
                results.append(error)
        return results

    def coverage(self, box: Box, absent: Sequence[Box]) -> Coverage:
        """Tell which voxels of a box come from data, of which `absent` parts were never written."""
        if self.scale.placeholder:
            inside = box.intersect(self.scale.bounds)
            absent = [inside] if inside.voxels else []
        return self.volume.coverage(box, self.scale, absent)
