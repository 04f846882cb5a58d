"""From design variables to the densities of a cubic cell: filter, then projection.

The variables are those of the fundamental tetrahedron (homog.units.tetrahedron), 1/48 of the
cell, so that every design is cubic. A cone of a radius in voxels averages over the periodic,
mirrored cell (Bruns & Tortorelli; Bourdin), and a smooth step at 1/2 of steepness beta pushes the
average towards 0 and 1 (Wang, Lazarov & Sigmund, equation 9).

References
----------
Bourdin (2001), Int. J. Numer. Methods Eng. 50, 2143-2158.
Bruns & Tortorelli (2001), Comput. Methods Appl. Mech. Eng. 190, 3443-3459.
Wang, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43, 767-784.
"""

import numpy as np
from scipy.sparse import csr_array

from homog.units import tetrahedron

STEP = 0.5  # average at which the projection is 1/2


class DensityFilter:
    """Maps variables in [0, 1] to densities in [0, 1], both at the points of the tetrahedron.

    Parameters
    ----------
    resolution : int
        Voxels along an edge of the cell, even.
    radius : float
        Of the cone, in voxels; with 1 or less nothing is averaged.
    hollow : (m,) bool array, optional
        Where the density is always 0.
    """

    def __init__(self, resolution, radius, hollow=None):
        self.resolution = resolution
        count = tetrahedron.multiplicity(resolution)
        self.orbit = tetrahedron.octant(np.arange(len(count)), resolution)
        self.share = count / count.sum()  # of the cell that each point stands for
        self.free = np.ones(len(count), bool) if hollow is None else ~hollow
        self.matrix = _averages(self.orbit, radius, resolution)

    def densities(self, variables, beta):
        """Densities, and their derivative by the averages.

        Parameters
        ----------
        variables : (m,) array
        beta : float
            Steepness of the projection, > 0.

        Returns
        -------
        densities, slope : (m,) array
        """
        densities, slope = projected(self.matrix @ variables, beta)
        return densities * self.free, slope * self.free

    def pulled_back(self, derivative, slope):
        """Derivative by the variables from the one by the densities; ``slope`` of ``densities``."""
        return self.matrix.T @ (derivative * slope)

    def volume(self, variables, beta):
        """Volume fraction of the cell."""
        return float(self.share @ self.densities(variables, beta)[0])

    def octant(self, values):
        """Values at the points, spread over the octant, (n/2, n/2, n/2) array."""
        return tetrahedron.octant(values, self.resolution)

    def summed(self, octant):
        """Sum over the voxels of the cell that each point stands for, (m,) array.

        Parameters
        ----------
        octant : (n/2, n/2, n/2) array
            Of a cell with mirrors on all faces of the octant.
        """
        return 8 * np.bincount(self.orbit.ravel(), octant.ravel())


def projected(average, beta):
    """Smooth step from 0 to 1 at 1/2, and its derivative.

    Parameters
    ----------
    average : array
        In [0, 1], ends that the step leaves where they are.
    beta : float

    Returns
    -------
    value, slope : array
    """
    below, above = np.tanh(beta * STEP), np.tanh(beta * (1 - STEP))
    bent = np.tanh(beta * (average - STEP))
    return (below + bent) / (below + above), beta * (1 - bent**2) / (below + above)


def _averages(orbit, radius, resolution):
    """Weights of the cone between the points of the tetrahedron, (m, m) sparse array."""
    reach = max(int(np.ceil(radius)) - 1, 0)
    steps = np.indices((2 * reach + 1,) * 3).reshape(3, -1) - reach
    weights = np.maximum(radius - np.linalg.norm(steps, axis=0), 0) if reach else np.ones(1)
    steps, weights = steps[:, weights > 0], weights[weights > 0] / weights.sum()
    half = resolution // 2
    places = np.rint(tetrahedron.points(resolution).T * resolution - 0.5).astype(int)
    around = (places[:, :, None] + steps[:, None, :]) % resolution
    around = np.minimum(around, resolution - 1 - around)  # the mirrors of the octant
    columns = orbit[tuple(around)].ravel()
    rows = np.repeat(np.arange(len(places[0])), len(weights))
    values = np.tile(weights, len(places[0]))
    size = (half * (half + 1) * (half + 2) // 6,) * 2
    return csr_array((values, (rows, columns)), shape=size)
