"""PyChunkedGraph's HTTP interface, version 1, over a `History`: the calls that read, not those that edit.

Answers are those of PyChunkedGraph 2 and 3, also where they are unkind. `roots_binary` gives 0 for ids that it does
not know, but the ids themselves where it knows none of them, as before the graph was made. Unknown roots have no
leaves, and no timestamps: a question about some of them fails, one about nothing else is answered with an empty list.
`is_latest_roots` does not count edits at the very moment. Errors are JSON with `code`, `message`, `timestamp` and
`duration`; what it does not foresee is a 500.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDataError
from .history import History
from .replies import Reply, Request, json_reply

__all__ = ["ApiError", "GraphApi"]

_NODE = re.compile(r"node/(\d+)/(leaves|root)")


class ApiError(Exception):
    """A request that makes no sense, with its HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class GraphApi:
    """The calls under `/segmentation/api/v1/table/TABLE/`.

    Parameters
    ----------
    history : History
        The graph.
    origin : sequence of int
        The voxel offset of the base scale, where chunk (0, 0, 0) begins.
    """

    def __init__(self, history: History, origin: Sequence[int] = (0, 0, 0)) -> None:
        self.history = history
        self._origin = np.array(origin, np.int64)
        self._calls: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("POST", "roots_binary"): self._roots_binary,
            ("POST", "roots"): self._roots,
            ("POST", "node/leaves_many"): self._leaves_many,
            ("POST", "leaves_many"): self._leaves_many,
            ("POST", "is_latest_roots"): self._is_latest,
            ("POST", "root_timestamps"): self._root_timestamps,
            ("GET", "past_id_mapping"): self._past_ids,
            ("POST", "lineage_graph_multiple"): self._lineage,
            ("GET", "valid_nodes"): self._valid,
            ("GET", "oldest_timestamp"): self._oldest,
        }

    def answer(self, request: Request, call: str) -> Reply | None:
        """Answer a call, its path relative to the table; None where there is no such call."""
        begun = time.time()
        try:
            if "gzip" in request.header("Content-Encoding").lower():
                request = replace(request, body=gzip.decompress(request.body))
            node = _NODE.fullmatch(call)
            if node is not None and request.method == "GET":
                return self._node(request, int(node.group(1)), node.group(2))
            handler = self._calls.get((request.method, call))
            return None if handler is None else handler(request)
        except ApiError as error:
            return self._failure(error.code, str(error), begun)
        except Exception as error:  # PyChunkedGraph answers whatever goes wrong with a 500 that says it
            return self._failure(500, f"{type(error).__name__}: {error}", begun)

    @staticmethod
    def _failure(code: int, message: str, begun: float) -> Reply:
        now = time.time()
        return json_reply(
            {
                "timestamp": datetime.fromtimestamp(begun, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
                "duration": (now - begun) * 1000,
                "code": code,
                "message": message,
            },
            code,
        )

    def _roots_binary(self, request: Request) -> Reply:
        ids = np.frombuffer(request.body, "<u8").astype(np.uint64)
        roots = self._roots_of(ids, request)
        return Reply(200, roots.astype("<u8").tobytes(), {"Content-Type": "text/html; charset=utf-8"})

    def _roots(self, request: Request) -> Reply:
        return self._reply(request, {"root_ids": self._roots_of(_ids(request, "node_ids"), request)})

    def _roots_of(self, ids: NDArray[np.uint64], request: Request) -> NDArray[np.uint64]:
        moment = _moment(request)
        layer = int(request.arguments.get("stop_layer", self.history.layout.n_layers))
        if moment < self.history.oldest:
            return ids
        roots = self.history.roots(ids, moment, stop_layer=layer, absent="zero")
        return roots if roots.any() else ids

    def _node(self, request: Request, node: int, what: str) -> Reply:
        if what == "leaves":
            return self._reply(request, {"leaf_ids": self._leaves(request, node)})
        (root,) = self._roots_of(np.array([node], np.uint64), request).tolist()
        if self.history.layout.layer_of(root) < int(request.arguments.get("stop_layer", self.history.layout.n_layers)):
            raise RuntimeError(f"Cannot find root id {node}")
        return self._reply(request, {"root_id": root})

    def _leaves_many(self, request: Request) -> Reply:
        nodes = _ids(request, "node_ids").tolist()
        return self._reply(request, {str(node): self._leaves(request, node) for node in nodes})

    def _leaves(self, request: Request, node: int) -> NDArray[np.uint64]:
        layer = int(request.arguments.get("stop_layer", 1))
        bounds = None
        if "bounds" in request.arguments:
            spans = [span.split("-") for span in request.arguments["bounds"].split("_")]
            bounds = np.array(spans, dtype=np.int64).reshape(3, 2).T - self._origin
        try:
            return self.history.leaves(node, bounds, layer=layer)
        except MissingDataError:
            return np.empty(0, np.uint64)

    def _is_latest(self, request: Request) -> Reply:
        return self._reply(request, {"is_latest": self._latest(_ids(request, "node_ids"), request).tolist()})

    def _latest(self, roots: NDArray[np.uint64], request: Request) -> NDArray[np.bool_]:
        moment = np.floor(_moment(request) * 1000) / 1000
        return self.history.is_latest(roots, float(np.nextafter(moment, -np.inf)))

    def _root_timestamps(self, request: Request) -> Reply:
        roots = _ids(request, "node_ids")
        moment = _moment(request)
        if request.arguments.get("latest", "false").lower() in ("true", "1"):
            ends = self.history.end_timestamps(roots)
            current = self._latest(roots, request)
            if np.any(~current & (ends >= moment)):
                raise IndexError("pop from an empty deque")  # its words for roots that are made later
            return self._reply(request, {"timestamp": np.where(current, moment, ends).tolist()})
        known = self._known(roots)
        times = self.history.root_timestamps(roots if known.any() else roots[known])
        return self._reply(request, {"timestamp": times.tolist()})

    def _known(self, nodes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return np.asarray(self.history.roots(nodes, absent="zero") != 0)

    def _valid(self, request: Request) -> Reply:
        """Give the nodes that were made or retired in a span of time."""
        nodes = _ids(request, "node_ids")
        nodes = nodes[self._known(nodes)]
        begin, end = _moment(request, "start_timestamp", 0.0), _moment(request, "end_timestamp", time.time())
        roots = self.history.layout.layer_of(nodes) == self.history.layout.n_layers
        made, gone = np.full((2, nodes.size), [[self.history.oldest], [np.inf]])
        made[roots] = self.history.root_timestamps(nodes[roots])
        gone[roots] = self.history.end_timestamps(nodes[roots])
        inside = ((begin <= made) & (made < end)) | ((begin <= gone) & (gone < end))
        return self._reply(request, {"valid_roots": nodes[inside]})

    def _past_ids(self, request: Request) -> Reply:
        roots = _ids(request, "root_ids").tolist()
        past, future = _moment(request, "timestamp_past", 0.0), _moment(request, "timestamp_future")
        return self._reply(
            request,
            {
                "past_id_map": {str(root): self.history.past_ids(root, past) for root in roots},
                "future_id_map": {str(root): self.history.future_ids(root, future) for root in roots},
            },
        )

    def _lineage(self, request: Request) -> Reply:
        past, future = _moment(request, "timestamp_past", 0.0), _moment(request, "timestamp_future")
        lineage = self.history.lineage(_ids(request, "root_ids"), past, future)
        as_id = _id_writer(request)
        nodes: list[dict[str, Any]] = []
        born = self.history.root_timestamps(lineage.roots)
        for root, moment in zip(lineage.roots.tolist(), born.tolist(), strict=True):
            maker = self.history.operation_of(root)
            number = 0 if maker is None else maker.number
            nodes.append({"operation_id": number, "timestamp": moment, "id": as_id(root)})
        links = [{"source": as_id(old), "target": as_id(new)} for old, new in lineage.links.tolist()]
        return json_reply({"directed": True, "multigraph": False, "graph": {}, "nodes": nodes, "links": links})

    def _oldest(self, request: Request) -> Reply:
        delimiter = request.arguments.get("delimiter", " ")
        return json_reply({"iso": datetime.fromtimestamp(self.history.oldest, UTC).isoformat(delimiter)})

    @staticmethod
    def _reply(request: Request, value: dict[str, Any]) -> Reply:
        return json_reply(_plain(value, _id_writer(request)))


def _id_writer(request: Request) -> Callable[[int], int | str]:
    as_text = request.arguments.get("int64_as_str", "false").lower() in ("true", "1")
    return str if as_text else int


def _plain(value: Any, as_id: Callable[[int], int | str]) -> Any:
    """Give a value as JSON can hold it: arrays of ids as lists, ids as numbers or as text."""
    if isinstance(value, dict):
        return {key: _plain(item, as_id) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [as_id(item) for item in value.tolist()]
    if isinstance(value, int) and not isinstance(value, bool):
        return as_id(value)
    return value


def _ids(request: Request, name: str) -> NDArray[np.uint64]:
    values: Iterable[int | str] = json.loads(request.body)[name]
    return np.array([int(value) for value in values], np.uint64)


def _moment(request: Request, name: str = "timestamp", default: float | None = None) -> float:
    text = request.arguments.get(name)
    if text is None:
        return time.time() if default is None else default
    try:
        moment = float(text)
    except ValueError:
        moment = np.nan
    if not np.isfinite(moment):
        raise ApiError(400, f"Timestamp parameter {name} is not a valid unix timestamp")
    return moment
