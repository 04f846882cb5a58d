"""Solves the cell problem for all unit strains, batch by batch, by one of the methods."""

from dataclasses import dataclass
from functools import partial

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


def solve(problem, method, tol, workers, progress, start=None):
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
    start : dict, optional
        Displacements that come near the solutions, ``{load: (3, nx, ny, nz)}``.

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
        return _automatic(problem, tol, workers, progress, start)
    if method == "multigrid":
        from homog import multigrid

        if not multigrid.fits(problem):
            raise ParameterError(
                f"multigrid cannot coarsen {' x '.join(map(str, problem.voxels))} voxels, whose "
                "sides have to be halved until few are left; use auto or amg"
            )
        return _solve(problem, multigrid, (tol, LIMIT), workers, progress, start)
    return _assembled(problem, tol, workers, progress, start)


def _automatic(problem, tol, workers, progress, start):
    """Multigrid where it can be used and converges, else the assembled path."""
    from homog import multigrid

    if not multigrid.fits(problem):
        return _assembled(problem, tol, workers, progress, start)
    try:
        return _solve(problem, multigrid, (tol, PATIENCE), workers, progress, start)
    except ConvergenceError:
        return _assembled(problem, tol, workers, progress, start)


def _assembled(problem, tol, workers, progress, start):
    from homog import amg  # late: pyamg is large

    return _solve(problem, amg, (tol, LIMIT), workers, progress, start)


class _Team:
    """Threads that solve one batch after the other, with the arrays of the one before."""

    def __init__(self, problem, method, workers):
        self.problem, self.method, self.workers = problem, method, workers
        self.system = None

    def solve(self, batch, start, **goal):
        """The batch, the system and the solution."""
        system = self.system
        if system is None or not _same_conditions(self.problem, system.loads, batch):
            self.system = system = self.method.System(self.problem, batch, self.workers)
        energy = self.problem.affine_energy
        affine = system.energies([energy[load, load] for load in batch])
        loads = system.pack(self.problem.forces(load) for load in batch)
        first = system.pack(start[load] for load in batch) if start else None
        return batch, system, conjugate_gradients(system, loads, Accuracy(affine, **goal), first)


def _solve(problem, method, target, workers, progress, start):
    """Solve batches in rounds; what a round knows of C are the results of the rounds before.

    So it changes nothing but the time whether the batches of a round are solved at once, each
    by a team of threads, or one by one.
    """
    tol, limit = target
    batches = method.batches(problem)
    count = len(batches)
    parts = workers.split(min(method.AT_ONCE, count))
    teams = [_Team(problem, method, part) for part in parts]

    def tasks(numbers, largest):
        for n in numbers:
            team = n % len(teams)
            report = _share(progress, n, count) if team == 0 else partial(_listen, workers.stopped)
            goal = {"tol": tol, "progress": report, "largest": largest, "limit": limit}
            yield partial(teams[team].solve, batches[n], start, **goal)

    solutions, entries, iterations, residuals = {}, {}, {}, {}
    largest, error = 0.0, 0.0
    for first in range(0, count, method.AT_ONCE):
        numbers = range(first, min(first + method.AT_ONCE, count))
        for batch, system, found in workers.at_once(tasks(numbers, largest)):
            error = max(error, found.error.max())
            for place, load in enumerate(batch):
                iterations[load], residuals[load] = found.iterations[place], found.residuals[place]
                solutions[load] = system.unpack(found.x, place)
                residual = system.unpack(found.r, place)
                entries |= problem.entries(load, solutions, residual, workers)
                largest = max(largest, entries[load, load] * problem.volume)
            del found, residual  # before the next ones are made
        progress((numbers[-1] + 1) / count)
    _check_softness(np.diag(problem.affine_energy).max(), largest, method)
    name = method.__name__.rpartition(".")[2]
    return CellSolution(name, solutions, entries, error / problem.volume, iterations, residuals)


def _check_softness(affine, largest, method):
    """Refuse a stiffness that the method cannot tell from nothing."""
    if largest < method.SOFTEST * affine:
        raise ConvergenceError(
            f"the cell is {affine / max(largest, 1e-300):.0e} times softer than its solid, beyond "
            "what single precision tells; use --solver amg, or remove mechanisms (parts that hang "
            "by edges or corners)"
        )


def _share(progress, number, count):
    """Progress of one batch as that of all."""
    return lambda fraction: progress((number + fraction) / count)


def _listen(stopped, _):
    """In place of progress: end a solve that nobody waits for any more."""
    if stopped.is_set():
        raise ConvergenceError("another unit strain failed")


def _same_conditions(problem, first, second):
    """Whether two batches have the same matrix."""
    return len(first) == len(second) and all(
        np.array_equal(problem.fixed(a), problem.fixed(b))
        for a, b in zip(first, second, strict=True)
    )
