"""The fundamental tetrahedron of the cubic cell: 1/48 of it, which the mirrors unfold to all.

In edges of the cell, with its mirror planes at 0 and 1/2, it is 0 <= z <= y <= x <= 1/2. Its
corners a, b, c, d are the centre of the cell's corner, edge, face and of the cell itself:
(0, 0, 0), (1/2, 0, 0), (1/2, 1/2, 0), (1/2, 1/2, 1/2). The mirrors in its four faces generate
all symmetries, so that of all images of a point in it the nearest to another point in it is the
point itself: distances to a replicated skeleton are those to the part in the tetrahedron.

References
----------
Coxeter (1973), Regular Polytopes, sec. 5.2 and 11.1 (the reflection group of the cubic lattice).
Panetta et al. (2015), ACM Trans. Graph. 34, 135 (cells drawn in this tetrahedron).
"""

from functools import lru_cache

import numpy as np

from homog.errors import ParameterError

CORNERS = {
    "a": (0.0, 0.0, 0.0),
    "b": (0.5, 0.0, 0.0),
    "c": (0.5, 0.5, 0.0),
    "d": (0.5, 0.5, 0.5),
}
POINTS = {  # in which the planes {111} cut the edges ac and ad
    "e": (1 / 4, 1 / 4, 0.0),
    "f": (1 / 6, 1 / 6, 1 / 6),
}


@lru_cache(maxsize=8)
def points(resolution):
    """Centres of the voxels in the tetrahedron.

    Parameters
    ----------
    resolution : int
        Voxels along the edge of the cell, even.

    Returns
    -------
    (m, 3) array
        In edges of the cell.
    """
    indices = _indices(resolution)
    found = (indices + 0.5) / resolution
    found.setflags(write=False)
    return found


@lru_cache(maxsize=8)
def multiplicity(resolution):
    """Number of voxels of the octant that each point of ``points`` stands for, (m,) array."""
    found = np.bincount(_places(resolution).ravel())
    found.setflags(write=False)
    return found


def octant(values, resolution):
    """Spread values at the points of the tetrahedron over the octant.

    Parameters
    ----------
    values : (m,) array
    resolution : int

    Returns
    -------
    (n/2, n/2, n/2) array
        Invariant under permutations of its axes.
    """
    return np.take(values, _places(resolution))


def check_resolution(resolution):
    """Refuse a resolution whose mirror planes would not be faces of voxels."""
    if resolution < 2 or resolution % 2:
        raise ParameterError(f"resolution must be an even number from 2, got {resolution}")


@lru_cache(maxsize=8)
def _indices(resolution):
    """Index triples i >= j >= k of the voxels in the tetrahedron, (m, 3)."""
    check_resolution(resolution)
    i, j, k = np.indices((resolution // 2,) * 3)
    return np.argwhere((i >= j) & (j >= k))


@lru_cache(maxsize=8)
def _places(resolution):
    """Row of ``points`` that each voxel of the octant takes its value from, (n/2, n/2, n/2)."""
    half = resolution // 2
    row = np.zeros((half,) * 3, dtype=np.intp)
    row[tuple(_indices(resolution).T)] = np.arange(len(_indices(resolution)))
    i, j, k = np.sort(np.indices((half,) * 3), axis=0)[::-1]
    return row[i, j, k]
