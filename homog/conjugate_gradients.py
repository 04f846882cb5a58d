"""Preconditioned conjugate gradients for several loads, stopped by the accuracy of C.

The error of an entry of C is the energy product of the errors of two loads, so the energy
errors of the single loads bound it (Cauchy-Schwarz). Those are bounded in turn by Gauss-Radau
quadrature from the coefficients of the iteration and a lower bound of the spectrum, for
which a part of the smallest Ritz value stands in.

References
----------
Hestenes & Stiefel (1952), J. Res. NBS 49, 409-436.
Golub & Meurant (1997), BIT 37, 687-705.
Meurant & Tichy (2013), Numer. Algorithms 62, 163-191 (the recurrence used here).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from homog.errors import ConvergenceError

LIMIT = 1000  # iterations
CAUTION = 0.25  # part of the smallest Ritz value that is taken for the smallest eigenvalue
NOTHING = 1e-12  # of the energy of the affine field: what rounding leaves of a mechanism's zero


class LinearSystem:
    """Symmetric positive semi-definite systems A x = b with one matrix and several loads.

    Vectors are arrays that hold all loads; scalars (loads,) arrays. A returned vector may be
    overwritten by the next call of the same method.
    """

    def product(self, p):
        """A p."""
        raise NotImplementedError

    def residual(self, x, b):
        """b - A x, to be kept."""
        raise NotImplementedError

    def precondition(self, r):
        """Approximate inverse of A applied to r."""
        raise NotImplementedError

    def dot(self, a, b):
        """Inner product of each load."""
        raise NotImplementedError

    def advance(self, alpha, p, product, x, r):
        """x += alpha p and r -= alpha product, in place."""
        raise NotImplementedError

    def turn(self, beta, z, p):
        """p = z + beta p, in place."""
        raise NotImplementedError


@dataclass(frozen=True)
class Accuracy:
    """When to stop: at an error of C of ``tol``, relative to its largest entry.

    ``affine`` (loads,) is the energy of the cell under the unit strains without fluctuation,
    ``largest`` that of a relaxed unit strain if one is known already, and ``limit`` the number
    of iterations allowed.
    """

    affine: np.ndarray
    tol: float
    progress: Callable
    largest: float = 0.0
    limit: int = LIMIT


@dataclass(frozen=True)
class Solution:
    """Displacements ``x`` and residuals ``r`` of all loads, and how they were reached.

    Each load has its number of ``iterations``, its relative Euclidean norm of the residual in
    ``residuals``, and in ``error`` a bound of how far its energy is from converged.
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
    loads : array
        A vector of the system.
    accuracy : Accuracy

    Returns
    -------
    Solution

    Raises
    ------
    ConvergenceError
        If the accuracy is not reached in the iterations allowed, or rounding got in the way.
    """
    x, r = np.zeros_like(loads), loads.copy()
    p = system.precondition(r).astype(loads.dtype)
    start = rz = _finite(system.dot(r, p))
    energy = accuracy.affine.copy()  # of each load, falls towards the diagonal of V C
    alphas, betas = [], []
    if not rz.any():
        return _solution(system, loads, x, r, 0, rz)
    for iteration in range(1, accuracy.limit + 1):
        product = system.product(p)
        alpha = _ratio(rz, _finite(system.dot(p, product)))
        system.advance(alpha, p, product, x, r)
        z = system.precondition(r)
        energy -= alpha * rz
        previous, rz = rz, _finite(system.dot(r, z))
        _check_definite(rz, start)
        beta = _ratio(rz, previous)
        alphas.append(alpha)
        betas.append(beta)
        error = energy_error(np.array(alphas), np.array(betas), rz)
        if _accurate(energy, error, accuracy):
            r = _checked(system, loads, x, r)
            return _solution(system, loads, x, r, iteration, error)
        system.turn(beta, z, p)
    raise ConvergenceError(
        f"no convergence in {accuracy.limit} iterations: C is known to "
        f"{error.max() / energy.max():.0e} of its largest entry, not to tol={accuracy.tol:g}; allow "
        "a larger tol, or remove parts that hang by edges or corners"
    )


def energy_error(alphas, betas, rz):
    """Bound the squared energy norm of the error of each load.

    Parameters
    ----------
    alphas, betas : (iterations, loads) array
        Step lengths, and ratios of successive ``rz``.
    rz : (loads,) array
        Product of residual and preconditioned residual after these iterations.

    Returns
    -------
    (loads,) array
    """
    active = (alphas > 0).all(axis=0) & (rz > 0)
    error = np.zeros_like(rz)
    if not active.any():
        return error
    alphas, betas = alphas[:, active], betas[:, active]
    smallest = CAUTION * min(map(_smallest_ritz_value, alphas.T, betas.T))
    radau = np.full(active.sum(), 1 / smallest)
    for alpha, beta in zip(alphas, betas, strict=True):
        radau = (radau - alpha) / (smallest * (radau - alpha) + beta)
    error[active] = radau * rz[active]
    return error


def _smallest_ritz_value(alpha, beta):
    """Smallest eigenvalue of the Lanczos matrix that belongs to CG coefficients."""
    diagonal = 1 / alpha
    diagonal[1:] += beta[:-1] / alpha[:-1]
    return eigvalsh_tridiagonal(
        diagonal, np.sqrt(beta[:-1]) / alpha[:-1], select="i", select_range=(0, 0)
    )[0]


def _accurate(energy, error, accuracy):
    """Whether C is accurate enough, or nothing; tells the caller how far the way is gone."""
    if energy.max() <= NOTHING * accuracy.affine.max():
        return True
    relative = error.max() / max(energy.max(), accuracy.largest)
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


def _solution(system, loads, x, r, iterations, error):
    """Record of what was reached."""
    scale = system.dot(loads, loads)
    residuals = np.sqrt(_ratio(system.dot(r, r), scale))
    counts = np.where(scale > 0, iterations, 0)
    return Solution(x, r, tuple(counts.tolist()), tuple(residuals.tolist()), error)


def _finite(dots):
    """Inner products, if the iteration is still alive."""
    if not np.isfinite(dots).all():
        raise ConvergenceError("the iteration broke down (overflow); check the scale of E")
    return dots


def _check_definite(rz, start):
    """Refuse a preconditioner that is not positive: its error estimate would mean nothing."""
    if (rz < -1e-12 * start.max()).any():
        raise ConvergenceError("the preconditioner is not positive definite; try --solver amg")


def _ratio(a, b):
    """a / b, and 0 where b is not positive."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
