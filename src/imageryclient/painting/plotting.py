"""Cutouts in matplotlib: pictures on axes in µm that say where things lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from ..errors import ArgumentError, MissingExtraError
from ..geometry import Box
from ..section import Section
from .annotations import as_legend
from .legend import BESIDE
from .planes import Plane, PlaneGrid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Extent", "plane_extent", "plot_cutout", "plot_section", "section_extent"]

Extent = tuple[float, float, float, float]
_SIDES: dict[Plane, tuple[int, int]] = {"xy": (0, 1), "xz": (0, 2), "yz": (2, 1)}  # to the right, down
_UM = 1e3  # nm


class _Cutout(Protocol):
    @property
    def bounds(self) -> Box: ...

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def overlay(
        self, *, plane: Plane | None = ..., section: int | None = ..., **options: Any
    ) -> Image.Image | list[Image.Image]: ...


class _SectionCutout(Protocol):
    @property
    def section(self) -> Section: ...

    def overlay(self, **options: Any) -> Image.Image: ...


def plot_cutout(
    cut: _Cutout, ax: Axes | None = None, *, plane: Plane = "xy", section: int | None = None, **options: Any
) -> Axes:
    """Show a section of a cutout in matplotlib, with axes in µm from the origin of the dataset.

    Parameters
    ----------
    cut : Cutout
        The cutout.
    ax : matplotlib.axes.Axes, optional
        Where; by default the current axes of pyplot.
    plane : {"xy", "xz", "yz"}
        Which sections, turned as in Neuroglancer: x to the right and y or z down; z to the left and y down in "yz".
    section : int, optional
        Which of them, counted from 0; by default the middle one.
    **options
        As for `Cutout.overlay`.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture at its true place, so that what is plotted in µm lies where it belongs.

    Raises
    ------
    ArgumentError
        If there is no such plane or section, or an option makes no sense.
    MissingExtraError
        If matplotlib is not installed.
    """
    _refuse_margins(options)
    extent = plane_extent(cut.bounds, plane)
    right, down = _SIDES[plane]
    if section is None:
        section = cut.shape[3 - right - down] // 2
    picture = cut.overlay(plane=plane, section=section, **options)
    assert not isinstance(picture, list)
    return _plot(picture, extent, f"{'xyz'[right]} (µm)", f"{'xyz'[down]} (µm)", ax)


def plot_section(cut: _SectionCutout, ax: Axes | None = None, **options: Any) -> Axes:
    """Show a section at any angle in matplotlib, with axes in µm from its upper left corner.

    Parameters
    ----------
    cut : SectionCutout
        The section.
    ax : matplotlib.axes.Axes, optional
        Where; by default the current axes of pyplot.
    **options
        As for `SectionCutout.overlay`.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture, to the right and down.

    Raises
    ------
    ArgumentError
        If an option makes no sense.
    MissingExtraError
        If matplotlib is not installed.
    """
    _refuse_margins(options)
    return _plot(cut.overlay(**options), section_extent(cut.section), "to the right (µm)", "down (µm)", ax)


def plane_extent(bounds: Box, plane: Plane = "xy") -> Extent:
    """Give where a section of a block lies, turned as `PlaneGrid` turns it: what matplotlib calls its extent.

    Parameters
    ----------
    bounds : Box
        The block.
    plane : {"xy", "xz", "yz"}
        Which sections.

    Returns
    -------
    tuple of float
        The places in µm of its left, right, lower and upper edge.

    Examples
    --------
    >>> plane_extent(Box((1000, 500, 10), (1512, 756, 20), (8.0, 8.0, 40.0)), "yz")
    (0.8, 0.4, 6.048, 4.0)
    """
    nm = PlaneGrid(plane, bounds.resolution).nm_per_pixel
    right, down = _SIDES[plane]
    low, high = bounds.nm
    # pixels are whole, so that where the voxels are not square a picture may end half a pixel off
    width, height = (max(1, round((high[axis] - low[axis]) / nm)) * nm for axis in (right, down))
    left, far = (high[right], high[right] - width) if plane == "yz" else (low[right], low[right] + width)
    return left / _UM, far / _UM, (low[down] + height) / _UM, low[down] / _UM


def section_extent(section: Section) -> Extent:
    """Give the extent of a section, from 0 to the right and down.

    Examples
    --------
    >>> section_extent(Section((800.0, 800.0, 400.0), (300, 200), 8.0))
    (0.0, 2.4, 1.6, 0.0)
    """
    width, height = (pixels * section.nm_per_pixel / _UM for pixels in section.size)
    return 0.0, width, height, 0.0


def _refuse_margins(options: Mapping[str, Any]) -> None:
    legend = as_legend(options.get("legend"))
    if legend is None or legend.place not in BESIDE:
        return
    raise ArgumentError("a legend beside the picture has no place on axes: use legend='upper left' or matplotlib's own")


def _plot(picture: Image.Image, extent: Extent, across: str, along: str, ax: Axes | None) -> Axes:
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError:
            raise MissingExtraError("plotting needs matplotlib: pip install 'imageryclient[plot]'") from None
        ax = pyplot.gca()
    ax.imshow(picture, extent=extent, origin="upper")
    ax.set_xlabel(across)
    ax.set_ylabel(along)
    return ax
