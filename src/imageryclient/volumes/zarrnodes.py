"""What lies in a Zarr or N5 container: its groups and arrays, looked up by their metadata documents."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from ..cloudpath import file_path
from ..errors import AccessError, FormatError, NotFoundError
from ..pools import fetch_pool
from ..storage import Store
from ..zarr import n5groups
from ..zarr.arrays import ArrayFormat, ZarrArray, parse_n5, parse_zarr2, parse_zarr3
from ..zarr.multiscales import Level, ome_attributes, parse_multiscales, whereabouts
from .documents import read_document

__all__ = ["Found", "Node", "Nodes", "ZarrFormat"]

ZarrFormat = Literal["zarr", "zarr2", "zarr3", "n5"]

_ZARR2 = (".zarray", ".zattrs", ".zgroup")
_DOCUMENTS: Mapping[ZarrFormat, tuple[str, ...]] = {
    "zarr": ("zarr.json", *_ZARR2),
    "zarr2": _ZARR2,
    "zarr3": ("zarr.json",),
    "n5": ("attributes.json",),
}
_MOST_NAMED = 12
_LEVEL_OF_ITS_OWN = ("transform", "downsamplingFactors", "pixelResolution")


@dataclass(frozen=True, slots=True)
class Node:
    """A group or an array.

    Parameters
    ----------
    format : {"zarr2", "zarr3", "n5"}
        What it is stored as.
    path : str
        Within the store.
    array : mapping or None
        The metadata of the array, None of a group.
    attributes : mapping
        Those that its users gave it.
    members : tuple of str
        Arrays and groups below a group, as far as its consolidated metadata name them.
    """

    format: ArrayFormat
    path: str
    array: Mapping[str, Any] | None
    attributes: Mapping[str, Any]
    members: tuple[str, ...] = ()

    def parsed(self, source: str) -> ZarrArray:
        """Read the metadata of the array."""
        try:
            if self.format == "zarr2":
                return parse_zarr2(self.array, self.attributes)
            return parse_zarr3(self.array) if self.format == "zarr3" else parse_n5(self.array)
        except FormatError as error:
            raise FormatError(f"{source}: the array at {self.path or 'the top'!r} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Found:
    """The arrays of a volume.

    Parameters
    ----------
    levels : sequence of (Level, str, ZarrArray)
        What is said of each scale, the path of its array, and the array.
    labels : bool
        Whether the metadata call it labels.
    """

    levels: Sequence[tuple[Level, str, ZarrArray]]
    labels: bool


class Nodes:
    """The groups and arrays of a store.

    Parameters
    ----------
    source : str
        The source string, for messages.
    store : Store
        Where they lie.
    format : {"zarr", "zarr2", "zarr3", "n5"}
        What they are stored as; "zarr" for whichever version of Zarr is found.
    """

    def __init__(self, source: str, store: Store, format: ZarrFormat) -> None:
        self._source = source
        self._store = store
        self._format = format
        self._known: dict[str, Mapping[str, Any]] = {}

    def find(self, path: str) -> Found:
        """Find the arrays of the volume at a path.

        Raises
        ------
        NotFoundError
            If nothing lies there.
        FormatError
            If what lies there is no volume; the message says what to choose instead.
        """
        node = self.node(path)
        if node is None:
            raise NotFoundError(self._nothing(path))
        if node.array is not None:
            found: list[tuple[Level, str]] = [(self._said_of(node), node.path)]
        else:
            node, listed = self._group(node)
            found = [(level, posixpath.normpath(_joined(node.path, level.path))) for level in listed]
        nodes = [node] if node.array is not None else self._nodes([path for _, path in found], node.format)
        arrays = []
        for (level, where), one in zip(found, nodes, strict=True):
            if one is None or one.array is None:
                raise NotFoundError(
                    f"{self._source}: the scale {level.path!r} is listed, but no array lies at {where!r}"
                )
            arrays.append((level, where, self._parsed(one, node)))
        return Found(arrays, self._is_labels(node))

    def _parsed(self, node: Node, group: Node) -> ZarrArray:
        array = node.parsed(self._source)
        if array.format == "n5" and not any(array.names):
            axes = self._inherited(group).get("axes")
            if isinstance(axes, list) and len(axes) == len(array.shape) and all(isinstance(axis, str) for axis in axes):
                return replace(array, names=tuple(axes))
        return array

    def node(self, path: str) -> Node | None:
        """Look up a group or an array; None where there is neither."""
        return self._nodes([path], self._format)[0]

    def _perhaps(self, path: str) -> Node | None:
        """Look up what need not be there, and which a bucket that nobody may list refuses where it is not."""
        return self._nodes([path], self._format, needed=False)[0]

    def _nodes(self, paths: Sequence[str], format: ZarrFormat, *, needed: bool = True) -> list[Node | None]:
        names = _DOCUMENTS[format]
        documents = iter(self._documents([_joined(path, name) for path in paths for name in names], needed=needed))
        return [_node(path, {name: next(documents) for name in names}) for path in paths]

    def _group(self, node: Node) -> tuple[Node, list[Level]]:
        """Give the levels of the image that a group is, or of the one image that it holds."""
        try:
            levels = self._listed(node)
        except FormatError as error:
            raise FormatError(f"{self._source}: the metadata of {node.path or 'the top'!r}: {error}") from None
        if node.format == "n5" and not any(level.spacing for level in levels):
            levels = self._n5_levels(node) or levels
        if levels:
            return node, levels
        if "bioformats2raw.layout" in ome_attributes(node.attributes):
            inside = self._only_image(node)
            if inside is not None:
                return self._group(inside)
        raise FormatError(self._which(node))

    def _only_image(self, node: Node) -> Node | None:
        ome = self._perhaps(_joined(node.path, "OME"))
        series = ome_attributes(ome.attributes).get("series") if ome is not None else None
        if isinstance(series, list) and len(series) > 1:
            raise FormatError(f"{self._source}: {whereabouts({'series': series})}; {self._how(node)}")
        if series is None and self._perhaps(_joined(node.path, "1")) is not None:
            raise FormatError(f"{self._source}: it holds several images; name one of them: 0, 1, …; {self._how(node)}")
        return self.node(_joined(node.path, str(series[0]) if series else "0"))

    def _which(self, node: Node) -> str:
        what = f"{self._source}: {node.path!r} within it" if node.path else self._source
        known = whereabouts(node.attributes)
        if known:
            return f"{what}: {known}; {self._how(node)}"
        members = node.members or self._consolidated(node) or self._folders(node)
        if members:
            more = f" and {len(members) - _MOST_NAMED} more" if len(members) > _MOST_NAMED else ""
            return (
                f"{what} is a group that says nothing of scales; name one of its arrays: "
                f"{', '.join(members[:_MOST_NAMED])}{more}; {self._how(node)}"
            )
        return f"{what} is a group that says nothing of scales; name one of its arrays; {self._how(node)}"

    def _how(self, node: Node) -> str:
        return f"end the source with |{self._format}:{node.path}{'/' if node.path else ''}NAME"

    def _consolidated(self, node: Node) -> tuple[str, ...]:
        document = (
            self._documents([_joined(node.path, ".zmetadata")], needed=False)[0] if node.format == "zarr2" else None
        )
        documents = (document or {}).get("metadata")
        names = [name for name in documents if name.endswith("/.zarray")] if isinstance(documents, Mapping) else []
        return tuple(sorted(name.removesuffix("/.zarray") for name in names))

    def _folders(self, node: Node) -> tuple[str, ...]:
        """Name the folders of a group on this machine's disk; those of a server cannot be listed."""
        if not self._store.url.startswith("file://"):
            return ()
        folder = file_path(self._store.url) / node.path
        try:
            return tuple(sorted(one.name for one in folder.iterdir() if one.is_dir()))
        except OSError:
            return ()

    def _said_of(self, node: Node) -> Level:
        """Give what is said of an array: by itself, or by the group above that lists it."""
        name = posixpath.basename(node.path) or unquote(posixpath.basename(urlsplit(self._store.url).path))
        own = Level(name)
        if node.format == "n5":
            own = self._n5_array_level(node)
            if own.spacing and any(key in node.attributes for key in _LEVEL_OF_ITS_OWN):
                return own
        elif node.format == "zarr3" and None not in node.parsed(self._source).lengths:
            return own
        try:
            group = self._perhaps(posixpath.dirname(node.path) if node.path else "..")
            levels = [] if group is None else self._listed(group)
        except FormatError:
            levels = []
        return next((level for level in levels if posixpath.normpath(level.path) == name and level.spacing), own)

    def _listed(self, group: Node) -> list[Level]:
        if group.format == "n5":
            return n5groups.group_levels(self._inherited(group))
        return parse_multiscales(group.attributes)

    def _n5_array_level(self, node: Node) -> Level:
        try:
            return n5groups.array_level(node.path, self._inherited(node))
        except FormatError as error:
            raise FormatError(f"{self._source}: the attributes of {node.path!r}: {error}") from None

    def _n5_levels(self, node: Node) -> list[Level]:
        """Look at s0, s1, … of a group that does not list its levels."""
        names = n5groups.level_names()
        first = self._perhaps(_joined(node.path, names[0]))
        if first is None or first.array is None:
            return []
        found = [first]
        for name in names[1:]:
            one = self._perhaps(_joined(node.path, name))
            if one is None or one.array is None:
                break
            found.append(one)
        listed = self._inherited(node)
        levels = []
        for one in found:
            attributes = {**{k: v for k, v in listed.items() if k != "downsamplingFactors"}, **one.attributes}
            level = n5groups.array_level(posixpath.basename(one.path), attributes)
            levels.append(level)
        return levels

    def _inherited(self, node: Node) -> Mapping[str, Any]:
        """Give the attributes of an N5 node with those it inherits of the groups above, as Neuroglancer does."""
        if node.path not in self._known:
            self._known[node.path] = self._with_inherited(node)
        return self._known[node.path]

    def _with_inherited(self, node: Node) -> Mapping[str, Any]:
        parts = node.path.split("/") if node.path else []
        attributes = self._merged(["/".join(parts[:n]) for n in range(len(parts))], node.attributes)
        said = any(name in attributes for name in ("resolution", "pixelResolution", "transform", "multiscales"))
        if said and (node.array is not None or any(name in attributes for name in ("scales", "downsamplingFactors"))):
            return attributes
        return self._merged(["../..", ".."], attributes)  # the source may begin within the container

    def _merged(self, paths: Sequence[str], attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        inherited: dict[str, Any] = {}
        for document in self._documents([_joined(path, "attributes.json") for path in paths], needed=False):
            inherited |= {name: document[name] for name in n5groups.INHERITED if document and name in document}
        return {**inherited, **attributes}

    def _is_labels(self, node: Node) -> bool:
        """Tell whether an image or an array of it is called labels, by itself or by the group that it lies in."""
        if "image-label" in ome_attributes(node.attributes):
            return True
        above = [part for part in unquote(urlsplit(self._store.url).path).split("/") if part]
        parts = [*above, *(part for part in node.path.split("/") if part)]
        place = next((n for n in range(len(parts) - 2, len(parts) - 4, -1) if n >= 0 and parts[n] == "labels"), None)
        if place is None or place >= len(above):
            return place is not None
        # A folder above the container may be called so for other reasons.
        group = self._perhaps("/".join([".."] * (len(above) - 1 - place)))
        listed = ome_attributes(group.attributes).get("labels") if group is not None else None
        return isinstance(listed, list) and parts[place + 1] in listed

    def _nothing(self, path: str) -> str:
        kind = "N5" if self._format == "n5" else "Zarr"
        names = ", ".join(_DOCUMENTS[self._format])
        return (
            f"{self._source}: nothing lies at {_joined(self._store.url, path)}: there is no {names}; check the "
            f"address, and that it is {kind}"
        )

    def _documents(self, keys: Sequence[str], *, needed: bool = True) -> list[Mapping[str, Any] | None]:
        """Fetch documents together.

        Buckets that nobody may list refuse what is not there, so a refusal counts only where one is needed and none
        comes.
        """

        def ask(key: str) -> Mapping[str, Any] | AccessError | None:
            try:
                document = read_document(self._store, key, self._source)
            except AccessError as error:
                return error
            if document is not None and not isinstance(document, Mapping):
                raise FormatError(f"{self._source}: the document at {self._store.url}/{key} is no JSON object")
            return document

        answers = list(fetch_pool().map(ask, keys))
        refused = [answer for answer in answers if isinstance(answer, AccessError)]
        if needed and refused and not any(isinstance(answer, Mapping) for answer in answers):
            raise refused[0]
        return [answer if isinstance(answer, Mapping) else None for answer in answers]


def _node(path: str, documents: Mapping[str, Mapping[str, Any] | None]) -> Node | None:
    newer, blocks = documents.get("zarr.json"), documents.get("attributes.json")
    if blocks is not None:
        return Node("n5", path, blocks if "dimensions" in blocks else None, blocks)
    if newer is not None:
        attributes, below = newer.get("attributes"), newer.get("consolidated_metadata")
        return Node(
            "zarr3",
            path,
            newer if newer.get("node_type") == "array" else None,
            attributes if isinstance(attributes, Mapping) else {},
            _members(below.get("metadata") if isinstance(below, Mapping) else None),
        )
    if all(document is None for document in documents.values()):
        return None
    return Node("zarr2", path, documents[".zarray"], documents[".zattrs"] or {})


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _members(documents: object) -> tuple[str, ...]:
    if not isinstance(documents, Mapping):
        return ()
    arrays = [name for name, one in documents.items() if isinstance(one, Mapping) and one.get("node_type") == "array"]
    return tuple(sorted(arrays))
