"""One piece of work in a fresh process; the same lines run under imageryclient 1.0.4 and under ours.

Reads a case as JSON from the command line. After each step it prints what the step took as one line of JSON and
waits for a line of input, so that whoever asked can count requests between steps. Imports are no part of a step:
`preload` names the modules that are imported before the first, and `late` tells which came later.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import resource
import sys
import time
import warnings
import zlib
from pathlib import Path

from points_work import points

_STATUS = Path("/proc/self/status")


def _linux_mib(name):
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 2**10
    raise LookupError(name)


class Peak:
    """How far memory grows: the peak after `Peak()` over what the process held then.

    Linux lets the peak be set back and tells both. Elsewhere it is the growth of the peak since the start of the
    process, which is too small where the inputs took more to load than they take.
    """

    def __init__(self):
        self._linux = _STATUS.exists()
        if self._linux:
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _linux_mib("VmRSS") if self._linux else self._highest()

    def _highest(self):
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (2**20 if sys.platform == "darwin" else 2**10)

    def grown(self):
        return max(0.0, (_linux_mib("VmHWM") if self._linux else self._highest()) - self._before)


def opened(case):
    """Make a client of the case's layers; either package's."""
    import imageryclient as ic

    return ic.ImageryClient(
        image_source=case["image"],
        segmentation_source=case["segmentation"],
        auth_token=case["token"],
        resolution=case["resolution"],
    )


def cut_out(client, case, center):
    """Cut both layers out around a centre."""
    return client.image_and_segmentation_cutout(
        center, bbox_size=case["size"], resolution=case["resolution"], timestamp=case["timestamp"]
    )


def joint(case):
    """Open both layers and cut out (first), then elsewhere (next), then there again (repeated)."""
    import imageryclient  # noqa: F401  # before the clock starts

    def cut(center):
        image, segmentation = cut_out(client, case, center)
        return (image.nbytes + segmentation.nbytes) / 2**20

    yield
    client = opened(case)
    size = cut(case["center"])
    yield {"step": "first", "result": size}
    if case.get("elsewhere"):
        yield {"step": "next", "result": cut(case["elsewhere"])}
        yield {"step": "repeated", "result": cut(case["elsewhere"])}


def made(np, shape, ids, squares=None):
    """Make imagery, and a segmentation of that many ids: squares of equal size, the same in all sections.

    There are just enough squares for the ids, or a given number, among which the ids are shuffled.
    """
    x, y, z = shape
    side = 1
    while side * side < (squares or ids):
        side += 1
    cell = (np.arange(x) * side // x)[:, None] + side * (np.arange(y) * side // y)
    rng = np.random.default_rng(0)
    names = np.resize(rng.integers(2**55, 2**60, ids), side * side)
    if squares:
        rng.shuffle(names)
    segmentation = np.empty(shape, np.int64, order="F")
    segmentation[:] = names[cell][:, :, None]
    image = np.empty(shape, np.uint8, order="F")
    image[:] = (np.arange(x)[:, None] * 7 + np.arange(y) * 3)[:, :, None] % 251
    return (image[:, :, 0], segmentation[:, :, 0]) if z == 1 else (image, segmentation)


def paint(case):
    """Split sections into masks and paint them over the imagery."""
    import numpy as np

    import imageryclient as ic

    if "made" in case:
        image, segmentation = made(np, **case["made"])
    else:
        with np.load(case["file"]) as data:
            image, segmentation = data["image"], data["segmentation"]
    split = ic.segmentation_masks if hasattr(ic, "segmentation_masks") else ic.utils.segmentation_masks
    corner = (slice(16), slice(16))
    ic.composite_overlay(split(segmentation[corner]), imagery=image[corner])  # palettes and tables
    yield
    masks = split(segmentation)
    yield {"step": "split", "continues": True}
    pictures = ic.composite_overlay(masks, imagery=image, **case["options"])
    yield {"step": "all", "result": 4 * segmentation.size / 2**20, "pictures": type(pictures).__name__}


def importing(case):
    """Import the package; ours loads little then, so with `everything` also what a cutout and an overlay load."""
    yield
    import imageryclient

    assert imageryclient.__name__
    if case["everything"]:
        load_all(case["preload"])
    yield {"step": "all"}


def load_all(modules):
    """Load what would be loaded at the first use: our names, and the modules that steps were seen to load."""
    import imageryclient

    for name in ("ImageryClient", "composite_overlay", "segmentation_masks", "errors"):
        getattr(imageryclient, name, None)
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def checking(case):
    """Cut out once, and give checksums of what came."""
    import numpy as np

    import imageryclient  # noqa: F401

    yield
    client = opened(case)
    both = cut_out(client, case, case["center"])
    image, ids = both[0].astype(np.uint8), both[1].astype(np.uint64)
    sums = [[list(array.shape), zlib.crc32(array.tobytes(order="F"))] for array in (image, ids)]
    yield {"step": "all", "sums": sums}


WORKS = {"joint": joint, "checking": checking, "paint": paint, "importing": importing, "points": points}


def main():
    case = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    if case["work"] != "importing":
        load_all(case["preload"])
    steps = WORKS[case["work"]](case)
    with contextlib.redirect_stdout(io.StringIO()):
        next(steps)
    known, peak, spent = set(sys.modules), Peak(), 0.0
    while True:
        begin = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            step = next(steps, None)
        spent += time.perf_counter() - begin
        if step is None:
            return
        result = {**step, "seconds": spent, "mib": peak.grown(), "late": sorted(set(sys.modules) - known)}
        print(json.dumps(result), flush=True)
        sys.stdin.readline()
        if not step.get("continues"):
            known, peak, spent = set(sys.modules), Peak(), 0.0


if __name__ == "__main__":
    main()
