"""A web server on loopback that answers as a function says: for what the demo's server does not do, good or bad."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request: its path, percent signs and query and all, and its headers by their names in small letters."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """What is sent: `length` None leaves Content-Length out and sends pieces of 100; `drip` is seconds between them."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = -1
    drip: float = 0.0


class Scripted(ThreadingHTTPServer):
    """Answers GET, HEAD and PUT as `answer` says, and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Callable[[Asked], Answer], context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.rfile.read(int(headers.get("content-length") or 0))
        asked = Asked(self.command, self.path, headers)
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(answer.body) if answer.length < 0 else answer.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.length is None:
            for start in range(0, len(answer.body), 100):
                piece = answer.body[start : start + 100]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                time.sleep(answer.drip)
            self.wfile.write(b"0\r\n\r\n")
        elif answer.drip:
            for start in range(0, len(answer.body), 100):
                self.wfile.write(answer.body[start : start + 100])
                time.sleep(answer.drip)
        else:
            self.wfile.write(answer.body)
        if answer.length is not None and 0 <= answer.length != len(answer.body):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = _serve

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def scripted(answer: Callable[[Asked], Answer], context: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Run a server that answers as a function says."""
    server = Scripted(answer, context)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Run a proxy on loopback, for http and, by CONNECT, for https; give its address and what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[str] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(1 << 16)
                if not piece:
                    return
                head += piece
            line, _, rest = head.partition(b"\r\n")
            method, target, version = line.decode().split(" ")
            seen.append(
                f"{method} {target}" + (" with a password" if b"\nproxy-authorization:" in head.lower() else "")
            )
            if method == "CONNECT":
                port, path = target.rpartition(":")[2], ""
            else:
                place, _, path = target.removeprefix("http://").partition("/")
                port = place.rpartition(":")[2]
            with socket.create_connection(("127.0.0.1", int(port)), 5) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                else:
                    server.sendall(f"{method} /{path} {version}\r\nConnection: close\r\n".encode() + rest)
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(2)
