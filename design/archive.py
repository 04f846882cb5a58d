"""The best designs that a search has met, all of them different.

A population gathers around its optimum until all of it is one design. What is worth verifying is
more than that: the best designs of every kind that came up on the way.
"""

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from homog.dataset import pack, unpack
from homog.units.distinct import Distinct

LEAST = 0.05  # share of voxels in which designs differ


class Archive:
    """Feasible designs, the best first, of which no two are alike.

    Parameters
    ----------
    size : int
        Designs to keep.
    """

    def __init__(self, size):
        self.size, self.arrays = size, None

    def add(self, found):
        """Take in those of some ``Evaluated`` designs that are feasible and among the best."""
        good = np.flatnonzero(found.feasible)
        if not len(good):
            return
        new = found.z[good], found.F[good], pack(found.octants[good])
        if self.arrays:
            new = [np.concatenate(pair) for pair in zip(self.arrays, new, strict=True)]
        z, F, packed = new
        seen, octants = Distinct(LEAST), unpack(packed, found.octants.shape[1:])
        kept = [n for n in spread_out(F, len(F)) if not seen.like(octants[n])]
        chosen = np.array(kept)[spread_out(F[kept], self.size)]
        self.arrays = z[chosen], F[chosen], packed[chosen]

    @property
    def z(self):
        """Latent vectors, (k, latent), or None while nothing was feasible."""
        return self.arrays[0] if self.arrays else None


def fronts(F):
    """Indices of designs front by front, (k,) arrays, of objectives (n, goals) to minimise."""
    return NonDominatedSorting().do(np.asarray(F, float)) if len(F) else []


def spread_out(F, most):
    """Indices of the best designs: front by front, of the last one places evenly along it."""
    chosen = []
    for front in fronts(F):
        front = front[np.argsort(F[front, 0], kind="stable")]
        left = most - len(chosen)
        if len(front) > left:
            places = np.linspace(0, len(front) - 1, left).round().astype(int)
            return [*chosen, *front[places].tolist()]
        chosen += front.tolist()
    return chosen


def nondominated(F):
    """Indices of rows that no other row equals or beats in every column, in their order.

    Of equal rows the first counts.

    Parameters
    ----------
    F : (n, goals) array
        To be minimised.
    """
    _, first = np.unique(np.asarray(F, float), axis=0, return_index=True)
    first = np.sort(first)
    return first[np.sort(fronts(F[first])[0])]
