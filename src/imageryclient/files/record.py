"""What a file says of the cutout in it: which voxels of which sources, as of when, painted how; enough to redo it.

A record is written as a JSON object. Ids are text in it, as numbers beyond 2^53 do not outlive other readers of JSON.
It holds no token: sources have none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

import numpy as np

from .._version import __version__
from ..coverage import Coverage
from ..errors import FormatError, ImageryError
from ..geometry import Box, IntTriple, as_resolution, format_resolution
from ..moment import format_moment, parse_moment

__all__ = ["AskedIds", "Record"]

AskedIds = Literal["all"] | None | tuple[int, ...]
_EXACT = 2**53  # JSON's numbers are floats to many readers
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Record:
    """What a cutout is, and how a picture of it was painted.

    Parameters
    ----------
    bounds : Box
        The voxels.
    sources : mapping of str to str
        For each layer the source string; of an array, its name.
    mips : mapping of str to int
        For each layer the scale that was read.
    root_ids : "all", None or tuple of int
        The ids asked for: "all" objects, None for supervoxels, or just those.
    timestamp : datetime or None
        The moment of the segmentation; None for one that does not change.
    coverage : mapping of str to Coverage
        For each layer, which of the voxels come from data.
    painting : mapping of str to anything
        The options of the picture, as for `Cutout.overlay`.
    unsaid : tuple of str
        Names of options that were given too, whose values a file cannot hold.
    link : str or None
        Neuroglancer at this place, where it can reach the sources.
    version : str
        Of this package.

    Examples
    --------
    >>> record = Record(Box((0, 0, 5), (64, 64, 6), (8.0, 8.0, 40.0)), {"imagery": "gs://bucket/em"}, {"imagery": 1},
    ...                 root_ids=(864691135341362885,), painting={"colors": {864691135341362885: "red"}})
    >>> record.to_dict()["root_ids"]
    ['864691135341362885']
    >>> Record.from_json(record.to_json()) == record
    True
    """

    bounds: Box
    sources: Mapping[str, str] = field(default_factory=dict)
    mips: Mapping[str, int] = field(default_factory=dict)
    root_ids: AskedIds = "all"
    timestamp: datetime | None = None
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    painting: Mapping[str, Any] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()
    link: str | None = None
    version: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON has it.

        Options whose values JSON cannot hold are left out, and their names listed as "unsaid".
        """
        painting = {name: _plain(value) for name, value in self.painting.items()}
        unsaid = {name for name, value in painting.items() if value is _MISSING}
        document: dict[str, Any] = {
            "imageryclient": self.version,
            "bounds": _box(self.bounds),
            "timestamp": None if self.timestamp is None else self.timestamp.isoformat(),
            "sources": dict(self.sources),
            "mips": {name: int(mip) for name, mip in self.mips.items()},
            "root_ids": list(map(str, self.root_ids)) if isinstance(self.root_ids, tuple) else self.root_ids,
            "covered": {name: coverage.fraction for name, coverage in self.coverage.items()},
            "coverage": {name: _gaps(coverage) for name, coverage in self.coverage.items()},
        }
        if painting:
            document["painting"] = {name: value for name, value in painting.items() if name not in unsaid}
        if unsaid or self.unsaid:
            document["unsaid"] = sorted(unsaid | set(self.unsaid))
        if self.link is not None:
            document["neuroglancer"] = self.link
        return document

    def to_json(self, **more: Any) -> str:
        """Give the record as JSON text of one line in ASCII, with more entries where a kind of file has them."""
        return json.dumps({**self.to_dict(), **more}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str = "the record") -> Record:
        """Read a record; entries that are not there, as in files of older versions, have their defaults.

        Raises
        ------
        FormatError
            If it is none; the message begins with `where`.
        """
        try:
            return cls._read(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ImageryError) as error:
            raise FormatError(f"{where} does not tell what was cut out: {type(error).__name__}: {error}") from None

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> Record:
        if "section" in document and "bounds" not in document:
            raise ValueError(
                "it is of a single section that may lie askew, which is made again from its link alone, with "
                f"from_neuroglancer({document.get('neuroglancer')!r})"
            )
        bounds, ids, moment = _as_box(document["bounds"]), document.get("root_ids", "all"), document.get("timestamp")
        if isinstance(ids, str) and ids != "all":
            raise ValueError(f"root_ids are {ids!r}")
        return cls(
            bounds=bounds,
            sources={str(name): _text(source) for name, source in document.get("sources", {}).items()},
            mips={str(name): int(mip) for name, mip in document.get("mips", {}).items()},
            root_ids=ids if ids is None or ids == "all" else tuple(int(_text(i)) for i in ids),
            timestamp=None if moment is None else parse_moment(_text(moment)),
            coverage={
                str(name): Coverage(bounds, *(tuple(map(_as_box, gaps[kind])) for kind in ("outside", "absent")))
                for name, gaps in document.get("coverage", {}).items()
            },
            painting={str(name): _value(value) for name, value in document.get("painting", {}).items()},
            unsaid=tuple(map(str, document.get("unsaid", ()))),
            link=document.get("neuroglancer"),
            version=str(document["imageryclient"]),
        )

    def describe(self) -> str:
        """Say what is in the file in one line, for those who read its properties.

        Examples
        --------
        >>> Record(Box((0, 0, 5), (64, 64, 6), (8.0, 8.0, 40.0)), {"imagery": "gs://bucket/em"}).describe()
        'imagery (gs://bucket/em), 64 x 64 x 1 voxels of 8 x 8 x 40 nm from (0, 0, 5)'
        """
        layers = " and ".join(f"{name} ({source})" for name, source in self.sources.items()) or "a cutout"
        size = " x ".join(map(str, self.bounds.shape))
        moment = "" if self.timestamp is None else f", at {format_moment(self.timestamp)}"
        place = f"{size} voxels of {format_resolution(self.bounds.resolution)} nm from {tuple(self.bounds.start)}"
        return f"{layers}, {place}{moment}"


def _box(box: Box) -> dict[str, Any]:
    start, stop = (list(map(int, corner)) for corner in (box.start, box.stop))
    return {"start": start, "stop": stop, "resolution": list(map(float, box.resolution))}


def _as_box(document: Mapping[str, Any]) -> Box:
    start, stop = (tuple(map(_whole, document[name])) for name in ("start", "stop"))
    if (len(start), len(stop)) != (3, 3):
        raise ValueError("a box has three numbers for each corner")
    return Box(cast(IntTriple, start), cast(IntTriple, stop), as_resolution(document["resolution"]))


def _gaps(coverage: Coverage) -> dict[str, Any]:
    return {"outside": list(map(_box, coverage.outside)), "absent": list(map(_box, coverage.absent))}


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _plain(value: Any) -> Any:
    """Give the value of an option as JSON has it, `_MISSING` where it has none."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = list(map(_plain, value))
        return _MISSING if any(item is _MISSING for item in items) else items
    if isinstance(value, Mapping):
        if not all(isinstance(key, (int, np.integer)) and not isinstance(key, bool) for key in value):
            return _MISSING  # the options that are mappings go by ids
        entries = {str(int(key)): _plain(item) for key, item in value.items()}
        return _MISSING if any(item is _MISSING for item in entries.values()) else entries
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _MISSING
    return value if value is None or isinstance(value, (str, bool)) else _MISSING


def _value(plain: Any) -> Any:
    """Give the value of an option back: mappings go by ids, and long digits are one."""
    if isinstance(plain, dict):
        return {int(key): _value(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if isinstance(plain, str) and plain.isdecimal() and len(plain) < 40 and int(plain) > _EXACT:
        return int(plain)
    return plain
