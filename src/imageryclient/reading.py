"""Reading layers together: checks before, blocks on the grids asked for, word of what was missing after."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from .errors import (
    ArgumentError,
    IdWarning,
    ImageryWarning,
    MissingDataError,
    MissingDataWarning,
    OutOfBoundsError,
    TooLargeError,
)
from .geometry import Box, Region, Resolution, format_resolution
from .ids import Ids
from .pools import together
from .scales import Scale
from .volumes import Block, IdsWanted, SegmentationVolume, Volume

__all__ = ["Missing", "Policy", "Reading", "parse_missing", "read_layers"]

Missing = Literal["fill", "warn", "raise"]
_PACKAGE = str(Path(__file__).parent) + os.sep
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do about voxels and ids that are not there, and how much memory a read may take.

    Parameters
    ----------
    missing : {"fill", "warn", "raise"}
        Fill with 0 in silence, fill and warn, or raise `MissingDataError`.
    memory_limit : int or None
        Bytes; None for half of the memory that is free.
    """

    missing: Missing = "warn"
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One layer to read.

    Parameters
    ----------
    name : str
        "imagery" or "segmentation", for messages.
    volume : Volume
        The layer.
    scale : Scale
        The scale to read.
    target : Box
        The voxels to give, on whatever grid; each takes the stored voxel that contains its centre.
    ids : IdsWanted or None
        For a segmentation.
    """

    name: str
    volume: Volume
    scale: Scale
    target: Box
    ids: IdsWanted | None = None

    @property
    def own(self) -> Box:
        """The voxels to read, on the grid of the scale."""
        return self.target.at(self.scale.resolution)

    @property
    def estimate(self) -> int:
        """Bytes that the voxels read and given take together."""
        itemsize = 8 if self.ids is not None else self.volume.info.dtype.itemsize * self.volume.info.channels
        given = 0 if self.target.resolution == self.scale.resolution else self.target.voxels
        return itemsize * (self.own.voxels + given)

    def read(self) -> Block:
        """Read the block, and put it on the grid of the target."""
        if self.ids is None:
            return self.volume.read(self.own, self.scale).on(self.target)
        volume = cast(SegmentationVolume, self.volume)
        return volume.read_ids(self.own, self.scale, self.ids).on(self.target)


def parse_missing(value: object) -> Missing:
    """Check the `missing` argument."""
    if value not in get_args(Missing):
        raise ArgumentError(f"missing must be 'fill', 'warn' or 'raise'; got {value!r}")
    return cast(Missing, value)


def read_layers(
    readings: Sequence[Reading], region: Region, policy: Policy, resolutions: Iterable[Resolution] = ()
) -> list[Block]:
    """Read several layers at the same time.

    Parameters
    ----------
    readings : sequence of Reading
        One for each layer.
    region : Region
        What the caller asked for, for messages.
    policy : Policy
        What to do about what is missing, and the limit of memory.
    resolutions : iterable of Resolution
        Others that the caller's numbers may have been meant in.

    Raises
    ------
    OutOfBoundsError
        If no layer has data in the region.
    TooLargeError
        If the estimate exceeds the limit.
    MissingDataError
        If something is missing and the policy is "raise".
    """
    _check_inside(readings, region, resolutions)
    _check_memory(readings, region, policy)
    blocks = together(*(reading.read for reading in readings))
    if policy.missing != "fill":
        _report(readings, blocks, policy)
    return blocks


def _check_inside(readings: Sequence[Reading], region: Region, resolutions: Iterable[Resolution]) -> None:
    if not readings or any(r.own.intersect(r.scale.bounds).voxels for r in readings):
        return
    spans = "; ".join(
        f"{r.name} spans {r.scale.bounds.at(region.resolution)} (mip {r.scale.mip}, {r.volume.source})"
        for r in readings
    )
    fitting = []
    scales = (scale.resolution for reading in readings for scale in reading.volume.info.scales)
    for resolution in dict.fromkeys((*scales, *resolutions)):
        moved = Region(region.low, region.high, resolution)
        fits = any(moved.at(r.scale.resolution).intersect(r.scale.bounds).voxels for r in readings)
        if fits and resolution != region.resolution:
            fitting.append(resolution)
    hint = ""
    if fitting:
        names = " or ".join(format_resolution(r) for r in fitting)
        hint = (
            f". The numbers would fit if they are voxels of {names} nm: "
            f"pass resolution=({', '.join(f'{n:g}' for n in fitting[0])})"
        )
    raise OutOfBoundsError(f"the box {region.grid} lies wholly outside the data: {spans}{hint}")


def _check_memory(readings: Sequence[Reading], region: Region, policy: Policy) -> None:
    estimate = sum(reading.estimate for reading in readings)
    if estimate < 2**26 and policy.memory_limit is None:  # nothing worth asking the system about
        return
    limit = policy.memory_limit
    if limit is None:
        import psutil

        limit = int(psutil.virtual_memory().available * _SHARE_OF_MEMORY)
    if estimate > limit:
        raise TooLargeError(
            f"the box {region.grid} would take about {_bytes(estimate)}, over the limit of {_bytes(limit)}; "
            "ask for a smaller box or a coarser mip, or set memory_limit= on the client"
        )


def _report(readings: Sequence[Reading], blocks: Sequence[Block], policy: Policy) -> None:
    missing = [
        f"{reading.name}: {words}"
        for reading, block in zip(readings, blocks, strict=True)
        if not block.coverage.complete and (words := block.coverage.describe())
    ]
    if missing:
        _say(policy, "; ".join(missing), "they are 0 in the result", MissingDataWarning)
    for reading, block in zip(readings, blocks, strict=True):
        if reading.ids is not None and isinstance(reading.ids.root_ids, np.ndarray):
            absent = absent_ids(reading.ids.root_ids, block)
            if absent.size:
                _say(policy, *_absence(absent, reading), IdWarning)


def absent_ids(wanted: Ids, block: Block) -> Ids:
    """Give those of the ids asked for that no voxel of the block has."""
    import fastremap

    return wanted[~np.isin(wanted, fastremap.unique(block.data), kind="sort")]


def _absence(absent: Ids, reading: Reading) -> tuple[str, str]:
    assert isinstance(reading.ids, IdsWanted)
    assert isinstance(reading.ids.root_ids, np.ndarray)
    shown = ", ".join(str(i) for i in absent[:5].tolist()) + (", …" if absent.size > 5 else "")
    when = ""
    if isinstance(reading.volume, SegmentationVolume) and reading.volume.versioned:
        when = f" at {reading.ids.moment:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{absent.size} of the {reading.ids.root_ids.size} ids asked for have no voxel in {reading.target}{when}: "
        f"{shown}",
        "they may lie elsewhere or belong to another moment",
    )


def _say(policy: Policy, fact: str, consequence: str, category: type[ImageryWarning]) -> None:
    if policy.missing == "raise":
        raise MissingDataError(fact)
    warnings.warn(f'{fact}; {consequence} (missing="fill" or "raise" changes this)', category, _callers_level())


def _callers_level() -> int:
    """Give the stack level of the first frame outside this package, for `warnings.warn` two frames up."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"
