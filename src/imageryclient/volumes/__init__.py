"""Volumes: layers of voxels that can be read by box and scale, whatever they are stored as."""

from __future__ import annotations

from .base import Block, IdsWanted, SegmentationVolume, Volume, default_scale, scale_at, scale_for
from .graphene import GrapheneVolume
from .opening import open_volume
from .precomputed import PrecomputedSegmentation, PrecomputedVolume

__all__ = [
    "Block",
    "GrapheneVolume",
    "IdsWanted",
    "PrecomputedSegmentation",
    "PrecomputedVolume",
    "SegmentationVolume",
    "Volume",
    "default_scale",
    "open_volume",
    "scale_at",
    "scale_for",
]
