"""Draw the figures of a run: `python plot.py FIGURES.json PICTURE.png`, where matplotlib is, as beside the peers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

OURS, PEER, QUIET = "#00629b", "#d9822b", "#777777"


def ratios(axes, results):
    """Bars of how many times faster, with the range; a mark where the number to reach lies."""
    wanted = {t["work"].removesuffix(", width 3"): t["wanted"] for t in results.get("targets", ())}
    rows = [row for row in results["rows"] if row["ratio"]]
    for place, row in enumerate(rows):
        middle, low, high = row["ratio"]
        axes.barh(place, middle, color=OURS, height=0.7)
        axes.plot([low, high], [place, place], color="black", linewidth=1)
        least = wanted.get(row["work"], "")
        if least.endswith(" x") and "most" not in least:
            axes.plot([float(least[:-2])] * 2, [place - 0.42, place + 0.42], color=PEER, linewidth=2)
            high = max(high, float(least[:-2]))
        axes.text(high * 1.1, place, f"{middle:.3g}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row["work"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(left=1, right=axes.get_xlim()[1] * 2)
    axes.set_title("times faster than imageryclient 1.0.4 (orange: to reach)", fontsize=10)


def growth(axes, points, axis, figure, label):
    """Lines of both sides, and one that is linear to compare with."""
    for side, color in (("ours", OURS), ("peer", PEER)):
        known = sorted((p[axis], p[side][figure]) for p in points if side in p and p[side][figure] > 0)
        if known:
            axes.plot(*zip(*known, strict=True), "o-", color=color, markersize=4, label=side)
    first = min((p[axis], p["ours"][figure]) for p in points)
    last = max(p[axis] for p in points)
    if axis == "voxels" and first[1] > 0:
        axes.plot([first[0], last], [first[1], first[1] * last / first[0]], ":", color=QUIET, label="linear")
    axes.set_xscale("log", base=2 if axis == "voxels" else 10)
    axes.set_yscale("log")
    axes.set_xlabel(axis)
    axes.set_ylabel(label)
    axes.legend(fontsize=8)


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text())
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    points = results.get("scaling", [])

    def series(work, name):
        return [p for p in points if p["work"] == work and p["series"] == name]

    panels = [
        (series("paint", "ids"), "ids", "split + overlay of one section"),
        (series("paint", "voxels"), "voxels", "split + overlay, 500 ids"),
        (series("joint", "voxels"), "voxels", "joint cutout, no latency"),
    ]
    panels = [panel for panel in panels if panel[0]]
    figure = plt.figure(figsize=(11, 13 if panels else 7), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1)) if panels else (figure, None)
    ratios(top.subplots(), results)
    if bottom is not None:
        grid = bottom.subplots(2, len(panels), squeeze=False)
        for column, (chosen, axis, title) in enumerate(panels):
            growth(grid[0][column], chosen, axis, "seconds", "s")
            growth(grid[1][column], chosen, axis, "mib", "MiB")
            grid[0][column].set_title(title, fontsize=10)
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
