"""Places: many centres, and the one size of the boxes around them.

A box of `s` voxels around `c` starts at `floor(c) - s // 2`, in the voxels that the size counts. On a grid of other
voxels it has the same shape for every place: as many voxels as the size takes, a part of one counted whole, from the
voxel that begins nearest to where the box does. Where a voxel given is a whole number of the grid's, as at the finest
scale of most datasets, this is the very box of `client.cutout`; on coarser grids that one is now and then a voxel
larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from ..geometry import TOLERANCE, Box, IntTriple, Resolution, as_resolution, as_size
from ..ids import Ids
from ..points import parse_points
from .tables import ids_in, read_csv

__all__ = ["Places", "parse_places"]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Boxes of one size around many centres.

    Parameters
    ----------
    centers : numpy.ndarray
        float64, shape (n, 3): x, y, z of each in voxels of `resolution`; NaN where there is no position.
    resolution : tuple of float
        nm per voxel of `centers`.
    size : tuple of float
        Voxels of `size_resolution` along x, y, z, the same for all.
    ids : mapping of str to numpy.ndarray
        Ids that belong to the places, such as those on either side of a synapse: uint64, shape (n,), by name.
    index : numpy.ndarray
        int64, shape (n,): the row of each among the places given.
    size_resolution : tuple of float, optional
        nm per voxel of `size`; by default as of `centers`.

    Examples
    --------
    >>> places = parse_places([[100, 100, 10], [300, 120, 11]], size=(64, 64, 8), default=(4, 4, 40))
    >>> places.shape_at((8.0, 8.0, 40.0)), places.starts_at((8.0, 8.0, 40.0)).tolist()
    ((32, 32, 8), [[34, 34, 6], [134, 44, 7]])
    """

    centers: NDArray[np.float64]
    resolution: Resolution
    size: tuple[float, float, float]
    ids: Mapping[str, Ids] = field(default_factory=dict)
    index: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    size_resolution: Resolution | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_resolution", self.size_resolution or self.resolution)
        if len(self.index) != len(self.centers):
            object.__setattr__(self, "index", np.arange(len(self.centers)))

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def placed(self) -> NDArray[np.bool_]:
        """Which have a position, shape (n,)."""
        return np.asarray(~np.isnan(self.centers).any(axis=1))

    def take(self, rows: ArrayLike | slice) -> Places:
        """Give some of the places, by position, slice or mask; each keeps its `index`."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        ids = {name: column[rows] for name, column in self.ids.items()}
        return replace(self, centers=self.centers[rows], ids=ids, index=self.index[rows])

    def shape_at(self, resolution: Resolution) -> IntTriple:
        """Give the voxels of a grid that each box has along x, y, z."""
        spans = self._ratio(resolution) * np.array(self.size)
        x, y, z = np.maximum(_whole(spans, np.ceil), 1).tolist()
        return x, y, z

    def starts_at(self, resolution: Resolution) -> NDArray[np.int64]:
        """Give the first voxel of each box on a grid, int64, shape (n, 3); every place must have a position."""
        centers = self.centers
        if self.size_resolution != self.resolution:
            centers = centers * (np.array(self.resolution) / np.array(self.size_resolution))
        low = _whole(centers, np.floor) - _whole(np.array(self.size) / 2, np.floor)
        return _whole(low * self._ratio(resolution) + 0.5, np.floor)

    def boxes_at(self, resolution: Resolution) -> list[Box]:
        """Give the boxes on a grid."""
        return boxes_from(self.starts_at(resolution), self.shape_at(resolution), resolution)

    def _ratio(self, resolution: Resolution) -> NDArray[np.float64]:
        return np.asarray(np.array(self.size_resolution) / np.array(resolution))


def boxes_from(starts: NDArray[np.int64], shape: IntTriple, resolution: Resolution) -> list[Box]:
    """Give the boxes of one shape that begin at these voxels."""
    stops = starts + np.array(shape)
    pairs = zip(starts.tolist(), stops.tolist(), strict=True)
    return [Box(cast(IntTriple, tuple(a)), cast(IntTriple, tuple(b)), resolution) for a, b in pairs]


def parse_places(
    points: Any,
    *,
    size: ArrayLike,
    resolution: ArrayLike | None = None,
    default: ArrayLike | None = None,
    column: str | None = None,
    ids_columns: Sequence[str] = (),
) -> Places:
    """Read places.

    Parameters
    ----------
    points : array_like, pandas.DataFrame, pandas.Series, Places or path
        Shape (n, 3): x, y, z of the centres; or a CAVE table with a position, split or joined; or a CSV file with such
        columns, or with x, y and z.
    size : array_like
        Two or three numbers of voxels; two make one section.
    resolution : array_like, optional
        nm per voxel of the numbers and of the size. By default that of the points is what their table says of itself.
    default : array_like, optional
        nm per voxel of the size, and of points that do not say it, where `resolution` is not given.
    column : str, optional
        Which position of a table that has several, such as "pre_pt_position".
    ids_columns : sequence of str
        Columns of ids to keep with the places, such as "pre_pt_root_id". An empty cell is 0.

    Raises
    ------
    ArgumentError
        If the table has no such column, or nothing says what the numbers count.
    BoundsError
        If the numbers are no points, or the size is none.
    NotFoundError
        If there is no such file.

    Examples
    --------
    >>> parse_places([[10, 20, 3], [11, 21, 3]], size=(64, 64), resolution=(8, 8, 40)).size
    (64.0, 64.0, 1.0)
    """
    if isinstance(points, Places):
        return points
    table = read_csv(Path(points)) if isinstance(points, (str, PathLike)) else points
    parsed = parse_points(table, column, scaled=resolution is not None)
    unit = parsed.resolution if resolution is None else as_resolution(resolution)
    if unit is None:
        if default is None:
            raise ArgumentError("the points do not say what their numbers count: pass resolution=, nm per voxel")
        unit = as_resolution(default)
    if isinstance(ids_columns, str):
        ids_columns = (ids_columns,)
    ids = {name: ids_in(table, name) for name in ids_columns}
    # A table in nm, as CAVE gives it on request, does not make the size one in nm: that is the caller's own number.
    counted = unit if resolution is not None or default is None else as_resolution(default)
    return Places(parsed.xyz, unit, as_size(size), ids, size_resolution=counted)


def _whole(numbers: NDArray[np.float64], rounded: Any) -> NDArray[np.int64]:
    """Round down or up, but take what is next to a whole number for that number."""
    nearest = np.rint(numbers)
    near = np.abs(numbers - nearest) < TOLERANCE
    return np.asarray(np.where(near, nearest, rounded(numbers)).astype(np.int64))
