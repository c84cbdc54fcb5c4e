"""Voxels to numbers: what the objects of a cutout measure, where they touch, how far apart they are.

Pure: labels and a `Box` go in, tables come out, of numpy columns; nothing is read.

- `objects`: how large each object is, and where it lies.
- `contacts`: which objects touch, and over what area.
- `distance`: the shortest way from one object to another.
"""

from __future__ import annotations

from .contacts import Contacts, contact_areas
from .distance import Nearest, nearest_distance
from .objects import Measurements, measure

__all__ = ["Contacts", "Measurements", "Nearest", "contact_areas", "measure", "nearest_distance"]
