"""Planes through a block of voxels, turned as Neuroglancer's panels are, with square pixels.

An xy panel shows x to the right and y down; an xz panel x to the right and z down; a yz panel z to the left and y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import TOLERANCE, Box, Resolution
from ..section import Section

__all__ = ["Plane", "PlaneGrid"]

Plane = Literal["xy", "xz", "yz"]
_AXES = {"xy": (0, 1, 2), "xz": (0, 2, 1), "yz": (2, 1, 0)}  # to the right, down, into the screen
_FROM_THE_END = {"yz"}  # to the right runs against the axis


@dataclass(frozen=True, slots=True)
class PlaneGrid:
    """How blocks of one shape and resolution become sections of a plane.

    Parameters
    ----------
    plane : {"xy", "xz", "yz"}
        Which plane.
    resolution : tuple of float
        nm per voxel of the blocks.

    Raises
    ------
    ArgumentError
        If there is no such plane.

    Examples
    --------
    >>> grid = PlaneGrid("xz", (8.0, 8.0, 40.0))
    >>> grid.nm_per_pixel, grid.sections(np.zeros((100, 7, 20))).shape
    (8.0, (100, 100, 7))
    """

    plane: Plane
    resolution: Resolution

    def __post_init__(self) -> None:
        """Refuse other planes."""
        if self.plane not in _AXES:
            raise ArgumentError(f"plane must be 'xy', 'xz' or 'yz'; got {self.plane!r}")

    @property
    def nm_per_pixel(self) -> float:
        """Of the sections, along both axes: the finer of the two."""
        right, down, _ = _AXES[self.plane]
        return min(self.resolution[right], self.resolution[down])

    @property
    def depth(self) -> float:
        """How thick a section is, in nm."""
        return self.resolution[_AXES[self.plane][2]]

    @property
    def stretch(self) -> tuple[float, float]:
        """How many pixels a voxel is wide and high in the sections."""
        right, down, _ = _AXES[self.plane]
        return self.resolution[right] / self.nm_per_pixel, self.resolution[down] / self.nm_per_pixel

    def places(self, box: Box) -> list[Section]:
        """Say where the sections of a block lie, each in the middle of its thickness; `box` is what the block covers.

        Examples
        --------
        >>> (first, *_) = PlaneGrid("xz", (8.0, 8.0, 40.0)).places(Box((0, 0, 0), (10, 7, 2), (8.0, 8.0, 40.0)))
        >>> first.center, first.size, first.nm_per_pixel
        ((40.0, 4.0, 40.0), (10, 10), 8.0)
        """
        nm = self.nm_per_pixel
        right, down, into = _AXES[self.plane]
        size = self._pixels(box.shape, right), self._pixels(box.shape, down)
        corners = [(start * r, stop * r) for start, stop, r in zip(box.start, box.stop, self.resolution, strict=True)]
        center = [0.0, 0.0, 0.0]
        ends = (corners[right][1] - size[0] * nm, corners[right][1])
        center[right] = sum(ends) / 2 if self.plane in _FROM_THE_END else corners[right][0] + size[0] * nm / 2
        center[down] = corners[down][0] + size[1] * nm / 2
        places = []
        for at in range(box.shape[into]):
            center[into] = corners[into][0] + (at + 0.5) * self.resolution[into]
            places.append(Section((center[0], center[1], center[2]), size, nm, panel=self.plane))
        return places

    def _pixels(self, shape: tuple[int, ...], axis: int) -> int:
        """Give how many pixels the voxels along an axis take."""
        return max(1, round(shape[axis] * (self.resolution[axis] / self.nm_per_pixel)))

    def sections(self, block: NDArray[Any]) -> NDArray[Any]:
        """Give the sections of a block.

        Parameters
        ----------
        block : numpy.ndarray
            Axes (x, y, z), or (x, y, z, c).

        Returns
        -------
        numpy.ndarray
            Axes (right, down, section), or with channels one more; a view of the block where its voxels are square
            there. Else each pixel takes the voxel that contains its centre.
        """
        turned = np.moveaxis(block, _AXES[self.plane], (0, 1, 2))
        if self.plane in _FROM_THE_END:
            turned = turned[::-1]
        for at, axis in enumerate(_AXES[self.plane][:2]):
            stretch = self.resolution[axis] / self.nm_per_pixel
            if stretch != 1:
                pixels = self._pixels(block.shape, axis)
                centers = (np.arange(pixels) + 0.5) / stretch
                # a voxel holds its lower border, which lies at its far end where it is gone through backwards
                backwards = at == 0 and self.plane in _FROM_THE_END
                nearest = (np.ceil(centers - TOLERANCE) - 1 if backwards else np.floor(centers + TOLERANCE)).astype(
                    np.intp
                )
                turned = turned.take(nearest.clip(0, block.shape[axis] - 1), axis=at)
        return turned
