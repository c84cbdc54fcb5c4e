"""Cutouts of places made into an output: masks and overlays of each, its files, its line in the journal."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..cutout import Cutout
from ..errors import ImageryError, StorageError
from ..geometry import Box
from .failures import FailedPlace
from .formats import FormatName, Layout, Products, open_format
from .journal import Entry, JournalWriter
from .reading import PlaceCutout
from .workspace import Workspace

__all__ = ["Job", "PlaceWriter", "try_overlay"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is written of every place, and where to; slim to pickle.

    Parameters
    ----------
    format : str
        Of the output.
    workspace : Workspace
        Where it lies; its path is absolute.
    layout : Layout
        What it holds.
    layers : tuple of str
        The layers, in the order of the journal's columns.
    overlay : mapping or None
        Options of `composite_overlay` for overlays; None for none.
    """

    format: FormatName
    workspace: Workspace
    layout: Layout
    layers: tuple[str, ...]
    overlay: Mapping[str, Any] | None = field(default=None, hash=False)


class PlaceWriter:
    """Writes places, from any thread of a process.

    Parameters
    ----------
    job : Job
        What is written.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._format = open_format(job.format, job.workspace, job.layout)
        self._journal = JournalWriter(job.workspace.journal)
        self._lock = threading.Lock()

    def write(self, cut: PlaceCutout, ids: Mapping[str, int]) -> Entry | FailedPlace:
        """Write a place, then that it is done.

        Parameters
        ----------
        cut : PlaceCutout
            The place.
        ids : mapping of str to int
            For each mask the id it is of; 0 for none.

        Returns
        -------
        Entry or FailedPlace
            That it is done; or why it cannot be made into what the output holds.

        Raises
        ------
        StorageError
            If the disk is full, or does not let it be written.
        """
        try:
            masks = _masks(cut, ids)
            self._format.write(cut.index, Products(cut, masks, self._pictures(cut, masks)))
        except StorageError:
            raise
        except ImageryError as error:
            x, y, z = ((a + b) / 2 for a, b in zip(cut.bounds.start, cut.bounds.stop, strict=True))
            return FailedPlace(cut.index, (x, y, z), error)
        covered = tuple(cut.coverage[layer].fraction for layer in self._job.layers)
        entry = Entry(cut.index, covered, tuple(int(np.count_nonzero(mask)) for mask in masks.values()))
        with self._lock:
            self._journal.add([entry])
        return entry

    def _pictures(self, cut: Cutout, masks: Mapping[str, NDArray[np.bool_]]) -> list[Image.Image]:
        return [] if self._job.overlay is None else _painted(cut, masks, self._job.overlay)


def _masks(cut: Cutout, ids: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Give a mask for each id; nothing is in that of 0."""
    if not ids:
        return {}
    assert cut.segmentation is not None
    segmentation = cut.segmentation
    return {
        name: np.asarray(segmentation == np.uint64(number)) if number else np.zeros_like(segmentation, np.bool_)
        for name, number in ids.items()
    }


def _painted(cut: Cutout, masks: Mapping[str, NDArray[np.bool_]], options: Mapping[str, Any]) -> list[Image.Image]:
    """Paint the masks, which have the same colours everywhere; without any, all segments, by their ids."""
    from ..painting.overlay import composite_overlay

    painted = composite_overlay(masks, imagery=cut.image, **options) if masks else cut.overlay(**options)
    return painted if isinstance(painted, list) else [painted]


def try_overlay(layout: Layout, options: Mapping[str, Any]) -> None:
    """Paint a few black voxels, to see whether the options of an overlay make sense.

    Raises
    ------
    ArgumentError, TypeError
        If one of them does not.
    """
    box = Box((0, 0, 0), (8, 8, 1), (1.0, 1.0, 1.0))
    channels = (layout.channels,) * (layout.channels > 1)
    image = None if layout.image is None else np.zeros((*box.shape, *channels), layout.image)
    segmentation = np.zeros(box.shape, np.uint64) if layout.segmentation else None
    _painted(Cutout(image, segmentation, box), {name: np.zeros(box.shape, np.bool_) for name in layout.masks}, options)
