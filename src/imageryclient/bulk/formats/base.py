"""What every format offers: a head, the files of one place, an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...geometry import IntTriple

if TYPE_CHECKING:
    from PIL import Image

    from ...cutout import Cutout

__all__ = ["ArrayLayout", "Layout", "OutputFormat", "Products"]

_SPACE = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """One array of an output: a row for each place.

    Parameters
    ----------
    name : str
        "image", "segmentation", or "mask_NAME".
    dtype : str
        As numpy names it.
    row : tuple of int
        Shape of one place's row: (x, y, z) or (x, y, z, c).
    """

    name: str
    dtype: str
    row: tuple[int, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of the whole array."""
        return ("place", *_SPACE, *(("c",) if len(self.row) == 4 else ()))

    @property
    def folder(self) -> str:
        """Name of the folder where formats of a file for each place put its files."""
        return "imagery" if self.name == "image" else self.name

    @property
    def nbytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.row)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Layout:
    """What an output holds.

    Parameters
    ----------
    count : int
        Places.
    shape : tuple of int
        Voxels of each along x, y, z.
    image : str or None
        dtype of the imagery; None where there is none.
    channels : int
        Of the imagery.
    segmentation : bool
        Whether there is a segmentation.
    masks : tuple of str
        Names of the masks.
    about : mapping
        What the head says of it, ready for JSON.
    places_per_file : int
        Places whose chunks of an array lie in one file, in formats that let one choose.

    Examples
    --------
    >>> layout = Layout(10, (64, 64, 8), "uint8", 1, True, ("pre",))
    >>> [(array.name, array.dtype, array.row) for array in layout.arrays]
    [('image', 'uint8', (64, 64, 8)), ('segmentation', 'uint64', (64, 64, 8)), ('mask_pre', 'bool', (64, 64, 8))]
    >>> layout.name(7)
    '000007'
    """

    count: int
    shape: IntTriple
    image: str | None
    channels: int
    segmentation: bool
    masks: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict, hash=False)
    places_per_file: int = 1

    @property
    def arrays(self) -> list[ArrayLayout]:
        """The arrays."""
        found = []
        if self.image is not None:
            found.append(ArrayLayout("image", self.image, (*self.shape, *((self.channels,) * (self.channels > 1)))))
        if self.segmentation:
            found.append(ArrayLayout("segmentation", "uint64", self.shape))
        return found + [ArrayLayout(f"mask_{name}", "bool", self.shape) for name in self.masks]

    def name(self, place: int) -> str:
        """Give the name of a place's files: its number, as long as that of every other."""
        return f"{place:0{max(6, len(str(self.count - 1)))}}"


@dataclass(frozen=True, slots=True)
class Products:
    """What is written of one place.

    Parameters
    ----------
    cut : Cutout
        Imagery and segmentation, of the layout's shape.
    masks : mapping of str to numpy.ndarray
        bool, axes (x, y, z).
    pictures : sequence of PIL.Image.Image
        Its overlay, section by section; none where none was asked for.
    """

    cut: Cutout
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    pictures: Sequence[Image.Image] = ()

    def array(self, name: str) -> NDArray[Any]:
        """Give the array of a name in the layout."""
        if name.startswith("mask_"):
            return self.masks[name.removeprefix("mask_")]
        array = self.cut.image if name == "image" else self.cut.segmentation
        assert array is not None
        return array


class OutputFormat(Protocol):
    """Writes an output; from any thread, and from several processes at once."""

    def prepare(self) -> None:
        """Write what comes before the first place; again does no harm."""
        ...

    def write(self, place: int, products: Products) -> None:
        """Write the files of a place, each whole or not at all; again gives the same bytes."""
        ...

    def finish(self, done: NDArray[np.bool_]) -> list[int]:
        """Write what comes after the last place; `done`, shape (n,), tells which succeeded. Again does no harm.

        Returns
        -------
        list of int
            Places that are done, but what was written of them is gone or damaged: they are not in the output.
        """
        ...
