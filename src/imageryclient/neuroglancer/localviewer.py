"""The Neuroglancer of this machine, opened on what was cut out; needs the package `neuroglancer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ImageryError, MissingExtraError
from ..section import Section
from ..sectioncutout import SectionCutout
from .looks import look_of
from .placement import Placement
from .showing import layer_view, selected
from .sources import viewer_source
from .views import LayerView

if TYPE_CHECKING:
    from ..cutout import Cutout

__all__ = ["open_viewer"]

_ENDING = " (cutout)"  # of the names of layers whose voxels come from this process
_UNKNOWN = {"float16": "float32", "bool": "uint8"}  # dtypes that a viewer does not know, and what holds them


def open_viewer(
    cut: Cutout | SectionCutout,
    *,
    resolution: ArrayLike | None = None,
    root_ids: Any = None,
    open_browser: bool = False,
    bind_address: str | None = None,
    **painting: Any,
) -> Any:
    """Open a viewer that shows a cutout's own voxels where they lie, over its sources where a viewer can reach them.

    Parameters
    ----------
    cut : Cutout or SectionCutout
        What to show. The voxels are not copied; they are sent to the browser as it asks for them.
    resolution, root_ids
        As for `Cutout.as_view`.
    open_browser : bool
        Whether to open a browser at once.
    bind_address : str, optional
        The address that the viewer is served at: that of `neuroglancer.set_server_bind_address`, by default this
        machine alone, 127.0.0.1. It counts for the first viewer of a process.
    **painting
        As for `Cutout.overlay`; see `Cutout.as_view` for what a viewer can show of it.

    Returns
    -------
    neuroglancer.Viewer
        Its text is its address; `viewer.state` tells what it shows now, and `neuroglancer.stop()` ends the server.

    Raises
    ------
    MissingExtraError
        If neuroglancer is not installed.
    """
    neuroglancer = _package()
    given = cut._painting(painting)
    view = replace(cut, sources=_reachable(cut.sources))._view(given, resolution, root_ids)
    ids = [] if cut.segmentation is None else cut.masks.ids.tolist()
    look = look_of(given, ids, cut.image, len(cut.shape))
    volumes = {name: _volume(neuroglancer, cut, name, array) for name, array in _arrays(cut).items()}
    shown = selected(ids, root_ids, look)
    layers = [_local(layer_view(name, (name,), shown, None, look), cut) for name in volumes]
    state = neuroglancer.ViewerState(replace(view, layers=(*view.layers, *layers)).to_state())
    for name, volume in volumes.items():
        state.layers[name + _ENDING].source[0].url = volume
    if bind_address is not None:
        neuroglancer.set_server_bind_address(bind_address)
    viewer = neuroglancer.Viewer()
    viewer.set_state(state)
    if open_browser:
        import webbrowser

        webbrowser.open(viewer.get_viewer_url())
    return viewer


def _package() -> Any:
    try:
        import neuroglancer
    except ImportError:
        raise MissingExtraError("a viewer here needs neuroglancer: pip install 'imageryclient[neuroglancer]'") from None
    return neuroglancer


def _reachable(sources: Mapping[str, str]) -> dict[str, str]:
    """Give the sources that a viewer can open: none in folders and arrays."""
    found = {}
    for name, source in sources.items():
        try:
            viewer_source(source)
        except ImageryError:
            continue
        found[name] = source
    return found


def _arrays(cut: Cutout | SectionCutout) -> dict[str, NDArray[Any]]:
    layers = {"imagery": cut.image, "segmentation": cut.segmentation}
    return {name: array for name, array in layers.items() if array is not None}


def _local(layer: LayerView, cut: Cutout | SectionCutout) -> LayerView:
    """Give the layer of voxels that come from this process; imagery hides what lies under it."""
    placed = (Placement(None, _transform(cut.section)),) if isinstance(cut, SectionCutout) else ()
    return replace(layer, name=layer.name + _ENDING, opacity=1.0, placements=placed)


def _transform(section: Section) -> NDArray[np.float64]:
    """Give where a section lies, seen as one layer of voxels as thick as they are wide, from (0, 0, 0)."""
    middle = np.array([*section.size, 1]) / 2 * section.nm_per_pixel
    return np.column_stack([section.axes, np.array(section.center) - section.axes @ middle])


def _volume(neuroglancer: Any, cut: Cutout | SectionCutout, name: str, array: NDArray[Any]) -> Any:
    """Give an array as a volume that the viewer's server hands out."""
    if isinstance(cut, SectionCutout):
        nm = cut.nm_per_pixel
        array, size, start = array[:, :, None], (nm, nm, nm), (0, 0, 0)
    else:
        size, start = cut.resolution, cut.bounds.start
    known = _UNKNOWN.get(array.dtype.name, array.dtype.newbyteorder("="))
    array = array.astype(known, copy=False)
    return neuroglancer.LocalVolume(
        array,
        dimensions=neuroglancer.CoordinateSpace(
            names=["x", "y", "z", "c^"][: array.ndim],
            units=["nm", "nm", "nm", ""][: array.ndim],
            scales=[*size, 1][: array.ndim],
        ),
        voxel_offset=[*start, 0][: array.ndim],
        volume_type="image" if name == "imagery" else "segmentation",
    )
