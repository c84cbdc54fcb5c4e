"""Objects at 10,000 scattered points, beside cloud-volume and caveclient."""

from __future__ import annotations

from typing import Any

from cases import Plan, row
from rounds import FailedError, Sides
from service import Service

FEW = 50  # points that the peers look up one by one, to tell how long all would take


def lookups(plan: Plan, sides: Sides, service: Service) -> list[dict[str, Any]]:
    """Points one by one (the peer's time for a few, scaled) and all in one go, with nothing cached; opening apart."""
    count = 1000 if plan.short else 10_000
    rows = []
    for latency in (0.02, 0.0):
        service.wait(latency)
        case = {
            "work": "points",
            **service.sources,
            "url": service.about["url"],
            "datastack": "phantom",
            "resolution": (8.0, 8.0, 40.0),
            "low": (0, 0, 0),
            "high": plan.size,
            "count": count,
            "few": FEW,
            "seed": 0,
        }
        found = sides.compare(case, plan.rounds, service, peer_rounds=1)
        for step, by_side in found.items():
            if "peer" in by_side:
                if by_side["ours"]["sum"] != by_side["peer"]["sum"]:
                    raise FailedError(f"both sides found other objects at the points ({step})")
                _scaled(by_side["peer"], count)
            how = f"peer's {FEW} scaled" if step == "one by one" else "caveclient's get_roots over scattered_points"
            name = f"objects at {count:,} points, {1000 * latency:.0f} ms, {step} ({how})"
            rows.append(row(name, by_side, group="points", step=step, latency=latency))
    return rows


def _scaled(peer: dict[str, Any], count: int) -> None:
    """Let what was measured for fewer points stand for all; nothing is shared between points looked up one by one."""
    factor = count / peer["looked_up"]
    for name in ("seconds", "requests", "bytes"):
        peer[name] *= factor
    peer["all_seconds"] = [factor * seconds for seconds in peer["all_seconds"]]
