"""Imagery that segmentations are laid over: any array or picture, as grey or colour of 8 bits, section by section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from .display import Contrast, Shades
from .picture import as_rgba
from .trails import Canvas

__all__ = ["Beneath", "Under", "enlarged"]

Under = NDArray[np.uint8] | Image.Image | None  # grey, (y, x), or an RGBA picture
_RGBA = 4


@dataclass(frozen=True, slots=True)
class Beneath:
    """Imagery that is shown in one contrast: an array, (x, y), (x, y, z) or one of these with channels; or a picture.

    Examples
    --------
    >>> Beneath.of(np.array([[10, 30]], np.uint8), Contrast(gamma=0.5)).section(())
    array([[50],
           [87]], dtype=uint8)
    """

    imagery: NDArray[Any] | Image.Image | None
    shades: Shades | None = None

    @classmethod
    def of(cls, imagery: Any, contrast: Contrast) -> Beneath:
        """Find how imagery is shown."""
        if isinstance(imagery, Image.Image):
            if contrast.is_given:
                raise ArgumentError(
                    "display_range, percentiles and gamma are for arrays of imagery; a picture is shown as it is"
                )
            return cls(imagery)
        pixels = np.asarray(imagery)
        return cls(pixels, contrast.shades(pixels))

    @classmethod
    def under(cls, imagery: Any, shape: tuple[int, ...], axis: int | None, contrast: Contrast) -> Beneath:
        """Check imagery against a segmentation's shape, whose sections lie along an axis.

        Raises
        ------
        ArgumentError
            If they do not fit.
        """
        if imagery is None:
            return cls(None)
        if isinstance(imagery, Image.Image):
            flat = tuple(size for place, size in enumerate(shape) if place != axis)
            if imagery.size != flat or (len(shape) > 2 and shape[axis or 0] != 1):
                raise ArgumentError(f"the picture is {imagery.size} pixels; the segmentation has shape {shape}")
            return cls.of(imagery, contrast)
        pixels = np.asarray(imagery)
        if axis is not None and pixels.ndim == 2 and shape[axis] == 1:
            pixels = np.expand_dims(pixels, axis)
        colored = pixels.ndim == len(shape) + 1 and pixels.shape[-1] in (1, 3, _RGBA)
        if (pixels.shape[:-1] if colored else pixels.shape) != shape:
            raise ArgumentError(f"the imagery has shape {pixels.shape}; the segmentation has shape {shape}")
        if colored and pixels.shape[-1] == _RGBA:
            if pixels.dtype != np.uint8:
                raise ArgumentError(f"imagery with opacity, shape {pixels.shape}, must be uint8; got {pixels.dtype}")
            return cls(pixels, contrast.shades(pixels[..., :3]))
        if colored and pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
        return cls.of(pixels, contrast)

    def section(self, index: tuple[Any, ...]) -> Under:
        """Give a section as it is shown."""
        if self.imagery is None:
            return None
        if self.shades is None or isinstance(self.imagery, Image.Image):
            return as_rgba(self.imagery)
        values = self.imagery[index]
        if values.ndim == 3 and values.shape[-1] == _RGBA:
            return as_rgba(np.concatenate([self.shades(values[..., :3]), values[..., 3:]], axis=-1))
        shown = self.shades(values)
        return shown.T if shown.ndim == 2 else as_rgba(shown)


def enlarged(under: Under, canvas: Canvas) -> Under:
    """Give each pixel of a canvas what lies at its centre.

    Examples
    --------
    >>> enlarged(np.array([[1, 2]], np.uint8), Canvas.of((2, 1), 2))
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]], dtype=uint8)
    """
    if under is None or canvas.zoom == 1:
        return under
    columns, rows = canvas.nearest()
    pixels = np.asarray(under).take(rows, axis=0).take(columns, axis=1)
    return Image.fromarray(pixels) if isinstance(under, Image.Image) else pixels
