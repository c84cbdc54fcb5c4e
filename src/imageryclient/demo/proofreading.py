"""A plan of proofreading: how a perfect segmentation is broken at first, and the edits that mend it.

Supervoxels are grouped into pieces that no edit ever cuts. Links between pieces make objects. Links within a
body are missing at first and are added later (a merge); links between bodies are there at first, or are added
by mistake, and are removed (a split, an undo). All links ever made form a forest, so that each edit joins two
objects or parts one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kind", "Plan", "Step", "plan_edits"]

Kind = Literal["merge", "split", "undo"]

_MOST_PIECES = 4  # of one body


@dataclass(frozen=True, slots=True)
class Step:
    """One edit: a link between two pieces is added (merge) or taken away (split, undo)."""

    kind: Kind
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Pieces, the links between them at the start, and the edits in order.

    Parameters
    ----------
    pieces : numpy.ndarray
        int64, the piece of each supervoxel, counted from 0 without gaps.
    links : tuple of pair of int
        Pieces that are linked at the start.
    steps : tuple of Step
        The edits. After the last, the objects are the bodies.
    """

    pieces: NDArray[np.int64]
    links: tuple[tuple[int, int], ...]
    steps: tuple[Step, ...]


class _Groups:
    """Disjoint groups of bodies that links have joined."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, item: int) -> int:
        while (parent := self._parent.get(item, item)) != item:
            item = parent
        return item

    def join(self, one: int, other: int) -> bool:
        one, other = self.find(one), self.find(other)
        self._parent[one] = other
        return one != other


def plan_edits(bodies: NDArray[np.int64], positions: NDArray[np.float64], edits: int, rng: np.random.Generator) -> Plan:
    """Break `bodies` and plan the edits that mend them.

    Parameters
    ----------
    bodies : numpy.ndarray
        int64, shape (n,): the true object of each supervoxel; 0 for none, which stays alone.
    positions : numpy.ndarray
        Shape (n, 3): where each supervoxel lies; pieces are cut across the longest extent of a body.
    edits : int
        The most edits to plan; fewer where the bodies allow no more.
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    Plan

    Examples
    --------
    >>> import numpy as np
    >>> positions = np.arange(12.0)[:, None] * [1, 0, 0]
    >>> plan = plan_edits(np.repeat([1, 2, 3], 4), positions, 6, np.random.default_rng(1))
    >>> sorted({step.kind for step in plan.steps})
    ['merge', 'split']
    """
    undone = edits // 8
    split = (edits - 2 * undone) // 3
    pieces, owners, within = _break(bodies, positions, edits - 2 * undone - split, rng)
    between = _mistakes(pieces, owners, positions, undone + split, rng)
    rng.shuffle(between)
    begun, later = between[undone:], between[:undone]

    timed: list[tuple[float, Step]] = [(rng.random(), Step("merge", a, b)) for a, b in within]
    timed += [(rng.random(), Step("split", a, b)) for a, b in begun]
    for a, b in later:
        moment = rng.random()
        timed.append((moment, Step("merge", a, b)))
        timed.append((moment + 0.2 * rng.random(), Step("undo", a, b)))
    timed.sort(key=lambda item: item[0])
    return Plan(pieces, tuple(begun), tuple(step for _, step in timed))


def _break(
    bodies: NDArray[np.int64], positions: NDArray[np.float64], cuts: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[tuple[int, int]]]:
    """Cut some bodies: the piece of each supervoxel, the body of each piece, and the links cut."""
    # Supervoxels without a body get one each, below zero, so that each is a piece of its own.
    alone = np.flatnonzero(bodies == 0)
    named = bodies.copy()
    named[alone] = -1 - np.arange(alone.size)
    owners, pieces, counts = np.unique(named, return_inverse=True, return_counts=True)
    pieces = pieces.astype(np.int64)
    owners = np.where(owners < 0, 0, owners)

    candidates = np.flatnonzero((owners != 0) & (counts > 1))
    order = np.empty(0, np.int64)
    if candidates.size:
        chance = counts[candidates] / counts[candidates].sum()
        order = rng.choice(candidates, min(cuts, candidates.size), replace=False, p=chance)
    grown = owners.tolist()
    links: list[tuple[int, int]] = []
    for whole in order.tolist():
        left = cuts - len(links)
        if left <= 0:
            break
        members = np.flatnonzero(pieces == whole)
        extent = np.ptp(positions[members], axis=0)
        along = positions[members, int(np.argmax(extent))]
        line = np.argsort(along, kind="stable")
        wanted = min(left, int(rng.integers(1, _MOST_PIECES)), members.size - 1)
        at = np.flatnonzero(np.diff(along[line])) + 1
        if at.size < wanted:
            at = np.arange(1, members.size)
        previous = whole
        for part in np.split(members[line], np.sort(rng.choice(at, wanted, replace=False)))[1:]:
            pieces[part] = len(grown)
            links.append((previous, len(grown)))
            previous = len(grown)
            grown.append(int(owners[whole]))
    return pieces, np.array(grown, np.int64), links


def _mistakes(
    pieces: NDArray[np.int64],
    owners: NDArray[np.int64],
    positions: NDArray[np.float64],
    wanted: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Find pairs of near pieces of different bodies; joined, all the pairs close no circle."""
    real = np.flatnonzero(owners != 0)
    if real.size < 2:
        return []
    counts = np.bincount(pieces, minlength=owners.size)
    sums = [np.bincount(pieces, positions[:, axis], owners.size) for axis in range(3)]
    centers = (np.stack(sums, axis=1) / counts[:, None])[real]
    chance = np.sqrt(counts[real])
    chance /= chance.sum()
    groups = _Groups()
    pairs: list[tuple[int, int]] = []
    for _ in range(8 * wanted):
        if len(pairs) == wanted:
            break
        one = int(rng.choice(real.size, p=chance))
        distance = np.sum((centers - centers[one]) ** 2, axis=1)
        for other in np.argsort(distance, kind="stable")[:16].tolist():
            a, b = int(real[one]), int(real[other])
            if groups.join(int(owners[a]), int(owners[b])):
                pairs.append((a, b))
                break
    return pairs
