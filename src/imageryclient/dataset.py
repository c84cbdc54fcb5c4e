"""A dataset as a caller names it: its layers, who may read them, in which voxels and as of when places are given."""

from __future__ import annotations

from datetime import datetime
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cachefolder import CacheFolder
from .cave.datastack import Datastack
from .cloudpath import cloudvolume_path
from .errors import ArgumentError, MissingExtraError
from .geometry import Region, Resolution, as_resolution
from .ids import parse_root_ids
from .layers import Layer, LayerName, Layers, Mip, Source, token_finder
from .moment import is_settled, now, parse_moment, unix_seconds
from .place import Place, bbox_size_of
from .reading import Missing, Policy, Reading, parse_missing, read_layers
from .scales import Scale
from .storage import Patience
from .volumes import Block, IdsWanted, Volume

__all__ = ["Dataset"]

Wanted = tuple[Layer, Scale, IdsWanted | None]


class Dataset:
    """What `ImageryClient` is made of; its parameters are described there."""

    def __init__(
        self,
        client: Any = None,
        resolution: ArrayLike | Literal["image", "segmentation"] | None = None,
        segmentation: bool = True,
        imagery: bool = True,
        image_source: Any = None,
        segmentation_source: Any = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        auth_token: str | None = None,
        timestamp: Any = None,
        *,
        missing: Missing = "warn",
        memory_limit: int | None = None,
        timeout: float = 30.0,
        cache_dir: str | PathLike[str] | None = None,
        voxel_offset: ArrayLike | None = None,
        **unknown: object,
    ) -> None:
        _refuse(unknown)
        self._datastack = None if client is None else Datastack(client)
        if self._datastack is not None:
            if image_source is None and imagery:
                image_source = self._datastack.image_source()
            if segmentation_source is None and segmentation:
                segmentation_source = self._datastack.segmentation_source()
        self._auth_token = auth_token
        shape = None if resolution is None or isinstance(resolution, str) else as_resolution(resolution)
        image = _opened(image_source, shape, voxel_offset)
        labels = _opened(segmentation_source, shape, voxel_offset, segmentation=True)
        if voxel_offset is not None and not any(map(_holds_arrays, (image, labels))):
            raise ArgumentError("voxel_offset= says where an array begins, but no source is an array")
        self._layers = Layers(
            Source(image, image_mip, bool(imagery)),
            Source(labels, segmentation_mip, bool(segmentation)),
            token_finder(auth_token, self._datastack),
            Patience(timeout=timeout, connect_timeout=min(timeout, Patience().connect_timeout)),
            None if cache_dir is None else CacheFolder(cache_dir),
        )
        if not self._layers.names:
            raise ArgumentError(
                "nothing says where the data are: pass a CAVEclient, image_source= or segmentation_source="
            )
        if resolution is None and self._datastack is not None:
            resolution = self._datastack.resolution()
        self._default_resolution = self._parse_resolution(resolution)
        frozen = isinstance(timestamp, str) and timestamp.strip().lower() == "now"
        self._timestamp = now() if frozen else timestamp
        self._moment = None if timestamp is None else parse_moment(self._timestamp)
        self._policy = Policy(parse_missing(missing), memory_limit)
        self._cloudvolumes: dict[LayerName, Any] = {}

    def _parse_resolution(self, resolution: Any) -> Resolution | LayerName:
        if resolution is None:
            return "imagery" if "imagery" in self._layers.names else "segmentation"
        if isinstance(resolution, str):
            name: LayerName | None = {"image": "imagery", "segmentation": "segmentation"}.get(resolution)  # type: ignore[assignment]
            if name is None:
                raise ArgumentError(
                    f"resolution must be nm per voxel for x, y, z, or 'image' or 'segmentation'; got {resolution!r}"
                )
            if name not in self._layers.names:
                raise ArgumentError(f"resolution={resolution!r}, but this client has no {name}")
            return name
        return as_resolution(resolution)

    @property
    def image_source(self) -> str | None:
        """Source string of the imagery; of an array, its name."""
        return self._layers.source("imagery")

    @property
    def segmentation_source(self) -> str | None:
        """Source string of the segmentation; of an array, its name."""
        return self._layers.source("segmentation")

    @property
    def token(self) -> str | None:
        """The CAVE token: the one given, or else the CAVEclient's."""
        if self._auth_token is None and self._datastack is not None:
            return self._datastack.token()
        return self._auth_token

    @property
    def resolution(self) -> NDArray[np.float64]:
        """Nm per voxel along x, y and z in which places are given, unless a call says otherwise."""
        return np.array(self._resolution_of(None))

    @property
    def timestamp(self) -> Any:
        """The moment as it was given; else that of the CAVEclient's version; else the present, in unix seconds."""
        if self._timestamp is not None:
            return self._timestamp
        return self._version() or float(unix_seconds(now()))

    @property
    def volumes(self) -> dict[str, Volume]:
        """The opened layers: "imagery" and "segmentation", those of them there are."""
        return {layer.name: layer.volume for layer in self._layers.get(*self._layers.names)}

    @property
    def image_cv(self) -> Any:
        """The imagery's `cloudvolume.CloudVolume`, made once; None if the client was made with `imagery=False`.

        Raises
        ------
        MissingExtraError
            If cloud-volume is not installed.
        ArgumentError
            If the imagery is an array.
        SourceError
            If it lies where CloudVolume does not read.
        """
        return self._cloudvolume("imagery")

    @property
    def segmentation_cv(self) -> Any:
        """The segmentation's `cloudvolume.CloudVolume`, as `image_cv`; None if made with `segmentation=False`."""
        return self._cloudvolume("segmentation")

    def _cloudvolume(self, name: LayerName) -> Any:
        if name not in self._layers.names:
            return None
        if name in self._cloudvolumes:
            return self._cloudvolumes[name]
        path = self._layers.path(name)
        if path is None:
            raise ArgumentError(f"the {name} of this client is an array or a volume at hand, not a CloudVolume")
        try:
            from cloudvolume import CloudVolume
        except ImportError:
            raise MissingExtraError(
                "a CloudVolume object needs cloud-volume: pip install 'imageryclient[cloudvolume]'"
            ) from None
        made = CloudVolume(
            cloudvolume_path(path),
            bounded=False,
            fill_missing=True,
            progress=False,
            use_https=True,
            secrets=self._layers.token(name),
        )
        return self._cloudvolumes.setdefault(name, made)

    def image_bbox_size_from_dimensions(
        self, image_size: ArrayLike, mip: Mip = None, resolution: ArrayLike | None = None
    ) -> list[float]:
        """Give the `bbox_size` of an imagery cutout with this many pixels.

        Parameters
        ----------
        image_size : array_like
            Two numbers of pixels, or three of voxels, of the imagery.
        mip : int, optional
            Scale of the imagery.
        resolution : array_like, optional
            nm per voxel of the `bbox_size`; by default the client's.

        Returns
        -------
        list
            Voxels of `resolution` along x, y and z; two pixels make a box one voxel deep.

        Raises
        ------
        ScaleError
            If there is no such mip.
        BoundsError
            If the size is not two or three positive numbers.

        Examples
        --------
        >>> import imageryclient as ic
        >>> client = ic.ImageryClient(image_source=ic.ArraySource(np.zeros((64, 64, 8), np.uint8), (8, 8, 40)))
        >>> client.image_bbox_size_from_dimensions((32, 16), resolution=(4, 4, 40))
        [64.0, 32.0, 1]
        """
        return self._bbox_size("imagery", image_size, mip, resolution)

    def segmentation_bbox_size_from_dimensions(
        self, image_size: ArrayLike, mip: Mip = None, resolution: ArrayLike | None = None
    ) -> list[float]:
        """Give the `bbox_size` of a segmentation cutout with this many pixels.

        Parameters
        ----------
        image_size, mip, resolution
            As for `image_bbox_size_from_dimensions`, of the segmentation.

        Returns
        -------
        list
            Voxels of `resolution` along x, y and z.

        Raises
        ------
        ScaleError, BoundsError
            As for `image_bbox_size_from_dimensions`.

        Examples
        --------
        >>> import imageryclient as ic
        >>> labels = ic.ArraySource(np.zeros((64, 64, 8), np.uint64), (8, 8, 40))
        >>> client = ic.ImageryClient(segmentation_source=labels)
        >>> client.segmentation_bbox_size_from_dimensions((32, 16, 2), resolution=(4, 4, 40))
        [64.0, 32.0, 2.0]
        """
        return self._bbox_size("segmentation", image_size, mip, resolution)

    def _bbox_size(self, name: LayerName, image_size: Any, mip: Mip, resolution: ArrayLike | None) -> list[float]:
        (layer,) = self._layers.get(name)
        return bbox_size_of(image_size, layer.scale(mip).resolution, self._resolution_of(resolution))

    def _read_apart(
        self,
        place: Place,
        layers: list[Wanted],
        scale_to_bounds: bool | None,
        missing: Missing | None,
    ) -> list[Block]:
        """Read each layer on its own grid, or all on that of the bounds."""
        readings = []
        for layer, scale, wanted in layers:
            region = place.region(scale.resolution)
            target = region.at(place.resolution if scale_to_bounds else scale.resolution)
            readings.append(Reading(layer.name, layer.volume, scale, target, wanted))
        return self._read(readings, place.asked(scale.resolution), missing)

    def _read_joined(self, place: Place, layers: list[Wanted], missing: Missing | None) -> list[Block]:
        """Read all layers on one grid: along each axis the finest of theirs."""
        x, y, z = (min(axis) for axis in zip(*(scale.resolution for _, scale, _ in layers), strict=True))
        region = place.region((x, y, z))
        target = region.at((x, y, z))
        readings = [Reading(layer.name, layer.volume, scale, target, wanted) for layer, scale, wanted in layers]
        return self._read(readings, region, missing)

    def _read(self, readings: list[Reading], region: Region, missing: Missing | None) -> list[Block]:
        return read_layers(readings, region, self._policy_of(missing), [self._resolution_of(None)])

    def _policy_of(self, missing: Missing | None) -> Policy:
        return self._policy if missing is None else Policy(parse_missing(missing), self._policy.memory_limit)

    def _resolution_of(self, given: ArrayLike | None) -> Resolution:
        if given is not None:
            return as_resolution(given)
        if isinstance(self._default_resolution, str):
            (layer,) = self._layers.get(self._default_resolution)
            return layer.default.resolution
        return self._default_resolution

    def _wanted(self, root_ids: Any, timestamp: Any, follow: bool = False) -> IdsWanted:
        """Fix the ids and the one moment of a call: the call's, the client's, the CAVEclient's now, or the present."""
        present = now()
        moment = self._moment or self._version() or present if timestamp is None else parse_moment(timestamp)
        return IdsWanted(parse_root_ids(root_ids), moment, is_settled(moment, present), bool(follow))

    def _version(self) -> datetime | None:
        """Give the moment of the CAVEclient's version, as it is now; None where there is none."""
        return None if self._datastack is None else self._datastack.moment()

    def __reduce__(self) -> tuple[Any, ...]:
        # Arguments without the token or the CAVEclient: another process finds a token as any does.
        from .recipe import recipe_of

        return recipe_of(self).make, ()

    def __repr__(self) -> str:
        sources = ", ".join(f"{name} {self._layers.source(name)}" for name in self._layers.names)
        return f"<ImageryClient: {sources}>"


def _opened(
    source: Any, resolution: Resolution | None, voxel_offset: ArrayLike | None, segmentation: bool = False
) -> str | PathLike[str] | Volume | None:
    """Give a source string or a volume as it is, and an array as a volume."""
    if source is None or isinstance(source, (str, PathLike)):
        return source
    if not hasattr(source, "shape") and isinstance(source, Volume):
        return source
    from .volumes.memory import open_arrays

    return open_arrays(source, resolution, voxel_offset, segmentation=segmentation)


def _holds_arrays(source: object) -> bool:
    from .volumes.memory import MemoryVolume

    return isinstance(source, MemoryVolume)


def _refuse(unknown: dict[str, object]) -> None:
    for name in unknown:
        hint = "; the resolution of bounds is now named resolution=" if name == "base_resolution" else ""
        raise TypeError(f"ImageryClient got an unexpected argument {name!r}{hint}")
