"""The figures as a Markdown page: what was reached, what each read takes, how near to the limit, how it grows."""

from __future__ import annotations

from typing import Any

_TRIPS = {"first": 3, "next": 2, "repeated": 0}


def targets(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Hold the figures of a full run against the numbers to reach; those without a peer are left open."""
    rows = results["rows"]
    found = []

    def add(work: str, wanted: str, told: str, reached: bool | None) -> None:
        found.append({"work": work, "wanted": wanted, "told": told, "reached": reached})

    def faster(work: str, least: float, line: dict[str, Any], more: str = "", and_also: bool = True) -> None:
        ratio = line["ratio"]
        told = f"{ratio[0]:.3g} x{more}" if ratio else f"peer not measured{more}"
        add(work, f"{least:g} x", told, ratio[0] >= least and and_also if ratio else None)

    for line in rows:
        ours = line["ours"]
        if line["group"] == "paint" and line["step"] == "flat":
            memory = f", memory grows by {ours['mib']:.0f} MiB (at most 60)"
            faster(line["work"], 1000, line, memory, ours["mib"] <= 60)
        elif line["group"] == "paint" and line["step"] == "outline":
            faster(line["work"] + ", width 3", 500, line)
        elif line["group"] == "paint":
            told = f"{ours['seconds']:.2f} s, {ours['mib']:.0f} MiB"
            add(line["work"], "under 2 s and 400 MiB", told, ours["seconds"] < 2 and ours["mib"] <= 400)
        elif line["group"] == "read" and line["step"] == "first":
            thick = line["size"][2] == 64
            least = (5 if thick else 3) if line["latency"] else (4 if thick or line["size"][0] == 256 else 3)
            faster(line["work"], least, line)
            if thick and line["latency"]:
                above = (ours["mib"] - ours["result"]) / ours["result"]
                add("peak memory of that above its result", "at most 0.5 x", f"{above:.2f} x", above <= 0.5)
        elif line["group"] == "read" and line["step"] == "repeated":
            faster(line["work"], 10, line, f", {ours['requests']:.0f} requests", ours["requests"] == 0)
        elif line["group"] == "import" and line["ratio"]:
            share = 1 / line["ratio"][0]
            add(line["work"], "at most 0.1 x the time", f"{share:.3f} x", share <= 0.1)
    for step, most in _TRIPS.items():
        slope = results["round_trips"]["ours"][step]
        theirs = results["round_trips"].get("peer", {}).get(step)
        told = f"{slope:.2f}" + (f" (peer {theirs:.1f})" if theirs is not None else "")
        add(f"round trips in a row, {step}", f"at most {most}", told, slope <= most + 0.3)
    if "weight" in results:
        ours, theirs = results["weight"]["ours"], results["weight"]["peer"]
        size = ours["megabytes"] / theirs["megabytes"]
        told = f"{size:.2f} x: {ours['megabytes']:.0f} of {theirs['megabytes']:.0f} MB"
        add("core install on disk", "at most 0.25 x", told, size <= 0.25)
        count = len(ours["distributions"]) / len(theirs["distributions"])
        told = f"{count:.2f} x: {len(ours['distributions'])} of {len(theirs['distributions'])}"
        add("core install, distributions", "at most 0.2 x", told, count <= 0.2)
    return found


def markdown(results: dict[str, Any], pictures: dict[str, str]) -> str:
    """The page; `pictures` are the paths of plots by title."""
    about = results["about"]
    peers = ", ".join(f"{name} {version}" for name, version in about["peer"].items()) if about["peer"] else "none"
    lines = [
        "# Benchmarks",
        "",
        f"`python benchmarks/run.py{' --short' if about['short'] else ''}` on {about['date']}, "
        f"commit {about['revision']}: {about['machine']}.",
        f"Ours: {', '.join(f'{name} {version}' for name, version in about['ours'].items())}.",
        f"Peer: {peers}.",
        f"Load of the machine, one-minute average as each part began: {_load(about['load'])}.",
        "",
        *_told(about),
        "",
        *_same(results.get("same", {})),
    ]
    if results.get("targets"):
        lines += ["## Numbers to reach", "", "| work | to reach | measured | reached |", "| --- | --- | --- | --- |"]
        words = {True: "yes", False: "**no**", None: "not measured"}
        lines += [f"| {t['work']} | {t['wanted']} | {t['told']} | {words[t['reached']]} |" for t in results["targets"]]
        lines.append("")
    lines += ["## All figures", "", *_figures(results["rows"]), ""]
    if results.get("limits"):
        lines += ["## Distance to the limit", "", *_limits(results["limits"]), ""]
    if results.get("slopes"):
        lines += ["## How it grows", "", *_slopes(results["slopes"]), ""]
    for title, path in pictures.items():
        lines += [f"![{title}]({path})", ""]
    return "\n".join(lines)


def _told(about: dict[str, Any]) -> list[str]:
    x, y, z = about["size"]
    text = [
        f"The volume is the demo's phantom, {x} x {y} x {z} voxels at 8 x 8 x 40 nm ({about['volume_mb']:.0f} MB): "
        "imagery in jpeg chunks of 256 x 256 x 16, supervoxels in gzipped compressed_segmentation of 256 x 256 x 32, "
        "and a chunked graph. The demo server, in a process of its own, waits for the latency before each answer. "
        "Boxes lie off the borders of chunks.",
        "",
        f"Peer and ours take turns at the same work, {about['rounds']} rounds unless the table says otherwise, each "
        "time in a fresh process with nothing cached. Modules that a step loads are found out in a run that is not "
        "counted, and "
        "loaded beforehand. Times are medians; a ratio is that of the medians, with the 10th and 90th percentile over "
        "pairs of rounds. Memory is the peak over what the process held before the step, on Linux; elsewhere the "
        "growth of the peak. `import imageryclient` loads little in ours; the line below it counts all that a cutout "
        "and an overlay load later, so it is the one to compare. A slope counts as a whole number of round trips "
        "within 0.3.",
    ]
    if not about["peer"]:
        text += [
            "",
            "The peers' environment was not there (`python tests/parity/environment.py` makes it): ours alone.",
        ]
    return text


def _load(load: dict[str, float]) -> str:
    return ", ".join(f"{part} {value}" for part, value in load.items()) or "not told by this system"


def _same(same: dict[str, bool]) -> list[str]:
    if not same:
        return []
    differ = [size for size, equal in same.items() if not equal]
    if differ:
        return [f"**Both sides gave different voxels** at {', '.join(differ)}.", ""]
    return [f"Both sides gave the same voxels and ids at {', '.join(same)} (checksums of a run that is not timed).", ""]


def _figures(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| work | ours | peer | ratio | rounds | MiB, ours / peer | requests | MB moved |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in rows:
        sides = [line.get(side) for side in ("ours", "peer")]
        ratio = line["ratio"]
        spread = f"{ratio[0]:.3g} x ({ratio[1]:.3g} to {ratio[2]:.3g})" if ratio else ""
        memory, requests, moved = (
            " / ".join("–" if side is None else form(side) for side in sides)
            if line["ours"].get(name) is not None
            else ""
            for name, form in (
                ("mib", lambda side: f"{side['mib']:.0f}"),
                ("requests", lambda side: f"{side['requests']:.0f}"),
                ("bytes", lambda side: f"{side['bytes'] / 1e6:.3g}"),
            )
        )
        rounds = " / ".join("–" if side is None else str(len(side["all_seconds"])) for side in sides)
        times = [_time(side) if side else "not measured" for side in sides]
        cells = (line["work"], *times, spread, rounds, memory, requests, moved)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _time(side: dict[str, Any]) -> str:
    seconds = side["seconds"]
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _limits(limits: list[dict[str, Any]]) -> list[str]:
    lines = [
        "No cold read is faster than the longest of: three round trips; its bytes through the loopback "
        f"({limits[0]['bandwidth'] / 1e9:.1f} GB/s here); decoding the touched blocks with the fastest codec on all "
        f"cores ({limits[0]['cores']}). Fetching alone is how long the same chunks take from this server, 32 at once, "
        "with nothing else done; it shares the cores with the server.",
        "",
        "| cold read | took | round trips | transfer | decode (imagery + labels on one core) | fetching alone | "
        "took over limit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in limits:
        labels = one["labels"]["inflate"] + one["labels"][one["codec"]]
        parts = f"{1000 * one['imagery']:.3g} + {1000 * labels:.3g}"
        waits = 1000 * one["round_trips"]
        lines.append(
            f"| {one['work']} | {_time({'seconds': one['took']})} | {waits:.3g} ms | {1000 * one['transfer']:.3g} ms "
            f"| {1000 * one['decode']:.3g} ms ({parts}) | {1000 * one['fetch']:.3g} ms | {one['over']:.2f} x |"
        )
    return lines


def _slopes(slopes: dict[str, float]) -> list[str]:
    lines = [
        "Exponents of a power law through the points (1 is linear, 0 is flat): segmentations of equal squares, split "
        "and painted, and joint cutouts without latency. Voxels are fitted from 2^20 on.",
        "",
        "| fit | exponent |",
        "| --- | --- |",
    ]
    return lines + [f"| {name} | {value:.2f} |" for name, value in slopes.items()]
