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

from homog import kernels
from homog.errors import ConvergenceError

LIMIT = 1000  # iterations
CAUTION = 0.1  # part of the smallest Ritz value that is taken for the smallest eigenvalue
RESTARTS = 20
NOT_DEFINITE = "the preconditioner is not positive definite; try another method (--solver)"
SINGLE_ROUNDING = 1e-5  # of the energy of the affine field: more than sums in single precision lose
NOTHING = 1e-12  # of the energy of the affine field: what rounding leaves of a mechanism's zero


class LinearSystem:
    """Symmetric positive semi-definite systems A x = b with one matrix and several loads.

    Vectors are arrays that hold all loads; scalars (loads,) arrays. The iteration works on
    vectors of the system's own precision; ``residual`` is right in double precision. A returned
    vector may be overwritten by the next call.
    """

    #: Reduction of r.z after which rounding has spoiled the residual of the iteration.
    memory = 1e-24

    def start(self, residual):
        """A residual in double precision as a vector of the iteration."""
        raise NotImplementedError

    def product(self, p):
        """A p."""
        raise NotImplementedError

    def residual(self, x, b):
        """b - A x in double precision, valid until the iteration goes on."""
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
    of iterations allowed. ``progress`` is called in every iteration and may raise to end it.
    """

    affine: np.ndarray
    tol: float
    progress: Callable
    largest: float = 0.0
    limit: int = LIMIT


@dataclass(frozen=True)
class Solution:
    """Displacements ``x`` and residuals ``r`` of all loads, and how they were reached.

    ``r`` is valid until the system is used again. Each load has its number of ``iterations``, its
    relative Euclidean norm of the residual in ``residuals``, and in ``error`` a bound of how far
    its energy is from converged.
    """

    x: np.ndarray
    r: np.ndarray
    iterations: tuple
    residuals: tuple
    error: np.ndarray


def conjugate_gradients(system, loads, accuracy, start=None):
    """Solve A x = load for each load.

    The residual of the iteration is compared with the true one at its end. Where rounding has
    driven the two apart, the iteration starts again from the true one (iterative refinement).

    Parameters
    ----------
    system : LinearSystem
    loads : array
        A vector of the system, in double precision.
    accuracy : Accuracy
    start : array, optional
        A vector that comes near the solution, in double precision.

    Returns
    -------
    Solution

    Raises
    ------
    ConvergenceError
        If the accuracy is not reached in the iterations allowed, or rounding got in the way.
    """
    run = _Run(energy=accuracy.affine.copy())
    x, r = start, loads
    if start is not None:
        r = system.residual(x, loads)
        run.energy = _energy(system, (x, r), loads, accuracy)
    for _ in range(RESTARTS):
        step, recursive = _iterate(system, r, accuracy, run)
        x = step if x is None else x + step.astype(loads.dtype)
        r = system.residual(x, loads)
        run.energy = _energy(system, (x, r), loads, accuracy)  # free of rounding
        run.done = run.done and _accurate(run, accuracy)
        if run.done and _trusted(system, loads, r, recursive):
            return _solution(system, loads, (x, r), run)
    raise ConvergenceError(
        "rounding errors spoil the solution; allow a larger tol, or remove mechanisms (parts that "
        "hang by edges or corners) from the cell"
    )


def _energy(system, reached, loads, accuracy):
    """Energy of each load at displacements ``x`` with the residual ``r``."""
    x, r = reached
    return accuracy.affine - system.dot(x, loads) - system.dot(x, r)


@dataclass
class _Run:
    """What is known while the iteration goes on, through its restarts."""

    energy: np.ndarray  # of each load, falls towards the diagonal of V C
    error: np.ndarray | None = None
    smallest: float = np.inf  # Ritz value
    iterations: int = 0
    done: bool = False


def _iterate(system, residual, accuracy, run):
    """Iterate from x = 0 to the accuracy, or until rounding matters; x and its residual."""
    r = system.start(residual)
    p = system.precondition(r).copy()
    x = np.zeros_like(p)
    start = rz = _finite(system.dot(r, p))
    if ((rz <= 0) & (system.dot(r, r) > 0)).any():
        raise ConvergenceError(NOT_DEFINITE)
    active = rz > 0  # a load that is done rests: what rounding left of it would only grow
    alphas, betas = [], []
    run.error, run.done = np.zeros_like(rz), not active.any()
    while not run.done and active.any():
        if run.iterations == accuracy.limit:
            raise ConvergenceError(_message(accuracy, run))
        product = system.product(p)
        work = _finite(system.dot(p, product))
        _check_work(work, active)
        alpha = np.where(active, _ratio(rz, work), 0.0)
        system.advance(alpha, p, product, x, r)
        z = system.precondition(r)
        run.energy -= alpha * rz
        run.iterations += 1
        _check_energy(run.energy, accuracy.affine)
        previous, rz = rz, _finite(system.dot(r, z))
        _check_definite(rz, start)
        beta = _ratio(rz, previous)
        alphas.append(alpha)
        betas.append(beta)
        error, run.smallest = energy_error(np.stack(alphas), np.stack(betas), rz, run.smallest)
        run.error = np.where(active, error, run.error)
        run.done = _accurate(run, accuracy)
        active &= rz > system.memory * start
        system.turn(beta, z, p)
    return x, r


def _message(accuracy, run):
    """Why no number is returned, and what to do."""
    return (
        f"no convergence in {accuracy.limit} iterations: C is known to "
        f"{run.error.max() / run.energy.max():.0e} of its largest entry, not to "
        f"tol={accuracy.tol:g}; allow a larger tol, or remove parts that hang by edges or corners"
    )


def energy_error(alphas, betas, rz, smallest=np.inf):
    """Bound the squared energy norm of the error of each load.

    Parameters
    ----------
    alphas, betas : (iterations, loads) array
        Step lengths, and ratios of successive ``rz``.
    rz : (loads,) array
        Product of residual and preconditioned residual after these iterations.
    smallest : float
        Smallest Ritz value known before.

    Returns
    -------
    error : (loads,) array
    smallest : float
        Smallest Ritz value known now.
    """
    active = (alphas > 0).all(axis=0) & (rz > 0)
    error = np.zeros_like(rz)
    if not active.any():
        return error, smallest
    alphas, betas = alphas[:, active], betas[:, active]
    smallest = min(smallest, kernels.smallest_ritz_value(alphas, betas).min())
    bound = CAUTION * smallest
    radau = np.full(active.sum(), 1 / bound)
    for alpha, beta in zip(alphas, betas, strict=True):
        radau = (radau - alpha) / (bound * (radau - alpha) + beta)
    error[active] = radau * rz[active]
    return error, smallest


def _accurate(run, accuracy):
    """Whether C is accurate enough, or nothing; tells the caller how far the way is gone."""
    nothing = NOTHING * accuracy.affine.max()
    if np.abs(run.energy).max() <= nothing:
        return True
    relative = run.error.max() / max(run.energy.max(), accuracy.largest, nothing)
    way = log(relative) / log(accuracy.tol) if relative > 0 else 1.0
    accuracy.progress(min(max(way, 0.0), 1.0))
    return relative <= accuracy.tol


def _solution(system, loads, reached, run):
    """Record of what was reached."""
    x, r = reached
    scale = system.dot(loads, loads)
    residuals = np.sqrt(_ratio(system.dot(r, r), scale))
    counts = np.where(scale > 0, run.iterations, 0)
    error = np.minimum(run.error, np.abs(run.energy))  # no energy is below 0: no more can be left
    return Solution(x, r, tuple(counts.tolist()), tuple(residuals.tolist()), error)


def _trusted(system, loads, r, recursive):
    """Whether rounding has left the residual of the iteration close to the true one."""
    products = (system.dot(a, b).sum() for a, b in ((r, r), (r, recursive), (recursive,) * 2))
    true, mixed, left = products
    drift = np.sqrt(max(true - 2 * mixed + left, 0.0))
    return drift <= 0.1 * np.sqrt(left) + 1e-13 * np.sqrt(system.dot(loads, loads).sum())


def _finite(dots):
    """Inner products, if the iteration is still alive."""
    if not np.isfinite(dots).all():
        raise ConvergenceError("the iteration broke down (overflow); check the scale of E")
    return dots


def _check_work(work, active):
    """Refuse a direction that meets no resistance: no displacement balances such a load."""
    if (active & (work <= 0)).any():
        raise ConvergenceError(
            "a load meets no resistance; remove mechanisms (parts that hang by edges or corners) "
            "from the cell"
        )


def _check_energy(energy, affine):
    """Relaxation cannot take more energy than there is."""
    if (energy < -SINGLE_ROUNDING * affine.max()).any():
        raise ConvergenceError(
            "rounding errors spoil the energy; allow a larger tol, or remove mechanisms (parts "
            "that hang by edges or corners) from the cell"
        )


def _check_definite(rz, start):
    """Refuse a preconditioner that is not positive: its error estimate would mean nothing."""
    if (rz < -1e-12 * start.max()).any():
        raise ConvergenceError(NOT_DEFINITE)


def _ratio(a, b):
    """a / b, and 0 where b is not positive."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
