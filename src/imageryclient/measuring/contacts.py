"""Which objects of a box touch, and over what area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fastremap
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import Box, Resolution
from ..ids import as_ids, parse_ids
from .labels import Labeled, as_frame, labeled

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

__all__ = ["Contacts", "contact_areas"]

_CHUNK = 1 << 21  # voxels looked at in one go, which bounds the temporary arrays
_NM2_PER_UM2 = 1e6
_Counted = tuple[NDArray[np.uint64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class Contacts:
    """A table with one row for each pair of objects that touch.

    Parameters
    ----------
    bounds : Box
        The box that was looked at.
    pairs : numpy.ndarray
        uint64, shape (n, 2): the ids, the smaller one first; rows in ascending order.
    faces : numpy.ndarray
        int64, shape (n, 3): how many faces of voxels the two share, across x, across y and across z.

    Examples
    --------
    >>> found = contact_areas(np.array([[[7], [9]], [[7], [9]]]), Box((0, 0, 0), (2, 2, 1), (8.0, 8.0, 40.0)))
    >>> found.pairs.tolist(), found.faces.tolist(), found.area_um2.tolist()
    ([[7, 9]], [[0, 2, 0]], [0.00064])
    >>> found.between(9, 7), found.to_frame().columns.tolist()
    (0.00064, ['id_1', 'id_2', 'area_um2', 'faces_x', 'faces_y', 'faces_z'])
    """

    bounds: Box
    pairs: NDArray[np.uint64]
    faces: NDArray[np.int64]

    @property
    def areas_um2(self) -> NDArray[np.float64]:
        """Area of the faces across x, y and z apart, in µm²; shape (n, 3)."""
        areas: NDArray[np.float64] = self.faces * np.array(_face_areas(self.bounds.resolution))
        return areas

    @property
    def area_um2(self) -> NDArray[np.float64]:
        """Area of all faces that the two share, in µm²; shape (n,)."""
        total: NDArray[np.float64] = self.areas_um2.sum(axis=1)
        return total

    def between(self, first: int, second: int) -> float:
        """Give the area over which two objects touch.

        Parameters
        ----------
        first, second : int
            Their ids, in any order.

        Returns
        -------
        float
            µm²; 0 where they do not touch.
        """
        pair = np.sort(as_ids([first, second]))
        return float(self.area_um2[(self.pairs == pair).all(axis=1)].sum())

    def __len__(self) -> int:
        return len(self.pairs)

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a DataFrame, one row for each pair.

        Returns
        -------
        pandas.DataFrame
            Columns `id_1`, `id_2` (uint64), `area_um2`, and `faces_x`, `faces_y`, `faces_z`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        columns: dict[str, NDArray[Any]] = {"id_1": self.pairs[:, 0], "id_2": self.pairs[:, 1]}
        columns["area_um2"] = self.area_um2
        return as_frame({**columns, **{f"faces_{name}": self.faces[:, axis] for axis, name in enumerate("xyz")}})

    def __repr__(self) -> str:
        return f"<Contacts: {len(self)} pairs of objects that touch in {self.bounds}>"


def contact_areas(segmentation: Any, bounds: Box | None = None, ids: ArrayLike | None = None) -> Contacts:
    """Find all pairs of objects that touch, and how large the area is.

    Two objects touch where a voxel of one shares a face with a voxel of the other. The area is that of these faces: a
    face across x measures as much as a voxel does along y times along z. So it is exact for the voxels, and of a
    smooth surface that they stand for an upper bound: right for one along the axes, and up to 1.73 times too large for
    one that lies aslant to all three. Objects between which lies a voxel of 0 do not touch.

    Parameters
    ----------
    segmentation : Cutout, SegmentationMasks or array_like
        Ids along x, y, z; 0 stands for no object.
    bounds : Box, optional
        The voxels that the segmentation fills; a cutout knows them.
    ids : array_like of int, optional
        List only pairs with at least one of these.

    Returns
    -------
    Contacts
        One row for each pair.

    Raises
    ------
    ArgumentError
        If the segmentation does not fill the box.

    Examples
    --------
    >>> contact_areas(np.array([[[7]], [[9]]]), Box((0, 0, 0), (2, 1, 1), (8.0, 8.0, 40.0))).between(9, 7)
    0.00032
    """
    what = labeled(segmentation, bounds)
    present = what.masks.ids
    chosen = np.ones(len(present) + 1, np.bool_)
    around = (slice(None),) * 3
    if ids is not None:
        chosen[1:] = np.isin(present, parse_ids(ids))
        around = _around(what, chosen)
    base = np.uint64(len(present) + 1)
    counted = [_merged(parts) for parts in _shared_faces(what, around, chosen)]
    keys = np.unique(np.concatenate([keys for keys, _ in counted]))
    faces = np.zeros((len(keys), 3), np.int64)
    for axis, (names, counts) in enumerate(counted):
        faces[np.searchsorted(keys, names), axis] = counts
    labels = np.stack(np.divmod(keys, base), axis=1).astype(np.intp)
    pairs = present[labels - 1] if len(keys) else np.empty((0, 2), np.uint64)
    return Contacts(what.bounds, pairs, faces)


def _face_areas(resolution: Resolution) -> tuple[float, float, float]:
    x, y, z = resolution
    return y * z / _NM2_PER_UM2, x * z / _NM2_PER_UM2, x * y / _NM2_PER_UM2


def _around(what: Labeled, chosen: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """Give the box of the labels chosen, with one voxel more on each side: all that touches them has a voxel there."""
    extents = what.masks.extents
    rows = 1 + np.flatnonzero(chosen[1:])
    if not rows.size:
        return (slice(0, 0),) * 3
    low = (extents.low[rows].min(axis=0) - 1).clip(0).tolist()
    x, y, z = (slice(a, b + 1) for a, b in zip(low, extents.high[rows].max(axis=0).tolist(), strict=True))
    return x, y, z


def _shared_faces(what: Labeled, around: tuple[slice, ...], chosen: NDArray[np.bool_]) -> list[list[_Counted]]:
    """Count the faces between different labels, axis by axis: pairs as one number, and how many there are of each."""
    labels, base = what.masks.labels, np.uint64(len(what.masks) + 1)
    order = [0, 1, 2] if labels.flags.c_contiguous else [2, 1, 0]
    block = labels[around].transpose(order)
    found: list[list[_Counted]] = [[], [], []]
    step = max(1, _CHUNK // max(1, block[:1].size))
    for first in range(0, len(block), step):
        slab = block[first : first + step]
        neighbours = (
            (block[first : first + step + 1][:-1], block[first + 1 : first + step + 1]),
            (slab[:, :-1], slab[:, 1:]),
            (slab[:, :, :-1], slab[:, :, 1:]),
        )
        for axis, (here, there) in zip(order, neighbours, strict=True):
            at = np.nonzero(here != there)
            low, high = here[at], there[at]
            touching = (low > 0) & (high > 0) & (chosen[low] | chosen[high])
            low, high = low[touching].astype(np.uint64), high[touching].astype(np.uint64)
            if low.size:
                keys = np.minimum(low, high) * base + np.maximum(low, high)
                names, counts = fastremap.unique(keys, return_counts=True)
                found[axis].append((names, counts.astype(np.int64)))
    return found


def _merged(parts: list[_Counted]) -> _Counted:
    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    names, where = np.unique(np.concatenate([names for names, _ in parts]), return_inverse=True)
    counts = np.zeros(len(names), np.int64)
    np.add.at(counts, where, np.concatenate([counts for _, counts in parts]))
    return names, counts
