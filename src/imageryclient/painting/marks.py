"""Marks on pictures at places in space: points, lines, text and arrows, shown near the section that they lie in.

A place is three numbers x, y, z; `resolution` says what they count: nm per voxel, as (4, 4, 40), or "nm". Voxel i
covers [i, i + 1), so that whole numbers are the voxel's lower corner; add 0.5 for its middle.

A mark is shown where its place lies in the section's own thickness, which contains its lower face and not its upper
one, or at most `depth` nm before or behind that. With `fade` its opacity falls along those nm, linearly, from 1 to 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..points import parse_points
from ..section import Section
from .notes import Arrow, Text
from .placing import (
    Recorded,
    as_colors,
    as_places,
    as_units,
    beyond,
    check_depth,
    check_positive,
    colors_by,
    faces,
    keep,
    opacity_of,
    said_units,
    within,
)  # fmt: skip
from .primitives import Disc, Group, Ink, Path

__all__ = ["Arrow", "Lines", "Mark", "Points", "Text", "as_marks", "mark_from_dict"]


class Mark(Protocol):
    """What can be drawn on a section, and written down."""

    def groups(self, section: Section, depth: float) -> Sequence[Group]:
        """Give what is seen of it.

        Parameters
        ----------
        section : Section
            The plane, and the pixels of the picture.
        depth : float
            The section's own thickness in nm, half of it before the plane and half behind.

        Returns
        -------
        sequence of Group
            In pixels of the picture; empty groups where nothing is seen.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it; `mark_from_dict` reads it again."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Points(Recorded):
    """Points, drawn as discs or rings.

    Parameters
    ----------
    xyz : array_like
        Places, shape (n, 3), or one of three numbers; rows with NaN are no places. For tables see `of_table`.
    resolution : array_like or "nm"
        What the numbers count: nm per voxel along x, y, z.
    color : colour or sequence of colours
        Of all, or one for each.
    radius : float
        In pixels of the picture, or in nm with `unit="nm"`.
    unit : {"px", "nm"}
        Of `radius`.
    filled : bool
        Discs, with a thin dark edge; else rings.
    width : float
        Of rings' line, in pixels.
    depth : float
        How far before and behind the section's own thickness they are shown, in nm.
    fade : bool
        Whether they fade with that distance.
    name : str
        Of the group that they make in SVG and PDF, and in a legend.

    Raises
    ------
    ArgumentError, BoundsError
        If there are no such points, colours or lengths.

    Examples
    --------
    >>> synapses = Points([[10, 20, 5], [30, 20, 9]], (8, 8, 40), color=["red", "blue"])
    >>> (group,) = synapses.groups(Section((400.0, 400.0, 220.0), (100, 100), 8.0), 40.0)
    >>> [(disc.x, disc.y) for disc in group.primitives]  # the other lies four sections deeper
    [(10.0, 20.0)]
    """

    xyz: Any
    resolution: Any
    color: Any = "yellow"
    radius: float = 4.0
    unit: Literal["px", "nm"] = "px"
    filled: bool = True
    width: float = 1.5
    depth: float = 0.0
    fade: bool = True
    name: str = "points"

    def __post_init__(self) -> None:
        """Read places and colours."""
        keep(self, xyz=as_places(self.xyz), resolution=as_units(self.resolution))
        keep(self, color=as_colors(self.color, len(self.xyz)))
        check_positive(radius=self.radius, width=self.width)
        check_depth(self.depth)
        if self.unit not in ("px", "nm"):
            raise ArgumentError(f"unit is 'px' or 'nm'; got {self.unit!r}")

    @classmethod
    def of_table(
        cls,
        table: Any,
        column: str | None = None,
        *,
        resolution: Any = None,
        by: str | None = None,
        color: Any = "yellow",
        **options: Any,
    ) -> Points:
        """Make points of a table, as CAVEclient returns them.

        Parameters
        ----------
        table : pandas.DataFrame
            With positions in one column or three; see `imageryclient.points`.
        column : str, optional
            Which position, such as "ctr_pt_position"; needed where there are several.
        resolution : array_like or "nm", optional
            What the numbers count; by default what the table says of itself.
        by : str, optional
            A column whose values have colours of their own, such as "pre_pt_root_id" or "cell_type".
        color : colour, sequence of colours, or mapping
            With `by` a mapping from its values to colours; that of None is for all others.
        **options
            As for `Points`.

        Returns
        -------
        Points
            One for each row.

        Raises
        ------
        ArgumentError
            If the table has no such column, does not say its resolution, or a value has no colour.

        Examples
        --------
        >>> import pandas as pd
        >>> synapses = pd.DataFrame({"ctr_pt_position": [[1, 2, 3], [4, 5, 6]], "size": [7, 9]})
        >>> points = Points.of_table(synapses, resolution=(4, 4, 40), by="size", color={7: "red", None: "blue"})
        >>> points.color.tolist()
        [[255, 0, 0], [0, 0, 255]]
        """
        points = parse_points(table, column, scaled=resolution is not None)
        if by is not None:
            color = colors_by(table, by, color)
        return cls(points.xyz, said_units(resolution, points.resolution), color=color, **options)

    def groups(self, section: Section, depth: float) -> Sequence[Group]:
        """Give a disc or ring for each point seen, the nearest on top; those wholly beside the picture are left out."""
        place = section.pixels(self.xyz * np.array(self.resolution))
        reach = self.radius if self.unit == "px" else self.radius / section.nm_per_pixel
        opacity = opacity_of(beyond(place[:, 2], section, depth), self.depth, self.fade)
        margin = reach + self.width
        seen = (opacity > 0) & np.all(
            (place[:, :2] > -margin) & (place[:, :2] < np.array(section.size) + margin), axis=1
        )
        order = np.flatnonzero(seen)
        order = order[np.argsort(-np.abs(place[order, 2]), kind="stable")]
        colors = np.broadcast_to(self.color, (len(place), 3))[order]
        edge = min(1.0, 0.2 * reach)
        drawn = []
        for (x, y, _), tint, alpha in zip(place[order].tolist(), colors.tolist(), opacity[order].tolist(), strict=True):
            ink = Ink(tuple(tint), alpha)
            if self.filled:
                drawn.append(Disc(x, y, reach, ink, Ink((0, 0, 0), 0.6 * alpha), edge))
            else:
                drawn.append(Disc(x, y, reach, None, ink, self.width))
        return [Group(self.name, tuple(drawn))]


@dataclass(frozen=True, slots=True, eq=False)
class Lines(Recorded):
    """Straight lines between pairs of places: synapses from pre to post, the edges of skeletons.

    Just the part of a line within the depth that is shown is drawn; it fades by the depth of that part's middle.

    Parameters
    ----------
    starts, ends : array_like
        Places, shape (n, 3) each; lines without either end are left out.
    resolution : array_like or "nm"
        What the numbers count: nm per voxel along x, y, z.
    color : colour or sequence of colours
        Of all, or one for each.
    width : float
        In pixels of the picture.
    dash : tuple of float, optional
        Lengths drawn and left out, in pixels.
    depth, fade, name
        As for `Points`.

    Raises
    ------
    ArgumentError, BoundsError
        If there are no such lines, colours or lengths.

    Examples
    --------
    >>> line = Lines([[0, 50, 0]], [[100, 50, 10]], (8, 8, 40))
    >>> (group,) = line.groups(Section((400.0, 400.0, 220.0), (100, 100), 8.0), 40.0)
    >>> group.primitives[0].points
    ((50.0, 50.0), (60.0, 50.0))
    """

    starts: Any
    ends: Any
    resolution: Any
    color: Any = "yellow"
    width: float = 1.5
    dash: Any = None
    depth: float = 0.0
    fade: bool = True
    name: str = "lines"

    def __post_init__(self) -> None:
        """Read places and colours."""
        keep(self, starts=as_places(self.starts), ends=as_places(self.ends), resolution=as_units(self.resolution))
        if len(self.starts) != len(self.ends):
            raise ArgumentError(f"lines need as many ends as starts; got {len(self.starts)} and {len(self.ends)}")
        keep(self, color=as_colors(self.color, len(self.starts)))
        check_positive(width=self.width)
        check_depth(self.depth)
        if self.dash is not None:
            on, off = self.dash
            check_positive(dash=on)
            check_positive(dash=off)
            keep(self, dash=(float(on), float(off)))

    @classmethod
    def of_edges(cls, vertices: ArrayLike, edges: ArrayLike, resolution: Any, **options: Any) -> Lines:
        """Make lines of a skeleton.

        Parameters
        ----------
        vertices : array_like
            Places, shape (n, 3).
        edges : array_like of int
            Shape (m, 2): the numbers of vertices that are joined, counted from 0.
        resolution : array_like or "nm"
            What the numbers of the vertices count.
        **options
            As for `Lines`.

        Returns
        -------
        Lines
            One for each edge.

        Raises
        ------
        ArgumentError, BoundsError
            If the edges are no pairs of vertices, or the vertices are no places.

        Examples
        --------
        >>> len(Lines.of_edges([[0, 0, 0], [5, 0, 0], [5, 5, 0]], [[0, 1], [1, 2]], "nm").starts)
        2
        """
        places, pairs = as_places(vertices), np.asarray(edges)
        if not pairs.size:
            pairs = np.zeros((0, 2), np.int64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ArgumentError(f"edges are pairs of whole numbers, shape (n, 2); got {pairs.dtype} of {pairs.shape}")
        if pairs.size and not (pairs.min() >= 0 and pairs.max() < len(places)):
            raise ArgumentError(f"edges name vertices from 0 to {len(places) - 1}; got {pairs.min()} to {pairs.max()}")
        return cls(places[pairs[:, 0]], places[pairs[:, 1]], resolution, **options)

    @classmethod
    def of_table(
        cls,
        table: Any,
        start: str = "pre_pt_position",
        end: str = "post_pt_position",
        *,
        resolution: Any = None,
        by: str | None = None,
        color: Any = "yellow",
        **options: Any,
    ) -> Lines:
        """Make lines between two positions of a table, as CAVEclient returns them.

        Parameters
        ----------
        table : pandas.DataFrame
            With positions in one column each or three.
        start, end : str, optional
            Which positions.
        resolution, by, color, **options
            As for `Points.of_table`, and for `Lines`.

        Returns
        -------
        Lines
            One for each row.

        Raises
        ------
        ArgumentError
            As for `Points.of_table`.

        Examples
        --------
        >>> import pandas as pd
        >>> synapses = pd.DataFrame({"pre_pt_position": [[1, 2, 3]], "post_pt_position": [[4, 5, 6]]})
        >>> Lines.of_table(synapses, resolution=(4, 4, 40)).ends.tolist()
        [[4.0, 5.0, 6.0]]
        """
        known = resolution is not None
        first, last = parse_points(table, start, scaled=known), parse_points(table, end, scaled=known)
        if by is not None:
            color = colors_by(table, by, color)
        return cls(first.xyz, last.xyz, said_units(resolution, first.resolution), color=color, **options)

    def groups(self, section: Section, depth: float) -> Sequence[Group]:
        """Give a path for each line seen; those wholly beside the picture are left out."""
        a, b = (section.pixels(ends * np.array(self.resolution)) for ends in (self.starts, self.ends))
        low, high = faces(depth, self.depth)
        margin = np.array([self.width, self.width, 0.0])
        first, last = within(a, b, np.array([0, 0, low]) - margin, np.array([*section.size, high]) + margin)
        deep_first, deep_last = within(a[:, 2:], b[:, 2:], np.array([low]), np.array([high]))
        middle = a[:, 2] + (deep_first + deep_last) / 2 * (b[:, 2] - a[:, 2])
        opacity = opacity_of(beyond(middle, section, depth), self.depth, self.fade)
        seen = np.flatnonzero((first <= last) & (opacity > 0))
        colors = np.broadcast_to(self.color, (len(a), 3))[seen]
        rise = (b - a)[seen, :2]
        starts = a[seen, :2] + deep_first[seen, None] * rise
        ends = a[seen, :2] + deep_last[seen, None] * rise
        drawn = [
            Path((tuple(start), tuple(end)), line=Ink(tuple(tint), alpha), width=self.width, dash=self.dash)
            for start, end, tint, alpha in zip(
                starts.tolist(), ends.tolist(), colors.tolist(), opacity[seen].tolist(), strict=True
            )
        ]
        return [Group(self.name, tuple(drawn))]


def as_marks(marks: Iterable[Mark] | Mark | None) -> tuple[Mark, ...]:
    """Read an argument `marks`: several, or one alone; raises ArgumentError for what is none."""
    several = () if marks is None else tuple(marks) if isinstance(marks, Iterable) else (marks,)
    for mark in several:
        if not hasattr(mark, "groups"):
            raise ArgumentError(f"marks are Points, Lines, Text or Arrow, one or several of them; got {mark!r:.80}")
    return several


def mark_from_dict(document: Mapping[str, Any]) -> Mark:
    """Read a mark that `to_dict` has written.

    Raises
    ------
    ArgumentError
        If it is none.

    Examples
    --------
    >>> spot = Points([[1, 2, 3]], "nm", color="red")
    >>> mark_from_dict(spot.to_dict()) == spot
    True
    """
    kinds: dict[str, Any] = {kind.__name__.lower(): kind for kind in (Points, Lines, Text, Arrow)}
    values = dict(document)
    kind = kinds.get(str(values.pop("kind", None)))
    if kind is None:
        raise ArgumentError(f"a mark is one of {', '.join(kinds)}; got {document.get('kind')!r}")
    for name in ("xyz", "starts", "ends"):
        if name in values:
            values[name] = np.array(values[name], dtype=np.float64).reshape(-1, 3)  # None becomes NaN
    try:
        return cast(Mark, kind(**values))
    except TypeError as error:
        raise ArgumentError(f"this is no mark that can be drawn: {error}") from None
