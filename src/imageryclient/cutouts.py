"""Cutouts: places that a caller names, read from the layers of a dataset."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cutout import Cutout
from .errors import ArgumentError
from .files.record import AskedIds
from .ids import distinct, to_int64
from .layers import Mip
from .lookups import Lookups
from .masks import SegmentationMasks
from .place import Place
from .reading import Missing
from .volumes import Block, IdsWanted
from .volumes.base import is_versioned

__all__ = ["Cutouts", "asked_ids"]


class Cutouts(Lookups):
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

        Examples
        --------
        >>> import imageryclient as ic
        >>> em = np.arange(64 * 64 * 8, dtype=np.uint8).reshape(64, 64, 8)
        >>> client = ic.ImageryClient(image_source=em, resolution=(8, 8, 40))
        >>> client.image_cutout([32, 32, 4], bbox_size=(16, 12)).shape
        (16, 12)
        >>> client.image_cutout([[0, 0, 0], [32, 32, 4]], resolution=(4, 4, 40)).shape
        (16, 16, 4)
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
        follow: bool = False,
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
        follow : bool
            Whether an id that is not valid at the moment gives way to the objects that have its voxels in the cutout
            then; a warning says which. For proofread segmentations.
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

        Examples
        --------
        >>> import imageryclient as ic
        >>> labels = np.repeat([7, 9], 32).astype(np.uint64)[:, None, None].repeat(64, axis=1)
        >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
        >>> client.segmentation_cutout([32, 32, 0], root_ids=9, bbox_size=(4, 2)).tolist()
        [[0, 0], [0, 0], [9, 9], [9, 9]]
        """
        place = Place(bounds, self._resolution_of(resolution), bbox_size, image_size)
        block = self._segmentation(place, root_ids, mip, timestamp, scale_to_bounds, missing, follow)
        ids = np.squeeze(block.data)
        return to_int64(ids, block.largest) if convert_to_int64 else ids

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
        follow: bool = False,
    ) -> SegmentationMasks:
        """Cut out the segmentation as one mask for each id.

        Parameters
        ----------
        bounds, root_ids, bbox_size, image_size, mip, resolution, timestamp, scale_to_bounds, missing, follow
            As for `segmentation_cutout`.
        include_null_root : bool
            Whether 0, where there is no object, gets a mask too.

        Returns
        -------
        SegmentationMasks
            A mapping of ids (Python ints) to boolean arrays of the cutout's shape.

        Raises
        ------
        ImageryError
            As for `segmentation_cutout`.

        Examples
        --------
        >>> import imageryclient as ic
        >>> labels = np.repeat([7, 9], 32).astype(np.uint64)[:, None, None].repeat(64, axis=1)
        >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
        >>> masks = client.split_segmentation_cutout([32, 32, 0], bbox_size=(4, 2))
        >>> list(masks), masks[9].tolist()
        ([7, 9], [[False, False], [False, False], [True, True], [True, True]])
        """
        place = Place(bounds, self._resolution_of(resolution), bbox_size, image_size)
        block = self._segmentation(place, root_ids, mip, timestamp, scale_to_bounds, missing, follow)
        return SegmentationMasks(np.squeeze(block.data), include_null_root=include_null_root)

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
        follow: bool = False,
    ) -> tuple[NDArray[Any], NDArray[Any] | SegmentationMasks]:
        """Cut out imagery and segmentation, aligned voxel for voxel.

        Parameters
        ----------
        bounds, bbox_size, resolution, missing
            As for `image_cutout`.
        image_mip, segmentation_mip : int, optional
            Scales to read.
        root_ids, timestamp, follow, convert_to_int64
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

        Raises
        ------
        ImageryError
            As for `segmentation_cutout`.

        Examples
        --------
        >>> import imageryclient as ic
        >>> em = ic.ArraySource(np.zeros((128, 128, 8), np.uint8), (4, 4, 40))
        >>> labels = ic.ArraySource(np.full((64, 64, 8), 7, np.uint64), (8, 8, 40))
        >>> client = ic.ImageryClient(image_source=em, segmentation_source=labels)
        >>> image, masks = client.image_and_segmentation_cutout(
        ...     [64, 64, 4], bbox_size=(32, 20), split_segmentations=True)
        >>> image.shape, masks[7].shape
        ((32, 20), (32, 20))
        """
        place = Place(bounds, self._resolution_of(resolution), bbox_size)
        image, segmentation = self._layers.get("imagery", "segmentation")
        wanted = self._wanted(root_ids, timestamp, follow)
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
        return picture, to_int64(ids, blocks[1].largest) if convert_to_int64 else ids

    def cutout(
        self,
        center: ArrayLike | None = None,
        size: ArrayLike = (512, 512),
        *,
        bounds: ArrayLike | None = None,
        around: Any = None,
        units: Literal["voxels", "nm"] = "voxels",
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        resolution: ArrayLike | None = None,
        root_ids: Any = "all",
        timestamp: Any = None,
        missing: Missing | None = None,
        follow: bool = False,
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
        around : int, optional
            An object, in place of a centre and a size: the box that `bounds_of` gives for it, at the finest scale at
            which the cutout takes no more than 256 MiB, unless a mip is given.
        units : {"voxels", "nm"}
            What `center`, `size` and `bounds` count: voxels of `resolution`, or nm.
        mip : int, optional
            Scale of the imagery; the segmentation is read at the coarsest scale that is as fine.
        image_mip, segmentation_mip : int, optional
            Scales of the layers apart.
        resolution : array_like, optional
            nm per voxel of the numbers; by default the client's.
        root_ids, timestamp, missing, follow
            As for `segmentation_cutout`.

        Returns
        -------
        Cutout
            Arrays (x, y, z), never squeezed, at the finer resolution of the layers along each axis.

        Raises
        ------
        ArgumentError
            If it is not one of `center`, `bounds` and `around`, or `units` is another.
        BoundsError, OutOfBoundsError, ScaleError, TooLargeError, StorageError, DamagedDataError, AccessError
            As for `segmentation_cutout`.

        Examples
        --------
        >>> import imageryclient as ic
        >>> em, labels = np.zeros((64, 64, 8), np.uint8), np.full((64, 64, 8), 7, np.uint64)
        >>> client = ic.ImageryClient(image_source=em, segmentation_source=labels, resolution=(8, 8, 40))
        >>> cut = client.cutout([32, 32, 4], size=(16, 12))
        >>> cut.shape, cut.bounds.start, list(cut.masks)
        ((16, 12, 1), (24, 26, 4), [7])
        >>> client.cutout([256, 256, 160], size=(128, 128, 80), units="nm").shape
        (16, 16, 2)
        """
        if units not in ("voxels", "nm"):
            raise ArgumentError(f"units must be 'voxels' or 'nm'; got {units!r}")
        if sum(given is not None for given in (center, bounds, around)) != 1:
            raise ArgumentError(
                "give either a centre, with a size, or bounds, or around= and an object: one of the three"
            )
        unit = (1.0, 1.0, 1.0) if units == "nm" else self._resolution_of(resolution)
        wanted = self._wanted(root_ids, timestamp, follow)
        if around is not None:
            box, fitting = self._around(around, wanted, missing)
            place = Place(box, unit)
            if mip is None and image_mip is None and segmentation_mip is None:
                mip = fitting
        else:
            place = Place(bounds, unit) if center is None else Place(center, unit, bbox_size=size)
        pairs = self._pairs(mip, image_mip, segmentation_mip, wanted)
        layers = {layer.name: layer for layer, _, _ in pairs}
        blocks = dict(zip(layers, self._read_joined(place, pairs, missing), strict=True))
        picture, ids = blocks.get("imagery"), blocks.get("segmentation")
        versioned = ids is not None and is_versioned(layers["segmentation"].volume)
        return Cutout(
            image=None if picture is None else picture.data,
            segmentation=None if ids is None else ids.data,
            bounds=next(iter(blocks.values())).box,
            timestamp=wanted.moment if versioned else None,
            coverage={name: block.coverage for name, block in blocks.items()},
            sources={name: layer.volume.source for name, layer in layers.items()},
            mips={layer.name: scale.mip for layer, scale, _ in pairs},
            root_ids="all" if ids is None else asked_ids(wanted, ids.data),
        )

    def _segmentation(
        self,
        place: Place,
        root_ids: Any,
        mip: Mip,
        timestamp: Any,
        scale_to_bounds: bool | None,
        missing: Missing | None,
        follow: bool,
    ) -> Block:
        (layer,) = self._layers.get("segmentation")
        wanted = self._wanted(root_ids, timestamp, follow)
        (block,) = self._read_apart(place, [(layer, layer.scale(mip), wanted)], scale_to_bounds, missing)
        return block


def asked_ids(wanted: IdsWanted, found: NDArray[np.uint64]) -> AskedIds:
    """Give the ids asked for; where others took the place of some, those that are there."""
    if not isinstance(wanted.root_ids, np.ndarray):
        return wanted.root_ids
    ids = distinct(found[found > 0]) if wanted.follow else wanted.root_ids
    return tuple(ids.tolist())
