"""Outlines of masks: pure morphology on pictures in memory.

A pixel counts as within `width` of a mask when at most `width` steps to the four neighbours lead there, which
is what `width` iterations of a binary dilation by a cross give. Masks are packed into one long integer, a bit
for each pixel, so that a step is five shifts and ors of it, whatever the shape.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Side", "dilated", "inner_outlines", "outlined"]

Side = Literal["in", "out"]


def dilated(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Grow a mask by `width` steps to the four neighbours, within its array.

    Parameters
    ----------
    mask : numpy.ndarray of bool
        Two axes.
    width : int
        Steps, from 0.

    Returns
    -------
    numpy.ndarray of bool
        A new array of the same shape.

    Examples
    --------
    >>> dilated(np.array([[0, 0, 0], [1, 0, 0]], dtype=bool), 1).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0]]
    """
    rows, columns = mask.shape
    stride = columns + width  # as many spare columns as steps keep one row's pixels out of the next
    padded = np.zeros((rows, stride), np.bool_)
    padded[:, :columns] = mask
    bits = int.from_bytes(np.packbits(padded, bitorder="little").tobytes(), "little")
    for _ in range(width):
        bits |= (bits << 1) | (bits >> 1) | (bits << stride) | (bits >> stride)
    bits &= (1 << rows * stride) - 1
    packed = np.frombuffer(bits.to_bytes((rows * stride + 7) // 8, "little"), np.uint8)
    grown = np.unpackbits(packed, count=rows * stride, bitorder="little").view(np.bool_)
    return grown.reshape(rows, stride)[:, :columns]


def outlined(mask: NDArray[np.bool_], width: int, side: Side) -> NDArray[np.bool_]:
    """Give the pixels that lie within `width` of a mask's edge, on one side of it.

    The border of the array is no edge: outside it lies more of whatever lies at it.

    Parameters
    ----------
    mask : numpy.ndarray of bool
        Two axes.
    width : int
        Width of the outline in pixels, from 1.
    side : {"in", "out"}
        Whether the outline lies on the mask or around it.

    Examples
    --------
    >>> bar = np.array([[0, 0, 1, 1, 1]], dtype=bool)
    >>> outlined(bar, 1, "in").astype(int).tolist(), outlined(bar, 1, "out").astype(int).tolist()
    ([[0, 0, 1, 0, 0]], [[0, 1, 0, 0, 0]])
    """
    if side == "out":
        return dilated(mask, width) & ~mask
    return dilated(~mask, width) & mask


def inner_outlines(labels: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """Give the pixels that lie within `width` of another label, for all labels together.

    Where a label is painted, this is the inner outline of its mask.

    Parameters
    ----------
    labels : numpy.ndarray
        Two axes.
    width : int
        Width of the outline in pixels, from 1.

    Examples
    --------
    >>> inner_outlines(np.array([[1, 1, 1, 2, 2]]), 2).astype(int).tolist()
    [[0, 1, 1, 1, 1]]
    """
    edge = np.zeros(labels.shape, np.bool_)
    every, ahead, behind = slice(None), slice(1, None), slice(None, -1)
    for near, far in (((ahead, every), (behind, every)), ((every, ahead), (every, behind))):
        differs = labels[near] != labels[far]
        edge[near] |= differs
        edge[far] |= differs
    return dilated(edge, width - 1)
