"""Engineering constants of an effective stiffness tensor.

Voigt order is 11, 22, 33, 23, 13, 12 with engineering shear throughout.
"""

import numpy as np

COMPONENTS = ("11", "22", "33", "23", "13", "12")


def nearest_cubic(C):
    """Cubic part of a stiffness: its C11, C12 and C44 (means over the axes).

    Parameters
    ----------
    C : (6, 6) array

    Returns
    -------
    C11, C12, C44 : float
    """
    C11 = np.trace(C[:3, :3]) / 3
    C12 = (C[0, 1] + C[0, 2] + C[1, 2]) / 3
    C44 = np.trace(C[3:, 3:]) / 3
    return float(C11), float(C12), float(C44)


def cubic_constants(C11, C12, C44, singular=1e-9):
    """E, G, nu, K and the Zener ratio of a cubic stiffness.

    E and nu belong to tension along a cube axis, G to shear between two.
    What is at most ``singular`` times the largest of ``C11, C12, C44`` counts as 0, because
    rounding leaves as much of the zero of a mechanism: E is 0 where ``C11 - C12`` or
    ``C11 + 2 C12`` is. Without ``C11 - C12`` no tension can be applied: nu and the Zener
    ratio are NaN there.

    Parameters
    ----------
    C11, C12, C44 : float
    singular : float
        Relative accuracy of the three constants.

    Returns
    -------
    dict of float
        Keys ``E, G, nu, K, zener``; the moduli in the unit of ``C11``.
    """
    zero = singular * max(abs(C11), abs(C12), abs(C44))
    total, difference, volumetric = C11 + C12, C11 - C12, C11 + 2 * C12
    defined = total > zero and difference > zero
    nu = C12 / total if defined else np.nan
    return {
        "E": difference * (1 + nu) if defined and volumetric > zero else 0.0,
        "G": C44,
        "nu": nu,
        "K": volumetric / 3,
        "zener": 2 * C44 / difference if defined else np.nan,
    }


def mandel(C):
    """Stiffness or compliance weights that make the (6, 6) array a tensor of an orthonormal basis.

    Norms and eigenvalues of the result do not depend on the frame.
    """
    weight = np.array([1, 1, 1, np.sqrt(2), np.sqrt(2), np.sqrt(2)])
    return C * np.outer(weight, weight)


def cubic_deviation(C):
    """Distance of a stiffness from its cubic part, ``norm(C - C_cubic) / norm(C)``.

    The norm is the one of the fourth-order tensor. 0 for a cubic cell (in the frame of
    its axes); NaN for C = 0.
    """
    C11, C12, C44 = nearest_cubic(C)
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = C12
    cubic[np.diag_indices(6)] = [C11] * 3 + [C44] * 3
    norm = np.linalg.norm(mandel(C))
    return float(np.linalg.norm(mandel(C - cubic)) / norm) if norm > 0 else np.nan


def directional_constants(C, singular=1e-9):
    """Young's moduli, shear moduli and Poisson's ratios along the axes, from the inverse of C.

    Parameters
    ----------
    C : (6, 6) array
    singular : float
        C counts as singular below this ratio of its extreme eigenvalues.

    Returns
    -------
    dict or None
        ``E`` (3,) along 1, 2, 3; ``G`` (3,) in the planes 23, 13, 12; ``nu`` (3, 3) with
        ``nu[i, j] = -strain_j / strain_i`` under tension along i (NaN on the diagonal).
        None where C is singular.
    """
    eigenvalues = np.linalg.eigvalsh(mandel(C))
    if eigenvalues[0] <= singular * eigenvalues[-1]:
        return None
    S = np.linalg.inv(C)
    nu = -S[:3, :3] / np.diag(S)[:3, None]  # S_ji / S_ii, S symmetric
    np.fill_diagonal(nu, np.nan)
    return {"E": 1 / np.diag(S)[:3], "G": 1 / np.diag(S)[3:], "nu": nu}


def cubic_derivatives(C, dC, singular=1e-9):
    """Change of the constants of the nearest cubic tensor with a small change of a stiffness.

    Parameters
    ----------
    C, dC : (6, 6) array
        Stiffness and its derivative by some parameter.
    singular : float
        As in ``cubic_constants``.

    Returns
    -------
    dict of float
        Derivatives of ``E, G, nu, K, zener`` by the same parameter: NaN where the constant is,
        and 0 for an E that counts as 0.
    """
    C11, C12, C44 = nearest_cubic(C)
    dC11, dC12, dC44 = nearest_cubic(dC)
    constants = cubic_constants(C11, C12, C44, singular)
    nu, zener = constants["nu"], constants["zener"]
    dE = dC11 - 4 * nu * dC12 + 2 * nu**2 * (dC11 + dC12) if constants["E"] else 0.0
    dnu = dzener = np.nan
    if not np.isnan(nu):
        dnu = (C11 * dC12 - C12 * dC11) / (C11 + C12) ** 2
        dzener = (2 * dC44 - zener * (dC11 - dC12)) / (C11 - C12)
    return {"E": dE, "G": dC44, "nu": dnu, "K": (dC11 + 2 * dC12) / 3, "zener": dzener}
