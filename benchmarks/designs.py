"""Designs beside the publication's: rivals of case 1, fronts of case 2 (Tables 5, 6, Fig. 10, 11).

python benchmarks/designs.py rivals labelled.h5 run/ --topopt to/
python benchmarks/designs.py fronts --robust r0/ r1/ r2/ --deterministic d0/ d1/ d2/ -o f.png
"""

import argparse

import numpy as np

from design.archive import nondominated
from design.designs import read_designs
from homog.bounds import hashin_shtrikman_upper
from homog.dataset import Dataset
from homog.material import Isotropic
from learn.surrogate import Surrogate

SOLID = Isotropic(70e3, 0.33)
PAPER = {  # true E, true nu: Table 6 of the publication, density 0.3206 to 0.3209
    "robust": [
        (13280.9, 0.1709), (12649.1, 0.1776), (10526.5, 0.2261), (9775.6, 0.2365),
        (9461.3, 0.2425), (8487.1, 0.2488), (6267.3, 0.2711), (6111.1, 0.2765),
        (5258.6, 0.3105), (4704.8, 0.3320),
    ],
    "deterministic": [
        (8734.8, 0.2023), (8718.7, 0.1976), (7914.0, 0.1712), (7112.3, 0.2037),
        (6651.1, 0.2508), (6285.5, 0.2517), (5843.9, 0.2581), (6694.2, 0.2453),
        (6512.2, 0.2512), (4968.1, 0.2776),
    ],
}  # fmt: skip
REFERENCE = (0.0, 0.0)  # E and nu that bound the hypervolume


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    of = commands.add_parser("rivals")
    of.add_argument("labelled")
    of.add_argument("run", nargs="+")
    of.add_argument("--topopt")
    of.set_defaults(function=rivals)
    of = commands.add_parser("fronts")
    of.add_argument("--robust", nargs="+", required=True)
    of.add_argument("--deterministic", nargs="+", required=True)
    of.add_argument("--model", help="surrogate that judges the uncertainty of all designs")
    of.add_argument("-o", "--output", help="picture of the deviations (Fig. 11)")
    of.set_defaults(function=fronts)
    options = parser.parse_args()
    options.function(options)


def rivals(options):
    """Bulk modulus at a density of 0.299 to 0.301: designs, database, topology optimization."""
    rows = []
    for folder in options.run:
        designs = read_designs(f"{folder}/designs.h5")
        is_open = designs.groups["verification"]["open_cell"]
        fine = designs.groups["verification"]["K_ratio_fine"]
        for kind, some in (("closed", ~is_open), ("open", is_open)):
            if some.any():
                n = np.flatnonzero(some)[np.argmax(designs.true("K")[some])]
                rows.append(
                    (f"{folder}, {kind}", designs.density[n], designs.true("K")[n], fine[n])
                )
    rows += best_units(options.labelled)
    if options.topopt:
        with Dataset(f"{options.topopt}/designs.h5") as units:
            K, density = units.labels["K"], units.volume_fraction
            n = int(np.nanargmax(K))
            rows.append(("topology optimization", density[n], K[n], np.nan))
    rows += [
        ("publication, robust (Table 5)", 0.302, 5954.8, np.nan),
        ("publication, rival (Huang 2011)", 0.300, 5577.8, np.nan),
    ]
    print(f"{'':<44}{'density':>9}{'K':>9}{'K/K_HS':>8}{'at 2x':>8}")
    for name, density, K, fine in rows:
        upper, _ = hashin_shtrikman_upper(density, SOLID.K, SOLID.G)
        print(f"{name:<44}{density:>9.4f}{K:>9.1f}{K / upper:>8.3f}{fine:>8.3f}")


def best_units(path):
    """The units of a database of highest K at a density of 0.299 to 0.301."""
    rows = []
    with Dataset(path) as units:
        density, K, is_open = units.volume_fraction, units.labels["K"], units.column("open_cell")
        for kind, of in (("closed", ~is_open), ("open", is_open)):
            some = np.flatnonzero(of & (density >= 0.299) & (density <= 0.301))
            n = some[np.nanargmax(K[some])]
            rows.append((f"best unit of the database, {kind}", density[n], K[n], np.nan))
    return rows


def fronts(options):
    """Robust and deterministic fronts of E and nu."""
    judge = Surrogate.load(options.model)
    found = {name: [front_of(f, judge) for f in getattr(options, name)] for name in PAPER}
    head = {"designs": 8, "hypervolume": 12, "CV E": 8, "CV nu": 8, "true E": 8, "true nu": 8}
    head |= {"error E": 9, "error nu": 9}
    print(" " * 28 + "".join(f"{text:>{width}}" for text, width in head.items()))
    for name, runs in found.items():
        for folder, front in zip(getattr(options, name), runs, strict=True):
            print(row_of(f"{name}, {folder}", front))
    for name, points in PAPER.items():
        volume = hypervolume(np.array(points))
        print(f"{'publication, ' + name:<28}{len(points):>8}{volume:>12.1f}")
    every = np.concatenate([front["true"] for front in found["robust"]])
    print("\npublication, robust     at least as good in both   designs of each run that are")
    for E, nu in PAPER["robust"]:
        better = [np.all(front["true"] >= (E, nu), axis=1).sum() for front in found["robust"]]
        better_one = every[np.all(every >= (E, nu), axis=1)]
        best = (
            better_one[np.argmax(better_one[:, 0] / E + better_one[:, 1] / nu)]
            if len(better_one)
            else None
        )
        text = "none" if best is None else f"{best[0]:.0f}  {best[1]:.4f}"
        print(f"{E:>10.1f}{nu:>9.4f}{text:>24}      {' '.join(map(str, better))}")
    shares = [
        np.mean([np.any(np.all(robust["objective"] >= row, axis=1)) for row in front["objective"]])
        for robust, front in zip(found["robust"], found["deterministic"], strict=False)
    ]
    print(
        f"\ndeterministic designs that a robust one beats in mean - 5 total, of each seed: "
        f"{', '.join(f'{share:.2f}' for share in shares)}"
    )
    if options.output:
        draw_deviations(found, options.output)


def draw_deviations(found, path):
    """Figure 11: stated deviation relative to the true value, over the true value."""
    import matplotlib.pyplot as plt

    from homog.view import save_figure

    figure, plots = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for i, (axes, target) in enumerate(zip(plots, ("E", "nu"), strict=True)):
        for name, colour in zip(found, ("tab:blue", "tab:orange"), strict=True):
            true = np.concatenate([front["true"][:, i] for front in found[name]])
            total = np.concatenate([front["total"][:, i] for front in found[name]])
            axes.scatter(true, 100 * total / true, s=14, color=colour, label=name)
        axes.set(xlabel=f"{target}, finite elements", ylabel=f"CV of {target} in %", yscale="log")
        axes.grid(alpha=0.3)
    plots[0].legend()
    save_figure(figure, path)


def front_of(folder, judge):
    """Designs of a run's last round on its front: true and predicted values, and uncertainty.

    The uncertainty of all is that which one surrogate states, so that it can be compared.
    """
    designs = read_designs(f"{folder}/designs.h5")
    last = designs.groups["designs"]["round"] == designs.groups["designs"]["round"].max()
    mine = designs.select(np.flatnonzero(last))
    judged = judge.predict_octants(mine.octants)
    columns = {
        "true": [mine.true(name) for name in ("E", "nu")],
        "predicted": [mine.predicted(name) for name in ("E", "nu")],
        "mean": [judged[name].mean for name in ("E", "nu")],
        "total": [judged[name].total for name in ("E", "nu")],
    }
    found = {name: np.column_stack(values) for name, values in columns.items()}
    found["objective"] = found["mean"] - 5 * found["total"]
    found["own total"] = np.column_stack([mine.predicted(name, "total") for name in ("E", "nu")])
    every = np.column_stack([designs.true(name) for name in ("E", "nu")])
    found["all true"] = every
    return found


def row_of(name, front):
    """A line of the table: spread of the front, and medians over its designs.

    The deviation that is stated is taken relative to the stated mean, and to the true value.
    """
    variation = np.concatenate(
        [100 * np.median(front["total"] / np.abs(front[of]), axis=0) for of in ("mean", "true")]
    )
    error = 100 * np.median(np.abs(front["predicted"] / front["true"] - 1), axis=0)
    numbers = "".join(f"{v:>7.2f}%" for v in variation) + "".join(f"{v:>8.2f}%" for v in error)
    return f"{name:<28}{len(front['true']):>8}{hypervolume(front['all true']):>12.1f}{numbers}"


def hypervolume(points):
    """Area that designs dominate, from REFERENCE on, in MPa."""
    points = np.asarray(points, float)
    points = points[np.all(points > REFERENCE, axis=1)]
    front = points[nondominated(-points)]
    front = front[np.argsort(-front[:, 0])]
    below = np.concatenate([[REFERENCE[1]], front[:-1, 1]])
    return float(np.sum((front[:, 0] - REFERENCE[0]) * (front[:, 1] - below)))


if __name__ == "__main__":
    main()
