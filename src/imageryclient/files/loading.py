"""Files opened again: what they say of themselves, the arrays they hold, the cutout they show made anew."""

from __future__ import annotations

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

from ..client import ImageryClient
from ..cloudpath import parse_source
from ..coverage import PixelCoverage
from ..cutout import Cutout
from ..errors import ArgumentError, FormatError, ImageryWarning, NotFoundError, SourceError
from ..section import Section
from ..sectioncutout import SectionCutout
from ..warning import warn_caller
from .movies import movie_text
from .record import Record
from .saving import KEYWORD, MISSING
from .stacks import NAMESPACE, tiff_package

__all__ = ["load_cutout", "read_record", "redo"]

_ARRAYS = {"image": "image", "segmentation": "segmentation"}
_IN_SVG = re.compile(rf'<metadata[^>]*\bid="{KEYWORD}"[^>]*>(.*?)</metadata>', re.DOTALL)
_IN_PDF = re.compile(rb"/ImageryClient \(((?:[^\\()]|\\.)*)\)")
_IN_OME = re.compile(rf'<MapAnnotation[^>]*\bNamespace="{NAMESPACE}"[^>]*>.*?<M K="record">(.*?)</M>', re.DOTALL)


def load_cutout(path: str | PathLike[str]) -> Cutout | SectionCutout:
    """Open the cutout that `Cutout.save` or `SectionCutout.save` wrote as `.npz`.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Cutout or SectionCutout
        As it was saved: with the arrays, the place, moment, coverage, sources, mips and ids asked for that it had.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ArgumentError
        If it is a picture or a stack, which do not hold the voxels; `redo` cuts them out again.
    FormatError
        If it is no file of this package.

    Examples
    --------
    >>> import tempfile
    >>> from imageryclient import Box
    >>> cut = Cutout(np.ones((8, 6, 1), np.uint8), None, Box((0, 0, 5), (8, 6, 6), (8.0, 8.0, 40.0)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (file,) = cut.save(Path(folder, "place.npz"))
    ...     load_cutout(file).bounds == cut.bounds
    True
    """
    file = _existing(path)
    if _kind(file) not in ("npz", ""):
        raise ArgumentError(
            f"{file.name} is a picture or a stack, without the voxels as they were cut out; cut them out again with "
            "imageryclient.redo(file), and the whole figure with `imageryclient redo FILE`"
        )
    with _opened_npz(file) as saved:
        record = Record.from_json(str(saved["metadata"]), file.name)
        arrays = {name: np.array(saved[key], order="K") for name, key in _ARRAYS.items() if key in saved}
        gaps = {name: saved[name + MISSING] for name in record.sources if name + MISSING in saved}
    place = record.place
    shape, what = (place.size, "section") if isinstance(place, Section) else (place.shape, "bounds")
    for name, array in arrays.items():
        if array.shape[: len(shape)] != shape:
            raise FormatError(f"{file.name}: its {name} has shape {array.shape}, and its {what} {place}")
    about: dict[str, Any] = {
        "image": arrays.get("image"),
        "segmentation": arrays.get("segmentation"),
        "timestamp": record.timestamp,
        "sources": record.sources,
        "mips": record.mips,
        "root_ids": record.root_ids,
        "painting": record.painting,
    }
    if not isinstance(place, Section):
        return Cutout(bounds=place, coverage=record.coverage, **about)
    about["coverage"] = {name: PixelCoverage(codes == 1, codes == 2) for name, codes in gaps.items()}
    if record.resolution is not None:
        about["resolution"] = record.resolution
    return SectionCutout(section=place, placements=record.placements, **about)


def redo(
    path: str | PathLike[str],
    *,
    client: Any = None,
    auth_token: str | None = None,
    image_source: Any = None,
    segmentation_source: Any = None,
) -> tuple[Cutout | SectionCutout, dict[str, Any]]:
    """Cut out again what a file shows, from what the file says of itself, and give the options it was painted with.

    `cut.save(other, **options)` makes the same figure again.

    Parameters
    ----------
    path : str or path
        A file of `Cutout.save` or `SectionCutout.save`.
    client : caveclient.CAVEclient, optional
        Supplies the token.
    auth_token : str, optional
        For servers that ask for a token; by default the client's or the saved one.
    image_source, segmentation_source : optional
        Where the layers lie now, for files that were moved, and for arrays, which a file cannot name.

    Returns
    -------
    cutout : Cutout or SectionCutout
        The same voxels or pixels, as of the same moment.
    options : dict
        For its `overlay` and `save`; empty for files that are no pictures.

    Raises
    ------
    NotFoundError
        If there is no such file, or its source is not there.
    FormatError
        If the file does not say what it is.
    AccessError, StorageError, DamagedDataError
        If a source cannot be read.

    Warns
    -----
    ImageryWarning
        If it was painted with an option that a file cannot hold, or less of the box, or more, is covered by data now.
    """
    file = _existing(path)
    record = read_record(file)
    sources = dict(record.sources)
    sources |= {} if image_source is None else {"imagery": image_source}
    sources |= {} if segmentation_source is None else {"segmentation": segmentation_source}
    if not sources:
        raise ArgumentError(f"{file.name} names no sources; give image_source= or segmentation_source=")
    _check_there(file, sources)
    place = record.place
    opened = ImageryClient(
        client=client,
        resolution=record.resolution if isinstance(place, Section) else place.resolution,
        imagery="imagery" in sources,
        segmentation="segmentation" in sources,
        image_source=sources.get("imagery"),
        segmentation_source=sources.get("segmentation"),
        auth_token=auth_token,
        missing="fill",  # what was missing then is said in the file
    )
    root_ids = list(record.root_ids) if isinstance(record.root_ids, tuple) else record.root_ids
    cut: Cutout | SectionCutout
    if isinstance(place, Section):
        wanted, unit = opened._wanted(root_ids, record.timestamp), opened._resolution_of(None)
        cut = opened._section(place, unit, record.mips, wanted, placements=record.placements or None)
    else:
        bounds: Any = place
        cut = opened.cutout(
            bounds=bounds,
            image_mip=record.mips.get("imagery"),
            segmentation_mip=record.mips.get("segmentation"),
            root_ids=root_ids,
            timestamp=record.timestamp,
        )
    _compare(file, record, cut)
    return cut, dict(record.painting)


def read_record(path: str | PathLike[str]) -> Record:
    """Read what a file says of itself: PNG, npz, TIFF, SVG, PDF, MP4, WebP or GIF.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it says nothing, as pictures from which a program stripped it.
    MissingExtraError
        For TIFF, if tifffile is not installed, and for MP4, if av is not.
    """
    file = _existing(path)
    reader = _READERS.get(_kind(file))
    text = None if reader is None else reader(file)
    if text is None:
        raise FormatError(
            f"{file.name} does not say what was cut out: it was not saved by this package, or a program it went "
            "through dropped what was said"
        )
    return Record.from_json(text, file.name)


def _existing(path: str | PathLike[str]) -> Path:
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(f"there is no file {str(file)!r}")
    return file


def _kind(file: Path) -> str:
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
    with _opened_npz(file) as saved:
        return str(saved["metadata"])


@contextmanager
def _opened_npz(file: Path) -> Iterator[Any]:
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


def _tiff_text(file: Path) -> str | None:
    tifffile = tiff_package()
    try:
        with tifffile.TiffFile(file) as opened:
            if opened.is_ome:
                found = _IN_OME.search(opened.ome_metadata or "")
                return unescape(found[1]) if found else None
            text = (opened.imagej_metadata or {}).get("Info")
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise FormatError(f"{file.name} is damaged: {error}") from None
    return str(text) if text else None


def _svg_text(file: Path) -> str | None:
    found = _IN_SVG.search(file.read_text(encoding="utf-8", errors="replace"))
    return unescape(found[1]) if found else None


def _pdf_text(file: Path) -> str | None:
    found = _IN_PDF.search(file.read_bytes())
    return re.sub(rb"\\(.)", rb"\1", found[1]).decode("ascii", "replace") if found else None


_READERS = {
    "png": _png_text,
    "npz": _npz_text,
    "tiff": _tiff_text,
    "svg": _svg_text,
    "pdf": _pdf_text,
    "movie": movie_text,
}


def _check_there(file: Path, sources: dict[str, Any]) -> None:
    for name, source in sources.items():
        if not isinstance(source, str):
            continue
        try:
            folder = parse_source(source).folder
        except SourceError:
            folder = Path(source)
        if folder is not None and not folder.exists():
            argument = "image_source" if name == "imagery" else "segmentation_source"
            raise NotFoundError(
                f"the {name} of {file.name} came from {source!r}, which is no address and not on this machine; "
                f"give {argument}= to say where it lies now, or the array it was"
            )


def _compare(file: Path, record: Record, cut: Cutout | SectionCutout) -> None:
    """Say what keeps the figure from being the same."""
    facts = []
    if record.unsaid:
        facts.append(f"it was painted with {', '.join(record.unsaid)}, which a file cannot hold: give it again")
    if isinstance(cut, Cutout) and cut.bounds != record.place:
        facts.append(f"its source now has other voxels: {cut.bounds} in place of {record.place}")
    for name, before in record.covered.items():
        if name in cut.coverage and abs(cut.coverage[name].fraction - before) > 1e-9:
            now, then = (f"{100 * share:.4g} %" for share in (cut.coverage[name].fraction, before))
            facts.append(f"{now} of its {name} is covered by data now, {then} then")
    if facts:
        warn_caller(ImageryWarning(f"{file.name} is not made again quite as it was: {'; '.join(facts)}"))
