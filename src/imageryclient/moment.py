"""Moments: the one point in time that a call sees a proofread segmentation at.

A naive datetime is UTC. Inside, a moment is always an aware datetime in UTC; servers are told unix seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from .errors import ArgumentError

__all__ = ["now", "parse_moment", "unix_seconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """Give the present moment, aware, in UTC."""
    return datetime.now(UTC)


def parse_moment(value: Any) -> datetime:
    """Read a moment from a datetime, unix seconds, ISO text, a numpy datetime64, or "now".

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
    try:
        if isinstance(value, np.datetime64):
            value = value.astype("datetime64[us]").item()
        if isinstance(value, str):
            text = value.strip()
            if text.lower() == "now":
                return now()
            value = datetime.fromisoformat(text)
        if isinstance(value, datetime):
            return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            return _EPOCH + timedelta(seconds=float(value))
    except (ValueError, OverflowError, OSError):
        pass
    raise ArgumentError(
        "a timestamp must be a datetime (naive means UTC), unix seconds, ISO text such as "
        f"'2024-05-01T12:00:00Z', or 'now'; got {value!r}"
    )


def unix_seconds(moment: datetime) -> str:
    """Give a moment as unix seconds, whole ones without a fraction, microseconds exact.

    Examples
    --------
    >>> unix_seconds(parse_moment(1700000000.25))
    '1700000000.25'
    """
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{seconds}.{fraction:06d}".rstrip("0").rstrip(".") if fraction else str(seconds)
