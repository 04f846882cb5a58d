"""The cell as a function of design variables, and one iteration of its optimization.

Densities rho of the voxels multiply the stiffness of the solid by floor + (1 - floor) rho^3
(SIMP), so that what is between void and solid is dear.

References
----------
Bendsoe & Sigmund (1999), Arch. Appl. Mech. 69, 635-654 (SIMP).
Sigmund (1994), Int. J. Solids Struct. 31, 2313-2329 (inverse homogenization).
"""

from dataclasses import dataclass, field

import numpy as np

from design.density_filter import DensityFilter
from design.moving_asymptotes import FIRST_WIDTH, Subproblem, adapted, step
from design.topopt_starts import start_variables
from homog.errors import ParameterError
from homog.homogenization import homogenize
from homog.units import tetrahedron
from homog.units.family import unfold

FLOOR = 1e-3  # stiffness of void relative to the solid, while optimizing
PENALTY = 3.0
TOL = 1e-4  # of C, while optimizing
COLUMNS = ("iteration", "objective", "density", "beta", "discreteness")


@dataclass(frozen=True)
class State:
    """Where the optimization from one start is.

    ``variables``, those one and two iterations before, and the distances to the asymptotes are
    (m,) arrays; ``rows`` (k, 5) holds ``COLUMNS`` of the iterations that are done.
    """

    variables: np.ndarray
    older: np.ndarray
    oldest: np.ndarray
    width: np.ndarray
    rows: np.ndarray

    @property
    def iteration(self):
        """Number of iterations that are done."""
        return len(self.rows)


@dataclass(frozen=True)
class Analysis:
    """Objective and volume of a design, and their derivatives by the variables, (m,) arrays."""

    objective: float
    gradient: np.ndarray
    densities: np.ndarray
    volume_gradient: np.ndarray
    fields: object = field(repr=False)


class Model:
    """The cell as a function of the variables.

    Parameters
    ----------
    settings : Settings
    threads : int, optional
    """

    def __init__(self, settings, threads=None):
        hollow = _channels(settings) if settings.channel else None
        self.settings, self.threads = settings, threads
        self.filter = DensityFilter(settings.resolution, settings.min_feature, hollow)
        free = float(self.filter.share @ self.filter.free)
        if settings.volume_fraction > 0.9 * free:
            raise ParameterError(
                f"channels leave {free:.2f} of the cell, too little for a density of "
                f"{settings.volume_fraction:g}; make them narrower"
            )

    def analyse(self, variables, beta, fields=None, tol=TOL):
        """Solve the cell.

        Parameters
        ----------
        variables : (m,) array
        beta : float
            Steepness of the projection.
        fields : homog Fields, optional
            Of a similar design, to start from.
        tol : float
            Error of C allowed, relative to its largest entry.

        Returns
        -------
        Analysis
        """
        densities, slope = self.filter.densities(variables, beta)
        factor = FLOOR + (1 - FLOOR) * densities**PENALTY
        result = homogenize(
            np.ones((self.settings.resolution,) * 3, bool),
            self.settings.material,
            tol=tol,
            threads=self.threads,
            stiffness_factor=unfold(self.filter.octant(factor)),
            fields=True,
            start=fields,
        )
        weights = self.settings.objective.weights(result.C)
        half = slice(self.settings.resolution // 2)
        by_factor = self.filter.summed(result.fields.energy_derivative(weights)[half, half, half])
        by_density = by_factor * (1 - FLOOR) * PENALTY * densities ** (PENALTY - 1)
        return Analysis(
            self.settings.objective.value(result.C),
            self.filter.pulled_back(by_density, slope),
            densities,
            self.filter.pulled_back(self.filter.share, slope),
            result.fields,
        )

    def first(self, start):
        """State before the first iteration from a start."""
        x = start_variables(
            start, self.filter, self.settings.beta(0), self.settings.volume_fraction
        )
        return State(x, x, x, np.full(len(x), FIRST_WIDTH), np.zeros((0, len(COLUMNS))))

    def advanced(self, state, fields=None):
        """State after one more iteration, and the fields of its solution."""
        settings, x, number = self.settings, state.variables, state.iteration
        beta = settings.beta(number)
        found = self.analyse(x, beta, fields)
        betas = [settings.beta(max(number - back, 0)) for back in (1, 2)]
        if number >= 2 and betas == [beta, beta]:
            width = adapted(state.width, x, state.older, state.oldest)
        else:  # a new problem
            width = np.full(len(x), FIRST_WIDTH)
        gradient = found.gradient if settings.minimize else -found.gradient
        moved = step(
            Subproblem(x, width, gradient, found.volume_gradient),
            lambda variables: self.filter.volume(variables, settings.beta(number + 1)),
            settings.volume_fraction,
        )
        share, rho = self.filter.share, found.densities
        row = (number, found.objective, share @ rho, beta, 4 * share @ (rho * (1 - rho)))
        rows = np.concatenate([state.rows, [row]])
        return State(moved, x, state.older, width, rows), found.fields


def _channels(settings):
    """Points of the tetrahedron within channels along the axes through the centre of the cell."""
    away = (tetrahedron.points(settings.resolution) - 0.5) * settings.resolution
    squares = np.sort(away**2, axis=1)
    return squares[:, 0] + squares[:, 1] <= (settings.channel / 2) ** 2
