"""The chunked graph of a proofread segmentation: which object a supervoxel belongs to at a moment.

The protocol is that of PyChunkedGraph's API version 1: `roots_binary`, `node/ROOT/leaves`, `is_latest_roots`.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DamagedDataError, ImageryError, NotFoundError, StorageError
from .geometry import Box
from .ids import Ids, parse_ids
from .moment import unix_seconds
from .pools import fetch_pool
from .rest import Rest

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

    Examples
    --------
    >>> graph = ChunkedGraph(Rest("https://example.org/segmentation/api/v1/table/minnie3_v1"))
    >>> graph
    ChunkedGraph('https://example.org/segmentation/api/v1/table/minnie3_v1')
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def roots(self, supervoxels: Ids, moment: datetime) -> Ids:
        """Give the root id of each supervoxel at a moment.

        Parameters
        ----------
        supervoxels : numpy.ndarray
            1-D uint64; 0 stays 0.
        moment : datetime
            Aware.

        Returns
        -------
        numpy.ndarray
            1-D uint64 in the same order.

        Raises
        ------
        DamagedDataError
            If the server's answer does not have one id for each one asked, three times over.
        """
        roots = np.zeros(supervoxels.shape, dtype=np.uint64)
        known = np.flatnonzero(supervoxels)
        batches = [known[n : n + BATCH] for n in range(0, len(known), BATCH)]
        if len(batches) == 1:
            roots[batches[0]] = self._roots(supervoxels[batches[0]], moment)
        else:
            answers = fetch_pool().map(lambda part: self._roots(supervoxels[part], moment), batches)
            for part, answer in zip(batches, answers, strict=True):
                roots[part] = answer
        return roots

    def _roots(self, supervoxels: Ids, moment: datetime) -> Ids:
        log.debug("asking %r for the roots of %d supervoxels", self, len(supervoxels))
        body = supervoxels.astype("<u8").tobytes()
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.1 * attempt)
            answer = self._rest.post_bytes("roots_binary", body, {"timestamp": unix_seconds(moment)})
            if len(answer) == len(body):
                roots = np.frombuffer(answer, dtype="<u8").astype(np.uint64)
                if np.all(roots):
                    return roots
        raise DamagedDataError(
            f"{self._rest.url}/roots_binary was asked for the roots of {len(supervoxels)} supervoxels and answered "
            f"with {len(answer)} bytes instead of {len(body)}, or with ids of 0, {_TRIES} times; try again later"
        )

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

    def is_latest(self, roots: Ids, moment: datetime) -> NDArray[np.bool_]:
        """Say of each root whether it was current at the moment."""
        answer = self._rest.post_json(
            "is_latest_roots", {"node_ids": roots.tolist()}, {"timestamp": unix_seconds(moment)}
        )
        latest = np.asarray(self._field(answer, "is_latest"), dtype=np.bool_)
        if latest.shape != roots.shape:
            raise self._odd("is_latest_roots", f"{latest.size} answers for {roots.size} ids")
        return latest

    def _field(self, answer: Any, name: str) -> Any:
        if not isinstance(answer, dict) or name not in answer:
            raise self._odd(name, "no such field in the answer")
        return answer[name]

    def _odd(self, what: str, found: str) -> ImageryError:
        return DamagedDataError(f"{self._rest.url}: {what}: {found}; the server speaks another protocol or is broken")

    def __repr__(self) -> str:
        return f"ChunkedGraph({self._rest.url!r})"
