"""Commands for designs: design, verify, sweep. Torch and pymoo are imported when one runs."""

import sys
from contextlib import contextmanager

import click

from homog.errors import ParameterError
from homog.learn_commands import needs_learn, use_threads
from homog.terminal import (
    FORCE,
    PATH,
    RANGE,
    THREADS,
    WORKERS,
    comma_separated,
    complain,
    counter,
    resumable,
    show,
    worker_count,
)

DESIGN_EXAMPLES = """\b
Examples:
  homog design --maximize K --density 0.299:0.301 -o run/
  homog design --maximize E --maximize nu --density 0.319:0.321 --risk 5 -o run/
  homog design --maximize G --density 0.2:0.25 --bound nu 0:0.2 --min-feature 3 --open -o run/
  homog design --resume run/
"""


def _search_options(command):
    """Options that say what to design and how to search."""
    options = (
        click.option("--maximize", multiple=True, metavar="PROPERTY", help="May be repeated."),
        click.option("--minimize", multiple=True, metavar="PROPERTY", help="May be repeated."),
        click.option("--density", type=RANGE, default="0:1", help="Range of the volume fraction."),
        click.option(
            "--bound", type=(str, RANGE), multiple=True, metavar="PROPERTY LOW:HIGH",
            help="Range of a property, with the risk's deviations to spare; may be repeated.",
        ),
        click.option(
            "--min-feature", type=click.IntRange(min=1), default=1, show_default=True,
            help="Smallest feature allowed, in voxels.",
        ),
        click.option(
            "--enclosed", type=click.Choice(["keep", "fill"]), default="keep", show_default=True,
            help="Void that is closed off on all sides.",
        ),
        click.option("--open", "open_cell", is_flag=True, help="Void shall connect all faces."),
        click.option(
            "--samples", type=click.IntRange(min=1), default=80, show_default=True,
            help="Points of the latent space for each prediction.",
        ),
        click.option("--model", type=PATH, help="Surrogate.  [default: the one of the package]"),
        click.option("--units", type=PATH, help="Dataset to start from.  [default: generated]"),
        click.option(
            "--count", type=click.IntRange(min=1), default=2000, show_default=True,
            help="Units to start from.",
        ),
        click.option(
            "--population", type=click.IntRange(min=4), default=100, show_default=True,
            help="Designs at a time.",
        ),
        click.option(
            "--generations", type=click.IntRange(min=1), default=200, show_default=True,
            help="Of each search.",
        ),
        click.option(
            "--rounds", type=click.IntRange(min=1), default=3, show_default=True,
            help="Searches, each with the surrogate corrected by the designs of those before.",
        ),
        click.option(
            "--report", type=click.IntRange(min=1), default=20, show_default=True,
            help="Designs verified in each round, at most.",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(epilog=DESIGN_EXAMPLES)
@_search_options
@click.option(
    "--risk", type=click.FloatRange(min=0), default=5.0, show_default=True,
    help="Deviations that a property gives up (lambda).",
)  # fmt: skip
@click.option("--deterministic", is_flag=True, help="Means alone, without risk and samples.")
@click.option("-o", "--output", type=PATH, help="Folder to write.")
@click.option("--resume", type=PATH, metavar="FOLDER", help="Go on with the run in a folder.")
@WORKERS
@THREADS
@FORCE
def design(output, resume, workers, threads, force, **options):
    """Design units by robust optimization in the latent space, verified by finite elements.

    PROPERTY is a target of the surrogate (E, nu, K, G) or density. The same command, or
    --resume, continues where an interrupted run stopped.
    """
    with needs_design():
        from design.output import table
        from design.plan import read_plan
    if (resume is None) == (output is None):
        raise ParameterError("name a folder with -o for a new run, or with --resume for an old one")
    plan = read_plan(resume) if resume else design_plan(**options)
    use_threads(threads)
    folder = resume or output
    result = run_design(plan, folder, worker_count(workers), force and not resume)
    show(table(result, plan.task))
    show(f"{folder}: {len(result)} verified designs, {result.front.sum()} of them on the front")


def design_plan(risk, deterministic, samples, **options):
    """The ``Plan`` that options mean."""
    from design.cleaning import Cleaning, Range
    from design.plan import Plan
    from design.problem import Bound, Goal, Task
    from design.search import Settings

    goals = [Goal(name) for name in options["maximize"]]
    goals += [Goal(name, maximize=False) for name in options["minimize"]]
    if not goals:
        raise ParameterError("name a property with --maximize or --minimize, such as K")
    cleaning = Cleaning(
        Range(*options["density"]), options["min_feature"], options["enclosed"],
        options["open_cell"],
    )  # fmt: skip
    bounds = tuple(Bound(name, Range(*ends)) for name, ends in options["bound"])
    how = (0.0, 0) if deterministic else (risk, samples)
    return Plan(
        Task(tuple(goals), cleaning, bounds, *how),
        Settings(options["population"], options["generations"], options["seed"]),
        **{name: options[name] for name in ("rounds", "report", "model", "units", "count")},
    )


def run_design(plan, folder, workers, force=False):
    """Run a plan with progress, and write the pictures and tables."""
    from design.output import write_output
    from design.run import design

    with resumable("the same command, or --resume,"):
        result = design(plan, folder, workers, Tell(), force)
    write_output(folder, result, plan.task)
    return result


class Tell:
    """Bars and lines on stderr."""

    @contextmanager
    def bar(self, label, total):
        from tqdm import tqdm

        with tqdm(total=total, desc=label, delay=1, leave=False, disable=None) as bar:

            def step(found=None):
                if found:
                    best = " ".join(f"{value:.4g}" for value in found["best"])
                    bar.set_postfix_str(f"feasible {found['feasible']}, best {best}")
                bar.update()

            yield step

    def say(self, text):
        complain(text)


@contextmanager
def needs_design():
    """Say how to install what is missing."""
    with needs_learn():
        import design.search  # noqa: F401 (loads pymoo)

        yield


@click.command(epilog="\b\nExample:\n  homog verify run/\n")
@click.argument("folder", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per design and line.")
@WORKERS
def verify(folder, as_json, workers):
    """Solve every design of a run again, at its resolution and at twice it.

    FOLDER is that of homog design. Predicted stand beside true properties, and deviations under
    scatter of the solid from sensitivities beside those of sampled solids. Exits with 3 if a
    design is not what the file says.
    """
    import json

    with needs_design():
        from design.output import verification_rows, verification_table
        from design.plan import read_plan
        from design.run import reverified
    plan = read_plan(folder)
    with counter("designs", None) as progress:
        designs, again, wrong = reverified(folder, worker_count(workers), progress)
    if as_json:
        for row in verification_rows(designs, again):
            show(json.dumps(row))
    else:
        show(verification_table(designs, again, plan.task))
    for text in wrong:
        complain(f"{folder}: {text}")
    sys.exit(3 if wrong else 0)


def _risks(context, parameter, text):
    """Numbers separated by commas."""
    risks = comma_separated(text, float)
    if not risks or not all(0 <= risk < float("inf") for risk in risks):
        raise click.BadParameter(f"expected numbers like 0.5,1,5; got {text!r}")
    return risks


SWEEP_EXAMPLE = (
    "\b\nExample:\n  homog sweep --risk 0.5,1,5,10,50,100 --maximize K --density 0.299:0.301 "
    "-o sweep/\n"
)


@click.command(epilog=SWEEP_EXAMPLE)
@_search_options
@click.option(
    "--risk", default="0.5,1,5,10,50,100", show_default=True, callback=_risks,
    help="Deviations that a property gives up, separated by commas.",
)  # fmt: skip
@click.option("-o", "--output", type=PATH, required=True, help="Folder to write.")
@WORKERS
@THREADS
@FORCE
def sweep(risk, output, workers, threads, force, **options):
    """Design with several risks, each in a folder of its own, and compare the optima.

    The same command continues where an interrupted sweep stopped.
    """
    from dataclasses import replace
    from pathlib import Path

    with needs_design():
        from design.output import sweep_table
        from design.plan import start_units

    plans = {r: design_plan(risk=r, deterministic=False, **options) for r in risk}
    use_threads(threads)
    results, units = {}, options["units"]
    for value, plan in plans.items():
        complain(f"risk {value:g}")
        folder = Path(output) / f"risk-{value:g}"
        plan = replace(plan, units=units)
        results[value] = run_design(plan, folder, worker_count(workers), force)
        units = start_units(folder) or units  # the others start from those of the first
    show(sweep_table(results, next(iter(plans.values())).task))


DESIGN_COMMANDS = (design, verify, sweep)
