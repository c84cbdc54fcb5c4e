"""Which root came from which: a walk along operations, back and forth in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .operations import Operation

__all__ = ["Descent", "Lineage"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Roots that descend from one another.

    Parameters
    ----------
    roots : numpy.ndarray
        uint64, shape (n,), sorted.
    links : numpy.ndarray
        uint64, shape (m, 2): pairs (older, newer), sorted.
    """

    roots: NDArray[np.uint64]
    links: NDArray[np.uint64]


class Descent:
    """The operations, by the roots that they made and by those that they retired.

    Parameters
    ----------
    operations : iterable of Operation
        In order of time.
    oldest : float
        When roots that no operation made began, unix seconds.

    Attributes
    ----------
    makers, enders : dict of int to Operation
        The operation that made a root, and the one that retired it.

    Examples
    --------
    >>> none = np.empty(0, np.int64)
    >>> merge = Operation(1, 10.0, "merge", (1, 2), (3,), none)
    >>> descent = Descent([merge, Operation(2, 20.0, "split", (3,), (4, 5), none)], oldest=0.0)
    >>> descent.past(5, 0.0).tolist(), descent.future(1, 15.0).tolist()
    ([1, 2], [3])
    """

    def __init__(self, operations: Iterable[Operation], oldest: float) -> None:
        self.oldest = oldest
        self.makers: dict[int, Operation] = {}
        self.enders: dict[int, Operation] = {}
        for op in operations:
            self.makers.update(dict.fromkeys(op.after, op))
            self.enders.update(dict.fromkeys(op.before, op))

    def born(self, root: int) -> float:
        """Give the moment when a root was made, unix seconds."""
        maker = self.makers.get(root)
        return self.oldest if maker is None else maker.time

    def past(self, root: int, moment: float) -> NDArray[np.uint64]:
        """Give the roots at a moment from which `root` descends, sorted; itself where it is no younger."""
        found = {r for r, _ in self._walk(root, back=True, until=moment) if self.born(r) <= moment}
        return np.array(sorted(found), np.uint64)

    def future(self, root: int, moment: float) -> NDArray[np.uint64]:
        """Give the roots at a moment that descend from `root`, sorted; itself where it lasts that long.

        Empty where `root` is younger than the moment.
        """
        found = set()
        for r, _ in self._walk(root, back=False, until=moment):
            ender = self.enders.get(r)
            if self.born(r) <= moment and (ender is None or ender.time > moment):
                found.add(r)
        return np.array(sorted(found), np.uint64)

    def graph(self, roots: Iterable[int], past: float, future: float) -> Lineage:
        """Give ancestors and descendants; links that cross `past` or `future` are the last to be followed."""
        found: set[int] = set()
        links: set[tuple[int, int]] = set()
        for root in roots:
            for back, until in ((True, past), (False, future)):
                for one, others in self._walk(root, back=back, until=until):
                    found.add(one)
                    links.update((o, one) if back else (one, o) for o in others)
        pairs = np.array(sorted(links), np.uint64).reshape(-1, 2)
        return Lineage(np.array(sorted(found), np.uint64), pairs)

    def _walk(self, root: int, *, back: bool, until: float) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Go from root to root; each comes once, with those before (or after) it as far as `until`."""
        seen, todo = {root}, [root]
        while todo:
            one = todo.pop()
            op = self.makers.get(one) if back else self.enders.get(one)
            others: tuple[int, ...] = ()
            if op is not None and (op.time > until if back else self.born(one) <= until):
                others = op.before if back else op.after
            yield one, others
            todo.extend(o for o in others if o not in seen)
            seen.update(others)
