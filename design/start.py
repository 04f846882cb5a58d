"""Where a search starts: units of about the density asked for, and random latent vectors."""

import numpy as np

from design.archive import fronts
from homog.dataset import Dataset, write_dataset
from homog.errors import DataError, naming
from homog.units.sampling import VOLUME_FRACTION, cells_of, sample
from learn.kriging import true_values

MOST_DECODED = 600
WINDOW = 0.01  # of density around the range asked for
MARGIN = 0.1  # of the range of the latent vectors, beyond them
LEAST_REACH = 3.0  # from the middle, where they hardly differ: deviations of the prior of z
BEST, OTHERS = 0.5, 0.25  # shares of the first generation; the rest is random


def window(density):
    """Densities of units to start from: around a range, where the surrogate knows units.

    Raises
    ------
    DataError
        If no units are generated there.
    """
    lowest, highest = VOLUME_FRACTION
    low, high = max(density.low - WINDOW, lowest), min(density.high + WINDOW, highest)
    if low >= high:
        raise DataError(
            f"no units of density {density} are generated to start from ({lowest:g} to "
            f"{highest:g}); name a dataset with --units"
        )
    return low, high


def generate(path, plan, workers=1, progress=None):
    """Write units to start from, as a ``homog.units.sampling.Plan`` says."""
    write_dataset(path, cells_of(sample(plan, workers, progress), plan))


def check(surrogate, plan):
    """Refuse units that a run cannot start from, or learn from.

    Parameters
    ----------
    surrogate : Surrogate
    plan : design.Plan

    Raises
    ------
    ParameterError
        If there is no such dataset.
    DataError
        If no units of the density are generated, or the dataset is damaged, of cells that the
        surrogate does not know, or has labels that cannot correct it.
    """
    if plan.units is None:
        window(plan.task.cleaning.density)
        return
    with naming(plan.units), Dataset(plan.units) as units:
        if not units.cubic or units.stored_shape != (surrogate.architecture.octant,) * 3:
            raise DataError(
                f"expected cubic cells of {2 * surrogate.architecture.octant} voxels along each "
                "edge, as the surrogate knows them"
            )
        if len(units.labels) and plan.rounds > 1:  # a single round does not look at labels
            true_values(surrogate, units)


def nearest(units, density, count):
    """At most ``count`` units of a dataset, those nearest to a density range, in their order."""
    away = density.excess(units.volume_fraction)
    return units.select(np.sort(np.argsort(away, kind="stable")[:count]))


def copy(source, path, density, count):
    """Write the ``nearest`` units of a dataset to another, without labels."""
    with naming(source), Dataset(source) as units:
        write_dataset(path, nearest(units, density, count).cells())


def latent(surrogate, path, density, count):
    """Latent vectors (k, latent) of the ``nearest`` units of a dataset."""
    with naming(path), Dataset(path) as units:
        return surrogate.encode(nearest(units, density, count).octants[:])


def decoded(problem, z, seed):
    """Octants that latent vectors decode to, half of them the best, half any, all in one part.

    Parameters
    ----------
    problem : DesignProblem
    z : (k, latent) array
    seed : int

    Returns
    -------
    (m, n, n, n) bool array
    """
    rng = np.random.default_rng([seed, 10**6 + 1])
    found = problem.evaluate(z)
    best = ranked(found)[: MOST_DECODED // 2]
    others = rng.permutation(np.setdiff1d(np.arange(len(z)), best))[: MOST_DECODED // 2]
    chosen = [n for n in (*best, *others) if not found.units[n].loose]
    return np.unique(found.octants[chosen], axis=0)


def is_labelled(path):
    """Whether the units of a dataset have labels."""
    with naming(path), Dataset(path) as units:
        return len(units.labels) > 0


def bounds(z):
    """Lowest and highest value along each latent dimension to search, (2, latent), around z."""
    low, high = z.min(axis=0), z.max(axis=0)
    margin = np.maximum(MARGIN * (high - low), LEAST_REACH - (high - low) / 2)
    return np.array([low - margin, high + margin])


def population(problem, settings, z, before=None):
    """The first generation.

    The best of the units and of an earlier search; others of the units at random, so that
    kinds which the surrogate underrates take part; and random ones, from a Gaussian around all.

    Parameters
    ----------
    problem : DesignProblem
    settings : Settings
    z : (k, latent) array
        Of the units.
    before : (k, latent) array, optional
        The best designs of the search before.

    Returns
    -------
    (population, latent) array
    """
    rng = np.random.default_rng([settings.seed, 10**6])
    size = settings.population
    best, others = round(BEST * size), round(OTHERS * size)
    pool = z if before is None else np.concatenate([before, z])
    first = pool[ranked(problem.evaluate(pool))[:best]]
    some = z[rng.permutation(len(z))[:others]]
    left = size - len(first) - len(some)
    covariance = np.atleast_2d(np.cov(z, rowvar=False)) if len(z) > 1 else np.eye(z.shape[1])
    drawn = rng.multivariate_normal(z.mean(axis=0), covariance, left, method="eigh")
    return np.concatenate([first, some, drawn])


def ranked(evaluated):
    """Indices of designs, the best first: feasible ones front by front, then the least wrong."""
    feasible = np.flatnonzero(evaluated.feasible)
    wrong = np.flatnonzero(~evaluated.feasible)
    violation = np.maximum(evaluated.G[wrong], 0).sum(axis=1)
    order = [feasible[front] for front in fronts(evaluated.F[feasible])]
    return np.concatenate([*order, wrong[np.argsort(violation, kind="stable")]]).astype(int)
