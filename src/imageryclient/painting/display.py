"""From measured values to shown ones: imagery of any numbers as 8 bits, by a range of values from black to white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError

__all__ = ["Shades", "to_display"]

_PERCENTILES = (0.5, 99.5)
_BLOCK = 1 << 20  # values scaled in one go, as 64-bit floats


@dataclass(frozen=True, slots=True)
class Shades:
    """How values are shown: `low` as black and `high` as white; called with an array, it gives it in 8 bits.

    Examples
    --------
    >>> Shades.of(np.arange(1001, dtype=np.uint16))
    Shades(low=5.0, high=995.0)
    >>> Shades(1.0, 0.0)(np.array([0.0, 0.5, 2.0, np.nan])).tolist()
    [255, 128, 0, 0]
    """

    low: float
    high: float

    @classmethod
    def of(cls, image: ArrayLike, display_range: tuple[float, float] | None = None) -> Shades:
        """Take a range, or find one for an image, as `to_display` says."""
        if display_range is not None:
            return cls(*_checked(display_range))
        values = _numbers(image)
        if values.dtype == np.uint8:
            return cls(0.0, 255.0)
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            values = values.reshape(-1) if finite.all() else values[finite]
        if values.dtype.kind == "b" or not values.size:
            return cls(0.0, 1.0)
        least, most = values.min(), values.max()
        if least >= 0 and 1 < most <= 255:  # shades already, in another dtype
            return cls(0.0, 255.0)
        # half precision overflows between values that are far apart
        values = values.astype(np.float32) if values.dtype == np.float16 else values
        return cls(*np.percentile(values, _PERCENTILES).tolist())

    def __call__(self, image: ArrayLike) -> NDArray[np.uint8]:
        """Give an image in 8 bits, in its shape and memory order; uint8 shown from 0 to 255 as it is."""
        values = _numbers(image)
        if values.dtype == np.uint8 and (self.low, self.high) == (0.0, 255.0):
            return values
        order: Literal["C", "F"] = "C" if values.flags.c_contiguous else "F"
        flat = np.ravel(values, order=order)
        out = np.empty(flat.size, np.uint8)
        for first in range(0, flat.size, _BLOCK):
            out[first : first + _BLOCK] = self._scaled(flat[first : first + _BLOCK])
        return out.reshape(values.shape, order=order)

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        low, high = self.low, self.high
        shades = values.astype(np.float64)
        if low == high:
            return np.where(shades > low, 255, 0).astype(np.uint8)
        np.clip(shades, min(low, high), max(low, high), out=shades)
        # halves, since the difference of extremes may overflow
        shades = (shades / 2 - low / 2) / (high / 2 - low / 2)
        return np.nan_to_num(np.rint(shades * 255), copy=False).astype(np.uint8)


def to_display(image: ArrayLike, display_range: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Give imagery as 8 bits, from black at the lower end of a range to white at its upper end.

    Parameters
    ----------
    image : array_like
        Numbers or bools, of any shape.
    display_range : tuple of float or None, optional
        The values shown as 0 and 255; those between are rounded, those beyond are clipped. The first may be the
        larger one, for a negative. Default None: uint8 comes back as it is, as do other numbers that lie from 0 to
        255 with some above 1; bool becomes 0 and 255; the rest is shown from the 0.5 to the 99.5 percentile of the
        finite numbers (linear between values).

    Returns
    -------
    numpy.ndarray of uint8
        Of the image's shape. NaN becomes 0. Where both percentiles are one value, what exceeds it is white, and
        all else black.

    Raises
    ------
    ArgumentError
        If the image does not hold real numbers, or the range is not two different finite numbers.

    Examples
    --------
    >>> to_display(np.array([100, 2000, 4100], np.uint16), (100, 4100)).tolist()
    [0, 121, 255]
    >>> to_display(np.array([False, True])).tolist()
    [0, 255]
    """
    return Shades.of(image, display_range)(image)


def _numbers(image: ArrayLike) -> NDArray[Any]:
    values = np.asarray(image)
    if values.dtype.kind not in "biuf":
        raise ArgumentError(f"imagery must hold real numbers; got {values.dtype}")
    return values


def _checked(display_range: Any) -> tuple[float, float]:
    try:
        low, high = map(float, display_range)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (np.isfinite(low) and np.isfinite(high) and low != high):
        raise ArgumentError(
            f"display_range must be two different finite numbers, (black, white); got {display_range!r}"
        )
    return low, high
