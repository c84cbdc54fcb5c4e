"""The commands that need no data: the demo, and a server for folders."""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import click

__all__ = ["demo", "serve"]


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("imageryclient-demo.png"),
              show_default=True, help="Where the picture goes.")  # fmt: skip
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep the volume in this folder.")
def demo(output: Path, folder: Path | None) -> None:
    """Make a small volume, serve it as a CAVE on this machine, and paint a cutout of it. Needs no internet.

    \b
    imageryclient demo -o first.png
    """  # noqa: D301
    from ..demo.tutorial import run_tutorial

    with tempfile.TemporaryDirectory(prefix="imageryclient-") if folder is None else nullcontext(str(folder)) as place:
        run_tutorial(Path(place), output, say=click.echo)


@click.command()
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
    """Serve a folder of precomputed volumes, or the demo volume, on this machine until interrupted (Ctrl-C).

    \b
    imageryclient serve my_volumes
    imageryclient serve --demo --port 8000
    """  # noqa: D301
    from ..demo.build import build_phantom
    from ..demo.server import DEMO_TOKEN, DemoServer
    from ..demo.tutorial import lines_to_use

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
