"""Geometric multigrid on voxels: the stiffness is never assembled.

All solid voxels have the same stiffness matrix, so a level is nothing but its factors. A coarse
voxel has the mean factor of the eight it covers, and twice the stiffness for twice the edge.
Trilinear interpolation links the levels, a Chebyshev polynomial in the diagonally scaled
stiffness smooths, and the coarsest level is solved directly. The V-cycle runs in single
precision as the preconditioner of conjugate gradients in double precision.

References
----------
Adams, Brezina, Hu & Tuminaro (2003), J. Comput. Phys. 188, 593-610 (Chebyshev smoothing).
Arbenz, van Lenthe, Mennel, Mueller & Sala (2008), Int. J. Numer. Meth. Engng 73, 927-947
(matrix-free multigrid on voxels).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from homog import voxel_kernels as kernels
from homog.conjugate_gradients import LinearSystem
from homog.formats import check_memory

SINGLE = np.float32
SMOOTHED = 16.0  # ratio of the largest to the smallest eigenvalue that is smoothed
COARSEST = 600  # unknowns that are solved directly
REGULAR = 1e-6  # of the diagonal, added on the coarsest level: translations have no stiffness
ALONE = 60_000  # nodes up to which one thread does better
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
        self.single_weight = tuple(SINGLE(value) for value in self.weight)
        self.first, self.mix = _chebyshev(_largest_eigenvalue(element))
        self.coarsest = _inverses(factors[-1], fixed, element)
        shapes = [(3, *level.factor.shape) for level in self.levels]
        self.arrays = tuple(tuple(np.zeros(s, SINGLE) for s in shapes) for _ in range(4))
        self.factor = np.tile(problem.factor, (1, 1, len(loads)))  # double precision
        self.vector = np.zeros(shapes[0])
        self.partial = np.zeros((shapes[0][1], len(loads)))
        self.bound = _bound_places(shapes[0], fixed)

    def pack(self, forces):
        """The vector of nodal forces (3, nx, ny, nz) of each load."""
        vector = np.concatenate(list(forces), axis=3)
        vector.reshape(-1)[self.bound] = 0
        return vector

    def unpack(self, vector, place):
        """Field (3, nx, ny, nz) of one load."""
        n = vector.shape[3] // len(self.loads)
        return vector[..., place * n : (place + 1) * n]

    def energies(self, energies):
        """Energy of each load as the scalars of this system."""
        return np.array(energies)

    def product(self, p):
        return self._apply(kernels.PRODUCT, p, p, self.vector)

    def residual(self, x, b):
        return self._apply(kernels.RESIDUAL, x, b, np.zeros_like(x))

    def precondition(self, r):
        self.arrays[0][0][...] = r
        return self.cycle()

    def dot(self, a, b):
        self._run(kernels.dots, a.shape[1], a[0].size, a, b, self.partial)
        return self.partial.sum(axis=0)

    def advance(self, alpha, p, product, x, r):
        rounded = self.arrays[0][0]
        self._run(kernels.advance, x.shape[1], x[0].size, alpha, p, product, x, r, rounded)

    def turn(self, beta, z, p):
        self._run(kernels.turn, p.shape[1], p[0].size, beta, z, p)

    def _apply(self, mode, u, rhs, out):
        """A u, or rhs - A u, in double precision."""
        level = self.levels[0]
        arguments = (mode, u, self.factor, level.solid, level.active, self.weight, rhs)
        arguments += (u, level.inverse, (0.0, 0.0, 0.0), out)
        self._run(kernels.sweep, u.shape[1], u[0].size, *arguments)
        out.reshape(-1)[self.bound] = 0
        return out

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

    def cycle(self):
        """Approximate solution for the right-hand side in ``arrays[0][0]``."""
        rhs, _, _, out = self.arrays
        top = 0
        while top < len(self.levels) - 1 and rhs[top][0].size >= ALONE:
            self._descend(top)
            top += 1
        self._lower_cycle(top)
        for n in range(top - 1, -1, -1):
            self._ascend(n)
        return out[0]

    def _lower_cycle(self, top):
        """All levels from ``top`` down in a single call."""
        fields = ("factor", "solid", "active", "inverse")
        levels = tuple(tuple(getattr(level, f) for level in self.levels) for f in fields)
        kernels.cycle(
            top, levels, self.arrays, self.coarsest, self.mirrored, len(self.loads),
            self.first, self.mix, self.single_weight,
        )  # fmt: skip

    def _descend(self, n):
        rhs, low, high, out = (a[n] for a in self.arrays)
        level, size, coarse = self.levels[n], rhs[0].size, self.arrays[0][n + 1]
        self._run(kernels.scale, rhs.shape[1], size, level.active, rhs, level.inverse, self.first, low)
        self._sweep(n, kernels.SMOOTH, low, self.mix[0], low, high)
        self._sweep(n, kernels.RESIDUAL, high, self.mix[0], low, out)
        self._run(kernels.restrict, coarse.shape[1], size, out, self.mirrored, len(self.loads), coarse)

    def _ascend(self, n):
        _, low, high, out = (a[n] for a in self.arrays)
        coarse = self.arrays[3][n + 1]
        arguments = (coarse, len(self.loads), self.levels[n].active, high)
        self._run(kernels.prolong, high.shape[1], high[0].size, *arguments)
        self._sweep(n, kernels.SMOOTH, high, self.mix[1], high, low)
        self._sweep(n, kernels.SMOOTH, low, self.mix[2], high, out)


def _coarsened(factor, shapes, mirrored):
    """Factors of all levels; layers of void end the halved axes."""
    factors = [factor]
    pad = [(0, int(m)) for m in mirrored]
    for fine, coarse in zip(shapes, shapes[1:], strict=False):
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
    total = factor
    for axis in range(3):
        total = total + np.roll(total, 1, axis)
    inverse = np.zeros(total.shape)
    np.divide(1 / diagonal, total, out=inverse, where=total > 0)
    if not any(f.any() for f in fixed):
        inverse = inverse[None]
    else:
        inverse = np.concatenate([_masked(inverse, f) for f in fixed], axis=3)
    return Level(
        np.tile(factor.astype(SINGLE), (1, 1, len(fixed))), rows, active, inverse.astype(SINGLE)
    )


def _masked(inverse, fixed):
    """(3, nx, ny, nz) with zeros at the ends of the axes where a component is fixed."""
    out = np.repeat(inverse[None], 3, axis=0)
    for c, axis in np.argwhere(fixed):
        ends = np.moveaxis(out[c], axis, 0)
        ends[0] = ends[-1] = 0
    return out


def _bound_places(shape, fixed):
    """Indices into the flat vector of the displacements that vanish."""
    n = shape[3] // len(fixed)
    parts = [_masked(np.ones((*shape[1:3], n), bool), mask) for mask in fixed]
    return np.flatnonzero(~np.concatenate(parts, axis=3))


def _largest_eigenvalue(element):
    """Bound of the spectrum of the diagonally scaled stiffness of any cell: that of one voxel."""
    root = 1 / np.sqrt(np.diag(element))
    return np.linalg.eigvalsh(root[:, None] * element * root)[-1]


def _chebyshev(largest):
    """Weights of two Chebyshev steps: of the first, and the mixes of ``kernels.cycle``."""
    middle, radius = largest * (1 + 1 / SMOOTHED) / 2, largest * (1 - 1 / SMOOTHED) / 2
    following = 1 / (2 * middle / radius - radius / middle)
    momentum, step = following * radius / middle, 2 * following / radius
    first = SINGLE(1 / middle)
    mixes = ((1 + momentum, 0, step), (1, 0, 1 / middle), (1 + momentum, -momentum, step))
    return first, tuple(tuple(SINGLE(value) for value in mix) for mix in mixes)


def _inverses(factor, fixed, element):
    """Inverse of the coarsest stiffness for each load, (loads, 3 n, 3 n), single precision."""
    size = 3 * factor.size
    matrix = np.zeros((size, size))
    kernels.assemble_dense(factor, element, matrix)
    diagonal = matrix.diagonal().copy()
    known = {}
    for mask in fixed:
        if mask.tobytes() not in known:
            free = _masked(np.ones(factor.shape), mask).ravel() * (diagonal > 0)
            bound = matrix * np.outer(free, free)
            bound.flat[:: size + 1] = np.where(free > 0, diagonal * (1 + REGULAR), 1.0)
            triangle, _ = lapack.dpotrf(bound, lower=True)
            inverse, _ = lapack.dpotri(triangle, lower=True)
            inverse = np.tril(inverse) + np.tril(inverse, -1).T
            known[mask.tobytes()] = (inverse * np.outer(free, free)).astype(SINGLE)
    return np.array([known[mask.tobytes()] for mask in fixed])


System = VoxelSystem
