"""The labels that lie around pixels, for all labels together: pure work on pictures in memory.

For each pixel the labels within some steps to the four neighbours are gathered into a column, and told one after
the other in ascending order: with `t` the last one told, the least of `label - (t + 1)` in unsigned arithmetic is
the next, as labels up to `t` wrap to the top. The time follows the pixels asked about and the square of the width, and
not the number of labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["gathered", "labels_around"]

_GATHERED = 1 << 18  # labels held at once


def gathered(width: int) -> int:
    """Tell how many labels are looked at for one pixel."""
    return 2 * width * (width + 1)


def labels_around(
    labels: NDArray[Any], pixels: NDArray[np.intp], width: int
) -> Iterator[tuple[slice, Iterator[tuple[NDArray[np.intp], NDArray[Any]]]]]:
    """Give, for some pixels at a time, the other labels near each of them in ascending order.

    Parameters
    ----------
    labels : numpy.ndarray of unsigned int
        Shape (y, x); 0 is no label.
    pixels : numpy.ndarray of intp
        Places to look around, counted row by row.
    width : int
        How many steps to the four neighbours count as near, from 1.

    Yields
    ------
    some : slice
        Which of `pixels` are told about.
    rounds : iterator
        Pairs of arrays of one length: places among those pixels, and for each the next label near it that is
        neither 0 nor its own. A place occurs once a round, and not in every round.

    Examples
    --------
    >>> labels = np.array([[0, 0, 7, 0, 4, 4]], np.uint8)
    >>> for some, rounds in labels_around(labels, np.arange(6), 2):
    ...     for places, near in rounds:
    ...         print(places.tolist(), near.tolist())
    [0, 1, 2, 3] [7, 7, 4, 4]
    [3, 4] [7, 7]
    """
    columns = labels.shape[1]
    stride = columns + width  # as many spare columns as steps keep one row's pixels out of the next
    padded = np.zeros((labels.shape[0] + 2 * width + 1, stride), labels.dtype)
    padded[width : width + labels.shape[0], width:] = labels
    flat, own = padded.reshape(-1), np.ravel(labels)
    steps = [
        (down + width) * stride + right + width
        for down in range(-width, width + 1)
        for right in range(abs(down) - width, width - abs(down) + 1)
        if down or right
    ]
    count = max(1 << 8, _GATHERED // len(steps))
    for first in range(0, pixels.size, count):
        some = slice(first, min(first + count, pixels.size))
        places = pixels[some]
        corners = places + places // columns * width
        near = np.empty((len(steps), places.size), labels.dtype)
        for row, step in zip(near, steps, strict=True):
            np.take(flat[step:], corners, out=row, mode="clip")
        yield some, _ascending(near, own.take(places))


def _ascending(near: NDArray[Any], own: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """Give the distinct values of each column above 0 in ascending order, one a round, but for those in `own`."""
    one, top = near.dtype.type(1), np.iinfo(near.dtype).max
    places = np.arange(own.size)
    least = np.ones_like(own)
    more = np.ones(own.size, np.bool_)
    work = np.empty_like(near)
    while places.size:
        np.subtract(near, least, out=work)
        found = work.min(axis=0)
        more &= found <= top - least
        found += least
        told = np.flatnonzero(more & (found != own))
        if told.size:
            yield places.take(told), found.take(told)
        more &= found < top
        left = np.flatnonzero(more)
        if 2 * left.size < places.size:
            near, places, own, found = near.take(left, axis=1), places.take(left), own.take(left), found.take(left)
            more, work = np.ones(left.size, np.bool_), np.empty_like(near)
        least = found + one
