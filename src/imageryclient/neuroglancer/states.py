"""The JSON state of a Neuroglancer viewer, read as a `View`.

States of today and those of the older viewer (`navigation`, voxel sizes in nm) are read alike. The format is that
of Neuroglancer's `viewer_state` and, for older ones, of the seung-lab fork; ids stay text until they are integers
of 64 bits, numbers of a pose are float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import ArgumentError
from ..geometry import Resolution
from ..section import Quaternion
from .fields import color_of, id_of, length_of, list_of, mapping_of, number_of, numbers_of, quaternion_of
from .placement import Placement
from .shading import shading_of
from .transforms import old_placement, placement_of
from .views import Displayed, Kind, LayerView, View

__all__ = ["parse_state"]

_AXES = ("x", "y", "z")
_KINDS: dict[str, Kind] = {
    "image": "image",
    "segmentation": "segmentation",
    "segmentation_with_graph": "segmentation",
    "annotation": "annotation",
    "pointAnnotation": "annotation",
}
_LEAST = 1e-30  # nm of a voxel
_LINKED = ("position", "crossSectionScale", "crossSectionOrientation", "displayDimensions")


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
    panel = _first_panel(state.get("layout"))
    unlinked = {name: mapping_of(panel.get(name), f"layout.{name}") for name in _LINKED if panel.get(name)}
    state = {**state, **{name: one["value"] for name, one in unlinked.items() if one.get("value") is not None}}
    pose = _old_pose if "navigation" in state and "position" not in state else _pose
    center, voxel_size, scale, turn, displayed = pose(state)
    listed = state.get("layers")
    if isinstance(listed, Mapping):  # the oldest states name layers by key
        listed = [{"name": name, **mapping_of(layer, f"layers.{name}")} for name, layer in listed.items()]
    given = [mapping_of(layer, f"layers[{n}]") for n, layer in enumerate(list_of(listed, "layers"))]
    layers = [_layer(layer, n) for n, layer in enumerate(given)]
    _link(layers, given)
    seen = panel.get("layers")
    if seen is not None:  # a panel of several may show some of the layers
        names = list_of(seen, "layout.layers")
        layers = [replace(layer, shown=layer.shown and layer.name in names) for layer in layers]
    return View(center, voxel_size, scale, turn, str(panel["layout"]), tuple(layers), displayed)


_Pose = tuple[tuple[float, float, float], Resolution, float, Quaternion, Displayed]


def _first_panel(layout: Any) -> Mapping[str, Any]:
    """Give the first panel of a layout that has several in rows and columns, with its own layers, if it says some."""
    for _ in range(32):
        if not isinstance(layout, Mapping):
            break
        if layout.get("type") == "viewer":
            inner = layout.get("layout")
            kind = inner.get("type") if isinstance(inner, Mapping) else inner
            return {**layout, "layout": kind or "4panel"}
        children = layout.get("children")
        layout = children[0] if isinstance(children, list) and children else layout.get("type")
    return {"layout": layout if isinstance(layout, str) else "4panel"}


def _pose(state: Mapping[str, Any]) -> _Pose:
    dimensions = mapping_of(state.get("dimensions"), "dimensions")
    if not all(axis in dimensions for axis in _AXES):
        raise ArgumentError(
            f"the state's 'dimensions' must name x, y and z; there is {', '.join(map(str, dimensions)) or 'nothing'}, "
            "so that its place has no unit"
        )
    x, y, z = (length_of(dimensions[axis], f"dimensions.{axis}") for axis in _AXES)
    order = list(dimensions)
    if state.get("position") is None:
        raise ArgumentError("the state has no 'position', so that it names no place")
    numbers = numbers_of(state["position"], "position")
    if len(numbers) < len(order):
        raise ArgumentError(f"the state's 'position' must hold {len(order)} numbers; it holds {len(numbers)}")
    a, b, c = (numbers[order.index(axis)] for axis in _AXES)
    named = list_of(state.get("displayDimensions"), "displayDimensions")
    shown = [axis for axis in named if axis in _AXES]
    sizes = dict(zip(_AXES, (x, y, z), strict=True))
    smallest = min(sizes[axis] for axis in shown or _AXES)
    scale = _scale(state.get("crossSectionScale"), "crossSectionScale", 1.0) * smallest
    turn = quaternion_of(state.get("crossSectionOrientation"), "crossSectionOrientation")
    return (a * x, b * y, c * z), (x, y, z), scale, turn, _displayed(shown or order)


def _displayed(names: Iterable[Any]) -> Displayed:
    """Give the axes that a viewer shows to the right, down and into the screen: as they come, and those left after."""
    known = [axis for axis in dict.fromkeys(names) if axis in _AXES]
    first, second, third = (_AXES.index(axis) for axis in dict.fromkeys([*known, *_AXES]))
    return first, second, third


def _old_pose(state: Mapping[str, Any]) -> _Pose:
    navigation = mapping_of(state["navigation"], "navigation")
    pose = mapping_of(navigation.get("pose"), "navigation.pose")
    place = mapping_of(pose.get("position"), "navigation.pose.position")
    if "voxelSize" not in place or "voxelCoordinates" not in place:
        raise ArgumentError("the state's 'navigation.pose.position' must hold voxelSize and voxelCoordinates")
    x, y, z = numbers_of(place["voxelSize"], "navigation.pose.position.voxelSize", 3)
    a, b, c = numbers_of(place["voxelCoordinates"], "navigation.pose.position.voxelCoordinates", 3)
    if min(x, y, z) < _LEAST:
        raise ArgumentError(f"the state's 'voxelSize' must be positive; it is {[x, y, z]}")
    scale = _scale(navigation.get("zoomFactor"), "navigation.zoomFactor", min(x, y, z))
    turn = quaternion_of(pose.get("orientation"), "navigation.pose.orientation")
    return (a * x, b * y, c * z), (x, y, z), scale, turn, (0, 1, 2)


def _scale(value: Any, name: str, default: float) -> float:
    scale = default if value is None else number_of(value, name)
    if scale <= 0:
        raise ArgumentError(f"the state's '{name}' must be a positive number; it is {scale:g}")
    return scale


def _layer(layer: Mapping[str, Any], number: int) -> LayerView:
    where = f"layers[{number}]"

    def field(name: str, default: float, low: float = 0.0, high: float = 1.0) -> float:
        value = layer.get(name)
        return default if value is None else number_of(value, f"{where}.{name}", low, high)

    sources = _sources(layer, where)
    equivalences = _groups(list_of(layer.get("equivalences"), f"{where}.equivalences"), f"{where}.equivalences")
    segments, listed = _segments(layer, where, equivalences)
    colors = mapping_of(layer.get("segmentColors"), f"{where}.segmentColors")
    default_color = layer.get("segmentDefaultColor")
    timestamp = layer.get("timestamp")
    shading = shading_of(layer, where)
    return LayerView(
        name=str(layer.get("name", f"layer {number}")),
        kind=_kind(layer, [url for url, _ in sources]),
        sources=tuple(url for url, _ in sources),
        shown=layer.get("visible", True) is not False and not layer.get("archived", False),
        placements=tuple(placement for _, placement in sources),
        segments=segments,
        listed=listed,
        equivalences=equivalences,
        colors={
            id_of(i, f"{where}.segmentColors"): color_of(color, f"{where}.segmentColors.{i}")
            for i, color in colors.items()
        },
        default_color=None if default_color is None else color_of(default_color, f"{where}.segmentDefaultColor"),
        color_seed=int(field("colorSeed", 0, high=2**32 - 1)),
        selected_alpha=field("selectedAlpha", 0.5),
        unselected_alpha=field("notSelectedAlpha", 0.0),
        saturation=field("saturation", 1.0),
        hides_all=layer.get("ignoreNullVisibleSet", True) is False,
        contrast=shading.contrast,
        relative=shading.relative,
        gamma=shading.gamma,
        rgb=shading.rgb,
        opacity=field("opacity", 0.5),
        timestamp=None if timestamp in (None, "") else _seconds(timestamp, f"{where}.timestamp"),
    )


def _kind(layer: Mapping[str, Any], sources: Sequence[str]) -> Kind:
    said = str(layer.get("type") or "")
    if said in _KINDS:
        return _KINDS[said]
    if said not in ("", "auto", "new"):
        return "other"
    if any(key in layer for key in ("segments", "segmentColors", "selectedAlpha", "segmentDefaultColor", "colorSeed")):
        return "segmentation"
    if any(source.startswith("graphene://") for source in sources):
        return "segmentation"
    if any(key in layer for key in ("shader", "shaderControls", "opacity", "blend")):
        return "image"
    return "annotation" if "annotations" in layer else "auto" if sources else "other"


def _sources(layer: Mapping[str, Any], where: str) -> list[tuple[str, Placement]]:
    """Give the addresses of a layer, and where what is there lies."""
    old = layer.get("transform")
    usual = Placement() if old is None else old_placement(old, f"{where}.transform")
    found = []
    source = layer.get("source")
    for item in source if isinstance(source, (list, tuple)) else [source]:
        if isinstance(item, str):
            found.append((item, usual))
        elif isinstance(item, Mapping) and isinstance(item.get("url"), str) and item.get("enabled", True) is not False:
            moved, url = item.get("transform"), item["url"]
            found.append((url, placement_of(moved, url, f"{where}.source.transform") if moved else usual))
    return found


def _segments(
    layer: Mapping[str, Any], where: str, groups: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the ids that are selected, and those that are only listed; of ids that are one, the one they go by."""
    name = f"{where}.segments"
    hidden = list_of(layer.get("hiddenSegments"), f"{where}.hiddenSegments")
    heads = {member: group[0] for group in groups for member in group}
    chosen: dict[int, bool] = {}
    for item in [*list_of(layer.get("segments"), name), *(f"!{i}" for i in hidden)]:
        off = isinstance(item, str) and item.strip().startswith("!")
        segment = id_of(item.strip().removeprefix("!") if off else item, name)
        segment = heads.get(segment, segment)
        chosen[segment] = chosen.get(segment, False) or not off
    return tuple(i for i, on in chosen.items() if on), tuple(i for i, on in chosen.items() if not on)


def _groups(items: Sequence[Any], where: str) -> tuple[tuple[int, ...], ...]:
    """Give groups of ids that are one, each with the least first, by which it goes."""
    found: list[set[int]] = []
    for item in items:
        group = {id_of(i, where) for i in list_of(item, where)}
        met = [one for one in found if one & group]
        found = [*(one for one in found if not one & group), group.union(*met)]
    return tuple(sorted(tuple(sorted(group)) for group in found if len(group) > 1))


def _link(layers: list[LayerView], given: Sequence[Mapping[str, Any]]) -> None:
    """Give layers that are linked to another its segments, and its colours."""
    named = {layer.name: layer for layer in layers}
    for n, spec in enumerate(given):
        group = spec.get("linkedSegmentationGroup")
        color = spec.get("linkedSegmentationColorGroup", group)
        leader, painter = (named.get(one) if isinstance(one, str) else None for one in (group, color))
        if leader is not None:
            layers[n] = replace(
                layers[n], segments=leader.segments, listed=leader.listed, equivalences=leader.equivalences
            )
        if painter is not None:
            layers[n] = replace(
                layers[n], colors=painter.colors, default_color=painter.default_color, color_seed=painter.color_seed
            )


def _seconds(value: Any, name: str) -> float:
    """Read unix seconds or, as some viewers write, milliseconds; as a number or as text."""
    number = number_of(value, name)
    return number / 1000 if number > 1e11 else number
