"""Calls whichever imageryclient is installed: version 1.0.4 in the peers' environment, ours in the tests' own process.

`python cutouts_driver.py FOLDER` reads FOLDER/cases.json and writes FOLDER/results.npz, and files below
FOLDER/files. Of the case NAME it keeps NAME/0, NAME/1, ... for arrays, NAME/0/ids and NAME/0/masks for a mapping,
NAME/error for an exception. What JSON lacks is written {"array": [...]}, {"bytes": [...]}, {"pair": [...]},
{"moment": unix seconds} and {"by_id": [[id, value], ...]}; {"prefix": name} is the beginning of a file's name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import imageryclient


def read_argument(value, files):
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "prefix":
        (files / content).mkdir(parents=True)
        return str(files / content / "p")
    readers = {
        "array": np.array,
        "moment": lambda seconds: datetime.fromtimestamp(seconds, UTC),
        "bytes": lambda values: np.array(values, np.uint8),
        "by_id": lambda pairs: {int(key): read_argument(item, files) for key, item in pairs},
        "pair": lambda pair: tuple(read_argument(item, files) for item in pair),
    }
    return readers[kind](content)


def flatten(name, result):
    if isinstance(result, tuple):
        return {key: array for n, part in enumerate(result) for key, array in flatten(f"{name}/{n}", part).items()}
    if isinstance(result, Mapping):
        masks = [np.asarray(mask) != 0 for mask in result.values()]
        ids = np.array([int(key) for key in result], dtype=np.uint64)
        return {f"{name}/ids": ids, f"{name}/masks": np.stack(masks) if masks else np.zeros(0, bool)}
    return {name: np.asarray(result)} if result is not None else {}


def make_client(spec, closing):
    options = dict(spec)
    stack = options.pop("cave", None)
    if stack is not None:
        from caveclient import CAVEclient

        options["client"] = CAVEclient(max_retries=0, write_server_cache=False, **stack)
        closing.append(options["client"])
    if "timestamp" in options:
        options["timestamp"] = read_argument(options["timestamp"], None)
    return imageryclient.ImageryClient(**options)


def run(clients, cases, files):
    """Make the clients, call what the cases say, and give all results as arrays by name."""
    closing = []
    made = {name: make_client(spec, closing) for name, spec in clients.items()}
    results = {}
    for case in cases:
        arguments = {key: read_argument(value, files) for key, value in case["arguments"].items()}
        member = getattr(made[case["client"]], case["call"])
        try:
            result = member(**arguments) if callable(member) else member
        except Exception as error:
            results[f"{case['name']}/error"] = np.array(f"{type(error).__name__}: {error}")
        else:
            result = result if isinstance(result, tuple) else (result,)
            results.update(flatten(case["name"], result))
    for client in closing:
        for part in ("_info", "_chunkedgraph", "_materialize", "_state"):
            if getattr(client, part, None) is not None:
                getattr(client, part).session.close()
    return results


def main():
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "cases.json").read_text())
    np.savez(folder / "results.npz", **run(plan["clients"], plan["cases"], folder / "files"))


if __name__ == "__main__":
    main()
