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
    click.option("--palette", default="husl", show_default=True, help="Colours: husl, hls, tab10, viridis, …"),
    click.option("--alpha", type=click.FloatRange(0, 1), help="Opacity of the colours.  [default: 0.2, outlines 0.8]"),
    click.option("--outline/--fill", default=False, help="Outlines in place of filled areas."),
    click.option("--width", type=click.IntRange(1), default=3, show_default=True, help="Of outlines, in pixels."),
    click.option("--side", type=click.Choice(["out", "in"]), default="in", show_default=True, help="Of outlines."),
    click.option("--scale-bar", is_flag=True, help="Draw a scale bar."),
    click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("cutout.png"), show_default=True,
                 help="A .png, .svg or .pdf for the overlay, an .npz for the arrays, a .tif or .ome.tif for a stack."),
]  # fmt: skip


@dataclass(frozen=True)
class Painting:
    """How a cutout is painted, and where it goes."""

    palette: str
    alpha: float | None
    outline: bool
    width: int
    side: str
    scale_bar: bool
    output: Path

    def check(self) -> None:
        """Refuse an output of a kind that is not written, before anything is read."""
        check_output(self.output)

    def save(self, cut: Cutout | SectionCutout) -> None:
        """Write the output, and say what it is."""
        options: dict[str, Any] = {}
        if self.output.suffix.lower() in (".png", ".svg", ".pdf"):
            options["scale_bar"] = self.scale_bar
            if cut.segmentation is not None:
                shown = self.alpha if self.alpha is not None else 0.8 if self.outline else 0.2
                options |= {"palette": self.palette, "alpha": shown, "outline": self.outline, "width": self.width}
                options |= {"side": self.side, "merge_outline": False}
        save_cutout(cut, self.output, options)


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
