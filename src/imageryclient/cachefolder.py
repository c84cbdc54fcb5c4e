"""Encoded bytes kept on disk between processes, for those who ask for it with `cache_dir`.

Each entry is a file of its own, written under another name and moved into place, with a checksum of what it holds:
processes need no locks, and one that is killed leaves at most a file that is never read and soon swept away. When the
folder grows over its limit the entries used longest ago are removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from .cache import Payload
from .errors import ArgumentError

__all__ = ["CacheFolder"]

log = logging.getLogger(__name__)

_MAGIC = b"icc1"
_HEADER = struct.Struct("<4sB8sI")  # magic, length of the encoding's name, the name, CRC-32 of name and data
_UNFINISHED = ".part"
_ABANDONED = 3600.0  # seconds after which an unfinished file belongs to nobody
_SWEEP_TO = 0.9  # of the limit, so that not every entry makes a sweep


class CacheFolder:
    """A folder of payloads by name, limited in bytes.

    Parameters
    ----------
    folder : path
        Made if need be. Several processes may use it at once.
    limit : int
        Bytes.

    Raises
    ------
    ArgumentError
        If the folder cannot be made or written to, or the limit is not positive.

    Examples
    --------
    >>> import tempfile
    >>> folder = CacheFolder(tempfile.mkdtemp())
    >>> folder.put("https://example.org/em 8_8_40/0-64_0-64_0-64", Payload(b"chunk", "gzip"))
    >>> CacheFolder(folder.path).get("https://example.org/em 8_8_40/0-64_0-64_0-64")
    Payload(data=b'chunk', encoding='gzip')
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int = 10 * 2**30) -> None:
        import tempfile

        self.path = Path(folder).expanduser()
        self.limit = limit
        if limit <= 0:
            raise ArgumentError(f"the limit of a cache folder must be a positive number of bytes; got {limit}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ArgumentError(f"{self.path} cannot be used as cache_dir: {error.strerror or error}") from None
        self._lock = threading.Lock()
        self._size = sum(size for _, size, _ in self._entries())

    def get(self, name: str) -> Payload | None:
        """Give what is kept under a name; None where there is nothing, or nothing whole."""
        path = self._file(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        payload = _unpacked(data)
        if payload is None:
            log.info("%s is damaged; removing it", path)
            _remove(path)
        else:
            with contextlib.suppress(OSError):
                os.utime(path)  # the time of last use
        return payload

    def put(self, name: str, payload: Payload) -> None:
        """Keep a payload; a disk that is full or gone costs the entry, not the read."""
        if payload.data is None or len(payload.data) > self.limit:
            return
        import tempfile

        path = self._file(name)
        try:
            path.parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(_UNFINISHED, dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_packed(payload))
                os.replace(temporary, path)
            except BaseException:
                _remove(Path(temporary))
                raise
        except OSError as error:
            log.warning("%s could not be kept in the cache folder: %s", path, error)
            return
        with self._lock:
            self._size += _HEADER.size + len(payload.data)
            full = self._size > self.limit
        if full:
            self._sweep()

    def discard(self, name: str) -> None:
        """Forget one entry."""
        _remove(self._file(name))

    def clear(self) -> None:
        """Remove every entry."""
        for path, _, _ in self._entries():
            _remove(path)
        with self._lock:
            self._size = 0

    def _sweep(self) -> None:
        """Remove what was used longest ago; other processes may be doing the same."""
        with self._lock:
            entries = sorted(self._entries(), key=lambda entry: entry[2])
            size = sum(entry[1] for entry in entries)
            for path, bytes_, _ in entries:
                if size <= _SWEEP_TO * self.limit:
                    break
                _remove(path)
                size -= bytes_
            self._size = size

    def _entries(self) -> Iterator[tuple[Path, int, float]]:
        """Give path, size and time of last use of each entry, and remove what a killed process left unfinished."""
        for path in self.path.glob("??/*"):
            try:
                about = path.stat()
            except OSError:
                continue
            if path.suffix == _UNFINISHED:
                if time.time() - about.st_mtime > _ABANDONED:
                    _remove(path)
            else:
                yield path, about.st_size, about.st_mtime

    def _file(self, name: str) -> Path:
        import hashlib

        digest = hashlib.sha256(name.encode()).hexdigest()
        return self.path / digest[:2] / digest[2:]

    def __repr__(self) -> str:
        return f"CacheFolder({str(self.path)!r}, limit={self.limit})"


def _packed(payload: Payload) -> bytes:
    assert payload.data is not None
    encoding = payload.encoding.encode()[:8]
    return _HEADER.pack(_MAGIC, len(encoding), encoding, zlib.crc32(payload.data, zlib.crc32(encoding))) + payload.data


def _unpacked(data: bytes) -> Payload | None:
    if len(data) < _HEADER.size:
        return None
    magic, length, encoding, crc = _HEADER.unpack_from(data)
    body, encoding = data[_HEADER.size :], encoding[:length]
    if magic != _MAGIC or zlib.crc32(body, zlib.crc32(encoding)) != crc:
        return None
    return Payload(body, encoding.decode())


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone already, or on Windows in use
        path.unlink()
