"""A cutout: imagery and segmentation on one grid, with what they are and where they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .coverage import Coverage
from .errors import ArgumentError
from .files.record import AskedIds, Record, lasting
from .geometry import Box, Resolution, as_resolution, format_resolution
from .linked import Linked
from .measured import Measured
from .painting.options import PAINTED

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from PIL import Image

    from .masks import SegmentationMasks
    from .neuroglancer.views import View
    from .painting.planes import Plane
    from .painting.sheets import Sheets

__all__ = ["Cutout"]

_Figure = TypeVar("_Figure")


@dataclass(frozen=True, eq=False)
class Cutout(Linked, Measured):
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
    taken_from : tuple of Box
        Of cubic voxels that `isotropic` made: those that were cut out, and any cubes between.

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
    taken_from: tuple[Box, ...] = ()

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
        **options
            As for `composite_overlay`: `palette` (by default "steady", where an id has one colour wherever it appears),
            `colors`, `alpha`, `outline`, `fill`, `highlight`, `zoom`, `percentiles`, …; and those below.

        Other Parameters
        ----------------
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
        from .painting.apart import across, options_apart

        x, y, _ = self.resolution
        painting = self._painting(options)
        own = painting.pop("plane", None)
        plane = plane or own
        if plane is None and x != y and any(options.get(name) for name in ("scale_bar", "marks", "labels", "legend")):
            plane = "xy"  # what is drawn at places needs square pixels
        ids = None if self.segmentation is None else (lambda: list(self.masks))
        painting = options_apart(self.image, ids, painting)
        if section is not None and self.shape[across(plane)] > 1:
            return self._apart(section, plane, {}).overlay(plane=plane, **painting)
        pictures = self.sheets(plane).pictures(section, **painting)
        return pictures[0] if len(pictures) == 1 else pictures

    def planes(self, at: ArrayLike | None = None, **options: Any) -> Image.Image:
        """Paint the three planes through a point as one figure: xy, xz below it and yz beside it, at one scale.

        Parameters
        ----------
        at : array_like, optional
            x, y, z of the point, in voxels of this cutout; by default its middle.
        **options
            As for `overlay`, and `lines`, `names`, `spacing`: see `painting.threeplanes.orthogonal_figure`.

        Returns
        -------
        PIL.Image.Image
            RGB, or RGBA with a legend or a transparent background; in yz, z runs to the right, so that lines go on from
            panel to panel. `save("planes.svg", planes=at)` writes the same to a file that knows what it is.

        Raises
        ------
        BoundsError
            If the point does not lie in this cutout.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 40, 10), np.uint8), None, Box((0, 5, 0), (60, 45, 10), (8.0, 8.0, 40.0)))
        >>> cut.planes(scale_bar=False, spacing=6).size
        (116, 96)
        """
        from .painting.threeplanes import orthogonal_figure

        return self._planes(at, options, orthogonal_figure)

    def _planes(self, at: ArrayLike | None, options: Mapping[str, Any], paint: Callable[..., _Figure]) -> _Figure:
        """Have the three planes painted, or drawn, as a figure."""
        from .painting.orthogonal import OrthogonalPlanes

        planes = OrthogonalPlanes.through(self.bounds, at, resolution=self.resolution)
        ids = None if self.segmentation is None else list(self.masks)
        painting = {name: value for name, value in self._painting(options).items() if name != "plane"}
        return paint(self.image, self.segmentation, planes, ids=ids, **painting)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Show a section in matplotlib, with axes in µm from the dataset's origin.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where; by default the current axes of pyplot.
        **options
            As for `overlay`, `section` and `plane` too: see `painting.plotting.plot_cutout`.

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
        >>> from imageryclient import Box, Cutout
        >>> from matplotlib.figure import Figure
        >>> cut = Cutout(np.zeros((60, 40, 1), np.uint8), None, Box((0, 5, 0), (60, 45, 1), (8.0, 8.0, 40.0)))
        >>> tuple(round(float(end), 2) for end in cut.plot(Figure().subplots()).get_xlim())
        (0.0, 0.48)
        """
        from .painting.plotting import plot_cutout

        return plot_cutout(self, ax, **options)

    def isotropic(self, nm: float | None = None) -> Cutout:
        """Give the same in cubic voxels, each of which takes the voxel that contains its centre.

        Parameters
        ----------
        nm : float, optional
            How wide they are; by default as these are along their shortest side.

        Returns
        -------
        Cutout
            Of the same place, with new arrays.

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
        before = self.taken_from if bounds == self.bounds else (*self.taken_from, self.bounds)
        return replace(
            self, image=image, segmentation=segmentation, bounds=bounds, coverage=coverage, taken_from=before
        )

    def to_xarray(self) -> xr.Dataset:
        """Give the arrays as an xarray Dataset, with coordinates in nm; they are not copied.

        Returns
        -------
        xarray.Dataset
            Variables `image` and `segmentation`, those there are, dims x, y, z (c for channels); see
            `lazy.cutout_to_xarray`.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((4, 4, 1), np.uint8), None, Box((10, 20, 5), (14, 24, 6), (8.0, 8.0, 40.0)))
        >>> cut.to_xarray().image.x.values.tolist()
        [84.0, 92.0, 100.0, 108.0]
        """
        from .lazy.labeled import cutout_to_xarray

        return cutout_to_xarray(self)

    def sheets(self, plane: Plane | None = None) -> Sheets:
        """Give the sections of a plane, and where they lie: what pictures are painted from.

        Parameters
        ----------
        plane : {"xy", "xz", "yz"}, optional
            As for `overlay`.

        Returns
        -------
        Sheets
            Arrays (right, down, section), and a `Section` for each.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 4, 10), np.uint8), None, Box((0, 5, 0), (60, 9, 10), (8.0, 8.0, 40.0)))
        >>> cut.sheets("xz").image.shape, cut.sheets("xz").places[0].size
        ((60, 50, 4), (60, 50))
        """
        from .painting.planes import PlaneGrid
        from .painting.sheets import Sheets

        grid = PlaneGrid(plane or "xy", self.resolution)
        image, segmentation = self.image, self.segmentation
        if plane is not None:
            image, segmentation = (None if array is None else grid.sections(array) for array in (image, segmentation))
        as_cut = plane is None or (plane == "xy" and self.resolution[0] == self.resolution[1])
        known = self.masks if as_cut and segmentation is not None else None
        stretch = (1.0, 1.0) if plane is None else grid.stretch
        return Sheets(image, segmentation, grid.places(self.bounds), grid.depth, known, stretch)

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
            movies also `fps`. `planes=True`, or the place where they cross, makes pictures those of `planes`.

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
        NotFoundError, StorageError
            If there is no such folder, or it cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((60, 40, 2), np.uint8), None, Box((0, 5, 0), (60, 45, 2), (8.0, 8.0, 40.0)))
        >>> [file.name for file in cut.save(tempfile.mkdtemp() + "/place.png", scale_bar=True)]
        ['place_slice_0.png', 'place_slice_1.png']
        """
        from .files.saving import save_cutout

        return save_cutout(self, Path(path), options)

    def _view(
        self, painting: Mapping[str, Any] | None, resolution: ArrayLike | None = None, root_ids: Any = None
    ) -> View:
        """Give the view, which looks as Neuroglancer has it where there is no painting."""
        from .neuroglancer.looks import look_of
        from .neuroglancer.showing import layer_views, selected
        from .neuroglancer.views import View

        seen = {name: at for name, at in self.sources.items() if name == "imagery" or self.segmentation is not None}
        unseen = self.segmentation is None or (painting is None and root_ids is not None)
        ids = [] if unseen else self.masks.ids.tolist()
        look = None if painting is None else look_of(self._painting(painting), ids, self.image, len(self.shape))
        shown = selected(ids, root_ids, look) if "segmentation" in seen else root_ids
        layers = layer_views(seen, shown, self.timestamp, look)
        ends = zip(self.bounds.start, self.bounds.stop, self.resolution, strict=True)
        x, y, z = ((a + b) / 2 * nm for a, b, nm in ends)
        voxel_size = self.resolution if resolution is None else as_resolution(resolution)
        plane = self._painting(painting or {}).get("plane") or "xy"
        nm = min(self.resolution["xyz".index(axis)] for axis in plane)
        return View((x, y, z), voxel_size, nm, layout=plane, layers=layers)

    def record(self, **painting: Any) -> Record:
        """Give what the arrays are, and how a picture of them is painted: what a file says of itself.

        Parameters
        ----------
        **painting
            As for `overlay`.

        Returns
        -------
        Record
            Place, sources, scales, ids, moment, coverage, options, and a Neuroglancer link where one can be.

        Examples
        --------
        >>> from imageryclient import Box, Cutout
        >>> cut = Cutout(np.zeros((8, 8, 1), np.uint8), None, Box((0, 0, 5), (8, 8, 6), (8.0, 8.0, 40.0)))
        >>> cut.record(gamma=0.8).painting["gamma"]
        0.8
        """
        return Record(
            place=self.bounds,
            sources={name: lasting(source) for name, source in self.sources.items()},
            mips=dict(self.mips),
            root_ids=self.root_ids,
            timestamp=self.timestamp,
            coverage=dict(self.coverage),
            taken_from=self.taken_from,
            painting=self._painting(painting),
            link=self._link(painting or None),
        )

    def _repr_png_(self) -> bytes | None:
        """Show the overlay in a notebook; of a stack its middle section."""
        from .notebook import LARGEST

        return self._shown(LARGEST)

    def _shown(self, largest: int) -> bytes | None:
        """Give the middle section as PNG, made smaller to that many pixels if need be; the others are not looked at."""
        if self.image is None and self.segmentation is None:
            return None
        from .painting.apart import across

        plane = self.painting.get("plane")
        try:
            picture = self._apart(self.shape[across(plane)] // 2, plane, self.painting).overlay()
        except ArgumentError:  # of channels that no picture has
            return None
        assert not isinstance(picture, list)
        picture.thumbnail((largest, largest))
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def _apart(self, section: int, plane: Plane | None, painting: Mapping[str, Any]) -> Cutout:
        """Give one section alone."""
        from .painting.apart import across, sliced, thin_box

        axis = across(plane)
        bounds = thin_box(self.bounds, axis, section)
        image, ids = (sliced(array, axis, section) for array in (self.image, self.segmentation))
        return Cutout(image, ids, bounds, painting=painting)

    def _repr_html_(self) -> str:
        """Show the overlay beside what it is."""
        from .notebook import QUICK, WIDTH, card, facts_of
        from .painting.apart import across

        record = self.record()
        title = f"Cutout of {' and '.join(self.sources) or 'nothing'}"
        known = self.segmentation is not None and ("masks" in self.__dict__ or self.segmentation.size <= QUICK)
        facts = facts_of(record, len(self.masks) if known else None)
        sections = self.shape[across(self.painting.get("plane"))]
        if sections > 1:
            facts["picture"] = f"section {sections // 2 + 1} of {sections}"
        links = {} if record.link is None else {"open in Neuroglancer": record.link}
        return card(title, facts, self._shown(2 * WIDTH), links)

    def __repr__(self) -> str:
        layers = " and ".join(self.sources) or "nothing"
        moment = "" if self.timestamp is None else f", at {self.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        x, y, z = self.shape
        return f"<Cutout of {layers}, {x} x {y} x {z} voxels of {format_resolution(self.resolution)} nm{moment}>"
