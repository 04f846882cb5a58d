"""Where the unknowns of a periodic cell live: the numbering of its nodes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Domain:
    """Nodes of the solid voxels of a periodic cell.

    ``nodes`` (nx + 1, ny + 1, nz + 1) numbers the grid points; opposite faces carry the same
    numbers, which is all there is to periodicity, and points that touch no solid carry -1.
    ``coordinates`` (count, 3) is the grid point of each node.
    """

    nodes: np.ndarray
    coordinates: np.ndarray

    @property
    def count(self):
        """Number of nodes; each has three unknowns."""
        return len(self.coordinates)


def periodic_domain(solid):
    """Number the nodes of the solid voxels, with periodicity in the numbering.

    Parameters
    ----------
    solid : (nx, ny, nz) bool array

    Returns
    -------
    Domain
    """
    active = solid
    for axis in range(3):
        active = active | np.roll(active, 1, axis)
    coordinates = np.argwhere(active)
    nodes = np.full(solid.shape, -1, dtype=np.int32)
    nodes[active] = np.arange(len(coordinates), dtype=np.int32)
    return Domain(np.pad(nodes, (0, 1), mode="wrap"), coordinates)
