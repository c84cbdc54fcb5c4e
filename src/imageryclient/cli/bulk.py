"""The command that cuts out many places at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .parameters import Numbers, open_client, with_layers

__all__ = ["bulk"]

_SUFFIXES = {".zarr": "zarr", ".h5": "h5", ".hdf5": "h5"}
_DONE_BUT_FOR_SOME = 3  # the exit codes
_INTERRUPTED = 130  # as of shells


@click.command()
@click.argument("points", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="POINTS.csv")
@with_layers
@click.option("--out", "output", type=click.Path(path_type=Path), required=True, metavar="PATH",
              help="The output: a folder, or for h5 a file.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["zarr", "npz", "png", "tiff", "h5"]),
              help="Else by the suffix of --out: .zarr or .h5.")  # fmt: skip
@click.option("--size", type=Numbers(2, 3), required=True, metavar="WxH[xD]", help="Of every place, in voxels.")
@click.option("--column", metavar="NAME", help="Which position, where the file has several: pre_pt_position, …")
@click.option("--resolution", type=Numbers(3), metavar="X,Y,Z", help="nm per voxel of positions and size.")
@click.option("--mip", type=int, help="Scale of the imagery; the segmentation follows.")
@click.option("--timestamp", metavar="TIME", help="Moment, such as 2024-05-01T12:00:00Z; else the version's or now.")
@click.option("--mask", "masks", multiple=True, metavar="NAME=COLUMN", help="A mask of the id in a column; repeatable.")
@click.option("--ids", "ids_columns", multiple=True, metavar="COLUMN", help="Further ids for the manifest; repeatable.")
@click.option("--overlay", is_flag=True, help="Write overlays, as PNG, too.")
@click.option("--manifest", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True, help="Its kind.")
@click.option("--places-per-shard", type=click.IntRange(min=1), metavar="N",
              help="For zarr: places in one file; 1 for a file each. Else as many as keep the files few.")  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Dask cluster to work on, such as tcp://host:8786.")
@click.option("--dry-run", is_flag=True, help="Say what it will take: bytes, requests, time. Nothing is written.")
@click.option("--fresh", is_flag=True, help="Refuse to go on with an export that was begun there.")
def bulk(
    points: Path,
    datastack: str | None,
    server: str | None,
    version: int | None,
    token: str | None,
    image: str | None,
    segmentation: str | None,
    output: Path,
    form: str | None,
    size: list[float],
    column: str | None,
    resolution: list[float] | None,
    mip: int | None,
    timestamp: str | None,
    masks: Sequence[str],
    ids_columns: Sequence[str],
    overlay: bool,
    manifest: Any,
    places_per_shard: int | None,
    scheduler: str | None,
    dry_run: bool,
    fresh: bool,
) -> None:
    """Cut out many places of one size into one output, with a manifest that tells of each.

    POINTS.csv has columns x, y and z, or positions as CAVE's tables do. Interrupted at any moment, the same command
    goes on where it ended. Exit code 3 says that it is done but for places that failed; the same command tries them
    again. Exit code 130 says that it was interrupted.

    \b
    imageryclient bulk synapses.csv --datastack minnie65_public --column ctr_pt_position --size 256x256x16 \\
        --mask pre=pre_pt_root_id --mask post=post_pt_root_id --out train.zarr --dry-run
    """  # noqa: D301
    from ..bulk.estimate import estimate_export
    from ..bulk.export import export

    name: Any = form or _SUFFIXES.get(output.suffix.lower())
    if name is None:
        raise click.UsageError("say which --format; the suffixes .zarr and .h5 say it too")
    client = open_client(datastack, server, version, token, image, segmentation)
    shape: dict[str, Any] = {"format": name, "bbox_size": size, "column": column, "resolution": resolution, "mip": mip}
    shape |= {"timestamp": timestamp, "masks": _pairs(masks), "ids_columns": ids_columns}
    shape |= {"overlay": overlay, "manifest": manifest, "places_per_shard": places_per_shard}
    if dry_run:
        click.echo(str(estimate_export(client, points, output, **shape)))
        return
    try:
        with _cluster(scheduler) as workers:
            watched = sys.stderr.isatty()
            report = export(client, points, output, scheduler=workers, resume=not fresh, progress=watched, **shape)
    except KeyboardInterrupt:
        click.echo("interrupted: places that are done are kept; the same command goes on with the others", err=True)
        sys.exit(_INTERRUPTED)
    again = f", {report.resumed} of them before" if report.resumed else ""
    click.echo(f"{report.done} of {report.places} places done{again}")
    click.echo(f"wrote {report.output}")
    click.echo(f"wrote {report.manifest}")
    if report.failed:
        click.echo(f"{report.failed} places failed, the first with {report.first_error}", err=True)
        sys.exit(_DONE_BUT_FOR_SOME)


def _pairs(masks: Sequence[str]) -> dict[str, str]:
    columns = {}
    for text in masks:
        name, _, column = text.rpartition("=")
        columns[name or column] = column
    return columns


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    if address is None:
        yield None
        return
    from ..bulk.cluster import connect

    with connect(address) as client:
        yield client
