"""Arrays as layers: every voxel against whole arrays, and nothing read, copied or changed that was not asked for."""

from __future__ import annotations

import threading
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imageryclient as ic
from imageryclient.errors import (
    ArgumentError,
    IdWarning,
    MissingDataError,
    MissingDataWarning,
    OutOfBoundsError,
    TooLargeError,
)
from imageryclient.volumes import SegmentationVolume, Volume
from imageryclient.volumes.memory import MemorySegmentation, MemoryVolume, open_arrays

AT = (8.0, 8.0, 40.0)


class Watched:
    """An array that notes what is asked of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, []

    def __getitem__(self, index):
        self.asked.append(index)
        return self.array[index]

    def __array__(self, *args, **kwargs):
        raise AssertionError("the whole array was asked for")


def read_only(array):
    array.flags.writeable = False
    return array


def taken(array, offset, its, grid, resolution):
    """The voxel of the array that contains the centre of each voxel of a grid, 0 beyond; with fractions."""
    picks, inside = [], []
    for axis in range(3):
        ratio = Fraction(resolution[axis]) / Fraction(its[axis])
        index = [floor((i + Fraction(1, 2)) * ratio) - offset[axis] for i in grid[axis]]
        inside.append(np.array([0 <= i < array.shape[axis] for i in index]))
        picks.append(np.array([min(max(i, 0), array.shape[axis] - 1) for i in index]))
    out = array[np.ix_(*picks)].copy()
    out[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :])] = 0
    return out


RESOLUTIONS = st.tuples(*(st.sampled_from(axis) for axis in ((4, 8, 6), (4, 8, 10), (20, 40, 30))))
OFFSETS = st.tuples(*(st.integers(-9, 30) for _ in "xyz"))
SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 12), st.integers(1, 6))
DTYPES = st.sampled_from(["u1", ">u2", "i4", "f4", "f8", "?", "f2", "u8"])
ID_DTYPES = st.sampled_from(["u1", "u2", ">u4", "u8", "i1", "i8", "?"])


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = []
    for dtypes, channels in ((DTYPES, draw(st.sampled_from([(), (3,), (2,)]))), (ID_DTYPES, ())):
        shape = draw(SHAPES) + channels
        array = rng.integers(0, 120, shape).astype(draw(dtypes))
        array = read_only(np.asarray(array, order=draw(st.sampled_from("CF"))))
        made.append((array, draw(OFFSETS), draw(RESOLUTIONS)))
    return made


@settings(max_examples=150)
@given(layers(), RESOLUTIONS, st.tuples(*(st.integers(-4, 20) for _ in "xyz")), SHAPES, st.booleans())
def test_joint_cutouts_are_exact(pair, unit, corner, size, scaled):
    (image, image_at, image_nm), (ids, ids_at, ids_nm) = pair
    client = ic.ImageryClient(
        image_source=ic.ArraySource(image, image_nm, image_at),
        segmentation_source=ic.ArraySource(ids, ids_nm, ids_at),
        resolution=unit,
        missing="fill",
    )
    bounds = [corner, [a + s for a, s in zip(corner, size, strict=True)]]

    def on(nm):
        return [
            range(floor(Fraction(a * u) / n), ceil(Fraction(b * u) / n))
            for a, b, u, n in zip(*bounds, unit, nm, strict=True)
        ]

    finer = unit if scaled else tuple(map(min, image_nm, ids_nm))
    wanted_image = taken(image, image_at, image_nm, on(finer), finer)
    wanted_ids = taken(ids, ids_at, ids_nm, on(finer), finer).astype(np.int64)
    try:
        got_image, got_ids = client.image_and_segmentation_cutout(bounds, scale_to_bounds=scaled)
    except OutOfBoundsError:
        assert not wanted_image.any()
        assert not wanted_ids.any()
        return
    assert got_image.dtype == image.dtype.newbyteorder("=")
    np.testing.assert_array_equal(got_image, wanted_image.squeeze())
    np.testing.assert_array_equal(got_ids, wanted_ids.squeeze())
    assert got_ids.dtype == np.int64
    if not scaled:
        cut = client.cutout(bounds=bounds)
        np.testing.assert_array_equal(cut.image, wanted_image)
        np.testing.assert_array_equal(cut.segmentation, wanted_ids)
        assert cut.bounds.start == tuple(r.start for r in on(finer))
        whole = np.ones(image.shape[:3], bool)
        inside = taken(whole, image_at, image_nm, on(finer), finer)
        np.testing.assert_array_equal(cut.coverage["imagery"].mask(), inside)
    present = np.unique(wanted_ids[wanted_ids > 0])
    masks = client.image_and_segmentation_cutout(bounds, scale_to_bounds=scaled, split_segmentations=True)[1]
    assert list(masks) == present.tolist()
    for key in present[:3].tolist():
        np.testing.assert_array_equal(masks[key], wanted_ids.squeeze() == key)


@pytest.fixture
def client():
    rng = np.random.default_rng(5)
    image = read_only(rng.integers(1, 256, (40, 30, 6), dtype=np.uint8))
    ids = read_only(np.kron(rng.integers(0, 9, (20, 15, 6), dtype=np.uint32), np.ones((2, 2, 1), np.uint32)))
    made = ic.ImageryClient(image_source=image, segmentation_source=ids, resolution=AT, voxel_offset=(100, 50, 7))
    return made, image, ids


def test_the_five_cutouts_and_what_is_made_of_them(client, tmp_path):
    made, image, ids = client
    box, part = [[105, 52, 8], [125, 70, 10]], (slice(5, 25), slice(2, 20), slice(1, 3))
    np.testing.assert_array_equal(made.image_cutout(box), image[part])
    np.testing.assert_array_equal(made.segmentation_cutout(box), ids[part])
    np.testing.assert_array_equal(made.segmentation_cutout(box, root_ids=None), ids[part])
    np.testing.assert_array_equal(
        made.segmentation_cutout(box, root_ids=[3, 4]), ids[part] * np.isin(ids[part], [3, 4])
    )
    masks = made.split_segmentation_cutout(box)
    np.testing.assert_array_equal(masks[3], ids[part] == 3)
    both = made.image_and_segmentation_cutout([115, 61, 8], bbox_size=(20, 18))
    np.testing.assert_array_equal(both[0], image[5:25, 2:20, 1])
    np.testing.assert_array_equal(both[1], ids[5:25, 2:20, 1])
    cut = made.cutout([115, 61, 8], size=(20, 18))
    assert cut.sources == {"imagery": "array", "segmentation": "array"}
    assert cut.timestamp is None
    assert cut.overlay().size == (20, 18)
    assert repr(cut).startswith("<Cutout of imagery and segmentation, 20 x 18 x 1 voxels")
    with np.load(cut.save(tmp_path / "cut.npz")[0]) as saved:
        np.testing.assert_array_equal(saved["segmentation"], ids[5:25, 2:20, 1:2])
    made.save_image_and_segmentation_masks(str(tmp_path / "p"), box)
    assert (tmp_path / "p_slice_0_imagery.png").exists()
    assert len(ic.composite_overlay(masks, imagery=made.image_cutout(box))) == 2


def test_missing_is_told_apart(client):
    made, image, _ = client
    with pytest.warns(MissingDataWarning, match=r"imagery: 50 % of its voxels lie outside the data"):
        got = made.image_cutout([[90, 50, 7], [110, 60, 8]])
    np.testing.assert_array_equal(got, np.concatenate([np.zeros((10, 10)), image[:10, :10, 0]]))
    with pytest.raises(MissingDataError):
        made.image_cutout([[90, 50, 7], [110, 60, 8]], missing="raise")
    with pytest.raises(OutOfBoundsError, match=r"imagery spans \[100:140, 50:80, 7:13\].*mip 0, array"):
        made.image_cutout([[0, 0, 0], [10, 10, 1]])
    with pytest.warns(IdWarning, match="1 of the 2 ids asked for"):
        made.segmentation_cutout([[100, 50, 7], [110, 60, 8]], root_ids=[3, 77])


def test_only_what_is_asked_for_is_read_in_one_call():
    data = np.arange(40 * 30 * 6, dtype=np.uint16).reshape(40, 30, 6)
    watched = Watched(data)
    made = ic.ImageryClient(image_source=watched, resolution=AT, missing="fill")
    assert watched.asked == []
    np.testing.assert_array_equal(made.image_cutout([[-3, 5, 2], [10, 9, 3]])[3:], data[:10, 5:9, 2])
    assert watched.asked == [(slice(0, 10), slice(5, 9), slice(2, 3))]


def test_results_are_the_callers_own(client):
    data = np.arange(60, dtype=np.uint64).reshape(5, 4, 3)
    kept = data.copy()
    made = ic.ImageryClient(image_source=data, segmentation_source=data, resolution=AT)
    box = [[0, 0, 0], [5, 4, 3]]
    for got in (made.image_cutout(box), made.segmentation_cutout(box), made.cutout(bounds=box).image):
        assert not np.shares_memory(got, data)
        got[:] = 7
    made.segmentation_cutout(box, root_ids=[5])
    np.testing.assert_array_equal(data, kept)


def test_volumes_keep_the_protocols():
    image = open_arrays(np.zeros((4, 4), np.float32), AT)
    ids = open_arrays([np.zeros((4, 4, 2), bool), np.zeros((2, 2, 2), bool)], AT, segmentation=True)
    assert isinstance(image, Volume)
    assert not isinstance(image, SegmentationVolume)
    assert isinstance(ids, SegmentationVolume)
    assert (ids.versioned, ids.info.kind, len(ids.info.scales)) == (False, "segmentation", 2)
    assert repr(image) == "MemoryVolume('array')"
    assert (type(image), type(ids)) == (MemoryVolume, MemorySegmentation)
    assert ic.ImageryClient(image_source=image).image_cutout([[0, 0, 0], [4, 4, 1]]).shape == (4, 4)


def test_scales_and_mips():
    rng = np.random.default_rng(1)
    fine, coarse = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 30, 6), (20, 15, 6)))
    made = ic.ImageryClient(image_source=[fine, coarse], resolution=AT, voxel_offset=(10, 20, 3))
    np.testing.assert_array_equal(made.image_cutout([[10, 20, 3], [20, 30, 4]], mip=1), coarse[:5, :5, 0])
    np.testing.assert_array_equal(made.image_cutout([[10, 20, 3], [20, 30, 4]], mip=(16, 16, 40)), coarse[:5, :5, 0])
    np.testing.assert_array_equal(made.image_cutout([[10, 20, 3], [20, 30, 4]]), fine[:10, :10, 0])


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.zeros((4, 4, 2), np.float32), "1 of float32"), (np.zeros((4, 4, 2, 3), np.uint8), "3 of uint8")],
)
def test_what_cannot_be_a_segmentation(array, message):
    with pytest.raises(ArgumentError, match=f"one whole number per voxel; this array holds {message}"):
        ic.ImageryClient(segmentation_source=array, resolution=AT)


def test_negative_ids_are_refused_where_they_are_read():
    ids = np.ones((6, 6, 2), np.int16)
    ids[5, 5, 1] = -4
    made = ic.ImageryClient(segmentation_source=ids, resolution=AT)
    assert made.segmentation_cutout([[0, 0, 0], [5, 6, 2]]).all()
    with pytest.raises(ArgumentError, match=r"a whole number from 0; in \[0:6, 0:6, 0:2\] at .* there is -4"):
        made.segmentation_cutout([[0, 0, 0], [6, 6, 2]])


def test_ids_beyond_int64():
    ids = np.full((3, 3, 1), 2**64 - 1, np.uint64)
    made = ic.ImageryClient(segmentation_source=ids, resolution=AT)
    with pytest.warns(IdWarning, match="do not fit int64"):
        assert made.segmentation_cutout([[0, 0, 0], [3, 3, 1]]).tolist() == ids[..., 0].tolist()
    assert list(made.split_segmentation_cutout([[0, 0, 0], [3, 3, 1]])) == [2**64 - 1]


def test_memory_is_estimated_before_anything_is_read():
    watched = Watched(np.broadcast_to(np.float32(1), (4096, 4096, 64)))
    made = ic.ImageryClient(image_source=watched, resolution=AT, memory_limit=2**20)
    with pytest.raises(TooLargeError, match="4 GiB"):
        made.image_cutout([[0, 0, 0], [4096, 4096, 64]])
    assert watched.asked == []


def test_what_an_array_raises_comes_through_with_the_place():
    class Broken(Watched):
        def __getitem__(self, index):
            raise OSError("the disk is gone")

    made = ic.ImageryClient(image_source=Broken(np.zeros((4, 4, 2), np.uint8)), resolution=AT)
    with pytest.raises(OSError, match="the disk is gone") as caught:
        made.image_cutout([[0, 0, 0], [4, 4, 1]])
    assert caught.value.__notes__ == ["while reading [0:4, 0:4, 0:1] at 8 x 8 x 40 nm of array"]


def test_from_many_threads(client):
    made, image, ids = client
    failed = []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(10):
            x, y = rng.integers(0, 20, 2)
            got = made.image_and_segmentation_cutout([[100 + x, 50 + y, 7], [108 + x, 58 + y, 9]])
            for mine, whole in zip(got, (image, ids), strict=True):
                if not np.array_equal(mine, whole[x : x + 8, y : y + 8, :2]):
                    failed.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_layer_switched_off_or_without_a_source():
    made = ic.ImageryClient(image_source=np.zeros((4, 4, 2), np.uint8), resolution=AT, segmentation=False)
    with pytest.raises(ArgumentError, match="segmentation=False"):
        made.segmentation_cutout([[0, 0, 0], [4, 4, 1]])
    with pytest.raises(ArgumentError, match="not a CloudVolume"):
        _ = made.image_cv


# ---- arrays of other packages -----------------------------------------------------------------------------------


def dask_array(data, folder):
    return pytest.importorskip("dask.array").from_array(data, chunks=(7, 8, 3))


def xarray_array(data, folder):
    return pytest.importorskip("xarray").DataArray(data)


def zarr_array(data, folder):
    zarr = pytest.importorskip("zarr")
    made = zarr.create_array(str(folder / "a.zarr"), shape=data.shape, dtype=data.dtype, chunks=(7, 8, 3))
    made[:] = data
    return made


def h5py_array(data, folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "a.h5", "w").create_dataset("em", data=data, chunks=(7, 8, 3))


def tensorstore_array(data, folder):
    ts = pytest.importorskip("tensorstore")
    return ts.array(data)


def memory_map(data, folder):
    np.save(folder / "a.npy", data)
    return np.load(folder / "a.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "make", [dask_array, xarray_array, zarr_array, h5py_array, tensorstore_array, memory_map, np.asarray]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint64", "bool"])
def test_arrays_of_other_packages(make, dtype, tmp_path):
    data = np.random.default_rng(2).integers(0, 2 if dtype == "bool" else 200, (40, 30, 6)).astype(dtype)
    array = data if make is np.asarray else make(data, tmp_path)
    made = ic.ImageryClient(image_source=array, segmentation_source=array, resolution=AT, voxel_offset=(3, 4, 5))
    image, ids = made.image_and_segmentation_cutout([[13, 14, 6], [33, 30, 9]])
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, data[10:30, 10:26, 1:4])
    np.testing.assert_array_equal(ids, data[10:30, 10:26, 1:4])
    if hasattr(array, "file"):
        array.file.close()


def test_xarray_with_coordinates():
    xarray = pytest.importorskip("xarray")
    data = np.arange(6 * 5 * 4, dtype=np.uint16).reshape(6, 5, 4)
    coords = {
        axis: (axis, (np.arange(n) + first + 0.5) * nm, {"units": "nm"})
        for axis, n, first, nm in zip("zyx", data.shape, (20, 10, 100), (40, 8, 8), strict=True)
    }
    array = xarray.DataArray(data, dims=("z", "y", "x"), coords=coords)
    made = ic.ImageryClient(image_source=array)
    assert made.resolution.tolist() == [8, 8, 40]
    np.testing.assert_array_equal(made.image_cutout([[101, 11, 21], [104, 15, 26]]), data.T[1:, 1:5, 1:])
    section = ic.ImageryClient(image_source=array.isel(z=3), resolution=AT)
    np.testing.assert_array_equal(section.image_cutout([[100, 10, 23], [104, 15, 24]]), data[3].T)


def test_dask_computes_only_the_chunks_touched():
    dask_arrays = pytest.importorskip("dask.array")
    asked = []

    def block(block_info=None):
        asked.append(block_info[None]["chunk-location"])
        return np.full((10, 10, 5), len(asked), np.uint8)

    array = dask_arrays.map_blocks(block, chunks=((10,) * 4, (10,) * 4, (5,) * 2), dtype="u1", meta=np.zeros(0, "u1"))
    made = ic.ImageryClient(image_source=array, resolution=AT)
    made.image_cutout([[12, 5, 2], [18, 25, 4]])
    assert sorted(asked) == [(1, 0, 0), (1, 1, 0), (1, 2, 0)]


def test_tensorstore_says_where_it_lies(tmp_path):
    ts = pytest.importorskip("tensorstore")
    data = np.arange(6 * 5 * 4, dtype=np.uint64).reshape(6, 5, 4, 1)
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{tmp_path}/v/",
        "multiscale_metadata": {"type": "segmentation", "data_type": "uint64", "num_channels": 1},
        "scale_metadata": {
            "size": [6, 5, 4],
            "resolution": [8, 8, 40],
            "voxel_offset": [100, 50, 7],
            "chunk_size": [4, 4, 4],
            "encoding": "raw",
        },
    }
    store = ts.open(spec, create=True).result()
    store.write(data).result()
    made = ic.ImageryClient(segmentation_source=store)
    assert made.resolution.tolist() == [8, 8, 40]
    np.testing.assert_array_equal(made.segmentation_cutout([[101, 51, 8], [105, 54, 11]]), data[1:5, 1:4, 1:, 0])
