"""Neurites that fill a volume: strands, each with a path and a calibre along z.

A strand is a tube. Free strands drift with their bundle, are pushed aside by their neighbours and so weave around
each other; guided ones (branches, spines) follow a parent. All lengths are nm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["AXON", "DENDRITE", "GLIA", "MYELINATED", "SPINE", "Strands", "grow", "metric_of"]

Ints = NDArray[np.intp]

AXON, DENDRITE, SPINE, GLIA, MYELINATED = range(5)

_GONE = -1e5  # the radius of a strand where it does not exist
_PAD = 900.0  # nm simulated around the view, so that strands enter and leave unseen
_MARGIN = 3  # sections simulated above and below
_LEAST = 65.0  # nm by which a strand must hold its own in its middle
_SHORTEST = 5  # sections
_MANY = 1 << 30  # more sections than there can be
_SMOOTH = np.array([1, 4, 6, 4, 1]) / 16
_LEAN, _STRAY = 0.15, 0.09  # nm per nm: how steeply bundles lean, and strands apart from them
_FILLED = 0.57  # share of the area taken by the strands' own discs


@dataclass(frozen=True, slots=True)
class Strands:
    """Tubes along z.

    Parameters
    ----------
    kind : numpy.ndarray
        Shape (n,): `AXON`, `DENDRITE`, `SPINE`, `GLIA` or `MYELINATED`.
    cell : numpy.ndarray
        Shape (n,): strands of one cell have the same number; no membrane parts them.
    centers, slopes : numpy.ndarray
        Shape (sections, n, 2), nm and nm per nm: x and y of the middle, and how fast it moves along z.
    radii : numpy.ndarray
        Shape (sections, n), nm; far below zero where the strand does not exist.
    boutons : numpy.ndarray
        Shape (m, 3): strand, z of the middle and half length (nm) of each swelling.
    """

    kind: Ints
    cell: Ints
    centers: NDArray[np.float64]
    slopes: NDArray[np.float64]
    radii: NDArray[np.float64]
    boutons: NDArray[np.float64]


def grow(rng: np.random.Generator, extent: tuple[float, float], sections: int, thickness: float) -> Strands:
    """Fill a block of `extent` (x, y; nm) and `sections` of `thickness` nm with strands."""
    size = np.array(extent) + 2 * _PAD
    radius, kind = _calibres(rng, _FILLED * float(np.prod(size)))
    guides, kind, cell, parent = _guided(rng, kind, radius, sections, thickness)
    free = len(radius)
    radii, boutons = _swellings(rng, radius, kind[:free], sections, thickness)
    radii = np.concatenate([radii, guides[:, :, 2]], axis=1)
    angle = rng.uniform(0, 2 * math.pi, guides.shape[1])
    along, aside = np.stack([np.cos(angle), np.sin(angle)], 1), np.stack([-np.sin(angle), np.cos(angle)], 1)
    offsets = guides[:, :, :1] * along + guides[:, :, 1:2] * aside
    centers, near = _weave(rng, size, radii, cell, parent, offsets, thickness)
    centers = np.einsum("kzna,k->zna", sliding_window_view(centers, 5, axis=0).transpose(3, 0, 1, 2), _SMOOTH)
    slopes = (centers[2:] - centers[:-2]) / (2 * thickness)
    centers, radii = centers[1:-1], radii[_MARGIN:-_MARGIN]
    for section, (i, j) in enumerate(near[_MARGIN:-_MARGIN]):
        _hide_swallowed(centers[section], slopes[section], radii[section], size, i, j)
    base = np.argmin(np.where(guides[:, :, 2] > 0, guides[:, :, 0], np.inf), axis=0) - _MARGIN
    _hide_short(radii, np.concatenate([np.full(free, _MANY), np.clip(base, 0, sections - 1)]))
    return Strands(kind, cell, centers % size - _PAD, slopes, radii, boutons)


def _hide_swallowed(
    centers: NDArray[np.float64],
    slopes: NDArray[np.float64],
    radii: NDArray[np.float64],
    size: NDArray[np.float64],
    i: Ints,
    j: Ints,
) -> None:
    """Take out strands whose middle lies so deep in a thicker one that next to nothing is left of them."""
    metric = metric_of(slopes)
    thin, thick = np.where(radii[i] < radii[j], (i, j), (j, i))
    gap = centers[thin] - centers[thick]
    gap -= size * np.rint(gap / size)
    a, b, c = metric[thick].T
    wall = np.sqrt(a * gap[:, 0] ** 2 + 2 * b * gap[:, 0] * gap[:, 1] + c * gap[:, 1] ** 2) - radii[thick]
    radii[thin[(wall < _LEAST - radii[thin]) & (radii[thin] > 0)]] = _GONE


def _hide_short(radii: NDArray[np.float64], base: Ints) -> None:
    """Take out strands where they last for a few sections only, and guided ones where cut off from their parent.

    `base` is the section where a guided strand leaves its parent, `_MANY` for a free one.
    """
    there = np.pad(radii > 0, ((1, 1), (0, 0)))
    steps = np.diff(there.astype(np.int8), axis=0)
    for strand in np.flatnonzero(np.abs(steps).sum(axis=0) > 0).tolist():
        starts, stops = np.flatnonzero(steps[:, strand] == 1), np.flatnonzero(steps[:, strand] == -1)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            away = base[strand] != _MANY and not start - 2 <= base[strand] <= stop + 1
            if away or stop - start < min(_SHORTEST, len(radii)):
                radii[start:stop, strand] = _GONE


def _calibres(rng: np.random.Generator, area: float) -> tuple[NDArray[np.float64], Ints]:
    """Draw radii until the discs fill the area: many thin axons, fewer dendrites, some glia."""
    count = int(area / 3e4) + 8
    kind = rng.choice([AXON, DENDRITE, GLIA, MYELINATED], size=count, p=[0.91, 0.045, 0.04, 0.005])
    median = np.array([92.0, 390.0, 0.0, 140.0, 420.0])[kind]
    spread = np.array([0.32, 0.30, 0.0, 0.25, 0.12])[kind]
    radius = np.clip(median * np.exp(spread * rng.standard_normal(count)), 50, 640)
    enough = int(np.searchsorted(np.cumsum(math.pi * radius**2), area)) + 1
    return radius[:enough], kind[:enough].astype(np.intp)


def _swellings(
    rng: np.random.Generator, radius: NDArray[np.float64], kind: Ints, sections: int, thickness: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Let calibres vary along z, and swell axons to boutons every few micrometres."""
    z = (np.arange(-_MARGIN, sections + _MARGIN) + 0.5) * thickness
    waves = rng.uniform(900, 2500, len(radius)), rng.uniform(0, 2 * math.pi, len(radius))
    radii = radius * (1 + 0.12 * np.sin(2 * math.pi * z[:, None] / waves[0] + waves[1]))
    boutons = []
    for strand in np.flatnonzero(kind == AXON).tolist():
        at = -rng.uniform(0, 3000)
        while (at := at + rng.uniform(2200, 6500)) < z[-1] + 400:
            half = rng.uniform(260, 480)
            swell = rng.uniform(70, 150)
            radii[:, strand] += swell * np.exp(-np.square((z - at) / half))
            boutons.append((strand, at, half))
    return radii, np.array(boutons, dtype=np.float64).reshape(-1, 3)


def _guided(
    rng: np.random.Generator, kind: Ints, radius: NDArray[np.float64], sections: int, thickness: float
) -> tuple[NDArray[np.float64], Ints, Ints, Ints]:
    """Give dendrites spines, and some strands branches: (sections, n, [along, across, radius]) from the parent."""
    z = (np.arange(-_MARGIN, sections + _MARGIN) + 0.5) * thickness
    free = len(kind)
    guides, kinds, parents = [], [], []

    def add(
        parent: int, what: int, reach: NDArray[np.float64], side: NDArray[np.float64], r: NDArray[np.float64]
    ) -> None:
        guides.append(np.stack([reach, side, r], axis=1))
        kinds.append(what)
        parents.append(parent)

    for parent in range(free):
        thick = radius[parent]
        if kind[parent] == DENDRITE:
            for at in np.arange(rng.uniform(-600, 200), z[-1] + 600, 480.0) + rng.uniform(-150, 150):
                along = (z - at) * rng.choice([-1, 1])
                length = rng.uniform(450, 900)
                head = rng.uniform(130, 240)
                t = along / length
                reach = np.interp(t, [0, 1, 1.6], [0.55 * thick, thick + 60 + head + 250, thick + head + 380])
                r = np.interp(t, [0, 0.15, 0.7, 1.0, 1.35, 1.6], [70, 75, 65, head, head, 30])
                r[(t < 0) | (t > 1.6)] = _GONE
                add(parent, SPINE, reach, 60 * np.sin(along / 300), r)
        branches = {DENDRITE: 0.35, AXON: 0.06, GLIA: 3.0}.get(int(kind[parent]), 0.0)
        for _ in range(rng.poisson(branches)):
            along = (z - rng.uniform(-500, z[-1])) * rng.choice([-1, 1])
            steep = rng.uniform(0.3, 0.75)
            reach = np.maximum(0.4 * thick + steep * along, 0)
            r = np.where(along < 0, _GONE, np.interp(along, [0, 400], [0.5, 0.75]) * thick)
            add(parent, int(kind[parent]), reach, 90 * np.sin(along / rng.uniform(300, 700)), r)
    table = np.stack(guides, axis=1) if guides else np.empty((len(z), 0, 3))
    parent_of = np.array([-1] * free + parents, np.intp)
    cell = np.where(parent_of < 0, np.arange(len(parent_of)), parent_of)
    return table, np.concatenate([kind, np.array(kinds, np.intp)]), cell, parent_of


def _weave(
    rng: np.random.Generator,
    size: NDArray[np.float64],
    radii: NDArray[np.float64],
    cell: Ints,
    parent: Ints,
    offsets: NDArray[np.float64],
    thickness: float,
) -> tuple[NDArray[np.float64], list[tuple[Ints, Ints]]]:
    """Let strands drift along z, each pushed out of the way of its neighbours, on a torus of `size`.

    Returns their paths, and for each section the pairs of strands that are near each other.
    """
    free = int(np.sum(parent < 0))
    place = rng.uniform(0, 1, (free, 2)) * size
    own = rng.normal(scale=_STRAY, size=(free, 2))
    waves = rng.normal(size=(2, 6, 2)) * 2 * math.pi
    towards = rng.normal(scale=_LEAN, size=(2, 6))
    turns = np.rint(waves / (2 * math.pi)) / size  # whole waves per turn of the torus, about 1 to 3

    def bundle(at: NDArray[np.float64]) -> NDArray[np.float64]:
        phase = 2 * math.pi * np.einsum("nc,akc->ank", at, turns) + waves[:, None, :, 0]
        lean: NDArray[np.float64] = np.einsum("ank,ak->na", np.sin(phase), towards)
        return lean

    def with_guided(at: NDArray[np.float64], step: int) -> NDArray[np.float64]:
        return np.concatenate([at, at[parent[free:]] + offsets[step]])

    def pairs(at: NDArray[np.float64], r: NDArray[np.float64]) -> tuple[Ints, Ints]:
        found = []
        places, (wide, high), walls = (at % size).astype(np.float32), size.tolist(), r.astype(np.float32)
        # swept along x, round the torus
        order = np.argsort(places[:, 0], kind="stable")
        swept = np.concatenate([places[order, 0] + turn for turn in (-wide, 0, wide)])
        thickest = float(walls.max())
        for rows in np.array_split(order, -(-len(order) // 128)):
            reach = float(walls[rows].max()) + thickest + 150
            begin, end = np.searchsorted(swept, [places[rows[0], 0] - reach, places[rows[-1], 0] + reach])
            others = np.unique(order[np.arange(begin, end) % len(order)])
            squared = np.zeros((len(rows), len(others)), np.float32)
            for along, length in zip(places.T, (wide, high), strict=True):
                gap = np.abs(along[rows, None] - along[others])
                squared += np.square(np.minimum(gap, length - gap))
            i, j = np.nonzero(squared < np.square(walls[rows, None] + walls[others] + 150))
            found.append((rows[i], others[j]))
        i, j = (np.concatenate(side) for side in zip(*found, strict=True))
        other = (i < j) & (cell[i] != cell[j]) & (r[i] > 0) & (r[j] > 0)
        return i[other], j[other]

    def push(at: NDArray[np.float64], step: int, i: Ints, j: Ints, strength: float) -> NDArray[np.float64]:
        everyone, r = with_guided(at, step), np.maximum(radii[step], 0)
        gap = everyone[i] - everyone[j]
        gap -= size * np.rint(gap / size)
        length = np.maximum(np.hypot(*gap.T), 1.0)
        move = gap * (strength * np.maximum(0.97 * (r[i] + r[j]) - length, 0) / length)[:, None]
        # the thick hardly give way, and the guided not at all
        squared = np.square(r)
        share = squared[j] / (squared[i] + squared[j] + 1)
        give, take = (np.where(parent[side] < 0, part, 0)[:, None] for side, part in ((i, share), (j, 1 - share)))
        total = np.zeros_like(everyone)
        for axis in (0, 1):
            total[:, axis] = np.bincount(i, (move * give)[:, axis], len(everyone))
            total[:, axis] -= np.bincount(j, (move * take)[:, axis], len(everyone))
        return at + total[:free]

    for turn in range(90):
        if turn % 6 == 0:
            near = pairs(with_guided(place, 0), radii[0])
        place = push(place, 0, *near, 0.7)
    path, neighbours = [], []
    for step in range(len(radii)):
        if step % 3 == 0:
            near = pairs(with_guided(place, step), radii[min(step + 2, len(radii) - 1)])
        place = place + thickness * (bundle(place) + own)
        own = 0.97 * own + 0.24 * rng.normal(scale=_STRAY, size=own.shape)
        for _ in range(6):
            place = push(place, step, *near, 0.6)
        path.append(with_guided(place, step))
        neighbours.append(near)
    return np.stack(path), neighbours


def metric_of(slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a, b, c of the squared norm a x^2 + 2 b x y + c y^2 in which an oblique tube is round."""
    sx, sy = slopes[:, 0], slopes[:, 1]
    steep = np.minimum(sx**2 + sy**2, 4.0)
    scale = steep / (1 + steep) / np.maximum(sx**2 + sy**2, 1e-12)
    return np.stack([1 - scale * sx * sx, -scale * sx * sy, 1 - scale * sy * sy], axis=1)
