"""Compiled loops that find what hangs together. Plain arrays in and out, no validation.

Voxels in contact join their labels to trees, one for each component. Labels are numbers from 1;
0 is void. The slow twins in tests/naive.py fill the cell voxel by voxel.

References
----------
Tarjan & van Leeuwen (1984), J. ACM 31, 245-281: the trees, linked by size.
Newman & Ziff (2001), Phys. Rev. E 64, 016706, sec. III: positions that tell what spans a cell.
"""

from typing import NamedTuple

import numpy as np

from homog.kernels import kernel


class Forest(NamedTuple):
    """Trees of labels. ``parent`` (n,) of a root is the root itself.

    ``position`` (n, 3) is that of a label from its parent, in whole cells: it differs from 0
    where periodic faces lie between them. Of a root are ``size`` (n,), the labels of its tree,
    and ``spans`` (n, 3), the axes along which its component meets its own periodic images.
    """

    parent: np.ndarray
    position: np.ndarray
    size: np.ndarray
    spans: np.ndarray


@kernel
def root_of(forest, label):
    """Root of a label, which then hangs directly below it."""
    parent, position = forest.parent, forest.position
    while parent[parent[label]] != parent[label]:
        above = parent[label]
        for axis in range(3):
            position[label, axis] += position[above, axis]
        parent[label] = parent[above]
    return parent[label]


@kernel
def join(forest, first, second, x, y, z):
    """Note that label ``first`` touches ``second`` of the cell that stands at (x, y, z)."""
    parent, position, size, spans = forest
    root, other = root_of(forest, first), root_of(forest, second)
    step, sign = (x, y, z), 1
    if root != other and size[root] < size[other]:  # the smaller tree below: paths stay short
        root, other, sign = other, root, -1
    for axis in range(3):
        apart = step[axis] + position[first, axis] - position[second, axis]
        if root != other:
            position[other, axis] = sign * apart
            spans[root, axis] |= spans[other, axis]
        elif apart != 0:  # a closed loop that ends in another cell than it began
            spans[root, axis] = True
    if root != other:
        parent[other] = root
        size[root] += size[other]


@kernel
def label_voxels(solid, labels, forest):
    """Label the solid and join what shares faces within the box; the number of labels."""
    nx, ny, nz = solid.shape
    count = 0
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                label = 0
                if solid[i, j, k]:
                    before = labels[i - 1, j, k] if i > 0 else 0
                    beside = labels[i, j - 1, k] if j > 0 else 0
                    below = labels[i, j, k - 1] if k > 0 else 0
                    label = below or beside or before
                    if label == 0:
                        count += 1
                        label = count
                        forest.parent[label] = label
                        forest.size[label] = 1
                    if beside != 0 and forest.parent[beside] != forest.parent[label]:
                        join(forest, label, beside, 0, 0, 0)
                    if before != 0 and forest.parent[before] != forest.parent[label]:
                        join(forest, label, before, 0, 0, 0)
                labels[i, j, k] = label
    return count


@kernel
def wrapped(index, n):
    """Cell and index in it of an index that may lie one cell off; faster than divmod."""
    if index < 0:
        return -1, index + n
    if index >= n:
        return 1, index - n
    return 0, index


@kernel
def join_contacts(labels, steps, forest):
    """Join each voxel to the one that each of ``steps`` (n, 3) leads to, also in another cell."""
    nx, ny, nz = labels.shape
    for step in range(len(steps)):
        dx, dy, dz = steps[step, 0], steps[step, 1], steps[step, 2]
        face = abs(dx) + abs(dy) + abs(dz) == 1  # within the box, label_voxels has joined these
        for i in range(nx - 1 if face and dx else 0, nx):
            x, i_to = wrapped(i + dx, nx)
            for j in range(ny - 1 if face and dy else 0, ny):
                y, j_to = wrapped(j + dy, ny)
                for k in range(nz - 1 if face and dz else 0, nz):
                    label = labels[i, j, k]
                    if label == 0:
                        continue
                    z, k_to = wrapped(k + dz, nz)
                    other = labels[i_to, j_to, k_to]
                    if other != 0 and (other != label or x != 0 or y != 0 or z != 0):
                        join(forest, label, other, x, y, z)


@kernel
def flatten(forest):
    """Hang each label directly below its root."""
    for label in range(len(forest.parent)):
        root_of(forest, label)


@kernel
def merge_labels(labels, forest):
    """Replace each label by its parent."""
    nx, ny, nz = labels.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                labels[i, j, k] = forest.parent[labels[i, j, k]]
