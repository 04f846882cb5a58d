"""Pictures of a design run. Need the extra ``view``."""

import matplotlib

matplotlib.use("Agg")  # draws into files, needs no screen

import matplotlib.pyplot as plt
import numpy as np

from design.problem import DENSITY
from homog.units.family import unfold
from homog.view import tiles

PREDICTED, TRUE, OTHERS = "#5b9bd5", "#d46a6a", "#bbbbbb"
TILES = 24  # designs of a gallery


def gallery(designs, task, columns=6):
    """The designs on the front as shaded surfaces, with their true properties.

    Parameters
    ----------
    designs : Designs
    task : Task

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = np.flatnonzero(designs.front)[:TILES]
    if len(shown) < columns:  # with one goal the front is one design: the next best beside it
        shown = np.arange(min(columns, len(designs)))
    names = task.predicted_goals
    captions = [
        f"{n}:  " + "  ".join(f"{name} {designs.true(name)[n]:.4g}" for name in names)
        for n in shown
    ]
    octants = designs.octants
    return tiles(((unfold(octants[n]), PREDICTED) for n in shown), captions, columns)


def front(designs, task):
    """Predicted values with two deviations, and true ones, of all verified designs.

    Over two goals each other, with one goal over the round.
    """
    figure, axes = plt.subplots(figsize=(6.5, 5), layout="constrained")
    names = [goal.name for goal in task.goals]
    if len(names) == 1:
        _one_goal(axes, designs, names[0])
    else:
        _two_goals(axes, designs, *names[:2])
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _one_goal(axes, designs, name):
    place = np.arange(len(designs))
    if name != DENSITY:
        axes.errorbar(
            place, designs.predicted(name), 2 * designs.predicted(name, "total"),
            fmt="o", color=PREDICTED, ms=4, lw=1, label="predicted, two deviations",
        )  # fmt: skip
    axes.plot(place, designs.true(name), "s", color=TRUE, ms=4, label="finite elements")
    axes.set(xlabel="design, the best first", ylabel=name)


def _two_goals(axes, designs, first, second):
    values = [designs.true(name) for name in (first, second)]
    on = designs.front
    axes.plot(*(v[~on] for v in values), "s", color=OTHERS, ms=3, label="verified, others")
    made = [values[n] if name == DENSITY else designs.predicted(name) for n, name in
            enumerate((first, second))]  # fmt: skip
    bars = [
        None if name == DENSITY else 2 * designs.predicted(name, "total")[on]
        for name in (first, second)
    ]
    axes.errorbar(
        *(m[on] for m in made), xerr=bars[0], yerr=bars[1], fmt="o", color=PREDICTED,
        ms=4, lw=0.8, alpha=0.7, label="predicted, two deviations",
    )  # fmt: skip
    axes.plot(*(v[on] for v in values), "s", color=TRUE, ms=4, label="front, finite elements")
    axes.set(xlabel=first, ylabel=second)


def parity(designs, task):
    """Predicted over true values of each goal, coloured by round."""
    names = designs.shown(task)
    figure, plots = plt.subplots(
        1, len(names), figsize=(4.6 * len(names), 4.2), layout="constrained", squeeze=False
    )
    rounds = designs.groups["designs"]["round"]
    for axes, name in zip(plots[0], names, strict=True):
        for number in np.unique(rounds):
            of = rounds == number
            axes.errorbar(
                designs.true(name)[of], designs.predicted(name)[of],
                2 * designs.predicted(name, "total")[of], fmt="o", ms=4, lw=0.8, alpha=0.7,
                label=f"round {number}",
            )  # fmt: skip
        ends = [np.nanmin(designs.true(name)), np.nanmax(designs.true(name))]
        axes.plot(ends, ends, "k-", lw=0.8)
        axes.set(xlabel=f"{name}, finite elements", ylabel=f"{name}, predicted")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def convergence(histories, task):
    """Best robust value of each goal over the generations, round after round.

    Parameters
    ----------
    histories : list of (generations, goals) array
        Of the rounds.
    task : Task
    """
    count = len(task.goals)
    figure, plots = plt.subplots(
        1, count, figsize=(4.6 * count, 3.6), layout="constrained", squeeze=False
    )
    for n, (axes, goal) in enumerate(zip(plots[0], task.goals, strict=True)):
        begin = 0
        for number, history in enumerate(histories, 1):
            steps = begin + np.arange(len(history))
            axes.plot(steps, history[:, n], label=f"round {number}")
            begin += len(history)
        axes.set(xlabel="generation", ylabel=f"best {goal.name}, robust")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
