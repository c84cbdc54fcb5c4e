"""What a Neuroglancer viewer shows: which place, how large, which layers, ids, colours, contrast; and as a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import Resolution
from ..section import UNTURNED, Quaternion
from .colors import segment_colors

__all__ = ["SHADER", "UNTURNED", "Kind", "LayerView", "View"]

Kind = Literal["image", "segmentation", "annotation", "other"]
SHADER = "#uicontrol invlerp normalized\nvoid main() {{ emitGrayscale(pow(normalized(), {gamma!r})); }}\n"
_AXES = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class LayerView:
    """A layer as a viewer shows it.

    Parameters
    ----------
    name : str
        Its name in the viewer.
    kind : {"image", "segmentation", "annotation", "other"}
        What it holds; where the state does not say, it is told from the other fields.
    sources : tuple of str
        Source strings.
    shown : bool
        Neither hidden nor archived.
    voxel_size : tuple of float or None
        nm per voxel that the state gives to the source in place of its own.
    transform : numpy.ndarray or None
        Where the state moves the source: nm out = `transform` @ (nm in, 1), shape (3, 4); None where data stay.
    segments, listed : tuple of int
        Ids that are selected; and those that are in the list of segments without being selected.
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
    gamma : float
        The power to which a shader, as `to_state` writes it, raises the grey between black and white.
    opacity : float
        Of imagery.
    timestamp : float or None
        Unix seconds a proofread segmentation is shown at.
    """

    name: str
    kind: Kind
    sources: tuple[str, ...]
    shown: bool = True
    voxel_size: Resolution | None = None
    transform: NDArray[np.float64] | None = None
    segments: tuple[int, ...] = ()
    listed: tuple[int, ...] = ()
    colors: Mapping[int, str] = field(default_factory=dict)
    default_color: str | None = None
    color_seed: int = 0
    selected_alpha: float = 0.5
    unselected_alpha: float = 0.0
    saturation: float = 1.0
    hides_all: bool = False
    contrast: tuple[float, float] | None = None
    gamma: float = 1.0
    opacity: float = 0.5
    timestamp: float | None = None


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
    """

    center: tuple[float, float, float]
    voxel_size: Resolution
    nm_per_pixel: float
    orientation: Quaternion = UNTURNED
    layout: str = "4panel"
    layers: tuple[LayerView, ...] = ()

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
        self, ids: Sequence[int] = (), *, image_layer: str | None = None, segmentation_layer: str | None = None
    ) -> dict[str, Any]:
        """Give the options of `Cutout.overlay` with which a picture looks as this view does.

        Parameters
        ----------
        ids : sequence of int
            The ids in the picture; needed where the view shows colours paler, or fainter what is not selected.
        image_layer, segmentation_layer : str, optional
            Names of layers; by default the lowest shown one of each kind.

        Examples
        --------
        >>> layer = LayerView("seg", "segmentation", (), colors={5: "#ff0000"}, color_seed=7)
        >>> View((0.0, 0.0, 0.0), (4.0, 4.0, 40.0), 4.0, layers=(layer,)).painting()
        {'palette': 'neuroglancer:7', 'alpha': 0.5, 'colors': {5: '#ff0000'}}
        """
        image, segmentation = self.layer("image", image_layer), self.layer("segmentation", segmentation_layer)
        options = {} if segmentation is None else _segments_painted(segmentation, ids)
        if image is not None and image.contrast is not None:
            options["display_range"] = image.contrast
        if image is not None and image.gamma != 1:
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
        chosen = [layer.name for layer in self.layers if layer.kind == "segmentation" and layer.shown]
        if chosen:
            state["selectedLayer"] = {"visible": False, "layer": chosen[0]}
        return state


def _segments_painted(layer: LayerView, ids: Sequence[int]) -> dict[str, Any]:
    chosen, faint = set(layer.segments), layer.unselected_alpha
    alpha: Any = layer.selected_alpha
    if not chosen and layer.hides_all:
        alpha = faint
    elif chosen and faint and not chosen.issuperset(ids):
        alpha = {i: alpha if i in chosen else faint for i in ids}
    seed = f":{layer.color_seed}" if layer.color_seed else ""
    options: dict[str, Any] = {"palette": f"neuroglancer{seed}", "alpha": alpha}
    colors: dict[int, Any] = dict(layer.colors)
    if layer.saturation != 1:
        own = segment_colors(ids, layer.color_seed, colors=colors, default=layer.default_color)
        paler = np.rint(own * layer.saturation + 255 * (1 - layer.saturation)).astype(np.uint8)
        colors = {i: "#" + color.tobytes().hex() for i, color in zip(ids, paler, strict=True)}
    elif layer.default_color is not None:
        options["default_color"] = layer.default_color
    return options | ({"colors": colors} if colors else {})


def _lengths(voxel_size: Resolution) -> dict[str, Any]:
    return {axis: [float(f"{nm * 1e-9:.12g}"), "m"] for axis, nm in zip(_AXES, voxel_size, strict=True)}


def _layer_state(layer: LayerView, voxel_size: Resolution) -> dict[str, Any]:
    sources: list[Any] = list(layer.sources)
    transform: dict[str, Any] = {}
    if layer.voxel_size is not None:
        transform["inputDimensions"] = _lengths(layer.voxel_size)
    if layer.transform is not None:
        shifted = layer.transform.copy()
        shifted[:, 3] /= voxel_size
        transform["matrix"] = shifted.tolist()
    if transform and sources:
        sources[0] = {"url": sources[0], "transform": {"outputDimensions": _lengths(voxel_size), **transform}}
    state: dict[str, Any] = {"name": layer.name, "source": sources[0] if len(sources) == 1 else sources}
    if layer.kind != "other":
        state["type"] = layer.kind
    if not layer.shown:
        state["visible"] = False
    if layer.kind == "image":
        state["opacity"] = layer.opacity
        if layer.contrast is not None:
            state["shaderControls"] = {"normalized": {"range": list(layer.contrast)}}
        if layer.gamma != 1:
            state["shader"] = SHADER.format(gamma=layer.gamma)
    if layer.kind == "segmentation":
        state |= {
            "segments": [*map(str, layer.segments), *(f"!{i}" for i in layer.listed)],
            "selectedAlpha": layer.selected_alpha,
            "notSelectedAlpha": layer.unselected_alpha,
        }
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
