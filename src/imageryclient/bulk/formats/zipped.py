"""Zip files made in memory, fast: what numpy's `savez_compressed` writes, compressed by libdeflate.

To PKWARE's APPNOTE 6.3.3, without its extensions for 4 GiB and more.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ArgumentError

__all__ = ["zipped_arrays"]

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_NEEDED = 20  # the version of the format
_DEFLATED = 8
_DATE = 1 << 5 | 1  # the first day that there is, 1 January 1980, so that the same arrays give the same bytes
_LARGEST = 2**32 - 1


def zipped_arrays(arrays: Iterable[tuple[str, NDArray[Any]]], level: int = 1) -> bytes:
    """Give the bytes of an `.npz` file.

    Parameters
    ----------
    arrays : iterable of (str, numpy.ndarray)
        Names, without ending, and arrays.
    level : int
        Of compression, 0 to 12.

    Raises
    ------
    ArgumentError
        If they take 4 GiB or more.

    Examples
    --------
    >>> with np.load(BytesIO(zipped_arrays([("a", np.arange(3)), ("b", np.array("text"))]))) as file:
    ...     file["a"], str(file["b"])
    (array([0, 1, 2]), 'text')
    """
    import deflate

    body, central, count = bytearray(), bytearray(), 0
    for name, array in arrays:
        file = BytesIO()
        np.lib.format.write_array(file, array, allow_pickle=False)
        plain, key, at = file.getbuffer(), f"{name}.npy".encode(), len(body)
        packed = bytes(deflate.deflate_compress(plain, level))
        if max(len(plain), at + len(packed) + 1024) > _LARGEST:
            raise ArgumentError("a file of numpy's of 4 GiB or more: export as zarr or h5, or smaller boxes")
        about = (_NEEDED, 0, _DEFLATED, 0, _DATE, zlib.crc32(plain), len(packed), len(plain), len(key), 0)
        body += _LOCAL.pack(b"PK\x03\x04", *about) + key + packed
        central += _CENTRAL.pack(b"PK\x01\x02", _NEEDED, *about, 0, 0, 0, 0, at) + key
        count += 1
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), len(body), 0)
    return bytes(body + central + end)
