"""What a page says: everything that is on it, as JSON takes it."""

from pathlib import Path

import numpy as np

from design.designs import Designs, read_designs
from design.output import histories
from design.plan import (
    DESCRIBED,
    LABELLED,
    RESULT,
    identity,
    read_description,
    read_plan,
)
from design.report import provenance, reliability
from design.report.units import (
    designs_shown,
    number,
    numbered,
    of_another_solid,
    rival_shown,
    start_shown,
    table,
)
from homog.dataset import Dataset
from homog.errors import DataError, HomogError, ParameterError, naming
from learn.metrics import LEVELS
from learn.surrogate import Surrogate


def content(folder, rivals=()):
    """All that the page of a design run shows.

    Parameters
    ----------
    folder : str or Path
    rivals : sequence of str or Path
        Folders of topology optimizations.

    Returns
    -------
    dict
        ``task`` (what was asked), ``units`` (designs first, see ``design.report.units``),
        ``tables`` (CSV text of each kind of unit), ``notices`` (what failed or is not verified),
        ``rounds``, ``convergence``, ``reliability``, ``solid`` and ``provenance``.

    Raises
    ------
    ParameterError, DataError
        If a folder holds no run, nothing that is verified, or damaged files.
    """
    folder = Path(folder)
    description, plan = read_description(folder), read_plan(folder)
    designs, done = verified(folder, plan)
    task = plan.task
    solid = {name: number(designs.attributes[name]) for name in ("E", "nu", "scatter")}
    units = {"design": designs_shown(designs, task)}
    units["start"], no_start = _start(folder, plan, solid)
    units["rival"] = numbered([u for rival in rivals for u in rival_shown(rival, solid)])
    tables = {kind: table(units[kind]) for kind in ("start", "rival")}
    return {
        "task": _asked(task),
        "solid": solid,
        "units": [*units["design"], *units["start"], *units["rival"]],
        "tables": {"design": designs.csv(), **tables},
        "notices": _unfinished(done, plan.rounds) + failures(units["design"]),
        "rounds": _rounds(designs, plan),
        "convergence": _convergence(folder, task),
        "reliability": _reliability(designs, plan, description["surrogate"]),
        "missing_start": no_start,
        "provenance": _provenance(folder, plan, description, rivals),
    }


def verified(folder, plan):
    """The verified designs of a run, and how many of its rounds they are from.

    Raises
    ------
    ParameterError
        If there are none yet.
    DataError
        If a file holds something else.
    """
    if (folder / RESULT).is_file():
        return _read(folder / RESULT), plan.rounds
    paths = [folder / f"round-{number}" / RESULT for number in range(1, plan.rounds + 1)]
    rounds = [_read(path) for path in paths if path.is_file()]
    if not rounds:
        raise ParameterError(
            f"{folder}: no verified designs yet; homog design --resume goes on with the run"
        )
    return Designs.joined(rounds).ordered(plan.task), len(rounds)


def _read(path):
    """Designs of a file, which may be a stranger's."""
    designs = read_designs(path)
    if not designs.cells.cubic:
        raise DataError(f"{path}: expected octants of cubic cells, as homog design writes them")
    return designs


def _unfinished(done, rounds):
    if done == rounds:
        return []
    return [
        f"The run is not finished: these are the designs of {done} of {rounds} rounds; "
        "homog design --resume goes on with it."
    ]


def failures(units):
    """What has to be said of designs above all others, as sentences."""
    found = {}
    for unit in units:
        for problem in unit["problems"]:
            found.setdefault(problem["kind"], []).append(unit["row"])
    return [f"{_listed(rows)}: {kind}." for kind, rows in found.items()]


def _listed(rows):
    """Numbers of designs, those that follow each other as a range."""
    ranges = []
    for row in rows:
        if ranges and row == ranges[-1][1] + 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    texts = [f"{low}" if low == high else f"{low} to {high}" for low, high in ranges]
    return f"{'Design' if len(rows) == 1 else 'Designs'} {', '.join(texts)}"


def _asked(task):
    """The task, for the head of the page."""
    return {
        "goals": [{"name": goal.name, "maximize": goal.maximize} for goal in task.goals],
        "density": str(task.cleaning.density),
        "bounds": [str(bound) for bound in task.bounds],
        "min_feature": task.cleaning.min_feature,
        "open_cell": task.cleaning.open_cell,
        "risk": task.risk,
        "samples": task.samples,
    }


def _start(folder, plan, solid):
    """The best labelled units that the run knows, or why there are none."""
    path = folder / LABELLED
    if plan.units and not path.is_file():
        path = Path(plan.units)
    if not path.is_file():
        return [], "The units that the search started from have no labels in the folder."
    with naming(path), Dataset(path) as units:
        labels = units.labels
        if not len(labels):
            return [], "The units that the search started from have no labels."
        if of_another_solid(labels.attributes, solid):
            return [], "The units that the search started from have labels of another solid."
        found = start_shown(units, plan.task)
    return found, "" if found else "No unit that the search started from meets what was asked."


def _reliability(designs, plan, digest):
    """Coverage of the designs, and of the validation units where the surrogate is still there."""
    names, missing, stated = plan.task.predicted_goals, "", {}
    try:
        surrogate = Surrogate.load(plan.model)
        if identity(surrogate) == digest:
            stated = reliability.of_validation(surrogate, names)
        else:
            missing = "the surrogate in its folder is not the one that the run was made with"
    except HomogError as error:
        missing = str(error)
    return {
        "levels": LEVELS.tolist(),
        "designs": reliability.of_designs(designs, names),
        "validation": stated,
        "missing": missing,
    }


def _convergence(folder, task):
    """Best robust values of the generations of each round."""
    found = []
    for history in histories(folder, task):
        if history.shape[1] != len(task.goals):
            raise DataError(f"{folder}: a history.csv is not that of the run; copy it again")
        columns = zip(task.goals, history.T, strict=True)
        found.append({goal.name: [number(v) for v in column] for goal, column in columns})
    return found


def _rounds(designs, plan):
    """Of each round: its designs, those that are new, and the median errors of predictions."""
    of, found = designs.groups["designs"], []
    for place in range(1, plan.rounds + 1):
        mine = np.flatnonzero(of["round"] == place)
        if len(mine):
            errors = designs.select(mine).gap(plan.task)
            found.append(
                {
                    "round": place,
                    "designs": len(mine),
                    "new": int(np.count_nonzero(~of["known"][mine])),
                    "errors": {name: number(error) for name, error in errors.items()},
                }
            )
    return found


def _provenance(folder, plan, description, rivals):
    return {
        "commands": [
            provenance.design_command(plan, folder),
            f"homog verify {folder}",
            provenance.report_command(folder, rivals),
        ],
        "files": {
            DESCRIBED: str(description["writer"]),
            "surrogate": f"{description['surrogate']} (digest of its weights)",
        },
        "versions": provenance.versions(),
    }
