"""Cutouts for training: places drawn at random, and datasets of them for PyTorch's DataLoader and for plain loops.

PyTorch is not needed. Workers may be forked or spawned: each makes a client of its own when it first reads.

- `places`: random places, inside the data, bounds, a mask, or an object.
- `datasets`: `CutoutDataset`, by index.
- `stream`: `CutoutStream`, one after the other.
- `epochs`: which epoch it is, for workers that run already.
"""

from __future__ import annotations

from .datasets import CutoutDataset
from .places import Mask, object_mask, random_places
from .stream import CutoutStream

__all__ = ["CutoutDataset", "CutoutStream", "Mask", "object_mask", "random_places"]
