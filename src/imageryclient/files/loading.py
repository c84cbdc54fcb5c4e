"""Files opened again: the arrays they hold, the cutout they show made anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..client import ImageryClient
from ..cloudpath import parse_source
from ..coverage import PixelCoverage
from ..cutout import Cutout
from ..errors import ArgumentError, FormatError, ImageryWarning, NotFoundError, SourceError
from ..section import Section
from ..sectioncutout import SectionCutout
from ..volumes import IdsWanted
from ..warning import warn_caller
from .reading import existing_file, kind_of, opened_npz, read_record
from .record import Record
from .saving import MISSING
from .stacks import labels_beside, read_stack, stack_text

__all__ = ["Reopened", "load_cutout", "redo", "reopen"]

_ARRAYS = {"image": "image", "segmentation": "segmentation"}


def load_cutout(path: str | PathLike[str], **sources: Any) -> Cutout | SectionCutout:
    """Open a file that `Cutout.save` or `SectionCutout.save` wrote, as the cutout that it was.

    Files of arrays, `.npz`, give them back as they were. Stacks, `.tif` and `.ome.tif`, give their own voxels: both
    layers where the other file lies beside the one named. Pictures and movies hold no voxels, so that these are cut out
    of their sources again, as of the same moment.

    Parameters
    ----------
    path : str or path
        The file.
    **sources
        For pictures and movies, as for `redo`: `client`, `auth_token`, `image_source`, `segmentation_source`.

    Returns
    -------
    Cutout or SectionCutout
        With the arrays, the place, moment, coverage, sources, mips and ids asked for. Its `overlay` has the usual
        options; those of a picture are what `redo` gives beside it.

    Raises
    ------
    NotFoundError
        If there is no such file, or the source of a picture is not there.
    FormatError
        If it is damaged, or no file of this package.
    AccessError, StorageError, DamagedDataError
        If the source of a picture cannot be read.

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
    file = existing_file(path)
    kind = kind_of(file)
    if kind == "tiff":
        record, arrays = _of_stacks(file)
        return _cutout(file, record, arrays, {})
    if kind not in ("npz", ""):
        return redo(file, **sources)[0]
    with opened_npz(file) as saved:
        record = Record.from_json(str(saved["metadata"]), file.name)
        arrays = {name: np.array(saved[key], order="K") for name, key in _ARRAYS.items() if key in saved}
        gaps = {name: saved[name + MISSING] for name in record.sources if name + MISSING in saved}
    return _cutout(file, record, arrays, gaps)


def _of_stacks(file: Path) -> tuple[Record, dict[str, NDArray[Any]]]:
    """Read a stack, and of imagery the segmentation beside it."""
    record, arrays = read_record(file), {}
    for name in (file, labels_beside(file)):
        if name != file and ("segmentation" in arrays or not name.is_file()):
            continue
        text = stack_text(name)
        if name != file and (text is None or Record.from_json(text, name.name) != record):
            continue  # of another cutout
        about, block = json.loads(text or ""), read_stack(name, record.bounds.shape)
        if "labels" in about:
            ids = np.array([0, *map(int, about["labels"])], np.uint64)
            if block.max(initial=0) >= len(ids):
                raise FormatError(f"{name.name} has labels beyond the {len(ids) - 1} ids that it names")
            arrays["segmentation"] = ids[block]
        else:
            arrays["image"] = block.astype(np.bool_) if about.get("dtype") == "bool" else block
    return record, arrays


def _cutout(
    file: Path, record: Record, arrays: Mapping[str, NDArray[Any]], gaps: Mapping[str, NDArray[np.uint8]]
) -> Cutout | SectionCutout:
    """Put arrays and what they are together."""
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
        return Cutout(bounds=place, coverage=record.coverage, taken_from=record.taken_from, **about)
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

    Of a movie that turns this is its first section; `remake` makes the whole movie.

    Parameters
    ----------
    path : str or path
        A file of `Cutout.save`, `SectionCutout.save` or `ImageryClient.turn`.
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

    Examples
    --------
    >>> import tempfile, imageryclient as ic
    >>> em = ic.ArraySource(np.arange(32 * 32 * 4, dtype=np.uint8).reshape(32, 32, 4), (8, 8, 40))
    >>> cut = ic.ImageryClient(image_source=em).cutout([16, 16, 2], size=(8, 8))
    >>> (file,) = cut.save(tempfile.mkdtemp() + "/place.png", gamma=0.8)
    >>> again, options = redo(file, image_source=em)
    >>> bool((again.image == cut.image).all()), options["gamma"]
    (True, 0.8)
    """
    file = existing_file(path)
    found = reopen(file, read_record(file), client, auth_token, image_source, segmentation_source)
    return found.cut, dict(found.record.painting)


@dataclass(frozen=True, slots=True)
class Reopened:
    """A file's cutout, cut out again: what the file says, by which client, and what of its ids was asked for."""

    cut: Cutout | SectionCutout
    record: Record
    client: ImageryClient
    wanted: IdsWanted


def reopen(
    file: Path,
    record: Record,
    client: Any = None,
    auth_token: str | None = None,
    image_source: Any = None,
    segmentation_source: Any = None,
) -> Reopened:
    """Cut out again what a file says that it shows; the other arguments, errors and warnings are those of `redo`."""
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
    follow = record.turn is not None and record.turn.follow
    wanted = opened._wanted(root_ids, record.timestamp, follow)
    cut: Cutout | SectionCutout
    if isinstance(place, Section):
        unit = opened._resolution_of(None)
        cut = opened._section(place, unit, record.mips, wanted, placements=record.placements or None)
    else:
        bounds: Any
        bounds, *cubes = *record.taken_from, place
        cut = opened.cutout(
            bounds=bounds,
            image_mip=record.mips.get("imagery"),
            segmentation_mip=record.mips.get("segmentation"),
            root_ids=root_ids,
            timestamp=record.timestamp,
        )
        for box in cubes:
            cut = cut.isotropic(box.resolution[0])
    _compare(file, record, cut)
    return Reopened(cut, record, opened, wanted)


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
