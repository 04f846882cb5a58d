"""Where a page comes from: the commands that lead to it, and the versions that ran."""

import platform
import shlex
from importlib.metadata import version

from homog import __version__

PACKAGES = ("numpy", "scipy", "h5py", "torch", "pymoo")


def design_command(plan, folder):
    """The ``homog design`` of a plan; options that have their defaults are left out."""
    task, search, cleaning = plan.task, plan.search, plan.task.cleaning
    words = ["homog", "design"]
    for goal in task.goals:
        words += ["--maximize" if goal.maximize else "--minimize", goal.name]
    words += ["--density", str(cleaning.density)]
    for bound in task.bounds:
        words += ["--bound", bound.name, str(bound.range)]
    words += ["--deterministic"] if not task.samples else ["--risk", f"{task.risk:g}"]
    options = {
        "--samples": (task.samples, (0, 80)),
        "--min-feature": (cleaning.min_feature, (1,)),
        "--enclosed": (cleaning.enclosed, ("keep",)),
        "--model": (plan.model, (None,)),
        "--units": (plan.units, (None,)),
        "--count": (plan.count, (2000,)),
        "--population": (search.population, (100,)),
        "--generations": (search.generations, (200,)),
        "--rounds": (plan.rounds, (3,)),
        "--report": (plan.report, (20,)),
        "--seed": (search.seed, (0,)),
    }
    for name, (value, usual) in options.items():
        if value not in usual:
            words += [name, str(value)]
    words += ["--open"] if cleaning.open_cell else []
    return shlex.join([*words, "-o", str(folder)])


def report_command(folder, rivals):
    words = ["homog", "report", str(folder)]
    for rival in rivals:
        words += ["--rival", str(rival)]
    return shlex.join([*words, "-o", "report.html"])


def versions():
    """Versions that made the page, ``{name: text}``."""
    return {
        "homog": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
