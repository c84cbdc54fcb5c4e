"""Runs in the peers' environment, with this package's source on PYTHONPATH: what `image_cv` and `segmentation_cv` are.

`python cloudvolume_driver.py CASES.json RESULTS.npz`: for each case a client is made and its CloudVolumes are read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from cloudvolume import Bbox

import imageryclient as ic


def main():
    assert ic.__version__.startswith("2."), ic.__version__
    results = {}
    for name, case in json.loads(Path(sys.argv[1]).read_text()).items():
        client = ic.ImageryClient(**case["client"])
        for layer in ("image", "segmentation"):
            volume = getattr(client, f"{layer}_cv")
            if volume is None:
                continue
            assert getattr(client, f"{layer}_cv") is volume
            assert type(volume).__name__.startswith("CloudVolume"), type(volume)
            assert not volume.bounded
            assert volume.fill_missing
            assert not volume.progress
            more = {"agglomerate": True, "timestamp": case["timestamp"]} if case.get("timestamp") else {}
            box = Bbox(*case["box"])
            cut = volume.download(box, mip=case["mip"][layer], coord_resolution=case["resolution"], **more)
            results[f"{name}/{layer}"] = np.asarray(cut)[..., 0]
            results[f"{name}/{layer}/resolution"] = np.asarray(volume.mip_resolution(case["mip"][layer]))
    np.savez(sys.argv[2], **results)


if __name__ == "__main__":
    main()
