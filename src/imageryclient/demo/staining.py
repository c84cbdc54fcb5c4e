"""Cells into grey: membranes, organelles and synapses, as a stained section shows them.

Membranes are as thin as real ones and smear where they are cut at a slant; cells hold mitochondria, vesicles,
microtubules and reticulum; synapses have their density; sections differ in brightness and carry noise. Lengths are
nm, pictures (y, x).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .neuropil import AXON, DENDRITE, GLIA, MYELINATED, SPINE, Strands
from .noise import Drift, Floats, bands, blurred
from .sections import Cells, pixels_of

__all__ = ["Painter"]

Steps = tuple[float, float]

_MEMBRANE = 12.0  # nm, standard deviation of the dark line of two membranes and the gap between


@dataclass(slots=True)
class Painter:
    """Turns cells into grey, section after section."""

    rng: np.random.Generator
    strands: Strands
    steps: Steps
    thickness: float
    tone: Floats
    mitochondria: NDArray[np.float64]
    tubules: NDArray[np.float64]
    reticulum: Drift
    patches: Drift
    light: Drift
    partners: dict[int, int] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls, rng: np.random.Generator, strands: Strands, shape: tuple[int, int], steps: Steps, thickness: float
    ) -> Painter:
        """Furnish the cells."""
        shade = np.array([0.0, 7.0, 7.0, 14.0, 5.0])[strands.kind] + rng.normal(scale=7.5, size=len(strands.kind))
        dark = (strands.kind == AXON) & (rng.uniform(size=len(strands.kind)) < 0.06)
        tone = (shade - 22 * dark)[strands.cell].astype(np.float32)
        return cls(
            rng,
            strands,
            steps,
            thickness,
            tone,
            _mitochondria(rng, strands, thickness),
            _tubules(rng, strands),
            Drift(rng, shape, steps, [(330.0, 1.0)], 260.0),
            Drift(rng, shape, steps, [(900.0, 1.0)], 500.0),
            Drift(rng, shape, steps, [(2500.0, 4.0)], 400.0),
        )

    def paint(self, cells: Cells, section: int) -> NDArray[np.uint8]:
        """Paint one section, shape (y, x)."""
        z = section * self.thickness
        first, depth = cells.first, cells.depth
        grain = self._white(first.shape)
        fine, coarse = blurred(grain, 0.8), blurred(grain[::-1, ::-1], 1.7)
        image, kind = np.empty(first.shape, np.float32), np.empty(first.shape, np.int8)
        kinds = self.strands.kind.astype(np.int8)
        for rows in bands(first.shape):
            kind[rows] = kinds.take(first[rows], mode="wrap")
            line = np.exp(-np.square(self.reticulum.at(z, rows) / np.float32(0.11)))
            line *= np.clip(self.patches.at(z, rows) * 2, 0, 1) * np.clip((depth[rows] - 35) / 20, 0, 1)
            line *= (kind[rows] == DENDRITE) | (kind[rows] == GLIA)
            shade = self.tone.take(first[rows], mode="wrap")
            image[rows] = 154 + shade + 15 * fine[rows] + 20 * coarse[rows] - 40 * line
        roomy = (kind == DENDRITE) | (kind == GLIA)
        inside = self._paint_mitochondria(image, cells, section)
        free = (depth > 32) & ~inside
        self._paint_dots(image, cells, free & roomy)
        self._paint_tubules(image, cells, free, section)
        zones = self._paint_vesicles(image, cells, free, section)
        self._paint_membranes(image, cells, kind)
        for zone in zones:
            self._paint_density(image, cells, *zone)

        image = blurred(image, 5.5 / math.sqrt(self.steps[0] * self.steps[1]))
        image += 5.5 * blurred(self._white(first.shape), 0.45)
        gain, offset = self.rng.normal(1, 0.025), self.rng.normal(0, 3.0)
        grey = np.empty(first.shape, np.uint8)
        for rows in bands(first.shape):
            level = (image[rows] - 130) * np.float32(gain) + np.float32(130 + offset) + self.light.at(z, rows)
            grey[rows] = np.clip(np.rint(level), 1, 255)
        return grey

    def _white(self, shape: tuple[int, ...]) -> Floats:
        return self.rng.standard_normal(shape, np.float32)

    def _windows(
        self, which: NDArray[np.intp], centers: NDArray[np.float64], reach: NDArray[np.float64], cells: Cells
    ) -> Iterator[tuple[int, tuple[slice, slice]]]:
        """Give those of `which` that are near enough to be seen, with the part of the picture within reach (nm)."""
        pixel = pixels_of(centers, cells.x, cells.y, self.steps)
        low = np.floor(pixel - reach[:, None] / self.steps[::-1]).astype(np.intp)
        high = np.ceil(pixel + reach[:, None] / self.steps[::-1]).astype(np.intp)
        seen = np.all((high > 0) & (low < cells.x.shape[::-1]), axis=1)
        low = np.maximum(low, 0)
        for at in np.flatnonzero(seen).tolist():
            (left, top), (right, bottom) = low[at].tolist(), high[at].tolist()
            yield int(which[at]), (slice(top, bottom), slice(left, right))

    def _paint_membranes(self, image: Floats, cells: Cells, kind: NDArray[np.int8]) -> None:
        """Darken the borders; a slant spreads the same darkness over more pixels."""
        for rows in bands(image.shape):
            part, depth = image[rows], cells.depth[rows]
            wide = np.float32(_MEMBRANE**2) + np.square(np.minimum(cells.smear[rows], 150)) / 12
            line = np.exp(-np.square(np.minimum(depth, 500)) / (2 * wide))
            line *= np.float32(_MEMBRANE) / np.sqrt(wide)
            part -= (part - 62) * np.minimum(line, 1)
            sheathed = kind[rows] == MYELINATED
            if sheathed.any():
                sheath = np.clip((100 - depth) / 12, 0, 1) * sheathed
                lamellae = 52 + 9 * np.sin(depth * np.float32(2 * math.pi / 22))
                part += (lamellae - part) * sheath

    def _paint_mitochondria(self, image: Floats, cells: Cells, section: int) -> NDArray[np.bool_]:
        z = (section + 0.5) * self.thickness
        inside = np.zeros(image.shape, bool)
        table = self.mitochondria
        strand_of = table[:, 0].astype(np.intp)
        along = np.abs(z - table[:, 1]) / table[:, 2]
        there = np.flatnonzero((along < 1) & (self.strands.radii[section, strand_of] > 0))
        centers = self.strands.centers[section, strand_of] + table[:, 4:6]
        reach = table[there, 3] * table[there, 7] * 1.7 + 60
        for at, window in self._windows(there, centers[there], reach, cells):
            strand, _, _, radius, _, _, angle, aspect, turn = table[at].tolist()
            radius *= (1 - along[at] ** 4) ** 0.5
            center = centers[at]
            x = cells.x[window] - np.float32(center[0])
            y = cells.y[window] - np.float32(center[1])
            u = math.cos(angle) * x + math.sin(angle) * y
            v = math.cos(angle) * y - math.sin(angle) * x
            wall = np.sqrt(np.square(u / aspect) + np.square(v * aspect)).astype(np.float32) - np.float32(radius)
            wall = np.maximum(wall, 34 - cells.depth[window])
            wall[cells.first[window] != int(strand)] = 100
            within = wall < 12
            if np.any(inside[window][within]):
                continue
            u, v, wall = u[within], v[within], wall[within]
            body = np.clip(0.5 - wall / 8, 0, 1)
            # cristae: bent stripes that fade and return
            bend = 14 * np.sin(u / 37 + turn) + 9 * np.sin(v / 23 - turn + z / 90)
            stripes = np.sin((u * math.cos(turn) + v * math.sin(turn) + bend) * (2 * math.pi / 46))
            fade = 0.65 + 0.35 * np.sin(u / 61 + v / 47 + 2 * turn + z / 130)
            matrix = 104 + 15 * stripes * fade * np.clip(-wall / 16, 0, 1)
            envelope = 34 * np.exp(-np.square((wall + 4) / 8))
            old = image[window][within]
            grain = old - self.tone[int(strand)] - 154
            image[window][within] = old + body * (matrix - envelope + 0.8 * grain - old)
            inside[window] |= within
        return inside

    def _paint_dots(self, image: Floats, cells: Cells, where: NDArray[np.bool_]) -> None:
        """Strew ribosomes and glycogen over dendrites and glia, denser in some places."""
        count = self.rng.poisson(where.size * self.steps[0] * self.steps[1] / 9000)
        points = self.rng.uniform(0, 1, (count, 2)) * where.shape[::-1]
        at = points.astype(np.intp)
        points = points[where[at[:, 1], at[:, 0]]]
        size = self.rng.uniform(12, 38, len(points)).astype(np.float32)
        _stamp(image, points, self.steps, 24, lambda r: -np.exp(-np.square(r / 10)), size)

    def _paint_tubules(self, image: Floats, cells: Cells, free: NDArray[np.bool_], section: int) -> None:
        strand = self.tubules[:, 0].astype(np.intp)
        scale = np.maximum(self.strands.radii[section, strand], 0)[:, None]
        points = pixels_of(
            self.strands.centers[section, strand] + self.tubules[:, 1:] * scale, cells.x, cells.y, self.steps
        )
        points, strand = self._on(points, strand, cells.first, free)
        slant = np.hypot(*self.strands.slopes[section, strand].T)
        depth = (58 / (1 + 1.5 * slant)).astype(np.float32)
        _stamp(image, points, self.steps, 26, lambda r: -np.exp(-np.square(r / 11)), depth)

    @staticmethod
    def _on(
        points: NDArray[np.float64], strand: NDArray[np.intp], first: NDArray[np.int32], free: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Keep the points that lie in the picture, on a free pixel of their own strand."""
        seen = np.all((points >= 0) & (points < first.shape[::-1]), axis=1)
        points, strand = points[seen], strand[seen]
        at = points.astype(np.intp)
        good = free[at[:, 1], at[:, 0]] & (first[at[:, 1], at[:, 0]] == strand)
        return points[good], strand[good]

    def _paint_vesicles(
        self, image: Floats, cells: Cells, free: NDArray[np.bool_], section: int
    ) -> list[tuple[tuple[slice, slice], int, int, NDArray[np.float64], float]]:
        """Fill boutons with vesicles, and say where their synapses are."""
        z = (section + 0.5) * self.thickness
        boutons = self.strands.boutons
        found, zones = [], []
        strand_of = boutons[:, 0].astype(np.intp)
        radii, centers = self.strands.radii[section, strand_of], self.strands.centers[section, strand_of]
        there = np.flatnonzero((np.abs(z - boutons[:, 1]) < 1.15 * boutons[:, 2]) & (radii > 0))
        for at, window in self._windows(there, centers[there], radii[there] * 1.7 + 60, cells):
            strand = int(strand_of[at])
            rim = (cells.first[window] == strand) & (cells.depth[window] < 16) & (cells.second[window] >= 0)
            if not rim.any():
                continue
            zone = self._zone(at, strand, cells, window, rim)
            crowd = self._crowd(window, cells.x.shape)
            crowd, _ = self._on(crowd, np.full(len(crowd), strand), cells.first, free)
            far = np.hypot(*((crowd - zone) * self.steps[::-1]).T)
            along = abs(z - boutons[at, 1]) / boutons[at, 2]
            found.append(crowd[far < (0.7 + 0.6 * self.rng.uniform(size=len(far))) * 330 * (1.25 - 0.7 * along)])
            if along < 0.62:
                zones.append((window, strand, self.partners[at], zone, 190 * math.sqrt(1 - (along / 0.65) ** 2)))
        points = np.concatenate(found) if found else np.empty((0, 2))
        strength = self.rng.uniform(0.75, 1.15, len(points)).astype(np.float32)
        _stamp(image, points, self.steps, 34, _vesicle, strength)
        return zones

    def _crowd(self, window: tuple[slice, slice], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Lay points on a shaken grid, about as close as vesicles lie."""
        spacing = np.array([50.0 / self.steps[1], 50.0 / self.steps[0]])
        low = np.array([window[1].start, window[0].start], np.float64)
        high = np.minimum([window[1].stop, window[0].stop], shape[::-1])
        columns, rows = (np.arange(a, b, s) for a, b, s in zip(low, high, spacing, strict=True))
        grid = np.stack(np.meshgrid(columns, rows), axis=-1)
        grid[1::2, :, 0] += spacing[0] / 2
        grid = grid.reshape(-1, 2)
        shaken: NDArray[np.float64] = grid + self.rng.uniform(-0.3, 0.3, grid.shape) * spacing
        return shaken

    def _zone(
        self, bouton: int, strand: int, cells: Cells, window: tuple[slice, slice], rim: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Find the middle of a bouton's contact with its partner, choosing one the first time: column and row."""
        cell = self.strands.cell[cells.second[window][rim]]
        if bouton not in self.partners or self.partners[bouton] not in cell:
            liking = np.array([1.0, 4.0, 6.0, 0.1, 0.1])[self.strands.kind[cells.second[window][rim]]]
            self.partners[bouton] = int(np.argmax(np.bincount(cell, liking)))
        rows, columns = (axis[cell == self.partners[bouton]] for axis in np.nonzero(rim))
        middle = np.argmin(np.square(rows - rows.mean()) + np.square(columns - columns.mean()))
        return np.array([columns[middle] + window[1].start, rows[middle] + window[0].start], np.float64) + 0.5

    def _paint_density(
        self,
        image: Floats,
        cells: Cells,
        window: tuple[slice, slice],
        strand: int,
        partner: int,
        zone: NDArray[np.float64],
        reach: float,
    ) -> None:
        """Thicken the membrane of a synapse, most of all on the receiving side."""
        first, second, depth = cells.first[window], cells.second[window], cells.depth[window]
        cell = self.strands.cell
        rows = (np.arange(window[0].start, window[0].start + first.shape[0]) + 0.5 - zone[1]) * self.steps[0]
        columns = (np.arange(window[1].start, window[1].start + first.shape[1]) + 0.5 - zone[0]) * self.steps[1]
        squared = (np.square(rows)[:, None] + np.square(columns)) / reach**2
        near = np.exp(-np.square(squared)).astype(np.float32)
        after = (cell[first] == partner) & (second == strand)
        before = (first == strand) & (cell[second] == partner)
        dark = after * np.clip((46 - depth) / 14, 0, 1) + before * np.clip((20 - depth) / 10, 0, 1)
        image[window] -= (image[window] - 48) * (0.92 * near * dark).astype(np.float32)


def _mitochondria(rng: np.random.Generator, strands: Strands, thickness: float) -> NDArray[np.float64]:
    """Lay mitochondria along strands: strand, z, half length, radius, x and y off the middle, angle, aspect, turn."""
    rows = []
    top = len(strands.radii) * thickness
    typical = np.median(np.where(strands.radii > 0, strands.radii, np.nan_to_num(0.0)), axis=0)
    every = {AXON: 3800.0, DENDRITE: 750.0, GLIA: 2500.0, MYELINATED: 2200.0}
    for strand in np.flatnonzero((strands.kind != SPINE) & (typical > 85)).tolist():
        thick, kind = float(typical[strand]), int(strands.kind[strand])
        at = rng.uniform(-3000, 0)
        while (at := at + rng.exponential(every[kind]) + 150) < top + 500:
            radius = min(rng.uniform(95, 165) if kind == DENDRITE else rng.uniform(75, 125), 0.68 * thick)
            off = max(thick - radius - 60, 0) * math.sqrt(rng.uniform())
            way, angle = rng.uniform(0, 2 * math.pi, 2)
            aspect = rng.uniform(1.0, 1.35)
            half = rng.uniform(300, 1100)
            rows.append(
                (strand, at, half, radius, off * math.cos(way), off * math.sin(way), angle, aspect, rng.uniform(0, 6))
            )
    return np.array(rows, np.float64).reshape(-1, 9)


def _tubules(rng: np.random.Generator, strands: Strands) -> NDArray[np.float64]:
    """Lay microtubules along strands: strand, and x and y off the middle as a share of its radius."""
    radius = np.median(np.maximum(strands.radii, 0), axis=0)
    count = rng.poisson(np.where(np.isin(strands.kind, (DENDRITE, AXON, MYELINATED)), (radius / 85) ** 2 * 1.3, 0))
    strand = np.repeat(np.arange(len(count)), count)
    angle, off = rng.uniform(0, 2 * math.pi, len(strand)), 0.85 * np.sqrt(rng.uniform(size=len(strand)))
    return np.column_stack([strand, off * np.cos(angle), off * np.sin(angle)])


def _vesicle(r: Floats) -> Floats:
    """Grey over the distance from the middle of a vesicle, 40 nm across: a dark shell around a pale core."""
    shell: Floats = -44 * np.exp(-np.square((r - 16) / 7)) + 10 * np.exp(-np.square(r / 9))
    return shell


def _stamp(
    image: Floats,
    points: NDArray[np.float64],
    steps: Steps,
    reach: float,
    profile: Callable[[Floats], Floats],
    strength: Floats,
) -> None:
    """Add a round mark at each point (column, row), `profile` of the distance in nm."""
    down, across = math.ceil(reach / steps[0]), math.ceil(reach / steps[1])
    corner = np.floor(points).astype(np.int32)
    inner = np.all((corner >= (across, down)) & (corner < np.subtract(image.shape[::-1], (across, down))), axis=1)
    points, corner, strength = points[inner], corner[inner], strength[inner]
    rows, columns = np.arange(-down, down + 1), np.arange(-across, across + 1)
    dy = ((corner[:, 1:] + rows + 0.5 - points[:, 1:]) * steps[0]).astype(np.float32)
    dx = ((corner[:, :1] + columns + 0.5 - points[:, :1]) * steps[1]).astype(np.float32)
    r = np.sqrt(np.square(dy)[:, :, None] + np.square(dx)[:, None, :])
    np.add.at(
        image,
        ((corner[:, 1:] + rows)[:, :, None], (corner[:, :1] + columns)[:, None, :]),
        profile(r) * strength[:, None, None],
    )
