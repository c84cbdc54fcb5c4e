"""What several commands take: numbers, and where a datastack is."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Numbers", "cave_client", "with_datastack"]


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


_DATASTACK = [
    click.option("--datastack", metavar="NAME", help="CAVE datastack, such as minnie65_public (needs caveclient)."),
    click.option("--server", metavar="URL", help="CAVE server of the datastack, where it is not the usual one."),
    click.option("--version", "version", type=int, metavar="N", help="Materialization version of the datastack."),
    click.option("--token", envvar="CAVE_TOKEN", metavar="TEXT", help="CAVE token; else the saved one. [CAVE_TOKEN]"),
]


def with_datastack(command: Any) -> Any:
    """Give a command the options that name a datastack."""
    for option in reversed(_DATASTACK):
        command = option(command)
    return command


def cave_client(datastack: str, server: str | None, version: int | None, token: str | None) -> Any:
    """Make the CAVEclient that these options name."""
    from ..cave.datastack import open_datastack

    return open_datastack(datastack, server, version, token)
