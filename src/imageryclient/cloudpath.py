"""Source strings, as CloudVolume, CAVE and Neuroglancer write them, taken apart: pure text, nothing is opened.

A source is `[FORMAT://][middleauth+]LOCATION`. Without a format it is a precomputed volume, without a scheme the
location is a folder. `gs://` and `s3://` stand for the https address of the public bucket, which is what
imageryclient 1.0.4 reads too (CloudVolume's `use_https`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from .errors import SourceError

__all__ = ["CloudPath", "parse_source"]

_FORMATS = ("precomputed", "graphene")
_FOREIGN = (
    "zarr",
    "zarr2",
    "zarr3",
    "n5",
    "boss",
    "brainmaps",
    "nggraph",
    "render",
    "deepzoom",
    "nifti",
    "dvid",
)
_BUCKETS = {"gs": "https://storage.googleapis.com/{bucket}", "s3": "https://{bucket}.s3.amazonaws.com"}
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:\ is a Windows drive


@dataclass(frozen=True, slots=True)
class CloudPath:
    """A source string taken apart.

    Parameters
    ----------
    format : {"precomputed", "graphene"}
        How the data are laid out.
    url : str
        `https://…`, `http://…` or `file:///…`, without a slash at the end.
    middleauth : bool
        Whether the server asks for a CAVE token, said by `middleauth+` or by `graphene://`.
    source : str
        The string as it was given.
    """

    format: Literal["precomputed", "graphene"]
    url: str
    middleauth: bool
    source: str

    @property
    def host(self) -> str:
        """Host and port of the server; empty for a folder."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def folder(self) -> Path | None:
        """The folder of a local source, else None."""
        return file_path(self.url) if self.url.startswith("file://") else None

    def __str__(self) -> str:
        return self.source


def file_path(url: str) -> Path:
    """Give the path that a `file://` address names.

    Examples
    --------
    >>> file_path("file:///data/my%20volume").as_posix().endswith("/data/my volume")
    True
    """
    parts = urlsplit(url)
    return Path(url2pathname(quote(unquote(parts.netloc + parts.path), safe="/:\\~")))


def parse_source(source: str | os.PathLike[str]) -> CloudPath:
    """Take a source string apart.

    Parameters
    ----------
    source : str or path
        For example `precomputed://gs://bucket/folder`, `graphene://https://server/segmentation/table/name`,
        `https://server/folder`, `file:///folder` or a folder's path.

    Raises
    ------
    SourceError
        If the string names a format or a place that this version does not read.

    Examples
    --------
    >>> parse_source("precomputed://gs://bucket/em/").url
    'https://storage.googleapis.com/bucket/em'
    >>> parse_source("graphene://https://example.org/segmentation/table/t").format
    'graphene'
    """
    text = os.fspath(source).strip() if isinstance(source, (str, os.PathLike)) else ""
    if not text:
        raise SourceError(
            f"a source must be a text such as 'precomputed://gs://bucket/folder' or a folder's path; got {source!r}"
        )
    rest, layout = text, "precomputed"
    scheme = _scheme(rest)
    if scheme in _FORMATS:
        layout, rest = scheme, rest[len(scheme) + 3 :]
    elif scheme in _FOREIGN or "|" in text:
        raise SourceError(
            f"{text!r} is in a format that this version does not read; it reads precomputed:// and graphene://"
        )
    middleauth = layout == "graphene"
    if rest.startswith("middleauth+"):
        rest, middleauth = rest[len("middleauth+") :], True
    return CloudPath(cast(Literal["precomputed", "graphene"], layout), _url(rest, text, layout), middleauth, text)


def _scheme(text: str) -> str:
    match = _SCHEME.match(text)
    return match.group(1).lower() if match else ""


def _url(rest: str, text: str, layout: str) -> str:
    scheme = _scheme(rest)
    if layout == "graphene" and scheme not in ("http", "https"):
        raise SourceError(
            f"{text!r}: graphene:// is served by a CAVE server; write graphene://https://SERVER/segmentation/table/TABLE"
        )
    if scheme in ("http", "https"):
        parts = urlsplit(rest)
        if not parts.hostname:
            raise SourceError(f"{text!r} names no server")
        if parts.username is not None or parts.password is not None:
            raise SourceError("a source must not hold a user name or a password; give a token as auth_token instead")
        return rest.split("#")[0].rstrip("/")
    if scheme in _BUCKETS:
        bucket, _, path = rest[len(scheme) + 3 :].partition("/")
        if not bucket:
            raise SourceError(f"{text!r} names no bucket")
        return f"{_BUCKETS[scheme].format(bucket=bucket)}/{path}".rstrip("/")
    if scheme == "file":
        return file_path(rest).expanduser().absolute().as_uri().rstrip("/")
    if scheme:
        raise SourceError(
            f"{text!r}: {scheme}:// is not read by this version; it reads file://, http(s)://, gs:// and s3://"
        )
    if not rest:
        raise SourceError(f"{text!r} names no place")
    return Path(rest).expanduser().absolute().as_uri().rstrip("/")
