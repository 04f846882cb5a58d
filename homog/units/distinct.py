"""Near-duplicates among cubic unit cells.

Two cells are near-duplicates where less than 2 % of the voxels of their union belong to one of
them alone (their Jaccard distance), also after a shift by half a cell along all axes. Such a
shift exchanges the corner of a cubic cell with its centre and leaves all properties as they are.
"""

import numpy as np

from homog.units.duplicate_kernels import find_similar

LEAST = 0.02  # difference of two cells that are distinct


class Distinct:
    """Cells that differ from each other, as octants of one shape.

    Parameters
    ----------
    least : float
        Share of the voxels of their union that two of them do not have in common.
    """

    def __init__(self, least=LEAST):
        self._least, self._count = least, 0
        self._octants = np.empty((0, 0), np.uint64)
        self._solid = np.empty(0, np.int64)

    def like(self, octant):
        """Whether a cell like this was there before; if not, it is from now on."""
        if self.has(octant):
            return True
        self.add(octant)
        return False

    def has(self, octant):
        """Whether there is a cell like this."""
        solid, before = np.count_nonzero(octant), slice(self._count)
        for shifted in (octant, np.flip(octant)):
            words = _words(shifted)
            known = self._octants[before], self._solid[before]
            if self._count and find_similar(*known, words, solid, self._least) >= 0:
                return True
        return False

    def add(self, octant):
        """Add a cell, whatever is there."""
        words, solid = _words(octant), np.count_nonzero(octant)
        if self._count == len(self._solid):
            size = max(1024, 2 * self._count)
            octants, counts = np.empty((size, len(words)), np.uint64), np.empty(size, np.int64)
            if self._count:
                octants[: self._count], counts[: self._count] = self._octants, self._solid
            self._octants, self._solid = octants, counts
        self._octants[self._count], self._solid[self._count] = words, solid
        self._count += 1


def _words(octant):
    """Voxels as bits of 64-bit words, (words,) array."""
    packed = np.packbits(octant)
    return np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)
