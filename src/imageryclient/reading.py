"""Reading layers together: checks before, blocks on the grids asked for, word of what was missing after."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import (
    ArgumentError,
    DamagedDataError,
    IdWarning,
    ImageryWarning,
    MissingDataError,
    MissingDataWarning,
    OutOfBoundsError,
    SourceError,
    StorageError,
    TooLargeError,
)
from .geometry import Box, Region, Resolution, format_resolution
from .ids import Ids
from .moment import format_moment, now
from .pools import together
from .scales import Scale
from .volumes import Block, GrapheneVolume, IdsWanted, Volume
from .volumes.base import is_versioned, read_block
from .warning import warn_caller

if TYPE_CHECKING:
    from .cave.lineage import AbsentId

__all__ = [
    "Missing",
    "Policy",
    "Reading",
    "absence",
    "absent_ids",
    "check_memory",
    "parse_missing",
    "read_layers",
    "say",
    "warn_of_future",
    "warn_of_heirs",
]

log = logging.getLogger(__name__)

Missing = Literal["fill", "warn", "raise"]
_SHARE_OF_MEMORY = 0.5
_NAMED = 5  # ids in a message


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

    @property
    def versioned(self) -> bool:
        """Whether what is read depends on the moment."""
        return is_versioned(self.volume)

    def read(self) -> Block:
        """Read the block, and put it on the grid of the target."""
        return read_block(self.volume, self.own, self.scale, self.ids).on(self.target)


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
    return [_answer_for_ids(reading, block, region, policy) for reading, block in zip(readings, blocks, strict=True)]


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
    check_memory(estimate, policy, f"the box {region.grid}", "ask for a smaller box or a coarser mip")


def check_memory(estimate: int, policy: Policy, what: str, advice: str) -> None:
    """Refuse a read whose estimate, in bytes, exceeds the limit.

    Raises
    ------
    TooLargeError
        With `what`, and `advice` beside that to raise the limit.
    """
    if estimate < 2**26 and policy.memory_limit is None:  # nothing worth asking the system about
        return
    limit = policy.memory_limit
    if limit is None:
        import psutil

        limit = int(psutil.virtual_memory().available * _SHARE_OF_MEMORY)
    if estimate > limit:
        raise TooLargeError(
            f"{what} would take about {_bytes(estimate)}, over the limit of {_bytes(limit)}; "
            f"{advice}, or set memory_limit= on the client"
        )


def _report(readings: Sequence[Reading], blocks: Sequence[Block], policy: Policy) -> None:
    missing = [
        f"{reading.name}: {words}"
        for reading, block in zip(readings, blocks, strict=True)
        if not block.coverage.complete and (words := block.coverage.describe())
    ]
    if missing:
        zarr = any(reading.scale.encoding in ("zarr2", "zarr3", "n5") for reading in readings)
        filled = "they are 0, or the array's fill value, in the result" if zarr else "they are 0 in the result"
        say(policy, "; ".join(missing), filled, MissingDataWarning)


def _answer_for_ids(reading: Reading, block: Block, region: Region, policy: Policy) -> Block:
    """Say which ids are not there and why; where that was asked for, put others in the place of those out of date."""
    wanted, silent = reading.ids, policy.missing == "fill"
    if wanted is None or wanted.root_ids is None or (silent and not wanted.follow):
        return block
    if reading.versioned and not silent:
        warn_of_future(wanted)
    if not isinstance(wanted.root_ids, np.ndarray):
        return block
    absent = absent_ids(wanted.root_ids, block.data)
    reasons = _explain(absent, reading, region)
    if wanted.follow:
        stale = [one for one in reasons if one.successors]
        if stale:
            block = _followed(stale, wanted.root_ids, reading, silent)
            absent = absent[np.isin(absent, np.array([one.root_id for one in stale], np.uint64), invert=True)]
            reasons = [one for one in reasons if not one.successors]
    if absent.size and not silent:
        fact, advice = absence(absent, reasons, wanted, f"no voxel in {reading.target}", reading.versioned)
        if policy.missing == "raise" and any(one.successors for one in reasons):
            fact = f"{fact}; {advice}"
        say(policy, fact, advice, IdWarning, reasons)
    return block


def warn_of_future(wanted: IdsWanted) -> None:
    """Warn if the moment has not come yet; at the line that called this package."""
    if wanted.moment > now():
        fact = (
            f"the moment asked for, {format_moment(wanted.moment)}, lies in the future: the ids are those of the "
            "present, and may be others when it has come"
        )
        _warn(IdWarning(fact))


def _followed(stale: Sequence[AbsentId], asked: Ids, reading: Reading, silent: bool) -> Block:
    """Read again, with those that have the voxels of ids out of date in their place; all bytes are at hand."""
    assert reading.ids is not None
    kept = asked[np.isin(asked, np.array([one.root_id for one in stale], np.uint64), invert=True)]
    heirs = np.array([share.root_id for one in stale for share in one.successors], np.uint64)
    wanted = replace(reading.ids, root_ids=np.unique(np.concatenate([kept, heirs])))
    if not silent:
        warn_of_heirs(stale, reading.ids, f"voxels in {reading.target}", reading.versioned)
    return replace(reading, ids=wanted).read()


def warn_of_heirs(stale: Sequence[AbsentId], wanted: IdsWanted, what: str, versioned: bool) -> None:
    """Warn that others stand in the place of ids that are out of date, as they have the same of `what`."""
    from .cave.lineage import became

    asked = np.asarray(wanted.root_ids).size
    who = "the id asked for is" if asked == 1 else f"{len(stale)} of the {asked} ids asked for are"
    when = _when(wanted, versioned)
    _warn(IdWarning(f"{who} not valid{when}, and replaced by what has the same {what}: {became(stale)}"), stale)


def absence(
    absent: Ids, reasons: Sequence[AbsentId], wanted: IdsWanted, nothing: str, versioned: bool
) -> tuple[str, str]:
    """Give what is to be said of ids that have `nothing`, such as "no voxel in …", and what follows from it."""
    more = ", …" if absent.size > _NAMED else ""
    if reasons:
        shown = "; ".join(map(str, reasons[:_NAMED]))
        stale = any(one.stale and one.successors for one in reasons)
        advice = "follow=True takes what has the same voxels" if stale else "the result has none of these"
    else:
        shown = ", ".join(map(str, absent[:_NAMED].tolist()))
        advice = "they may lie elsewhere or belong to another moment"
    asked = np.asarray(wanted.root_ids).size
    who = "the id asked for has" if asked == 1 else f"{absent.size} of the {asked} ids asked for have"
    return f"{who} {nothing}{_when(wanted, versioned)}: {shown}{more}", advice


def _when(wanted: IdsWanted, versioned: bool) -> str:
    if not versioned:
        return ""
    return f" at {format_moment(wanted.moment if wanted.pinned else wanted.moment.replace(microsecond=0))}"


def absent_ids(wanted: Ids, present: NDArray[np.uint64]) -> Ids:
    """Give those of the ids asked for that are nowhere in an array of ids."""
    import fastremap

    return np.asarray(wanted[(wanted != 0) & ~np.isin(wanted, fastremap.unique(present), kind="sort")])


def _explain(absent: Ids, reading: Reading, region: Region) -> list[AbsentId]:
    """Give the reasons; none for a flat segmentation, or where the graph does not answer."""
    wanted = reading.ids
    if not absent.size or wanted is None or not isinstance(reading.volume, GrapheneVolume):
        return []
    from .absence import Search, explain, slabs

    supervoxels = replace(wanted, root_ids=None)
    search = Search(
        reading.volume,
        reading.target,
        reading.own,
        wanted,
        region.resolution,
        lambda: (replace(reading, target=part, ids=supervoxels).read().data for part in slabs(reading.target)),
    )
    try:
        return list(explain(absent, search))
    except (StorageError, SourceError, DamagedDataError):
        log.debug("why %d ids are absent cannot be told", absent.size, exc_info=True)
        return []


def say(
    policy: Policy,
    fact: str,
    consequence: str,
    category: type[ImageryWarning],
    absent: Sequence[AbsentId] = (),
) -> None:
    """Warn of what is missing, or raise, as the policy says; a warning points at the line that called this package."""
    if policy.missing == "raise":
        error = MissingDataError(fact)
        error.absent = tuple(absent)
        raise error
    _warn(category(f'{fact}; {consequence} (missing="fill" or "raise" changes this)'), absent)


def _warn(warning: ImageryWarning, absent: Sequence[AbsentId] = ()) -> None:
    """Warn at the first line outside this package."""
    if isinstance(warning, IdWarning):
        warning.absent = tuple(absent)
    warn_caller(warning)


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"
