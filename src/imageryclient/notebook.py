"""What notebooks show: a picture beside a small table, in HTML that follows the notebook's own colours."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from .files.record import Record
from .geometry import format_resolution
from .moment import format_moment

__all__ = ["LARGEST", "QUICK", "WIDTH", "card", "facts_of", "table"]

WIDTH = 320  # of a picture, in pixels of the page
LARGEST = 1024  # pixels of a picture alone, as a notebook keeps it
QUICK = 1 << 25  # voxels whose ids are counted while one waits
_WIDE = slice(16, 20)  # bytes of a PNG that say how wide it is
_CELL = "padding:1px 12px 1px 0;vertical-align:top;border:0;background:none"
_NAME = f"{_CELL};text-align:left;opacity:.65;font-weight:400;white-space:nowrap"
_FACT = f"{_CELL};text-align:left;overflow-wrap:anywhere"
_NUMBER = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums"
_TABLE = "border-collapse:collapse;margin:0 0 6px 0;font:inherit;color:inherit"


def card(title: str, facts: Mapping[str, str], png: bytes | None = None, links: Mapping[str, str] | None = None) -> str:
    """Give a picture beside what it shows.

    Parameters
    ----------
    title : str
        The first line.
    facts : mapping of str to str
        A row for each, in order; may have several lines.
    png : bytes, optional
        The picture.
    links : mapping of str to str
        From what is written to the address.

    Examples
    --------
    >>> "&lt;b&gt;" in card("Cutout", {"imagery": "<b>"})
    True
    """
    rows = "".join(
        f'<tr style="background:none"><td style="{_NAME}">{escape(name)}</td>'
        f'<td style="{_FACT}">{escape(fact).replace(chr(10), "<br>")}</td></tr>'
        for name, fact in facts.items()
    )
    anchors = "".join(
        f'<a href="{escape(address)}" target="_blank" rel="noopener" style="color:inherit">{escape(text)}</a> '
        for text, address in (links or {}).items()
    )
    picture = ""
    if png is not None:
        data = base64.b64encode(png).decode("ascii")
        crisp = ";image-rendering:pixelated" if int.from_bytes(png[_WIDE]) < WIDTH else ""  # voxels stay squares
        picture = (
            f'<img alt="{escape(title)}" src="data:image/png;base64,{data}" '
            f'style="width:{WIDTH}px;max-height:420px;object-fit:contain;object-position:top;margin:0;flex:none{crisp}">'
        )
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:18px;align-items:flex-start;font-size:13px;line-height:1.5">'
        f'{picture}<div style="min-width:260px;flex:1"><div style="font-weight:600;margin-bottom:4px">{escape(title)}'
        f'</div><table style="{_TABLE}">{rows}</table>{anchors}</div></div>'
    )


def facts_of(record: Record, count: int | None = None) -> dict[str, str]:
    """Give what a cutout is in a few words each: voxels, size, centre, moment, ids, and each layer.

    Parameters
    ----------
    record : Record
        What it is.
    count : int, optional
        How many ids are in it; None without a segmentation.

    Examples
    --------
    >>> from imageryclient import Box
    >>> facts_of(Record(Box((0, 0, 5), (512, 512, 6), (8.0, 8.0, 40.0))), 12)["size"]
    '4.096 x 4.096 x 0.04 µm'
    """
    bounds = record.bounds
    nm = [n * r for n, r in zip(bounds.shape, bounds.resolution, strict=True)]
    center = ", ".join(f"{(a + b) // 2}" for a, b in zip(bounds.start, bounds.stop, strict=True))
    facts = {
        "voxels": f"{' x '.join(map(str, bounds.shape))} of {format_resolution(bounds.resolution)} nm",
        "size": f"{' x '.join(f'{extent / 1e3:.4g}' for extent in nm)} µm",
        "centre": f"{center} in these voxels",
    }
    if record.taken_from:
        first = record.taken_from[0]
        facts["taken from"] = f"{' x '.join(map(str, first.shape))} of {format_resolution(first.resolution)} nm"
    if record.timestamp is not None:
        facts["moment"] = format_moment(record.timestamp.replace(microsecond=0))
    if count is not None:
        asked = record.root_ids
        kind = "supervoxels" if asked is None else f"of {len(asked):,} asked for" if asked != "all" else ""
        facts["ids"] = f"{count:,} {kind}".rstrip()
    for name, source in record.sources.items():
        words = [f"mip {record.mips[name]}"] if name in record.mips else []
        if name in record.coverage:
            words.append(record.coverage[name].describe() or "complete")
        facts[name] = "\n".join(filter(None, [", ".join(words), source]))
    return facts


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], more: str = "") -> str:
    """Give rows of numbers under a head, and a line after them.

    Examples
    --------
    >>> "<td" in table("2 ids", ["id", "voxels"], [["864691135341362885", "12"]])
    True
    """
    first = "".join(f'<th style="{_NAME};text-align:right">{escape(name)}</th>' for name in head)
    body = "".join(
        '<tr style="background:none">' + "".join(f'<td style="{_NUMBER}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    after = f'<div style="opacity:.65">{escape(more)}</div>' if more else ""
    return (
        f'<div style="font-size:13px;line-height:1.5"><div style="font-weight:600;margin-bottom:4px">{escape(title)}'
        f'</div><table style="{_TABLE}"><tr style="background:none">{first}</tr>{body}</table>'
        f"{after}</div>"
    )
