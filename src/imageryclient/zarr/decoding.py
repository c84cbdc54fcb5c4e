"""The bytes of a chunk into voxels, by tensorstore, which knows the codecs and nothing of where bytes come from.

Chunks are put into a store in memory that holds nothing else, and read from there as an array of so many chunks, one
behind the other along its slowest axis. To ask tensorstore for a chunk takes as long as to decode a small one, so
several are asked for at once.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError, FormatError, ImageryError, MissingExtraError
from .codings import Coding
from .wrappings import unwrap

__all__ = ["Decoder", "Order", "Window", "need_tensorstore"]

_CONTEXT = {"cache_pool": {"total_bytes_limit": 0}}
_MOST = 16  # chunks that are decoded together,
_BYTES = 4 * 2**20  # if they are no more than this together,
_SMALL = 2**16  # and read as one where each is no larger than this: large ones are better read into memory of their own
Order = Literal["C", "F"]
Window = tuple[slice, ...]
_users: list[int] = []  # the process that used tensorstore first, known to those forked from it


def need_tensorstore() -> Any:
    """Give the package.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import tensorstore
    except ImportError:
        raise MissingExtraError(
            "reading zarr and n5 needs tensorstore, which is not installed: pip install 'imageryclient[zarr]'"
        ) from None
    return tensorstore


class Decoder:
    """Decodes chunks of one array, from any number of threads.

    Parameters
    ----------
    coding : Coding
        How the chunks are encoded.
    order : {"C", "F"}
        Whether the last or the first axis of the array is to be fastest in memory.

    Raises
    ------
    FormatError
        If tensorstore does not know the encoding.
    """

    def __init__(self, coding: Coding, order: Order = "C") -> None:
        self._coding = coding
        self._order = order
        metadata = json.loads(coding.metadata)
        shape = metadata["dimensions" if coding.driver == "n5" else "shape"]
        dtype = next(metadata[name] for name in ("dtype", "data_type", "dataType") if name in metadata)
        size: int = np.dtype(dtype).itemsize * math.prod(shape)
        self._at_once = max(1, min(_MOST, _BYTES // size))
        self._small = size <= _SMALL
        self._axis = 0 if order == "C" else len(shape) - 1  # along which chunks follow each other
        self._depth = shape[self._axis]
        shape[self._axis] *= self._at_once
        self._metadata = metadata
        between = "/" if coding.driver == "n5" else "."
        places = [[str(n) if axis == self._axis else "0" for axis in range(len(shape))] for n in range(self._at_once)]
        self._keys = [between.join(place) for place in places]
        self._idle = [self._open()]  # of which each thread takes one while it decodes

    @property
    def at_once(self) -> int:
        """How many chunks are worth decoding together: many small ones, one large one."""
        return self._at_once

    def decode(self, data: bytes, window: Window) -> NDArray[Any]:
        """Decode a chunk, and give a part of it.

        Parameters
        ----------
        data : bytes
            The chunk as stored.
        window : tuple of slice
            Of its voxels, along the axes of the array.

        Raises
        ------
        DamagedDataError
            If the bytes are not such a chunk. Only some codecs have checksums: a changed byte of an uncompressed
            chunk, or of one in blosc or zstd, may pass.
        ImageryError
            In a process forked from one that has read such data.
        """
        (voxels,) = self.decode_some([(data, window)])
        if isinstance(voxels, DamagedDataError):
            raise voxels
        return voxels

    def decode_some(self, chunks: Sequence[tuple[bytes, Window]]) -> list[NDArray[Any] | DamagedDataError]:
        """Decode several chunks, `at_once` at most; give for each what `decode` gives, or the error that it raises.

        What is given of several may lie in memory that they share.
        """
        _check_process()
        found: dict[int, NDArray[Any] | DamagedDataError] = {}
        windows: dict[int, Window] = {}
        try:
            bytes_store, array = self._idle.pop()
        except IndexError:
            bytes_store, array = self._open()
        try:
            for n, (data, window) in enumerate(chunks):
                try:
                    bytes_store.write(self._keys[n], self._unwrapped(data, window)).result()
                    windows[n] = self._moved(window, n)
                except DamagedDataError as error:
                    found[n] = error
            found |= self._read(array, windows)
        finally:
            bytes_store.delete_range(self._everything).result()
        if not any(isinstance(one, DamagedDataError) for one in found.values()):
            self._idle.append((bytes_store, array))
        return [found[n] for n in range(len(chunks))]

    def _moved(self, window: Window, n: int) -> Window:
        """Give a part of the first chunk as that of the `n`-th."""
        part, ahead = window[self._axis], n * self._depth
        moved = slice(part.start + ahead, part.stop + ahead)
        return (*window[: self._axis], moved, *window[self._axis + 1 :])

    def _read(self, array: Any, windows: dict[int, Window]) -> dict[int, NDArray[Any] | DamagedDataError]:
        """Read parts of an array: small ones at once, or if that fails one by one, to see which of them fail."""
        if self._small and len(windows) > 1 and len(windows) == max(windows) + 1:
            whole = (*[slice(None)] * self._axis, slice(0, len(windows) * self._depth))
            try:
                voxels = array[whole].read(order=self._order).result()
                return {n: voxels[window] for n, window in windows.items()}
            except ValueError:
                pass
        found: dict[int, NDArray[Any] | DamagedDataError] = {}
        for n, window in windows.items():
            try:
                found[n] = array[window].read(order=self._order).result()
            except ValueError as error:
                reason = str(error).partition(": ")[2].partition(" [")[0]
                found[n] = DamagedDataError(reason.partition('": ')[2] or reason)
        return found

    def _unwrapped(self, data: bytes, window: Window) -> bytes:
        if self._coding.driver == "n5":
            _check_header(data, window)
        return unwrap(self._coding.wrapping, data, header=self._coding.header) if self._coding.wrapping else data

    def _open(self) -> tuple[Any, Any]:
        ts = need_tensorstore()
        _check_process()
        context = ts.Context(_CONTEXT)
        self._everything = ts.KvStore.KeyRange()
        spec = {
            "driver": self._coding.driver,
            "kvstore": {"driver": "memory"},
            "metadata": self._metadata,
            "fill_missing_data_reads": False,
        }
        try:
            array = ts.open(spec, open=True, assume_metadata=True, context=context).result()
        except ValueError as error:
            raise FormatError(f"tensorstore cannot decode its chunks: {error}") from None
        return ts.KvStore.open("memory://", context=context).result(), array


def _check_process() -> None:
    """Raise an error where tensorstore would end the process: its threads do not live in a forked child."""
    if not _users:
        _users.append(os.getpid())
    if _users[0] != os.getpid():
        raise ImageryError(
            "zarr and n5 cannot be read in a process that was forked after they had been read in its parent, as "
            "tensorstore does not work there; start processes by multiprocessing's 'spawn' or 'forkserver'"
        )


def _check_header(data: bytes, window: Window) -> None:
    """Check that an N5 block holds what is wanted of it: those at the far side may be smaller than the others."""
    rank = len(window)
    if len(data) < 4 + 4 * rank:
        raise DamagedDataError(f"an N5 block has a header of {4 + 4 * rank} bytes; there are {len(data)}")
    mode, dimensions, *shape = struct.unpack(f">HH{rank}I", data[: 4 + 4 * rank])
    if mode not in (0, 1) or dimensions != rank:
        raise DamagedDataError(f"the block's header says mode {mode} and {dimensions} dimensions; the array has {rank}")
    if any(size < part.stop for size, part in zip(shape, window, strict=True)):
        raise DamagedDataError(f"the block holds {tuple(shape)} voxels, less than its place in the array")
