"""Cutouts and sections as files that know what they are, each of them complete or not there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from ..coverage import PixelCoverage
from ..errors import ArgumentError
from .export import atomic_file
from .movies import MOVIES, save_movie
from .record import KEYWORD, Record
from .stacks import is_ome, labels_beside, write_stack

if TYPE_CHECKING:
    from PIL import Image

    from ..cutout import Cutout
    from ..painting.vector import VectorFigure
    from ..sectioncutout import SectionCutout
    from .panels import PanelsRecord

__all__ = [
    "MISSING",
    "check_suffix",
    "drawn",
    "options_for",
    "painted",
    "painted_record",
    "picture_info",
    "save_cutout",
    "save_section",
]

MISSING = "_missing"  # ends the name of the array of a section's pixels that are no data: 1 outside, 2 absent
_VECTORS = (".svg", ".pdf")
_OF_PIXELS, _OF_VECTORS = ("dim",), ("magnification",)  # options of one kind of picture alone
_OF_MOVIES = ("fps",)
_OF_PLANES = ("planes", "lines", "names", "spacing")
_FPS = 10.0
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
    foreign: dict[str, tuple[str, ...]] = {".png": (*_OF_VECTORS, *_OF_MOVIES)}
    foreign |= dict.fromkeys(_VECTORS, (*_OF_PIXELS, *_OF_MOVIES))
    foreign |= dict.fromkeys(MOVIES, (*_OF_VECTORS, *_OF_PLANES, "section"))
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
        return _save_pictures(cut, path, options)
    if suffix in _VECTORS:
        return _save_figures(cut, path, options)
    moving = ", and a movie of it turning is made by client.turn" if suffix in MOVIES else ""
    raise ArgumentError(f"a section is saved as .png, .svg, .pdf or .npz{moving}; got {path.name!r}")


def painted(cut: Cutout | SectionCutout, options: Mapping[str, Any]) -> list[Image.Image]:
    """Give the pictures of a cutout: of each section, of the one chosen, or of the three planes."""
    painting, at = _without_planes(options)
    if at is not False:
        return [_block(cut).planes(None if at is True else at, **painting)]
    pictures = cut.overlay(**painting)
    return pictures if isinstance(pictures, list) else [pictures]


def drawn(cut: Cutout | SectionCutout, options: Mapping[str, Any]) -> list[VectorFigure]:
    """Give the same as figures of vectors."""
    from ..painting.threeplanes import orthogonal_vectors
    from ..painting.vector import sheet_figures

    given, at = _without_planes(options)
    if at is not False:
        return [_block(cut)._planes(None if at is True else at, given, orthogonal_vectors)]
    painting = cut._painting(given)
    if not hasattr(cut, "planes"):
        return sheet_figures(cut.sheets(), **painting)
    sheets = _block(cut).sheets(painting.pop("plane", None) or "xy")
    return sheet_figures(sheets, painting.pop("section", None), **painting)


def _block(cut: Cutout | SectionCutout) -> Cutout:
    if not hasattr(cut, "planes"):
        raise ArgumentError("planes= shows three planes through a block of voxels; this is one section")
    return cast("Cutout", cut)


def _save_pictures(cut: Cutout | SectionCutout, path: Path, options: dict[str, Any]) -> list[Path]:
    pictures, record = painted(cut, options), painted_record(cut, options)
    with ExitStack() as files:  # all of them or none
        names, records = _names(path, len(pictures)), _records(record, len(pictures))
        for name, picture, one in zip(names, pictures, records, strict=True):
            picture.save(files.enter_context(atomic_file(name)), "PNG", pnginfo=picture_info(one))
    return names


def _save_figures(cut: Cutout | SectionCutout, path: Path, options: dict[str, Any]) -> list[Path]:
    figures = drawn(cut, options)
    names, records = _names(path, len(figures)), _records(painted_record(cut, options), len(figures))
    with ExitStack() as files:  # all of them or none
        for name, figure, record in zip(names, figures, records, strict=True):
            document = figure.document(path.suffix.lower(), record.describe(), record.to_json())
            files.enter_context(atomic_file(name)).write_bytes(document)
    return names


def _without_planes(options: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Give the options of a picture, and where its planes cross: True for the middle, False for no such figure."""
    painting, at = dict(options), _planes_in(options)
    painting.pop("planes", None)
    one = [name for name in ("plane", "section") if painting.get(name) is not None]
    if at is not False and one:
        raise ArgumentError(f"planes= shows three planes in one figure; {one[0]}= chooses one: give one of them")
    return painting, at


def _planes_in(options: Mapping[str, Any]) -> Any:
    """Give the value of `planes=`, False where there are to be none; arrays are values too."""
    at = options.get("planes")
    return False if at is None else at


def _names(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}_slice_{n}{path.suffix}") for n in range(count)]


def painted_record(cut: Cutout | SectionCutout, options: Mapping[str, Any]) -> Record:
    """Give the record of a picture, whose link looks like it also where all options are the usual ones."""
    record = replace(cut.record(**options), link=cut._link(options))
    if _planes_in(options) is False:
        return record
    return replace(record, painting={name: value for name, value in record.painting.items() if name != "plane"})


def _records(record: Record, count: int) -> list[Record]:
    """Give the record of each section's picture."""
    if count == 1:
        return [record]
    return [replace(record, painting={**record.painting, "section": number}) for number in range(count)]


def picture_info(record: Record | PanelsRecord) -> PngInfo:
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
    options = {**options, "fps": options.get("fps", _FPS)}
    painting = {name: value for name, value in options.items() if name not in _OF_MOVIES}
    timing = {name: value for name, value in options.items() if name in _OF_MOVIES}
    if painting.pop("section", None) is not None:
        raise ArgumentError("a movie goes through all sections; section= picks one for a picture")
    painting, at = _without_planes(painting)
    if at is not False:
        raise ArgumentError("a movie goes through all sections; planes= makes a figure of three planes")
    painting = cut._painting(painting)
    frames = cut.sheets(painting.pop("plane", None)).frames(**painting)
    return save_movie(frames, path, record=painted_record(cut, options), **timing)


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
            names.append(labels_beside(path) if names else path)
            temporary, masks = files.enter_context(atomic_file(names[-1])), cut.masks
            write_stack(temporary, masks.labels, record, ome=ome, name="segmentation", ids=masks.ids)
    return names
