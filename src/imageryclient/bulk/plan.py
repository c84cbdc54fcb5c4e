"""An export before it begins: what the caller asks for, checked, and what of it is done already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, BoundsError
from ..files.record import lasting
from ..layers import Mip
from ..moment import is_settled, now
from ..reading import Missing
from ..volumes.base import is_versioned
from .formats import Layout, open_format, parse_format, places_per_file, workspace_for
from .journal import Ledger, read_journal
from .lock import locked
from .manifest import Manifest, ManifestKind, check_names, parse_manifest, read_entries
from .places import Places, parse_places
from .settings import Settings, digest_of, plain
from .terms import Terms, check_size, terms_of
from .workspace import Workspace
from .writing import Job, try_overlay

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Asked", "Plan", "make_plan", "said"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of an export that shape it; see `export`."""

    format: Any = "zarr"
    bbox_size: ArrayLike = (256, 256)
    resolution: ArrayLike | None = None
    column: str | None = None
    mip: Mip = None
    image_mip: Mip = None
    segmentation_mip: Mip = None
    root_ids: Any = "all"
    timestamp: Any = None
    missing: Missing = "fill"
    masks: Mapping[str, str] | Sequence[str] | None = None
    ids_columns: Sequence[str] = ()
    overlay: Mapping[str, Any] | bool | None = None
    manifest: Any = "csv"
    places_per_shard: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An export.

    Parameters
    ----------
    client : ImageryClient
        Where from.
    places : Places
        Which.
    terms : Terms
        What is read at each.
    job : Job
        What is written of each.
    masks : mapping of str to str
        For each mask the column of its ids.
    settings : Settings
        What shapes the output.
    ledger : Ledger
        What is known of each place.
    complete : bool
        Whether an export came to its end here before; it may have failed at some places.
    """

    client: ImageryClient
    places: Places
    terms: Terms
    job: Job
    masks: Mapping[str, str]
    settings: Settings
    ledger: Ledger
    complete: bool

    @property
    def left(self) -> NDArray[np.int64]:
        """The places that are not done and have a position."""
        return np.flatnonzero(~self.ledger.done & self.places.placed)

    @property
    def manifest(self) -> Manifest:
        """What the manifest tells."""
        placed = self.places.placed
        starts = np.zeros((len(self.places), 3), np.int64)
        starts[placed] = self.places.take(placed).starts_at(self.terms.resolution)
        return Manifest(
            centers=self.places.centers,
            resolution=self.places.resolution,
            starts=starts,
            shape=self.job.layout.shape,
            voxel=self.terms.resolution,
            moment=self.settings.at,
            layers=self.job.layers,
            masks=tuple(self.masks),
            ledger=self.ledger,
            ids=self.places.ids,
        )

    def ids_at(self, index: int) -> dict[str, int]:
        """Give the id of each mask at a place."""
        return {name: int(self.places.ids[column][index]) for name, column in self.masks.items()}

    @contextmanager
    def begun(self) -> Iterator[Plan]:
        """Make the output's folders and head, say in it what it is, and keep others from writing it meanwhile.

        Gives the plan with what is done by now: another process may have been at it when this plan was made.

        Raises
        ------
        StorageError
            If another process is at it, or the output cannot be written.
        """
        workspace = self.job.workspace
        with locked(workspace.lock, workspace.output):
            workspace.begin()
            if not workspace.begun:
                self.settings.save(workspace)
                plan = self
            else:
                self.settings.resumed(workspace, frozen=True)
                plan = replace(self, ledger=_ledger(workspace, self.settings.manifest, self.places, self.job))
            open_format(self.job.format, workspace, self.job.layout).prepare()
            yield plan


def make_plan(client: ImageryClient, points: Any, to: str | PathLike[str], asked: Asked, *, resume: bool) -> Plan:
    """Check what is asked for, and see what is done of it; nothing is written.

    Raises
    ------
    ArgumentError
        If an argument makes no sense; if something else lies at the output, or an export with other settings; if
        `resume` is False and one was begun there.
    BoundsError, ScaleError, TooLargeError, NotFoundError, MissingExtraError
        As for `export`.
    """
    name, kind = parse_format(asked.format), parse_manifest(asked.manifest)
    workspace = workspace_for(name, Path(to).expanduser().absolute())
    workspace.check()
    masks = _mask_columns(asked.masks)
    places = parse_places(
        points,
        size=asked.bbox_size,
        resolution=asked.resolution,
        default=client._resolution_of(None),
        column=asked.column,
        ids_columns=tuple(dict.fromkeys([*masks.values(), *asked.ids_columns])),
    )
    places = replace(places, index=np.arange(len(places)))  # numbered from 0, all of them
    check_names(places.ids, masks)
    terms = terms_of(
        client,
        mip=asked.mip,
        image_mip=asked.image_mip,
        segmentation_mip=asked.segmentation_mip,
        root_ids=asked.root_ids,
        timestamp=asked.timestamp,
        missing=asked.missing,
    )
    shape = places.shape_at(terms.resolution)
    check_size(client, terms, shape)
    volumes = {layer: client.volumes[layer] for layer, _ in terms.mips}
    if masks and "segmentation" not in volumes:
        raise ArgumentError("masks are of ids in a segmentation, which this client does not have")
    image = volumes.get("imagery")
    overlay = _overlay(asked.overlay)
    if name == "png" and image is None and not masks and overlay is None:
        raise ArgumentError("pictures of a segmentation are overlays or masks: pass overlay=True, or masks=")
    versioned = "segmentation" in volumes and is_versioned(volumes["segmentation"])
    settings = Settings(
        format=name,
        manifest=kind,
        sources={layer: lasting(volume.source) for layer, volume in volumes.items()},
        mips=dict(terms.mips),
        dtypes={layer: _dtype(volume.info.dtype, volume.info.channels) for layer, volume in volumes.items()},
        shape=shape,
        voxel=terms.resolution,
        resolution=places.resolution,
        size_resolution=places.size_resolution or places.resolution,
        moment=terms.wanted.moment.isoformat() if versioned else None,
        root_ids=terms.wanted.root_ids
        if not isinstance(terms.wanted.root_ids, np.ndarray)
        else list(map(str, terms.wanted.root_ids.tolist())),
        missing=terms.missing,
        masks=masks,
        overlay=None if overlay is None else plain(overlay),
        places=len(places),
        digest=_digest(places),
    )
    layout = Layout(
        count=len(places),
        shape=shape,
        image=None if image is None else image.info.dtype.name,
        channels=1 if image is None else image.info.channels,
        segmentation="segmentation" in volumes,
        masks=tuple(masks),
    )
    shard = places_per_file(name, layout, asked.places_per_shard)
    settings = replace(settings, places_per_shard=shard)
    if workspace.begun:
        if not resume:
            raise ArgumentError(
                f"an export was begun at {str(workspace.output)!r}: pass resume=True to go on with it, or remove it"
            )
        fixed = asked.timestamp is not None or client._moment is not None or client._version() is not None
        sharded = asked.places_per_shard is not None
        settings = settings.resumed(
            workspace,
            frozen=fixed or not versioned,
            sharded=sharded,
            first=lambda count: _digest(places.take(slice(0, count))),
        )
        if settings.at is not None:
            wanted = replace(terms.wanted, moment=settings.at, pinned=is_settled(settings.at, now()))
            terms = replace(terms, wanted=wanted)
    layout = replace(layout, about=settings.to_dict(), places_per_file=settings.places_per_shard or 1)
    open_format(name, workspace, layout)  # which may not hold such voxels
    if overlay is not None:
        try_overlay(layout, overlay)
    job = Job(name, workspace, layout, tuple(volumes), overlay)
    ledger = _ledger(workspace, kind, places, job)
    complete = workspace.manifest(kind).is_file() and not workspace.open
    return Plan(client, places, terms, job, masks, settings, ledger, complete)


def _digest(places: Places) -> str:
    return digest_of(places.centers, places.ids)


def _ledger(workspace: Workspace, kind: ManifestKind, places: Places, job: Job) -> Ledger:
    """Gather what is done from the manifest of a run that came to its end, and from journals of those that did not."""
    masks = job.layout.masks
    ledger = Ledger.empty(len(places), len(job.layers), len(masks))
    if workspace.begun:
        if workspace.manifest(kind).is_file():
            ledger.add(read_entries(workspace.manifest(kind), job.layers, masks))
        ledger.add(read_journal(workspace.journal))
    for index in np.flatnonzero(~places.placed).tolist():
        ledger.errors[index] = said(BoundsError(f"place {index} has no position"))
    return ledger


def said(error: Exception) -> str:
    """Give an error as the manifest has it.

    Examples
    --------
    >>> said(BoundsError("place 3 has no position"))
    'BoundsError: place 3 has no position'
    """
    return f"{type(error).__name__}: {error}"


# What some system's file names do not hold, or zarr's and HDF5's names.
_NOT_IN_NAMES = {*'/\\.:*?"<>|', *map(chr, range(32))}


def _mask_columns(masks: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    if masks is None:
        return {}
    if isinstance(masks, str):
        masks = (masks,)
    columns = dict(masks) if isinstance(masks, Mapping) else {column: column for column in masks}
    for name, column in columns.items():
        if not isinstance(name, str) or not isinstance(column, str) or not name or set(name) & _NOT_IN_NAMES:
            raise ArgumentError(
                "masks= is a mapping from names, without slashes, dots, colons and such, to columns of ids, like "
                f"{{'pre': 'pre_pt_root_id'}}; got {name!r}: {column!r}"
            )
    return columns


def _overlay(options: Mapping[str, Any] | bool | None) -> dict[str, Any] | None:
    if options is None or options is False:
        return None
    if options is True:
        return {}
    if not isinstance(options, Mapping):
        raise ArgumentError(f"overlay= is True or a mapping of options as for composite_overlay; got {options!r}")
    return dict(options)


def _dtype(dtype: np.dtype[Any], channels: int) -> str:
    return dtype.name if channels == 1 else f"{dtype.name} x {channels}"
