"""Layers sampled on a section at any angle: each pixel takes the stored voxel that contains its centre.

Only the chunks that the section passes through are fetched, each is decoded once and let go, and the section is gone
through in tiles; so memory holds the pictures and a few chunks, however large the box around the section is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .coverage import PixelCoverage
from .errors import DamagedDataError, IdWarning, MissingDataWarning, OutOfBoundsError, SourceError, StorageError
from .geometry import Resolution, format_resolution
from .ids import Ids
from .pools import together
from .reading import Policy, absence, absent_ids, check_memory, say, warn_of_future, warn_of_heirs
from .scales import Scale
from .section import Section, voxels_at
from .volumes import GrapheneVolume, IdsWanted, SegmentationVolume, Volume
from .volumes.scattered import ids_at, image_at

if TYPE_CHECKING:
    from .cave.lineage import AbsentId

__all__ = ["Sample", "Sampling", "finest_needed", "sample_layers"]

log = logging.getLogger(__name__)

_TILE = 1024  # pixels a side that are sampled together
_WORKING = 128  # bytes a pixel of a tile takes meanwhile


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Pixels of one layer.

    Parameters
    ----------
    data : numpy.ndarray
        Axes (right, down) or, with several channels, (right, down, c); in the dtype of the layer, ids as uint64.
    coverage : PixelCoverage
        Which of the pixels come from data; the others are 0.
    """

    data: NDArray[Any]
    coverage: PixelCoverage


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """One layer to sample.

    Parameters
    ----------
    name : str
        "imagery" or "segmentation", for messages.
    volume : Volume
        The layer.
    scale : Scale
        The scale to read.
    ids : IdsWanted or None
        For a segmentation.
    inward : numpy.ndarray or None
        Shape (3, 4): where the layer is moved, what leads from nm of the section to nm as the layer counts them.
    """

    name: str
    volume: Volume
    scale: Scale
    ids: IdsWanted | None = None
    inward: NDArray[np.float64] | None = None

    def meets(self, section: Section) -> bool:
        """Tell whether the box around a section holds voxels of the layer."""
        return section.box(self.scale.resolution, self.inward).intersect(self.scale.bounds).voxels > 0

    def read(self, section: Section) -> Sample:
        """Sample the layer; of a proofread segmentation come the supervoxels."""
        width, height = section.size
        info = self.volume.info
        channels = () if info.channels == 1 else (info.channels,)
        dtype = np.dtype(np.uint64) if self.ids is not None else info.dtype
        data = np.zeros((height, width, *channels), dtype)
        outside, absent = np.zeros((height, width), np.bool_), np.zeros((height, width), np.bool_)
        for tile in section.tiles(_TILE):
            pixels = tile[::-1]
            voxels = voxels_at(section.points(tile), self.scale.resolution, self.inward)
            if self.ids is None:
                image = image_at(self.volume, self.scale, voxels)
                values, beyond, unwritten = image.values, image.outside, image.absent
            else:
                found = ids_at(cast(SegmentationVolume, self.volume), self.scale, voxels)
                values, beyond, unwritten = found.ids, found.outside, found.absent
            data[pixels] = values.reshape(data[pixels].shape)
            outside[pixels] = beyond.reshape(outside[pixels].shape)
            absent[pixels] = unwritten.reshape(absent[pixels].shape)
        return Sample(data.swapaxes(0, 1), PixelCoverage(outside.T, absent.T))

    @property
    def pixel_bytes(self) -> int:
        """Bytes that a pixel takes, and of ids their objects and those of them that were asked for."""
        return 2 + (24 if self.ids is not None else self.volume.info.dtype.itemsize * self.volume.info.channels)


def finest_needed(
    section: Section, volume: Volume, inward: NDArray[np.float64] | None = None
) -> tuple[float, float, float]:
    """Give the coarsest voxels, in nm as the layer counts them, in which a section loses nothing.

    No coarser than a pixel along any axis that the section extends along; but no finer than the finest there are, so
    that thick sections do not call for more detail than they have.
    """
    linear = np.eye(3) if inward is None else inward[:, :3]
    reach = np.abs(linear @ section.axes[:, :2]).max(axis=1)
    nm = section.nm_per_pixel / np.linalg.norm(np.linalg.inv(linear), axis=0)
    scales = [scale.resolution for scale in volume.info.scales if not scale.placeholder]
    nm = np.maximum(nm, np.min(scales, axis=0)) if scales else nm
    x, y, z = np.where(reach > 1e-6 * np.abs(linear).max(), nm, np.inf).tolist()
    return x, y, z


def sample_layers(
    section: Section,
    samplings: Sequence[Sampling],
    policy: Policy,
    unit: Resolution,
    others: Iterable[tuple[Resolution, Section]] = (),
) -> list[Sample]:
    """Sample several layers on one section, at the same time.

    Parameters
    ----------
    section : Section
        Where.
    samplings : sequence of Sampling
        One for each layer.
    policy : Policy
        What to do about what is missing, and the limit of memory.
    unit : tuple of float
        nm that the caller's numbers count, for messages.
    others : iterable of tuple
        Sections that the caller's numbers make in voxels of other sizes, for messages.

    Raises
    ------
    OutOfBoundsError
        If no layer has data there.
    TooLargeError
        If the estimate exceeds the limit.
    MissingDataError
        If something is missing and the policy is "raise".
    """
    width, height = section.size
    working = _WORKING * min(width, _TILE) * min(height, _TILE)
    estimate = sum(width * height * one.pixel_bytes + working for one in samplings)
    check_memory(estimate, policy, f"a section of {width} x {height} pixels", "ask for fewer pixels")
    samples = together(*(lambda one=one: one.read(section) for one in samplings))
    if all(sample.coverage.outside.all() for sample in samples):
        raise OutOfBoundsError(_beyond(section, samplings, others))
    if policy.missing != "fill":
        _report(samplings, samples, policy)
    return [_objects(one, sample, section, policy, unit) for one, sample in zip(samplings, samples, strict=True)]


def _beyond(section: Section, samplings: Sequence[Sampling], others: Iterable[tuple[Resolution, Section]]) -> str:
    spans = "; ".join(f"{one.name} spans {_span(one)} (mip {one.scale.mip}, {one.volume.source})" for one in samplings)
    fitting = [resolution for resolution, other in others if any(one.meets(other) for one in samplings)]
    hint = ""
    if fitting:
        names = " or ".join(map(format_resolution, fitting))
        hint = (
            f". The centre would fit if its numbers are voxels of {names} nm: "
            f"pass resolution=({', '.join(f'{n:g}' for n in fitting[0])})"
        )
    return f"the section of {section} lies wholly outside the data: {spans}{hint}"


def _span(one: Sampling) -> str:
    if one.inward is not None:
        return f"{one.scale.bounds}, before the view moves it"
    low, high = one.scale.bounds.nm
    return ", ".join(f"{a:.10g}:{b:.10g}" for a, b in zip(low, high, strict=True)) + " nm"


def _report(samplings: Sequence[Sampling], samples: Sequence[Sample], policy: Policy) -> None:
    missing = [
        f"{one.name}: {sample.coverage.describe()}"
        for one, sample in zip(samplings, samples, strict=True)
        if not sample.coverage.complete
    ]
    if missing:
        say(policy, "; ".join(missing), "they are 0 in the result", MissingDataWarning)


def _objects(one: Sampling, sample: Sample, section: Section, policy: Policy, unit: Resolution) -> Sample:
    """Give ids as they were asked for: of objects at the moment, and of which; say which of them are not there."""
    wanted, volume, ids = one.ids, one.volume, sample.data
    if wanted is None or wanted.root_ids is None:
        return sample
    silent = policy.missing == "fill"
    proofread = isinstance(volume, GrapheneVolume)
    if isinstance(volume, GrapheneVolume):
        import fastremap

        if not silent:
            warn_of_future(wanted)
        flat = ids.reshape(-1, order="F")
        supervoxels = fastremap.unique(flat)
        roots = volume.graph.roots(supervoxels, wanted.moment, remember=wanted.pinned)
        objects = fastremap.remap_from_array_kv(flat, supervoxels, roots, in_place=False)
        ids = objects.reshape(ids.shape, order="F")
    if not isinstance(wanted.root_ids, np.ndarray):
        return Sample(ids, sample.coverage)
    asked = wanted.root_ids
    absent = absent_ids(asked, ids)
    if absent.size and not (silent and not wanted.follow):
        reasons = _explain(absent, one, sample.data, section, unit)
        heirs = [reason for reason in reasons if reason.successors] if wanted.follow else []
        if heirs:
            if not silent:
                warn_of_heirs(heirs, wanted, "pixels in the section", proofread)
            asked = np.append(asked, np.array([s.root_id for reason in heirs for s in reason.successors], np.uint64))
            gone = np.array([reason.root_id for reason in heirs], np.uint64)
            absent = absent[np.isin(absent, gone, invert=True)]
            reasons = [reason for reason in reasons if not reason.successors]
        if absent.size and not silent:
            fact, advice = absence(absent, reasons, wanted, "no pixel in the section", proofread)
            say(policy, fact, advice, IdWarning, reasons)
    return Sample(np.where(np.isin(ids, asked, kind="sort"), ids, np.uint64(0)), sample.coverage)


def _explain(absent: Ids, one: Sampling, supervoxels: Ids, section: Section, unit: Resolution) -> list[AbsentId]:
    """Give the reasons; none for a flat segmentation, or where the graph does not answer."""
    if not isinstance(one.volume, GrapheneVolume) or one.ids is None:
        return []
    from .absence import Search, explain

    box = section.box(one.scale.resolution, one.inward)
    try:
        return list(explain(absent, Search(one.volume, box, box, one.ids, unit, lambda: [supervoxels])))
    except (StorageError, SourceError, DamagedDataError):
        log.debug("why %d ids are absent cannot be told", absent.size, exc_info=True)
        return []
