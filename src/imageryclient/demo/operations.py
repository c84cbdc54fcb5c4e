"""Operations of proofreading, and how a plan becomes operations: each retires roots and makes new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cave.node_ids import NodeLayout
from .proofreading import Kind, Plan

__all__ = ["Operation", "perform"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One edit of the segmentation.

    Parameters
    ----------
    number : int
        Operation id, counted from 1.
    time : float
        When it was made, unix seconds.
    kind : {"merge", "split", "undo"}
        An undo parts what a merge has joined.
    before, after : tuple of int
        Roots that it retired, and roots that it made.
    pieces : numpy.ndarray
        int64, the pieces that joined the first root (merge) or left with the second (split, undo).
    """

    number: int
    time: float
    kind: Kind
    before: tuple[int, ...]
    after: tuple[int, ...]
    pieces: NDArray[np.int64]

    @property
    def is_merge(self) -> bool:
        """Whether two roots became one."""
        return self.kind == "merge"


def perform(plan: Plan, layout: NodeLayout, times: Sequence[float]) -> tuple[NDArray[np.uint64], list[Operation]]:
    """Carry out a plan.

    Parameters
    ----------
    plan : Plan
        What to do.
    layout : NodeLayout
        How the ids of roots are laid out; they count up from 1 in layer `n_layers`.
    times : sequence of float
        When each step happens, unix seconds.

    Returns
    -------
    initial : numpy.ndarray
        uint64, the root of every piece at the start.
    operations : list of Operation
        One for each step.

    Examples
    --------
    >>> import numpy as np
    >>> from imageryclient.demo.proofreading import Step
    >>> plan = Plan(np.array([0, 0, 1]), links=(), steps=(Step("merge", 0, 1),))
    >>> initial, (merge,) = perform(plan, NodeLayout((64, 64, 64), 3, 8, (8, 8, 1)), [10.0])
    >>> (initial & np.uint64(0xFFFF)).tolist(), [root & 0xFFFF for root in merge.after]
    ([1, 2], [3])
    """
    links: dict[int, set[int]] = {}
    for a, b in plan.links:
        links.setdefault(a, set()).add(b)
        links.setdefault(b, set()).add(a)
    group = np.arange(int(plan.pieces.max()) + 1)
    for piece in links:
        group[piece] = min(_linked(links, piece))
    names, inverse = np.unique(group, return_inverse=True)
    initial = layout.compose(layout.n_layers, (0, 0, 0), np.arange(1, names.size + 1))[inverse]
    root = initial.tolist()
    fresh = names.size + 1
    operations: list[Operation] = []
    for number, (step, time) in enumerate(zip(plan.steps, times, strict=True), start=1):
        a, b = step.first, step.second
        one, other = links.setdefault(a, set()), links.setdefault(b, set())
        if step.kind == "merge":
            parts = [_linked(links, a) | _linked(links, b)]
            moved = _linked(links, b)
            before: tuple[int, ...] = (root[a], root[b])
            one.add(b)
            other.add(a)
        else:
            one.remove(b)
            other.remove(a)
            parts = [_linked(links, a), _linked(links, b)]
            moved = parts[1]
            before = (root[a],)
        made = layout.compose(layout.n_layers, (0, 0, 0), fresh + np.arange(len(parts)))
        fresh += len(parts)
        after = tuple(made.tolist())
        for new, part in zip(after, parts, strict=True):
            for piece in part:
                root[piece] = new
        pieces = np.array(sorted(moved), np.int64)
        operations.append(Operation(number, time, step.kind, before, after, pieces))
    return initial, operations


def _linked(links: Mapping[int, set[int]], piece: int) -> set[int]:
    seen, todo = {piece}, [piece]
    while todo:
        for other in links.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen
