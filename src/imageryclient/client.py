"""The client: cutouts of a dataset, and files of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .layers import Mip
from .manyplaces import ManyPlaces
from .reading import Missing

__all__ = ["ImageryClient"]


class ImageryClient(ManyPlaces):
    """Aligned cutouts of imagery and segmentation.

    Name the data by a CAVEclient, by source strings, or by both; a source string given here goes before the
    CAVEclient's. Nothing is read before the first cutout.

    Parameters
    ----------
    client : caveclient.CAVEclient, optional
        Supplies the sources, the token, the resolution of coordinates and, through its `version`, the moment.
    resolution : array_like or "image" or "segmentation", optional
        nm per voxel in which bounds and centres are given. By default the CAVEclient's viewer resolution, or else
        that of the imagery ("image"), or else that of the segmentation.
    segmentation, imagery : bool
        False leaves the layer out.
    image_source, segmentation_source : str, array, ArraySource or sequence of these, optional
        Such as `precomputed://gs://bucket/folder` or `graphene://https://server/segmentation/table/name`; or an array
        with axes (x, y, z), or several as scales, finest first. Anything with a shape, a dtype and slices will do.
    image_mip, segmentation_mip : int, optional
        Scale to read by default. By default the first that is not a placeholder.
    auth_token : str, optional
        Sent to servers that ask for a CAVE token. By default the CAVEclient's, or the one saved for that server.
    timestamp : datetime, float, str, optional
        Moment to see a proofread segmentation at; "now" freezes the present one. By default that of the
        CAVEclient's version, or the present at each call. A naive datetime is UTC.
    missing : {"warn", "fill", "raise"}
        What to do about voxels and ids that are not there: fill with 0 and warn, fill in silence, or raise
        `MissingDataError`. Each call takes it too.
    memory_limit : int, optional
        Bytes a read may take, by estimate. By default half of the free memory.
    timeout : float
        Seconds a request may take.
    cache_dir : path, optional
        Folder in which chunks from servers are kept between processes, up to 10 GiB; several may use it at once.
    voxel_offset : array_like of int, optional
        Where arrays begin that do not say it themselves, in voxels of `resolution`, which they then need too.

    Raises
    ------
    ArgumentError
        If an argument makes no sense, or nothing says where the data are.
    TypeError
        For an argument that does not exist; `base_resolution`, the name in older versions, is now `resolution`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from imageryclient.demo.writer import Layout, write_precomputed
    >>> em = np.arange(32 * 32 * 4, dtype=np.uint8).reshape(32, 32, 4)
    >>> folder = write_precomputed(tempfile.mkdtemp(), [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    >>> client = ImageryClient(image_source=str(folder))
    >>> image = client.image_cutout([16, 16, 2], bbox_size=(8, 8))
    >>> bool(np.all(image == em[12:20, 12:20, 2]))
    True
    """

    def save_imagery(
        self,
        filename_prefix: str,
        bounds: Any = None,
        mip: Mip = None,
        precomputed_image: NDArray[Any] | None = None,
        slice_axis: int = 2,
        bbox_size: ArrayLike | None = None,
        image_size: ArrayLike | None = None,
        resolution: ArrayLike | None = None,
        scale_to_bounds: bool | None = None,
        verbose: bool = False,
        *,
        display_range: tuple[float, float] | None = None,
        missing: Missing | None = None,
        **kwargs: Any,
    ) -> None:
        """Save imagery as PNG: `PREFIX_imagery.png`, or `PREFIX_slice_N_imagery.png` for each section of a stack.

        Parameters
        ----------
        filename_prefix : str
            Folder and beginning of the names.
        precomputed_image : numpy.ndarray, optional
            Imagery at hand, in place of a cutout.
        slice_axis : int
            Axis along which a stack is cut into sections.
        verbose : bool
            Whether to print each file's name.
        display_range : tuple of float, optional
            Values saved as black and white; without it uint8 and uint16 are saved as they are, and other values must
            be from 0 to 255.
        bounds, mip, bbox_size, image_size, resolution, scale_to_bounds, missing
            As for `image_cutout`.
        **kwargs
            For Pillow's `Image.save`.

        Raises
        ------
        ArgumentError
            If values lie outside 0 to 255 and no `display_range` says how to show them.
        ImageryError
            As for `image_cutout`.

        Examples
        --------
        >>> import tempfile, numpy as np, imageryclient as ic
        >>> from pathlib import Path
        >>> client = ic.ImageryClient(image_source=np.zeros((64, 64, 8), np.uint8), resolution=(8, 8, 40))
        >>> folder = Path(tempfile.mkdtemp())
        >>> client.save_imagery(str(folder / "place"), [32, 32, 4], bbox_size=(16, 16, 2))
        >>> sorted(file.name for file in folder.iterdir())
        ['place_slice_0_imagery.png', 'place_slice_1_imagery.png']
        """
        from .files.export import save_imagery_slices

        if precomputed_image is None:
            image = self.image_cutout(bounds, bbox_size, image_size, mip, resolution, scale_to_bounds, missing=missing)
            precomputed_image = self._sections_of(image)
        save_imagery_slices(
            filename_prefix, precomputed_image, slice_axis, verbose, display_range=display_range, **kwargs
        )

    def _sections_of(self, image: NDArray[Any]) -> NDArray[Any]:
        """Give a squeezed cutout of several channels all its axes back, lest its channels pass for sections."""
        (layer,) = self._layers.get("imagery")
        if layer.volume.info.channels == 1:
            return image
        return image.reshape(*image.shape[:-1], *(1,) * (4 - image.ndim), image.shape[-1])

    def save_segmentation_masks(
        self,
        filename_prefix: str,
        bounds: Any = None,
        mip: Mip = None,
        root_ids: Any = "all",
        precomputed_masks: Mapping[int, NDArray[Any]] | None = None,
        segmentation_colormap: Mapping[int, Any] | None = None,
        slice_axis: int = 2,
        include_null_root: bool = False,
        bbox_size: ArrayLike | None = None,
        image_size: ArrayLike | None = None,
        resolution: ArrayLike | None = None,
        timestamp: Any = None,
        scale_to_bounds: bool | None = None,
        verbose: bool = False,
        *,
        missing: Missing | None = None,
        follow: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save one PNG for each id: `PREFIX_root_id_ID.png`, or `PREFIX_slice_N_root_id_ID.png` for each section.

        Parameters
        ----------
        filename_prefix : str
            Folder and beginning of the names.
        precomputed_masks : mapping, optional
            Masks at hand, in place of a cutout.
        segmentation_colormap : mapping, optional
            For some ids a colour, three or four numbers of 0 to 255; others are white.
        slice_axis, verbose, **kwargs
            As for `save_imagery`.
        bounds, mip, root_ids, include_null_root, bbox_size, image_size, resolution, timestamp, scale_to_bounds, \
missing, follow
            As for `split_segmentation_cutout`.

        Raises
        ------
        ImageryError
            As for `split_segmentation_cutout`.

        Examples
        --------
        >>> import tempfile, numpy as np, imageryclient as ic
        >>> from pathlib import Path
        >>> labels = np.full((64, 64, 8), 7, np.uint64)
        >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
        >>> folder = Path(tempfile.mkdtemp())
        >>> client.save_segmentation_masks(str(folder / "place"), [32, 32, 4], bbox_size=(16, 16))
        >>> [file.name for file in folder.iterdir()]
        ['place_root_id_7.png']
        """
        from .files.export import save_mask_slices

        if precomputed_masks is None:
            precomputed_masks = self.split_segmentation_cutout(
                bounds,
                root_ids,
                include_null_root,
                bbox_size,
                image_size,
                mip,
                resolution,
                timestamp,
                scale_to_bounds,
                missing=missing,
                follow=follow,
            )
        save_mask_slices(filename_prefix, precomputed_masks, segmentation_colormap or {}, slice_axis, verbose, **kwargs)

    def save_image_and_segmentation_masks(
        self,
        filename_prefix: str,
        bounds: Any = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        root_ids: Any = "all",
        include_null_root: bool = False,
        segmentation_colormap: Mapping[int, Any] | None = None,
        resize: bool = True,
        precomputed_data: Any = None,
        slice_axis: int = 2,
        bbox_size: ArrayLike | None = None,
        resolution: ArrayLike | None = None,
        timestamp: Any = None,
        scale_to_bounds: bool | None = None,
        *,
        display_range: tuple[float, float] | None = None,
        missing: Missing | None = None,
        follow: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save imagery and one mask for each id as PNG, aligned: for layers in Illustrator, Inkscape or Photoshop.

        Parameters
        ----------
        precomputed_data : tuple, optional
            Imagery and masks at hand, in place of a cutout.
        filename_prefix, segmentation_colormap, slice_axis, display_range, **kwargs
            As for `save_imagery` and `save_segmentation_masks`.
        bounds, image_mip, segmentation_mip, root_ids, include_null_root, resize, bbox_size, resolution, timestamp, \
scale_to_bounds, missing, follow
            As for `image_and_segmentation_cutout`.

        Raises
        ------
        ImageryError
            As for `image_and_segmentation_cutout` and `save_imagery`.

        Examples
        --------
        >>> import tempfile, numpy as np, imageryclient as ic
        >>> from pathlib import Path
        >>> em, labels = np.zeros((64, 64, 8), np.uint8), np.full((64, 64, 8), 7, np.uint64)
        >>> client = ic.ImageryClient(image_source=em, segmentation_source=labels, resolution=(8, 8, 40))
        >>> folder = Path(tempfile.mkdtemp())
        >>> client.save_image_and_segmentation_masks(str(folder / "place"), [32, 32, 4], bbox_size=(16, 16))
        >>> sorted(file.name for file in folder.iterdir())
        ['place_imagery.png', 'place_root_id_7.png']
        """
        if precomputed_data is None:
            image, masks = self.image_and_segmentation_cutout(
                bounds,
                image_mip,
                segmentation_mip,
                root_ids,
                resize,
                split_segmentations=True,
                include_null_root=include_null_root,
                bbox_size=bbox_size,
                resolution=resolution,
                timestamp=timestamp,
                scale_to_bounds=scale_to_bounds,
                missing=missing,
                follow=follow,
            )
            precomputed_data = self._sections_of(image), masks
        image, masks = precomputed_data
        self.save_imagery(
            filename_prefix, precomputed_image=image, slice_axis=slice_axis, display_range=display_range, **kwargs
        )
        self.save_segmentation_masks(
            filename_prefix,
            precomputed_masks=masks,
            segmentation_colormap=segmentation_colormap,
            slice_axis=slice_axis,
            **kwargs,
        )
