"""One section of a stack painted by itself, as it looks among the others: no pixel of those is painted for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import Box, IntTriple
from .options import COLORING
from .planes import Plane
from .shared import shared_options
from .steady import is_steady

__all__ = ["across", "options_apart", "sliced", "thin_box"]


def across(plane: Plane | None) -> int:
    """Give the axis that the sections of a plane follow one another along.

    Examples
    --------
    >>> across("xz"), across(None)
    (1, 2)
    """
    return next(n for n, axis in enumerate("xyz") if axis not in (plane or "xy"))


def thin_box(box: Box, axis: int, number: int) -> Box:
    """Give the voxels of one section of a box, counted from 0.

    Raises
    ------
    ArgumentError
        If there is no such section.

    Examples
    --------
    >>> thin_box(Box((0, 5, 3), (8, 9, 6), (8.0, 8.0, 40.0)), 2, 1)
    Box(start=(0, 5, 4), stop=(8, 9, 5), resolution=(8.0, 8.0, 40.0))
    """
    if not (isinstance(number, (int, np.integer)) and 0 <= number < box.shape[axis]):
        raise ArgumentError(f"there are {box.shape[axis]} sections, counted from 0; got section={number!r}")
    start, stop = list(box.start), list(box.stop)
    start[axis] += int(number)
    stop[axis] = start[axis] + 1
    return Box(cast(IntTriple, tuple(start)), cast(IntTriple, tuple(stop)), box.resolution)


def sliced(block: NDArray[Any] | None, axis: int, number: int) -> NDArray[Any] | None:
    """Give one section of a block, as a view of it that is one voxel thick."""
    return None if block is None else block[(slice(None),) * axis + (slice(number, number + 1),)]


def options_apart(
    image: NDArray[Any] | None, ids: Callable[[], Sequence[int]] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Give options that paint one section with the colours and the contrast it has in the stack.

    Parameters
    ----------
    image : numpy.ndarray or None
        The imagery of the stack.
    ids : callable or None
        Gives the ids of the stack; not asked for where no colour depends on what else there is. None without any.
    options : mapping
        As for `composite_overlay`.

    Examples
    --------
    >>> options_apart(None, lambda: [5, 7], {"palette": ["red", "blue"]})
    {'colors': {5: '#ff0000', 7: '#0000ff'}}
    >>> options_apart(None, lambda: [5, 7], {"palette": "steady"})
    {'palette': 'steady'}
    """
    own = options.get("colors")
    if is_steady(options.get("palette")) and (own is None or isinstance(own, Mapping)):
        coloring = {name: options[name] for name in COLORING if name in options}
        return shared_options(image, [], options) | coloring
    return shared_options(image, [] if ids is None else ids(), options)
