"""Verified designs: a dataset as any other, with their latent vectors, predictions and labels.

Beside the groups of every labelled dataset, the file has ``designs`` (latent vector ``z``,
``round``, ``place`` among those of its round by the search, whether it was ``known``: its label
corrected the surrogate of its round, and whether it is on the verified ``front``),
``predictions`` (``K_mean``, ``K_aleatoric``, ``K_epistemic``, ``K_total``, and so on; of known
designs as if their labels had not been there) and ``verification`` (see ``design.verification``).
"""

import csv
import io
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from design.archive import nondominated, spread_out
from design.problem import DENSITY
from design.verification import Candidate, verified
from homog.dataset import Dataset, content_hash, pack, unpack, write_dataset
from homog.errors import DataError, naming
from homog.labels import collected, label
from homog.packing import packed_octants
from homog.processes import processes
from homog.units.family import unfold

PARTS = ("mean", "aleatoric", "epistemic", "total")
LABELLED = ("labels", "scattered", "effort")  # groups of every labelled dataset
SOURCE = "designs"


@dataclass(frozen=True)
class Designs:
    """Designs as they are stored.

    ``cells`` are ``homog.dataset.Cells``, ``groups`` ``{group: {name: (n, ...) array}}``, and
    ``attributes`` those of the labels.
    """

    cells: object
    groups: dict
    attributes: dict

    def __len__(self):
        return len(self.cells.packed)

    @property
    def octants(self):
        """(n, k, k, k) bool array."""
        return unpack(self.cells.packed, tuple(n // 2 for n in self.cells.shape))

    @property
    def density(self):
        return self.cells.columns["volume_fraction"]

    @property
    def front(self):
        """Whether no other verified design is as good in all goals, (n,) bool array."""
        return self.groups["designs"]["front"]

    def true(self, name):
        """A property by finite elements, or the density, (n,) array."""
        return self.density if name == DENSITY else self.groups["labels"][name]

    def predicted(self, name, part="mean"):
        """Mean or a deviation of a predicted property, (n,) array."""
        return self.groups["predictions"][f"{name}_{part}"]

    def shown(self, task):
        """Goals that are predicted; if density is the only one, another predicted property."""
        known = sorted({name.rpartition("_")[0] for name in self.groups["predictions"]})
        return task.predicted_goals or known[:1]

    def gap(self, task):
        """Median error of the predicted goals, relative to the true values: ``{name: error}``."""
        return {
            name: float(np.nanmedian(np.abs(self.predicted(name) / self.true(name) - 1)))
            for name in task.predicted_goals
        }

    def select(self, chosen):
        """Some of the designs, by their indices."""
        cells = self.cells
        columns = {name: column[chosen] for name, column in cells.columns.items()}
        groups = {
            group: {name: column[chosen] for name, column in of.items()}
            for group, of in self.groups.items()
        }
        return replace(
            self, cells=replace(cells, packed=cells.packed[chosen], columns=columns), groups=groups
        )

    @classmethod
    def joined(cls, several):
        """Designs of several rounds as one; of those that are the same the latest counts."""
        first, packed = several[0], np.concatenate([d.cells.packed for d in several])
        columns = {
            name: np.concatenate([d.cells.columns[name] for d in several])
            for name in first.cells.columns
        }
        groups = {
            group: {name: np.concatenate([d.groups[group][name] for d in several]) for name in of}
            for group, of in first.groups.items()
        }
        cells = replace(first.cells, packed=packed, columns=columns)
        made = cls(cells, groups, first.attributes)
        _, last = np.unique(packed[::-1], axis=0, return_index=True)
        return made.select(np.sort(len(packed) - 1 - last))

    def ordered(self, task):
        """The designs by the first goal, the best true value first, with the front marked."""
        values = np.column_stack(
            [self.true(g.name) * (-1 if g.maximize else 1) for g in task.goals]
        )
        meets = np.isfinite(values).all(axis=1) & (self.groups["verification"]["parts"] == 1)
        for bound in task.bounds:
            meets &= bound.range.excess(self.true(bound.name)) == 0
        front = np.zeros(len(self), bool)
        good = np.flatnonzero(meets)
        if len(good):
            front[good[nondominated(values[good])]] = True
        order = np.lexsort((values[:, 0], ~meets))
        self.groups["designs"]["front"] = front
        return self.select(order)

    def csv(self):
        """All designs and their numbers, as the text of a CSV file."""
        scalar = {
            f"{group}.{name}": column
            for group, of in self.groups.items()
            for name, column in of.items()
            if column.ndim == 1 and column.dtype.kind != "S"
        }
        columns = {"density": self.density, **scalar}
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["design", *columns])
        for n, row in enumerate(zip(*columns.values(), strict=True)):
            writer.writerow([n, *(_cell(value) for value in row)])
        return stream.getvalue()


def _cell(value):
    return f"{value:.6g}" if isinstance(value, float) else int(value)


def chosen_of(found, most):
    """The designs to verify: of the front, spread evenly over it; where it is short the next best.

    Parameters
    ----------
    found : Evaluated
    most : int

    Returns
    -------
    Evaluated
    """
    good = np.flatnonzero(found.feasible)
    return found.select(good[spread_out(found.F[good], most)])


def verified_designs(chosen, occupancy, settings, workers, progress=None):
    """Label designs and verify them.

    Parameters
    ----------
    chosen : Evaluated
    occupancy : (n, k, k, k) array
        That the designs were cut from.
    settings : homog.labels.Settings
    workers : int
        Processes.
    progress : callable, optional
        Called for each design.

    Returns
    -------
    Designs
    """
    levels = [unit.level for unit in chosen.units]
    cells = packed_octants(chosen.octants, ["design"] * len(levels), SOURCE, {}, levels)
    candidates = [Candidate(*of) for of in zip(chosen.octants, occupancy, levels, strict=True)]
    rows, found = [], []
    with processes(partial(_verify, settings), workers) as map_designs:
        for labels, verification in map_designs(candidates):
            rows.append(labels)
            found.append(verification)
            if progress:
                progress()
    predictions = {
        f"{name}_{part}": getattr(prediction, part)
        for name, prediction in chosen.predictions.items()
        for part in PARTS
    }
    groups = {name: columns for name, (_, columns) in collected(rows, settings).items()}
    groups["predictions"] = predictions
    groups["verification"] = {name: np.array([f[name] for f in found]) for name in found[0]}
    groups["designs"] = {
        "z": chosen.z,
        "place": np.arange(len(rows)),
        "front": np.zeros(len(rows), bool),
    }
    return Designs(cells, groups, settings.attributes)


def _verify(settings, candidate):
    """Labels and verification of a design."""
    cell = unfold(candidate.octant)
    digest = content_hash(pack(candidate.octant), cell.shape, True)
    labels = label(cell, digest, settings)
    return labels, verified(settings.material, settings.scatter, candidate)


def write_designs(path, designs, origin):
    """Write a dataset of designs, whole or not at all."""
    cells = replace(designs.cells, origin={"command": "design", **origin})
    groups = {
        name: (designs.attributes if name in LABELLED else {}, columns)
        for name, columns in designs.groups.items()
    }
    write_dataset(path, cells, groups)


def read_designs(path):
    """Designs of a file that ``write_designs`` made.

    Raises
    ------
    ParameterError
        If there is no such file.
    DataError
        If it is damaged or something else.
    """
    with naming(path), Dataset(path) as dataset:
        names = (*LABELLED, "predictions", "verification", "designs")
        groups = {name: dict(dataset.group(name)) for name in names if len(dataset.group(name))}
        if not {"labels", "predictions", "verification", "designs"} <= set(groups):
            raise DataError("a dataset, but not one that homog design made")
        return Designs(dataset.cells(), groups, dataset.labels.attributes)
