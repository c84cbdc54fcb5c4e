"""One HDF5 file, put together at the end from packs of what was written for each place.

A part is what the file will hold as a chunk, compressed already; so the end copies bytes, one chunk at a time.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtraError
from ..packs import Packs
from ..workspace import Workspace, writing
from .base import ArrayLayout, Layout, Products
from .png import write_pictures

__all__ = ["H5Format", "hdf5_package"]

_LEVEL = 1
_PLACES = 1000  # in a range of packs


def hdf5_package() -> Any:
    """Give the package that writes HDF5.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("HDF5 files need h5py: pip install 'imageryclient[h5]'") from None
    return h5py


class H5Format:
    """A file with datasets (place, x, y, z), a chunk for each place.

    `done`, bool, says what succeeded; `settings` is JSON. Chunks are shuffled and compressed by gzip, which every HDF5
    library reads. Of places that failed there is none, so they are read as 0. Overlays lie in a folder beside the file,
    `NAME.overlay`.

    Parameters
    ----------
    workspace : Workspace
        Where to; of a single file.
    layout : Layout
        What.

    Raises
    ------
    MissingExtraError
        If h5py is not installed.
    """

    def __init__(self, workspace: Workspace, layout: Layout) -> None:
        hdf5_package()
        self._workspace = workspace
        self._layout = layout
        self._packs = Packs(workspace.packs, len(layout.arrays), _PLACES)

    def prepare(self) -> None:
        """Write nothing: the file comes at the end."""

    def write(self, place: int, products: Products) -> None:
        """Write the parts of a place, and its overlay."""
        self._packs.add(place, [_encoded(products.array(array.name)) for array in self._layout.arrays])
        folder = os.path.relpath(self._workspace.output.with_suffix(".overlay"), self._workspace.folder)
        write_pictures(self._workspace, folder, self._layout.name(place), products.pictures)

    def finish(self, done: NDArray[np.bool_]) -> list[int]:
        """Put the file together, from the packs; what they do not hold is taken from a file that is there."""
        h5py, output, lost = hdf5_package(), self._workspace.output, list[int]()
        if not self._packs.numbers() and self._holds(done):
            return lost
        with self._workspace.staged(output, lasting=True) as staged, writing(output), ExitStack() as stack:
            file = stack.enter_context(h5py.File(staged, "w"))
            file["settings"] = json.dumps(dict(self._layout.about))  # too long for an attribute, maybe
            datasets = [self._dataset(file, array) for array in self._layout.arrays]
            before = None
            if output.exists():
                there = stack.enter_context(h5py.File(output, "r"))
                before = [there[array.name] for array in self._layout.arrays]
            for first in range(0, len(done), _PLACES):
                with self._packs.opened(first // _PLACES) as pack:
                    for place in (first + np.flatnonzero(done[first : first + _PLACES])).tolist():
                        parts = pack.parts(place) or _stored(before, place)
                        if parts is None:
                            lost.append(place)
                            continue
                        for dataset, part in zip(datasets, parts, strict=True):
                            dataset.id.write_direct_chunk((place, *(0 for _ in dataset.shape[1:])), part)
            kept = done.copy()
            kept[lost] = False
            file["done"] = kept
        return lost

    def _holds(self, done: NDArray[np.bool_]) -> bool:
        """Whether the file is there and has just these places."""
        if not self._workspace.output.exists():
            return False
        with writing(self._workspace.output), hdf5_package().File(self._workspace.output, "r") as file:
            return "done" in file and bool(np.array_equal(file["done"][:], done))

    def _dataset(self, file: Any, array: ArrayLayout) -> Any:
        dataset = file.create_dataset(
            array.name,
            (self._layout.count, *array.row),
            np.dtype(array.dtype).newbyteorder("<"),
            chunks=(1, *array.row),
            compression="gzip",
            compression_opts=_LEVEL,
            shuffle=np.dtype(array.dtype).itemsize > 1,
        )
        for axis, name in enumerate(array.dims):
            dataset.dims[axis].label = name
        return dataset


def _stored(before: list[Any] | None, place: int) -> list[bytes] | None:
    """Give the chunks of a place as a file has them; None where it does not."""
    parts = []
    for dataset in before or ():
        corner = (place, *(0 for _ in dataset.shape[1:]))
        if dataset.id.get_chunk_info_by_coord(corner).byte_offset is None:
            return None
        parts.append(dataset.id.read_direct_chunk(corner)[1])
    return parts or None


def _encoded(block: NDArray[Any]) -> bytes:
    """Give the bytes of a chunk: the last axis fastest, little-endian, shuffled, in zlib's format."""
    import deflate

    little = np.ascontiguousarray(block, dtype=block.dtype.newbyteorder("<"))
    octets = little.reshape(-1, 1).view(np.uint8).T  # the first bytes of all values, then the second ones, …
    return bytes(deflate.zlib_compress(octets.tobytes(), _LEVEL))
