"""The command that cuts a section at any angle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .painting import Painting, with_painting
from .parameters import Numbers, open_client, with_layers
from .progress import shown_progress

__all__ = ["section"]


@click.command()
@with_layers
@click.option("--center", type=Numbers(3), required=True, metavar="X,Y,Z",
              help="Centre, in voxels as Neuroglancer shows them.")  # fmt: skip
@click.option("--size", type=Numbers(2), default="512,512", show_default=True, metavar="W,H", help="Size, in pixels.")
@click.option("--normal", type=Numbers(3), metavar="X,Y,Z", help="Direction into the picture, in nm.")
@click.option("--up", type=Numbers(3), metavar="X,Y,Z", help="Direction that points up; by default y runs down.")
@click.option("--orientation", type=Numbers(4), metavar="X,Y,Z,W",
              help="In place of --normal, a quaternion as Neuroglancer's crossSectionOrientation.")  # fmt: skip
@click.option("--panel", type=click.Choice(["xy", "xz", "yz"]), default="xy", show_default=True,
              help="Which panel of a view of that orientation.")  # fmt: skip
@click.option("--nm-per-pixel", type=click.FloatRange(0, min_open=True), metavar="NM",
              help="Else the shortest side of a voxel.")  # fmt: skip
@click.option("--units", type=click.Choice(["voxels", "nm"]), default="voxels", show_default=True, help="Of --center.")
@click.option("--resolution", type=Numbers(3), metavar="X,Y,Z", help="nm per voxel of --center; else the dataset's.")
@click.option("--mip", type=int, help="Scale of the imagery; the segmentation follows.")
@click.option("--root-id", "root_ids", multiple=True, metavar="ID", help="Only this object; may be repeated.")
@click.option("--follow", is_flag=True, help="For ids out of date, those that have their voxels at the moment.")
@click.option("--supervoxels", is_flag=True, help="Ids of supervoxels in place of objects.")
@click.option("--timestamp", metavar="TIME", help="Moment, such as 2024-05-01T12:00:00Z; else the version's or now.")
@with_painting
def section(
    datastack: str | None,
    server: str | None,
    version: int | None,
    token: str | None,
    image: str | None,
    segmentation: str | None,
    center: list[float],
    size: list[float],
    normal: list[float] | None,
    up: list[float] | None,
    orientation: list[float] | None,
    panel: Any,
    nm_per_pixel: float | None,
    units: Any,
    resolution: list[float] | None,
    mip: int | None,
    root_ids: Sequence[str],
    follow: bool,
    supervoxels: bool,
    timestamp: str | None,
    painting: Painting,
) -> None:
    """Cut a section at any angle, and write its picture or its arrays.

    Name the data by --datastack, or by --image and --segmentation (one of them will do); the plane by --normal, or by
    --orientation and --panel. The output is a .png, .svg, .pdf or .npz.

    \b
    imageryclient section --datastack minnie65_public --center 240640,207872,21360 --normal 1,0,1 -o tilted.png
    imageryclient section --image em_folder --center 128,128,8 --panel xz --scale-bar -o xz.svg
    """  # noqa: D301
    if root_ids and supervoxels:
        raise click.UsageError("--root-id and --supervoxels exclude each other")
    if normal is not None and (orientation is not None or panel != "xy"):
        raise click.UsageError("--normal takes the place of --orientation and --panel: give one or the other")
    if up is not None and normal is None:
        raise click.UsageError("--up goes with --normal")
    painting.check(flat=True)
    client = open_client(datastack, server, version, token, image, segmentation)
    where: dict[str, Any] = {"normal": normal, "up": up, "orientation": orientation, "panel": panel, "units": units}
    where |= {"nm_per_pixel": nm_per_pixel, "resolution": resolution, "mip": mip}
    wanted: Any = list(root_ids) if root_ids else None if supervoxels else "all"
    with shown_progress():
        cut = client.section(center, size, **where, root_ids=wanted, timestamp=timestamp, follow=follow)
    painting.save(cut)
