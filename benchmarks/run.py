"""Measure this package beside imageryclient 1.0.4: the same work in turn, in fresh processes, against one server.

`python benchmarks/run.py --out DIR` makes a volume (or takes the one in --folder), measures for about a quarter of an
hour, and writes `benchmarks.json`, `benchmarks.md` and `benchmarks.png`. `--short` takes a small volume and a minute.
Without the peers' environment (`python tests/parity/environment.py` makes it) only our side is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import cases  # noqa: E402
import limits  # noqa: E402
import points  # noqa: E402
import scaling  # noqa: E402
import table  # noqa: E402
import volume  # noqa: E402
import weight  # noqa: E402
from rounds import Sides  # noqa: E402
from service import Service  # noqa: E402

from parity.environment import peer_python  # noqa: E402

PARTS = ("paint", "same", "read", "points", "trips", "limits", "scaling", "import", "weight")


def about(plan: cases.Plan, folder: Path, peer: Path | None) -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": ", ".join(
            (_processor(), f"{os.cpu_count()} cores", f"{_memory():.0f} GiB", platform.system(), platform.release())
        ),
        "revision": cases.revision(HERE),
        "ours": cases.versions(sys.executable),
        "peer": cases.versions(peer) if peer else None,
        "short": plan.short,
        "rounds": plan.rounds,
        "size": plan.size,
        "volume_mb": cases.volume_bytes(folder) / 1e6,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory() -> float:
    import psutil

    return float(psutil.virtual_memory().total) / 2**30


def distances(plan: cases.Plan, folder: Path, service: Service, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give for each cold read what bounds it, and how far it is from there."""
    bandwidth = limits.loopback()
    found = []
    for line in rows:
        if line["group"] != "read" or line["step"] != "first":
            continue
        service.wait(line["latency"])
        low = [c - n // 2 for c, n in zip(plan.place(plan.center, line["size"]), line["size"], strict=True)]
        bound = limits.limit(folder, low, line["size"], line["ours"]["bytes"], bandwidth)
        trips = limits.ROUND_TRIPS * line["latency"]
        took = line["ours"]["seconds"]
        over = took / max(trips, bound["transfer"], bound["decode"])
        fetch = limits.fetch_seconds(service, folder, low, line["size"])
        more = {"work": line["work"], "took": took, "round_trips": trips, "over": over, "fetch": fetch}
        found.append({**bound, **more, "bandwidth": bandwidth, "cores": os.cpu_count()})
        print(f"{line['work']}: {over:.2f} x the limit", flush=True)
    return found


def measure(plan: cases.Plan, sides: Sides, folder: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Do all parts that are wanted."""
    results: dict[str, Any] = {"about": about(plan, folder, sides.peer), "rows": []}
    rows = results["rows"]
    load = results["about"].setdefault("load", {})

    def due(part: str) -> bool:
        if wanted(part) and hasattr(os, "getloadavg"):
            load[part] = round(os.getloadavg()[0], 1)
        return wanted(part)

    with tempfile.TemporaryDirectory() as scratch:
        if due("paint"):
            rows += cases.paintings(plan, sides, folder, Path(scratch))
        with Service(folder) as service:
            if due("same"):
                results["same"] = cases.same(plan, sides, service)
            if due("read"):
                rows += cases.reads(plan, sides, service)
            if due("points"):
                rows += points.lookups(plan, sides, service)
            if due("trips"):
                results["round_trips"] = cases.round_trips(plan, sides, service)
            if due("limits"):
                results["limits"] = distances(plan, folder, service, rows)
            if due("scaling"):
                service.wait(0.0)
                results["scaling"] = scaling.painting(sides, plan.short)
                results["scaling"] += scaling.reading(sides, service, plan)
                results["slopes"] = scaling.slopes(results["scaling"])
                print(json.dumps(results["slopes"]), flush=True)
            if due("import"):
                rows += cases.imports(plan, sides, service)
        if due("weight") and not plan.short:
            results["weight"] = {
                "ours": weight.weigh(Path(scratch) / "ours", str(HERE.parent)),
                "peer": weight.weigh(Path(scratch) / "peer", "imageryclient==1.0.4"),
            }
    return results


def write(results: dict[str, Any], out: Path, peer: Path | None) -> None:
    """Write the figures, the plot where there is matplotlib, and the page."""
    out.mkdir(parents=True, exist_ok=True)
    figures, picture = out / "benchmarks.json", out / "benchmarks.png"
    figures.write_text(json.dumps(results, indent=1), encoding="utf-8")
    pictures = {}
    if peer is not None:
        drawn = subprocess.run([peer, HERE / "plot.py", figures, picture], capture_output=True, text=True)
        if drawn.returncode == 0:
            pictures["Times faster than 1.0.4, and growth with ids and voxels"] = picture.name
        else:
            print(f"no plot: {drawn.stderr.strip().splitlines()[-1:]}")
    (out / "benchmarks.md").write_text(table.markdown(results, pictures), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a small volume and few rounds")
    parser.add_argument("--folder", type=Path, help="keep the volume here, and use it again")
    parser.add_argument("--only", metavar="WORD", help=f"only the parts that hold this word: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="how often each case is run; 5, or 2 with --short")
    parser.add_argument("--out", type=Path, help="write benchmarks.json, .md and .png into this folder")
    options = parser.parse_args()
    plan = cases.Plan.make(options.short, options.rounds)
    sides = Sides(peer_python())
    if sides.peer is None:
        print("the peers' environment is not there (python tests/parity/environment.py makes it): ours alone")
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = volume.build(options.folder or Path(scratch) / "phantom", plan.size)
        sides.compiled = Path(scratch) / "compiled"
        results = measure(plan, sides, folder, lambda part: not options.only or options.only in part)
    if not plan.short and not options.only:
        results["targets"] = table.targets(results)
    results["about"]["minutes"] = (time.perf_counter() - begin) / 60
    if options.out:
        write(results, options.out, sides.peer)
    print(table.markdown(results, {}) if not options.only else json.dumps(results["rows"], indent=1))


if __name__ == "__main__":
    main()
