"""What a disk says when it cannot be written, as an error of ours that says what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from ..errors import ImageryError, StorageError

__all__ = ["disk_errors"]

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_SAID_FULL = re.compile(rf"errno = ({'|'.join(map(str, _FULL))})\b|\d+ requested and \d+ written")  # by HDF5, numpy


@contextlib.contextmanager
def disk_errors(where: str | os.PathLike[str], then: str = "try again") -> Iterator[None]:
    """Turn what the system says of a disk into `StorageError`.

    Parameters
    ----------
    where : path
        What is written.
    then : str
        What to do once the disk is in order.

    Raises
    ------
    StorageError
        In place of any other `OSError` of the block.

    Examples
    --------
    >>> with disk_errors("figure.png"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    imageryclient.errors.StorageError: 'figure.png' cannot be written: the disk is full. Free some space and try again
    """
    try:
        yield
    except ImageryError:
        raise
    except OSError as error:
        full = error.errno in _FULL or _SAID_FULL.search(str(error)) is not None
        reason = "the disk is full. Free some space" if full else f"{error}. Mend that"
        raise StorageError(f"{os.fspath(where)!r} cannot be written: {reason} and {then}") from error
