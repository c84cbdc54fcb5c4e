"""The chunks of a Zarr or N5 array: found, also within shards, fetched, decoded, fetched again where damaged."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ..cache import ABSENT, Payload
from ..coverage import Coverage, outside_of
from ..errors import DamagedDataError, FormatError, ImageryError
from ..geometry import Box
from ..pools import Backlog, decode_pool, fetch_pool, pipelined_backlog
from ..precomputed.chunks import around
from ..precomputed.codecs import decompress
from ..scales import Scale
from ..storage import BrokenAnswerError, Store
from ..zarr.decoding import Decoder
from ..zarr.grids import Grid, StoredChunk
from ..zarr.shards import ShardIndex, parse_shard_index

__all__ = ["ZarrChunks", "ZarrScale"]

log = logging.getLogger(__name__)

_TRIES = 3  # for bytes that fail their checks
_GZIP = b"\x1f\x8b\x08"
Wanted = tuple[StoredChunk, Box, Payload]
T = TypeVar("T")


class ZarrScale:
    """One scale: an array, where it lies, and what of it is being fetched.

    Parameters
    ----------
    source : str
        The source string, for messages.
    store : Store
        Where the container lies.
    scale : Scale
        The scale.
    grid : Grid
        Its array.
    who : {"imagery", "labels"}
        Which threads decode its chunks.

    Raises
    ------
    FormatError
        If its chunks cannot be decoded.
    """

    def __init__(
        self, source: str, store: Store, scale: Scale, grid: Grid, who: Literal["imagery", "labels"] = "imagery"
    ) -> None:
        self.source, self.store, self.scale, self.grid = source, store, scale, grid
        self.decoder = self._named(lambda: Decoder(grid.array.coding, grid.order))
        shards = grid.array.shards
        self._index_decoder = None if shards is None else self._named(lambda: Decoder(shards.index))
        self._who = who
        self.coming: WeakValueDictionary[StoredChunk, Future[Payload]] = WeakValueDictionary()
        self.indexes: WeakValueDictionary[str, Future[ShardIndex | None]] = WeakValueDictionary()
        self.lock = threading.Lock()

    @property
    def decoders(self) -> Executor:
        """The threads that decode its chunks."""
        return decode_pool(self._who)

    @property
    def index_span(self) -> tuple[int, int]:
        """Where in a shard its index lies."""
        shards = self.grid.array.shards
        assert shards is not None
        return (-shards.index_bytes, 0) if shards.at_end else (0, shards.index_bytes)

    def read_index(self, key: str) -> ShardIndex | None:
        """Read the index of a shard; None where there is no such shard.

        Raises
        ------
        DamagedDataError
            If it fails its checks three times over.
        """
        shards, decoder = self.grid.array.shards, self._index_decoder
        assert shards is not None
        assert decoder is not None
        for attempt in range(_TRIES):
            try:
                payload = self.store.get_range(key, *self.index_span)
                if payload.data is None:
                    return None
                return parse_shard_index(payload.data, shards.index_bytes, decoder, shards.grid)
            except BrokenAnswerError:
                raise
            except DamagedDataError as error:
                self.store.forget(key, self.index_span)
                if attempt == _TRIES - 1:
                    raise DamagedDataError(f"the shard's index: {error}; fetched {_TRIES} times") from None
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def name(self, stored: StoredChunk) -> str:
        """Name a chunk, for messages."""
        key = self.grid.key(stored.index)
        if self.grid.array.shards is None:
            return f"chunk {key}"
        return f"chunk {'-'.join(map(str, self.grid.array.place_in_shard(stored.index)))} of the shard {key}"

    def damaged(self, stored: StoredChunk, damage: str) -> DamagedDataError:
        """Give the error that tells of damage."""
        return DamagedDataError(
            f"{self.source}: {self.name(stored)} of mip {self.scale.mip}, which holds {stored.box}, is damaged "
            f"({damage})"
        )

    def _named(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except FormatError as error:
            raise FormatError(f"{self.source}: the array {self.scale.key!r}: {error}") from None


class ZarrChunks:
    """The chunks of a scale, for one read or for boxes read together, which share the indexes of shards.

    Parameters
    ----------
    scale : ZarrScale
        The scale.
    """

    def __init__(self, scale: ZarrScale) -> None:
        self._scale = scale
        self._indexes: dict[str, Future[ShardIndex | None]] = {}

    @property
    def decoders(self) -> Executor:
        """The threads that decode them."""
        return self._scale.decoders

    @property
    def at_once(self) -> int:
        """How many are decoded together."""
        return self._scale.decoder.at_once

    @property
    def fill(self) -> NDArray[Any] | None:
        """What voxels of chunks are that are not stored, without axes; None for 0."""
        array = self._scale.grid.array
        return np.array(array.fill, array.dtype) if array.fill != 0 else None

    def touched(self, box: Box) -> Sequence[StoredChunk]:
        """List the chunks that hold voxels of a box."""
        return list(self._scale.grid.stored(self._scale.scale, box))

    def channels(self, stored: StoredChunk) -> slice:
        """Tell which channels a chunk holds."""
        return slice(*stored.channels)

    def coverage(self, box: Box, absent: Sequence[Box]) -> Coverage:
        """Tell which voxels of a box come from data, of which `absent` parts were never written."""
        gaps = sorted(set(absent), key=lambda gap: gap.start[::-1])
        return Coverage(box, outside_of(box, self._scale.scale.bounds), tuple(gaps))

    def each(self, box: Box, use: Callable[[StoredChunk, Box, NDArray[Any] | None], None]) -> list[Box]:
        """Call `use(chunk, region, voxels)` for each chunk that holds voxels of `box`, in the decoding threads.

        Voxels, (x, y, z, c), are those of the region; chunks that are not stored come as None. Gives the parts of `box`
        they hold.

        Raises
        ------
        DamagedDataError
            If a chunk fails its checks three times over.
        """
        touched = self.touched(box)
        for reading in self.expect(touched):
            reading.result()

        def work(some: list[Wanted]) -> list[Box | Exception | None]:
            results: list[Box | Exception | None] = []
            for (stored, region, _), voxels in zip(some, self._decoded(some), strict=True):
                if isinstance(voxels, ImageryError):
                    results.append(voxels)
                else:
                    use(stored, region, voxels)
                    results.append(region if voxels is None else None)
            return results

        backlog: Backlog[Wanted, Box | None] = Backlog(work, self.decoders, self.at_once)
        gaps = pipelined_backlog(
            touched,
            self.at_hand,
            self.fetch,
            lambda stored, payload: backlog.add((stored, box.intersect(stored.box), payload)),
        )
        return [gap for gap in gaps if gap is not None]

    def expect(self, touched: Sequence[StoredChunk]) -> list[Future[Any]]:
        """Have the indexes of the shards read that chunks lie in, in the background."""
        if self._scale.grid.array.shards is None:
            return []
        first = {self._scale.grid.key(stored.index): stored for stored in touched}
        return [fetch_pool().submit(self._find, stored) for stored in first.values()]

    def at_hand(self, stored: StoredChunk) -> Payload | None:
        """Give the bytes of a chunk if they are at hand."""
        grid, store = self._scale.grid, self._scale.store
        key = grid.key(stored.index)
        if grid.array.shards is None:
            payload = store.cached(key)
            return None if payload == ABSENT and grid.array.guessed else payload
        coming = self._indexes.get(key)
        if coming is None or not coming.done() or coming.exception() is not None:
            return None
        try:
            span = self._find(stored)
        except DamagedDataError:
            return None  # fetching it finds the same
        return ABSENT if span is None else store.cached(key, span)

    def later(self, stored: StoredChunk) -> Future[Payload]:
        """Have a chunk fetched in the background, once for all who wait for it at the same time."""
        with self._scale.lock:
            coming = self._scale.coming.get(stored)
            if coming is None or coming.done():
                coming = fetch_pool().submit(self.fetch, stored)
                self._scale.coming[stored] = coming
            return coming

    def fetch(self, stored: StoredChunk) -> Payload:
        """Give the bytes of a chunk, and wait for them."""
        grid, store = self._scale.grid, self._scale.store  # of which another thread may change the first
        key = grid.key(stored.index)
        span = None if grid.array.shards is None else self._find(stored)
        if grid.array.shards is not None and span is None:
            return ABSENT
        try:
            if span is None:
                payload = store.get(key)
                return self._fetch_nested(stored, grid) if payload.data is None and grid.array.guessed else payload
            payload = store.get_range(key, *span)
        except DamagedDataError as error:
            raise self._scale.damaged(stored, str(error)) from None
        if payload.data is None:
            raise self._scale.damaged(stored, "the shard went away")
        return payload

    def decoded(
        self, wanted: Sequence[tuple[StoredChunk, Sequence[Box], Payload]]
    ) -> list[Sequence[NDArray[Any]] | ImageryError | None]:
        """Decode regions of some chunks, `at_once` at most; bytes that fail their checks are fetched again.

        Returns
        -------
        list of list of numpy.ndarray, ImageryError or None
            For each chunk, for each of its regions, voxels (x, y, z, c) in memory of their own; None where it is not
            stored; the error where it cannot be had.
        """
        results: list[Sequence[NDArray[Any]] | ImageryError | None] = []
        whole = [(stored, around(regions), payload) for stored, regions, payload in wanted]
        for (_, outer, _), (_, regions, _), found in zip(whole, wanted, self._decoded(whole), strict=True):
            if found is None or isinstance(found, ImageryError):
                results.append(found)
            elif len(regions) == 1:
                results.append([_own(found)])
            else:
                results.append([found[region.slices(outer)].copy(order="F") for region in regions])
        return results

    def _decoded(self, wanted: Sequence[Wanted]) -> list[NDArray[Any] | ImageryError | None]:
        """Decode a region of each of some chunks; what fails its checks is fetched again, one after the other."""
        found = self._tried(wanted)
        for n, (stored, region, _) in enumerate(wanted):
            attempt, error = 1, found[n]
            while isinstance(error, DamagedDataError) and attempt < _TRIES:
                log.info("%s: %s is damaged (%s)", self._scale.source, self._scale.name(stored), error)
                time.sleep(0.1 * 2 ** (attempt - 1))
                try:
                    payload = self._fetch_anew(stored)
                except ImageryError as failed:
                    found[n] = failed
                    break
                (found[n],) = self._tried([(stored, region, payload)])
                attempt, error = attempt + 1, found[n]
            else:
                if isinstance(error, DamagedDataError):
                    found[n] = self._scale.damaged(stored, f"{error}; fetched {_TRIES} times")
        return found

    def _tried(self, wanted: Sequence[Wanted]) -> list[NDArray[Any] | ImageryError | None]:
        """Decode a region of each of some chunks, as (x, y, z, c), or give the errors."""
        grid = self._scale.grid
        found: list[NDArray[Any] | ImageryError | None] = [None] * len(wanted)
        ready: dict[int, tuple[bytes, tuple[slice, ...]]] = {}
        for n, (stored, region, payload) in enumerate(wanted):
            if payload.data is None:
                continue
            try:
                ready[n] = self._plain(payload.data, payload.encoding), grid.window(stored, region)
            except FormatError as error:
                found[n] = FormatError(f"{self._scale.source}: {self._scale.name(stored)}: {error}")
            except DamagedDataError as error:
                found[n] = error
        if ready:
            decoded = self._scale.decoder.decode_some(list(ready.values()))
            for n, voxels in zip(ready, decoded, strict=True):
                found[n] = voxels if isinstance(voxels, DamagedDataError) else grid.turned(voxels)
        return found

    def _plain(self, data: bytes, encoding: str) -> bytes:
        """Undo what the server names as Content-Encoding, unless it only tells what the chunk itself is."""
        if not encoding:
            return data
        plain = decompress(data, encoding)
        if self._scale.grid.array.coding.gzipped and plain[:3] != _GZIP and data[:3] == _GZIP:
            return data
        return bytes(plain)

    def _find(self, stored: StoredChunk, *, anew: bool = False) -> tuple[int, int] | None:
        """Tell where in its shard a chunk lies, by the index at hand or read now; None if it is not stored."""
        grid = self._scale.grid
        try:
            index = self._index(grid.key(stored.index), anew=anew)
            return None if index is None else index.find(grid.array.place_in_shard(stored.index))
        except DamagedDataError as error:
            raise self._scale.damaged(stored, str(error)) from None

    def _index(self, key: str, *, anew: bool) -> ShardIndex | None:
        """Give the index of a shard, read once for all who need it at the same time."""
        scale = self._scale
        with scale.lock:
            coming = self._indexes.get(key)
            if coming is not None and coming.done() and (anew or coming.exception() is not None):
                coming = None
            if coming is None:
                coming = scale.indexes.get(key)
            mine = coming is None or coming.done()  # a file may have changed since
            if coming is None or mine:
                coming = scale.indexes[key] = Future()
            self._indexes[key] = coming
        if mine:
            try:
                coming.set_result(scale.read_index(key))
            except BaseException as error:
                coming.set_exception(error)
        return coming.result()

    def _fetch_nested(self, stored: StoredChunk, grid: Grid) -> Payload:
        """Look for a chunk in folders: Zarr 2 has known them for longer than its metadata have."""
        nested = replace(grid, array=replace(grid.array, separator="/", guessed=False))
        payload = self._scale.store.get(nested.key(stored.index))
        if payload.data is not None:
            self._scale.grid = nested
        return payload

    def _fetch_anew(self, stored: StoredChunk) -> Payload:
        """Fetch a chunk that proved damaged, and the index that led there."""
        scale, key = self._scale, self._scale.grid.key(stored.index)
        if scale.grid.array.shards is None:
            scale.store.forget(key)
            return self.fetch(stored)
        span = self._find(stored)
        if span is not None:
            scale.store.forget(key, span)
        scale.store.forget(key, scale.index_span)
        self._find(stored, anew=True)
        return self.fetch(stored)


def _own(voxels: NDArray[Any]) -> NDArray[Any]:
    """Give voxels in memory of their own, where they keep more than themselves."""
    whole = voxels
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    return voxels if whole.nbytes <= 1.25 * voxels.nbytes else voxels.copy(order="F")
