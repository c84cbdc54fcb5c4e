"""Three planes through one point as panels of one figure: xy, xz below it and yz beside it, all at one scale.

The panels join as the sides of a box folded open: xz shares its x with xy above it, yz its y with xy on its left, and z
runs away from xy in both, down in xz and to the right in yz, as in the orthogonal views of Fiji. So a line through the
point in one panel goes on in the next. (Neuroglancer's yz panel has z to the left; this one is seen from behind it.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, BoundsError
from ..geometry import TOLERANCE, Box, FloatTriple, as_center, as_resolution
from ..section import UNTURNED, Section
from .color import rgb_bytes
from .planes import Plane
from .primitives import Group, Ink, Path
from .sheets import Sheets

__all__ = ["Crossing", "OrthogonalPlanes"]

_Value = TypeVar("_Value", bound=np.generic)

_AXES: dict[Plane, tuple[int, int, int]] = {"xy": (0, 1, 2), "xz": (0, 2, 1), "yz": (2, 1, 0)}
_HALF_TURN = (0.0, 1.0, 0.0, 0.0)  # about y


@dataclass(frozen=True, slots=True)
class OrthogonalPlanes:
    """Three planes through a block of voxels.

    Parameters
    ----------
    bounds : Box
        The block.
    at : tuple of float
        Where they cross: x, y, z in nm, within the block.
    nm_per_pixel : float
        The same in all, along both axes.

    Examples
    --------
    >>> planes = OrthogonalPlanes.through(Box((10, 0, 0), (50, 30, 4), (8.0, 8.0, 40.0)))
    >>> planes.at, planes.section("xy").size, planes.section("xz").size, planes.section("yz").size
    ((240.0, 120.0, 80.0), (40, 30), (40, 20), (20, 30))
    """

    bounds: Box
    at: FloatTriple
    nm_per_pixel: float

    @classmethod
    def through(
        cls,
        bounds: Box,
        at: ArrayLike | None = None,
        *,
        resolution: ArrayLike | None = None,
        nm_per_pixel: float | None = None,
    ) -> OrthogonalPlanes:
        """Read where they cross.

        Parameters
        ----------
        bounds : Box
            The block.
        at : array_like, optional
            x, y, z; by default the middle of the block.
        resolution : array_like, optional
            nm that the numbers of `at` count; by default voxels of the block.
        nm_per_pixel : float, optional
            By default the shortest side of a voxel.

        Raises
        ------
        ArgumentError, BoundsError
            If these are no such numbers, or the point lies outside the block.
        """
        low, high = bounds.nm
        if at is None:
            point = tuple((a + b) / 2 for a, b in zip(low, high, strict=True))
        else:
            unit = bounds.resolution if resolution is None else as_resolution(resolution)
            point = tuple(c * nm for c, nm in zip(as_center(at), unit, strict=True))
            for axis, place, a, b, voxel in zip("xyz", point, low, high, bounds.resolution, strict=True):
                if not a - TOLERANCE * voxel <= place < b - TOLERANCE * voxel:
                    raise BoundsError(
                        f"the planes must cross within the cutout, {bounds}; along {axis} they would at {place:g} nm, "
                        f"and it runs from {a:g} to {b:g} nm"
                    )
        side = min(bounds.resolution) if nm_per_pixel is None else nm_per_pixel
        if not (math.isfinite(side) and side > 0):
            raise ArgumentError(f"nm_per_pixel must be a positive number; got {nm_per_pixel!r}")
        return cls(bounds, cast(FloatTriple, point), float(side))

    def section(self, plane: Plane) -> Section:
        """Give a plane as a section, amid the voxels that it shows; its first pixel begins where the block does."""
        right, down, into = _AXES[plane]
        low, high = self.bounds.nm
        size = [max(1, round((high[axis] - low[axis]) / self.nm_per_pixel)) for axis in (right, down)]
        center = list(self.at)
        for axis, pixels in zip((right, down), size, strict=True):
            center[axis] = low[axis] + pixels * self.nm_per_pixel / 2
        behind = self._voxels(into, np.array([self.at[into]]))[0] + self.bounds.start[into]
        center[into] = (float(behind) + 0.5) * self.bounds.resolution[into]
        turn = _HALF_TURN if plane == "yz" else UNTURNED
        return Section(cast(FloatTriple, tuple(center)), (size[0], size[1]), self.nm_per_pixel, turn, plane)

    def cut(self, block: NDArray[_Value], plane: Plane) -> NDArray[_Value]:
        """Cut a plane out of a block.

        Parameters
        ----------
        block : numpy.ndarray
            Axes (x, y, z), or (x, y, z, c).
        plane : {"xy", "xz", "yz"}
            Which.

        Returns
        -------
        numpy.ndarray
            Axes (right, down), or (right, down, c), as large as `section` says. Each pixel takes the voxel that
            contains its centre; one that lies beyond the block by less than half a pixel takes the nearest.
        """
        right, down, into = _AXES[plane]
        flat = block[(slice(None),) * into + (self._voxels(into, np.array([self.at[into]]))[0],)]
        if plane == "yz":
            flat = flat.swapaxes(0, 1)
        i, j = (
            self._voxels(axis, self.bounds.nm[0][axis] + (np.arange(pixels) + 0.5) * self.nm_per_pixel)
            for axis, pixels in zip((right, down), self.section(plane).size, strict=True)
        )
        cut: NDArray[_Value] = flat[np.ix_(i, j)]
        return cut

    def sheet(self, image: NDArray[Any] | None, segmentation: NDArray[np.uint64] | None, plane: Plane) -> Sheets:
        """Give a plane of a block as it is painted."""
        picture, ids = (
            None if block is None else self.cut(block, plane)[:, :, None] for block in (image, segmentation)
        )
        right, down, into = (self.bounds.resolution[axis] for axis in _AXES[plane])
        stretch = right / self.nm_per_pixel, down / self.nm_per_pixel
        return Sheets(picture, ids, (self.section(plane),), into, stretch=stretch)

    def _voxels(self, axis: int, places: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
        found: NDArray[np.intp] = np.floor(places / self.bounds.resolution[axis] + TOLERANCE).astype(np.intp)
        return (found - self.bounds.start[axis]).clip(0, self.bounds.shape[axis] - 1)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A mark: two lines through a point, from edge to edge of a picture.

    Parameters
    ----------
    at : tuple of float
        x, y, z in nm.
    color : colour
        Of both.
    alpha : float
        Their opacity, from 0 to 1.
    width : float
        In pixels of the picture.
    """

    at: FloatTriple
    color: Any = "white"
    alpha: float = 0.75
    width: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        rgb_bytes([self.color])
        if not 0 <= self.alpha <= 1:
            raise ArgumentError(f"alpha is an opacity from 0 to 1; got {self.alpha!r}")
        if not self.width > 0:
            raise ArgumentError(f"the width of a line must be a positive number of pixels; got {self.width!r}")

    def groups(self, section: Section, depth: float) -> Sequence[Group]:
        """Give the lines, moved by less than a pixel so that their edges are sharp."""
        width, height = section.size
        x, y = (self._sharp(place) for place in section.pixels(self.at)[0, :2].tolist())
        # there and back is one stroke, which covers the middle once
        corners = ((x, -1.0), (x, height + 1.0), (x, y), (-1.0, y), (width + 1.0, y))
        red, green, blue = rgb_bytes([self.color])[0].tolist()
        return [Group("crossing", (Path(corners, line=Ink((red, green, blue), self.alpha), width=self.width),))]

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {"kind": "crossing", "at": list(self.at), "color": rgb_bytes([self.color])[0].tolist()}

    def _sharp(self, place: float) -> float:
        whole = round(self.width)
        if whole != self.width:
            return place
        return math.floor(place + TOLERANCE) + 0.5 if whole % 2 else float(round(place))
