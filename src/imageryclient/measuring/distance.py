"""The shortest way from one object to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import Box
from .labels import Labeled, labeled

__all__ = ["Nearest", "nearest_distance"]

_GROUP = 256  # points compared with as many others in one go
Points = NDArray[np.float64]
FloatTriple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Nearest:
    """How far two objects are apart, and where they come closest.

    Parameters
    ----------
    distance : float
        nm between the centres of the two voxels.
    first, second : tuple of float
        The centres, in nm, of the voxel of the first object and of that of the second.

    Examples
    --------
    >>> labels = np.array([7, 0, 0, 9]).reshape(4, 1, 1)
    >>> nearest_distance(labels, 7, 9, Box((0, 0, 0), (4, 1, 1), (8.0, 8.0, 40.0)))
    Nearest(distance=24.0, first=(4.0, 4.0, 20.0), second=(28.0, 4.0, 20.0))
    """

    distance: float
    first: FloatTriple
    second: FloatTriple


def nearest_distance(segmentation: Any, first: int, second: int, bounds: Box | None = None) -> Nearest:
    """Find how far two objects are apart within a box.

    The distance is that between the centres of the two voxels, one of each object, that lie closest, in nm and with
    voxels as long as they are along each axis. It is exact. Objects that share a face across x are thus as far apart as
    a voxel is long along x, not 0. What lies beyond the box does not count, so the objects may come closer there.

    Parameters
    ----------
    segmentation : Cutout, SegmentationMasks or array_like
        Ids along x, y, z; 0 stands for no object.
    first, second : int
        The objects.
    bounds : Box, optional
        The voxels that the segmentation fills; a cutout knows them.

    Returns
    -------
    Nearest
        The distance, and where it is that short; of several such places one.

    Raises
    ------
    ArgumentError
        If one of the objects has no voxel in the box, or both are one.

    Examples
    --------
    >>> nearest_distance(np.array([[[7]], [[0]], [[9]]]), 7, 9, Box((0, 0, 0), (3, 1, 1), (8.0, 8.0, 40.0)))
    Nearest(distance=16.0, first=(4.0, 4.0, 20.0), second=(20.0, 4.0, 20.0))
    """
    what = labeled(segmentation, bounds)
    one, other = what.label(first), what.label(second)
    if one == other:
        raise ArgumentError(f"the distance is that between two objects; both are {first}")
    # Between a surface's voxels: from an inner one, the next voxel towards the other object is closer and still inside.
    least = min(what.bounds.resolution) ** 2
    ends = _closest(_groups(_surface(what, one)), _groups(_surface(what, other)), least)
    start = np.array(what.bounds.start) + 0.5
    resolution = np.array(what.bounds.resolution)
    a, b = ((start * resolution + end).tolist() for end in ends)
    return Nearest(float(np.sqrt(_squared(*ends))), (a[0], a[1], a[2]), (b[0], b[1], b[2]))


def _surface(what: Labeled, label: int) -> Points:
    """Give the voxels of a label that have a neighbour of another, as nm from the first voxel of the box."""
    box = what.masks.extents.box(label)
    inside = what.masks.labels[box] == label
    inner = np.zeros_like(inside)
    # A face of the bounding box has neighbours outside of it, which are others, or none: those may be left out, but
    # cost little.
    middle = (slice(1, -1),) * 3
    inner[middle] = inside[middle]
    for axis in range(3):
        for side in (slice(None, -2), slice(2, None)):
            inner[middle] &= inside[tuple(side if n == axis else slice(1, -1) for n in range(3))]
    points = np.argwhere(inside & ~inner) + [part.start for part in box]
    placed: Points = points * np.array(what.bounds.resolution)
    return placed


def _groups(points: Points) -> list[Points]:
    """Part points into groups that lie together: halved across their longest side, until they are few."""
    waiting, done = [points], []
    while waiting:
        group = waiting.pop()
        if len(group) <= _GROUP:
            done.append(group)
            continue
        axis = int(np.argmax(np.ptp(group, axis=0)))
        order = np.argpartition(group[:, axis], len(group) // 2)
        waiting += [group[order[: len(group) // 2]], group[order[len(group) // 2 :]]]
    return done


def _closest(ours: list[Points], theirs: list[Points], least: float) -> tuple[Points, Points]:
    """Give the closest two points of two sets; groups whose boxes are farther apart than what is known are left out.

    None can be closer than `least`, a squared distance.
    """
    low = np.array([group.min(axis=0) for group in theirs])
    high = np.array([group.max(axis=0) for group in theirs])
    bounds = [_between_boxes(group.min(axis=0), group.max(axis=0), low, high) for group in ours]
    best, ends = np.inf, (ours[0][0], theirs[0][0])
    for n in np.argsort([bound.min() for bound in bounds], kind="stable"):
        for m in np.argsort(bounds[n], kind="stable"):
            if bounds[n][m] >= best or best <= least:
                break
            # Of most pairs of groups few points, if any, are near enough to the other's box.
            near = _close_to(theirs[m], ours[n], best)
            far = _close_to(near, theirs[m], best)
            if not len(far):
                continue
            squared = np.zeros((len(near), len(far)))
            for axis in range(3):
                squared += np.subtract.outer(near[:, axis], far[:, axis]) ** 2
            a, b = np.unravel_index(int(np.argmin(squared)), squared.shape)
            if squared[a, b] < best:
                best, ends = float(squared[a, b]), (near[a], far[b])
    return ends


def _close_to(others: Points, points: Points, best: float) -> Points:
    """Give the points that are closer than `best`, a squared distance, to the box of others."""
    if not len(others):
        return others
    return points[_between_boxes(others.min(axis=0), others.max(axis=0), points, points) < best]


def _between_boxes(low: Points, high: Points, lows: Points, highs: Points) -> Points:
    """Give the squared distance of a box to each of others."""
    gap = np.maximum(0, np.maximum(lows - high, low - highs))
    squared: Points = (gap**2).sum(axis=1)
    return squared


def _squared(first: Points, second: Points) -> float:
    return float(((first - second) ** 2).sum())
