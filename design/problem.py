"""The design problem (Eq. 5): which latent vectors decode to the best units, robustly.

Each objective is the mean of a property, less ``risk`` times its total deviation (robust), or the
mean alone (``risk`` 0). A bound holds for the same robust value: what is asked to be at least so
much is so with that many deviations to spare. All of it is judged of the unit that is delivered,
cut and cleaned (``design.cleaning``).
"""

from dataclasses import dataclass, field

import numpy as np

from design.cleaning import Cleaning, Range, clean
from design.consistency import consistent
from homog.errors import ParameterError
from homog.material import Isotropic
from learn.derived import DERIVED, bulk_modulus, spread

DENSITY = "density"
DENSITY_SCALE = 0.01  # a density off by this counts as much as a property off by its deviation
SAMPLES = 80


@dataclass(frozen=True)
class Goal:
    """A property to maximise or minimise."""

    name: str
    maximize: bool = True

    def __str__(self):
        return f"{'maximize' if self.maximize else 'minimize'} {self.name}"


@dataclass(frozen=True)
class Bound:
    """A property whose robust value shall lie in a range."""

    name: str
    range: Range

    def __str__(self):
        return f"{self.name} {self.range}"


@dataclass(frozen=True)
class Task:
    """What to design.

    Parameters
    ----------
    goals : tuple of Goal
    cleaning : Cleaning
        Holds the range of the density too.
    bounds : tuple of Bound
    risk : float
        Deviations that a property gives up (lambda), at least 0.
    samples : int
        Points of the latent space for each prediction; 0 for the plain prediction at its mean.

    Raises
    ------
    ParameterError
        If there is no goal, or a value is out of range.
    """

    goals: tuple
    cleaning: Cleaning = field(default_factory=Cleaning)
    bounds: tuple = ()
    risk: float = 5.0
    samples: int = SAMPLES

    def __post_init__(self):
        names = [goal.name for goal in self.goals]
        if not names or len(set(names)) != len(names):
            raise ParameterError(
                f"name each property to maximize or minimize once, got {', '.join(names) or 'none'}"
            )
        if not (np.isfinite(self.risk) and self.risk >= 0):
            raise ParameterError(f"risk must be finite and not negative, got {self.risk:g}")
        if self.samples < 0:
            raise ParameterError(f"samples must not be negative, got {self.samples}")

    @property
    def predicted_goals(self):
        """Names of the goals that a surrogate predicts."""
        return [goal.name for goal in self.goals if goal.name != DENSITY]

    @property
    def names(self):
        """Properties that have to be predicted."""
        asked = [goal.name for goal in self.goals] + [bound.name for bound in self.bounds]
        return tuple(name for name in dict.fromkeys(asked) if name != DENSITY)


@dataclass(frozen=True)
class Evaluated:
    """Designs as the search sees them.

    ``z`` (B, latent), ``units`` the ``CleanUnit`` of each, ``predictions``
    ``{name: Prediction}``; ``F`` (B, goals) is minimised, and ``G`` (B, constraints), at most 0
    where a design is feasible, in the order of ``DesignProblem.constraints``.
    """

    z: np.ndarray
    units: list
    predictions: dict
    F: np.ndarray
    G: np.ndarray

    @property
    def feasible(self):
        return (self.G <= 0).all(axis=1)

    @property
    def octants(self):
        return np.array([unit.octant for unit in self.units])

    def select(self, chosen):
        """Some of the designs, by their indices."""
        part = {name: p.select(chosen) for name, p in self.predictions.items()}
        units = [self.units[n] for n in chosen]
        return Evaluated(self.z[chosen], units, part, self.F[chosen], self.G[chosen])


class DesignProblem:
    """Objectives and constraints of latent vectors.

    Parameters
    ----------
    surrogate : learn.Surrogate
    task : Task

    Raises
    ------
    ParameterError
        If the surrogate does not predict a property that is asked for.
    """

    def __init__(self, surrogate, task):
        self.surrogate, self.task = surrogate, task
        known = (*surrogate.targets, *DERIVED, DENSITY)
        for name in task.names:
            if name not in surrogate.targets and not (
                name in DERIVED and set(DERIVED[name]) <= set(surrogate.targets)
            ):
                raise ParameterError(
                    f"the surrogate does not predict {name!r}; it knows "
                    f"{', '.join(dict.fromkeys(known))}"
                )

    @property
    def constraints(self):
        """What each column of ``G`` says, as a list of texts."""
        cleaning = self.task.cleaning
        found = ["one part carries load along all axes", f"density {cleaning.density}"]
        found += map(str, self.task.bounds)
        if cleaning.min_feature > 1:
            found.append(f"smallest feature of {cleaning.min_feature} voxels")
        if cleaning.open_cell:
            found.append("void open to all faces")
        return found

    def evaluate(self, z):
        """Decode, clean and judge latent vectors.

        Parameters
        ----------
        z : (B, latent) array

        Returns
        -------
        Evaluated
        """
        z = np.asarray(z, np.float32)  # what is stored is what was judged
        units = [clean(octant, self.task.cleaning) for octant in self.surrogate.decode(z)]
        predictions = self.predict([unit.octant for unit in units])
        return Evaluated(
            z, units, predictions, self._objectives(units, predictions),
            self._violations(units, predictions),
        )  # fmt: skip

    def predict(self, octants):
        """Properties of octants (B, n, n, n): all targets, and what goals and bounds name."""
        octants = np.asarray(octants)
        found = self.surrogate.predict_octants(octants, self.task.samples)
        return self._completed(octants, found)

    def predict_left_out(self, octants, truth):
        """The same for octants that corrected the surrogate, each as if it had not.

        Parameters
        ----------
        octants : (B, n, n, n) bool array
        truth : (B, targets) array
            True values of the targets.

        Returns
        -------
        dict
            ``{name: Prediction}``
        """
        found = self.surrogate.predict_left_out(octants, truth, self.task.samples)
        return self._completed(octants, found)

    def _completed(self, octants, found):
        """Predictions of targets, with those that follow from them and what theory says."""
        samples, origin = self.task.samples, self.surrogate.origin
        if "K" in self.task.names and "K" not in found:
            found = {**found, "K": bulk_modulus(self.surrogate, octants, samples, found)}
        if not samples:  # the plain prediction of the deterministic framework
            return found
        solid, scatter = Isotropic(origin["E"], origin["nu"]), origin.get("scatter", 0.0)
        return consistent(found, octants.mean((1, 2, 3)), solid, scatter)

    def robust(self, name, prediction, maximize):
        """Mean of a property less, or if it is minimised plus, ``risk`` deviations."""
        return prediction.mean - (1 if maximize else -1) * self.task.risk * prediction.total

    def _objectives(self, units, predictions):
        columns = []
        for goal in self.task.goals:
            if goal.name == DENSITY:
                values = np.array([unit.density for unit in units])
            else:
                values = self.robust(goal.name, predictions[goal.name], goal.maximize)
            columns.append(-values if goal.maximize else values)
        return np.column_stack(columns)

    def _violations(self, units, predictions):
        """Constraints in units of their scales, so that none outweighs the others."""
        cleaning = self.task.cleaning
        density = np.array([unit.density for unit in units])
        columns = [
            np.array([unit.loose for unit in units]),
            cleaning.density.excess(density) / DENSITY_SCALE,
        ]
        columns += [self._excess(bound, predictions, density) for bound in self.task.bounds]
        if cleaning.min_feature > 1:
            columns.append([cleaning.min_feature - unit.smallest_feature for unit in units])
        if cleaning.open_cell:
            columns.append([0.0 if unit.open_cell else 1.0 for unit in units])
        return np.column_stack(columns).astype(float)

    def _excess(self, bound, predictions, density):
        """By how much the robust values leave a bound."""
        if bound.name == DENSITY:
            return bound.range.excess(density) / DENSITY_SCALE
        prediction = predictions[bound.name]
        low = bound.range.low - self.robust(bound.name, prediction, True)
        high = self.robust(bound.name, prediction, False) - bound.range.high
        return np.maximum(np.maximum(low, high), 0.0) / spread(self.surrogate, bound.name)


def nearest_to_feasible(evaluated, constraints):
    """The design that comes nearest to what was asked, and which bounds it fails.

    Returns
    -------
    index : int
    text : str
    """
    violation = np.maximum(evaluated.G, 0)
    index = int(np.argmin(violation.sum(axis=1)))
    failed = [
        f"{name} (off by {amount:.3g} scales)"
        for name, amount in zip(constraints, violation[index], strict=True)
        if amount > 0
    ]
    return index, "; ".join(failed)
