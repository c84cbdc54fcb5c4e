"""Arrays to Neuroglancer precomputed volumes: what the demo serves and what the tests read back.

The format is that of https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed: an `info`
document, and for each scale the chunks, each in a file of its own or many to a shard. Every encoding that the
reader decodes without extras can be written, each stored the ways that are met in the wild.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import IntTriple, Resolution, as_resolution
from ..precomputed.chunks import chunk_id
from ..precomputed.sharding import locate
from ..scales import Sharding

__all__ = ["Layout", "downsample_image", "downsample_labels", "write_precomputed"]

PLACEHOLDER = "placeholder"

_DATA_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "float32")
_SUFFIX = {"gz": ".gz", "br": ".br", "zstd": ".zstd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one scale of a volume is stored.

    Parameters
    ----------
    resolution : tuple of float
        nm per voxel along x, y, z.
    voxel_offset : tuple of int
        Where the first voxel of the array lies, in voxels of this scale.
    chunk_size : tuple of int
        Voxels of a whole chunk; those at the far faces are clipped.
    encoding : str
        `"raw"`, `"jpeg"`, `"png"` or `"compressed_segmentation"`; all but JPEG keep every value.
    compress : str
        Empty for plain files; `"gzip"` for gzip bytes under the plain name; `"gz"`, `"br"` or `"zstd"` for
        such bytes under the name with the ending `.gz`, `.br` or `.zstd`. Shards compress as `sharding` says.
    sharding : Sharding or None
        None when each chunk is a file of its own.
    block_size : tuple of int
        Block of the compressed_segmentation encoding.
    jpeg_quality : int
        1 to 100.
    key : str or None
        Folder of the scale; by default its resolution, as `"8_8_40"`.
    placeholder : bool
        Whether the scale is only announced: no data, and the key `"placeholder"` unless another is given.
    absent : frozenset of tuple of int
        Chunks to leave unwritten, by their position in the grid of chunks.
    """

    resolution: Resolution
    voxel_offset: IntTriple = (0, 0, 0)
    chunk_size: IntTriple = (64, 64, 64)
    encoding: str = "raw"
    compress: str = ""
    sharding: Sharding | None = None
    block_size: IntTriple = (8, 8, 8)
    jpeg_quality: int = 90
    key: str | None = None
    placeholder: bool = False
    absent: frozenset[IntTriple] = frozenset()

    @property
    def folder(self) -> str:
        """The key of the scale as it stands in the info document."""
        if self.key is not None:
            return self.key
        return PLACEHOLDER if self.placeholder else "_".join(f"{r:g}" for r in self.resolution)


def write_precomputed(
    folder: Path | str,
    levels: Sequence[tuple[Any, Layout]],
    *,
    kind: Literal["image", "segmentation"],
    extra: Mapping[str, object] | None = None,
) -> Path:
    """Write a volume, chunk by chunk.

    Parameters
    ----------
    folder : path
        Where the info document goes; made if need be. Files of the same name are replaced.
    levels : sequence of (array, Layout)
        The scales, finest first. An array has shape (x, y, z) or (x, y, z, channel) and may be anything with
        `shape`, `dtype` and slices, such as a memory map. A placeholder takes the shape alone.
    kind : "image" or "segmentation"
        The type of the volume.
    extra : mapping, optional
        More members for the info document.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    ArgumentError
        If the levels do not agree in dtype and channels, or an encoding cannot hold them.

    Examples
    --------
    >>> import tempfile
    >>> labels = np.arange(1000, dtype=np.uint32).reshape(10, 10, 10)
    >>> layout = Layout(resolution=(8, 8, 40), encoding="compressed_segmentation", chunk_size=(8, 8, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_precomputed(folder, [(labels, layout)], kind="segmentation")
    ...     sorted(path.name for path in (written / "8_8_40").iterdir())[:2]
    ['0-8_0-8_0-8', '0-8_0-8_8-10']
    """
    folder = Path(folder)
    arrays = [array for array, layout in levels if not layout.placeholder]
    if not arrays:
        raise ArgumentError("a volume needs at least one scale with data; got placeholders alone")
    kinds = {(np.dtype(array.dtype), _channels(array.shape)) for array in arrays}
    if len(kinds) != 1:
        raise ArgumentError(f"all scales must have one dtype and number of channels; got {sorted(map(str, kinds))}")
    dtype, channels = kinds.pop()
    if dtype.name not in _DATA_TYPES:
        raise ArgumentError(f"precomputed volumes hold {', '.join(_DATA_TYPES)}; got {dtype.name}")

    folder.mkdir(parents=True, exist_ok=True)
    for array, layout in levels:
        if not layout.placeholder:
            _write_scale(folder / layout.folder, array, layout, _encoder(layout, dtype, channels))
    info: dict[str, object] = {
        "@type": "neuroglancer_multiscale_volume",
        "type": kind,
        "data_type": dtype.name,
        "num_channels": channels,
        "scales": [_scale_info(array if layout.placeholder else array.shape, layout) for array, layout in levels],
    }
    (folder / "info").write_text(json.dumps({**info, **(extra or {})}, indent=1), encoding="utf-8")
    return folder


def downsample_image(array: Any, factors: IntTriple) -> NDArray[Any]:
    """Shrink imagery: each voxel is the mean of the block it covers, rounded half up.

    Blocks at the far faces may be smaller; their mean is that of the voxels there are.

    Parameters
    ----------
    array : array_like
        Shape (x, y, z) or (x, y, z, channel): uint8, uint16, uint32 or float32.
    factors : tuple of int
        Voxels of a block along x, y, z.

    Returns
    -------
    numpy.ndarray
        Shape ceil(shape / factors), of the dtype of `array`, x fastest.

    Examples
    --------
    >>> downsample_image(np.array([0, 3, 9], np.uint8).reshape(3, 1, 1), (2, 1, 1)).ravel().tolist()
    [2, 9]
    """
    dtype = np.dtype(array.dtype)
    if dtype.name not in ("uint8", "uint16", "uint32", "float32"):
        raise ArgumentError(f"imagery to average must be uint8, uint16, uint32 or float32; got {dtype.name}")
    wide = np.float64 if dtype.kind == "f" else np.uint32 if dtype.itemsize == 1 else np.uint64
    small = tuple(-(-n // f) for n, f in zip(array.shape[:3], factors, strict=True))
    result = np.empty(small + tuple(array.shape[3:]), dtype, order="F")
    fx, fy, fz = factors
    for z in range(small[2]):
        slab = np.asarray(array[:, :, z * fz : (z + 1) * fz])
        total = np.zeros(small[:2] + slab.shape[3:], wide, order="F")
        for i, j, k in itertools.product(range(fx), range(fy), range(slab.shape[2])):
            part = slab[i::fx, j::fy, k]
            total[: part.shape[0], : part.shape[1]] += part
        across = [
            np.minimum(f, n - f * np.arange(m)) for n, m, f in zip(array.shape[:2], small[:2], (fx, fy), strict=True)
        ]
        count = (np.multiply.outer(*across) * slab.shape[2]).astype(wide)
        count = count.reshape(count.shape + (1,) * (slab.ndim - 3))
        result[:, :, z] = total / count if dtype.kind == "f" else (total + count // 2) // count
    return result


def downsample_labels(array: Any, factors: IntTriple) -> NDArray[Any]:
    """Shrink labels by taking the first voxel of every block, so that no id appears that was not there.

    Taking the first voxel, not the most frequent one, keeps thin processes in proportion and costs nothing;
    the result is a view where `array` allows one.

    Examples
    --------
    >>> downsample_labels(np.array([5, 5, 7], np.uint64).reshape(3, 1, 1), (2, 1, 1)).ravel().tolist()
    [5, 7]
    """
    x, y, z = factors
    return cast(NDArray[Any], array[::x, ::y, ::z])


def _channels(shape: Sequence[int]) -> int:
    if len(shape) not in (3, 4):
        raise ArgumentError(f"a scale must have shape (x, y, z) or (x, y, z, channel); got {tuple(shape)}")
    return int(shape[3]) if len(shape) == 4 else 1


def _scale_info(shape: Sequence[int], layout: Layout) -> dict[str, object]:
    scale: dict[str, object] = {
        "key": layout.folder,
        "size": [int(n) for n in shape[:3]],
        "voxel_offset": list(layout.voxel_offset),
        "chunk_sizes": [list(layout.chunk_size)],
        "resolution": [int(r) if float(r).is_integer() else r for r in as_resolution(layout.resolution)],
        "encoding": layout.encoding,
    }
    if layout.encoding == "compressed_segmentation":
        scale["compressed_segmentation_block_size"] = list(layout.block_size)
    if layout.encoding == "jpeg":
        scale["jpeg_quality"] = layout.jpeg_quality
    if layout.sharding is not None:
        scale["sharding"] = {"@type": "neuroglancer_uint64_sharded_v1", **asdict(layout.sharding)}
    return scale


Encoder = Callable[[NDArray[Any]], bytes]


def _encoder(layout: Layout, dtype: np.dtype[Any], channels: int) -> Encoder:
    """Pick the codec: from a chunk (x, y, z, channel) in Fortran order to bytes."""
    fits = {
        "raw": True,
        "jpeg": dtype == np.uint8 and channels in (1, 3),
        "png": channels == 1 if dtype == np.uint16 else dtype == np.uint8 and channels in (1, 2, 3, 4),
        "compressed_segmentation": dtype in (np.uint32, np.uint64),
    }
    if layout.encoding not in fits:
        raise ArgumentError(f"encoding must be one of {', '.join(fits)}; got {layout.encoding!r}")
    if not fits[layout.encoding]:
        raise ArgumentError(f"{layout.encoding} cannot hold {channels} channel(s) of {dtype.name}")
    if layout.encoding == "jpeg":
        return lambda chunk: _jpeg(chunk, layout.jpeg_quality)
    if layout.encoding == "png":
        return _png
    if layout.encoding == "compressed_segmentation":
        return lambda chunk: _compressed_segmentation(chunk, layout.block_size)
    return lambda chunk: chunk.astype(dtype.newbyteorder("<"), copy=False).tobytes(order="F")


def _flat(chunk: NDArray[Any]) -> NDArray[Any]:
    """Lay a chunk out as a picture x wide and y z high: shape (y z, x, channel)."""
    x, y, z, c = chunk.shape
    return np.ascontiguousarray(chunk.transpose(2, 1, 0, 3)).reshape(z * y, x, c)


def _jpeg(chunk: NDArray[Any], quality: int) -> bytes:
    import simplejpeg

    gray = chunk.shape[3] == 1
    return bytes(
        simplejpeg.encode_jpeg(
            _flat(chunk),
            quality=quality,
            colorspace="GRAY" if gray else "RGB",
            colorsubsampling="Gray" if gray else "444",
        )
    )


def _png(chunk: NDArray[Any]) -> bytes:
    from PIL import Image

    flat = _flat(chunk)
    buffer = io.BytesIO()
    Image.fromarray(flat[:, :, 0] if flat.shape[2] == 1 else flat).save(buffer, "PNG")
    return buffer.getvalue()


def _compressed_segmentation(chunk: NDArray[Any], block_size: IntTriple) -> bytes:
    import compressed_segmentation

    # channel by channel: the library crashes on several; its own header is the one word before the channel
    bodies = [
        bytes(compressed_segmentation.compress(np.asfortranarray(chunk[..., c]), block_size, order="F"))[4:]
        for c in range(chunk.shape[3])
    ]
    ends = itertools.accumulate((len(body) // 4 for body in bodies), initial=len(bodies))
    return np.fromiter(ends, "<u4")[: len(bodies)].tobytes() + b"".join(bodies)


def _compressor(how: str) -> Callable[[bytes], bytes]:
    if how in ("gzip", "gz"):
        import deflate

        return lambda data: bytes(deflate.gzip_compress(data, 6))
    if how == "br":
        import brotli

        return lambda data: bytes(brotli.compress(data, quality=5))
    if how == "zstd":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return lambda data: bytes(zstd.compress(data))
    if how in ("", "raw"):
        return lambda data: data
    raise ArgumentError(f"compress must be '', 'gzip', 'gz', 'br' or 'zstd'; got {how!r}")


def _write_scale(folder: Path, array: Any, layout: Layout, encode: Encoder) -> None:
    if layout.sharding is not None and layout.compress:
        raise ArgumentError(f"shards compress by their data_encoding; compress={layout.compress!r} is for chunk files")
    folder.mkdir(parents=True, exist_ok=True)
    grid = cast(IntTriple, tuple(-(-n // c) for n, c in zip(array.shape[:3], layout.chunk_size, strict=True)))
    # z slowest, so that an array in Fortran order is read from front to back
    places = ((x, y, z) for z, y, x in itertools.product(*map(range, reversed(grid))))
    present = (place for place in places if place not in layout.absent)
    if layout.sharding is not None:
        _write_shards(folder, array, layout, encode, present, grid)
        return
    compress, suffix = _compressor(layout.compress), _SUFFIX.get(layout.compress, "")
    for place in present:
        start, stop = _span(place, array.shape, layout)
        name = "_".join(f"{a + o}-{b + o}" for a, b, o in zip(start, stop, layout.voxel_offset, strict=True))
        (folder / (name + suffix)).write_bytes(compress(encode(_cut(array, start, stop))))


def _span(place: IntTriple, shape: Sequence[int], layout: Layout) -> tuple[list[int], list[int]]:
    start = [p * c for p, c in zip(place, layout.chunk_size, strict=True)]
    return start, [min(a + c, n) for a, c, n in zip(start, layout.chunk_size, shape, strict=False)]


def _cut(array: Any, start: Sequence[int], stop: Sequence[int]) -> NDArray[Any]:
    chunk = np.asarray(array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))])
    return np.asfortranarray(chunk if chunk.ndim == 4 else chunk[..., np.newaxis])


def _write_shards(
    folder: Path, array: Any, layout: Layout, encode: Encoder, places: Iterable[IntTriple], grid: IntTriple
) -> None:
    sharding = cast(Sharding, layout.sharding)
    compress = _compressor(sharding.data_encoding)
    compress_index = _compressor(sharding.minishard_index_encoding)
    shards: dict[str, list[tuple[int, int, IntTriple]]] = defaultdict(list)
    for place in places:
        number = chunk_id(place, grid)
        location = locate(number, sharding)
        shards[location.shard_file].append((location.minishard, number, place))
    for name, members in shards.items():
        body = bytearray()
        index = np.zeros((1 << sharding.minishard_bits, 2), "<u8")
        for minishard, group in itertools.groupby(sorted(members), key=lambda member: member[0]):
            ids, sizes, first = [], [], len(body)
            for _, number, place in group:
                data = compress(encode(_cut(array, *_span(place, array.shape, layout))))
                ids.append(number)
                sizes.append(len(data))
                body += data
            # rows: steps of the ids, gaps before the chunks (only before the first), sizes
            table = np.zeros((3, len(ids)), "<u8")
            table[0] = np.diff(np.array(ids, "<u8"), prepend=np.uint64(0))
            table[1, 0] = first
            table[2] = sizes
            encoded = compress_index(table.tobytes())
            index[minishard] = len(body), len(body) + len(encoded)
            body += encoded
        (folder / name).write_bytes(index.tobytes() + bytes(body))
