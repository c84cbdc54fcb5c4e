"""Make the pictures of the gallery: `python docs/gallery.py` runs the blocks of code on the page, one after the other.

They run in a folder of their own, offline. Each picture that the page shows is one that its code has saved there, under
that name; one shown as .jpg was saved as .png.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).with_name("gallery.md")
PICTURES = "images/gallery/"
LARGEST = 2_000_000  # bytes of all pictures together
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"!\[[^\]]*\]\(" + re.escape(PICTURES) + r"([\w.-]+)\)")


def code_blocks(page: str) -> list[tuple[int, str]]:
    """Give the code of a page: the line that each block begins at, and what it holds."""
    return [(page[: match.start(1)].count("\n") + 1, match[1]) for match in _BLOCK.finditer(page)]


def pictures_shown(page: str) -> list[str]:
    """Give the names of the pictures that a page shows."""
    return _PICTURE.findall(page)


def run_page(page: str, folder: Path) -> None:
    """Run all code of a page in a folder; a warning is an error."""
    names: dict[str, object] = {"__name__": "gallery"}
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("error")
        for line, code in code_blocks(page):
            start = time.perf_counter()
            exec(compile("\n" * (line - 1) + code, str(PAGE), "exec"), names)
            print(f"line {line}: {time.perf_counter() - start:.1f} s", file=sys.stderr)


def picture_bytes(folder: Path, name: str) -> bytes:
    """Give a picture as the page shows it."""
    made = folder / name
    if made.suffix != ".jpg":
        return made.read_bytes()
    picture = Image.open(made.with_suffix(".png")).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=87, subsampling=0, optimize=True)  # whole colours: outlines are thin
    return buffer.getvalue()


def make_pictures(target: Path) -> dict[str, int]:
    """Run the page and write its pictures; give their sizes in bytes."""
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_page(page, folder)
        made = {shown: picture_bytes(folder, shown) for shown in pictures_shown(page)}
    target.mkdir(parents=True, exist_ok=True)
    for left in {path.name for path in target.iterdir()} - made.keys():
        (target / left).unlink()
    for shown, content in made.items():
        (target / shown).write_bytes(content)
    return {shown: len(content) for shown, content in made.items()}


def main() -> None:
    """Make the pictures, beside the page or elsewhere, and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", type=Path, default=PAGE.parent / PICTURES, help="where they go")
    sizes = make_pictures(parser.parse_args().target)
    for shown, size in sizes.items():
        print(f"{size / 1000:8.1f} kB  {shown}")
    total = sum(sizes.values())
    print(f"{total / 1000:8.1f} kB  together")
    if total > LARGEST:
        raise SystemExit(f"the pictures take more than {LARGEST / 1e6:g} MB")


if __name__ == "__main__":
    main()
