"""Runs in the peers' environment: what cloud-volume and cloud-files make of source strings.

`python cloudpath_driver.py` reads a JSON object from its input: "parse", a list of sources, and "open", a list of
sources to open. It prints one with the same keys: what was parsed of each, and the shape, dtype and sum of its voxels.
It imports nothing of ours.
"""

from __future__ import annotations

import json
import sys

import cloudfiles.paths
from cloudvolume import CloudVolume
from cloudvolume.paths import strict_extract, to_https_protocol


def parsed(source):
    path = cloudfiles.paths.extract(source)
    https = to_https_protocol(source)
    strict_extract(https)
    return {
        "format": path.format,
        "protocol": path.protocol,
        "bucket": path.bucket,
        "path": path.path,
        "host": path.host,
        "https": https,
    }


def opened(source):
    volume = CloudVolume(source, bounded=False, fill_missing=True, progress=False, use_https=True)
    data = volume[volume.bounds]
    return {"shape": list(data.shape), "dtype": str(data.dtype), "sum": int(data.sum())}


def main():
    asked = json.load(sys.stdin)
    json.dump(
        {"parse": [parsed(source) for source in asked["parse"]], "open": [opened(source) for source in asked["open"]]},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
