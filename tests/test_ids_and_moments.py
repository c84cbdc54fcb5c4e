from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.errors import ArgumentError, IdWarning
from imageryclient.ids import distinct, parse_ids, parse_root_ids, to_int64
from imageryclient.moment import parse_moment, unix_seconds

BIG = 864691135341362885  # above 2**53, odd: a float would change it


class Column:
    """What a pandas column looks like from outside."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __iter__(self):
        return iter(self.values)

    def to_numpy(self) -> np.ndarray:
        return self.values


@pytest.mark.parametrize(
    "value",
    [
        BIG,
        str(BIG),
        np.uint64(BIG),
        np.int64(BIG),
        np.array(BIG),
        [BIG],
        (str(BIG),),
        {BIG},
        {BIG: "mask"},
        [np.uint64(BIG), BIG],
        np.array([BIG], np.int64),
        np.array([[BIG]], np.uint64),
        np.array([str(BIG)]),
        np.array([BIG], object),
        Column(np.array([BIG, BIG], np.int64)),
        iter([BIG]),
    ],
)
def test_ids_are_taken_as_they_come(value) -> None:
    ids = parse_ids(value)
    assert ids.dtype == np.uint64
    assert ids.tolist() == [BIG]


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_ids_keep_every_digit_and_their_order(ids: list[int]) -> None:
    assert parse_ids(ids).tolist() == list(dict.fromkeys(ids))


@pytest.mark.parametrize("value", [-1, 2**64, 1.0, [1.5], np.array([1.0]), "one", [None], True, np.array([-5]), "all"])
def test_what_is_no_id_is_refused(value) -> None:
    with pytest.raises(ArgumentError):
        parse_ids(value)


def test_all_and_none_are_kept_apart_from_ids() -> None:
    assert parse_root_ids("all") == "all"
    assert parse_root_ids(None) is None
    assert isinstance(parse_root_ids([]), np.ndarray)


def test_ids_that_do_not_fit_int64_stay_uint64_with_a_warning() -> None:
    small = np.array([0, 2**63 - 1], np.uint64)
    assert to_int64(small).tolist() == [0, 2**63 - 1]
    large = np.array([2**63], np.uint64)
    with pytest.warns(IdWarning, match=str(2**63)):
        assert to_int64(large).dtype == np.uint64
    with pytest.warns(IdWarning, match=str(2**63)):
        assert to_int64(large, 2**64 - 1).dtype == np.uint64


NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2024, 5, 1, 12),
        datetime(2024, 5, 1, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        NOON.timestamp(),
        int(NOON.timestamp()),
        np.float64(NOON.timestamp()),
        "2024-05-01T12:00:00Z",
        "2024-05-01 12:00",
        "2024-05-01T08:00:00-04:00",
        np.datetime64("2024-05-01T12:00"),
    ],
)
def test_moments_are_read_from_whatever_names_them(value) -> None:
    moment = parse_moment(value)
    assert moment == NOON
    assert moment.utcoffset() == timedelta(0)
    assert unix_seconds(moment) == "1714564800"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
def test_moments_keep_their_microseconds(moment: datetime) -> None:
    aware = parse_moment(moment)
    whole, _, fraction = unix_seconds(aware).partition(".")
    micros = int(whole) * 10**6 + int(fraction.ljust(6, "0") or 0)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == aware


@pytest.mark.parametrize(
    "value", ["yesterday", None, math.inf, math.nan, [2024], True, object(), 1e30, np.datetime64("NaT", "us")]
)
def test_what_is_no_moment_is_refused(value) -> None:
    with pytest.raises(ArgumentError):
        parse_moment(value)


def test_a_bound_that_is_too_high_makes_the_ids_be_looked_through() -> None:
    small = np.array([0, 2**63 - 1], np.uint64)
    for largest in (None, 2**63 - 1, 2**63, 2**64 - 1):
        assert to_int64(small, largest).tolist() == [0, 2**63 - 1]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9)), st.sampled_from(["u8", "u4"]))
def test_distinct_is_unique(numbers: list[int], dtype: str) -> None:
    array = np.array(numbers, np.uint64).astype(dtype)
    assert np.array_equal(distinct(array), np.unique(array))
    assert distinct(array).dtype == array.dtype
