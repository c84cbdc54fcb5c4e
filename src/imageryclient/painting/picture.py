"""The one way from arrays, which are (x, y), to pictures, whose x runs right and y runs down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..errors import ArgumentError

__all__ = ["as_rgba", "from_rgba_pixels", "upright"]


def upright(array: ArrayLike) -> Image.Image:
    """Turn an array into a picture: x runs right, y runs down.

    Parameters
    ----------
    array : array_like
        Shape (x, y), (x, y, 1), (x, y, 3) or (x, y, 4): grey, RGB or RGBA values from 0 to 255. Bool values
        become black and white.

    Returns
    -------
    PIL.Image.Image
        Mode L, RGB or RGBA; size (x, y). It shares no memory with the array.

    Raises
    ------
    ArgumentError
        If the array has another shape, or values that do not fit 8 bits.

    Examples
    --------
    >>> picture = upright(np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8))
    >>> picture.size, picture.getpixel((1, 2))
    ((2, 3), 60)
    """
    values = np.asarray(array)
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in values.shape:
        raise ArgumentError(f"a picture needs an array of shape (x, y), (x, y, 3) or (x, y, 4); got {values.shape}")
    if values.ndim == 3 and channels == 1:
        values = values[:, :, 0]
    return Image.fromarray(np.array(np.swapaxes(_bytes(values), 0, 1), order="C"))


def as_rgba(image: ArrayLike | Image.Image) -> Image.Image:
    """Give an array (see `upright`) or a picture as a new RGBA picture; grey becomes opaque."""
    if isinstance(image, Image.Image):
        return image.convert("RGBA")
    return upright(image).convert("RGBA")


def from_rgba_pixels(pixels: NDArray[np.uint32]) -> Image.Image:
    """Wrap pixels of shape (y, x), each four bytes R, G, B, A in memory; no copy if they lie row by row."""
    height, width = pixels.shape
    return Image.frombuffer("RGBA", (width, height), np.ascontiguousarray(pixels), "raw", "RGBA", 0, 1)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise ArgumentError(f"pictures need numbers from 0 to 255; got {values.dtype}")
    low, high = values.min(), values.max()
    if not (low >= 0 and high < 256):
        raise ArgumentError(
            f"pictures need values from 0 to 255; got {low} to {high} in {values.dtype}; scale them first"
        )
    return values.astype(np.uint8)
