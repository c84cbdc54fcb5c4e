"""Pictures as files, each of which appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..errors import ArgumentError, NotFoundError
from ..painting.color import rgba_bytes
from ..painting.display import to_display
from ..painting.picture import from_rgba_pixels, upright
from .disk import disk_errors

__all__ = ["atomic_file", "save_imagery_slices", "save_mask_slices", "save_png_atomic"]


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a name to write to, which becomes `path` when the block ends well and is removed when it does not.

    The name lies in the same folder, so that the change of name is one step; a file that was at `path` before
    stays until then.

    Raises
    ------
    NotFoundError
        If the folder does not exist.
    StorageError
        If the disk is full, or does not let it be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(Path(folder, "note.txt")) as name:
    ...         _ = name.write_text("whole")
    ...     Path(folder, "note.txt").read_text()
    'whole'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise NotFoundError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}; make it first")
    name = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")  # writers may look at the suffix
    try:
        with disk_errors(path):
            yield name
            os.replace(name, path)
    finally:
        with contextlib.suppress(OSError):  # on Windows a writer that failed may still have it open
            name.unlink()


def save_png_atomic(image: Image.Image, path: str | os.PathLike[str], **kwargs: Any) -> Path:
    """Write a picture as PNG, whole or not at all.

    Parameters
    ----------
    image : PIL.Image.Image
        The picture.
    path : path_like
        The file; one that is there is replaced.
    **kwargs
        For `PIL.Image.Image.save`, such as `compress_level`, `optimize` or `dpi`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    NotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_png_atomic(Image.new("RGB", (4, 4)), Path(folder, "black.png"), compress_level=1).name
    'black.png'
    """
    path = Path(path)
    with atomic_file(path) as name:
        image.save(name, **{"format": "PNG", **kwargs})
    return path


def save_imagery_slices(
    prefix: str | os.PathLike[str],
    image: ArrayLike,
    slice_axis: int = 2,
    verbose: bool = False,
    *,
    display_range: tuple[float, float] | None = None,
    **kwargs: Any,
) -> list[Path]:
    """Save imagery as one PNG for each section: RGB of 8 bits, or grey of 16 bits for uint16, whose values it keeps.

    Parameters
    ----------
    prefix : path_like
        Start of the names: `{prefix}_imagery.png` for one section, `{prefix}_slice_{i}_imagery.png` for more.
    image : array_like
        Shape (x, y), which is one section, (x, y, z), or (x, y, z, 3) or (x, y, z, 4) for RGB and RGBA; bool, uint8,
        uint16, or other numbers from 0 to 255.
    slice_axis : int, optional
        The axis along which the files are sections. Default 2, z.
    verbose : bool, optional
        Whether to say which file was saved. Default False.
    display_range : tuple of float, optional
        Values saved as 0 and 255, for imagery of any numbers; see `to_display`. Default None: values as they are.
    **kwargs
        For `PIL.Image.Image.save`.

    Returns
    -------
    list of pathlib.Path
        The files, in order.

    Raises
    ------
    ArgumentError
        If the array or the axis does not fit, or if its values need a display range.
    NotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = save_imagery_slices(f"{folder}/cut", np.zeros((4, 3, 2), dtype=np.uint8))
    ...     [file.name for file in files]
    ['cut_slice_0_imagery.png', 'cut_slice_1_imagery.png']
    """
    values = np.asarray(image)
    if display_range is not None:
        values = to_display(values, display_range)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    _check_values(values)
    files = []
    for middle, section in _sections(values, slice_axis, "imagery"):
        path = Path(f"{os.fspath(prefix)}{middle}_imagery.png")
        files.append(_save(_as_stored(section), path, verbose, kwargs))
    return files


def save_mask_slices(
    prefix: str | os.PathLike[str],
    masks: Mapping[Any, Any],
    colormap: Mapping[Any, Any] | None = None,
    slice_axis: int = 2,
    verbose: bool = False,
    **kwargs: Any,
) -> list[Path]:
    """Save masks as one RGBA PNG for each id and section, fully transparent outside the mask.

    Parameters
    ----------
    prefix : path_like
        Start of the names: `{prefix}_root_id_{id}.png` for masks of one section,
        `{prefix}_slice_{i}_root_id_{id}.png` for more.
    masks : mapping
        From id to an array of shape (x, y) or (x, y, z).
    colormap : mapping, optional
        From id to a colour: three or four numbers from 0 to 255, a name or a hex string. White without one.
    slice_axis : int, optional
        The axis along which the files are sections. Default 2, z.
    verbose : bool, optional
        Whether to say which file was saved. Default False.
    **kwargs
        For `PIL.Image.Image.save`.

    Returns
    -------
    list of pathlib.Path
        The files, in order: all sections of the first id, then of the next.

    Raises
    ------
    ArgumentError
        If an array, a colour or the axis does not fit.
    NotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = save_mask_slices(f"{folder}/cut", {5: np.eye(3, dtype=bool)}, {5: (255, 0, 0)})
    ...     files[0].name, Image.open(files[0]).getpixel((1, 1)), Image.open(files[0]).getpixel((0, 1))
    ('cut_root_id_5.png', (255, 0, 0, 255), (0, 0, 0, 0))
    """
    colors = {key: rgba_bytes(color) for key, color in (colormap or {}).items() if color is not None}
    files = []
    for key, mask in masks.items():
        table = np.array([(0, 0, 0, 0), colors.get(key, (255, 255, 255, 255))], np.uint8).view(np.uint32)[:, 0]
        for middle, section in _sections(np.asarray(mask), slice_axis, f"the mask of {key}", colored=False):
            path = Path(f"{os.fspath(prefix)}{middle}_root_id_{key}.png")
            picture = from_rgba_pixels(table[(section != 0).astype(np.intp).T])
            files.append(_save(picture, path, verbose, kwargs))
    return files


def _check_values(values: NDArray[Any]) -> None:
    """Refuse what a file would show as something else; `upright` refuses what does not fit 8 bits."""
    if values.dtype.kind not in "fiu" or values.dtype in (np.uint8, np.uint16) or not values.size:
        return
    low, high = values.min(), values.max()
    if not (low >= 0 and high < 256):
        raise ArgumentError(
            f"files hold values from 0 to 255, or uint16; these are {low} to {high} in {values.dtype}: "
            "pass display_range=(black, white)"
        )
    if values.dtype.kind == "f" and 0 < high <= 1:
        raise ArgumentError(
            f"values from {low} to {high} would all be black, as files hold 0 to 255: pass display_range=(0, 1)"
        )


def _as_stored(section: NDArray[Any]) -> Image.Image:
    """Give the picture of a section as it is saved."""
    if section.dtype == np.uint16:
        grey = section[..., 0] if section.ndim == 3 and section.shape[2] == 1 else section
        if grey.ndim != 2:
            raise ArgumentError("files hold colours of 8 bits; these are uint16: pass display_range=(black, white)")
        return Image.fromarray(np.array(grey.T, order="C"))
    picture = upright(section)
    return picture if picture.mode == "RGBA" else picture.convert("RGB")


def _save(picture: Image.Image, path: Path, verbose: bool, kwargs: Mapping[str, Any]) -> Path:
    save_png_atomic(picture, path, **kwargs)
    if verbose:
        from tqdm import tqdm

        tqdm.write(f"Saved {path}...")
    return path


def _sections(array: NDArray[Any], axis: int, what: str, colored: bool = True) -> Iterator[tuple[str, NDArray[Any]]]:
    """Give the middle of the name and the array of each section."""
    if not -3 <= axis < 3:
        raise ArgumentError(f"slice_axis must be an axis of (x, y, z), 0 to 2; got {axis!r}")
    if array.ndim == 2:
        yield "", array
        return
    if array.ndim != 3 and not (colored and array.ndim == 4 and array.shape[3] in (1, 3, 4)):
        colours = " or, in colour, (x, y, z, 3) or (x, y, z, 4)" if colored else ""
        raise ArgumentError(f"{what} must have axes (x, y) or (x, y, z){colours}; got shape {array.shape}")
    count = array.shape[axis % 3]
    for at in range(count):
        section = array[(slice(None),) * (axis % 3) + (at,)]
        yield ("" if count == 1 else f"_slice_{at}"), section
