"""The chunked graph of a proofread segmentation: which object a supervoxel belongs to at a moment.

The protocol is that of PyChunkedGraph's API version 1: `roots_binary`, `node/ROOT/leaves`, `node/leaves_many`,
`is_latest_roots`, `root_timestamps`, `valid_nodes` and `oldest_timestamp`. Where it says nothing of an answer, what
PyChunkedGraph 2.21 does counts.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    AccessError,
    ArgumentError,
    DamagedDataError,
    ImageryError,
    NotFoundError,
    SourceError,
    StorageError,
)
from ..geometry import Box
from ..ids import Ids, parse_ids
from ..moment import now, parse_moment, unix_seconds
from ..pools import fetch_pool, together
from .node_ids import NodeLayout
from .rest import Rest
from .rootmemory import ROOTS

if TYPE_CHECKING:
    from .lineage import Life

__all__ = ["BATCH", "ChunkedGraph"]

log = logging.getLogger(__name__)

BATCH = 250_000  # ids in one request
_TRIES = 3  # for an answer that fails its checks
_UNKNOWN = (500,)  # PyChunkedGraph's status for a question about a node that it does not have
_AHEAD = timedelta(days=1)  # more than clocks differ
_TICK = timedelta(milliseconds=1)  # how fine PyChunkedGraph's moments are


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
        self._hurried = rest.hurried()  # for what explains an answer but is none
        self._layout = layout
        self._oldest: datetime | None = None

    @property
    def layout(self) -> NodeLayout | None:
        """How the ids are laid out, where the graph says so."""
        return self._layout

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
            wrong = np.flatnonzero(~self._are_roots(roots, supervoxels))
            if not wrong.size:
                return roots
            # Of a moment before its beginning the graph gives 0, or the supervoxels themselves.
            self.check_age(moment)
            one, other = supervoxels[wrong[0]], roots[wrong[0]]
            found = f"numbers that are no roots for {wrong.size} of them, such as {other} for {one}"
        raise DamagedDataError(
            f"{self._rest.url}/roots_binary was asked for the roots of {len(supervoxels)} supervoxels and answered "
            f"with {found}, {_TRIES} times; the graph and the supervoxels do not belong together, or the server is "
            "broken: try again later"
        )

    def _are_roots(self, answer: Ids, supervoxels: Ids) -> NDArray[np.bool_]:
        if self._layout is None:
            return np.asarray((answer != 0) & (answer != supervoxels))
        return np.asarray(self._layout.layer_of(answer) == self._layout.n_layers)

    def check_age(self, moment: datetime) -> None:
        """Refuse a moment before the graph's beginning; asks once, and takes the silence of a server for consent.

        Raises
        ------
        ArgumentError
            If the graph did not exist yet.
        """
        if self._oldest is None:
            try:
                self._oldest = self.oldest()
            except (StorageError, SourceError, DamagedDataError):  # not every server tells
                log.debug("%r does not tell its oldest moment", self, exc_info=True)
                return
        if moment < self._oldest:
            raise ArgumentError(
                f"the segmentation does not reach back to {moment.isoformat()}: its record at {self._rest.url} begins "
                f"at {self._oldest.isoformat()}; pass a later timestamp, or none for the present"
            )

    def oldest(self) -> datetime:
        """Give the moment the graph's record begins at."""
        answer = self._rest.get_json("oldest_timestamp", final=_UNKNOWN)
        try:
            return parse_moment(self._field(answer, "iso"))
        except ArgumentError:
            raise self._odd("oldest_timestamp", f"{answer['iso']!r} is no moment") from None

    def current(self, roots: Ids, moment: datetime, *, remember: bool = False) -> NDArray[np.bool_]:
        """Tell which ids are roots at a moment; one request at most, unknown ids are not.

        Parameters
        ----------
        roots : numpy.ndarray
            uint64.
        moment : datetime
            Aware.
        remember : bool
            As for `roots`.

        Raises
        ------
        DamagedDataError
            If the answer does not have one word for each id.
        """
        memory = (*self._rest.name, "is_latest_roots")
        words = np.zeros(roots.shape, np.uint64)  # 1 for no, 2 for yes
        if remember:
            words, _ = ROOTS.recall(memory, moment, roots)
        asked = np.flatnonzero(words == 0)
        if asked.size:
            # PyChunkedGraph cuts moments off to milliseconds, and here it does not count edits at the very moment.
            until = moment - timedelta(microseconds=moment.microsecond % 1000) + _TICK
            answer = self._hurried.post_json(
                "is_latest_roots",
                {"node_ids": roots[asked].tolist()},
                {"timestamp": unix_seconds(until)},
                final=_UNKNOWN,
            )
            words[asked] = 1 + np.array(self._list(answer, "is_latest", len(asked)), np.bool_)
            if remember:
                ROOTS.learn(memory, moment, roots[asked], words[asked])
        return np.asarray(words == 2)

    def lives(self, roots: Ids) -> dict[int, Life]:
        """Give from when until when roots are valid; those that the graph does not know are left out.

        Raises
        ------
        DamagedDataError
            If the answer makes no sense.
        """
        try:
            return self._lives(roots)
        except (StorageError, DamagedDataError) as error:  # both mean that some are unknown
            if isinstance(error, StorageError) and error.status not in _UNKNOWN:
                raise
            return self._lives(self.known(roots))

    def _lives(self, roots: Ids) -> dict[int, Life]:
        if not roots.size:
            return {}
        ahead = (now() + _AHEAD).replace(microsecond=0)

        def moments(**query: str) -> list[datetime]:
            answer = self._hurried.post_json("root_timestamps", {"node_ids": roots.tolist()}, query, final=_UNKNOWN)
            try:
                return [parse_moment(moment) for moment in self._list(answer, "timestamp", len(roots))]
            except ArgumentError as error:
                raise self._odd("root_timestamps", str(error)) from None

        def moments_of_end() -> list[datetime]:
            try:
                return moments(latest="true", timestamp=unix_seconds(ahead))
            except (StorageError, DamagedDataError):  # a public table's answer for roots made since it ended
                log.debug("%r does not tell the ends of %s", self, roots, exc_info=True)
                return [ahead] * len(roots)

        births, ends = together(moments, moments_of_end)
        from .lineage import Life  # loaded for those who ask about ids out of date

        # The end of a root that still is is the moment asked about. Servers before 2.17 give births for both.
        return {
            root: Life(born, died if born < died < ahead else None)
            for root, born, died in zip(roots.tolist(), births, ends, strict=True)
        }

    def known(self, nodes: Ids) -> Ids:
        """Give those ids that are nodes of the graph, of whatever layer and at whatever moment."""
        if not nodes.size:
            return nodes
        answer = self._hurried.get_json(
            "valid_nodes", {"int64_as_str": "1"}, {"node_ids": nodes.tolist()}, final=_UNKNOWN
        )
        return nodes[np.isin(nodes, self._ids(self._field(answer, "valid_roots"), "valid_nodes"))]

    def leaves_many(self, roots: Ids, box: Box, *, layer: int = 1) -> dict[int, Ids]:
        """Give the supervoxels of several roots, as `leaves` does, in one request.

        Parameters
        ----------
        roots : numpy.ndarray
            uint64.
        box : Box
            Voxels of the base scale.
        layer : int
            Above 1: the nodes of that layer in place of supervoxels.

        Returns
        -------
        dict
            uint64, sorted, for each root.
        """
        if not roots.size:
            return {}
        query = {"bounds": _bounds(box), "int64_as_str": "1"}
        if layer > 1:
            query["stop_layer"] = str(layer)
        answer = self._hurried.post_json("node/leaves_many", {"node_ids": roots.tolist()}, query, final=_UNKNOWN)
        if not isinstance(answer, dict):
            raise self._odd("leaves_many", "no table of roots")
        return {root: np.sort(self._ids(answer.get(str(root), []), "leaves_many")) for root in roots.tolist()}

    def leaves(self, root: int, box: Box) -> Ids:
        """Give the supervoxels of a root, in the graph chunks that a box of base-scale voxels touches.

        A root that the graph does not know has none.
        """
        return self._leaves(root, {"bounds": _bounds(box)})

    def level_two(self, root: int) -> Ids:
        """Give the level-2 nodes of a root, each the part of it in one graph chunk, which the node's id names.

        A root that the graph does not know has none.
        """
        return self._leaves(root, {"stop_layer": "2"})

    def _leaves(self, root: int, which: dict[str, str]) -> Ids:
        try:
            answer = self._rest.get_json(f"node/{root}/leaves", {**which, "int64_as_str": "1"})
        except NotFoundError:
            return np.empty(0, dtype=np.uint64)
        except AccessError as error:
            if "not valid at timestamp" not in str(error):  # a public table's word for roots made since
                raise
            return np.empty(0, dtype=np.uint64)
        except StorageError as error:
            if error.status != 400:
                raise
            return np.empty(0, dtype=np.uint64)
        return np.sort(self._ids(self._field(answer, "leaf_ids"), "leaves"))

    def _ids(self, answer: Any, what: str) -> Ids:
        try:
            return parse_ids(answer)
        except ArgumentError as error:
            raise self._odd(what, str(error)) from None

    def _list(self, answer: Any, name: str, count: int) -> list[Any]:
        values = self._field(answer, name)
        if not isinstance(values, list) or len(values) != count:
            found = f"{len(values)} values" if isinstance(values, list) else f"{values!r:.40}"
            raise self._odd(name, f"{found} instead of {count}")
        return values

    def _field(self, answer: Any, name: str) -> Any:
        if not isinstance(answer, dict) or name not in answer:
            raise self._odd(name, "no such field in the answer")
        return answer[name]

    def _odd(self, what: str, found: str) -> ImageryError:
        return DamagedDataError(f"{self._rest.url}: {what}: {found}; the server speaks another protocol or is broken")

    def __repr__(self) -> str:
        return f"ChunkedGraph({self._rest.url!r})"


def _bounds(box: Box) -> str:
    return "_".join(f"{a}-{b}" for a, b in zip(box.start, box.stop, strict=True))
