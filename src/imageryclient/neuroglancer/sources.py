"""Source strings as a Neuroglancer viewer takes them."""

from __future__ import annotations

from ..cloudpath import parse_source
from ..errors import ArgumentError

__all__ = ["viewer_source"]


def viewer_source(source: str) -> str:
    """Give a source string in the form that a viewer opens.

    Raises
    ------
    ArgumentError
        If the data lie in a folder of this machine, which a viewer cannot reach.

    Examples
    --------
    >>> viewer_source("graphene://https://example.org/segmentation/table/t")
    'graphene://middleauth+https://example.org/segmentation/table/t'
    """
    path = parse_source(source)
    if path.folder is not None:
        raise ArgumentError(
            f"{source} lies on this machine, where a viewer cannot reach it; serve it with `imageryclient serve "
            "FOLDER` and name it by the address that prints"
        )
    if path.endpoint is not None or path.inner:
        return path.source
    prefix = f"{path.format}://" if path.format else ""
    return f"{prefix}{'middleauth+' if path.middleauth else ''}{path.url}"
