"""Segmentations to be painted: ids or masks, of one section or several, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..masks import SegmentationMasks
from .paint import LabelSection, MaskSection, Section

__all__ = ["LabelStack", "MaskStack", "Stack", "stacked"]


class Stack(Protocol):
    """All that is to be painted; `shape` is (x, y) or (x, y, z), None where nothing tells it."""

    @property
    def keys(self) -> Sequence[Any]:
        """Ids, or the names or numbers of masks."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Axes (x, y) or (x, y, z)."""

    def section(self, index: tuple[Any, ...]) -> Section:
        """Take one section."""


@dataclass(frozen=True, slots=True)
class LabelStack:
    """Ids as compact labels."""

    masks: SegmentationMasks

    @property
    def keys(self) -> Sequence[Any]:
        """Ids, in ascending order."""
        return list(self.masks)

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Stack`."""
        return self.masks.shape

    def section(self, index: tuple[Any, ...]) -> LabelSection:
        """See `Stack`."""
        return LabelSection(np.ascontiguousarray(self.masks.labels[index].T), len(self.masks))


@dataclass(frozen=True, slots=True)
class MaskStack:
    """Masks, in the order they are painted."""

    keys: Sequence[Any]
    masks: list[NDArray[Any]]

    @property
    def shape(self) -> tuple[int, ...] | None:
        """See `Stack`."""
        return self.masks[0].shape if self.masks else None

    def section(self, index: tuple[Any, ...]) -> MaskSection:
        """See `Stack`."""
        masks = [mask[index].T for mask in self.masks]
        return MaskSection(masks, (masks[0].shape[0], masks[0].shape[1]))


def stacked(segs: Any) -> Stack:
    """Read the segmentations that `composite_overlay` is given; raises ArgumentError if they are none.

    Examples
    --------
    >>> stacked(np.array([[0, 7], [9, 9]])).keys
    [7, 9]
    """
    if hasattr(segs, "__array__"):
        segs = SegmentationMasks(segs)
    if isinstance(segs, SegmentationMasks):
        if segs.ndim not in (2, 3):
            raise ArgumentError(f"a segmentation needs axes (x, y) or (x, y, z); got shape {segs.shape}")
        return LabelStack(segs)
    if isinstance(segs, Mapping):
        keys, values = list(segs.keys()), list(segs.values())
    elif isinstance(segs, Sequence) and not isinstance(segs, str):
        keys, values = list(range(len(segs))), list(segs)
    else:
        raise ArgumentError(
            "segs must be an array of ids, SegmentationMasks, or a mapping or sequence of masks; "
            f"got {type(segs).__name__}"
        )
    masks = [np.asarray(value) for value in values]
    for key, mask in zip(keys, masks, strict=True):
        if mask.ndim not in (2, 3):
            raise ArgumentError(f"a mask needs axes (x, y) or (x, y, z); mask {key} has shape {mask.shape}")
        if mask.shape != masks[0].shape:
            raise ArgumentError(f"masks must share one shape; {keys[0]} has {masks[0].shape}, {key} has {mask.shape}")
    return MaskStack(keys, masks)
