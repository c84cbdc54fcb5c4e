"""The JSON state of a Neuroglancer viewer, read as a `View`.

States of today and those of the older viewer (`navigation`, voxel sizes in nm) are read alike. The format is that
of Neuroglancer's `viewer_state` and, for older ones, of the seung-lab fork; ids stay text until they are integers
of 64 bits, numbers of a pose are float64.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import Resolution
from .views import UNTURNED, Kind, LayerView, View

__all__ = ["parse_state"]

_METRES = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "nm": 1e-9, "pm": 1e-12, "Å": 1e-10, "angstrom": 1e-10}
_POWER = re.compile(
    r"emitGrayscale\(\s*pow\(\s*normalized\(\)\s*,\s*([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*\)\s*\)"
)
_KINDS: dict[str, Kind] = {
    "image": "image",
    "segmentation": "segmentation",
    "segmentation_with_graph": "segmentation",
    "annotation": "annotation",
    "pointAnnotation": "annotation",
}


def parse_state(state: Mapping[str, Any]) -> View:
    """Read the state of a viewer.

    Parameters
    ----------
    state : mapping
        As JSON has it.

    Raises
    ------
    ArgumentError
        If it names no place, or a field cannot be what it should be; the message names the field.

    Examples
    --------
    >>> view = parse_state({
    ...     "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
    ...     "position": [240640.5, 207872.5, 21360.5], "crossSectionScale": 2,
    ...     "layers": [{"type": "segmentation", "name": "seg", "source": "graphene://https://example.org/seg",
    ...                 "segments": ["864691135341362885", "!5"]}]})
    >>> view.position, view.voxel_size, view.nm_per_pixel
    ((240640.5, 207872.5, 21360.5), (4.0, 4.0, 40.0), 8.0)
    >>> view.layers[0].segments, view.layers[0].listed
    ((864691135341362885,), (5,))
    """
    if "navigation" in state:
        center, voxel_size, scale, turn = _old_pose(_mapping(state["navigation"], "navigation"))
    else:
        center, voxel_size, scale, turn = _pose(state)
    listed = state.get("layers") or []
    if isinstance(listed, Mapping):  # the oldest states name layers by key
        listed = [{"name": name, **_mapping(layer, f"layers.{name}")} for name, layer in listed.items()]
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ArgumentError(f"the state's 'layers' must be a list; it is {listed!r:.80}")
    layers = tuple(_layer(_mapping(layer, f"layers[{n}]"), n) for n, layer in enumerate(listed))
    layout = state.get("layout", "4panel")
    if isinstance(layout, Mapping):
        layout = layout.get("type", "4panel")
    return View(center, voxel_size, scale, turn, str(layout), layers)


_Pose = tuple[tuple[float, float, float], Resolution, float, tuple[float, float, float, float]]


def _pose(state: Mapping[str, Any]) -> _Pose:
    dimensions = _mapping(state.get("dimensions") or {}, "dimensions")
    axes = [axis for axis in ("x", "y", "z") if axis in dimensions]
    if len(axes) < 3:
        raise ArgumentError(
            f"the state's 'dimensions' must name x, y and z; there is {', '.join(dimensions) or 'nothing'}, so that "
            "its place has no unit"
        )
    x, y, z = (_nm(dimensions[axis], f"dimensions.{axis}") for axis in axes)
    order = list(dimensions)
    position = state.get("position")
    if position is None:
        raise ArgumentError("the state has no 'position', so that it names no place")
    numbers = _numbers(position, "position", None)
    if len(numbers) < len(order):
        raise ArgumentError(f"the state's 'position' must hold {len(order)} numbers; it is {position!r:.80}")
    voxels = [numbers[order.index(axis)] for axis in axes]
    shown = state.get("displayDimensions") or axes
    sizes = dict(zip(axes, (x, y, z), strict=True))
    smallest = min((sizes[axis] for axis in shown if axis in sizes), default=min(x, y, z))
    scale = _number(state.get("crossSectionScale", 1.0), "crossSectionScale") * smallest
    turn = _quaternion(state.get("crossSectionOrientation"), "crossSectionOrientation")
    return (voxels[0] * x, voxels[1] * y, voxels[2] * z), (x, y, z), scale, turn


def _old_pose(navigation: Mapping[str, Any]) -> _Pose:
    pose = _mapping(navigation.get("pose") or {}, "navigation.pose")
    place = _mapping(pose.get("position") or {}, "navigation.pose.position")
    if "voxelSize" not in place or "voxelCoordinates" not in place:
        raise ArgumentError("the state's 'navigation.pose.position' must hold voxelSize and voxelCoordinates")
    x, y, z = _numbers(place["voxelSize"], "navigation.pose.position.voxelSize", 3)
    a, b, c = _numbers(place["voxelCoordinates"], "navigation.pose.position.voxelCoordinates", 3)
    if min(x, y, z) <= 0:
        raise ArgumentError(f"the state's 'voxelSize' must be positive; it is {place['voxelSize']!r}")
    scale = _number(navigation.get("zoomFactor", min(x, y, z)), "navigation.zoomFactor")
    turn = _quaternion(pose.get("orientation"), "navigation.pose.orientation")
    return (a * x, b * y, c * z), (x, y, z), scale, turn


def _layer(layer: Mapping[str, Any], number: int) -> LayerView:
    where = f"layers[{number}]"
    sources, given = _sources(layer.get("source"), where)
    voxel_size, transform = (None, None) if given is None else _transform(given, f"{where}.source.transform")
    segments, listed = _segments(
        [*_items(layer.get("segments")), *(f"!{i}" for i in _items(layer.get("hiddenSegments")))]
    )
    timestamp = layer.get("timestamp")
    return LayerView(
        name=str(layer.get("name", f"layer {number}")),
        kind=_kind(layer),
        sources=sources,
        shown=layer.get("visible", True) is not False and not layer.get("archived", False),
        voxel_size=voxel_size,
        transform=transform,
        segments=segments,
        listed=listed,
        colors={_id(i): str(color) for i, color in _mapping(layer.get("segmentColors") or {}, where).items()},
        default_color=layer.get("segmentDefaultColor"),
        color_seed=int(_number(layer.get("colorSeed", 0), f"{where}.colorSeed")),
        selected_alpha=_number(layer.get("selectedAlpha", 0.5), f"{where}.selectedAlpha"),
        unselected_alpha=_number(layer.get("notSelectedAlpha", 0.0), f"{where}.notSelectedAlpha"),
        saturation=_number(layer.get("saturation", 1.0), f"{where}.saturation"),
        hides_all=layer.get("ignoreNullVisibleSet", True) is False,
        contrast=_contrast(layer),
        gamma=_gamma(layer.get("shader")),
        opacity=_number(layer.get("opacity", 0.5), f"{where}.opacity"),
        timestamp=None if timestamp in (None, "") else _seconds(timestamp, f"{where}.timestamp"),
    )


def _kind(layer: Mapping[str, Any]) -> Kind:
    said = str(layer.get("type", ""))
    if said in _KINDS:
        return _KINDS[said]
    if said not in ("", "auto", "new"):
        return "other"
    if any(key in layer for key in ("segments", "segmentColors", "selectedAlpha", "segmentDefaultColor", "colorSeed")):
        return "segmentation"
    if any(source.startswith("graphene://") for source in _sources(layer.get("source"), "")[0]):
        return "segmentation"
    if any(key in layer for key in ("shader", "shaderControls", "opacity", "blend")):
        return "image"
    return "annotation" if "annotations" in layer else "other"


def _sources(source: Any, where: str) -> tuple[tuple[str, ...], Mapping[str, Any] | None]:
    """Give the addresses of a layer, and the first transform there is."""
    urls: list[str] = []
    transform = None
    for item in source if isinstance(source, list) else [source]:
        if isinstance(item, str):
            urls.append(item)
        elif isinstance(item, Mapping) and isinstance(item.get("url"), str) and item.get("enabled", True) is not False:
            urls.append(item["url"])
            if transform is None and item.get("transform"):
                transform = _mapping(item["transform"], f"{where}.source.transform")
    return tuple(urls), transform


def _transform(transform: Mapping[str, Any], where: str) -> tuple[Resolution | None, NDArray[np.float64] | None]:
    """Give the voxel size of the source, and the matrix of nm to nm, of a transform that says them.

    Neuroglancer takes the matrix for one of lengths but for its last column, which counts voxels of the output.
    """
    sizes = _mapping(transform.get("inputDimensions") or {}, f"{where}.inputDimensions")
    voxel_size = None
    if all(axis in sizes for axis in "xyz"):
        x, y, z = (_nm(sizes[axis], f"{where}.inputDimensions.{axis}") for axis in "xyz")
        voxel_size = x, y, z
    matrix = transform.get("matrix")
    if matrix is None:
        return voxel_size, None
    rows = np.array([_numbers(row, f"{where}.matrix", None) for row in matrix])
    out = _mapping(transform.get("outputDimensions") or {}, f"{where}.outputDimensions")
    if not all(axis in out for axis in "xyz"):
        raise ArgumentError(f"the state's '{where}.outputDimensions' must name x, y and z; there is {', '.join(out)}")
    if rows.shape != (len(out), len(out) + 1):
        raise ArgumentError(f"the state's '{where}.matrix' must have {len(out)} rows of {len(out) + 1} numbers")
    places = [list(out).index(axis) for axis in "xyz"]
    units = [_nm(out[axis], f"{where}.outputDimensions.{axis}") for axis in "xyz"]
    moved = np.column_stack([rows[np.ix_(places, places)], rows[places, -1] * units])
    return voxel_size, None if np.array_equal(moved, np.eye(3, 4)) else moved


def _contrast(layer: Mapping[str, Any]) -> tuple[float, float] | None:
    controls = layer.get("shaderControls")
    if not isinstance(controls, Mapping):
        return None
    named = [controls.get("normalized"), *controls.values()]
    for control in named:
        span = control.get("range") if isinstance(control, Mapping) else control
        if isinstance(span, list) and len(span) == 2 and all(isinstance(v, (int, float)) for v in span):
            return float(span[0]), float(span[1])
    return None


def _gamma(shader: Any) -> float:
    """Tell the power in a shader such as ours."""
    found = _POWER.search(shader) if isinstance(shader, str) else None
    return float(found[1]) if found and float(found[1]) > 0 else 1.0


def _segments(items: Sequence[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    chosen: dict[int, bool] = {}
    for item in items:
        text = str(item).strip()
        chosen.setdefault(_id(text.lstrip("!")), not text.startswith("!"))
    return tuple(i for i, on in chosen.items() if on), tuple(i for i, on in chosen.items() if not on)


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _id(value: Any) -> int:
    text = str(value).strip()
    if not text.isdecimal() or int(text) >= 2**64:
        raise ArgumentError(f"the state names a segment {value!r}, which is no id of 64 bits")
    return int(text)


def _nm(value: Any, name: str) -> float:
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[1] in _METRES:
        size = _number(value[0], name)
        if size > 0:
            # 4e-9 m is 4 nm and not 4.000000000000001
            return float(f"{size * _METRES[value[1]] * 1e9:.12g}")
    raise ArgumentError(f"the state's '{name}' must be a length such as [4e-9, \"m\"]; it is {value!r:.80}")


def _numbers(value: Any, name: str, count: int | None) -> list[float]:
    if not isinstance(value, (list, tuple)) or (count is not None and len(value) != count):
        raise ArgumentError(f"the state's '{name}' must be a list of numbers; it is {value!r:.80}")
    return [_number(item, name) for item in value]


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ArgumentError(f"the state's '{name}' must be a number; it is {value!r:.80}")
    return float(value)


def _seconds(value: Any, name: str) -> float:
    """Read unix seconds or, as some viewers write, milliseconds; as a number or as text."""
    text = value.strip() if isinstance(value, str) else ""
    number = float(text) if text.replace(".", "", 1).isdecimal() else _number(value, name)
    return number / 1000 if number > 1e11 else number


def _quaternion(value: Any, name: str) -> tuple[float, float, float, float]:
    if value is None:
        return UNTURNED
    x, y, z, w = _numbers(value, name, 4)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if length == 0:
        raise ArgumentError(f"the state's '{name}' must be a rotation; it is all zeros")
    if abs(length - 1) < 1e-12:  # as a link of ours has it, which should give back its numbers
        return x, y, z, w
    return x / length, y / length, z / length, w / length


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ArgumentError(f"the state's '{name}' must be an object; it is {value!r:.80}")
    return value
