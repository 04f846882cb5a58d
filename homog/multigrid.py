"""Geometric multigrid on voxels: the stiffness is never assembled.

All solid voxels have the same stiffness matrix, so a level is nothing but its factors. A coarse
voxel has the mean factor of the eight it covers, and twice the stiffness for twice the edge.
Trilinear interpolation links the levels, a Chebyshev polynomial in the diagonally scaled
stiffness smooths, and the coarsest level is solved directly. The W-cycle preconditions conjugate
gradients; both run in single precision, and the residual in the end is that of double precision.

References
----------
Adams, Brezina, Hu & Tuminaro (2003), J. Comput. Phys. 188, 593-610 (Chebyshev smoothing).
Arbenz, van Lenthe, Mennel, Mueller & Sala (2008), Int. J. Numer. Meth. Engng 73, 927-947
(matrix-free multigrid on voxels).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from homog import voxel_kernels as kernels
from homog.conjugate_gradients import LinearSystem
from homog.formats import check_memory

SINGLE = np.float32
SMOOTHED = 16.0  # ratio of the largest to the smallest eigenvalue that is smoothed
COARSEST = 600  # unknowns that are solved directly
REGULAR = 1e-4  # of the diagonal, added on the coarsest level: translations have no stiffness
HUGE = 1e12  # stiffness that keeps a displacement at zero
ALONE = 60_000  # nodes up to which one thread does better
SOFTEST = 1e-6  # of the stiffness of the affine field: what single precision can tell from nothing
AT_ONCE = 2  # batches that threads may solve at the same time, each in arrays of its own
TOGETHER = 100_000  # nodes of all loads up to which solving them side by side pays
BYTES_PER_NODE = 350  # peak memory, measured (benchmarks/solver.py)


def fits(problem):
    """Whether the box of a cell problem can be coarsened to where it is solved directly."""
    mirrored = problem.reduction.mirrored
    rows_fit = problem.factor.shape[2] <= kernels.LONGEST
    return rows_fit and levels_of(problem.voxels, mirrored) is not None


def batches(problem):
    """Loads that are solved together: side by side where the last axis is halved."""
    room = TOGETHER // problem.factor.size
    if problem.reduction.mirrored[2] and room > 1:
        count = min(room, kernels.LONGEST // problem.factor.shape[2], len(problem.loads))
        return [problem.loads[n : n + count] for n in range(0, len(problem.loads), count)]
    return [(load,) for load in problem.loads]


def levels_of(voxels, mirrored):
    """Shapes in voxels from the finest to the coarsest level, or None if the box does not fit.

    Every side is halved as long as all are even and the unknowns too many to solve directly.
    """
    shapes = [tuple(voxels)]
    while _unknowns(shapes[-1], mirrored) > COARSEST or len(shapes) == 1:
        if any(n % 2 for n in shapes[-1]):
            return None
        shapes.append(tuple(n // 2 for n in shapes[-1]))
    return shapes


def _unknowns(voxels, mirrored):
    nodes = [n + m for n, m in zip(voxels, mirrored, strict=True)]
    return 3 * nodes[0] * nodes[1] * nodes[2]


def voxel_weights(stiffness):
    """The seven distinct entries of the transformed voxel stiffness, as ``kernels`` expects them.

    Parameters
    ----------
    stiffness : (6, 6) array
        Isotropic or cubic.

    Returns
    -------
    tuple of float
    """
    C11, C12, C44 = stiffness[0, 0], stiffness[0, 1], stiffness[3, 3]
    constant = (C12 / 16, (C11 - C12) / 16, C44 / 16)
    linear = (C12 / 48, (C11 + C44) / 48, C44 / 48)
    return (*constant, *linear, (C11 + 2 * C44) / 144)


@dataclass(frozen=True)
class Level:
    """Factors of the voxels, what of them is solid, and the inverse of the diagonal.

    ``factor`` (nx, ny, m), ``solid`` and ``active`` (nx, ny): rows of voxels that are not
    void, rows of nodes that touch one; ``inverse`` (1 or 3, nx, ny, m) is 0 where a
    displacement is fixed.
    """

    factor: np.ndarray
    solid: np.ndarray
    active: np.ndarray
    inverse: np.ndarray


class VoxelSystem(LinearSystem):
    """The stiffness of a cell problem without a matrix, for loads that are solved side by side.

    Vectors are (3, nx, ny, m) arrays, m = nz times the number of loads.

    Parameters
    ----------
    problem : CellProblem
    loads : sequence of int
        Several only where the last axis is halved.
    workers : Workers

    Raises
    ------
    DataError
        If the problem does not fit in memory.
    """

    def __init__(self, problem, loads, workers):
        nodes = problem.factor.size * len(loads)
        check_memory(BYTES_PER_NODE * nodes, 3 * nodes)
        self.loads = loads
        self.workers = workers
        self.mirrored = problem.reduction.mirrored
        self.weight = voxel_weights(problem.stiffness)
        element = problem.element
        fixed = [problem.fixed(load) for load in loads]
        shapes = levels_of(problem.voxels, self.mirrored)
        factors = _coarsened(problem.factor, shapes, self.mirrored)
        self.levels = [_level(factor, fixed, element[0, 0]) for factor in factors]
        names = ("factor", "solid", "active", "inverse")
        self.fields = tuple(tuple(getattr(level, n) for level in self.levels) for n in names)
        self.single_weight = tuple(SINGLE(value) for value in self.weight)
        self.first, self.mix = chebyshev(_largest_eigenvalue(element))
        self.coarsest = _coarsest_factors(factors[-1], fixed, element)
        shapes = [(3, *level.factor.shape) for level in self.levels]
        rhs, low, high, out = ([np.zeros(s, SINGLE) for s in shapes] for _ in range(4))
        self.double = np.zeros(shapes[0])  # shares its memory: free while no cycle runs
        low[0], high[0] = self.double.view(SINGLE).reshape(2, *shapes[0])
        self.arrays = tuple(map(tuple, (rhs, low, high, out)))
        self.factor = problem.factor  # double precision
        if len(loads) > 1:
            self.factor = np.tile(self.factor, (1, 1, len(loads)))
        self.partial = np.zeros((shapes[0][1], len(loads)))
        self.bound = _bound_places(problem.factor.shape, tuple(mask.tobytes() for mask in fixed))

    def pack(self, forces):
        """The vector of nodal forces (3, nx, ny, nz) of each load."""
        forces = list(forces)
        vector = forces[0] if len(forces) == 1 else np.concatenate(forces, axis=3)
        vector.reshape(-1)[self.bound] = 0
        return vector

    def unpack(self, vector, place):
        """Field (3, nx, ny, nz) of one load."""
        n = vector.shape[3] // len(self.loads)
        return vector[..., place * n : (place + 1) * n]

    def energies(self, energies):
        """Energy of each load as the scalars of this system."""
        return np.array(energies)

    memory = 1e-9  # of single precision

    def start(self, residual):
        self.arrays[0][0][...] = residual
        return self.arrays[0][0]

    def product(self, p):
        level, out = self.levels[0], self.arrays[1][0]  # free between the cycles
        out[...] = 0
        arguments = (level.factor, level.solid, level.active, self.single_weight, p, p)
        arguments += (level.inverse, self.mix[0], out)
        self._run(kernels.sweep, p.shape[1], p[0].size, kernels.PRODUCT, p, *arguments)
        out.reshape(-1)[self.bound] = 0
        return out

    def residual(self, x, b):
        level, out = self.levels[0], self.double
        out[...] = 0
        inverse = np.zeros((1, 1, 1, 1))
        arguments = (self.factor, level.solid, level.active, self.weight, b, b, inverse)
        arguments += ((0.0, 0.0, 0.0), out)
        self._run(kernels.sweep, x.shape[1], x[0].size, kernels.RESIDUAL, x, *arguments)
        out.reshape(-1)[self.bound] = 0
        return out

    def precondition(self, r):
        return self.cycle()  # r is the right-hand side already, see start

    def dot(self, a, b):
        self._run(kernels.dots, a.shape[1], a[0].size, a, b, self.partial)
        return self.partial.sum(axis=0)

    def advance(self, alpha, p, product, x, r):
        alpha = alpha.astype(SINGLE)
        self._run(kernels.advance, x.shape[1], x[0].size, alpha, p, product, x, r)

    def turn(self, beta, z, p):
        self._run(kernels.turn, p.shape[1], p[0].size, beta.astype(SINGLE), z, p)

    def _run(self, kernel, planes, size, *arguments):
        """A kernel over planes, by all threads if it is worth it."""
        if size < ALONE:
            kernel(0, planes, *arguments)
        else:
            self.workers.over_rows(kernel, planes, *arguments)

    def _sweep(self, n, mode, u, mix, previous, out):
        level, rhs = self.levels[n], self.arrays[0][n]
        arguments = (mode, u, level.factor, level.solid, level.active, self.single_weight, rhs)
        arguments += (previous, level.inverse, mix, out)
        self._run(kernels.sweep, u.shape[1], u[0].size, *arguments)

    def cycle(self, n=0, repeats=1):
        """W-cycles for the right-hand side ``arrays[0][n]``; the solution ``arrays[3][n]``."""
        if n == len(self.levels) - 1 or self.arrays[0][n][0].size < ALONE:
            kernels.cycle(
                n, repeats, self.fields, self.arrays, self.coarsest, self.mirrored,
                len(self.loads), self.first, self.mix, self.single_weight,
            )  # fmt: skip
        else:
            for repeat in range(repeats):
                self._descend(n, repeat)
                self.cycle(n + 1, 2)
                self._ascend(n)
        return self.arrays[3][n]

    def _descend(self, n, repeat):
        """Smooth, from zero the first time, and hand the residual to the next level."""
        rhs, low, high, out = (a[n] for a in self.arrays)
        level, size, coarse = self.levels[n], rhs[0].size, self.arrays[0][n + 1]
        if repeat == 0:
            arguments = (level.active, rhs, level.inverse, self.first, low)
            self._run(kernels.scale, rhs.shape[1], size, *arguments)
            self._sweep(n, kernels.SMOOTH, low, self.mix[0], low, high)
        else:
            self._sweep(n, kernels.SMOOTH, out, self.mix[1], out, low)
            self._sweep(n, kernels.SMOOTH, low, self.mix[2], out, high)
        self._sweep(n, kernels.RESIDUAL, high, self.mix[0], high, out)
        arguments = (out, self.mirrored, len(self.loads), coarse)
        self._run(kernels.restrict, coarse.shape[1], size, *arguments)

    def _ascend(self, n):
        """Add the correction of the next level and smooth."""
        _, low, high, out = (a[n] for a in self.arrays)
        arguments = (self.arrays[3][n + 1], len(self.loads), self.levels[n].active, high)
        self._run(kernels.prolong, high.shape[1], high[0].size, *arguments)
        self._sweep(n, kernels.SMOOTH, high, self.mix[1], high, low)
        self._sweep(n, kernels.SMOOTH, low, self.mix[2], high, out)


def _coarsened(factor, shapes, mirrored):
    """Factors of all levels; layers of void end the halved axes."""
    factors = [factor]
    pad = [(0, int(m)) for m in mirrored]
    for fine, coarse in pairwise(shapes):
        inner = factors[-1][: fine[0], : fine[1], : fine[2]]
        blocks = inner.reshape(coarse[0], 2, coarse[1], 2, coarse[2], 2)
        mean = np.pad(blocks.sum(axis=(1, 3, 5)) / 8, pad)
        factors.append(2 * mean)  # stiffness of a voxel grows with its edge
    return factors


def _level(factor, fixed, diagonal):
    """A level for loads side by side."""
    rows = factor.any(axis=2)
    active = rows | np.roll(rows, 1, 0)
    active |= np.roll(active, 1, 1)
    total = factor.astype(SINGLE)
    single = np.tile(total, (1, 1, len(fixed)))
    for axis in range(3):
        total = total + np.roll(total, 1, axis)
    inverse = np.zeros(total.shape, SINGLE)
    np.divide(1 / diagonal, total, out=inverse, where=total > 0)
    masks = [mask.tobytes() for mask in fixed]
    if not any(map(any, masks)):
        inverse = inverse[None]
    else:
        inverse = np.concatenate([inverse * _free(factor.shape, mask) for mask in masks], axis=3)
    return Level(single, rows, active, inverse)


@lru_cache(maxsize=64)
def _free(shape, fixed):
    """False where a component vanishes at the ends of an axis, (3, nx, ny, nz).

    ``fixed`` are the bytes of ``CellProblem.fixed``.
    """
    out = np.ones((3, *shape), dtype=bool)
    for c, axis in np.argwhere(np.frombuffer(fixed, bool).reshape(3, 3)):
        ends = np.moveaxis(out[c], axis, 0)
        ends[0] = ends[-1] = False
    out.setflags(write=False)
    return out


@lru_cache(maxsize=16)
def _bound_places(shape, fixed):
    """Indices into the flat vector of the displacements that vanish."""
    return np.flatnonzero(~np.concatenate([_free(shape, mask) for mask in fixed], axis=3))


def _largest_eigenvalue(element):
    """Bound of the spectrum of the diagonally scaled stiffness of any cell: that of one voxel."""
    root = 1 / np.sqrt(np.diag(element))
    return np.linalg.eigvalsh(root[:, None] * element * root)[-1]


def chebyshev(largest):
    """Weights of two steps of Chebyshev's iteration on [largest / SMOOTHED, largest].

    Returns
    -------
    first : float
        Of the first step from zero, as in ``kernels.scale``.
    mixes : tuple
        As in ``kernels.finish_row``: of the second step from zero, of the first step from a
        displacement, of the second.
    """
    middle, radius = largest * (1 + 1 / SMOOTHED) / 2, largest * (1 - 1 / SMOOTHED) / 2
    following = 1 / (2 * middle / radius - radius / middle)
    momentum, step = following * radius / middle, 2 * following / radius
    first = SINGLE(1 / middle)
    mixes = ((1 + momentum, 0, step), (1, 0, 1 / middle), (1 + momentum, -momentum, step))
    return first, tuple(tuple(SINGLE(value) for value in mix) for mix in mixes)


def _coarsest_factors(factor, fixed, element):
    """Cholesky factors of the coarsest stiffness, (loads, 3 n, 3 n), upper, single precision.

    Displacements that are fixed or touch no solid are left out by a huge diagonal.
    """
    size = 3 * factor.size
    matrix = np.zeros((size, size))
    kernels.assemble_dense(factor, element, matrix)
    diagonal = matrix.diagonal().copy()
    factors = {}
    for mask in fixed:
        if mask.tobytes() not in factors:
            bound = matrix.copy()
            free = _free(factor.shape, mask.tobytes()).ravel() & (diagonal > 0)
            bound.flat[:: size + 1] = np.where(free, diagonal * (1 + REGULAR), HUGE)
            kernels.cholesky(bound)
            factors[mask.tobytes()] = bound.astype(SINGLE)
    return np.array([factors[mask.tobytes()] for mask in fixed])


System = VoxelSystem
