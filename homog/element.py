"""The trilinear 8-node hexahedron of one voxel, with edge length 1.

Corner ``a`` of a voxel lies at ``CORNERS[a]``; its displacements along x, y, z
are the degrees of freedom ``3 a, 3 a + 1, 3 a + 2``. Voigt order is
11, 22, 33, 23, 13, 12 with engineering shear.
"""

from functools import cache
from itertools import product

import numpy as np

CORNERS = np.array(list(product((0, 1), repeat=3)))

# Voigt index -> (i, j) of the strain tensor
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def strain_displacement(point):
    """Matrix B at a point of the unit cube: Voigt strain = B @ nodal displacements.

    Parameters
    ----------
    point : (3,) array_like
        Position in the voxel, each coordinate in [0, 1].

    Returns
    -------
    (6, 24) array
    """
    shape = np.where(CORNERS == 1, point, 1 - np.asarray(point))
    slope = np.where(CORNERS == 1, 1.0, -1.0)
    gradient = np.stack(
        [
            slope[:, 0] * shape[:, 1] * shape[:, 2],
            shape[:, 0] * slope[:, 1] * shape[:, 2],
            shape[:, 0] * shape[:, 1] * slope[:, 2],
        ]
    )
    B = np.zeros((6, 8, 3))
    for row, (i, j) in enumerate(VOIGT):
        B[row, :, i] = gradient[j]
        B[row, :, j] = gradient[i]
    return B.reshape(6, 24)


def element_stiffness(C):
    """Stiffness matrix of a voxel of stiffness ``C``, by 2 x 2 x 2 Gauss points (exact).

    Parameters
    ----------
    C : (6, 6) array
        Stiffness of the solid.

    Returns
    -------
    (24, 24) array
    """
    K = sum(B.T @ C @ B for B in _gauss_matrices()) / 8
    return (K + K.T) / 2


@cache
def _gauss_matrices():
    """B at the eight Gauss points."""
    gauss = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)
    return [strain_displacement(point) for point in product(gauss, repeat=3)]


def unit_strain_displacements():
    """Nodal displacements of a voxel under the six unit strains.

    Returns
    -------
    (24, 6) array
        Column ``i`` is the affine field with Voigt strain ``i`` equal to 1.
    """
    chi = np.zeros((8, 3, 6))
    for load, (i, j) in enumerate(VOIGT):
        chi[:, i, load] += CORNERS[:, j] / 2
        chi[:, j, load] += CORNERS[:, i] / 2
    return chi.reshape(24, 6)
