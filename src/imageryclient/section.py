"""A section through space at any angle: where each of its pixels lies. Pure arithmetic, no data.

Pixels are those of a panel of Neuroglancer. Pixel (i, j) of w x h, counted from the upper left, has its centre at

    center + nm_per_pixel * R [i + 1/2 - w/2, j + 1/2 - h/2, 0]   nm,

where R is the rotation of the view's `crossSectionOrientation` after that of the panel: none for xy, a quarter turn
about x for xz, about y for yz.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError, BoundsError
from .geometry import TOLERANCE, Box, FloatTriple, IntTriple, Resolution

__all__ = [
    "UNTURNED",
    "Panel",
    "Quaternion",
    "Section",
    "Tile",
    "as_seen",
    "orientation_across",
    "pixels_across",
    "voxels_at",
]

Panel = Literal["xy", "xz", "yz"]
Quaternion = tuple[float, float, float, float]
Tile = tuple[slice, slice]
UNTURNED: Quaternion = (0.0, 0.0, 0.0, 1.0)
_PANELS: dict[str, NDArray[np.float64]] = {
    "xy": np.eye(3),
    "xz": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "yz": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
}
_LARGEST = 2.0**52  # nm, beyond which a float no longer tells neighbouring voxels apart


@dataclass(frozen=True, slots=True)
class Section:
    """A rectangle of square pixels, anywhere and at any angle.

    Parameters
    ----------
    center : tuple of float
        x, y, z in nm.
    size : tuple of int
        Pixels to the right and down.
    nm_per_pixel : float
        Of both.
    orientation : tuple of float
        Quaternion x, y, z, w, as Neuroglancer's `crossSectionOrientation`; of any length but 0.
    panel : {"xy", "xz", "yz"}
        Which panel of the view.

    Raises
    ------
    ArgumentError, BoundsError
        If these make no section.

    Examples
    --------
    >>> section = Section((800.0, 800.0, 400.0), (3, 2), 8.0, panel="xz")
    >>> section.points(section.whole).reshape(2, 3, 3)[0].tolist()
    [[792.0, 800.0, 396.0], [800.0, 800.0, 396.0], [808.0, 800.0, 396.0]]
    """

    center: FloatTriple
    size: tuple[int, int]
    nm_per_pixel: float
    orientation: Quaternion = UNTURNED
    panel: Panel = "xy"

    def __post_init__(self) -> None:
        """Check the numbers, and make the quaternion one of length 1."""
        center = _vector(self.center, 3, "center", BoundsError)
        if np.any(np.abs(center) > _LARGEST):
            raise BoundsError(f"the centre of a section must be finite; it is {center.tolist()} nm")
        size = _vector(self.size, 2, "size")
        if np.any(size < 1) or np.any(size != np.round(size)):
            raise ArgumentError(f"a section's size must be its width and height in whole pixels; got {self.size!r}")
        if not (math.isfinite(self.nm_per_pixel) and self.nm_per_pixel > 0):
            raise ArgumentError(f"nm_per_pixel must be a positive number; got {self.nm_per_pixel!r}")
        if size.max() * self.nm_per_pixel > _LARGEST:
            raise ArgumentError(f"a section of {self.size} pixels of {self.nm_per_pixel:g} nm is larger than any data")
        if self.panel not in _PANELS:
            raise ArgumentError(f"a panel is 'xy', 'xz' or 'yz'; got {self.panel!r}")
        turn = _vector(self.orientation, 4, "orientation")
        length = float(np.linalg.norm(turn))
        if length == 0:
            raise ArgumentError("an orientation must be a rotation, a quaternion x, y, z, w; it is all zeros")
        object.__setattr__(self, "center", cast(FloatTriple, tuple(center.tolist())))
        object.__setattr__(self, "size", (int(size[0]), int(size[1])))
        object.__setattr__(self, "nm_per_pixel", float(self.nm_per_pixel))
        # Twice normalized is not always the same: what is as good as 1 is left, so that links give back their numbers.
        if abs(length - 1) > 1e-12:
            turn = turn / length
        object.__setattr__(self, "orientation", tuple(turn.tolist()))

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors as columns, shape (3, 3): to the right, down, and into the screen."""
        return _rotation(self.orientation) @ _PANELS[self.panel]

    @property
    def normal(self) -> FloatTriple:
        """Unit vector into the screen."""
        return cast(FloatTriple, tuple(self.axes[:, 2].tolist()))

    @property
    def aligned(self) -> bool:
        """Whether the sides lie along x, y and z."""
        turned = np.abs(self.axes)
        return bool(np.allclose(turned, np.round(turned), atol=1e-6))

    @property
    def extent(self) -> FloatTriple:
        """Sizes of the box around the section, in nm along x, y, z; 0 along an axis it stands across."""
        reach = np.abs(self.axes[:, :2])
        reach[reach < 1e-6] = 0
        return cast(FloatTriple, tuple((reach @ np.array(self.size) * self.nm_per_pixel).tolist()))

    @property
    def whole(self) -> Tile:
        """All pixels."""
        return slice(0, self.size[0]), slice(0, self.size[1])

    def tiles(self, side: int) -> Iterator[Tile]:
        """Part the pixels into squares.

        Parameters
        ----------
        side : int
            How many pixels a square is wide and high at most.

        Yields
        ------
        tuple of slice
            To the right and down; row after row.

        Examples
        --------
        >>> [(right.stop, down.stop) for right, down in Section((0.0, 0.0, 0.0), (300, 200), 8.0).tiles(256)]
        [(256, 200), (300, 200)]
        """
        width, height = self.size
        for top in range(0, height, side):
            for left in range(0, width, side):
                yield slice(left, min(left + side, width)), slice(top, min(top + side, height))

    def points(self, tile: Tile) -> NDArray[np.float64]:
        """Give the centres of pixels.

        Parameters
        ----------
        tile : tuple of slice
            Which ones: to the right and down, as `whole` or one of `tiles`.

        Returns
        -------
        numpy.ndarray
            Shape (n, 3), x, y, z in nm; row after row of the picture.
        """
        right, down, _ = self.axes.T * self.nm_per_pixel
        i, j = (np.arange(part.start, part.stop) + 0.5 - whole / 2 for part, whole in zip(tile, self.size, strict=True))
        rows = np.array(self.center) + j[:, None] * down
        points: NDArray[np.float64] = (rows[:, None, :] + (i[:, None] * right)[None]).reshape(-1, 3)
        return points

    def zoomed(self, zoom: float) -> Section:
        """Give the section with so many times as many pixels from the same upper left corner.

        Like a picture drawn `zoom` times as large, it has all pixels whose centres lie in it, and at least one.

        Parameters
        ----------
        zoom : float
            How many times.

        Returns
        -------
        Section
            Of the same plane.

        Examples
        --------
        >>> zoomed = Section((800.0, 800.0, 400.0), (6, 4), 8.0).zoomed(1.5)
        >>> zoomed.size, zoomed.center
        ((9, 6), (800.0, 800.0, 400.0))
        """
        if zoom == 1:
            return self
        nm = self.nm_per_pixel / zoom
        size = np.array([pixels_across(n, zoom) for n in self.size])
        shift = self.axes[:, :2] @ (size * nm - np.array(self.size) * self.nm_per_pixel) / 2
        center = cast(FloatTriple, tuple((np.array(self.center) + shift).tolist()))
        return replace(self, center=center, size=(int(size[0]), int(size[1])), nm_per_pixel=nm)

    def pixels(self, points: ArrayLike) -> NDArray[np.float64]:
        """Tell where points lie: the inverse of `points`.

        Parameters
        ----------
        points : array_like
            x, y, z in nm, shape (n, 3).

        Returns
        -------
        numpy.ndarray
            Shape (n, 3): pixels to the right and down from the upper left corner, pixel (i, j) covering [i, i + 1) by
            [j, j + 1); and how far behind the section a point lies, in nm, before it if negative.

        Examples
        --------
        >>> Section((800.0, 800.0, 400.0), (64, 48), 8.0).pixels([[800, 808, 480]]).tolist()
        [[32.0, 25.0, 80.0]]
        """
        offset: NDArray[np.float64] = np.asarray(points, np.float64).reshape(-1, 3) - np.array(self.center)
        offset = offset @ self.axes
        offset[:, :2] = offset[:, :2] / self.nm_per_pixel + np.array(self.size) / 2
        return offset

    def box(self, resolution: Resolution, inward: NDArray[np.float64] | None = None) -> Box:
        """Give the smallest box of voxels that holds the voxels at all pixels' centres.

        Parameters
        ----------
        resolution : tuple of float
            nm per voxel.
        inward : numpy.ndarray, optional
            Shape (3, 4): where a layer is moved, what leads from nm here to nm as the layer counts them.

        Returns
        -------
        Box
            Whole voxels of `resolution`.

        Examples
        --------
        >>> Section((800.0, 800.0, 420.0), (64, 48), 8.0).box((8.0, 8.0, 40.0))
        Box(start=(68, 76, 10), stop=(132, 124, 11), resolution=(8.0, 8.0, 40.0))
        """
        width, height = self.size
        corners = [self.points((slice(i, i + 1), slice(j, j + 1))) for i in {0, width - 1} for j in {0, height - 1}]
        found = voxels_at(np.concatenate(corners), resolution, inward)
        low, high = found.min(axis=0).tolist(), (found.max(axis=0) + 1).tolist()
        return Box(cast(IntTriple, tuple(low)), cast(IntTriple, tuple(high)), resolution)

    def __str__(self) -> str:
        width, height = self.size
        x, y, z = self.center
        a, b, c = self.normal
        return (
            f"{width} x {height} pixels of {self.nm_per_pixel:g} nm around ({x:.10g}, {y:.10g}, {z:.10g}) nm, "
            f"across ({a + 0.0:.3g}, {b + 0.0:.3g}, {c + 0.0:.3g})"
        )


def pixels_across(voxels: int, zoom: float) -> int:
    """Give how many pixels a picture drawn `zoom` times as large is wide: those whose centres lie in it, at least one.

    A centre on the far border, but for rounding, lies outside.

    Examples
    --------
    >>> pixels_across(5, 1.5), pixels_across(25, 1.1), pixels_across(1, 0.2)
    (7, 27, 1)
    """
    return max(1, math.ceil(voxels * zoom - 0.5 - TOLERANCE))


def voxels_at(
    points: NDArray[np.float64], resolution: Resolution, inward: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Give the voxel that contains each point, shape (n, 3); one a millionth of a voxel below the next is in the next.

    Parameters
    ----------
    points : numpy.ndarray
        nm, shape (n, 3).
    resolution, inward
        As for `Section.box`.
    """
    if inward is not None:
        points = points @ inward[:, :3].T + inward[:, 3]
    places = points / np.array(resolution)
    places += TOLERANCE
    voxels: NDArray[np.int64] = np.floor(places, out=places).astype(np.int64)
    return voxels


def orientation_across(normal: ArrayLike, up: ArrayLike | None = None) -> Quaternion:
    """Give the orientation of an xy panel that looks along a direction.

    Parameters
    ----------
    normal : array_like
        Direction into the screen, x, y, z in nm, of any length.
    up : array_like, optional
        Direction that shall point up on the screen, as near as can be. By default y runs down, as in an xy panel; or
        z, where the normal lies along y.

    Raises
    ------
    ArgumentError
        If these are no directions, or the same.

    Examples
    --------
    >>> orientation_across((0, 0, 2))
    (0.0, 0.0, 0.0, 1.0)
    >>> Section((0.0, 0.0, 0.0), (2, 2), 1.0, orientation_across((1, 1, 0))).axes.round(3)[:, 2].tolist()
    [0.707, 0.707, 0.0]
    """
    into = _direction(normal, "normal")
    if up is not None:
        down = -_direction(up, "up")
    else:
        down = np.array([0.0, 0, 1] if abs(into[1]) > 1 - 1e-9 else [0.0, 1, 0])
    down = down - (down @ into) * into
    length = float(np.linalg.norm(down))
    if length < 1e-9:
        raise ArgumentError(f"up must point another way than the normal; both are {normal!r}")
    down /= length
    return _quaternion(np.column_stack([np.cross(down, into), down, into]))


def as_seen(section: Section, order: IntTriple) -> Section:
    """Give a section seen in a viewer that displays the axes in another order.

    Parameters
    ----------
    section : Section
        As it would be in the usual order.
    order : tuple of int
        Which of x, y and z, counted from 0, come in place of x, y and z.

    Examples
    --------
    >>> seen = as_seen(Section((0.0, 0.0, 0.0), (2, 2), 1.0), (2, 1, 0))
    >>> (seen.axes[:, :2].T.round(6) + 0).tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    axes = np.empty((3, 3))
    axes[list(order), :2] = section.axes[:, :2]
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])  # seen from the front, also where the order mirrors space
    return replace(section, orientation=_quaternion(axes @ _PANELS[section.panel].T))


def _direction(value: ArrayLike, name: str) -> NDArray[np.float64]:
    vector: NDArray[np.float64] = _vector(value, 3, name)
    length = float(np.linalg.norm(vector))
    if length == 0:
        raise ArgumentError(f"{name} must be a direction, three numbers x, y, z; they are all zeros")
    return vector / length


def _vector(
    value: Any, count: int, name: str, error: type[ArgumentError | BoundsError] = ArgumentError
) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.all(np.isfinite(numbers)):
        how = {2: "two", 3: "three", 4: "four"}[count]
        raise error(f"{name} must be {how} numbers; got {value!r:.80}")
    return numbers


def _rotation(quaternion: Quaternion) -> NDArray[np.float64]:
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _quaternion(turn: NDArray[np.float64]) -> Quaternion:
    """Give the quaternion of a rotation: its largest part from a square root, the others from it."""
    trace = float(np.trace(turn))
    squares = np.array([*(1 + 2 * np.diag(turn) - trace), 1 + trace])
    largest = int(squares.argmax())
    parts = np.empty(4)
    parts[largest] = squares[largest]
    for axis, (a, b) in enumerate(((1, 2), (2, 0), (0, 1))):
        if largest == 3:
            parts[axis] = turn[b, a] - turn[a, b]
        elif axis == largest:
            parts[3] = turn[b, a] - turn[a, b]
        else:
            parts[axis] = turn[axis, largest] + turn[largest, axis]
    x, y, z, w = (parts / np.linalg.norm(parts) + 0.0).tolist()
    return (x, y, z, w)
