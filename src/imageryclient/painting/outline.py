"""Outlines of masks: pure morphology on pictures in memory.

A pixel counts as within `width` of a mask when at most `width` steps to the four neighbours lead there, which
is what `width` iterations of a binary dilation by a cross give. Masks are packed into one long integer, a bit
for each pixel, so that a step is five shifts and ors of it, whatever the shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    return _Bits.of(mask, width).grown(width).unpacked()


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
    bits = _Bits.of(mask, width)
    if side == "out":
        return bits.grown(width).without(bits).unpacked()
    # what is left after the mask has shrunk is no outline
    return bits.without(bits.without(bits.complement().grown(width))).unpacked()


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


@dataclass(frozen=True, slots=True)
class _Bits:
    """A mask as one long integer, a bit for each pixel, rows parted by spare bits that do not count."""

    bits: int
    shape: tuple[int, int]
    row_bytes: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_], spare: int) -> _Bits:
        """Pack a mask; as many spare bits as there will be steps keep one row's pixels out of the next."""
        rows, columns = mask.shape
        packed = np.packbits(mask, axis=1, bitorder="little")
        row_bytes = (columns + spare + 7) // 8
        padded = np.zeros((rows, row_bytes), np.uint8)
        padded[:, : packed.shape[1]] = packed
        return cls(int.from_bytes(padded.tobytes(), "little"), (rows, columns), row_bytes)

    def grown(self, width: int) -> _Bits:
        """Take in the four neighbours of all pixels, `width` times."""
        bits, stride = self.bits, 8 * self.row_bytes
        for _ in range(width):
            bits |= (bits << 1) | (bits >> 1) | (bits << stride) | (bits >> stride)
        return replace(self, bits=bits)

    def without(self, other: _Bits) -> _Bits:
        """Leave out another mask's pixels."""
        return replace(self, bits=self.bits & ~other.bits)

    def complement(self) -> _Bits:
        """Take the other pixels, and no spare bits."""
        rows, columns = self.shape
        row = ((1 << columns) - 1).to_bytes(self.row_bytes, "little")
        return replace(self, bits=self.bits ^ int.from_bytes(row * rows, "little"))

    def unpacked(self) -> NDArray[np.bool_]:
        """Give the mask as an array."""
        size = self.shape[0] * self.row_bytes
        packed = np.frombuffer((self.bits & ((1 << 8 * size) - 1)).to_bytes(size, "little"), np.uint8)
        rows = packed.reshape(self.shape[0], self.row_bytes)
        return np.unpackbits(rows, axis=1, count=self.shape[1], bitorder="little").view(np.bool_)
