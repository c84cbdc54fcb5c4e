"""A whole datastack in a folder: imagery, supervoxels, flat segmentation and the history of its proofreading.

::

    demo.json        what there is: layers, resolutions, graph, materialization versions
    history.json     who belonged to whom, and when (see `history`)
    history.npz
    imagery/         jpeg; a placeholder twice as fine, then three scales
    supervoxels/     compressed_segmentation, gzip in place; ids of the chunked graph's layer 1
    segmentation/    compressed_segmentation in shards; the roots after the last edit
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..cave.node_ids import NodeLayout
from ..errors import ArgumentError, NotFoundError
from ..geometry import IntTriple, Resolution, as_resolution
from ..scales import Sharding
from .history import History
from .phantom import fragment, make_phantom
from .writer import Layout, downsample_image, downsample_labels, write_precomputed

__all__ = ["build_demo", "build_fib25", "build_phantom"]

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
_IMAGE_CHUNK = (128, 128, 16)
_LABEL_CHUNK = (128, 128, 32)
_SHARDING = Sharding(3, "murmurhash3_x86_128", 2, 1, "gzip", "gzip")


def build_phantom(folder: Path | str, shape: IntTriple = (640, 640, 48), seed: int = 0) -> Path:
    """Make a phantom and build a datastack of it, 8 x 8 x 40 nm.

    Parameters
    ----------
    folder : path
        Where it goes; made if need be.
    shape : tuple of int
        Voxels along x, y, z.
    seed : int
        The same seed gives the same datastack.

    Returns
    -------
    pathlib.Path
        `folder`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     built = build_phantom(folder, (64, 48, 4))
    ...     sorted(path.name for path in built.iterdir())
    ['demo.json', 'history.json', 'history.npz', 'imagery', 'segmentation', 'supervoxels']
    """
    phantom = make_phantom(shape, (8.0, 8.0, 40.0), seed)
    return build_demo(
        folder,
        phantom.image,
        phantom.bodies,
        resolution=phantom.resolution,
        seed=seed,
        description="Made neuropil: drawn from a seed, not from an animal.",
    )


def build_fib25(folder: Path | str, npz_path: Path | str) -> Path:
    """Build a datastack of the FIB-25 sample: real imagery and proofread bodies, 10 x 10 x 10 nm.

    Parameters
    ----------
    folder : path
        Where it goes; made if need be.
    npz_path : path
        Holds `em` (uint8), `supervoxels` (uint32), both (x, y, z), and `bodies`: rows of supervoxel and body.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    NotFoundError
        If there is no such file.
    """
    if not Path(npz_path).is_file():
        raise NotFoundError(f"there is no file {npz_path}; it should hold em, supervoxels and bodies")
    with np.load(npz_path) as arrays:
        image, supervoxels, table = arrays["em"], arrays["supervoxels"], arrays["bodies"]
    body_of = np.zeros(max(int(supervoxels.max()), int(table[:, 0].max())) + 1, np.uint32)
    body_of[table[:, 0]] = table[:, 1]
    body_of[0] = 0
    return build_demo(
        folder,
        image,
        body_of[supervoxels],
        resolution=(10.0, 10.0, 10.0),
        graph_chunk=(64, 64, 64),
        datastack="fib25",
        supervoxels=supervoxels,
        description="Drosophila medulla, FIB-SEM: FlyEM, Janelia Research Campus, HHMI; CC BY 3.0.",
    )


def build_demo(
    folder: Path | str,
    image: NDArray[np.uint8],
    bodies: NDArray[np.unsignedinteger[Any]],
    *,
    resolution: Resolution,
    graph_chunk: IntTriple = (128, 128, 16),
    datastack: str = "phantom",
    supervoxels: NDArray[np.unsignedinteger[Any]] | None = None,
    voxel_offset: IntTriple = (0, 0, 0),
    edits: int = 60,
    seed: int = 0,
    segmentation_kind: str = "graphene",
    description: str = "",
) -> Path:
    """Build a datastack from imagery and true objects.

    The imagery announces a scale twice as fine that holds no data, whose resolution is the viewer's, as in minnie65.

    Parameters
    ----------
    folder : path
        Where it goes; made if need be.
    image : numpy.ndarray
        uint8, shape (x, y, z).
    bodies : numpy.ndarray
        Shape (x, y, z): the true object of each voxel, 0 for none.
    resolution : tuple of float
        nm per voxel.
    graph_chunk : tuple of int
        Voxels of a chunk of the graph.
    datastack : str
        Its name, and that of the graph's table.
    supervoxels : numpy.ndarray, optional
        An over-segmentation, shape (x, y, z), each label within one body; by default bodies are cut up by chance.
        Either is cut at the borders of graph chunks.
    voxel_offset : tuple of int
        Where the volume begins, in its own voxels; whole multiples of what the coarsest scale shrinks by (4, 4,
        and 4 along z where voxels are cubes).
    edits : int
        The most operations of the history.
    seed : int
        Of cuts and history.
    segmentation_kind : {"graphene", "precomputed"}
        Whether the datastack's segmentation is the graph or the flat layer.
    description : str
        For people.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    ArgumentError
        If shapes differ, or the offset does not divide.
    """
    folder, resolution = Path(folder), as_resolution(resolution)
    shapes = {a.shape for a in (image, bodies, supervoxels) if a is not None}
    if len(shapes) != 1 or image.ndim != 3:
        raise ArgumentError(f"imagery and labels must have one shape (x, y, z); got {sorted(shapes)}")
    folder.mkdir(parents=True, exist_ok=True)
    factors = _factors(resolution, 3)
    if any(o % f for o, f in zip(voxel_offset, factors[-1], strict=True)):
        raise ArgumentError(f"voxel_offset must be a multiple of {factors[-1]}; got {voxel_offset}")

    layout = NodeLayout.covering(image.shape, graph_chunk)
    if supervoxels is None:
        ids = fragment(bodies, layout, resolution=resolution, seed=seed)
    else:
        ids = fragment(supervoxels, layout, split=0)
    history = History.create(*_truth(ids, bodies, graph_chunk), layout, start=_BEGIN, edits=edits, seed=seed)
    history.save(folder)

    finer = (resolution[0] / 2, resolution[1] / 2, resolution[2])
    _write_imagery(folder / "imagery", image, finer, resolution, voxel_offset, factors)
    for name, labels in (("supervoxels", ids), ("segmentation", _Roots(ids, history))):
        levels = [
            (
                downsample_labels(labels, factor),
                Layout(
                    resolution=_coarser(resolution, factor),
                    voxel_offset=_shrunk(voxel_offset, factor),
                    chunk_size=_LABEL_CHUNK,
                    encoding="compressed_segmentation",
                    compress="gzip" if name == "supervoxels" else "",
                    sharding=_SHARDING if name == "segmentation" else None,
                ),
            )
            for factor in factors
        ]
        write_precomputed(folder / name, levels, kind="segmentation")

    about = {
        "datastack": datastack,
        "description": description,
        "table": datastack,
        "segmentation_kind": segmentation_kind,
        "viewer_resolution": list(finer),
        "resolution": list(resolution),
        "voxel_offset": list(voxel_offset),
        "size": list(image.shape),
        "layers": {name: name for name in ("imagery", "supervoxels", "segmentation")},
        "graph": {
            **layout.to_info(),
            "bounding_box": list(image.shape),
            "cv_mip": 0,
        },
        "versions": {
            str(number): datetime.fromtimestamp(moment, UTC).isoformat() for number, moment in history.versions.items()
        },
        "oldest": datetime.fromtimestamp(history.oldest, UTC).isoformat(),
        "seed": seed,
    }
    # last and at once, so that a folder with this file is whole
    partial = folder / "demo.json.part"
    partial.write_text(json.dumps(about, indent=1), encoding="utf-8")
    partial.replace(folder / "demo.json")
    return folder


def _factors(resolution: Resolution, count: int) -> list[IntTriple]:
    """How much each scale shrinks: x and y by 2 from scale to scale, z too where it would be the finer."""
    factors: list[IntTriple] = [(1, 1, 1)]
    while len(factors) < count:
        x, y, z = factors[-1]
        factors.append((2 * x, 2 * y, 2 * z if resolution[2] * z < 2 * x * resolution[0] else z))
    return factors


def _coarser(resolution: Resolution, factor: IntTriple) -> Resolution:
    return cast(Resolution, tuple(r * f for r, f in zip(resolution, factor, strict=True)))


def _shrunk(offset: IntTriple, factor: IntTriple) -> IntTriple:
    return cast(IntTriple, tuple(o // f for o, f in zip(offset, factor, strict=True)))


def _write_imagery(
    folder: Path,
    image: NDArray[np.uint8],
    finer: Resolution,
    resolution: Resolution,
    offset: IntTriple,
    factors: Sequence[IntTriple],
) -> None:
    x, y, z = image.shape
    announced = Layout(
        resolution=finer,
        voxel_offset=(2 * offset[0], 2 * offset[1], offset[2]),
        chunk_size=_IMAGE_CHUNK,
        encoding="jpeg",
        placeholder=True,
    )
    levels: list[tuple[Any, Layout]] = [((2 * x, 2 * y, z), announced)]
    before = factors[0]
    for factor in factors:
        step = cast(IntTriple, tuple(f // b for f, b in zip(factor, before, strict=True)))
        if factor != before:
            image = downsample_image(image, step)
        before = factor
        at = _coarser(resolution, factor)
        layout = Layout(resolution=at, voxel_offset=_shrunk(offset, factor), chunk_size=_IMAGE_CHUNK, encoding="jpeg")
        levels.append((image, layout))
    write_precomputed(folder, levels, kind="image")


def _truth(
    ids: NDArray[np.uint64], bodies: NDArray[np.unsignedinteger[Any]], chunk: IntTriple
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Give the supervoxels, sorted, and the body of each; slab by slab, since none reaches past a graph chunk."""
    found: list[NDArray[np.uint64]] = []
    truth: list[NDArray[np.int64]] = []
    for top in range(0, ids.shape[2], chunk[2]):
        for left in range(0, ids.shape[0], chunk[0]):
            window = (slice(left, left + chunk[0]), slice(None), slice(top, top + chunk[2]))
            some, first = np.unique(ids[window].ravel(order="F"), return_index=True)
            found.append(some[some > 0])
            truth.append(bodies[window].ravel(order="F")[first[some > 0]].astype(np.int64))
    supervoxels = np.concatenate(found)
    if not supervoxels.size:
        raise ArgumentError("the labels hold no object: every voxel is 0")
    order = np.argsort(supervoxels)
    return supervoxels[order], np.concatenate(truth)[order]


class _Roots:
    """Supervoxels that turn into roots where they are read, so that no second volume is held."""

    dtype = np.dtype(np.uint64)

    def __init__(self, supervoxels: NDArray[np.uint64], history: History) -> None:
        self._supervoxels, self._history = supervoxels, history
        self.shape = supervoxels.shape

    def __getitem__(self, key: tuple[slice, ...]) -> Any:
        part = self._supervoxels[key]
        if any(s.step is not None for s in key):
            return _Roots(part, self._history)
        import fastremap

        dense, found = fastremap.renumber(np.asfortranarray(part), preserve_zero=True)
        old, new = np.array(list(found), np.uint64), np.array(list(found.values()), np.intp)
        table = np.zeros(len(found) + 1, np.uint64)
        table[new] = self._history.roots(old)
        return table[dense]
