"""What a source chooses of what lies there: an array or an image, channels, and what its metadata leave out."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from ..errors import ArgumentError, SourceError
from ..geometry import Resolution, as_resolution

__all__ = ["Choice", "parse_choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A path within a Zarr or N5 container, and what to take of the array there.

    Parameters
    ----------
    path : str
        Of a group or an array; "" for the container itself.
    picks : tuple of (str, int)
        An axis other than x, y, z, and the index to take along it.
    resolution : tuple of float or None
        nm per voxel along x, y, z of the finest scale; goes before what the metadata say.
    axes : tuple of str or None
        Names of the array's axes in the order of its shape; goes before what the metadata say.
    format : str
        What the source calls the format, for messages.
    fragment : str
        The choices as they were given, likewise.
    """

    path: str = ""
    picks: tuple[tuple[str, int], ...] = ()
    resolution: Resolution | None = None
    axes: tuple[str, ...] | None = None
    format: str = field(default="zarr", compare=False)
    fragment: str = field(default="", compare=False)

    def ending(self, more: str) -> str:
        """Give the end of a source that chooses `more`, as it may stand after any place.

        Examples
        --------
        >>> parse_choice("raw#axes=zyx", "", "zarr2").ending("resolution=4,4,40")
        '|zarr2:raw#axes=zyx&resolution=4,4,40'
        """
        return f"|{self.format}:{self.path}#{self.fragment}{'&' if self.fragment else ''}{more}"


def parse_choice(inner: str, source: str, format: str = "zarr") -> Choice:
    """Read `PATH#c=1&t=0&resolution=4,4,40&axes=zyx`, of which every part may be left out.

    Parameters
    ----------
    inner : str
        The text. `resolution` is nm per voxel along x, y, z, whatever the order of the axes; `axes` names the axes in
        the order of the array's shape, by letters or with commas. Any other name is an axis, and its value the index
        to take along it.
    source, format : str
        For messages.

    Raises
    ------
    SourceError
        If it is not of that form.

    Examples
    --------
    >>> parse_choice("labels/cells#c=1&resolution=4,4,40&axes=czyx", "").picks
    (('c', 1),)
    >>> parse_choice("volumes/raw/s0/", "").path
    'volumes/raw/s0'
    """
    path, _, query = inner.partition("#")
    path = posixpath.normpath(path.strip("/")) if path.strip("/") else ""
    if path.startswith(".."):
        raise SourceError(f"{source}: the path {path!r} climbs out of the container")
    picks: dict[str, int] = {}
    resolution: Resolution | None = None
    axes: tuple[str, ...] | None = None
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "resolution":
            try:
                resolution = as_resolution([float(part) for part in value.split(",")])
            except (ValueError, ArgumentError):
                raise SourceError(
                    f"{source}: resolution={value!r} is not three positive numbers, nm along x, y, z, such as 4,4,40"
                ) from None
        elif name == "axes":
            axes = tuple(part.strip() for part in value.split(",")) if "," in value else tuple(value)
            if len(set(axes)) != len(axes) or not all(axes):
                raise SourceError(f"{source}: axes={value!r} must name each axis once, such as zyx or c,z,y,x")
        elif value.isdecimal() and name not in ("x", "y", "z"):
            picks[name] = int(value)
        else:
            raise SourceError(
                f"{source}: {name}={value!r} chooses nothing; write an index along an axis other than x, y, z "
                "(c=1), resolution=4,4,40 or axes=zyx"
            )
    return Choice("" if path == "." else path, tuple(picks.items()), resolution, axes, format, query)
