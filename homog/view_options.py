"""What homog view can be asked: kinds of pictures, and the options that belong to each."""

import click

from homog.dataset_commands import ENDINGS
from homog.errors import ParameterError
from homog.terminal import comma_separated

READ = {"index", "key", "threshold"}
SOLVE = {"E", "nu", "unit"}
KINDS = {  # of pictures: the options that say something about them
    "a gallery": {"index", "sample", "seed"},
    "a plot of properties": {"properties"},
    "the surface of a unit": READ | {"tile", "voxels", "angle", "renderer"},
    "sections": READ | {"slices", "axis"},
    "directional moduli": READ | SOLVE | {"directional", "angle"},
}
ASKED = {  # options that ask for another picture than a surface
    "properties": "a plot of properties",
    "slices": "sections",
    "directional": "directional moduli",
}
COLOURED = SOLVE | {"color", "strain"}
LEAVE = "leave it out"
HINTS = {  # what to do about an option that says nothing
    **dict.fromkeys(SOLVE, f"add --color or --directional, or {LEAVE}"),
    "axis": f"add --slices, or {LEAVE}",
    "strain": f"add --color, or {LEAVE}",
}
GROUPS = {  # of options in the help
    "What to draw of a dataset": ("index", "sample", "seed", "properties"),
    "Unit": ("tile", "voxels", "angle", "renderer", "key", "threshold"),
    "Sections": ("slices", "axis"),
    "Colours and moduli": ("color", "strain", "directional", "E", "nu", "unit", "threads"),
}


class GroupedCommand(click.Command):
    """A command whose help has its options in groups."""

    def format_options(self, context, formatter):
        rest = {name: of.get_help_record(context) for name, of in self._options(context).items()}
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([rest.pop(name) for name in names])
        with formatter.section("Options"):
            formatter.write_dl(list(rest.values()))

    def _options(self, context):
        return {of.name: of for of in self.get_params(context) if isinstance(of, click.Option)}


def tile(context, parameter, text):
    """Cells along each axis: one number for all, or three."""
    numbers = comma_separated(text.replace("x", ","), int)
    if len(numbers) not in (1, 3) or min(numbers) < 1:
        raise click.BadParameter(f"expected cells like 2 or 2x2x1; got {text!r}")
    return numbers * (3 // len(numbers))


def angle(context, parameter, text):
    """Azimuth and elevation in degrees."""
    numbers = comma_separated(text, float)
    if len(numbers) != 2 or not (abs(numbers[0]) <= 360 and abs(numbers[1]) <= 90):
        raise click.BadParameter(
            f"expected azimuth and elevation in degrees like -58,24; got {text!r}"
        )
    return numbers


def slices(context, parameter, text):
    """Number of sections, or mid."""
    if text in (None, "mid"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"expected a number of sections, at least 1, or mid; got {text!r}")
    return int(text)


def kind_of(file, options):
    """Which of ``KINDS`` the options ask for."""
    wanted = [name for name in ASKED if options[name]]
    if len(wanted) > 1:
        raise ParameterError(f"--{wanted[0]} and --{wanted[1]} are two pictures; draw one by one")
    if wanted:
        return ASKED[wanted[0]]
    several = len(options["index"]) != 1 and is_dataset(file, options)
    return "a gallery" if several else "the surface of a unit"


def is_dataset(file, options):
    """Whether a file holds units, by its name or by what is asked of it."""
    return file.endswith(ENDINGS) or bool(options["index"])


def check_options(kind, given, options):
    """Refuse options that say nothing about a picture, and a solid that is needed and not there."""
    allowed = KINDS[kind]
    if options["color"] and kind in ("the surface of a unit", "sections"):
        allowed = allowed | COLOURED
    for name in sorted(given - allowed - {"threads"}):
        hint = "choose one unit with --index" if kind == "a gallery" else HINTS.get(name, LEAVE)
        raise ParameterError(f"--{name} says nothing about {kind}; {hint}")
    if options["slices"] == "mid" and "axis" in given:
        raise ParameterError("--slices mid has a layer of each axis; leave --axis out")
    if (options["E"] is None) != (options["nu"] is None) or (
        options["color"] and options["E"] is None
    ):
        raise ParameterError("stress and moduli need the solid; give --E and --nu")
