"""Connectomics imagery and segmentation, cut out exactly aligned, and figures of them.

Names load when first used; importing this package touches neither disk nor network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .arrays.source import ArraySource
    from .cache import clear_cache
    from .changes import Changes
    from .client import ImageryClient
    from .coverage import Coverage
    from .cutout import Cutout
    from .files.loading import load_cutout, redo
    from .geometry import Box, bounds_from_center
    from .masks import SegmentationMasks, segmentation_masks
    from .painting.color import discrete_colors
    from .painting.figure import stack_images
    from .painting.overlay import composite_overlay
    from .painting.scalebar import scale_bar
    from .section import Section
    from .sectioncutout import SectionCutout
    from .viewer import from_neuroglancer
    from .volumes import open_volume

__all__ = [
    "ArraySource",
    "Box",
    "Changes",
    "Coverage",
    "Cutout",
    "ImageryClient",
    "Section",
    "SectionCutout",
    "SegmentationMasks",
    "__version__",
    "bounds_from_center",
    "clear_cache",
    "composite_overlay",
    "discrete_colors",
    "errors",
    "from_neuroglancer",
    "load_cutout",
    "open_volume",
    "redo",
    "scale_bar",
    "segmentation_masks",
    "stack_images",
]

_HOMES = {
    "ArraySource": "arrays.source",
    "Box": "geometry",
    "Changes": "changes",
    "Coverage": "coverage",
    "Cutout": "cutout",
    "ImageryClient": "client",
    "Section": "section",
    "SectionCutout": "sectioncutout",
    "SegmentationMasks": "masks",
    "bounds_from_center": "geometry",
    "clear_cache": "cache",
    "composite_overlay": "painting.overlay",
    "discrete_colors": "painting.color",
    "from_neuroglancer": "viewer",
    "load_cutout": "files.loading",
    "open_volume": "volumes",
    "redo": "files.loading",
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
