"""Sections of a cutout one behind the other, where they lie, and pictures of them: one, all, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError
from ..masks import SegmentationMasks
from ..section import Section
from .annotations import Annotations, annotate
from .marks import Mark, as_marks
from .options import check_names
from .overlay import composite_overlay
from .shared import painted_colors, shared_options
from .style import checked_zoom

__all__ = ["Sheets"]

_OPTIONS = frozenset(signature(composite_overlay).parameters) - {"segs", "imagery", "dim", "stretch"}


@dataclass(frozen=True)
class Sheets:
    """What pictures show.

    Parameters
    ----------
    image : numpy.ndarray or None
        Axes (right, down, section), or with channels one more.
    segmentation : numpy.ndarray or None
        Ids, axes (right, down, section).
    places : sequence of Section
        Where each section lies.
    depth : float
        How thick a section is, in nm.
    known : SegmentationMasks or None
        Masks of the segmentation, where they are made already.
    stretch : tuple of float
        How many pixels a voxel is wide and high: smooth curves follow voxels.
    """

    image: NDArray[Any] | None
    segmentation: NDArray[np.uint64] | None
    places: Sequence[Section]
    depth: float
    known: SegmentationMasks | None = None
    stretch: tuple[float, float] = (1.0, 1.0)

    @cached_property
    def masks(self) -> SegmentationMasks | None:
        """The masks of all sections together."""
        if self.segmentation is None:
            return None
        return SegmentationMasks(self.segmentation) if self.known is None else self.known

    def pictures(self, section: int | None = None, **options: Any) -> list[Image.Image]:
        """Paint one section, counted from 0, or all of them.

        Parameters
        ----------
        section : int, optional
            Which one alone, with the colours and the contrast it has among all.
        **options
            As for `painter`.

        Raises
        ------
        ArgumentError
            If there is no such section, or an option makes no sense.
        """
        chosen = self.chosen(section)
        return list(map(self.painter(**options), chosen))

    def chosen(self, section: int | None = None) -> Sequence[int]:
        """Give the numbers of all sections, or of just that one.

        Raises
        ------
        ArgumentError
            If there is no such section.
        """
        if section is None:
            return range(len(self.places))
        if not (isinstance(section, (int, np.integer)) and 0 <= section < len(self.places)):
            raise ArgumentError(f"there are {len(self.places)} sections, counted from 0; got section={section!r}")
        return [section]

    def frames(self, **options: Any) -> Iterator[Image.Image]:
        """Paint one section after the other, each when it is asked for; a legend tells the same beside all of them."""
        masks, legend = self.masks, options.get("legend")
        if masks is not None and legend is not None and legend is not False:
            largest_first = sorted(masks, key=lambda one: (-masks.voxel_count(one), one))
            options.setdefault("legend_ids", largest_first)
        return map(self.painter(**options), range(len(self.places)))

    def painter(
        self,
        *,
        marks: Sequence[Mark] | Mark = (),
        labels: Any = False,
        legend: Any = False,
        scale_bar: bool | float = False,
        width_nm: float | None = None,
        legend_ids: Sequence[int] | None = None,
        **options: Any,
    ) -> Callable[[int], Image.Image]:
        """Give the function that paints a section, all of them in the same colours and contrast.

        Parameters
        ----------
        marks, labels, legend, scale_bar
            What is written on the pictures; see `Annotations`.
        width_nm : float, optional
            Width of outlines in nm, in place of pixels.
        legend_ids : sequence of int, optional
            The ids that a legend may tell beside each picture, in its order; by default those that are in it.
        **options
            As for `composite_overlay`.
        """
        if self.image is None and self.segmentation is None:
            raise ArgumentError("there is neither imagery nor segmentation to paint")
        check_names(options, _OPTIONS)
        zoom = checked_zoom(options.get("zoom", 1))
        if width_nm is not None:
            options["width"] = self._pixels(width_nm, zoom, options)
        ids = [] if self.masks is None else list(self.masks)
        what = Annotations(
            as_marks(marks),
            labels,
            legend,
            scale_bar,
            options.get("background") or "white",
        )
        colors = None
        if legend is not False and (ids or legend_ids):
            there = set(ids)
            elsewhere = [one for one in legend_ids or () if one not in there]
            colors = painted_colors(ids, options) | painted_colors(elsewhere, options)
        shared = shared_options(self.image, ids, options)

        def paint(number: int) -> Image.Image:
            picture = self._painted(number, shared)
            if not what:
                return picture
            ids_here = None if self.segmentation is None else self.segmentation[:, :, number]
            place = self.places[number].zoomed(zoom)
            return annotate(
                picture,
                place,
                self.depth,
                what,
                segmentation=ids_here,
                colors=colors,
                zoom=zoom,
                legend_ids=legend_ids,
            )

        return paint

    def _painted(self, number: int, options: dict[str, Any]) -> Image.Image:
        if self.masks is None:
            assert self.image is not None  # as a stack of one, lest channels pass for sections
            painted = composite_overlay({}, imagery=self.image[:, :, number : number + 1], **options)
        else:
            image = None if self.image is None else self.image[:, :, number]
            painted = composite_overlay(self.masks.section(number), imagery=image, stretch=self.stretch, **options)
        return painted[0] if isinstance(painted, list) else painted

    def _pixels(self, width_nm: float, zoom: float, options: dict[str, Any]) -> float:
        """Give the width of outlines in pixels; whole ones unless they are smooth."""
        if "width" in options:
            raise ArgumentError("width= and width_nm= both say how wide outlines are: give one of them")
        if not (isinstance(width_nm, (int, float, np.number)) and 0 < width_nm < np.inf):
            raise ArgumentError(f"width_nm must be a positive number of nm; got {width_nm!r}")
        pixels = width_nm / self.places[0].nm_per_pixel * zoom
        return pixels if options.get("smooth") else max(1, round(pixels))
