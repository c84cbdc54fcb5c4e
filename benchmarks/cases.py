"""What is measured, full and short, and the numbers to reach."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rounds import Sides, ratio
from service import Service

LATENCIES = (0.0, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    `center` and `elsewhere` lie off the borders of chunks, as places that people look at do, and within their
    depth; where a box would leave the volume, its centre is moved inwards. `crowded` is what is painted: of the
    sections of 1024² looked through, 64 voxels apart at five depths, the one of most ids.
    """

    short: bool
    rounds: int
    center: tuple[int, int, int]
    elsewhere: tuple[int, int, int]
    crowded: tuple[int, int, int]
    size: tuple[int, int, int]
    reads: tuple[tuple[int, int, int], ...]
    section: int
    sections: int

    @classmethod
    def make(cls, short: bool, rounds: int | None) -> Plan:
        if short:
            reads = ((256, 256, 1), (512, 512, 8))
            centers = (313, 323, 23), (290, 280, 39), (313, 323, 23)
            return cls(True, rounds or 2, *centers, (640, 640, 48), reads, 256, 2)
        reads = ((256, 256, 1), (1024, 1024, 1), (1024, 1024, 8), (1024, 1024, 64))
        centers = (1000, 1010, 71), (600, 590, 103), (512, 768, 120)
        return cls(False, rounds or 5, *centers, (2048, 2048, 128), reads, 1024, 8)

    def place(self, near: Iterable[int], size: Iterable[int]) -> list[int]:
        return [min(max(c, n // 2), whole - (n + 1) // 2) for c, n, whole in zip(near, size, self.size, strict=True)]


def joint_case(plan: Plan, service: Service, size: tuple[int, int, int]) -> dict[str, Any]:
    return {
        "work": "joint",
        **service.sources,
        "center": plan.place(plan.center, size),
        "elsewhere": plan.place(plan.elsewhere, size),
        "size": size,
        "resolution": (8.0, 8.0, 40.0),
    }


def row(name: str, found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One line of the table: a name, both sides, and the ratio with its range."""
    made = {"work": name, **found, "ratio": ratio(found), **more}
    sides = ", ".join(f"{side} {1000 * found[side]['seconds']:.4g} ms" for side in ("ours", "peer") if side in found)
    print(f"{name}: {sides}" + (f", {made['ratio'][0]:.3g} x" if made["ratio"] else ""), flush=True)
    return made


def times(size: Iterable[int]) -> str:
    x, y, z = size
    return f"{x}²x{z}" if x == y else f"{x}x{y}x{z}"


def reads(plan: Plan, sides: Sides, service: Service) -> list[dict[str, Any]]:
    """Joint cutouts: cold, then elsewhere by the same client, then there again at the same moment."""
    names = {"first": "cold", "next": "next, elsewhere", "repeated": "repeated"}
    rows = []
    for latency in (0.02, 0.0):
        service.wait(latency)
        for size in plan.reads[:1] if plan.short and not latency else plan.reads:
            case = joint_case(plan, service, size)
            rounds = 1 if plan.short and not latency else plan.rounds
            for step, found in sides.compare(case, rounds, service).items():
                name = f"joint cutout {times(size)}, {1000 * latency:.0f} ms, {names[step]}"
                rows.append(row(name, found, group="read", size=size, latency=latency, step=step))
    return rows


def same(plan: Plan, sides: Sides, service: Service) -> dict[str, bool]:
    """Say for each size whether both sides give the same imagery and ids; empty without the peer."""
    service.wait(0.0)
    found = {}
    sizes = plan.reads[-1:] if plan.short else plan.reads
    for size in sizes if len(sides.names) > 1 else ():
        case = {**joint_case(plan, service, size), "work": "checking"}
        ours, peer = (sides.run(name, case)[0]["sums"] for name in ("ours", "peer"))
        found[times(size)] = ours == peer
    print(f"the same voxels on both sides: {found}", flush=True)
    return found


def round_trips(plan: Plan, sides: Sides, service: Service) -> dict[str, dict[str, float]]:
    """Slope of time over latency, by least squares through the medians."""
    spent: dict[tuple[str, str], list[float]] = {}
    latencies = LATENCIES[::3] if plan.short else LATENCIES
    for latency in latencies:
        service.wait(latency)
        case = joint_case(plan, service, plan.reads[0])
        found = sides.compare(case, 1 if plan.short else min(plan.rounds, 3), service)
        for step, by_side in found.items():
            for side, told in by_side.items():
                spent.setdefault((side, step), []).append(told["seconds"])
    slopes: dict[str, dict[str, float]] = {}
    for (side, step), seconds in spent.items():
        slopes.setdefault(side, {})[step] = float(np.polyfit(latencies, seconds, 1)[0])
    print(f"round trips in a row: {json.dumps(slopes)}", flush=True)
    return slopes


def section_file(plan: Plan, folder: Path, file: Path, sections: int) -> int:
    """Save sections of the volume as arrays, with objects as of now; give the number of ids in them."""
    import imageryclient as ic

    with Service(folder) as service:
        about = service.sources
        client = ic.ImageryClient(
            image_source=about["image"], segmentation_source=about["segmentation"], auth_token=about["token"]
        )
        size = (plan.section, plan.section, sections)
        cut = client.cutout(plan.place(plan.crowded, size), size=size, timestamp=about["timestamp"])
    assert cut.image is not None
    assert cut.segmentation is not None
    flat = (slice(None), slice(None), 0) if sections == 1 else ...
    np.savez(file, image=cut.image[flat], segmentation=cut.segmentation[flat].astype(np.int64))
    return len(cut.masks)


def paintings(plan: Plan, sides: Sides, folder: Path, scratch: Path) -> list[dict[str, Any]]:
    """Split and paint a section, flat and outlined; then a stack, which the peer is not given."""
    one, many = scratch / "section.npz", scratch / "sections.npz"
    ids = section_file(plan, folder, one, 1)
    side = f"{plan.section}²"
    peer_rounds = 1 if plan.short else min(plan.rounds, 2)
    for name in sides.names:  # a small one tells which modules to load beforehand
        sides.run(name, {"work": "paint", "made": {"shape": (64, 64, 1), "ids": 4}, "options": {"outline": True}})
    rows = []
    for kind, options, most in (
        ("flat", {}, peer_rounds),
        ("outline", {"outline": True, "width": 3}, min(peer_rounds, 1)),
    ):
        case = {"work": "paint", "file": str(one), "options": options}
        found = sides.compare(case, plan.rounds, peer_rounds=most)["all"]
        rows.append(row(f"split + overlay {side}, {ids} ids, {kind}", found, group="paint", step=kind, ids=ids))
    ids = section_file(plan, folder, many, plan.sections)
    case = {"work": "paint", "file": str(many), "options": {}}
    found = sides.compare(case, plan.rounds, peer_rounds=0)["all"]
    name = f"split + overlay {plan.sections} sections of {side}, {ids} ids"
    rows.append(row(name, found, group="paint", step="stack", ids=ids))
    return rows


def imports(plan: Plan, sides: Sides, service: Service) -> list[dict[str, Any]]:
    """Import alone, which ours answers by loading little; and with all that cutouts and overlays load later."""
    service.wait(0.0)
    for side in sides.names:
        if (side, "joint") not in sides.late:
            sides.run(side, joint_case(plan, service, plan.reads[0]))
    case = {"work": "importing", "loads_of": "joint", "everything": False}
    rounds = 1 if plan.short else plan.rounds
    bare = sides.compare(case, rounds)["all"]
    loaded = sides.compare({**case, "everything": True}, rounds)["all"]
    return [
        row("import imageryclient", bare, group="import", step="bare"),
        row("import, and load all that is used later", loaded, group="import", step="everything"),
    ]


def revision(folder: Path) -> str:
    """Give the commit of a checkout, and whether files differ from it."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def volume_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def versions(python: str | Path) -> dict[str, str]:
    """Give what is installed beside an interpreter, of the packages that matter."""
    lines = (
        "import importlib.metadata as m, json, platform",
        "names = ('imageryclient', 'cloud-volume', 'numpy', 'obstore', 'simplejpeg', 'fastremap', 'pillow')",
        "known = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}",
        "print(json.dumps({'python': platform.python_version(), **{n: known[n] for n in names if n in known}}))",
    )
    done = subprocess.run([str(python), "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
