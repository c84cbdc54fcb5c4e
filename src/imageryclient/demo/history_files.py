"""A history on disk: `history.npz` with the arrays, `history.json` with the rest."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..cave.node_ids import NodeLayout
from ..errors import FormatError, ImageryError, NotFoundError
from .operations import Operation

__all__ = ["Stored", "restore", "store"]

_FORMAT = "imageryclient-history-1"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a history is made of.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, shape (n,), sorted.
    pieces : numpy.ndarray
        int64, shape (n,): the piece of each; no operation ever parts a piece.
    initial : numpy.ndarray
        uint64, the root of each piece at the start.
    layout : NodeLayout
        How ids are laid out.
    oldest : float
        When the record begins, unix seconds.
    operations : sequence of Operation
        All edits, by time.
    versions : mapping of int to float
        Materialization versions and their moments.
    """

    supervoxels: NDArray[np.uint64]
    pieces: NDArray[np.int64]
    initial: NDArray[np.uint64]
    layout: NodeLayout
    oldest: float
    operations: Sequence[Operation]
    versions: Mapping[int, float]


def store(folder: Path, stored: Stored) -> None:
    """Write a history into a folder.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> one = np.ones(1, np.uint64) << np.uint64(56)
    >>> layout = NodeLayout((64, 64, 64), 3, 8, (8, 8, 1))
    >>> stored = Stored(one, np.zeros(1, np.int64), np.uint64(3) * one, layout, 1e9, (), {1: 1e9})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store(Path(folder), stored)
    ...     restore(Path(folder)).versions
    {1: 1000000000.0}
    """
    np.savez_compressed(
        folder / "history.npz",
        supervoxels=stored.supervoxels,
        pieces=stored.pieces,
        initial=stored.initial,
        moved=np.concatenate([np.empty(0, np.int64), *(op.pieces for op in stored.operations)]),
        moved_counts=np.array([op.pieces.size for op in stored.operations], np.int64),
    )
    text = {
        "format": _FORMAT,
        "oldest": stored.oldest,
        "graph": stored.layout.to_info(),
        # Ids as text: readers of JSON other than Python's hold numbers as floats.
        "operations": [
            {
                "time": op.time,
                "kind": op.kind,
                "before": [str(root) for root in op.before],
                "after": [str(root) for root in op.after],
            }
            for op in stored.operations
        ],
        "versions": {str(number): moment for number, moment in stored.versions.items()},
    }
    (folder / "history.json").write_text(json.dumps(text, indent=1), encoding="utf-8")


def restore(folder: Path) -> Stored:
    """Read what `store` wrote.

    Raises
    ------
    NotFoundError
        If the files are absent.
    FormatError
        If they do not hold a history.
    """
    try:
        text = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        # Opened here, since numpy leaves a file that is no archive open.
        with (folder / "history.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            supervoxels, pieces, initial = arrays["supervoxels"], arrays["pieces"], arrays["initial"]
            ends = np.cumsum(arrays["moved_counts"])
            moved = np.split(arrays["moved"], ends[:-1]) if ends.size else []
        if text["format"] != _FORMAT:
            raise FormatError(f"{folder / 'history.json'} is not of format {_FORMAT}")
        operations = [
            Operation(
                number,
                float(op["time"]),
                op["kind"],
                tuple(map(int, op["before"])),
                tuple(map(int, op["after"])),
                members,
            )
            for number, (op, members) in enumerate(zip(text["operations"], moved, strict=True), start=1)
        ]
        versions = {int(number): float(moment) for number, moment in text["versions"].items()}
        layout = NodeLayout.from_info(text["graph"])
        return Stored(supervoxels, pieces, initial, layout, float(text["oldest"]), operations, versions)
    except FileNotFoundError:
        raise NotFoundError(f"{folder} holds no history (history.json and history.npz)") from None
    except ImageryError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"the history in {folder} cannot be read: {error!r}") from None
