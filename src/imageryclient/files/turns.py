"""Movies of a section that turns about its centre."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, MissingDataWarning
from ..ids import distinct, parse_ids
from ..painting.shared import color_table, shades_of
from ..painting.steady import is_steady
from ..turning import Axis, turning_sections
from ..warning import warn_caller
from .movies import save_movie

if TYPE_CHECKING:
    from ..sectioncutout import SectionCutout
    from ..sections import Sections

__all__ = ["save_turn"]

_PLACING = ("units", "resolution", "root_ids", "follow")


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
        in its contrast.

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
    try:
        frames = round(seconds * fps)
    except (TypeError, ValueError, OverflowError):
        frames = 0
    if frames < 2:
        raise ArgumentError(f"a turn of {seconds!r} seconds at {fps!r} pictures a second has no two pictures")
    style = _steady(painting, where.get("root_ids", "all"))
    first = client.section(center, size, **where)
    style = _with_contrast(first.image, style)
    steps = turning_sections(first.section, axis, degrees, frames)
    next(steps)  # the first is there
    again = {name: where[name] for name in _PLACING if name in where} | {
        "nm_per_pixel": first.nm_per_pixel,
        "panel": first.section.panel,
        "image_mip": first.mips.get("imagery"),
        "segmentation_mip": first.mips.get("segmentation"),
        "timestamp": first.timestamp or where.get("timestamp"),
    }
    strict = client._policy_of(where.get("missing")).missing
    again["missing"] = "raise" if strict == "raise" else "fill"
    covered: list[dict[str, float]] = []

    def sections() -> Iterator[SectionCutout]:
        yield first
        for step in steps:
            cut = client.section(center, size, orientation=step.orientation, **again)
            covered.append({name: coverage.fraction for name, coverage in cut.coverage.items()})
            yield cut

    named = {name: style[name] for name in ("palette",) if name in style}
    record = first.record(**painting | named, axis=axis, degrees=degrees, seconds=seconds, fps=fps)
    file = save_movie((cut.overlay(**style) for cut in sections()), path, fps, record=record)
    partly = [one for one in covered if min(one.values()) < 1]
    if partly and strict == "warn":
        worst = {name: min(one[name] for one in partly) for name in partly[0]}
        shares = " and ".join(f"{100 * share:.3g} % of {name}" for name, share in worst.items())
        fact = f"{len(partly)} of the {frames} pictures of {file.name} show places without data"
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
