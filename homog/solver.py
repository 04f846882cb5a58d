"""Solves the cell problem for all unit strains, batch by batch, by one of the methods."""

from dataclasses import dataclass

import numpy as np

from homog.conjugate_gradients import LIMIT, Accuracy, conjugate_gradients
from homog.errors import ConvergenceError, ParameterError

METHODS = ("auto", "multigrid", "amg")
PATIENCE = 150  # iterations of multigrid after which auto turns to amg


@dataclass(frozen=True)
class CellSolution:
    """Displacements of the solved unit strains, entries of C, and how they were reached.

    ``displacements`` ``{load: (3, nx, ny, nz)}`` on the reduced cell; ``entries``
    ``{(i, j): C_ij}``; ``error`` the largest bound of an entry's error; ``iterations`` and
    ``residuals`` ``{load: ...}``.
    """

    method: str
    displacements: dict
    entries: dict
    error: float
    iterations: dict
    residuals: dict


def solve(problem, method, tol, workers, progress):
    """Solve a cell problem.

    Parameters
    ----------
    problem : CellProblem
    method : {"auto", "multigrid", "amg"}
    tol : float
        Error of C allowed, relative to its largest entry.
    workers : Workers
    progress : callable
        Called with the fraction done.

    Returns
    -------
    CellSolution

    Raises
    ------
    DataError
        If the problem does not fit in memory.
    ParameterError
        If ``multigrid`` is asked for and cannot coarsen the box.
    ConvergenceError
        If C did not reach ``tol``.
    """
    if method == "auto":
        return _automatic(problem, tol, workers, progress)
    if method == "multigrid":
        from homog import multigrid

        if not multigrid.fits(problem):
            raise ParameterError(
                f"multigrid cannot coarsen {' x '.join(map(str, problem.voxels))} voxels, whose "
                "sides have to be halved until few are left; use auto or amg"
            )
        return _solve(problem, multigrid, (tol, LIMIT), workers, progress)
    return _assembled(problem, tol, workers, progress)


def _automatic(problem, tol, workers, progress):
    """Multigrid where it can be used and converges, else the assembled path."""
    from homog import multigrid

    if not multigrid.fits(problem):
        return _assembled(problem, tol, workers, progress)
    try:
        return _solve(problem, multigrid, (tol, PATIENCE), workers, progress)
    except ConvergenceError:
        return _assembled(problem, tol, workers, progress)


def _assembled(problem, tol, workers, progress):
    from homog import amg  # late: pyamg is large

    return _solve(problem, amg, (tol, LIMIT), workers, progress)


def _solve(problem, method, target, workers, progress):
    tol, limit = target
    batches = method.batches(problem)
    solutions, entries, iterations, residuals = {}, {}, {}, {}
    largest, error, system = 0.0, 0.0, None
    for number, batch in enumerate(batches):
        if system is None or not _same_conditions(problem, system.loads, batch):
            system = method.System(problem, batch, workers)
        energy = system.energies([problem.affine_energy[load, load] for load in batch])
        accuracy = Accuracy(
            affine=energy,
            tol=tol,
            progress=lambda fraction, n=number: progress((n + fraction) / len(batches)),
            largest=largest,
            limit=limit,
        )
        loads = system.pack(problem.forces(load) for load in batch)
        found = conjugate_gradients(system, loads, accuracy)
        error = max(error, found.error.max())
        for place, load in enumerate(batch):
            iterations[load], residuals[load] = found.iterations[place], found.residuals[place]
            solutions[load] = system.unpack(found.x, place)
            residual = system.unpack(found.r, place)
            entries |= problem.entries(load, solutions, residual)
            largest = max(largest, entries[load, load] * problem.volume)
        del loads, found, residual  # before the next ones are made
    affine = np.diag(problem.affine_energy).max()
    if largest < method.SOFTEST * affine:
        raise ConvergenceError(
            f"the cell is {affine / max(largest, 1e-300):.0e} times softer than its solid, beyond "
            "what single precision tells; use --solver amg, or remove mechanisms (parts that hang "
            "by edges or corners)"
        )
    name = method.__name__.rpartition(".")[2]
    return CellSolution(name, solutions, entries, error / problem.volume, iterations, residuals)


def _same_conditions(problem, first, second):
    """Whether two batches have the same matrix."""
    return len(first) == len(second) and all(
        np.array_equal(problem.fixed(a), problem.fixed(b))
        for a, b in zip(first, second, strict=True)
    )
