"""The cell problem: find the periodic fluctuation of the displacement under unit strains.

All quantities are relative to Young's modulus of the solid and to the largest stiffness factor.
Fields live on the nodes of the reduced cell: along an axis that a mirror halves, the kept half
and a layer of void voxels, so that indices may wrap around although nothing does. On both planes
of the mirror the normal displacement vanishes (the tangential ones, under a strain that the
mirror reverses).
"""

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from math import prod

import numpy as np

from homog.element import VOIGT, element_stiffness
from homog.symmetry import Reduction

ROUNDING = 1e-13  # of the largest nodal force: what is left where forces cancel


@dataclass(frozen=True)
class CellProblem:
    """A solid that is connected to its periodic images, and its stiffness.

    Parameters
    ----------
    factor : (nx, ny, nz) float array
        Stiffness of each voxel of the reduced cell relative to ``stiffness``; 0 is void.
    stiffness : (6, 6) array
        That of the solid, isotropic or cubic in the frame of the axes.
    spans : (3,) bool array
        Whether the solid connects to its periodic image along x, y, z.
    reduction : Reduction
    """

    factor: np.ndarray
    stiffness: np.ndarray
    spans: np.ndarray
    reduction: Reduction

    @cached_property
    def voxels(self):
        """Voxels of the reduced cell along each axis, without the layers of void."""
        return tuple(
            n - mirrored
            for n, mirrored in zip(self.factor.shape, self.reduction.mirrored, strict=True)
        )

    @property
    def volume(self):
        """Number of voxels of the reduced cell."""
        return prod(self.voxels)

    @cached_property
    def carried(self):
        """Whether the cell may resist each unit strain, (6,) bool.

        Along an axis that nothing spans, the solid follows any strain of that axis by moving
        and turning as a whole.
        """
        return np.array([self.spans[i] and self.spans[j] for i, j in VOIGT])

    @cached_property
    def loads(self):
        """Unit strains that have to be solved, as Voigt indices."""
        return tuple(load for load in self.reduction.loads if self.carried[load])

    @cached_property
    def affine_energy(self):
        """Energy products of the six unit strains without fluctuation, (6, 6): V0."""
        energy = self.factor.sum() * self.stiffness
        return np.where(np.outer(self.carried, self.carried), energy, 0.0)

    @cached_property
    def element(self):
        """Stiffness matrix of a solid voxel, (24, 24)."""
        return element_stiffness(self.stiffness)

    @property
    def corner_sums(self):
        """Sum of the factors of the eight voxels around each node, (nx, ny, nz)."""
        total = self.factor
        for axis in range(3):
            total = total + np.roll(total, 1, axis)
        return total

    @cached_property
    def corner_differences(self):
        """Factors of the voxels below each node minus those above it, along each axis, (3, ...)."""
        differences = np.empty((3, *self.factor.shape))
        for direction in range(3):
            field = self.factor
            for axis in range(3):
                below = np.roll(field, 1, axis)
                field = below - field if axis == direction else below + field
            field[np.abs(field) <= ROUNDING] = 0  # else CG would solve for noise
            differences[direction] = field
        return differences

    def stress(self, load):
        """Stress of the solid under a unit strain, as a (3, 3) array."""
        stress = np.zeros((3, 3))
        for value, (i, j) in zip(self.stiffness[:, load], VOIGT, strict=True):
            stress[i, j] = stress[j, i] = value
        return stress

    def forces(self, load):
        """Nodal forces of a unit strain, (3, nx, ny, nz): the right-hand side b."""
        forces = np.zeros((3, *self.factor.shape))
        for c, row in enumerate(self.stress(load)):
            for value, difference in zip(row, self.corner_differences, strict=True):
                if value:
                    forces[c] -= value / 4 * difference
        return forces

    def fixed(self, load):
        """Whether a component of displacement vanishes at the planes of an axis, (3, 3) bool.

        Rows are the components, columns the halved axes.
        """
        parity = self.reduction.parity(load)
        return np.array(
            [
                [self.reduction.mirrored[axis] and (c == axis) != parity[axis] for axis in range(3)]
                for c in range(3)
            ]
        )

    def free(self, load):
        """1 where a displacement is unknown, 0 where it vanishes, (3, nx, ny, nz) bool."""
        free = np.broadcast_to(self.corner_sums > 0, (3, *self.factor.shape)).copy()
        for c, axis in np.argwhere(self.fixed(load)):
            plane = [c, slice(None), slice(None), slice(None)]
            for end in (0, -1):
                plane[axis + 1] = end
                free[tuple(plane)] = False
        return free

    def entries(self, load, solutions, residual, workers):
        """Entries of C in the column of a solved unit strain.

        C_ij = (V0_ij - b_i . x_j - x_i . r_j) / V is in error only by the square of the error
        of x. Rows whose solution is not there yet come with a later column.

        Parameters
        ----------
        load : int
        solutions : dict
            ``{load: x}`` of all unit strains solved so far, this one included.
        residual : (3, nx, ny, nz) array
            b - A x of this load.
        workers : Workers

        Returns
        -------
        dict
            ``{(i, load): C_ij}``
        """
        images, parity = self.reduction.images, self.reduction.parity
        ready = [i for i in range(6) if images[i].source in solutions and parity(i) == parity(load)]
        pairs = list(product(solutions[load], self.corner_differences))
        for i in ready:
            pairs += zip(self.reduction.displacement(i, solutions), residual, strict=True)
        inner = np.array(list(workers.at_once([partial(_inner, *pair) for pair in pairs])))
        products, corrections = inner[:9].reshape(3, 3), inner[9:].reshape(-1, 3).sum(axis=1)
        found = {}
        for i, correction in zip(ready, corrections, strict=True):
            work = -(self.stress(i) * products).sum() / 4
            found[i, load] = (self.affine_energy[i, load] - work - correction) / self.volume
        return found


def _inner(a, b):
    """Inner product of two fields; unlike BLAS, on the thread that asks for it."""
    return np.einsum("ijk,ijk->", a, b)


def reduced_factor(factor, mirrored):
    """The half of a cell that mirrors leave, with a layer of void along each halved axis."""
    for axis, halved in enumerate(mirrored):
        if halved:
            half = np.take(factor, range(factor.shape[axis] // 2), axis)
            factor = np.pad(half, [(0, int(other == axis)) for other in range(3)])
    return np.ascontiguousarray(factor, dtype=float)
