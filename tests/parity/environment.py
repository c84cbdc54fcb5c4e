"""Make the environment of the peers: imageryclient 1.0.4, cloud-volume with its codecs, tensorstore; apart from ours.

`python tests/parity/environment.py` makes it in `.peer` at the root of the checkout. Tests that compare with the
peers use it when it is there, or the Python that IMAGERYCLIENT_PEER_PYTHON names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = (
    # One after the other: together, pip looks for minutes for versions of boto3 that suit both, though the first group
    # does without it.
    ("zarr>=3", "ome-zarr>=0.11", "z5py", "tensorstore"),
    (
        *("imageryclient==1.0.4", "cloud-volume", "caveclient"),
        *("compresso", "crackle-codec", "fpzip", "zfpc", "zfpy!=1.0.1.post0", "imagecodecs", "pyspng-seunglab"),
        *("neuroglancer", "selenium"),  # with Chromium they show what links and colours really look like
        *("obstore", "cmap", "backports.zstd"),  # with which it runs this package's source beside cloud-volume
    ),
)
FOLDER = Path(__file__).resolve().parents[2] / ".peer"


def peer_python() -> Path | None:
    """The peers' interpreter, None where it has not been made."""
    named = os.environ.get("IMAGERYCLIENT_PEER_PYTHON")
    if named:
        return Path(named)
    made = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return made if made.exists() and (FOLDER / "complete").exists() else None


def main() -> None:
    if peer_python() is None:
        venv.create(FOLDER, with_pip=True, clear=True)
        python = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        for packages in PACKAGES:
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (FOLDER / "complete").touch()
    print(f"the peers' Python: {peer_python()}")


if __name__ == "__main__":
    sys.exit(main())
