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
from homog.errors import HomogError, ParameterError

DATASET_ENDINGS = (".h5", ".hdf5")
SOLVE_EXAMPLES = """\b
Examples:
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33
  homog solve examples/units/octet.npy --E 70e3 --nu 0.33 --scatter 0.01
  homog solve examples/units/*.npy --E 70e3 --nu 0.33 --json
  homog solve units.h5 --index 7 --E 70e3 --nu 0.33
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
@click.option("--index", type=int, multiple=True, help="Unit of a dataset; may be repeated.")
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
def solve(files, E, nu, key, index, threshold, tol, solver, scatter, threads, as_json):
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

    def solved(cell, progress):
        return homogenize(
            _read_cell(cell, key, threshold),
            material, tol=tol, method=solver, threads=threads, progress=progress,
        )  # fmt: skip

    cells = [(path, place) for path in files for place in index or (None,)]
    formatted = partial(_json_line if as_json else _table, scatter=scatter)
    sys.exit(_each_cell(cells, solved, formatted))


def _read_cell(cell, key=None, threshold=None):
    """Voxels of a file, or of a unit of a dataset."""
    from homog.cell import validated_voxels
    from homog.formats import read_array

    path, place = cell
    if place is None and not path.endswith(DATASET_ENDINGS):
        return validated_voxels(read_array(path, key), threshold)
    return _unit_of(path, place).voxels


def _unit_of(path, place):
    """A unit of a dataset file."""
    from homog.dataset import Dataset

    if place is None:
        raise ParameterError("a dataset holds many units; choose one with --index")
    with Dataset(path) as dataset:
        if not -len(dataset) <= place < len(dataset):
            raise ParameterError(f"no unit {place}: the file has 0 to {len(dataset) - 1}")
        return dataset[place]


def _name(cell):
    path, place = cell
    return path if place is None else f"{path}[{place}]"


def _each_cell(cells, solved, formatted):
    """Solve and print cell by cell; a bad one does not stop the others. Returns the exit code."""
    code = 0
    for number, cell in enumerate(cells):
        try:
            with _progress_bar(os.path.basename(_name(cell))) as progress:
                result = solved(cell, progress)
        except HomogError as error:
            _complain(f"{_name(cell)}: {error}")
            code = max(code, error.exit_code)
            continue
        _print(formatted(_name(cell), result, number))
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


@contextmanager
def _counter(label, total):
    """Yield a function to call for each of ``total`` things; a bar appears on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, desc=label, delay=1, leave=False, disable=None) as bar:
        yield lambda: bar.update()


@contextmanager
def _naming(path):
    """Errors within name the file they are about."""
    try:
        yield
    except HomogError as error:
        raise type(error)(f"{path}: {error}") from error


FORCE = click.option("--force", is_flag=True, help="Replace the output if it exists.")
OUTPUT = click.option("-o", "--output", type=click.Path(), required=True, help="File to write.")
WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), help="Processes.  [default: all processors]"
)


def _workers(workers):
    from homog.threads import available_threads

    return workers or available_threads()


@cli.command(epilog="\b\nExample:\n  homog generate units.h5 --count 1000 --seed 1\n")
@click.argument("output", type=click.Path())
@click.option("--count", type=click.IntRange(min=1), required=True, help="Units to generate.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--sources",
    default="templates,lattices,isosurfaces",
    show_default=True,
    help="Where units come from, separated by commas.",
)
@click.option("--resolution", type=int, default=48, show_default=True, help="Voxels along an edge.")
@click.option(
    "--min-feature",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Smallest feature allowed, in voxels.",
)
@WORKERS
@FORCE
def generate(output, count, seed, sources, resolution, min_feature, workers, force):
    """Generate distinct cubic unit cells that carry load, into a dataset file.

    The same seed gives the same units for any number of workers.
    """
    from homog.dataset import write_dataset
    from homog.files import check_output
    from homog.units.sampling import Plan, cells_of, sample

    plan = Plan(count, seed, resolution, tuple(sources.split(",")), min_feature)
    _check_dataset_name(output)
    check_output(output, force)
    with _counter("units", count) as progress:
        found = sample(plan, _workers(workers), progress)
    write_dataset(output, cells_of(found, plan))
    _print(f"{output}: {count} units; rejected {_counts(found.rejected)}")


def _check_dataset_name(output):
    if not output.endswith(DATASET_ENDINGS):
        raise ParameterError(f"{output}: expected a name that ends in .h5 or .hdf5")


def _counts(numbers):
    return ", ".join(f"{n} {name}" for name, n in sorted(numbers.items())) or "none"


@cli.command(epilog="\b\nExample:\n  homog pack cells/*.npy -o units.h5\n")
@click.argument("files", type=click.Path(), nargs=-1, required=True, metavar="FILE...")
@click.option("--threshold", type=float, help="Solid is where the value is at least this.")
@OUTPUT
@FORCE
def pack(files, threshold, output, force):
    """Collect cells from .npy and .npz files in a dataset file.

    All have one shape. If all are cubic, one octant of each is stored.
    """
    from homog.dataset import write_dataset
    from homog.files import check_output
    from homog.packing import packed_files

    _check_dataset_name(output)
    check_output(output, force)
    with _counter("cells", len(files)) as progress:
        cells = packed_files(files, threshold, progress)
    write_dataset(output, cells)
    stored = "octants" if cells.cubic else "whole cells"
    _print(f"{output}: {len(files)} cells, stored as {stored}")


@cli.command(epilog="\b\nExample:\n  homog extract units.h5 --index 7 -o unit.npy\n")
@click.argument("dataset", type=click.Path())
@click.option("--index", type=int, required=True, help="Unit, from 0 on.")
@OUTPUT
@FORCE
def extract(dataset, index, output, force):
    """Write the voxels of one unit of a dataset as a .npy file."""
    from io import BytesIO

    import numpy as np

    from homog.files import check_output, write_atomically

    if not output.endswith(".npy"):
        raise ParameterError(f"{output}: expected a name that ends in .npy")
    check_output(output, force)
    with _naming(dataset):
        unit = _unit_of(dataset, index)
    stream = BytesIO()
    np.save(stream, unit.voxels)
    write_atomically(output, stream.getbuffer())
    _print(f"{output}: unit {unit.index}, {unit.source}: {unit.family}")


@cli.command(epilog="\b\nExample:\n  homog check units.h5\n")
@click.argument("dataset", type=click.Path())
@WORKERS
def check(dataset, workers):
    """Verify every unit of a dataset: hash, cubic, connected, spanning, distinct.

    Exits with 3 if a unit fails.
    """
    from homog.checking import check_dataset
    from homog.dataset import Dataset

    with _naming(dataset), Dataset(dataset) as units:
        with _counter("units", len(units)) as progress:
            wrong = check_dataset(units, _workers(workers), progress)
        for index, problem in wrong:
            _print(f"unit {index}: {problem}")
        bad = len({index for index, _ in wrong})
        _print(f"{dataset}: {len(units)} units, {bad or 'none'} of them wrong")
    sys.exit(3 if wrong else 0)


@cli.command(epilog="\b\nExample:\n  homog info units.h5 --properties 200 --E 70e3 --nu 0.33\n")
@click.argument("dataset", type=click.Path())
@click.option(
    "--properties", type=click.IntRange(min=1), help="Random units to solve for their properties."
)
@click.option("--E", "E", type=float, default=1.0, show_default=True, help="Solid, to solve with.")
@click.option("--nu", type=float, default=0.33, show_default=True, help="Solid, to solve with.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@WORKERS
def info(dataset, properties, E, nu, seed, workers):
    """Counts, histograms and hash of a dataset; with --properties the range of its labels."""
    from homog.dataset import Dataset
    from homog.material import Isotropic
    from homog.summary import (
        dataset_summary,
        labels_summary,
        properties_summary,
        sampled_properties,
    )

    material = Isotropic(E, nu)
    with _naming(dataset), Dataset(dataset) as units:
        _print(dataset_summary(units))
        if len(units.labels):
            _print("\n" + labels_summary(units))
        if properties:
            count = min(properties, len(units))
            with _counter("solved", count) as progress:
                part, found = sampled_properties(
                    units, material, (count, seed), _workers(workers), progress
                )
            _print("\n" + properties_summary(part, found))


@cli.command(epilog="\b\nExample:\n  homog view units.h5 --sample 48 -o gallery.png\n")
@click.argument("dataset", type=click.Path())
@click.option("--sample", type=click.IntRange(min=1), help="Random units.  [default: 24]")
@click.option("--index", type=int, multiple=True, help="Unit to show; may be repeated.")
@click.option("--properties", is_flag=True, help="Plot the labels against the volume fraction.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@OUTPUT
@FORCE
def view(dataset, sample, index, properties, seed, output, force):
    """Draw units of a dataset side by side as shaded surfaces, or their properties (.png)."""
    from homog.dataset import Dataset
    from homog.files import check_output

    if not output.endswith(".png"):
        raise ParameterError(f"{output}: expected a name that ends in .png")
    check_output(output, force)
    drawing = _drawing()
    with _naming(dataset), Dataset(dataset) as units:
        if properties:
            drawing.save_figure(drawing.property_plots(units), output)
            _print(f"{output}: properties of {len(units)} units")
            return
        if index:
            chosen = [_unit_of(dataset, place) for place in index]
        else:
            chosen = list(units.sampled(sample or 24, seed))
    with _counter("drawn", len(chosen)) as progress:
        drawing.save_figure(drawing.gallery(chosen, progress=progress), output)
    _print(f"{output}: units {' '.join(str(unit.index) for unit in chosen)}")


def _drawing():
    """The module that draws, whose libraries are an extra."""
    try:
        from homog import view as drawing
    except ImportError as error:
        raise ParameterError(
            f"pictures need {error.name}; pip install 'homog-toolkit[view]'"
        ) from error
    return drawing


LABEL_EXAMPLES = """\b
Examples:
  homog label units.h5 -o labelled.h5 --E 70e3 --nu 0.33 --scatter 0.01 --seed 2 --workers 2
  homog label units.h5 -o labelled.h5 --E 70e3 --nu 0.33 --dry-run
  homog label units.h5 -o labelled.h5 --E 70e3 --nu 0.33 --array 0/20
"""


@cli.command(epilog=LABEL_EXAMPLES)
@click.argument("dataset", type=click.Path())
@OUTPUT
@click.option("--E", "E", type=float, required=True, help="Young's modulus of the solid.")
@click.option("--nu", type=float, required=True, help="Poisson's ratio of the solid.")
@click.option(
    "--scatter",
    type=float,
    default=0.0,
    show_default=True,
    help="Relative standard deviation of E and nu of each unit's own solid; 0 for none.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of it.")
@click.option(
    "--tol",
    type=click.FloatRange(1e-13, 1, max_open=True),
    default=1e-5,
    show_default=True,
    help="Allowed error of C, relative to its largest entry.",
)
@WORKERS
@click.option("--dask", is_flag=True, help="Use a Dask cluster on this machine.")
@click.option("--scheduler", help="Use the Dask scheduler at this address.")
@click.option("--array", metavar="I/N", help="Label the I-th of N parts only, I from 0 on.")
@click.option("--merge", is_flag=True, help="Only put finished parts together.")
@click.option("--dry-run", is_flag=True, help="Only measure the rate and estimate the time.")
@FORCE
def label(dataset, output, workers, dask, scheduler, array, merge, dry_run, force, **settings):
    """Solve every unit of a dataset and store its properties beside it.

    Repeat the command to continue where a run stopped. With --scatter each unit
    gets a second label, at a solid of its own.
    """
    from homog import labelling
    from homog.dataset import Dataset
    from homog.files import check_output
    from homog.labels import Settings

    if os.path.realpath(dataset) == os.path.realpath(output):
        raise ParameterError(f"{output}: output and input are one file; name another output")
    check_output(output, force)
    with _naming(dataset), Dataset(dataset) as units:
        settings = Settings(**settings, cubic=units.cubic)
        count = len(units)
    if dry_run:
        rate = labelling.measured_rate(dataset, settings)
        _print(labelling.estimate(rate, count, _workers(workers)))
    elif merge:
        labelling.merge(dataset, output, settings)
        _print(f"{output}: {count} units")
    else:
        engine = _engine(dask, scheduler, _workers(workers))
        job = labelling.Job.parsed(array)
        with _label_bar() as progress:
            outcome = labelling.label_dataset(
                dataset, output, settings, engine, job, force, progress
            )
        _print(f"{output}: {outcome}")


def _engine(dask, scheduler, workers):
    from homog import labelling

    if dask or scheduler:
        from homog.cluster import dask_engine

        return dask_engine(scheduler, workers)
    return labelling.local(workers)


@contextmanager
def _label_bar():
    """Yield a function that takes the number of units, then each unit's labels."""
    from tqdm import tqdm

    with tqdm(desc="labels", unit=" units", delay=1, leave=False, disable=None) as bar:
        failed = 0

        def progress(row):
            nonlocal failed
            if isinstance(row, int):
                bar.reset(row)
                return
            failed += int(row["labels"]["status"] != 0)
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        try:
            yield progress
        except (KeyboardInterrupt, SystemExit):
            _complain(f"stopped after {bar.n} units, which are kept; the same command continues")
            raise


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
