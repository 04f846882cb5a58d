"""Topology optimization of a cubic cell: material distributed for the best elastic constants.

Inverse homogenization: each iteration solves the cell, takes the derivative of C by each voxel
from the energies, and moves the design variables at constant volume. What is delivered is a cell
of solid and void, solved as any other. The solution depends on the start, so several are tried.

Reference
---------
Sigmund (1994), Int. J. Solids Struct. 31, 2313-2329.
"""

from dataclasses import dataclass, field

import numpy as np

from design.delivery import delivered
from design.elastic_objective import STIFFNESS, ElasticObjective, cubic_stiffness
from design.topopt_model import TOL, Model
from design.topopt_starts import Start
from homog.cell import is_open_mirrored
from homog.errors import ConvergenceError, ParameterError
from homog.homogenization import homogenize
from homog.labels import Settings as LabelSettings
from homog.labels import label
from homog.material import Isotropic
from homog.thickness import smallest_feature
from homog.units.family import unfold

STEEPNESS = (1, 2, 4, 8, 16, 32)  # of the projection, for an equal share of the iterations each
CHECKPOINT = 10  # iterations; after one the solver starts afresh, so that a resume is exact
NO_DIGEST = np.zeros(16, np.uint8)  # without scatter labels do not depend on it
DEFAULT_STARTS = ("void", "bcc", "fcc", "plates", "sphere", "random", "random")


def default_starts(seed=0):
    """The starts that are tried if none is named; random ones take seeds from ``seed`` on."""
    return named_starts(DEFAULT_STARTS, seed)


def named_starts(names, seed=0):
    """Starts of names; of several random ones each gets a seed of its own."""
    seeds = iter(range(seed, seed + len(names)))
    return tuple(Start(name, next(seeds) if name == "random" else 0) for name in names)


@dataclass(frozen=True)
class Settings:
    """What an optimization depends on.

    Parameters
    ----------
    objective : ElasticObjective
    volume_fraction : float
        Of solid, at most, in (0, 1).
    E, nu : float
        Young's modulus and Poisson's ratio of the solid.
    minimize : bool
        Whether the objective is to fall instead of to rise.
    resolution : int
        Voxels along an edge of the cell, even, at least 8.
    min_feature : float
        Radius of the filter, in voxels, from 1 (none) to half the resolution.
    channel : float
        Diameter in voxels of channels through the centre of the cell along its axes that stay
        void, so that the cell is open; 0 for none.
    iterations : int
        Of each start.
    starts : tuple of Start

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    objective: ElasticObjective
    volume_fraction: float
    E: float = 70e3
    nu: float = 0.33
    minimize: bool = False
    resolution: int = 48
    min_feature: float = 2.0
    channel: float = 0.0
    iterations: int = 120
    starts: tuple = field(default_factory=default_starts)

    def __post_init__(self):
        Isotropic(self.E, self.nu)
        if not 0 < self.volume_fraction < 1:  # also rejects NaN
            raise ParameterError(f"density must lie between 0 and 1, got {self.volume_fraction:g}")
        if self.resolution < 8 or self.resolution % 2:
            raise ParameterError(
                f"resolution must be an even number from 8 on, got {self.resolution}"
            )
        if not 1 <= self.min_feature <= self.resolution / 2:
            raise ParameterError(
                f"min-feature must lie between 1 and {self.resolution // 2} voxels, half the "
                f"resolution; got {self.min_feature:g}"
            )
        if self.channel and not 2 <= self.channel <= self.resolution / 2:
            raise ParameterError(
                f"channels must be 2 to {self.resolution // 2} voxels wide, got {self.channel:g}"
            )
        if self.iterations < 1:
            raise ParameterError(f"iterations must be at least 1, got {self.iterations}")
        self._check_starts()

    def _check_starts(self):
        if not self.starts:
            raise ParameterError("name at least one start")
        half = (self.resolution // 2,) * 3
        for start in self.starts:
            if start.octant is not None and start.octant.shape != half:
                raise ParameterError(
                    f"start {start.name} has {2 * start.octant.shape[0]} voxels along an edge; "
                    f"use that as the resolution instead of {self.resolution}"
                )
        if len({start.key for start in self.starts}) < len(self.starts):
            raise ParameterError("the same start is named twice; leave one out")

    @property
    def material(self):
        """The solid."""
        return Isotropic(self.E, self.nu)

    @property
    def labels(self):
        """How delivered cells are labelled."""
        return LabelSettings(self.E, self.nu)

    def record(self):
        """All of it as numbers and strings, a dict."""
        names = ("E", "nu", "minimize", "resolution", "min_feature", "channel")
        return {
            "objective": str(self.objective),
            "density": self.volume_fraction,
            **{name: getattr(self, name) for name in (*names, "iterations")},
            "starts": [start.key for start in self.starts],
        }

    def beta(self, iteration):
        """Steepness of the projection in an iteration, from 0 on."""
        return STEEPNESS[min(iteration * len(STEEPNESS) // self.iterations, len(STEEPNESS) - 1)]


@dataclass(frozen=True)
class Design:
    """A delivered cell.

    ``octant`` (n/2, n/2, n/2) bool; ``labels`` of its boolean voxels, with void exactly zero, as
    ``homog.labels.label`` gives them; ``objective`` of them; ``finer`` is the objective of the same
    cell on a grid twice as fine; ``smallest_feature`` in voxels; ``history`` (k, 5) has
    ``COLUMNS``.
    """

    start: Start
    octant: np.ndarray
    labels: dict
    objective: float
    finer: float
    volume_fraction: float
    smallest_feature: int
    open_cell: bool
    history: np.ndarray

    @property
    def voxels(self):
        """The whole cell, (n, n, n) bool array."""
        return unfold(self.octant)


def optimize(settings, store=None, threads=None, progress=None):
    """Optimize a cell from several starts.

    Parameters
    ----------
    settings : Settings
    store : object, optional
        ``store.load(start)`` gives a ``State`` to go on from, or None, and
        ``store.save(start, state)`` keeps one; see ``design.topopt_folder.Folder``.
    threads : int, optional
        All available processors if not given. Results do not depend on it.
    progress : callable, optional
        Called with the start and the state after each iteration, and once before the first if
        there is one to go on from.

    Returns
    -------
    list of Design
        The best first. Starts whose solid does not hold together are left out.

    Raises
    ------
    ConvergenceError
        If no start gives a cell that holds together.
    """
    model = Model(settings, threads)
    designs = []
    for start in settings.starts:
        state = optimized(model, start, store, progress)
        designs.append(finished(model, start, state))
    designs = [design for design in designs if design is not None]
    if not designs:
        raise ConvergenceError(
            "no start gave a cell that holds together; allow a higher density or name other starts"
        )
    sign = 1 if settings.minimize else -1
    return sorted(designs, key=lambda design: np.nan_to_num(sign * design.objective, nan=np.inf))


def optimized(model, start, store=None, progress=None):
    """State after all iterations from a start; parameters as in ``optimize``."""
    state = store.load(start) if store else None
    if state is None:
        state = model.first(start)
    elif progress:
        progress(start, state)
    fields = None
    while state.iteration < model.settings.iterations:
        state, fields = model.advanced(state, fields)
        if state.iteration % CHECKPOINT == 0 or state.iteration == model.settings.iterations:
            fields = None
            if store:
                store.save(start, state)
        if progress:
            progress(start, state)
    return state


def finished(model, start, state):
    """The ``Design`` of a state, or None if its solid does not hold together."""
    settings = model.settings
    average = model.filter.matrix @ state.variables
    octant = delivered(average, model.filter, settings.volume_fraction)
    if octant is None:
        return None
    labels = label(unfold(octant), NO_DIGEST, settings.labels)
    constants = (labels["labels"][name] for name in STIFFNESS)
    fine = unfold(octant.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    finer = homogenize(fine, settings.material, tol=TOL, threads=model.threads)
    return Design(
        start=start,
        octant=octant,
        labels=labels,
        objective=settings.objective.value(cubic_stiffness(*constants)),
        finer=settings.objective.value(finer.C),
        volume_fraction=float(octant.mean()),
        smallest_feature=smallest_feature(octant, mirrored=True),
        open_cell=is_open_mirrored(octant),
        history=state.rows,
    )
