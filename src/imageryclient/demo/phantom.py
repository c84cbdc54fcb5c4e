"""A made EM volume: neuropil that looks the part, with the true object of every voxel.

`neuropil` lays the neurites, `sections` says whose each pixel is, `staining` turns that into grey; here sections
become a volume whose objects are connected. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cave.node_ids import NodeLayout
from ..errors import ArgumentError
from ..geometry import IntTriple, Resolution, as_resolution
from .neuropil import Strands, grow
from .noise import Drift
from .sections import Cells, cut
from .staining import Painter

__all__ = ["Phantom", "fragment", "make_phantom"]

_GAP = 8.0  # nm from the middle of a gap that no object owns
_WARP = ((1200.0, 70.0), (350.0, 20.0), (130.0, 2.5))  # nm: wavelength, root mean square
_SMALLEST = 100  # voxels of an object


@dataclass(frozen=True, slots=True)
class Phantom:
    """A made volume.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, shape (x, y, z): bright cytoplasm, dark membranes.
    bodies : numpy.ndarray
        uint32, shape (x, y, z): the object of each voxel, from 1; 0 in the gaps between them.
    resolution : tuple of float
        nm per voxel.
    """

    image: NDArray[np.uint8]
    bodies: NDArray[np.uint32]
    resolution: Resolution


def make_phantom(
    shape: IntTriple = (640, 640, 48), resolution: Resolution = (8.0, 8.0, 40.0), seed: int = 0
) -> Phantom:
    """Make a volume of neuropil.

    Parameters
    ----------
    shape : tuple of int
        Voxels along x, y, z.
    resolution : tuple of float
        nm per voxel; meant for 4 to 16 nm across and up to 50 nm along z.
    seed : int
        The same seed gives the same volume.

    Returns
    -------
    Phantom
        Each object is one connected piece, but for specks: less than a voxel in a thousand.

    Examples
    --------
    >>> phantom = make_phantom((48, 40, 3), seed=1)
    >>> phantom.image.shape, phantom.image.dtype, phantom.bodies.dtype
    ((48, 40, 3), dtype('uint8'), dtype('uint32'))
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ArgumentError(f"shape must be three positive numbers; got {shape!r}")
    nx, ny, nz = shape
    rx, ry, thickness = resolution = as_resolution(resolution)
    steps = (ry, rx)
    rng = np.random.default_rng(seed)
    strands = grow(rng, (nx * rx, ny * ry), nz, thickness)
    warps = [Drift(rng, (ny, nx), steps, _WARP, 800.0) for _ in "xy"]
    painter = Painter.prepare(rng, strands, (ny, nx), steps, thickness)
    objects = _Objects(strands)
    x = ((np.arange(nx, dtype=np.float32) + 0.5) * rx)[None, :]
    y = ((np.arange(ny, dtype=np.float32) + 0.5) * ry)[:, None]
    image = np.empty(shape, np.uint8, order="F")
    bodies = np.empty(shape, np.uint32, order="F")
    for section in range(nz):
        jitter = rng.normal(scale=3.0, size=2).astype(np.float32)
        z = section * thickness
        cells = cut(strands, section, x + warps[0].at(z) + jitter[0], y + warps[1].at(z) + jitter[1], steps, thickness)
        image[:, :, section] = painter.paint(cells, section).T
        bodies[:, :, section] = objects.follow(cells).T
    numbers = objects.numbers(bodies)
    for section in range(nz):
        bodies[:, :, section] = numbers[bodies[:, :, section]]
    return Phantom(image, bodies, resolution)


def fragment(
    labels: NDArray[np.unsignedinteger[Any]],
    layout: NodeLayout,
    *,
    resolution: Resolution = (1.0, 1.0, 1.0),
    split: float = 0.15,
    seed: int = 0,
) -> NDArray[np.uint64]:
    """Cut objects into supervoxels: at the borders of graph chunks, and some into 2 to 4 pieces within.

    Parameters
    ----------
    labels : numpy.ndarray
        Shape (x, y, z), the object of each voxel; 0 for none.
    layout : NodeLayout
        Where graph chunks part, counted from the first voxel, and how ids are composed.
    resolution : tuple of float
        nm per voxel, so that cuts run across an object as it lies in space.
    split : float
        Share of the pieces within a chunk that are cut further.
    seed : int
        The same seed cuts the same way.

    Returns
    -------
    numpy.ndarray
        uint64, shape (x, y, z): ids of layer 1; 0 where `labels` is 0. Each lies in one chunk and in one object.

    Examples
    --------
    >>> layout = NodeLayout.covering((4, 2, 2), (2, 2, 2))
    >>> ids = fragment(np.full((4, 2, 2), 9, np.uint32), layout, split=0)
    >>> layout.chunk_of(np.unique(ids)).tolist()
    [[0, 0, 0], [1, 0, 0]]
    """
    import fastremap

    rng = np.random.default_rng(seed)
    result = np.zeros(labels.shape, np.uint64, order="F")
    for chunk, window in _chunks(labels.shape, layout.chunk_size):
        dense, found = fastremap.renumber(np.asfortranarray(labels[window]), preserve_zero=True)
        count = sum(1 for label in found if label)
        pieces = _split(dense.ravel(order="F").astype(np.intp), dense.shape, resolution, count, split, rng)
        ids = np.zeros(pieces.max(initial=0) + 1, np.uint64)
        ids[1:] = layout.compose(1, chunk, np.arange(1, len(ids)))
        result[window] = ids[pieces].reshape(result[window].shape, order="F")
    return result


def _chunks(shape: tuple[int, ...], size: IntTriple) -> Iterator[tuple[IntTriple, tuple[slice, ...]]]:
    for z, y, x in product(*(range(-(-n // c)) for n, c in zip(shape[::-1], size[::-1], strict=True))):
        yield (x, y, z), tuple(slice(i * c, (i + 1) * c) for i, c in zip((x, y, z), size, strict=True))


def _split(
    pieces: NDArray[np.intp],
    shape: tuple[int, ...],
    resolution: Resolution,
    count: int,
    share: float,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Cut a share of the pieces 1 to `count` by planes across a direction of their own; numbers stay dense."""
    parts = np.where(rng.uniform(size=count + 1) < share, rng.integers(2, 5, count + 1), 1)
    normals = rng.normal(size=(count + 1, 3)) * resolution
    parts[0] = 1
    where = np.flatnonzero(parts[pieces] > 1)
    mine = pieces[where]
    places = np.stack(np.unravel_index(where, shape, order="F"), axis=1)
    along = np.einsum("ij,ij->i", places, normals[mine])
    voxels = np.maximum(np.bincount(mine, minlength=count + 1), 1)
    mean = np.bincount(mine, along, count + 1) / voxels
    along -= mean[mine]
    spread = np.sqrt(np.bincount(mine, along**2, count + 1) / voxels) + 1e-9
    # parts of a box as long as its spread says: equal where the object is one
    part = np.floor((along / (spread[mine] * 12**0.5) + 0.5) * parts[mine]).astype(np.intp)
    first = np.concatenate([[0], np.cumsum(parts)[:-1]])
    numbers = first[pieces]
    numbers[where] += np.clip(part, 0, parts[mine] - 1)
    used = np.zeros(parts.sum(), np.intp)
    used[numbers] = 1
    used[0] = 0
    dense: NDArray[np.intp] = np.cumsum(used)[numbers]
    return dense


class _Objects:
    """Numbers objects so that each is connected: a strand that leaves and comes back is another object."""

    def __init__(self, strands: Strands) -> None:
        self._cell = np.concatenate([[-1], strands.cell])
        self._shared = np.bincount(strands.cell, minlength=len(strands.cell))[self._cell] > 1
        self._shared[0] = False
        self._track = np.zeros(len(self._cell), np.uint32)
        self._before: NDArray[np.int32] | None = None
        self._parent = [0]

    def follow(self, cells: Cells) -> NDArray[np.uint32]:
        """Give the track of each pixel of the next section."""
        now = np.where(cells.depth > _GAP, cells.first + 1, 0).astype(np.int32)
        before, self._before = self._before, now
        count = np.bincount(now.ravel(), minlength=len(self._cell))
        if before is None:
            goes_on = np.zeros(len(self._cell), bool)
        else:
            goes_on = np.bincount(now[now == before], minlength=len(self._cell)) > 0
        last = self._track.copy()
        self._track[count == 0] = 0
        for strand in np.flatnonzero((count > 0) & ~goes_on)[:].tolist():
            if strand:
                self._track[strand] = len(self._parent)
                self._parent.append(len(self._parent))
        self._join(now[:, 1:], now[:, :-1], self._track, self._track)
        self._join(now[1:], now[:-1], self._track, self._track)
        if before is not None:
            self._join(now, before, self._track, last)
        return self._track[now]

    def _join(
        self, a: NDArray[np.int32], b: NDArray[np.int32], tracks: NDArray[np.uint32], others: NDArray[np.uint32]
    ) -> None:
        differ = a != b
        a, b = a[differ], b[differ]
        touch = self._shared[a] & (self._cell[a] == self._cell[b])
        width = len(self._cell)
        for pair in np.unique(a[touch].astype(np.int64) * width + b[touch]).tolist():
            one, other = self._root(int(tracks[pair // width])), self._root(int(others[pair % width]))
            self._parent[max(one, other)] = min(one, other)

    def _root(self, track: int) -> int:
        while self._parent[track] != track:
            self._parent[track] = track = self._parent[self._parent[track]]
        return track

    def numbers(self, tracks: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Give the final number of each track: objects counted from 1, 0 for specks."""
        roots = np.array([self._root(track) for track in range(len(self._parent))])
        voxels = np.zeros(len(roots), np.int64)
        for section in range(tracks.shape[2]):
            voxels += np.bincount(tracks[:, :, section].ravel(order="K"), minlength=len(roots))
        size = np.bincount(roots, voxels, len(roots))
        kept = (roots == np.arange(len(roots))) & (size >= _SMALLEST)
        kept[0] = False
        return np.where(kept[roots], np.cumsum(kept)[roots], 0).astype(np.uint32)
