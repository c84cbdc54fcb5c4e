"""Whole volumes as arrays that are read when they are computed.

- `reader`: a layer as something with a shape that is read by slices, here or in another process.
- `arrays`: Dask arrays.
- `labeled`: xarray's, whose coordinates are nm; cutouts too.
- `napari`: pyramids for the viewer.
"""

from __future__ import annotations

from .arrays import image_array, segmentation_array
from .labeled import cutout_to_xarray, image_data, segmentation_data
from .napari import napari_layers

__all__ = [
    "cutout_to_xarray",
    "image_array",
    "image_data",
    "napari_layers",
    "segmentation_array",
    "segmentation_data",
]
