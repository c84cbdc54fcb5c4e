"""Volumes and cutouts as xarray's arrays, whose coordinates are nm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, MissingExtraError
from ..geometry import Box
from ..layers import Mip
from ..volumes.base import is_versioned
from .arrays import as_dask
from .reader import Gaps, LayerReader, image_reader, segmentation_reader

if TYPE_CHECKING:
    from types import ModuleType

    import xarray as xr

    from ..cutout import Cutout
    from ..dataset import Dataset

__all__ = ["cutout_to_xarray", "image_data", "segmentation_data"]

_DIMS = ("x", "y", "z", "c")


def image_data(client: Dataset, mip: Mip = None, *, chunks: Any = None, missing: Gaps | None = None) -> xr.DataArray:
    """Give the imagery of a whole scale as a DataArray; nothing is read before it is computed.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    mip, chunks, missing
        As for `image_array`.

    Returns
    -------
    xarray.DataArray
        Of the Dask array that `image_array` gives. Dims x, y, z, with several channels c. The coordinates along x, y
        and z are the centres of the voxels in nm, float64, so that `sel(x=…, method="nearest")` gives the voxel that
        contains a place, and `sel(x=slice(a, b))` those whose centres lie between. The attributes are text and numbers:
        `source`, `mip`, `resolution`, `voxel_offset`, and `moment` where there is one. A client takes it as an
        `image_source`.

    Raises
    ------
    MissingExtraError
        If xarray or dask is not installed.
    ScaleError
        If there is no such scale, or it is a placeholder.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.arange(64 * 64 * 8, dtype=np.uint16).reshape(64, 64, 8), (8, 8, 40), (100, 0, 0))
    >>> image = image_data(ic.ImageryClient(image_source=em))
    >>> image.dims, image.x.values[:2].tolist()
    (('x', 'y', 'z'), [804.0, 812.0])
    >>> int(image.sel(x=809, y=50, z=100, method="nearest").compute()) == (64 * 1 + 6) * 8 + 2
    True
    """
    return _lazily(client, image_reader(client, mip, missing), "image", chunks)


def segmentation_data(
    client: Dataset,
    mip: Mip = None,
    timestamp: Any = None,
    root_ids: Any = "all",
    *,
    chunks: Any = None,
    missing: Gaps | None = None,
) -> xr.DataArray:
    """Give the segmentation of a whole scale as a DataArray, as `image_data`, at one moment.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    mip, timestamp, root_ids, chunks, missing
        As for `segmentation_array`.

    Returns
    -------
    xarray.DataArray
        uint64, dims x, y, z.

    Raises
    ------
    MissingExtraError, ScaleError
        As `image_data`.

    Examples
    --------
    >>> import imageryclient as ic
    >>> labels = ic.ArraySource(np.full((64, 64, 8), 7, np.uint32), (8, 8, 40))
    >>> data = segmentation_data(ic.ImageryClient(segmentation_source=labels))
    >>> data.sel(x=100, y=100, z=100, method="nearest").compute().item()
    7
    """
    return _lazily(client, segmentation_reader(client, mip, timestamp, root_ids, missing), "segmentation", chunks)


def cutout_to_xarray(cut: Cutout) -> xr.Dataset:
    """Give a cutout as a Dataset, without copying its arrays.

    Parameters
    ----------
    cut : Cutout
        With imagery, a segmentation, or both.

    Returns
    -------
    xarray.Dataset
        Variables `image` and `segmentation`, those there are, dims x, y, z (c for channels), with the coordinates that
        `image_data` has. The attributes of each are `source`, `mip`, `covered` (the share of its voxels that come from
        data) and `moment`; those of the Dataset `resolution` and `voxel_offset`.

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    ArgumentError
        If the cutout has no arrays.

    Examples
    --------
    >>> from imageryclient import Box, Cutout
    >>> cut = Cutout(np.zeros((4, 4, 1), np.uint8), None, Box((10, 20, 5), (14, 24, 6), (8.0, 8.0, 40.0)))
    >>> cutout_to_xarray(cut).image.z.values.tolist()
    [220.0]
    """
    xarray = _xarray()
    arrays = {"image": ("imagery", cut.image), "segmentation": ("segmentation", cut.segmentation)}
    variables = {}
    for name, (layer, array) in arrays.items():
        if array is None:
            continue
        attrs: dict[str, Any] = {}
        if layer in cut.sources:
            attrs["source"] = cut.sources[layer]
        if layer in cut.mips:
            attrs["mip"] = cut.mips[layer]
        if layer in cut.coverage:
            attrs["covered"] = cut.coverage[layer].fraction
        if name == "segmentation" and cut.timestamp is not None:
            attrs["moment"] = cut.timestamp.isoformat()
        variables[name] = (_DIMS[: array.ndim], array, attrs)
    if not variables:
        raise ArgumentError("this cutout has neither imagery nor segmentation")
    dataset: xr.Dataset = xarray.Dataset(variables, _coordinates(cut.bounds), _place_of(cut.bounds))
    return dataset


def _lazily(client: Dataset, reader: LayerReader, name: str, chunks: Any) -> xr.DataArray:
    xarray = _xarray()
    array = as_dask(reader, "imagery" if name == "image" else name, chunks)
    attrs = {"source": reader.volume.source, "mip": reader.scale.mip, **_place_of(reader.box)}
    if reader.wanted is not None and is_versioned(reader.volume):
        attrs["moment"] = reader.wanted.moment.isoformat()
    data: xr.DataArray = xarray.DataArray(array, _coordinates(reader.box), _DIMS[: array.ndim], name, attrs)
    return data


def _xarray() -> ModuleType:
    try:
        import xarray
    except ImportError:
        raise MissingExtraError("a DataArray needs xarray: pip install 'imageryclient[xarray]'") from None
    return xarray


def _coordinates(box: Box) -> dict[str, tuple[str, NDArray[Any], dict[str, str]]]:
    """Give the centres of the voxels along x, y and z, in nm."""
    spans = zip("xyz", box.start, box.stop, box.resolution, strict=True)
    return {axis: (axis, (np.arange(a, b) + 0.5) * nm, {"units": "nm"}) for axis, a, b, nm in spans}


def _place_of(box: Box) -> dict[str, Any]:
    return {"resolution": list(box.resolution), "voxel_offset": list(box.start)}
