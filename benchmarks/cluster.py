"""Measure an export on Dask: the same places written by this process alone, and by 1, 2 and 4 local workers.

`python benchmarks/cluster.py --folder DIR` makes the benchmarks' volume in DIR, or takes the one that is there, and
writes 1,000 places of 256 x 256 x 8 as Zarr, each request waiting 20 ms. The workers share this machine's processors
with the server, so that more of them than processors only show what they cost.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import volume  # noqa: E402
from service import Service  # noqa: E402

LATENCY = 0.02
SIZE = (256, 256, 8)
WORKERS = (0, 1, 2, 4)


def digest(folder: Path) -> str:
    """Give a checksum of all files, by name and bytes."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return total.hexdigest()


def exported(service: Service, centers: list[list[int]], to: Path, workers: int) -> float:
    """Write the places with so many workers, without any in this process; give the seconds."""
    import imageryclient as ic

    ic.clear_cache()
    named = service.sources
    client = ic.ImageryClient(
        image_source=named["image"],
        segmentation_source=named["segmentation"],
        auth_token=named["token"],
        resolution=volume.RESOLUTION,
        timestamp=named["timestamp"],
    )
    options = {"bbox_size": SIZE}
    if not workers:
        begun = time.perf_counter()
        client.export(centers, to, **options)
        return time.perf_counter() - begun
    import dask
    from distributed import Client, LocalCluster

    # As docs/bulk.md says: two threads, so that one group is fetched while another is written; and memory of the size
    # of an array is kept for the next one, which Dask has workers give back to the system each time.
    keeping = dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**27,
            "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
        }
    )
    cluster = LocalCluster(n_workers=workers, threads_per_worker=2, dashboard_address=None)
    with keeping, cluster, Client(cluster) as scheduler:
        scheduler.wait_for_workers(workers)
        begun = time.perf_counter()
        client.export(centers, to, scheduler=scheduler, **options)
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the volume here, and use it again")
    parser.add_argument("--places", type=int, default=1000)
    options = parser.parse_args()
    rng = np.random.default_rng(3)
    low, high = np.array(SIZE) // 2, np.array(volume.FULL) - np.array(SIZE) // 2
    centers = rng.integers(low, high, (options.places, 3)).tolist()
    print("| workers | seconds | ms a place |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = volume.build(options.folder or Path(scratch) / "phantom", volume.FULL)
        with Service(folder) as service:
            service.wait(LATENCY)
            seen = set()
            for workers in WORKERS:
                to = Path(scratch, f"{workers}.zarr")
                seconds = exported(service, centers, to, workers)
                seen.add(digest(to))
                name = str(workers) if workers else "none, this process"
                print(f"| {name} | {seconds:.1f} | {1000 * seconds / options.places:.1f} |", flush=True)
    print(f"\nThe outputs are the same, bit for bit: {'yes' if len(seen) == 1 else 'NO'}.")


if __name__ == "__main__":
    main()
