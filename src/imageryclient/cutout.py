"""A cutout: imagery and segmentation on one grid, with what they are and where they came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._version import __version__
from .coverage import Coverage
from .errors import ArgumentError
from .geometry import Box, Resolution, format_resolution

if TYPE_CHECKING:
    from PIL import Image

    from .masks import SegmentationMasks

__all__ = ["Cutout"]


@dataclass(frozen=True, eq=False)
class Cutout:
    """Imagery and segmentation of one box, voxel for voxel.

    Parameters
    ----------
    image : numpy.ndarray or None
        Axes (x, y, z), with several channels (x, y, z, c); dtype of the imagery. None when there is no imagery.
    segmentation : numpy.ndarray or None
        uint64, axes (x, y, z). None when there is no segmentation.
    bounds : Box
        The voxels, at the resolution of the arrays in nm.
    timestamp : datetime or None
        The moment the segmentation was seen at; None for one that does not change.
    coverage : mapping of str to Coverage
        For "imagery" and "segmentation": which voxels come from data.
    sources : mapping of str to str
        For each layer the source string.
    mips : mapping of str to int
        For each layer the scale that was read.

    Examples
    --------
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> import tempfile, imageryclient as ic
    >>> em = write_precomputed(
    ...     tempfile.mkdtemp(), [(np.zeros((64, 64, 8), np.uint8), Layout(resolution=(8, 8, 40)))], kind="image")
    >>> cut = ic.ImageryClient(image_source=str(em)).cutout([32, 32, 4], size=(16, 16))
    >>> cut.image.shape, cut.resolution
    ((16, 16, 1), (8.0, 8.0, 40.0))
    """

    image: NDArray[Any] | None
    segmentation: NDArray[np.uint64] | None
    bounds: Box
    timestamp: datetime | None = None
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    mips: Mapping[str, int] = field(default_factory=dict)

    @property
    def resolution(self) -> Resolution:
        """Nm per voxel of the arrays, along x, y and z."""
        return self.bounds.resolution

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        return self.bounds.shape

    @cached_property
    def masks(self) -> SegmentationMasks:
        """One boolean mask for each id but 0, made when asked for; axes (x, y, z)."""
        from .masks import SegmentationMasks

        if self.segmentation is None:
            raise ArgumentError("this cutout has no segmentation, so it has no masks")
        return SegmentationMasks(self.segmentation)

    def overlay(self, **options: Any) -> Image.Image | list[Image.Image]:
        """Paint the segmentation over the imagery.

        Parameters
        ----------
        **options
            As for `composite_overlay`: `palette`, `colors`, `alpha`, `outline`, `width`, `side`, …

        Returns
        -------
        PIL.Image.Image or list of PIL.Image.Image
            RGBA, x to the right and y down; one picture for a single section, else a list of them along z.
        """
        from .overlay import composite_overlay
        from .picture import upright

        image, single = self.image, self.shape[2] == 1
        if self.segmentation is None:
            if image is None:
                raise ArgumentError("this cutout has neither imagery nor segmentation to paint")
            pictures = [upright(image[:, :, z]).convert("RGBA") for z in range(self.shape[2])]
            return pictures[0] if single else pictures
        if single:
            picture = None if image is None else image[:, :, 0]
            return composite_overlay(self.segmentation[:, :, 0], imagery=picture, **options)
        return composite_overlay(self.masks, imagery=image, **options)

    def save(self, path: str | PathLike[str], **options: Any) -> list[Path]:
        """Write the cutout to a file: `.png` its overlay, `.npz` its arrays with what they are.

        Several sections make several PNG files, `NAME_slice_0.png` and so on. A file is complete or not there.

        Parameters
        ----------
        path : str or path
            Where to; the suffix chooses the format.
        **options
            For `.png`, as for `overlay`.

        Returns
        -------
        list of pathlib.Path
            The files written.

        Raises
        ------
        ArgumentError
            If the suffix is another.
        """
        from .export import atomic_file, save_png_atomic

        target = Path(path)
        suffix = target.suffix.lower()
        if suffix == ".png":
            pictures = self.overlay(**options)
            if not isinstance(pictures, list):
                save_png_atomic(pictures, target)
                return [target]
            names = [target.with_name(f"{target.stem}_slice_{n}{target.suffix}") for n in range(len(pictures))]
            with ExitStack() as files:  # all of them or none
                for name, picture in zip(names, pictures, strict=True):
                    picture.save(files.enter_context(atomic_file(name)), "PNG")
            return names
        if suffix == ".npz":
            layers = {"image": self.image, "segmentation": self.segmentation}
            arrays: dict[str, Any] = {name: array for name, array in layers.items() if array is not None}
            buffer = BytesIO()
            np.savez_compressed(buffer, metadata=np.array(json.dumps(self.metadata())), **arrays)
            with atomic_file(target) as temporary:
                temporary.write_bytes(buffer.getbuffer())
            return [target]
        raise ArgumentError(f"a cutout is saved as .png or .npz; got {target.name!r}")

    def metadata(self) -> dict[str, Any]:
        """Give what the arrays are, ready for JSON: bounds, resolution, moment, sources, mips, coverage, version."""
        return {
            "imageryclient": __version__,
            "bounds": asdict(self.bounds),
            "timestamp": None if self.timestamp is None else self.timestamp.isoformat(),
            "sources": dict(self.sources),
            "mips": dict(self.mips),
            "covered": {name: coverage.fraction for name, coverage in self.coverage.items()},
        }

    def _repr_png_(self) -> bytes | None:
        """Show the overlay in a notebook; of a stack its middle section."""
        if self.image is None and self.segmentation is None:
            return None
        pictures = self.overlay()
        picture = pictures[len(pictures) // 2] if isinstance(pictures, list) else pictures
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def __repr__(self) -> str:
        layers = " and ".join(self.sources) or "nothing"
        moment = "" if self.timestamp is None else f", at {self.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        x, y, z = self.shape
        return f"<Cutout of {layers}, {x} x {y} x {z} voxels of {format_resolution(self.resolution)} nm{moment}>"
