"""How time and memory grow with the number of ids and of voxels, and the slopes of it in logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Plan, joint_case
from rounds import Sides
from service import Service

IDS = (10, 30, 100, 300, 1000, 3000, 10000)
SHAPES = ((256, 256, 1), (512, 512, 1), (1024, 1024, 1), (1024, 1024, 4), (1024, 1024, 16), (1024, 1024, 64))
BIGGEST = (1024, 1024, 256)  # 2^28 voxels: about 7 GB with the input
READ_BIGGEST = (2048, 2048, 64)
OUTLINE = {"outline": True, "width": 3, "merge_outline": False}
_FREE = 10 * 2**30


def painting(sides: Sides, short: bool) -> list[dict[str, Any]]:
    """Split and paint made segmentations; the peer as far as a few seconds go.

    More ids in one section have longer borders between them, so ids are also counted up among the same squares.
    """
    section = (256, 256, 1) if short else (1024, 1024, 1)
    most = 0 if short else 300
    numbers = IDS[::2] if short else IDS
    cases = [("ids", section, ids, ids <= most) for ids in numbers]
    cases += [("ids, outlined", section, ids, ids <= most // 3) for ids in numbers]
    cases += [("ids, same borders", section, ids, False) for ids in numbers]
    shapes = SHAPES[:2] if short else (*SHAPES, *((BIGGEST,) if _free() > _FREE else ()))
    cases += [("voxels", shape, 500, False) for shape in shapes]
    cases += [] if short else [("voxels of 30 ids", shape, 30, True) for shape in shapes[:3]]
    points = []
    for series, shape, ids, both in cases:
        options = OUTLINE if "outlined" in series else {}
        same = {"squares": IDS[-1]} if "same" in series else {}
        case = {"work": "paint", "made": {"shape": shape, "ids": ids, **same}, "options": options}
        voxels = int(np.prod(shape))
        rounds = 1 if short or voxels > 2**26 else 7 if voxels <= 2**20 else 3
        found = sides.compare(case, rounds, peer_rounds=1 if both else 0)
        points.append({"work": "paint", "series": series, "ids": ids, "voxels": voxels, **found["all"]})
    return points


def reading(sides: Sides, service: Service, plan: Plan) -> list[dict[str, Any]]:
    """Joint cutouts without latency, from thin to thick; the peer up to 2^26 voxels."""
    points = []
    for shape in SHAPES[:2] if plan.short else (*SHAPES, READ_BIGGEST):
        case = {**joint_case(plan, service, shape), "elsewhere": None}
        voxels = int(np.prod(shape))
        big = voxels > 2**26
        found = sides.compare(case, 1 if big or plan.short else 2, service, 0 if big or plan.short else 1)
        points.append({"work": "joint", "series": "voxels", "voxels": voxels, **found["first"]})
    return points


def slopes(points: list[dict[str, Any]]) -> dict[str, float]:
    """Fit exponents of time and memory over ids and over voxels, these from 2^20 on: below, constant parts count."""
    fits = {}
    for name, work, series, axis, least in (
        ("paint", "paint", "ids", "ids", 0),
        ("paint outlines", "paint", "ids, outlined", "ids", 0),
        ("paint the same squares", "paint", "ids, same borders", "ids", 0),
        ("paint", "paint", "voxels", "voxels", 2**20),
        ("joint", "joint", "voxels", "voxels", 2**20),
    ):
        chosen = [p for p in points if p["work"] == work and p["series"] == series and p[axis] >= least]
        for figure in ("seconds", "mib"):
            if len(chosen) > 1:
                x = np.log([p[axis] for p in chosen])
                y = np.log([max(p["ours"][figure], 1e-3) for p in chosen])
                fits[f"{name}: {figure} over {axis}"] = float(np.polyfit(x, y, 1)[0])
    return fits


def _free() -> int:
    import psutil

    return int(psutil.virtual_memory().available)
