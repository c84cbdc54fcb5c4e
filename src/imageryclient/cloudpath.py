"""Source strings, as CloudVolume, CAVE, Neuroglancer and TensorStore write them, taken apart: text, nothing is opened.

A source is `[FORMAT://]PLACE` or, as Neuroglancer writes it now, `PLACE|FORMAT:[PATH]`. Without a format, what lies at
the place is looked at when it is opened; without a scheme, the place is a folder.

Neuroglancer's forms: https://github.com/google/neuroglancer/blob/master/docs/datasource/index.rst
and src/datasource/file_protocols.md there; CloudVolume's: https://github.com/seung-lab/cloud-files.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal, cast
from urllib.parse import quote, unquote, urlsplit

from .errors import SourceError
from .refusals import FOREIGN, refuse_file, refuse_page, refuse_scheme, refuse_view, shown

__all__ = ["DOCUMENTS", "CloudPath", "Format", "cloudvolume_path", "file_path", "parse_source"]

Format = Literal["precomputed", "graphene", "zarr", "zarr2", "zarr3", "n5", ""]

_FORMATS = ("precomputed", "graphene", "zarr", "zarr2", "zarr3", "n5")
_ADAPTERS = {"neuroglancer-precomputed": "precomputed", "auto": "", **{name: name for name in _FORMATS}}
_READS = (
    "formats are precomputed://, graphene://, zarr://, zarr2://, zarr3:// and n5://, places are gs://, s3://, az://, "
    "https://, http://, file:// and plain folders"
)
# A file that describes a volume stands for the folder it lies in.
DOCUMENTS: dict[str, Format] = {
    "info": "precomputed",
    "zarr.json": "zarr3",
    ".zarray": "zarr2",
    ".zgroup": "zarr2",
    ".zattrs": "zarr2",
    ".zmetadata": "zarr2",
    "attributes.json": "n5",
}
_BLANK = " \t\r\n\f\v\u00a0\ufeff\u200b"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:\ is a Windows drive
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ADAPTER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?::(.*))?")
_LOST_SLASH = re.compile(rf"({'|'.join((*_FORMATS, 'https?', 'gs', 's3', 'az'))}):/(?!/)", re.IGNORECASE)
_COMPATIBLE = re.compile(r"(gs|s3)(?:\+xml)?(?:\+|://)(https?)(?=://)")
_SAME = {"gs+xml": "gs", "azure": "az"}
_AZURE = re.compile(r"(?:abfss?|wasbs?)://([^@/]+)@([^./]+)\.(?:dfs|blob)\.core\.windows\.net(/.*)?", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")  # as Azure has them
_QUERY_AND_FRAGMENT = re.compile(r"([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_SEPARATOR = re.compile(r"dimension_separator=[^&]*")  # which the metadata say themselves
_DISPLAY = re.compile(r"[A-Za-z_]\w*=[^&]*(?:&[A-Za-z_]\w*=[^&]*)*")
_KEPT = "/:@!$&'()*+,;=~%"  # what a path in an address may hold as it is
_CLOUDS = {
    "gs": "storage.googleapis.com",
    "s3": "{}.s3.amazonaws.com",
    "az": "{}.blob.core.windows.net",
}


@dataclass(frozen=True, slots=True)
class CloudPath:
    """A source string taken apart.

    Parameters
    ----------
    format : {"precomputed", "graphene", "zarr", "zarr2", "zarr3", "n5", ""}
        How the data are laid out; "zarr" leaves the version, and "" all of it, to be found by looking.
    url : str
        `https://…`, `http://…`, `file:///…`, `gs://BUCKET/PATH`, `s3://BUCKET/PATH` or `az://ACCOUNT/CONTAINER/PATH`;
        percent-encoded, without query, fragment, or a slash at the end.
    middleauth : bool
        Whether the server asks for a CAVE token, said by `middleauth+` or by `graphene://`.
    source : str
        The string as it was given.
    endpoint : str or None
        `https://SERVER` of a gs or s3 bucket that is not on the cloud's own.
    inner : str
        What to read of a zarr or N5 container: `PATH#CHOICE`. The path, which a pipe names after the format, is not
        percent-encoded; the choice is the source's fragment. Either may be missing.
    """

    format: Format
    url: str
    middleauth: bool
    source: str
    endpoint: str | None = None
    inner: str = ""

    @property
    def host(self) -> str:
        """Host and port of the server; empty for a folder."""
        parts = urlsplit(self.endpoint or self.url)
        if parts.scheme == "file":
            return ""
        return _CLOUDS.get(parts.scheme, parts.netloc).format(parts.netloc)

    @property
    def place(self) -> str:
        """Where the data lie, as a source says it after the format."""
        if self.endpoint:
            scheme, _, rest = self.url.partition("://")
            return f"{scheme}+{self.endpoint}/{rest}"
        return f"middleauth+{self.url}" if self.middleauth and self.format != "graphene" else self.url

    @property
    def folder(self) -> Path | None:
        """The folder of a local source, else None."""
        return file_path(self.url) if self.url.startswith("file:") else None

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
    path = unquote(parts.path)
    if parts.netloc:
        path = f"//{unquote(parts.netloc)}{path}"
    elif os.name == "nt" and _WINDOWS.match(path, 1):
        path = path[1:]
    return Path(path)


def parse_source(source: str | os.PathLike[str]) -> CloudPath:
    """Take a source string apart.

    Parameters
    ----------
    source : str or path
        For example `precomputed://gs://bucket/folder`, `graphene://https://server/segmentation/table/name`,
        `s3://bucket/image.zarr/|zarr3:`, `https://server/folder`, or a folder's path.

    Raises
    ------
    SourceError
        If the string names a format or a place that is not read here, or is a link to a view; the message says what to
        write instead, and shows no password.

    Examples
    --------
    >>> parse_source("precomputed://gs://bucket/em/").url
    'gs://bucket/em'
    >>> path = parse_source("https://example.org/image.zarr/|zarr2:raw/s0")
    >>> path.format, path.url, path.inner
    ('zarr2', 'https://example.org/image.zarr', 'raw/s0')
    >>> parse_source("s3+https://s3.example.org/bucket/em").endpoint
    'https://s3.example.org'
    >>> parse_source("graphene://https://example.org/segmentation/table/t").format
    'graphene'
    """
    given = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    text = given.strip(_BLANK) if isinstance(given, str) else ""
    if not text:
        got = repr(source) if source is None or isinstance(source, (str, int, float)) else type(source).__name__
        raise SourceError(
            f"a source must be a text such as 'precomputed://gs://bucket/folder' or a folder's path; got {got}"
        )
    if _CONTROL.search(text):
        raise SourceError(f"{shown(text)} holds line breaks or other control characters; give one source, on one line")
    refuse_view(text)
    lost = _LOST_SLASH.match(text)
    if lost:
        raise SourceError(
            f"{shown(text)} lacks a slash after {lost[1]}:/, as pathlib.Path drops it; give the address as text, "
            f"{lost[1]}://…"
        )
    place, layout, inner, choice = _piped(text)
    scheme = _scheme(place)
    if scheme in _FORMATS:
        if layout not in ("", scheme):
            raise SourceError(f"{shown(text)} names two formats, {scheme} and {layout}; leave one out")
        layout, place = scheme, place[len(scheme) + 3 :]
    middleauth = layout == "graphene"
    if place.lower().startswith("middleauth+"):
        place, middleauth = place[len("middleauth+") :], True
        if _scheme(place) not in ("http", "https"):
            raise SourceError(f"{shown(text)}: middleauth+ stands before https:// alone")
    if layout == "graphene" and _scheme(place) not in ("http", "https"):
        raise SourceError(
            f"{shown(text)}: graphene:// is served by a CAVE server; "
            "write graphene://https://SERVER/segmentation/table/TABLE"
        )
    if _scheme(place) and place[:5].lower() != "file:":
        refuse_page(place, text)
        place, fragment = _without_fragment(place, text, layout)
        choice = choice or fragment
    url, endpoint = _located(place, text)
    if not inner and not place.endswith("/") and not url.startswith("file:"):
        url, layout = _described(url, layout, text)
    if inner and layout in ("precomputed", "graphene", ""):
        url, inner = f"{url}/{_quoted(inner)}", ""
    if choice and layout not in ("precomputed", "graphene"):
        inner += f"#{choice}"
    return CloudPath(cast(Format, layout), url, middleauth, text, endpoint, inner)


def cloudvolume_path(path: CloudPath) -> str:
    """Give the source as CloudVolume writes it.

    Raises
    ------
    SourceError
        If CloudVolume cannot open such a source.

    Examples
    --------
    >>> cloudvolume_path(parse_source("gs://bucket/my%20em/|zarr2:s0"))
    'zarr2://gs://bucket/my em/s0'
    """
    prefix = f"{path.format}://" if path.format else ""
    within = path.inner.partition("#")[0]
    inner = f"/{within}" if within else ""
    scheme, _, rest = path.url.partition("://")
    if path.folder is not None:
        return f"{prefix}file://{path.folder}{inner}"
    if scheme in ("http", "https"):
        return f"{prefix}{path.place}{quote(inner)}"
    if scheme == "az" or (scheme == "gs" and path.endpoint):
        raise SourceError(f"{path}: CloudVolume does not read such a place; read it with this package's own functions")
    return f"{prefix}{scheme}://{path.endpoint + '/' if path.endpoint else ''}{unquote(rest)}{inner}"


def _scheme(text: str) -> str:
    match = _SCHEME.match(text)
    return match[1].lower() if match else ""


def _piped(text: str) -> tuple[str, str, str, str]:
    """Part `PLACE|FORMAT:PATH#CHOICE`, giving the four; the last three empty where there is no pipe."""
    place, *pipes = text.split("|")
    adapters = [_ADAPTER.fullmatch(pipe) for pipe in pipes]
    if not adapters or (not _scheme(place) and any(m is None or m[2] is None for m in adapters)):
        return text, "", "", ""  # a folder may have a | in its name
    for adapter, pipe in zip(adapters, pipes, strict=True):
        name = pipe.partition(":")[0].lower()
        if name in FOREIGN:
            refuse_scheme(name, text, _READS)
        if adapter is None or name not in _ADAPTERS:
            raise SourceError(f"{shown(text)}: what follows the | is no format that is read here; {_READS}")
    if len(adapters) > 1:
        raise SourceError(f"{shown(text)} names {len(adapters)} formats; name the place and one format: PLACE|FORMAT:")
    path, choice = _without_fragment(pipes[0].partition(":")[2], text, name)
    return place, _ADAPTERS[name], unquote(path).strip("/"), choice


def _located(place: str, text: str) -> tuple[str, str | None]:
    """Give the canonical address of a place, and its server where that is not the cloud's own."""
    scheme = _scheme(place)
    if place[:5].lower() == "file:":
        return _file_url(place[5:]), None
    if not scheme:
        if not place:
            raise SourceError(f"{shown(text)} names no place")
        return _folder_url(place), None
    compatible = _COMPATIBLE.match(place.lower())
    if scheme in ("http", "https") or compatible:
        address = place[compatible.start(2) :] if compatible else place
        server, path = _web_parts(address, text)
        if compatible:
            return _bucket_url(compatible[1], path.lstrip("/"), text), server
        return f"{server}{_quoted(path)}".rstrip("/"), None
    scheme = _SAME.get(scheme, scheme)
    rest = place.partition("://")[2]
    if re.match(r"gs(\+xml)?\+ngauth\+https?$", scheme):  # the ngauth server lends browsers what users have themselves
        scheme, rest = "gs", rest.partition("/")[2]
    azure = _AZURE.fullmatch(place)
    if azure:
        scheme, rest = "az", f"{azure[2]}/{azure[1]}{azure[3] or ''}"
    if scheme in ("gs", "s3"):
        return _bucket_url(scheme, rest, text), None
    if scheme == "az":
        account, _, container = rest.partition("/")
        if not _ACCOUNT.fullmatch(account) or not container.strip("/"):
            raise SourceError(f"{shown(text)}: an Azure container is named az://ACCOUNT/CONTAINER/PATH")
        return f"az://{account}/{_bucket_url('az', container, text)[5:]}", None
    if scheme in ("abfs", "abfss", "wasb", "wasbs", "adl"):
        raise SourceError(f"{shown(text)} does not name the storage account; write az://ACCOUNT/CONTAINER/PATH")
    if scheme in _FORMATS:
        raise SourceError(f"{shown(text)} names two formats; leave one out")
    refuse_scheme(scheme, text, _READS)


def _web_parts(address: str, text: str) -> tuple[str, str]:
    """Part an address into its server, as `https://HOST:PORT`, and the path."""
    try:
        parts = urlsplit(address)
        _ = parts.port
        host = parts.netloc.lower()
        host = host if "@" in host else host.encode("idna").decode("ascii")
    except ValueError:
        raise SourceError(f"{shown(text)} is no address of a server; check its host and port") from None
    if not parts.hostname:
        raise SourceError(f"{shown(text)} names no server")
    if parts.username is not None or parts.password is not None:
        raise SourceError("a source must not hold a user name or a password; give a token as auth_token instead")
    return f"{parts.scheme}://{host}", parts.path


def _without_fragment(address: str, text: str, layout: str) -> tuple[str, str]:
    """Part an address from its fragment, which tells Neuroglancer how to show it, and zarr what to choose.

    A query is refused, but for the one that Neuroglancer has used in a fragment's place.
    """
    parts = _QUERY_AND_FRAGMENT.fullmatch(address)
    path, query, fragment = parts.groups(default="") if parts else (address, "", "")
    if query and not (layout in ("zarr", "zarr2", "n5") and _SEPARATOR.fullmatch(query)):
        raise SourceError(
            f"{shown(text)}: what stands after ? would have to go with every request, which this package does not do; "
            "leave it out if the data are open without it, and else use a place with credentials of its own: "
            "middleauth+https://, gs://, s3:// or az://. A ? that belongs to a name is written %3F"
        )
    if fragment and not _DISPLAY.fullmatch(fragment):
        raise SourceError(f"{shown(text)}: what stands after # names no data; a # within a name is written %23")
    return path, "&".join(part for part in fragment.split("&") if not _SEPARATOR.fullmatch(part))


def _bucket_url(scheme: str, rest: str, text: str) -> str:
    bucket, slash, path = rest.partition("/")
    if not bucket:
        raise SourceError(f"{shown(text)} names no bucket; write {scheme}://BUCKET/PATH")
    if not _BUCKET.fullmatch(bucket):
        raise SourceError(f"{shown(text)}: no bucket can have this name; write {scheme}://BUCKET/PATH")
    return f"{scheme}://{bucket}{slash}{_quoted(path)}".rstrip("/")


def _described(url: str, layout: str, text: str) -> tuple[str, str]:
    """Take a document that describes a volume for its folder; refuse files of other kinds."""
    folder, _, name = url.rpartition("/")
    if name in DOCUMENTS and folder.count("/") >= 2:
        named = DOCUMENTS[name]
        if layout in ("", named) or (name == "info" and layout == "graphene") or named.startswith(layout):
            return folder, layout or named
    if not layout:
        refuse_file(unquote(url), text)
    return url, layout


def _quoted(path: str) -> str:
    """Quote what an address cannot hold, and nothing twice; take `.` and `..` out."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept and kept[-1]:
                kept.pop()
        elif part != ".":
            kept.append(part)
    return re.sub("%(?![0-9A-Fa-f]{2})", "%25", quote("/".join(kept), safe=_KEPT))


def _file_url(rest: str) -> str:
    """Give the address of what follows `file:`. As in CloudVolume, the path may be relative or begin with ~."""
    path = unquote(rest[2:] if rest.startswith("//") else rest)
    if path.startswith("localhost/"):
        path = path[len("localhost") :]
    if path.startswith("/") and _WINDOWS.match(path, 1):
        path = path[1:]
    elif os.name == "nt" and re.match(r"[^/\\.~:]+[/\\]", path):  # file://server/share, as Windows itself writes it
        path = f"//{path}"
    return _folder_url(path)


def _folder_url(name: str) -> str:
    if _WINDOWS.match(name):
        path = PureWindowsPath(name).as_posix()
        return f"file:{quote(path)}" if path.startswith("//") else f"file:///{path[:2]}{quote(path[2:])}"
    try:
        return Path(name).expanduser().absolute().as_uri()
    except RuntimeError as error:
        raise SourceError(f"{name!r}: {error}; write the folder's whole path") from None
