"""What several commands take: numbers, and where a datastack is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..client import ImageryClient

__all__ = ["Numbers", "cave_client", "open_client", "with_layers"]


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """Numbers with commas or spaces between them: 240640,207872,21360."""

    name = "numbers"

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        """Read them; whole ones become int."""
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


_LAYERS = [
    click.option("--datastack", metavar="NAME", help="CAVE datastack, such as minnie65_public (needs caveclient)."),
    click.option("--server", metavar="URL", help="CAVE server of the datastack, where it is not the usual one."),
    click.option("--version", "version", type=int, metavar="N", help="Materialization version of the datastack."),
    click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]"),
    click.option("--image", metavar="SOURCE", help="Imagery, such as precomputed://gs://bucket/folder, or a folder."),
    click.option("--segmentation", metavar="SOURCE", help="Segmentation, such as graphene://https://server/…"),
]


def with_layers(command: Any) -> Any:
    """Give a command the options that name the data: a datastack, or sources."""
    for option in reversed(_LAYERS):
        command = option(command)
    return command


def open_client(
    datastack: str | None,
    server: str | None,
    version: int | None,
    token: str | None,
    image: str | None,
    segmentation: str | None,
) -> ImageryClient:
    """Make the client of the data that these options name."""
    from ..client import ImageryClient

    if datastack is None and image is None and segmentation is None:
        raise click.UsageError("say what to cut: --datastack, or --image and --segmentation")
    return ImageryClient(
        client=None if datastack is None else cave_client(datastack, server, version, token),
        image_source=image,
        segmentation_source=segmentation,
        auth_token=token,
    )


def cave_client(datastack: str, server: str | None, version: int | None, token: str | None) -> Any:
    """Make the CAVEclient that these options name."""
    from ..cave.datastack import open_datastack

    return open_datastack(datastack, server, version, token)
