"""Thickness of the solid: the largest ball that fits where a voxel is.

Reference
---------
Hildebrand & Ruegsegger (1997), J. Microsc. 185, 67-75 (local thickness).
"""

from functools import lru_cache

import numpy as np

from homog import thickness_kernels as kernels

KEPT = 0.95  # part of the solid that is at least as thick as the smallest feature


def smallest_feature(solid, mirrored=False):
    """Diameter of the thickest ball that reaches 95 % of the solid from within.

    The other 5 % are the corners that no ball fills. Equivalently, the 5 % quantile of the local
    thickness. Balls stand on centres or corners of voxels.

    Parameters
    ----------
    solid : (nx, ny, nz) bool array
        A periodic cell, or with ``mirrored`` one octant of a cell with mirrors on all its faces.
    mirrored : bool

    Returns
    -------
    int
        In edges of a voxel; 0 if there is no solid, the shortest edge of the cell if there is
        nothing else.
    """
    solid = np.asarray(solid, dtype=bool)
    total = np.count_nonzero(solid)
    if total in (0, solid.size):
        return min(solid.shape) * (1 + mirrored) if total else 0
    diameter = 1
    while np.count_nonzero(opened(solid, diameter + 1, mirrored)) >= KEPT * total:
        diameter += 1
    return diameter


def opened(solid, diameter, mirrored=False):
    """What balls of a diameter reach that stay within the solid, (nx, ny, nz) bool array."""
    pad = [(min(diameter, n),) * 2 for n in solid.shape]
    padded = np.pad(solid, pad, mode="symmetric" if mirrored else "wrap")
    out = np.zeros_like(padded)
    kernels.mark_balls(padded, _rows(diameter), out)
    inner = tuple(slice(p, p + n) for (p, _), n in zip(pad, solid.shape, strict=True))
    return out[inner]


def ball(diameter):
    """Voxels whose centres lie in a ball, (d, d, d) bool array."""
    centres = np.indices((diameter,) * 3) - (diameter - 1) / 2
    return np.sum(centres**2, axis=0) <= diameter**2 / 4


@lru_cache(maxsize=64)
def _rows(diameter):
    """A ball as rows along z: first voxel and number of voxels, (n, 4), the longest first."""
    voxels = ball(diameter)
    length = voxels.sum(axis=2)
    rows = [(i, j, np.argmax(voxels[i, j]), length[i, j]) for i, j in np.argwhere(length)]
    return np.array(sorted(rows, key=lambda row: -row[3]))
