"""The commands that cut out: a place, what a link shows, what a file shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .painting import Painting, check_output, tell, with_painting
from .parameters import Numbers, open_client, with_layers
from .progress import shown_progress

__all__ = ["cutout", "link", "redo"]


@click.command()
@with_layers
@click.option("--center", type=Numbers(3), metavar="X,Y,Z", help="Centre, in voxels as Neuroglancer shows them.")
@click.option("--bounds", type=Numbers(6), metavar="X0,Y0,Z0,X1,Y1,Z1", help="Corners, in place of a centre.")
@click.option("--around", metavar="ID", help="The box of an object, in place of a centre and a size.")
@click.option("--size", type=Numbers(2, 3), default="512,512", show_default=True, metavar="W,H[,D]", help="Size.")
@click.option("--units", type=click.Choice(["voxels", "nm"]), default="voxels", show_default=True, help="Of all those.")
@click.option("--resolution", type=Numbers(3), metavar="X,Y,Z", help="nm per voxel of all those; else the dataset's.")
@click.option("--mip", type=int, help="Scale of the imagery; the segmentation follows.")
@click.option("--root-id", "root_ids", multiple=True, metavar="ID", help="Only this object; may be repeated.")
@click.option("--follow", is_flag=True, help="For ids out of date, those that have their voxels at the moment.")
@click.option("--supervoxels", is_flag=True, help="Ids of supervoxels in place of objects.")
@click.option("--timestamp", metavar="TIME", help="Moment, such as 2024-05-01T12:00:00Z; else the version's or now.")
@click.option("--plane", type=click.Choice(["xy", "xz", "yz"]), help="Which sections a picture shows.")
@click.option("--planes", is_flag=True, help="All three planes through the middle as one figure.")
@with_painting
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
    plane: str | None,
    planes: bool,
    painting: Painting,
) -> None:
    """Cut out a place and write its picture or its arrays.

    Name the data by --datastack, or by --image and --segmentation (one of them will do); the place by --center and
    --size, by --bounds, or by --around.

    \b
    imageryclient cutout --datastack minnie65_public --center 240640,207872,21360 -o place.png
    imageryclient cutout --image em_folder --segmentation seg_folder --bounds 0,0,0,256,256,8 -o place.npz
    """  # noqa: D301
    if sum(given is not None for given in (center, bounds, around)) != 1:
        raise click.UsageError("say where: either --center, with --size, or --bounds, or --around")
    if planes and plane is not None:
        raise click.UsageError("--plane and --planes exclude each other")
    if root_ids and supervoxels:
        raise click.UsageError("--root-id and --supervoxels exclude each other")
    painting.check()
    client = open_client(datastack, server, version, token, image, segmentation)
    wanted: Any = list(root_ids) if root_ids else None if supervoxels else "all"
    where: dict[str, Any] = {"around": around, "mip": mip}
    if center:
        where |= {"center": center, "size": size}
    elif bounds:
        where |= {"bounds": [bounds[:3], bounds[3:]]}
    when: dict[str, Any] = {"root_ids": wanted, "timestamp": timestamp, "follow": follow}
    with shown_progress():
        cut = client.cutout(**where, units=units, resolution=resolution, **when)
    painting.save(cut, **({"planes": True} if planes else {} if plane is None else {"plane": plane}))


@click.command()
@click.argument("url", metavar="URL")
@click.option("--size", type=Numbers(2), default="1024,768", show_default=True, metavar="W,H",
              help="Of the viewer's panel, in pixels.")  # fmt: skip
@click.option("--plane", type=click.Choice(["xy", "xz", "yz"]), help="Panel; else the one the layout shows.")
@click.option("--root-id", "root_ids", multiple=True, metavar="ID", help="Only this object; else those selected.")
@click.option("--all", "every", is_flag=True, help="All objects, also where the view selects some.")
@click.option("--timestamp", metavar="TIME", help="Moment, such as 2024-05-01T12:00:00Z; else the link's or now.")
@click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]")
@with_painting
def link(
    url: str,
    size: list[float],
    plane: Any,
    root_ids: Sequence[str],
    every: bool,
    timestamp: str | None,
    token: str | None,
    painting: Painting,
) -> None:
    """Cut out what a Neuroglancer link shows, and write its picture or its arrays.

    URL is the link (quote it: shells take ! and & for themselves), the address of a stored state, or the state itself.

    \b
    imageryclient link 'https://spelunker.cave-explorer.org/#!middleauth+https://…/nglstate/api/v1/123' -o view.png
    """  # noqa: D301
    from ..viewer import from_neuroglancer

    if root_ids and every:
        raise click.UsageError("--root-id and --all exclude each other")
    painting.check()
    wanted: Any = list(root_ids) if root_ids else "all" if every else None
    with shown_progress():
        _, cut = from_neuroglancer(url, size, plane=plane, root_ids=wanted, timestamp=timestamp, auth_token=token)
    painting.save(cut)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to.  [default: NAME_redone beside FILE]")
@click.option("--image", metavar="SOURCE", help="Where the imagery lies now, if it was moved.")
@click.option("--segmentation", metavar="SOURCE", help="Where the segmentation lies now, if it was moved.")
@click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]")
def redo(file: Path, output: Path | None, image: str | None, segmentation: str | None, token: str | None) -> None:
    """Make a figure again from its file alone: sources, place, moment, ids and colours are said in it.

    FILE is a picture, a movie, arrays or a stack written by this program, by Cutout.save or by ImageryClient.turn. The
    output may be of another kind.

    \b
    imageryclient redo figure.png
    imageryclient redo figure.png -o figure.ome.tif
    imageryclient redo turn.mp4 -o turn.gif
    """  # noqa: D301
    from ..files.remaking import beside, remake

    to = beside(file) if output is None else output
    check_output(to)
    with shown_progress():
        cuts, files = remake(file, to, auth_token=token, image_source=image, segmentation_source=segmentation)
    tell(cuts, files)
