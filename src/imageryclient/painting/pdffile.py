"""The file around a PDF's page: objects, numbered, the table of where they lie, layers, opacities, text strings.

Names of sections in comments are of ISO 32000-1.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Layers", "Opacities", "PdfFile", "references", "text_string"]

_PAGE = 0  # no object has this number


class PdfFile:
    """Objects, numbered from 1, and where they lie in the file.

    Examples
    --------
    >>> file = PdfFile()
    >>> pages = file.add("<</Type /Pages /Kids [] /Count 0>>")
    >>> file.to_bytes(file.add(f"<</Type /Catalog /Pages {pages} 0 R>>"), file.add("<<>>"))[:8]
    b'%PDF-1.7'
    """

    def __init__(self) -> None:
        self._objects: list[bytes] = []

    def reserve(self) -> int:
        """Give the number of an object that is `set` later."""
        self._objects.append(b"null")
        return len(self._objects)

    def set(self, number: int, body: str) -> None:
        """Say what an object is."""
        self._objects[number - 1] = body.encode("ascii")

    def add(self, body: str) -> int:
        """Add an object; gives its number."""
        number = self.reserve()
        self.set(number, body)
        return number

    def add_stream(self, entries: str, data: bytes) -> int:
        """Add data, compressed, with the entries of its dictionary; gives its number."""
        packed = zlib.compress(data)
        head = f"<<{entries} /Filter /FlateDecode /Length {len(packed)}>>\nstream\n".encode("ascii")
        self._objects.append(head + packed + b"\nendstream")
        return len(self._objects)

    def to_bytes(self, catalog: int, about: int) -> bytes:
        """Give the file; `catalog` and `about` are the numbers of its root and of its information."""
        parts = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]
        at, places = len(parts[0]), []
        for number, body in enumerate(self._objects, start=1):
            places.append(at)
            parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
            at += len(parts[-1])
        count = len(places) + 1
        rows = "".join(f"{place:010d} 00000 n \n" for place in places)
        trailer = f"<</Size {count} /Root {catalog} 0 R /Info {about} 0 R>>"
        end = f"xref\n0 {count}\n0000000000 65535 f \n{rows}trailer\n{trailer}\nstartxref\n{at}\n%%EOF\n"
        return b"".join([*parts, end.encode("ascii")])


@dataclass(slots=True)
class Layers:
    """Optional content (8.11): layers, some of them within others, each known by the number of its object.

    `names` is the object that says what each is called in drawings: L and its number.
    """

    file: PdfFile
    names: int = field(init=False)
    _within: dict[int, list[int]] = field(default_factory=lambda: {_PAGE: []})

    def __post_init__(self) -> None:
        """Take a place in the file."""
        self.names = self.file.reserve()

    def add(self, name: str, parent: int = _PAGE) -> int:
        """Add a layer, of the page or within another one."""
        number = self.file.add(f"<</Type /OCG /Name {text_string(name)}>>")
        self._within[parent].append(number)
        self._within[number] = []
        return number

    def within(self, layer: int, drawing: Iterable[str]) -> list[str]:
        """Draw in a layer, in which other things may be drawn before and after."""
        return [f"/OC /L{layer} BDC", *drawing, "EMC"]

    def finished(self) -> str:
        """Complete the file; gives what its catalog says of layers."""
        every = [number for number in self._within if number != _PAGE]
        self.file.set(self.names, references({f"L{number}": number for number in every}))
        return f"<</OCGs [{_listed(every)}] /D <</Order [{self._ordered(_PAGE)}]>>>>"

    def _ordered(self, parent: int) -> str:
        """List the layers within one, each followed by those within it."""
        shown = []
        for number in self._within[parent]:
            shown.append(f"{number} 0 R")
            if self._within[number]:
                shown.append(f"[{self._ordered(number)}]")
        return " ".join(shown)


@dataclass(slots=True)
class Opacities:
    """Opacities that are drawn with, of areas and lines alike (8.4.5).

    `names` is the object that says what each is called in drawings: O and its thousandths.
    """

    file: PdfFile
    names: int = field(init=False)
    _used: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take a place in the file."""
        self.names = self.file.reserve()

    def chosen(self, alpha: float) -> str:
        """Write that what follows has an opacity."""
        name = f"O{round(alpha * 1000)}"
        self._used[name] = alpha
        return f"/{name} gs"

    def finish(self) -> None:
        """Complete the file."""
        states = (f"/{name} <</Type /ExtGState /ca {alpha:.4g} /CA {alpha:.4g}>>" for name, alpha in self._used.items())
        self.file.set(self.names, f"<<{' '.join(states)}>>")


def _listed(numbers: Iterable[int]) -> str:
    return " ".join(f"{number} 0 R" for number in numbers)


def references(numbers: Mapping[str, int]) -> str:
    """Write a dictionary of names and the objects they stand for.

    Examples
    --------
    >>> references({"Imagery": 4})
    '<</Imagery 4 0 R>>'
    """
    return "<<" + " ".join(f"/{name} {number} 0 R" for name, number in numbers.items()) + ">>"


def text_string(text: str) -> str:
    r"""Write a text string (7.9.2.2): as it is where it is ASCII, else in UTF-16.

    Examples
    --------
    >>> text_string("a (b)"), text_string("µ")
    ('(a \\(b\\))', '<FEFF00B5>')
    """
    if not text.isascii():
        return "<FEFF" + text.encode("utf-16-be", "replace").hex().upper() + ">"
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return "(" + escaped.replace("\r", "\\r").replace("\n", "\\n") + ")"
