"""Imports point one way: design to learn to homog; and torch is never loaded with a module."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT

LOWER = {"homog": set(), "learn": {"homog"}, "design": {"homog", "learn"}}
COMMANDS = "_commands.py"  # import what is above them when a command runs
PICTURES = {"view.py", "portrait.py", "sections.py", "field_colours.py", "plots.py"}  # of homog
HEAVY = {"torch", "lightning_fabric", "safetensors", "matplotlib", "pymoo"}


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imported(nodes):
    """Packages that import statements among some nodes name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


def tree(path):
    return ast.parse(Path(path).read_text())


@pytest.mark.parametrize("package", LOWER)
def test_packages_import_only_those_below(package):
    others = set(LOWER) - LOWER[package] - {package}
    for path in modules(package):
        nodes = ast.walk(tree(path))
        if path.name.endswith(COMMANDS):
            nodes = tree(path).body
        assert not imported(nodes) & others, path


def test_nothing_of_homog_needs_what_is_an_extra():
    """But for pictures, which are modules of their own."""
    for path in modules("homog"):
        loaded = imported(ast.walk(tree(path)))
        if path.name.endswith(COMMANDS):
            loaded = imported(tree(path).body)
        allowed = {"matplotlib"} if path.name in PICTURES else set()
        assert not loaded & HEAVY - allowed - (
            {"torch"} if path.name == "environment.py" else set()
        ), path


@pytest.mark.parametrize("package", ["learn", "design"])
def test_packages_are_imported_without_what_is_heavy(package):
    assert not imported(tree(ROOT / package / "__init__.py").body) & HEAVY


def test_pictures_are_drawn_by_one_module_of_learn():
    drawing = [p.name for p in modules("learn") if imported(ast.walk(tree(p))) & {"matplotlib"}]
    assert drawing == ["plots.py"]
