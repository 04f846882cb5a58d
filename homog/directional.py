"""Young's modulus along any direction of an anisotropic stiffness.

Voigt order is 11, 22, 33, 23, 13, 12 with engineering shear.
"""

from itertools import product

import numpy as np
from scipy.optimize import minimize

from homog.element import VOIGT
from homog.errors import DataError, ParameterError
from homog.properties import mandel

# [100], [110], [111] and all others of their kind, one of each opposite pair
SIMPLE = np.array([n for n in product((1, 0, -1), repeat=3) if n > (0, 0, 0)], dtype=float)


def directional_modulus(C, directions, singular=1e-9):
    """Young's moduli ``E(n) = 1 / (n n : S : n n)``, with S the inverse of C.

    Parameters
    ----------
    C : (6, 6) array_like
        Stiffness, of any anisotropy.
    directions : (..., 3) array_like
        Of tension; need not have length 1.
    singular : float
        C counts as singular below this ratio of its extreme eigenvalues.

    Returns
    -------
    (...) array
        In the unit of C.

    Raises
    ------
    ParameterError
        If C is not a symmetric (6, 6) array of finite numbers, or a direction has no length.
    DataError
        If C is singular or not positive: it has no inverse.

    Reference
    ---------
    Nye (1957), Physical Properties of Crystals, section VIII.5.
    """
    return 1 / _stretch(_compliance(C, singular), _unit_vectors(directions))


def extreme_moduli(C, singular=1e-9):
    """Smallest and largest Young's modulus of all directions.

    Where several directions are alike, one such as [100], [110] or [111] is preferred.

    Parameters
    ----------
    C, singular
        As of ``directional_modulus``, which has the errors too.

    Returns
    -------
    lowest, highest : tuple
        The modulus, and its direction as a (3,) array of length 1.
    """
    S = _compliance(C, singular)
    return tuple(_extreme(S, sign) for sign in (-1, 1))


def sphere(steps=60):
    """Directions on a grid of angles, with poles and seam there more than once.

    Parameters
    ----------
    steps : int
        From pole to pole.

    Returns
    -------
    (steps + 1, 2 * steps + 1, 3) array
    """
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, steps + 1), np.linspace(0, 2 * np.pi, 2 * steps + 1), indexing="ij"
    )
    flat = np.sin(polar)
    return np.stack([flat * np.cos(around), flat * np.sin(around), np.cos(polar)], axis=-1)


def _extreme(S, sign):
    """Modulus and direction of the lowest (-1) or highest (1) one: the best of a grid, refined."""

    def height(n):
        return sign * _stretch(S, n / np.linalg.norm(n, axis=-1, keepdims=True)) / scale

    candidates = _unit_vectors(np.concatenate([SIMPLE, sphere().reshape(-1, 3)]))
    scale = _stretch(S, candidates).mean()
    heights = height(candidates)
    start = candidates[np.argmax(heights <= heights.min() + 1e-9)]  # the first of equals
    found = minimize(height, start, tol=1e-12)
    if found.fun < height(start) - 1e-9:
        start = found.x / np.linalg.norm(found.x)
    return float(1 / _stretch(S, start)), start


def _compliance(C, singular):
    """Inverse of a positive stiffness."""
    C = np.asarray(C, dtype=float)
    finite = C.shape == (6, 6) and np.isfinite(C).all()
    if not (finite and np.abs(C - C.T).max() <= 1e-6 * np.abs(C).max()):
        raise ParameterError(f"expected a stiffness, symmetric and finite (6, 6), got\n{C}")
    eigenvalues = np.linalg.eigvalsh(mandel(C))
    if eigenvalues[0] <= singular * eigenvalues[-1]:
        raise DataError(
            "C is singular: the cell can deform without stress, and has no Young's modulus along "
            "some directions"
        )
    return np.linalg.inv(C)


def _unit_vectors(directions):
    directions = np.asarray(directions, dtype=float)
    if directions.shape[-1:] != (3,):
        raise ParameterError(f"expected directions of three numbers, got {directions.shape}")
    length = np.linalg.norm(directions, axis=-1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise ParameterError("a direction needs a length; got zeros or numbers that are not finite")
    return directions / length


def _stretch(S, n):
    """Strain along n under unit tension along n, ``n n : S : n n``."""
    stress = np.stack([n[..., i] * n[..., j] for i, j in VOIGT], axis=-1)
    return np.einsum("...i,ij,...j->...", stress, S, stress)
