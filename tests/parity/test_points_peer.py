"""Points give the ids that cloud-volume's `download_point` and caveclient's `get_roots` give."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.server import DemoServer

pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("points_driver.py")


def test_points_as_cloud_volume_and_caveclient_find_them(datastack, server, peer_python, tmp_path):
    running: DemoServer = server()
    source = f"graphene://{running.url}/segmentation/table/{datastack.table}"
    rng = np.random.default_rng(7)
    points = datastack.middle + rng.integers(-60, 60, (40, 3)) * [1, 1, 0] + rng.integers(-8, 8, (40, 1)) * [0, 0, 1]
    times = [op.time for op in datastack.history.operations]
    asked = [((8.0, 8.0, 40.0), times[3]), ((4.0, 4.0, 40.0), times[-1]), ((16.0, 16.0, 80.0), times[20] + 0.5)]
    np.save(tmp_path / "points.npy", points)
    case = {
        "source": source,
        "server": running.url,
        "datastack": datastack.name,
        "token": running.token,
        "stored": datastack.fine,
        "asked": asked,
    }
    (tmp_path / "case.json").write_text(json.dumps(case))
    subprocess.run([peer_python, DRIVER, tmp_path], check=True)
    theirs = np.load(tmp_path / "results.npz")
    client = ic.ImageryClient(segmentation_source=source, auth_token=running.token)
    for n, (resolution, moment) in enumerate(asked):
        xyz = points * np.array(datastack.fine) / resolution
        supervoxels = client.supervoxels_at(xyz, resolution=resolution)
        roots = client.root_ids_at(xyz, resolution=resolution, timestamp=moment)
        expected = [datastack.labels(p, p + 1).item() for p in points]
        assert supervoxels.tolist() == expected
        assert np.array_equal(supervoxels, theirs[f"{n}/supervoxels"])
        assert np.array_equal(roots, theirs[f"{n}/cave"])
        assert np.array_equal(roots, theirs[f"{n}/roots"])
