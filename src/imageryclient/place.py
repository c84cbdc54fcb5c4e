"""Places as callers name them, made into regions: bounds, or a centre with a size in voxels or in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from .errors import ArgumentError, BoundsError
from .geometry import Region, Resolution, as_size

__all__ = ["Place", "bbox_size_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """What a call said about where to cut.

    Parameters
    ----------
    bounds : array_like
        A lower and an upper corner; or a centre, when a size is given.
    resolution : tuple of float
        nm per voxel of the numbers in `bounds` and `bbox_size`.
    bbox_size : array_like, optional
        Two or three numbers of voxels of `resolution`.
    image_size : array_like, optional
        Two or three numbers of voxels of the layer that is read.

    Examples
    --------
    >>> place = Place([100, 100, 10], (4.0, 4.0, 40.0), image_size=(64, 64))
    >>> place.region((8.0, 8.0, 40.0)).grid
    Box(start=(18, 18, 10), stop=(82, 82, 11), resolution=(8.0, 8.0, 40.0))
    """

    bounds: Any
    resolution: Resolution
    bbox_size: Any = None
    image_size: Any = None

    def region(self, layer: Resolution) -> Region:
        """Give the region to cut from a layer with this resolution.

        A box of `image_size` has just that many pixels of the layer, and lies on its grid as near as can be to the box
        of the same extent in voxels of `resolution`.

        Raises
        ------
        BoundsError
            If the numbers make no box.
        ArgumentError
            If both sizes are given.
        """
        if self.bounds is None:
            raise BoundsError("say where to cut: bounds as a lower and an upper corner, or a centre with a size")
        if self.image_size is not None:
            if self.bbox_size is not None:
                raise ArgumentError("give bbox_size or image_size, not both: they may contradict each other")
            around = bbox_size_of(self.image_size, layer, self.resolution)
            return Region.from_center(self.bounds, around, self.resolution).snapped(as_size(self.image_size), layer)
        if self.bbox_size is not None:
            return Region.from_center(self.bounds, self.bbox_size, self.resolution)
        return Region.from_bounds(self.bounds, self.resolution)

    def asked(self, layer: Resolution) -> Region:
        """Give the same region in the caller's own voxels, for messages about the caller's numbers."""
        region = self.region(layer)
        if self.image_size is None:
            return region
        ratio = [theirs / mine for theirs, mine in zip(layer, self.resolution, strict=True)]
        low, high = (tuple(n * r for n, r in zip(c, ratio, strict=True)) for c in (region.low, region.high))
        return Region(cast(Resolution, low), cast(Resolution, high), self.resolution)


def bbox_size_of(image_size: Any, layer: Resolution, resolution: Resolution) -> list[float]:
    """Give the `bbox_size`, in voxels of `resolution`, of a box with `image_size` voxels of a layer.

    Two numbers make a box one voxel of `resolution` deep.

    Examples
    --------
    >>> bbox_size_of((256, 256), (8.0, 8.0, 40.0), (4.0, 4.0, 40.0))
    [512.0, 512.0, 1]
    """
    size = as_size(image_size)
    scaled = [int(s) * mine / theirs for s, mine, theirs in zip(size, layer, resolution, strict=True)]
    return scaled if len(image_size) == 3 else [*scaled[:2], 1]
