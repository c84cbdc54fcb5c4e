"""A block of voxels on a grid of cubes, so that a nanometre is as long along every axis."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError
from .geometry import TOLERANCE, Box, IntTriple, index_map

__all__ = ["cubic_box", "isotropic", "resampled"]

_Voxel = TypeVar("_Voxel", bound=np.generic)


def isotropic(
    image: NDArray[Any] | None,
    segmentation: NDArray[np.uint64] | None,
    bounds: Box,
    nm: float | None = None,
) -> tuple[NDArray[Any] | None, NDArray[np.uint64] | None, Box]:
    """Give imagery and segmentation in cubic voxels.

    Each voxel of the result takes the voxel that contains its centre, so that no id and no shade is made up.

    Parameters
    ----------
    image : numpy.ndarray or None
        Axes (x, y, z), or (x, y, z, c).
    segmentation : numpy.ndarray or None
        Axes (x, y, z).
    bounds : Box
        The voxels of the arrays.
    nm : float, optional
        Side of a cube; by default the shortest side of the voxels there are.

    Returns
    -------
    tuple
        Both as above, in their dtypes and in Fortran order, the arrays themselves where they are so already; and the
        voxels they hold, as `cubic_box` gives them.

    Raises
    ------
    ArgumentError
        If `nm` is no positive number, or the block is too thin to hold the centre of any such cube.

    Examples
    --------
    >>> image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    >>> cubes, _, box = isotropic(image, None, Box((7, 0, 3), (8, 2, 5), (8.0, 8.0, 20.0)))
    >>> box, cubes[0, 0].tolist()
    (Box(start=(7, 0, 7), stop=(8, 2, 12), resolution=(8.0, 8.0, 8.0)), [0, 0, 0, 1, 1])
    """
    cubes = cubic_box(bounds, nm)
    return (
        None if image is None else resampled(image, bounds, cubes),
        None if segmentation is None else resampled(segmentation, bounds, cubes),
        cubes,
    )


def cubic_box(bounds: Box, nm: float | None = None) -> Box:
    """Give the cubes, of the grid that begins at the origin, whose centres lie in a box.

    Parameters
    ----------
    bounds : Box
        The box.
    nm : float, optional
        Side of a cube; by default the shortest side of the box's voxels.

    Raises
    ------
    ArgumentError
        If `nm` is no positive number, or there is no such cube.

    Examples
    --------
    >>> cubic_box(Box((0, 0, 0), (10, 10, 1), (8.0, 8.0, 40.0)), 16.0)
    Box(start=(0, 0, 0), stop=(5, 5, 2), resolution=(16.0, 16.0, 16.0))
    """
    side = min(bounds.resolution) if nm is None else float(nm)
    if not (math.isfinite(side) and side > 0):
        raise ArgumentError(f"nm must be the side of a cubic voxel, a positive number; got {nm!r}")
    low, high = bounds.nm
    start = [_first_centre(edge / side) for edge in low]
    stop = [_first_centre(edge / side) for edge in high]
    for axis, first, last, lower, upper in zip("xyz", start, stop, low, high, strict=True):
        if last <= first:
            raise ArgumentError(
                f"cubes of {side:g} nm are too large: the block is {upper - lower:g} nm long along {axis}, and holds "
                "the centre of none; choose a smaller nm"
            )
    return Box(cast(IntTriple, tuple(start)), cast(IntTriple, tuple(stop)), (side, side, side))


def resampled(block: NDArray[_Voxel], bounds: Box, target: Box) -> NDArray[_Voxel]:
    """Give a block on another grid: each voxel takes the one that contains its centre.

    Parameters
    ----------
    block : numpy.ndarray
        Axes (x, y, z), or (x, y, z, c).
    bounds : Box
        Its voxels.
    target : Box
        Those wanted, whose centres lie within `bounds`.

    Returns
    -------
    numpy.ndarray
        In Fortran order; the block itself where that is what is wanted.
    """
    if target == bounds and block.flags.f_contiguous:
        return block
    x, y, z = index_map(target, bounds)
    out = np.empty((*target.shape, *block.shape[3:]), block.dtype, order="F")
    rows = np.ix_(y, x)
    same = target.start[:2] == bounds.start[:2] and target.resolution[:2] == bounds.resolution[:2]
    for k, at in enumerate(z.tolist()):
        if k and at == z[k - 1]:
            out[:, :, k] = out[:, :, k - 1]
        else:
            plane = block[:, :, at]
            out[:, :, k] = plane if same else plane.swapaxes(0, 1)[rows].swapaxes(0, 1)
    return out


def _first_centre(edge: float) -> int:
    """Give the first voxel whose centre lies at an edge or beyond, both counted in voxels."""
    return math.ceil(edge - 0.5 - TOLERANCE)
