"""The command that draws: units, galleries, sections, stress, moduli by direction."""

import os
from dataclasses import dataclass, replace

import click
from click.core import ParameterSource

from homog.dataset_commands import unit_at
from homog.errors import ParameterError, naming
from homog.file_commands import read_cell
from homog.terminal import (
    FORCE,
    OUTPUT,
    PATH,
    THREADS,
    check_ending,
    counter,
    progress_bar,
    show,
)
from homog.view_options import (
    GroupedCommand,
    angle,
    check_options,
    is_dataset,
    kind_of,
    slices,
    tile,
)

PICTURES = (".png", ".svg", ".pdf")
VIEW_EXAMPLES = """\b
Examples:
  homog view units.h5 --sample 48 -o gallery.png
  homog view examples/units/octet.npy --tile 2 -o block.png
  homog view examples/units/octet.npy --slices mid -o sections.svg
  homog view examples/units/octet.npy --color mises --strain xx --E 70e3 --nu 0.33 -o stress.png
  homog view examples/units/octet.npy --directional --E 70e3 --nu 0.33 -o moduli.png
"""


@click.command(cls=GroupedCommand, epilog=VIEW_EXAMPLES)
@click.argument("file", type=PATH)
@click.option("--sample", type=click.IntRange(min=1), help="Random units.  [default: 24]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of them.")
@click.option("--index", type=int, multiple=True, help="Unit to show; repeat it for a gallery.")
@click.option("--properties", is_flag=True, help="Plot the labels against the volume fraction.")
@click.option("--key", help="Name of the array in an .npz file.")
@click.option("--threshold", type=float, help="Solid is where the value is at least this.")
@click.option(
    "--tile", callback=tile, default="1", show_default=True, help="Cells, like 2 or 2x2x1."
)
@click.option("--voxels", is_flag=True, help="Show the steps of the voxels.")
@click.option(
    "--angle",
    callback=angle,
    default="-58,24",
    show_default=True,
    help="Azimuth and elevation of the viewer, in degrees.",
)
@click.option(
    "--renderer",
    type=click.Choice(["matplotlib", "pyvista"]),
    default="matplotlib",
    show_default=True,
    help="pyvista has softer light; needs the extra pyvista.",
)
@click.option("--slices", callback=slices, metavar="N|mid", help="N layers, or one of each axis.")
@click.option(
    "--axis",
    type=click.Choice(["x", "y", "z"]),
    default="z",
    show_default=True,
    help="That N layers follow each other along.",
)
@click.option(
    "--color",
    type=click.Choice(["energy", "mises"]),
    help="Strain energy density or von Mises stress, on the surface or in sections.",
)
@click.option(
    "--strain",
    type=click.Choice(["xx", "yy", "zz", "yz", "xz", "xy", "volume"]),
    default="xx",
    show_default=True,
    help="Mean strain of size 1.",
)
@click.option("--directional", is_flag=True, help="Young's modulus in all directions.")
@click.option("--E", "E", type=float, help="Young's modulus of the solid.")
@click.option("--nu", type=float, help="Poisson's ratio of the solid.")
@click.option("--unit", default="unit of E", show_default=True, help="Of E, as in the picture.")
@THREADS
@OUTPUT
@FORCE
@click.pass_context
def view(context, file, output, force, **options):
    """Draw units into a picture: .png, .svg or .pdf.

    FILE is an array of voxels or a dataset. A dataset gives a gallery; one --index
    of it, or an array, gives the surface of the unit.
    """
    from homog.files import check_output

    given = {
        name
        for name in options
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE
    }
    check_ending(output, *PICTURES)
    kind = kind_of(file, options)
    check_options(kind, given, options)
    check_output(output, force)
    save_figure = _drawing().save_figure
    with naming(file):
        figure, text = DRAWN[kind](file, options)
    save_figure(figure, output)
    show(f"{output}: {text}")


@dataclass(frozen=True)
class _Subject:
    """A unit to draw: voxels, what to call it, and the colour of its solid."""

    voxels: object
    name: str
    colour: str

    @property
    def caption(self):
        box = " x ".join(map(str, self.voxels.shape))
        return f"{self.name}: {box} voxels, density {self.voxels.mean():.3f}"


def _subject(file, options):
    """The one unit that a file and the options name."""
    from homog.errors import DataError
    from homog.view import COLOURS

    name, colour = os.path.basename(file), COLOURS["templates"]
    if is_dataset(file, options):
        from homog.dataset import Dataset

        if len(options["index"]) != 1:
            raise ParameterError("this shows one unit; choose one with --index")
        with Dataset(file) as dataset:
            unit = unit_at(dataset, options["index"][0])
        voxels, name = unit.voxels, f"{name}, unit {unit.index}"
        colour = COLOURS.get(unit.source, colour)
    else:
        voxels = read_cell((file, None), options["key"], options["threshold"])
    if not voxels.any():
        raise DataError("no voxel is solid: there is nothing to draw")
    return _Subject(voxels, name, colour)


def _field(voxels, options):
    """Energy or stress in the voxels, if a colour asks for it."""
    if options["color"] is None:
        return None
    from homog.material import Isotropic
    from homog.voxel_fields import stressed

    solid = Isotropic(options["E"], options["nu"])
    with progress_bar("solving") as progress:
        field = stressed(
            voxels, solid, options["color"], options["strain"],
            threads=options["threads"], progress=progress,
        )  # fmt: skip
    return replace(field, unit=options["unit"])


def _solid(options):
    return f"; solid E = {options['E']:g}, nu = {options['nu']:g}"


def _said(caption, field, options):
    """Caption of a picture, with the solid where it matters; and what to print."""
    if field is None:
        return caption, caption
    caption += _solid(options)
    return caption, f"{caption}; {field.name} up to {field.maximum:.4g}"


def _gallery(file, options):
    from homog.dataset import Dataset
    from homog.view import gallery

    with Dataset(file) as units:
        if options["index"]:
            chosen = [unit_at(units, place) for place in options["index"]]
        else:
            chosen = list(units.sampled(options["sample"] or 24, options["seed"]))
    with counter("drawn", len(chosen)) as progress:
        figure = gallery(chosen, progress=progress)
    return figure, f"units {' '.join(str(unit.index) for unit in chosen)}"


def _properties(file, options):
    from homog.dataset import Dataset
    from homog.plots import property_plots

    with Dataset(file) as units:
        return property_plots(units), f"properties of {len(units)} units"


def _surface(file, options):
    from homog.portrait import Look, portrait

    subject = _subject(file, options)
    field = _field(subject.voxels, options)
    caption, text = _said(subject.caption, field, options)
    look = Look(options["tile"], options["voxels"], options["angle"], options["renderer"])
    return portrait(subject.voxels, subject.colour, caption, look, field), text


def _sections(file, options):
    from homog.sections import AXES, mid_layers, parallel_layers, sections

    subject = _subject(file, options)
    shape = subject.voxels.shape
    if options["slices"] == "mid":
        layers = mid_layers(shape)
    else:
        layers = parallel_layers(options["slices"], AXES.index(options["axis"]), shape)
    field = _field(subject.voxels, options)
    caption, text = _said(subject.caption, field, options)
    return sections(subject.voxels, subject.colour, caption, layers, field), text


def _directional(file, options):
    from homog.plots import directional_plot

    subject = _subject(file, options)
    if options["E"] is not None:
        C, tol = _solved_stiffness(subject.voxels, options)
        solid = _solid(options)
    else:
        C, tol, solid = _stored_stiffness(file, options)
    figure, text = directional_plot(
        C, subject.caption + solid, options["unit"], options["angle"], 10 * tol
    )
    return figure, text


def _solved_stiffness(voxels, options):
    """C of a unit and its relative error."""
    from homog.homogenization import homogenize
    from homog.material import Isotropic

    solid = Isotropic(options["E"], options["nu"])
    with progress_bar("solving") as progress:
        result = homogenize(voxels, solid, threads=options["threads"], progress=progress)
    return result.C, result.solver.tol


def _stored_stiffness(file, options):
    """C of a labelled unit, its relative error, and its solid in words."""
    if not is_dataset(file, options):
        raise ParameterError("the moduli of an array need its solid; give --E and --nu")
    from homog.dataset import Dataset
    from homog.labels import stored_stiffness

    with Dataset(file) as dataset:
        C = stored_stiffness(dataset, options["index"][0])
        of = dataset.labels.attributes
    return C, float(of["tol"]), f"; solid E = {of['E']:g}, nu = {of['nu']:g}"


DRAWN = {
    "a gallery": _gallery,
    "a plot of properties": _properties,
    "the surface of a unit": _surface,
    "sections": _sections,
    "directional moduli": _directional,
}


def _drawing():
    """The module that draws, whose libraries are an extra."""
    try:
        from homog import view as drawing
    except ImportError as error:
        raise ParameterError(
            f"pictures need {error.name}; pip install 'homog-toolkit[view]'"
        ) from error
    return drawing


VIEW_COMMANDS = (view,)
