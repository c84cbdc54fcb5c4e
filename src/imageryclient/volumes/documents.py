"""The JSON documents that describe volumes: fetched, told apart, and, where there are none, what lies there instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..cloudpath import DOCUMENTS, CloudPath, Format
from ..errors import AccessError, DamagedDataError, FormatError, ImageryError, NotFoundError
from ..pools import fetch_pool
from ..precomputed.codecs import decompress
from ..storage import Store, masked

__all__ = ["LOOKED_FOR", "find_format", "hint_for", "read_document"]

_NAMES = [name for name in DOCUMENTS if name != ".zmetadata"]  # beside which .zgroup lies always
LOOKED_FOR = "info (precomputed), zarr.json (Zarr 3), .zarray, .zgroup and .zattrs (Zarr 2) and attributes.json (N5)"
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_MAX_LISTED = 8


def read_document(store: Store, name: str, source: str) -> Any:
    """Fetch a JSON document; None where there is none.

    Raises
    ------
    FormatError
        If it is not JSON; the message says what it is, as far as that shows.
    DamagedDataError
        If its compression fails its checks.
    """
    place = f"the document at {store.url}/{name}"
    for last in (False, True):
        payload = store.get(name)
        if payload.data is None:
            store.forget(name)
            return None
        try:
            data = decompress(payload.data, payload.encoding)
            return json.loads(data)
        except DamagedDataError as error:
            store.forget(name)
            if last:
                raise DamagedDataError(f"{source}: {place}: {error}") from None
        except FormatError as error:
            raise FormatError(f"{source}: {place}: {error}") from None
        except ValueError:
            store.forget(name)
            if last:
                raise FormatError(f"{source}: {place} {_what_it_is(bytes(data))}") from None
    raise AssertionError("unreachable")


def _what_it_is(data: bytes) -> str:
    import html

    text = masked(data[:4096].decode("utf-8", "replace")).lstrip("\ufeff").lstrip()
    start = repr(" ".join(text[:60].split()))
    if re.match(r"<!doctype html|<html|<head|<body|<!--", text, re.IGNORECASE):
        title = _TITLE.search(text)
        named = f", titled {' '.join(html.unescape(title[1]).split())[:80]!r}" if title else ""
        return (
            f"is not JSON but a web page{named}: perhaps of a viewer, or one to log in; name the folder of the data "
            "that it shows. If a CAVE server keeps them, write middleauth+ before https:// and pass auth_token="
        )
    if text.startswith("<"):
        code = re.search(r"<Code>([^<]*)</Code>", text)
        return f"is not JSON but XML{f' that says {code[1]}' if code else ''}; it begins with {start}"
    if not text:
        return "is empty, so not JSON; the volume was perhaps not written to its end"
    return f"is not JSON; it begins with {start}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What came of asking for one document: it, an error, or neither where there is none."""

    document: Any = None
    error: ImageryError | None = None

    @property
    def describes(self) -> bool:
        return isinstance(self.document, Mapping)


def find_format(path: CloudPath, store: Store) -> Format:
    """Find by looking how what lies in `store` is laid out; all documents are asked for at the same time.

    A precomputed volume goes before a zarr, and that before an N5, where several lie in one folder.

    Raises
    ------
    NotFoundError
        If nothing there describes a volume; the message names all that was looked for, and what may be meant.
    FormatError
        If what lies there is no JSON, such as a web page.
    StorageError
        If a server refuses or fails.
    """
    if path.folder is not None and not path.folder.is_dir():
        raise NotFoundError(f"{path}: {_no_folder(path.folder)}")
    seen: dict[str, _Seen] = {}
    for name, future in _ask(_NAMES, store, path.source).items():
        seen[name] = future.result()
        if seen[name].describes:
            return DOCUMENTS[name]
    for name, one in seen.items():
        # Where a bucket does not list its objects, what is not there is refused, too. Some servers refuse all that
        # begins with a dot, which then says nothing.
        if one.error is not None and not (name.startswith(".") and isinstance(one.error, AccessError)):
            raise one.error
    if any(one.document is not None for one in seen.values()):
        raise FormatError(f"{path}: the documents at {store.url} hold no JSON object, so they describe no volume")
    hint = hint_for(path, store) or "check the address"
    raise NotFoundError(f"{path}: nothing at {store.url} describes a volume. Looked for {LOOKED_FOR}; {hint}")


def _ask(names: Iterable[str], store: Store, source: str) -> dict[str, Future[_Seen]]:
    return {name: fetch_pool().submit(_look, store, name, source) for name in names}


def _look(store: Store, name: str, source: str) -> _Seen:
    try:
        return _Seen(read_document(store, name, source))
    except ImageryError as error:
        return _Seen(error=error)


def hint_for(path: CloudPath, store: Store) -> str:
    """Say what a source may have meant, where there is no volume of its format; "" where nothing shows it."""
    if path.folder is not None and not path.folder.is_dir():
        return _no_folder(path.folder)
    others = [name for name in _NAMES if path.format and not DOCUMENTS[name].startswith(path.format)]
    for name, future in _ask(others, store, path.source).items():
        if future.result().describes:
            return f"there is {name}, so write {DOCUMENTS[name]}:// before the place, or leave the format out"
    above = _look(store, "../info", path.source).document
    scales = above.get("scales") if isinstance(above, Mapping) else None
    folder, _, key = path.place.rpartition("/")
    for scale in scales if isinstance(scales, list) else []:
        if isinstance(scale, Mapping) and scale.get("key") == unquote(key):
            return (
                f"it is one scale of the volume in the folder above: name {folder}, and choose the scale by its "
                f"resolution, {scale.get('resolution')}"
            )
    if path.folder is not None:
        return _below(path.folder)
    scheme, _, rest = path.url.partition("://")
    if scheme in ("gs", "s3", "az"):
        kind = "container" if scheme == "az" else "bucket"
        name = "/".join(rest.split("/")[: 2 if scheme == "az" else 1])
        return f"check the path, and that there is a {kind} {name!r}"
    return ""


def _no_folder(folder: Path) -> str:
    if folder.exists():
        return (
            f"{folder} is a file, not the folder of a volume; name the folder, or read the file into an array and give "
            "that in the source's place"
        )
    parent = next((parent for parent in folder.parents if parent.is_dir()), folder.parent)
    missing = folder.relative_to(parent).parts[0] if folder != parent else folder.name
    there = _folders(parent)
    close = get_close_matches(missing, there, 3) or there[:_MAX_LISTED]
    known = f"; {parent} holds {', '.join(close)}" if close else ""
    return f"there is no folder {folder}{known}"


def _below(folder: Path) -> str:
    volumes = [name for name in _folders(folder) if any((folder / name / document).exists() for document in _NAMES)]
    if volumes:
        more = ", …" if len(volumes) > _MAX_LISTED else ""
        return f"there are volumes in folders below it: {', '.join(volumes[:_MAX_LISTED])}{more}; name one of them"
    return ""


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []
