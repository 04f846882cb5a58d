"""Preconditioned conjugate gradients for several loads, stopped by the accuracy of C.

Each step lowers the energy of a load by ``alpha r.z``. These decrements add up to the
distance of the diagonal of C from its converged value, so the last few bound what is still
missing. The off-diagonal errors are not larger (Cauchy-Schwarz).

References
----------
Hestenes & Stiefel (1952), J. Res. NBS 49, 409-436.
Strakos & Tichy (2002), ETNA 13, 56-80.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from homog.errors import ConvergenceError

LIMIT = 1000  # iterations
WINDOW = 2  # iterations over which decrements are added up
SLOWEST = 0.95  # ratio of successive windows that counts as no progress
SAFETY = 4.0  # the decrements' decay is not quite geometric
NOTHING = 1e-12  # of the energy of the affine field: what rounding leaves of a mechanism's zero


@dataclass(frozen=True)
class LinearSystem:
    """``residual(x, f)`` is f - A x, ``precondition(r)`` an approximate inverse applied to r.

    Vectors are (nodes, 3 * loads) arrays as in ``kernels``.
    """

    residual: Callable
    precondition: Callable


@dataclass(frozen=True)
class Accuracy:
    """When to stop: at an error of C of ``tol``, relative to its largest entry.

    ``affine`` (loads,) is the energy of the cell under the unit strains without fluctuation.
    """

    affine: np.ndarray
    tol: float
    progress: Callable


@dataclass(frozen=True)
class Solution:
    """Displacements ``x`` and residuals ``r`` of all loads, and how they were reached.

    Each load has its number of ``iterations``, its relative Euclidean norm of the residual in
    ``residuals``, and in ``error`` an estimate of how far its energy is from converged.
    """

    x: np.ndarray
    r: np.ndarray
    iterations: tuple
    residuals: tuple
    error: np.ndarray


def conjugate_gradients(system, loads, accuracy):
    """Solve A x = load for each load.

    Parameters
    ----------
    system : LinearSystem
    loads : (nodes, 3 * loads) array
    accuracy : Accuracy

    Returns
    -------
    Solution

    Raises
    ------
    ConvergenceError
        If the accuracy is not reached in LIMIT iterations, or rounding got in the way.
    """
    x, r = np.zeros_like(loads), loads.copy()
    z = system.precondition(r)
    p, decrements = z.copy(), []
    rz = _dots(r, z, accuracy)
    if not rz.any():
        return _solution(loads, x, r, 0, rz)
    for iteration in range(1, LIMIT + 1):
        product = system.residual(p, np.zeros_like(p))  # -A p
        curvature = -_dots(p, product, accuracy)
        alpha = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)
        x += _scaled(p, alpha)
        r += _scaled(product, alpha)
        decrements.append(alpha * rz)
        error = remaining_energy(decrements)
        if _accurate(decrements, error, accuracy):
            return _solution(loads, x, _checked(system, loads, x, r), iteration, error)
        z = system.precondition(r)
        previous, rz = rz, _dots(r, z, accuracy)
        beta = np.divide(rz, previous, out=np.zeros_like(rz), where=previous > 0)
        p = z + _scaled(p, beta)
    known = error.max() / (accuracy.affine - np.sum(decrements, axis=0)).max()
    raise ConvergenceError(
        f"no convergence in {LIMIT} iterations: C is known to {known:.0e} of its largest "
        f"entry, not to tol={accuracy.tol:g}; allow a larger tol, or remove parts that hang by "
        "edges or corners"
    )


def _solution(loads, x, r, iterations, error):
    """Record of what was reached."""
    shape = (-1, len(error))
    scale = np.linalg.norm(loads.reshape(shape), axis=0)
    norm = np.linalg.norm(r.reshape(shape), axis=0)
    relative = np.divide(norm, scale, out=np.zeros_like(norm), where=scale > 0)
    counts = np.where(scale > 0, iterations, 0)
    return Solution(x, r, tuple(counts.tolist()), tuple(relative.tolist()), error)


def remaining_energy(decrements):
    """Estimate how much energy each load will still lose.

    The decrements of two successive windows of iterations are continued as a geometric series.

    Parameters
    ----------
    decrements : list of (loads,) arrays

    Returns
    -------
    (loads,) array
        Infinite while there are too few iterations to tell.
    """
    if len(decrements) < 2 * WINDOW:
        return np.where(decrements[-1] > 0, np.inf, 0.0)
    before = np.sum(decrements[-2 * WINDOW : -WINDOW], axis=0)
    last = np.sum(decrements[-WINDOW:], axis=0)
    ratio = np.divide(last, before, out=np.zeros_like(last), where=before > 0)
    ratio = np.minimum(ratio, SLOWEST)
    return SAFETY * last * ratio / (1 - ratio)


def _accurate(decrements, error, accuracy):
    """Whether C is accurate enough, or nothing; tells the caller how far the way is gone."""
    energy = accuracy.affine - np.sum(decrements, axis=0)
    if energy.max() <= NOTHING * accuracy.affine.max():
        return True
    relative = error.max() / energy.max()
    if 0 < relative < 1:
        accuracy.progress(min(1.0, log(relative) / log(accuracy.tol)))
    return relative <= accuracy.tol


def _checked(system, loads, x, recursive):
    """True residual, if the recursive one can be trusted."""
    r = system.residual(x, loads)
    drift = np.linalg.norm(r - recursive)
    if not drift <= 0.1 * np.linalg.norm(recursive) + 1e-13 * np.linalg.norm(loads):
        raise ConvergenceError(
            "rounding errors spoil the solution; allow a larger tol, or remove mechanisms "
            "(parts that hang by edges or corners) from the cell"
        )
    return r


def _dots(a, b, accuracy):
    """Inner product of each load."""
    shape = (-1, len(accuracy.affine))
    dots = np.einsum("nl,nl->l", a.reshape(shape), b.reshape(shape))
    if not np.isfinite(dots).all():
        raise ConvergenceError("the iteration broke down (overflow); check the scale of E")
    return dots


def _scaled(a, factors):
    """Each load times its factor."""
    return (a.reshape(-1, len(factors)) * factors).reshape(a.shape)
