"""Pictures of training and evaluation. Need the extra ``view``."""

import matplotlib

matplotlib.use("Agg")  # draws into files, needs no screen

import matplotlib.pyplot as plt
import numpy as np

from homog.units.family import unfold
from homog.view import tiles
from learn.metrics import LEVELS
from learn.octants import SOLID

COLOURS = ("#5b9bd5", "#f0b84c", "#4db6a0", "#a48ad4", "#d46a6a")
POINTS = 1500  # of a parity plot
BARS = 200
BINS = 30  # of a distribution


def distribution(evaluation):
    """Where units are (Figure 5), and the error of test units there, over the true value."""
    parts, targets = evaluation.parts, evaluation.surrogate.targets
    figure, plots = plt.subplots(
        2, len(targets), figsize=(4 * len(targets), 5), layout="constrained", squeeze=False,
        sharex="col", height_ratios=(2, 1),
    )  # fmt: skip
    for row, target in enumerate(targets):
        values = {name: judged.nominal[:, row] for name, judged in parts.items()}
        edges = np.histogram_bin_edges(np.concatenate(list(values.values())), BINS)
        for colour, (name, of) in zip(COLOURS, values.items(), strict=False):
            plots[0, row].hist(of, edges, histtype="step", color=colour, lw=1.5, label=name)
        squared = (values["test"] - parts["test"].calibrated[target].mean) ** 2
        count, _ = np.histogram(values["test"], edges)
        total, _ = np.histogram(values["test"], edges, weights=squared)
        rms = np.sqrt(np.divide(total, count, where=count > 0, out=np.full(BINS, np.nan)))
        plots[1, row].stairs(rms, edges, color=COLOURS[4], lw=1.5)
        plots[0, row].set(title=target, ylabel="units", yscale="log")
        plots[1, row].set(xlabel=f"{target}, finite elements", ylabel="rms error", ylim=(0, None))
        for axes in plots[:, row]:
            axes.grid(alpha=0.3)
    plots[0, 0].legend()
    return figure


def parity(evaluation):
    """Predicted against true values of each part and target, with error bars of two deviations.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    matplotlib.figure.Figure
    """
    parts, targets = evaluation.parts, evaluation.surrogate.targets
    figure, plots = plt.subplots(
        len(targets), len(parts), figsize=(4 * len(parts), 3.8 * len(targets)),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for row, target in enumerate(targets):
        for axes, (name, judged) in zip(plots[row], parts.items(), strict=True):
            some = np.random.default_rng(0).permutation(len(judged.z))[:POINTS]
            truth, made = judged.nominal[some, row], judged.calibrated[target]
            barred = some[:BARS]
            axes.errorbar(
                judged.nominal[barred, row], made.mean[barred], 2 * made.total[barred],
                fmt="none", ecolor=COLOURS[0], alpha=0.35, lw=0.8,
            )  # fmt: skip
            axes.scatter(truth, made.mean[some], s=3, color=COLOURS[0], lw=0)
            ends = [judged.nominal[:, row].min(), judged.nominal[:, row].max()]
            axes.plot(ends, ends, "k-", lw=0.8)
            axes.set(title=name, xlabel=f"{target}, finite elements", ylabel=f"{target}, predicted")
            axes.grid(alpha=0.3)
    return figure


def reliability(evaluation):
    """Coverage of central intervals over their level, before and after recalibration."""
    curves = evaluation.reliability()
    figure, plots = plt.subplots(
        1, len(curves), figsize=(4 * len(curves), 3.8), layout="constrained", squeeze=False
    )
    for axes, (target, of) in zip(plots[0], curves.items(), strict=True):
        axes.plot([0, 1], [0, 1], "k-", lw=0.8)
        for colour, (name, covered) in zip(COLOURS, of.items(), strict=False):
            axes.plot(LEVELS, covered, "o-", ms=3, color=colour, label=name)
        axes.set(title=target, xlabel="level of the interval", ylabel="share of test units within")
        axes.grid(alpha=0.3)
    plots[0, 0].legend()
    return figure


def convergence(evaluation):
    """Total deviation over the number of samples (Figure B1)."""
    counts, totals = evaluation.convergence()
    figure, plots = plt.subplots(
        1, len(totals), figsize=(4 * len(totals), 3.4), layout="constrained", squeeze=False
    )
    for axes, (target, rows) in zip(plots[0], totals.items(), strict=True):
        for row in rows:
            axes.plot(counts, row, "o-", ms=3)
        axes.set(title=target, xlabel="samples N", ylabel="total deviation", ylim=(0, None))
        axes.grid(alpha=0.3)
    return figure


def reconstructions(evaluation, count=5):
    """Best and worst reconstructed test units, the original above what is decoded (Figure 6a)."""
    best, worst = evaluation.extremes(count)
    judged = evaluation.parts["test"]
    chosen = np.concatenate([best, worst])
    octants = evaluation.octants(evaluation.data.members("test")[chosen])
    made = evaluation.surrogate.decode(judged.z[chosen]) >= SOLID
    captions = [f"unit {row}" for row in judged.rows[chosen]]
    captions += [f"decoded, {a:.4f}" for a in judged.accuracy[chosen]]
    cells = [(unfold(octant), COLOURS[0]) for octant in octants]
    cells += [(unfold(octant), COLOURS[1]) for octant in made]
    return tiles(cells, captions, columns=2 * count)


def cases(evaluation, realisations=5):
    """Best and worst predicted units, each with realisations from the latent space (Figure 7)."""
    target = evaluation.main_target
    cells, captions = [], []
    for case in evaluation.cases(target):
        octant, made = evaluation.realisations(case, realisations)
        cells += [(unfold(octant), COLOURS[0]), *((unfold(m >= SOLID), COLOURS[1]) for m in made)]
        captions.append(f"unit {case['unit']}, error {case['error']:.2g}")
        captions += [f"{target} {case['mean']:.3g}", *[""] * (realisations - 1)]
    return tiles(cells, captions, columns=realisations + 1)


def morphing(steps):
    """Units on the way from one to another (Figure 8); those with a fault are red.

    Parameters
    ----------
    steps : list of Step
    """
    colours = [COLOURS[4] if step.fault else COLOURS[2] for step in steps]
    captions = [f"t = {step.t:.2f}  {step.fault}".rstrip() for step in steps]
    cells = ((step.voxels, colour) for step, colour in zip(steps, colours, strict=True))
    return tiles(cells, captions, columns=min(9, len(steps)))


def training_curves(history):
    """Losses over the epochs of all phases, one after the other.

    Parameters
    ----------
    history : dict
        Content of a history file.
    """
    rows = [row for record in history["phases"] for row in record["curves"]]
    terms = ("reconstruction", "kl", "regression", "scatter")
    terms = [term for term in terms if any(f"validation {term}" in row for row in rows)]
    figure, plots = plt.subplots(
        len(terms), 1, figsize=(9, 2.25 * len(terms)), layout="constrained", sharex=True
    )
    start = 0
    for record in history["phases"]:
        epochs = [start + row["epoch"] for row in record["curves"]]
        for axes, term in zip(plots, terms, strict=True):
            for part, colour in (("training", COLOURS[0]), ("validation", COLOURS[1])):
                values = [row.get(f"{part} {term}", np.nan) for row in record["curves"]]
                axes.plot(epochs, values, color=colour, lw=1, label=part if start == 0 else None)
            axes.axvline(start, color="#cccccc", lw=0.6)
        plots[0].text(
            start, 1.02, record["name"], transform=plots[0].get_xaxis_transform(),
            rotation=60, fontsize=6,
        )  # fmt: skip
        start += record["epochs"]
    for axes, term in zip(plots, terms, strict=True):
        axes.set(ylabel=term, yscale="log" if term == "reconstruction" else "linear")
        axes.grid(alpha=0.3)
    plots[0].legend()
    plots[-1].set_xlabel("epoch")
    return figure
