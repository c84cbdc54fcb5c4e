"""Run in an environment with the core install only: what importing costs, touches and brings along."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import distributions

FORBIDDEN = ("pandas", "matplotlib", "caveclient", "cloudvolume", "tensorstore", "scipy", "seaborn")

WATCHED = """
import sys
touched = []
def hook(event, args):
    if event.startswith("socket."):
        touched.append((event, args))
    if event == "open" and isinstance(args[0], str) and args[1] is not None and any(m in args[1] for m in "wax+"):
        touched.append((event, args))
sys.addaudithook(hook)
sys.dont_write_bytecode = True
import imageryclient
assert not touched, touched
assert "obstore" not in sys.modules and "urllib3" not in sys.modules, "heavy modules came along"
"""


def main() -> None:
    names = {found.metadata["Name"].lower() for found in distributions()}
    assert {"imageryclient", "numpy", "obstore"} <= names, names
    assert not names & set(FORBIDDEN), names & set(FORBIDDEN)
    subprocess.run([sys.executable, "-c", WATCHED], check=True)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import imageryclient"], check=True)
        times.append(time.perf_counter() - begin)
    best = min(times)
    print(f"import imageryclient: {best:.3f} s, Python's own start included; {len(names)} distributions")
    assert best < 0.25, times
    sample = (
        "import numpy as np, imageryclient as ic; s = np.arange(64, dtype=np.uint64).reshape(8, 8) // 16;"
        "ic.composite_overlay(s, imagery=np.zeros((8, 8), np.uint8)); print(ic.__version__, 'paints')"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", sample], check=True)


if __name__ == "__main__":
    main()
