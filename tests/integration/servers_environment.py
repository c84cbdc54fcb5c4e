"""Make the environment of the servers that storage is tried on: moto (S3), gcp-storage-emulator and Azurite (Azure).

`python tests/integration/servers_environment.py` makes it in `.servers` at the root of the checkout, or in the folder
that IMAGERYCLIENT_SERVERS names. Azurite takes npm; without npm it is left out, and the tests that need it are skipped,
as all of them are without the environment. Nothing of it is installed beside imageryclient.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ("moto[s3,iam]>=5", "flask", "flask-cors", "werkzeug", "gcp-storage-emulator")
NODE_PACKAGES = ("azurite@3",)
FOLDER = Path(os.environ.get("IMAGERYCLIENT_SERVERS") or Path(__file__).resolve().parents[2] / ".servers")


def servers_python() -> Path | None:
    """The interpreter of the servers' environment, None where it has not been made."""
    made = FOLDER / "python" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return made if made.exists() and (FOLDER / "complete").exists() else None


def azurite() -> Path | None:
    """Azurite's program, None where it has not been installed."""
    made = FOLDER / "node/node_modules/azurite/dist/src/blob/main.js"
    return made if made.exists() and shutil.which("node") else None


def main() -> None:
    if servers_python() is None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / ".gitignore").write_text("*\n")
        venv.create(FOLDER / "python", with_pip=True, clear=True)
        python = FOLDER / "python" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (FOLDER / "complete").touch()
    npm = shutil.which("npm")
    if npm and azurite() is None:
        node = FOLDER / "node"
        node.mkdir(exist_ok=True)
        quiet = ("--no-audit", "--no-fund", "--loglevel=error")
        done = subprocess.run([npm, "install", "--prefix", node, *quiet, *NODE_PACKAGES], cwd=node, check=False)
        if done.returncode:
            print("npm could not install Azurite; what needs it is skipped")
    print(f"the servers' Python: {servers_python()}; Azurite: {azurite() or 'not installed'}")


if __name__ == "__main__":
    sys.exit(main())
