"""The colours Neuroglancer gives to segments, to the last bit.

An id's colour follows from a hash of it and the layer's `colorSeed` (Neuroglancer's `segment_color.ts` and
`gpu_hash/hash_function.ts`); `segmentColors` and `segmentDefaultColor` of a layer go before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ids import as_ids

__all__ = ["segment_colors"]


def segment_colors(
    ids: ArrayLike,
    seed: int = 0,
    *,
    colors: Mapping[int, Any] | None = None,
    default: Any = None,
) -> NDArray[np.uint8]:
    """Give the colours that Neuroglancer shows segments in.

    Parameters
    ----------
    ids : array_like
        Ids of 64 bits; any shape.
    seed : int
        The layer's `colorSeed`, 32 bits.
    colors : mapping of int to colour, optional
        The layer's `segmentColors`: names, hex strings or numbers; their opacity is left out, as Neuroglancer does.
    default : colour, optional
        The layer's `segmentDefaultColor`, for every id without a colour of its own.

    Returns
    -------
    numpy.ndarray
        uint8, the shape of `ids` and an axis of 3 more (red, green, blue).

    Examples
    --------
    >>> segment_colors([864691135341362885, 1])
    array([[  8, 255,  77],
           [ 94, 128, 255]], dtype=uint8)
    >>> segment_colors(1, colors={1: "#ff8000"})
    array([255, 128,   0], dtype=uint8)
    """
    nodes = as_ids(ids)
    flat = nodes.reshape(-1)
    if default is not None:
        painted = np.tile(_bytes(default), (len(flat), 1))
    else:
        painted = _hashed(flat, seed)
    for segment, color in (colors or {}).items():
        painted[flat == np.uint64(segment)] = _bytes(color)
    return painted.reshape(*nodes.shape, 3)


def _hashed(ids: NDArray[np.uint64], seed: int) -> NDArray[np.uint8]:
    low, high = (ids & np.uint64(0xFFFFFFFF)).astype(np.uint32), (ids >> np.uint64(32)).astype(np.uint32)
    state = np.full(ids.shape, seed & 0xFFFFFFFF, np.uint32)
    mixed = _combined(_combined(state, low), high)
    hue = (mixed & np.uint32(255)) / 255.0
    saturation = 0.5 + 0.5 * ((mixed >> np.uint32(8)) & np.uint32(255)) / 255.0
    six = 6.0 * hue
    base = np.stack([np.abs(six - 3) - 1, 2 - np.abs(six - 2), 2 - np.abs(six - 4)], axis=-1).clip(0, 1)
    rgb = ((base - 1) * saturation[:, None] + 1).astype(np.float32)
    scaled: NDArray[np.uint8] = np.floor(255.0 * rgb.astype(np.float64) + 0.5).astype(np.uint8)
    return scaled


def _combined(state: NDArray[np.uint32], value: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """One step of MurmurHash3 (32 bits) without its end."""
    value = _turned(value * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    return _turned(state ^ value, 13) * np.uint32(5) + np.uint32(0xE6546B64)


def _turned(value: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (value << np.uint32(bits)) | (value >> np.uint32(32 - bits))


def _bytes(color: Any) -> NDArray[np.uint8]:
    from ..painting.color import rgb_bytes

    rgb: NDArray[np.uint8] = rgb_bytes([color])[0]
    return rgb
