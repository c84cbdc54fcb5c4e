"""Cutouts: places that a caller names, read from the layers of a dataset."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cutout import Cutout
from .dataset import Dataset, Wanted
from .errors import ArgumentError
from .ids import to_int64
from .layers import Layer, Mip
from .masks import SegmentationMasks
from .place import Place
from .reading import Missing
from .volumes import SegmentationVolume

__all__ = ["Cutouts"]


class Cutouts(Dataset):
    """A dataset that gives cutouts, as arrays, as masks and as `Cutout`."""

    def image_cutout(
        self,
        bounds: ArrayLike,
        bbox_size: ArrayLike | None = None,
        image_size: ArrayLike | None = None,
        mip: Mip = None,
        resolution: ArrayLike | None = None,
        scale_to_bounds: bool | None = None,
        *,
        missing: Missing | None = None,
    ) -> NDArray[Any]:
        """Cut out imagery.

        Parameters
        ----------
        bounds : array_like
            Lower and upper corner, shape (2, 3); or a centre, when a size is given. The upper corner is not part
            of the box.
        bbox_size : array_like, optional
            Size around the centre, two or three numbers of voxels of `resolution`; two make one section.
        image_size : array_like, optional
            Size around the centre in pixels of the imagery, instead of `bbox_size`.
        mip : int, optional
            Scale to read; a resolution in nm names one too.
        resolution : array_like, optional
            nm per voxel of `bounds` and `bbox_size`; by default the client's.
        scale_to_bounds : bool, optional
            True gives one voxel for each voxel of the box at `resolution`, by nearest neighbour. Otherwise come
            the imagery's own voxels: the smallest block that covers the box.
        missing : {"warn", "fill", "raise"}, optional
            In place of the client's.

        Returns
        -------
        numpy.ndarray
            Axes (x, y, z) without those of length one, and a last axis of channels if there are several; dtype
            of the imagery, uint8 as a rule.

        Raises
        ------
        BoundsError, OutOfBoundsError
            If the numbers make no box, or one wholly outside the imagery.
        ScaleError
            If there is no such mip.
        TooLargeError
            If the cutout would exceed the memory limit.
        StorageError, DamagedDataError
            If the imagery cannot be read.
        """
        (layer,) = self._layers.get("imagery")
        place = Place(bounds, self._resolution_of(resolution), bbox_size, image_size)
        (block,) = self._read_apart(place, [(layer, layer.scale(mip), None)], scale_to_bounds, missing)
        return np.squeeze(block.data)

    def segmentation_cutout(
        self,
        bounds: ArrayLike,
        root_ids: Any = "all",
        bbox_size: ArrayLike | None = None,
        image_size: ArrayLike | None = None,
        mip: Mip = None,
        resolution: ArrayLike | None = None,
        timestamp: Any = None,
        scale_to_bounds: bool | None = None,
        convert_to_int64: bool = True,
        *,
        missing: Missing | None = None,
    ) -> NDArray[Any]:
        """Cut out the segmentation.

        Parameters
        ----------
        bounds, bbox_size, image_size, mip, resolution, scale_to_bounds, missing
            As for `image_cutout`, of the segmentation.
        root_ids : "all", None, int or sequence of int
            "all" gives each voxel the id of its object, None that of its supervoxel; one id or many only those
            objects, and 0 elsewhere. Ids may be Python or numpy integers, text, or a pandas column.
        timestamp : datetime, float, str, optional
            Moment to see the objects at; by default the client's.
        convert_to_int64 : bool
            Whether to give int64 when the ids fit it, which all of CAVE's do.

        Returns
        -------
        numpy.ndarray
            Axes (x, y, z) without those of length one; int64, or uint64 on request or, with a warning, where an
            id does not fit.

        Raises
        ------
        BoundsError, OutOfBoundsError, ScaleError, TooLargeError, StorageError, DamagedDataError
            As for `image_cutout`.
        AccessError
            If the server refuses the token, or asks for one and there is none.
        """
        place = Place(bounds, self._resolution_of(resolution), bbox_size, image_size)
        segmentation = self._segmentation(place, root_ids, mip, timestamp, scale_to_bounds, missing)
        return to_int64(segmentation) if convert_to_int64 else segmentation

    def split_segmentation_cutout(
        self,
        bounds: ArrayLike,
        root_ids: Any = "all",
        include_null_root: bool = False,
        bbox_size: ArrayLike | None = None,
        image_size: ArrayLike | None = None,
        mip: Mip = None,
        resolution: ArrayLike | None = None,
        timestamp: Any = None,
        scale_to_bounds: bool | None = None,
        *,
        missing: Missing | None = None,
    ) -> SegmentationMasks:
        """Cut out the segmentation as one mask for each id.

        Parameters
        ----------
        bounds, root_ids, bbox_size, image_size, mip, resolution, timestamp, scale_to_bounds, missing
            As for `segmentation_cutout`.
        include_null_root : bool
            Whether 0, where there is no object, gets a mask too.

        Returns
        -------
        SegmentationMasks
            A mapping of ids (Python ints) to boolean arrays of the cutout's shape.
        """
        place = Place(bounds, self._resolution_of(resolution), bbox_size, image_size)
        segmentation = self._segmentation(place, root_ids, mip, timestamp, scale_to_bounds, missing)
        return SegmentationMasks(segmentation, include_null_root=include_null_root)

    def image_and_segmentation_cutout(
        self,
        bounds: ArrayLike,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        root_ids: Any = "all",
        resize: bool = True,
        split_segmentations: bool = False,
        include_null_root: bool = False,
        bbox_size: ArrayLike | None = None,
        resolution: ArrayLike | None = None,
        timestamp: Any = None,
        scale_to_bounds: bool | None = None,
        convert_to_int64: bool = True,
        *,
        missing: Missing | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any] | SegmentationMasks]:
        """Cut out imagery and segmentation, aligned voxel for voxel.

        Parameters
        ----------
        bounds, bbox_size, resolution, missing
            As for `image_cutout`.
        image_mip, segmentation_mip : int, optional
            Scales to read.
        root_ids, timestamp, convert_to_int64
            As for `segmentation_cutout`.
        resize : bool
            Whether to give both on one grid: along each axis the finer of the two.
        split_segmentations : bool
            Whether to give the segmentation as one mask for each id.
        include_null_root : bool
            Whether 0 gets a mask too.
        scale_to_bounds : bool, optional
            True gives one voxel for each voxel of the box at `resolution`, in both.

        Returns
        -------
        tuple
            The imagery as from `image_cutout`, and the segmentation as from `segmentation_cutout` or, when split,
            `split_segmentation_cutout`.
        """
        place = Place(bounds, self._resolution_of(resolution), bbox_size)
        image, segmentation = self._layers.get("imagery", "segmentation")
        wanted = self._wanted(root_ids, timestamp)
        pair = [
            (image, image.scale(image_mip), None),
            (segmentation, segmentation.scale(segmentation_mip), wanted),
        ]
        if resize and not scale_to_bounds:
            blocks = self._read_joined(place, pair, missing)
        else:
            blocks = self._read_apart(place, pair, scale_to_bounds, missing)
        picture, ids = (np.squeeze(block.data) for block in blocks)
        if split_segmentations:
            return picture, SegmentationMasks(ids, include_null_root=include_null_root)
        return picture, to_int64(ids) if convert_to_int64 else ids

    def cutout(
        self,
        center: ArrayLike | None = None,
        size: ArrayLike = (512, 512),
        *,
        bounds: ArrayLike | None = None,
        units: Literal["voxels", "nm"] = "voxels",
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        resolution: ArrayLike | None = None,
        root_ids: Any = "all",
        timestamp: Any = None,
        missing: Missing | None = None,
    ) -> Cutout:
        """Cut out whatever layers the client has, on one grid, and keep what they are.

        Parameters
        ----------
        center : array_like
            x, y, z of the centre.
        size : array_like
            Two or three numbers; two make one section.
        bounds : array_like, optional
            Lower and upper corner, in place of a centre and a size.
        units : {"voxels", "nm"}
            What `center`, `size` and `bounds` count: voxels of `resolution`, or nm.
        mip : int, optional
            Scale of the imagery; the segmentation is read at the coarsest scale that is as fine.
        image_mip, segmentation_mip : int, optional
            Scales of the layers apart.
        resolution : array_like, optional
            nm per voxel of the numbers; by default the client's.
        root_ids, timestamp, missing
            As for `segmentation_cutout`.

        Returns
        -------
        Cutout
            Arrays (x, y, z), never squeezed, at the finer resolution of the layers along each axis.
        """
        if units not in ("voxels", "nm"):
            raise ArgumentError(f"units must be 'voxels' or 'nm'; got {units!r}")
        if (center is None) == (bounds is None):
            raise ArgumentError("give either a centre, with a size, or bounds")
        unit = (1.0, 1.0, 1.0) if units == "nm" else self._resolution_of(resolution)
        place = Place(bounds, unit) if center is None else Place(center, unit, bbox_size=size)
        layers = {layer.name: layer for layer in self._layers.get(*self._layers.names)}
        wanted = self._wanted(root_ids, timestamp)
        pairs: list[Wanted] = []
        if "imagery" in layers:
            image_scale = layers["imagery"].scale(mip if image_mip is None else image_mip)
            pairs.append((layers["imagery"], image_scale, None))
        if "segmentation" in layers:
            segmentation = layers["segmentation"]
            if mip is None or segmentation_mip is not None or not pairs:
                scale = segmentation.scale(mip if segmentation_mip is None else segmentation_mip)
            else:
                scale = segmentation.scale_for(pairs[0][1].resolution)
            pairs.append((segmentation, scale, wanted))
        blocks = dict(zip(layers, self._read_joined(place, pairs, missing), strict=True))
        picture, ids = blocks.get("imagery"), blocks.get("segmentation")
        versioned = ids is not None and _is_versioned(layers["segmentation"])
        return Cutout(
            image=None if picture is None else picture.data,
            segmentation=None if ids is None else ids.data,
            bounds=next(iter(blocks.values())).box,
            timestamp=wanted.moment if versioned else None,
            coverage={name: block.coverage for name, block in blocks.items()},
            sources={name: layer.volume.source for name, layer in layers.items()},
            mips={layer.name: scale.mip for layer, scale, _ in pairs},
        )

    def _segmentation(
        self,
        place: Place,
        root_ids: Any,
        mip: Mip,
        timestamp: Any,
        scale_to_bounds: bool | None,
        missing: Missing | None,
    ) -> NDArray[np.uint64]:
        (layer,) = self._layers.get("segmentation")
        wanted = self._wanted(root_ids, timestamp)
        (block,) = self._read_apart(place, [(layer, layer.scale(mip), wanted)], scale_to_bounds, missing)
        return np.squeeze(block.data)


def _is_versioned(layer: Layer) -> bool:
    return isinstance(layer.volume, SegmentationVolume) and layer.volume.versioned
