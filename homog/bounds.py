"""Bounds on the moduli of a solid with voids."""

import numpy as np

from homog.errors import ParameterError


def hashin_shtrikman_upper(density, bulk, shear):
    """Upper Hashin-Shtrikman bounds of an isotropic solid with voids.

    Results have the unit of ``bulk`` and ``shear``. The bounds hold for the
    Voigt averages (K_V, G_V) of any anisotropic cell, and so for the bulk
    modulus of a cubic one; neither limits a single directional modulus.

    Parameters
    ----------
    density : float or (n,) array
        Volume fraction of solid, in [0, 1].
    bulk, shear : float
        Moduli of the solid, > 0.

    Returns
    -------
    bulk_max, shear_max : float or (n,) array

    Raises
    ------
    ParameterError
        If ``density`` leaves [0, 1] or a modulus is not positive.

    References
    ----------
    Hashin & Shtrikman (1963), J. Mech. Phys. Solids 11, 127-140.
    Milton & Kohn (1988), J. Mech. Phys. Solids 36, 597-629 (anisotropic cells).
    """
    density = np.asarray(density, dtype=float)[()]
    if not np.all((density >= 0) & (density <= 1)):  # also rejects NaN
        raise ParameterError(f"density must lie in [0, 1], got {density}")
    if not (bulk > 0 and shear > 0):
        raise ParameterError(f"moduli must be positive, got bulk={bulk}, shear={shear}")
    beta = 6 * (bulk + 2 * shear) / (5 * (3 * bulk + 4 * shear))
    bulk_max = 4 * bulk * shear * density / (4 * shear + 3 * bulk * (1 - density))
    shear_max = shear * density * (1 - beta) / (1 - beta * density)
    return bulk_max, shear_max
