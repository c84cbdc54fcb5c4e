"""Connectomics imagery and segmentation, cut out exactly aligned, and figures of them.

Names load when first used; importing this package touches neither disk nor network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .cache import clear_cache
    from .client import ImageryClient
    from .color import discrete_colors
    from .coverage import Coverage
    from .cutout import Cutout
    from .figure import stack_images
    from .geometry import Box, bounds_from_center
    from .masks import SegmentationMasks, segmentation_masks
    from .overlay import composite_overlay
    from .volumes import open_volume

__all__ = [
    "Box",
    "Coverage",
    "Cutout",
    "ImageryClient",
    "SegmentationMasks",
    "__version__",
    "bounds_from_center",
    "clear_cache",
    "composite_overlay",
    "discrete_colors",
    "errors",
    "open_volume",
    "segmentation_masks",
    "stack_images",
]

_HOMES = {
    "Box": "geometry",
    "Coverage": "coverage",
    "Cutout": "cutout",
    "ImageryClient": "client",
    "SegmentationMasks": "masks",
    "bounds_from_center": "geometry",
    "clear_cache": "cache",
    "composite_overlay": "overlay",
    "discrete_colors": "color",
    "open_volume": "volumes",
    "segmentation_masks": "masks",
    "stack_images": "figure",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name == "errors":
        return import_module(".errors", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
