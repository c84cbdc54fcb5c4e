"""Colours for many objects: evenly spaced hues, named palettes, and colours as people write them."""

from __future__ import annotations

import difflib
import importlib
import itertools
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from ..errors import ArgumentError, MissingExtraError
from .hues import hls, husl
from .steady import is_steady, steady_colors

__all__ = ["RGB", "discrete_colors", "hex_colors", "palette_colors", "rgb_bytes", "rgba_bytes"]

RGB = tuple[float, float, float]
_Key = TypeVar("_Key")

# seaborn's own cycles; of a name with 6 at its end ("deep6") these places alone
_CYCLES = {
    "deep": "4C72B0 DD8452 55A868 C44E52 8172B3 937860 DA8BC3 8C8C8C CCB974 64B5CD",
    "muted": "4878D0 EE854A 6ACC64 D65F5F 956CB4 8C613C DC7EC0 797979 D5BB67 82C6E2",
    "pastel": "A1C9F4 FFB482 8DE5A1 FF9F9B D0BBFF DEBB9B FAB0E4 CFCFCF FFFEA3 B9F2F0",
    "bright": "023EFF FF7C00 1AC938 E8000B 8B2BE2 9F4800 F14CC1 A3A3A3 FFC400 00D7FF",
    "dark": "001C7F B1400D 12711C 8C0800 591E71 592F0D A23582 3C3C3C B8850A 006374",
    "colorblind": "0173B2 DE8F05 029E73 D55E00 CC78BC CA9161 FBAFE4 949494 ECE133 56B4E9",
}
_SIX = (0, 2, 3, 4, 8, 9)
_SEABORN_ONLY = ("ch:", "light:", "dark:", "blend:")
# names that several collections share: the one matplotlib means
_COLLECTION = {
    "prgn": "colorbrewer:PRGn",
    "rdbu": "colorbrewer:RdBu",
    "ylorbr": "colorbrewer:YlOrBr",
    "coolwarm": "matplotlib:coolwarm",
    "copper": "matlab:copper",
    "ocean": "gnuplot:ocean",
    "rainbow": "gnuplot:rainbow",
}
_WHOLE = 1 + 1e-6  # numbers above run from 0 to 255
_FLOATS = {float, np.float64}
_NOTHING = ("transparent", "none")
# one letter as matplotlib has it, which is not always the colour of that name
_LETTERS = {
    "r": (1.0, 0.0, 0.0),
    "g": (0.0, 0.5, 0.0),
    "b": (0.0, 0.0, 1.0),
    "c": (0.0, 0.75, 0.75),
    "m": (0.75, 0.0, 0.75),
    "y": (0.75, 0.75, 0.0),
    "k": (0.0, 0.0, 0.0),
    "w": (1.0, 1.0, 1.0),
}


@overload
def discrete_colors(  # type: ignore[overload-overlap]  # a mapping is sized too: the first that fits counts
    segs: Mapping[_Key, Any],
    palette: Any = ...,
    h: float = ...,
    l: float = ...,  # noqa: E741
    s: float = ...,
) -> dict[_Key, RGB]: ...
@overload
def discrete_colors(
    segs: int | Sized,
    palette: Any = ...,
    h: float = ...,
    l: float = ...,  # noqa: E741
    s: float = ...,
) -> list[RGB]: ...
def discrete_colors(
    segs: Any,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
) -> Any:
    """Give each of a number of objects a colour of its own.

    Parameters
    ----------
    segs : mapping, sequence, array or int
        What to colour, or how many colours to make.
    palette : str or sequence of colours, optional
        "husl" (the default) or "hls" for evenly spaced hues; any name `seaborn.color_palette` takes, such as
        "tab10", "deep" or "viridis", or the cmap package knows ("tol:bright"); or colours, which are repeated.
        Palettes that only seaborn can make ("ch:s=.25", "light:red", "Blues_d") need seaborn installed.
        Two kinds give the keys of a mapping, which must be ids, one colour wherever they appear, whatever else is
        shown: "steady", saturated colours of nearly even lightness, and "neuroglancer", those that Neuroglancer shows
        them in. "steady:7" gives other ones, and "neuroglancer:7" those with 7 for its `colorSeed`.
    h, l, s : float, optional
        First hue, lightness and saturation, from 0 to 1, of "husl" and "hls".

    Returns
    -------
    dict or list
        For a mapping a dict with its keys, otherwise a list; the colours are (r, g, b) from 0 to 1.

    Raises
    ------
    ArgumentError
        If there is no such palette.
    MissingExtraError
        If the palette needs seaborn and it is not installed.

    Examples
    --------
    >>> discrete_colors(["a", "b"], palette=["red", "#0000ff"])
    [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
    >>> discrete_colors({720575940621039145: None}, palette="gray")
    {720575940621039145: (0.5019607843137255, 0.5019607843137255, 0.5019607843137255)}
    """
    if is_steady(palette):
        if not isinstance(segs, Mapping):
            raise ArgumentError(f"palette={palette!r} colours ids: pass a mapping whose keys they are")
        return dict(zip(segs, map(tuple, (steady_colors(list(segs), palette) / 255).tolist()), strict=True))
    count = int(segs) if isinstance(segs, (int, np.integer)) else len(segs)
    if count < 0:
        raise ArgumentError(f"the number of colours must not be negative; got {count}")
    colors = cast(list[RGB], list(map(tuple, palette_colors(count, palette, h, l, s).tolist())))
    return dict(zip(segs, colors, strict=True)) if isinstance(segs, Mapping) else colors


def palette_colors(
    count: int,
    palette: Any = "husl",
    h: float = 0.01,
    l: float = 0.65,  # noqa: E741
    s: float = 1.0,
) -> NDArray[np.float64]:
    """Give the colours of `discrete_colors` as one array, shape (count, 3), from 0 to 1.

    Examples
    --------
    >>> palette_colors(3, ["red", "blue"]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return _palette(count, palette, float(h), float(l), float(s))


def rgb_bytes(colors: Iterable[Any]) -> NDArray[np.uint8]:
    """Give colours in 8 bits.

    Parameters
    ----------
    colors : iterable
        Each a name, a hex string, or three numbers (a fourth, the opacity, is left out): from 0 to 1, or from
        0 to 255 when any number among all of these colours exceeds 1 or they are an array of uint8.
        Fractions are cut off after multiplying by 255, as imageryclient 1.0.4 does.

    Returns
    -------
    numpy.ndarray of uint8
        Shape (number of colours, 3).

    Raises
    ------
    ArgumentError
        If one of them is no colour.

    Examples
    --------
    >>> rgb_bytes([(1, 0.5, 0), "#0a0B0c", "navy"]).tolist()
    [[255, 127, 0], [10, 11, 12], [0, 0, 128]]
    >>> rgb_bytes([(255, 0, 0), (1, 0, 0)]).tolist()
    [[255, 0, 0], [1, 0, 0]]
    """
    if isinstance(colors, np.ndarray) and colors.dtype == np.uint8 and colors.ndim == 2:
        return colors[:, :3].copy()
    triples = _triples(colors)
    if triples is not None:
        scaled = triples if triples.max() > _WHOLE else 255 * np.minimum(triples, 1)
        return scaled.astype(np.uint8)
    out: list[Any] = []
    numbers: dict[int, Any] = {}
    whole = False
    for place, color in enumerate(colors):
        if isinstance(color, str):
            out.append([int(255 * c) for c in _named(color)[:3]])
            continue
        triple = _three(color)
        whole = whole or max(triple) > _WHOLE or getattr(color, "dtype", None) == np.uint8
        numbers[place] = triple
        out.append(triple)
    for place, triple in numbers.items():
        values = [int(c) for c in triple] if whole else [int(255 * min(c, 1)) for c in triple]
        out[place] = values
    return np.array(out, dtype=np.uint8).reshape(-1, 3)


def hex_colors(colors: NDArray[np.uint8]) -> list[str]:
    """Write colours in 8 bits, shape (n, 3), as hex strings.

    Examples
    --------
    >>> hex_colors(np.array([[255, 0, 16]], np.uint8))
    ['#ff0010']
    """
    return ["#" + color.tobytes().hex() for color in colors]


def rgba_bytes(color: Any) -> tuple[int, int, int, int]:
    """Give one colour with opacity in 8 bits.

    Parameters
    ----------
    color : str or sequence
        A name, a hex string, or three or four numbers: integers from 0 to 255, or floats, which run from 0 to 1
        unless one is larger. Opaque unless it says otherwise; "transparent" or "none" is nothing at all.

    Examples
    --------
    >>> rgba_bytes((10, 20, 30)), rgba_bytes("#ff000080"), rgba_bytes((0.5, 0.5, 1.0, 0.5))
    ((10, 20, 30, 255), (255, 0, 0, 128), (127, 127, 255, 127))
    """
    if isinstance(color, str):
        if color.lower() in _NOTHING:
            return (255, 255, 255, 0)
        values = [int(255 * c) for c in _named(color)]
    else:
        numbers = np.asarray(color)
        if numbers.shape not in ((3,), (4,)) or numbers.dtype.kind not in "iuf":
            raise ArgumentError(f"a colour is a name, a hex string, or three or four numbers; got {color!r:.80}")
        fractions = numbers.dtype.kind == "f" and float(numbers.max()) <= 1
        values = [int(255 * c) if fractions else int(c) for c in numbers.tolist()]
    if min(values) < 0 or max(values) > 255:
        raise ArgumentError(f"a colour's numbers run from 0 to 255, or from 0 to 1 as fractions; got {color!r}")
    return cast(tuple[int, int, int, int], tuple([*values, 255][:4]))


def _triples(colors: Any) -> NDArray[np.floating[Any]] | None:
    """Give colours as one array, (count, 3), if each is three floats in range; None if to be seen one by one."""
    if type(colors) is np.ndarray:
        if colors.dtype.kind != "f" or colors.ndim != 2 or colors.shape[1] < 3:
            return None
        numbers = colors
    else:
        if type(colors) not in (list, tuple) or not set(map(type, colors)) <= {list, tuple}:
            return None
        lengths = set(map(len, colors))
        # Other numbers, such as float32, are rounded otherwise.
        if lengths not in ({3}, {4}) or not set(map(type, itertools.chain.from_iterable(colors))) <= _FLOATS:
            return None
        flat = itertools.chain.from_iterable(colors)
        numbers = np.fromiter(flat, dtype=np.float64, count=len(colors) * min(lengths)).reshape(len(colors), -1)
    numbers = numbers[:, :3]
    return numbers if numbers.size and numbers.min() >= 0 and numbers.max() <= 255 else None


def _three(color: Any) -> Sequence[Any]:
    try:
        triple = list(color)[:3]
        if len(triple) == 3 and all(0 <= c <= 255 for c in triple):
            return triple
    except (TypeError, ValueError):
        pass
    raise ArgumentError(
        f"a colour is a name, a hex string, or three numbers from 0 to 1 or 0 to 255; got {color!r:.80}"
    )


def _named(name: str) -> tuple[float, ...]:
    """Give a name's or hex string's (r, g, b[, a]) from 0 to 1; multiplied by 255 they are whole again."""
    if name in _LETTERS:
        return _LETTERS[name]
    try:
        return tuple(c / 255 for c in ImageColor.getrgb(name))
    except ValueError:
        close = difflib.get_close_matches(name.lower(), list(ImageColor.colormap), 3)
        hint = f"; near it: {', '.join(close)}" if close else ""
        raise ArgumentError(
            f"{name!r} is no colour{hint}; give a CSS name, '#rrggbb', or three numbers from 0 to 1"
        ) from None


def _palette(count: int, palette: Any, h: float, l: float, s: float) -> NDArray[np.float64]:  # noqa: E741
    if palette is None:
        palette = "tab10"
    if not isinstance(palette, str):
        if isinstance(palette, Mapping) or not isinstance(palette, Iterable):
            hint = "; colors={id: colour} gives colours by id" if isinstance(palette, Mapping) else ""
            raise ArgumentError(f"a palette is a name, or a sequence of colours; got {palette!r:.80}{hint}")
        palette = list(palette)
        triples = _triples(palette)
        chosen = np.array([_fractions(color) for color in palette]) if triples is None else _rows(triples)
        if not len(chosen):
            raise ArgumentError("a palette needs at least one colour; got an empty one")
        return _cycled(chosen, count)
    if palette in ("husl", "hls"):
        hues = (np.linspace(0, 1, count + 1)[:-1] + h) % 1
        return husl(hues * 359, s * 99, l * 99) if palette == "husl" else hls(hues, l, s)
    cycle = _seaborn_cycle(palette)
    if cycle:
        return _cycled(np.array([_fractions("#" + code) for code in cycle]), count)
    if not palette.startswith(_SEABORN_ONLY):
        try:
            return _from_cmap(palette, count)
        except ValueError:
            pass
    return _from_seaborn(palette, count)


def _fractions(color: Any) -> RGB:
    if isinstance(color, str):
        return cast(RGB, _named(color)[:3])
    triple = _three(color)
    if max(triple) > 1:
        triple = [c / 255 for c in rgb_bytes([triple])[0].tolist()]
    return cast(RGB, tuple(float(c) for c in triple))


def _rows(triples: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Do for many what `_fractions` does for each."""
    top = triples.max(axis=1)
    out = triples.astype(np.float64)
    whole, above = top > _WHOLE, (top > 1) & (top <= _WHOLE)
    out[whole] = np.trunc(out[whole]) / 255
    out[above] = np.trunc(255 * np.minimum(triples[above], 1)).astype(np.float64) / 255
    return out


def _cycled(colors: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return colors[np.arange(count) % len(colors)]


def _seaborn_cycle(name: str) -> list[str]:
    if name in _CYCLES:
        return _CYCLES[name].split()
    base = name.removesuffix("6")
    if base != name and base in _CYCLES:
        codes = _CYCLES[base].split()
        return [codes[place] for place in _SIX]
    return []


def _from_cmap(name: str, count: int) -> NDArray[np.float64]:
    """Take a named colour map: its colours one after the other if they are meant so, else samples of 256."""
    import cmap

    base = name.removesuffix("_r")
    full = _COLLECTION.get(base.lower(), base) + name[len(base) :]
    found = cmap.Colormap(full)
    distinct = found.interpolation == "nearest"
    size = found.num_colors if distinct else max(256, found.num_colors)
    table = np.asarray(found.lut(size), np.float64)[:, :3]
    if distinct and base == name:
        return _cycled(table, count)
    at = (np.linspace(0, 1, count + 2)[1:-1] * size).astype(np.intp)
    return table[np.minimum(at, size - 1)]


def _from_seaborn(name: str, count: int) -> NDArray[np.float64]:
    try:
        seaborn = importlib.import_module("seaborn")
    except ImportError:
        if name.startswith(_SEABORN_ONLY) or name.endswith("_d"):
            raise MissingExtraError(
                f"palette {name!r} is made by seaborn, which is not installed: pip install seaborn"
            ) from None
        raise _no_palette(name) from None
    try:
        return np.array(seaborn.color_palette(name, count), np.float64).reshape(count, 3)
    except (ValueError, KeyError, TypeError):
        raise _no_palette(name) from None


def _no_palette(name: str) -> ArgumentError:
    import cmap

    known = {key.split(":")[-1].lower(): key.split(":")[-1] for key in cmap.Colormap.catalog()}
    known |= {key: key for key in ("husl", "hls", "steady", "neuroglancer", *_CYCLES)}
    close = difflib.get_close_matches(name.lower().removesuffix("_r"), list(known), 4)
    hint = (
        f"near it: {', '.join(known[key] for key in close)}" if close else "'husl', 'steady', 'tab10' or 'viridis' are"
    )
    return ArgumentError(f"there is no palette {name!r}; {hint}")
