"""Where the voxels of an array lie among x, y, z, and which of its chunks a box touches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, ScaleError, SourceError
from ..geometry import TOLERANCE, Box, IntTriple, Resolution
from ..precomputed.chunks import chunks_covering
from ..scales import Scale
from .arrays import ZarrArray
from .choice import Choice
from .multiscales import Axis, Level, axis_kind
from .n5groups import n5_axes
from .units import tidy

__all__ = ["Grid", "StoredChunk", "lay_out"]

_SPACE = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One stored chunk.

    Parameters
    ----------
    index : tuple of int
        Its place in the array's grid of chunks.
    box : Box
        The voxels it holds, clipped to the bounds of the scale.
    channels : tuple of int
        The first channel it holds, counted from the first one read, and one past the last.
    """

    index: tuple[int, ...]
    box: Box
    channels: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """An array laid out along x, y, z and channels.

    Parameters
    ----------
    array : ZarrArray
        The array.
    path : str
        Of the array, within the store.
    space : tuple of (int or None)
        Which of its axes x, y and z are; None for one it does not have, along which it is one voxel deep.
    channel : int or None
        Which of its axes the channels are.
    picks : tuple of int
        The index taken along each of its axes; only those count that are neither space nor channels.
    """

    array: ZarrArray
    path: str
    space: tuple[int | None, int | None, int | None]
    channel: int | None
    picks: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Numbers per voxel."""
        return 1 if self.channel is None else self.array.shape[self.channel]

    @property
    def shape(self) -> IntTriple:
        """Voxels along x, y, z."""
        return cast(IntTriple, tuple(1 if a is None else self.array.shape[a] for a in self.space))

    @property
    def chunk_size(self) -> IntTriple:
        """Voxels of a chunk along x, y, z."""
        return cast(IntTriple, tuple(1 if a is None else self.array.chunk_shape[a] for a in self.space))

    @property
    def order(self) -> Literal["C", "F"]:
        """Which order of the array's axes has x fastest, or nearly so."""
        x, _, z = self.space
        return "F" if x is not None and z is not None and x < z else "C"

    def key(self, index: Sequence[int]) -> str:
        """Name the file that holds a chunk."""
        return f"{self.path}/{self.array.file_key(index)}" if self.path else self.array.file_key(index)

    def stored(self, scale: Scale, box: Box) -> Iterator[StoredChunk]:
        """Give the chunks that hold voxels of `box`, x fastest, and of those the channels."""
        index = [pick // size for pick, size in zip(self.picks, self.array.chunk_shape, strict=True)]
        for chunk in chunks_covering(scale, box):
            for axis, place in zip(self.space, chunk.index, strict=True):
                if axis is not None:
                    index[axis] = place
            if self.channel is None:
                yield StoredChunk(tuple(index), chunk.box, (0, 1))
                continue
            size = self.array.chunk_shape[self.channel]
            for number, first in enumerate(range(0, self.channels, size)):
                index[self.channel] = number
                yield StoredChunk(tuple(index), chunk.box, (first, min(first + size, self.channels)))

    def window(self, stored: StoredChunk, region: Box) -> tuple[slice, ...]:
        """Give the elements of a chunk that hold a part of its voxels, along the array's axes, from its first one."""
        window = [slice(p % size, p % size + 1) for p, size in zip(self.picks, self.array.chunk_shape, strict=True)]
        for axis, part in zip(self.space, region.slices(stored.box), strict=True):
            if axis is not None:
                window[axis] = part
        if self.channel is not None:
            first, end = stored.channels
            window[self.channel] = slice(0, end - first)
        return tuple(window)

    def turned(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Give the elements of a window as (x, y, z, c)."""
        kept = [axis for axis in (*self.space, self.channel) if axis is not None]
        rest = [axis for axis in range(voxels.ndim) if axis not in kept]
        turned = voxels.transpose(kept + rest).reshape([voxels.shape[axis] for axis in kept])
        missing = [place for place, axis in enumerate((*self.space, self.channel)) if axis is None]
        return np.expand_dims(turned, missing)


def lay_out(
    levels: Sequence[tuple[Level, str, ZarrArray]], choice: Choice, source: str
) -> tuple[list[Scale], list[Grid]]:
    """Lay the arrays of a volume out along x, y, z in nm.

    OME-Zarr says where the centres of voxels lie. As in Neuroglancer, the first corner of a level is half a voxel
    before its first centre. Tools differ in what they write of coarser levels: those that move the centres by half
    of what a voxel grows, and those that leave them where they are, mean the same, that the corners coincide, and both
    are read so. The whole volume is then moved by at most half a voxel of its finest level, to where that has whole
    voxels, and each other level to the nearest of its own.

    Parameters
    ----------
    levels : sequence of (Level, str, ZarrArray)
        What is said of each, the path of the array within the store, and the array; finest first.
    choice : Choice
        What the source chooses.
    source : str
        For messages.

    Raises
    ------
    ScaleError
        If nothing says how large a voxel is.
    FormatError
        If the arrays do not fit what is said of them, or each other.
    SourceError
        If the source chooses what they do not have, or must choose.
    """
    orders = [_order(level, array, choice, source) for level, _, array in levels]
    grids = [
        _grid(array, path, order, level, choice, source)
        for (level, path, array), order in zip(levels, orders, strict=True)
    ]
    if len({(grid.array.dtype, grid.channels) for grid in grids}) > 1:
        found = ", ".join(f"{grid.path}: {grid.array.dtype}, {grid.channels} channels" for grid in grids)
        raise FormatError(f"{source}: the scales differ in their kind of voxels ({found})")
    spacings = [_spacings(levels, n, orders[n], source) for n in range(len(levels))]
    units = _units(levels[0], orders[0], spacings[0], choice, source)
    resolutions = [tuple(tidy(spacing[axis] * units[axis]) for axis in _SPACE) for spacing in spacings]
    corners = _corners([level for level, _, _ in levels], spacings, units)
    scales = []
    for mip, (grid, at) in enumerate(zip(grids, resolutions, strict=True)):
        resolution = cast(Resolution, at)
        start = [_nearest(nm / r) for nm, r in zip(corners[mip], resolution, strict=True)]
        stop = [a + n for a, n in zip(start, grid.shape, strict=True)]
        bounds = Box(cast(IntTriple, tuple(start)), cast(IntTriple, tuple(stop)), resolution)
        key = grid.path or "."
        scales.append(Scale(mip, key, resolution, bounds, grid.chunk_size, grid.array.format, None, None))
    return scales, grids


def _order(level: Level, array: ZarrArray, choice: Choice, source: str) -> tuple[str, ...]:
    """Name the axes of an array, in the order of its shape."""
    rank = len(array.shape)
    if choice.axes is not None:
        names: Sequence[str | None] = choice.axes
    elif array.format == "n5":  # whose metadata list axes in either order
        names = n5_axes(array.names)
    elif level.axes is not None:
        names = [axis.name for axis in level.axes]
    else:
        names = array.names
    if len(names) != rank:
        raise FormatError(f"{source}: the array {level.path!r} has {rank} axes, its metadata name {list(names)}")
    if not all(names):
        example = "axes=zyx" if choice.resolution is not None else "axes=zyx&resolution=4,4,40"
        raise SourceError(
            f"{source}: nothing says which of the {rank} axes of the array are x, y and z; its shape is {array.shape}. "
            f"Name them in this order at the end of the source, such as {choice.ending(example)}"
        )
    order = tuple(_spelled(cast(str, name)) for name in names)
    if len(set(order)) < rank:
        raise FormatError(f"{source}: two axes of the array {level.path!r} have one name: {', '.join(order)}")
    return order


def _spelled(name: str) -> str:
    return name.lower() if name.lower() in _SPACE else name


def _grid(array: ZarrArray, path: str, order: tuple[str, ...], level: Level, choice: Choice, source: str) -> Grid:
    place = {name: n for n, name in enumerate(order)}
    if "x" not in place or "y" not in place:
        raise FormatError(f"{source}: its axes are {', '.join(order)}; x and y are needed")
    kinds = {axis.name: axis.kind for axis in level.axes or ()}
    picks = [0] * len(order)
    chosen = dict(choice.picks)
    for name, index in chosen.items():
        others = [axis for axis in order if axis not in _SPACE]
        if name not in others:
            raise SourceError(
                f"{source}: there is no axis {name!r} to choose along; there are {', '.join(others) or 'none'}"
            )
        if index >= array.shape[place[name]]:
            raise SourceError(f"{source}: {name}={index} is beyond the {array.shape[place[name]]} along that axis")
        picks[place[name]] = index
    channel = None
    for name, axis in place.items():
        if name in _SPACE or name in chosen or (kinds.get(name) or axis_kind(name)) == "time":
            continue
        if (kinds.get(name) or axis_kind(name)) == "channel" and channel is None:
            channel = axis
        elif array.shape[axis] > 1:
            raise SourceError(
                f"{source}: choose one of {array.shape[axis]} along the axis {name!r}; end the source with "
                f"{choice.ending(f'{name}=0')}"
            )
    if 0 in array.shape:
        raise FormatError(f"{source}: the array {path!r} is empty; its shape is {array.shape}")
    space = (place["x"], place["y"], place.get("z"))
    return Grid(array, path, space, channel, tuple(picks))


def _spacings(
    levels: Sequence[tuple[Level, str, ZarrArray]], n: int, order: tuple[str, ...], source: str
) -> dict[str, float]:
    """Give the size of a voxel of a level along x, y, z, in any unit that all levels share."""
    level, _, array = levels[n]
    base_level, _, base = levels[0]
    if level.spacing:
        return {axis: _by_name(level.spacing, axis, 1.0) for axis in _SPACE}
    if base_level.spacing:
        raise FormatError(f"{source}: its metadata give the scale of {base_level.path!r} and not of {level.path!r}")
    lengths = _lengths(array, order)
    if lengths is not None:
        return lengths
    # Nothing is said of any level: how often the finest is larger is all there is to go by.
    known = _lengths(base, order) or dict.fromkeys(_SPACE, 1.0)
    ratios = {name: max(1, round(a / b)) for name, a, b in zip(order, base.shape, array.shape, strict=True)}
    return {axis: size * ratios.get(axis, 1) for axis, size in known.items()}


def _units(
    base: tuple[Level, str, ZarrArray], order: tuple[str, ...], spacing: dict[str, float], choice: Choice, source: str
) -> dict[str, float]:
    """Give nm per unit along x, y, z: those of the metadata, or what makes the finest level the resolution chosen."""
    level, _, array = base
    if choice.resolution is not None:
        return {axis: nm / spacing[axis] for axis, nm in zip(_SPACE, choice.resolution, strict=True)}
    if not level.spacing and _lengths(array, order) is not None:
        return dict.fromkeys(_SPACE, 1.0)
    axes = {_spelled(axis.name): axis for axis in level.axes or ()}
    units = {axis: axes.get(axis, Axis(axis)).nm if level.spacing and axis in order else None for axis in _SPACE}
    unknown = [axis for axis, nm in units.items() if nm is None]
    if unknown:
        raise ScaleError(
            f"{source}: nothing says how many nm a voxel measures along {', '.join(unknown)}. Give it for x, y, z at "
            f"the end of the source, such as {choice.ending('resolution=4,4,40')}, or open the array yourself and pass "
            "an ArraySource with its resolution"
        )
    return {axis: nm or 1.0 for axis, nm in units.items()}


def _lengths(array: ZarrArray, order: tuple[str, ...]) -> dict[str, float] | None:
    """Give nm per voxel along x, y, z where the array itself says so."""
    lengths = dict(zip(order, array.lengths or [None] * len(order), strict=True))
    known = {axis: length for axis in _SPACE if (length := lengths.get(axis)) is not None}
    return known if len(known) == len(_SPACE) else None


def _corners(
    levels: Sequence[Level], spacings: Sequence[dict[str, float]], units: dict[str, float]
) -> list[list[float]]:
    """Give the first corner of each level in nm along x, y, z, those of the finest on its grid."""
    corners: list[list[float]] = [[] for _ in levels]
    for axis in _SPACE:
        first = _by_name(levels[0].center, axis, 0.0)
        size = spacings[0][axis]
        base = _nearest(first / size - 0.5) * size
        for level, spacing, out in zip(levels, spacings, corners, strict=True):
            moved = _by_name(level.center, axis, 0.0) - first
            grown = (spacing[axis] - size) / 2
            slack = 1e-3 * size
            aligned = abs(moved) < slack or abs(moved - grown) < slack
            out.append((base if aligned else base + moved - grown) * units[axis])
    return corners


def _by_name(values: Any, axis: str, default: float) -> float:
    return float(next((value for name, value in values.items() if _spelled(name) == axis), default))


def _nearest(voxels: float) -> int:
    return math.floor(voxels + 0.5 + TOLERANCE)
