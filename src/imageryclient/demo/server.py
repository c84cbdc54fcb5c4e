"""A small CAVE on loopback, over a folder that `build` wrote; or plain files of any folder."""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import ArgumentError, NotFoundError
from .cave_api import CaveApi, Datastack, TokenGuard
from .faults import Fault, FaultPlan
from .history import History
from .replies import Reply, Request, RequestLog, text_reply
from .static import StaticFiles

__all__ = ["DEMO_TOKEN", "DemoServer"]

log = logging.getLogger(__name__)

DEMO_TOKEN = "0123456789abcdef0123456789abcdef"  # of the form that CAVE's tokens have

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, Range, X-Requested-With",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "600",
}


class DemoServer:
    """A web server on 127.0.0.1 for one folder.

    A folder with a `demo.json` is a datastack: its layers lie under `/data/LAYER/`, and the CAVE services answer
    beside them. Of any other folder all files lie under `/data/`.

    Parameters
    ----------
    folder : path
        What to serve.
    token : str, optional
        What the CAVE services ask for; None for nothing.
    port : int
        0 for a free one.
    latency : float
        Seconds before every answer.
    faults : iterable of Fault
        What goes wrong; `faults` may be set anew at any time.
    protect_data : bool
        Ask for the token under `/data/`, too.
    sign_in_page : bool
        Send requests without any token to a page to sign in (302), as CAVE does with browsers.
    gzip_in_place : bool
        Serve files whose bytes are gzip's with `Content-Encoding: gzip`.

    Raises
    ------
    NotFoundError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile, urllib.request
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "hello").write_bytes(b"hello")
    ...     with DemoServer(folder) as server, urllib.request.urlopen(f"{server.url}/data/hello") as answer:
    ...         answer.read(), server.requests[0].status
    (b'hello', 200)
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        token: str | None = DEMO_TOKEN,
        port: int = 0,
        latency: float = 0.0,
        faults: Iterable[Fault] = (),
        protect_data: bool = False,
        sign_in_page: bool = False,
        gzip_in_place: bool = True,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise NotFoundError(f"there is no folder {self.folder} to serve")
        self.token = token
        self.latency = latency
        self.protect_data = protect_data
        self.requests = RequestLog()
        self._port = port
        self._plan = FaultPlan(faults)
        self._guard = TokenGuard(token, sign_in_page=sign_in_page)
        self._http: _Server | None = None
        self._loop: threading.Thread | None = None
        stack = Datastack.load(self.folder)
        self._api = None if stack is None else CaveApi(self.folder, stack, self._guard)
        folders = {"": self.folder}
        if stack is not None:
            folders = {name: self.folder / where for name, where in stack.layers.items()}
        self._files = StaticFiles(folders, gzip_in_place=gzip_in_place)

    @property
    def datastack(self) -> str | None:
        """The name of the datastack; None for a folder of plain files."""
        return None if self._api is None else self._api.datastack.name

    @property
    def table(self) -> str | None:
        """The name of the chunked graph's table; None for a folder of plain files."""
        return None if self._api is None else self._api.datastack.table

    @property
    def history(self) -> History | None:
        """The proofreading record of the datastack, where it has one."""
        return None if self._api is None else self._api.history

    @property
    def layers(self) -> dict[str, str]:
        """The URL of each layer; of plain files, of each subfolder that holds an `info`."""
        names = list(self._files.layers)
        if self._api is None:
            names = sorted(info.parent.name for info in self.folder.glob("*/info"))
        return {name: f"{self.url}/data/{name}" for name in names}

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What goes wrong; what is set counts from the next request on, with all its `times`."""
        return self._plan.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self._plan = FaultPlan(faults)

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end.

        Raises
        ------
        ArgumentError
            If it does not run.
        """
        if self._http is None:
            raise ArgumentError("the server does not run; call start(), or use it in a with statement")
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> Self:
        """Begin to listen; a server that runs goes on."""
        if self._http is None:
            self._http = _Server(self, self._port)
            self._loop = threading.Thread(
                target=self._http.serve_forever, args=(0.05,), name="imageryclient-demo", daemon=True
            )
            self._loop.start()
        return self

    def stop(self) -> None:
        """Close all connections, also those that wait for an answer, and the port."""
        if self._http is not None and self._loop is not None:
            self._http.stopping.set()
            self._http.shutdown()
            self._loop.join()
            self._http.disconnect()
            self._http.server_close()
            self._http = self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = "stopped" if self._http is None else self.url
        return f"DemoServer({str(self.folder)!r}, {where})"

    def _answer(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return Reply(204, b"", _PREFLIGHT)
        if request.path.startswith("/data/"):
            refusal = self._guard.refuse(request, self.url) if self.protect_data else None
            return refusal or self._files.answer(request, request.path.removeprefix("/data/"))
        if self._api is None:
            return text_reply("Not Found", 404)
        return self._api.answer(request, self.url)

    def _strike(self, request: Request) -> list[Fault]:
        return self._plan.strike(request.path)


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them."""

    allow_reuse_address = os.name == "posix"  # on Windows it would let two servers share a port
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, demo: DemoServer, port: int) -> None:
        self.demo = demo
        self.stopping = threading.Event()
        self._guard = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self.resets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks its name up, which takes seconds where there is no name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._guard:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.pop(request, None)
        if request in self.resets:
            self.resets.discard(request)
            self.close_request(request)  # without the farewell that shutdown() sends
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection ended early", exc_info=True)

    def disconnect(self) -> None:
        """End all connections and wait for their threads."""
        with self._guard:
            threads = list(self._open.values())
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    log.debug("a connection had ended by itself", exc_info=True)
        for thread in threads:
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from a connection and writes the answers."""

    protocol_version = "HTTP/1.1"
    server_version = "imageryclient-demo"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, dict(self.headers.items()), body)
        demo = self.server.demo
        demo.requests.add(request)
        faults = demo._strike(request)
        delay = demo.latency + sum(fault.hang for fault in faults)
        if delay > 0 and self.server.stopping.wait(delay):
            self.close_connection = True
            return
        if any(fault.reset for fault in faults):
            self._reset()
            return
        statuses = [fault.status for fault in faults if fault.status is not None]
        if statuses:
            reply = text_reply(f"a fault on purpose: {statuses[0]}", statuses[0], "text/plain")
        else:
            reply = demo._answer(request)
        for fault in faults:
            reply = fault.apply(reply)
        self._send(request, reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _serve

    def _body(self) -> bytes | None:
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self.send_error(411)
            return None
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if length < 0:
            self.close_connection = True
            self.send_error(400)
            return None
        body = self.rfile.read(length)
        if len(body) < length:  # the client has gone
            self.close_connection = True
            return None
        return body

    def _send(self, request: Request, reply: Reply) -> None:
        body = b"" if request.method == "HEAD" else reply.body
        request.status, request.sent = reply.status, len(body)
        if request.method != "HEAD" and len(body) != reply.content_length:
            self.close_connection = True
        self.send_response(reply.status)
        for name, value in {**_CORS, **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(reply.content_length))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # With a linger time of 0, closing sends RST in place of FIN.
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.server.resets.add(self.connection)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
