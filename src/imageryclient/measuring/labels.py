"""What is measured: small labels of whole voxels, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, MissingExtraError
from ..geometry import Box
from ..ids import as_ids
from ..masks import SegmentationMasks

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

__all__ = ["Labeled", "as_frame", "labeled"]


@dataclass(frozen=True, slots=True)
class Labeled:
    """Objects in a box.

    Parameters
    ----------
    masks : SegmentationMasks
        Labels, axes (x, y, z), and the ids they stand for.
    bounds : Box
        The voxels they fill.
    """

    masks: SegmentationMasks
    bounds: Box

    def label(self, root_id: int) -> int:
        """Give the label of an id.

        Raises
        ------
        ArgumentError
            If the id has no voxel here.
        """
        ids = self.masks.ids
        wanted = as_ids(root_id).reshape(-1)
        if wanted.size != 1:
            raise ArgumentError(f"this takes one id; got {root_id!r:.100}")
        at = int(np.searchsorted(ids, wanted[0]))
        if at == len(ids) or ids[at] != wanted[0]:
            raise ArgumentError(f"id {wanted[0]} has no voxel in {self.bounds}, which holds {len(ids)} ids")
        return at + 1


def labeled(segmentation: Any, bounds: Box | None = None) -> Labeled:
    """Take a `Cutout`, or labels and the box they fill.

    Parameters
    ----------
    segmentation : Cutout, SegmentationMasks or array_like
        Ids along x, y, z; 0 stands for no object.
    bounds : Box, optional
        The voxels, for what does not say it.

    Raises
    ------
    ArgumentError
        If there is no segmentation, it has not three axes, or does not fill the box.
    """
    masks = segmentation
    if bounds is None:
        bounds = getattr(segmentation, "bounds", None)
        if not isinstance(bounds, Box):
            raise ArgumentError("an array does not say how large its voxels are: give the Box that it fills, as bounds")
        masks = segmentation.masks
    elif not isinstance(segmentation, SegmentationMasks):
        masks = SegmentationMasks(segmentation)
    if masks.shape != bounds.shape:
        raise ArgumentError(
            f"a segmentation to measure has the axes x, y, z and fills its box, {bounds.shape}; got {masks.shape}"
        )
    return Labeled(masks, bounds)


def as_frame(columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """Make a DataFrame of columns.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise MissingExtraError("a DataFrame needs pandas: pip install 'imageryclient[pandas]'") from None
    return pd.DataFrame(dict(columns))
