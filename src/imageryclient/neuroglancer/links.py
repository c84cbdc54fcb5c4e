"""Neuroglancer links: where the viewer is, and the state it shows, inline or stored on a server.

Four forms are in use: `SITE/#!{…}` with the state itself, percent-encoded or raw; `SITE/#!URL` and
`SITE/?json_url=URL` with the address of a state; and a state or its address alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ..errors import ArgumentError

__all__ = ["DEFAULT_SITE", "Link", "make_link", "parse_link"]

DEFAULT_SITE = "https://neuroglancer-demo.appspot.com"
_ADDRESSES = ("http://", "https://", "middleauth+https://", "middleauth+http://", "gs://", "s3://")


@dataclass(frozen=True, slots=True)
class Link:
    """A link taken apart.

    Parameters
    ----------
    site : str
        Address of the viewer, without its fragment; empty for a state alone.
    state : mapping or None
        The state as JSON has it; None when it is stored elsewhere.
    state_url : str or None
        Where the state is stored, as the link says it.
    """

    site: str
    state: Mapping[str, Any] | None = None
    state_url: str | None = None


def parse_link(link: str | Mapping[str, Any]) -> Link:
    """Take a Neuroglancer link apart.

    Parameters
    ----------
    link : str or mapping
        A link; or a state as JSON text or as a mapping; or the address of a stored state.

    Raises
    ------
    ArgumentError
        If it is none of these; the message says which part is not understood.

    Examples
    --------
    >>> parse_link('https://neuroglancer-demo.appspot.com/#!%7B%22layers%22:%5B%5D%7D').state
    {'layers': []}
    >>> parse_link("https://viewer.org/?json_url=https://states.org/nglstate/api/v1/123").state_url
    'https://states.org/nglstate/api/v1/123'
    """
    if isinstance(link, Mapping):
        return Link("", state=link)
    if not isinstance(link, str) or not link.strip():
        raise ArgumentError(f"a Neuroglancer link is text, or a state as a mapping; got {type(link).__name__}")
    text = link.strip()
    if text.startswith("{"):
        return Link("", state=_state(text))
    before, mark, fragment = text.partition("#!")
    site = before.split("?")[0].rstrip("/")
    if mark:
        content = fragment if fragment.startswith("{") else unquote(fragment).strip()
        if content.startswith("{"):
            return Link(site, state=_state(content))
        if content.startswith(_ADDRESSES):
            return Link(site, state_url=content)
        raise ArgumentError(
            f"this link holds no state after #!, but {content[:60]!r}; copy it anew from the viewer's address bar"
        )
    address = parse_qs(urlsplit(text).query).get("json_url", [""])[0]
    if address:
        return Link(site, state_url=address)
    if text.startswith(_ADDRESSES) and ("nglstate" in text or text.split("?")[0].endswith(".json")):
        return Link("", state_url=text)
    raise ArgumentError(
        f"{_shortened(text)!r} is not a Neuroglancer link: those hold a state after #!, or name one by ?json_url="
    )


def make_link(state: Mapping[str, Any], site: str = DEFAULT_SITE) -> str:
    """Make the link that opens a state in a viewer.

    Examples
    --------
    >>> parse_link(make_link({"layout": "xy"})).state
    {'layout': 'xy'}
    """
    text = json.dumps(state, separators=(",", ":"), ensure_ascii=False)
    return f"{site.rstrip('/')}/#!{quote(text, safe='~:/@$&=+?,')}"


def _state(text: str) -> Mapping[str, Any]:
    """Read JSON, percent-encoded or not; a raw state may hold percent signs of its own."""
    found: Any = None
    for candidate in (text, unquote(text)):
        try:
            found = json.loads(candidate)
            break
        except ValueError as error:
            trouble = str(error)
    else:
        raise ArgumentError(f"the state in this link is not JSON ({trouble}); the link may have been cut off")
    if not isinstance(found, dict):
        raise ArgumentError(f"the state in this link must be a JSON object; it is {_shortened(text)!r}")
    return found


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
