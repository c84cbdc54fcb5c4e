"""A cutout as files that know what they are, each of them complete or not there."""

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

from ..errors import ArgumentError
from .export import atomic_file
from .record import Record
from .stacks import is_ome, write_stack

if TYPE_CHECKING:
    from ..cutout import Cutout

__all__ = ["KEYWORD", "check_suffix", "options_for", "picture_info", "save_arrays", "save_cutout"]

KEYWORD = "imageryclient"  # of the text in a PNG that holds the record
_VECTORS = (".svg", ".pdf")
_OF_PIXELS, _OF_VECTORS = ("overlap", "dim"), ("smooth", "magnification")  # options of one kind of picture alone
_SUFFIXES = (".png", *_VECTORS, ".npz", ".tif", ".tiff")


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
        raise ArgumentError(f"a cutout is saved as .png, .svg, .pdf, .npz, .tif or .ome.tif; got {path.name!r}")
    return suffix


def options_for(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options of a picture that mean something to another kind of file.

    Examples
    --------
    >>> options_for(Path("figure.png"), {"palette": "tab10", "smooth": False})
    {'palette': 'tab10'}
    """
    suffix = path.suffix.lower()
    if suffix == ".png" or suffix in _VECTORS:
        foreign = _OF_VECTORS if suffix == ".png" else _OF_PIXELS
        return {name: value for name, value in options.items() if name not in foreign}
    return {}


def save_cutout(cut: Cutout, path: Path, options: dict[str, Any]) -> list[Path]:
    """Write a cutout; see `Cutout.save`."""
    suffix = check_suffix(path)
    if suffix == ".png":
        return _save_pictures(cut, path, options)
    if suffix in _VECTORS:
        return _save_figures(cut, path, options)
    if suffix == ".npz":
        return [save_arrays(path, cut.image, cut.segmentation, cut.record().to_json())]
    return _save_stacks(cut, path)


def _save_pictures(cut: Cutout, path: Path, options: dict[str, Any]) -> list[Path]:
    painted, record = cut.overlay(**options), cut.record(**options)
    pictures = painted if isinstance(painted, list) else [painted]
    with ExitStack() as files:  # all of them or none
        names, records = _names(path, len(pictures)), _records(record, len(pictures))
        for name, picture, one in zip(names, pictures, records, strict=True):
            about = picture_info(one.describe(), one.to_json(), one.version)
            picture.save(files.enter_context(atomic_file(name)), "PNG", pnginfo=about)
    return names


def _save_figures(cut: Cutout, path: Path, options: dict[str, Any]) -> list[Path]:
    from ..painting.vector import vector_figures

    figures = vector_figures(cut.image, cut.segmentation, cut.resolution, **options)
    names, records = _names(path, len(figures)), _records(cut.record(**options), len(figures))
    with ExitStack() as files:  # all of them or none
        for name, figure, record in zip(names, figures, records, strict=True):
            document = figure.document(path.suffix.lower(), record.describe(), record.to_json())
            files.enter_context(atomic_file(name)).write_bytes(document)
    return names


def _names(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}_slice_{n}{path.suffix}") for n in range(count)]


def _records(record: Record, count: int) -> list[Record]:
    """Give the record of each section's picture."""
    if count == 1:
        return [record]
    return [replace(record, painting={**record.painting, "section": number}) for number in range(count)]


def picture_info(description: str, record: str, version: str) -> PngInfo:
    """Give what a PNG says of itself."""
    # Without pHYs: at their true size in nm, pictures are too small to be seen where programs place them by it.
    info = PngInfo()
    info.add_text("Software", f"imageryclient {version}")
    info.add_itxt("Description", description)
    info.add_itxt(KEYWORD, record)  # not compressed: Pillow refuses files with more than 1 MB of it
    return info


def save_arrays(path: Path, image: NDArray[Any] | None, segmentation: NDArray[Any] | None, record: str) -> Path:
    """Write the arrays there are, and what they are, as .npz."""
    layers = {"image": image, "segmentation": segmentation}
    arrays: dict[str, Any] = {name: array for name, array in layers.items() if array is not None}
    buffer = BytesIO()
    np.savez_compressed(buffer, metadata=np.array(record), **arrays)
    with atomic_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return path


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
