"""The command line: parse, call, print."""

from __future__ import annotations

from typing import Any

import click

from .._version import __version__
from ..errors import ImageryError
from .about import info
from .bulk import bulk
from .cutting import cutout, link, redo
from .sections import section
from .serving import demo, serve

__all__ = ["main"]


class _Group(click.Group):
    """Turns our errors, and those of files, into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ImageryError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="imageryclient")
def main() -> None:
    """Cut imagery and segmentation out of connectomics volumes, exactly aligned, and paint them.

    Start with `imageryclient demo`: it needs no account and no internet. Then try `imageryclient info` on a dataset
    of yours, and `imageryclient cutout` on a place in it.

    Exit codes: 0 done; 1 the data or the server said no, with the reason; 2 the command line makes no sense.
    """


for _command in (cutout, section, link, redo, bulk, info, demo, serve):
    main.add_command(_command)
