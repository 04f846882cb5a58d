"""Commands for datasets of unit cells: generate, pack, extract, check, info, label."""

import os
import sys

import click

from homog.errors import ParameterError, naming
from homog.terminal import (
    FORCE,
    OUTPUT,
    PATH,
    POISSON,
    RANGE,
    WORKERS,
    YOUNG,
    check_ending,
    counter,
    label_bar,
    show,
    tol_option,
    worker_count,
)

ENDINGS = (".h5", ".hdf5")


def unit_at(dataset, place):
    """A unit of an open dataset."""
    if not -len(dataset) <= place < len(dataset):
        raise ParameterError(f"no unit {place}: the file has 0 to {len(dataset) - 1}")
    return dataset[place]


@click.command(epilog="\b\nExample:\n  homog generate units.h5 --count 1000 --seed 1\n")
@click.argument("output", type=PATH)
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
@click.option("--density", type=RANGE, default="0.05:0.40", show_default=True, help="Of units.")
@WORKERS
@FORCE
def generate(output, count, seed, sources, resolution, min_feature, density, workers, force):
    """Generate distinct cubic unit cells that carry load, into a dataset file.

    The same seed gives the same units for any number of workers.
    """
    from homog.dataset import write_dataset
    from homog.files import check_output
    from homog.units.sampling import Plan, cells_of, sample

    plan = Plan(count, seed, resolution, tuple(sources.split(",")), min_feature, density)
    check_ending(output, *ENDINGS)
    check_output(output, force)
    with counter("units", count) as progress:
        found = sample(plan, worker_count(workers), progress)
    write_dataset(output, cells_of(found, plan))
    show(f"{output}: {count} units; rejected {_counts(found.rejected)}")


def _counts(numbers):
    return ", ".join(f"{n} {name}" for name, n in sorted(numbers.items())) or "none"


@click.command(epilog="\b\nExample:\n  homog pack cells/*.npy -o packed.h5\n")
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
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

    check_ending(output, *ENDINGS)
    check_output(output, force)
    with counter("cells", len(files)) as progress:
        cells = packed_files(files, threshold, progress)
    write_dataset(output, cells)
    stored = "octants" if cells.cubic else "whole cells"
    show(f"{output}: {len(files)} cells, stored as {stored}")


@click.command(epilog="\b\nExample:\n  homog extract units.h5 --index 7 -o unit.npy\n")
@click.argument("dataset", type=PATH)
@click.option("--index", type=int, required=True, help="Unit, from 0 on.")
@OUTPUT
@FORCE
def extract(dataset, index, output, force):
    """Write the voxels of one unit of a dataset as a .npy file."""
    from homog.dataset import Dataset
    from homog.files import check_output, write_array

    check_ending(output, ".npy")
    check_output(output, force)
    with naming(dataset), Dataset(dataset) as units:
        unit = unit_at(units, index)
    write_array(output, unit.voxels)
    show(f"{output}: unit {unit.index}, {unit.source}: {unit.family}")


@click.command(epilog="\b\nExample:\n  homog check units.h5\n")
@click.argument("dataset", type=PATH)
@WORKERS
def check(dataset, workers):
    """Verify every unit of a dataset: hash, cubic, connected, spanning, distinct.

    Exits with 3 if a unit fails.
    """
    from homog.checking import check_dataset
    from homog.dataset import Dataset

    with naming(dataset), Dataset(dataset) as units:
        with counter("units", len(units)) as progress:
            wrong = check_dataset(units, worker_count(workers), progress)
        for index, problem in wrong:
            show(f"unit {index}: {problem}")
        bad = len({index for index, _ in wrong})
        show(f"{dataset}: {len(units)} units, {bad or 'none'} of them wrong")
    sys.exit(3 if wrong else 0)


@click.command(epilog="\b\nExample:\n  homog info units.h5 --properties 200 --E 70e3 --nu 0.33\n")
@click.argument("dataset", type=PATH)
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
    with naming(dataset), Dataset(dataset) as units:
        show(dataset_summary(units))
        if len(units.labels):
            show("\n" + labels_summary(units))
        if properties:
            count = min(properties, len(units))
            with counter("solved", count) as progress:
                part, found = sampled_properties(
                    units, material, (count, seed), worker_count(workers), progress
                )
            show("\n" + properties_summary(part, found))


LABEL_EXAMPLES = """\b
Examples:
  homog label units.h5 -o labelled.h5 --E 70e3 --nu 0.33 --scatter 0.01 --seed 2 --workers 2
  homog label units.h5 -o labelled.h5 --E 70e3 --nu 0.33 --dry-run
  homog label units.h5 -o labelled.h5 --E 70e3 --nu 0.33 --array 0/20
"""


@click.command(epilog=LABEL_EXAMPLES)
@click.argument("dataset", type=PATH)
@OUTPUT
@YOUNG
@POISSON
@click.option(
    "--scatter",
    type=float,
    default=0.0,
    show_default=True,
    help="Relative standard deviation of E and nu of each unit's own solid; 0 for none.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of it.")
@tol_option(1e-5)
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

    check_ending(output, *ENDINGS)
    if os.path.realpath(dataset) == os.path.realpath(output):
        raise ParameterError(f"{output}: output and input are one file; name another output")
    check_output(output, force)
    with naming(dataset), Dataset(dataset) as units:
        cubic, count = units.cubic, len(units)
    settings = Settings(**settings, cubic=cubic)
    if dry_run:
        rate = labelling.measured_rate(dataset, settings)
        show(labelling.estimate(rate, count, worker_count(workers)))
    elif merge:
        labelling.merge(dataset, output, settings)
        show(f"{output}: {count} units")
    else:
        engine = _engine(dask, scheduler, worker_count(workers))
        job = labelling.Job.parsed(array)
        with label_bar() as progress:
            outcome = labelling.label_dataset(
                dataset, output, settings, engine, job, force, progress
            )
        show(f"{output}: {outcome}")


def _engine(dask, scheduler, workers):
    from homog import labelling

    if dask or scheduler:
        from homog.cluster import dask_engine

        return dask_engine(scheduler, workers)
    return labelling.local(workers)


COMMANDS = (generate, pack, extract, check, info, label)
