"""Symmetry of a cell under signed axis permutations, and what of the cell problem it leaves over.

A mirror halves the cell along its axis. A permutation of the axes maps the solution of one unit
strain to that of another, so that only one strain of each orbit is solved.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from homog.cell import AXES
from homog.element import VOIGT

IDENTITY = ((0, 1, 2), (False, False, False))


@dataclass(frozen=True)
class Symmetry:
    """Signed axis permutations that leave the voxel array as it is, about its centre.

    ``operations`` holds pairs ``(axes, flips)``: transpose by ``axes``, then reverse the axes
    whose flip is True.
    """

    operations: tuple

    @property
    def order(self):
        """Number of operations: 1 for none but the identity, 48 for a fully cubic cell."""
        return len(self.operations)

    @property
    def mirrors(self):
        """Axes whose reversal leaves the cell as it is, such as ``"xyz"`` or ``""``."""
        return "".join(name for axis, name in enumerate(AXES) if mirror(axis) in self.operations)


NO_SYMMETRY = Symmetry((IDENTITY,))


def mirror(axis):
    """The operation that reverses one axis."""
    return IDENTITY[0], tuple(other == axis for other in range(3))


def symmetry(cell):
    """Find the signed axis permutations that leave a cell as it is.

    Parameters
    ----------
    cell : (nx, ny, nz) array

    Returns
    -------
    Symmetry
    """
    mirrors = [np.array_equal(np.flip(cell, axis), cell) for axis in range(3)]
    found = []
    for axes in permutations(range(3)):
        turned = cell.transpose(axes)
        if turned.shape != cell.shape:
            continue
        classes = {}  # operations that differ by mirrors of the cell hold or fail together
        for flips in product((False, True), repeat=3):
            rest = tuple(f and not m for f, m in zip(flips, mirrors, strict=True))
            if rest not in classes:
                reverse = tuple(slice(None, None, -1 if flip else 1) for flip in rest)
                classes[rest] = np.array_equal(turned[reverse], cell)
            if classes[rest]:
                found.append((axes, flips))
    return Symmetry(tuple(found))


@dataclass(frozen=True)
class Image:
    """Solution of a unit strain as that of another, ``source``, after an operation and a sign."""

    source: int
    axes: tuple
    flips: tuple
    sign: int


@dataclass(frozen=True)
class Reduction:
    """What a symmetry spares.

    Parameters
    ----------
    operations : tuple of (axes, flips)
        A group that leaves the cell as it is.
    mirrored : tuple of bool
        Axes along which only one half of the cell is kept.
    """

    operations: tuple
    mirrored: tuple

    @property
    def images(self):
        """For each of the six unit strains the ``Image`` that gives its solution."""
        return _images(self.operations, self.mirrored)

    @property
    def loads(self):
        """Unit strains to solve for, as Voigt indices."""
        return tuple(load for load in range(6) if self.images[load].source == load)

    def parity(self, load):
        """Whether a unit strain changes its sign at each halved axis, tuple of bool."""
        i, j = VOIGT[load]
        return tuple(m and (i == a) != (j == a) for a, m in enumerate(self.mirrored))

    def displacement(self, load, solutions):
        """Periodic displacement of any unit strain from those that were solved.

        Parameters
        ----------
        load : int
        solutions : dict
            Voigt index of a solved load: (3, nx, ny, nz) array on the reduced cell.

        Returns
        -------
        (3, nx, ny, nz) array
        """
        image = self.images[load]
        u = transformed_displacement(solutions[image.source], image)
        return u if image.sign == 1 else -u

    def completed(self, entries):
        """Stiffness from some of its entries, by the symmetry.

        Parameters
        ----------
        entries : dict
            ``{(i, j): value}``, at least one of each orbit that is not zero.

        Returns
        -------
        (6, 6) array
        """
        rows, columns = np.array(list(entries)).T
        target, sign = _voigt_targets(self.operations)
        values = sign[:, rows] * sign[:, columns] * np.array(list(entries.values()))
        C, count = np.zeros((6, 6)), np.zeros((6, 6))
        np.add.at(C, (target[:, rows], target[:, columns]), values)
        np.add.at(count, (target[:, rows], target[:, columns]), 1)
        return (C + C.T) / np.maximum(count + count.T, 1)


def reduction(group, shape):
    """Mirrors and permutations of a symmetry that spare work.

    Parameters
    ----------
    group : Symmetry
    shape : tuple
        Voxels of the whole cell along each axis; an odd number is not halved.

    Returns
    -------
    Reduction
    """
    mirrored = tuple(shape[axis] % 2 == 0 and mirror(axis) in group.operations for axis in range(3))
    return Reduction(group.operations, mirrored)


def voigt_map(axes, flips):
    """Where the components of a tensor come from under an operation.

    Returns
    -------
    source, sign : tuple of int
        Component ``i`` of the new tensor is ``sign[i]`` times component ``source[i]`` of the old.
    """
    sign = [-1 if flip else 1 for flip in flips]
    source = [_VOIGT_INDEX[frozenset((axes[i], axes[j]))] for i, j in VOIGT]
    return tuple(source), tuple(sign[i] * sign[j] for i, j in VOIGT)


_VOIGT_INDEX = {frozenset(pair): index for index, pair in enumerate(VOIGT)}


@lru_cache
def _images(operations, mirrored):
    """For each unit strain the simplest ``Image`` of the first unit strain that leads to it."""
    options = [[] for _ in range(6)]
    for axes, flips in operations:
        if not any(f and m for f, m in zip(flips, mirrored, strict=True)):
            source, sign = voigt_map(axes, flips)
            for load in range(6):
                options[load].append(Image(source[load], axes, flips, sign[load]))
    return tuple(
        min(found, key=lambda image: (image.source, sum(image.flips), image.axes))
        for found in options
    )


@lru_cache
def _voigt_targets(operations):
    """Where each component goes, and the sign it takes, under each operation: (n, 6) arrays."""
    maps = [voigt_map(*operation) for operation in operations]
    target = np.array([np.argsort(source) for source, _ in maps])
    signs = np.array([sign for _, sign in maps])
    return target, np.take_along_axis(signs, target, axis=1)


def transformed_displacement(u, image):
    """Nodal displacements (3, nx, ny, nz) after a signed permutation of the axes."""
    if (image.axes, image.flips) == IDENTITY:
        return u
    out = u[list(image.axes)].transpose(0, *(axis + 1 for axis in image.axes))
    for axis, flip in enumerate(image.flips):
        if flip:  # node 0 stays where it is, the others change sides
            out = np.roll(np.flip(out, axis + 1), 1, axis + 1)
            out[axis] *= -1
    return out
