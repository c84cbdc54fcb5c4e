from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import imageryclient as ic
from imageryclient.arrays.source import ArraySource, place_arrays
from imageryclient.errors import ArgumentError
from imageryclient.geometry import Box

AT = (8.0, 8.0, 40.0)
DATA = np.arange(6 * 5 * 4 * 3, dtype=np.uint16).reshape(6, 5, 4, 3)


@dataclass
class Named:
    """What xarray's DataArray offers, as far as it is looked at."""

    data: np.ndarray
    dims: tuple[str, ...]
    coords: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.data[index]


def coordinate(values, units="nm"):
    class Values(np.ndarray):
        pass

    array = np.asarray(values).view(Values)
    array.attrs = {} if units is None else {"units": units}
    return array


def placed(source, resolution=AT, offset=None):
    (one,) = place_arrays(source, resolution, offset)[1]
    return one


@pytest.mark.parametrize(
    ("array", "shape", "channels"),
    [(DATA[:, :, 0, 0], (6, 5, 1), 1), (DATA[..., 0], (6, 5, 4), 1), (DATA, (6, 5, 4), 3)],
)
def test_axes_by_their_order(array, shape, channels):
    one = placed(array, offset=(10, 20, 30))
    assert one.bounds == Box((10, 20, 30), (10 + shape[0], 20 + shape[1], 30 + shape[2]), AT)
    assert (one.channels, one.dtype) == (channels, np.uint16)
    box = Box((11, 21, 30), (14, 25, 31), AT)
    expected = array.reshape(*shape, channels)[1:4, 1:5, 0:1]
    np.testing.assert_array_equal(one.read(box), expected)


@pytest.mark.parametrize("order", ["xyz", "zyx", "yx", "yxz", "czyx", "zyxc", "xcy", "ZYX"])
def test_axes_by_their_names(order):
    sizes = {"x": 6, "y": 5, "z": 4, "c": 3}
    whole = DATA[tuple(slice(None) if axis in order.lower() else slice(0, 1) for axis in "xyzc")]
    lacking = tuple(at for at, axis in enumerate("xyzc") if axis not in order.lower())
    present = [axis for axis in "xyzc" if axis in order.lower()]
    array = whole.squeeze(lacking).transpose([present.index(axis) for axis in order.lower()])
    assert array.shape == tuple(sizes[axis] for axis in order.lower())
    for source in (
        Named(array, tuple(order)),
        Wrapped(array, domain=SimpleNamespace(labels=tuple(order), origin=(0,) * len(order)), dimension_units=None),
        Wrapped(array, metadata=SimpleNamespace(dimension_names=tuple(order))),
    ):
        one = placed(source)
        assert one.bounds.shape == whole.shape[:3]
        np.testing.assert_array_equal(one.read(one.bounds), whole)


class Wrapped:
    """An array with more to say."""

    def __init__(self, array, **more):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.__dict__.update(more)

    def __getitem__(self, index):
        return self.array[index]


def test_nameless_names_are_none():
    assert placed(Named(DATA[..., 0], ("dim_0", "dim_1", "dim_2"))).bounds.shape == (6, 5, 4)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        (("row", "col", "z"), "these are row, col, z"),
        (("x", "z", "t"), "these are x, z, t"),
        (("x", "X", "y"), "these are x, X, y"),
        (("x", "z", "c"), "needs an axis x and an axis y"),
    ],
)
def test_other_names_are_refused(dims, message):
    with pytest.raises(ArgumentError, match=message):
        placed(Named(DATA[..., 0], dims))


@pytest.mark.parametrize(("units", "factor"), [("nm", 1), ("um", 1e-3), ("µm", 1e-3), ("nanometers", 1), ("mm", 1e-6)])
@pytest.mark.parametrize("half", [0.5, 0.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_coordinates_of_centres_and_of_edges(units, factor, half, dtype):
    start, spacing = (1003, 52, -7), (8, 4.5, 33.3)
    coords = {
        axis: coordinate(((np.arange(n) + a + half) * s * factor).astype(dtype), units)
        for axis, n, a, s in zip("xyz", DATA.shape, start, spacing, strict=False)
    }
    one = placed(Named(DATA[..., 0].transpose(2, 1, 0), tuple("zyx"), coords), resolution=(1.0, 1.0, 1.0))
    assert one.bounds.start == start
    np.testing.assert_allclose(one.bounds.resolution, spacing, rtol=1e-6 if dtype is np.float64 else 1e-3)
    if dtype is np.float64:
        assert one.bounds.resolution == spacing


def test_a_single_coordinate_needs_a_resolution():
    coords = {axis: coordinate([100.0 + 20]) for axis in "z"}
    section = Named(DATA[..., :1, 0], tuple("xyz"), coords)
    assert placed(section, (8.0, 8.0, 40.0)).bounds.start == (0, 0, 3)
    assert placed(Named(DATA[..., 0, 0], tuple("xy"), {"z": coordinate(120.0)})).bounds.start == (0, 0, 3)
    with pytest.raises(ArgumentError, match="one coordinate along z, so its resolution is unknown"):
        placed(section, None)
    with pytest.raises(ArgumentError, match="120 nm, is neither the centre nor the lower edge of a voxel of 50 nm"):
        placed(section, (8.0, 8.0, 50.0))


def test_coordinates_without_units_are_numbers_of_voxels():
    coords = {"x": coordinate(np.arange(100, 106), None)}
    one = placed(Named(DATA[..., 0], tuple("xyz"), coords), offset=(7, 8, 9))
    assert (one.bounds.start, one.bounds.resolution) == ((100, 8, 9), AT)
    with pytest.raises(ArgumentError, match="along x have no units"):
        placed(Named(DATA[..., 0], tuple("xyz"), {"x": coordinate(np.arange(6) * 8.0, None)}))


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [
        (np.arange(6)[::-1] * 8.0, "nm", "must rise in even steps"),
        (np.arange(6) ** 2 * 8.0, "nm", "must rise in even steps"),
        (np.zeros(6), "nm", "must rise in even steps"),
        (np.arange(6) * 8 + 2.0, "nm", "neither the centre nor the lower edge"),
        (np.arange(6) * 8.0, "degrees", "in 'degrees'"),
        (np.array(list("abcdef")), "nm", "not numbers"),
    ],
)
def test_coordinates_that_make_no_grid(values, units, message):
    with pytest.raises(ArgumentError, match=message):
        placed(Named(DATA[..., 0], tuple("xyz"), {"x": coordinate(values, units)}))


def test_contradictions_are_refused():
    coords = {axis: coordinate((np.arange(n) + 0.5) * 8) for axis, n in zip("xyz", (6, 5, 4), strict=True)}
    own = Named(DATA[..., 0], tuple("xyz"), coords)
    with pytest.raises(ArgumentError, match="given as 4 nm along x; its own coordinates say 8"):
        placed(ArraySource(own, resolution=(4, 8, 8)))
    with pytest.raises(ArgumentError, match="given as 5 along y; its own coordinates say 0"):
        placed(ArraySource(own, voxel_offset=(0, 5, 0)))
    assert placed(own, AT, (1, 2, 3)).bounds == Box((0, 0, 0), (6, 5, 4), (8, 8, 8))  # the client's are for others


def test_a_domain_that_begins_elsewhere():
    class Store:
        """What a TensorStore offers: indices are those of its domain."""

        shape = (6, 5, 4, 3)
        dtype = SimpleNamespace(numpy_dtype=np.dtype(np.uint16))
        domain = SimpleNamespace(labels=("x", "y", "z", "channel"), origin=(100, 0, 9, 1))
        dimension_units = tuple(SimpleNamespace(multiplier=m, base_unit="nm") for m in (8, 8, 40)) + (None,)

        def __getitem__(self, index):
            return DATA[tuple(slice(s.start - o, s.stop - o) for s, o in zip(index, (100, 0, 9, 1), strict=True))]

    one = placed(Store(), None)
    assert one.bounds == Box((100, 0, 9), (106, 5, 13), AT)
    np.testing.assert_array_equal(one.read(Box((102, 1, 10), (105, 5, 11), AT)), DATA[2:5, 1:5, 1:2])


def test_scales():
    shapes = [(64, 50, 9), (32, 25, 9), (16, 13, 9)]
    _, scales = place_arrays([np.zeros(s, np.uint8) for s in shapes], AT, (8, 4, 1))
    assert [s.bounds.resolution for s in scales] == [(8, 8, 40), (16, 16, 40), (32, 32, 40)]
    assert [s.bounds.start for s in scales] == [(8, 4, 1), (4, 2, 1), (2, 1, 1)]
    assert [s.bounds.shape for s in scales] == shapes
    listed = [ArraySource(np.zeros((8, 8, 8), np.uint8), AT), ArraySource(np.zeros((3, 3, 3), np.uint8), (20, 20, 100))]
    assert [s.bounds.resolution for s in place_arrays(tuple(listed))[1]] == [AT, (20, 20, 100)]


@pytest.mark.parametrize(
    ("shapes", "offset", "message"),
    [
        ([(64, 64, 8), (32, 32, 8)], (5, 0, 0), "array, scale 1: the first scale begins at 40, 0, 0 nm"),
        ([(10, 64, 8), (3, 32, 8)], (0, 0, 0), "array, scale 1: 3 voxels along x, beside 10"),
        ([(10, 64, 8), (20, 32, 8)], (0, 0, 0), "20 voxels along x, beside 10"),
        ([(64, 64, 8), (32, 32, 8, 3)], (0, 0, 0), "these hold 1 x uint8 and 3 x uint8"),
        ([], (0, 0, 0), "at least one array"),
    ],
)
def test_scales_that_cannot_be_placed(shapes, offset, message):
    with pytest.raises(ArgumentError, match=message):
        place_arrays([np.zeros(s, np.uint8) for s in shapes], AT, offset)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"axes \(x, y\), \(x, y, z\) or"),
        (np.zeros((2, 2, 2, 2, 2)), r"got shape \(2, 2, 2, 2, 2\)"),
        (np.zeros((2, 0, 2)), "no voxels"),
        (np.zeros((2, 2), complex), "numbers or booleans"),
        (np.array([["a"]]), "numbers or booleans"),
        (np.ma.zeros((2, 2)), "masked array"),
        (5, "got int"),
        ([[1, 2], [3, 4]], "got list"),
        (Wrapped(np.zeros((2, 2)), cloudpath="gs://b"), "pass its address, 'gs://b'"),
        (Wrapped(np.zeros((2, 2)), dtype="a dtype of their own"), "not one of NumPy's"),
        (Wrapped(np.zeros((2, 2)), shape=(float("nan"), 2)), "known shape"),
    ],
)
def test_what_is_no_array_of_voxels(array, message):
    with pytest.raises(ArgumentError, match=message):
        place_arrays(array, AT)


def test_a_block_of_another_shape_is_refused():
    liar = Wrapped(DATA[..., 0], shape=(6, 5, 9))
    with pytest.raises(ArgumentError, match=r"gave a block of shape \(6, 5, 4\) where \(6, 5, 9\)"):
        placed(liar).read(placed(liar).bounds)


@pytest.mark.parametrize("offset", [(1, 2), (0.5, 0, 0), "abc", (True, False, True), (np.nan, 0, 0)])
def test_offsets_are_three_whole_numbers(offset):
    with pytest.raises(ArgumentError, match="voxel_offset must be three whole numbers"):
        place_arrays(DATA, AT, offset)


def test_the_client_needs_a_resolution_for_bare_arrays():
    for resolution in (None, "image"):
        with pytest.raises(ArgumentError, match="array: it does not say how large its voxels are: pass resolution="):
            ic.ImageryClient(image_source=DATA, resolution=resolution)
    client = ic.ImageryClient(image_source=ArraySource(DATA, AT, name="mine"))
    assert client.image_source == "mine"
    assert client.resolution.tolist() == list(AT)
    assert repr(client) == "<ImageryClient: imagery mine>"
    with pytest.raises(ArgumentError, match="no source is an array"):
        ic.ImageryClient(image_source="/nowhere", voxel_offset=(1, 2, 3))
