"""Which N5 datasets are the scales of one volume, by the attributes that N5's tools give groups and datasets.

n5-viewer's `scales`, `downsamplingFactors`, `pixelResolution`, `resolution`, `units`, and COSEM's `multiscales` and
`transform`, read as Neuroglancer reads the former. See
https://github.com/saalfeldlab/n5-viewer and https://github.com/janelia-cellmap/schemas/blob/master/multiscale.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import FormatError
from .multiscales import Axis, Level, axis_kind, parse_multiscales, parse_transform
from .units import nm_per

__all__ = ["INHERITED", "array_level", "group_levels", "level_names", "n5_axes"]

INHERITED = ("downsamplingFactors", "scales", "resolution", "pixelResolution", "units", "axes")
_DEFAULT_AXES = ("x", "y", "z", "t", "c")  # as Neuroglancer takes them
_MOST_LEVELS = 30


def n5_axes(names: Sequence[Any]) -> tuple[str, ...]:
    """Name the axes of a dataset, x first, where it does not."""
    rank = len(names)
    found = [name for name in names if name and isinstance(name, str)]
    if len(found) == rank:
        return tuple(found)
    return (*_DEFAULT_AXES[:rank], *(f"d{n + 1}" for n in range(len(_DEFAULT_AXES), rank)))


def group_levels(attributes: Mapping[str, Any]) -> list[Level]:
    """Give the levels that a group lists; none where it lists none, and its datasets s0, s1, … must be looked at.

    Raises
    ------
    FormatError
        If the attributes are not what they should be.

    Examples
    --------
    >>> levels = group_levels({"scales": [[1, 1, 1], [2, 2, 1]],
    ...                        "pixelResolution": {"dimensions": [4, 4, 40], "unit": "nm"}})
    >>> [(level.path, level.spacing) for level in levels]
    [('s0', {'x': 4.0, 'y': 4.0, 'z': 40.0}), ('s1', {'x': 8.0, 'y': 8.0, 'z': 40.0})]
    """
    levels = parse_multiscales(attributes)
    if levels and levels[0].spacing:
        return levels
    factors = attributes.get("scales", attributes.get("downsamplingFactors"))
    if not isinstance(factors, list) or not factors or not all(isinstance(one, list) for one in factors):
        return []
    return [_level(f"s{n}", attributes, one) for n, one in enumerate(factors)]


def level_names() -> list[str]:
    """Name the datasets that may be levels of a group that lists none."""
    return [f"s{n}" for n in range(_MOST_LEVELS)]


def array_level(path: str, attributes: Mapping[str, Any]) -> Level:
    """Give what a dataset says of itself, with what it inherits of its groups.

    Raises
    ------
    FormatError
        If the attributes are not what they should be.
    """
    transform = attributes.get("transform")
    if isinstance(transform, Mapping) and "scale" in transform:
        return parse_transform(path, transform)
    factors = attributes.get("downsamplingFactors")
    dimensions = attributes.get("dimensions")
    rank = len(dimensions) if isinstance(dimensions, list) else 3
    single = isinstance(factors, list) and factors and not isinstance(factors[0], list)
    return _level(path, attributes, factors if single else [1] * rank)


def _level(path: str, attributes: Mapping[str, Any], factors: Any) -> Level:
    factors = _positive(factors, "downsampling factors")
    names = attributes.get("axes")
    names = n5_axes(names if isinstance(names, list) and len(names) == len(factors) else [None] * len(factors))
    resolution, units = _resolution(attributes)
    if resolution is None:
        return Level(path, tuple(Axis(name, axis_kind(name)) for name in names), {}, dict.fromkeys(names, 0.0))
    if len(resolution) > len(names):
        raise FormatError(f"the resolution of {path} has {len(resolution)} numbers for {len(names)} axes")
    # There may be fewer, of x, y and z alone.
    axes = tuple(Axis(name, axis_kind(name), nm_per(unit)) for name, unit in zip(names, units, strict=False))
    spacing = {name: r * f for name, r, f in zip(names, resolution, factors, strict=False)}
    return Level(path, axes, spacing, dict.fromkeys(names, 0.0))


def _resolution(attributes: Mapping[str, Any]) -> tuple[list[float] | None, list[Any]]:
    """Give the size of a voxel of the finest level, and its units; nm where none are named."""
    found: Any = attributes.get("resolution")
    unit: Any = "nm"
    pixel = attributes.get("pixelResolution")
    if isinstance(pixel, Mapping):
        unit = pixel.get("unit", "nm")
        found = pixel.get("dimensions", found)
    elif isinstance(pixel, list):
        found = pixel
    if found is None:
        return None, []
    resolution = _positive(found, "resolution")
    units = attributes.get("units")
    listed = isinstance(units, list) and len(units) == len(resolution) and not isinstance(pixel, Mapping)
    return resolution, list(units) if listed and isinstance(units, list) else [unit] * len(resolution)


def _positive(value: object, what: str) -> list[float]:
    if not isinstance(value, list) or not value or not all(type(n) in (int, float) and n > 0 for n in value):
        raise FormatError(f"{what} must be positive numbers; they are {value!r}"[:200])
    return [float(n) for n in value]
