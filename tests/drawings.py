"""What the tests of vector figures draw, and what Chromium shows of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.geometry import Box

NM = (8.0, 8.0, 40.0)
BIG = 864691135000000000


def cells(width: int = 90, height: int = 70, count: int = 25, seed: int = 0) -> np.ndarray:
    """Labels from 0 like cells in a section, axes (x, y)."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, (width, height), (count, 2))
    x, y = np.mgrid[:width, :height]
    wavy = np.stack([x + 3 * np.sin(y / 9), y + 3 * np.sin(x / 7)], axis=-1)
    return ((wavy[:, :, None] - seeds) ** 2).sum(axis=3).argmin(axis=2)


def made(depth: int = 1) -> ic.Cutout:
    """Twenty cells with gaps between some of them, over noise."""
    labels = np.stack([cells(seed=n) for n in range(depth)], axis=2).astype(np.uint64)
    ids = np.where(labels > 4, labels + np.uint64(BIG), 0).astype(np.uint64)
    image = np.random.default_rng(5).integers(40, 220, ids.shape, dtype=np.uint8)
    box = Box((10, 20, 30), (100, 90, 30 + depth), NM)
    return ic.Cutout(image, ids, box, sources={"imagery": "precomputed://gs://a/<em>&(1)", "segmentation": "gs://b"})


def painted(documents: list[bytes], size: tuple[int, int], folder: Path) -> list[np.ndarray]:
    """What Chromium shows of SVGs, at a size in pixels; axes (y, x, channel)."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    width, height = size
    shown = []
    for number, document in enumerate(documents):
        (folder / f"{number}.svg").write_bytes(document)
        shown.append(f'<img src="{number}.svg">')
    style = f"body{{margin:0;overflow:hidden}}img{{display:block;width:{width}px;height:{height}px}}"
    (folder / "page.html").write_text(f"<!doctype html><style>{style}</style>{''.join(shown)}")
    offline = ["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND"]
    window = f"--window-size={width},{height * len(documents)}"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
             "--force-color-profile=srgb", window, f"--user-data-dir={folder / 'profile'}",
             f"--screenshot={folder / 'shot.png'}", *offline]  # fmt: skip
    subprocess.run([browser, *flags, (folder / "page.html").as_uri()], check=True, capture_output=True, timeout=100)
    with Image.open(folder / "shot.png") as picture:
        page = np.asarray(picture.convert("RGB"))[: height * len(documents), :width].astype(int)
    return list(page.reshape(len(documents), height, width, 3))
