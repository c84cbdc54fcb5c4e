"""What became of ids: from when until when an object was valid, and which ones its voxels belong to at a moment.

An edit retires the objects it touches and makes new ones, so an id stands for the same supervoxels for ever, but only
from the edit that made it until the one that retired it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..geometry import FloatTriple, Resolution, format_resolution
from ..moment import format_moment

__all__ = ["AbsentId", "Life", "Nearest", "Reason", "Share", "became"]

Reason = Literal["elsewhere", "retired", "unborn", "supervoxel", "node", "unknown"]
_LISTED = 4  # successors in a message


@dataclass(frozen=True, slots=True)
class Life:
    """From when until when an id was that of an object.

    Parameters
    ----------
    born : datetime
        The moment of the edit that made it, or of the graph's beginning.
    died : datetime or None
        The moment of the edit that retired it, from which on it is no longer valid; None if it still is, or if the
        server does not tell.
    """

    born: datetime
    died: datetime | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """An object that has voxels of another one, in a cutout and at its moment.

    Parameters
    ----------
    root_id : int
        The object.
    voxels : int
        How many voxels of the cutout.
    fraction : float
        What part that is of all voxels that the other one has in the cutout.
    """

    root_id: int
    voxels: int
    fraction: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """The part of an object that is nearest to a cutout, as the centre of the graph chunk that it lies in.

    Parameters
    ----------
    voxel : tuple of float
        x, y, z in voxels of `resolution`.
    resolution : tuple of float
        Those of the caller's numbers, nm.
    distance : float
        nm from the cutout to the chunk; 0 if the chunk reaches into the box.
    """

    voxel: FloatTriple
    resolution: Resolution
    distance: float

    @property
    def nm(self) -> FloatTriple:
        """x, y, z in nm."""
        x, y, z = (v * r for v, r in zip(self.voxel, self.resolution, strict=True))
        return x, y, z

    def __str__(self) -> str:
        where = ", ".join(f"{v:g}" for v in self.voxel)
        far = f"{self.distance / 1000:.3g} µm away" if self.distance else "in a chunk that reaches into the box"
        return f"({where}) in voxels of {format_resolution(self.resolution)} nm, {far}"


@dataclass(frozen=True, slots=True)
class AbsentId:
    """An id that was asked for and has no voxel in a cutout, and why.

    Parameters
    ----------
    root_id : int
        The id.
    reason : {"elsewhere", "retired", "unborn", "supervoxel", "node", "unknown"}
        Valid at the moment, but without a voxel in the box; retired before the moment; made after it; no object but
        a supervoxel, or a node between; or no id of this graph.
    born, died : datetime or None
        As for `Life`; None where it is not known.
    layer : int or None
        The layer that the bits of the id name, where the graph says how ids are laid out.
    successors : tuple of Share
        The objects that have its voxels in the box at the moment, the largest share first. Of one that is not made
        yet they are those it is made from.
    nearest : Nearest or None
        Where it is, if that is known.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> print(AbsentId(7, "unborn", noon, successors=(Share(8, 81, 0.81), Share(9, 19, 0.19))))
    7 is only valid from 2024-05-01 12:00:00 UTC on, its voxels here belong to 8 (81 %) and 9 (19 %)
    """

    root_id: int
    reason: Reason
    born: datetime | None = None
    died: datetime | None = None
    layer: int | None = None
    successors: tuple[Share, ...] = ()
    nearest: Nearest | None = None

    @property
    def stale(self) -> bool:
        """Whether it is the id of an object, but not at the moment."""
        return self.reason in ("retired", "unborn")

    def __str__(self) -> str:
        return f"{self.root_id} {self._fate()}"

    def _fate(self) -> str:
        if self.reason == "unknown":
            return "is no id of this graph"
        if self.reason == "supervoxel":
            return "is a supervoxel, not an object (root_ids=None gives supervoxels)"
        if self.reason == "node":
            return f"is a node of layer {self.layer}, a part of an object"
        if self.reason == "elsewhere":
            return "is valid" + (f", its nearest part lies about {self.nearest}" if self.nearest else " but not here")
        if self.reason == "unborn":
            begun = "is only valid later" if self.born is None else f"is only valid from {format_moment(self.born)} on"
            return begun + self._heirs
        if self.died is None or self.born is None:
            ended = "is no longer valid"
        else:
            ended = f"was valid from {format_moment(self.born)} until {format_moment(self.died)}"
        return ended + self._heirs

    @property
    def _heirs(self) -> str:
        return f", its voxels here belong to {_listed(self.successors)}" if self.successors else ""


def became(ids: Sequence[AbsentId]) -> str:
    """Say which ids are replaced by which.

    Examples
    --------
    >>> became([AbsentId(7, "retired", successors=(Share(8, 81, 0.81), Share(9, 19, 0.19)))])
    '7 by 8 (81 %) and 9 (19 %)'
    """
    return "; ".join(f"{one.root_id} by {_listed(one.successors)}" for one in ids)


def _listed(shares: Sequence[Share]) -> str:
    if len(shares) == 1:
        return str(shares[0].root_id)
    words = [f"{share.root_id} ({_percent(share.fraction)})" for share in shares[:_LISTED]]
    if len(shares) > _LISTED:
        return f"{', '.join(words)} and {len(shares) - _LISTED} more"
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _percent(fraction: float) -> str:
    percent = min(max(round(100 * fraction), 1), 99)
    return f"{percent} %" if 0.01 <= fraction <= 0.99 else f"{'under' if fraction < 0.5 else 'over'} {percent} %"
