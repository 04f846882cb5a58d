"""Slow and obvious twins of what homog computes fast: loops and dense algebra."""

from itertools import product

import numpy as np

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def fourth_order(C):
    """(3, 3, 3, 3) tensor of a (6, 6) stiffness with engineering shear."""
    tensor = np.zeros((3, 3, 3, 3))
    for a, (i, j) in enumerate(VOIGT):
        for b, (k, m) in enumerate(VOIGT):
            for first, second in product({(i, j), (j, i)}, {(k, m), (m, k)}):
                tensor[(*first, *second)] = C[a, b]
    return tensor


def voigt(tensor):
    """(6, 6) stiffness of a (3, 3, 3, 3) tensor."""
    return np.array([[tensor[(*first, *second)] for second in VOIGT] for first in VOIGT])


def rotated(C, R):
    """Stiffness in a frame whose axes are the rows of the orthogonal matrix R."""
    return voigt(np.einsum("ia,jb,kc,ld,abcd->ijkl", R, R, R, R, fourth_order(C)))


def gradients(point):
    """(8, 3) gradients of the trilinear shape functions, corners in the order of ``product``."""
    out = []
    for corner in product((0, 1), repeat=3):
        value = [p if c else 1 - p for p, c in zip(point, corner, strict=True)]
        slope = [1 if c else -1 for c in corner]
        out.append(
            [
                slope[0] * value[1] * value[2],
                value[0] * slope[1] * value[2],
                value[0] * value[1] * slope[2],
            ]
        )
    return np.array(out)


def element_stiffness(C):
    """(24, 24) stiffness of a unit voxel by 3 x 3 x 3 Gauss points, in index notation."""
    tensor, K = fourth_order(C), np.zeros((8, 3, 8, 3))
    points, weights = np.polynomial.legendre.leggauss(3)
    for i, j, k in product(range(3), repeat=3):
        g = gradients([(1 + points[n]) / 2 for n in (i, j, k)])
        K += weights[i] * weights[j] * weights[k] / 8 * np.einsum("aj,ijkl,bl->aibk", g, tensor, g)
    return K.reshape(24, 24)


def node_numbers(shape, i, j, k):
    """Numbers of the corners of a voxel on the full periodic grid."""
    corners = product((0, 1), repeat=3)
    return [
        np.ravel_multi_index(np.mod((i + a, j + b, k + c), shape), shape) for a, b, c in corners
    ]


def voxel_dofs(shape, index):
    """Where the 24 unknowns of a voxel stand among those of the full periodic grid."""
    return [3 * n + c for n in node_numbers(shape, *index) for c in range(3)]


def assembled(factor, element):
    """Dense (3 n, columns) sum of ``factor * element`` over voxels, n all nodes of the grid.

    Square for a (24, 24) element, (3 n, loads) for (24, loads).
    """
    size, square = 3 * factor.size, element.shape[1] == 24
    out = np.zeros((size, size if square else element.shape[1]))
    for index in np.argwhere(factor):
        places = voxel_dofs(factor.shape, index)
        for row, dof in enumerate(places):
            if square:
                np.add.at(out[dof], places, factor[tuple(index)] * element[row])
            else:
                out[dof] += factor[tuple(index)] * element[row]
    return out


def dofs(field):
    """Unknowns (3 n,) of a nodal field (3, nx, ny, nz), in the order of ``assembled``."""
    return np.moveaxis(field, 0, -1).ravel()


def field(dofs, shape):
    """The opposite of ``dofs``."""
    return np.moveaxis(np.reshape(dofs, (*shape, 3)), -1, 0)


def unit_strain_displacements():
    """(24, 6) affine displacements u_i = strain_ij x_j of the corners of a voxel."""
    chi = np.zeros((8, 3, 6))
    for load, (i, j) in enumerate(VOIGT):
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5
        strain[j, i] += 0.5
        for node, corner in enumerate(product((0, 1), repeat=3)):
            chi[node, :, load] = strain @ corner
    return chi.reshape(24, 6)


def effective_stiffness(factor, C):
    """C of a cell by a dense least-squares solve: no symmetry, no pruning, no iteration."""
    element, chi = element_stiffness(C), unit_strain_displacements()
    K, b = assembled(factor, element), -assembled(factor, element @ chi)
    x = np.linalg.lstsq(K, b, rcond=1e-11)[0]
    return (factor.sum() * C - b.T @ x) / factor.size


def laminate(stiffnesses, fractions, axis):
    """Exact stiffness of layers normal to an axis (Backus average)."""
    normal = [row for row, pair in enumerate(VOIGT) if axis in pair]
    plane = [row for row in range(6) if row not in normal]

    def mean(function):
        pairs = zip(fractions, stiffnesses, strict=True)
        return sum(fraction * function(C) for fraction, C in pairs)

    def part(C, rows, columns):
        return C[np.ix_(rows, columns)]

    def flexible(C):
        return np.linalg.inv(part(C, normal, normal))

    def coupling(C):
        return flexible(C) @ part(C, normal, plane)

    NN = np.linalg.inv(mean(flexible))
    NT = NN @ mean(coupling)
    TT = mean(lambda C: part(C, plane, plane) - part(C, plane, normal) @ coupling(C))
    out = np.zeros((6, 6))
    out[np.ix_(normal, normal)] = NN
    out[np.ix_(normal, plane)] = NT
    out[np.ix_(plane, normal)] = NT.T
    out[np.ix_(plane, plane)] = TT + mean(coupling).T @ NT
    return out


def interpolation(coarse, mirrored):
    """(fine, coarse) linear interpolation to a grid of half the spacing along one axis.

    Nodes of a mirrored axis end at both mirrors, those of a periodic one start again.
    """
    P = np.zeros((2 * coarse - int(mirrored), coarse))
    for node in range(coarse):
        P[2 * node, node] = 1
        for neighbour in (2 * node - 1, 2 * node + 1):
            if not mirrored or 0 <= neighbour < len(P):
                P[neighbour % len(P), node] += 0.5
    return P


def interpolated(field, mirrored):
    """Trilinear interpolation of a nodal field (3, nx, ny, nz)."""
    matrices = [interpolation(n, m) for n, m in zip(field.shape[1:], mirrored, strict=True)]
    return np.einsum("xi,yj,zk,cijk->cxyz", *matrices, field)


def energy_products(u, v, element):
    """Energy product u . K v in each voxel, for its 24 displacements in (nx, ny, nz, 24)."""
    return np.einsum("xyza,ab,xyzb->xyz", u, element, v)


def voxel_displacements(field, strain):
    """Displacements (nx, ny, nz, 24) of the voxels: a periodic field and that of a unit strain."""
    shape, affine = field.shape[1:], unit_strain_displacements()[:, strain]
    out = np.empty((*shape, 24))
    for index in np.ndindex(shape):
        out[index] = affine + dofs(field)[voxel_dofs(shape, index)]
    return out


def contact_steps(corners):
    """Steps to the 6 voxels that share a face, or the 26 that share a node."""
    steps = product((-1, 0, 1), repeat=3)
    return [step for step in steps if sum(map(abs, step)) in ((1, 2, 3) if corners else (1,))]


def components(solid, corners):
    """Labels by flood fill over the periodic cell; -1 is void."""
    labels = np.full(solid.shape, -1)
    count = 0
    for start in map(tuple, np.argwhere(solid)):
        if labels[start] >= 0:
            continue
        labels[start], stack = count, [start]
        while stack:
            voxel = stack.pop()
            for step in contact_steps(corners):
                other = tuple(np.mod(np.add(voxel, step), solid.shape))
                if solid[other] and labels[other] < 0:
                    labels[other] = count
                    stack.append(other)
        count += 1
    return labels


def spans(labels, corners):
    """(count, 3): axes along which walks through a component return in another cell."""
    out, cells = np.zeros((labels.max() + 1, 3), dtype=bool), {}
    for start in map(tuple, np.argwhere(labels >= 0)):
        if start in cells:
            continue
        cells[start], stack = np.zeros(3, dtype=int), [start]
        while stack:
            voxel = stack.pop()
            for step in contact_steps(corners):
                shift, other = np.divmod(np.add(voxel, step), labels.shape)
                reached, other = cells[voxel] + shift, tuple(other.tolist())
                if labels[other] == labels[start] and other not in cells:
                    cells[other] = reached
                    stack.append(other)
                elif labels[other] == labels[start]:
                    out[labels[start]] |= reached != cells[other]
    return out


def opened(solid, diameter):
    """What balls of a diameter reach that stay within the solid of a periodic cell."""
    middle, out = (diameter - 1) / 2, np.zeros_like(solid)
    ball = [
        step
        for step in product(range(diameter), repeat=3)
        if sum((n - middle) ** 2 for n in step) <= diameter**2 / 4
    ]
    for start in np.ndindex(solid.shape):
        reached = [tuple(np.mod(np.add(start, step), solid.shape)) for step in ball]
        if all(solid[voxel] for voxel in reached):
            for voxel in reached:
                out[voxel] = True
    return out


def difference(first, second):
    """Part of the union of two cells that only one of them has; 0 for two empty ones."""
    pairs = list(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    union = sum(a or b for a, b in pairs)
    return sum(a != b for a, b in pairs) / max(union, 1)
