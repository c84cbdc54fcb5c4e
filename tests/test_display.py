from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError
from imageryclient.painting import display
from imageryclient.painting.display import Shades, to_display

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]


@given(
    st.sampled_from(DTYPES),
    st.tuples(st.integers(-10000, 10000), st.integers(-10000, 10000)).filter(lambda r: r[0] != r[1]),
    st.integers(0, 2**32),
    st.sampled_from([3, 1 << 20]),
)
def test_values_are_shown_by_their_place_in_the_range(dtype, shown, seed, block):
    rng = np.random.default_rng(seed)
    low, high = sorted(shown)
    spread = rng.integers(low - (high - low), high + (high - low) + 1, (5, 3))
    values = spread.astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(display, "_BLOCK", block)
        got = to_display(values, shown)
        np.testing.assert_array_equal(to_display(np.asfortranarray(values), shown), got)
        np.testing.assert_array_equal(to_display(np.repeat(values, 2, 1)[:, ::2], shown), got)
    assert (got.dtype, got.shape) == (np.uint8, values.shape)
    for value, shade in zip(values.reshape(-1).tolist(), got.reshape(-1).tolist(), strict=True):
        if np.isinf(value):
            assert shade == (255 if (value > 0) == (shown[1] > shown[0]) else 0)
            continue
        share = (Fraction(value) - shown[0]) / (shown[1] - shown[0]) * 255
        assert abs(min(max(share, 0), 255) - shade) <= Fraction(1, 2) + Fraction(1, 10**9)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_without_a_range_the_extremes_are_cut_off(dtype):
    rng = np.random.default_rng(0)
    spread = rng.normal(40, 20, (30, 20, 4)).clip(0, 120)
    values = (spread - 60 if dtype == "int8" else 50 * spread).astype(dtype)
    shown = np.percentile(values.astype(float), (0.5, 99.5)).tolist()
    assert [Shades.of(values).low, Shades.of(values).high] == pytest.approx(shown, rel=1e-3)
    np.testing.assert_array_equal(
        to_display(values), to_display(values, (Shades.of(values).low, Shades.of(values).high))
    )
    if values.dtype.kind == "f":
        more = values.copy()
        more[0, :3, 0] = np.nan, np.inf, -np.inf
        rest = np.delete(values.reshape(-1), np.flatnonzero(~np.isfinite(more).reshape(-1)))
        assert Shades.of(more) == Shades.of(rest)
        assert to_display(more)[0, :3, 0].tolist() == [0, 255, 0]


def test_eight_bits_stay_as_they_are():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert to_display(values) is values
    assert to_display([[True], [False]]).tolist() == [[255], [0]]
    assert to_display(values, (0, 255)).tolist() == values.tolist()
    assert to_display(values.astype(bool), (1, 0))[0, :3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("dtype", ["uint16", "int64", "float32"])
def test_shades_in_another_dtype_stay_as_they_are(dtype):
    shades = np.array([[0, 7], [2, 255]], dtype)
    assert to_display(shades).tolist() == [[0, 7], [2, 255]]
    assert to_display(shades + 1).tolist() != [[1, 8], [3, 255]]  # 256 is no shade


def test_images_without_contrast_or_values():
    assert to_display(np.full((2, 2), 700, np.uint16)).tolist() == [[0, 0], [0, 0]]
    assert to_display(np.full((2, 2), np.nan)).tolist() == [[0, 0], [0, 0]]
    assert to_display(np.zeros((0, 4), np.float32)).shape == (0, 4)
    values = np.zeros(1000, np.int64)
    values[5] = 900
    assert to_display(values)[[4, 5]].tolist() == [0, 255]


def test_extremes_do_not_overflow():
    top = np.finfo(np.float64).max
    assert to_display(np.array([-top, 0, top]), (-top, top)).tolist() == [0, 128, 255]
    assert to_display(np.array([0, 2**63, 2**64 - 1], np.uint64), (0, 2.0**64)).tolist() == [0, 128, 255]
    half = np.array([-60000, 0, 60000], np.float16)
    assert to_display(np.repeat(half, 500)).reshape(3, 500)[:, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("shown", [(1, 1), (0, np.nan), (np.inf, 0), (1,), (1, 2, 3), "ab", 5, (None, 1)])
def test_ranges_that_are_none(shown):
    with pytest.raises(ArgumentError, match="two different finite numbers"):
        to_display(np.zeros(3), shown)


@pytest.mark.parametrize("values", [np.zeros(3, complex), np.array(["a"]), np.array([None])])
def test_what_is_no_imagery(values):
    with pytest.raises(ArgumentError, match="must hold real numbers"):
        to_display(values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_gamma_raises_shades_to_its_power(dtype):
    values = np.random.default_rng(4).integers(0, 255, 70_000).astype(dtype)
    for gamma in (0.4, 1.0, 2.2):
        want = np.rint(255 * (np.clip((values.astype(float) - 20) / 180, 0, 1)) ** gamma)
        np.testing.assert_allclose(to_display(values, (20, 200), gamma=gamma), want, atol=1)
        inverted = to_display(values, (200, 20), gamma=gamma)
        want = np.rint(255 * (np.clip((200 - values.astype(float)) / 180, 0, 1)) ** gamma)
        np.testing.assert_allclose(inverted, want, atol=1)


def test_percentiles_are_of_finite_numbers():
    values = np.append(np.arange(101.0), [np.nan, np.inf, -np.inf])
    assert Shades.of(values, percentiles=(10, 90)) == Shades(10, 90)
    assert Shades.of(values, percentiles=(90, 10)) == Shades(90, 10)
    assert Shades.of(np.arange(101, dtype=np.uint8), percentiles=(0, 50), gamma=2) == Shades(0, 50, 2)
    assert to_display(np.array([False, True]), percentiles=(1, 99)).tolist() == [0, 255]
    assert to_display(values, percentiles=(0, 100), gamma=0.5)[101:].tolist() == [0, 255, 0]


def test_large_images_are_looked_up_as_small_ones_are_computed():
    for dtype in (np.uint8, np.uint16):
        values = np.random.default_rng(5).integers(0, np.iinfo(dtype).max, (300, 301), dtype=dtype, endpoint=True)
        for shades in (Shades(30, 200), Shades(200.5, 3, 0.7), Shades(9, 9)):
            rows = np.stack([shades(row) for row in values])
            np.testing.assert_array_equal(shades(values), rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"percentiles": (1, 1)}, "two different numbers from 0 to 100"),
        ({"percentiles": (0, 101)}, "two different numbers from 0 to 100"),
        ({"percentiles": 5}, "two different numbers from 0 to 100"),
        ({"gamma": -1}, "gamma must be a positive number"),
        ({"gamma": float("nan")}, "gamma must be a positive number"),
        ({"percentiles": (1, 99), "display_range": (0, 9)}, "give one of them"),
    ],
)
def test_contrast_that_makes_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        to_display(np.arange(10), **arguments)
