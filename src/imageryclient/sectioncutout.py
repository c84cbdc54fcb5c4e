"""A section cut out: pixels of imagery and segmentation at any angle, with what they are and where they came from."""

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

from .coverage import PixelCoverage
from .errors import ArgumentError
from .files.record import AskedIds, Record, lasting
from .geometry import Resolution, as_resolution, format_resolution
from .linked import Linked
from .moment import format_moment
from .neuroglancer.placement import Placement
from .painting.options import PAINTED
from .section import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

    from .masks import SegmentationMasks
    from .neuroglancer.views import View
    from .painting.sheets import Sheets

__all__ = ["SectionCutout"]


@dataclass(frozen=True, eq=False)
class SectionCutout(Linked):
    """Imagery and segmentation of one section, pixel for pixel.

    Parameters
    ----------
    image : numpy.ndarray or None
        Axes (right, down), with several channels (right, down, c); dtype of the imagery. None when there is none.
    segmentation : numpy.ndarray or None
        uint64, axes (right, down). None when there is none.
    section : Section
        Where the pixels lie.
    resolution : tuple of float
        nm per voxel of the coordinates that a viewer shows, those of the client.
    timestamp : datetime or None
        The moment the segmentation was seen at; None for one that does not change.
    coverage : mapping of str to PixelCoverage
        For "imagery" and "segmentation": which pixels come from data.
    sources : mapping of str to str
        For each layer the source string.
    mips : mapping of str to int
        For each layer the scale that was read.
    placements : mapping of str to Placement
        For layers that a view moved: where to.
    root_ids : "all", None or tuple of int
        The ids that were asked for: "all" objects, None for supervoxels, or just those.
    painting : mapping of str to anything
        The options of `overlay` where it is given no others: of a Neuroglancer link's view, those that show it alike.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = np.arange(64, dtype=np.uint8)[:, None, None].repeat(64, 1).repeat(64, 2)
    >>> client = ic.ImageryClient(image_source=em, resolution=(8, 8, 8))
    >>> cut = client.section((32, 32, 32), (20, 10), normal=(1, 0, 1))
    >>> cut.image.shape, cut.image[:, 0].tolist()[:6]
    ((20, 10), [25, 25, 26, 27, 28, 28])
    """

    image: NDArray[Any] | None
    segmentation: NDArray[np.uint64] | None
    section: Section
    resolution: Resolution = (1.0, 1.0, 1.0)
    timestamp: datetime | None = None
    coverage: Mapping[str, PixelCoverage] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    mips: Mapping[str, int] = field(default_factory=dict)
    placements: Mapping[str, Placement] = field(default_factory=dict)
    root_ids: AskedIds = "all"
    painting: Mapping[str, Any] = field(default_factory=lambda: dict(PAINTED))

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels to the right and down."""
        return self.section.size

    @property
    def nm_per_pixel(self) -> float:
        """Of both."""
        return self.section.nm_per_pixel

    @cached_property
    def masks(self) -> SegmentationMasks:
        """One boolean mask for each id but 0, made when asked for; axes (right, down)."""
        from .masks import SegmentationMasks

        if self.segmentation is None:
            raise ArgumentError("this section has no segmentation, so it has no masks")
        return SegmentationMasks(self.segmentation)

    def overlay(self, **options: Any) -> Image.Image:
        """Paint the segmentation over the imagery.

        Parameters
        ----------
        **options
            As for `Cutout.overlay`: `palette`, `colors`, `alpha`, `outline`, `scale_bar`, `labels`, `marks`, …

        Returns
        -------
        PIL.Image.Image
            RGBA.

        Examples
        --------
        >>> from imageryclient import Section, SectionCutout
        >>> cut = SectionCutout(np.zeros((60, 40), np.uint8), None, Section((800.0, 800.0, 400.0), (60, 40), 8.0))
        >>> cut.overlay(zoom=2).size
        (120, 80)
        """
        (picture,) = self.sheets().pictures(**self._painting(options))
        return picture

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Show the section in matplotlib, with axes in µm from its upper left corner.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where; by default the current axes of pyplot.
        **options
            As for `overlay`: see `painting.plotting.plot_section`.

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from imageryclient import Section, SectionCutout
        >>> cut = SectionCutout(np.zeros((60, 40), np.uint8), None, Section((800.0, 800.0, 400.0), (60, 40), 8.0))
        >>> tuple(round(float(end), 2) for end in cut.plot(Figure().subplots()).get_xlim())
        (0.0, 0.48)
        """
        from .painting.plotting import plot_section

        return plot_section(self, ax, **options)

    def sheets(self) -> Sheets:
        """Give the section, and where it lies: what pictures are painted from.

        Returns
        -------
        Sheets
            A single one.

        Examples
        --------
        >>> from imageryclient import Section, SectionCutout
        >>> cut = SectionCutout(np.zeros((60, 40), np.uint8), None, Section((800.0, 800.0, 400.0), (60, 40), 8.0))
        >>> cut.sheets().image.shape
        (60, 40, 1)
        """
        from .painting.sheets import Sheets

        image, ids = (None if array is None else array[:, :, None] for array in (self.image, self.segmentation))
        return Sheets(image, ids, (self.section,), self.nm_per_pixel)

    def save(self, path: str | PathLike[str], **options: Any) -> list[Path]:
        """Write the section to a file: `.png`, `.svg` or `.pdf` its overlay, `.npz` its arrays with what they are.

        Parameters
        ----------
        path : str or path
            Where to; the suffix chooses the format. A file is complete or not there.
        **options
            For pictures, as for `overlay` and, for vectors, `Cutout.save`.

        Returns
        -------
        list of pathlib.Path
            The file written.

        Raises
        ------
        ArgumentError
            If the suffix is another.
        NotFoundError, StorageError
            If there is no such folder, or it cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from imageryclient import Section, SectionCutout
        >>> cut = SectionCutout(np.zeros((60, 40), np.uint8), None, Section((800.0, 800.0, 400.0), (60, 40), 8.0))
        >>> [file.name for file in cut.save(tempfile.mkdtemp() + "/tilted.svg", scale_bar=True)]
        ['tilted.svg']
        """
        from .files.saving import save_section

        return save_section(self, Path(path), options)

    def _view(
        self, painting: Mapping[str, Any] | None, resolution: ArrayLike | None = None, root_ids: Any = None
    ) -> View:
        """Give the view, which looks as Neuroglancer has it where there is no painting."""
        from .neuroglancer.looks import look_of
        from .neuroglancer.showing import layer_views, selected
        from .neuroglancer.views import View

        ids = [] if self.segmentation is None else self.masks.ids.tolist()
        look = None if painting is None else look_of(self._painting(painting), ids, self.image, len(self.shape))
        shown = root_ids if self.segmentation is None else selected(ids, root_ids, look)
        layers = layer_views(self.sources, shown, self.timestamp, look, self.placements)
        voxel_size = self.resolution if resolution is None else as_resolution(resolution)
        at = self.section
        return View(at.center, voxel_size, at.nm_per_pixel, at.orientation, at.panel, layers)

    def record(self, **painting: Any) -> Record:
        """Give what the arrays are, and how a picture of them is painted.

        Parameters
        ----------
        **painting
            As for `overlay`.

        Returns
        -------
        Record
            As from `Cutout.record`.

        Examples
        --------
        >>> from imageryclient import Section, SectionCutout
        >>> cut = SectionCutout(np.zeros((60, 40), np.uint8), None, Section((800.0, 800.0, 400.0), (60, 40), 8.0))
        >>> cut.record(gamma=0.8).painting["gamma"]
        0.8
        """
        return Record(
            place=self.section,
            sources={name: lasting(source) for name, source in self.sources.items()},
            mips=dict(self.mips),
            root_ids=self.root_ids,
            timestamp=self.timestamp,
            shares={name: coverage.fraction for name, coverage in self.coverage.items()},
            placements=dict(self.placements),
            resolution=self.resolution,
            painting=self._painting(painting),
            link=self._link(painting or None),
        )

    def _repr_png_(self) -> bytes | None:
        """Show the overlay in a notebook."""
        from .notebook import LARGEST

        return self._shown(LARGEST)

    def _shown(self, largest: int) -> bytes | None:
        """Give the overlay as PNG, made smaller to that many pixels if need be."""
        if self.image is None and self.segmentation is None:
            return None
        try:
            picture = self.overlay()
        except ArgumentError:  # of channels that no picture has
            return None
        picture.thumbnail((largest, largest))
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """Show the overlay beside what it is."""
        from .notebook import WIDTH, card

        width, height = (n * self.nm_per_pixel / 1e3 for n in self.shape)
        center = ", ".join(f"{c / nm:.10g}" for c, nm in zip(self.section.center, self.resolution, strict=True))
        facts = {
            "pixels": f"{self.shape[0]} x {self.shape[1]} of {self.nm_per_pixel:g} nm",
            "size": f"{width:.4g} x {height:.4g} µm",
            "centre": f"{center} in voxels of {format_resolution(self.resolution)} nm",
            "across": ", ".join(f"{n + 0.0:.3g}" for n in self.section.normal),
        }
        if self.timestamp is not None:
            facts["moment"] = format_moment(self.timestamp.replace(microsecond=0))
        if self.segmentation is not None:
            facts["ids"] = f"{len(self.masks):,}"
        for name, source in self.sources.items():
            facts[name] = f"mip {self.mips[name]}, {self.coverage[name].describe() or 'complete'}\n{source}"
        link = self._link()
        links = {} if link is None else {"open in Neuroglancer": link}
        return card(f"Section of {' and '.join(self.sources) or 'nothing'}", facts, self._shown(2 * WIDTH), links)

    def __repr__(self) -> str:
        layers = " and ".join(self.sources) or "nothing"
        moment = "" if self.timestamp is None else f", at {self.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        return f"<SectionCutout of {layers}, {self.section}{moment}>"
