"""Cutouts and sections as files that know what they are, each of them complete or not there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from ..coverage import PixelCoverage
from ..errors import ArgumentError
from .export import atomic_file
from .movies import MOVIES, save_movie
from .record import Record
from .stacks import is_ome, write_stack

if TYPE_CHECKING:
    from ..cutout import Cutout
    from ..sectioncutout import SectionCutout

__all__ = ["KEYWORD", "MISSING", "check_suffix", "options_for", "save_cutout", "save_section"]

KEYWORD = "imageryclient"  # of the text in a PNG that holds the record
MISSING = "_missing"  # ends the name of the array of a section's pixels that are no data: 1 outside, 2 absent
_VECTORS = (".svg", ".pdf")
_OF_PIXELS, _OF_VECTORS = ("dim",), ("magnification",)  # options of one kind of picture alone
_OF_MOVIES = ("fps",)
_OF_TURNS = ("axis", "degrees", "seconds", *_OF_MOVIES)  # which are movies that take more than a cutout
_STACKS = (".tif", ".tiff")
_SUFFIXES = (".png", *_VECTORS, ".npz", *_STACKS, *MOVIES)


def check_suffix(path: Path) -> str:
    """Give the suffix of a file that a cutout can be saved as, in small letters.

    Raises
    ------
    ArgumentError
        If it is another.

    Examples
    --------
    >>> check_suffix(Path("place.OME.TIF"))
    '.tif'
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ArgumentError(
            f"a cutout is saved as .png, .svg, .pdf, .npz, .tif, .ome.tif, .mp4, .webp or .gif; got {path.name!r}"
        )
    return suffix


def options_for(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options of a picture that mean something to another kind of file.

    Examples
    --------
    >>> options_for(Path("figure.png"), {"palette": "tab10", "magnification": 5000})
    {'palette': 'tab10'}
    """
    suffix = path.suffix.lower()
    if suffix in ("", ".npz", *_STACKS):
        return {}
    foreign: dict[str, tuple[str, ...]] = {".png": (*_OF_VECTORS, *_OF_TURNS)}
    foreign |= dict.fromkeys(_VECTORS, (*_OF_PIXELS, *_OF_TURNS))
    foreign |= dict.fromkeys(MOVIES, (*_OF_VECTORS, "section"))
    return {name: value for name, value in options.items() if name not in foreign.get(suffix, ())}


def save_cutout(cut: Cutout, path: Path, options: dict[str, Any]) -> list[Path]:
    """Write a cutout; see `Cutout.save`."""
    suffix = check_suffix(path)
    if suffix == ".png":
        return _save_pictures(cut, path, options)
    if suffix in _VECTORS:
        return _save_figures(cut, path, options)
    if suffix == ".npz":
        return [_save_arrays(path, cut, cut.record())]
    if suffix in MOVIES:
        return [_save_sweep(cut, path, options)]
    return _save_stacks(cut, path)


def save_section(cut: SectionCutout, path: Path, options: dict[str, Any]) -> list[Path]:
    """Write a section; see `SectionCutout.save`."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        gaps = {name: _gaps(coverage) for name, coverage in cut.coverage.items()}
        return [_save_arrays(path, cut, cut.record(), gaps)]
    if suffix == ".png":
        picture, record = cut.overlay(**options), _painted_record(cut, options)
        with atomic_file(path) as temporary:
            picture.save(temporary, "PNG", pnginfo=_picture_info(record))
        return [path]
    if suffix not in _VECTORS:
        moving = ", and a movie of it turning is made by client.turn" if suffix in MOVIES else ""
        raise ArgumentError(f"a section is saved as .png, .svg, .pdf or .npz{moving}; got {path.name!r}")
    from ..painting.vector import sheet_figures

    (figure,) = sheet_figures(cut.sheets(), **cut._painting(options))
    record = _painted_record(cut, options)
    document = figure.document(suffix, record.describe(), record.to_json())
    with atomic_file(path) as temporary:
        temporary.write_bytes(document)
    return [path]


def _save_pictures(cut: Cutout, path: Path, options: dict[str, Any]) -> list[Path]:
    painted, record = cut.overlay(**options), _painted_record(cut, options)
    pictures = painted if isinstance(painted, list) else [painted]
    with ExitStack() as files:  # all of them or none
        names, records = _names(path, len(pictures)), _records(record, len(pictures))
        for name, picture, one in zip(names, pictures, records, strict=True):
            picture.save(files.enter_context(atomic_file(name)), "PNG", pnginfo=_picture_info(one))
    return names


def _save_figures(cut: Cutout, path: Path, options: dict[str, Any]) -> list[Path]:
    from ..painting.vector import sheet_figures

    given = dict(options)
    sheets, section = cut.sheets(given.pop("plane", None) or "xy"), given.pop("section", None)
    figures = sheet_figures(sheets, section, **cut._painting(given))
    names, records = _names(path, len(figures)), _records(_painted_record(cut, options), len(figures))
    with ExitStack() as files:  # all of them or none
        for name, figure, record in zip(names, figures, records, strict=True):
            document = figure.document(path.suffix.lower(), record.describe(), record.to_json())
            files.enter_context(atomic_file(name)).write_bytes(document)
    return names


def _names(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}_slice_{n}{path.suffix}") for n in range(count)]


def _painted_record(cut: Cutout | SectionCutout, options: Mapping[str, Any]) -> Record:
    """Give the record of a picture, whose link looks like it also where all options are the usual ones."""
    return replace(cut.record(**options), link=cut._link(options))


def _records(record: Record, count: int) -> list[Record]:
    """Give the record of each section's picture."""
    if count == 1:
        return [record]
    return [replace(record, painting={**record.painting, "section": number}) for number in range(count)]


def _picture_info(record: Record) -> PngInfo:
    """Give what a PNG says of itself."""
    # Without pHYs: at their true size in nm, pictures are too small to be seen where programs place them by it.
    info = PngInfo()
    info.add_text("Software", f"imageryclient {record.version}")
    info.add_itxt("Description", record.describe())
    info.add_itxt(KEYWORD, record.to_json())  # not compressed: Pillow refuses files with more than 1 MB of it
    return info


def _save_arrays(
    path: Path, cut: Cutout | SectionCutout, record: Record, gaps: Mapping[str, NDArray[np.uint8]] | None = None
) -> Path:
    """Write the arrays there are, and what they are."""
    layers = {"image": cut.image, "segmentation": cut.segmentation}
    arrays: dict[str, Any] = {name: array for name, array in layers.items() if array is not None}
    arrays |= {name + MISSING: codes for name, codes in (gaps or {}).items()}
    buffer = BytesIO()
    np.savez_compressed(buffer, metadata=np.array(record.to_json()), **arrays)
    with atomic_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return path


def _gaps(coverage: PixelCoverage) -> NDArray[np.uint8]:
    codes: NDArray[np.uint8] = np.where(coverage.outside, 1, np.where(coverage.absent, 2, 0)).astype(np.uint8)
    return codes


def _save_sweep(cut: Cutout, path: Path, options: dict[str, Any]) -> Path:
    """Write a movie that goes through the sections."""
    painting = {name: value for name, value in options.items() if name not in _OF_MOVIES}
    timing = {name: value for name, value in options.items() if name in _OF_MOVIES}
    if "section" in painting:
        raise ArgumentError("a movie goes through all sections; section= picks one for a picture")
    frames = cut.sheets(painting.pop("plane", None)).frames(**cut._painting(painting))
    return save_movie(frames, path, record=_painted_record(cut, options), **timing)


def _save_stacks(cut: Cutout, path: Path) -> list[Path]:
    """Write imagery and segmentation as a file each, as no program reads two kinds of voxels from one as a stack."""
    if cut.image is None and cut.segmentation is None:
        raise ArgumentError("this cutout has neither imagery nor segmentation to save")
    record, ome, names = cut.record(), is_ome(path), []
    with ExitStack() as files:  # both or none
        if cut.image is not None:
            names.append(path)
            write_stack(files.enter_context(atomic_file(path)), cut.image, record, ome=ome)
        if cut.segmentation is not None:
            names.append(_beside(path) if names else path)
            temporary, masks = files.enter_context(atomic_file(names[-1])), cut.masks
            write_stack(temporary, masks.labels, record, ome=ome, name="segmentation", ids=masks.ids)
    return names


def _beside(path: Path) -> Path:
    """Give `place_segmentation.ome.tif` for `place.ome.tif`."""
    ending = "".join(path.suffixes[-2:]) if is_ome(path) else path.suffix
    return path.with_name(f"{path.name.removesuffix(ending)}_segmentation{ending}")
