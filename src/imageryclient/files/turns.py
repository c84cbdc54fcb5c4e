"""Movies of a section that turns about its centre."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, MissingDataWarning
from ..ids import distinct, parse_ids
from ..painting.annotations import as_legend
from ..painting.shared import color_table, shades_of
from ..painting.steady import is_steady
from ..turning import Axis, turning_sections
from ..warning import warn_caller
from .movies import check_movie, save_movie
from .saving import painted_record
from .turn import Turn

if TYPE_CHECKING:
    from ..reading import Missing
    from ..sectioncutout import SectionCutout
    from ..sections import Sections
    from ..volumes import IdsWanted

__all__ = ["save_turn", "write_turn"]


def save_turn(
    client: Sections,
    path: str | PathLike[str],
    center: ArrayLike,
    size: ArrayLike = (512, 512),
    *,
    axis: Axis = "y",
    degrees: float = 360.0,
    seconds: float = 6.0,
    fps: float = 20.0,
    cutting: Mapping[str, Any] | None = None,
    **painting: Any,
) -> Path:
    """Cut section after section, turning about a centre, and write them as a movie.

    Parameters
    ----------
    client : ImageryClient
        Where to cut.
    path : str or path
        Where to: `.mp4`, `.webp` or `.gif`.
    center, size
        As for `ImageryClient.section`.
    axis : {"x", "y", "z"}
        What the sections turn about, seen on the picture: x runs to the right, y down, z into the screen.
    degrees : float
        How far they turn; whole turns go round without a halt.
    seconds, fps : float
        How long the movie is, and its pictures in a second.
    cutting : mapping, optional
        Further options of `ImageryClient.section`, for the first section: `orientation`, `nm_per_pixel`, `root_ids`, …
    **painting
        As for `SectionCutout.overlay`. The palette is "steady" unless another is named, as ids come and go.

    Returns
    -------
    pathlib.Path
        The file, which is complete or not there. All of it is seen at one moment, at the scales of the first section,
        in its contrast. It says how it was made: `remake`, or `imageryclient redo FILE`, makes the whole movie again.

    Raises
    ------
    ArgumentError
        If the colours would change from picture to picture, or an argument makes no sense; else as for
        `ImageryClient.section` and `save_movie`.

    Warns
    -----
    MissingDataWarning
        If pixels of some sections are no data: once, for all of them.
    """
    where = dict(cutting or {})
    turn = Turn(axis, degrees, seconds, fps, bool(where.get("follow", False)))
    check_movie(Path(path), fps)
    wanted = client._wanted(where.get("root_ids", "all"), where.get("timestamp"), turn.follow)
    first = client.section(center, size, **where | {"timestamp": wanted.moment})
    return write_turn(client, first, wanted, turn, path, painting, where.get("missing"))


def write_turn(
    client: Sections,
    first: SectionCutout,
    wanted: IdsWanted,
    turn: Turn,
    path: str | PathLike[str],
    painting: Mapping[str, Any],
    missing: Missing | None = None,
) -> Path:
    """Write the movie of a section that was cut out and now turns; `wanted` is what was asked for of its ids.

    Raises and warns as `save_turn`.
    """
    known = "all" if turn.follow else wanted.root_ids  # the ids in all pictures, as far as they are known
    style = _with_legend(_with_contrast(first.image, _steady(painting, known)), known)
    steps = turning_sections(first.section, turn.axis, turn.degrees, turn.frames)
    next(steps)  # the first is there
    strict = client._policy_of(missing).missing
    covered: list[dict[str, float]] = []

    def sections() -> Iterator[SectionCutout]:
        yield first
        for step in steps:
            cut = client._section(
                step,
                first.resolution,
                first.mips,
                wanted,
                "raise" if strict == "raise" else "fill",
                first.placements or None,
            )
            covered.append({name: coverage.fraction for name, coverage in cut.coverage.items()})
            yield cut

    named = {name: style[name] for name in ("palette",) if name in style}
    asked = wanted.root_ids
    ids = tuple(asked.tolist()) if isinstance(asked, np.ndarray) else asked
    record = replace(painted_record(first, {**painting, **named}), turn=turn, root_ids=ids)
    file = save_movie((cut.overlay(**style) for cut in sections()), path, turn.fps, record=record)
    partly = [one for one in covered if min(one.values()) < 1]
    if partly and strict == "warn":
        worst = {name: min(one[name] for one in partly) for name in partly[0]}
        shares = " and ".join(f"{100 * share:.3g} % of {name}" for name, share in worst.items())
        fact = f"{len(partly)} of the {turn.frames} pictures of {file.name} show places without data"
        warn_caller(MissingDataWarning(f"{fact}, at the least {shares} is covered; they are 0 there"))
    return file


def _steady(painting: Mapping[str, Any], root_ids: Any) -> dict[str, Any]:
    """Give options in which each id keeps its colour whatever other ids there are."""
    options, colors = dict(painting), painting.get("colors")
    if colors is None:
        options.setdefault("palette", "steady")
    if isinstance(colors, Mapping) or (colors is None and is_steady(options["palette"])):
        return options
    if root_ids is None or (isinstance(root_ids, str) and root_ids == "all"):
        named = f"palette {options['palette']!r}" if colors is None else "a list of colours"
        raise ArgumentError(
            f"{named} goes by the order of the ids, which come and go in a turn: pass palette='steady', colours by id, "
            "or root_ids="
        )
    options["colors"] = color_table(distinct(parse_ids(root_ids)).tolist(), options)
    return options


def _with_contrast(image: NDArray[Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options that show every picture in the contrast which they give the first."""
    if image is None:
        return dict(options)
    shades = shades_of(image, options)
    # of one value alone, what exceeds it is white
    white = shades.high if shades.high != shades.low else float(np.nextafter(shades.low, np.inf))
    return {name: value for name, value in options.items() if name != "percentiles"} | {
        "display_range": (shades.low, white)
    }


def _with_legend(options: dict[str, Any], root_ids: Any) -> dict[str, Any]:
    """Give options with which a legend tells the same beside every picture, as these have one size."""
    legend = as_legend(options.get("legend"))
    if legend is None or any(isinstance(key, str) for key in legend.texts or ()):
        return options
    if legend.texts is None and not isinstance(root_ids, np.ndarray):
        raise ArgumentError(
            "a legend is the same beside all pictures of a turn, in which ids come and go: name them, as in "
            "legend=[ID, …], or pass root_ids="
        )
    named = list(legend.texts or distinct(parse_ids(root_ids)).tolist())
    return {**options, "legend_ids": named}
