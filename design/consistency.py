"""What theory says of predictions, where a surrogate alone would be too sure of itself.

A search looks for units that the surrogate overrates, and finds them where it errs. Two errors are
known without finite elements. No bulk modulus lies above the Hashin-Shtrikman bound: by as much as
a predicted K does, the surrogate is wrong, and that much is added to its epistemic deviation. And
every modulus is linear in that of the solid, so that it scatters at least by as much.
"""

from dataclasses import replace

import numpy as np

from homog.bounds import hashin_shtrikman_upper

MODULI = ("E", "G", "K")


def consistent(predictions, density, material, scatter):
    """Predictions that theory allows.

    Parameters
    ----------
    predictions : dict
        ``{name: Prediction}`` of B units.
    density : (B,) array
    material : Isotropic
        The solid.
    scatter : float
        Relative standard deviation of its E.

    Returns
    -------
    dict
        With moduli whose aleatoric deviation is at least that of the solid, and with a K that is
        at most its bound, and the less certain the more it was above.
    """
    found = dict(predictions)
    if "K" in found:
        upper, _ = hashin_shtrikman_upper(density, material.K, material.G)
        K = found["K"]
        excess = np.maximum(K.mean - upper, 0)
        found["K"] = _changed(K, K.mean - excess, K.aleatoric, np.hypot(K.epistemic, excess))
    for name in MODULI:
        if name in found:
            of = found[name]
            aleatoric = np.maximum(of.aleatoric, scatter * of.mean)
            found[name] = _changed(of, of.mean, aleatoric, of.epistemic)
    return found


def _changed(prediction, mean, aleatoric, epistemic):
    total = np.hypot(aleatoric, epistemic)
    return replace(prediction, mean=mean, aleatoric=aleatoric, epistemic=epistemic, total=total)
