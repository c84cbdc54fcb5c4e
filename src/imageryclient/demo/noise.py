"""Smooth noise for made imagery: pictures by FFT that change slowly along z, and a blur. Pictures are (y, x)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift", "Floats", "bands", "blurred"]

Floats = NDArray[np.float32]


class Drift:
    """Smooth noise over a picture that changes slowly along z: pictures made by FFT, blended two at a time.

    Parameters
    ----------
    rng : numpy.random.Generator
        The noise is drawn from it.
    shape : tuple of int
        Pixels, (height, width).
    steps : tuple of float
        nm per pixel down and across.
    bands : sequence of (float, float)
        Wavelength (nm) and root mean square of each band.
    period : float
        nm along z between unrelated pictures.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int],
        steps: tuple[float, float],
        bands: Sequence[tuple[float, float]],
        period: float,
    ) -> None:
        self._rng, self._period, self._shape = rng, period, shape
        # room for the longest wave, also in a small picture
        longest = max(wave for wave, _ in bands)
        self._room = tuple(max(n, math.ceil(2 * longest / s)) for n, s in zip(shape, steps, strict=True))
        ky = np.fft.fftfreq(self._room[0], steps[0])[:, None]
        kx = np.fft.rfftfreq(self._room[1], steps[1])[None, :]
        k = np.hypot(kx, ky)
        k[0, 0] = np.inf
        power = np.zeros_like(k)
        for wave, rms in bands:
            band = np.exp(-np.square(np.log2(k * wave, where=np.isfinite(k), out=np.full_like(k, 9.0))) / 0.25)
            # all but the first column stand for two waves each
            power += rms**2 * band / max(2 * band.sum() - band[:, 0].sum(), 1e-9)
        self._filter = np.sqrt(power * k.shape[0] * self._room[1]).astype(np.float32)
        self._number = -1
        self._pictures = [self._picture()]

    def _picture(self) -> Floats:
        white = self._rng.standard_normal(self._room, np.float32)
        smooth = np.fft.irfft2(np.fft.rfft2(white) * self._filter, s=self._room)
        return smooth[: self._shape[0], : self._shape[1]].astype(np.float32)

    def at(self, z: float, rows: slice = slice(None)) -> Floats:
        """Give the noise at z, nm, in some rows; z must not fall from call to call."""
        number = int(z // self._period)
        while self._number < number:
            self._pictures = [self._pictures[-1], self._picture()]
            self._number += 1
        angle = np.float32((z / self._period - number) * math.pi / 2)
        blend: Floats = np.cos(angle) * self._pictures[0][rows] + np.sin(angle) * self._pictures[1][rows]
        return blend


def bands(shape: tuple[int, ...], multiple: int = 1) -> Iterator[slice]:
    """Part a picture into bands of rows, `multiple` or a multiple of it high, that stay in the processor's cache."""
    step = max(1, 32768 // (shape[1] * multiple)) * multiple
    for top in range(0, shape[0], step):
        yield slice(top, min(top + step, shape[0]))


def blurred(picture: Floats, sigma: float) -> Floats:
    """Blur by a Gaussian of `sigma` pixels, edges repeated."""
    half = max(1, math.ceil(2.5 * sigma))
    weights = np.exp(-np.square(np.arange(-half, half + 1) / sigma) / 2)
    weights = (weights / weights.sum()).astype(np.float32)
    height, width = picture.shape
    result = np.zeros(picture.shape, np.float32)
    for rows in bands(picture.shape):
        around = np.clip(np.arange(rows.start - half, rows.stop + half), 0, height - 1)
        down = np.zeros((rows.stop - rows.start, width), np.float32)
        tall = picture[around]
        for shift, weight in enumerate(weights):
            down += weight * tall[shift : shift + len(down)]
        wide = np.pad(down, ((0, 0), (half, half)), mode="edge")
        part = result[rows]
        for shift, weight in enumerate(weights):
            part += weight * wide[:, shift : shift + width]
    return result
