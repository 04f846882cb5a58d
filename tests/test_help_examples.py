"""Every command has an example in its help, and all examples run, at a small size."""

import re
import shutil

import click
import numpy as np
import pytest
from conftest import UNITS
from shortened import ADDED, SMALL, arguments

from homog.cli import cli

# Commands in an order in which the files exist that the examples name; others come last.
ORDER = (
    *("pack", "generate", "check", "extract", "info", "solve", "label", "view"),
    *("train", "evaluate", "interpolate", "design", "verify", "topopt", "report", "sweep"),
)


def examples(name):
    """Lines of the help of a command that start with ``homog``."""
    command = cli.commands[name]
    text = command.get_help(click.Context(command, info_name=name, parent=click.Context(cli)))
    return re.findall(r"^ +(homog .*?)$", text.partition("Example")[2], re.M)


def place(name):
    return ORDER.index(name) if name in ORDER else len(ORDER)


ALL = [line for name in sorted(cli.commands, key=place) for line in examples(name)]


@pytest.mark.parametrize("name", cli.commands)
def test_the_help_of_each_command_has_an_example_of_it(name):
    assert examples(name)
    assert all(line.split()[1] == name for line in examples(name))


def test_what_is_made_small_stands_in_an_example():
    assert set(ADDED) <= set(cli.commands)
    assert any(length in line for length in SMALL for line in ALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What no example makes: cells, a part, and scans."""
    made = tmp_path_factory.mktemp("examples")
    shutil.copytree(UNITS, made / "examples" / "units")
    (made / "cells").mkdir()
    for name in ("octet", "bcc"):
        shutil.copy(UNITS / f"{name}.npy", made / "cells")
    grey = np.zeros((12, 12, 12), np.uint8)
    grey[:, 3:9, 3:9] = 200
    (200 * grey.astype("<u2")).tofile(made / "scan.raw")
    write_scan(made / "scan.tif", grey)
    write_part(made / "part.stl")
    return made


def write_scan(path, grey):
    try:
        import tifffile
    except ImportError:  # then the example that reads it skips
        return path.touch()
    return tifffile.imwrite(path, grey)


def write_part(path):
    try:
        import trimesh
    except ImportError:
        return path.touch()
    return trimesh.creation.box((1.0, 1.0, 1.0)).export(path)


@pytest.mark.parametrize("line", ALL)
def test_the_example_runs(line, folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    name, words = arguments(line)
    code, out, err = run(name, *words)
    if code == 2 and "pip install" in err:
        pytest.skip(f"{line}: {err.strip()}")
    assert code == 0, err
    assert out.strip()
