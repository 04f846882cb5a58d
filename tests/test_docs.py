"""Commands in the documents are commands that there are, and the tutorial can be followed."""

import re
import shlex

import pytest
from conftest import ROOT
from shortened import ADDED, arguments

from homog.cli import cli

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(?:bash|text|console)\n(.*?)^```", re.M | re.S)
SHELL = re.compile(r" [|>&;]+ ?.*| +# .*")  # what follows a command on its line
SYNOPSIS = re.compile(r"\b[A-Z]{4,}\b")  # of a command, not a call
TUTORIAL = ROOT / "docs" / "tutorial.md"


def commands(page):
    """Lines of a page's blocks that start with ``homog`` or ``$ homog``, continuations joined.

    Those that show what a wrong value leads to are left out.
    """
    found = []
    for block in BLOCK.findall(page.read_text()):
        text = re.sub(r"\\\n\s*", "", block)
        found += re.findall(r"^(?:\$ )?(homog [a-z].*)$(?!\nhomog: Invalid value)", text, re.M)
    return [SHELL.sub("", line) for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_the_documents_have_the_options_that_they_are_given(page):
    for line in commands(page):
        line = re.sub(r"\$\w+", "1", line)  # a variable of the shell
        if SYNOPSIS.search(line):
            continue
        _, name, *words = shlex.split(line)
        assert name in cli.commands, line
        assert cli.commands[name].make_context(name, words), line


def test_the_documents_have_commands():
    assert sum(len(commands(page)) for page in PAGES) > 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tutorial")


@pytest.mark.parametrize("line", dict.fromkeys(commands(TUTORIAL)))
def test_the_tutorial_can_be_followed(line, folder, run, monkeypatch):
    """In its order, at a small size, each step on what those before it left."""
    monkeypatch.chdir(folder)
    name, words = arguments(line, {**ADDED, "generate": ""})  # the shipped surrogate's resolution
    code, out, err = run(name, *words)
    assert code == 0, err
    assert out.strip()
