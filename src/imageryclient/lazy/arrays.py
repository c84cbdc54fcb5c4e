"""Dask arrays of whole volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, MissingExtraError
from ..layers import Mip
from .chunks import aligned_chunks
from .reader import Gaps, LayerReader, image_reader, segmentation_reader

if TYPE_CHECKING:
    import dask.array as da

    from ..dataset import Dataset

__all__ = ["BLOCK_BYTES", "as_dask", "image_array", "segmentation_array"]

BLOCK_BYTES = 32 * 2**20


def image_array(client: Dataset, mip: Mip = None, *, chunks: Any = None, missing: Gaps | None = None) -> da.Array:
    """Give the imagery of a whole scale as a Dask array; nothing is read before it is computed.

    Index 0 is the first voxel of the scale: voxel `v` of a cutout at this scale is index `v - start`, where `start` is
    `client.volumes["imagery"].info.scales[mip].bounds.start`. `image_data` gives an array that knows where it lies.

    Of a large volume pick a part first, and then compute with that: blocks are only counted here, but what Dask makes
    of the whole, such as a sum or other chunks, lists them all, and a petavoxel has 50 million.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    mip : int or resolution, optional
        The scale; by default the client's.
    chunks : optional
        Sizes of the blocks that are read at once, as Dask takes them: `"auto"`, `(256, 256, 64)`, `"64 MiB"`. By
        default whole numbers of stored chunks along each axis, at most 32 MiB together unless a stored chunk is larger.
    missing : {"fill", "raise"}, optional
        Voxels that were never written are 0 (of Zarr, the fill value), in silence, or make `compute` raise
        `MissingDataError`. A warning would come from each block apart, in threads or processes where nobody sees it.
        By default "raise" for a client that raises, else "fill".

    Returns
    -------
    dask.array.Array
        Axes (x, y, z), with several channels (x, y, z, c); dtype of the imagery. It may be computed by threads, by
        processes, or on a cluster, whose workers open the source themselves: no token is in the graph. Its name tells
        the source, the scale and the blocks, so that equal arrays have equal names; of an array at hand, it is new.

    Raises
    ------
    MissingExtraError
        If dask is not installed.
    ScaleError
        If there is no such scale, or it is a placeholder.

    Examples
    --------
    >>> import imageryclient as ic
    >>> em = ic.ArraySource(np.arange(64 * 64 * 8, dtype=np.uint16).reshape(64, 64, 8), (8, 8, 40), (100, 0, 0))
    >>> client = ic.ImageryClient(image_source=em)
    >>> array = image_array(client)
    >>> array.shape, array.dtype
    ((64, 64, 8), dtype('uint16'))
    >>> bool((array[:4, 10, 5].compute() == client.image_cutout([[100, 10, 5], [104, 11, 6]])).all())
    True
    """
    return as_dask(image_reader(client, mip, missing), "imagery", chunks)


def segmentation_array(
    client: Dataset,
    mip: Mip = None,
    timestamp: Any = None,
    root_ids: Any = "all",
    *,
    chunks: Any = None,
    missing: Gaps | None = None,
) -> da.Array:
    """Give the segmentation of a whole scale as a Dask array; nothing is read before it is computed.

    Parameters
    ----------
    client : ImageryClient
        The dataset.
    mip : int or resolution, optional
        The scale; by default the client's.
    timestamp : optional
        The moment, of all blocks, whenever they are computed. By default the client's, or else that of this call.
    root_ids : "all", None or sequence of int
        As for `segmentation_cutout`.
    chunks, missing
        As for `image_array`.

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
    >>> import imageryclient as ic
    >>> labels = ic.ArraySource(np.full((64, 64, 8), 7, np.uint32), (8, 8, 40))
    >>> segmentation_array(ic.ImageryClient(segmentation_source=labels))[5, 5, 5].compute()
    np.uint64(7)
    """
    return as_dask(segmentation_reader(client, mip, timestamp, root_ids, missing), "segmentation", chunks)


def as_dask(reader: LayerReader, name: str, chunks: Any = None, limit: int = BLOCK_BYTES) -> da.Array:
    """Make a Dask array of what a reader reads, in blocks of at most `limit` bytes where `chunks` does not say."""
    dask = _dask()
    aligned = aligned_chunks(reader.scale, reader.box, reader.dtype.itemsize * reader.channels, limit)
    if reader.channels > 1:
        aligned = (*aligned, (reader.channels,))
    if chunks is not None:
        if isinstance(chunks, (tuple, list)) and len(chunks) == 3 and reader.channels > 1:
            chunks = (*chunks, -1)
        try:
            aligned = dask.array.core.normalize_chunks(
                chunks, reader.shape, dtype=reader.dtype, previous_chunks=aligned
            )
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"chunks={chunks!r} does not part an array of shape {reader.shape}: {error}") from None
    sent = reader.opening is not None
    array: da.Array = dask.array.from_array(
        reader,
        chunks=aligned,
        name=f"{name}-{dask.base.tokenize(*_identity(reader), aligned)}" if sent else False,
        asarray=False,
        fancy=False,
        inline_array=sent,  # what is not small is sent to a worker once
        meta=np.empty((0,) * reader.ndim, reader.dtype),
    )
    return array


def _dask() -> Any:
    try:
        import dask
        import dask.array
        import dask.base
    except ImportError:
        raise MissingExtraError("a lazy array needs dask: pip install 'imageryclient[dask]'") from None
    return dask


def _identity(reader: LayerReader) -> tuple[Any, ...]:
    """What tells one reader's voxels from another's."""
    assert reader.opening is not None
    path, wanted, box = reader.opening.path, reader.wanted, reader.box
    ids: Any = None
    if wanted is not None:
        ids = wanted.root_ids.tobytes() if isinstance(wanted.root_ids, np.ndarray) else str(wanted.root_ids)
        ids = ids, wanted.moment.isoformat()
    place = (path.url, path.format, path.endpoint, path.inner)
    return (*place, reader.scale.key, reader.scale.mip, box.start, box.stop, ids, reader.missing)
