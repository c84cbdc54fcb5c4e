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
from ..precomputed.chunks import chunks_covering
from ..scales import Scale
from ..volumes import GrapheneVolume, PrecomputedVolume, Volume
from .failures import FailedPlace
from .local import GROUP_BYTES, WRITERS, read_places
from .plan import Asked, Plan, make_plan
from .stream import plan_groups
from .writing import PlaceWriter

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Estimate", "chunks_needed", "estimate_export"]

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
        Chunks to fetch, each once, and requests for the objects of groups of places. Sharded layers take a few more,
        for the indices of their shards.
    groups : int
        Groups of neighbouring places that are read together.
    bytes_in : int or None
        Bytes of these chunks, judged by a sample; None without one.
    seconds : float or None
        How long it takes, judged by the same sample, on this machine; None without one.

    Examples
    --------
    >>> print(Estimate(2000, 2000, 9_437_184_000, 5321, 40, bytes_in=312_000_000, seconds=95.0))
    2000 places, 2000 of them left
    to write: 8.79 GiB before compression
    to read: 5321 requests in 40 groups, about 298 MiB
    time: about 1 min 35 s
    """

    places: int
    left: int
    bytes_out: int
    requests: int
    groups: int
    bytes_in: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        read = "" if self.bytes_in is None else f", about {_size(self.bytes_in)}"
        lines = [
            f"{self.places} places, {self.left} of them left",
            f"to write: {_size(self.bytes_out)} before compression",
            f"to read: {self.requests} requests in {self.groups} groups{read}",
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
    chunks = [len(chunks_needed(starts, shape, resolution, scale)) for _, scale in layers]
    asking = any(isinstance(volume, GrapheneVolume) for volume, _ in layers) and plan.terms.wanted.root_ids is not None
    estimate = Estimate(
        places=len(plan.places),
        left=len(places),
        bytes_out=len(places) * sum(array.nbytes for array in plan.job.layout.arrays),
        requests=sum(chunks) + len(groups) * asking,
        groups=len(groups),
    )
    if not groups or sample <= 0:
        return estimate
    middle = groups[len(groups) // 2]
    tried = middle.take(np.arange(min(sample, len(middle))))
    reading, writing = _seconds_for(plan, tried.indices)
    read = [len(chunks_needed(tried.starts, shape, resolution, scale)) for _, scale in layers]
    sizes = [_bytes_at_hand(volume, scale, tried.boxes) for volume, scale in layers]
    known = [
        size * whole / max(some, 1) for size, some, whole in zip(sizes, read, chunks, strict=True) if size is not None
    ]
    return replace(
        estimate,
        bytes_in=round(sum(known)) if len(known) == len(sizes) else None,
        seconds=reading * max(sum(chunks) / max(sum(read), 1), 1.0) + writing * len(places) / len(tried),
    )


def _seconds_for(plan: Plan, rows: NDArray[np.int64]) -> tuple[float, float]:
    """Read places, and write them to where they are soon removed; give how long either takes."""
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
        return reading, (time.perf_counter() - begun) / WRITERS


def _bytes_at_hand(volume: Volume, scale: Scale, boxes: Sequence[Box]) -> int | None:
    """Give the bytes of the chunks of some boxes, as they were fetched; None where that cannot be told."""
    if not isinstance(volume, PrecomputedVolume) or scale.sharding is not None:
        return None
    chunks = {chunk.index: chunk for box in boxes for chunk in chunks_covering(scale, box.at(scale.resolution))}
    payloads = [volume.chunk_at_hand(scale, chunk) for chunk in chunks.values()]
    return sum(len(payload.data) for payload in payloads if payload is not None and payload.data is not None)


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
