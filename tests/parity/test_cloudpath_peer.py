"""The sources that a CloudVolume object is made with are what cloud-volume takes them for, and it opens them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imageryclient.cloudpath import cloudvolume_path, parse_source
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed

pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("cloudpath_driver.py")
GOOGLE, AMAZON = "https://storage.googleapis.com", "https://s3.amazonaws.com"

# source: format, protocol, bucket, path, host, and the https address, as the peers have them
PARSED: dict[str, tuple[Any, ...]] = {
    "gs://bucket/a/em": ("precomputed", "gs", "bucket", "a/em", None, f"{GOOGLE}/bucket/a/em"),
    "precomputed://gs://bucket/em/": ("precomputed", "gs", "bucket", "em", None, f"precomputed://{GOOGLE}/bucket/em"),
    "gs://bucket/em|neuroglancer-precomputed:": (
        "precomputed", "gs", "bucket", "em", None, f"precomputed://{GOOGLE}/bucket/em"),
    "gs+xml://bucket/em": ("precomputed", "gs", "bucket", "em", None, f"{GOOGLE}/bucket/em"),
    "s3://bucket/em": ("precomputed", "s3", "bucket", "em", None, f"{AMAZON}/bucket/em"),
    "s3+https://s3.example.org/bucket/em": (
        "precomputed", "s3", "bucket", "em", "https://s3.example.org", "https://s3.example.org/bucket/em"),
    "n5://s3://http://localhost:9000/bucket/em": (
        "n5", "s3", "bucket", "em", "http://localhost:9000", "n5://http://localhost:9000/bucket/em"),
    "gs://bucket/em.zarr/|zarr2:a/s0": (
        "zarr2", "gs", "bucket", "em.zarr/a/s0", None, f"zarr2://{GOOGLE}/bucket/em.zarr/a/s0"),
    "zarr://gs://bucket/em.zarr": ("zarr", "gs", "bucket", "em.zarr", None, f"zarr://{GOOGLE}/bucket/em.zarr"),
    "s3://bucket/em.zarr|zarr3:": ("zarr3", "s3", "bucket", "em.zarr", None, f"zarr3://{AMAZON}/bucket/em.zarr"),
    "https://example.org:8080/a/em": (
        "precomputed", "https", None, "a/em", "https://example.org:8080", "https://example.org:8080/a/em"),
    "middleauth+https://example.org/a/em": (
        "precomputed", "middleauth+https", None, "a/em", "https://example.org", "middleauth+https://example.org/a/em"),
    "graphene://https://example.org/segmentation/table/t": (
        "graphene", "https", None, "segmentation/table/t", "https://example.org",
        "graphene://https://example.org/segmentation/table/t"),
    "gs://bucket/my%20em": ("precomputed", "gs", "bucket", "my em", None, f"{GOOGLE}/bucket/my em"),
}  # fmt: skip


@pytest.fixture(scope="module")
def peers(peer_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    folder = tmp_path_factory.mktemp("sources")
    em = np.arange(40 * 30 * 9, dtype=np.uint8).reshape(40, 30, 9)
    write_precomputed(folder / "my em", [(em, Layout(resolution=(8, 8, 40)))], kind="image")
    with DemoServer(folder) as server:
        sources = [
            str(folder / "my em"),
            f"precomputed://{folder}/my em/",
            (folder / "my em").as_uri(),
            f"{folder}/my em/|neuroglancer-precomputed:",
            f"precomputed://{server.url}/data/my%20em",
            f"precomputed://{server.url}/data/my em/info",
            f"precomputed://s3+{server.url}/data/my%20em",
        ]
        asked = {
            "parse": [cloudvolume_path(parse_source(source)) for source in PARSED],
            "open": [cloudvolume_path(parse_source(source)) for source in sources],
        }
        run = subprocess.run(
            [peer_python, DRIVER], input=json.dumps(asked), capture_output=True, text=True, timeout=100, check=False
        )
    assert run.returncode == 0, run.stderr
    return {**json.loads(run.stdout), "sources": sources, "sum": [int(em.sum())]}


def test_sources_are_taken_for_what_they_are(peers: dict[str, list[Any]]) -> None:
    for (source, expected), found in zip(PARSED.items(), peers["parse"], strict=True):
        assert tuple(found.values()) == expected, source


def test_sources_are_opened(peers: dict[str, list[Any]]) -> None:
    for source, found in zip(peers["sources"], peers["open"], strict=True):
        assert found == {"shape": [40, 30, 9, 1], "dtype": "uint8", "sum": peers["sum"][0]}, source
