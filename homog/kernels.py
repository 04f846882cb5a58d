"""Compiled loops. Plain arrays in and out, no validation; slow twins stand in tests/naive.py.

Block matrices are stored by rows as in ``scipy.sparse.bsr_array`` (``indptr``, ``indices``,
``data``). Vectors hold all loads at once as (nodes, block * LOADS): degree of freedom ``d`` of
load ``l`` stands at ``d * LOADS + l``, so that the innermost loop runs over neighbours in
memory. Rows ``start`` to ``stop`` are computed and each row by one thread only: results do not
depend on the number of threads.
"""

import numpy as np
from numba import njit

LOADS = 6  # unit strains; a constant, so that the innermost loops are unrolled


def kernel(function):
    """Compile without the interpreter lock, cached on disk where a folder can be written."""
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # read-only installation without a home folder
        return njit(nogil=True, error_model="numpy")(function)


@kernel
def element_nodes(nodes, i, j, k, out):
    """Numbers of the eight corners of voxel (i, j, k), in the order of ``element.CORNERS``."""
    corner = 0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                out[corner] = nodes[i + a, j + b, k + c]
                corner += 1


@kernel
def find_neighbours(factor, nodes, neighbours, counts):
    """For each node the nodes it shares a voxel with: (n, 27), the first ``counts[node]`` used.

    Searching the row also merges the corners that coincide in boxes one or two voxels thick.
    """
    corners = np.empty(8, np.int64)
    nx, ny, nz = factor.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if factor[i, j, k] == 0:
                    continue
                element_nodes(nodes, i, j, k, corners)
                for p in corners:
                    for q in corners:
                        slot = 0
                        while slot < counts[p] and neighbours[p, slot] != q:
                            slot += 1
                        if slot == counts[p]:
                            neighbours[p, slot] = q
                            counts[p] += 1


@kernel
def assemble_stiffness(factor, nodes, element, indptr, indices, data):
    """Add ``factor * element`` of every solid voxel to the 3 x 3 blocks ``data``."""
    corners = np.empty(8, np.int64)
    nx, ny, nz = factor.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if factor[i, j, k] == 0:
                    continue
                element_nodes(nodes, i, j, k, corners)
                for a in range(8):
                    for b in range(8):
                        slot = indptr[corners[a]]
                        while indices[slot] != corners[b]:
                            slot += 1
                        for r in range(3):
                            for c in range(3):
                                data[slot, r, c] += factor[i, j, k] * element[3 * a + r, 3 * b + c]


@kernel
def assemble_loads(factor, nodes, element, out):
    """Add ``factor * element`` (24, LOADS) of every solid voxel to ``out`` (n, 3 * LOADS)."""
    corners = np.empty(8, np.int64)
    nx, ny, nz = factor.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if factor[i, j, k] == 0:
                    continue
                element_nodes(nodes, i, j, k, corners)
                for a in range(8):
                    for r in range(3):
                        for load in range(LOADS):
                            out[corners[a], r * LOADS + load] += (
                                factor[i, j, k] * element[3 * a + r, load]
                            )


@kernel
def row_residual(indptr, indices, data, x, f, p, out):
    """``out = f - A x`` in block row p. Blocks have a multiple of three columns: three a pass."""
    rows, columns = np.uintp(data.shape[1]), np.uintp(data.shape[2])
    loads = np.uintp(LOADS)  # unsigned: loops free of checks for negative indices
    for n in range(np.uintp(out.shape[0])):
        out[n] = f[p, n]
    for slot in range(np.uintp(indptr[p]), np.uintp(indptr[p + np.uintp(1)])):
        q = np.uintp(indices[slot])
        for r in range(rows):
            row = r * loads
            for c in range(np.uintp(0), columns, np.uintp(3)):
                first = data[slot, r, c]
                second = data[slot, r, c + np.uintp(1)]
                third = data[slot, r, c + np.uintp(2)]
                left = c * loads
                middle = left + loads
                right = middle + loads
                for n in range(loads):
                    out[row + n] -= (
                        first * x[q, left + n] + second * x[q, middle + n] + third * x[q, right + n]
                    )


@kernel
def residual(start, stop, indptr, indices, data, x, f, out):
    """``out = f - A x`` in the block rows from ``start`` to ``stop``; blocks may be oblong."""
    row = np.empty(f.shape[1])
    for p in range(np.uintp(start), np.uintp(stop)):
        row_residual(indptr, indices, data, x, f, p, row)
        for n in range(np.uintp(row.shape[0])):
            out[p, n] = row[n]


@kernel
def smoothing_direction(
    start, stop, indptr, indices, data, inverse, x, f, momentum, step, direction
):
    """``direction = momentum * direction + step * inverse (f - A x)`` in block rows.

    ``inverse`` (n, block, block) holds the inverted diagonal blocks of A.
    """
    row = np.empty(f.shape[1])
    block = np.uintp(inverse.shape[1])
    loads = np.uintp(LOADS)
    for p in range(np.uintp(start), np.uintp(stop)):
        row_residual(indptr, indices, data, x, f, p, row)
        for r in range(block):
            for n in range(loads):
                direction[p, r * loads + n] *= momentum
            for c in range(block):
                weight = step * inverse[p, r, c]
                for n in range(loads):
                    direction[p, r * loads + n] += weight * row[c * loads + n]


@kernel
def smallest_ritz_value(alpha, beta):
    """Smallest eigenvalue of the Lanczos matrix of each load, from the coefficients of CG.

    ``alpha, beta`` (iterations, loads). By bisection with Sturm's sequence, to one percent: the
    pivots of the shifted matrix are positive below the smallest eigenvalue.
    """
    steps, loads = alpha.shape
    out = np.empty(loads)
    for load in range(loads):
        low, high = 0.0, 1 / alpha[0, load]
        while high - low > 0.01 * high:
            shift = (low + high) / 2
            pivot = 1 / alpha[0, load] - shift
            n = 1
            while n < steps and pivot > 0:
                slope = beta[n - 1, load] / alpha[n - 1, load]
                pivot = 1 / alpha[n, load] + slope - shift - slope / alpha[n - 1, load] / pivot
                n += 1
            if pivot > 0:
                low = shift
            else:
                high = shift
        out[load] = low
    return out
