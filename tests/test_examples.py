"""Examples run, Python in the documents prints what stands there, commands are documented."""

import ast
import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from conftest import ROOT

from homog import Isotropic, findings, homogenize
from homog.cli import cli

EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text()
CODE_AND_OUTPUT = re.compile(r"```python\n(.*?)```\s+```text\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_from_any_folder_and_prints(path, tmp_path):
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("name", ["README.md", "docs/python.md", "docs/units.md"])
def test_python_in_the_documents_prints_what_stands_below_it(name, monkeypatch):
    blocks = CODE_AND_OUTPUT.findall((ROOT / name).read_text())
    assert blocks
    monkeypatch.chdir(ROOT)
    scope = {}  # a later block may use what an earlier one made
    for code, expected in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, scope)
        assert printed.getvalue() == expected


def section(title):
    """Text of a section of the command-line page, its subsections included."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", COMMAND_LINE, re.M | re.S)[1]


def first_column(title):
    """What stands in backticks at the start of the table rows of a section."""
    return re.findall(r"^\| `([^`]+)` \|", section(title), re.M)


@pytest.mark.parametrize("name", cli.commands)
def test_each_command_and_each_of_its_options_is_documented(name):
    text = section(f"homog {name}")
    for option in cli.commands[name].params:
        if isinstance(option, click.Option):
            assert any(f"`{spelling}" in text for spelling in option.opts), option.opts


def test_the_table_of_warnings_lists_exactly_the_codes_that_exist():
    tree = ast.parse(Path(findings.__file__).read_text())
    codes = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding"
    }
    assert len(codes) > 10
    assert set(first_column("Warnings")) == codes


def test_the_table_of_json_keys_lists_exactly_the_keys_that_exist():
    result = homogenize(np.ones((1, 1, 1)), Isotropic(1.0, 0.3)).to_dict(scatter=0.01)
    keys = {"file", *result, *(f"solver.{key}" for key in result["solver"])}
    documented = first_column("JSON")
    assert {key for key in documented if "." not in key or key.startswith("solver.")} == keys
