"""What people paste that is no source, known by its text alone, and what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import parse_qs, unquote

from .errors import SourceError

__all__ = ["FOREIGN", "refuse_file", "refuse_page", "refuse_scheme", "refuse_view", "shown"]

_AS_ARRAY = "read it into an array with a reader of that format, and give the array in the source's place"
_AS_VOLUME = "find the copy of the data that is published as precomputed or zarr, or export one, and name that"
_UNPACKED = "unpack it, and name the folder it makes"

# Formats, services and adapters that Neuroglancer, TensorStore and CloudVolume name, by their scheme.
FOREIGN = {
    "boss": (
        "a BossDB service",
        "name the copy at precomputed://s3://bossdb-open-data/…, if it is there",
    ),
    "brainmaps": ("a Google BrainMaps service", _AS_VOLUME),
    "dvid": ("a DVID service", _AS_VOLUME),
    "render": ("a Render service", _AS_VOLUME),
    "nggraph": ("an nggraph service", _AS_VOLUME),
    "deepzoom": ("a picture in tiles (Deep Zoom), which has no third axis", _AS_VOLUME),
    "nifti": ("a NIfTI file", _AS_ARRAY),
    "vtk": ("a mesh in a VTK file", "name the volume that the mesh was made from"),
    "obj": ("a mesh in an OBJ file", "name the volume that the mesh was made from"),
    "python": ("an array inside a running Python viewer", "give the array itself in the source's place"),
    "local": ("kept in a Neuroglancer link alone, such as local annotations", "name the layer's volume"),
    "mem": ("in the memory of one CloudFiles process", "give the array itself in the source's place"),
    "zip": ("inside a zip file", _UNPACKED),
    "gzip": ("inside a gzip file", _UNPACKED),
    "byte-range": ("a part of a file", _AS_ARRAY),
    "ocdbt": (
        "in an OCDBT database",
        "copy it with TensorStore to a plain zarr folder, and name that",
    ),
    "icechunk": ("in an Icechunk repository", "export it to a plain zarr folder, and name that"),
    "kvstack": ("in a TensorStore stack of stores", "name the store that holds the data"),
}
# CloudFiles' own names for servers; `cloudfiles alias ls` lists those that a user has added.
_ALIASES = {
    "matrix": "https://s3-hpcrc.rc.princeton.edu",
    "tigerdata": "https://td.princeton.edu",
    "nokura": "https://c10s.pni.princeton.edu",
}
_FILES = {
    **dict.fromkeys(("png", "jpg", "jpeg", "gif", "bmp", "webp", "svg"), ("a picture", _AS_ARRAY)),
    **dict.fromkeys(("tif", "tiff", "btf"), ("a TIFF file", _AS_ARRAY)),
    **dict.fromkeys(("nii", "nii.gz", "nrrd", "mrc", "dm3", "dm4", "czi", "nd2", "lif"), ("one file", _AS_ARRAY)),
    **dict.fromkeys(("npy", "npz", "h5", "hdf5", "hdf", "mat", "csv", "parquet"), ("one file", _AS_ARRAY)),
    **dict.fromkeys(("mp4", "avi", "mov", "mkv"), ("a movie", _AS_ARRAY)),
    **dict.fromkeys(("zip", "tar", "tgz", "tar.gz", "7z"), ("an archive", _UNPACKED)),
    **dict.fromkeys(("ply", "stl", "obj", "glb", "swc"), ("a mesh or a skeleton", "name the volume it was made from")),
    **dict.fromkeys(("html", "htm"), ("a web page", "name the folder of the data that it shows")),
}
_VIEW = re.compile(r"^(?:\w+://)?(?:middleauth\+)?https?://[^|]*(?:#!|[?&]json_url=|/nglstate/)", re.IGNORECASE)


def shown(text: str) -> str:
    """Quote a source for a message, without what may be a secret in it: user, password, values of a query.

    Examples
    --------
    >>> shown("https://me:pass@example.org/em?sig=abc&v=1")
    "'https://…@example.org/em?sig=…&v=…'"
    """
    text = re.sub(r"(?<=://).*@", "…@", text)
    text = re.sub(r"([?&#][\w.-]+)=[^&#|]+", r"\1=…", text)
    return repr(text if len(text) <= 200 else text[:197] + "...")


def refuse_view(text: str) -> None:
    """Refuse a link to a view in Neuroglancer, or the JSON of one, and name the sources of its layers if it says them.

    Raises
    ------
    SourceError
        If the text is one.
    """
    if not (_VIEW.match(text) or text.startswith("{")):
        return
    state = text if text.startswith("{") else text.partition("#!")[2]
    layers = [f"{name}: {source}" for name, source in _layers_of(state)]
    what = "the state of a view in Neuroglancer" if text.startswith("{") else "a link to a view in Neuroglancer"
    cure = (
        f" of one of its layers: {'; '.join(layers[:8])}" if layers else ", which stands in a layer's Source tab there"
    )
    raise SourceError(
        f"{shown(text)} is {what}, not a source; pass it to imageryclient.from_neuroglancer, or name the source{cure}"
    )


def _layers_of(state: str) -> Iterator[tuple[str, str]]:
    """Give name and source of each layer of a state; nothing where the state is no JSON, as it then is elsewhere."""
    document: Any = None
    for text in (state, unquote(state)):
        try:
            document = json.loads(text)
            break
        except ValueError:
            continue
    layers = document.get("layers") if isinstance(document, dict) else None
    named = layers.items() if isinstance(layers, dict) else enumerate(layers if isinstance(layers, list) else [])
    for name, layer in named:
        if not isinstance(layer, dict):
            continue
        sources = layer.get("source")
        for source in sources if isinstance(sources, list) else [sources]:
            url = source.get("url") if isinstance(source, dict) else source
            if isinstance(url, str) and not url.startswith("local://"):
                yield str(layer.get("name", name)), shown(url)


def refuse_scheme(scheme: str, text: str, reads: str) -> NoReturn:
    """Refuse a format, a service or a store that is not read here; `reads` says which are.

    Raises
    ------
    SourceError
        Always.
    """
    if scheme in FOREIGN:
        what, cure = FOREIGN[scheme]
        raise SourceError(f"{shown(text)} is {what}, which this package does not read; {cure}")
    if scheme in _ALIASES:
        path = text.partition(f"{scheme}://")[2]
        raise SourceError(
            f"{shown(text)}: {scheme}:// is a name that CloudFiles gives a server; write it out: "
            f"s3://{_ALIASES[scheme]}/{path or 'BUCKET/PATH'}"
        )
    if scheme == "ngauth+https":
        raise SourceError(f"{shown(text)}: write gs://BUCKET/PATH; your own Google credentials are used where it asks")
    raise SourceError(
        f"{shown(text)}: {scheme}:// is neither a format nor a place that is read here; {reads}. If it is an alias "
        "of CloudFiles, write its server out: s3://https://SERVER/BUCKET/PATH"
    )


def refuse_page(address: str, text: str) -> None:
    """Refuse the pages that clouds show of their buckets.

    Raises
    ------
    SourceError
        If the address is one; the message has the bucket's.
    """
    page = re.match(r"https?://([^/?#]+)/?([^?#]*)(\?[^#]*)?", address, re.IGNORECASE)
    if page is None:
        return
    host, path, query = page[1].lower(), unquote(page[2]).strip("/"), page[3] or "?"
    bucket = ""
    if host == "console.cloud.google.com":
        folder = re.match(r"storage/browser/(?:_details/)?(.*)", path)
        bucket = f"gs://{folder[1].partition(';')[0]}" if folder else "gs://BUCKET/PATH"
    elif host == "storage.cloud.google.com":
        bucket = f"gs://{path}"
    elif host.endswith("console.aws.amazon.com"):
        name = re.match(r"s3/(?:buckets|object)/([^/]+)", path)
        prefix = parse_qs(query[1:]).get("prefix", [""])[0].rstrip("/")
        bucket = f"s3://{name[1]}/{prefix}".rstrip("/") if name else "s3://BUCKET/PATH"
    elif host == "portal.azure.com":
        bucket = "az://ACCOUNT/CONTAINER/PATH"
    if bucket:
        raise SourceError(f"{shown(text)} is a web page about a bucket; write the bucket's address: {bucket}")


def refuse_file(path: str, text: str) -> None:
    """Refuse an address whose last part ends as files of other kinds do.

    Raises
    ------
    SourceError
        If it does.
    """
    name = path.rpartition("/")[2].lower()
    for end, (what, cure) in _FILES.items():
        if name.endswith(f".{end}"):
            raise SourceError(
                f"{shown(text)} is {what} by its name, not a volume; {cure}. If it is a folder that only has such a "
                "name, end it with a slash"
            )
