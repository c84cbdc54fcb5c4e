"""What a Neuroglancer viewer shows: which place, how large, which layers, ids, colours, contrast; and as a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..errors import ArgumentError
from ..geometry import Resolution
from ..section import UNTURNED, Panel, Quaternion, Section, as_seen
from .colors import segment_colors
from .placement import Placement
from .shading import SHADER, SLIDERS, SLIDERS_RGB, held_by

__all__ = ["UNTURNED", "Displayed", "Kind", "LayerView", "View"]

Kind = Literal["image", "segmentation", "annotation", "auto", "other"]
Displayed = tuple[int, int, int]
_AXES = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class LayerView:
    """A layer as a viewer shows it.

    Parameters
    ----------
    name : str
        Its name in the viewer.
    kind : {"image", "segmentation", "annotation", "auto", "other"}
        What it holds; where the state does not say, it is told from the other fields. "auto" is for the data to say.
    sources : tuple of str
        Source strings.
    shown : bool
        Neither hidden nor archived.
    placements : tuple of Placement
        Where the state puts what each source holds; empty where all stay.
    segments, listed : tuple of int
        Ids that are selected; and those that are in the list of segments without being selected.
    equivalences : tuple of tuple of int
        Groups of ids that are shown as one: the first, by which they go in `segments` and `colors`.
    colors : mapping of int to str
        `segmentColors`.
    default_color : str or None
        `segmentDefaultColor`.
    color_seed : int
        `colorSeed`.
    selected_alpha, unselected_alpha, saturation : float
        How a section shows segments.
    hides_all : bool
        True where no selected segment means none is shown.
    contrast : tuple of float or None
        What is black and what is white; the first exceeds the second where a picture is inverted.
    relative : bool
        Whether those count shares, from 0 to 1, of what the dtype of the imagery holds.
    gamma : float
        The power to which a shader, as `to_state` writes it, raises the grey between black and white.
    rgb : bool
        Whether a shader, as `to_state` writes it, shows three channels as red, green and blue.
    opacity : float
        Of imagery.
    timestamp : float or None
        Unix seconds a proofread segmentation is shown at.
    """

    name: str
    kind: Kind
    sources: tuple[str, ...]
    shown: bool = True
    placements: tuple[Placement, ...] = ()
    segments: tuple[int, ...] = ()
    listed: tuple[int, ...] = ()
    equivalences: tuple[tuple[int, ...], ...] = ()
    colors: Mapping[int, str] = field(default_factory=dict)
    default_color: str | None = None
    color_seed: int = 0
    selected_alpha: float = 0.5
    unselected_alpha: float = 0.0
    saturation: float = 1.0
    hides_all: bool = False
    contrast: tuple[float, float] | None = None
    relative: bool = False
    gamma: float = 1.0
    rgb: bool = False
    opacity: float = 0.5
    timestamp: float | None = None

    @property
    def selected(self) -> tuple[int, ...]:
        """The ids that are selected, with those that are one with them."""
        chosen = dict.fromkeys(self.segments)
        members = (i for group in self.equivalences if group[0] in chosen for i in group)
        return tuple(dict.fromkeys([*chosen, *members]))


@dataclass(frozen=True, slots=True)
class View:
    """What a viewer shows.

    Parameters
    ----------
    center : tuple of float
        nm along x, y, z.
    voxel_size : tuple of float
        nm per voxel of the coordinates the viewer displays.
    nm_per_pixel : float
        Of a section on the screen, per CSS pixel.
    orientation : tuple of float
        Quaternion x, y, z, w that turns a section away from the axes.
    layout : str
        "xy", "xz", "yz", "4panel", "3d" and so on.
    layers : tuple of LayerView
        From the bottom up.
    displayed : tuple of int
        Which of x, y and z, counted from 0, an xy panel shows to the right, down, and into the screen.
    """

    center: tuple[float, float, float]
    voxel_size: Resolution
    nm_per_pixel: float
    orientation: Quaternion = UNTURNED
    layout: str = "4panel"
    layers: tuple[LayerView, ...] = ()
    displayed: Displayed = (0, 1, 2)

    @property
    def panel(self) -> Panel:
        """The panel that the layout shows; of several, xy."""
        return next((name for name in get_args(Panel) if self.layout.startswith(name)), "xy")

    def section(self, size: ArrayLike, panel: Panel | None = None) -> Section:
        """Give the section that a panel of so many pixels shows.

        Parameters
        ----------
        size : array_like
            Width and height in pixels.
        panel : {"xy", "xz", "yz"}, optional
            By default the one of the layout.
        """
        shown = Section(self.center, size, self.nm_per_pixel, self.orientation, panel or self.panel)  # type: ignore[arg-type]
        return shown if self.displayed == (0, 1, 2) else as_seen(shown, self.displayed)

    @property
    def position(self) -> tuple[float, float, float]:
        """The centre as the viewer displays it, in voxels of `voxel_size`."""
        x, y, z = (c / v for c, v in zip(self.center, self.voxel_size, strict=True))
        return x, y, z

    def layer(self, kind: Kind, name: str | None = None) -> LayerView | None:
        """Give the layer of that name, or else the lowest shown one of that kind; None where there is none."""
        of_kind = [layer for layer in self.layers if layer.kind == kind]
        if name is not None:
            for layer in of_kind:
                if layer.name == name:
                    return layer
            there = ", ".join(repr(layer.name) for layer in of_kind) or "none"
            raise ArgumentError(f"the view has no {kind} layer {name!r}; it has {there}")
        shown = [layer for layer in of_kind if layer.shown]
        return shown[0] if shown else None

    def painting(
        self,
        ids: Sequence[int] = (),
        *,
        dtype: DTypeLike | None = None,
        image_layer: str | None = None,
        segmentation_layer: str | None = None,
    ) -> dict[str, Any]:
        """Give the options of `Cutout.overlay` with which a picture looks as this view does.

        Parameters
        ----------
        ids : sequence of int
            The ids in the picture; needed where the view shows colours paler, or fainter what is not selected.
        dtype : dtype, optional
            Of the imagery, by which a viewer takes black and white where the view does not say them in values.
        image_layer, segmentation_layer : str, optional
            Names of layers; by default the lowest shown one of each kind.

        Examples
        --------
        >>> layer = LayerView("seg", "segmentation", (), colors={5: "#ff0000"}, color_seed=7)
        >>> under = LayerView("em", "image", ())
        >>> View((0.0, 0.0, 0.0), (4.0, 4.0, 40.0), 4.0, layers=(under, layer)).painting()
        {'palette': 'neuroglancer:7', 'alpha': 0.5, 'colors': {5: '#ff0000'}}
        """
        image, segmentation = self.layer("image", image_layer), self.layer("segmentation", segmentation_layer)
        options = {} if segmentation is None else _segments_painted(segmentation, ids, alone=image is None)
        if image is None:
            return options
        low, high = held_by(dtype or np.uint8)
        if image.contrast is not None and not image.relative:
            options["display_range"] = image.contrast
        elif image.contrast is not None:
            black, white = (low + share * (high - low) for share in image.contrast)
            options["display_range"] = (black, white)
        elif (low, high) != (0, 255):
            options["display_range"] = (low, high)
        if image.gamma != 1:
            options["gamma"] = image.gamma
        return options

    def to_state(self) -> dict[str, Any]:
        """Give the state, as JSON has it, in which a viewer of today shows this view.

        Examples
        --------
        >>> View((40.0, 40.0, 20.0), (4.0, 4.0, 40.0), 4.0, layout="xy").to_state()["position"]
        [10.0, 10.0, 0.5]
        """
        state: dict[str, Any] = {
            "dimensions": _lengths(self.voxel_size),
            "position": list(self.position),
            "crossSectionScale": self.nm_per_pixel / min(self.voxel_size),
            "layers": [_layer_state(layer, self.voxel_size) for layer in self.layers],
            "layout": self.layout,
        }
        if self.orientation != UNTURNED:
            state["crossSectionOrientation"] = list(self.orientation)
        if self.displayed != (0, 1, 2):
            state["displayDimensions"] = [_AXES[axis] for axis in self.displayed]
        chosen = [layer.name for layer in self.layers if layer.kind == "segmentation" and layer.shown]
        if chosen:
            state["selectedLayer"] = {"visible": False, "layer": chosen[0]}
        return state


def _segments_painted(layer: LayerView, ids: Sequence[int], *, alone: bool) -> dict[str, Any]:
    """Give the options that paint segments; a layer alone is opaque where anything of it is seen."""
    chosen = set(layer.selected)
    alpha: Any
    alpha, faint = (float(a > 0) if alone else a for a in (layer.selected_alpha, layer.unselected_alpha))
    if not chosen and layer.hides_all:
        alpha = faint
    elif chosen and faint and not chosen.issuperset(ids):
        alpha = {i: alpha if i in chosen else faint for i in ids}
    seed = f":{layer.color_seed}" if layer.color_seed else ""
    options: dict[str, Any] = {"palette": f"neuroglancer{seed}", "alpha": alpha}
    colors: dict[int, Any] = _colors(layer)
    if layer.saturation != 1:
        own = segment_colors(ids, layer.color_seed, colors=colors, default=layer.default_color)
        paler = np.rint(own * layer.saturation + 255 * (1 - layer.saturation)).astype(np.uint8)
        colors = {i: "#" + color.tobytes().hex() for i, color in zip(ids, paler, strict=True)}
    elif layer.default_color is not None:
        options["default_color"] = layer.default_color
    return options | ({"colors": colors} if colors else {})


def _colors(layer: LayerView) -> dict[int, str]:
    """Give the colours that the view says, and those of ids that go by another's."""
    colors = dict(layer.colors)
    for head, *members in layer.equivalences:
        (own,) = segment_colors([head], layer.color_seed, colors=layer.colors, default=layer.default_color)
        colors |= dict.fromkeys(members, "#" + own.tobytes().hex())
    return colors


def _lengths(voxel_size: Resolution) -> dict[str, Any]:
    return {axis: [float(f"{nm * 1e-9:.12g}"), "m"] for axis, nm in zip(_AXES, voxel_size, strict=True)}


def _layer_state(layer: LayerView, voxel_size: Resolution) -> dict[str, Any]:
    sources: list[Any] = list(layer.sources)
    for n, placement in enumerate(layer.placements[: len(sources)]):
        transform = _transform_state(placement, voxel_size)
        if transform:
            sources[n] = {"url": sources[n], "transform": {"outputDimensions": _lengths(voxel_size), **transform}}
    state: dict[str, Any] = {"name": layer.name, "source": sources[0] if len(sources) == 1 else sources}
    if layer.kind != "other":
        state["type"] = layer.kind
    if not layer.shown:
        state["visible"] = False
    if layer.kind == "image":
        state["opacity"] = layer.opacity
        state |= _shading_state(layer)
    if layer.kind == "segmentation":
        state |= {
            "segments": [*map(str, layer.segments), *(f"!{i}" for i in layer.listed)],
            "selectedAlpha": layer.selected_alpha,
            "notSelectedAlpha": layer.unselected_alpha,
        }
        if layer.equivalences:
            state["equivalences"] = [list(map(str, group)) for group in layer.equivalences]
        if layer.colors:
            state["segmentColors"] = {str(i): color for i, color in layer.colors.items()}
        if layer.default_color is not None:
            state["segmentDefaultColor"] = layer.default_color
        if layer.color_seed:
            state["colorSeed"] = layer.color_seed
        if layer.saturation != 1:
            state["saturation"] = layer.saturation
        if layer.hides_all:
            state["ignoreNullVisibleSet"] = False
        if layer.timestamp is not None:
            state["timestamp"] = layer.timestamp
    return state


def _shading_state(layer: LayerView) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if layer.rgb or (layer.relative and layer.contrast is not None):
        state["shader"] = (SLIDERS_RGB if layer.rgb else SLIDERS).format(gamma=layer.gamma)
        if layer.contrast is not None:
            state["shaderControls"] = dict(zip(("black", "white"), layer.contrast, strict=True))
        return state
    if layer.contrast is not None:
        state["shaderControls"] = {"normalized": {"range": list(layer.contrast)}}
    if layer.gamma != 1:
        state["shader"] = SHADER.format(gamma=layer.gamma)
    return state


def _transform_state(placement: Placement, voxel_size: Resolution) -> dict[str, Any]:
    transform: dict[str, Any] = {}
    if placement.voxel_size is not None:
        transform["inputDimensions"] = _lengths(placement.voxel_size)
    if placement.transform is not None:
        shifted = placement.transform.copy()
        shifted[:, 3] /= voxel_size
        transform["matrix"] = shifted.tolist()
    return transform
