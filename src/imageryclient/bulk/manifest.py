"""The manifest: a row for each place, in the order of the points, that tells what became of it.

Ids are whole numbers, in CSV with all their digits; pandas reads them as uint64 with
`dtype={"pre_pt_root_id": "uint64"}`, and by itself where all are positive.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError, MissingExtraError
from ..geometry import IntTriple, Resolution
from ..ids import Ids
from .journal import Entry, Ledger
from .workspace import Workspace

__all__ = ["Manifest", "ManifestKind", "check_names", "parse_manifest", "read_entries", "write_manifest"]

ManifestKind = Literal["csv", "parquet"]
_BATCH = 10_000  # rows written at once
_AXES = "xyz"
_OWN = ("place", *_AXES, "moment", "status", "error")
_OWN_PREFIXES = ("resolution_", "start_", "stop_", "voxel_", "covered_", "voxels_")


def parse_manifest(kind: object) -> ManifestKind:
    """Check the `manifest` argument.

    Raises
    ------
    ArgumentError
        If it is no kind of manifest.
    MissingExtraError
        For "parquet", if pyarrow is not installed.

    Examples
    --------
    >>> parse_manifest("csv")
    'csv'
    """
    if kind not in get_args(ManifestKind):
        raise ArgumentError(f"manifest must be 'csv' or 'parquet'; got {kind!r}")
    if kind == "parquet":
        _pyarrow()
    return cast(ManifestKind, kind)


def check_names(ids: Iterable[str], masks: Mapping[str, str]) -> None:
    """Refuse columns of ids that bear the names of a manifest's own columns, or that masks are of and are not there.

    Raises
    ------
    ArgumentError
        With the columns.
    """
    names = list(ids)
    clash = [name for name in names if name in _OWN or name.startswith(_OWN_PREFIXES)]
    if clash:
        raise ArgumentError(
            f"the manifest has columns of its own that are named {', '.join(clash)}: rename those of ids"
        )
    absent = [column for column in masks.values() if column not in names]
    if absent:
        raise ArgumentError(f"the places have no ids {', '.join(absent)}; they have {', '.join(names) or 'none'}")


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            "a manifest in Parquet needs pyarrow: pip install 'imageryclient[parquet]', or leave it as CSV"
        ) from None
    return pyarrow


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """What a manifest tells.

    Parameters
    ----------
    centers : numpy.ndarray
        float64, shape (n, 3), as given: voxels of `resolution`.
    resolution : tuple of float
        nm per voxel of the centres.
    starts : numpy.ndarray
        int64, shape (n, 3): the first voxel of each box, on the grid of the arrays.
    shape : tuple of int
        Voxels of each box.
    voxel : tuple of float
        nm per voxel of the arrays.
    moment : datetime or None
        Of the segmentation; None for one that does not change.
    layers : tuple of str
        The layers, in the order of the ledger's columns.
    masks : tuple of str
        The masks, likewise.
    ids : mapping of str to numpy.ndarray
        The ids of each place, by the name of their column; uint64, shape (n,), 0 where there is none.
    ledger : Ledger
        What became of each place.
    """

    centers: NDArray[np.float64]
    resolution: Resolution
    starts: NDArray[np.int64]
    shape: IntTriple
    voxel: Resolution
    moment: datetime | None
    layers: tuple[str, ...]
    masks: tuple[str, ...]
    ledger: Ledger
    ids: Mapping[str, Ids] = field(default_factory=dict)

    def columns(self, rows: slice) -> dict[str, list[Any]]:
        """Give the columns of some rows, by name; None where there is nothing to say."""
        done = self.ledger.done[rows]
        places = range(*rows.indices(len(self.ledger.done)))
        found: dict[str, list[Any]] = {"place": list(places)}
        placed: NDArray[np.bool_] = np.asarray(~np.isnan(self.centers[rows]).any(axis=1))
        found |= {axis: _where(placed, self.centers[rows, n]) for n, axis in enumerate(_AXES)}
        found |= {f"resolution_{axis}": [self.resolution[n]] * len(places) for n, axis in enumerate(_AXES)}
        found |= {f"start_{axis}": _where(placed, self.starts[rows, n]) for n, axis in enumerate(_AXES)}
        stops = self.starts[rows] + np.array(self.shape)
        found |= {f"stop_{axis}": _where(placed, stops[:, n]) for n, axis in enumerate(_AXES)}
        found |= {f"voxel_{axis}": [self.voxel[n]] * len(places) for n, axis in enumerate(_AXES)}
        found["moment"] = [None if self.moment is None else self.moment.isoformat()] * len(places)
        for n, layer in enumerate(self.layers):
            found[f"covered_{layer}"] = _where(done, self.ledger.covered[rows, n])
        found |= {name: [number or None for number in ids[rows].tolist()] for name, ids in self.ids.items()}
        for n, mask in enumerate(self.masks):
            found[f"voxels_{mask}"] = _where(done, self.ledger.voxels[rows, n])
        found["status"] = ["done" if one else "failed" for one in done.tolist()]
        found["error"] = [self.ledger.errors.get(place) for place in places]
        return found

    @property
    def batches(self) -> Iterator[dict[str, list[Any]]]:
        """The columns of so many rows at a time; once even where there are none."""
        for at in range(0, max(len(self.ledger.done), 1), _BATCH):
            yield self.columns(slice(at, at + _BATCH))


def _where(known: NDArray[np.bool_], values: NDArray[Any]) -> list[Any]:
    return [value if one else None for one, value in zip(known.tolist(), values.tolist(), strict=True)]


def write_manifest(kind: ManifestKind, manifest: Manifest, workspace: Workspace) -> Path:
    """Write the manifest, whole or not at all.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    StorageError
        If the disk is full, or does not let it be written.
    """
    path = workspace.manifest(kind)
    with workspace.staged(path) as staged:
        _WRITERS[kind](staged, manifest)
    return path


def _write_csv(path: Path, manifest: Manifest) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, columns in enumerate(manifest.batches):
            if not number:
                writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))


def _write_parquet(path: Path, manifest: Manifest) -> None:
    pa = _pyarrow()
    texts, whole = ("moment", "status", "error"), ("place", "start_", "stop_", "voxels_")
    fields = []
    for name in manifest.columns(slice(0, 0)):
        kind = pa.float64()
        if name in manifest.ids:
            kind = pa.uint64()
        elif name in texts:
            kind = pa.string()
        elif name.startswith(whole):
            kind = pa.int64()
        fields.append(pa.field(name, kind))
    schema = pa.schema(fields)
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for columns in manifest.batches:
            writer.write_table(pa.table(columns, schema=schema))


def read_entries(path: Path, layers: Sequence[str], masks: Sequence[str]) -> Iterator[Entry]:
    """Give the places that a manifest says are done.

    Raises
    ------
    FormatError
        If it is no manifest of these layers and masks.
    """
    try:
        for row in _READERS[path.suffix](path):
            if row["status"] == "done":
                covered = tuple(float(row[f"covered_{layer}"]) for layer in layers)
                yield Entry(int(row["place"]), covered, tuple(int(row[f"voxels_{mask}"]) for mask in masks))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise FormatError(f"{str(path)!r} is no manifest of this export: {type(error).__name__}: {error}") from None


def _read_csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _read_parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    with _pyarrow().parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH):
            yield from batch.to_pylist()


_WRITERS: dict[ManifestKind, Callable[[Path, Manifest], None]] = {"csv": _write_csv, "parquet": _write_parquet}
_READERS: dict[str, Callable[[Path], Iterator[Mapping[str, Any]]]] = {".csv": _read_csv, ".parquet": _read_parquet}
