"""Cut out many places in a fresh process; the same file runs under imageryclient 1.0.4 and under ours.

Reads a case as JSON from the command line: layers, centres, a size, and the way: "loop" and "threads" call
`image_and_segmentation_cutout` for each place, which both packages have; "input" and "completed" are the orders of our
`cutouts`. Prints one line of JSON: seconds, the peak of memory, and checksums of the first places.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

THREADS = 6


def opened(case):
    import imageryclient as ic

    return ic.ImageryClient(
        image_source=case["image"],
        segmentation_source=case["segmentation"],
        auth_token=case["token"],
        resolution=case["resolution"],
        timestamp=case["timestamp"],
    )


def one_by_one(case, client):
    """Call for each place, in turn or in threads; give (row, imagery, segmentation)."""

    def cut(row):
        image, ids = client.image_and_segmentation_cutout(
            case["centers"][row], bbox_size=case["size"], resolution=case["resolution"]
        )
        return row, image, ids

    rows = range(len(case["centers"]))
    if case["way"] == "loop":
        yield from map(cut, rows)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        # Not all at once: results would pile up.
        for first in range(0, len(rows), 8 * THREADS):
            yield from pool.map(cut, rows[first : first + 8 * THREADS])


def all_together(case, client):
    from imageryclient.bulk.stream import cutouts

    for one in cutouts(client, case["centers"], case["size"], resolution=case["resolution"], order=case["way"]):
        yield one.index, one.image, one.segmentation


def peak():
    """Give the peak of memory in MiB; on Linux of this program alone, as `getrusage` counts what started it too."""
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main():
    import numpy as np

    case = json.loads(sys.stdin.read())
    warnings.simplefilter("ignore")
    sums, first = {}, None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        client = opened(case)
        # Layers are opened and code is loaded before the clock starts.
        client.image_and_segmentation_cutout(case["centers"][0], bbox_size=(8, 8, 1), resolution=case["resolution"])
        begin, spent = time.perf_counter(), time.process_time()
        read = one_by_one if case["way"] in ("loop", "threads") else all_together
        count = 0
        for row, image, ids in read(case, client):
            first = time.perf_counter() - begin if first is None else first
            count += 1
            if row < case["checked"]:
                whole = image.astype(np.uint8), ids.astype(np.uint64)
                sums[row] = [zlib.crc32(np.squeeze(array).tobytes(order="F")) for array in whole]
        seconds, processor = time.perf_counter() - begin, time.process_time() - spent
    told = {"places": count, "seconds": seconds, "processor": processor, "first": first, "mib": peak()}
    print(json.dumps({**told, "sums": [sums[row] for row in sorted(sums)]}))


if __name__ == "__main__":
    main()
