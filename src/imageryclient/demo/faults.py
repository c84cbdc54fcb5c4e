"""Faults that a server commits on purpose, so that tests see what clients make of them."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .replies import Reply

__all__ = ["Fault", "FaultPlan"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with some requests.

    All faults that match a request take effect, in order.

    Parameters
    ----------
    match : str
        A regular expression; a request is hit where it is found in the path (as sent, without the query).
    status : int, optional
        Answer with this status in place of the true answer.
    body : bytes, optional
        Answer with this body.
    headers : tuple of pair of str
        Headers to add or to replace.
    hang : float
        Seconds to wait before the answer; a server that stops waits no longer.
    truncate : int, optional
        Bytes of the body that are sent before the connection ends; Content-Length promises all.
    shorten : int, optional
        Bytes of the body that are kept; Content-Length says so, and nothing in the answer tells.
    garbage : bool
        Send random bytes of the same number in place of the body.
    reset : bool
        Reset the connection in place of an answer.
    times : int, optional
        How many requests are hit; None for all.
    probability : float
        The chance of each to be hit.
    seed : int
        What chance and garbage come from.

    Examples
    --------
    >>> faults = [Fault(r"/imagery/", status=503, times=2), Fault("roots_binary$", hang=0.5)]
    """

    match: str
    status: int | None = None
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    hang: float = 0.0
    truncate: int | None = None
    shorten: int | None = None
    garbage: bool = False
    reset: bool = False
    times: int | None = None
    probability: float = 1.0
    seed: int = 0

    def apply(self, reply: Reply) -> Reply:
        """Give the reply with the fault in it; `hang`, `status` and `reset` are the server's part.

        Examples
        --------
        >>> Fault("", truncate=2).apply(Reply(200, b"abcd"))
        Reply(status=200, body=b'ab', headers={}, length=4)
        """
        if self.body is not None:
            reply = replace(reply, body=self.body, length=None)
        if self.garbage:
            noise = random.Random(self.seed).randbytes(len(reply.body))
            reply = replace(reply, body=noise)
        if self.shorten is not None and reply.body:
            reply = replace(reply, body=reply.body[: self.shorten], length=None)
        if self.truncate is not None and reply.body:
            reply = replace(reply, body=reply.body[: self.truncate], length=reply.content_length)
        if self.headers:
            names = {name.lower() for name, _ in self.headers}
            kept = {name: value for name, value in reply.headers.items() if name.lower() not in names}
            reply = replace(reply, headers={**kept, **dict(self.headers)})
        return reply


@dataclass(slots=True)
class _Armed:
    fault: Fault
    pattern: re.Pattern[str]
    left: int | None
    chance: random.Random = field(repr=False)


class FaultPlan:
    """Some faults, and how often each still strikes; fit for threads.

    Examples
    --------
    >>> plan = FaultPlan([Fault("a", status=500, times=1)])
    >>> len(plan.strike("/a")), len(plan.strike("/a")), len(plan.strike("/b"))
    (1, 0, 0)
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self._lock = threading.Lock()
        self._armed = [_Armed(f, re.compile(f.match), f.times, random.Random(f.seed)) for f in self.faults]

    def strike(self, path: str) -> list[Fault]:
        """Give the faults that hit a request for `path`, and count them."""
        struck = []
        with self._lock:
            for armed in self._armed:
                if armed.left == 0 or not armed.pattern.search(path):
                    continue
                if armed.fault.probability < 1 and armed.chance.random() >= armed.fault.probability:
                    continue
                if armed.left is not None:
                    armed.left -= 1
                struck.append(armed.fault)
        return struck
