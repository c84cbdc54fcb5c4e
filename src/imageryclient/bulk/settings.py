"""What shapes an output: kept with it from before its first voxel, so that nothing else is ever mixed into it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError
from ..geometry import IntTriple, Resolution
from ..ids import Ids
from ..moment import parse_moment
from .manifest import ManifestKind
from .workspace import Workspace

__all__ = ["VERSION", "Settings", "digest_of", "plain"]

VERSION = 2  # of how outputs are laid out
_LONGEST = 200
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What shapes an output.

    Parameters
    ----------
    format : str
        Of the output.
    manifest : str
        Kind of manifest.
    sources : mapping of str to str
        For each layer the source string.
    mips : mapping of str to int
        For each layer the scale.
    dtypes : mapping of str to str
        For each layer the dtype, and behind it the number of channels where there are several.
    shape : tuple of int
        Voxels of each place along x, y, z.
    voxel : tuple of float
        nm per voxel of the arrays.
    resolution : tuple of float
        nm per voxel of the centres.
    size_resolution : tuple of float
        nm per voxel of the size that was asked for.
    moment : str or None
        ISO text; None where no layer changes.
    root_ids : "all", None or list of str
        The ids of the segmentation that are written.
    missing : str
        Whether places with voxels that are not there fail.
    masks : mapping of str to str
        For each mask the column of its ids.
    overlay : mapping or None
        Options of the overlays; None without any.
    places : int
        How many.
    digest : str
        Of the centres and ids, in their order.
    places_per_shard : int or None
        Places whose chunks lie in one file; None for formats that have none such.
    version : int
        Of the layout.
    """

    format: str
    manifest: ManifestKind
    sources: Mapping[str, str]
    mips: Mapping[str, int]
    dtypes: Mapping[str, str]
    shape: IntTriple
    voxel: Resolution
    resolution: Resolution
    size_resolution: Resolution
    moment: str | None
    root_ids: Any
    missing: str
    masks: Mapping[str, str]
    overlay: Mapping[str, Any] | None
    places: int
    digest: str
    places_per_shard: int | None = None
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as JSON has them."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return document

    def save(self, workspace: Workspace) -> None:
        """Write the settings, whole or not at all."""
        workspace.write(workspace.settings, json.dumps(self.to_dict(), indent=1).encode("ascii"))

    def resumed(
        self,
        workspace: Workspace,
        *,
        frozen: bool,
        sharded: bool = True,
        first: Callable[[int], str] | None = None,
    ) -> Settings:
        """Give these settings as they were when the export was begun: what the caller does not fix is as it was then.

        Parameters
        ----------
        workspace : Workspace
            Where an export was begun.
        frozen : bool
            Whether the caller fixed the moment; else the first start did.
        sharded : bool
            Likewise, the places in a shard.
        first : callable, optional
            Gives the digest of so many of the places, the first ones: to tell whether there are just more now.

        Raises
        ------
        ArgumentError
            If the export that was begun has other settings; the message says which.
        FormatError
            If the settings there cannot be read.
        """
        there = _read(workspace.settings)
        if there.get("version") != self.version:
            raise ArgumentError(
                f"{str(workspace.output)!r} holds an export by another version of imageryclient, which lays outputs "
                f"out otherwise: layout {there.get('version')} there, {self.version} now. Go on with it by that "
                "version, export to another name, or remove it"
            )
        mine = self if frozen else replace(self, moment=there.get("moment"))
        mine = mine if sharded else replace(mine, places_per_shard=there.get("places_per_shard"))
        here = mine.to_dict()
        names = [name for name in (*here, *(set(there) - set(here))) if there.get(name) != here.get(name)]
        count: Any = there.get("places")
        grown = {*names} <= _GROWN and isinstance(count, int) and 0 < count < self.places
        if grown and first is not None and first(count) == there.get("digest"):
            raise ArgumentError(
                f"{str(workspace.output)!r} holds an export of the first {count} of these {self.places} places, and an "
                "output keeps the places it was begun with: export the others by themselves, "
                f"points[{count}:], to another name"
            )
        if names:
            differing = "; ".join(
                f"{_WORDS.get(name, name)} {_shown(there.get(name))} there, {_shown(here.get(name))} now"
                for name in names
            )
            raise ArgumentError(
                f"{str(workspace.output)!r} holds an export with other settings, and one output never mixes two: "
                f"{differing}. Export to another name, or remove that one"
            )
        return mine

    @property
    def at(self) -> datetime | None:
        """The moment."""
        return None if self.moment is None else parse_moment(self.moment)


_GROWN = {"places", "digest", "places_per_shard"}
_WORDS = {"digest": "points and ids (digest)", "voxel": "nm per voxel", "shape": "voxels per place", "mips": "mip"}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError) as error:
        raise FormatError(f"{str(path)!r} does not say what was exported: {error}") from None
    return document


def _shown(value: Any) -> str:
    text = json.dumps(value[:12] if isinstance(value, str) and _DIGEST.fullmatch(value) else value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def digest_of(centers: NDArray[np.float64], ids: Mapping[str, Ids]) -> str:
    """Give a digest of places: their centres and ids, in their order.

    Examples
    --------
    >>> digest_of(np.array([[1.0, 2.0, 3.0]]), {})[:12]
    'a68de4b5e96a'
    """
    digest = hashlib.sha256(np.ascontiguousarray(centers, dtype="<f8").tobytes())
    for name, column in ids.items():
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(column, dtype="<u8").tobytes())
    return digest.hexdigest()


def plain(value: Any) -> Any:
    """Give options as JSON has them, keys and long ids as text.

    Raises
    ------
    ArgumentError
        If one of them is nothing that can be kept with the output.

    Examples
    --------
    >>> plain({"colors": {864691135341362885: np.array([1, 0, 0])}, "alpha": np.float64(0.5)})
    {'colors': {'864691135341362885': [1, 0, 0]}, 'alpha': 0.5}
    """
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ArgumentError(f"an option of an export must be text, a number, or lists and mappings of them; got {value!r}")
