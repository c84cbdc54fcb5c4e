"""Decoders that damaged bytes can crash, run in a process of their own.

A crash there costs that process, and becomes an error here. The process is kept for the next chunk; there are as many
as threads that decode at the same time, and they end with this one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import struct
import subprocess
import sys
import threading
from io import BytesIO
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedDataError

__all__ = ["decode_apart", "serve"]

_PROGRAM = "from imageryclient.precomputed.apart import serve; serve()"
_HEAD = struct.Struct("<cQ")  # what follows, and its length
_ARRAY, _ERROR = b"A", b"E"
_LONGEST = 120.0  # seconds a chunk may take

_idle: list[subprocess.Popen[bytes]] = []
_lock = threading.Lock()


def decode_apart(encoding: str, data: bytes) -> NDArray[Any]:
    """Decode a chunk by one of `rare.DECODERS` in another process.

    Raises
    ------
    DamagedDataError
        If the decoder complains, crashes, or does not come to an end.
    """
    with _lock:
        process = _idle.pop() if _idle else None
    process = process or _start()
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(_LONGEST, process.kill)
    timer.start()
    try:
        _send(process.stdin, encoding.encode()[:1], encoding.encode())
        _send(process.stdin, _ARRAY, data)
        kind, answer = _receive(process.stdout)
    except (OSError, EOFError):
        process.kill()
        code = process.wait()
        _close(process)
        raise DamagedDataError(f"{encoding} data are damaged: their decoder broke off (exit code {code})") from None
    except BaseException:
        process.kill()
        _close(process)
        raise
    finally:
        timer.cancel()
    with _lock:
        _idle.append(process)
    if kind == _ERROR:
        raise DamagedDataError(f"{encoding} data are damaged: {answer.decode('utf-8', 'replace')}")
    array: NDArray[Any] = np.load(BytesIO(answer), allow_pickle=False)
    return array


def serve() -> None:
    """Decode what comes by standard input, until it ends: what the other process does."""
    from .rare import DECODERS

    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what a decoder may print
    while True:
        try:
            encoding, data = _receive(requests)[1].decode(), _receive(requests)[1]
        except EOFError:
            return
        try:
            packed = BytesIO()
            np.save(packed, DECODERS[encoding](data), allow_pickle=False)
            _send(answers, _ARRAY, packed.getvalue())
        except Exception as error:
            _send(answers, _ERROR, (str(error) or type(error).__name__).encode())


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(os.path.abspath(part) for part in sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )


def _send(stream: IO[bytes], kind: bytes, data: bytes) -> None:
    stream.write(_HEAD.pack(kind, len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[bytes, bytes]:
    head = stream.read(_HEAD.size)
    if len(head) != _HEAD.size:
        raise EOFError
    kind, length = _HEAD.unpack(head)
    data = stream.read(length)
    if len(data) != length:
        raise EOFError
    return kind, data


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


@atexit.register
def _close_all() -> None:
    with _lock:
        while _idle:
            process = _idle.pop()
            process.kill()  # it waits for the next chunk
            _close(process)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's
