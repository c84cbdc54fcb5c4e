"""TIFF stacks for each place, for Fiji and its kin; see `files.stacks`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import ArgumentError
from ...files.stacks import tiff_package, write_stack
from ...masks import SegmentationMasks
from ..workspace import Workspace
from .base import Layout, Products
from .png import write_pictures

__all__ = ["TiffFormat"]

_KINDS = ("bool", "uint8", "uint16", "float32")  # that ImageJ reads
_LABELS = 2**16 - 1


class TiffFormat:
    """Folders `imagery`, `segmentation` and `mask_NAME` of stacks `000000.tif` and so on.

    A segmentation is written as labels 1, 2, 3, … of 16 bits, with the ids they stand for in the file; masks as 0 and
    255.

    Parameters
    ----------
    workspace : Workspace
        Where to.
    layout : Layout
        What.

    Raises
    ------
    ArgumentError
        If the imagery has other values than such stacks hold.
    MissingExtraError
        If tifffile is not installed.
    """

    def __init__(self, workspace: Workspace, layout: Layout) -> None:
        tiff_package()
        if layout.image is not None and layout.image not in _KINDS:
            raise ArgumentError(
                f"stacks for ImageJ hold uint8, uint16 and float32; the imagery is {layout.image}: export it as zarr, "
                "npz or h5"
            )
        self._workspace = workspace
        self._layout = layout

    def prepare(self) -> None:
        """Write nothing: stacks stand alone."""

    def write(self, place: int, products: Products) -> None:
        """Write the stacks of a place."""
        name, record = self._layout.name(place), products.cut.record()
        segments = SegmentationMasks(products.array("segmentation")) if self._layout.segmentation else None
        if segments is not None and len(segments) > _LABELS:
            raise ArgumentError(f"a stack holds {_LABELS} segments; there are {len(segments)}: export as zarr or h5")
        for array in self._layout.arrays:
            block, ids = products.array(array.name), None
            if array.name == "segmentation" and segments is not None:
                block, ids = segments.labels.astype(np.uint16), segments.ids
            with self._workspace.staged(self._workspace.folder / array.folder / f"{name}.tif") as staged:
                write_stack(staged, block, record, ome=False, ids=ids)
        write_pictures(self._workspace, "overlay", name, products.pictures)

    def finish(self, done: NDArray[np.bool_]) -> list[int]:
        """Write nothing: stacks stand alone."""
        return []
