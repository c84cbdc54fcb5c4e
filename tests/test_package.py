"""The house itself: its public names, and which rooms may know of which."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import imageryclient as ic

ROOT = Path(ic.__file__).parent
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py"))
ROOMS = [m for m in MODULES if m not in ("_version", "__main__", "__init__")]
PURE = (
    "errors", "geometry", "resampling", "scales", "coverage", "place", "section", "turning", "points", "ids", "moment",
    "cloudpath", "refusals", "forking", "warning", "arrays", "precomputed", "zarr", "compact", "masks", "notebook",
    "changes", "painting", "files", "neuroglancer", "cave.lineage", "cave.node_ids",
    "measuring", "measured", "bulk.places", "bulk.tables", "bulk.grouping", "bulk.failures", "bulk.progress",
)  # fmt: skip
NETWORKED = (
    "storage", "cache", "cachefolder", "pools", "progress", "cave", "volumes", "layers", "reading", "absence",
    "dataset", "lookups", "whereabouts", "cutouts", "cutout", "sampling", "sections", "sectioncutout", "linked",
    "files.saving", "files.panels", "files.loading", "files.remaking", "files.turns", "neuroglancer.localviewer",
    "manyplaces", "client", "viewer", "cli", "demo", "bulk", "recipe", "lazy", "training",
)  # fmt: skip
PICTURES = ("painting", "files", "files.saving", "files.panels", "files.loading", "files.remaking", "files.turns")
READING = (*NETWORKED[: NETWORKED.index("dataset") + 1], "precomputed", "zarr", "arrays")


def room(module: str) -> str:
    """The room that a module lies in; empty where it is in none of the lists."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in (*PURE, *NETWORKED)), "")


def imported(module: str) -> set[str]:
    """The rooms of this package that a module imports, at its top or within functions."""
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    parts = module.split(".")
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            whole = [*base, *node.module.split(".")] if node.module else base
            names = [".".join([*whole, alias.name]) for alias in node.names]
            found |= {name if name in MODULES else ".".join(whole) for name in names}
    return {room(name) for name in found if name and not name.startswith("_")}


def test_the_public_names_are_just_those_listed() -> None:
    assert dir(ic) == sorted(ic.__all__)
    for name in ic.__all__:
        assert getattr(ic, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'utils'"):
        _ = ic.utils


@pytest.mark.parametrize("module", ROOMS)
def test_every_module_says_what_is_public_and_keeps_to_its_size(module: str) -> None:
    name = f"imageryclient.{module}".removesuffix(".__init__")
    assert room(module)
    loaded = import_module(name)
    assert loaded.__doc__
    for public in loaded.__all__:
        assert hasattr(loaded, public)
    path = ROOT / Path(*module.split(".")).with_suffix(".py")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("module", [m for m in ROOMS if room(m) in PURE])
def test_pure_rooms_know_nothing_of_networks(module: str) -> None:
    assert not imported(module) & set(NETWORKED)


def needed(module: str) -> set[str]:
    """The modules of this package that one imports when it is loaded itself."""
    parts = module.split(".")
    tree = ast.parse((ROOT / Path(*parts).with_suffix(".py")).read_text(encoding="utf-8"))
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.If)  # only types are imported on a condition
    found, pending = set[str](), list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ImportFrom) and node.level:
            whole = [*parts[: len(parts) - node.level], *(node.module or "").split(".")]
            base = ".".join(part for part in whole if part)
            names = [f"{base}.{alias.name}".strip(".") for alias in node.names]
            found |= {
                name if name in MODULES else f"{base}.__init__" if base not in MODULES else base for name in names
            }
        elif not isinstance(node, later):
            pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return found & set(ROOMS)


def test_no_module_needs_one_that_needs_it() -> None:
    needs = {module: needed(module) for module in ROOMS}
    assert sum(map(len, needs.values())) > 500
    while loadable := {module for module, others in needs.items() if not others & set(needs)}:
        needs = {module: others for module, others in needs.items() if module not in loadable}
    assert not needs


def test_reading_knows_nothing_of_pictures() -> None:
    for module in ROOMS:
        if room(module) in READING:
            assert not imported(module) & {*PICTURES, "masks"}, module
