"""Colours over grey, in 8 bits: the pixels that Pillow's `alpha_composite` gives, to the last bit.

Over an opaque pixel `d`, a colour `c` of opacity `a` gives `(t + (t >> 8)) >> 8` with `t = c a + d (255 - a) + 128`
in each channel, which is `t / 255` rounded. `t` fits 16 bits, so four channels go through one 64-bit number. Where
opacities differ from pixel to pixel, Pillow itself does the work, on the pixels that are painted alone.

Pixels are RGBA, four bytes in one uint32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .picture import from_rgba_pixels

__all__ = ["ALPHA_BITS", "COLOR_BITS", "lay", "opaque", "over", "tinted"]

COLOR_BITS = np.array([255, 255, 255, 0], dtype=np.uint8).view(np.uint32)[0]
ALPHA_BITS = ~COLOR_BITS
_BLOCK = 1 << 15  # pixels at a time: what is in between stays in the processor's cache
_GREYS = np.repeat(np.arange(256, dtype=np.uint16), 4).reshape(256, 4)
_GREYS[:, 3] = 255
_UNTAKEN = np.iinfo(np.int32).max
_OPAQUE = _GREYS.astype(np.uint8).view(np.uint32)[:, 0]


def over(below: NDArray[np.uint32], above: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Lay each pixel of one array over that of another; both have one axis.

    Examples
    --------
    >>> pixels = np.array([[0, 0, 200, 100], [255, 0, 0, 128]], dtype=np.uint8).view(np.uint32)[:, 0]
    >>> over(pixels[:1], pixels[1:]).view(np.uint8).tolist()
    [184, 0, 56, 178]
    """
    rows = [from_rgba_pixels(pixels[np.newaxis]) for pixels in (below, above)]
    return np.asarray(Image.alpha_composite(*rows)).view(np.uint32).reshape(-1)


def lay(
    canvas: NDArray[np.uint32], pixels: NDArray[np.intp], sources: NDArray[np.uint32], overlap: bool = True
) -> None:
    """Lay pixels over those of a canvas, which has one axis, in order; without overlap, where nothing lies yet.

    A pixel may take many of them. Each round takes the first that waits at every pixel and lays those over
    the canvas together, which comes to the same as one after the other.

    Examples
    --------
    >>> canvas = np.zeros(2, np.uint32)
    >>> lay(canvas, np.array([1, 1]), np.array([[0, 0, 200, 100], [255, 0, 0, 128]], np.uint8).view(np.uint32)[:, 0])
    >>> canvas.view(np.uint8).tolist()
    [0, 0, 0, 0, 184, 0, 56, 178]
    """
    order = np.full(canvas.size, _UNTAKEN, np.int32)
    while pixels.size:
        ranks = np.arange(pixels.size, dtype=np.int32)
        np.minimum.at(order, pixels, ranks)
        first = order[pixels] == ranks
        order[pixels] = _UNTAKEN
        now, above = pixels[first], sources[first]
        below = canvas[now]
        if not overlap:
            free = (below & ALPHA_BITS) == 0
            canvas[now[free]] = above[free]
            return
        canvas[now] = over(below, above)
        pixels, sources = pixels[~first], sources[~first]


def opaque(grey: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Give grey, (y, x), as opaque pixels.

    Examples
    --------
    >>> opaque(np.array([[40]], np.uint8)).view(np.uint8).tolist()
    [[40, 40, 40, 255]]
    """
    out = np.empty(grey.shape, np.uint32)
    flat, greys = out.reshape(-1), np.ascontiguousarray(grey).reshape(-1)
    for first in range(0, flat.size, _BLOCK):
        np.take(_OPAQUE, greys[first : first + _BLOCK], out=flat[first : first + _BLOCK], mode="clip")
    return out


def tinted(grey: NDArray[np.uint8], labels: NDArray[Any], table: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Lay one colour for each label over grey, label 0 leaving it bare.

    Parameters
    ----------
    grey : numpy.ndarray of uint8
        Shape (y, x).
    labels : numpy.ndarray of unsigned int
        Shape (y, x), indices into `table`.
    table : numpy.ndarray of uint32
        The pixel of each label; that of label 0 does not count.

    Returns
    -------
    numpy.ndarray of uint32
        Opaque pixels, shape (y, x).

    Examples
    --------
    >>> half_red = np.array([[0, 0, 0, 0], [255, 0, 0, 128]], dtype=np.uint8).view(np.uint32)[:, 0]
    >>> found = tinted(np.array([[40, 40]], np.uint8), np.array([[0, 1]], np.uint8), half_red)
    >>> found.view(np.uint8).reshape(2, 4).tolist()
    [[40, 40, 40, 255], [148, 20, 20, 255]]
    """
    colors = table.view(np.uint8).reshape(-1, 4).astype(np.uint16)
    alpha = colors[:, 3].copy()
    alpha[0] = 0
    colors[:, 3] = 255
    above = (colors * alpha[:, np.newaxis] + np.uint16(128)).view(np.uint64)[:, 0]
    above[0] = np.full(4, 128, np.uint16).view(np.uint64)[0]
    kinds, rows = _rows_of_greys(alpha)
    below = np.concatenate([_GREYS * (255 - kind) for kind in kinds]).view(np.uint64)[:, 0]
    out = np.empty(grey.shape, np.uint32)
    flat, greys, numbers = out.reshape(-1).view(np.uint8), np.ascontiguousarray(grey).reshape(-1), np.ravel(labels)
    sums, parts = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
    bare, shades = np.empty(_BLOCK, np.bool_), np.empty(_BLOCK, np.uint16)
    for first in range(0, greys.size, _BLOCK):
        number = numbers[first : first + _BLOCK]
        some = slice(number.size)
        one, other, shade = sums[some], parts[some], shades[some]
        if rows is None:
            np.equal(number, 0, out=bare[some])
            np.multiply(bare[some].view(np.uint8), 256, out=shade, dtype=np.uint16)
        else:
            np.take(rows, number, out=shade, mode="clip")
        np.add(shade, greys[first : first + _BLOCK], out=shade)
        np.take(above, number, out=one, mode="clip")
        np.take(below, shade, out=other, mode="clip")
        np.add(one, other, out=one)
        lanes, carried = one.view(np.uint16), other.view(np.uint16)
        np.right_shift(lanes, 8, out=carried)
        np.add(lanes, carried, out=lanes)
        np.right_shift(lanes, 8, out=lanes)
        np.copyto(flat[4 * first : 4 * first + lanes.size], lanes, casting="unsafe")
    return out


def _rows_of_greys(alpha: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Give the opacities there are, and at which of the table's greys each label's start.

    None for the latter where all labels have one opacity, which comes first: label 0, which has none, is the other.
    """
    if (alpha[1:] == alpha[-1]).all():
        return np.array([alpha[-1], 0], np.uint16), None
    kinds, which = np.unique(alpha, return_inverse=True)
    return kinds, (256 * which).astype(np.uint16)
