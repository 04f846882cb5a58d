"""Properties that follow from those a surrogate predicts.

The bulk modulus of a cubic cell is K = E / (3 (1 - 2 nu)) (Eq. 17). At each sample of the latent
space the predicted Gaussians of E and nu give one of K to first order; moments over the samples
follow as for any target (Eq. 6 to 9).
"""

import numpy as np
import torch

from learn.calibration import PROBABILITIES
from learn.metrics import gaussian_scores
from learn.surrogate import Prediction
from learn.uncertainty import combined

LIMIT = 0.499  # of nu, beyond which the equation divides by nothing

DERIVED = {"K": ("E", "nu")}


def bulk_modulus(surrogate, octants, samples, found):
    """Bulk modulus of octants through the predicted E and nu (Eq. 17).

    The deviations that the predictor states of E and nu are recalibrated as theirs are; that of K
    is not beyond it, because no K was seen. Of a surrogate that is corrected by labelled units,
    which has no samples, the deviations of E and nu are taken instead.

    Parameters
    ----------
    surrogate : Surrogate or Corrected
        With E and nu among its targets.
    octants : (B, n, n, n) array
    samples : int
    found : dict
        Predictions of its targets.

    Returns
    -------
    Prediction
    """
    if not hasattr(surrogate, "samples_of_octants"):
        return _of_moments(found["E"], found["nu"])
    places = [surrogate.targets.index(name) for name in ("E", "nu")]
    unit, factor = surrogate.scaler.deviation[places], surrogate.factors(octants)[:, places]
    parts = surrogate.samples_of_octants(octants, samples)
    mean, within, scatter = (part[..., places] for part in parts)
    E, nu = np.moveaxis(mean * unit + surrogate.scaler.mean[places], -1, 0)
    K, slopes = _with_slopes(E, nu)
    within = within * factor[:, None, None] ** 2
    if surrogate.framework.scatter is None:  # nothing tells the two apart
        scatter = within
    within = np.maximum(within, scatter)  # what scatters in the solid is there at least
    variances = [((slopes * unit) ** 2 * part).sum(-1) for part in (within, scatter)]
    found = combined(*(torch.from_numpy(part) for part in (K, *variances)))
    parts = (found.mean, found.aleatoric, found.epistemic, found.total)
    return Prediction(*(part.numpy() for part in parts), gaussian_scores(PROBABILITIES))


def spread(surrogate, name):
    """Standard deviation of a property among the units of the training; of K to first order.

    Parameters
    ----------
    surrogate : Surrogate or Corrected
    name : str
        A target of the surrogate, or derived from them.

    Returns
    -------
    float
    """
    scaler, targets = surrogate.scaler, surrogate.targets
    if name in targets:
        return scaler.deviation[targets.index(name)]
    places = [targets.index(of) for of in DERIVED[name]]
    _, slopes = _with_slopes(*scaler.mean[places])
    return np.linalg.norm(slopes * scaler.deviation[places])


def _with_slopes(E, nu):
    """K, and its derivatives by E and nu, (..., 2)."""
    room = 1 - 2 * np.minimum(nu, LIMIT)
    K = E / (3 * room)
    return K, np.stack([1 / (3 * room), 2 * K / room], axis=-1)


def _of_moments(E, nu):
    """Prediction of K to first order from those of E and nu."""
    K, slopes = _with_slopes(E.mean, nu.mean)
    aleatoric, epistemic = (
        np.hypot(slopes[:, 0] * getattr(E, part), slopes[:, 1] * getattr(nu, part))
        for part in ("aleatoric", "epistemic")
    )
    total = np.hypot(aleatoric, epistemic)
    return Prediction(K, aleatoric, epistemic, total, gaussian_scores(PROBABILITIES))
