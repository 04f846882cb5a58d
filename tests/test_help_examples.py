"""Every command has an example in its help, and all examples run, at a small size."""

import glob
import os
import re
import shlex
import shutil

import click
import numpy as np
import pytest
from conftest import UNITS

from homog.cli import cli

# Commands in an order in which the files exist that the examples name; others come last.
ORDER = (
    *("pack", "generate", "check", "extract", "info", "solve", "label", "view"),
    *("train", "evaluate", "interpolate", "design", "verify", "topopt", "report", "sweep"),
)
SMALL = {  # what stands in an example -> what is run in its place
    "--count 1000": "--count 24",
    "--count 46840": "--count 24",
    "--properties 200": "--properties 2",
    "--sample 48": "--sample 2",
    "--resolution 48": "--resolution 12",
    "--tile 3": "--tile 1",
    "--shape 512,512,300": "--shape 12,12,12",
    "--risk 0.5,1,5,10,50,100": "--risk 0.5,5",
}
SEARCH = "--samples 2 --count 8 --population 6 --generations 1 --rounds 1 --report 1"
ADDED = {  # options that an example gets
    "generate": "--resolution 16",
    "train": "--epochs 1",
    "evaluate": "--samples 2",
    "interpolate": "--steps 2",
    "design": SEARCH,
    "sweep": SEARCH,
    "topopt": "--iterations 2 --resolution 16",
}
ALONE = ("--workers", "--threads")  # 1 where a command has the option; view wants to be asked


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


def arguments(line):
    """What a shell passes to the command, at a small size, with a new name for each output."""
    for text, small in SMALL.items():
        line = line.replace(text, small)
    _, name, *words = shlex.split(line)
    command = cli.commands[name]
    if "--resume" not in words:
        words += shlex.split(ADDED.get(name, ""))
    known = {spelling for option in command.params for spelling in option.opts}
    if name != "view":
        words += [w for option in ALONE if option in known - set(words) for w in (option, "1")]
    words = [path for word in words for path in sorted(glob.glob(word)) or [word]]
    parsed = command.make_context(name, list(words)).params
    outputs = {parsed.get("output"), parsed.get("target")} - {None}
    return name, [another(word) if word in outputs else word for word in words]


def another(path):
    """Name of an output that is not there yet."""
    count = 2
    found = path
    while os.path.exists(found):
        found, count = f"{count}-{path}", count + 1
    return found


@pytest.mark.parametrize("line", ALL)
def test_the_example_runs(line, folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    name, words = arguments(line)
    code, out, err = run(name, *words)
    if code == 2 and "pip install" in err:
        pytest.skip(f"{line}: {err.strip()}")
    assert code == 0, err
    assert out.strip()
