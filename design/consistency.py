"""What theory says of predictions, where a surrogate alone would be too sure of itself.

A search looks for units that the surrogate overrates, and finds them where it errs. One error is
known without finite elements: no bulk modulus lies above the Hashin-Shtrikman bound. By as much as
a predicted K does, the surrogate is wrong; that much is added to its epistemic deviation.
"""

import numpy as np

from homog.bounds import hashin_shtrikman_upper
from learn.surrogate import Prediction


def consistent(predictions, density, material):
    """Predictions of which K is at most its bound, and the less certain the more it was above.

    Parameters
    ----------
    predictions : dict
        ``{name: Prediction}`` of B units.
    density : (B,) array
    material : Isotropic
        The solid.

    Returns
    -------
    dict
    """
    if "K" not in predictions:
        return predictions
    K = predictions["K"]
    upper, _ = hashin_shtrikman_upper(density, material.K, material.G)
    excess = np.maximum(K.mean - upper, 0)
    epistemic = np.hypot(K.epistemic, excess)
    total = np.hypot(K.aleatoric, epistemic)
    bounded = Prediction(K.mean - excess, K.aleatoric, epistemic, total, K._scores)
    return {**predictions, "K": bounded}
