"""What proofreading changed in a box between two moments: a table of pairs of roots, arrays, and a picture.

Supervoxels do not change, so each has one root before and one after, and a pair of different roots is a change. What
kind it is shows in the pairs that share a root with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .compact import compact_labels, extents, looked_up
from .coverage import Coverage
from .errors import ArgumentError, MissingExtraError
from .geometry import Box
from .ids import Ids
from .moment import format_moment

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Change", "ChangeKind", "Changes", "compare"]

ChangeKind = Literal["merged", "split", "merged and split", "renamed"]
_COLORS: dict[ChangeKind, tuple[float, float, float]] = {
    "merged": (0.10, 0.75, 0.30),
    "split": (0.95, 0.22, 0.20),
    "merged and split": (0.70, 0.30, 0.95),
    "renamed": (0.95, 0.75, 0.15),
}
_UNCHANGED = (0.55, 0.55, 0.55)
_SHADES = (1.0, 0.7, 0.85, 0.55)  # neighbours of one kind are told apart by brightness
_DIM = 0.4  # of the opacity of what changed
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Change:
    """Voxels that went from one root to another.

    Parameters
    ----------
    old, new : int
        Their root before, and after.
    voxels : int
        How many in the box.
    of_old, of_new : float
        Their share of the old root's and of the new root's voxels in the box, 0 to 1.
    kind : {"merged", "split", "merged and split", "renamed"}
        "merged": the new root holds voxels of other roots too. "split": others of the old root's voxels went elsewhere.
        "renamed": the same voxels under a new id, as what changed lies outside the box.
    """

    old: int
    new: int
    voxels: int
    of_old: float
    of_new: float
    kind: ChangeKind


@dataclass(frozen=True, eq=False, repr=False)
class Changes:
    """What changed in a box between two moments; made by `ImageryClient.changes`.

    Parameters
    ----------
    rows : tuple of Change
        Each pair of an old and a new root, the largest first.
    bounds : Box
        The voxels of the arrays, at their resolution.
    since, until : datetime
        The moments.
    labels : numpy.ndarray
        Axes (x, y, z): for each voxel its supervoxel's place in `supervoxels`, counted from 1; 0 for none.
    supervoxels, old, new : numpy.ndarray
        uint64: the supervoxels of the box, their roots before, and after.
    image : numpy.ndarray or None
        Imagery on the same grid, axes (x, y, z), with several channels (x, y, z, c).
    coverage : mapping of str to Coverage
        For "imagery" and "segmentation": which voxels come from data.

    Examples
    --------
    >>> from imageryclient.moment import parse_moment
    >>> labels = np.array([[[1], [2], [3]]], dtype=np.uint8)
    >>> changes = Changes.between(
    ...     np.array([[[11], [12], [13]]], dtype=np.uint64), Box((0, 0, 0), (1, 3, 1), (8, 8, 40)),
    ...     parse_moment("2024-01-01"), parse_moment("2024-02-01"),
    ...     lambda supervoxels: (np.array([70, 71, 72], "u8"), np.array([73, 73, 72], "u8")))
    >>> print(changes)
    Changes in [0:1, 0:3, 0:1] at 8 x 8 x 40 nm from 2024-01-01 00:00:00 UTC to 2024-02-01 00:00:00 UTC: 2 merged
    old root  new root  voxels  of old  of new  kind
          70        73       1   100 %    50 %  merged
          71        73       1   100 %    50 %  merged
    """

    rows: tuple[Change, ...]
    bounds: Box
    since: datetime
    until: datetime
    labels: NDArray[Any]
    supervoxels: Ids
    old: Ids
    new: Ids
    image: NDArray[Any] | None = None
    coverage: Mapping[str, Coverage] = field(default_factory=dict)

    @classmethod
    def between(
        cls,
        supervoxels: Ids,
        bounds: Box,
        since: datetime,
        until: datetime,
        roots: Any,
        image: NDArray[Any] | None = None,
        coverage: Mapping[str, Coverage] | None = None,
    ) -> Changes:
        """Compare two moments.

        Parameters
        ----------
        supervoxels : numpy.ndarray
            uint64, axes (x, y, z).
        bounds, since, until, image, coverage
            As of the class.
        roots : callable
            Gives the roots before and after of supervoxels, which are sorted.

        Returns
        -------
        Changes
            Of these supervoxels.
        """
        ids, labels = compact_labels(supervoxels, include_null=False)
        old, new = roots(ids)
        rows = compare(old, new, extents(labels, len(ids)).counts[1:])
        return cls(rows, bounds, since, until, labels, ids, old, new, image, coverage or {})

    @cached_property
    def before(self) -> Ids:
        """The root of each voxel at the first moment: uint64, axes (x, y, z); 0 where there is none."""
        return looked_up(_with_null(self.old), self.labels)

    @cached_property
    def after(self) -> Ids:
        """The root of each voxel at the second moment: uint64, axes (x, y, z); 0 where there is none."""
        return looked_up(_with_null(self.new), self.labels)

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Which voxels have another root after than before: bool, axes (x, y, z)."""
        return looked_up(np.concatenate([[False], self.old != self.new]), self.labels)

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """Rows of each kind, of those kinds that there are."""
        found = Counter(row.kind for row in self.rows)
        return {kind: found[kind] for kind in _COLORS if found[kind]}

    def to_dataframe(self) -> Any:
        """Give the rows as a table.

        Returns
        -------
        pandas.DataFrame
            Columns old_root, new_root (uint64), voxels, of_old, of_new, kind.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> rows = (Change(70, 73, 12, 1.0, 0.5, "merged"), Change(71, 73, 12, 1.0, 0.5, "merged"))
        >>> none, box = np.zeros(0, np.uint64), Box((0, 0, 0), (1, 1, 1), (8, 8, 40))
        >>> moments = datetime(2024, 1, 1), datetime(2024, 2, 1)
        >>> Changes(rows, box, *moments, np.zeros((1, 1, 1)), none, none, none).to_dataframe()["old_root"].tolist()
        [70, 71]
        """
        try:
            import pandas as pd  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise MissingExtraError("a DataFrame needs pandas: pip install pandas") from None
        names = {"old": "old_root", "new": "new_root", "voxels": "voxels", "of_old": "of_old", "of_new": "of_new"}
        kinds = {"old": np.uint64, "new": np.uint64, "voxels": np.int64}
        columns: dict[str, Any] = {
            title: np.array([getattr(row, name) for row in self.rows], dtype=kinds.get(name, np.float64))
            for name, title in names.items()
        }
        return pd.DataFrame({**columns, "kind": [row.kind for row in self.rows]})

    def overlay(self, alpha: float = 0.5, **options: Any) -> Image.Image | list[Image.Image]:
        """Paint what changed over the imagery.

        Merged is green, split is red, both at once is purple, a new id for the same voxels is yellow; what did not
        change is a dim grey. Shades of a colour tell apart the pieces that came together, or went apart.

        Parameters
        ----------
        alpha : float, optional
            Opacity of what changed, 0 to 1; what did not change has 0.4 of it. Default 0.5.
        **options
            As for `composite_overlay`: `outline`, `width`, `side`, …

        Returns
        -------
        PIL.Image.Image or list of PIL.Image.Image
            RGBA, x to the right and y down; one picture for a single section, else a list of them along z.

        Raises
        ------
        ArgumentError
            If `colors` or `palette` are given: colours tell here what kind a change is.

        Examples
        --------
        >>> supervoxels = np.array([[[11], [12], [13]]], dtype=np.uint64)
        >>> changes = Changes.between(
        ...     supervoxels, Box((0, 0, 0), (1, 3, 1), (8, 8, 40)), datetime(2024, 1, 1), datetime(2024, 2, 1),
        ...     lambda ids: (np.array([70, 71, 72], "u8"), np.array([73, 73, 72], "u8")))
        >>> changes.overlay().getpixel((0, 0))  # merged is green
        (25, 191, 76, 127)
        """
        from .painting.overlay import composite_overlay

        if "colors" in options or "palette" in options:
            raise ArgumentError("the colours of changes tell what kind they are; they take no colors= or palette=")
        paints, colors = self._paints()
        still = looked_up(np.concatenate([[0], self.old == self.new]).astype(np.uint8), self.labels)
        moved = looked_up(np.concatenate([[0], paints]).astype(np.uint32), self.labels)
        pictures: list[Image.Image] = []
        for z in range(self.bounds.shape[2]):
            image = None if self.image is None else self.image[:, :, z]
            beneath = composite_overlay(still[:, :, z], colors={1: _UNCHANGED}, alpha=alpha * _DIM, imagery=image)
            painted = composite_overlay(moved[:, :, z], colors=colors, alpha=alpha, imagery=beneath, **options)
            pictures.append(cast("Image.Image", painted))
        return pictures[0] if len(pictures) == 1 else pictures

    def _paints(self) -> tuple[NDArray[np.uint32], dict[int, tuple[float, ...]]]:
        """Give for each supervoxel the number of its row from 1, 0 for none; and a colour for each number."""
        number = {(row.old, row.new): n for n, row in enumerate(self.rows, start=1)}
        pairs = zip(self.old.tolist(), self.new.tolist(), strict=True)
        paints = np.array([number.get(pair, 0) for pair in pairs], dtype=np.uint32)
        of_kind: Counter[str] = Counter()
        colors = {}
        for n, row in enumerate(self.rows, start=1):
            shade = _SHADES[of_kind[row.kind] % len(_SHADES)]
            of_kind[row.kind] += 1
            colors[n] = tuple(part * shade for part in _COLORS[row.kind])
        return paints, colors

    def __str__(self) -> str:
        lines = [repr(self).strip("<>")]
        if self.rows:
            cells = [("old root", "new root", "voxels", "of old", "of new", "kind")]
            for row in self.rows[:_SHOWN]:
                shares = (f"{100 * share:.3g} %" for share in (row.of_old, row.of_new))
                cells.append((str(row.old), str(row.new), str(row.voxels), *shares, row.kind))  # type: ignore[arg-type]
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            for line in cells:
                padded = (f"{cell:>{width}}" for cell, width in zip(line[:5], widths, strict=False))
                lines.append("  ".join((*padded, line[5])))
        if len(self.rows) > _SHOWN:
            lines.append(f"and {len(self.rows) - _SHOWN} more")
        return "\n".join(lines)

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {kind}" for kind, count in self.counts.items()) or "nothing changed"
        return f"<Changes in {self.bounds} from {format_moment(self.since)} to {format_moment(self.until)}: {told}>"


def compare(old: Ids, new: Ids, voxels: NDArray[np.int64]) -> tuple[Change, ...]:
    """Tell which roots changed into which.

    Parameters
    ----------
    old, new : numpy.ndarray
        uint64, shape (n,): the roots of the same supervoxels at two moments.
    voxels : numpy.ndarray
        Shape (n,): voxels of each supervoxel.

    Returns
    -------
    tuple of Change
        The pairs of roots that differ, the most voxels first, then by id.

    Examples
    --------
    >>> old, new = np.array([5, 5, 6, 7], dtype="u8"), np.array([8, 9, 6, 10], dtype="u8")
    >>> [(row.old, row.new, row.kind) for row in compare(old, new, np.array([3, 2, 1, 1]))]
    [(5, 8, 'split'), (5, 9, 'split'), (7, 10, 'renamed')]
    """
    pairs: dict[tuple[int, int], int] = {}
    olds: Counter[int] = Counter()
    news: Counter[int] = Counter()
    for a, b, count in zip(old.tolist(), new.tolist(), voxels.tolist(), strict=True):
        pairs[a, b] = pairs.get((a, b), 0) + count
        olds[a] += count
        news[b] += count
    children, parents = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    kinds: dict[tuple[bool, bool], ChangeKind] = {
        (False, False): "renamed",
        (True, False): "merged",
        (False, True): "split",
        (True, True): "merged and split",
    }
    rows = [
        Change(a, b, count, count / olds[a], count / news[b], kinds[parents[b] > 1, children[a] > 1])
        for (a, b), count in pairs.items()
        if a != b
    ]
    return tuple(sorted(rows, key=lambda row: (-row.voxels, row.old, row.new)))


def _with_null(ids: Ids) -> Ids:
    return np.concatenate([np.zeros(1, np.uint64), ids])
