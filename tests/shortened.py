"""Commands as they stand in documents, as they are run at a small size."""

import glob
import os
import shlex

from homog.cli import cli

SMALL = {  # what stands in an example -> what is run in its place
    "--count 1000": "--count 24",
    "--count 300": "--count 24",
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


def arguments(line, added=ADDED):
    """What a shell passes to the command, at a small size, with a new name for each output.

    Parameters
    ----------
    line : str
        Starts with ``homog``.
    added : dict
        ``{command: options}`` that it gets.

    Returns
    -------
    name : str
        Of the command.
    words : list of str
    """
    for text, small in SMALL.items():
        line = line.replace(text, small)
    _, name, *words = shlex.split(line)
    command = cli.commands[name]
    if "--resume" not in words:
        words += shlex.split(added.get(name, ""))
    known = {spelling for option in command.params for spelling in option.opts}
    if name != "view":
        words += [w for option in ALONE if option in known - set(words) for w in (option, "1")]
    words = [path for word in words for path in sorted(glob.glob(word)) or [word]]
    parsed = command.make_context(name, list(words)).params
    outputs = {parsed.get("output"), parsed.get("target")} - {None}
    return name, [_another(word) if word in outputs else word for word in words]


def _another(path):
    """Name of an output that is not there yet."""
    count = 2
    found = path
    while os.path.exists(found):
        found, count = f"{count}-{path}", count + 1
    return found
