"""The volume that is read: neuropil of the demo, stored as large public volumes are.

The demo's own builder stores small chunks, several scales and a flat copy, to show all there is. Here the imagery
lies in jpeg chunks of 256 x 256 x 16, the supervoxels in gzipped compressed_segmentation of 256 x 256 x 32, one
scale each, beside the history of their proofreading.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import fastremap
import numpy as np

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.history import History
from imageryclient.demo.phantom import fragment, make_phantom
from imageryclient.demo.writer import Layout, write_precomputed

FULL = (2048, 2048, 128)
SHORT = (640, 640, 48)
RESOLUTION = (8.0, 8.0, 40.0)
_GRAPH_CHUNK = (128, 128, 16)
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


def build(folder: Path, shape: tuple[int, int, int]) -> Path:
    """Make the volume in `folder`, unless it is there; of a volume there its shape must be this one."""
    about = folder / "demo.json"
    if about.exists():
        size = json.loads(about.read_text(encoding="utf-8"))["size"]
        if tuple(size) != shape:
            raise SystemExit(f"{folder} holds a volume of {size} voxels, not {shape}; name another --folder")
        return folder
    phantom = make_phantom(shape, RESOLUTION)
    return store(folder, phantom.image, phantom.bodies)


def store(folder: Path, image: np.ndarray, bodies: np.ndarray) -> Path:
    """Write imagery, supervoxels and history, and last of all `demo.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    imagery = Layout(resolution=RESOLUTION, chunk_size=(256, 256, 16), encoding="jpeg")
    write_precomputed(folder / "imagery", [(image, imagery)], kind="image")
    layout = NodeLayout.covering(image.shape, _GRAPH_CHUNK)
    ids = fragment(bodies, layout, resolution=RESOLUTION)
    History.create(*_truth(ids, bodies), layout, start=_BEGIN, edits=60).save(folder)
    supervoxels = Layout(
        resolution=RESOLUTION, chunk_size=(256, 256, 32), encoding="compressed_segmentation", compress="gzip"
    )
    write_precomputed(folder / "supervoxels", [(ids, supervoxels)], kind="segmentation")
    about = {
        "datastack": "phantom",
        "description": "Made neuropil: drawn from a seed, not from an animal.",
        "table": "phantom",
        "segmentation_kind": "graphene",
        "viewer_resolution": RESOLUTION,
        "resolution": RESOLUTION,
        "size": image.shape,
        "layers": {"imagery": "imagery", "supervoxels": "supervoxels"},
        "graph": {**layout.to_info(), "bounding_box": image.shape, "cv_mip": 0},
    }
    partial = folder / "demo.json.part"
    partial.write_text(json.dumps(about, indent=1), encoding="utf-8")
    partial.replace(folder / "demo.json")
    return folder


def _truth(ids: np.ndarray, bodies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the supervoxels, sorted, and the body of each; slab by slab, as none reaches past a graph chunk."""
    found, truth = [], []
    step = _GRAPH_CHUNK[2]
    for z in range(0, ids.shape[2], step):
        for y in range(0, ids.shape[1], _GRAPH_CHUNK[1]):
            part = ids[:, y : y + _GRAPH_CHUNK[1], z : z + step].ravel(order="F")
            some, first = fastremap.unique(part, return_index=True)
            owners = bodies[:, y : y + _GRAPH_CHUNK[1], z : z + step].ravel(order="F")[first]
            found.append(some[some > 0])
            truth.append(owners[some > 0].astype(np.int64))
    supervoxels = np.concatenate(found)
    order = np.argsort(supervoxels)
    return supervoxels[order], np.concatenate(truth)[order]
