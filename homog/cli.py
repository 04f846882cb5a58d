"""The command line: parses, calls one function, prints. Imports what a command needs when it runs.

Exit codes: 0 done, 2 wrong usage, 3 bad data, 4 not converged, 130 interrupted, 143 terminated,
1 for any other failure of the system (a full disk), 141 when nobody reads the output any more.
"""

import os
import signal
import sys
from functools import partial

import click

from homog import __version__
from homog.dataset_commands import COMMANDS
from homog.design_commands import DESIGN_COMMANDS
from homog.errors import HomogError, ParameterError
from homog.file_commands import FILE_COMMANDS, read_cell
from homog.learn_commands import LEARN_COMMANDS
from homog.report_commands import REPORT_COMMANDS
from homog.terminal import (
    FORCE,
    PATH,
    POISSON,
    THREADS,
    YOUNG,
    check_ending,
    complain,
    give_up_output,
    progress_bar,
    show,
    tol_option,
)
from homog.topopt_commands import TOPOPT_COMMANDS
from homog.view_commands import VIEW_COMMANDS

SOLVE_EXAMPLES = """\b
Examples:
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33 --scatter 0.01
  homog solve examples/units/*.npy --E 70e3 --nu 0.33 --json
  homog solve units.h5 --index 7 --E 70e3 --nu 0.33
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33 --fields octet.vtkhdf
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,  # prints help; click's own way to is an error, and one line here
)
@click.version_option(__version__, prog_name="homog")
@click.pass_context
def cli(context):
    """Homogenize and design periodic metamaterial unit cells."""
    if context.invoked_subcommand is None:
        show(context.get_help())


@cli.command(epilog=SOLVE_EXAMPLES)
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@YOUNG
@POISSON
@click.option("--key", help="Name of the array in an .npz file.")
@click.option("--index", type=int, multiple=True, help="Unit of a dataset; may be repeated.")
@click.option("--threshold", type=float, help="Solid is where the value is at least this.")
@tol_option(1e-6)
@click.option(
    "--solver",
    type=click.Choice(["auto", "multigrid", "amg"]),
    default="auto",
    show_default=True,
    help="Method; auto chooses.",
)
@click.option(
    "--scatter",
    type=float,
    help="Relative standard deviation of E and nu; prints that of each constant.",
)
@click.option("--fields", type=PATH, help="Write displacement, strain and stress (.vtkhdf).")
@click.option("--strain", help="Mean strain of the fields.  [default: 1,0,0,0,0,0]")
@THREADS
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file and line.")
@FORCE
def solve(files, E, nu, key, index, threshold, tol, solver, scatter, threads, as_json, **output):
    """Effective stiffness and engineering constants of unit cells.

    FILE is a .npy or .npz array of voxels: True or 1 is solid, axis 0 is x;
    or with --index a dataset (.h5).
    Moduli are printed in the unit of E; tensors in the order 11, 22, 33, 23, 13, 12
    with engineering shear.
    """
    from homog.homogenization import homogenize
    from homog.material import Isotropic
    from homog.sensitivity import check_scatter

    material = Isotropic(E, nu)
    if scatter is not None:
        check_scatter(scatter)

    cells = [(path, place) for path in files for place in index or (None,)]
    fields, strain = _checked_fields(cells, **output)

    def solved(cell, progress):
        voxels = read_cell(cell, key, threshold)
        result = homogenize(
            voxels, material, tol=tol, method=solver, threads=threads, progress=progress,
            fields=bool(fields),
        )  # fmt: skip
        if fields:
            from homog.vtkhdf import cell_fields, write_fields

            write_fields(fields, cell_fields(result, voxels, strain))
        return result

    formatted = partial(_json_line if as_json else _table, scatter=scatter)
    sys.exit(_each_cell(cells, solved, formatted))


def _checked_fields(cells, fields, strain, force):
    """File and mean strain of the fields, once it is known that they can be written."""
    if fields is None:
        if strain is not None:
            raise ParameterError("--strain is that of the fields; name their file with --fields")
        return None, None
    from homog.files import check_output
    from homog.vtkhdf import parse_strain

    strain = parse_strain("1,0,0,0,0,0" if strain is None else strain)
    check_ending(fields, ".vtkhdf")
    if len(cells) != 1:
        raise ParameterError(f"--fields takes one cell, got {len(cells)}; solve them one by one")
    check_output(fields, force)
    return fields, strain


def _name(cell):
    path, place = cell
    return path if place is None else f"{path}[{place}]"


def _each_cell(cells, solved, formatted):
    """Solve and print cell by cell; a bad one does not stop the others. Returns the exit code."""
    code = 0
    for number, cell in enumerate(cells):
        try:
            with progress_bar(os.path.basename(_name(cell))) as progress:
                result = solved(cell, progress)
        except HomogError as error:
            complain(f"{_name(cell)}: {error}")
            code = max(code, error.exit_code)
            continue
        show(formatted(_name(cell), result, number))
    return code


def _json_line(path, result, number, scatter):
    import json

    return json.dumps({"file": path, **result.to_dict(scatter)}, allow_nan=False)


def _table(path, result, number, scatter):
    from homog.tables import result_table

    return "\n" * (number > 0) + result_table(result, path, scatter)


@cli.command(epilog="\b\nExample:\n  homog doctor\n")
def doctor():
    """Versions, threads, memory, and where each package comes from."""
    from homog.environment import environment_table

    show(environment_table())


for _command in (
    *COMMANDS,
    *VIEW_COMMANDS,
    *FILE_COMMANDS,
    *LEARN_COMMANDS,
    *DESIGN_COMMANDS,
    *TOPOPT_COMMANDS,
    *REPORT_COMMANDS,
):
    cli.add_command(_command)


def _terminate(*_):
    """Leave as after an exception, so that nothing stays half-written."""
    sys.exit(143)


def main(arguments=None):
    """Run the command line and exit; errors become one line and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        cli.main(arguments, prog_name="homog", standalone_mode=False)
    except click.exceptions.Abort:
        complain("interrupted")
        sys.exit(130)
    except click.ClickException as error:
        complain(_usage(error))
        sys.exit(error.exit_code)
    except HomogError as error:
        complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        complain(error)
        give_up_output()
        sys.exit(1)


def _usage(error):
    """Message of a click error with the command whose help tells more."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "homog"
    return f"{error.format_message().rstrip('.')}; see {command} --help"
