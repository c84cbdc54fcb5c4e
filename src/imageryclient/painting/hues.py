"""Hues into sRGB: HLS; HUSL, in which colours of one lightness look equally light; and OKLCH, whose hues are even too.

HUSL follows version 2.1 (husl-colors.org), with its four-digit constants, since pictures made with imageryclient 1.0.4
and seaborn do; the later HSLuv differs from it by a step of 8 bits here and there. OKLCH is the polar form of OKLab
(B. Ottosson, "A perceptual color space for image processing", 2020).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hls", "husl", "oklch"]

_TO_RGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
_WHITE_U, _WHITE_V = 0.19784, 0.46834
_EPSILON, _KAPPA = 0.008856, 903.3
# from OKLab to the cube roots of its three channels, and from these channels to linear sRGB
_OK_ROOTS = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_OK_RGB = ((4.0767416621, -3.3077115913, 0.2309699292), (-1.2684380046, 2.6097574011, -0.3413193965),
           (-0.0041960863, -0.7034186147, 1.7076147010))  # fmt: skip
_OK_LARGEST = 0.4  # no colour of sRGB has more chroma
_HALVINGS = 24


def hls(hues: NDArray[np.float64], l: float, s: float) -> NDArray[np.float64]:  # noqa: E741
    """Convert hues from 0 to 1 of one lightness and saturation to sRGB, as `colorsys.hls_to_rgb` does for one.

    Examples
    --------
    >>> np.round(hls(np.array([0.0, 0.5]), 0.5, 1.0), 2).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """
    high = l * (1.0 + s) if l <= 0.5 else l + s - l * s
    low = 2.0 * l - high
    turned = (hues[:, np.newaxis] + np.array([1 / 3, 0.0, -1 / 3])) % 1.0
    rising, falling = low + (high - low) * turned * 6.0, low + (high - low) * (2 / 3 - turned) * 6.0
    return np.select([turned < 1 / 6, turned < 0.5, turned < 2 / 3], [rising, high, falling], low)


def husl(hues: NDArray[np.float64], s: float, l: float) -> NDArray[np.float64]:  # noqa: E741
    """Convert HUSL hues (degrees) of one saturation and lightness (per cent) to sRGB, clipped to 0 to 1.

    The chroma is `s` per cent of the largest that sRGB has at this lightness and hue: the nearest crossing of
    the hue's ray with the six lines in the u, v plane where a channel is 0 or 1.

    Examples
    --------
    >>> np.round(husl(np.array([0.0, 120.0]), 100, 60), 2).tolist()
    [[1.0, 0.3, 0.5], [0.3, 0.64, 0.0]]
    """
    if l < 1e-8:
        return np.zeros((len(hues), 3))
    angle = np.radians(hues)
    sine, cosine = np.sin(angle), np.cos(angle)
    if l > 99.9999999:
        l, chroma = 100.0, np.zeros_like(hues)  # noqa: E741
    else:
        chroma = _largest_chroma(l, sine, cosine) / 100 * s
    u = cosine * chroma / (13 * l) + _WHITE_U
    v = sine * chroma / (13 * l) + _WHITE_V
    root = (l + 16) / 116
    y = root**3 if root**3 > _EPSILON else (116 * root - 16) / _KAPPA
    x = -(9 * y * u) / ((u - 4) * v - u * v)
    z = (9 * y - 15 * v * y - v * x) / (3 * v)
    return _curved(np.stack([r * x + g * y + b * z for r, g, b in _TO_RGB], axis=1))


def _largest_chroma(
    l: float,  # noqa: E741
    sine: NDArray[np.float64],
    cosine: NDArray[np.float64],
) -> NDArray[np.float64]:
    cube = (l + 16) ** 3 / 1560896
    scale = cube if cube > _EPSILON else l / _KAPPA
    largest = np.full(sine.shape, np.inf)
    for m1, m2, m3 in _TO_RGB:
        top = (0.99915 * m1 + 1.05122 * m2 + 1.14460 * m3) * scale
        bottom = ((0.86330 * m3 - 0.17266 * m2) * sine + (0.12949 * m3 - 0.38848 * m1) * cosine) * scale
        for limit in (0.0, 1.0):
            with np.errstate(divide="ignore", invalid="ignore"):
                length = l * (top - 1.05122 * limit) / (bottom + 0.17266 * sine * limit)
            largest = np.where((length > 0) & (length < largest), length, largest)
    return largest


def oklch(lightness: NDArray[np.float64], share: NDArray[np.float64], hues: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert OKLCH lightnesses (0 to 1) and hues (degrees), with a share of the largest chroma in sRGB, to sRGB.

    Examples
    --------
    >>> np.round(oklch(np.array([0.62796]), np.array([1.0]), np.array([29.234])), 2).tolist()
    [[1.0, 0.0, 0.0]]
    """
    low, high = np.zeros(hues.shape), np.full(hues.shape, _OK_LARGEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        linear = _ok_linear(lightness, middle, hues)
        within = ((linear >= 0) & (linear <= 1)).all(axis=1)
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return _curved(_ok_linear(lightness, share * low, hues))


def _ok_linear(
    lightness: NDArray[np.float64], chroma: NDArray[np.float64], hues: NDArray[np.float64]
) -> NDArray[np.float64]:
    angle = np.radians(hues)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
    linear: NDArray[np.float64] = (lab @ np.array(_OK_ROOTS).T) ** 3 @ np.array(_OK_RGB).T
    return linear


def _curved(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.clip(np.where(linear <= 0.0031308, 12.92 * linear, curved), 0, 1)
