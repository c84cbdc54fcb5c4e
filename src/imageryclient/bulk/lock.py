"""One writer at a time: a lock on an output, which the system lets go of whenever the process ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from ..errors import StorageError
from .workspace import writing

__all__ = ["locked"]

_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_BYTE = 1 << 20  # on Windows what is locked cannot be read, and who holds it is to be read


@contextlib.contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock file, removed at the end; its folder is made. Where a file system has no locks, nothing is locked.

    Parameters
    ----------
    path : pathlib.Path
        The lock file.
    what : pathlib.Path
        What it stands for, for the message.

    Raises
    ------
    StorageError
        If another holds it: another process, or another thread of this one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with locked(folder / ".lock", folder / "out"), locked(folder / ".lock", folder / "out"):
    ...     pass
    Traceback (most recent call last):
    imageryclient.errors.StorageError: ...out' is being written by process ...
    """
    with writing(what):
        path.parent.mkdir(exist_ok=True)
        file = _taken(path)
    if file is None:
        raise StorageError(
            f"{str(what)!r} is being written by {_holder(path)}, and one output has one writer at a time: wait for it, "
            f"or end it. If it is gone, remove {str(path)!r}"
        )
    try:
        with contextlib.suppress(OSError):
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with contextlib.closing(file), contextlib.suppress(OSError):
            if sys.platform == "win32":  # where a file that is open cannot be removed
                file.close()
            path.unlink()


def _taken(path: Path) -> FileIO | None:
    """Open the file and lock it; None if another has done so. One that was removed meanwhile is no lock."""
    while True:
        file = path.open("ab", buffering=0)
        try:
            if not _lock(file):
                file.close()
                return None
            with contextlib.suppress(FileNotFoundError):
                if sys.platform == "win32" or os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    file.truncate(0)
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: FileIO) -> bool:
    """Lock a file; False if another has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD
    return True


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") or "another process"
    except OSError:
        return "another process"
