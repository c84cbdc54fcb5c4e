"""The bytes of a chunk into voxels, by tensorstore, which knows the codecs and nothing of where bytes come from.

A chunk is put into a store in memory that holds nothing else, and read from there as an array of one chunk.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Literal, cast

from numpy.typing import NDArray

from ..errors import DamagedDataError, FormatError, ImageryError, MissingExtraError
from .codings import Coding
from .wrappings import unwrap

__all__ = ["Decoder", "Order", "need_tensorstore"]

_CONTEXT = {"cache_pool": {"total_bytes_limit": 0}}
Order = Literal["C", "F"]
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

    Raises
    ------
    FormatError
        If tensorstore does not know the encoding.
    """

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._idle = [self._open()]  # of which each thread takes one while it decodes

    def decode(self, data: bytes, window: tuple[slice, ...], order: Order = "C") -> NDArray[Any]:
        """Decode a chunk, and give a part of it.

        Parameters
        ----------
        data : bytes
            The chunk as stored.
        window : tuple of slice
            Of its voxels, along the axes of the array.
        order : {"C", "F"}
            Whether the last or the first of these is to be fastest in memory.

        Raises
        ------
        DamagedDataError
            If the bytes are not such a chunk. Only some codecs have checksums: a changed byte of an uncompressed
            chunk, or of one in blosc or zstd, may pass.
        ImageryError
            In a process forked from one that has read such data.
        """
        _check_process()
        if self._coding.driver == "n5":
            _check_header(data, window)
        if self._coding.wrapping:
            data = unwrap(self._coding.wrapping, data, header=self._coding.header)
        try:
            bytes_store, array = self._idle.pop()
        except IndexError:
            bytes_store, array = self._open()
        try:
            bytes_store.write(self._coding.key, data).result()
            voxels = array[window].read(order=order).result()
        except ValueError as error:
            reason = str(error).partition(": ")[2].partition(" [")[0]
            raise DamagedDataError(reason.partition('": ')[2] or reason) from None
        finally:
            bytes_store.delete_range(self._everything).result()
        self._idle.append((bytes_store, array))
        return cast("NDArray[Any]", voxels)

    def _open(self) -> tuple[Any, Any]:
        ts = need_tensorstore()
        _check_process()
        context = ts.Context(_CONTEXT)
        self._everything = ts.KvStore.KeyRange()
        spec = {
            "driver": self._coding.driver,
            "kvstore": {"driver": "memory"},
            "metadata": json.loads(self._coding.metadata),
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


def _check_header(data: bytes, window: tuple[slice, ...]) -> None:
    """Check that an N5 block holds what is wanted of it: those at the far side may be smaller than the others."""
    rank = len(window)
    if len(data) < 4 + 4 * rank:
        raise DamagedDataError(f"an N5 block has a header of {4 + 4 * rank} bytes; there are {len(data)}")
    mode, dimensions, *shape = struct.unpack(f">HH{rank}I", data[: 4 + 4 * rank])
    if mode not in (0, 1) or dimensions != rank:
        raise DamagedDataError(f"the block's header says mode {mode} and {dimensions} dimensions; the array has {rank}")
    if any(size < part.stop for size, part in zip(shape, window, strict=True)):
        raise DamagedDataError(f"the block holds {tuple(shape)} voxels, less than its place in the array")
