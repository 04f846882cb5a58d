"""The cell problem: find the periodic fluctuation of the displacement under unit strains."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from homog import kernels
from homog.element import VOIGT, element_stiffness, unit_strain_displacements

ROUNDING = 1e-13  # of the largest nodal force: what is left where forces cancel


@dataclass(frozen=True)
class CellProblem:
    """A solid that is connected to its periodic images, and its stiffness.

    Parameters
    ----------
    factor : (nx, ny, nz) float array
        Stiffness of each voxel relative to ``solid_stiffness``; 0 is void.
    solid_stiffness : (6, 6) array
    spans : (3,) bool array
        Whether the solid connects to its periodic image along x, y, z.
    """

    factor: np.ndarray
    solid_stiffness: np.ndarray
    spans: np.ndarray

    @cached_property
    def carried(self):
        """Whether the cell may resist each unit strain, (6,) bool.

        Along an axis that nothing spans, the solid follows any strain of that axis by moving
        and turning as a whole.
        """
        return np.array([self.spans[i] and self.spans[j] for i, j in VOIGT])

    @cached_property
    def affine_energy(self):
        """Energy products of the six unit strains without fluctuation, (6, 6): V0."""
        energy = self.factor.sum() * self.solid_stiffness
        return np.where(np.outer(self.carried, self.carried), energy, 0.0)

    @cached_property
    def element(self):
        """Stiffness matrix of a solid voxel, (24, 24)."""
        return element_stiffness(self.solid_stiffness)

    def loads(self, domain):
        """Nodal forces of the unit strains, (nodes, 3 * LOADS): the right-hand sides b."""
        forces = -self.element @ unit_strain_displacements() * self.carried
        out = np.zeros((domain.count, 3 * kernels.LOADS))
        kernels.assemble_loads(self.factor, domain.nodes, forces, out)
        out[np.abs(out) <= ROUNDING * np.abs(forces).max() * self.factor.max()] = (
            0  # else CG would solve for noise
        )
        return out

    def effective_stiffness(self, loads, solution):
        """C from the solution of all loads, in error only by the square of its error.

        Parameters
        ----------
        loads : (nodes, 3 * LOADS) array
        solution : Solution

        Returns
        -------
        (6, 6) array
        """
        b, x, r = (a.reshape(-1, kernels.LOADS) for a in (loads, solution.x, solution.r))
        C = (self.affine_energy - b.T @ x - x.T @ r) / self.factor.size
        return (C + C.T) / 2
