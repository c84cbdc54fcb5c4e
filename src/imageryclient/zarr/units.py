"""Lengths in nm, by the names that OME-Zarr, N5 and Neuroglancer give units of length."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["nm_per", "read_quantity", "tidy"]

_PREFIXES = {
    "yotta": ("Y", 24), "zetta": ("Z", 21), "exa": ("E", 18), "peta": ("P", 15), "tera": ("T", 12), "giga": ("G", 9),
    "mega": ("M", 6), "kilo": ("k", 3), "hecto": ("h", 2), "deca": ("da", 1), "": ("", 0), "deci": ("d", -1),
    "centi": ("c", -2), "milli": ("m", -3), "micro": ("µ", -6), "nano": ("n", -9), "pico": ("p", -12),
    "femto": ("f", -15), "atto": ("a", -18), "zepto": ("z", -21), "yocto": ("y", -24),
}  # fmt: skip
_OTHERS = {
    "angstrom": 0.1, "ångström": 0.1, "å": 0.1, "Å": 0.1, "\u212b": 0.1, "micron": 1e3, "microns": 1e3,
    "um": 1e3, "μm": 1e3, "inch": 2.54e7, "foot": 3.048e8, "yard": 9.144e8, "mile": 1.609344e12,
    "parsec": 3.0856775814913673e25,
}  # fmt: skip


def _table() -> Mapping[str, float]:
    table = dict(_OTHERS)
    for prefix, (short, exponent) in _PREFIXES.items():
        nm = float(f"1e{exponent + 9}")
        for name in (f"{prefix}meter", f"{prefix}metre", f"{prefix}meters", f"{prefix}metres", f"{short}m"):
            table.setdefault(name, nm)
    return table


_NM = _table()


def nm_per(unit: object) -> float | None:
    """Give the length of a unit in nm; None where it is none, such as "pixel", "second" or nothing at all.

    Examples
    --------
    >>> nm_per("micrometer"), nm_per("nm"), nm_per("angstrom"), nm_per("pixel")
    (1000.0, 1.0, 0.1, None)
    """
    if not isinstance(unit, str):
        return None
    name = unit.strip()
    return _NM.get(name, _NM.get(name.lower()) if len(name) > 3 else None)


def read_quantity(text: object) -> float | None:
    """Read a length as `dimension_units` gives it, "4 nm" or "nm", in nm; None where it is none.

    Examples
    --------
    >>> read_quantity("4.5 um"), read_quantity("nm"), read_quantity("pixel")
    (4500.0, 1.0, None)
    """
    if not isinstance(text, str):
        return None
    digits = text.strip()
    number = digits[: len(digits) - len(digits.lstrip("+-.0123456789eE"))]
    while number:
        try:
            count = float(number)
            break
        except ValueError:
            number = number[:-1]  # the "e" of a unit
    else:
        count = 1.0
    nm = nm_per(digits[len(number) :])
    return None if nm is None or not 0 < count < float("inf") else tidy(count * nm)


def tidy(nm: float) -> float:
    """Drop what multiplying added behind the twelfth digit: 0.0041 micrometer are 4.1 nm.

    Examples
    --------
    >>> 0.0041 * 1000, tidy(0.0041 * 1000)
    (4.1000000000000005, 4.1)
    """
    return float(f"{nm:.12g}")
