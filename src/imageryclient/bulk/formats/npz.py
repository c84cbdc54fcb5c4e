"""A file of numpy's for each place, which `imageryclient.load_cutout` opens too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..workspace import Workspace
from .base import Layout, Products
from .png import write_pictures
from .zipped import zipped_arrays

__all__ = ["NpzFormat"]


class NpzFormat:
    """Files `000000.npz` and so on, with `image`, `segmentation`, `mask_NAME`, and `metadata` as JSON.

    Parameters
    ----------
    workspace : Workspace
        Where to.
    layout : Layout
        What.
    """

    def __init__(self, workspace: Workspace, layout: Layout) -> None:
        self._workspace = workspace
        self._layout = layout

    def prepare(self) -> None:
        """Write nothing: files stand alone."""

    def write(self, place: int, products: Products) -> None:
        """Write the file of a place, and its overlay."""
        name = self._layout.name(place)
        arrays: list[tuple[str, NDArray[Any]]] = [("metadata", np.array(products.cut.record().to_json()))]
        arrays += [(array.name, products.array(array.name)) for array in self._layout.arrays]
        write_pictures(self._workspace, "overlay", name, products.pictures)
        self._workspace.write(self._workspace.folder / f"{name}.npz", zipped_arrays(arrays))

    def finish(self, done: NDArray[np.bool_]) -> list[int]:
        """Write nothing: files stand alone."""
        return []
