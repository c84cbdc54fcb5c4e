"""Segmentations as a mapping from id to mask, which holds compact labels and makes a mask when asked for one.

A dictionary of one full array per id costs ids times voxels; `SegmentationMasks` costs one small integer per
voxel, and a mask the zero fill of its array plus the bounding box of its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .compact import Extents, compact_labels, extents, integers, looked_up, occurring, renamed
from .errors import ArgumentError
from .ids import as_ids

__all__ = ["SegmentationMasks", "segmentation_masks"]

_SHOWN = 10  # ids in a notebook


class SegmentationMasks(Mapping[int, NDArray[np.bool_]]):
    """A mapping from id to mask, in ascending order of ids, which computes a mask when asked for one.

    Keys are Python ints; look-up also takes numpy integers of any width and strings of digits, never floats,
    which cannot hold an id exactly. A mask is a new bool array of the segmentation's shape and axes.

    Parameters
    ----------
    segmentation : array_like of int
        Ids, of any integer dtype and any number of axes. Not kept.
    include_null_root : bool, optional
        Whether id 0, which stands for no object, counts as an id. Default False.

    Raises
    ------
    ArgumentError
        If the segmentation does not hold integers, or holds negative ones.

    Examples
    --------
    >>> masks = SegmentationMasks(np.array([[0, 7, 7], [9, 9, 7]], dtype=np.uint64))
    >>> list(masks), masks.voxel_count(7), masks.bounding_box(9)
    ([7, 9], 3, (slice(1, 2, None), slice(0, 2, None)))
    >>> masks[np.uint64(7)].astype(int).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """

    __slots__ = ("_extents", "_ids", "_labels")

    _labels: NDArray[Any]
    _ids: NDArray[np.uint64]
    _extents: Extents | None

    def __init__(self, segmentation: ArrayLike, include_null_root: bool = False) -> None:
        ids, labels = compact_labels(integers(segmentation, "a segmentation"), include_null_root)
        self._fill(labels, ids)

    @classmethod
    def from_labels(cls, labels: ArrayLike, ids: ArrayLike, include_null_root: bool = False) -> SegmentationMasks:
        """Take small labels and the table of the ids they stand for: a voxel's id is `ids[label]`.

        Parameters
        ----------
        labels : array_like of int
            Indices into `ids`. Not kept.
        ids : array_like of int
            One id for each label, in any order; labels that share an id are merged.
        include_null_root : bool, optional
            Whether id 0 counts as an id. Default False.

        Returns
        -------
        SegmentationMasks
            Of the shape of `labels`.

        Raises
        ------
        ArgumentError
            If a label has no entry in `ids`, or either does not hold integers from 0.

        Examples
        --------
        >>> masks = SegmentationMasks.from_labels([[0, 1], [2, 3]], [0, 50, 40, 50])
        >>> {key: int(mask.sum()) for key, mask in masks.items()}
        {40: 1, 50: 2}
        """
        index = integers(labels, "labels")
        table = as_ids(ids).reshape(-1).copy()
        if index.size and (int(index.min()) < 0 or int(index.max()) >= len(table)):
            raise ArgumentError(
                f"labels must be indices into the {len(table)} ids given; got {index.min()} to {index.max()}"
            )
        present = np.unique(table[occurring(index, len(table))])
        present = present if include_null_root else present[present > 0]
        entries = np.where(np.isin(table, present, kind="sort"), np.searchsorted(present, table) + 1, 0)
        return cls._from_compact(renamed(index, entries, len(present)), present)

    @classmethod
    def _from_compact(cls, labels: NDArray[Any], ids: NDArray[np.uint64]) -> SegmentationMasks:
        masks = cls.__new__(cls)
        masks._fill(labels, ids)
        return masks

    def _fill(self, labels: NDArray[Any], ids: NDArray[np.uint64]) -> None:
        labels.flags.writeable = False
        ids.flags.writeable = False
        self._labels, self._ids, self._extents = labels, ids, None

    @property
    def ids(self) -> NDArray[np.uint64]:
        """The ids in ascending order, read-only."""
        return self._ids

    @property
    def labels(self) -> NDArray[Any]:
        """Compact labels, read-only: 0 where no id of the mapping lies, otherwise `k` for `ids[k - 1]`.

        Of the segmentation's shape and axes, in uint8, uint16 or uint32, the smallest that fits.
        """
        return self._labels

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the segmentation and of every mask."""
        return self._labels.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._labels.ndim

    @property
    def extents(self) -> Extents:
        """Bounding boxes and sizes by label, found for all ids together when first needed."""
        if self._extents is None:
            self._extents = extents(self._labels, len(self._ids))
        return self._extents

    def bounding_box(self, key: int) -> tuple[slice, ...]:
        """Give the smallest block that holds an id.

        Parameters
        ----------
        key : int
            The id.

        Returns
        -------
        tuple of slice
            One for each axis.

        Raises
        ------
        KeyError
            If the id is not in the mapping.
        """
        return self.extents.box(self._label(key))

    def voxel_count(self, key: int) -> int:
        """Count the voxels of an id.

        Parameters
        ----------
        key : int
            The id.

        Returns
        -------
        int
            Voxels in the segmentation; 0 only in a `section` of a larger one.

        Raises
        ------
        KeyError
            If the id is not in the mapping.
        """
        return int(self.extents.counts[self._label(key)])

    def crop(self, key: int) -> NDArray[np.bool_]:
        """Give the mask of an id within its bounding box alone.

        Parameters
        ----------
        key : int
            The id.

        Returns
        -------
        numpy.ndarray
            bool, of the shape of `bounding_box(key)`.

        Raises
        ------
        KeyError
            If the id is not in the mapping.

        Examples
        --------
        >>> SegmentationMasks([[0, 7, 0], [0, 7, 7]]).crop(7).astype(int).tolist()
        [[1, 0], [1, 1]]
        """
        label = self._label(key)
        return np.asarray(self._labels[self.extents.box(label)] == label)

    def select(self, ids: Iterable[Any]) -> SegmentationMasks:
        """Keep some of the ids, in ascending order as before; voxels of the others become 0.

        Parameters
        ----------
        ids : iterable of int
            Which ones.

        Returns
        -------
        SegmentationMasks
            Of the same shape.

        Raises
        ------
        KeyError
            If an id is not in the mapping.

        Examples
        --------
        >>> SegmentationMasks([[1, 2, 3]]).select([3, 1]).segmentation().tolist()
        [[1, 0, 3]]
        """
        chosen = np.unique(np.array([self._label(key) for key in ids], dtype=np.intp))
        entries = np.zeros(len(self._ids) + 1, np.intp)
        entries[chosen] = np.arange(1, len(chosen) + 1)
        return self._from_compact(renamed(self._labels, entries, len(chosen)), self._ids[chosen - 1])

    def section(self, index: int, axis: int = 2) -> SegmentationMasks:
        """Give one section, with the labels and ids of the whole: some may have no voxel in it.

        Parameters
        ----------
        index : int
            Which section, counted from 0.
        axis : int, optional
            The axis it lies across. Default 2, z.

        Returns
        -------
        SegmentationMasks
            With an axis less.

        Examples
        --------
        >>> masks = SegmentationMasks(np.array([[[5, 0]], [[5, 8]]]))
        >>> list(masks.section(0)), masks.section(0).voxel_count(8), masks.section(1).labels.tolist()
        ([5, 8], 0, [[0], [2]])
        """
        return self._from_compact(self._labels[(slice(None),) * axis + (index,)], self._ids)

    def segmentation(self) -> NDArray[np.uint64]:
        """Give the ids as an array.

        Returns
        -------
        numpy.ndarray
            uint64, of the shape of the segmentation; 0 where no id of the mapping lies.

        Examples
        --------
        >>> SegmentationMasks([[0, 7], [9, 7]]).segmentation().tolist()
        [[0, 7], [9, 7]]
        """
        table = np.concatenate([np.zeros(1, np.uint64), self._ids])
        return looked_up(table, self._labels)

    def _label(self, key: object) -> int:
        if isinstance(key, str) and key.isdecimal():
            key = int(key)
        if not isinstance(key, (int, np.integer)) and not (
            isinstance(key, np.ndarray) and key.ndim == 0 and key.dtype.kind in "iu"
        ):
            raise KeyError(f"ids are integers; got {key!r}")
        number = int(key)
        if 0 <= number < 2**64:
            at = int(np.searchsorted(self._ids, np.uint64(number)))
            if at < len(self._ids) and int(self._ids[at]) == number:
                return at + 1
        raise KeyError(f"id {number} is not among the {len(self._ids)} ids of this segmentation")

    def __getitem__(self, key: int) -> NDArray[np.bool_]:
        label = self._label(key)
        box: tuple[Any, ...] = (..., *self.extents.box(label))
        mask = np.zeros(self.shape, np.bool_, order="C" if self._labels.flags.c_contiguous else "F")
        np.equal(self._labels[box], label, out=mask[box])
        return mask

    def __contains__(self, key: object) -> bool:
        try:
            self._label(key)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids.tolist())

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SegmentationMasks):
            return NotImplemented
        return np.array_equal(self._ids, other._ids) and np.array_equal(self._labels, other._labels)

    __hash__ = None  # type: ignore[assignment]  # as for every mapping

    def __reduce__(self) -> tuple[Any, ...]:
        return SegmentationMasks._from_compact, (self._labels, self._ids)

    def _repr_html_(self) -> str:
        """Show the largest ids with the voxels of each."""
        from .notebook import table

        counts = self.extents.counts[1:]
        largest = np.argsort(counts, kind="stable")[::-1][:_SHOWN].tolist()
        rows = [[str(self._ids[n]), f"{int(counts[n]):,}"] for n in largest]
        title = f"{len(self):,} ids in an array of {' x '.join(map(str, self.shape))}"
        more = f"and {len(self) - len(rows):,} smaller ones" if len(self) > len(rows) else ""
        return table(title, ["id", "voxels"], rows, more)

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self._ids[:3].tolist())) + (", ..." if len(self) > 3 else "")
        return f"<SegmentationMasks: {len(self)} ids ({shown or 'none'}) in an array of {self.shape}>"


def segmentation_masks(seg_img: ArrayLike, include_null_root: bool = False) -> SegmentationMasks:
    """Split a segmentation into one mask for each id.

    Parameters
    ----------
    seg_img : array_like of int
        The id at each voxel.
    include_null_root : bool, optional
        Whether to make a mask for id 0, which stands for no object. Default False.

    Returns
    -------
    SegmentationMasks
        A mapping from id to bool array of the shape of `seg_img`, in ascending order of ids.

    Raises
    ------
    ArgumentError
        If `seg_img` does not hold integers from 0.

    Examples
    --------
    >>> for root_id, mask in segmentation_masks([[0, 5], [5, 8]]).items():
    ...     print(root_id, mask.astype(int).tolist())
    5 [[0, 1], [1, 0]]
    8 [[0, 0], [0, 1]]
    """
    return SegmentationMasks(seg_img, include_null_root)
