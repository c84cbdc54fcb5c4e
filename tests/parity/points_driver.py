"""Runs in the peers' environment: ids at points, by cloud-volume and caveclient.

`python points_driver.py FOLDER` reads FOLDER/case.json and FOLDER/points.npy, and writes FOLDER/results.npz: for each
resolution and moment of the case the supervoxels and the roots that `download_point` gives point by point, and the
roots that caveclient gives for those supervoxels. It imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from caveclient import CAVEclient
from cloudvolume import CloudVolume


def main():
    folder = Path(sys.argv[1])
    case = json.loads((folder / "case.json").read_text())
    points = np.load(folder / "points.npy")
    volume = CloudVolume(
        case["source"], mip=0, secrets=case["token"], progress=False, fill_missing=True, bounded=False, use_https=True
    )
    graph = CAVEclient(case["datastack"], server_address=case["server"], auth_token=case["token"]).chunkedgraph
    results = {}

    def one(point, resolution, agglomerate, **more):
        found = volume.download_point(point, 1, mip=0, coord_resolution=resolution, agglomerate=agglomerate, **more)
        return int(np.asarray(found).ravel()[0])

    for n, (resolution, moment) in enumerate(case["asked"]):
        when = datetime.fromtimestamp(moment, UTC)
        xyz = [[float(c) for c in point] for point in points * np.array(case["stored"]) / resolution]
        supervoxels = np.array([one(point, resolution, False) for point in xyz], np.uint64)
        results[f"{n}/supervoxels"] = supervoxels
        results[f"{n}/roots"] = np.array([one(point, resolution, True, timestamp=when) for point in xyz], np.uint64)
        results[f"{n}/cave"] = np.asarray(graph.get_roots(supervoxels, timestamp=when), np.uint64)
    np.savez(folder / "results.npz", **results)


if __name__ == "__main__":
    main()
