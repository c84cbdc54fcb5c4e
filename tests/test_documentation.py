"""What the docstrings of the public names say, held against the names themselves."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import imageryclient as ic
from imageryclient import lazy, measuring, training

SECTION = re.compile(r"^(\w[\w ]*)\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^(\*{0,2}\w+(?:,\s+\*{0,2}\w+)*)(?: : |$)", re.MULTILINE)
NOTHING = (None, "None", inspect.Signature.empty)
PROTOCOL = ("groups",)  # what marks do for those that draw them, documented once, in `Mark`
UNNAMED = ("self", "cls", "unknown")  # `unknown` takes what is no parameter, to say so


def members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class has of this package."""
    for name in dir(owner):
        home = next(one for one in owner.__mro__ if name in vars(one) or one is object)
        found = vars(home).get(name)
        kept = inspect.isfunction(found) or isinstance(found, (classmethod, staticmethod, property, cached_property))
        if kept and not name.startswith("_") and name not in PROTOCOL and home.__module__.startswith("imageryclient"):
            yield name, found


def surface() -> Iterator[tuple[str, Any, type | None]]:
    """Every public function, class, method and property, by name; and of which class it is."""
    for module in (ic, lazy, measuring, training):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield name, value, None
            if inspect.isclass(value):
                for member, found in members(value):
                    yield f"{name}.{member}", found, value


SURFACE = {name: (value, owner) for name, value, owner in surface()}
CALLABLE = [name for name, (value, _) in SURFACE.items() if not isinstance(value, (property, cached_property))]


def plain(name: str) -> Callable[..., Any]:
    """The function behind a property or a method of a class; else what the name stands for."""
    value = SURFACE[name][0]
    found = next((getattr(value, at) for at in ("__func__", "fget", "func") if hasattr(value, at)), value)
    assert callable(found)
    return found


def parameters(name: str) -> list[str]:
    """What a caller may pass, sorted."""
    value = plain(name)
    made = inspect.signature(value.__init__ if inspect.isclass(value) else value)  # type: ignore[misc]
    return sorted(one for one in made.parameters if one not in UNNAMED and not one.startswith("_"))


def sections(name: str) -> dict[str, str]:
    """The sections of a docstring, by title."""
    return dict(SECTION.findall(inspect.cleandoc(plain(name).__doc__ or "").replace("\\\n", " ")))


def test_every_public_name_says_what_it_is() -> None:
    assert len(SURFACE) > 150
    silent = [name for name in SURFACE if not (inspect.getdoc(plain(name)) or "").split("\n\n")[0].endswith((".", ":"))]
    assert not silent


def test_just_the_parameters_are_documented() -> None:
    wrong = {}
    for name in CALLABLE:
        listed = NAMED.findall(sections(name).get("Parameters", ""))
        named = sorted(one.strip().lstrip("*") for entry in listed for one in entry.split(","))
        if named != parameters(name):
            wrong[name] = (named, parameters(name))
    assert not wrong


def test_what_comes_back_is_documented() -> None:
    functions = [name for name in CALLABLE if not inspect.isclass(SURFACE[name][0])]
    giving = [name for name in functions if inspect.signature(plain(name)).return_annotation not in NOTHING]
    assert len(giving) > 50
    assert not [name for name in giving if not {"Returns", "Yields"} & set(sections(name))]


def test_everything_has_an_example_of_its_own_or_in_its_class() -> None:
    without = []
    for name in CALLABLE:
        examples = sections(name).get("Examples", "")
        owner = SURFACE[name][1]
        if ">>>" not in examples and owner is not None:
            call = f".{name.split('.')[1]}("
            examples = "\n".join(line for line in (owner.__doc__ or "").splitlines() if call in line)
        if ">>>" not in examples:
            without.append(name)
    assert not without


DOCUMENTS = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(DOCUMENTS).as_posix() for path in (DOCUMENTS / "README.md", *DOCUMENTS.glob("docs/*.md"))
)
MEANT = {"ic": ic, "img_client": ic.ImageryClient, "client": ic.ImageryClient, "cut": ic.Cutout, "block": ic.Cutout}


def calls(page: str) -> Iterator[tuple[str, Any, ast.Call]]:
    """What the Python of a page calls of this package: how it is written, and what it names."""
    text = (DOCUMENTS / page).read_text(encoding="utf-8")
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id in MEANT:
                    yield ast.unparse(node.func), getattr(MEANT[owner.id], node.func.attr, None), node


@pytest.mark.parametrize("page", PAGES)
def test_a_page_calls_what_there_is_with_arguments_it_takes(page: str) -> None:
    for written, called, node in calls(page):
        assert callable(called), written
        known = inspect.signature(called.__init__ if inspect.isclass(called) else called).parameters.values()
        if not any(one.kind is one.VAR_KEYWORD for one in known) or called is ic.ImageryClient:
            assert {word.arg for word in node.keywords} - {None} <= {one.name for one in known}, written


def test_the_pages_have_calls() -> None:
    assert len([written for page in PAGES for written, _, _ in calls(page)]) > 60


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_a_page_links_to_what_is_there(page: str) -> None:
    path = DOCUMENTS / page
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target.partition("#")[0]).exists(), target
