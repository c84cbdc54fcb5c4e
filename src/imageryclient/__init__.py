"""Connectomics imagery and segmentation, cut out exactly aligned, and figures of them.

Names load when first used; importing this package touches neither disk nor network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .arrays.source import ArraySource
    from .bulk.failures import FailedPlace
    from .cache import clear_cache
    from .changes import Changes
    from .client import ImageryClient
    from .coverage import Coverage
    from .cutout import Cutout
    from .files.loading import load_cutout, redo
    from .files.panels import save_panels
    from .files.remaking import remake
    from .geometry import Box, bounds_from_center
    from .masks import SegmentationMasks, segmentation_masks
    from .measuring import contact_areas, measure, nearest_distance
    from .painting.color import discrete_colors
    from .painting.figure import stack_images
    from .painting.labels import Labels
    from .painting.legend import Legend
    from .painting.marks import Lines, Points
    from .painting.notes import Arrow, Text
    from .painting.overlay import composite_overlay
    from .painting.scalebar import scale_bar
    from .section import Section
    from .sectioncutout import SectionCutout
    from .viewer import from_neuroglancer
    from .volumes import open_volume

__all__ = [
    "ArraySource",
    "Arrow",
    "Box",
    "Changes",
    "Coverage",
    "Cutout",
    "FailedPlace",
    "ImageryClient",
    "Labels",
    "Legend",
    "Lines",
    "Points",
    "Section",
    "SectionCutout",
    "SegmentationMasks",
    "Text",
    "__version__",
    "bounds_from_center",
    "clear_cache",
    "composite_overlay",
    "contact_areas",
    "discrete_colors",
    "errors",
    "from_neuroglancer",
    "load_cutout",
    "measure",
    "nearest_distance",
    "open_volume",
    "redo",
    "remake",
    "save_panels",
    "scale_bar",
    "segmentation_masks",
    "stack_images",
]

_HOMES = {
    "ArraySource": "arrays.source",
    "Arrow": "painting.notes",
    "Box": "geometry",
    "Changes": "changes",
    "Coverage": "coverage",
    "Cutout": "cutout",
    "FailedPlace": "bulk.failures",
    "ImageryClient": "client",
    "Labels": "painting.labels",
    "Legend": "painting.legend",
    "Lines": "painting.marks",
    "Points": "painting.marks",
    "Section": "section",
    "SectionCutout": "sectioncutout",
    "SegmentationMasks": "masks",
    "Text": "painting.notes",
    "bounds_from_center": "geometry",
    "clear_cache": "cache",
    "composite_overlay": "painting.overlay",
    "contact_areas": "measuring",
    "discrete_colors": "painting.color",
    "from_neuroglancer": "viewer",
    "load_cutout": "files.loading",
    "measure": "measuring",
    "nearest_distance": "measuring",
    "open_volume": "volumes",
    "redo": "files.loading",
    "remake": "files.remaking",
    "save_panels": "files.panels",
    "scale_bar": "painting.scalebar",
    "segmentation_masks": "masks",
    "stack_images": "painting.figure",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name == "errors":
        return import_module(".errors", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
