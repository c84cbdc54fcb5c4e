"""Every voxel and every id of a cutout, against an answer computed here from whole arrays.

The answer uses nothing of the package's geometry: fractions for the corners, one voxel at a time along each axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import OutOfBoundsError

ROUNDS = 300
VIEWER = (4, 4, 40)


@dataclass
class Stored:
    """A scale as a whole array: its first voxel and its nm per voxel."""

    data: np.ndarray
    offset: tuple[int, int, int]
    resolution: tuple[float, float, float]


IMAGE = {1: ((8, 8, 40), (7, 3, 2)), 2: ((16, 16, 40), (3, 1, 2)), 3: ((32, 32, 80), (1, 0, 1))}
SEGMENTATION = {0: ((8, 8, 40), (10, 0, 1)), 1: ((16, 16, 40), (5, 0, 1)), 2: ((12, 20, 30), (0, 2, 0))}


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[int, Stored], dict[int, Stored]]:
    rng = np.random.default_rng(7)
    folder = tmp_path_factory.mktemp("exact")
    image: dict[int, Stored] = {}
    levels = [((500, 360, 40), Layout(resolution=VIEWER, placeholder=True, voxel_offset=(14, 6, 2)))]
    for mip, (resolution, offset) in IMAGE.items():
        shape = [int(s) for s in np.array([1600, 1300, 1200]) // resolution]
        data = np.asfortranarray(rng.integers(1, 256, shape, dtype=np.uint8))
        image[mip] = Stored(data, offset, resolution)
        levels.append(
            (data, Layout(resolution=resolution, voxel_offset=offset, chunk_size=(33, 64, 7), encoding="png"))
        )
    em = write_precomputed(folder / "em", levels, kind="image")
    segmentation: dict[int, Stored] = {}
    levels = []
    for mip, (resolution, offset) in SEGMENTATION.items():
        shape = [int(s) for s in np.array([1500, 1400, 1300]) // resolution]
        ids = rng.integers(2**53, 2**63, 300, dtype=np.uint64)
        blobs = ids[rng.integers(0, 300, [-(-s // 5) for s in shape])]
        data = np.kron(blobs, np.ones((5, 5, 5), np.uint64))[: shape[0], : shape[1], : shape[2]]
        segmentation[mip] = Stored(np.asfortranarray(data), offset, resolution)
        levels.append(
            (
                segmentation[mip].data,
                Layout(
                    resolution=resolution,
                    voxel_offset=offset,
                    chunk_size=(40, 32, 9),
                    encoding="compressed_segmentation",
                    compress="gzip",
                ),
            )
        )
    seg = write_precomputed(folder / "seg", levels, kind="segmentation")
    return em, seg, image, segmentation


def span(low: Fraction, high: Fraction, mine: float, theirs: float) -> range:
    """The voxels of size `theirs` that the half-open stretch of voxels of size `mine` touches."""
    ratio = Fraction(mine) / Fraction(theirs)
    return range(math.floor(low * ratio), math.ceil(high * ratio))


def taken(grid: list[range], resolution: tuple[float, ...], stored: Stored) -> np.ndarray:
    """The stored voxel that contains the centre of each voxel of a grid, 0 beyond the stored ones."""
    picks, inside = [], []
    for axis in range(3):
        ratio = Fraction(resolution[axis]) / Fraction(stored.resolution[axis])
        index = [math.floor((i + Fraction(1, 2)) * ratio) - stored.offset[axis] for i in grid[axis]]
        size = stored.data.shape[axis]
        inside.append(np.array([0 <= i < size for i in index]))
        picks.append(np.array([min(max(i, 0), size - 1) for i in index]))
    out = stored.data[np.ix_(*picks)].copy()
    out[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = 0
    return out


class Case:
    """One random call: where, how large, at which scales and in which voxels."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.image_mip = [None, 1, 2, 3][rng.integers(4)]
        self.segmentation_mip = [None, 0, 1, 2][rng.integers(4)]
        self.resolution = [None, (8, 8, 40), (16, 16, 40), (5, 7, 30), (2, 2, 20)][rng.integers(5)]
        unit = np.array(self.resolution or VIEWER, float)
        thin = rng.random() < 0.4
        depth = 1 if thin else rng.integers(1, 41)
        self.size = np.array([rng.integers(1, 201), rng.integers(1, 201), depth])
        size_nm = self.size * unit
        corner = rng.uniform([-300, -300, -200], [1700, 1500, 1300])
        self.center = (corner + size_nm / 2) / unit
        if rng.random() < 0.7:
            self.center = np.floor(self.center).astype(int)
        self.as_bounds = rng.random() < 0.3
        self.two = thin and rng.random() < 0.5
        if self.two:
            self.size[2] = 1
        self.unit = tuple(self.resolution or VIEWER)
        low = [math.floor(c) - int(s) // 2 for c, s in zip(self.center, self.size, strict=True)]
        self.low = [Fraction(v) for v in low]
        self.high = [Fraction(v + int(s)) for v, s in zip(low, self.size, strict=True)]

    def where(self) -> dict[str, object]:
        if self.as_bounds:
            return {"bounds": [[int(v) for v in self.low], [int(v) for v in self.high]], "resolution": self.resolution}
        size = self.size[:2] if self.two else self.size
        return {"bounds": self.center, "bbox_size": size, "resolution": self.resolution}

    def on(self, resolution: tuple[float, ...]) -> list[range]:
        return [
            span(a, b, mine, theirs)
            for a, b, mine, theirs in zip(self.low, self.high, self.unit, resolution, strict=True)
        ]


def check(call, expected: list[np.ndarray]) -> bool:
    """Run a cutout and compare; a call that has no data at all must say so. Gives whether there were data."""
    try:
        got = call()
    except OutOfBoundsError:
        assert not any(array.any() for array in expected)
        return False
    for mine, theirs in zip(got if isinstance(got, tuple) else (got,), expected, strict=True):
        theirs = np.squeeze(theirs)
        assert mine.shape == theirs.shape
        assert np.array_equal(mine.astype(theirs.dtype), theirs)
    return True


@pytest.fixture(scope="module")
def client(layers):
    em, seg, _, _ = layers
    return ic.ImageryClient(
        image_source=str(em), segmentation_source=str(seg), resolution=VIEWER, missing="fill", image_mip=1
    )


def test_single_layers_are_exact(client, layers):
    _, _, images, segmentations = layers
    data = 0
    for seed in range(ROUNDS):
        case = Case(seed)
        image, segmentation = images[case.image_mip or 1], segmentations[case.segmentation_mip or 0]
        for scaled in (None, True):
            where = {**case.where(), "scale_to_bounds": scaled}
            grid = (lambda stored: stored.resolution) if scaled is None else (lambda stored: case.unit)  # noqa: B023
            expected = taken(case.on(grid(image)), grid(image), image)
            data += check(lambda: client.image_cutout(mip=case.image_mip, **where), [expected])  # noqa: B023
            expected = taken(case.on(grid(segmentation)), grid(segmentation), segmentation)
            check(lambda: client.segmentation_cutout(mip=case.segmentation_mip, **where), [expected])  # noqa: B023
    assert data > ROUNDS  # most calls, of the two per round, had something to read


def test_joint_cutouts_are_exact(client, layers):
    _, _, images, segmentations = layers
    data = 0
    for seed in range(ROUNDS):
        case = Case(10_000 + seed)
        image, segmentation = images[case.image_mip or 1], segmentations[case.segmentation_mip or 0]
        finer = tuple(map(min, image.resolution, segmentation.resolution))
        for resize, scaled in ((True, None), (False, None), (True, True)):
            grids = (
                [case.unit] * 2 if scaled else [finer] * 2 if resize else [image.resolution, segmentation.resolution]
            )
            expected = [
                taken(case.on(grid), grid, stored) for grid, stored in zip(grids, (image, segmentation), strict=True)
            ]

            def call(case=case, resize=resize, scaled=scaled):
                return client.image_and_segmentation_cutout(
                    image_mip=case.image_mip,
                    segmentation_mip=case.segmentation_mip,
                    resize=resize,
                    scale_to_bounds=scaled,
                    **case.where(),
                )

            data += check(call, expected)
    assert data > ROUNDS


def test_image_size_gives_just_that_many_pixels(client, layers):
    _, _, images, _ = layers
    for seed in range(100):
        case = Case(20_000 + seed)
        image = images[case.image_mip or 1]
        size = [int(s) for s in case.size]
        units = [Fraction(u) for u in case.unit]
        pixels = [Fraction(r) for r in image.resolution]
        low = [math.floor(c) - (s * p / u) // 2 for c, s, p, u in zip(case.center, size, pixels, units, strict=True)]
        first = [math.floor(a * u / p + Fraction(1, 2)) for a, u, p in zip(low, units, pixels, strict=True)]
        grid = [range(a, a + s) for a, s in zip(first, size, strict=True)]
        expected = taken(grid, image.resolution, image)
        assert expected.shape == tuple(size)
        check(
            lambda: client.image_cutout(case.center, image_size=size, mip=case.image_mip, resolution=case.resolution),  # noqa: B023
            [expected],
        )


def test_masks_and_ids_asked_for_are_exact(client, layers):
    _, _, _, segmentations = layers
    rng = np.random.default_rng(3)
    for seed in range(100):
        case = Case(30_000 + seed)
        segmentation = segmentations[case.segmentation_mip or 0]
        expected = np.squeeze(taken(case.on(segmentation.resolution), segmentation.resolution, segmentation))
        present = np.unique(expected)
        present = present[present != 0]
        if not present.size:
            continue
        masks = client.split_segmentation_cutout(mip=case.segmentation_mip, **case.where())
        assert list(masks) == present.tolist()
        for root in rng.choice(present, min(3, present.size), replace=False):
            assert np.array_equal(masks[int(root)], expected == root)
        some = rng.choice(present, rng.integers(1, present.size + 1), replace=False)
        kept = client.segmentation_cutout(root_ids=some, mip=case.segmentation_mip, **case.where())
        assert np.array_equal(kept.astype(np.uint64), np.where(np.isin(expected, some), expected, 0))


def test_a_cutout_has_what_the_joint_call_gives_and_knows_what_is_data(client, layers):
    _, _, images, segmentations = layers
    for seed in range(100):
        case = Case(40_000 + seed)
        image, segmentation = images[1], segmentations[0]
        finer = tuple(map(min, image.resolution, segmentation.resolution))
        grid = case.on(finer)
        try:
            cut = client.cutout(case.center, case.size, resolution=case.resolution)
        except OutOfBoundsError:
            continue
        assert np.array_equal(cut.image, taken(grid, finer, image))
        assert np.array_equal(cut.segmentation, taken(grid, finer, segmentation))
        assert cut.bounds.start == tuple(r.start for r in grid)
        assert cut.bounds.stop == tuple(r.stop for r in grid)
        for name, stored in (("imagery", image), ("segmentation", segmentation)):
            whole = Stored(np.ones(stored.data.shape, bool), stored.offset, stored.resolution)
            inside = taken(grid, finer, whole)
            assert np.array_equal(cut.coverage[name].mask(), inside)
            assert cut.coverage[name].fraction == pytest.approx(inside.mean())
