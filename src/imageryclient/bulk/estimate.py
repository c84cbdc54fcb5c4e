"""What an export will take: from where the boxes lie among the chunks, and from a few that are tried."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import TOLERANCE, Box, IntTriple, Resolution
from ..ids import distinct
from ..precomputed.chunks import chunks_covering
from ..scales import Scale
from ..volumes import GrapheneVolume, PrecomputedVolume, Volume
from ..volumes.chunksource import HasChunks
from .failures import FailedPlace
from .local import GROUP_BYTES, WRITERS, read_places
from .plan import Asked, Plan, make_plan
from .stream import plan_groups
from .writing import PlaceWriter

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Estimate", "chunks_needed", "estimate_export", "index_requests"]

_AT_ONCE = 4_000_000  # chunk numbers held at a time


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an export will take.

    Parameters
    ----------
    places : int
        All that are exported.
    left : int
        Those that are not done yet; what follows is about them.
    bytes_out : int
        Bytes of their arrays; compressed they are fewer, of imagery hardly, of segmentations by far.
    requests : int
        Chunks to fetch, each once, the indices of shards they lie in, and requests for the objects of groups of places.
    groups : int
        Groups of neighbouring places that are read together.
    files_out : int
        Files that the output will have, beside a few.
    bytes_in : int or None
        Bytes of these chunks, judged by a sample; None without one.
    bytes_on_disk : int or None
        Bytes of the output's files, judged by the same sample; None without one.
    seconds : float or None
        How long it takes, judged by the same sample, on this machine; None without one.

    Examples
    --------
    >>> print(Estimate(2000, 2000, 9_437_184_000, 5321, 40, 4000, 312_000_000, 1_300_000_000, seconds=95.0))
    2000 places, 2000 of them left
    to write: 8.79 GiB before compression, about 1.21 GiB in 4000 files
    to read: 5321 requests in 40 groups, about 298 MiB
    time: about 1 min 35 s
    """

    places: int
    left: int
    bytes_out: int
    requests: int
    groups: int
    files_out: int
    bytes_in: int | None = None
    bytes_on_disk: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        read = "" if self.bytes_in is None else f", about {_size(self.bytes_in)}"
        stored = "" if self.bytes_on_disk is None else f", about {_size(self.bytes_on_disk)}"
        files, groups = _count(self.files_out, "file"), _count(self.groups, "group")
        lines = [
            f"{self.places} places, {self.left} of them left",
            f"to write: {_size(self.bytes_out)} before compression{stored} in {files}",
            f"to read: {self.requests} requests in {groups}{read}",
        ]
        return "\n".join(lines if self.seconds is None else [*lines, f"time: about {_time(self.seconds)}"])


def chunks_needed(starts: NDArray[np.int64], shape: IntTriple, voxel: Resolution, scale: Scale) -> NDArray[np.int64]:
    """Number the chunks of a scale that hold voxels of some boxes, each once.

    Parameters
    ----------
    starts : numpy.ndarray
        int64, shape (n, 3): the first voxels of the boxes.
    shape : tuple of int
        Voxels of each box.
    voxel : tuple of float
        nm per voxel of the boxes.
    scale : Scale
        Whose chunks.

    Returns
    -------
    numpy.ndarray
        int64, ascending: `x + nx * (y + ny * z)` of each chunk's position in the grid of (nx, ny, nz) chunks.

    Examples
    --------
    >>> from imageryclient.geometry import Box
    >>> at = (4.0, 4.0, 40.0)
    >>> scale = Scale(0, "4_4_40", at, Box((0, 0, 0), (256, 64, 8), at), (64, 64, 8), "raw", None, None)
    >>> chunks_needed(np.array([[60, 0, 0], [100, -9, 0]]), (10, 10, 1), at, scale).tolist()
    [0, 1]
    """
    grid = np.array(scale.grid_shape)
    bounds, size = np.array([scale.bounds.start, scale.bounds.stop]), np.array(scale.chunk_size)
    ratio = np.array(voxel) / np.array(scale.resolution)
    low = np.floor(starts * ratio + TOLERANCE).astype(np.int64).clip(bounds[0])
    high = np.ceil((starts + np.array(shape)) * ratio - TOLERANCE).astype(np.int64).clip(max=bounds[1])
    inside = (low < high).all(axis=1)
    first, last = (low[inside] - bounds[0]) // size, (high[inside] - 1 - bounds[0]) // size
    if scale.placeholder or not len(first):
        return np.empty(0, np.int64)
    reach = (last - first).max(axis=0) + 1
    steps = np.stack(np.meshgrid(*map(np.arange, reach), indexing="ij"), axis=-1).reshape(-1, 3)
    found = np.empty(0, np.int64)
    batch = max(1, _AT_ONCE // len(steps))
    for at in range(0, len(first), batch):
        index = first[at : at + batch, None] + steps
        index = index[(index <= last[at : at + batch, None]).all(axis=2)]
        numbers = index[:, 0] + grid[0] * (index[:, 1] + grid[1] * index[:, 2])
        found = np.unique(np.concatenate([found, numbers]))
    return found


def index_requests(chunks: NDArray[np.int64], scale: Scale) -> int:
    """Give the requests for indices of shards: two for each minishard, as many of them as are met by so many chunks.

    Parameters
    ----------
    chunks : numpy.ndarray
        int64: the chunks, numbered as `chunks_needed` does.
    scale : Scale
        Whose.

    Returns
    -------
    int
        0 where each chunk is a file of its own. Where minishards are found by a hash, what is to be expected of one.
    """
    sharding = scale.sharding
    if sharding is None or not len(chunks):
        return 0
    grid = scale.grid_shape
    position = [chunks % grid[0], chunks // grid[0] % grid[1], chunks // (grid[0] * grid[1])]
    needed = [(n - 1).bit_length() for n in grid]
    code, place = np.zeros(len(chunks), np.int64), 0
    for bit in range(max(needed)):
        for axis, bits in zip(position, needed, strict=True):
            if bit < bits:
                code |= (axis >> bit & 1) << place
                place += 1
    keys = code >> sharding.preshift_bits
    minishards = 1 << (sharding.minishard_bits + sharding.shard_bits)
    if sharding.hash == "identity":
        return 2 * len(distinct(keys & (minishards - 1)))
    return 2 * round(-minishards * np.expm1(len(distinct(keys)) * np.log1p(-1 / minishards))) if minishards > 1 else 2


def estimate_export(
    client: ImageryClient, points: Any, to: str | PathLike[str], *, sample: int = 16, **options: Any
) -> Estimate:
    """Tell what an export will take; nothing is written.

    Parameters
    ----------
    client, points, to
        As for `export`.
    sample : int
        Places to read, by which time and bytes are judged; 0 for none.
    **options
        Those of `export` that shape the output: `bbox_size`, `format`, `masks`, …

    Returns
    -------
    Estimate
        Of what is not done yet.

    Raises
    ------
    ImageryError
        As for `export`.
    """
    plan = make_plan(client, points, to, Asked(**options), resume=True)
    places, shape, resolution = plan.places.take(plan.left), plan.job.layout.shape, plan.terms.resolution
    groups = list(plan_groups(plan.client, places, plan.terms, budget=GROUP_BYTES))
    volumes = plan.client.volumes
    layers = [(volumes[name], volumes[name].info.scales[mip]) for name, mip in plan.terms.mips]
    starts = places.starts_at(resolution)
    needed = [chunks_needed(starts, shape, resolution, scale) for _, scale in layers]
    chunks = [len(numbers) for numbers in needed]
    indices = sum(index_requests(numbers, scale) for numbers, (_, scale) in zip(needed, layers, strict=True))
    asking = any(isinstance(volume, GrapheneVolume) for volume, _ in layers) and plan.terms.wanted.root_ids is not None
    estimate = Estimate(
        places=len(plan.places),
        left=len(places),
        bytes_out=len(places) * sum(array.nbytes for array in plan.job.layout.arrays),
        requests=sum(chunks) + indices + len(groups) * asking,
        groups=len(groups),
        files_out=_files(plan, len(places)),
    )
    if not groups or sample <= 0:
        return estimate
    middle = groups[len(groups) // 2]
    tried = middle.take(np.arange(min(sample, len(middle))))
    reading, writing, stored = _trial(plan, tried.indices)
    read = [len(chunks_needed(tried.starts, shape, resolution, scale)) for _, scale in layers]
    sizes = [_bytes_at_hand(volume, scale, tried.boxes) for volume, scale in layers]
    known = [
        size * whole / max(some, 1) for size, some, whole in zip(sizes, read, chunks, strict=True) if size is not None
    ]
    return replace(
        estimate,
        bytes_in=round(sum(known)) if len(known) == len(sizes) else None,
        bytes_on_disk=None if stored is None else round(stored * len(places)),
        seconds=reading * max(sum(chunks) / max(sum(read), 1), 1.0) + writing * len(places) / len(tried),
    )


def _files(plan: Plan, places: int) -> int:
    """Count the files that so many places will make."""
    layout, name, sections = plan.job.layout, plan.job.format, plan.job.layout.shape[2]
    arrays = len(layout.arrays)
    each = {"zarr": arrays, "tiff": arrays, "npz": 1, "h5": 0, "png": (arrays - layout.segmentation) * sections}[name]
    files = -(-places // layout.places_per_file) * each
    return files + places * sections * (plan.job.overlay is not None) + (name == "h5")


def _trial(plan: Plan, rows: NDArray[np.int64]) -> tuple[float, float, float | None]:
    """Read places, and write them to where they are soon removed.

    Gives how long either takes, and the bytes that a place takes then; None where none could be read.
    """
    begun = time.perf_counter()
    cuts = [read for read in read_places(plan, rows) if not isinstance(read, FailedPlace)]
    reading = time.perf_counter() - begun
    with tempfile.TemporaryDirectory(prefix="imageryclient-") as folder:
        workspace = replace(plan.job.workspace, output=Path(folder, "sample"))
        workspace.begin()
        writer = PlaceWriter(replace(plan.job, workspace=workspace))
        begun = time.perf_counter()
        for cut in cuts:
            writer.write(cut, plan.ids_at(cut.index))
        writing = (time.perf_counter() - begun) / WRITERS
        files = [path for path in Path(folder).rglob("*") if workspace.journal not in path.parents and path.is_file()]
        return reading, writing, sum(path.stat().st_size for path in files) / len(cuts) if cuts else None


def _bytes_at_hand(volume: Volume, scale: Scale, boxes: Sequence[Box]) -> int | None:
    """Give the bytes of the chunks of some boxes, as they were fetched; None where that cannot be told."""
    known: list[int | None] = []
    if isinstance(volume, PrecomputedVolume):
        chunks = {chunk.index: chunk for box in boxes for chunk in chunks_covering(scale, box.at(scale.resolution))}
        known = [volume.stored_bytes(scale, chunk) for chunk in chunks.values()]
    elif isinstance(volume, HasChunks):
        source = volume.chunks(scale)
        touched = {chunk for box in boxes for chunk in source.touched(box.at(scale.resolution))}
        payloads = [source.at_hand(chunk) for chunk in touched]
        known = [None if payload is None else len(payload.data or b"") for payload in payloads]
    sizes = [size for size in known if size is not None]
    return round(sum(sizes) * len(known) / len(sizes)) if sizes else None


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} TiB"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
