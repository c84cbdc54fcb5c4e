"""A source opened as a volume: in the format it names, or in the one that is found by looking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Literal, cast

from ..cachefolder import CacheFolder
from ..cloudpath import DOCUMENTS, CloudPath, Format, parse_source
from ..errors import AccessError, NotFoundError, SourceError
from ..storage import Patience, Store, open_store
from .base import Volume
from .documents import find_format, hint_for, read_document
from .graphene import GrapheneVolume
from .precomputed import PrecomputedVolume

__all__ = ["open_volume"]

_TABLE = re.compile(r"/segmentation/(?:[^/]+/)*table/[^/]+$")


def open_volume(
    source: str | PathLike[str] | CloudPath,
    token: str | None = None,
    patience: Patience | None = None,
    disk: CacheFolder | None = None,
) -> Volume:
    """Open the volume that a source string names.

    Parameters
    ----------
    source : str, path or CloudPath
        Such as `precomputed://gs://bucket/folder`, `graphene://https://server/segmentation/table/name`,
        `s3://bucket/image.zarr/|zarr3:` or a folder. Where it names no format, the documents that lie there tell it.
    token : str, optional
        Sent to the source's own server, and only where the source says that a token is asked for.
    patience : Patience, optional
        Time-outs and tries.
    disk : CacheFolder, optional
        Where chunks from servers are kept between processes.

    Returns
    -------
    Volume
        With integers that are ids, a `SegmentationVolume`.

    Raises
    ------
    SourceError
        If the source names nothing that can be read.
    NotFoundError, FormatError, StorageError
        If nothing, or something else, lies there, or the server does not answer.
    MissingExtraError
        If the format needs a package that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> folder = write_precomputed(
    ...     tempfile.mkdtemp(), [(np.zeros((8, 8, 4), np.uint8), Layout(resolution=(8, 8, 40)))], kind="image")
    >>> open_volume(str(folder)).info.scales[0].bounds.shape
    (8, 8, 4)
    """
    path = source if isinstance(source, CloudPath) else parse_source(source)
    patience = patience or Patience()
    if path.folder is not None and path.folder.name in DOCUMENTS and path.folder.is_file():
        layout = path.format or DOCUMENTS[path.folder.name]
        path = replace(path, format=layout, url=path.url.rpartition("/")[0])
    if path.format == "graphene":
        return GrapheneVolume.open_served(path, token, patience, disk)
    store = open_store(path.url, token if path.middleauth else None, patience, disk, path.endpoint)
    try:
        layout = path.format or find_format(path, store)
        return _open_precomputed(path, store) if layout == "precomputed" else _open_zarr(path, layout, store)
    except AccessError as error:
        if _TABLE.search(path.url):
            raise AccessError(f"{error}. A segmentation of CAVE is written graphene://{path.url}") from None
        raise


def _open_precomputed(path: CloudPath, store: Store) -> PrecomputedVolume:
    document = read_document(store, "info", path.source)
    if document is None:
        raise NotFoundError(
            f"{path}: there is no info document at {store.url}/info, so this is not a precomputed volume; "
            f"{hint_for(path, store) or 'check the address'}"
        )
    if isinstance(document, Mapping):
        if "scales" in document and "data_dir" in document and ("graph" in document or "app" in document):
            raise SourceError(f"{path} is a proofread segmentation, served by CAVE; write graphene://{path.url}")
        if "scales" not in document and isinstance(document.get("redirect"), str):
            raise SourceError(f"{path}: the info document there sends on to another place; name {document['redirect']}")
    return PrecomputedVolume.open(path.source, store)


def _open_zarr(path: CloudPath, layout: Format, store: Store) -> Volume:
    from .zarr import ZarrVolume

    named = cast(Literal["zarr", "zarr2", "zarr3", "n5"], layout)
    try:
        return ZarrVolume.open(path.source, store, named, path.inner)
    except NotFoundError as error:
        hint = "" if path.inner.partition("#")[0] else hint_for(path, store)
        if hint:
            raise NotFoundError(f"{error}; {hint}") from None
        raise
