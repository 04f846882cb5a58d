"""Algebraic multigrid: the assembled stiffness and its preconditioner.

Smoothed aggregation (pyamg) with the rigid-body modes as near null space builds the levels;
a V-cycle with Chebyshev smoothing over block Jacobi then treats all loads at once.

References
----------
Vanek, Mandel & Brezina (1996), Computing 56, 179-196.
Adams, Brezina, Hu & Tuminaro (2003), J. Comput. Phys. 188, 593-610 (Chebyshev smoothing).
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyamg
from pyamg.util.utils import get_block_diag
from scipy.linalg import pinvh
from scipy.sparse import bsr_array

from homog import kernels
from homog.conjugate_gradients import LinearSystem
from homog.domain import periodic_domain
from homog.formats import check_memory

COARSEST = 50  # nodes that are solved directly
RANK = 1e-9  # of the largest eigenvalue there: translations are 0 only up to rounding
AT_ONCE = 1  # batch: all threads share the rows of its matrix
SOFTEST = 0.0  # of the stiffness of the affine field; a mechanism's zero is found to be one
DEGREE = 2  # of the Chebyshev polynomial
SMOOTHED = 8.0  # ratio of the largest to the smallest eigenvalue that is smoothed
BYTES_PER_NODE = 12_000  # peak memory, measured (benchmarks/solver.py)
POWER_ITERATIONS, MARGIN = 10, 1.1  # for the largest eigenvalue


def batches(problem):
    """Loads that are solved together: those with one matrix."""
    loads = sorted(problem.loads, key=problem.reduction.parity)
    return [tuple(group) for _, group in groupby(loads, key=problem.reduction.parity)]


class AssembledSystem(LinearSystem):
    """The assembled stiffness of a cell problem on its solid nodes, for loads of one batch.

    Vectors are (nodes, 3 * LOADS) arrays as in ``kernels``; places without a load are 0.

    Parameters
    ----------
    problem : CellProblem
    loads : sequence of int
    workers : Workers

    Raises
    ------
    DataError
        If the problem does not fit in memory.
    """

    def __init__(self, problem, loads, workers):
        self.loads = loads
        self.shape = problem.factor.shape
        domain = periodic_domain(problem.factor > 0)
        check_memory(BYTES_PER_NODE * domain.count, 3 * domain.count)
        self.nodes = tuple(domain.coordinates.T)
        free = problem.free(loads[0])[:, *self.nodes].T
        self.matrix = constrained(assemble(problem.factor, domain, problem.element), free)
        modes = rigid_body_modes(domain.coordinates) * free.reshape(-1, 1)
        self.free = np.repeat(free, kernels.LOADS, axis=1)
        self.vcycle = VCycle(self.matrix, modes, workers)

    def pack(self, forces):
        """The vector of nodal forces (3, nx, ny, nz) of each load."""
        out = np.zeros((len(self.nodes[0]), 3, kernels.LOADS))
        for place, force in enumerate(forces):
            out[:, :, place] = force[:, *self.nodes].T
        return out.reshape(self.free.shape) * self.free

    def unpack(self, vector, place):
        """Field (3, nx, ny, nz) of one load."""
        out = np.zeros((3, *self.shape))
        out[:, *self.nodes] = vector.reshape(-1, 3, kernels.LOADS)[:, :, place].T
        return out

    def energies(self, energies):
        """Energy of each load as the scalars of this system."""
        return np.pad(energies, (0, kernels.LOADS - len(energies)))

    def start(self, residual):
        return residual.copy()

    def product(self, p):
        return -self.vcycle.residual(self.matrix, p, np.zeros_like(p))

    def residual(self, x, b):
        return self.vcycle.residual(self.matrix, x, b)

    def precondition(self, r):
        return self.vcycle(r)

    def dot(self, a, b):
        shape = (-1, kernels.LOADS)
        return np.einsum("nl,nl->l", a.reshape(shape), b.reshape(shape))

    def advance(self, alpha, p, product, x, r):
        x += p * np.tile(alpha, 3)
        r -= product * np.tile(alpha, 3)

    def turn(self, beta, z, p):
        p *= np.tile(beta, 3)
        p += z


def constrained(matrix, free):
    """Stiffness without the couplings of displacements that vanish, (n, 3) False in ``free``.

    Their diagonal stays, so that the matrix can be inverted; without loads they remain 0.
    """
    if free.all():
        return matrix
    rows = np.repeat(np.arange(len(free)), np.diff(matrix.indptr))
    kept = free[rows][:, :, None] & free[matrix.indices][:, None, :]
    kept |= np.eye(3, dtype=bool) & (rows == matrix.indices)[:, None, None]
    return bsr_array((matrix.data * kept, matrix.indices, matrix.indptr), shape=matrix.shape)


def assemble(factor, domain, element):
    """Stiffness matrix of the solid voxels.

    Parameters
    ----------
    factor : (nx, ny, nz) float array
        Multiplies the stiffness of each voxel; 0 is void.
    domain : Domain
    element : (24, 24) array
        Stiffness of a solid voxel.

    Returns
    -------
    scipy.sparse.bsr_array
        (3 n, 3 n) with 3 x 3 blocks, n the number of nodes.
    """
    n = domain.count
    neighbours = np.full((n, 27), n, dtype=np.int32)
    counts = np.zeros(n, dtype=np.int32)
    kernels.find_neighbours(factor, domain.nodes, neighbours, counts)
    neighbours.sort(axis=1)  # pyamg would sort the matrix in place, after it was used
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    indices = neighbours[np.arange(27) < counts[:, None]]
    data = np.zeros((len(indices), 3, 3))
    kernels.assemble_stiffness(factor, domain.nodes, element, indptr, indices, data)
    return bsr_array((data, indices, indptr), shape=(3 * n, 3 * n))


def rigid_body_modes(coordinates):
    """Translations and infinitesimal rotations of points, (3 n, 6) for (n, 3) coordinates."""
    x, y, z = (coordinates - coordinates.mean(axis=0)).T
    modes = np.zeros((len(coordinates), 3, 6))
    modes[:, [0, 1, 2], [0, 1, 2]] = 1
    modes[:, 1, 3], modes[:, 2, 3] = -z, y
    modes[:, 0, 4], modes[:, 2, 4] = z, -x
    modes[:, 0, 5], modes[:, 1, 5] = -y, x
    return modes.reshape(-1, 6)


@dataclass(frozen=True)
class Level:
    """A matrix with its inverted diagonal blocks and the largest eigenvalue after scaling by them.

    ``prolongation`` and ``restriction`` lead from and to the next coarser level.
    """

    matrix: bsr_array
    inverse: np.ndarray
    largest: float
    prolongation: bsr_array
    restriction: bsr_array


class VCycle:
    """One V-cycle of smoothed aggregation: a symmetric preconditioner for several loads.

    Vectors are (nodes, block * LOADS) arrays as in ``kernels``.

    Parameters
    ----------
    matrix : scipy.sparse.bsr_array
        Symmetric positive semi-definite, 3 x 3 blocks.
    modes : (3 n, 6) array
        Near null space.
    workers : Workers
    """

    def __init__(self, matrix, modes, workers):
        hierarchy = pyamg.smoothed_aggregation_solver(
            matrix,
            B=modes,
            smooth=("jacobi", {"weighting": "local"}),  # deterministic, unlike the default
            improve_candidates=None,  # costs more than the iterations it saves
            max_coarse=COARSEST,
            presmoother=None,
            postsmoother=None,
        )
        self.workers = workers
        self.levels = [self._level(level) for level in hierarchy.levels[:-1]]
        self.coarsest = pinvh(hierarchy.levels[-1].A.toarray(), rtol=RANK)

    def _level(self, level):
        inverse = get_block_diag(level.A, level.A.blocksize[0], inv_flag=True)
        largest = self._largest_eigenvalue(level.A, inverse)
        return Level(level.A, inverse, largest, level.P, level.P.T.tobsr())

    def _largest_eigenvalue(self, matrix, inverse):
        """Largest eigenvalue of ``inverse @ matrix``: power iterations and a margin."""
        n, block, starts = len(inverse), inverse.shape[1], kernels.LOADS
        x = np.random.default_rng(0).standard_normal((n, block * starts))
        image, zero = np.zeros_like(x), np.zeros_like(x)
        for _ in range(POWER_ITERATIONS):
            x /= np.linalg.norm(x.reshape(-1, starts), axis=0).max()
            self._direction(matrix, inverse, x, zero, image, (0.0, -1.0))
            x, image = image, x
        return MARGIN * np.linalg.norm(x.reshape(-1, starts), axis=0).max()

    def _direction(self, matrix, inverse, x, f, direction, weights):
        """Update a smoothing direction in place."""
        arguments = (matrix.indptr, matrix.indices, matrix.data, inverse, x, f, *weights, direction)
        self.workers.over_rows(kernels.smoothing_direction, len(f), *arguments)

    def residual(self, matrix, x, f):
        """``f - matrix x``."""
        out = np.empty_like(f)
        arguments = (matrix.indptr, matrix.indices, matrix.data, x, f, out)
        self.workers.over_rows(kernels.residual, len(f), *arguments)
        return out

    def _smooth(self, level, x, f):
        """Chebyshev iteration on the upper part of the spectrum; x changes in place."""
        middle = level.largest * (1 + 1 / SMOOTHED) / 2
        radius = level.largest * (1 - 1 / SMOOTHED) / 2
        direction = np.zeros_like(x)
        contraction = radius / middle
        weights = (0.0, 1 / middle)
        for _ in range(DEGREE):
            self._direction(level.matrix, level.inverse, x, f, direction, weights)
            x += direction
            following = 1 / (2 * middle / radius - contraction)
            weights = (following * contraction, 2 * following / radius)
            contraction = following

    def __call__(self, f, depth=0):
        """Approximate solution of A x = f."""
        if depth == len(self.levels):
            return (self.coarsest @ f.reshape(-1, kernels.LOADS)).reshape(f.shape)
        level = self.levels[depth]
        x = np.zeros_like(f)
        self._smooth(level, x, f)
        # residual() subtracts: once on the way down, once on the way up
        coarse = np.zeros((level.restriction.shape[0] // 6, 6 * kernels.LOADS))
        coarse = self.residual(level.restriction, self.residual(level.matrix, x, f), coarse)
        x = self.residual(level.prolongation, self(coarse, depth + 1), x)
        self._smooth(level, x, f)
        return x


System = AssembledSystem
