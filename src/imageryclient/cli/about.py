"""The command that tells what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .parameters import cave_client

if TYPE_CHECKING:
    from ..volumes import Volume

__all__ = ["info"]


@click.command()
@click.argument("name", metavar="SOURCE|DATASTACK")
@click.option("--server", metavar="URL", help="CAVE server of a datastack, where it is not the usual one.")
@click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def info(name: str, server: str | None, token: str | None, as_json: bool) -> None:
    """Show the scales of a source, or of both layers of a CAVE datastack: resolutions, sizes, encodings.

    \b
    imageryclient info minnie65_public
    imageryclient info precomputed://gs://bucket/folder --json
    """  # noqa: D301
    from ..cloudpath import parse_source
    from ..layers import token_finder
    from ..volumes import open_volume

    volumes: list[Volume]
    if "://" in name or Path(name).expanduser().exists():
        path = parse_source(name)
        volumes = [open_volume(path, token_finder(token, None)(path))]
    else:
        from ..client import ImageryClient

        client = ImageryClient(client=cave_client(name, server, None, token), auth_token=token)
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
