"""Recalibration: deviations and intervals that hold on units that were not trained on.

The deviation of each target is multiplied by one factor, that of least continuous ranked
probability score on the validation units. Intervals follow from a Gaussian of that deviation, or
from the scores that were seen on validation (isotonic regression of the distribution function);
which of both is chosen by cross-validation.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from learn.metrics import calibration_error, central_quantiles, gaussian_crps, gaussian_scores

PROBABILITIES = np.round(np.arange(0.005, 1.0, 0.005), 3)
FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """Of each target: a factor of the deviation, and scores at ``PROBABILITIES``.

    Parameters
    ----------
    factor : (targets,) array
    scores : (targets, probabilities) array
        Of (value - mean) / calibrated deviation.
    method : tuple of str
        "gaussian" or "isotonic", of each target.
    """

    factor: np.ndarray
    scores: np.ndarray
    method: tuple

    @classmethod
    def none(cls, targets):
        """The one that changes nothing."""
        scores = np.tile(gaussian_scores(PROBABILITIES), (targets, 1))
        return cls(np.ones(targets), scores, ("gaussian",) * targets)


def interval(mean, total, scores, level):
    """Central interval of (n,) predictions.

    Parameters
    ----------
    mean, total : (n,) array
    scores : (probabilities,) array
        At ``PROBABILITIES``.
    level : float
        In (0, 0.99].

    Returns
    -------
    lower, upper : (n,) array
    """
    lower, upper = np.interp(central_quantiles(level), PROBABILITIES, scores)
    return mean + lower * total, mean + upper * total


def calibrate(truth, mean, total):
    """Calibration from validation units.

    Parameters
    ----------
    truth, mean, total : (n, targets) array
        Observed values, predicted means and deviations.

    Returns
    -------
    Calibration
    """
    found = [_one_target(*columns) for columns in zip(truth.T, mean.T, total.T, strict=True)]
    factor, scores, method = zip(*found, strict=True)
    return Calibration(np.array(factor), np.array(scores), method)


def _one_target(truth, mean, total):
    factor = best_factor(truth, mean, total)
    choices = {"gaussian": _gaussian, "isotonic": _isotonic}
    errors = {name: _cross_validated(find, truth, mean, total) for name, find in choices.items()}
    method = min(errors, key=errors.get)
    return factor, choices[method](truth, mean, factor * total), method


def best_factor(truth, mean, total):
    """Factor of the deviation of least score (CRPS), between 1/100 and 100."""

    def score(log_factor):
        return gaussian_crps(truth, mean, np.exp(log_factor) * total)

    return float(np.exp(minimize_scalar(score, bounds=np.log([0.01, 100]), method="bounded").x))


def _gaussian(truth, mean, total):
    return gaussian_scores(PROBABILITIES)


def _isotonic(truth, mean, total):
    return np.quantile((truth - mean) / total, PROBABILITIES)


def _cross_validated(find, truth, mean, total):
    """Calibration error on units that were left out."""
    fold = np.arange(len(truth)) % FOLDS
    errors = []
    for out in range(min(FOLDS, len(truth))):
        kept, left = fold != out, fold == out
        factor = best_factor(truth[kept], mean[kept], total[kept])
        scores = find(truth[kept], mean[kept], factor * total[kept])

        def of(level, scores=scores, left=left, factor=factor):
            return interval(mean[left], factor * total[left], scores, level)

        errors.append(calibration_error(truth[left], of))
    return np.mean(errors)
