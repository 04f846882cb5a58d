"""How the effective stiffness follows the constants of the solid.

C is stationary in the displacements, so that only the stiffness of the solid is differentiated:
dC_ij = integral of e_i : dC_solid : e_j over the cell, with the strains e_i that are known
already. An isotropic solid has two parts; what the strains contribute to that of Lame's first
constant is integrated, and what is left of C belongs to the shear modulus.
"""

from math import ceil, isfinite, sqrt

import numpy as np

from homog import voxel_kernels as kernels
from homog.element import VOIGT
from homog.errors import ParameterError

THICKNESS = 16  # planes of a slab: small beside the fields


def by_poisson(problem, C, displacements, workers):
    """Derivative of C by Poisson's ratio of the solid, both relative to its Young's modulus.

    Parameters
    ----------
    problem : CellProblem
        With an isotropic solid.
    C : (6, 6) array
        Its effective stiffness.
    displacements : dict
        ``{load: (3, nx, ny, nz)}`` of the unit strains that were solved.
    workers : Workers

    Returns
    -------
    (6, 6) array
    """
    shear, lame = problem.stiffness[3, 3], problem.stiffness[0, 1]
    nu = lame / (2 * (lame + shear))
    dilatation = _dilatation_energy(problem, displacements, workers)
    d_lame = (1 + 2 * nu**2) / ((1 + nu) * (1 - 2 * nu)) ** 2
    d_shear = -1 / (2 * (1 + nu) ** 2)
    return d_lame * dilatation + d_shear / shear * (C - lame * dilatation)


def _dilatation_energy(problem, displacements, workers):
    """Mean of factor tr(e_i) tr(e_j) over the cell, (6, 6)."""
    normal = np.array([float(i == j) for i, j in VOIGT])
    if not displacements:
        carried = normal * problem.carried
        return problem.factor.sum() / problem.volume * np.outer(carried, carried)
    reduction = problem.reduction
    parities = {reduction.parity(load) for load in displacements}
    loads = [
        load for load in range(6) if problem.carried[load] and reduction.parity(load) in parities
    ]
    fields = [reduction.displacement(load, displacements) for load in loads]
    parts = np.zeros((ceil(len(problem.factor) / THICKNESS), len(loads), len(loads)))

    def integrate(start, stop):
        pieces = slabs(fields, problem.factor, numbers=range(start, stop))
        for part, (slab, factor) in zip(parts[start:stop], pieces, strict=True):
            kernels.dilatation_products(slab, normal[loads], factor, part)

    workers.over_rows(integrate, len(parts))
    products = parts.sum(axis=0)
    entries = {
        (i, j): products[row, column] / problem.volume
        for row, i in enumerate(loads)
        for column, j in enumerate(loads)
        if i <= j and reduction.parity(i) == reduction.parity(j)
    }
    return reduction.completed(entries)


def slabs(fields, factor, thickness=THICKNESS, numbers=None):
    """Pieces of fields of displacement and of the voxels between them, plane by plane of nodes.

    All of them, or those of a range of ``numbers``.

    Yields
    ------
    (loads, 3, planes + 1, ny, nz) array, (planes, ny, nz) array
    """
    planes = len(factor)
    starts = range(0, planes, thickness)
    for start in starts if numbers is None else starts[numbers.start : numbers.stop]:
        stop = min(start + thickness, planes)
        nodes = np.arange(start, stop + 1) % planes
        yield np.array([field[:, nodes] for field in fields], dtype=float), factor[start:stop]


def scatter(derivatives, material, relative):
    """Standard deviations of constants under independent scatter of the solid's E and nu.

    Parameters
    ----------
    derivatives : dict
        ``{"E": {name: value}, "nu": {name: value}}``
    material : Isotropic
    relative : float
        Standard deviation of E and nu relative to their values.

    Returns
    -------
    dict of float

    Raises
    ------
    ParameterError
        If ``relative`` is negative or not finite.
    """
    check_scatter(relative)
    by_E, by_nu = derivatives["E"], derivatives["nu"]
    return {
        name: relative * sqrt((by_E[name] * material.E) ** 2 + (by_nu[name] * material.nu) ** 2)
        for name in by_E
    }


def check_scatter(relative):
    """Refuse a relative standard deviation that is negative or not finite."""
    if not (isfinite(relative) and relative >= 0):
        raise ParameterError(f"scatter must be finite and not negative, got {relative:g}")
