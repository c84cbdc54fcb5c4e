"""The command line: parse, call, print."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._version import __version__
from .errors import ArgumentError, ImageryError

if TYPE_CHECKING:
    from .cutout import Cutout
    from .sectioncutout import SectionCutout
    from .volumes import Volume

__all__ = ["main"]


class _Numbers(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """Numbers with commas or spaces between them: 240640,207872,21360."""

    name = "numbers"

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        if not isinstance(value, str):
            return list(value)
        try:
            numbers = [float(part) for part in value.replace(",", " ").replace("x", " ").split()]
        except ValueError:
            numbers = []
        if len(numbers) not in self.lengths:
            counts = " or ".join(map(str, self.lengths))
            self.fail(f"{value!r} is not {counts} numbers; write them with commas between", param, ctx)
        return [int(number) if number.is_integer() else number for number in numbers]


class _Bar:
    """A bar on a terminal that counts chunks."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=0, unit="chunk", desc="reading", leave=False)

    def expect(self, chunks: int) -> None:
        self._bar.total += chunks
        self._bar.refresh()

    def advance(self) -> None:
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


@contextmanager
def _shown_progress() -> Iterator[None]:
    from .progress import heard_by

    bar = _Bar()
    try:
        with heard_by(bar):
            yield
    finally:
        bar.close()


class _Group(click.Group):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ImageryError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="imageryclient")
def main() -> None:
    """Cut imagery and segmentation out of connectomics volumes, exactly aligned, and paint them.

    Start with `imageryclient demo`: it needs no account and no internet. Then try `imageryclient info` on a dataset
    of yours, and `imageryclient cutout` on a place in it.

    Exit codes: 0 done; 1 the data or the server said no, with the reason; 2 the command line makes no sense.
    """


_datastack_options = [
    click.option("--datastack", metavar="NAME", help="CAVE datastack, such as minnie65_public (needs caveclient)."),
    click.option("--server", metavar="URL", help="CAVE server of the datastack, where it is not the usual one."),
    click.option("--version", "version", type=int, metavar="N", help="Materialization version of the datastack."),
    click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]"),
]


_painting_options = [
    click.option("--palette", default="husl", show_default=True, help="Colours: husl, hls, tab10, viridis, …"),
    click.option("--alpha", type=click.FloatRange(0, 1), help="Opacity of the colours.  [default: 0.2, outlines 0.8]"),
    click.option("--outline/--fill", default=False, help="Outlines in place of filled areas."),
    click.option("--width", type=click.IntRange(1), default=3, show_default=True, help="Of outlines, in pixels."),
    click.option("--side", type=click.Choice(["out", "in"]), default="in", show_default=True, help="Of outlines."),
    click.option("--scale-bar", is_flag=True, help="Draw a scale bar."),
    click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("cutout.png"), show_default=True,
                 help="A .png, .svg or .pdf for the overlay, an .npz for the arrays, a .tif or .ome.tif for a stack."),
]  # fmt: skip


def _with_datastack(command: Any) -> Any:
    for option in reversed(_datastack_options):
        command = option(command)
    return command


@dataclass(frozen=True)
class _Painting:
    """How a cutout is painted, and where it goes."""

    palette: str
    alpha: float | None
    outline: bool
    width: int
    side: str
    scale_bar: bool
    output: Path

    def check(self) -> None:
        _check_output(self.output)

    def save(self, cut: Cutout | SectionCutout) -> None:
        options: dict[str, Any] = {}
        if self.output.suffix.lower() in (".png", ".svg", ".pdf"):
            options["scale_bar"] = self.scale_bar
            if cut.segmentation is not None:
                shown = self.alpha if self.alpha is not None else 0.8 if self.outline else 0.2
                options |= {"palette": self.palette, "alpha": shown, "outline": self.outline, "width": self.width}
                options |= {"side": self.side, "merge_outline": False}
        _save(cut, self.output, options)


def _check_output(output: Path) -> None:
    from .files.saving import check_suffix

    try:
        check_suffix(output)
    except ArgumentError as error:
        raise click.UsageError(str(error)) from None


def _save(cut: Cutout | SectionCutout, output: Path, options: dict[str, Any]) -> None:
    files = cut.save(output, **options)
    click.echo(repr(cut).strip("<>"))
    for name, coverage in cut.coverage.items():
        click.echo(f"{name}: {100 * coverage.fraction:.4g} % covered, mip {cut.mips[name]}")
    for file in files:
        click.echo(f"wrote {file}")


def _with_painting(command: Any) -> Any:
    @wraps(command)
    def gathered(**options: Any) -> Any:
        painting = _Painting(**{field.name: options.pop(field.name) for field in fields(_Painting)})
        return command(painting=painting, **options)

    for option in reversed(_painting_options):
        gathered = option(gathered)
    return gathered


@main.command()
@_with_datastack
@click.option("--image", metavar="SOURCE", help="Imagery, such as precomputed://gs://bucket/folder, or a folder.")
@click.option("--segmentation", metavar="SOURCE", help="Segmentation, such as graphene://https://server/…")
@click.option("--center", type=_Numbers(3), metavar="X,Y,Z", help="Centre, in voxels as Neuroglancer shows them.")
@click.option("--bounds", type=_Numbers(6), metavar="X0,Y0,Z0,X1,Y1,Z1", help="Corners, in place of a centre.")
@click.option("--around", metavar="ID", help="The box of an object, in place of a centre and a size.")
@click.option("--size", type=_Numbers(2, 3), default="512,512", show_default=True, metavar="W,H[,D]", help="Size.")
@click.option("--units", type=click.Choice(["voxels", "nm"]), default="voxels", show_default=True, help="Of all those.")
@click.option("--resolution", type=_Numbers(3), metavar="X,Y,Z", help="nm per voxel of all those; else the dataset's.")
@click.option("--mip", type=int, help="Scale of the imagery; the segmentation follows.")
@click.option("--root-id", "root_ids", multiple=True, metavar="ID", help="Only this object; may be repeated.")
@click.option("--follow", is_flag=True, help="For ids out of date, those that have their voxels at the moment.")
@click.option("--supervoxels", is_flag=True, help="Ids of supervoxels in place of objects.")
@click.option("--timestamp", metavar="TIME", help="Moment, such as 2024-05-01T12:00:00Z; else the version's or now.")
@_with_painting
def cutout(
    datastack: str | None,
    server: str | None,
    version: int | None,
    token: str | None,
    image: str | None,
    segmentation: str | None,
    center: list[float] | None,
    bounds: list[float] | None,
    around: str | None,
    size: list[float],
    units: Any,
    resolution: list[float] | None,
    mip: int | None,
    root_ids: Sequence[str],
    follow: bool,
    supervoxels: bool,
    timestamp: str | None,
    painting: _Painting,
) -> None:
    """Cut out a place and write its picture or its arrays.

    Name the data by --datastack, or by --image and --segmentation (one of them will do); the place by --center and
    --size, by --bounds, or by --around.

    \b
    imageryclient cutout --datastack minnie65_public --center 240640,207872,21360 -o place.png
    imageryclient cutout --image em_folder --segmentation seg_folder --bounds 0,0,0,256,256,8 -o place.npz
    """  # noqa: D301
    from .client import ImageryClient

    if sum(given is not None for given in (center, bounds, around)) != 1:
        raise click.UsageError("say where: either --center, with --size, or --bounds, or --around")
    if root_ids and supervoxels:
        raise click.UsageError("--root-id and --supervoxels exclude each other")
    painting.check()
    if datastack is None and image is None and segmentation is None:
        raise click.UsageError("say what to cut: --datastack, or --image and --segmentation")
    client = ImageryClient(
        client=None if datastack is None else _cave_client(datastack, server, version, token),
        image_source=image,
        segmentation_source=segmentation,
        auth_token=token,
    )
    wanted: Any = list(root_ids) if root_ids else None if supervoxels else "all"
    where: dict[str, Any] = {"around": around, "mip": mip}
    if center:
        where |= {"center": center, "size": size}
    elif bounds:
        where |= {"bounds": [bounds[:3], bounds[3:]]}
    when: dict[str, Any] = {"root_ids": wanted, "timestamp": timestamp, "follow": follow}
    with _shown_progress() if sys.stderr.isatty() else nullcontext():
        cut = client.cutout(**where, units=units, resolution=resolution, **when)
    painting.save(cut)


@main.command()
@click.argument("url", metavar="URL")
@click.option("--size", type=_Numbers(2), default="1024,768", show_default=True, metavar="W,H",
              help="Of the viewer's panel, in pixels.")  # fmt: skip
@click.option("--plane", type=click.Choice(["xy", "xz", "yz"]), help="Panel; else the one the layout shows.")
@click.option("--root-id", "root_ids", multiple=True, metavar="ID", help="Only this object; else those selected.")
@click.option("--all", "every", is_flag=True, help="All objects, also where the view selects some.")
@click.option("--timestamp", metavar="TIME", help="Moment, such as 2024-05-01T12:00:00Z; else the link's or now.")
@click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]")
@_with_painting
def link(
    url: str,
    size: list[float],
    plane: Any,
    root_ids: Sequence[str],
    every: bool,
    timestamp: str | None,
    token: str | None,
    painting: _Painting,
) -> None:
    """Cut out what a Neuroglancer link shows, and write its picture or its arrays.

    URL is the link (quote it: shells take ! and & for themselves), the address of a stored state, or the state itself.

    \b
    imageryclient link 'https://spelunker.cave-explorer.org/#!middleauth+https://…/nglstate/api/v1/123' -o view.png
    """  # noqa: D301
    from .viewer import from_neuroglancer

    if root_ids and every:
        raise click.UsageError("--root-id and --all exclude each other")
    painting.check()
    wanted: Any = list(root_ids) if root_ids else "all" if every else None
    with _shown_progress() if sys.stderr.isatty() else nullcontext():
        _, cut = from_neuroglancer(url, size, plane=plane, root_ids=wanted, timestamp=timestamp, auth_token=token)
    painting.save(cut)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to.  [default: NAME_redone beside FILE]")
@click.option("--image", metavar="SOURCE", help="Where the imagery lies now, if it was moved.")
@click.option("--segmentation", metavar="SOURCE", help="Where the segmentation lies now, if it was moved.")
@click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]")
def redo(file: Path, output: Path | None, image: str | None, segmentation: str | None, token: str | None) -> None:
    """Make a figure again from its file alone: sources, place, moment, ids and colours are said in it.

    FILE is a picture, arrays or a stack written by this program or by Cutout.save. The output may be of another kind.

    \b
    imageryclient redo figure.png
    imageryclient redo figure.png -o figure.ome.tif
    """  # noqa: D301
    from .files.loading import redo as read_again
    from .files.saving import options_for

    if output is None:
        suffixes = "".join(file.suffixes[-2:]) if file.stem.lower().endswith(".ome") else file.suffix
        output = file.with_name(f"{file.name.removesuffix(suffixes)}_redone{suffixes}")
    _check_output(output)
    with _shown_progress() if sys.stderr.isatty() else nullcontext():
        cut, options = read_again(file, auth_token=token, image_source=image, segmentation_source=segmentation)
    _save(cut, output, options_for(output, options))


@main.command()
@click.argument("name", metavar="SOURCE|DATASTACK")
@click.option("--server", metavar="URL", help="CAVE server of a datastack, where it is not the usual one.")
@click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def info(name: str, server: str | None, token: str | None, as_json: bool) -> None:
    """Show the scales of a source, or of both layers of a CAVE datastack: resolutions, sizes, encodings."""
    from .cloudpath import parse_source
    from .layers import token_finder
    from .volumes import open_volume

    volumes: list[Volume]
    if "://" in name or Path(name).expanduser().exists():
        path = parse_source(name)
        volumes = [open_volume(path, token_finder(token, None)(path))]
    else:
        from .client import ImageryClient

        client = ImageryClient(client=_cave_client(name, server, None, token), auth_token=token)
        volumes = list(client.volumes.values())
    documents = [_described(volume) for volume in volumes]
    if as_json:
        click.echo(json.dumps(documents, indent=2))
        return
    for number, document in enumerate(documents):
        if number:
            click.echo()
        click.echo(
            f"{document['source']}\n{document['type']}, {document['data_type']}, {document['channels']} channel(s)"
        )
        click.echo(_table(document["scales"]))


def _described(volume: Volume) -> dict[str, Any]:
    return {
        "source": volume.source,
        "type": volume.info.kind,
        "data_type": str(volume.info.dtype),
        "channels": volume.info.channels,
        "scales": [
            {
                "mip": scale.mip,
                "key": scale.key,
                "resolution_nm": list(scale.resolution),
                "size": list(scale.bounds.shape),
                "offset": list(scale.bounds.start),
                "chunk": list(scale.chunk_size),
                "encoding": "(placeholder, no data)" if scale.placeholder else scale.encoding,
                "sharded": scale.sharding is not None,
            }
            for scale in volume.info.scales
        ],
    }


def _table(rows: list[dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, list):
            return " x ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)

    heads = {"mip": "mip", "resolution_nm": "nm per voxel", "size": "voxels", "offset": "first voxel",
             "chunk": "chunk", "encoding": "encoding", "sharded": "sharded"}  # fmt: skip
    lines = [list(heads.values()), *([cell(row[key]) for key in heads] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(heads))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cave_client(datastack: str, server: str | None, version: int | None, token: str | None) -> Any:
    from .cave.datastack import open_datastack

    return open_datastack(datastack, server, version, token)


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("imageryclient-demo.png"),
              show_default=True, help="Where the picture goes.")  # fmt: skip
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep the volume in this folder.")
def demo(output: Path, folder: Path | None) -> None:
    """Make a small volume, serve it as a CAVE on this machine, and paint a cutout of it. Needs no internet."""
    from .demo.tutorial import run_tutorial

    with tempfile.TemporaryDirectory(prefix="imageryclient-") if folder is None else nullcontext(str(folder)) as place:
        run_tutorial(Path(place), output, say=click.echo)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False)
@click.option("--demo", "phantom", is_flag=True, help="Serve the demo volume, made on the spot.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; by default any that is free.")
@click.option(
    "--token",
    default=None,
    metavar="TEXT",
    help="Token that the CAVE services ask for; by default one that is printed.",
)
def serve(folder: Path | None, phantom: bool, port: int, token: str | None) -> None:
    """Serve a folder of precomputed volumes, or the demo volume, on this machine until interrupted (Ctrl-C)."""
    from .demo.build import build_phantom
    from .demo.server import DEMO_TOKEN, DemoServer
    from .demo.tutorial import lines_to_use

    if (folder is None) != phantom:
        raise click.UsageError("name a folder to serve, or ask for --demo")
    with tempfile.TemporaryDirectory(prefix="imageryclient-") if folder is None else nullcontext(str(folder)) as place:
        if phantom:
            click.echo("making the demo volume …")
            build_phantom(Path(place))
        with DemoServer(Path(place), port=port, token=token or DEMO_TOKEN) as server:
            click.echo(f"serving {place} at {server.url} (Ctrl-C ends it)\n")
            click.echo(lines_to_use(server))
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                click.echo("\nended")
