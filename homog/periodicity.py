"""Whether voxels from elsewhere look like a whole cell: its opposite faces are neighbours."""

import numpy as np
from scipy.ndimage import maximum_filter

from homog.cell import AXES

SEAM = 0.1  # neighbouring layers of smooth cells differ by less


def seams(voxels):
    """How much the opposite faces of a cell differ: the share of their solid that has no partner.

    Both faces of a periodic cell are neighbours. A solid voxel has a partner where the other face
    is solid at its place or next to it.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array

    Returns
    -------
    (3,) array
        Along x, y, z, in [0, 1].
    """
    return np.array([_unlike(voxels.take(0, axis), voxels.take(-1, axis)) for axis in range(3)])


def _unlike(first, last):
    near_first, near_last = (maximum_filter(face, 3, mode="wrap") for face in (first, last))
    alone = (first & ~near_last) | (last & ~near_first)
    solid = np.count_nonzero(first | last)
    return np.count_nonzero(alone) / solid if solid else 0.0


def seam_warnings(voxels):
    """Lines that tell along which axes a cell does not look periodic.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array

    Returns
    -------
    list of str
    """
    return [
        f"{share:.0%} of the solid in the faces along {axis} does not meet the opposite face: "
        "not periodic there; take a whole cell"
        for axis, share in zip(AXES, seams(voxels), strict=True)
        if share > SEAM
    ]
