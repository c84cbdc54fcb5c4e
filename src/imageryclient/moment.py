"""Moments: the one point in time that a call sees a proofread segmentation at.

A naive datetime is UTC. Inside, a moment is always an aware datetime in UTC; servers are told unix seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from .errors import ArgumentError

__all__ = ["format_moment", "is_settled", "now", "parse_moment", "unix_seconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An edit counts from the moment it began, and may be written as long after as its lock lasts: three minutes in
# PyChunkedGraph. Clocks differ, too.
_SETTLING = timedelta(minutes=5)
_MILLISECONDS = 1e11  # numbers beyond it (the year 5138 in seconds) count milliseconds or less


def now() -> datetime:
    """Give the present moment, aware, in UTC."""
    return datetime.now(UTC)


def is_settled(moment: datetime, present: datetime) -> bool:
    """Tell whether a moment is so far past that no edit to come can take effect before it.

    Examples
    --------
    >>> noon = parse_moment("2024-05-01T12:00:00Z")
    >>> is_settled(noon, parse_moment("2024-05-01T12:10:00Z")), is_settled(noon, noon)
    (True, False)
    """
    return moment + _SETTLING < present


def parse_moment(value: Any) -> datetime:
    """Read a moment from a datetime, unix seconds, ISO text, a numpy datetime64, a pandas Timestamp, or "now".

    Parts of a microsecond are cut off.

    Raises
    ------
    ArgumentError
        If the value names no moment.

    Examples
    --------
    >>> parse_moment(0).isoformat()
    '1970-01-01T00:00:00+00:00'
    >>> parse_moment("2024-05-01T12:00:00Z") == parse_moment("2024-05-01T14:00:00+02:00")
    True
    """
    hint = ""
    try:
        if isinstance(value, np.datetime64):
            value = value.astype("datetime64[us]").item()
        if isinstance(value, str):
            text = value.strip()
            if text.lower() == "now":
                return now()
            value = datetime.fromisoformat(text)
        if isinstance(value, datetime):
            return _plain(value)
        if isinstance(value, (np.float16, np.float32)):
            hint = ". Such a float cannot hold the seconds of a moment: use float64"
        elif isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            if abs(float(value)) > _MILLISECONDS:
                hint = ". It seems to count milliseconds or less: divide it"
            return _EPOCH + timedelta(seconds=float(value))
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    raise ArgumentError(
        "a timestamp must be a datetime (naive means UTC), unix seconds, ISO text such as "
        f"'2024-05-01T12:00:00Z', or 'now'; got {value!r}{hint}"
    )


def _plain(value: datetime) -> datetime:
    """Give a datetime, or what is derived from it as pandas' Timestamp is, as a plain one in UTC."""
    zone = UTC if value.tzinfo is None or value.utcoffset() is None else value.tzinfo
    parts = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
    return datetime(*parts, tzinfo=zone, fold=value.fold).astimezone(UTC)


def unix_seconds(moment: datetime) -> str:
    """Give a moment as unix seconds, whole ones without a fraction, microseconds exact.

    Examples
    --------
    >>> unix_seconds(parse_moment(1700000000.25))
    '1700000000.25'
    """
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    seconds, fraction = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return sign + (f"{seconds}.{fraction:06d}".rstrip("0").rstrip(".") if fraction else str(seconds))


def format_moment(moment: datetime) -> str:
    """Write a moment for a message: to the second, or as fine as it is.

    Examples
    --------
    >>> format_moment(parse_moment(1700000000)), format_moment(parse_moment(1700000000.25))
    ('2023-11-14 22:13:20 UTC', '2023-11-14 22:13:20.25 UTC')
    """
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}{fraction} UTC"
