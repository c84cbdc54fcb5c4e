"""Zarr and N5 volumes: chunks fetched together by this package, each decoded by tensorstore as it comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..cache import ABSENT, Payload
from ..coverage import Coverage, outside_of
from ..errors import DamagedDataError, FormatError
from ..geometry import Box
from ..pools import decode_pool, fetch_pool, pipelined
from ..precomputed.codecs import decompress
from ..scales import Info, Scale
from ..storage import BrokenAnswerError, Store
from ..zarr.choice import parse_choice
from ..zarr.decoding import Decoder, need_tensorstore
from ..zarr.grids import Grid, Piece, lay_out
from ..zarr.shards import ShardIndex, parse_shard_index
from .base import Block, IdsWanted, only_wanted
from .zarrnodes import Nodes, ZarrFormat

__all__ = ["ZarrSegmentation", "ZarrVolume"]

log = logging.getLogger(__name__)

_TRIES = 3  # for bytes that fail their checks
_GZIP = b"\x1f\x8b\x08"
Indexes = dict[str, ShardIndex | None]
Threads = Literal["imagery", "labels"]
T = TypeVar("T")


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
        self._arrays = [_Array(source, store, scale, grid) for scale, grid in zip(info.scales, grids, strict=True)]

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
        array, channels = self._arrays[scale.mip], self.info.channels
        data = np.zeros((*box.shape, channels), dtype=self.info.dtype, order="F")

        def place(piece: Piece, voxels: NDArray[Any] | None) -> None:
            x, y, z = piece.region.slices(box)
            data[x, y, z, piece.channels] = array.grid.array.fill if voxels is None else array.grid.turned(voxels)

        absent = array.each_piece(box, place, "labels" if self.info.kind == "segmentation" else "imagery")
        return Block(
            data[..., 0] if channels == 1 else data, Coverage(box, outside_of(box, scale.bounds), tuple(absent))
        )

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
        block = self.read(box, scale)
        data = block.data
        if data.ndim != 3:
            raise FormatError(
                f"{self.source} holds {self.info.channels} numbers per voxel, and an id is one; choose a channel at "
                "the end of the source, such as |zarr:PATH#c=0"
            )
        if data.dtype.kind == "i" and data.size and int(data.min()) < 0:
            raise FormatError(f"{self.source}: {box} holds the negative number {int(data.min())}, which is no id")
        ids = data.astype(np.uint64, copy=False)
        return Block(only_wanted(ids, wanted), block.coverage)


class _Array:
    """The chunks of one scale: fetched, and fetched again where they prove damaged."""

    def __init__(self, source: str, store: Store, scale: Scale, grid: Grid) -> None:
        self.grid = grid
        self._source = source
        self._store = store
        self._scale = scale
        self._decoder = _named(source, scale, lambda: Decoder(grid.array.coding))
        shards = grid.array.shards
        self._index_decoder = None if shards is None else _named(source, scale, lambda: Decoder(shards.index))

    def each_piece(self, box: Box, use: Callable[[Piece, NDArray[Any] | None], None], who: Threads) -> list[Box]:
        """Call `use(piece, voxels)` for each chunk that holds voxels of `box`, in the decoding threads.

        Chunks that are not stored come as None. Gives the parts of `box` they hold.
        """
        pieces = list(self.grid.pieces(self._scale, box))
        indexes = self._indexes(pieces)

        def decode(piece: Piece, payload: Payload) -> Box | None:
            for attempt in range(_TRIES):
                if payload.data is None:
                    use(piece, None)
                    return piece.region
                try:
                    plain = self._plain(payload.data, payload.encoding)
                    use(piece, self._decoder.decode(plain, piece.window, self.grid.order))
                    return None
                except FormatError as error:
                    raise FormatError(f"{self._source}: {self._name(piece)}: {error}") from None
                except DamagedDataError as error:
                    damage = f"{error}; fetched {attempt + 1} times"
                if attempt < _TRIES - 1:
                    log.info("%s: %s is damaged (%s)", self._source, self._name(piece), damage)
                    time.sleep(0.1 * 2**attempt)
                    payload = self._fetch_anew(piece, indexes)
            raise self._damaged(piece, damage)

        gaps = pipelined(
            pieces,
            lambda piece: self._cached(piece, indexes),
            lambda piece: self._fetch(piece, indexes),
            decode,
            decode_pool(who),
        )
        return sorted({gap for gap in gaps if gap is not None}, key=lambda gap: gap.start[::-1])

    def _plain(self, data: bytes, encoding: str) -> bytes:
        """Undo what the server names as Content-Encoding, unless it only tells what the chunk itself is."""
        plain = decompress(data, encoding)
        if self.grid.array.coding.gzipped and plain[:3] != _GZIP and data[:3] == _GZIP:
            return data
        return bytes(plain)

    def _indexes(self, pieces: Iterable[Piece]) -> Indexes:
        """Read the index of each shard that the pieces lie in, together."""
        if self.grid.array.shards is None:
            return {}
        first = {self.grid.key(piece.index): piece for piece in pieces}
        return dict(zip(first, fetch_pool().map(self._index, first, first.values()), strict=True))

    def _index(self, key: str, piece: Piece) -> ShardIndex | None:
        for attempt in range(_TRIES):
            try:
                return self._read_index(key)
            except BrokenAnswerError as error:
                raise self._damaged(piece, str(error)) from None
            except DamagedDataError as error:
                self._store.forget(key, self._index_span)
                if attempt == _TRIES - 1:
                    raise self._damaged(piece, f"the shard's index: {error}; fetched {_TRIES} times") from None
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def _read_index(self, key: str) -> ShardIndex | None:
        shards, decoder = self.grid.array.shards, self._index_decoder
        assert shards is not None
        assert decoder is not None
        payload = self._store.get_range(key, *self._index_span)
        if payload.data is None:
            return None
        return parse_shard_index(payload.data, shards.index_bytes, decoder, shards.grid)

    @property
    def _index_span(self) -> tuple[int, int]:
        shards = self.grid.array.shards
        assert shards is not None
        return (-shards.index_bytes, 0) if shards.at_end else (0, shards.index_bytes)

    def _span(self, piece: Piece, indexes: Indexes) -> tuple[int, int] | None:
        index = indexes[self.grid.key(piece.index)]
        return None if index is None else index.find(self.grid.array.place_in_shard(piece.index))

    def _cached(self, piece: Piece, indexes: Indexes) -> Payload | None:
        if self.grid.array.shards is None:
            grid = self.grid
            at_hand = self._store.cached(grid.key(piece.index))
            return None if at_hand == ABSENT and grid.array.guessed else at_hand
        try:
            span = self._span(piece, indexes)
        except DamagedDataError:
            return None  # fetching it finds the same, and says where
        return ABSENT if span is None else self._store.cached(self.grid.key(piece.index), span)

    def _fetch(self, piece: Piece, indexes: Indexes) -> Payload:
        grid = self.grid  # which another thread may change
        key = grid.key(piece.index)
        try:
            if grid.array.shards is None:
                payload = self._store.get(key)
                return self._fetch_nested(piece, grid) if payload.data is None and grid.array.guessed else payload
            span = self._span(piece, indexes)
            if span is None:
                return ABSENT
            payload = self._store.get_range(key, *span)
        except DamagedDataError as error:
            raise self._damaged(piece, str(error)) from None
        if payload.data is None:
            raise self._damaged(piece, "the shard went away")
        return payload

    def _fetch_nested(self, piece: Piece, grid: Grid) -> Payload:
        """Look for a chunk in folders: Zarr 2 has known them for longer than its metadata have."""
        nested = replace(grid, array=replace(grid.array, separator="/", guessed=False))
        payload = self._store.get(nested.key(piece.index))
        if payload.data is not None:
            self.grid = nested
        return payload

    def _fetch_anew(self, piece: Piece, indexes: Indexes) -> Payload:
        """Fetch a chunk that proved damaged, and the index that led there."""
        key = self.grid.key(piece.index)
        if self.grid.array.shards is None:
            self._store.forget(key)
            return self._fetch(piece, indexes)
        span = self._span(piece, indexes)
        if span is not None:
            self._store.forget(key, span)
        self._store.forget(key, self._index_span)
        return self._fetch(piece, {key: self._index(key, piece)})

    def _name(self, piece: Piece) -> str:
        key = self.grid.key(piece.index)
        if self.grid.array.shards is None:
            return f"chunk {key}"
        return f"chunk {'-'.join(map(str, self.grid.array.place_in_shard(piece.index)))} of the shard {key}"

    def _damaged(self, piece: Piece, damage: str) -> DamagedDataError:
        return DamagedDataError(
            f"{self._source}: {self._name(piece)} of mip {self._scale.mip}, which holds {piece.chunk.box}, is damaged "
            f"({damage})"
        )


def _named(source: str, scale: Scale, call: Callable[[], T]) -> T:
    try:
        return call()
    except FormatError as error:
        raise FormatError(f"{source}: the array {scale.key!r}: {error}") from None
