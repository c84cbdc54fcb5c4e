"""The house itself: its public names, and which rooms may know of which."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import imageryclient as ic

ROOT = Path(ic.__file__).parent
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py"))
PURE = (
    "errors", "geometry", "scales", "coverage", "place", "ids", "moment", "cloudpath", "node_ids", "precomputed",
    "compact", "masks", "color", "outline", "paint", "overlay", "picture", "figure", "export", "neuroglancer",
)  # fmt: skip
NETWORKED = (
    "storage", "cachefolder", "rest", "chunkedgraph", "cave", "volumes", "layers", "reading", "dataset", "cutouts",
    "client", "cutout", "cli", "demo", "pools", "cache",
)  # fmt: skip


def imported(module: str) -> set[str]:
    """The rooms of this package that a module imports, at its top or within functions."""
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    parts = module.split(".")
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join([*base, *name.split(".")]).split(".")[0] for name in names}
    return found


def test_the_public_names_are_just_those_listed() -> None:
    assert dir(ic) == sorted(ic.__all__)
    for name in ic.__all__:
        assert getattr(ic, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'utils'"):
        _ = ic.utils


@pytest.mark.parametrize("module", [m for m in MODULES if m not in ("_version", "__main__", "__init__")])
def test_every_module_says_what_is_public_and_keeps_to_its_size(module: str) -> None:
    name = f"imageryclient.{module}".removesuffix(".__init__")
    loaded = import_module(name)
    assert loaded.__doc__
    for public in loaded.__all__:
        assert hasattr(loaded, public)
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("module", [m for m in MODULES if m.split(".")[0] in PURE])
def test_pure_rooms_know_nothing_of_networks(module: str) -> None:
    assert not imported(module) & set(NETWORKED)


def test_reading_knows_nothing_of_pictures() -> None:
    pictures = {"color", "outline", "paint", "overlay", "picture", "figure", "export", "neuroglancer", "masks"}
    for module in MODULES:
        if module.split(".")[0] in ("storage", "rest", "chunkedgraph", "volumes", "layers", "reading", "dataset"):
            assert not imported(module) & pictures, module
