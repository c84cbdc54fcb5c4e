"""Many places, and whole volumes: what a dataset gives beyond one place at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from .layers import LayerName, Mip
from .reading import Missing
from .sections import Sections

if TYPE_CHECKING:
    from pathlib import Path

    import dask.array as da
    import xarray as xr
    from distributed import Client

    from .bulk.estimate import Estimate
    from .bulk.export import ExportReport
    from .bulk.failures import FailedPlace
    from .bulk.reading import PlaceCutout
    from .lazy.napari import LayerData

__all__ = ["ManyPlaces"]


class ManyPlaces(Sections):
    """A dataset that gives many places at once, and whole scales without reading them."""

    def cutouts(
        self,
        points: Any,
        bbox_size: ArrayLike = (256, 256),
        *,
        mip: Mip = None,
        image_mip: Mip = None,
        segmentation_mip: Mip = None,
        resolution: ArrayLike | None = None,
        root_ids: Any = "all",
        timestamp: Any = None,
        column: str | None = None,
        ids_columns: Sequence[str] = (),
        order: Literal["input", "completed"] = "input",
        on_error: Literal["raise", "skip", "return"] = "raise",
        progress: bool | Callable[[int, int], None] | None = None,
        missing: Missing | None = None,
        budget: int | None = None,
    ) -> Iterator[PlaceCutout | FailedPlace]:
        """Cut out many places of one size, at one moment, each as `cutout` would; neighbours are read together.

        Parameters
        ----------
        points : array_like, pandas.DataFrame, pandas.Series or path
            Shape (n, 3): x, y, z of the centres; or a CAVE table with a position; or a CSV file with such columns.
        bbox_size : array_like
            Two or three numbers of voxels of `resolution`, by default the client's, also where a table has its
            positions in nm; two make one section. All cutouts have one shape.
        mip, image_mip, segmentation_mip, resolution, root_ids, timestamp, missing
            As for `cutout`; a table may say its resolution itself. Ids that a place does not hold are not warned of.
        column : str, optional
            Which position of a table that has several, such as "pre_pt_position".
        ids_columns : sequence of str
            Columns of ids to hand out with each cutout, as `ids`.
        order : {"input", "completed"}
            As given; or as they come, which is fastest.
        on_error : {"raise", "skip", "return"}
            What to do about a place that cannot be read, once it was tried again: raise its error, leave it out and
            warn at the end, or give a `FailedPlace`.
        progress : bool or callable, optional
            True shows a bar; or what is to be called with the number of places done and that of all.
        budget : int, optional
            Bytes that chunks and waiting cutouts may take.

        Yields
        ------
        PlaceCutout or FailedPlace
            A `Cutout` that tells its `index`, the row of the place; `FailedPlace` only if `on_error` is "return".

        Raises
        ------
        ImageryError
            As for `cutout`; of the points as for `root_ids_at`.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> em = np.arange(64 * 64 * 8, dtype=np.uint8).reshape(64, 64, 8)
        >>> client = ic.ImageryClient(image_source=em, resolution=(8, 8, 40))
        >>> [cut.image.shape for cut in client.cutouts([[16, 16, 4], [40, 20, 4]], (8, 8, 2))]
        [(8, 8, 2), (8, 8, 2)]
        """
        from .bulk.stream import cutouts

        limits = {} if budget is None else {"budget": budget}
        return cutouts(
            self,  # type: ignore[arg-type]
            points,
            bbox_size,
            mip=mip,
            image_mip=image_mip,
            segmentation_mip=segmentation_mip,
            resolution=resolution,
            root_ids=root_ids,
            timestamp=timestamp,
            column=column,
            ids_columns=ids_columns,
            order=order,
            on_error=on_error,
            progress=progress,
            missing=missing,
            **limits,
        )

    def export(
        self,
        points: Any,
        to: str | PathLike[str],
        *,
        format: Literal["zarr", "npz", "png", "tiff", "h5"] = "zarr",
        bbox_size: ArrayLike = (256, 256),
        masks: Mapping[str, str] | Sequence[str] | None = None,
        overlay: Mapping[str, Any] | bool | None = None,
        manifest: Literal["csv", "parquet"] = "csv",
        resume: bool = True,
        scheduler: Client | None = None,
        progress: bool | Callable[[int, int], None] | None = None,
        patience: float = 120.0,
        **cutting: Any,
    ) -> ExportReport:
        """Write the cutouts of many places into one output, which may be interrupted at any moment and gone on with.

        Parameters
        ----------
        points
            As for `cutouts`.
        to : path
            The output: a folder, or for "h5" a file.
        format : {"zarr", "npz", "png", "tiff", "h5"}
            One group or file with arrays (place, x, y, z), or files for each place. Of a group, many places are kept in
            few files, see `places_per_shard`.
        bbox_size : array_like
            As for `cutouts`.
        masks : mapping of str to str, or sequence of str
            For each mask its name and the column of the points that has its ids, such as `{"pre": "pre_pt_root_id"}`.
        overlay : bool or mapping
            Whether to write overlays as PNG too; or how, as for `composite_overlay`.
        manifest : {"csv", "parquet"}
            What the manifest is: a row for each place.
        resume : bool
            Whether to go on with an export that was begun; else that is an error.
        scheduler : distributed.Client, optional
            A Dask cluster to work on. Its workers must see the output's folder under the same name.
        progress : bool or callable, optional
            As for `cutouts`.
        patience : float
            Seconds to go on trying places that a server did not give, once all others are done.
        **cutting
            `mip`, `resolution`, `column`, `root_ids`, `timestamp`, `missing`, `places_per_shard`, …: see
            `bulk.export.export`.

        Returns
        -------
        ExportReport
            How many places are done and where the manifest is.

        Raises
        ------
        ArgumentError
            If the output is that of other points or settings, or `resume` is False and it was begun.
        StorageError
            If the output cannot be written.
        MissingExtraError
            If the format, the manifest or the scheduler needs a package that is not installed.

        Examples
        --------
        >>> import tempfile, numpy as np, imageryclient as ic
        >>> from imageryclient.demo.writer import Layout, write_precomputed
        >>> em = np.arange(64 * 64 * 8, dtype=np.uint8).reshape(64, 64, 8)
        >>> folder = write_precomputed(tempfile.mkdtemp(), [(em, Layout(resolution=(8, 8, 40)))], kind="image")
        >>> client = ic.ImageryClient(image_source=str(folder))
        >>> report = client.export([[16, 16, 4], [40, 20, 4]], folder / "train.zarr", bbox_size=(8, 8, 2))
        >>> report.done, report.failed
        (2, 0)
        """
        from .bulk.export import export

        return export(
            self,  # type: ignore[arg-type]
            points,
            to,
            format=format,
            bbox_size=bbox_size,
            masks=masks,
            overlay=overlay,
            manifest=manifest,
            resume=resume,
            scheduler=scheduler,
            progress=progress,
            patience=patience,
            **cutting,
        )

    def estimate_export(self, points: Any, to: str | PathLike[str], **options: Any) -> Estimate:
        """Tell what an export will take: bytes, requests, time; nothing is written.

        Parameters
        ----------
        points, to, **options
            As for `export`.

        Returns
        -------
        Estimate
            Requests and bytes to write are counted; seconds and bytes to read are judged by 16 places that are read.

        Raises
        ------
        ImageryError
            As for `export`.

        Examples
        --------
        >>> import tempfile, numpy as np, imageryclient as ic
        >>> from imageryclient.demo.writer import Layout, write_precomputed
        >>> em = np.zeros((64, 64, 8), np.uint8)
        >>> folder = write_precomputed(tempfile.mkdtemp(), [(em, Layout(resolution=(8, 8, 40)))], kind="image")
        >>> client = ic.ImageryClient(image_source=str(folder))
        >>> client.estimate_export([[16, 16, 4]], folder / "train.zarr", bbox_size=(8, 8, 2)).bytes_out
        128
        """
        from .bulk.estimate import estimate_export

        return estimate_export(self, points, to, **options)  # type: ignore[arg-type]

    def turn(self, path: str | PathLike[str], center: ArrayLike, size: ArrayLike = (512, 512), **options: Any) -> Path:
        """Write a movie of a section that turns about its centre.

        Parameters
        ----------
        path : path
            Where to: `.mp4`, `.webp` or `.gif`.
        center, size
            As for `section`.
        **options
            `axis`, `degrees`, `seconds`, `fps`, `cutting` (options of `section`), and how it is painted: see
            `files.turns.save_turn`.

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        ArgumentError
            If the suffix or the axis is another.
        MissingExtraError
            For `.mp4`, if PyAV is not installed.
        ImageryError
            As for `section`.

        Examples
        --------
        >>> import tempfile, numpy as np, imageryclient as ic
        >>> em = np.arange(32**3, dtype=np.uint8).reshape(32, 32, 32)
        >>> client = ic.ImageryClient(image_source=em, resolution=(8, 8, 8))
        >>> client.turn(tempfile.mkdtemp() + "/turn.gif", (16, 16, 16), (8, 8), degrees=90, seconds=0.2).name
        'turn.gif'
        """
        from .files.turns import save_turn

        return save_turn(self, path, center, size, **options)

    def image_array(
        self, mip: Mip = None, *, chunks: Any = None, missing: Literal["fill", "raise"] | None = None
    ) -> da.Array:
        """Give the imagery of a whole scale as a Dask array; nothing is read before it is computed.

        Parameters
        ----------
        mip : int or resolution, optional
            The scale; by default the client's.
        chunks : optional
            Sizes of the blocks that are read at once, as Dask takes them; by default whole numbers of stored chunks.
        missing : {"fill", "raise"}, optional
            What to do about voxels that were never written, in place of the client's.

        Returns
        -------
        dask.array.Array
            Axes (x, y, z), with several channels (x, y, z, c); dtype of the imagery. Index 0 is the first voxel of the
            scale. See `lazy.image_array` for blocks, names and moments.

        Raises
        ------
        MissingExtraError
            If dask is not installed.
        ScaleError
            If there is no such scale, or it is a placeholder.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> client = ic.ImageryClient(image_source=np.full((64, 64, 8), 3, np.uint8), resolution=(8, 8, 40))
        >>> client.image_array()[:, 10, 4].mean().compute()
        np.float64(3.0)
        """
        from .lazy.arrays import image_array

        return image_array(self, mip, chunks=chunks, missing=missing)

    def segmentation_array(
        self,
        mip: Mip = None,
        timestamp: Any = None,
        root_ids: Any = "all",
        *,
        chunks: Any = None,
        missing: Literal["fill", "raise"] | None = None,
    ) -> da.Array:
        """Give the segmentation of a whole scale at one moment as a Dask array, unread.

        Parameters
        ----------
        mip, chunks, missing
            As for `image_array`.
        timestamp : datetime, float, str, optional
            The moment, of all blocks, whenever they are computed; by default the client's, or else that of this call.
        root_ids : "all", None or sequence of int
            As for `segmentation_cutout`.

        Returns
        -------
        dask.array.Array
            uint64, axes (x, y, z); otherwise as `image_array`.

        Raises
        ------
        MissingExtraError, ScaleError
            As `image_array`.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> labels = np.full((64, 64, 8), 7, np.uint64)
        >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
        >>> client.segmentation_array()[5, 5, 5].compute()
        np.uint64(7)
        """
        from .lazy.arrays import segmentation_array

        return segmentation_array(self, mip, timestamp, root_ids, chunks=chunks, missing=missing)

    def image_data(
        self, mip: Mip = None, *, chunks: Any = None, missing: Literal["fill", "raise"] | None = None
    ) -> xr.DataArray:
        """Give the imagery of a whole scale as an xarray DataArray, with coordinates in nm; nothing is read.

        Parameters
        ----------
        mip, chunks, missing
            As for `image_array`.

        Returns
        -------
        xarray.DataArray
            Of the array that `image_array` gives: dims x, y, z (and c), coordinates at the centres of voxels in nm. See
            `lazy.image_data` for its attributes.

        Raises
        ------
        MissingExtraError
            If xarray or dask is not installed.
        ScaleError
            As `image_array`.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> client = ic.ImageryClient(image_source=np.zeros((64, 64, 8), np.uint8), resolution=(8, 8, 40))
        >>> client.image_data().sel(z=170, method="nearest").z.item()
        180.0
        """
        from .lazy.labeled import image_data

        return image_data(self, mip, chunks=chunks, missing=missing)

    def segmentation_data(
        self,
        mip: Mip = None,
        timestamp: Any = None,
        root_ids: Any = "all",
        *,
        chunks: Any = None,
        missing: Literal["fill", "raise"] | None = None,
    ) -> xr.DataArray:
        """Give the segmentation of a whole scale at one moment as an xarray DataArray, with coordinates in nm.

        Parameters
        ----------
        mip, timestamp, root_ids, chunks, missing
            As for `segmentation_array`.

        Returns
        -------
        xarray.DataArray
            uint64, dims x, y, z; otherwise as `image_data`.

        Raises
        ------
        MissingExtraError, ScaleError
            As `image_data`.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> labels = np.full((64, 64, 8), 7, np.uint64)
        >>> client = ic.ImageryClient(segmentation_source=labels, resolution=(8, 8, 40))
        >>> client.segmentation_data().sel(x=100, y=100, z=100, method="nearest").compute().item()
        7
        """
        from .lazy.labeled import segmentation_data

        return segmentation_data(self, mip, timestamp, root_ids, chunks=chunks, missing=missing)

    def napari_layers(
        self,
        mips: Sequence[Mip] | None = None,
        *,
        layers: Sequence[LayerName] | None = None,
        root_ids: Any = "all",
        timestamp: Any = None,
    ) -> list[LayerData]:
        """Give the layers for napari, as pyramids that are read where one looks.

        `for layer in client.napari_layers(): viewer.add_layer(napari.layers.Layer.create(*layer))` shows them.

        Parameters
        ----------
        mips : sequence of int, optional
            The scales of the pyramids, finest first, of every layer; by default all that fit each other.
        layers : sequence of {"imagery", "segmentation"}, optional
            By default those that the client has.
        root_ids, timestamp
            As for `segmentation_array`.

        Returns
        -------
        list of tuple
            For each layer its data (axes z, y, x), keywords with `scale` and `translate` in nm, and "image" or
            "labels": napari's LayerData. See `lazy.napari_layers`.

        Raises
        ------
        MissingExtraError, ScaleError
            As `image_array`.
        ArgumentError
            If the voxels of the scales given are no whole multiples of the first one's.

        Examples
        --------
        >>> import numpy as np, imageryclient as ic
        >>> client = ic.ImageryClient(image_source=np.zeros((64, 32, 8), np.uint8), resolution=(8, 8, 40))
        >>> [(data.shape, options["scale"], kind) for data, options, kind in client.napari_layers()]
        [((8, 32, 64), (40.0, 8.0, 8.0), 'image')]
        """
        from .lazy.napari import napari_layers

        return napari_layers(self, mips, layers=layers, root_ids=root_ids, timestamp=timestamp)
