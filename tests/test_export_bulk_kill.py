"""Exports killed at any moment and started again: the output is that of an undisturbed run, bit for bit."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import imageryclient as ic
from imageryclient.bulk.export import export

folder, to, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
client = ic.ImageryClient(image_source=str(folder / "imagery"), segmentation_source=str(folder / "supervoxels"),
                          resolution=(8, 8, 40), missing="fill")
points = np.random.default_rng(5).integers((80, 40, 5), (320, 240, 46), (count, 3))
points[3] = 9000
print("begun", flush=True)
shards = {"places_per_shard": 7} if name == "shards" else {}
name = "zarr" if shards else name
report = export(client, points, to, format=name, bbox_size=(64, 64, 8), overlay=name == "npz", **shards)
print(report.done, report.resumed, flush=True)
"""


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(stack: Any, to: Path, name: str, count: int) -> subprocess.Popen[str]:
    script = [sys.executable, "-W", "error", "-c", SCRIPT, str(stack.folder), str(to), name, str(count)]
    return subprocess.Popen(script, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, int]:
    """Places done, and how many of them were so before."""
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    done, resumed = map(int, said.split()[-2:])
    return done, resumed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zarr", "shards", "npz", "h5"])
def test_killed_and_started_again(datastack: Any, tmp_path: Path, name: str) -> None:
    pytest.importorskip({"h5": "h5py", "tiff": "tifffile"}.get(name, "numpy"))
    kills, count = int(os.environ.get("IMAGERYCLIENT_KILLS", "3")), int(os.environ.get("IMAGERYCLIENT_PLACES", "40"))
    chance = random.Random(7)
    for folder in ("whole", "broken"):
        (tmp_path / folder).mkdir()
    whole = start(datastack, tmp_path / "whole" / "out", name, count)
    assert whole.stdout is not None
    whole.stdout.readline()
    begun = time.perf_counter()
    done, _ = finish(whole)
    takes = time.perf_counter() - begun
    assert done == count - 1
    killed, kept = 0, 0
    for _ in range(kills):
        process = start(datastack, tmp_path / "broken" / "out", name, count)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0, takes))
        killed += process.poll() is None
        process.kill()
        process.communicate()
        held = sum(path.read_bytes().count(b"\n") for path in (tmp_path / "broken").rglob("*.jsonl"))
        manifests = list((tmp_path / "broken").rglob("*manifest.csv"))
        assert manifests or held >= kept
        kept = held
    assert killed
    process = start(datastack, tmp_path / "broken" / "out", name, count)
    done, resumed = finish(process)
    assert done == count - 1
    assert kept == resumed or not kept
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")
