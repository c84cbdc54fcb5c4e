"""Files made again, whole, from what they say of themselves."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from .._version import __version__
from ..cutout import Cutout
from ..errors import FormatError, ImageryWarning
from ..sectioncutout import SectionCutout
from ..warning import warn_caller
from .loading import reopen
from .movies import FASTEST, MOVIES
from .panels import PanelsRecord, panels_in, save_panels
from .reading import existing_file, read_record
from .record import Record, is_newer
from .saving import check_suffix, options_for
from .stacks import is_ome
from .turns import write_turn

__all__ = ["beside", "remake"]


def remake(
    path: str | PathLike[str],
    to: str | PathLike[str] | None = None,
    *,
    client: Any = None,
    auth_token: str | None = None,
    image_source: Any = None,
    segmentation_source: Any = None,
) -> tuple[list[Cutout | SectionCutout], list[Path]]:
    """Make a figure, a stack or a movie again from its file alone: `imageryclient redo` as a function.

    Parameters
    ----------
    path : str or path
        A file of `Cutout.save`, `SectionCutout.save`, `ImageryClient.turn` or `save_panels`.
    to : str or path, optional
        Where to; by default `NAME_redone` beside it. It may be of another kind: the sections of a movie as pictures, a
        picture of a stack as a movie, a figure as a stack. A movie that turns becomes another movie, or else a file of
        its first section.
    client, auth_token, image_source, segmentation_source
        As for `redo`.

    Returns
    -------
    cutouts : list of Cutout or SectionCutout
        What was cut out; several for a figure of panels.
    files : list of pathlib.Path
        The files written.

    Raises
    ------
    ArgumentError
        If there is no such kind of file, or this cannot be one.
    NotFoundError, FormatError, AccessError, StorageError, DamagedDataError
        As for `redo`.

    Warns
    -----
    ImageryWarning
        As `redo`; and if a GIF, which shows at most 50 pictures a second, is slower than what it is made from.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, imageryclient as ic
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> em = np.arange(64 * 64 * 4, dtype=np.uint8).reshape(64, 64, 4)
    >>> folder = write_precomputed(tempfile.mkdtemp(), [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    >>> (file,) = ic.ImageryClient(image_source=str(folder)).cutout([32, 32, 2], (16, 16)).save(folder / "figure.png")
    >>> (cut,), (again,) = remake(file)
    >>> again.name, again.read_bytes() == file.read_bytes()
    ('figure_redone.png', True)
    """
    file = existing_file(path)
    several, target = panels_in(file), beside(file) if to is None else Path(to)
    version = __version__
    suffix = check_suffix(target)
    access = (client, auth_token, image_source, segmentation_source)
    try:
        if several is not None:
            version = several.version
            return _panels(file, several, target, access)
        record = read_record(file)
        version = record.version
        return _one(file, record, target, suffix, access)
    except TypeError as error:
        if is_newer(version):
            raise FormatError(
                f"{file.name} was painted by imageryclient {version}, in a way that this version does not know "
                f"({error}): pip install --upgrade imageryclient"
            ) from None
        raise


def _one(
    file: Path, record: Record, target: Path, suffix: str, access: tuple[Any, ...]
) -> tuple[list[Cutout | SectionCutout], list[Path]]:
    """Make a file of one cutout again."""
    found = reopen(file, record, *access)
    cut, painting = found.cut, dict(record.painting)
    if record.turn is None or suffix not in MOVIES:
        if "fps" in painting:
            painting["fps"] = _rate(suffix, painting["fps"])
        return [cut], cut.save(target, **options_for(target, painting))
    assert isinstance(cut, SectionCutout)
    turn = replace(record.turn, fps=_rate(suffix, record.turn.fps))
    return [cut], [write_turn(found.client, cut, found.wanted, turn, target, painting)]


def _panels(
    file: Path, several: PanelsRecord, target: Path, access: tuple[Any, ...]
) -> tuple[list[Cutout | SectionCutout], list[Path]]:
    """Make a figure of panels again; panels of one place are cut out once."""
    known: dict[str, Cutout | SectionCutout] = {}
    panels: list[Any] = []
    for record in several.panels:
        if record is None:
            panels.append(None)
            continue
        place = replace(record, painting={}, link=None, unsaid=()).to_json()
        if place not in known:
            known[place] = reopen(file, record, *access).cut
        panels.append((known[place], dict(record.painting)))
    return list(known.values()), [save_panels(target, panels, **several.arrangement)]


def beside(file: Path) -> Path:
    """Give the name of a file that is made again.

    Examples
    --------
    >>> beside(Path("place.ome.tif")).name
    'place_redone.ome.tif'
    """
    ending = "".join(file.suffixes[-2:]) if is_ome(file) else file.suffix
    return file.with_name(f"{file.name.removesuffix(ending)}_redone{ending}")


def _rate(suffix: str, fps: float) -> float:
    """Give the pictures in a second that a kind of movie can show."""
    most = FASTEST.get(suffix, fps)
    if fps > most:
        warn_caller(ImageryWarning(f"{suffix} shows at most {most} pictures a second, and this movie had {fps:g}"))
    return min(fps, most)
