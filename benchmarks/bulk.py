"""Measure many small cutouts beside imageryclient 1.0.4: the same places, in fresh processes, against one server.

`python benchmarks/bulk.py --out DIR` makes a volume (or takes the one in --folder), cuts out 2,000 places of 256 x 256
x 8, scattered and in clusters, each request waiting 20 ms, and writes `bulk.json` and `bulk.md`. The peer is asked for
the first 200 of them, in a loop and in six threads: its time a place does not depend on how many there are. Requests
are counted, and memory is taken from 200 to 20,000 places. `--short` takes a small volume and 60 places.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import volume  # noqa: E402
from service import Service  # noqa: E402

from parity.environment import peer_python  # noqa: E402

LATENCY = 0.02
CHECKED = 12  # places of which both sides must give the same
WAYS = {"ours": ("completed", "input"), "peer": ("loop", "threads")}
TARGETS = {"loop": 10.0, "threads": 4.0}
MOST_MIB = 600.0


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    volume: tuple[int, int, int]
    size: tuple[int, int, int]
    places: int
    of_peer: int
    growth: tuple[int, ...]

    def centers(self, kind: str, count: int, seed: int = 3) -> list[list[float]]:
        """Give centres whose boxes lie within the volume: anywhere, or around one in a hundred of them."""
        rng = np.random.default_rng(seed)
        low, high = np.array(self.size) / 2, np.array(self.volume) - np.array(self.size) / 2
        if kind == "random":
            return rng.uniform(low, high, (count, 3)).tolist()
        middles = rng.uniform(low, high, (max(1, count // 100), 3))
        spread = np.array(self.size) / [2, 2, 1]
        found = middles[rng.integers(0, len(middles), count)] + rng.normal(0, 1, (count, 3)) * spread
        return found.clip(low, high).tolist()


FULL = Plan(volume.FULL, (256, 256, 8), 2000, 200, (200, 2000, 20_000))
SHORT = Plan(volume.SHORT, (128, 128, 8), 60, 12, (20, 60))


def run(python: Path | str, service: Service, plan: Plan, kind: str, way: str, count: int) -> dict[str, Any]:
    """Cut out so many places one way; give what it took and what the server was asked."""
    case = {
        **service.sources,
        "resolution": volume.RESOLUTION,
        "centers": plan.centers(kind, plan.places if count <= plan.places else count)[:count],
        "size": plan.size,
        "way": way,
        "checked": CHECKED,
    }
    service.count()
    done = subprocess.run(
        [str(python), str(HERE / "bulk_driver.py")], input=json.dumps(case), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{way} ended with {done.returncode}: {done.stderr[-2000:]}")
    paths = service.paths()
    requests, sent = service.count()
    chunks = Counter(path for path in paths if "/data/" in path and not path.endswith("/info"))
    told = json.loads(done.stdout)
    return {
        **told,
        "kind": kind,
        "way": way,
        "ms": 1000 * told["seconds"] / count,
        "requests": requests,
        "mb": sent / 1e6,
        "chunks": len(chunks),
        "twice": sum(times - 1 for times in chunks.values()),
        # One was for the cutout that opens the layers, before the clock.
        "roots": sum(path.endswith("roots_binary") for path in paths) - 1,
    }


def measure(plan: Plan, service: Service, peer: Path | None) -> dict[str, Any]:
    """Do all of it: both kinds of places on both sides, then more and more places on ours."""
    service.wait(LATENCY)
    rows, growth = [], []
    for kind in ("random", "clustered"):
        for way in WAYS["ours"]:
            rows.append(run(sys.executable, service, plan, kind, way, plan.places))
            print(line(rows[-1]), flush=True)
        for way in WAYS["peer"] if peer else ():
            rows.append(run(peer, service, plan, kind, way, plan.of_peer))  # type: ignore[arg-type]
            print(line(rows[-1]), flush=True)
    for count in plan.growth:
        for way in WAYS["ours"]:
            growth.append(run(sys.executable, service, plan, "random", way, count))
            print(line(growth[-1]), flush=True)
    return {"rows": rows, "growth": growth, "same": same(rows), "ratios": ratios(rows)}


def same(rows: list[dict[str, Any]]) -> bool:
    """Tell whether all ways gave the same voxels at the places that were checked."""
    return all(len({json.dumps(row["sums"]) for row in rows if row["kind"] == kind}) == 1 for kind in kinds(rows))


def kinds(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["kind"] for row in rows))


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give how many times faster each of our orders is than each way of the peer's."""
    found = []
    for kind in kinds(rows):
        ms = {row["way"]: row["ms"] for row in rows if row["kind"] == kind}
        for ours in WAYS["ours"]:
            for way in WAYS["peer"]:
                if way in ms:
                    ratio = ms[way] / ms[ours]
                    found.append(
                        {"kind": kind, "order": ours, "peer": way, "ratio": ratio, "reached": ratio >= TARGETS[way]}
                    )
    return found


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['kind']}, {row['way']}: {row['places']} places, {row['ms']:.2f} ms each, {row['requests']} requests, "
        f"{row['twice']} chunks twice, {row['roots']} for roots, {row['mib']:.0f} MiB"
    )


def markdown(results: dict[str, Any]) -> str:
    """Give the page: what each took, how many times faster, and whether the targets are reached."""
    head = "| places | way | number | ms each | CPU ms each | requests | chunks twice | roots | peak MiB |"
    rule = "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"

    def table(rows: list[dict[str, Any]]) -> list[str]:
        cells = (
            f"| {r['kind']} | {r['way']} | {r['places']} | {r['ms']:.2f} | {1000 * r['processor'] / r['places']:.2f} | "
            f"{r['requests']} | {r['twice']} | {r['roots']} | {r['mib']:.0f} |"
            for r in rows
        )
        return [head, rule, *cells]

    x, y, z = results["size"]
    parts = [f"# {results['rows'][0]['places']} places of {x} x {y} x {z}, 20 ms a request", ""]
    parts += [*table(results["rows"]), "", "## Times faster than 1.0.4", ""]
    parts += ["| places | our order | peer | times | target |", "| --- | --- | --- | ---: | --- |"]
    parts += [
        f"| {r['kind']} | {r['order']} | {r['peer']} | {r['ratio']:.1f} | "
        f"{TARGETS[r['peer']]:g}: {'reached' if r['reached'] else 'not reached'} |"
        for r in results["ratios"]
    ]
    parts += ["", "## More and more places", "", *table(results["growth"]), ""]
    most = max(row["mib"] for row in (*results["growth"], *results["rows"]) if row["way"] in WAYS["ours"])
    parts += [
        f"Peak of ours: {most:.0f} MiB, of {MOST_MIB:.0f} at most. "
        f"All ways gave the same voxels at the places checked: {'yes' if results['same'] else 'NO'}.",
        "",
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a small volume and few places")
    parser.add_argument("--folder", type=Path, help="keep the volume here, and use it again")
    parser.add_argument("--no-growth", action="store_true", help="leave out more and more places")
    parser.add_argument("--out", type=Path, help="write bulk.json and bulk.md into this folder")
    options = parser.parse_args()
    plan = SHORT if options.short else FULL
    if options.no_growth:
        plan = Plan(plan.volume, plan.size, plan.places, plan.of_peer, ())
    peer = peer_python()
    if peer is None:
        print("the peers' environment is not there (python tests/parity/environment.py makes it): ours alone")
    with tempfile.TemporaryDirectory() as scratch:
        folder = volume.build(options.folder or Path(scratch) / "phantom", plan.volume)
        with Service(folder) as service:
            results = {"size": plan.size, **measure(plan, service, peer)}
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "bulk.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        (options.out / "bulk.md").write_text(markdown(results), encoding="utf-8")
    print(markdown(results))


if __name__ == "__main__":
    main()
