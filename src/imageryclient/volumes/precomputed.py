"""Precomputed volumes: chunks fetched together, decoded as they come, placed into one array."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .. import progress
from ..cache import CACHE, Payload
from ..coverage import Coverage, outside_of
from ..errors import DamagedDataError, FormatError, NotFoundError
from ..geometry import Box
from ..pools import decode_pool, fetch_pool, pipelined
from ..precomputed.chunks import Chunk, around, chunk_id, chunk_key, chunks_covering
from ..precomputed.codecs import Octets, decode_chunk, decompress
from ..precomputed.info import parse_info
from ..precomputed.labels import EncodedLabels
from ..precomputed.sharding import (
    MinishardIndex,
    index_entry_range,
    locate,
    minishard_range,
    parse_minishard_index,
)
from ..precomputed.touched import TouchedLabels
from ..scales import Info, Scale, Sharding
from ..storage import BrokenAnswerError, Store
from .base import Block, IdsWanted, only_wanted
from .documents import read_document

__all__ = ["PrecomputedSegmentation", "PrecomputedVolume", "read_info_document"]

log = logging.getLogger(__name__)

_TRIES = 3  # for bytes that fail their checks
_GZIP = b"\x1f\x8b\x08"
T = TypeVar("T")


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Decoded = TypeVar("Decoded", bound=_Sized)


def read_info_document(store: Store, source: str) -> Any:
    """Fetch the info document of a volume.

    Raises
    ------
    NotFoundError
        If there is none.
    FormatError
        If it is not JSON.
    """
    document = read_document(store, "info", source)
    if document is None:
        raise NotFoundError(
            f"{source}: there is no info document at {store.url}/info, so this is not a precomputed volume; "
            "check the address"
        )
    return document


class PrecomputedVolume:
    """A volume in Neuroglancer's precomputed format.

    Parameters
    ----------
    source : str
        The source string, for messages.
    store : Store
        Where the chunks lie.
    info : Info
        What the info document says.
    """

    def __init__(self, source: str, store: Store, info: Info) -> None:
        self.source = source
        self.info = info
        self._store = store
        self._minishards: dict[tuple[str, int], MinishardIndex | None] = {}
        self._minishard_locks: dict[tuple[str, int], threading.Lock] = {}
        self._coming: WeakValueDictionary[Hashable, Future[Payload]] = WeakValueDictionary()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, source: str, store: Store) -> PrecomputedVolume:
        """Open the volume in `store` by its info document; a segmentation comes as `PrecomputedSegmentation`."""
        document = read_info_document(store, source)
        try:
            info = parse_info(document, source)
        except FormatError:
            store.forget("info")
            raise
        kind = PrecomputedSegmentation if info.kind == "segmentation" else PrecomputedVolume
        return kind(source, store, info)

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
            Axes (x, y, z), with several channels (x, y, z, c); Fortran order; 0 where there are no data.

        Raises
        ------
        DamagedDataError
            If a chunk fails its checks three times over.
        """
        channels = self.info.channels
        data = np.zeros((*box.shape, channels), dtype=self.info.dtype, order="F")

        def place(region: Box, voxels: NDArray[Any]) -> None:
            data[region.slices(box)] = voxels

        largest = [0]

        def write(region: Box, labels: TouchedLabels) -> None:
            labels.write(data[region.slices(box)][..., 0])
            largest.append(int(labels.ids.max(initial=0)))

        if scale.encoding == "compressed_segmentation" and channels == 1:
            absent = self._each_region(box, scale, self._labels, write)
            return Block(data[..., 0], self.coverage(box, scale, absent), max(largest))
        absent = self._each_region(box, scale, self._voxels, place)
        return Block(data[..., 0] if channels == 1 else data, self.coverage(box, scale, absent))

    def _voxels(self, raw: Octets, scale: Scale, chunk: Chunk, region: Box) -> NDArray[Any]:
        """Decode a region of a chunk, (x, y, z, c), into an array that holds little else."""
        voxels = decode_chunk(raw, scale, self.info, chunk, region)
        return voxels if _held(voxels) <= 1.25 * voxels.nbytes else voxels.copy(order="K")

    def _labels(self, raw: Octets, scale: Scale, chunk: Chunk, region: Box) -> TouchedLabels:
        """Unpack a region of a chunk in compressed_segmentation."""
        return EncodedLabels.parse(raw, chunk, scale, self.info).touched(region)

    def decoded(
        self, scale: Scale, chunk: Chunk, regions: Sequence[Box], payload: Payload
    ) -> Sequence[NDArray[Any] | TouchedLabels] | None:
        """Decode regions of a chunk from its bytes, which are fetched again if they fail their checks.

        Returns
        -------
        list of numpy.ndarray or of TouchedLabels, or None
            For each region voxels (x, y, z, c), or of compressed_segmentation with one channel its labels, in memory
            of its own; None where nothing is stored.

        Raises
        ------
        DamagedDataError
            If the bytes fail their checks three times over.
        """
        made: list[Sequence[NDArray[Any] | TouchedLabels]] = []

        def decode(raw: Octets) -> None:
            if scale.encoding == "compressed_segmentation" and self.info.channels == 1:
                encoded = EncodedLabels.parse(raw, chunk, scale, self.info)
                made.append([encoded.touched(region) for region in regions])
            elif len(regions) == 1:
                made.append([self._voxels(raw, scale, chunk, regions[0])])
            else:
                outer = around(regions)
                whole = decode_chunk(raw, scale, self.info, chunk, outer)
                made.append([whole[region.slices(outer)].copy(order="F") for region in regions])

        self._checked(scale, chunk, payload, decode)
        return made[0] if made else None

    def _each_region(
        self,
        box: Box,
        scale: Scale,
        decode: Callable[[Octets, Scale, Chunk, Box], Decoded],
        use: Callable[[Box, Decoded], None],
    ) -> list[Box]:
        """Call `use(region, decoded)` for each chunk that holds voxels of `box`, in the decoding threads.

        What was decoded is kept for the process, where that is worth it, and must not be changed. Otherwise as
        `_each_chunk`.
        """
        keeping = self._keeping(box, scale)

        def part(chunk: Chunk, region: Box) -> tuple[Hashable, Hashable]:
            return self._identity(scale, chunk), (region, decode.__name__)

        def work(chunk: Chunk, region: Box, raw: Octets) -> None:
            decoded = decode(raw, scale, chunk, region)
            if keeping:
                CACHE.keep(*part(chunk, region), decoded, _held(decoded))
            use(region, decoded)

        chunks = chunks_covering(scale, box)
        if not keeping:
            return self._each_chunk(box, scale, work, chunks)
        left: list[Chunk] = []
        using: list[Future[None]] = []
        try:
            for chunk in chunks:
                region = box.intersect(chunk.box)
                decoded = CACHE.decoded(*part(chunk, region))
                if decoded is None:
                    left.append(chunk)
                else:
                    using.append(self.decoders.submit(use, region, decoded))
            progress.expect(len(using))
            absent = self._each_chunk(box, scale, work, left)
            for done in using:
                done.result()
                progress.advance()
        finally:
            for waiting in using:
                waiting.cancel()
        return absent

    def _keeping(self, box: Box, scale: Scale) -> bool:
        """Tell whether what is decoded for a read is worth keeping: if it is more than copied, and finds room."""
        if scale.placeholder or scale.encoding == "raw" or self._store.identity is None:
            return False
        size = 1 if scale.encoding == "compressed_segmentation" else self.info.dtype.itemsize
        voxels = box.intersect(scale.bounds).voxels
        return voxels * self.info.channels * size <= CACHE.largest_decoded

    def _identity(self, scale: Scale, chunk: Chunk) -> Hashable:
        """What tells a chunk from others among decoded regions, also from itself as another info document has it."""
        return self._store.identity, scale, self.info.dtype, self.info.channels, chunk.index

    @property
    def decoders(self) -> ThreadPoolExecutor:
        """The threads that decode its chunks."""
        return decode_pool("labels" if self.info.kind == "segmentation" else "imagery")

    def coverage(self, box: Box, scale: Scale, absent: Sequence[Box]) -> Coverage:
        """Tell which voxels of a box come from data, of which `absent` parts were never written."""
        return Coverage(box, outside_of(box, scale.bounds), tuple(absent))

    def _each_chunk(
        self,
        box: Box,
        scale: Scale,
        use: Callable[[Chunk, Box, Octets], None],
        chunks: Sequence[Chunk] | None = None,
    ) -> list[Box]:
        """Call `use(chunk, region, bytes)` for each chunk that holds voxels of `box`, in the decoding threads.

        Gives the parts of `box` whose chunks are not stored. Bytes that fail their checks are fetched again. Where only
        some of the chunks are wanted, `chunks` lists them.
        """

        def decode(chunk: Chunk, payload: Payload) -> Box | None:
            region = box.intersect(chunk.box)
            stored = self._checked(scale, chunk, payload, lambda raw: use(chunk, region, raw))
            return None if stored else region

        if scale.placeholder:
            return [box.intersect(scale.bounds)] if box.intersect(scale.bounds).voxels else []
        gaps = pipelined(
            chunks_covering(scale, box) if chunks is None else chunks,
            lambda chunk: self.chunk_at_hand(scale, chunk),
            lambda chunk: self.fetch_chunk(scale, chunk),
            decode,
            self.decoders,
        )
        return [gap for gap in gaps if gap is not None]

    def _checked(self, scale: Scale, chunk: Chunk, payload: Payload, use: Callable[[Octets], None]) -> bool:
        """Call `use(bytes)`, with others if these fail its checks; give whether the chunk is stored."""
        for attempt in range(_TRIES):
            if payload.data is None:
                return False
            try:
                use(self._plain(payload.data, payload.encoding, scale, chunk))
                return True
            except FormatError as error:
                raise FormatError(f"{self.source}: chunk {self._name(scale, chunk)}: {error}") from None
            except DamagedDataError as error:
                self._forget(scale, chunk)
                damage = f"{error}; fetched {attempt + 1} times"
            if attempt < _TRIES - 1:
                log.info("%s: chunk %s is damaged (%s)", self.source, self._name(scale, chunk), damage)
                time.sleep(0.1 * 2**attempt)
                payload = self.fetch_chunk(scale, chunk)
        raise self._damaged(scale, chunk, damage)

    def _plain(self, data: bytes, encoding: str, scale: Scale, chunk: Chunk) -> Octets:
        """Undo compression, that of files too which hold gzip under their plain name without a word about it."""
        plain = decompress(data, encoding)
        if plain[:3] != _GZIP:
            return plain
        raw_size = chunk.box.voxels * self.info.channels * self.info.dtype.itemsize
        return plain if scale.encoding == "raw" and len(plain) == raw_size else decompress(plain, "gzip")

    def _name(self, scale: Scale, chunk: Chunk) -> str:
        if scale.sharding is None:
            return chunk_key(scale, chunk)
        place = locate(chunk_id(chunk.index, scale.grid_shape), scale.sharding)
        return f"{scale.key}/{place.shard_file}, chunk {'-'.join(map(str, chunk.index))}"

    def chunk_at_hand(self, scale: Scale, chunk: Chunk) -> Payload | None:
        """Give the bytes of a chunk if they are at hand."""
        if scale.sharding is not None:
            return None
        return self._store.cached(chunk_key(scale, chunk))

    def stored_bytes(self, scale: Scale, chunk: Chunk) -> int | None:
        """Give how many bytes a chunk takes as it is stored, if it was fetched lately; 0 for one never written."""
        if scale.sharding is None:
            payload = self.chunk_at_hand(scale, chunk)
            return None if payload is None else len(payload.data or b"")
        number = chunk_id(chunk.index, scale.grid_shape)
        place = locate(number, scale.sharding)
        index = self._minishards.get((_shard_key(scale, place.shard_file), place.minishard))
        if index is None:
            return None
        start, stop = index.find(number) or (0, 0)
        return stop - start

    def _forget(self, scale: Scale, chunk: Chunk) -> None:
        CACHE.discard_decoded(self._identity(scale, chunk))
        if scale.sharding is None:
            self._store.forget(chunk_key(scale, chunk))
            return
        number = chunk_id(chunk.index, scale.grid_shape)
        place = locate(number, scale.sharding)
        key = _shard_key(scale, place.shard_file)
        index = self._minishards.pop((key, place.minishard), None)
        span = index.find(number) if index is not None else None
        if span is not None:
            self._store.forget(key, span)
        self._forget_minishard(key, place.minishard, scale.sharding)

    def _forget_minishard(self, key: str, minishard: int, sharding: Sharding) -> None:
        span = index_entry_range(minishard)
        entry = self._store.cached(key, span)
        if entry is not None and entry.data is not None:
            with contextlib.suppress(DamagedDataError):
                where = minishard_range(entry.data, sharding)
                if where is not None:
                    self._store.forget(key, where)
        self._store.forget(key, span)

    def fetch_chunk(self, scale: Scale, chunk: Chunk) -> Payload:
        """Give the bytes of a chunk, and wait for them."""
        try:
            if scale.sharding is None:
                return self._store.get(chunk_key(scale, chunk))
            return self._fetch_sharded(scale, scale.sharding, chunk)
        except DamagedDataError as error:
            raise self._damaged(scale, chunk, str(error)) from None

    def fetch_later(self, scale: Scale, chunk: Chunk) -> Future[Payload]:
        """Have a chunk fetched in the background, once for all who wait for it at the same time."""
        with self._lock:
            coming = self._coming.get((scale.mip, chunk.index))
            if coming is None or coming.done():
                coming = fetch_pool().submit(self.fetch_chunk, scale, chunk)
                self._coming[scale.mip, chunk.index] = coming
            return coming

    def _damaged(self, scale: Scale, chunk: Chunk, damage: str) -> DamagedDataError:
        return DamagedDataError(
            f"{self.source}: chunk {self._name(scale, chunk)} of mip {scale.mip}, which holds {chunk.box}, is damaged "
            f"({damage})"
        )

    def _fetch_sharded(self, scale: Scale, sharding: Sharding, chunk: Chunk) -> Payload:
        number = chunk_id(chunk.index, scale.grid_shape)
        place = locate(number, sharding)
        key = _shard_key(scale, place.shard_file)
        index = self._minishard(key, place.minishard, scale, sharding)
        span = index.find(number) if index is not None else None
        if span is None:
            return Payload(None)
        payload = self._store.get_range(key, *span)
        return Payload(payload.data, "gzip" if sharding.data_encoding == "gzip" else "")

    def _minishard(self, key: str, minishard: int, scale: Scale, sharding: Sharding) -> MinishardIndex | None:
        """Give the index of a minishard, read once; None when the shard or the minishard holds nothing."""
        name = (key, minishard)
        with self._lock:
            lock = self._minishard_locks.setdefault(name, threading.Lock())
        with lock:
            with contextlib.suppress(KeyError):
                return self._minishards[name]
            index = self._again(f"the index of {key}", lambda: self._read_minishard(key, minishard, scale, sharding))
            self._minishards[name] = index
            return index

    def _read_minishard(self, key: str, minishard: int, scale: Scale, sharding: Sharding) -> MinishardIndex | None:
        try:
            entry = self._store.get_range(key, *index_entry_range(minishard))
            if entry.data is None:
                return None
            where = minishard_range(entry.data, sharding)
            if where is None:
                return None
            packed = self._store.get_range(key, *where)
            if packed.data is None:
                raise DamagedDataError("the shard's file went away")
            if len(packed.data) != where[1] - where[0]:
                raise DamagedDataError(f"{len(packed.data)} bytes came instead of {where[1] - where[0]}")
            index = parse_minishard_index(packed.data, sharding)
            # The format has no checksum; bytes of anything else make ids that no chunk of this grid has.
            bits = sum((n - 1).bit_length() for n in scale.grid_shape)
            if index.ids.size and int(index.ids[-1]) >> bits:
                raise DamagedDataError(f"it names a chunk {int(index.ids[-1])}, which the grid does not have")
            return index
        except DamagedDataError:
            self._forget_minishard(key, minishard, sharding)
            raise

    def _again(self, what: str, call: Callable[[], T]) -> T:
        """Call until the bytes pass their checks, a few times at most."""
        for attempt in range(_TRIES):
            try:
                return call()
            except BrokenAnswerError:
                raise
            except DamagedDataError as error:
                if attempt == _TRIES - 1:
                    raise DamagedDataError(f"{what}: {error}; fetched {_TRIES} times") from None
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"


class PrecomputedSegmentation(PrecomputedVolume):
    """A flat segmentation: ids do not change over time."""

    versioned = False

    def read_ids(self, box: Box, scale: Scale, wanted: IdsWanted) -> Block:
        """Read ids; "all" and None give them as stored, an array keeps only those."""
        block = self.read(box, scale)
        ids = as_uint64(block.data)
        return Block(only_wanted(ids, wanted), block.coverage, block.largest)


def as_uint64(data: NDArray[Any]) -> NDArray[np.uint64]:
    """Give stored labels as uint64 without a copy where they are."""
    if data.ndim != 3 or data.dtype.kind not in "ui":
        raise FormatError(f"a segmentation holds one whole number per voxel; this one is {data.dtype}, {data.ndim}-D")
    return data.astype(np.uint64, copy=False)


def _held(decoded: _Sized) -> int:
    """Bytes that are in use as long as this is: of a view, those of the array that it shows a part of."""
    whole = decoded
    while isinstance(whole, np.ndarray) and isinstance(whole.base, np.ndarray):
        whole = whole.base
    return whole.nbytes


def _shard_key(scale: Scale, shard_file: str) -> str:
    return f"{scale.key}/{shard_file}"
