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


def cubic_constants(C11, C12, C44):
    """E, G, nu, K and the Zener ratio of a cubic stiffness.

    E and nu belong to tension along a cube axis, G to shear between two.
    nu and the Zener ratio are NaN where they are 0 / 0.

    Parameters
    ----------
    C11, C12, C44 : float

    Returns
    -------
    dict of float
        Keys ``E, G, nu, K, zener``; the moduli in the unit of ``C11``.
    """
    total, difference = C11 + C12, C11 - C12
    nu = C12 / total if total > 0 else np.nan
    return {
        "E": difference * (1 + nu) if total > 0 else 0.0,
        "G": C44,
        "nu": nu,
        "K": (C11 + 2 * C12) / 3,
        "zener": 2 * C44 / difference if difference > 0 else np.nan,
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


def cubic_derivatives(C, dC):
    """Change of the constants of the nearest cubic tensor with a small change of a stiffness.

    Parameters
    ----------
    C, dC : (6, 6) array
        Stiffness and its derivative by some parameter.

    Returns
    -------
    dict of float
        Derivatives of ``E, G, nu, K, zener`` by the same parameter, NaN where the constant is.
    """
    C11, C12, C44 = nearest_cubic(C)
    dC11, dC12, dC44 = nearest_cubic(dC)
    constants = cubic_constants(C11, C12, C44)
    total, difference, nu = C11 + C12, C11 - C12, constants["nu"]
    undefined = np.isnan(nu)
    dnu = np.nan if undefined else (C11 * dC12 - C12 * dC11) / total**2
    dE = 0.0 if undefined else dC11 - 4 * nu * dC12 + 2 * nu**2 * (dC11 + dC12)
    zener = constants["zener"]
    dzener = (2 * dC44 - zener * (dC11 - dC12)) / difference if difference else np.nan
    return {"E": dE, "G": dC44, "nu": dnu, "K": (dC11 + 2 * dC12) / 3, "zener": dzener}
