"""The layers with which a viewer shows what was cut out: sources, ids, colours, contrast, moment, place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..ids import parse_ids
from ..painting.color import rgb_bytes
from .placement import Placement
from .sources import viewer_source
from .views import LayerView

__all__ = ["layer_views"]


def layer_views(
    sources: Mapping[str, str],
    root_ids: Any,
    timestamp: datetime | None = None,
    colors: Mapping[int, Any] | None = None,
    contrast: tuple[float, float] | None = None,
    placements: Mapping[str, Placement] | None = None,
) -> tuple[LayerView, ...]:
    """Give the layers of a view.

    Parameters
    ----------
    sources : mapping of str to str
        For "imagery" and "segmentation", those of them there are, the source string.
    root_ids : sequence of int
        The segments to select.
    timestamp : datetime, optional
        The moment of the segmentation.
    colors : mapping of int to colour, optional
        Of segments.
    contrast : tuple of float, optional
        What is black and what is white in the imagery, in its values.
    placements : mapping of str to Placement, optional
        For layers that lie elsewhere than their sources say.

    Raises
    ------
    ArgumentError
        If a source lies where a viewer cannot reach it.

    Examples
    --------
    >>> (layer,) = layer_views({"segmentation": "precomputed://gs://bucket/seg"}, [7, 8], colors={7: "red"})
    >>> layer.segments, dict(layer.colors)
    ((7, 8), {7: '#ff0000'})
    """
    layers = []
    moved = placements or {}
    where = {name: moved.get(name, Placement()) for name in sources}
    if "imagery" in sources:
        place = where["imagery"]
        layers.append(
            LayerView(
                "imagery",
                "image",
                (viewer_source(sources["imagery"]),),
                voxel_size=place.voxel_size,
                transform=place.transform,
                contrast=contrast,
            )
        )
    if "segmentation" in sources:
        place = where["segmentation"]
        layers.append(
            LayerView(
                "segmentation",
                "segmentation",
                (viewer_source(sources["segmentation"]),),
                voxel_size=place.voxel_size,
                transform=place.transform,
                segments=tuple(parse_ids(root_ids).tolist()),
                colors={i: "#" + rgb_bytes([color])[0].tobytes().hex() for i, color in (colors or {}).items()},
                timestamp=None if timestamp is None else timestamp.timestamp(),
            )
        )
    return tuple(layers)
