"""The layers with which a viewer shows what was cut out: sources, ids, colours, contrast, moment, place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from ..ids import parse_ids
from .looks import Look
from .placement import Placement
from .sources import viewer_source
from .views import LayerView

__all__ = ["layer_view", "layer_views", "selected"]


def layer_views(
    sources: Mapping[str, str],
    root_ids: Any,
    timestamp: datetime | None = None,
    look: Look | None = None,
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
    look : Look, optional
        Colours, opacity and contrast; by default the viewer's own.
    placements : mapping of str to Placement, optional
        For layers that lie elsewhere than their sources say.

    Raises
    ------
    ArgumentError
        If a source lies where a viewer cannot reach it.

    Examples
    --------
    >>> (layer,) = layer_views({"segmentation": "precomputed://gs://bucket/seg"}, [7, 8], look=Look({7: "#ff0000"}))
    >>> layer.segments, dict(layer.colors)
    ((7, 8), {7: '#ff0000'})
    """
    moved = placements or {}
    return tuple(
        layer_view(name, (viewer_source(sources[name]),), root_ids, timestamp, look, moved.get(name))
        for name in ("imagery", "segmentation")
        if name in sources
    )


def layer_view(
    name: str,
    sources: tuple[str, ...],
    root_ids: Any = None,
    timestamp: datetime | None = None,
    look: Look | None = None,
    placement: Placement | None = None,
) -> LayerView:
    """Give one of the layers, "imagery" or "segmentation", of sources as a viewer takes them; see `layer_views`."""
    look = look or Look()
    moved: dict[str, Any] = {} if placement is None else {"placements": (placement,)}
    if name == "imagery":
        shown: dict[str, Any] = {"contrast": look.contrast, "relative": look.relative, "gamma": look.gamma}
        return LayerView(name, "image", sources, rgb=look.rgb, **shown, **moved)
    return LayerView(
        name,
        "segmentation",
        sources,
        segments=tuple(parse_ids(root_ids).tolist()),
        colors=look.colors,
        default_color=look.default_color,
        color_seed=look.color_seed,
        selected_alpha=look.alpha,
        unselected_alpha=look.faint,
        timestamp=None if timestamp is None else timestamp.timestamp(),
        **moved,
    )


def selected(ids: Any, root_ids: Any = None, look: Look | None = None) -> Any:
    """Give the segments that a viewer is to select.

    Parameters
    ----------
    ids : sequence of int
        The ids in the picture.
    root_ids : sequence of int, optional
        Those that the caller asks for; by default all of them.
    look : Look, optional
        Where it shows some ids fainter than others, the others are selected unless the caller names some.
    """
    if look is not None and look.chosen is not None and (root_ids is None or np.size(root_ids) == 0):
        return look.chosen
    return ids if root_ids is None else root_ids
