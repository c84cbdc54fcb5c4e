"""Check a built wheel: the typing marker is in it, tests and demo data are not, and its metadata are whole."""

from __future__ import annotations

import sys
import zipfile


def main(path: str) -> None:
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        text = wheel.read(metadata).decode()
    assert "imageryclient/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names), names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]
    assert "License-Expression: MIT" in text
    assert "Version: 2.0.0a1" in text
    print(f"{path}: {len(names)} files")


if __name__ == "__main__":
    main(sys.argv[1])
