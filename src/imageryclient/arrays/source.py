"""Arrays a caller holds, placed among the voxels of a dataset.

No package of arrays is known by name here. An array is what has a shape and a dtype and gives a block when it is
indexed by slices: NumPy's, Dask's, xarray's, Zarr's, TensorStore's, h5py's. Those that say more of themselves, see
`array_axes`, are believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError
from ..geometry import Box, IntTriple, Resolution, as_resolution, format_resolution
from .axes import Axis, AxisRoles, axis_names, axis_roles, index_origin, read_axis

__all__ = ["ArraySource", "PlacedArray", "place_arrays"]


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """An array as a layer, with where it lies.

    Parameters
    ----------
    array : array
        Axes (x, y, z); (x, y), which is one section; or (x, y, z, c) with channels. Names of axes, where the array
        has them, go before their order. It is never copied as a whole and never written into.
    resolution : array_like, optional
        nm per voxel along x, y and z. By default what the array says of itself, or else the client's `resolution=`.
    voxel_offset : array_like, optional
        Where the first voxel lies, in voxels of `resolution`; whole numbers. By default what the array says of
        itself, or else the client's `voxel_offset=`.
    name : str, optional
        What messages and results call it. Default "array".

    Examples
    --------
    >>> import imageryclient as ic
    >>> image = np.arange(64 * 64 * 8, dtype=np.uint16).reshape(64, 64, 8)
    >>> client = ic.ImageryClient(image_source=ic.ArraySource(image, (8, 8, 40), voxel_offset=(100, 100, 10)))
    >>> bool(np.all(client.image_cutout([[110, 100, 12], [120, 105, 13]]) == image[10:20, 0:5, 2]))
    True
    """

    array: Any = field(repr=False)
    resolution: ArrayLike | None = None
    voxel_offset: ArrayLike | None = None
    name: str = "array"


@dataclass(frozen=True, slots=True, eq=False)
class PlacedArray:
    """An array with all that is needed to read a box of it.

    Parameters
    ----------
    array : array
        As the caller gave it.
    bounds : Box
        The voxels it holds.
    axes : tuple of int or None
        Where x, y, z and the channels are among its axes; None for those it lacks.
    origin : tuple of int
        Index of the first element along each of its own axes.
    channels : int
        Numbers per voxel.
    dtype : numpy.dtype
        Of a number, in the byte order of this machine.
    """

    array: Any = field(repr=False)
    bounds: Box
    axes: AxisRoles
    origin: tuple[int, ...]
    channels: int
    dtype: np.dtype[Any]

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box within the bounds, by one indexing call.

        Returns
        -------
        numpy.ndarray
            Axes (x, y, z, c); may be a view of the caller's array.
        """
        inside = [*box.slices(self.bounds), slice(0, self.channels)]
        index = [slice(0, 1)] * len(self.origin)
        for span, axis in zip(inside, self.axes, strict=True):
            if axis is not None:
                index[axis] = slice(span.start + self.origin[axis], span.stop + self.origin[axis])
        block = np.asarray(self.array[tuple(index)])
        wanted = tuple(span.stop - span.start for span in index)
        if block.shape != wanted:
            raise ArgumentError(f"the array gave a block of shape {block.shape} where {wanted} was asked for")
        block = block.transpose([axis for axis in self.axes if axis is not None])
        return block.reshape([span.stop - span.start for span in inside])


def place_arrays(
    source: Any, resolution: Resolution | None = None, voxel_offset: ArrayLike | None = None
) -> tuple[str, list[PlacedArray]]:
    """Place an array, or several as the scales of one layer, finest first.

    The scales that follow the first need not say where they lie: their voxels are whole multiples of the first's,
    told from the shapes, and they begin where it begins.

    Parameters
    ----------
    source : array, ArraySource, or sequence of these
        What the caller gave.
    resolution : tuple of float, optional
        For what does not say it of itself.
    voxel_offset : array_like, optional
        Likewise.

    Returns
    -------
    tuple
        The name, and the arrays, one for each scale.

    Raises
    ------
    ArgumentError
        If it is no array, or does not say where its voxels lie, or contradicts itself.

    Examples
    --------
    >>> fine, coarse = np.zeros((64, 64, 8), np.uint8), np.zeros((32, 32, 8), np.uint8)
    >>> name, scales = place_arrays([fine, coarse], (8.0, 8.0, 40.0), (100, 100, 10))
    >>> [str(scale.bounds) for scale in scales]
    ['[100:164, 100:164, 10:18] at 8 x 8 x 40 nm', '[50:82, 50:82, 10:18] at 16 x 16 x 40 nm']
    """
    listed = list(source) if isinstance(source, (list, tuple)) else [source]
    sources = [one if isinstance(one, ArraySource) else ArraySource(one) for one in listed]
    if not sources:
        raise ArgumentError("a layer needs at least one array; got an empty list")
    offset = None if voxel_offset is None else _whole_offset(voxel_offset)
    placed: list[PlacedArray] = []
    for number, one in enumerate(sources):
        name = one.name if number == 0 else f"{sources[0].name}, scale {number}"
        try:
            placed.append(_place(one, resolution, offset, placed[0] if placed else None))
        except ArgumentError as error:
            raise ArgumentError(f"{name}: {error}") from None
    kinds = {(str(one.dtype), one.channels) for one in placed}
    if len(kinds) > 1:
        shown = " and ".join(f"{channels} x {dtype}" for dtype, channels in sorted(kinds))
        raise ArgumentError(f"{sources[0].name}: the scales of a layer hold the same numbers; these hold {shown}")
    return sources[0].name, placed


def _place(
    source: ArraySource, resolution: Resolution | None, offset: IntTriple | None, finest: PlacedArray | None
) -> PlacedArray:
    array = source.array
    shape, dtype = _shape(array), _dtype(array)
    names = axis_names(array, len(shape))
    stated = None if source.resolution is None else as_resolution(source.resolution)
    axes = axis_roles(names, shape)
    spatial = []
    for role, at, given in zip("xyz", axes, stated or resolution or (None,) * 3, strict=False):
        name, count = (role, 1) if at is None else (names[at], shape[at])
        spatial.append(read_axis(array, role, name, at, count, given))
    size = cast(IntTriple, tuple(axis.size for axis in spatial))
    if stated is None and finest is not None:
        resolution = _coarser(finest, size, [axis.spacing for axis in spatial])
    nm = _resolution(spatial, stated, resolution)
    if finest is not None and any(axis.first is None for axis in spatial) and source.voxel_offset is None:
        offset = _same_corner(finest.bounds, nm)
    start = _start(spatial, None if source.voxel_offset is None else _whole_offset(source.voxel_offset), offset)
    stop = cast(IntTriple, tuple(a + n for a, n in zip(start, size, strict=True)))
    origin = tuple(index_origin(array, at) for at in range(len(shape)))
    channels = 1 if axes[3] is None else shape[axes[3]]
    return PlacedArray(array, Box(start, stop, nm), axes, origin, channels, dtype)


def _shape(array: Any) -> tuple[int, ...]:
    if hasattr(array, "cloudpath"):
        raise ArgumentError(f"this is a volume, not an array: pass its address, {array.cloudpath!r}")
    if isinstance(array, np.ma.MaskedArray):
        raise ArgumentError("a masked array hides values: pass array.filled(0), or the values that are meant")
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        raise ArgumentError(
            "a source is an address as text, or an array with shape, dtype and slices (or a list of those, as scales); "
            f"got {type(array).__name__}"
        )
    try:
        shape = tuple(int(n) for n in array.shape)
    except (TypeError, ValueError):
        raise ArgumentError(f"an array needs a known shape; this one has {array.shape}") from None
    if 0 in shape:
        raise ArgumentError(f"an array of shape {shape} has no voxels")
    return shape


def _dtype(array: Any) -> np.dtype[Any]:
    try:
        dtype = np.dtype(getattr(array.dtype, "numpy_dtype", array.dtype))
    except TypeError:
        raise ArgumentError(f"its dtype {array.dtype} is not one of NumPy's: pass it as a NumPy array") from None
    if dtype.kind not in "buif":
        raise ArgumentError(f"voxels are numbers or booleans; got {dtype}")
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


def _resolution(axes: Sequence[Axis], stated: Resolution | None, client: Resolution | None) -> Resolution:
    nm = []
    for role, axis in enumerate(axes):
        if stated is not None and axis.spacing is not None and abs(stated[role] - axis.spacing) > 1e-6 * stated[role]:
            raise ArgumentError(
                f"its resolution is given as {stated[role]:g} nm along {axis.name}; its own coordinates say "
                f"{axis.spacing:g}"
            )
        value = stated[role] if stated is not None else axis.spacing
        value = client[role] if value is None and client is not None else value
        if value is None:
            raise ArgumentError(
                "it does not say how large its voxels are: pass resolution=, nm per voxel along x, y and z, to the "
                "client, or ArraySource(array, resolution=…)"
            )
        nm.append(value)
    return as_resolution(nm)


def _start(axes: Sequence[Axis], stated: IntTriple | None, client: IntTriple | None) -> IntTriple:
    start = []
    for role, axis in enumerate(axes):
        if stated is not None and axis.first is not None and stated[role] != axis.first:
            raise ArgumentError(
                f"its voxel_offset is given as {stated[role]} along {axis.name}; its own coordinates say {axis.first}"
            )
        own = axis.first if stated is None else stated[role]
        start.append(own if own is not None else 0 if client is None else client[role])
    return cast(IntTriple, tuple(start))


def _whole_offset(value: ArrayLike) -> IntTriple:
    numbers = np.asarray(value)
    if numbers.shape != (3,) or numbers.dtype.kind not in "iuf" or not np.array_equal(numbers, np.round(numbers)):
        raise ArgumentError(f"voxel_offset must be three whole numbers, voxels along x, y and z; got {value!r}")
    x, y, z = (int(n) for n in numbers)
    return x, y, z


def _coarser(finest: PlacedArray, size: IntTriple, known: Sequence[float | None]) -> Resolution:
    """Tell how much larger the voxels of a coarser scale are from how many fewer there are."""
    nm = []
    for axis, few in enumerate(size):
        many, fine = finest.bounds.shape[axis], finest.bounds.resolution[axis]
        factor = _factor(many, few)
        if known[axis] is not None:
            nm.append(cast(float, known[axis]))
        elif factor is not None:
            nm.append(fine * factor)
        else:
            raise ArgumentError(
                f"{few} voxels along {'xyz'[axis]}, beside {many} in the first scale, do not tell how large they are: "
                "give ArraySource(array, resolution=…)"
            )
    return cast(Resolution, tuple(nm))


def _factor(many: int, few: int) -> int | None:
    """Give the one whole number that divides `many` into `few`, rounded down or up; None where it is not clear.

    Examples
    --------
    >>> [_factor(*pair) for pair in ((101, 51), (101, 50), (8, 8), (4, 2), (9, 3), (5, 1))]
    [2, 2, 1, 2, None, None]
    """
    if few >= many or few == 1:
        return 1 if few == many else 2 if many == 2 else None
    fitting = [f for f in range(2, many + 1) if few in (many // f, -(-many // f))]
    exact = many // few
    if many % few == 0 and exact & (exact - 1) == 0:
        return exact  # halved, once or more, as nearly all are
    return fitting[0] if len(fitting) == 1 else None


def _same_corner(finest: Box, resolution: Resolution) -> IntTriple:
    start = [low / step for low, step in zip(finest.nm[0], resolution, strict=True)]
    if any(abs(value - round(value)) > 1e-6 for value in start):
        raise ArgumentError(
            f"the first scale begins at {', '.join(f'{n:g}' for n in finest.nm[0])} nm, which is no whole voxel of "
            f"{format_resolution(resolution)} nm: give ArraySource(array, resolution=…, voxel_offset=…)"
        )
    return cast(IntTriple, tuple(round(value) for value in start))
