"""Tokens are in no message: whatever a server repeats of them is masked."""

from __future__ import annotations

import threading
from urllib.parse import quote

from ..forking import keep_free

__all__ = ["keep_secret", "masked"]

_SHORTEST = 4  # a secret of fewer letters would be found in any text
_lock = threading.Lock()
keep_free(_lock)
_secrets: set[str] = set()


def keep_secret(secret: str | None) -> None:
    """Have a token, a key or a password masked in every later message.

    Examples
    --------
    >>> keep_secret("f00dcafe")
    >>> masked("you sent Bearer f00dcafe")
    'you sent Bearer ***'
    """
    if secret and len(secret) >= _SHORTEST:
        with _lock:
            _secrets.update({secret, quote(secret, safe="")})


def masked(text: str) -> str:
    """Give a text that a server may have had a say in, without any secret of this process."""
    with _lock:
        known = sorted(_secrets, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, "***")
    return text
