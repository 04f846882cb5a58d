"""Command for topology optimization; its code is imported when it runs."""

from contextlib import contextmanager

import click

from homog.dataset_commands import ENDINGS as DATASETS
from homog.errors import ParameterError
from homog.file_commands import read_cell
from homog.terminal import FORCE, PATH, THREADS, complain, resumable, show

ENDINGS = (*DATASETS, ".npy", ".npz")
TOPOPT_EXAMPLES = """\b
Examples:
  homog topopt --maximize K --density 0.3 -o to/
  homog topopt --maximize C11+2*C12-0.5*C44 --density 0.2 --start fcc --start random -o to/
  homog topopt --minimize nu --density 0.3 --start units.h5 --index 7 -o to/
"""


@click.command(epilog=TOPOPT_EXAMPLES)
@click.option("--maximize", help="K, G, E, nu, C11, C12, C44, zener, or a sum such as K+0.5*G.")
@click.option("--minimize", help="The same, to be as low as possible.")
@click.option("--density", type=float, required=True, help="Volume fraction of solid, at most.")
@click.option("--E", "E", type=float, default=70e3, show_default=True, help="Of the solid.")
@click.option("--nu", type=float, default=0.33, show_default=True, help="Of the solid.")
@click.option("--resolution", type=int, default=48, show_default=True, help="Voxels along an edge.")
@click.option(
    "--start",
    multiple=True,
    help="void, bcc, fcc, plates, sphere, random, or a cubic cell in a file; may be repeated.  "
    "[default: all, random twice]",
)
@click.option("--index", type=int, multiple=True, help="Unit of a dataset named by --start.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of random starts."
)
@click.option("--iterations", type=int, default=120, show_default=True, help="From each start.")
@click.option(
    "--min-feature", type=float, default=2.0, show_default=True, help="Filter radius in voxels."
)
@click.option(
    "--open",
    "channel",
    type=float,
    default=0.0,
    help="Keep channels of this diameter, in voxels, along the axes through the centre void.",
)
@click.option("-o", "--output", type=PATH, required=True, help="Folder to write.")
@THREADS
@FORCE
def topopt(output, threads, force, **options):
    """Distribute material in a cubic cell for the best elastic constants.

    Several starts are tried, all are kept, the best comes first. The cells that come out are solid
    and void, and solved as by homog solve. The same command continues where a run stopped.
    """
    from design.topopt import optimize
    from design.topopt_folder import Folder

    settings = _settings(options)
    with Folder(output, settings, force) as folder:
        with iteration_bar(settings) as progress:
            designs = optimize(settings, folder, threads, progress)
        folder.write(designs)
        _draw(designs, settings.objective, output)
    for start in set(settings.starts) - {design.start for design in designs}:
        complain(f"{start}: its solid does not hold together, left out")
    show(_table(designs, settings))
    show(f"{output}: {len(designs)} designs; see homog info {output.rstrip('/')}/designs.h5")


def _settings(options):
    """Settings that the options of the command mean."""
    from design.elastic_objective import ElasticObjective
    from design.topopt import Settings, default_starts, named_starts

    maximize, minimize = options.pop("maximize"), options.pop("minimize")
    if (maximize is None) == (minimize is None):
        raise ParameterError("name what to improve with either --maximize or --minimize")
    files = [name for name in options["start"] if name.endswith(ENDINGS)]
    names = [name for name in options["start"] if name not in files]
    index, seed = options.pop("index"), options.pop("seed")
    if not options.pop("start"):
        starts = default_starts(seed)
    else:
        starts = (*named_starts(names, seed), *_stored_starts(files, index))
    return Settings(
        ElasticObjective.parse(maximize or minimize),
        options.pop("density"),
        minimize=minimize is not None,
        starts=starts,
        **options,
    )


def _stored_starts(files, index):
    """Starts from cubic cells in files: one of an array, one of each index of a dataset."""
    from pathlib import Path

    from design.topopt_starts import Start
    from homog.errors import DataError, naming
    from homog.packing import CUBIC
    from homog.symmetry import symmetry

    for path in files:
        with naming(path):
            for place in index if path.endswith(DATASETS) and index else (None,):
                voxels = read_cell((path, place))
                name = Path(path).stem if place is None else f"{Path(path).stem}-{place}"
                if symmetry(voxels).order != CUBIC or voxels.shape[0] % 2:
                    raise DataError("not a cubic cell of an even number of voxels along its edges")
                half = slice(len(voxels) // 2)
                yield Start(name, octant=voxels[half, half, half].copy())


@contextmanager
def iteration_bar(settings):
    """Yield what ``optimize`` tells of its progress: a bar, and a line for each start."""
    from tqdm import tqdm

    total = settings.iterations * len(settings.starts)
    with tqdm(total=total, desc="iterations", delay=1, leave=False, disable=None) as bar:

        def progress(start, state):
            place = settings.starts.index(start) * settings.iterations + state.iteration
            bar.set_postfix({str(start): f"{state.rows[-1][1]:.4g}"}, refresh=False)
            bar.update(place - bar.n)
            if state.iteration == settings.iterations:
                with bar.external_write_mode():
                    complain(f"{start}: {settings.objective} = {state.rows[-1][1]:.6g}")

        with resumable():
            yield progress


def _table(designs, settings):
    """Delivered cells, the best first."""
    name = str(settings.objective)
    width = max(len(name), 10) + 2
    rows = [f"{'start':<16}{name:>{width}}{'finer grid':>12}{'density':>10}{'K/K_HS':>8}"]
    rows[0] += f"{'E':>10}{'nu':>8}{'G':>10}  void    feature"
    for d in designs:
        of = d.labels["labels"]
        row = f"{d.start!s:<16}{d.objective:>{width}.6g}{d.finer:>12.6g}{d.volume_fraction:>10.4f}"
        row += f"{of['K'] / of['K_upper']:>8.4f}{of['E']:>10.1f}{of['nu']:>8.4f}{of['G']:>10.1f}"
        rows.append(f"{row}  {'open' if d.open_cell else 'closed':<6}{d.smallest_feature:>9}")
    return "\n".join(rows)


def _draw(designs, objective, folder):
    """Pictures of the cells and of the convergence, where pictures can be drawn."""
    from pathlib import Path

    try:
        from design.topopt_plots import convergence, delivered_cells
        from homog.view import save_figure
    except ModuleNotFoundError:  # the extra view is not needed to optimize
        return
    save_figure(delivered_cells(designs, objective), Path(folder) / "gallery.png")
    save_figure(convergence(designs, objective), Path(folder) / "convergence.png")


TOPOPT_COMMANDS = (topopt,)
