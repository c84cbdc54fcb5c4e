"""Figures of several panels as files: each panel a cutout, painted as it is alone, and said to be what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..errors import ArgumentError, FormatError
from ..painting.assembled import stack_figures
from ..painting.figure import Arrangement, stacked
from .export import atomic_file
from .reading import said_in
from .record import FORMAT, Record, given_options, plain_options
from .saving import drawn, options_for, painted, painted_record, picture_info

if TYPE_CHECKING:
    from ..cutout import Cutout
    from ..painting.vector import VectorFigure
    from ..sectioncutout import SectionCutout

__all__ = ["PanelsRecord", "panels_in", "save_panels"]

_KINDS = (".png", ".svg", ".pdf")
_ARRANGEMENT = tuple(part.name for part in fields(Arrangement))


@dataclass(frozen=True, slots=True)
class PanelsRecord:
    """What a figure of panels is: a record for each of them, None for an empty place, and how they are arranged."""

    panels: tuple[Record | None, ...]
    arrangement: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    def describe(self) -> str:
        """Say what is in the file in one line."""
        shown = [panel.describe() for panel in self.panels if panel is not None]
        return f"{len(shown)} panels: {'; '.join(dict.fromkeys(shown))}"

    def to_json(self) -> str:
        """Give it as JSON text of one line in ASCII."""
        panels = [None if panel is None else panel.to_dict() for panel in self.panels]
        about = {"imageryclient": self.version, "format": FORMAT, "panels": panels}
        return json.dumps(about | {"arrangement": plain_options(self.arrangement)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> PanelsRecord | None:
        """Read it; None of a file that is no figure of panels.

        Raises
        ------
        FormatError
            If one of the panels cannot be read.
        """
        try:
            document = json.loads(text)
            panels = document.get("panels")
            if panels is None:
                return None
            records = tuple(None if one is None else Record.from_json(json.dumps(one), where) for one in panels)
            return cls(records, given_options(document.get("arrangement", {})), str(document["imageryclient"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{where} does not tell what was cut out: {type(error).__name__}: {error}") from None


def save_panels(
    path: str | PathLike[str],
    panels: Sequence[Any],
    **options: Any,
) -> Path:
    """Write several cutouts as panels of one figure, which says what it is; `imageryclient redo FILE` makes it again.

    Parameters
    ----------
    path : str or path
        Where to: `.png`, or as vectors `.svg` or `.pdf`.
    panels : sequence
        For each panel a `Cutout` or `SectionCutout`, or a pair of one and the options it alone is painted with; None
        for an empty place. Of a stack, `section` says which section; `planes=True` makes three planes a panel.
    **options
        `direction`, `spacing`, `rows`, `columns`, `titles`, `letters`, `letters_inside`, `font_size`, `color`,
        `background`, `align`: how they are arranged, as for `stack_images`, but that they lie on white by default.
        All others are those of `Cutout.save`, for every panel.

    Returns
    -------
    pathlib.Path
        The file, complete or not there.

    Raises
    ------
    ArgumentError
        If there are no panels, one of them has several sections, or an argument makes no sense.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from imageryclient import Box, Cutout
    >>> cut = Cutout(np.zeros((60, 40, 1), np.uint8), None, Box((0, 0, 5), (60, 40, 6), (8.0, 8.0, 40.0)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save_panels(Path(folder, "both.png"), [cut, (cut, {"gamma": 0.5})], letters=True, zoom=2)
    ...     with Image.open(file) as figure:
    ...         figure.size
    (250, 98)
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _KINDS:
        raise ArgumentError(f"a figure of panels is saved as .png, .svg or .pdf; got {target.name!r}")
    arrangement = {name: options[name] for name in _ARRANGEMENT if name in options}
    arrangement.setdefault("background", "white")
    shared = {name: value for name, value in options.items() if name not in _ARRANGEMENT}
    parts = [_with_options(panel, shared, target) for panel in panels]
    records = tuple(None if part is None else painted_record(*part) for part in parts)
    record = PanelsRecord(records, arrangement)
    if suffix == ".png":
        pictures = [None if part is None else _only(painted(*part), number) for number, part in enumerate(parts, 1)]
        figure = stacked(pictures, Arrangement(**arrangement))
        with atomic_file(target) as temporary:
            figure.save(temporary, "PNG", pnginfo=picture_info(record))
        return target
    figures = [None if part is None else _only(drawn(*part), number) for number, part in enumerate(parts, 1)]
    zooms = [1.0 if part is None else float(part[1].get("zoom", 1)) for part in parts]
    together: VectorFigure = stack_figures(figures, Arrangement(**arrangement), zoom=zooms)
    document = together.document(suffix, record.describe(), record.to_json())
    with atomic_file(target) as temporary:
        temporary.write_bytes(document)
    return target


def panels_in(file: Path) -> PanelsRecord | None:
    """Read what a file says of its panels; None of one that is no figure of panels.

    Raises
    ------
    FormatError
        If it says nothing, or what cannot be read.
    """
    return PanelsRecord.from_json(said_in(file), file.name)


def _with_options(
    panel: Any, shared: Mapping[str, Any], target: Path
) -> tuple[Cutout | SectionCutout, dict[str, Any]] | None:
    """Give a panel's cutout and all options that it is painted with."""
    if panel is None:
        return None
    cut, own = panel if isinstance(panel, tuple) else (panel, {})
    if not hasattr(cut, "overlay"):
        raise ArgumentError(f"a panel is a cutout, or a pair of one and its options; got {panel!r:.80}")
    return cut, options_for(target, {**shared, **own})


def _only(made: list[Any], number: int) -> Any:
    if len(made) != 1:
        raise ArgumentError(f"panel {number} has {len(made)} sections; choose one with section=, or planes=True")
    return made[0]
