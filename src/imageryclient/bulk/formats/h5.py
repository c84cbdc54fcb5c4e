"""One HDF5 file, put together at the end from the parts that were written for each place.

A part is what the file will hold as a chunk, compressed already; so the end copies bytes, one chunk at a time.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtraError
from ..workspace import Workspace, writing
from .base import ArrayLayout, Layout, Products
from .png import write_pictures

__all__ = ["H5Format", "hdf5_package"]

_LEVEL = 1


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

    def prepare(self) -> None:
        """Write nothing: the file comes at the end."""

    def write(self, place: int, products: Products) -> None:
        """Write the parts of a place, and its overlay."""
        for array in self._layout.arrays:
            self._workspace.write(self._part(array, place), _encoded(products.array(array.name)))
        folder = os.path.relpath(self._workspace.output.with_suffix(".overlay"), self._workspace.folder)
        write_pictures(self._workspace, folder, self._layout.name(place), products.pictures)

    def _part(self, array: ArrayLayout, place: int) -> Path:
        return self._workspace.folder / array.name / self._layout.name(place)

    def finish(self, done: NDArray[np.bool_]) -> None:
        """Put the file together, from all its parts; or, where there are only some, change a file that is there."""
        h5py = hdf5_package()
        output, places = self._workspace.output, np.flatnonzero(done).tolist()
        parts = [(array, place) for array in self._layout.arrays for place in places]
        partial = output.exists() and not all(self._part(*part).exists() for part in parts)
        with self._workspace.staged(output) as staged, writing(output):
            if partial:
                shutil.copyfile(output, staged)
            with h5py.File(staged, "a") as file:
                if "settings" not in file:
                    file["settings"] = json.dumps(dict(self._layout.about))  # too long for an attribute, maybe
                for array in self._layout.arrays:
                    dataset = file.get(array.name)
                    if dataset is None:
                        dataset = self._dataset(file, array)
                    for place in places:
                        part = self._part(array, place)
                        if not partial or part.exists():
                            dataset.id.write_direct_chunk((place, *(0 for _ in array.row)), part.read_bytes())
                if "done" in file:
                    file["done"][...] = done
                else:
                    file["done"] = done

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


def _encoded(block: NDArray[Any]) -> bytes:
    """Give the bytes of a chunk: the last axis fastest, little-endian, shuffled, in zlib's format."""
    import deflate

    little = np.ascontiguousarray(block, dtype=block.dtype.newbyteorder("<"))
    octets = little.reshape(-1, 1).view(np.uint8).T  # the first bytes of all values, then the second ones, …
    return bytes(deflate.zlib_compress(octets.tobytes(), _LEVEL))
