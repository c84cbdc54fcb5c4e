"""From measured values to shown ones: imagery of any numbers as 8 bits, by a range of values from black to white.

Between black and white, values are raised to the power of gamma, as in ImageJ and scikit-image: a gamma below 1 shows
dark parts brighter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError

__all__ = ["Contrast", "Shades", "to_display"]

_PERCENTILES = (0.5, 99.5)
_BLOCK = 1 << 20  # values scaled in one go, as 64-bit floats
_TABLED = 2  # bytes of the largest unsigned integers whose shades are looked up


@dataclass(frozen=True, slots=True)
class Contrast:
    """How imagery is to be shown, as a caller asks for it; see `to_display`.

    Examples
    --------
    >>> Contrast.checked(percentiles=(0, 50), gamma=0.5).shades(np.arange(11))
    Shades(low=0.0, high=5.0, gamma=0.5)
    """

    display_range: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None
    gamma: float = 1.0

    @classmethod
    def checked(
        cls,
        display_range: tuple[float, float] | None = None,
        percentiles: tuple[float, float] | None = None,
        gamma: float = 1.0,
    ) -> Contrast:
        """Check the arguments; raises ArgumentError for those that make no sense."""
        if display_range is not None and percentiles is not None:
            raise ArgumentError("display_range and percentiles both say what is black and white: give one of them")
        if display_range is not None:
            display_range = _two(display_range, "display_range must be two different finite numbers, (black, white)")
        if percentiles is not None:
            meant = "percentiles must be two different numbers from 0 to 100, (black, white)"
            percentiles = _two(percentiles, meant)
            if not all(0 <= value <= 100 for value in percentiles):
                raise ArgumentError(f"{meant}; got {percentiles!r}")
        try:
            power = float(gamma)
        except (TypeError, ValueError):
            power = np.nan
        if not 0 < power < np.inf:
            raise ArgumentError(f"gamma must be a positive number, below 1 to show dark parts brighter; got {gamma!r}")
        return cls(display_range, percentiles, power)

    @property
    def is_given(self) -> bool:
        """Whether anything is asked for."""
        return self != Contrast()

    def shades(self, image: ArrayLike) -> Shades:
        """Find the shades of an image."""
        if self.display_range is not None:
            return Shades(*self.display_range, self.gamma)
        values = _numbers(image)
        plain = self.percentiles is None
        if plain and values.dtype == np.uint8:
            return Shades(0.0, 255.0, self.gamma)
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            values = values.reshape(-1) if finite.all() else values[finite]
        if values.dtype.kind == "b" or not values.size:
            return Shades(0.0, 1.0, self.gamma)
        if plain:
            least, most = values.min(), values.max()
            if least >= 0 and 1 < most <= 255:  # shades already, in another dtype
                return Shades(0.0, 255.0, self.gamma)
        # half precision overflows between values that are far apart
        values = values.astype(np.float32) if values.dtype == np.float16 else values
        low, high = np.percentile(values, self.percentiles or _PERCENTILES).tolist()
        return Shades(low, high, self.gamma)


@dataclass(frozen=True, slots=True)
class Shades:
    """How values are shown: `low` as black and `high` as white; called with an array, it gives it in 8 bits.

    Examples
    --------
    >>> Shades.of(np.arange(1001, dtype=np.uint16))
    Shades(low=5.0, high=995.0, gamma=1.0)
    >>> Shades(1.0, 0.0)(np.array([0.0, 0.5, 2.0, np.nan])).tolist()
    [255, 128, 0, 0]
    >>> Shades(0, 255, gamma=0.5)(np.array([0, 64, 255], np.uint8)).tolist()
    [0, 128, 255]
    """

    low: float
    high: float
    gamma: float = 1.0

    @classmethod
    def of(
        cls,
        image: ArrayLike,
        display_range: tuple[float, float] | None = None,
        percentiles: tuple[float, float] | None = None,
        gamma: float = 1.0,
    ) -> Shades:
        """Take a range, or find one for an image, as `to_display` says."""
        return Contrast.checked(display_range, percentiles, gamma).shades(image)

    def __call__(self, image: ArrayLike) -> NDArray[np.uint8]:
        """Give an image in 8 bits, in its shape and memory order; uint8 shown from 0 to 255 as it is."""
        values = _numbers(image)
        if values.dtype == np.uint8 and self == Shades(0.0, 255.0):
            return values
        order: Literal["C", "F"] = "C" if values.flags.c_contiguous else "F"
        flat = np.ravel(values, order=order)
        out = np.empty(flat.size, np.uint8)
        table = None
        if values.dtype.kind == "u" and values.dtype.itemsize <= _TABLED and values.size > np.iinfo(values.dtype).max:
            table = self._scaled(np.arange(np.iinfo(values.dtype).max + 1))
        for first in range(0, flat.size, _BLOCK):
            some = flat[first : first + _BLOCK]
            out[first : first + _BLOCK] = self._scaled(some) if table is None else table.take(some)
        return out.reshape(values.shape, order=order)

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        low, high = self.low, self.high
        shades = values.astype(np.float64)
        if low == high:
            return np.where(shades > low, 255, 0).astype(np.uint8)
        np.clip(shades, min(low, high), max(low, high), out=shades)
        # halves, since the difference of extremes may overflow
        shades = (shades / 2 - low / 2) / (high / 2 - low / 2)
        if self.gamma != 1:
            np.power(shades, self.gamma, out=shades)
        return np.nan_to_num(np.rint(shades * 255), copy=False).astype(np.uint8)


def to_display(
    image: ArrayLike,
    display_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] | None = None,
    gamma: float = 1.0,
) -> NDArray[np.uint8]:
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
    percentiles : tuple of float or None, optional
        Which percentiles of the finite numbers are shown as 0 and 255, of whatever numbers, uint8 too. Default None.
    gamma : float, optional
        The power that numbers from 0 (black) to 1 (white) are raised to: below 1 shows dark parts brighter. Default 1.

    Returns
    -------
    numpy.ndarray of uint8
        Of the image's shape. NaN becomes 0. Where both percentiles are one value, what exceeds it is white, and
        all else black.

    Raises
    ------
    ArgumentError
        If the image does not hold real numbers, or the arguments make no sense.

    Examples
    --------
    >>> to_display(np.array([100, 2000, 4100], np.uint16), (100, 4100)).tolist()
    [0, 121, 255]
    >>> to_display(np.array([False, True])).tolist()
    [0, 255]
    """
    return Shades.of(image, display_range, percentiles, gamma)(image)


def _numbers(image: ArrayLike) -> NDArray[Any]:
    values = np.asarray(image)
    if values.dtype.kind not in "biuf":
        raise ArgumentError(f"imagery must hold real numbers; got {values.dtype}")
    return values


def _two(values: Any, meant: str) -> tuple[float, float]:
    try:
        low, high = map(float, values)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (np.isfinite(low) and np.isfinite(high) and low != high):
        raise ArgumentError(f"{meant}; got {values!r}")
    return low, high
