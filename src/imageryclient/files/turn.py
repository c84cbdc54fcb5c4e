"""How a section turns in a movie: about what, how far, how long; enough to make the movie again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from ..errors import ArgumentError
from ..turning import Axis

__all__ = ["Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a section about its centre.

    Parameters
    ----------
    axis : {"x", "y", "z"}
        What it turns about, seen on the picture: x runs to the right, y down, z into the screen.
    degrees : float
        How far.
    seconds, fps : float
        How long the movie is, and its pictures in a second.
    follow : bool
        Whether in each picture ids out of date give way to those that have their voxels.

    Raises
    ------
    ArgumentError
        If these make no turn.

    Examples
    --------
    >>> Turn("y", 360, seconds=6, fps=20).frames
    120
    """

    axis: Axis = "y"
    degrees: float = 360.0
    seconds: float = 6.0
    fps: float = 20.0
    follow: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no turn."""
        if self.axis not in get_args(Axis):
            raise ArgumentError(f"axis must be 'x', 'y' or 'z', as the picture has them; got {self.axis!r}")
        if self.frames < 2:
            raise ArgumentError(
                f"a turn of {self.seconds!r} seconds at {self.fps!r} pictures a second has no two pictures"
            )
        if not math.isfinite(self.degrees):
            raise ArgumentError(f"degrees must be a number; got {self.degrees!r}")
        for name in ("degrees", "seconds", "fps"):  # as JSON has them, whichever numbers were given
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def frames(self) -> int:
        """How many pictures it has."""
        try:
            return round(self.seconds * self.fps)
        except (TypeError, ValueError, OverflowError):
            return 0

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Turn:
        """Read what `to_dict` has written."""
        numbers = {name: float(document[name]) for name in ("degrees", "seconds", "fps")}
        return cls(document["axis"], **numbers, follow=bool(document.get("follow", False)))
