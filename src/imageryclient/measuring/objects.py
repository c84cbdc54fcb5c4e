"""How large each object of a box is, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from ..geometry import Box
from ..ids import parse_ids
from .labels import Labeled, as_frame, labeled

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

__all__ = ["Measurements", "measure"]

_CHUNK = 1 << 21  # voxels looked at in one go, which bounds the temporary arrays
_NM3_PER_UM3 = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """A table with one row for each object.

    Parameters
    ----------
    bounds : Box
        The box that was measured.
    ids : numpy.ndarray
        uint64, shape (n,).
    voxels : numpy.ndarray
        int64, shape (n,): how many voxels each has in the box.
    low, high : numpy.ndarray
        int64, shape (n, 3): its first voxel, and one past the last, along x, y and z, counted as `bounds` is. Both are
        the first voxel of the box where it has none.
    centroid : numpy.ndarray
        float64, shape (n, 3), in nm: the mean of the centres of its voxels; NaN where it has none.
    on_border : numpy.ndarray
        bool, shape (n,): whether it reaches a face of the box, so that there may be more of it beyond. In a cutout of
        one section every object does.

    Examples
    --------
    >>> found = measure(np.array([[[7], [7]], [[9], [0]]]), Box((10, 0, 0), (12, 2, 1), (8.0, 8.0, 40.0)))
    >>> found.ids.tolist(), found.voxels.tolist(), found.volume_um3.tolist()
    ([7, 9], [2, 1], [5.12e-06, 2.56e-06])
    >>> found.centroid.tolist()
    [[84.0, 8.0, 20.0], [92.0, 4.0, 20.0]]
    >>> found.to_frame()["voxels"].tolist()
    [2, 1]
    """

    bounds: Box
    ids: NDArray[np.uint64]
    voxels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    centroid: NDArray[np.float64]
    on_border: NDArray[np.bool_]

    @property
    def volume_um3(self) -> NDArray[np.float64]:
        """Volume of each object's voxels, in µm³; shape (n,)."""
        volumes: NDArray[np.float64] = self.voxels * np.float64(prod(self.bounds.resolution) / _NM3_PER_UM3)
        return volumes

    @property
    def low_nm(self) -> NDArray[np.float64]:
        """Lower corner of each bounding box, in nm; shape (n, 3)."""
        corners: NDArray[np.float64] = self.low * np.array(self.bounds.resolution)
        return corners

    @property
    def high_nm(self) -> NDArray[np.float64]:
        """Upper corner of each bounding box, in nm; shape (n, 3)."""
        corners: NDArray[np.float64] = self.high * np.array(self.bounds.resolution)
        return corners

    def __len__(self) -> int:
        return len(self.ids)

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a DataFrame, one row for each object.

        Returns
        -------
        pandas.DataFrame
            Columns `id` (uint64), `voxels`, `volume_um3`, `x_start`, `x_stop` and so on in voxels, `x_start_nm`,
            `x_stop_nm` and so on, `x_nm`, `y_nm`, `z_nm` of the centroid, and `on_border`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        columns: dict[str, NDArray[Any]] = {"id": self.ids, "voxels": self.voxels, "volume_um3": self.volume_um3}
        for unit, low, high in (("", self.low, self.high), ("_nm", self.low_nm, self.high_nm)):
            for axis, name in enumerate("xyz"):
                columns[f"{name}_start{unit}"], columns[f"{name}_stop{unit}"] = low[:, axis], high[:, axis]
        for axis, name in enumerate("xyz"):
            columns[f"{name}_nm"] = self.centroid[:, axis]
        return as_frame({**columns, "on_border": self.on_border})

    def __repr__(self) -> str:
        return f"<Measurements of {len(self)} objects in {self.bounds}>"


def measure(segmentation: Any, bounds: Box | None = None, ids: ArrayLike | None = None) -> Measurements:
    """Measure the objects in a box: voxels, volume, bounding box, centroid.

    Only what lies within the box counts. Voxels without data are 0, and belong to no object.

    Parameters
    ----------
    segmentation : Cutout, SegmentationMasks or array_like
        Ids along x, y, z; 0 stands for no object.
    bounds : Box, optional
        The voxels that the segmentation fills; a cutout knows them.
    ids : array_like of int, optional
        Which to list, in this order, each once; one that has no voxel gets a row of its own, with 0 voxels. By default
        all there are, in ascending order.

    Returns
    -------
    Measurements
        One row for each id.

    Raises
    ------
    ArgumentError
        If the segmentation does not fill the box, or ids are none.

    Examples
    --------
    >>> found = measure(np.full((4, 4, 2), 5), Box((0, 0, 0), (4, 4, 2), (8.0, 8.0, 40.0)), ids=[5, 6])
    >>> found.voxels.tolist(), found.on_border.tolist()
    ([32, 0], [True, False])
    """
    what = labeled(segmentation, bounds)
    present, extents = what.masks.ids, what.masks.extents
    wanted = present if ids is None else parse_ids(ids)
    if not wanted.all() and 0 not in present:
        raise ArgumentError("0 stands for no object, so it is none to measure")
    at = np.searchsorted(present, wanted).clip(max=max(0, len(present) - 1))
    there = present[at] == wanted if len(present) else np.zeros(len(wanted), np.bool_)
    rows = np.where(there, at + 1, 0)
    voxels = np.where(there, extents.counts[rows], 0)
    low, high = (np.where(there[:, None], ends[rows], 0) for ends in (extents.low, extents.high))
    start, shape = np.array(what.bounds.start, np.int64), np.array(what.bounds.shape, np.int64)
    mean = np.full((len(wanted), 3), np.nan)
    np.divide(_index_sums(what)[rows], voxels[:, None], out=mean, where=there[:, None])
    return Measurements(
        bounds=what.bounds,
        ids=wanted.copy(),
        voxels=voxels,
        low=low + start,
        high=high + start,
        centroid=(start + mean + 0.5) * np.array(what.bounds.resolution),
        on_border=there & ((low == 0) | (high == shape)).any(axis=1),
    )


def _index_sums(what: Labeled) -> NDArray[np.int64]:
    """Sum the indices of each label's voxels along each axis: shape (labels + 1, 3), exact.

    Runs of one label along the contiguous axis are found first, and only they are looked at.
    """
    labels, count = what.masks.labels, len(what.masks)
    order = [0, 1, 2] if labels.flags.c_contiguous else [2, 1, 0]
    block = np.ascontiguousarray(labels.transpose(order))
    sums = np.zeros((count + 1, 3), np.int64)
    length = block.shape[2]
    lines = block.reshape(-1, length)
    step = max(1, _CHUNK // max(1, length))
    for first in range(0, len(lines), step):
        part = lines[first : first + step]
        begins = np.ones(part.shape, np.bool_)
        np.not_equal(part[:, 1:], part[:, :-1], out=begins[:, 1:])
        starts = np.flatnonzero(begins)
        sizes = np.diff(starts, append=part.size)
        values = part.reshape(-1)[starts]
        kept = values > 0
        starts, sizes, values = starts[kept], sizes[kept], values[kept]
        line, position = np.divmod(starts, length)
        outer, middle = np.divmod(line + first, block.shape[1])
        along = (outer * sizes, middle * sizes, position * sizes + sizes * (sizes - 1) // 2)
        for axis, terms in zip(order, along, strict=True):
            np.add.at(sums[:, axis], values, terms)
    return sums
