"""A picture for each section of each place: imagery, masks, overlays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import ArgumentError
from ...painting.picture import upright
from ..workspace import Workspace
from .base import Layout, Products

__all__ = ["PngFormat", "write_pictures"]

_KINDS = ("bool", "uint8", "uint16")


def write_pictures(workspace: Workspace, folder: str, name: str, pictures: Sequence[Image.Image]) -> None:
    """Write the pictures of a place: `FOLDER/NAME.png`, or of several sections `FOLDER/NAME_slice_0.png` and so on."""
    into = workspace.folder / folder
    for number, picture in enumerate(pictures):
        ending = "" if len(pictures) == 1 else f"_slice_{number}"
        with workspace.staged(into / f"{name}{ending}.png") as staged:
            picture.save(staged, "PNG")


class PngFormat:
    """Folders `imagery`, `mask_NAME` and `overlay` of pictures, x to the right and y down.

    Imagery is grey of 8 or 16 bits or RGB, masks are black and white.

    Parameters
    ----------
    workspace : Workspace
        Where to.
    layout : Layout
        What.

    Raises
    ------
    ArgumentError
        If the imagery has other values than pictures hold.
    """

    def __init__(self, workspace: Workspace, layout: Layout) -> None:
        if layout.image is not None:
            grey = layout.channels == 1 and layout.image in _KINDS
            if not grey and not (layout.image == "uint8" and layout.channels in (3, 4)):
                raise ArgumentError(
                    f"pictures hold uint8, uint16 or RGB; the imagery is {layout.image} of {layout.channels} "
                    "channel(s): export it as zarr, npz or h5"
                )
        self._workspace = workspace
        self._layout = layout

    def prepare(self) -> None:
        """Write nothing: folders come with their first picture."""

    def write(self, place: int, products: Products) -> None:
        """Write the pictures of a place."""
        name = self._layout.name(place)
        for array in self._layout.arrays:
            if array.name != "segmentation":
                write_pictures(self._workspace, array.folder, name, _sections(products.array(array.name)))
        write_pictures(self._workspace, "overlay", name, products.pictures)

    def finish(self, done: NDArray[np.bool_]) -> list[int]:
        """Write nothing: pictures stand alone."""
        return []


def _sections(block: NDArray[Any]) -> list[Image.Image]:
    return [_picture(block[:, :, z]) for z in range(block.shape[2])]


def _picture(section: NDArray[Any]) -> Image.Image:
    if section.dtype == np.uint16:
        return Image.fromarray(np.array(section.T, order="C"))
    return upright(section)
