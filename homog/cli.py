"""The command line: parses, calls one function, prints. Imports what a command needs when it runs.

Exit codes: 0 done, 2 wrong usage, 3 bad data, 4 not converged, 130 interrupted, 143 terminated,
1 for any other failure of the system (a full disk), 141 when nobody reads the output any more.
"""

import os
import signal
import sys
from contextlib import contextmanager
from functools import partial

import click

from homog import __version__
from homog.errors import HomogError

SOLVE_EXAMPLES = """\b
Examples:
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33 --scatter 0.01
  homog solve examples/units/*.npy --E 70e3 --nu 0.33 --json
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
        _print(context.get_help())


@cli.command(epilog=SOLVE_EXAMPLES)
@click.argument("files", type=click.Path(), nargs=-1, required=True, metavar="FILE...")
@click.option("--E", "E", type=float, required=True, help="Young's modulus of the solid.")
@click.option("--nu", type=float, required=True, help="Poisson's ratio of the solid.")
@click.option("--key", help="Name of the array in an .npz file.")
@click.option("--threshold", type=float, help="Solid is where the value is at least this.")
@click.option(
    "--tol",
    type=click.FloatRange(1e-13, 1, max_open=True),
    default=1e-6,
    show_default=True,
    help="Allowed error of C, relative to its largest entry.",
)
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
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: all processors]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file and line.")
def solve(files, E, nu, key, threshold, tol, solver, scatter, threads, as_json):
    """Effective stiffness and engineering constants of unit cells.

    FILE is a .npy or .npz array of voxels: True or 1 is solid, axis 0 is x.
    Moduli are printed in the unit of E; tensors in the order 11, 22, 33, 23, 13, 12
    with engineering shear.
    """
    from homog.cell import validated_voxels
    from homog.formats import read_array
    from homog.homogenization import homogenize
    from homog.material import Isotropic
    from homog.sensitivity import check_scatter

    material = Isotropic(E, nu)
    if scatter is not None:
        check_scatter(scatter)

    def solved(path, progress):
        voxels = validated_voxels(read_array(path, key), threshold)
        return homogenize(
            voxels, material, tol=tol, method=solver, threads=threads, progress=progress
        )

    formatted = partial(_json_line if as_json else _table, scatter=scatter)
    sys.exit(_each_file(files, solved, formatted))


def _each_file(files, solved, formatted):
    """Solve and print file by file; a bad one does not stop the others. Returns the exit code."""
    code = 0
    for number, path in enumerate(files):
        try:
            with _progress_bar(os.path.basename(path)) as progress:
                result = solved(path, progress)
        except HomogError as error:
            _complain(f"{path}: {error}")
            code = max(code, error.exit_code)
            continue
        _print(formatted(path, result, number))
    return code


def _json_line(path, result, number, scatter):
    import json

    return json.dumps({"file": path, **result.to_dict(scatter)}, allow_nan=False)


def _table(path, result, number, scatter):
    from homog.tables import result_table

    return "\n" * (number > 0) + result_table(result, path, scatter)


@contextmanager
def _progress_bar(label):
    """Yield a function of the fraction done; a bar appears after two seconds on a terminal."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=label, delay=2, leave=False, bar_format=layout, disable=None) as bar:
        yield lambda fraction: bar.update(max(0.0, fraction - bar.n))


@cli.command(epilog="\b\nExample:\n  homog doctor\n")
def doctor():
    """Versions, threads, memory, and where each package comes from."""
    from homog.environment import environment_table

    _print(environment_table())


def _print(text):
    """To stdout; leaves quietly if nobody reads it any more."""
    try:
        click.echo(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _complain(message):
    """One line on stderr."""
    click.echo(f"homog: {' '.join(str(message).split())}", err=True)


def _terminate(*_):
    """Leave as after an exception, so that nothing stays half-written."""
    sys.exit(143)


def main(arguments=None):
    """Run the command line and exit; errors become one line and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        cli.main(arguments, prog_name="homog", standalone_mode=False)
    except click.exceptions.Abort:
        _complain("interrupted")
        sys.exit(130)
    except click.ClickException as error:
        _complain(_usage(error))
        sys.exit(error.exit_code)
    except HomogError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        _complain(error)
        sys.exit(1)


def _usage(error):
    """Message of a click error with the command whose help tells more."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "homog"
    return f"{error.format_message().rstrip('.')}; see {command} --help"
