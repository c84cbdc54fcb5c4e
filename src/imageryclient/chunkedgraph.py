"""The chunked graph of a proofread segmentation: which object a supervoxel belongs to at a moment.

The protocol is that of PyChunkedGraph's API version 1: `roots_binary`, `node/ROOT/leaves` and
`oldest_timestamp`.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any

import numpy as np

from .errors import ArgumentError, DamagedDataError, ImageryError, NotFoundError, SourceError, StorageError
from .geometry import Box
from .ids import Ids, parse_ids
from .moment import parse_moment, unix_seconds
from .node_ids import NodeLayout
from .pools import fetch_pool
from .rest import Rest
from .rootmemory import ROOTS

__all__ = ["BATCH", "ChunkedGraph"]

log = logging.getLogger(__name__)

BATCH = 250_000  # ids in one request
_TRIES = 3  # for an answer that fails its checks


class ChunkedGraph:
    """The graph service of one table.

    Parameters
    ----------
    rest : Rest
        The server, at `…/segmentation/api/v1/table/TABLE`.
    layout : NodeLayout, optional
        How ids are laid out, to tell roots from other numbers.

    Examples
    --------
    >>> graph = ChunkedGraph(Rest("https://example.org/segmentation/api/v1/table/minnie3_v1"))
    >>> graph
    ChunkedGraph('https://example.org/segmentation/api/v1/table/minnie3_v1')
    """

    def __init__(self, rest: Rest, layout: NodeLayout | None = None) -> None:
        self._rest = rest
        self._layout = layout

    def roots(self, supervoxels: Ids, moment: datetime, *, remember: bool = False) -> Ids:
        """Give the root id of each supervoxel at a moment.

        Parameters
        ----------
        supervoxels : numpy.ndarray
            1-D uint64; 0 stays 0.
        moment : datetime
            Aware.
        remember : bool
            Whether to keep the answer, and to ask only for what was not asked before; for a moment that is past.

        Returns
        -------
        numpy.ndarray
            1-D uint64 in the same order.

        Raises
        ------
        ArgumentError
            If the graph did not exist yet at the moment.
        DamagedDataError
            If the server's answer does not have one root for each id asked, three times over.
        """
        if remember:
            roots, remembered = ROOTS.recall(self._rest.name, moment, supervoxels)
        else:
            roots, remembered = np.zeros(supervoxels.shape, np.uint64), np.zeros(supervoxels.shape, np.bool_)
        asked = np.flatnonzero((supervoxels != 0) & ~remembered)
        batches = [asked[n : n + BATCH] for n in range(0, len(asked), BATCH)]
        if len(batches) == 1:
            roots[batches[0]] = self._roots(supervoxels[batches[0]], moment)
        else:
            answers = fetch_pool().map(lambda part: self._roots(supervoxels[part], moment), batches)
            for part, answer in zip(batches, answers, strict=True):
                roots[part] = answer
        if remember:
            ROOTS.learn(self._rest.name, moment, supervoxels[asked], roots[asked])
        return roots

    def _roots(self, supervoxels: Ids, moment: datetime) -> Ids:
        log.debug("asking %r for the roots of %d supervoxels", self, len(supervoxels))
        body = supervoxels.astype("<u8").tobytes()
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.1 * attempt)
            answer = self._rest.post_bytes("roots_binary", body, {"timestamp": unix_seconds(moment)})
            if len(answer) != len(body):
                found = f"{len(answer)} bytes instead of {len(body)}"
                continue
            roots = np.frombuffer(answer, dtype="<u8").astype(np.uint64)
            unknown = supervoxels[roots == 0]
            if unknown.size:
                self._check_age(moment)
                found = f"0, which is no root, for {unknown.size} of them, such as {unknown[0]}"
            elif self._layout is not None and np.any(self._layout.layer_of(roots) != self._layout.n_layers):
                found = "numbers that are no roots"
            else:
                return roots
        raise DamagedDataError(
            f"{self._rest.url}/roots_binary was asked for the roots of {len(supervoxels)} supervoxels and answered "
            f"with {found}, {_TRIES} times; the graph and the supervoxels do not belong together, or the server is "
            "broken: try again later"
        )

    def _check_age(self, moment: datetime) -> None:
        """Refuse a moment before the graph's beginning, for which servers answer 0 without another word."""
        try:
            oldest = self.oldest()
        except (StorageError, SourceError, DamagedDataError):  # not every server tells
            log.debug("%r does not tell its oldest moment", self, exc_info=True)
            return
        if moment < oldest:
            raise ArgumentError(
                f"the segmentation does not reach back to {moment.isoformat()}: its record at {self._rest.url} begins "
                f"at {oldest.isoformat()}; pass a later timestamp, or none for the present"
            )

    def oldest(self) -> datetime:
        """Give the moment the graph's record begins at."""
        answer = self._rest.get_json("oldest_timestamp")
        try:
            return parse_moment(self._field(answer, "iso"))
        except ArgumentError:
            raise self._odd("oldest_timestamp", f"{answer['iso']!r} is no moment") from None

    def leaves(self, root: int, box: Box) -> Ids:
        """Give the supervoxels of a root, in the graph chunks that a box of base-scale voxels touches.

        A root that the graph does not know has none.
        """
        bounds = "_".join(f"{a}-{b}" for a, b in zip(box.start, box.stop, strict=True))
        try:
            answer = self._rest.get_json(f"node/{root}/leaves", {"bounds": bounds, "int64_as_str": "1"})
        except NotFoundError:
            return np.empty(0, dtype=np.uint64)
        except StorageError as error:
            if error.status != 400:
                raise
            return np.empty(0, dtype=np.uint64)
        return np.sort(parse_ids(self._field(answer, "leaf_ids")))

    def _field(self, answer: Any, name: str) -> Any:
        if not isinstance(answer, dict) or name not in answer:
            raise self._odd(name, "no such field in the answer")
        return answer[name]

    def _odd(self, what: str, found: str) -> ImageryError:
        return DamagedDataError(f"{self._rest.url}: {what}: {found}; the server speaks another protocol or is broken")

    def __repr__(self) -> str:
        return f"ChunkedGraph({self._rest.url!r})"
