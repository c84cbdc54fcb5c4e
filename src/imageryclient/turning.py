"""A section turned about an axis of its picture, step by step. Pure arithmetic, no data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError
from .section import Quaternion, Section

__all__ = ["Axis", "turning_sections"]

Axis = Literal["x", "y", "z"]


def turning_sections(
    section: Section, axis: Axis = "y", degrees: float = 360.0, frames: int = 120
) -> Iterator[Section]:
    """Give sections that turn about their centre.

    Parameters
    ----------
    section : Section
        The first.
    axis : {"x", "y", "z"}
        What they turn about, seen on the picture: x runs to the right, y down, z into the screen.
    degrees : float
        How far; positive from the next axis to the one after it (about x from y to z).
    frames : int
        How many sections. The last one is turned by all the degrees; but after whole turns, which end where they began,
        it is one step before that, so that a movie of them goes round without a halt.

    Raises
    ------
    ArgumentError
        If the arguments make no turn.

    Examples
    --------
    >>> turned = list(turning_sections(Section((0.0, 0.0, 0.0), (8, 8), 4.0), "x", 90, 3))
    >>> [tuple(round(n, 3) for n in one.normal) for one in turned]
    [(0.0, 0.0, 1.0), (0.0, -0.707, 0.707), (0.0, -1.0, 0.0)]
    """
    if axis not in get_args(Axis):
        raise ArgumentError(f"axis must be 'x', 'y' or 'z', as the picture has them; got {axis!r}")
    if not math.isfinite(degrees):
        raise ArgumentError(f"degrees must be a number; got {degrees!r}")
    if frames < 1 or frames != int(frames):
        raise ArgumentError(f"frames must be a whole number of sections, 1 or more; got {frames!r}")
    steps = int(frames) if degrees % 360 == 0 else max(int(frames) - 1, 1)
    # The axis as the orientation finds it, which turns the panel's axes.
    about = replace(section, orientation=(0.0, 0.0, 0.0, 1.0)).axes[:, "xyz".index(axis)]
    return (_turned(section, about, math.radians(degrees * n / steps)) for n in range(int(frames)))


def _turned(section: Section, about: NDArray[np.float64], angle: float) -> Section:
    x, y, z = (about * math.sin(angle / 2)).tolist()
    return replace(section, orientation=_product(section.orientation, (x, y, z, math.cos(angle / 2))))


def _product(one: Quaternion, other: Quaternion) -> Quaternion:
    """Give the rotation by `other`, then by `one`."""
    (a, b, c, d), (x, y, z, w) = one, other
    return (
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    )
