"""What annotations have in common: places, colours, how far from a section they are seen, how they are written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..geometry import TOLERANCE, Resolution, as_resolution
from ..ids import parse_ids
from ..points import parse_points
from ..section import Section
from .color import rgb_bytes
from .primitives import Ink

__all__ = [
    "Recorded", "as_colors", "as_ink", "as_place", "as_places", "as_texts", "as_units", "beyond", "check_depth",
    "check_positive", "colors_by", "faces", "keep", "opacity_of", "said_units", "within",
]  # fmt: skip

_TINY = float(np.finfo(np.float64).tiny)
Floats = NDArray[np.float64]


class Recorded:
    """What can be written down: fields that differ from their defaults."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it; `annotations.annotation_from_dict` reads it again.

        Returns
        -------
        dict
            Its kind, and the fields that differ from their defaults; ids as text.

        Examples
        --------
        >>> import imageryclient as ic
        >>> ic.Points([[1, 2, 3]], "nm", color="red").to_dict()["xyz"]
        [[1.0, 2.0, 3.0]]
        """
        out: dict[str, Any] = {"kind": type(self).__name__.lower()}
        for field in fields(cast(Any, self)):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                out[field.name] = _hex(value) if value.dtype == np.uint8 else _rows(value)
            elif isinstance(value, Mapping):
                out[field.name] = {str(key): one for key, one in value.items()}  # ids are text in JSON
            elif value != field.default:
                out[field.name] = list(value) if isinstance(value, tuple) else value
        return out

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # arrays have none


def _hex(colors: NDArray[np.uint8]) -> str | list[str]:
    each = ["#" + bytes(color).hex() for color in colors]
    return each[0] if len(each) == 1 else each


def _rows(places: Floats) -> list[list[float | None]]:
    return [[None if math.isnan(number) else number for number in row] for row in places.tolist()]


def keep(mark: Any, **values: Any) -> None:
    """Set fields of a frozen mark while it is made."""
    for name, value in values.items():
        object.__setattr__(mark, name, value)


def as_texts(value: Any, what: str) -> dict[Any, Any] | None:
    """Read ids, or a mapping from ids: each id with what it stands for, None where that is not said.

    Of a mapping written as JSON the ids are text; other text stays as it is.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {int(key) if not isinstance(key, str) or key.isdecimal() else key: one for key, one in value.items()}
    if isinstance(value, str):
        raise ArgumentError(f"{what} must be ids, or a mapping from ids to text; got {value!r:.80}")
    return dict.fromkeys(parse_ids(value).tolist())


def as_places(value: Any) -> Floats:
    """Read places, shape (n, 3), that nobody changes any more."""
    places = parse_points(value, scaled=True).xyz.copy()
    places.flags.writeable = False
    return places


def as_place(value: Any) -> tuple[float, float, float]:
    """Read a single place."""
    places = as_places(value)
    if places.shape != (1, 3) or not np.isfinite(places).all():
        raise ArgumentError(f"a place is three numbers x, y, z; got {value!r:.80}")
    return cast(tuple[float, float, float], tuple(places[0].tolist()))


def as_units(value: Any) -> Resolution:
    """Read what numbers count: nm per voxel, or "nm"."""
    if isinstance(value, str) and value == "nm":
        return (1.0, 1.0, 1.0)
    if value is None or isinstance(value, str):
        raise ArgumentError(
            "say what the numbers of places count: resolution=(4, 4, 40) for voxels of so many nm, or resolution='nm'; "
            f"got {value!r}"
        )
    return as_resolution(value)


def said_units(given: Any, noted: Resolution | None) -> Any:
    """Choose between what a caller says of a table's numbers and what the table says."""
    if given is None and noted is None:
        raise ArgumentError("the table does not say what its positions count: pass resolution=(4, 4, 40), or 'nm'")
    return noted if given is None else given


def as_colors(value: Any, count: int) -> NDArray[np.uint8]:
    """Read a colour, shape (1, 3), or one for each of some marks, shape (count, 3)."""
    single = isinstance(value, str) or (len(value) in (3, 4) and all(np.ndim(part) == 0 for part in value)
                                        and not any(isinstance(part, str) for part in value))  # fmt: skip
    colors = rgb_bytes([value] if single else value)
    if not single and len(colors) != count:
        raise ArgumentError(f"{count} marks need one colour, or one for each; got {len(colors)}")
    colors.flags.writeable = False
    return colors


def as_ink(color: Any, alpha: float = 1.0) -> Ink:
    """Read a single colour."""
    red, green, blue = rgb_bytes([color])[0].tolist()
    return Ink((red, green, blue), alpha)


def colors_by(table: Any, column: str, colors: Any) -> NDArray[np.uint8]:
    """Give the colour of each row of a table by a column's values; that of None is for all that have none."""
    if not isinstance(colors, Mapping):
        raise ArgumentError(
            f"by={column!r} needs color= to be a mapping from its values to colours; got {colors!r:.80}"
        )
    if column not in table.columns:
        raise ArgumentError(f"the table has no column {column!r}; it has {', '.join(map(str, table.columns))}")
    values = table[column].tolist()
    missing = {value for value in values if value not in colors}
    if missing and None not in colors:
        raise ArgumentError(
            f"{len(missing)} values of {column!r} have no colour, such as {next(iter(missing))!r}; "
            "add them to color, or one for None, which is for all others"
        )
    names = list(colors)
    places = {name: place for place, name in enumerate(names)}
    rest = places.get(None, 0)
    return rgb_bytes([colors[name] for name in names])[[places.get(value, rest) for value in values]]


def check_positive(**values: float) -> None:
    """Refuse lengths that are not above 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ArgumentError(f"{name} must be a positive number; got {value!r}")


def check_depth(depth: float) -> None:
    """Refuse depths below 0."""
    if not (math.isfinite(depth) and depth >= 0):
        raise ArgumentError(f"depth must be a number of nm, from 0; got {depth!r}")


def faces(thickness: float, depth: float) -> tuple[float, float]:
    """Give how far before (negative) and behind a section the outermost of what is shown lies, in nm."""
    return -thickness / 2 - depth, thickness / 2 + depth


def beyond(offsets: Floats, section: Section, thickness: float) -> Floats:
    """Tell how far places lie outside a section's thickness, in nm; 0 just within.

    Of two sections that touch one contains the face between them: the one on the side of larger coordinates, as voxels
    contain their lower faces.
    """
    forward = max(section.normal, key=abs) > 0
    along = offsets if forward else -offsets
    slack = TOLERANCE * thickness
    inside = (along >= -thickness / 2 - slack) & (along < thickness / 2 - slack)
    out: Floats = np.where(inside, 0.0, np.maximum(np.abs(along) - thickness / 2, _TINY))
    return out


def opacity_of(distances: Floats, depth: float, fade: bool) -> Floats:
    """Give the opacity at distances from a section's thickness, 0 beyond `depth` nm."""
    level = 1 - distances / depth if fade and depth else np.ones_like(distances)
    out: Floats = np.where(distances <= depth, level, 0.0)
    return out


def within(starts: Floats, ends: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Give the first and last share of lines, from 0 at their start to 1, that lie in a box; first above last if none.

    Examples
    --------
    >>> within(np.array([[0.0]]), np.array([[10.0]]), np.array([4.0]), np.array([5.0]))
    (array([0.4]), array([0.5]))
    """
    rise = ends - starts
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        cuts = np.stack([(low - starts) / rise, (high - starts) / rise])
    still = rise == 0
    inside = (starts >= low) & (starts <= high)
    entry = np.where(still, np.where(inside, 0.0, 2.0), cuts.min(axis=0))
    leave = np.where(still, np.where(inside, 1.0, -1.0), cuts.max(axis=0))
    return np.maximum(entry.max(axis=1), 0.0), np.minimum(leave.min(axis=1), 1.0)
