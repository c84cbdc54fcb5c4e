"""Stacks for Fiji, napari and their kin: TIFF files with the size of their voxels and what they are.

`.tif` is the dialect that ImageJ reads by itself (values of 8, 16 or float of 32 bits, up to 4 GiB); `.ome.tif` is
OME-TIFF, https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html, of any size and also integers of
32 bits. Neither holds ids of 64 bits, so a segmentation becomes labels 1, 2, 3, …, with the ids they stand for as text.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError, MissingExtraError
from ..geometry import Resolution
from .record import Record

__all__ = ["is_ome", "labels_beside", "read_stack", "stack_text", "tiff_package", "write_stack"]

_Found = TypeVar("_Found")
_NAMESPACE = "imageryclient"  # of the annotation in OME-XML that holds the record
_IN_OME = re.compile(rf'<MapAnnotation[^>]*\bNamespace="{_NAMESPACE}"[^>]*>.*?<M K="record">(.*?)</M>', re.DOTALL)
_IMAGEJ = ("uint8", "uint16", "float32")
_OME = (*_IMAGEJ, "int8", "int16", "int32", "uint32", "float64")
_CLASSIC = 2**32 - 2**22  # bytes of voxels; the rest is for what is said of them


def write_stack(
    path: Path,
    block: NDArray[Any],
    record: Record,
    *,
    ome: bool,
    name: str = "imagery",
    ids: NDArray[np.uint64] | None = None,
) -> None:
    """Write a block of voxels as a TIFF stack, section by section.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    block : numpy.ndarray
        Axes (x, y, z) or (x, y, z, c). The pages are the sections across z, x to the right and y down; bool is written
        as 0 and 255. Three channels of uint8 are RGB.
    record : Record
        What it is; gives the size of the voxels.
    ome : bool
        Whether to write OME-TIFF, else one of ImageJ.
    name : str
        Of the image in OME-XML.
    ids : numpy.ndarray, optional
        For labels, uint64: label k stands for `ids[k - 1]`.

    Raises
    ------
    MissingExtraError
        If tifffile is not installed.
    ArgumentError
        If the file cannot hold such voxels, or so many.
    """
    more: dict[str, Any] = {} if ids is None else {"labels": list(map(str, ids.tolist()))}
    if block.dtype == np.bool_:
        more["dtype"] = "bool"
        block = block.astype(np.uint8) * np.uint8(255)
    if block.ndim == 4 and block.shape[3] == 1:
        block = block[..., 0]
    _check(block, ome)
    tifffile = tiff_package()
    text = record.to_json(**more)
    rgb = block.ndim == 4 and block.shape[3] == 3 and block.dtype == np.uint8
    x, y, z = block.shape[:3]
    axes, shape = ("ZYX", (z, y, x)) if block.ndim == 3 else ("ZCYX", (z, block.shape[3], y, x))
    if rgb:
        axes, shape = "ZYXS", (z, y, x, 3)
    kind, metadata = _ome(record, text, name) if ome else _imagej(record, text, ids)
    with tifffile.TiffWriter(path, bigtiff=ome and block.nbytes > _CLASSIC, **{kind: True}) as writer:
        writer.write(
            _pages(block, rgb),
            shape=shape,
            dtype=block.dtype,
            photometric="rgb" if rgb else "minisblack",
            compression=None if ids is None else "zlib",  # imagery hardly gets smaller
            software=f"imageryclient {record.version}",
            metadata={"axes": axes, **metadata},
            **_pixels_per_unit(record.bounds.resolution, ome),
        )


def stack_text(file: Path) -> str | None:
    """Give what a stack says of itself, as JSON; None where it says nothing.

    Raises
    ------
    FormatError
        If the file is damaged.
    MissingExtraError
        If tifffile is not installed.
    """

    def text_of(opened: Any) -> str | None:
        if opened.is_ome:
            found = _IN_OME.search(opened.ome_metadata or "")
            return unescape(found[1]) if found else None
        text = (opened.imagej_metadata or {}).get("Info")
        return str(text) if text else None

    return _of_file(file, text_of)


def read_stack(file: Path, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Give the voxels of a stack that `write_stack` has written, axes (x, y, z) or (x, y, z, c).

    Raises
    ------
    FormatError
        If the file is damaged, or its voxels are of another shape.
    MissingExtraError
        If tifffile is not installed.
    """
    x, y, z = shape

    def block_of(opened: Any) -> NDArray[Any]:
        size = opened.filehandle.size
        ends = [
            end for page in opened.pages for end in map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
        ]
        if max(ends) > size:  # its reader would take what is not there for 0
            raise ValueError(f"it ends after {size} of {max(ends)} bytes")
        pages: NDArray[Any] = opened.series[0].asarray()
        if opened.pages[0].photometric.name == "RGB":
            return pages.reshape(z, y, x, -1).transpose(2, 1, 0, 3)
        block = pages.reshape(z, -1, y, x).transpose(3, 2, 0, 1)
        return block[..., 0] if block.shape[3] == 1 else block

    return _of_file(file, block_of)


def labels_beside(path: Path) -> Path:
    """Give the name of the segmentation's stack beside that of the imagery.

    Examples
    --------
    >>> labels_beside(Path("place.ome.tif")).name
    'place_segmentation.ome.tif'
    """
    ending = "".join(path.suffixes[-2:]) if is_ome(path) else path.suffix
    return path.with_name(f"{path.name.removesuffix(ending)}_segmentation{ending}")


def is_ome(path: Path) -> bool:
    """Tell whether a name asks for OME-TIFF."""
    return [suffix.lower() for suffix in path.suffixes[-2:]] in ([".ome", ".tif"], [".ome", ".tiff"])


def _of_file(file: Path, ask: Callable[[Any], _Found]) -> _Found:
    """Ask something of a file; a damaged one makes its reader stumble in many ways."""
    tifffile = tiff_package()
    try:
        with tifffile.TiffFile(file) as opened:
            return ask(opened)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error, zlib.error) as error:
        raise FormatError(f"{file.name} is damaged: {error}") from None
    except tifffile.TiffFileError as error:
        raise FormatError(f"{file.name} is damaged: {error}") from None


def tiff_package() -> Any:
    """Give the package that reads and writes TIFF stacks."""
    try:
        import tifffile
    except ImportError:
        raise MissingExtraError("TIFF stacks need tifffile: pip install 'imageryclient[tiff]'") from None
    return tifffile


def _check(block: NDArray[Any], ome: bool) -> None:
    dtype = block.dtype.newbyteorder("=").name
    if 0 in block.shape:
        raise ArgumentError(f"a block of shape {block.shape} has no voxels to write")
    if dtype not in (_OME if ome else _IMAGEJ):
        elsewhere = "save it as .ome.tif" if dtype in _OME else "save it as .npz, or convert it"
        kind = "OME-TIFF holds 8, 16 and 32 bits" if ome else "ImageJ's TIFF holds uint8, uint16 and float32"
        raise ArgumentError(f"{kind}, and these voxels are {dtype}: {elsewhere}")
    if not ome and block.nbytes > _CLASSIC:
        raise ArgumentError("these voxels exceed the 4 GiB of ImageJ's TIFF: save them as .ome.tif")


def _pages(block: NDArray[Any], rgb: bool) -> Iterator[NDArray[Any]]:
    for z in range(block.shape[2]):
        section = block[:, :, z]
        if rgb:
            yield np.ascontiguousarray(section.swapaxes(0, 1))
        elif section.ndim == 2:
            yield np.ascontiguousarray(section.T)
        else:
            for channel in range(section.shape[2]):
                yield np.ascontiguousarray(section[..., channel].T)


def _pixels_per_unit(resolution: Resolution, ome: bool) -> dict[str, Any]:
    """Give the tags XResolution and YResolution: per cm, for ImageJ in its own way per µm."""
    nm = 1e7 if ome else 1e3
    unit = {"resolutionunit": "CENTIMETER"} if ome else {}
    return {"resolution": (nm / resolution[0], nm / resolution[1]), **unit}


def _imagej(record: Record, text: str, ids: NDArray[np.uint64] | None) -> tuple[str, dict[str, Any]]:
    """Give what ImageJ shows: the size in µm, the z of each section, and with "Show Info" the record."""
    first, last = record.bounds.start[2], record.bounds.stop[2]
    shown = {} if ids is None else {"min": 0.0, "max": float(max(len(ids), 1))}
    spacing = record.bounds.resolution[2] / 1e3
    labels = [f"z {z}" for z in range(first, last)]
    return "imagej", {"unit": "um", "spacing": spacing, "Info": text, "Labels": labels, **shown}


def _ome(record: Record, text: str, name: str) -> tuple[str, dict[str, Any]]:
    metadata: dict[str, Any] = {"Name": name, "Description": record.describe()}
    for axis, nm in zip("XYZ", record.bounds.resolution, strict=True):
        metadata |= {f"PhysicalSize{axis}": nm / 1e3, f"PhysicalSize{axis}Unit": "µm"}
    metadata["UUID"] = str(uuid5(NAMESPACE_OID, text))  # the same stack makes the same file
    return "ome", {**metadata, "MapAnnotation": {"Namespace": _NAMESPACE, "record": text}}
