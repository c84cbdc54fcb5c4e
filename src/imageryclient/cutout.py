"""A cutout: imagery and segmentation on one grid, with what they are and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from .files.record import AskedIds, Record, lasting
from .geometry import Box, Resolution, as_resolution, format_resolution
from .painting.options import PAINTED, options_over

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from PIL import Image

    from .masks import SegmentationMasks
    from .measuring import Contacts, Measurements, Nearest
    from .neuroglancer.views import View
    from .painting.planes import Plane
    from .painting.sheets import Sheets

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
    painting : mapping of str to anything
        The options of `overlay` where it is given no others: of a Neuroglancer link's view, those that show it alike.

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
    painting: Mapping[str, Any] = field(default_factory=lambda: dict(PAINTED))

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
        self, *, plane: Plane | None = None, section: int | None = None, **options: Any
    ) -> Image.Image | list[Image.Image]:
        """Paint the segmentation over the imagery.

        Parameters
        ----------
        plane : {"xy", "xz", "yz"}, optional
            Which sections to paint, turned as in Neuroglancer, with pixels as wide in nm as they are high. By default
            those across z, one pixel for each voxel, which is the same but for voxels longer in x than in y or shorter.
        section : int, optional
            Which section of a stack to give alone, counted from 0, with the colours and contrast it has in the stack.
        scale_bar : bool or float
            Whether to draw a scale bar, of a round length that fits or of so many nm.
        labels : bool, sequence of int, mapping of int to str, or Labels
            Whether to write ids into segments: into all that have room, just these, or with a text for each.
        legend : bool, sequence of int, mapping, or Legend
            Whether to say beside the picture what the colours stand for.
        marks : sequence of Points, Lines, Text, Arrow
            What else to draw, at places in space.
        width_nm : float
            Width of outlines in nm, in place of `width` in pixels.
        **options
            As for `composite_overlay`: `palette` (by default "steady", where an id has one colour wherever it appears),
            `colors`, `alpha`, `outline`, `fill`, `highlight`, `zoom`, `percentiles`, …

        Returns
        -------
        PIL.Image.Image or list of PIL.Image.Image
            RGBA; by default x to the right and y down. One picture for a single section, else a list of them.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 1, 10), np.uint8), None, Box((0, 5, 0), (60, 6, 10), (8.0, 8.0, 40.0)))
        >>> cut.overlay(plane="xz", zoom=2).size
        (120, 100)
        """
        x, y, _ = self.resolution
        if plane is None and x != y and any(options.get(name) for name in ("scale_bar", "marks", "labels", "legend")):
            plane = "xy"  # what is drawn at places needs square pixels
        pictures = self.sheets(plane).pictures(section, **self._painting(options))
        return pictures[0] if len(pictures) == 1 else pictures

    def planes(self, at: ArrayLike | None = None, **options: Any) -> Image.Image:
        """Paint the three planes through a point as one figure: xy, xz below it and yz beside it, at one scale.

        Parameters
        ----------
        at : array_like, optional
            x, y, z of the point, in voxels of this cutout; by default its middle.
        **options
            As for `overlay`, and `lines`, `names`, `spacing`: see `painting.orthogonal.orthogonal_figure`.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 40, 10), np.uint8), None, Box((0, 5, 0), (60, 45, 10), (8.0, 8.0, 40.0)))
        >>> cut.planes(scale_bar=False, spacing=6).size
        (116, 96)
        """
        from .painting.orthogonal import OrthogonalPlanes, orthogonal_figure

        planes = OrthogonalPlanes.through(self.bounds, at, resolution=self.resolution)
        ids = None if self.segmentation is None else list(self.masks)
        return orthogonal_figure(self.image, self.segmentation, planes, ids=ids, **self._painting(options))

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Show a section in matplotlib, with axes in µm; see `painting.plotting.plot_cutout`."""
        from .painting.plotting import plot_cutout

        return plot_cutout(self, ax, **options)

    def isotropic(self, nm: float | None = None) -> Cutout:
        """Give the same in cubic voxels, `nm` wide or as wide as these are along their shortest side.

        Each takes the voxel that contains its centre.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 40, 10), np.uint8), None, Box((0, 5, 0), (60, 45, 10), (8.0, 8.0, 40.0)))
        >>> cut.isotropic().shape
        (60, 40, 50)
        """
        from .resampling import isotropic

        image, segmentation, bounds = isotropic(self.image, self.segmentation, self.bounds, nm)
        coverage = {name: coverage.on(bounds) for name, coverage in self.coverage.items()}
        return replace(self, image=image, segmentation=segmentation, bounds=bounds, coverage=coverage)

    def to_xarray(self) -> xr.Dataset:
        """Give the arrays as an xarray Dataset, with coordinates in nm; see `lazy.cutout_to_xarray`."""
        from .lazy.labeled import cutout_to_xarray

        return cutout_to_xarray(self)

    def measure(self, ids: ArrayLike | None = None) -> Measurements:
        """Measure the objects: voxels, volume, bounding box, centroid; see `measuring.measure`."""
        from .measuring import measure

        return measure(self, ids=ids)

    def contact_areas(self, ids: ArrayLike | None = None) -> Contacts:
        """Find which objects touch, and over what area; see `measuring.contact_areas`."""
        from .measuring import contact_areas

        return contact_areas(self, ids=ids)

    def nearest_distance(self, first: int, second: int) -> Nearest:
        """Find how far two objects are apart, in nm; see `measuring.nearest_distance`."""
        from .measuring import nearest_distance

        return nearest_distance(self, first, second)

    def sheets(self, plane: Plane | None = None) -> Sheets:
        """Give the sections of a plane, and where they lie: what pictures are painted from."""
        from .painting.planes import PlaneGrid
        from .painting.sheets import Sheets

        grid = PlaneGrid(plane or "xy", self.resolution)
        image, segmentation = self.image, self.segmentation
        if plane is not None:
            image, segmentation = (None if array is None else grid.sections(array) for array in (image, segmentation))
        as_cut = plane is None or (plane == "xy" and self.resolution[0] == self.resolution[1])
        known = self.masks if as_cut and segmentation is not None else None
        return Sheets(image, segmentation, grid.places(self.bounds), grid.depth, known)

    def _painting(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the options of a picture: those given, over the cutout's own."""
        return options_over(self.painting, options)

    def save(self, path: str | PathLike[str], **options: Any) -> list[Path]:
        """Write the cutout to a file, which says what it is: sources, bounds, moment, ids, and how it was painted.

        `.png` is its overlay; several sections make several files, `NAME_slice_0.png` and so on. `.svg` and `.pdf` are
        the same as vectors: a path and a layer for each segment, at 10,000 times its size. `.mp4`, `.webp` and `.gif`
        are movies through the sections. `.npz` holds its arrays, for `imageryclient.load_cutout`. `.tif` is a stack for
        ImageJ and Fiji, and `.ome.tif` one in OME-TIFF: the imagery, and beside it `NAME_segmentation.tif` with labels
        1, 2, 3, … and the ids they stand for. A file is complete or not there; `imageryclient redo FILE` makes it anew.

        Parameters
        ----------
        path : str or path
            Where to; the suffix chooses the format.
        **options
            For pictures, as for `overlay`; for `.svg` and `.pdf` also `magnification`, see `painting.look.Look`; for
            movies also `fps`.

        Returns
        -------
        list of pathlib.Path
            The files written.

        Raises
        ------
        ArgumentError
            If the suffix is another, or a stack cannot hold such voxels.
        MissingExtraError
            For `.tif`, if tifffile is not installed; for `.mp4`, if PyAV is not.
        """
        from .files.saving import save_cutout

        return save_cutout(self, Path(path), options)

    def as_view(
        self,
        *,
        resolution: ArrayLike | None = None,
        root_ids: Any = None,
        contrast: tuple[float, float] | None = None,
        **painting: Any,
    ) -> View:
        """Give the Neuroglancer view of this place, with its sources, ids and moment, that looks as its overlay does.

        Parameters
        ----------
        resolution : array_like, optional
            nm per voxel of the coordinates that the viewer shows; by default those of the arrays.
        root_ids : sequence of int, optional
            The segments to select; by default all in the cutout.
        contrast : tuple of float, optional
            Another name for `display_range`: what is black and what is white in the imagery, in its values.
        **painting
            As for `overlay`. Of it a viewer can show colours, one opacity for all segments, and contrast.

        Raises
        ------
        ArgumentError
            If a source lies where a viewer cannot reach it.
        """
        given = painting if contrast is None else painting | {"display_range": contrast}
        return self._view(given, resolution, root_ids)

    def _view(
        self, painting: Mapping[str, Any] | None, resolution: ArrayLike | None = None, root_ids: Any = None
    ) -> View:
        """Give the view, which looks as Neuroglancer has it where there is no painting."""
        from .neuroglancer.looks import look_of
        from .neuroglancer.showing import layer_views
        from .neuroglancer.views import View

        seen = {name: at for name, at in self.sources.items() if name == "imagery" or self.segmentation is not None}
        ids = [] if self.segmentation is None else self.masks.ids.tolist()
        look = None if painting is None else look_of(self._painting(painting), ids, self.image)
        shown = ids if root_ids is None and "segmentation" in seen else root_ids
        layers = layer_views(seen, shown, self.timestamp, look)
        ends = zip(self.bounds.start, self.bounds.stop, self.resolution, strict=True)
        x, y, z = ((a + b) / 2 * nm for a, b, nm in ends)
        voxel_size = self.resolution if resolution is None else as_resolution(resolution)
        return View((x, y, z), voxel_size, min(self.resolution[:2]), layout="xy", layers=layers)

    def view(self, *, open_browser: bool = False, **options: Any) -> Any:
        """Open the local Neuroglancer on this cutout: its voxels where they lie, over its sources.

        Parameters
        ----------
        open_browser : bool
            Whether to open a browser at once; else print the viewer, or let a notebook show it, for its address.
        **options
            As for `overlay` and `as_view`.

        Returns
        -------
        neuroglancer.Viewer
            Served on this machine alone, as long as this process lives; see `neuroglancer.localviewer.open_viewer`.

        Raises
        ------
        MissingExtraError
            If neuroglancer is not installed.
        """
        from .neuroglancer.localviewer import open_viewer

        return open_viewer(self, open_browser=open_browser, **options)

    def neuroglancer_url(self, site: str | None = None, **options: Any) -> str:
        """Give a link that shows this place in Neuroglancer: the same voxels, ids, colours and contrast.

        Parameters
        ----------
        site : str, optional
            Address of a Neuroglancer; proofread segmentations need one that knows CAVE's tokens, such as
            `https://spelunker.cave-explorer.org`. By default Google's.
        **options
            As for `as_view`.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((8, 8, 1), np.uint8), None, Box((0, 0, 5), (8, 8, 6), (8.0, 8.0, 40.0)),
        ...              sources={"imagery": "precomputed://gs://bucket/em"})
        >>> cut.neuroglancer_url()[:50]
        'https://neuroglancer-demo.appspot.com/#!%7B%22dime'
        """
        from .neuroglancer.links import DEFAULT_SITE, make_link

        return make_link(self.as_view(**options).to_state(), site or DEFAULT_SITE)

    def record(self, **painting: Any) -> Record:
        """Give what the arrays are, and how a picture of them is painted: what a file says of itself.

        Parameters
        ----------
        **painting
            As for `overlay`.
        """
        return Record(
            place=self.bounds,
            sources={name: lasting(source) for name, source in self.sources.items()},
            mips=dict(self.mips),
            root_ids=self.root_ids,
            timestamp=self.timestamp,
            coverage=dict(self.coverage),
            painting=self._painting(painting),
            link=self._link(painting or None),
        )

    def metadata(self) -> dict[str, Any]:
        """Give what the arrays are, ready for JSON: the record as a dictionary, ids as text."""
        return self.record().to_dict()

    def _link(self, painting: Mapping[str, Any] | None) -> str | None:
        """Give a link for the record, with just the ids asked for: none selected shows all; None where none is."""
        from .neuroglancer.links import DEFAULT_SITE, make_link

        if not self.sources:
            return None
        asked = self.root_ids if isinstance(self.root_ids, tuple) else ()
        try:
            return make_link(self._view(painting, root_ids=asked).to_state(), DEFAULT_SITE)
        except (ImageryError, TypeError):  # of arrays, and of folders on this machine; painted with what nothing shows
            return None

    def _repr_png_(self) -> bytes | None:
        """Show the overlay in a notebook; of a stack its middle section."""
        return self._shown()

    def _shown(self, largest: int | None = None) -> bytes | None:
        """Give the middle section as PNG, made smaller to that many pixels if need be."""
        if self.image is None and self.segmentation is None:
            return None
        (picture,) = self.sheets().pictures(self.shape[2] // 2, **self._painting({}))
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
