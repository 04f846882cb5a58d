"""Units as the page shows them: designs, the best that the search started from, and rivals.

Each is a dict with its octant, what finite elements say of it, and if it is a design what was
predicted, what the finer grid says, and what is wrong with it.
"""

import base64
import csv
import io
from pathlib import Path

import numpy as np

from design.archive import nondominated, spread_out
from design.designs import PARTS
from design.problem import DENSITY
from design.topopt_folder import DESIGNS, RECORD
from homog.dataset import Dataset
from homog.errors import DataError, ParameterError, naming
from homog.labels import DONE

CONSTANTS = ("E", "G", "nu", "K", "zener")
MOST_OF_START = 20  # units of the start that are shown
FAR = 3.0  # total deviations: a prediction that is farther off is named


def designs_shown(designs, task):
    """The verified designs, in their order.

    Parameters
    ----------
    designs : Designs
    task : Task

    Returns
    -------
    list of dict
    """
    found, wrong = [], problems(designs, task)
    for n, packed in enumerate(designs.cells.packed):
        unit = {
            "kind": "design",
            "name": f"Design {n}",
            **_shape(packed, designs.cells.shape),
            "values": _values(designs.groups["labels"], designs.density, n),
            "predicted": _predicted(designs, n),
            "problems": wrong[n],
        }
        for name, key in (("front", "front"), ("known", "known"), ("round", "round")):
            unit[key] = _plain(designs.groups["designs"][name][n])
        found.append(unit | _verified(designs.groups["verification"], n))
    return numbered(found)


def numbered(units):
    """The units with their rows in the table of their kind."""
    return [{"row": row, **unit} for row, unit in enumerate(units)]


def _shape(packed, shape):
    """Octant as bits in base64, and the voxels along the edge of the cell."""
    return {"octant": base64.b64encode(packed.tobytes()).decode(), "edge": int(shape[0])}


def _values(labels, density, n):
    """What finite elements say of a unit at its own resolution."""
    values = {name: number(labels[name][n]) for name in CONSTANTS}
    values["density"] = number(density[n])
    values["K_ratio"] = number(labels["K"][n] / labels["K_upper"][n])
    return values


def _predicted(designs, n):
    """``{name: {part: value}}`` of the properties that were predicted."""
    predictions = designs.groups["predictions"]
    names = [name.removesuffix("_mean") for name in predictions if name.endswith("_mean")]
    return {
        name: {part: number(designs.predicted(name, part)[n]) for part in PARTS} for name in names
    }


def _verified(verification, n):
    """What the verification says of a design besides its labels."""
    found = {name: _plain(verification[name][n]) for name in ("open_cell", "parts")}
    found["feature"] = _plain(verification["smallest_feature"][n])
    fine = (*CONSTANTS, "K_ratio", DENSITY)
    found["fine"] = {name: number(verification[f"{name}_fine"][n]) for name in fine}
    found["sampled"] = {name: number(verification[f"{name}_sampled"][n]) for name in CONSTANTS}
    return found


def problems(designs, task):
    """What is wrong with each design.

    Parameters
    ----------
    designs : Designs
    task : Task

    Returns
    -------
    list of list of dict
        ``kind``, the same for all designs that it befalls, and ``text``.
    """
    labels, verification = designs.groups["labels"], designs.groups["verification"]
    fine = 2 * designs.cells.shape[0]
    found = [[] for _ in range(len(designs))]

    def tell(where, kind, texts=None):
        for n in np.flatnonzero(where):
            found[n].append({"kind": kind, "text": kind if texts is None else texts[n]})

    tell(labels["status"] != DONE, "not solved by finite elements")
    tell(verification["parts"] != 1, "more or less than one part carries load")
    tell(np.isnan(verification["K_fine"]), f"not verified at {fine}³: no solution there")
    for bound in task.bounds:
        true = designs.true(bound.name)
        texts = [f"{bound.name} is {value:.4g}, asked {bound.range}" for value in true]
        tell(bound.range.excess(true) > 0, f"outside the bound {bound}", texts)
    for name in task.predicted_goals:
        off = deviations_off(designs, name)
        texts = [f"{name} predicted {value:.1f} deviations off" for value in off]
        tell(off > FAR, f"{name} predicted more than {FAR:g} total deviations off", texts)
    return found


def deviations_off(designs, name):
    """How many total deviations the predictions of a property are off; NaN where there are none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(designs.predicted(name) - designs.true(name))
        off = off / designs.predicted(name, "total")
    return np.where(np.isfinite(off), off, np.nan)


def of_another_solid(attributes, solid):
    """Whether the attributes of labels name another solid: moduli do not compare then."""
    return any(not np.isclose(attributes[name], solid[name]) for name in ("E", "nu"))


def start_shown(units, task):
    """The units of a labelled dataset that no other one beats, of those that meet the task.

    Parameters
    ----------
    units : Dataset
    task : Task

    Returns
    -------
    list of dict
        At most ``MOST_OF_START``.
    """
    labels = {name: units.labels[name] for name in (*CONSTANTS, "K_upper", "status")}
    true = labels | {DENSITY: units.volume_fraction}
    F = np.column_stack([true[g.name] * (-1 if g.maximize else 1) for g in task.goals])
    good = np.flatnonzero(_meets(units, true, task) & np.isfinite(F).all(axis=1))
    if not len(good):
        return []
    best = good[nondominated(F[good])]
    names = [
        f"{source}: {family}" for source, family in zip(units.source, units.family, strict=True)
    ]
    chosen = best[spread_out(F[best], MOST_OF_START)]
    return numbered(_shown(units, labels, chosen, names, "start"))


def _meets(units, true, task):
    """Which units of a dataset meet what was asked of the designs."""
    cleaning = task.cleaning
    meets = (true["status"] == DONE) & (cleaning.density.excess(true[DENSITY]) == 0)
    meets &= units.column("smallest_feature") >= cleaning.min_feature
    if cleaning.open_cell:
        meets &= units.column("open_cell")
    for bound in task.bounds:
        meets &= bound.range.excess(true[bound.name]) == 0
    return meets


def rival_shown(folder, solid):
    """The units of a topology optimization, the best first.

    Parameters
    ----------
    folder : str or Path
    solid : dict
        ``E`` and ``nu`` of the designs.

    Returns
    -------
    list of dict

    Raises
    ------
    ParameterError
        If the folder holds none that is finished.
    DataError
        If its units are not cubic, or have no labels or those of another solid.
    """
    folder = Path(folder)
    if not (folder / RECORD).is_file():
        raise ParameterError(f"{folder}: no topology optimization there; homog topopt makes one")
    path = folder / DESIGNS
    if not path.is_file():
        raise ParameterError(f"{folder}: not finished; repeat the homog topopt that made it")
    with naming(path), Dataset(path) as units:
        if not (units.cubic and len(units.labels)):
            raise DataError("expected cubic cells with labels, as homog topopt writes them")
        if of_another_solid(units.labels.attributes, solid):
            raise DataError(
                "of another solid than the designs; repeat homog topopt with "
                f"--E {solid['E']:g} --nu {solid['nu']:g}"
            )
        labels = {name: units.labels[name] for name in (*CONSTANTS, "K_upper")}
        names = [f"{folder.resolve().name}: {start}" for start in units.family]
        return _shown(units, labels, np.arange(len(units)), names, "rival")


def _shown(units, labels, chosen, names, kind):
    """Units of a dataset by their rows."""
    density = units.volume_fraction
    feature, is_open = units.column("smallest_feature"), units.column("open_cell")
    return [
        {
            "kind": kind,
            "name": names[n],
            **_shape(units.packed(n), units.shape),
            "values": _values(labels, density, n),
            "open_cell": _plain(is_open[n]),
            "feature": _plain(feature[n]),
            "problems": [],
        }
        for n in chosen
    ]


def table(units):
    """Units that are no designs as the text of a CSV file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = (DENSITY, "K_ratio", *CONSTANTS)
    writer.writerow(["unit", *names, "open_cell", "smallest_feature"])
    for unit in units:
        values = [unit["values"][name] for name in names]
        name = " ".join(unit["name"].split())  # a row is a line
        writer.writerow([name, *values, unit["open_cell"], unit["feature"]])
    return stream.getvalue()


def number(value):
    """Six digits, and None for what is not there."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _plain(value):
    return np.asarray(value).item()
