"""Displacements and energies in the whole cell, from the solutions on its reduced part."""

from itertools import product

import numpy as np

from homog import voxel_kernels as kernels
from homog.element import VOIGT, unit_strain_displacements
from homog.errors import ParameterError
from homog.sensitivity import slabs


class Fields:
    """Displacement and energy of a unit cell under any mean strain.

    Parameters
    ----------
    problem : CellProblem
    displacements : dict
        ``{load: (3, nx, ny, nz)}`` of the unit strains that were solved.
    E : float
        Young's modulus of the solid.
    shape : tuple
        Voxels of the whole cell.
    """

    def __init__(self, problem, displacements, E, shape):
        self._problem = problem
        self._displacements = displacements
        self._E = E
        self.shape = shape

    def resisted(self, strain):
        """A mean strain without the components that nothing in the cell resists, (6,) array.

        Where the solid does not connect the cell along an axis, it moves along with strains of
        that axis as a whole, whatever ``displacement`` says.
        """
        return np.where(self._problem.carried, _numbers(strain, (6,), "strain"), 0.0)

    def solutions_for(self, problem):
        """Displacements for a cell problem to start from, or None if it has another shape.

        Parameters
        ----------
        problem : CellProblem

        Returns
        -------
        dict or None
            ``{load: (3, nx, ny, nz) array}``
        """
        known = self._displacements
        alike = self._problem.factor.shape == problem.factor.shape
        alike &= self._problem.reduction == problem.reduction
        return known if alike and set(problem.loads) <= set(known) else None

    def displacement(self, strain):
        """Displacement of the nodes under a mean strain.

        Parameters
        ----------
        strain : (6,) array_like
            Voigt order 11, 22, 33, 23, 13, 12, engineering shear.

        Returns
        -------
        (3, nx + 1, ny + 1, nz + 1) array
            In edges of a voxel, up to a translation. Nodes that touch no solid, and parts that
            float free, have the displacement of the mean strain or an arbitrary one.
        """
        strain = _numbers(strain, (6,), "strain")
        points = np.indices(np.add(self.shape, 1))
        total = np.zeros(points.shape)
        for load, (i, j) in enumerate(VOIGT):
            if strain[load]:
                total[i] += strain[load] / 2 * points[j]
                total[j] += strain[load] / 2 * points[i]
                whole = self._whole(load)
                total += strain[load] * np.pad(whole, [(0, 0)] + [(0, 1)] * 3, mode="wrap")
        return total

    def _whole(self, load):
        """Periodic displacement of a unit strain on the whole cell, (3, nx, ny, nz)."""
        u = self._fluctuation(load)
        parity = self._problem.reduction.parity(load)
        for axis, halved in enumerate(self._problem.reduction.mirrored):
            if halved:
                inner = np.take(u, range(u.shape[axis + 1] - 2, 0, -1), axis + 1)
                sign = np.full((3, 1, 1, 1), -1.0 if parity[axis] else 1.0)
                sign[axis] *= -1
                u = np.concatenate([u, sign * inner], axis=axis + 1)
        return u

    def _fluctuation(self, load):
        """Periodic displacement of a unit strain on the reduced cell."""
        reduction = self._problem.reduction
        if reduction.images[load].source in self._displacements:
            return np.asarray(reduction.displacement(load, self._displacements), dtype=float)
        return np.zeros((3, *self._problem.factor.shape))

    def energy_derivative(self, weights):
        """Derivative of a combination of the entries of C by the stiffness factor of each voxel.

        Twice the strain energy of a solid voxel of factor 1 over the volume of the cell: with
        ``weights = outer(strain, strain)``, times the volume, it is twice the energy under that
        mean strain.

        Parameters
        ----------
        weights : (6, 6) array_like
            The combination is the sum of ``weights * C``; only the symmetric part matters.

        Returns
        -------
        (nx, ny, nz) array
            Unit of E; 0 where there is no load-carrying solid.

        Reference
        ---------
        Sigmund (1994), Int. J. Solids Struct. 31, 2313-2329.
        """
        weights = _numbers(weights, (6, 6), "weights")
        weights = (weights + weights.T) / 2
        reduction = self._problem.reduction
        out = np.zeros(self.shape)
        parities = [np.array(reduction.parity(load)) for load in range(6)]
        for odd in product((False, True), repeat=3):
            same = [[tuple(a ^ b) == odd for b in parities] for a in parities]
            part = np.where(same, weights, 0.0)
            if part.any():
                out += self._unfolded(self._reduced_energy(part), odd)
        return self._E / out.size * out

    def _reduced_energy(self, weights):
        """Sum of ``weights * energy products`` in each voxel of the reduced cell."""
        problem = self._problem
        loads = [n for n in range(6) if weights[n].any() and problem.carried[n]]
        if not loads:
            return np.zeros(problem.voxels)
        fields = [self._fluctuation(load) for load in loads]
        affine = unit_strain_displacements()[:, loads]
        weights = weights[np.ix_(loads, loads)]
        parts = []
        for slab, factor in slabs(fields, problem.factor):
            part = np.zeros(factor.shape)
            kernels.energy_products(slab, affine, factor, problem.element, weights, part)
            parts.append(part)
        return np.concatenate(parts)[tuple(slice(n) for n in problem.voxels)]

    def _unfolded(self, values, odd):
        """Values in the voxels of the whole cell; ``odd`` tells where a mirror turns the sign."""
        for axis, halved in enumerate(self._problem.reduction.mirrored):
            if halved:
                sign = -1 if odd[axis] else 1
                values = np.concatenate([values, sign * np.flip(values, axis)], axis=axis)
        return values


def _numbers(values, shape, name):
    """Finite numbers of a shape, as an array."""
    values = np.asarray(values, dtype=float)
    if values.shape != shape or not np.isfinite(values).all():
        raise ParameterError(f"{name} must be finite numbers of shape {shape}, got {values.shape}")
    return values
