"""Neuroglancer links: where the viewer is, and the state it shows, inline or stored on a server.

Four forms are in use: `SITE/#!{…}` with the state itself, percent-encoded or raw; `SITE/#!URL` and
`SITE/?json_url=URL` with the address of a state; and a state or its address alone. The oldest links write the state in
another way: ' for the quotes of JSON and _ for its commas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from ..errors import ArgumentError

__all__ = ["DEFAULT_SITE", "SITES", "Link", "make_link", "parse_link"]

DEFAULT_SITE = "https://neuroglancer-demo.appspot.com"
SITES = {"google": DEFAULT_SITE, "spelunker": "https://spelunker.cave-explorer.org"}
_TIMES = 3  # that a link may have been encoded, by mail programs and the like
_STRING = re.compile(r"""'((?:[^'\\]|\\.)*)'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
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
        content = fragment.removeprefix("+").strip()  # + adds to what a viewer shows
        for _ in range(_TIMES):
            if content.startswith(("{", *_ADDRESSES)):
                break
            content = unquote(content).strip()
        if content.startswith("{"):
            return Link(site, state=_state(content))
        if content.startswith(_ADDRESSES):
            return Link(site, state_url=content)
        raise ArgumentError(
            f"this link holds no state after #!, but {content[:60]!r}; copy it anew from the viewer's address bar"
        )
    address = parse_qs(text.partition("?")[2].partition("#")[0]).get("json_url", [""])[0]
    if address:
        return Link(site, state_url=address)
    if text.startswith(_ADDRESSES) and ("nglstate" in text or text.split("?")[0].endswith(".json")):
        return Link("", state_url=text)
    raise ArgumentError(
        f"{_shortened(text)!r} is not a Neuroglancer link: those hold a state after #!, or name one by ?json_url="
    )


def make_link(state: Mapping[str, Any], site: str = DEFAULT_SITE) -> str:
    """Make the link that opens a state in a viewer.

    Parameters
    ----------
    state : mapping
        As JSON has it.
    site : str
        Address of a viewer, or "google" or "spelunker".

    Raises
    ------
    ArgumentError
        If the site is no address and none of these.

    Examples
    --------
    >>> parse_link(make_link({"layout": "xy"})).state
    {'layout': 'xy'}
    """
    address = SITES.get(site, site).partition("#")[0]
    if not address.startswith(("http://", "https://")):
        names = " or ".join(map(repr, SITES))
        raise ArgumentError(f"site must be the address of a Neuroglancer, https://…, or {names}; got {site!r}")
    text = json.dumps(state, separators=(",", ":"), ensure_ascii=False)
    return f"{address.rstrip('/')}/#!{quote(text, safe='~:/@$&=+?,')}"


def _state(text: str) -> Mapping[str, Any]:
    """Read JSON, percent-encoded or not, as raw states may hold percent signs of their own; or as the oldest links."""
    found: Any = None
    trouble = ""
    for candidate in (text, unquote(text), unquote(unquote(text)), _plain(text), _plain(unquote(text))):
        try:
            found = json.loads(candidate)
            break
        except (ValueError, RecursionError) as error:
            trouble = trouble or str(error)
    else:
        raise ArgumentError(f"the state in this link is not JSON ({trouble}); the link may have been cut off")
    if not isinstance(found, dict):
        raise ArgumentError(f"the state in this link must be a JSON object; it is {_shortened(text)!r}")
    return found


def _plain(text: str) -> str:
    """Give as JSON what the oldest links hold, where ' stands for the quotes and _ or & for the commas."""
    parts, at = [], 0
    for string in _STRING.finditer(text):
        parts.append(re.sub("[_&]", ",", text[at : string.start()]))
        inner = string[1]
        if inner is not None:
            inner = re.sub(r"\\.|\"", lambda c: {"\\'": "'", '"': '\\"'}.get(c[0], c[0]), inner)
        parts.append(string[0] if inner is None else f'"{inner}"')
        at = string.end()
    return "".join([*parts, re.sub("[_&]", ",", text[at:])])


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
