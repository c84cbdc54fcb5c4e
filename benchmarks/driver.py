"""One piece of work, timed in a fresh process; the same lines run under imageryclient 1.0.4 and under ours.

Reads a case as JSON from the command line, prints what it took as JSON. Imports are not counted.
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


def peak_mib() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def joint(case: dict) -> dict:
    """Open both layers and cut out once (cold), then again elsewhere (next), then the same (repeated)."""
    import imageryclient as ic

    def cut(client, center):
        image, segmentation = client.image_and_segmentation_cutout(
            center, bbox_size=case["size"], resolution=case["resolution"], timestamp=case["timestamp"]
        )
        return image.nbytes + segmentation.nbytes

    before = peak_mib()
    begin = time.perf_counter()
    client = ic.ImageryClient(
        image_source=case["image"],
        segmentation_source=case["segmentation"],
        auth_token=case["token"],
        resolution=case["resolution"],
    )
    size = cut(client, case["center"])
    cold = time.perf_counter()
    grown = peak_mib() - before
    cut(client, case["center"])
    repeated = time.perf_counter()
    return {
        "seconds": cold - begin,
        "repeated": repeated - cold,
        "mib": grown,
        "result_mib": size / 2**20,
    }


def paint(case: dict) -> dict:
    """Split a section into masks and paint them over the imagery."""
    import numpy as np

    import imageryclient as ic

    with np.load(case["file"]) as data:
        image, segmentation = data["image"], data["segmentation"].astype(np.int64)
    split = ic.segmentation_masks if hasattr(ic, "segmentation_masks") else ic.utils.segmentation_masks
    ic.composite_overlay(split(segmentation[:16, :16]), imagery=image[:16, :16])  # imports and tables
    before = peak_mib()
    begin = time.perf_counter()
    ic.composite_overlay(split(segmentation), imagery=image, **case["options"])
    return {"seconds": time.perf_counter() - begin, "mib": peak_mib() - before}


def importing(case: dict) -> dict:
    begin = time.perf_counter()
    import imageryclient  # noqa: F401

    return {"seconds": time.perf_counter() - begin}


def main() -> None:
    case = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    if case["work"] != "importing":
        import imageryclient

        with contextlib.suppress(AttributeError):  # ours loads its names, and what they need, when first used
            imageryclient.ImageryClient, imageryclient.composite_overlay, imageryclient.errors  # noqa: B018
            for name in ("deflate", "obstore.store", "simplejpeg", "urllib3"):
                importlib.import_module(name)
    with contextlib.redirect_stdout(io.StringIO()):
        result = {"joint": joint, "paint": paint, "importing": importing}[case["work"]](case)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
