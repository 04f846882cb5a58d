"""Commands for files of other programs: export and import. Extras are imported when one runs."""

import os

import click

from homog.dataset_commands import ENDINGS, unit_at
from homog.errors import ParameterError, naming
from homog.terminal import (
    FORCE,
    PATH,
    THREADS,
    check_ending,
    comma_separated,
    complain,
    needs_extra,
    progress_bar,
    show,
    tol_option,
)

MESHES = (".stl", ".3mf", ".glb")
CARDS = (".inp", ".mac", ".dat", ".k", ".key", ".txt")


def read_cell(cell, key=None, threshold=None):
    """Voxels of a file, or of a unit of a dataset: ``cell`` is (path, index or None)."""
    from homog.cell import validated_voxels
    from homog.formats import read_array

    path, place = cell
    if place is None and not path.endswith(ENDINGS):
        return validated_voxels(read_array(path, key), threshold)
    if place is None:
        raise ParameterError("a dataset holds many units; choose one with --index")
    from homog.dataset import Dataset  # late: h5py is large

    with Dataset(path) as dataset:
        return unit_at(dataset, place).voxels


EXPORT_EXAMPLES = """\b
Examples:
  homog export examples/units/octet.npy octet.stl --size 10
  homog export examples/units/octet.npy block.3mf --tile 3 --size 10 --smooth
  homog export units.h5 --index 7 unit.glb
  homog export examples/units/octet.npy octet.inp --card abaqus --E 70e3 --nu 0.33
"""


@click.command(epilog=EXPORT_EXAMPLES)
@click.argument("file", type=PATH)
@click.argument("target", type=PATH, required=False, metavar="OUTPUT")
@click.option("-o", "--output", type=PATH, help="File to write, instead of OUTPUT.")
@click.option("--index", type=int, help="Unit of a dataset.")
@click.option("--key", help="Name of the array in an .npz file.")
@click.option("--threshold", type=float, help="Solid is where the value is at least this.")
@click.option(
    "--tile", type=click.IntRange(min=1), help="Cells along each axis, as one body.  [default: 1]"
)
@click.option("--size", type=float, help="Longest edge of one cell, in mm.  [default: 10]")
@click.option("--smooth", is_flag=True, help="Round the steps of the voxels off.")
@click.option(
    "--card",
    type=click.Choice(["abaqus", "ansys", "calculix", "ls-dyna"]),
    help="Write the effective stiffness as a material card of this program.",
)
@click.option("--E", "E", type=float, help="Young's modulus of the solid, for a card.")
@click.option("--nu", type=float, help="Poisson's ratio of the solid, for a card.")
@tol_option(1e-6)
@THREADS
@FORCE
def export(file, target, output, index, key, threshold, force, **options):
    """Write a unit cell as a closed mesh to print or view, or its stiffness as a material card.

    The ending of OUTPUT chooses the mesh: .stl, .3mf (both in mm) or .glb. It is
    watertight, with the volume of the voxels to 1 %, or nothing is written.
    """
    from homog.files import check_output

    output = _one_output(target, output)
    card = options["card"]
    check_ending(output, *(CARDS if card else MESHES))
    _check_options(options, card)
    if os.path.realpath(file) == os.path.realpath(output):
        raise ParameterError(f"{output}: output and input are one file; name another output")
    check_output(output, force)
    write = _write_card if card else _write_mesh
    name = file if index is None else f"{file}[{index}]"
    with needs_extra("files"), naming(name):
        text = write(read_cell((file, index), key, threshold), output, options)
    show(f"{output}: {text}")


def _one_output(target, output):
    if (target is None) == (output is None):
        raise ParameterError("expected one output, as the second file or with -o; name one")
    return target or output


def _check_options(options, card):
    """Refuse options that mean nothing for what is written, and a card without its solid."""
    if card and (options["E"] is None or options["nu"] is None):
        raise ParameterError("a card needs the solid; give --E and --nu")
    useless = ("tile", "size", "smooth") if card else ("E", "nu")
    for name in useless:
        if options[name] not in (None, False):
            what = "a card" if card else "a mesh"
            raise ParameterError(f"--{name} says nothing about {what}; leave it out")


def _write_mesh(voxels, output, options):
    from homog.cell import encloses_void
    from homog.meshes import write_mesh

    size = 10.0 if options["size"] is None else options["size"]
    mesh = write_mesh(output, voxels, size, options["tile"] or 1, options["smooth"])
    extent = " x ".join(f"{length:.6g}" for length in mesh.extents)
    text = f"{len(mesh.faces):,} triangles, watertight, {extent} mm, volume {mesh.volume:.6g} mm^3"
    return f"{text}, encloses void that no powder leaves" if encloses_void(voxels) else text


def _write_card(voxels, output, options):
    from homog.cards import material_card
    from homog.files import write_atomically
    from homog.homogenization import homogenize
    from homog.material import Isotropic

    solid = Isotropic(options["E"], options["nu"])
    name = os.path.splitext(os.path.basename(output))[0]
    with progress_bar(name) as progress:
        result = homogenize(
            voxels, solid, tol=options["tol"], threads=options["threads"], progress=progress
        )
    write_atomically(output, material_card(result, options["card"], name).encode())
    return f"{options['card']} card, E {result.E:.6g}, density {result.volume_fraction:.4g}"


def _whole_numbers(context, parameter, text):
    """Three whole numbers, at least 1, separated by commas."""
    if text is None:
        return None
    numbers = comma_separated(text, int)
    if len(numbers) != 3 or min(numbers) < 1:
        raise click.BadParameter(f"expected three numbers like 512,512,300; got {text!r}")
    return numbers


IMPORT_EXAMPLES = """\b
Examples:
  homog import part.stl --resolution 48 -o unit.npy
  homog import scan.tif --threshold 128 -o unit.npy
  homog import scan.raw --shape 512,512,300 --dtype uint16 --threshold 20000 -o unit.npy
"""


@click.command("import", epilog=IMPORT_EXAMPLES)
@click.argument("file", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="File to write (.npy).")
@click.option(
    "--resolution",
    type=click.IntRange(min=1),
    help="Voxels along the longest edge, for .stl.  [default: 48]",
)
@click.option(
    "--size", type=float, help="Edge of the box from the origin, for .stl.  [default: the part's]"
)
@click.option("--threshold", type=float, help="Solid is where the grey value is at least this.")
@click.option("--shape", callback=_whole_numbers, metavar="NX,NY,NZ", help="Of a .raw stack.")
@click.option(
    "--dtype",
    type=click.Choice(
        ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
    ),
    help="Of a .raw stack, little-endian.  [default: uint8]",
)
@FORCE
def import_(file, output, force, **options):
    """Voxels of a part (.stl), or of an image stack (.tif, .raw), as a .npy file.

    Solid is where the centre of a voxel lies in the part, or where the grey value
    reaches the threshold. Warns of faces that do not meet the opposite ones.
    """
    from homog.files import check_output, write_array
    from homog.periodicity import seam_warnings

    check_ending(output, ".npy")
    check_output(output, force)
    with needs_extra("files"), naming(file):
        voxels = _imported(file, options)
    for line in seam_warnings(voxels):
        complain(f"{file}: warning: {line}")
    write_array(output, voxels)
    box = " x ".join(map(str, voxels.shape))
    show(f"{output}: {box} voxels, density {voxels.mean():.4f}")


def _imported(file, options):
    """Voxels of a file, by its ending, with the options that this ending has."""
    ending = os.path.splitext(file)[1].lower()
    known = {
        ".stl": ("resolution", "size"),
        ".raw": ("threshold", "shape", "dtype"),
        ".tif": ("threshold",),
        ".tiff": ("threshold",),
    }
    if ending not in known:
        raise ParameterError(f"expected a file ending in {', '.join(known)}, got {ending!r}")
    for name, value in options.items():
        if value is not None and name not in known[ending]:
            raise ParameterError(f"--{name} says nothing about a {ending} file; leave it out")
    if ending == ".stl":
        from homog.voxelization import read_stl, voxelized

        return voxelized(read_stl(file), options["resolution"] or 48, options["size"])
    from homog.stacks import read_raw, read_tiff

    if ending != ".raw":
        return read_tiff(file, options["threshold"])
    if options["shape"] is None:
        raise ParameterError("a .raw file says nothing about itself; give --shape")
    return read_raw(file, options["shape"], options["dtype"] or "uint8", options["threshold"])


FILE_COMMANDS = (export, import_)
