"""A cutout: imagery and segmentation on one grid, with what they are and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .coverage import Coverage
from .errors import ArgumentError, ImageryError
from .files.record import AskedIds, Record
from .geometry import Box, Resolution, as_resolution, format_resolution

if TYPE_CHECKING:
    from PIL import Image

    from .masks import SegmentationMasks
    from .neuroglancer.views import View
    from .painting.planes import Plane

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
    root_ids : "all", None or tuple of int
        The ids asked for: "all" objects, None for supervoxels, or just those, with `follow` those that took the place
        of ids out of date.

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
    root_ids: AskedIds = "all"

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

    def overlay(
        self,
        *,
        plane: Plane | None = None,
        scale_bar: bool | float = False,
        section: int | None = None,
        **options: Any,
    ) -> Image.Image | list[Image.Image]:
        """Paint the segmentation over the imagery.

        Parameters
        ----------
        plane : {"xy", "xz", "yz"}, optional
            Which sections to paint, turned as in Neuroglancer, with pixels as wide in nm as they are high. By default
            those across z, one pixel for each voxel.
        scale_bar : bool or float
            Whether to draw a scale bar, of a round length that fits or of so many nm.
        section : int, optional
            Which section of a stack to give alone, counted from 0, with the colours and contrast it has in the stack.
        **options
            As for `composite_overlay`: `palette`, `colors`, `alpha`, `outline`, `width`, `side`, …

        Returns
        -------
        PIL.Image.Image or list of PIL.Image.Image
            RGBA; by default x to the right and y down. One picture for a single section, else a list of them.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 1, 10), np.uint8), None, Box((0, 5, 0), (60, 6, 10), (8.0, 8.0, 40.0)))
        >>> cut.overlay(plane="xz").size
        (60, 50)
        """
        image, segmentation, nm_per_pixel = self.image, self.segmentation, self.resolution[0]
        if image is None and segmentation is None:
            raise ArgumentError("this cutout has neither imagery nor segmentation to paint")
        if plane is not None:
            from .painting.planes import PlaneGrid

            grid = PlaneGrid(plane, self.resolution)
            nm_per_pixel = grid.nm_per_pixel
            image, segmentation = (None if array is None else grid.sections(array) for array in (image, segmentation))
        pictures = _painted(image, segmentation, options)
        if scale_bar is not False:
            from .painting.scalebar import scale_bar as draw

            length = None if scale_bar is True else float(scale_bar)
            pictures = [draw(picture, nm_per_pixel, length) for picture in pictures]
        if section is not None:
            if not 0 <= section < len(pictures):
                raise ArgumentError(f"there are {len(pictures)} sections, counted from 0; got section={section!r}")
            return pictures[section]
        return pictures[0] if len(pictures) == 1 else pictures

    def save(self, path: str | PathLike[str], **options: Any) -> list[Path]:
        """Write the cutout to a file, which says what it is: sources, bounds, moment, ids, and how it was painted.

        `.png` is its overlay; several sections make several files, `NAME_slice_0.png` and so on. `.svg` and `.pdf` are
        the same as vectors: a path and a layer for each segment, at 10,000 times its size. `.npz` holds its
        arrays, for `imageryclient.load_cutout`. `.tif` is a stack for ImageJ and Fiji, and `.ome.tif` one in OME-TIFF:
        the imagery, and beside it `NAME_segmentation.tif` with labels 1, 2, 3, … and the ids they stand for. A file is
        complete or not there. `imageryclient redo FILE` makes it again.

        Parameters
        ----------
        path : str or path
            Where to; the suffix chooses the format.
        **options
            For pictures, as for `overlay`; for `.svg` and `.pdf` also `smooth`, `magnification` and `side="on"`, see
            `painting.vector.vector_figures`.

        Returns
        -------
        list of pathlib.Path
            The files written.

        Raises
        ------
        ArgumentError
            If the suffix is another, or a stack cannot hold such voxels.
        MissingExtraError
            For `.tif`, if tifffile is not installed.
        """
        from .files.saving import save_cutout

        return save_cutout(self, Path(path), options)

    def view(
        self,
        *,
        resolution: ArrayLike | None = None,
        root_ids: Any = None,
        colors: Mapping[int, Any] | None = None,
        contrast: tuple[float, float] | None = None,
    ) -> View:
        """Give the Neuroglancer view of this place, with its sources, ids and moment.

        Parameters
        ----------
        resolution : array_like, optional
            nm per voxel of the coordinates that the viewer shows; by default those of the arrays.
        root_ids : sequence of int, optional
            The segments to select; by default all in the cutout.
        colors : mapping of int to colour, optional
            Of segments; the others have Neuroglancer's own.
        contrast : tuple of float, optional
            What is black and what is white in the imagery, in its values.

        Raises
        ------
        ArgumentError
            If a source lies where a viewer cannot reach it.
        """
        from .neuroglancer.showing import layer_views
        from .neuroglancer.views import View

        seen = {name: at for name, at in self.sources.items() if name == "imagery" or self.segmentation is not None}
        shown = self.masks.ids if root_ids is None and "segmentation" in seen else root_ids
        layers = layer_views(seen, shown, self.timestamp, colors, contrast)
        ends = zip(self.bounds.start, self.bounds.stop, self.resolution, strict=True)
        x, y, z = ((a + b) / 2 * nm for a, b, nm in ends)
        voxel_size = self.resolution if resolution is None else as_resolution(resolution)
        return View((x, y, z), voxel_size, min(self.resolution[:2]), layout="xy", layers=layers)

    def neuroglancer_url(self, site: str | None = None, **options: Any) -> str:
        """Give a link that shows this place in Neuroglancer: the same voxels, ids, colours and contrast.

        Parameters
        ----------
        site : str, optional
            Address of a Neuroglancer; proofread segmentations need one that knows CAVE's tokens, such as
            `https://spelunker.cave-explorer.org`. By default Google's.
        **options
            As for `view`.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((8, 8, 1), np.uint8), None, Box((0, 0, 5), (8, 8, 6), (8.0, 8.0, 40.0)),
        ...              sources={"imagery": "precomputed://gs://bucket/em"})
        >>> cut.neuroglancer_url()[:50]
        'https://neuroglancer-demo.appspot.com/#!%7B%22dime'
        """
        from .neuroglancer.links import DEFAULT_SITE, make_link

        return make_link(self.view(**options).to_state(), site or DEFAULT_SITE)

    def record(self, **painting: Any) -> Record:
        """Give what the arrays are, and how a picture of them is painted: what a file says of itself.

        Parameters
        ----------
        **painting
            As for `overlay`.
        """
        return Record(
            bounds=self.bounds,
            sources={name: _lasting(source) for name, source in self.sources.items()},
            mips=dict(self.mips),
            root_ids=self.root_ids,
            timestamp=self.timestamp,
            coverage=dict(self.coverage),
            painting=painting,
            link=self._link(painting),
        )

    def metadata(self) -> dict[str, Any]:
        """Give what the arrays are, ready for JSON: the record as a dictionary, ids as text."""
        return self.record().to_dict()

    def _link(self, painting: Mapping[str, Any]) -> str | None:
        """Give a link for the record, with just the ids asked for: none selected shows all; None where none is."""
        colors, contrast = painting.get("colors"), painting.get("display_range")
        if not self.sources:
            return None
        try:
            return self.neuroglancer_url(
                root_ids=self.root_ids if isinstance(self.root_ids, tuple) else (),
                colors=colors if isinstance(colors, Mapping) else None,
                contrast=contrast,
            )
        except ImageryError:  # of arrays, and of folders on this machine
            return None

    def _repr_png_(self) -> bytes | None:
        """Show the overlay in a notebook; of a stack its middle section."""
        return self._shown()

    def _shown(self, largest: int | None = None) -> bytes | None:
        """Give the middle section as PNG, made smaller to that many pixels if need be."""
        if self.image is None and self.segmentation is None:
            return None
        picture = self.overlay(section=self.shape[2] // 2)
        assert not isinstance(picture, list)
        if largest is not None:
            picture.thumbnail((largest, largest))
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """Show the overlay beside what it is."""
        from .notebook import WIDTH, card, facts_of

        record = self.record()
        title = f"Cutout of {' and '.join(self.sources) or 'nothing'}"
        facts = facts_of(record, None if self.segmentation is None else len(self.masks))
        if self.shape[2] > 1:
            facts["picture"] = f"section {self.shape[2] // 2 + 1} of {self.shape[2]}"
        links = {} if record.link is None else {"open in Neuroglancer": record.link}
        return card(title, facts, self._shown(2 * WIDTH), links)

    def __repr__(self) -> str:
        layers = " and ".join(self.sources) or "nothing"
        moment = "" if self.timestamp is None else f", at {self.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        x, y, z = self.shape
        return f"<Cutout of {layers}, {x} x {y} x {z} voxels of {format_resolution(self.resolution)} nm{moment}>"


def _painted(
    image: NDArray[Any] | None, segmentation: NDArray[np.uint64] | None, options: dict[str, Any]
) -> list[Image.Image]:
    """Paint the sections across the third axis."""
    from .painting.overlay import composite_overlay

    if segmentation is None:
        painted = composite_overlay({}, imagery=image, **options)
        return painted if isinstance(painted, list) else [painted]
    if segmentation.shape[2] == 1:
        section = None if image is None else image[:, :, 0]
        painted = composite_overlay(segmentation[:, :, 0], imagery=section, **options)
    else:
        painted = composite_overlay(segmentation, imagery=image, **options)
    return painted if isinstance(painted, list) else [painted]


def _lasting(source: str) -> str:
    """Give a source that means the same from every folder."""
    if "://" in source or "|" in source:
        return source
    try:
        folder = Path(source).expanduser()
        return str(folder.resolve()) if folder.exists() else source
    except (OSError, RuntimeError, ValueError):  # the name of an array, which may be no name for a file
        return source
