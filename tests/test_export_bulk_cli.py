"""`imageryclient bulk`, as it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

import imageryclient as ic
from imageryclient.cli.bulk import bulk
from imageryclient.errors import ArgumentError


@pytest.fixture
def call(datastack: Any, tmp_path: Path) -> Any:
    centers = [(200, 140, 24), (180, 120, 20)]
    ids = [int(datastack.labels(np.array(c), np.array(c) + 1)[0, 0, 0]) for c in centers]
    lines = [f"{i},[{x} {y} {z}],{root}" for i, ((x, y, z), root) in enumerate(zip(centers, ids, strict=True))]
    (tmp_path / "points.csv").write_text("id,pt_position,pre_pt_root_id\n" + "\n".join(lines) + "\n")
    sources = ["--image", str(datastack.folder / "imagery"), "--segmentation", str(datastack.folder / "supervoxels")]

    def run(*options: str) -> Result:
        command = [str(tmp_path / "points.csv"), *sources, "--resolution", "8,8,40", *options]
        return CliRunner().invoke(bulk, command, catch_exceptions=False)

    return run


def test_an_export_and_its_estimate(call: Any, tmp_path: Path, datastack: Any) -> None:
    zarr = pytest.importorskip("zarr")
    options = ["--size", "24x20x3", "--mask", "pre=pre_pt_root_id", "--out", str(tmp_path / "train.zarr")]
    said = call(*options, "--dry-run")
    assert said.exit_code == 0
    assert said.output.startswith("2 places, 2 of them left\nto write: 28.1 KiB before compression, about ")
    assert " in 6 files\nto read: " in said.output
    assert "time: about" in said.output
    assert not (tmp_path / "train.zarr").exists()
    said = call(*options)
    assert said.exit_code == 0
    assert said.output.splitlines()[0] == "2 of 2 places done"
    group = zarr.open_group(tmp_path / "train.zarr", mode="r")
    client = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=(8, 8, 40))
    assert np.array_equal(group["image"][1], client.cutout((180, 120, 20), (24, 20, 3)).image)
    assert group["mask_pre"][0][12, 10, 1]
    assert call(*options).output.splitlines()[0] == "2 of 2 places done, 2 of them before"
    with pytest.raises(ArgumentError, match="resume=True"):
        call(*options, "--fresh")


def test_shards_and_an_interrupt(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    options = ["--size", "24x20x3", "--places-per-shard", "2", "--out", str(tmp_path / "train.zarr")]
    with monkeypatch.context() as patch:
        patch.setattr("imageryclient.bulk.writing.PlaceWriter.write", interrupt)
        said = call(*options)
    assert said.exit_code == 130
    assert "the same command goes on" in said.output
    assert call(*options).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "train.zarr" / "image").iterdir()) == ["c.0.0.0.0", "zarr.json"]


def test_some_places_failed(call: Any, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y,z\n200,140,24\n9000,1,1\n")
    said = call("--size", "24,20", "--format", "npz", "--out", str(tmp_path / "out"))
    assert said.exit_code == 3
    assert "1 places failed, the first with OutOfBoundsError" in said.output


def test_what_makes_no_sense(call: Any, tmp_path: Path) -> None:
    assert "say which --format" in call("--size", "24,20", "--out", str(tmp_path / "out")).output
    nothing = CliRunner().invoke(bulk, [str(tmp_path / "points.csv"), "--size", "24,20", "--out", "out.zarr"])
    assert nothing.exit_code == 2
    assert "say what to cut" in nothing.output
    assert isinstance(bulk, click.Command)
