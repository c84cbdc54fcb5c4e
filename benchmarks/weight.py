"""What an installation weighs: bytes on disk and number of distributions, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path
from typing import Any

_TOOLS = ("pip", "setuptools", "wheel")


def weigh(folder: Path, *packages: str) -> dict[str, Any]:
    """Install packages into a fresh environment in `folder`, and weigh what came beside pip itself."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-compile", *packages], check=True)
    told = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    site = Path(told.stdout.strip())
    names = sorted(path.name.partition("-")[0] for path in site.glob("*.dist-info"))
    files = [path for path in site.rglob("*") if path.is_file() and path.relative_to(site).parts[0] not in _TOOLS]
    return {
        "megabytes": sum(path.stat().st_size for path in files) / 1e6,
        "distributions": [name for name in names if name not in _TOOLS],
    }
