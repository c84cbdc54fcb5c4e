"""Measure this package beside imageryclient 1.0.4, the same work in turn, and print ratios of medians.

`python benchmarks/run.py` makes a phantom, serves it with a latency from a process of its own, and runs each case in
fresh processes of both. `--short` takes the demo's small phantom and few rounds. Without the peers' environment
(`python tests/parity/environment.py`) only our side is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from service import Service  # noqa: E402

from parity.environment import peer_python  # noqa: E402


def measure(python: str | Path, case: dict, service: Service | None) -> dict:
    if service is not None:
        service.count()
    done = subprocess.run(
        [str(python), str(HERE / "driver.py"), json.dumps(case)], check=True, capture_output=True, text=True
    )
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if service is not None:
        result["requests"], result["bytes"] = service.count()
    return result


def compare(name: str, case: dict, rounds: int, peer: Path | None, service: Service | None = None) -> list[dict]:
    """Run a case in turn on both sides; one row a figure."""
    sides = {"ours": sys.executable} | ({"peer": peer} if peer else {})
    results: dict[str, list[dict]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, python in sides.items():
            results[side].append(measure(python, case, service))
    rows = []
    for figure, suffix in (("seconds", ""), ("repeated", ", repeated")):
        if figure not in results["ours"][0]:
            continue
        row = {"work": name + suffix}
        for side, runs in results.items():
            values = [run[figure] for run in runs]
            row[side] = statistics.median(values)
            row[f"{side}_spread"] = [min(values), max(values)]
            row[f"{side}_mib"] = statistics.median(run.get("mib", 0) for run in runs)
            if service is not None and not suffix:
                row[f"{side}_requests"] = statistics.median(run["requests"] for run in runs)
        if peer:
            row["ratio"] = row["peer"] / row["ours"]
        rows.append(row)
        print(shown(row), flush=True)
    return rows


def shown(row: dict) -> str:
    def side(name: str) -> str:
        if name not in row:
            return "not measured"
        low, high = row[f"{name}_spread"]
        return f"{1000 * row[name]:.4g} ms ({1000 * low:.3g} to {1000 * high:.3g}), {row[f'{name}_mib']:.0f} MiB"

    ratio = f"{row['ratio']:.3g} x" if "ratio" in row else ""
    return f"| {row['work']} | {side('ours')} | {side('peer')} | {ratio} |"


def middle_of(folder: Path) -> tuple[list[int], list[float]]:
    """The middle of the imagery in voxels of its first stored scale, and that resolution."""
    info = json.loads((folder / "imagery" / "info").read_text())
    scale = next(scale for scale in info["scales"] if scale["key"] != "placeholder")
    return [o + s // 2 for o, s in zip(scale["voxel_offset"], scale["size"], strict=True)], scale["resolution"]


def section(folder: Path, file: Path, size: int) -> int:
    """Save one section of the volume as arrays; give its number of ids."""
    import numpy as np

    import imageryclient as ic

    client = ic.ImageryClient(image_source=folder / "imagery", segmentation_source=folder / "segmentation")
    cut = client.cutout(middle_of(folder)[0], size=(size, size), resolution=middle_of(folder)[1], missing="fill")
    assert cut.image is not None
    assert cut.segmentation is not None
    np.savez(file, image=cut.image[:, :, 0], segmentation=cut.segmentation[:, :, 0])
    return len(cut.masks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a small volume and few rounds")
    parser.add_argument("--folder", type=Path, help="keep the volume here, and use it again")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    rounds = 2 if options.short else 5
    shape = (640, 640, 48) if options.short else (1536, 1536, 96)
    peer = peer_python()
    from imageryclient.demo.build import build_phantom

    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}")
    print("| work | imageryclient | imageryclient 1.0.4 | ratio |\n| --- | --- | --- | --- |", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "phantom"
        if not (folder / "demo.json").exists():
            build_phantom(folder, shape=shape)
        file = Path(scratch) / "section.npz"
        size = 256 if options.short else 1024
        ids = section(folder, file, size)
        for name, painting in (("flat", {}), ("outline, width 3", {"outline": True, "width": 3})):
            case = {"work": "paint", "file": str(file), "options": painting}
            rows += compare(f"split and paint {size} x {size}, {ids} ids, {name}", case, rounds, peer)
        center, resolution = middle_of(folder)
        sizes = (
            [(256, 256, 1), (512, 512, 8)]
            if options.short
            else [(256, 256, 1), (1024, 1024, 1), (1024, 1024, 8), (1024, 1024, 64)]
        )
        for latency in (0.02, 0.0):
            with Service(folder, latency) as service:
                for size in sizes:
                    case = {
                        "work": "joint",
                        "image": f"precomputed://{service.about['url']}/data/imagery",
                        "segmentation": f"graphene://{service.about['url']}/segmentation/table/{service.about['table']}",
                        "token": service.about["token"],
                        "center": center,
                        "resolution": resolution,
                        "size": size,
                        "timestamp": service.about["timestamp"],
                    }
                    name = f"joint cutout {' x '.join(map(str, size))}, {1000 * latency:.0f} ms latency"
                    rows += compare(name, case, rounds, peer, service)
        rows += compare("import", {"work": "importing"}, rounds, peer)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
