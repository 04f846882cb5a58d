"""What a run leaves for people: tables, full cells, pictures."""

from pathlib import Path

import numpy as np

from design.designs import PARTS
from design.plan import CELLS, HISTORY, PICTURES, TABLE
from homog.files import make_folder, write_array, write_atomically
from homog.labels import CONSTANTS
from homog.units.family import unfold


def write_output(folder, designs, task):
    """Write ``front.csv``, the cells of the designs, and pictures where they can be drawn."""
    folder = Path(folder)
    write_atomically(folder / TABLE, designs.csv().encode())
    make_folder(folder / CELLS)
    for n, octant in enumerate(designs.octants):
        write_array(folder / CELLS / f"design-{n:03d}.npy", unfold(octant))
    try:
        from design import plots
        from homog.view import save_figure
    except ModuleNotFoundError:  # the extra view is not needed to design
        return
    figures = (
        plots.gallery(designs, task),
        plots.front(designs, task),
        plots.parity(designs, task),
        plots.convergence(histories(folder, task), task),
    )
    for figure, name in zip(figures, PICTURES, strict=True):
        save_figure(figure, folder / name)


def histories(folder, task):
    """Best values of each generation, (generations, goals), of each round of a run."""
    found = []
    for number in range(1, len(list(Path(folder).glob("round-*"))) + 1):
        path = Path(folder) / f"round-{number}" / HISTORY
        if path.exists():
            rows = np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)
            found.append(rows[:, -len(task.goals) :])
    return found


def number(value):
    """Four digits, and no exponent where it can be spared."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"


def made(mean, total):
    """A prediction and its deviation."""
    return f"{number(mean)} +- {total:.2g}" if total < 100 else f"{number(mean)} +- {total:.0f}"


def table(designs, task, most=20):
    """The designs on the front as text, predicted beside true values."""
    names, verification = task.predicted_goals, designs.groups["verification"]
    head = "".join(f"{f'{name}, predicted':>18}{'true':>9}" for name in names)
    lines = [f"{'':>4}{'density':>9}{head}{'K/K_HS':>8}{'at 2x':>8}  cell"]
    chosen = np.flatnonzero(designs.front)[:most]
    for n in chosen:
        cells = ""
        for name in names:
            mean, total = designs.predicted(name)[n], designs.predicted(name, "total")[n]
            cells += f"{made(mean, total):>18}{number(designs.true(name)[n]):>9}"
        ratio, fine = verification["K_ratio"][n], verification["K_ratio_fine"][n]
        kind = "open" if verification["open_cell"][n] else "closed"
        lines.append(f"{n:>4}{designs.density[n]:>9.4f}{cells}{ratio:>8.3f}{fine:>8.3f}  {kind}")
    rest = np.count_nonzero(designs.front) - len(chosen)
    return "\n".join(lines + ([f"and {rest} more"] if rest else []))


def verification_rows(designs, again):
    """Predicted, true and verified numbers of each design, as dicts for JSON."""
    rows = []
    for n in range(len(designs)):
        row = {"design": n, "density": float(designs.density[n])}
        for name, column in designs.groups["predictions"].items():
            row[f"predicted {name.replace('_', ' ')}"] = float(column[n])
        rows.append(row | {name: _plain(value) for name, value in again[n].items()})
    return rows


def _plain(value):
    value = np.asarray(value).item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def verification_table(designs, again, task):
    """Predicted beside true values, and deviations from sensitivities beside sampled ones."""
    names = designs.shown(task)
    head = "".join(
        f"{f'{name}, predicted':>18}{'true':>9}{'error':>8}{'at 2x':>9}{'dev.':>9}{'sampled':>9}"
        for name in names
    )
    lines = [f"{'':>4}{'density':>9}{head}{'K/K_HS':>8}{'at 2x':>8}  cell, smallest feature"]
    for n, found in enumerate(again):
        cells = ""
        for name in names:
            mean, total = designs.predicted(name)[n], designs.predicted(name, "total")[n]
            cells += f"{made(mean, total):>18}{number(found[name]):>9}"
            cells += f"{100 * (mean / found[name] - 1):>7.1f}%{number(found[f'{name}_fine']):>9}"
            cells += f"{found[f'{name}_linear']:>9.3g}{found[f'{name}_sampled']:>9.3g}"
        kind = "open" if found["open_cell"] else "closed"
        lines.append(
            f"{n:>4}{designs.density[n]:>9.4f}{cells}{found['K_ratio']:>8.3f}"
            f"{found['K_ratio_fine']:>8.3f}  {kind}, {found['smallest_feature']}"
        )
    return "\n".join(lines)


def sweep_table(results, task):
    """The optimum of each risk (Table 4): the first that the last search proposed.

    Parameters
    ----------
    results : dict
        ``{risk: Designs}``
    task : Task

    Returns
    -------
    str
    """
    names = task.predicted_goals
    head = "".join(
        f"{f'{name}, true':>10}{'predicted':>11}{'error':>8}{'total':>9}{'epistemic':>11}"
        f"{'aleatoric':>11}{'true':>9}"
        for name in names
    )
    lines = [f"{'risk':>6}{head}{'density':>9}{'K/K_HS':>8}"]
    for risk, designs in results.items():
        n = optimum(designs)
        verification, cells = designs.groups["verification"], ""
        for name in names:
            mean, aleatoric, epistemic, total = (designs.predicted(name, p)[n] for p in PARTS)
            true = designs.true(name)[n]
            cells += f"{number(true):>10}{number(mean):>11}{100 * (mean / true - 1):>7.1f}%"
            cells += f"{total:>9.3g}{epistemic:>11.3g}{aleatoric:>11.3g}"
            cells += f"{verification[f'{name}_linear'][n]:>9.3g}"
        ratio = verification["K_ratio"][n]
        lines.append(f"{risk:>6g}{cells}{designs.density[n]:>9.4f}{ratio:>8.3f}")
    return "\n".join(lines)


def optimum(designs):
    """Index of the design that the last search put first."""
    of = designs.groups["designs"]
    last = np.flatnonzero(of["round"] == of["round"].max())
    return int(last[np.argmin(of["place"][last])])


def differences(designs, again):
    """What of the labels of a file is not what finite elements say, as a list of texts."""
    wrong = []
    for n, found in enumerate(again):
        for name in CONSTANTS:
            said, true = designs.true(name)[n], found[name]
            if not np.isclose(said, true, rtol=1e-3, atol=1e-6, equal_nan=True):
                wrong.append(f"design {n}: {name} is {true:.6g}, the file says {said:.6g}")
    return wrong
