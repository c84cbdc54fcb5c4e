"""Which arrays are the scales of one volume, and where each of them lies, from OME-Zarr's `multiscales`.

Of OME-Zarr 0.1 to 0.5, of 0.6 where it says the same, and of the form that COSEM's Zarr and N5 have, `transform`.
Specified at https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import FormatError
from .units import nm_per

__all__ = ["Axis", "Level", "axis_kind", "ome_attributes", "parse_multiscales", "parse_transform", "whereabouts"]

_OLDEST_AXES = ("t", "c", "z", "y", "x")  # of 0.1 and 0.2, which do not name them
_KINDS = {"space": ("x", "y", "z"), "time": ("t", "time"), "channel": ("c", "channel", "channels", "c^", "c'")}
_MANY = 12


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a level.

    Parameters
    ----------
    name : str
        Such as `"x"`, `"c"` or `"t"`.
    kind : str
        `"space"`, `"channel"`, `"time"` or `""`.
    nm : float or None
        nm per unit along it; None where its unit is no length, or is not said.
    """

    name: str
    kind: str = ""
    nm: float | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One scale as the metadata of the group have it.

    Parameters
    ----------
    path : str
        Of its array, relative to the group.
    axes : tuple of Axis or None
        In the order of the array's shape; None where the group does not say.
    spacing : mapping of str to float
        Size of a voxel by axis, in the axis's unit; empty where the group does not say.
    center : mapping of str to float
        Where the centre of the first voxel lies, likewise; 0 for axes left out.
    """

    path: str
    axes: tuple[Axis, ...] | None = None
    spacing: Mapping[str, float] = field(default_factory=dict)
    center: Mapping[str, float] = field(default_factory=dict)

    def at(self, path: str) -> Level:
        """Give the same level under another path."""
        return replace(self, path=path)


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what OME-Zarr says in the attributes of a group: under `ome` since 0.5, among the others before."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def parse_multiscales(attributes: Mapping[str, Any]) -> list[Level]:
    """Read the levels of the first image of a group; none where it has no `multiscales`.

    Raises
    ------
    FormatError
        If the metadata are not what OME-Zarr says, or hold a rotation or another transformation that moves voxels off
        the axes.

    Examples
    --------
    >>> axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    >>> datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.04, 0.004, 0.004]}]}]
    >>> level, = parse_multiscales({"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]})
    >>> level.path, level.spacing, level.axes[0]
    ('0', {'z': 0.04, 'y': 0.004, 'x': 0.004}, Axis(name='z', kind='space', nm=1000.0))
    """
    images = ome_attributes(attributes).get("multiscales")
    if not isinstance(images, list) or not images or not isinstance(images[0], Mapping):
        return []
    image = images[0]
    datasets = image.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise FormatError("multiscales lists no datasets")
    axes = _axes(image)
    levels = []
    for dataset in datasets:
        if not isinstance(dataset, Mapping) or not isinstance(dataset.get("path"), str):
            raise FormatError(f"multiscales lists a dataset without a path: {dataset!r}"[:200])
        path = dataset["path"]
        own = dataset.get("coordinateTransformations")
        if own is None and isinstance(dataset.get("transform"), Mapping):
            levels.append(parse_transform(path, dataset["transform"]))
        elif own is None or axes is None:
            levels.append(Level(path, axes))
        else:
            spacing, center = _composed(own, image.get("coordinateTransformations"), len(axes))
            names = [axis.name for axis in axes]
            level = Level(path, axes, dict(zip(names, spacing, strict=True)), dict(zip(names, center, strict=True)))
            levels.append(level)
    return levels


def parse_transform(path: str, transform: Mapping[str, Any]) -> Level:
    """Read COSEM's `transform`: axes, scale, translate and units, the axes z first whatever the array's order.

    Raises
    ------
    FormatError
        If it is not such a transform.

    Examples
    --------
    >>> parse_transform("s0", {"axes": ["z", "y", "x"], "scale": [5.24, 4, 4], "translate": [0, 0, 0],
    ...                        "units": ["nm", "nm", "nm"]}).spacing
    {'z': 5.24, 'y': 4.0, 'x': 4.0}
    """
    names = transform.get("axes")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"the transform of {path} names no axes")
    scale = _numbers(transform.get("scale"), len(names), f"the scale of {path}", positive=True)
    center = _numbers(transform.get("translate", [0] * len(names)), len(names), f"the translation of {path}")
    units = transform.get("units")
    if not isinstance(units, list) or len(units) != len(names):
        units = [None] * len(names)
    axes = tuple(Axis(name, axis_kind(name), nm_per(unit)) for name, unit in zip(names, units, strict=True))
    return Level(path, axes, dict(zip(names, scale, strict=True)), dict(zip(names, center, strict=True)))


def whereabouts(attributes: Mapping[str, Any]) -> str:
    """Say what to add to a source that names a group without an image of its own; "" if nothing is known of it."""
    ome = ome_attributes(attributes)
    plate, well, labels = ome.get("plate"), ome.get("well"), ome.get("labels")
    if isinstance(plate, Mapping):
        names = _paths(plate.get("wells"))
        example = names[0] if names else "A/1"
        return f"it is a plate; name a field of a well, WELL/FIELD such as {example}/0; its wells are {_listed(names)}"
    if isinstance(well, Mapping):
        return f"it is a well of a plate; name one of its fields: {_listed(_paths(well.get('images')))}"
    if isinstance(labels, list):
        return f"it holds labels; name one of them: {_listed([str(name) for name in labels])}"
    if isinstance(ome.get("series"), list):
        return f"it lists images; name one of them: {_listed([str(name) for name in ome['series']])}"
    return ""


def _paths(value: object) -> list[str]:
    return (
        [str(one["path"]) for one in value if isinstance(one, Mapping) and "path" in one]
        if isinstance(value, list)
        else []
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")


def _axes(image: Mapping[str, Any]) -> tuple[Axis, ...] | None:
    axes, systems = image.get("axes"), image.get("coordinateSystems")
    if axes is None and isinstance(systems, list) and systems and isinstance(systems[-1], Mapping):
        axes = systems[-1].get("axes")  # of 0.6, where the last one is that of the image
    if axes is None:
        return (
            tuple(Axis(name, axis_kind(name)) for name in _OLDEST_AXES)
            if image.get("version") in ("0.1", "0.2")
            else None
        )
    if not isinstance(axes, list):
        raise FormatError(f"axes are {axes!r} instead of a list"[:200])
    found = []
    for axis in axes:
        fields = {"name": axis} if isinstance(axis, str) else axis  # strings in 0.3
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
            raise FormatError(f"an axis has no name: {axis!r}"[:200])
        name = fields["name"]
        kind = fields.get("type")
        found.append(Axis(name, kind if isinstance(kind, str) else axis_kind(name), nm_per(fields.get("unit"))))
    if len({axis.name for axis in found}) < len(found):
        raise FormatError(f"two axes have one name: {[axis.name for axis in found]}")
    return tuple(found)


def axis_kind(name: str) -> str:
    """Tell what an axis is from its name alone."""
    return next((kind for kind, names in _KINDS.items() if name.lower() in names), "")


def _composed(own: object, shared: object, rank: int) -> tuple[list[float], list[float]]:
    """Compose scales and translations in the order in which they are listed, those of the whole image last."""
    scale, shift = [1.0] * rank, [0.0] * rank
    for step in [*_steps(own), *_steps(shared)]:
        kind = step.get("type")
        if kind == "scale":
            factors = _numbers(step.get("scale"), rank, "a scale", positive=True)
            scale = [a * f for a, f in zip(scale, factors, strict=True)]
            shift = [a * f for a, f in zip(shift, factors, strict=True)]
        elif kind == "translation":
            shift = [
                a + d for a, d in zip(shift, _numbers(step.get("translation"), rank, "a translation"), strict=True)
            ]
        elif kind != "identity":
            raise FormatError(
                f"a coordinate transformation of type {kind!r} cannot be read; identity, scale and translation can"
            )
    return scale, shift


def _steps(value: object) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(step, Mapping) for step in value):
        raise FormatError(f"coordinateTransformations are {value!r} instead of a list of objects"[:200])
    steps: list[Mapping[str, Any]] = []
    for step in value:
        steps += _steps(step.get("transformations")) if step.get("type") == "sequence" else [step]
    return steps


def _numbers(value: object, count: int, what: str, *, positive: bool = False) -> list[float]:
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(type(n) in (int, float) and math.isfinite(n) and (n > 0 or not positive) for n in value)
    ):
        raise FormatError(f"{what} must be {count} {'positive ' if positive else ''}numbers; it is {value!r}"[:200])
    return [float(n) for n in value]
