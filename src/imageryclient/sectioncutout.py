"""A section cut out: pixels of imagery and segmentation at any angle, with what they are and where they came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._version import __version__
from .coverage import PixelCoverage
from .errors import ArgumentError, ImageryError
from .files.record import AskedIds
from .geometry import Resolution, as_resolution, format_resolution
from .moment import format_moment
from .neuroglancer.links import DEFAULT_SITE, make_link
from .neuroglancer.placement import Placement
from .section import Section

if TYPE_CHECKING:
    from PIL import Image

    from .masks import SegmentationMasks
    from .neuroglancer.views import View

__all__ = ["SectionCutout"]


@dataclass(frozen=True, eq=False)
class SectionCutout:
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

    def overlay(self, *, scale_bar: bool | float = False, **options: Any) -> Image.Image:
        """Paint the segmentation over the imagery.

        Parameters
        ----------
        scale_bar : bool or float
            Whether to draw a scale bar, of a round length that fits or of so many nm.
        **options
            As for `composite_overlay`: `palette`, `colors`, `alpha`, `outline`, `width`, `side`, …

        Returns
        -------
        PIL.Image.Image
            RGBA.
        """
        from .painting.overlay import composite_overlay

        if self.segmentation is not None:
            painted = composite_overlay(self.segmentation, imagery=self.image, **options)
        elif self.image is None:
            raise ArgumentError("this section has neither imagery nor segmentation to paint")
        else:  # as a stack of one, lest channels pass for sections
            painted = composite_overlay({}, imagery=self.image[:, :, None], **options)
        picture = painted[0] if isinstance(painted, list) else painted
        if scale_bar is not False:
            from .painting.scalebar import scale_bar as draw

            picture = draw(picture, self.nm_per_pixel, None if scale_bar is True else float(scale_bar))
        return picture

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
        """
        from .files.export import atomic_file, save_png_atomic
        from .files.saving import picture_info, save_arrays

        target, title = Path(path), repr(self).strip("<>")
        if target.suffix.lower() == ".png":
            info = picture_info(title, json.dumps(self.metadata()), __version__)
            return [save_png_atomic(self.overlay(**options), target, pnginfo=info)]
        if target.suffix.lower() in (".svg", ".pdf"):
            from .painting.vector import vector_figures

            image, ids = (None if array is None else array[:, :, None] for array in (self.image, self.segmentation))
            (figure,) = vector_figures(image, ids, (self.nm_per_pixel,) * 3, **options)
            about = json.dumps(self.metadata())
            with atomic_file(target) as temporary:
                temporary.write_bytes(figure.document(target.suffix.lower(), title, about))
            return [target]
        if target.suffix.lower() == ".npz":
            return [save_arrays(target, self.image, self.segmentation, json.dumps(self.metadata()))]
        raise ArgumentError(f"a section is saved as .png, .svg, .pdf or .npz; got {target.name!r}")

    def view(
        self,
        *,
        resolution: ArrayLike | None = None,
        root_ids: Any = None,
        colors: Mapping[int, Any] | None = None,
        contrast: tuple[float, float] | None = None,
    ) -> View:
        """Give the Neuroglancer view of this section, as `Cutout.view`: turned, and with layers moved, as here."""
        from .neuroglancer.showing import layer_views
        from .neuroglancer.views import View

        shown = self.masks.ids if root_ids is None and self.segmentation is not None else root_ids
        layers = layer_views(self.sources, shown, self.timestamp, colors, contrast, self.placements)
        voxel_size = self.resolution if resolution is None else as_resolution(resolution)
        at = self.section
        return View(at.center, voxel_size, at.nm_per_pixel, at.orientation, at.panel, layers)

    def neuroglancer_url(self, site: str = DEFAULT_SITE, **options: Any) -> str:
        """Give a link that shows this section in Neuroglancer, as `Cutout.neuroglancer_url`.

        Examples
        --------
        >>> tilted = Section((0.0, 0.0, 0.0), (8, 8), 8.0, (0.6, 0.0, 0.0, 0.8))
        >>> cut = SectionCutout(np.zeros((8, 8)), None, tilted, sources={"imagery": "precomputed://gs://bucket/em"})
        >>> "crossSectionOrientation" in cut.neuroglancer_url()
        True
        """
        return make_link(self.view(**options).to_state(), site)

    def metadata(self) -> dict[str, Any]:
        """Give what the arrays are, ready for JSON: section, ids as text, moment, sources, coverage, version, link."""
        placed = {
            name: {
                "voxel_size": one.voxel_size,
                "transform": None if one.transform is None else one.transform.tolist(),
            }
            for name, one in self.placements.items()
        }
        return {
            "imageryclient": __version__,
            "section": asdict(self.section),
            "resolution": self.resolution,
            "timestamp": None if self.timestamp is None else self.timestamp.isoformat(),
            "sources": dict(self.sources),
            "mips": dict(self.mips),
            "placements": placed,
            "root_ids": list(map(str, self.root_ids)) if isinstance(self.root_ids, tuple) else self.root_ids,
            "neuroglancer": self._link(),
            "covered": {name: coverage.fraction for name, coverage in self.coverage.items()},
        }

    def _link(self) -> str | None:
        """Give a link with just the ids asked for, as none shows all; None where a viewer cannot reach a source."""
        try:
            return self.neuroglancer_url(root_ids=self.root_ids if isinstance(self.root_ids, tuple) else ())
        except ImageryError:
            return None

    def _repr_png_(self) -> bytes | None:
        """Show the overlay in a notebook."""
        if self.image is None and self.segmentation is None:
            return None
        buffer = BytesIO()
        self.overlay().save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """Show the overlay beside what it is."""
        from .notebook import card

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
        return card(f"Section of {' and '.join(self.sources) or 'nothing'}", facts, self._repr_png_(), links)

    def __repr__(self) -> str:
        layers = " and ".join(self.sources) or "nothing"
        moment = "" if self.timestamp is None else f", at {self.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        return f"<SectionCutout of {layers}, {self.section}{moment}>"
