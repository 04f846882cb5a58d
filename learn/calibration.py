"""Recalibration: deviations and intervals that hold on units that were not trained on.

The deviation of each target is multiplied by a factor that grows with a power of the distance to
the nearest training unit in the latent space: those of least continuous ranked probability score
on the validation units. Intervals follow from a Gaussian of that deviation, or from the scores that
were seen on validation (isotonic regression of the distribution function); which of both is chosen
by cross-validation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from learn.metrics import calibration_error, central_quantiles, gaussian_crps, gaussian_scores

PROBABILITIES = np.round(np.arange(0.005, 1.0, 0.005), 3)
FOLDS = 5
FEW = 200  # units that tell a factor, but not how it grows
POWER = 2.0  # at most
NEAR = 0.25  # of the typical distance; units that are nearer are as well known as there


@dataclass(frozen=True)
class Known:
    """Training units, so that it can be told how far others are from them.

    Parameters
    ----------
    z : (k, latent) array
        Latent vectors of some of them.
    typical : float
        Distance to the nearest of these, as validation units have it.
    """

    z: np.ndarray
    typical: float

    def distance(self, z):
        """Distance to the nearest, relative to the typical one and at least ``NEAR``.

        Parameters
        ----------
        z : (B, views, latent) array
            Latent vectors of each unit; over several views, the geometric mean is taken.

        Returns
        -------
        (B,) array
        """
        relative = nearest(z.reshape(-1, z.shape[-1]), self.z) / self.typical
        return np.exp(np.log(np.maximum(relative, NEAR)).reshape(z.shape[:-1]).mean(-1))

    @classmethod
    def of(cls, z, others):
        """Training units at ``z``, typical being the median over others, (n, views, latent)."""
        found = nearest(others.reshape(-1, others.shape[-1]), z)
        return cls(z, float(np.median(found)) or 1.0)

    def fits(self, latent):
        """Whether distances can be told in a latent space of so many dimensions."""
        shape = self.z.shape
        fits = len(shape) == 2 and shape[0] > 0 and shape[1] == latent
        return fits and 0 < self.typical < np.inf and bool(np.isfinite(self.z).all())


def nearest(points, others):
    """Distance of each point to the nearest of others, (n,) array."""
    points, others = torch.as_tensor(points), torch.as_tensor(others)
    parts = [torch.cdist(some, others).min(1).values for some in points.split(512)]
    return torch.cat(parts).numpy()


@dataclass(frozen=True)
class Calibration:
    """Of each target: a factor of the deviation, and scores at ``PROBABILITIES``.

    Parameters
    ----------
    factor : (targets,) array
        At the typical distance from the training units.
    scores : (targets, probabilities) array
        Of (value - mean) / calibrated deviation.
    method : tuple of str
        "gaussian" or "isotonic", of each target.
    power : (targets,) array or 0
        Of the relative distance, that the factor grows with.
    known : Known, optional
        Training units; without them factors do not grow.
    """

    factor: np.ndarray
    scores: np.ndarray
    method: tuple
    power: np.ndarray | float = 0.0
    known: Known | None = None

    @classmethod
    def none(cls, targets):
        """The one that changes nothing."""
        scores = np.tile(gaussian_scores(PROBABILITIES), (targets, 1))
        return cls(np.ones(targets), scores, ("gaussian",) * targets)

    def description(self):
        """What ``described`` takes besides the training units, as JSON takes it."""
        return {
            "factor": self.factor.tolist(),
            "power": np.broadcast_to(self.power, self.factor.shape).tolist(),
            "typical": self.known.typical if self.known else None,
            "scores": np.round(self.scores, 6).tolist(),
            "method": list(self.method),
        }

    @classmethod
    def described(cls, said, targets, z=None):
        """Calibration of a description, and of a tensor (k, latent) of training units, or None."""
        factor, scores = (np.array(said[name], float) for name in ("factor", "scores"))
        power = np.array(said.get("power", [0.0] * targets), float)  # version 1 had none
        known = None if z is None else Known(z.numpy(), float(said["typical"]))
        return cls(factor, scores, tuple(said["method"]), power, known)

    def factors(self, z):
        """Factors of the deviations of units at latent vectors (B, views, latent), (B, targets)."""
        if self.known is None:
            return np.tile(self.factor, (len(z), 1))
        return self.factor * self.known.distance(z)[:, None] ** self.power


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


def calibrate(truth, mean, total, z=None, known=None):
    """Calibration from validation units.

    Parameters
    ----------
    truth, mean, total : (n, targets) array
        Observed values, predicted means and deviations.
    z : (n, views, latent) array, optional
        Latent vectors of the units. Without, factors do not grow with the distance.
    known : Known, optional
        The training units.

    Returns
    -------
    Calibration
    """
    several = known is not None and len(truth) >= FEW
    distance = known.distance(z) if several else np.ones(len(truth))
    columns = zip(truth.T, mean.T, total.T, strict=True)
    found = [_one_target(*column, distance) for column in columns]
    factor, power, scores, method = zip(*found, strict=True)
    return Calibration(
        np.array(factor), np.array(scores), method, np.array(power), known if several else None
    )


def _one_target(truth, mean, total, distance):
    factor, power = best_factor(truth, mean, total, distance)
    choices = {"gaussian": _gaussian, "isotonic": _isotonic}
    columns = truth, mean, total, distance
    errors = {name: _cross_validated(find, *columns) for name, find in choices.items()}
    method = min(errors, key=errors.get)
    scores = choices[method](truth, mean, factor * distance**power * total)
    return factor, power, scores, method


def best_factor(truth, mean, total, distance):
    """Factor of the deviation, and its power of the distance, of least score (CRPS).

    Parameters
    ----------
    truth, mean, total, distance : (n,) array

    Returns
    -------
    factor : float
        Between 1/100 and 100.
    power : float
        Between 0 and ``POWER``; 0 where all are equally far.
    """

    def factor(power):
        def score(log_factor):
            return gaussian_crps(truth, mean, np.exp(log_factor) * distance**power * total)

        return minimize_scalar(score, bounds=np.log([0.01, 100]), method="bounded")

    power = 0.0
    if np.ptp(distance):
        found = minimize_scalar(lambda p: factor(p).fun, bounds=(0, POWER), method="bounded")
        power = found.x if found.fun < factor(0.0).fun else 0.0
    return float(np.exp(factor(power).x)), float(power)


def _gaussian(truth, mean, total):
    return gaussian_scores(PROBABILITIES)


def _isotonic(truth, mean, total):
    return np.quantile((truth - mean) / total, PROBABILITIES)


def _cross_validated(find, truth, mean, total, distance):
    """Calibration error on units that were left out."""
    fold = np.arange(len(truth)) % FOLDS
    errors = []
    for out in range(min(FOLDS, len(truth))):
        kept, left = fold != out, fold == out
        factor, power = best_factor(truth[kept], mean[kept], total[kept], distance[kept])
        right = factor * distance**power * total
        scores = find(truth[kept], mean[kept], right[kept])

        def of(level, scores=scores, left=left, right=right):
            return interval(mean[left], right[left], scores, level)

        errors.append(calibration_error(truth[left], of))
    return np.mean(errors)
