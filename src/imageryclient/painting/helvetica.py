"""Helvetica as a PDF knows it: every reader has it, with the characters of WinAnsi (cp1252), which need no file.

Widths are those of Adobe's font metrics for the 14 standard fonts, in thousandths of the size.
"""

from __future__ import annotations

import unicodedata

__all__ = ["CAPITALS", "helvetica", "helvetica_width"]

CAPITALS = 0.718  # their height, in sizes of the font
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667,
    556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556,
    556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722,
    500, 500, 500, 334, 260, 334, 584, 350, 556, 350, 222, 556, 333, 1000, 556, 556, 333, 1000, 667, 333, 1000, 350,
    611, 350, 350, 222, 222, 333, 333, 350, 556, 1000, 333, 1000, 500, 333, 944, 350, 500, 667, 278, 333, 556, 556,
    556, 556, 260, 556, 333, 737, 370, 556, 584, 333, 737, 333, 400, 584, 333, 333, 333, 556, 537, 278, 333, 333,
    365, 556, 834, 834, 834, 611, 667, 667, 667, 667, 667, 667, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278,
    722, 722, 778, 778, 778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611, 556, 556, 556, 556, 556, 556,
    889, 500, 556, 556, 556, 556, 278, 278, 278, 278, 556, 556, 556, 556, 556, 556, 556, 584, 611, 556, 556, 556,
    556, 500, 556, 500,
)  # of the characters from 32 to 255  # fmt: skip
_SPELLED = str.maketrans(
    {
        "μ": "µ", "−": "-", "‐": "-", "‑": "-", "‒": "–", "∼": "~", "≈": "~", "≤": "<=", "≥": ">=", "≠": "!=",
        "→": "->", "←": "<-", "↔": "<->", "′": "'", "″": '"', "∙": "·", "⋅": "·", "∗": "*", "Ω": "Ohm",
    }
)  # fmt: skip


def helvetica(text: str) -> tuple[bytes, str]:
    r"""Spell a text with the characters there are.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    bytes
        The text in WinAnsi. What it lacks is spelled with what it has (`≥` as `>=`, `ő` as `o`, `α` as `alpha`), else
        with a question mark.
    str
        The characters that question marks stand for, each once.

    Examples
    --------
    >>> helvetica("2 μm ≥ Győr, 神経")
    (b'2 \xb5m >= Gyor, ??', '神経')
    """
    spelled, lost = [], dict[str, None]()
    for letter in text.translate(_SPELLED):
        letter = " " if unicodedata.category(letter) in ("Zs", "Cc") else letter
        try:
            spelled.append(letter.encode("cp1252"))
        except UnicodeEncodeError:
            bare = _without_accents(letter)
            if not bare and not unicodedata.combining(letter):
                lost[letter] = None
                bare = b"?"
            spelled.append(bare)
    return b"".join(spelled), "".join(lost)


def _without_accents(letter: str) -> bytes:
    """Give what is left of a letter without accents; of a Greek one its name."""
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK") and " LETTER " in name:
        called = name.partition(" LETTER ")[2].partition(" ")[0]
        return (called.title() if "CAPITAL" in name else called.lower()).encode("ascii")
    return unicodedata.normalize("NFKD", letter).encode("cp1252", "ignore")


def helvetica_width(text: bytes) -> float:
    """Give the width of a text in WinAnsi, in sizes of the font.

    Examples
    --------
    >>> helvetica_width(b"100 nm")
    3.335
    """
    return sum(_WIDTHS[code - 32] for code in text) / 1000
