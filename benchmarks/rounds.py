"""The same work in turn on both sides, several times over, in fresh processes; kept in full, told by medians."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service import Service

DRIVER = Path(__file__).resolve().parent / "driver.py"


class FailedError(Exception):
    """A process ended before its work did."""


@dataclass
class Sides:
    """The interpreters: ours, and the peers' where there is one.

    `compiled` is a folder for our compiled code. `late` remembers, for each side and work, the modules that were loaded
    during a step, to load them before it.
    """

    peer: Path | None
    compiled: Path | None = None
    late: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return ["ours", "peer"] if self.peer else ["ours"]

    def run(self, side: str, case: dict[str, Any], service: Service | None = None) -> list[dict[str, Any]]:
        """Do a case once; give its steps, with requests and bytes where a service is asked."""
        known = self.late.setdefault((side, case.get("loads_of", case["work"])), set())
        python = sys.executable if side == "ours" else str(self.peer)
        arguments = json.dumps({**case, "preload": sorted(known)})
        steps = []
        if service is not None:
            service.count()
        with subprocess.Popen(
            [python, str(DRIVER), arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(side),
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                step = json.loads(line)
                if case["work"] != "importing":
                    known.update(step["late"])
                step["late"] = len(step["late"])
                if service is not None:
                    step["requests"], step["bytes"] = service.count()
                steps.append(step)
                process.stdin.write("\n")
                process.stdin.flush()
            said = process.stderr.read()
        if process.returncode:
            raise FailedError(f"{side} ended with {process.returncode}: {said[-2000:]}")
        return steps

    def _environment(self, side: str) -> dict[str, str]:
        """Let ours keep compiled code, as the peer's was compiled when installed; let the peer find its own alone."""
        dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", *(("PYTHONPATH",) if side == "peer" else ()))
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        if side == "peer":
            return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}
        return {**kept, "PYTHONPYCACHEPREFIX": str(self.compiled)} if self.compiled else kept

    def compare(
        self,
        case: dict[str, Any],
        rounds: int,
        service: Service | None = None,
        peer_rounds: int | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Do a case in turn on both sides; give for each step and side its medians and all its seconds.

        The first run of a work on each side is not counted: it tells which modules to load beforehand. `peer_rounds`
        0 leaves the peer out.
        """
        counts = {"ours": rounds, "peer": rounds if peer_rounds is None else peer_rounds}
        sides = [side for side in self.names if counts[side]]
        runs: dict[str, list[list[dict[str, Any]]]] = {side: [] for side in sides}
        for side in sides:
            if (side, case.get("loads_of", case["work"])) not in self.late:
                self.run(side, case, service)
        for n in range(max(counts[side] for side in sides)):
            for side in sides:
                if n < counts[side]:
                    try:
                        runs[side].append(self.run(side, case, service))
                    except FailedError as error:
                        if side == "ours":
                            raise
                        print(f"left out: {error}", flush=True)
                        counts[side] = 0
        found: dict[str, dict[str, Any]] = {}
        for side in sides:
            for same in zip(*runs[side], strict=True):
                found.setdefault(same[0]["step"], {})[side] = summary(same)
        return found


def summary(steps: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Give the medians of a step's figures, and every time it took."""
    steps = list(steps)
    figures = {
        name: [step[name] for step in steps] for name, value in steps[0].items() if isinstance(value, int | float)
    }
    told = {name: statistics.median(values) for name, values in figures.items()}
    return {**told, "all_seconds": figures["seconds"]}


def ratio(step: dict[str, Any]) -> tuple[float, float, float] | None:
    """How many times faster ours is: the ratio of medians, and the range of those of pairs of rounds."""
    if "peer" not in step or "ours" not in step:
        return None
    ours, peer = step["ours"], step["peer"]
    pairs = [p / o for p in peer["all_seconds"] for o in ours["all_seconds"]]
    pairs.sort()
    low, high = pairs[len(pairs) // 10], pairs[-1 - len(pairs) // 10]
    return peer["seconds"] / ours["seconds"], low, high
