"""Neuroglancer views opened: a link made into a client and the cutout of what the viewer shows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from .cave.datastack import Datastack
from .cave.rest import Rest
from .client import ImageryClient
from .cloudpath import CloudPath, parse_source
from .cutout import Cutout
from .errors import ArgumentError, FormatError, ImageryError, NotFoundError, SourceError
from .geometry import Resolution
from .layers import token_finder
from .neuroglancer.links import parse_link
from .neuroglancer.placement import Placement
from .neuroglancer.states import parse_state
from .neuroglancer.views import Kind, LayerView, View
from .painting.options import PAINTED
from .painting.planes import Plane
from .sampling import finest_needed
from .section import UNTURNED, Section
from .sectioncutout import SectionCutout
from .storage import open_store
from .volumes import open_volume, scale_for

__all__ = ["from_neuroglancer", "read_view"]


def read_view(link: str | Mapping[str, Any], *, client: Any = None, auth_token: str | None = None) -> View:
    """Read what a Neuroglancer link shows, fetching its state where the link only names it.

    Parameters
    ----------
    link : str or mapping
        A link in any of the forms in use, the address of a stored state, or a state as text or as a mapping.
    client : caveclient.CAVEclient, optional
        Its token goes to its own state server.
    auth_token : str, optional
        For a state server that asks for one; by default the client's or the saved one.

    Raises
    ------
    ArgumentError
        If it is no such link, or its state makes no sense.
    NotFoundError, AccessError, StorageError
        If the stored state is not there, is refused, or its server does not answer.

    Examples
    --------
    >>> read_view('{"dimensions": {"x": [8, "nm"], "y": [8, "nm"], "z": [40, "nm"]}, "position": [1, 2, 3]}').center
    (8.0, 16.0, 120.0)
    """
    parsed = parse_link(link)
    state = parsed.state
    if state is None:
        state = _stored_state(parsed.state_url or "", client, auth_token)
    return parse_state(state)


def from_neuroglancer(
    link: str | Mapping[str, Any],
    size: ArrayLike = (1024, 768),
    *,
    client: Any = None,
    auth_token: str | None = None,
    plane: Plane | None = None,
    image_layer: str | None = None,
    segmentation_layer: str | None = None,
    root_ids: Any = None,
    timestamp: Any = None,
    **options: Any,
) -> tuple[ImageryClient, Cutout | SectionCutout]:
    """Cut out what a Neuroglancer link shows.

    The cutout covers the field of view of a panel of `size` pixels around the view's centre, one voxel deep, at the
    coarsest scales that are as fine as a pixel. Where the view is turned, or moves a layer by a transform or by a voxel
    size of its own, it is the section that the panel shows, pixel for pixel.

    Parameters
    ----------
    link : str or mapping
        A link in any of the forms in use, the address of a stored state, or a state as text or as a mapping.
    size : array_like
        Width and height of the panel in pixels of the screen; a link does not say it.
    client : caveclient.CAVEclient, optional
        Supplies the token, and the moment where neither the link nor `timestamp` does.
    auth_token : str, optional
        For servers that ask for a token; by default the client's or the saved one.
    plane : {"xy", "xz", "yz"}, optional
        Which panel; by default the one the layout shows, "xy" for several.
    image_layer, segmentation_layer : str, optional
        Names of layers; by default the lowest shown one of each kind.
    root_ids : optional
        As for `segmentation_cutout`; by default the segments selected in the view, or all when none is or the others
        are seen, too, if fainter.
    timestamp : optional
        By default the moment the link names, if it does.
    **options
        For `ImageryClient`, such as `missing` or `cache_dir`.

    Returns
    -------
    client : ImageryClient
        Of the view's layers, with coordinates as the viewer shows them.
    cutout : Cutout or SectionCutout
        Of the view: `Cutout` where its sides lie along the axes as in an xy, xz or yz panel and its layers where their
        sources say; else `SectionCutout`. Its overlay shows the view's plane, colours, opacity and contrast where it is
        given no others.

    Raises
    ------
    ArgumentError
        If the link makes no sense, shows no layer that can be cut out, or has a transform that makes a layer flat.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> em = write_precomputed(
    ...     tempfile.mkdtemp(), [(np.zeros((64, 64, 8), np.uint8), Layout(resolution=(8, 8, 40)))], kind="image")
    >>> client, cut = from_neuroglancer({
    ...     "dimensions": {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]}, "position": [32, 32, 4],
    ...     "layers": [{"type": "image", "source": f"precomputed://{em.as_uri()}"}]}, size=(40, 20))
    >>> cut.shape, cut.bounds.start
    ((40, 20, 1), (12, 22, 4))
    """
    finder = token_finder(auth_token, None if client is None else Datastack(client))
    view = _told(read_view(link, client=client, auth_token=auth_token), finder)
    image, segmentation = view.layer("image", image_layer), view.layer("segmentation", segmentation_layer)
    if image is None and segmentation is None:
        there = ", ".join(f"{layer.name!r} ({layer.kind})" for layer in view.layers) or "none"
        raise ArgumentError(f"the view shows no imagery and no segmentation to cut out; its layers: {there}")
    section = _section(view, size, plane)
    (image_source, image_place), (segmentation_source, segmentation_place) = _source(image), _source(segmentation)
    if timestamp is None and segmentation is not None:
        timestamp = segmentation.timestamp
    opened = ImageryClient(
        client=client,
        resolution=view.voxel_size,
        imagery=image is not None,
        segmentation=segmentation is not None,
        image_source=image_source,
        segmentation_source=segmentation_source,
        auth_token=auth_token,
        timestamp=timestamp,
        **options,
    )
    if root_ids is None:
        some = segmentation is not None and segmentation.segments and not segmentation.unselected_alpha
        root_ids = list(segmentation.selected) if segmentation is not None and some else "all"
    placements = {"imagery": image_place, "segmentation": segmentation_place}
    volumes = opened.volumes
    moved = any(placements[name].moves(volume.info.scales[0].resolution) for name, volume in volumes.items())
    facing = _facing(section)
    if moved or facing is None:
        wanted = opened._wanted(root_ids, None)
        cut: Cutout | SectionCutout = opened._section(section, view.voxel_size, {}, wanted, placements=placements)
        return opened, _as_shown(cut, view, image_layer, segmentation_layer)
    scales = {name: scale_for(volume.info, finest_needed(section, volume)) for name, volume in volumes.items()}
    cut = opened.cutout(
        bounds=_bounds(section, [scale.resolution for scale in scales.values()]),
        units="nm",
        image_mip=scales["imagery"].mip if "imagery" in scales else None,
        segmentation_mip=scales["segmentation"].mip if "segmentation" in scales else None,
        root_ids=root_ids,
    )
    shown = _as_shown(cut, view, image_layer, segmentation_layer)
    return opened, shown if facing == "xy" else replace(shown, painting={**shown.painting, "plane": facing})


def _as_shown(
    cut: Cutout | SectionCutout, view: View, image_layer: str | None, segmentation_layer: str | None
) -> Cutout | SectionCutout:
    """Give the cutout that is painted, where nothing else is asked for, as the view shows it."""
    layer = view.layer("segmentation", segmentation_layer)
    each = cut.segmentation is not None and layer is not None and (layer.saturation != 1 or layer.unselected_alpha)
    ids = cut.masks.ids.tolist() if each else ()
    dtype = None if cut.image is None else cut.image.dtype
    painting = view.painting(ids, dtype=dtype, image_layer=image_layer, segmentation_layer=segmentation_layer)
    return replace(cut, painting={**PAINTED, **painting})


def _section(view: View, size: ArrayLike, plane: Plane | None) -> Section:
    """Give the section that a panel of this many pixels shows."""
    try:
        width, height = (int(n) for n in np.asarray(size, dtype=float))
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"size must be the panel's width and height in pixels; got {size!r}") from None
    if plane not in (None, *get_args(Plane)):
        raise ArgumentError(f"plane must be 'xy', 'xz' or 'yz'; got {plane!r}")
    return view.section((width, height), plane)


def _facing(section: Section) -> Plane | None:
    """Give the plane whose picture a section is; None where it is turned, be it by right angles."""
    unturned = (replace(section, orientation=UNTURNED, panel=plane) for plane in get_args(Plane))
    return next((one.panel for one in unturned if np.allclose(one.axes, section.axes, atol=1e-6)), None)


def _bounds(section: Section, resolutions: list[Resolution]) -> list[list[float]]:
    """Give the corners, in nm, of the field of view; one voxel of the finest layer along the axis it looks along."""
    low, high = [], []
    for axis, (center, nm) in enumerate(zip(section.center, section.extent, strict=True)):
        voxel = min(resolution[axis] for resolution in resolutions)
        nm = max(nm, voxel * 1e-6) if nm else 0.0  # however near one looks, there is something
        start = center - nm / 2 if nm else math.floor(center / voxel + 1e-6) * voxel
        low.append(start)
        high.append(start + (nm or voxel))
    return [low, high]


def _told(view: View, finder: Callable[[CloudPath], str | None]) -> View:
    """Give the view with the kinds of its layers, where the data alone say them."""
    return replace(view, layers=tuple(replace(layer, kind=_kind(layer, finder)) for layer in view.layers))


def _kind(layer: LayerView, finder: Callable[[CloudPath], str | None]) -> Kind:
    if layer.kind != "auto" or not layer.shown:
        return layer.kind
    try:
        source, _ = _source(layer)
        path = parse_source(source or "")
        return open_volume(path, finder(path)).info.kind
    except ImageryError:
        return "other"


def _source(layer: LayerView | None) -> tuple[str | None, Placement]:
    """Give the first source of a layer that this package reads, and where the view puts it."""
    if layer is None:
        return None, Placement()
    trouble = "it names none"
    for source, placement in zip_longest(layer.sources, layer.placements, fillvalue=Placement()):
        try:
            return parse_source(str(source)).source, placement
        except SourceError as error:
            trouble = str(error)
    raise ArgumentError(f"the view's layer {layer.name!r} has no source that can be read: {trouble}")


def _stored_state(address: str, client: Any, auth_token: str | None) -> Mapping[str, Any]:
    url = address.removeprefix("middleauth+")
    if url.startswith(("http://", "https://")):
        server = CloudPath("", url, middleauth=True, source=address)
        asks = url != address or "/nglstate/" in url
        token = token_finder(auth_token, None if client is None else Datastack(client))(server) if asks else None
        state = Rest(url, token).get_json("")
    else:
        folder, _, name = address.rpartition("/")
        payload = open_store(parse_source(folder).url).get(name)
        if payload.data is None:
            raise NotFoundError(f"{address}: there is no state")
        try:
            state = json.loads(payload.data)
        except ValueError:
            raise FormatError(f"{address} is not JSON, so it holds no state") from None
    if not isinstance(state, dict):
        raise FormatError(f"{address} must hold a state as a JSON object; it holds {type(state).__name__}")
    return state
