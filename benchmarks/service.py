"""The demo server in a process of its own, with a latency, that can tell what it was asked."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self


def _serve(folder: str, latency: float, pipe: Connection) -> None:
    from imageryclient.demo.server import DemoServer

    with DemoServer(folder, latency=latency) as server:
        history = server.history
        assert history is not None
        moment = history.operations[-1].time + 1.0
        pipe.send({"url": server.url, "token": server.token, "table": server.table, "timestamp": int(moment)})
        while True:
            order = pipe.recv()
            if order == "count":
                pipe.send((len(server.requests), sum(request.sent for request in server.requests)))
                server.requests.clear()
            elif order == "paths":
                pipe.send(server.requests.paths)
            elif isinstance(order, float):
                server.latency = order
                pipe.send(order)
            else:
                return


class Service:
    """A served folder: `with Service(folder) as service: service.about["url"]`."""

    def __init__(self, folder: Path, latency: float = 0.0) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(str(folder), latency, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.about: dict[str, Any] = self._pipe.recv()
        return self

    @property
    def sources(self) -> dict[str, Any]:
        """What a case needs to open both layers, and the moment of the last edit."""
        url, table = self.about["url"], self.about["table"]
        return {
            "image": f"precomputed://{url}/data/imagery",
            "segmentation": f"graphene://{url}/segmentation/table/{table}",
            "token": self.about["token"],
            "timestamp": self.about["timestamp"],
        }

    def wait(self, latency: float) -> None:
        """Let every answer wait so many seconds."""
        self._pipe.send(float(latency))
        self._pipe.recv()

    def count(self) -> tuple[int, int]:
        """Requests and bytes since the last time."""
        self._pipe.send("count")
        return self._pipe.recv()

    def paths(self) -> list[str]:
        """The paths asked for since the last count."""
        self._pipe.send("paths")
        return self._pipe.recv()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send("end")
        self._process.join(10)
