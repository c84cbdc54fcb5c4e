"""Palettes in which an id has one colour, whatever else is shown: our own, and Neuroglancer's."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from ..ids import as_ids
from .hues import oklch

__all__ = ["is_steady", "steady_colors"]

# in OKLCH; yellow and green are lighter, blue and purple darker than the rest, as they are when they look pure
_COUNT = 2048  # hues of one lightness and chroma
_LIGHTNESS, _SWING, _LIGHTEST = 0.69, 0.09, 110.0
_LIGHTER = (-0.05, 0.0, 0.05)
_SHARES = (0.9, 1.0)  # of the largest chroma


def is_steady(palette: Any) -> bool:
    """Tell whether a palette gives each id a colour that does not depend on the others.

    Examples
    --------
    >>> is_steady("steady"), is_steady("neuroglancer:7"), is_steady("husl")
    (True, True, False)
    """
    return isinstance(palette, str) and palette.partition(":")[0] in ("steady", "neuroglancer")


def steady_colors(ids: ArrayLike, palette: str) -> NDArray[np.uint8]:
    """Give the colours of ids in such a palette, shape (count, 3).

    Parameters
    ----------
    ids : array_like of int
        Ids of 64 bits, one axis.
    palette : str
        "steady", for saturated colours of nearly even lightness, or "neuroglancer"; with ":SEED" after it for others,
        which of Neuroglancer's is its `colorSeed`.

    Raises
    ------
    ArgumentError
        If an id is none, or the seed is no whole number of 32 bits.

    Examples
    --------
    >>> steady_colors([864691135341362885], "neuroglancer").tolist()
    [[8, 255, 77]]
    >>> steady_colors([864691135341362885, 1], "steady").tolist()
    [[46, 234, 0], [38, 139, 176]]
    """
    name, _, text = palette.partition(":")
    if text and not (text.isdecimal() and int(text) < 2**32):
        raise ArgumentError(f"the seed of palette {palette!r} must be a whole number of 32 bits")
    seed = int(text or "0")
    if name == "neuroglancer":
        from ..neuroglancer.colors import segment_colors

        return segment_colors(ids, seed)
    return _hashed(as_ids(ids), seed)


def _hashed(ids: NDArray[np.uint64], seed: int) -> NDArray[np.uint8]:
    mixed = _mixed(ids ^ _mixed(np.array([seed], np.uint64)))
    table = _table()
    return table.take((mixed % np.uint64(len(table))).astype(np.intp), axis=0)


@cache
def _table() -> NDArray[np.uint8]:
    """Give all colours there are, one after the other; made at once, so that each is the same every time."""
    hues = np.linspace(0, 360, _COUNT, endpoint=False, dtype=np.float64)
    lightness = _LIGHTNESS + _SWING * np.cos(np.radians(hues - _LIGHTEST))
    kinds = [oklch(lightness + by, np.full(_COUNT, share), hues) for by in _LIGHTER for share in _SHARES]
    return np.rint(255 * np.concatenate(kinds)).astype(np.uint8)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64 bits over 64 bits, one to one: SplitMix64 of Steele, Lea and Flood (2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
