"""The gallery: its pictures are there, and are what its code makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageSequence

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "images" / "gallery"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", PAGE.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_shown_is_there_and_no_other(gallery: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = gallery.pictures_shown(page)
    assert len(shown) == len(set(shown)) == page.count("![")
    files = list(PICTURES.iterdir())
    assert {file.name for file in files} == set(shown)
    assert sum(file.stat().st_size for file in files) < gallery.LARGEST
    saved = {name.replace(".jpg", ".png") for name in shown}
    code = "".join(block for _, block in gallery.code_blocks(page))
    assert all(f'"{name}"' in code for name in saved)


@pytest.mark.slow
def test_the_code_on_the_page_makes_its_pictures(gallery: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sizes = gallery.make_pictures(tmp_path)
    assert sizes.keys() == {file.name for file in PICTURES.iterdir()}
    for name in sizes:
        made, kept = tmp_path / name, PICTURES / name
        if name.endswith(".svg"):
            one, other = (ElementTree.parse(file).getroot() for file in (made, kept))
            assert (one.get("viewBox"), len(list(one.iter()))) == (other.get("viewBox"), len(list(other.iter())))
            continue
        frames = [[frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(file))] for file in (made, kept)]
        assert len(frames[0]) == len(frames[1])
        for one, other in zip(*frames, strict=True):
            assert one.size == other.size
            apart = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
            assert apart.mean() < 2, name  # of fonts and decoders
