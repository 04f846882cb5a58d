"""Measures of reconstructions, of predictions, and of the uncertainty they state."""

import numpy as np
from scipy.special import ndtr, ndtri

from learn.octants import SOLID

LEVELS = np.round(np.arange(0.05, 1.0, 0.05), 2)  # of central intervals


def voxel_accuracy(octants, occupancy):
    """Share of voxels that are right, 1 - mean |x - x'| (Eq. 12), of each unit.

    Parameters
    ----------
    octants : (B, n, n, n) bool array
    occupancy : (B, n, n, n) array
        In [0, 1]; solid from 0.5 on.

    Returns
    -------
    (B,) array
    """
    return (np.asarray(octants, bool) == (np.asarray(occupancy) >= SOLID)).mean((1, 2, 3))


def relative_voxel_difference(octants, occupancy):
    """Sum of |x - x'| over the sum of x, of each unit, averaged over its realisations (Eq. 15).

    Parameters
    ----------
    octants : (B, n, n, n) bool array
    occupancy : (B, N, n, n, n) array
        N realisations of each.

    Returns
    -------
    (B,) array
    """
    octants = np.asarray(octants, float)[:, None]
    return (np.abs(octants - occupancy).sum((2, 3, 4)) / octants.sum((2, 3, 4))).mean(1)


def r2(truth, predicted):
    """Coefficient of determination (Eq. 13) of (n,) arrays."""
    return 1 - np.sum((truth - predicted) ** 2) / np.sum((truth - truth.mean()) ** 2)


def nrmse(truth, predicted, span):
    """Root mean squared error over the range of the known values (Eq. 14)."""
    return np.sqrt(np.mean((truth - predicted) ** 2)) / span


def gaussian_nll(truth, mean, deviation):
    """Mean negative log-likelihood of Gaussians; (n,) arrays, in nats."""
    score = (truth - mean) / deviation
    return np.mean(0.5 * score**2 + np.log(deviation) + 0.5 * np.log(2 * np.pi))


def gaussian_crps(truth, mean, deviation):
    """Mean continuous ranked probability score of Gaussians, in the unit of the values.

    References
    ----------
    Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102, 359-378.
    """
    score = (truth - mean) / deviation
    density = np.exp(-0.5 * score**2) / np.sqrt(2 * np.pi)
    return np.mean(deviation * (score * (2 * ndtr(score) - 1) + 2 * density - 1 / np.sqrt(np.pi)))


def coverage(truth, lower, upper):
    """Share of values within their intervals."""
    return np.mean((truth >= lower) & (truth <= upper))


def calibration_error(truth, interval):
    """Mean distance between level and coverage of central intervals, over ``LEVELS``.

    Parameters
    ----------
    truth : (n,) array
    interval : callable
        Maps a level to lower and upper ends, (n,) arrays.
    """
    return np.mean([abs(coverage(truth, *interval(level)) - level) for level in LEVELS])


def central_quantiles(level):
    """Probabilities below the lower and the upper end of a central interval."""
    return (1 - level) / 2, (1 + level) / 2


def gaussian_scores(probabilities):
    """Standard scores of a Gaussian at some probabilities."""
    return ndtri(probabilities)
