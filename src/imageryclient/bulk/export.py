"""Many places into one output: each whole or not there, none lost and none made twice, whenever the process ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import AccessError, DamagedDataError, IdWarning, ImageryError, StorageError
from ..layers import Mip
from ..reading import Missing
from ..warning import warn_caller
from .failures import FailedPlace
from .formats import FormatName, open_format
from .journal import Entry
from .local import write_here
from .manifest import ManifestKind, write_manifest
from .plan import Asked, Plan, make_plan, said
from .progress import Counter, Progress, counter

if TYPE_CHECKING:
    from distributed import Client

    from ..client import ImageryClient

__all__ = ["ExportReport", "export"]

_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between rounds of what a server did not give
_VISIBLE = 90.0  # seconds after which a shared file system shows here what was written elsewhere
_LOOK = 5.0  # seconds between looks for it


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What became of an export.

    Parameters
    ----------
    output : pathlib.Path
        The folder or file.
    manifest : pathlib.Path
        A row for each place.
    places, done, failed : int
        How many there are, how many are in the output, and how many are not.
    resumed : int
        Of those done, how many were so before this call.
    moment : datetime or None
        The one moment the segmentation was seen at; None for one that does not change.
    first_error : str or None
        Why the first of those that failed did.
    """

    output: Path
    manifest: Path
    places: int
    done: int
    failed: int
    resumed: int
    moment: datetime | None
    first_error: str | None = None


def export(
    client: ImageryClient,
    points: Any,
    to: str | PathLike[str],
    *,
    format: FormatName = "zarr",
    bbox_size: ArrayLike = (256, 256),
    resolution: ArrayLike | None = None,
    column: str | None = None,
    mip: Mip = None,
    image_mip: Mip = None,
    segmentation_mip: Mip = None,
    root_ids: Any = "all",
    timestamp: Any = None,
    missing: Missing = "fill",
    masks: Mapping[str, str] | Sequence[str] | None = None,
    ids_columns: Sequence[str] = (),
    overlay: Mapping[str, Any] | bool | None = None,
    manifest: ManifestKind = "csv",
    resume: bool = True,
    scheduler: Client | None = None,
    progress: Progress = None,
    patience: float = 120.0,
    places_per_shard: int | None = None,
) -> ExportReport:
    """Write the cutouts of many places, of one size and at one moment, into one output.

    It may be interrupted at any moment, by whatever means, and called again: places that are done are not made again,
    and the output is the same as if nothing had happened. One output never mixes two settings.

    Parameters
    ----------
    client : ImageryClient
        Where from.
    points, bbox_size, resolution, column, mip, image_mip, segmentation_mip, root_ids, timestamp
        As for `client.cutouts`. Without a timestamp the moment is that of the first start.
    to : path
        The output: a folder, or for "h5" a file.
    format : {"zarr", "npz", "png", "tiff", "h5"}
        "zarr": a group with arrays `image`, `segmentation` and `mask_NAME` of axes (place, x, y, z), a chunk for each
        place, and `done`, which says what places succeeded. "h5": the same in one file. "npz", "png" and "tiff": files
        for each place, named by its number. The segmentation is uint64 in "zarr", "npz" and "h5", labels with their
        ids in "tiff", and in "png" shown in overlays alone. "h5", and "zarr" with several places in a shard, are put
        together at the end.
    missing : {"fill", "raise"}
        Whether voxels that are not there are 0, which the manifest tells the share of, or make their place fail.
    masks : mapping of str to str, or sequence of str
        For each mask its name and the column of the points that has its ids, such as `{"pre": "pre_pt_root_id"}`.
    ids_columns : sequence of str
        Further columns of ids for the manifest.
    overlay : bool or mapping
        Whether to write overlays as PNG too; or how, as for `composite_overlay`. They show the masks in the same
        colours everywhere (a mapping `colors` has their names), or without masks all objects, each in its own colour.
    manifest : {"csv", "parquet"}
        What the manifest is: a row for each place, in the order of the points, with its centre, box, moment, coverage,
        ids, the voxels of each mask, whether it is done, and why not.
    resume : bool
        Whether to go on with an export that was begun; else that is an error.
    scheduler : distributed.Client, optional
        A Dask cluster to work on. Its workers must see the output's folder under the same name.
    progress : bool or callable, optional
        True shows a bar; or what is to be called with the number of places done and that of all.
    patience : float
        Seconds to go on trying places that a server did not give, once all others are done. Each is tried again at
        least once.
    places_per_shard : int, optional
        For "zarr": places whose chunks lie in one file, a shard, so that there are few files; readers still get at each
        place by itself. 1 writes a file for each place and array. By default 1 where that makes no more than 10,000
        files; else 1000, or fewer where they would be more than 1 GiB before compression.

    Returns
    -------
    ExportReport
        How many places are done and where the manifest is. Places that failed are 0 in arrays, and have no files;
        another call tries them again.

    Warns
    -----
    IdWarning
        If the mask of a column is empty at most places, as where its ids are those of another moment.

    Raises
    ------
    ArgumentError
        If an argument makes no sense, or the output was begun with other settings or places, or is something else.
    BoundsError, ScaleError, TooLargeError
        If the points or the size make no boxes, there is no such scale, or one box exceeds the limit of memory.
    StorageError
        If the output cannot be written, as on a full disk; or another process is writing it. What is done stays, and
        another call goes on.
    AccessError
        If the objects may not be looked up.
    MissingExtraError
        If a format needs a package that is not installed.

    Examples
    --------
    >>> import tempfile, imageryclient as ic
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> folder = Path(tempfile.mkdtemp())
    >>> em = np.arange(64 * 64 * 8, dtype=np.uint8).reshape(64, 64, 8)
    >>> _ = write_precomputed(folder / "em", [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    >>> client = ic.ImageryClient(image_source=str(folder / "em"))
    >>> report = export(client, [[16, 16, 4], [40, 20, 4]], folder / "train.zarr", bbox_size=(8, 8, 2))
    >>> report.done, report.failed, report.manifest.name
    (2, 0, 'manifest.csv')
    """
    asked = Asked(
        format=format,
        bbox_size=bbox_size,
        resolution=resolution,
        column=column,
        mip=mip,
        image_mip=image_mip,
        segmentation_mip=segmentation_mip,
        root_ids=root_ids,
        timestamp=timestamp,
        missing=missing,
        masks=masks,
        ids_columns=ids_columns,
        overlay=overlay,
        manifest=manifest,
        places_per_shard=places_per_shard,
    )
    plan = make_plan(client, points, to, asked, resume=resume)
    if plan.complete and not len(plan.left):
        plan.job.workspace.end()
        return _report(plan, int(plan.ledger.done.sum()))
    try:
        with plan.begun() as plan:
            resumed = int(plan.ledger.done.sum())
            counting = counter(progress, len(plan.places), done=len(plan.places) - len(plan.left))
            try:
                _write_all(plan, scheduler, counting, patience)
            finally:
                counting.close()
            _finish(plan, wait=min(patience, _VISIBLE) if scheduler is not None else 0.0)
            plan.job.workspace.end()
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("places that are done are kept: the same call goes on with the others")
        raise
    plan.job.workspace.leave()
    _say_what_is_empty(plan)
    return _report(plan, resumed)


def _say_what_is_empty(plan: Plan) -> None:
    """Warn where most masks of a column are empty: its ids are those of another moment, mostly."""
    if plan.settings.moment is None:
        return
    for n, (name, column) in enumerate(plan.masks.items()):
        given = plan.ledger.done & (plan.places.ids[column] != 0)
        empty = given & (plan.ledger.voxels[:, n] == 0)
        absent, asked = int(np.count_nonzero(empty)), int(np.count_nonzero(given))
        if 2 * absent > asked:
            fact = f"the mask {name!r} is empty at {absent} of {asked} places"
            why = f"its ids may not be those of the moment {plan.settings.moment}"
            warn_caller(IdWarning(f"{fact}: {why}. Pass timestamp=, that of the table they come from"))


def _finish(plan: Plan, wait: float) -> None:
    """Write what comes after the last place.

    What other machines have written may take a while to be seen here, so it is looked for again for so many seconds.
    """
    output = open_format(plan.job.format, plan.job.workspace, plan.job.layout)
    until = time.monotonic() + wait
    while lost := output.finish(plan.ledger.done):
        if time.monotonic() >= until:
            plan.ledger.drop(lost, said(DamagedDataError("what was written of it is gone or damaged: export again")))
            break
        time.sleep(_LOOK)
    write_manifest(plan.settings.manifest, plan.manifest, plan.job.workspace)


def _report(plan: Plan, resumed: int) -> ExportReport:
    done, errors = int(plan.ledger.done.sum()), plan.ledger.errors
    return ExportReport(
        output=plan.job.workspace.output,
        manifest=plan.job.workspace.manifest(plan.settings.manifest),
        places=len(plan.places),
        done=done,
        failed=len(plan.places) - done,
        resumed=resumed,
        moment=plan.settings.at,
        first_error=errors[min(errors)] if errors else None,
    )


def _write_all(plan: Plan, scheduler: Client | None, counting: Counter, patience: float) -> None:
    """Write what is left, then again what failed for reasons that may pass."""
    rows, pauses, until = plan.left, iter((0.0, *_PAUSES)), None
    while len(rows):
        again = []
        for outcome in _outcomes(plan, rows, scheduler):
            if isinstance(outcome, Entry):
                plan.ledger.add([outcome])
            else:
                plan.ledger.errors[outcome.index] = said(outcome.error)
                if _may_pass(outcome.error, first=until is None):
                    again.append(outcome.index)
                    continue
            counting.update()
        rows = np.array(sorted(again), np.int64)
        if until is None:
            until = time.monotonic() + patience
        elif time.monotonic() >= until:
            break
        if again:
            time.sleep(next(pauses, _PAUSES[-1]))


def _may_pass(error: ImageryError, *, first: bool) -> bool:
    """Whether another try may succeed: damage is looked at once more, a server may come back."""
    if isinstance(error, DamagedDataError):
        return first
    return isinstance(error, StorageError) and not isinstance(error, AccessError)


def _outcomes(plan: Plan, rows: NDArray[np.int64], scheduler: Client | None) -> Iterator[Entry | FailedPlace]:
    if scheduler is None:
        return write_here(plan, rows)
    from .cluster import write_on

    return write_on(scheduler, plan, rows)
