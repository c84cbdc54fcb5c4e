"""How a cutout is painted, and where it goes: the options, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..cutout import Cutout
    from ..sectioncutout import SectionCutout

__all__ = ["Painting", "check_output", "save_cutout", "with_painting"]

_OPTIONS = [
    click.option("--palette", help="Colours: husl, steady, tab10, viridis, …  [default: steady; of a link, its own]"),
    click.option("--alpha", type=click.FloatRange(0, 1),
                 help="Opacity of the colours.  [default: 0.2, outlines 0.8; of a link, its own]"),
    click.option("--outline/--fill", default=False, help="Outlines in place of filled areas."),
    click.option("--width", type=click.IntRange(1), default=3, show_default=True, help="Of outlines, in pixels."),
    click.option("--side", type=click.Choice(["out", "in"]), default="in", show_default=True, help="Of outlines."),
    click.option("--scale-bar", is_flag=True, help="Draw a scale bar."),
    click.option("--fps", type=click.FloatRange(0, 240, min_open=True), default=10, show_default=True,
                 help="Sections a second, of movies."),
    click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("cutout.png"), show_default=True,
                 help="A .png, .svg or .pdf for the overlay, an .npz for the arrays, a .tif or .ome.tif for a stack, "
                 "an .mp4, .webp or .gif for a movie through the sections."),
]  # fmt: skip


@dataclass(frozen=True)
class Painting:
    """How a cutout is painted, and where it goes."""

    palette: str | None
    alpha: float | None
    outline: bool
    width: int
    side: str
    scale_bar: bool
    fps: float
    output: Path

    def check(self) -> None:
        """Refuse an output of a kind that is not written, before anything is read."""
        check_output(self.output)

    def save(self, cut: Cutout | SectionCutout) -> None:
        """Write the output, and say what it is."""
        from ..files.saving import options_for

        options: dict[str, Any] = {"scale_bar": self.scale_bar, "fps": self.fps}
        if cut.segmentation is not None:
            if "alpha" not in cut.painting:  # as the view of a link says it
                options["alpha"] = 0.8 if self.outline else 0.2
            given = {"palette": self.palette, "alpha": self.alpha}
            options |= {name: value for name, value in given.items() if value is not None}
            options |= {"outline": self.outline, "width": self.width, "side": self.side, "merge_outline": False}
        save_cutout(cut, self.output, options_for(self.output, options))


def check_output(output: Path) -> None:
    """Refuse a file of a kind that is not written."""
    from ..files.saving import check_suffix

    try:
        check_suffix(output)
    except ArgumentError as error:
        raise click.UsageError(str(error)) from None


def save_cutout(cut: Cutout | SectionCutout, output: Path, options: dict[str, Any]) -> None:
    """Write a file or several, and say what is in them."""
    files = cut.save(output, **options)
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
