"""Places that could not be read: what they are in place of a cutout, and what is done about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from ..errors import ArgumentError, ImageryError, MissingDataWarning
from ..warning import warn_caller

__all__ = ["FailedPlace", "OnError", "parse_on_error", "warn_of_failures"]

OnError = Literal["raise", "skip", "return"]


@dataclass(frozen=True, slots=True)
class FailedPlace:
    """A place without a cutout.

    Parameters
    ----------
    index : int
        Its row among the places given, from 0.
    center : tuple of float
        x, y, z as given.
    error : ImageryError
        Why there is none.

    Examples
    --------
    >>> from imageryclient.errors import DamagedDataError
    >>> FailedPlace(3, (10.0, 20.0, 3.0), DamagedDataError("chunk 0-64_0-64_0-8 is damaged"))
    <FailedPlace 3 at (10, 20, 3): DamagedDataError: chunk 0-64_0-64_0-8 is damaged>
    """

    index: int
    center: tuple[float, float, float]
    error: ImageryError

    def __repr__(self) -> str:
        x, y, z = self.center
        return f"<FailedPlace {self.index} at ({x:g}, {y:g}, {z:g}): {type(self.error).__name__}: {self.error}>"


def parse_on_error(value: object) -> OnError:
    """Check the `on_error` argument."""
    if value not in get_args(OnError):
        raise ArgumentError(f"on_error must be 'raise', 'skip' or 'return'; got {value!r}")
    return cast(OnError, value)


def warn_of_failures(failed: Sequence[FailedPlace], total: int) -> None:
    """Warn of places that were left out, at the line that called this package."""
    fact = f"{len(failed)} of {total} places could not be read and were left out; the first: {failed[0]!r}"
    warn_caller(MissingDataWarning(f'{fact} (on_error="return" gives them all)'))
