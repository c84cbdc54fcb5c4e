"""What a file says of what is in it: which voxels of which sources, as of when, painted how; enough to redo it.

A record is of a box or of a section, and is written as a JSON object. Ids are text in it, as numbers beyond 2^53 do not
outlive other readers of JSON. It holds no token: sources have none. Its "format" is a number that grows when older
versions of this package would misread it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from .._version import __version__
from ..coverage import Coverage
from ..errors import ArgumentError, FormatError, ImageryError
from ..geometry import Box, IntTriple, Resolution, as_resolution, format_resolution
from ..moment import format_moment, parse_moment
from ..neuroglancer.placement import Placement
from ..section import Section
from .turn import Turn

__all__ = ["FORMAT", "KEYWORD", "AskedIds", "Record", "given_options", "is_newer", "lasting", "plain_options"]

KEYWORD = "imageryclient"  # under which files of many kinds keep their record
FORMAT = 1

AskedIds = Literal["all"] | None | tuple[int, ...]
_EXACT = 2**53  # JSON's numbers are floats to many readers
_MISSING = object()
_NOTE = "annotation"  # the key of marks, labels and legends that are values of their own
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?")  # of PEP 440, as far as this package's go


@dataclass(frozen=True, slots=True)
class Record:
    """What a cutout is, and how a picture of it was painted.

    Parameters
    ----------
    place : Box or Section
        The voxels, or where the pixels of a section lie.
    sources : mapping of str to str
        For each layer the source string; of an array, its name.
    mips : mapping of str to int
        For each layer the scale that was read.
    root_ids : "all", None or tuple of int
        The ids asked for: "all" objects, None for supervoxels, or just those.
    timestamp : datetime or None
        The moment of the segmentation; None for one that does not change.
    coverage : mapping of str to Coverage
        For each layer, which of the voxels of a box come from data.
    shares : mapping of str to float
        For each layer, the share of a section's pixels that comes from data.
    placements : mapping of str to Placement
        For layers of a section that a view moved: where to.
    resolution : tuple of float or None
        nm per voxel of the coordinates in which a section was asked for.
    taken_from : tuple of Box
        Of cubic voxels: those that were cut out, and any cubes between.
    painting : mapping of str to anything
        The options of the picture, as for `Cutout.overlay`.
    unsaid : tuple of str
        Names of options that were given too, whose values a file cannot hold.
    turn : Turn or None
        How the section turns, of a movie that begins with it.
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

    place: Box | Section
    sources: Mapping[str, str] = field(default_factory=dict)
    mips: Mapping[str, int] = field(default_factory=dict)
    root_ids: AskedIds = "all"
    timestamp: datetime | None = None
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    placements: Mapping[str, Placement] = field(default_factory=dict)
    resolution: Resolution | None = None
    taken_from: tuple[Box, ...] = ()
    painting: Mapping[str, Any] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()
    turn: Turn | None = None
    link: str | None = None
    version: str = __version__

    @property
    def bounds(self) -> Box:
        """The voxels of a record of a box; raises ArgumentError for one of a section."""
        if isinstance(self.place, Section):
            raise ArgumentError(f"a section has no bounds in voxels: {self.place}")
        return self.place

    @property
    def covered(self) -> dict[str, float]:
        """For each layer, the share of the voxels or pixels that comes from data, 0 to 1."""
        return dict(self.shares) | {name: coverage.fraction for name, coverage in self.coverage.items()}

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON has it.

        Options whose values JSON cannot hold are left out, and their names listed as "unsaid".
        """
        painting = plain_options(self.painting)
        unsaid = self.painting.keys() - painting.keys()
        document: dict[str, Any] = {
            "imageryclient": self.version,
            "format": FORMAT,
            **self._place(),
            "timestamp": None if self.timestamp is None else self.timestamp.isoformat(),
            "sources": dict(self.sources),
            "mips": {name: int(mip) for name, mip in self.mips.items()},
            "root_ids": list(map(str, self.root_ids)) if isinstance(self.root_ids, tuple) else self.root_ids,
            "covered": self.covered,
        }
        if not isinstance(self.place, Section):
            document["coverage"] = {name: _gaps(coverage) for name, coverage in self.coverage.items()}
        if painting:
            document["painting"] = {name: value for name, value in painting.items() if name not in unsaid}
        if unsaid or self.unsaid:
            document["unsaid"] = sorted(unsaid | set(self.unsaid))
        if self.turn is not None:
            document["turn"] = self.turn.to_dict()
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
            If it is none, or one that only newer versions of this package read; the message begins with `where`.
        """
        document: Any = None
        try:
            document = json.loads(text)
            if document.get("format", FORMAT) <= FORMAT:
                return cls._read(document)
            reason = f"its format is {document['format']!r}, and this version reads {FORMAT}"
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ImageryError) as error:
            reason = f"{type(error).__name__}: {error}"
        version = str(document.get("imageryclient")) if isinstance(document, dict) else ""
        if is_newer(version):
            raise FormatError(
                f"{where} was written by imageryclient {version}, and {__version__} cannot read it ({reason}): "
                "pip install --upgrade imageryclient"
            )
        raise FormatError(f"{where} does not tell what was cut out: {reason}")

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> Record:
        ids, moment = document.get("root_ids", "all"), document.get("timestamp")
        if isinstance(ids, str) and ids != "all":
            raise ValueError(f"root_ids are {ids!r}")
        place = _as_section(document["section"]) if "section" in document else _as_box(document["bounds"])
        return cls(
            place=place,
            sources={str(name): _text(source) for name, source in document.get("sources", {}).items()},
            mips={str(name): int(mip) for name, mip in document.get("mips", {}).items()},
            root_ids=ids if ids is None or ids == "all" else tuple(int(_text(i)) for i in ids),
            timestamp=None if moment is None else parse_moment(_text(moment)),
            **_details(place, document),
            painting=given_options(document.get("painting", {})),
            unsaid=tuple(map(str, document.get("unsaid", ()))),
            turn=Turn.from_dict(document["turn"]) if "turn" in document else None,
            link=document.get("neuroglancer"),
            version=str(document["imageryclient"]),
        )

    def _place(self) -> dict[str, Any]:
        if not isinstance(self.place, Section):
            before = {"taken_from": list(map(_box, self.taken_from))} if self.taken_from else {}
            return {"bounds": _box(self.place), **before}
        document: dict[str, Any] = {"section": asdict(self.place)}
        if self.resolution is not None:
            document["resolution"] = list(self.resolution)
        return document | {"placements": {name: one.to_dict() for name, one in self.placements.items()}}

    def describe(self) -> str:
        """Say what is in the file in one line, for those who read its properties.

        Examples
        --------
        >>> Record(Box((0, 0, 5), (64, 64, 6), (8.0, 8.0, 40.0)), {"imagery": "gs://bucket/em"}).describe()
        'imagery (gs://bucket/em), 64 x 64 x 1 voxels of 8 x 8 x 40 nm from (0, 0, 5)'
        """
        layers = " and ".join(f"{name} ({source})" for name, source in self.sources.items()) or "a cutout"
        moment = "" if self.timestamp is None else f", at {format_moment(self.timestamp)}"
        place = str(self.place)
        if isinstance(self.place, Box):
            size = " x ".join(map(str, self.place.shape))
            kind = "isotropic voxels" if self.taken_from else "voxels"
            place = f"{size} {kind} of {format_resolution(self.place.resolution)} nm from {tuple(self.place.start)}"
        return f"{layers}, {place}{moment}"


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options as JSON has them, without those whose values it cannot hold.

    Examples
    --------
    >>> plain_options({"colors": {5: "red"}, "palette": object()})
    {'colors': {'5': 'red'}}
    """
    plain = {name: _option(name, value) for name, value in sorted(options.items())}
    return {name: value for name, value in plain.items() if value is not _MISSING}


def given_options(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Give options back that `plain_options` gave."""
    return {str(name): _given(name, value) for name, value in plain.items()}


def is_newer(version: str) -> bool:
    """Tell whether a version of this package comes after the one that runs.

    Examples
    --------
    >>> is_newer("1.0.4"), is_newer("999.1rc2"), is_newer("none")
    (False, True, False)
    """
    return _order(version) > _order(__version__)


def _order(version: str) -> tuple[list[int], str, int]:
    found = _VERSION.match(version)
    if found is None:
        return [], "", 0
    stage, number = found[2] or "released", int(found[3] or 0)  # which sorts after a, b and rc
    return list(map(int, found[1].split("."))), stage, number


def lasting(source: str) -> str:
    """Give a source that means the same from every folder."""
    if "://" in source or "|" in source:
        return source
    try:
        folder = Path(source).expanduser()
        return str(folder.resolve()) if folder.exists() else source
    except (OSError, RuntimeError, ValueError):  # the name of an array, which may be no name for a file
        return source


def _box(box: Box) -> dict[str, Any]:
    start, stop = (list(map(int, corner)) for corner in (box.start, box.stop))
    return {"start": start, "stop": stop, "resolution": list(map(float, box.resolution))}


def _as_box(document: Mapping[str, Any]) -> Box:
    start, stop = (tuple(map(_whole, document[name])) for name in ("start", "stop"))
    if (len(start), len(stop)) != (3, 3):
        raise ValueError("a box has three numbers for each corner")
    return Box(cast(IntTriple, start), cast(IntTriple, stop), as_resolution(document["resolution"]))


def _as_section(document: Mapping[str, Any]) -> Section:
    names = ("center", "size", "nm_per_pixel", "orientation", "panel")
    return Section(**{name: document[name] for name in names})


def _details(place: Box | Section, document: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is said of boxes alone, or of sections alone."""
    if isinstance(place, Section):
        return {
            "shares": {str(name): float(share) for name, share in document.get("covered", {}).items()},
            "placements": {str(n): Placement.from_dict(one) for n, one in document.get("placements", {}).items()},
            "resolution": as_resolution(document["resolution"]) if "resolution" in document else None,
        }
    return {
        "coverage": {
            str(name): Coverage(place, *(tuple(map(_as_box, gaps[kind])) for kind in ("outside", "absent")))
            for name, gaps in document.get("coverage", {}).items()
        },
        "taken_from": tuple(map(_as_box, document.get("taken_from", ()))),
    }


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


def _option(name: str, value: Any) -> Any:
    """Give the value of an option of that name as JSON has it, `_MISSING` where it has none."""
    if hasattr(value, "to_dict") and not isinstance(value, Mapping):
        return {_NOTE: value.to_dict()}
    if name != "marks":
        return _plain(value)
    marks = list(value)
    return [mark.to_dict() for mark in marks] if all(hasattr(mark, "to_dict") for mark in marks) else _MISSING


def _plain(value: Any) -> Any:
    """Give a value as JSON has it, `_MISSING` where it has none."""
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
    if isinstance(value, str) and _is_long(value):
        return {"text": value}
    return value if value is None or isinstance(value, (str, bool)) else _MISSING


def _given(name: str, plain: Any) -> Any:
    """Give the value of an option of that name back."""
    from ..painting.annotations import annotation_from_dict

    if isinstance(plain, dict) and set(plain) == {_NOTE}:
        return annotation_from_dict(plain[_NOTE])
    return [annotation_from_dict(mark) for mark in plain] if name == "marks" else _value(plain)


def _value(plain: Any) -> Any:
    """Give a value back: mappings go by ids, and long digits are one but where they are said to be text."""
    if isinstance(plain, dict):
        return plain["text"] if set(plain) == {"text"} else {int(key): _value(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    return int(plain) if isinstance(plain, str) and _is_long(plain) else plain


def _is_long(text: str) -> bool:
    """Tell whether text is what a number beyond 2^53 is written as."""
    return text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 40 and abs(int(text)) > _EXACT
