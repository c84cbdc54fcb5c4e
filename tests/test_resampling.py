"""Cubic voxels beside looking each centre up by itself, in fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient import Box
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import ArgumentError
from imageryclient.resampling import cubic_box, isotropic, resampled

sides = st.sampled_from([4.0, 7.5, 8.0, 16.0, 33.0, 40.0])
boxes = st.builds(
    lambda start, shape, resolution: Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)), resolution),
    st.tuples(*[st.integers(-20, 500)] * 3),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.tuples(sides, sides, sides),
)


@settings(max_examples=60)
@given(boxes, st.sampled_from([None, 4.0, 5.0, 8.0, 11.0]), st.booleans())
def test_each_cube_takes_the_voxel_at_its_centre_and_every_centre_within_has_one(box, nm, channels) -> None:
    image = np.arange(box.voxels * 2, dtype=np.uint16).reshape(*box.shape, 2)
    image = image if channels else image[..., 0]
    ids = np.arange(box.voxels, dtype=np.uint64).reshape(box.shape) + np.uint64(2**63)
    side = Fraction(min(box.resolution) if nm is None else nm)
    wanted = []
    for a, b, voxel in zip(box.start, box.stop, map(Fraction, box.resolution), strict=True):
        inside = [i for i in range(math.floor(a * voxel / side) - 2, math.ceil(b * voxel / side) + 2)
                  if a * voxel <= (i + Fraction(1, 2)) * side < b * voxel]  # fmt: skip
        wanted.append(inside)
    if not all(wanted):
        with pytest.raises(ArgumentError, match="too large"):
            isotropic(image, ids, box, nm)
        return
    picture, labels, cubes = isotropic(image, ids, box, nm)
    assert cubes.resolution == (float(side),) * 3
    assert [list(range(a, b)) for a, b in zip(cubes.start, cubes.stop, strict=True)] == wanted
    assert picture.shape == (*cubes.shape, *image.shape[3:])
    assert (picture.dtype, labels.dtype) == (np.uint16, np.uint64)
    indices = [
        [math.floor((i + Fraction(1, 2)) * side / Fraction(voxel)) - a for i in along]
        for along, voxel, a in zip(wanted, box.resolution, box.start, strict=True)
    ]
    expected = np.ix_(*indices)
    assert np.array_equal(picture, image[expected])
    assert np.array_equal(labels, ids[expected])


def test_what_is_cubic_already_is_not_copied() -> None:
    box = Box((3, 4, 5), (9, 9, 9), (8.0, 8.0, 8.0))
    block = np.zeros(box.shape, np.uint8, order="F")
    picture, none, cubes = isotropic(block, None, box)
    assert picture is block
    assert none is None
    assert cubes == box


def test_results_lie_in_fortran_order() -> None:
    box = Box((0, 0, 0), (6, 5, 4), (8.0, 8.0, 24.0))
    target = cubic_box(box)
    assert resampled(np.zeros(box.shape, np.uint8), box, target).flags.f_contiguous
    assert target.shape == (6, 5, 12)


def test_what_makes_no_cubes() -> None:
    thin = Box((0, 0, 7), (60, 60, 8), (8.0, 8.0, 40.0))
    assert cubic_box(thin, 40).shape == (12, 12, 1)
    with pytest.raises(ArgumentError, match=r"100 nm are too large: the block is 40 nm long along z"):
        cubic_box(thin, 100)
    for nm in (0, -4, float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="positive number"):
            cubic_box(thin, nm)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("steps", [(None,), (5.0,), (20.0, 7.0), (8.0, 8.0)])
def test_a_figure_of_cubes_is_made_again_from_its_file(tmp_path: Path, steps: tuple[float | None, ...]) -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(0, 255, (40, 30, 6), dtype=np.uint8)
    ids = np.kron(rng.integers(1, 9, (10, 10, 3), dtype=np.uint64), np.ones((4, 3, 2), np.uint64))
    folders = [
        write_precomputed(tmp_path / name, [(array, Layout(resolution=(8, 8, 40), encoding="raw"))], kind=kind)
        for name, array, kind in (("em", image, "image"), ("seg", ids, "segmentation"))
    ]
    client = ic.ImageryClient(image_source=str(folders[0]), segmentation_source=str(folders[1]))
    cut = client.cutout(bounds=[[3, 4, 1], [33, 28, 5]])
    cubes = cut
    for nm in steps:
        cubes = cubes.isotropic(nm)
    assert cubes.taken_from[0] == cut.bounds
    assert "isotropic" in cubes.record().describe()
    for name, options in (("a.png", {"plane": "xz", "section": 1}), ("a.npz", {})):
        (file,) = cubes.save(tmp_path / name, **options)
        again, found = ic.redo(file)
        assert isinstance(again, ic.Cutout)
        assert again.bounds == cubes.bounds
        assert again.taken_from == cubes.taken_from
        assert np.array_equal(again.image, cubes.image)
        assert np.array_equal(again.segmentation, cubes.segmentation)
        assert found.get("plane") == options.get("plane")
    opened = ic.load_cutout(tmp_path / "a.npz")
    assert isinstance(opened, ic.Cutout)
    assert opened.taken_from == cubes.taken_from
