"""The formats of an export, a module for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from ...errors import ArgumentError
from ..workspace import Workspace
from .base import ArrayLayout, Layout, OutputFormat, Products

__all__ = [
    "ArrayLayout",
    "FormatName",
    "Layout",
    "OutputFormat",
    "Products",
    "open_format",
    "parse_format",
    "places_per_file",
    "workspace_for",
]

FormatName = Literal["zarr", "npz", "png", "tiff", "h5"]


def parse_format(name: object) -> FormatName:
    """Check the `format` argument.

    Examples
    --------
    >>> parse_format("zarr")
    'zarr'
    """
    if name not in get_args(FormatName):
        raise ArgumentError(f"format must be one of {', '.join(get_args(FormatName))}; got {name!r}")
    return cast(FormatName, name)


def workspace_for(name: FormatName, output: Path) -> Workspace:
    """Give the place where an output of a format lies."""
    return Workspace(output, single=name == "h5")


def places_per_file(name: FormatName, layout: Layout, asked: int | None) -> int | None:
    """Give the places whose chunks lie in one file, as asked for or as it fits; None in formats that do not choose.

    Raises
    ------
    ArgumentError
        If it is no such number, or the format has no shards.

    Examples
    --------
    >>> places_per_file("zarr", Layout(100, (64, 64, 8), "uint8", 1, True), 1000)
    100
    """
    if name != "zarr":
        if asked is not None:
            raise ArgumentError(f"places_per_shard= is for format='zarr'; {name} has no shards")
        return None
    if asked is None:
        from .zarr import fitting_shards

        return fitting_shards(layout)
    if isinstance(asked, bool) or not isinstance(asked, (int, np.integer)) or asked < 1:
        raise ArgumentError(f"places_per_shard must be a whole number from 1, or None; got {asked!r}")
    return min(int(asked), max(layout.count, 1))


def open_format(name: FormatName, workspace: Workspace, layout: Layout) -> OutputFormat:
    """Give the writer of a format.

    Raises
    ------
    ArgumentError
        If it cannot hold what the layout says.
    MissingExtraError
        If a package that it needs is not installed.
    """
    return _OPENERS[name](workspace, layout)


def _zarr(workspace: Workspace, layout: Layout) -> OutputFormat:
    from .zarr import ZarrFormat

    return ZarrFormat(workspace, layout)


def _npz(workspace: Workspace, layout: Layout) -> OutputFormat:
    from .npz import NpzFormat

    return NpzFormat(workspace, layout)


def _png(workspace: Workspace, layout: Layout) -> OutputFormat:
    from .png import PngFormat

    return PngFormat(workspace, layout)


def _tiff(workspace: Workspace, layout: Layout) -> OutputFormat:
    from .tiff import TiffFormat

    return TiffFormat(workspace, layout)


def _h5(workspace: Workspace, layout: Layout) -> OutputFormat:
    from .h5 import H5Format

    return H5Format(workspace, layout)


_OPENERS: dict[FormatName, Callable[[Workspace, Layout], OutputFormat]] = {
    "zarr": _zarr,
    "npz": _npz,
    "png": _png,
    "tiff": _tiff,
    "h5": _h5,
}
