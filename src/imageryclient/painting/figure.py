"""Figures made of several pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PIL import Image

from ..errors import ArgumentError
from .picture import as_rgba

__all__ = ["stack_images"]


def stack_images(images: Iterable[Any], direction: str = "horizontal", spacing: int = 10) -> Image.Image:
    """Put pictures side by side, or one below the other, on white.

    Parameters
    ----------
    images : iterable
        Pictures, or arrays of shape (x, y[, channels]), of any sizes; aligned at the top or at the left.
    direction : {"horizontal", "vertical"}, optional
        Which way they follow each other. Default "horizontal".
    spacing : int, optional
        White pixels between them. Default 10.

    Returns
    -------
    PIL.Image.Image
        RGB. Opacity is left out: a transparent pixel shows the colour it holds.

    Raises
    ------
    ArgumentError
        If there are no images, or `direction` or `spacing` makes no sense.

    Examples
    --------
    >>> parts = [Image.new("RGBA", (30, 20), "red"), Image.new("L", (40, 10))]
    >>> stack_images(parts).size, stack_images(parts, direction="vertical", spacing=0).size
    ((80, 20), (40, 30))
    """
    if direction not in ("horizontal", "vertical"):
        raise ArgumentError(f"direction must be 'horizontal' or 'vertical'; got {direction!r}")
    gap = int(spacing)
    if gap != spacing or gap < 0:
        raise ArgumentError(f"spacing must be a whole number of pixels, from 0; got {spacing!r}")
    parts = [as_rgba(image) for image in images]
    if not parts:
        raise ArgumentError("stack_images needs at least one image; got none")
    along = direction == "horizontal"
    lengths = [part.width if along else part.height for part in parts]
    length = sum(lengths) + gap * (len(parts) - 1)
    breadth = max(part.height if along else part.width for part in parts)
    figure = Image.new("RGB", (length, breadth) if along else (breadth, length), "white")
    at = 0
    for part, step in zip(parts, lengths, strict=True):
        figure.paste(part, (at, 0) if along else (0, at))
        at += step + gap
    return figure
