"""Volumes: layers of voxels that can be read by box and scale, whatever they are stored as."""

from __future__ import annotations

from ..cachefolder import CacheFolder
from ..cloudpath import CloudPath, parse_source
from ..storage import Patience, open_store
from .base import Block, IdsWanted, SegmentationVolume, Volume, default_scale, scale_at
from .graphene import GrapheneVolume
from .precomputed import PrecomputedSegmentation, PrecomputedVolume

__all__ = [
    "Block",
    "GrapheneVolume",
    "IdsWanted",
    "PrecomputedSegmentation",
    "PrecomputedVolume",
    "SegmentationVolume",
    "Volume",
    "default_scale",
    "open_volume",
    "scale_at",
]


def open_volume(
    source: str | CloudPath,
    token: str | None = None,
    patience: Patience | None = None,
    disk: CacheFolder | None = None,
) -> Volume:
    """Open the volume that a source string names.

    Parameters
    ----------
    source : str or CloudPath
        Such as `precomputed://gs://bucket/folder`, `graphene://https://server/segmentation/table/name` or a folder.
    token : str, optional
        Sent to the source's own server, and only where the source says that a token is asked for.
    patience : Patience, optional
        Time-outs and tries.
    disk : CacheFolder, optional
        Where chunks from servers are kept between processes.

    Raises
    ------
    SourceError
        If the source names nothing that can be read.
    NotFoundError, FormatError, StorageError
        If nothing, or something else, lies there, or the server does not answer.

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
    if path.format == "graphene":
        return GrapheneVolume.open_served(path, token, patience, disk)
    store = open_store(path.url, token if path.middleauth else None, patience, disk)
    return PrecomputedVolume.open(path.source, store)
