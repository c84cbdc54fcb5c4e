"""What files say of themselves, whatever their kind."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ArgumentError, FormatError, NotFoundError
from .movies import movie_text
from .record import KEYWORD, Record
from .stacks import stack_text

__all__ = ["existing_file", "kind_of", "opened_npz", "read_record", "said_in"]

_IN_SVG = re.compile(rf'<metadata[^>]*\bid="{KEYWORD}"[^>]*>(.*?)</metadata>', re.DOTALL)
_IN_PDF = re.compile(rb"/ImageryClient \(((?:[^\\()]|\\.)*)\)")


def read_record(path: str | PathLike[str]) -> Record:
    """Read what a file says of itself: PNG, npz, TIFF, SVG, PDF, MP4, WebP or GIF.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it says nothing, as pictures from which a program stripped it.
    ArgumentError
        If it is a figure of panels, which has a record for each.
    MissingExtraError
        For TIFF, if tifffile is not installed, and for MP4, if av is not.
    """
    file = existing_file(path)
    text = said_in(file)
    if '"panels": [' in text and "panels" in json.loads(text):
        raise ArgumentError(f"{file.name} is a figure of several cutouts: imageryclient.remake makes it again")
    return Record.from_json(text, file.name)


def said_in(file: Path) -> str:
    """Give what a file says of itself, as JSON; errors are those of `read_record`."""
    kind = kind_of(file)
    reader = _READERS.get(kind)
    text = None if reader is None else reader(file)
    if text is None:
        ending = _ENDINGS.get(kind)
        if ending is not None and not file.read_bytes().rstrip().endswith(ending):
            raise FormatError(f"{file.name} is damaged: it breaks off before its end")
        raise FormatError(
            f"{file.name} does not say what was cut out: it was not saved by this package, or a program it went "
            "through dropped what was said"
        )
    return text


def existing_file(path: str | PathLike[str]) -> Path:
    """Give the path of a file, or raise NotFoundError where there is none."""
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(f"there is no file {str(file)!r}")
    return file


def kind_of(file: Path) -> str:
    """Tell what a file is by its first bytes, as names change."""
    with file.open("rb") as opened:
        head = opened.read(64)
    if head.startswith(b"\x89PNG"):
        return "png"
    if head.startswith(b"PK"):
        return "npz"
    if head.startswith(b"%PDF"):
        return "pdf"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head.startswith(b"GIF8") or (head.startswith(b"RIFF") and head[8:12] == b"WEBP") or head[4:8] == b"ftyp":
        return "movie"
    return "svg" if head.lstrip().startswith((b"<?xml", b"<svg")) else ""


def _png_text(file: Path) -> str | None:
    try:
        with Image.open(file) as picture:
            return dict(getattr(picture, "text", {})).get(KEYWORD)
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{file.name} is damaged: {error}") from None


def _npz_text(file: Path) -> str | None:
    with opened_npz(file) as saved:
        return str(saved["metadata"])


@contextmanager
def opened_npz(file: Path) -> Iterator[Any]:
    """Open the arrays of a file that has metadata with them; whatever is wrong in the block is a FormatError."""
    with file.open("rb") as stream:
        try:
            saved = np.load(stream, allow_pickle=False)
            if isinstance(saved, np.ndarray) or "metadata" not in saved:
                raise ValueError("it has no metadata")
            yield saved
        except FormatError:
            raise
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise FormatError(f"{file.name} is no cutout that this package saved: {error}") from None


def _svg_text(file: Path) -> str | None:
    found = _IN_SVG.search(file.read_text(encoding="utf-8", errors="replace"))
    return unescape(found[1]) if found else None


def _pdf_text(file: Path) -> str | None:
    found = _IN_PDF.search(file.read_bytes())
    return re.sub(rb"\\(.)", rb"\1", found[1]).decode("ascii", "replace") if found else None


_READERS = {
    "png": _png_text,
    "npz": _npz_text,
    "tiff": stack_text,
    "svg": _svg_text,
    "pdf": _pdf_text,
    "movie": movie_text,
}
_ENDINGS = {"svg": b"</svg>", "pdf": b"%%EOF"}
