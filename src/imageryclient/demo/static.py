"""Files of a folder over HTTP: ranges, encodings, and no way out of the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote

from .replies import Reply, Request, text_reply

__all__ = ["Stored", "StaticFiles", "parse_range"]

_SIBLINGS = {".gz": "gzip", ".br": "br", ".zstd": "zstd"}
_GZIP = b"\x1f\x8b\x08"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_UNSAFE = re.compile(r'[\\:\x00-\x1f"<>|*?]')  # a backslash or a drive letter would lead elsewhere on Windows


@dataclass(frozen=True, slots=True)
class Stored:
    """A file, and the Content-Encoding of what it holds ("" for none)."""

    path: Path
    encoding: str


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Read a Range header for a file of `size` bytes.

    Returns
    -------
    tuple of int or None
        First byte and one past the last; None where the header is to be ignored (another unit, many ranges).

    Raises
    ------
    IndexError
        If the range holds no byte of the file (416).

    Examples
    --------
    >>> parse_range("bytes=2-3", 10), parse_range("bytes=-3", 10), parse_range("bytes=8-99", 10)
    ((2, 4), (7, 10), (8, 10))
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise IndexError(text)
    return start, stop


class StaticFiles:
    """Some folders, each served under a name.

    Parameters
    ----------
    layers : mapping of str to Path
        Folders by name; "" serves a whole folder.
    gzip_in_place : bool
        Serve a file whose bytes are gzip's under its plain name with `Content-Encoding: gzip`, as buckets
        keep compressed_segmentation. Shards are never looked at so.
    """

    def __init__(self, layers: Mapping[str, Path], *, gzip_in_place: bool = True) -> None:
        self.layers = {name: folder.resolve() for name, folder in layers.items()}
        self.gzip_in_place = gzip_in_place

    def find(self, path: str) -> Stored | None:
        """Give what lies at a path, percent signs and all, relative to the layers; None for nothing.

        A file `name.gz`, `.br` or `.zstd` stands for `name` where that is absent.
        """
        parts = unquote(path).split("/")
        if any(part in ("", ".", "..") or _UNSAFE.search(part) for part in parts):
            return None
        if "" in self.layers:
            folder = self.layers[""]
        elif parts[0] in self.layers and len(parts) > 1:
            folder = self.layers[parts[0]]
            parts = parts[1:]
        else:
            return None
        plain = folder.joinpath(*parts)
        for suffix, encoding in (("", ""), *_SIBLINGS.items()):
            file = plain.with_name(plain.name + suffix)
            try:
                # resolve() follows links, so that one leading out is seen as what it is.
                if file.is_file() and file.resolve().is_relative_to(folder):
                    return Stored(file, encoding)
            except OSError:  # such as a name too long for the disk
                return None
        return None

    def answer(self, request: Request, path: str) -> Reply:
        """Answer a GET or HEAD for a path relative to the layers."""
        if request.method not in ("GET", "HEAD"):
            return text_reply("Method Not Allowed", 405).with_headers(Allow="GET, HEAD, OPTIONS")
        stored = self.find(path)
        if stored is None:
            return text_reply("Not Found", 404)
        with stored.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            encoding = stored.encoding
            if not encoding and self.gzip_in_place and stored.path.suffix not in (".shard", *_SIBLINGS):
                encoding = "gzip" if file.read(3) == _GZIP else ""
            changed = stored.path.stat()
            headers = {
                "Content-Type": "application/json" if path.endswith("info") else "application/octet-stream",
                "Accept-Ranges": "bytes",
                "ETag": f'"{changed.st_mtime_ns:x}-{size:x}"',
                "Last-Modified": formatdate(changed.st_mtime, usegmt=True),
            }
            if encoding:
                headers["Content-Encoding"] = encoding
            start, stop, status = 0, size, 200
            try:
                span = parse_range(request.header("Range"), size)
            except IndexError:
                return Reply(416, b"", {"Content-Range": f"bytes */{size}"})
            if span is not None:
                (start, stop), status = span, 206
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            if request.method == "HEAD":
                return Reply(status, b"", headers, stop - start)
            file.seek(start)
            return Reply(status, file.read(stop - start), headers)
