"""Octants of cubic cells as a network sees them: whole, or only their asymmetric unit.

An octant of a cell with all 48 symmetries does not change when its axes are permuted. What is left
of it is the part i <= j <= k, the voxels of one tetrahedron: 2,600 of the 13,824 of a 24^3 octant.

A shift of the cell by half its edge along all axes turns its octant round, and leaves all
properties as they are: training sees units both ways.
"""

import numpy as np
import torch
from torch import nn

SOLID = 0.5  # occupancy from which a voxel is solid


class WholeOctant(nn.Module):
    """Octants as they are, with a channel: (B, 1, n, n, n).

    Parameters
    ----------
    n : int
        Voxels along an edge of the octant.
    """

    def __init__(self, n):
        super().__init__()
        self.shape = (1, n, n, n)
        self.register_buffer("weights", torch.full(self.shape, 1 / n**3), persistent=False)

    def reduce(self, octants):
        """(B, n, n, n) to what the network sees."""
        return octants[:, None]

    def expand(self, seen):
        """What the network makes, to (B, n, n, n)."""
        return seen[:, 0]

    def shifted(self, seen):
        """The same cells after a shift by half a cell along all axes."""
        return seen.flip(2, 3, 4)


class AsymmetricUnit(nn.Module):
    """The distinct voxels of octants that are invariant under permutations of the axes: (B, m).

    Of an octant that is not, the mean over equivalent voxels is taken.

    Parameters
    ----------
    n : int
        Voxels along an edge of the octant.
    """

    def __init__(self, n):
        super().__init__()
        place, representative = asymmetric_unit(n)
        self.shape = (len(place),)
        orbit = torch.from_numpy(representative)
        count = torch.bincount(orbit)
        self.register_buffer("orbit", orbit, persistent=False)
        self.register_buffer("weights", count / n**3, persistent=False)
        opposite = representative[n**3 - 1 - place]
        self.register_buffer("opposite", torch.from_numpy(opposite), persistent=False)
        self.n = n

    def reduce(self, octants):
        """(B, n, n, n) to what the network sees."""
        flat = octants.flatten(1)
        total = flat.new_zeros(len(flat), *self.shape).index_add_(1, self.orbit, flat)
        return total / (self.weights * self.n**3)

    def expand(self, seen):
        """What the network makes, to (B, n, n, n)."""
        return seen[:, self.orbit].unflatten(1, (self.n, self.n, self.n))

    def shifted(self, seen):
        """The same cells after a shift by half a cell along all axes."""
        return seen[:, self.opposite]


def asymmetric_unit(n):
    """Voxels i <= j <= k of an octant, and which of them each voxel equals.

    Parameters
    ----------
    n : int

    Returns
    -------
    place : (m,) int array
        Flat index of each voxel of the asymmetric unit, m = n (n + 1) (n + 2) / 6.
    representative : (n^3,) int array
        Index into ``place`` of each voxel of the octant.
    """
    indices = np.indices((n, n, n)).reshape(3, -1)
    flat = np.ravel_multi_index(np.sort(indices, axis=0), (n, n, n))
    place, representative = np.unique(flat, return_inverse=True)
    return place, representative
