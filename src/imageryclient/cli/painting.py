"""How a cutout is painted, and where it goes: the options, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ArgumentError
from ..ids import parse_ids
from .parameters import Numbers

if TYPE_CHECKING:
    from ..cutout import Cutout
    from ..sectioncutout import SectionCutout

__all__ = ["Painting", "check_output", "tell", "with_painting"]

_OPTIONS = [
    click.option("--palette", help="Colours: steady, husl, tab10, …  [default: steady; of a link, its own]"),
    click.option("--alpha", type=click.FloatRange(0, 1),
                 help="Opacity of the colours.  [default: 0.3, outlines 0.8; of a link, its own]"),
    click.option("--outline/--fill", default=False, help="Outlines in place of filled areas."),
    click.option("--fill-alpha", "fill", type=click.FloatRange(0, 1), help="Opacity of areas under outlines."),
    click.option("--width", type=click.FloatRange(0, min_open=True), help="Of outlines, in pixels.  [default: 3]"),
    click.option("--width-nm", type=click.FloatRange(0, min_open=True), help="Of outlines, in nm."),
    click.option("--side", type=click.Choice(["in", "out", "on"]), default="in", show_default=True,
                 help="Where outlines lie, from the edge."),
    click.option("--smooth/--exact", default=None,
                 help="Whether outlines are smooth, or along the voxels.  [default: smooth as vectors]"),
    click.option("--dash", type=Numbers(1, 2), metavar="A[,B]", help="Pixels of outlines that are drawn and left out."),
    click.option("--highlight", multiple=True, metavar="ID", help="Only this object in colour; may be repeated."),
    click.option("--display-range", type=Numbers(2), metavar="A,B", help="Values of imagery shown black and white."),
    click.option("--percentiles", type=Numbers(2), metavar="A,B", help="The same as percentiles of it."),
    click.option("--gamma", type=click.FloatRange(0, min_open=True), help="Below 1 shows dark parts brighter."),
    click.option("--background", metavar="COLOUR", help="Of what would be transparent."),
    click.option("--zoom", type=click.FloatRange(0, min_open=True), help="Pixels of the picture for each voxel."),
    click.option("--labels", is_flag=True, help="Write ids into segments."),
    click.option("--legend", is_flag=True, help="Say what the colours stand for."),
    click.option("--scale-bar", is_flag=True, help="Draw a scale bar."),
    click.option("--magnification", type=click.FloatRange(0, min_open=True),
                 help="Size on paper over true size, of .svg and .pdf.  [default: 10000]"),
    click.option("--fps", type=click.FloatRange(0, 240, min_open=True), default=10, show_default=True,
                 help="Sections a second, of movies."),
    click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("cutout.png"), show_default=True,
                 help="A .png, .svg or .pdf for the overlay, an .npz for the arrays, a .tif or .ome.tif for a stack, "
                 "an .mp4, .webp or .gif for a movie through the sections."),
]  # fmt: skip
_FLAT = (".png", ".svg", ".pdf", ".npz")
_OF_SEGMENTS = ("palette", "alpha", "fill", "width", "width_nm", "smooth", "dash", "highlight", "labels", "legend")


@dataclass(frozen=True)
class Painting:
    """How a cutout is painted, and where it goes; what is None is left to the cutout."""

    palette: str | None
    alpha: float | None
    outline: bool
    fill: float | None
    width: float | None
    width_nm: float | None
    side: str
    smooth: bool | None
    dash: list[float] | None
    highlight: tuple[str, ...]
    display_range: list[float] | None
    percentiles: list[float] | None
    gamma: float | None
    background: str | None
    zoom: float | None
    labels: bool
    legend: bool
    scale_bar: bool
    magnification: float | None
    fps: float
    output: Path

    def check(self, *, flat: bool = False) -> None:
        """Refuse an output of a kind that is not written, and options at odds, before anything is read.

        What is `flat`, one section at any angle, is no stack and no movie.
        """
        check_output(self.output)
        if flat and self.output.suffix.lower() not in _FLAT:
            raise click.UsageError(f"a section is saved as .png, .svg, .pdf or .npz; got {self.output.name!r}")
        if self.width is not None and self.width_nm is not None:
            raise click.UsageError("--width and --width-nm exclude each other")
        if self.fill is not None and not self.outline:
            raise click.UsageError("--fill-alpha goes with --outline; areas alone have --alpha")

    def save(self, cut: Cutout | SectionCutout, **more: Any) -> None:
        """Write the output, and say what it is."""
        from ..files.saving import options_for

        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "output"}
        options = {name: value for name, value in given.items() if value not in (None, ())} | more
        if self.dash is not None and len(self.dash) == 1:
            options["dash"] = self.dash[0]
        if cut.segmentation is None:
            options = {name: value for name, value in options.items() if name not in (*_OF_SEGMENTS, "outline", "side")}
        else:
            options["merge_outline"] = False
            if self.highlight:
                options["highlight"] = parse_ids(self.highlight).tolist()
        tell([cut], cut.save(self.output, **options_for(self.output, options)))


def check_output(output: Path) -> None:
    """Refuse a file of a kind that is not written."""
    from ..files.saving import check_suffix

    try:
        check_suffix(output)
    except ArgumentError as error:
        raise click.UsageError(str(error)) from None


def tell(cuts: Sequence[Cutout | SectionCutout], files: Sequence[Path]) -> None:
    """Say what was cut out, and which files it is in."""
    for cut in cuts:
        click.echo(repr(cut).strip("<>"))
        for name, coverage in cut.coverage.items():
            click.echo(f"{name}: {100 * coverage.fraction:.4g} % covered, mip {cut.mips[name]}")
    for file in files:
        click.echo(f"wrote {file}")


def with_painting(command: Any) -> Any:
    """Give a command the options of painting, and `painting=` in their place."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        painting = Painting(**{field.name: options.pop(field.name) for field in fields(Painting)})
        return command(painting=painting, **options)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered
