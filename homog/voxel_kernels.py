"""Compiled loops over voxels, without a matrix. No validation; slow twins stand in tests/naive.py.

A field of displacements is (3, nx, ny, m): component, node, and m = nz or several loads side by
side along the last axis. Voxel (i, j, k) lies between the nodes (i, j, k) and (i + 1, j + 1,
k + 1); indices wrap around in all three directions. Boxes that do not repeat end in a layer of
void voxels, and so do loads that stand side by side.

In sums and differences of its eight corners along x, y and z (their Walsh-Hadamard transform)
the stiffness of a cube has 45 nonzeros out of 576. Letters name what a number belongs to:
``x101`` is displacement x, difference along x, sum along y, difference along z. The transform
and its transpose go axis by axis and share what neighbouring voxels have in common.

Planes ``start`` to ``stop`` along x are computed. A thread computes the voxels below its first
plane a second time, so that each sum has the same terms in the same order for every split.

Rows of the work arrays stand STRIDE apart: a constant, so that the compiler knows that they do
not overlap and computes several voxels at once. Unsigned indices spare the check for negative
ones. ``weight`` holds the seven distinct entries of the transformed stiffness.
"""

import numpy as np
from numba import njit

STRIDE = 520  # not a multiple of a large power of two: those share few places of the cache
LONGEST = STRIDE - 8  # nodes of a row
PRODUCT, RESIDUAL, SMOOTH, CARRY = 0, 1, 2, 3

_ROW, _ONE = np.uintp(STRIDE), np.uintp(1)


def kernel(function):
    """Compile without the interpreter lock, cached on disk where a folder can be written.

    Sums may be reordered and products fused, so that they run on all lanes of the processor;
    the order is that of the compiled code and the same in every call.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # read-only installation without a home folder
        return njit(**options)(function)


@kernel
def sum_along_x(u, shape, i, j, out):
    """Rows 2 c and 2 c + 1 of ``out``: sum and difference along x of component c at row j."""
    nx, ny, m = shape
    above = i + 1 if i + 1 < nx else 0
    one = out.dtype.type(1)  # in the precision of out, u may have a lower one
    for c in range(3):
        total, slope = np.uintp(2 * c) * _ROW, np.uintp(2 * c + 1) * _ROW
        low, high = np.uintp(((c * nx + i) * ny + j) * m), np.uintp(((c * nx + above) * ny + j) * m)
        for k in range(np.uintp(m)):
            first, second = one * u[low + k], one * u[high + k]
            out[total + k] = first + second
            out[slope + k] = second - first
        out[total + np.uintp(m)] = out[total]
        out[slope + np.uintp(m)] = out[slope]


@kernel
def sum_along_y(low, high, n, out):
    """Rows 4 c + (0, 1, 2, 3) of ``out``: 00, 10, 01, 11 along x and y from two rows of nodes."""
    n = np.uintp(n)
    for c in range(3):
        total, slope = np.uintp(2 * c) * _ROW, np.uintp(2 * c + 1) * _ROW
        row = np.uintp(4 * c) * _ROW
        for k in range(n):
            first, second = low[total + k], high[total + k]
            out[row + k] = first + second
            out[row + np.uintp(2) * _ROW + k] = second - first
            first, second = low[slope + k], high[slope + k]
            out[row + _ROW + k] = first + second
            out[row + np.uintp(3) * _ROW + k] = second - first


@kernel
def voxel_forces(u, factor, row, m, weight, f):
    """Forces of a row of voxels on the nodes below (-) and above (+) along z; voxel k at k + 1.

    Rows 7 c + (0, ..., 6) of ``f`` for component c, x and y transformed: 001, 10-, 10+, 01-,
    01+, 11-, 11+; the force 000 is zero, so that 001 serves both sides of 00.
    """
    lame, twice, shear, lame_linear, normal_linear, shear_linear, trilinear = weight
    row, last = np.uintp(row), np.uintp(m)
    for k in range(last):
        w, n = factor[row + k], k + _ONE
        r = k
        x001 = u[r + _ONE] - u[r]
        r += _ROW
        x100, x101 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        x010, x011 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        x110, x111 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        y001 = u[r + _ONE] - u[r]
        r += _ROW
        y100, y101 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        y010, y011 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        y110, y111 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        z001 = u[r + _ONE] - u[r]
        r += _ROW
        z100, z101 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        z010, z011 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        r += _ROW
        z110, z111 = u[r] + u[r + _ONE], u[r + _ONE] - u[r]
        dilatation = lame * (x100 + y010 + z001)
        fx = w * (dilatation + twice * x100)
        fy = w * (dilatation + twice * y010)
        fz = w * (dilatation + twice * z001)
        stiff = w * shear
        yz = stiff * (y001 + z010)
        xz = stiff * (x001 + z100)
        xy = stiff * (x010 + y100)
        stiff, cross = w * normal_linear, w * lame_linear
        fx110 = stiff * x110 + cross * z011
        fz011 = stiff * z011 + cross * x110
        fx101 = stiff * x101 + cross * y011
        fy011 = stiff * y011 + cross * x101
        fy110 = stiff * y110 + cross * z101
        fz101 = stiff * z101 + cross * y110
        stiff = w * shear_linear
        common = stiff * (x011 + y101 + z110)
        fx011 = common + stiff * x011
        fy101 = common + stiff * y101
        fz110 = common + stiff * z110
        stiff = w * trilinear
        fx111 = stiff * x111
        fy111 = stiff * y111
        fz111 = stiff * z111
        f[np.uintp(0) * _ROW + n] = xz
        f[np.uintp(1) * _ROW + n] = fx - fx101
        f[np.uintp(2) * _ROW + n] = fx + fx101
        f[np.uintp(3) * _ROW + n] = xy - fx011
        f[np.uintp(4) * _ROW + n] = xy + fx011
        f[np.uintp(5) * _ROW + n] = fx110 - fx111
        f[np.uintp(6) * _ROW + n] = fx110 + fx111
        f[np.uintp(7) * _ROW + n] = yz
        f[np.uintp(8) * _ROW + n] = xy - fy101
        f[np.uintp(9) * _ROW + n] = xy + fy101
        f[np.uintp(10) * _ROW + n] = fy - fy011
        f[np.uintp(11) * _ROW + n] = fy + fy011
        f[np.uintp(12) * _ROW + n] = fy110 - fy111
        f[np.uintp(13) * _ROW + n] = fy110 + fy111
        f[np.uintp(14) * _ROW + n] = fz
        f[np.uintp(15) * _ROW + n] = xz - fz101
        f[np.uintp(16) * _ROW + n] = xz + fz101
        f[np.uintp(17) * _ROW + n] = yz - fz011
        f[np.uintp(18) * _ROW + n] = yz + fz011
        f[np.uintp(19) * _ROW + n] = fz110 - fz111
        f[np.uintp(20) * _ROW + n] = fz110 + fz111
    for r in range(np.uintp(21)):
        f[r * _ROW] = f[r * _ROW + last]


def node_forces(c):
    """Compile the step from the forces of a row of voxels to those on two rows of nodes.

    A function for each component: rows at constant places, so that several nodes are computed
    at once.
    """
    f001, below10, above10, below01, above01, below11, above11 = (
        np.uintp((7 * c + row) * STRIDE) for row in range(7)
    )
    s, d = np.uintp(2 * c * STRIDE), np.uintp((2 * c + 1) * STRIDE)

    @kernel
    def forces(f, m, up, total):
        """Those on the lower row are added to ``up``: ``total``. The upper ones replace ``up``."""
        for k in range(np.uintp(m)):
            n = k + _ONE  # the voxel above node k; the one below it stands at k
            f00 = f[f001 + k] - f[f001 + n]
            f10 = f[below10 + n] + f[above10 + k]
            f01 = f[below01 + n] + f[above01 + k]
            f11 = f[below11 + n] + f[above11 + k]
            total[s + k] = up[s + k] + (f00 - f01)
            total[d + k] = up[d + k] + (f10 - f11)
            up[s + k] = f00 + f01
            up[d + k] = f10 + f11

    return forces


node_forces_x, node_forces_y, node_forces_z = node_forces(0), node_forces(1), node_forces(2)


@kernel
def finish_row(mode, total, carry, shape, i, j, u, rhs, previous, inverse, mix, out):
    """Complete row (i, j) of A u by what the plane below left in ``carry``, and use it.

    PRODUCT: out = A u. RESIDUAL: out = rhs - A u. SMOOTH: out = mix[0] u + mix[1] previous
    + mix[2] inverse (rhs - A u). CARRY: only leave what belongs to the plane above.
    """
    nx, ny, m = shape
    for c in range(3):
        s, d = np.uintp(2 * c) * _ROW, np.uintp(2 * c + 1) * _ROW
        below = np.uintp((c * ny + j) * m)
        o = np.uintp(((c * nx + i) * ny + j) * m)
        if mode == CARRY:
            for k in range(np.uintp(m)):
                carry[below + k] = total[s + k] + total[d + k]
        elif mode == PRODUCT:
            for k in range(np.uintp(m)):
                out[o + k] = carry[below + k] + (total[s + k] - total[d + k])
                carry[below + k] = total[s + k] + total[d + k]
        elif mode == RESIDUAL:
            for k in range(np.uintp(m)):
                out[o + k] = rhs[o + k] - (carry[below + k] + (total[s + k] - total[d + k]))
                carry[below + k] = total[s + k] + total[d + k]
        else:
            first, second, third = mix
            scale = np.uintp(((c * nx + i) * ny + j) * m % inverse.shape[0])
            for k in range(np.uintp(m)):
                r = rhs[o + k] - (carry[below + k] + (total[s + k] - total[d + k]))
                mixed = first * u[o + k] + second * previous[o + k]
                out[o + k] = mixed + third * inverse[scale + k] * r
                carry[below + k] = total[s + k] + total[d + k]


@kernel
def add_rows(first, second, m, out):
    """out = first + second in six rows."""
    for r in range(np.uintp(6)):
        for k in range(np.uintp(m)):
            out[r * _ROW + k] = first[r * _ROW + k] + second[r * _ROW + k]


@kernel
def sweep(start, stop, mode, u, factor, solid, active, weight, rhs, previous, inverse, mix, out):
    """A u on planes ``start`` to ``stop``, used as ``mode`` says (see ``finish_row``).

    The work is done in the precision of ``out``. ``factor`` (nx, ny, m) multiplies the stiffness
    of each voxel. Rows of voxels that are void (``solid`` (nx, ny) False) and rows of nodes that
    touch no solid (``active`` False) are skipped; there ``out`` stays as it is.
    """
    nx, ny, m = shape = u.shape[1], u.shape[2], u.shape[3]
    u, rhs, previous, out = u.reshape(-1), rhs.reshape(-1), previous.reshape(-1), out.reshape(-1)
    factor, inverse = factor.reshape(-1), inverse.reshape(-1)
    low, high = np.empty(6 * STRIDE, out.dtype), np.empty(6 * STRIDE, out.dtype)
    sums, f = np.empty(12 * STRIDE, out.dtype), np.empty(21 * STRIDE, out.dtype)
    up, total = np.empty(6 * STRIDE, out.dtype), np.empty(6 * STRIDE, out.dtype)
    first, zero = np.empty(6 * STRIDE, out.dtype), np.zeros(6 * STRIDE, out.dtype)
    carry = np.zeros(3 * ny * m, out.dtype)
    for plane in range(start - 1, stop):
        use = mode if plane >= start else CARRY
        i = plane if plane >= 0 else nx - 1
        add_rows(zero, zero, m, up)
        loaded = False
        for j in range(ny):
            needed = active[i, j] or use == CARRY
            if solid[i, j]:
                if not loaded:
                    sum_along_x(u, shape, i, j, low)
                sum_along_x(u, shape, i, j + 1 if j + 1 < ny else 0, high)
                sum_along_y(low, high, m + 1, sums)
                voxel_forces(sums, factor, (i * ny + j) * m, m, weight, f)
                node_forces_x(f, m, up, total)
                node_forces_y(f, m, up, total)
                node_forces_z(f, m, up, total)
                low, high = high, low
            elif needed or j == 0:
                add_rows(zero, up, m, total)
                add_rows(zero, zero, m, up)
            loaded = solid[i, j]
            if j == 0:
                add_rows(zero, total, m, first)
            elif needed:
                finish_row(use, total, carry, shape, i, j, u, rhs, previous, inverse, mix, out)
        if active[i, 0] or use == CARRY:
            add_rows(up, first, m, total)
            finish_row(use, total, carry, shape, i, 0, u, rhs, previous, inverse, mix, out)


@kernel
def scale(start, stop, active, rhs, inverse, weight, out):
    """out = weight inverse rhs in the active rows."""
    m = np.uintp(rhs.shape[3])
    for i in range(start, stop):
        for j in range(rhs.shape[2]):
            if active[i, j]:
                for c in range(3):
                    f, o = rhs[c, i, j], out[c, i, j]
                    d = inverse[min(c, inverse.shape[0] - 1), i, j]
                    for k in range(m):
                        o[k] = weight * d[k] * f[k]


@kernel
def restrict(start, stop, fine, mirrored, loads, out):
    """out = P^T fine on planes of the coarse grid, P the trilinear interpolation."""
    n = fine.shape[3] // loads
    coarse = out.shape[3] // loads
    row = np.empty(fine.shape[3], fine.dtype)
    half = fine.dtype.type(0.5)
    for i in range(start, stop):
        for j in range(out.shape[2]):
            for c in range(3):
                row[:] = 0
                for a in range(-1, 2):
                    p = 2 * i + a
                    if mirrored[0] and not 0 <= p < fine.shape[1]:
                        continue
                    for b in range(-1, 2):
                        q = 2 * j + b
                        if mirrored[1] and not 0 <= q < fine.shape[2]:
                            continue
                        weight = (half if a else 2 * half) * (half if b else 2 * half)
                        source = fine[c, p % fine.shape[1], q % fine.shape[2]]
                        for k in range(np.uintp(fine.shape[3])):
                            row[k] += weight * source[k]
                o = out[c, i, j]
                for load in range(loads):
                    first, to = load * n, load * coarse
                    for k in range(coarse):
                        value = row[first + 2 * k]
                        if k > 0 or not mirrored[2]:
                            value += half * row[first + (2 * k - 1 if k else n - 1)]
                        if 2 * k + 1 < n:
                            value += half * row[first + 2 * k + 1]
                        o[to + k] = value


@kernel
def prolong(start, stop, coarse, loads, active, out):
    """out += P coarse in the active rows of the planes of the fine grid."""
    n = out.shape[3] // loads
    m = coarse.shape[3] // loads
    row = np.empty(coarse.shape[3], coarse.dtype)
    half = coarse.dtype.type(0.5)
    for i in range(start, stop):
        i0 = i // 2
        i1 = i0 if i % 2 == 0 else (i0 + 1) % coarse.shape[1]
        for j in range(out.shape[2]):
            if not active[i, j]:
                continue
            j0 = j // 2
            j1 = j0 if j % 2 == 0 else (j0 + 1) % coarse.shape[2]
            for c in range(3):
                p, q = coarse[c, i0, j0], coarse[c, i0, j1]
                r, s = coarse[c, i1, j0], coarse[c, i1, j1]
                for k in range(np.uintp(coarse.shape[3])):
                    row[k] = half * half * ((p[k] + q[k]) + (r[k] + s[k]))
                o = out[c, i, j]
                for load in range(loads):
                    first, to = load * m, load * n
                    for k in range(n // 2):
                        following = row[first + (k + 1 if k + 1 < m else 0)]
                        o[to + 2 * k] += row[first + k]
                        o[to + 2 * k + 1] += half * (row[first + k] + following)
                    if n % 2:
                        o[to + n - 1] += row[first + m - 1]


@kernel
def cholesky(matrix):
    """Upper Cholesky factor in place of a matrix; unlike LAPACK's, on the thread that asks."""
    size = matrix.shape[0]
    for n in range(size):
        root = np.sqrt(matrix[n, n])
        for q in range(n, size):
            matrix[n, q] /= root
        for p in range(n + 1, size):
            value = matrix[n, p]
            if value != 0:
                for q in range(p, size):
                    matrix[p, q] -= value * matrix[n, q]


@kernel
def solve_coarsest(factors, rhs, out):
    """Solve on the coarsest level by the upper Cholesky factor of each load, (loads, n, n)."""
    loads, size = factors.shape[:2]
    m = rhs.shape[3] // loads
    x = np.empty(size, rhs.dtype)
    for load in range(loads):
        U, row = factors[load], 0
        for c in range(3):
            for i in range(rhs.shape[1]):
                for j in range(rhs.shape[2]):
                    for k in range(m):
                        x[row] = rhs[c, i, j, load * m + k]
                        row += 1
        for n in range(size):
            x[n] /= U[n, n]
            for q in range(n + 1, size):
                x[q] -= U[n, q] * x[n]
        for n in range(size - 1, -1, -1):
            total = x[n]
            for q in range(n + 1, size):
                total -= U[n, q] * x[q]
            x[n] = total / U[n, n]
        row = 0
        for c in range(3):
            for i in range(rhs.shape[1]):
                for j in range(rhs.shape[2]):
                    for k in range(m):
                        out[c, i, j, load * m + k] = x[row]
                        row += 1


@kernel
def cycle(top, repeats, levels, arrays, coarsest_factors, mirrored, loads, first, mix, weight):
    """W-cycles from level ``top`` down in a single call, the solution in ``arrays[3][top]``.

    Each level below ``top`` is visited twice for each visit of the one above it; ``top`` itself
    ``repeats`` times. ``levels`` is a tuple of tuples over the levels: factor, solid, active,
    inverse diagonal; ``arrays`` likewise: right-hand side (changed below ``top``), two
    displacements, solution. ``first`` and ``mix`` are the weights of smoothing, see
    ``multigrid.chebyshev``.
    """
    factors, solids, actives, inverses = levels
    rhs, low, high, out = arrays
    coarsest = len(factors) - 1
    visits = np.zeros(len(factors), np.int64)
    n = top
    while n >= top:
        planes, f = rhs[n].shape[1], rhs[n]
        factor, solid, active, inverse = factors[n], solids[n], actives[n], inverses[n]
        x, y, z = low[n], high[n], out[n]
        if n == coarsest:
            solve_coarsest(coarsest_factors, f, z)
            n -= 1
            continue
        if visits[n] % 2 == 0:  # on the way down
            if visits[n] == 0:
                scale(0, planes, active, f, inverse, first, x)
                sweep(0, planes, SMOOTH, x, factor, solid, active, weight, f, x, inverse,
                      mix[0], y)  # fmt: skip
            else:
                sweep(0, planes, SMOOTH, z, factor, solid, active, weight, f, z, inverse,
                      mix[1], x)  # fmt: skip
                sweep(0, planes, SMOOTH, x, factor, solid, active, weight, f, z, inverse,
                      mix[2], y)  # fmt: skip
            sweep(0, planes, RESIDUAL, y, factor, solid, active, weight, f, y, inverse,
                  mix[0], z)  # fmt: skip
            restrict(0, rhs[n + 1].shape[1], z, mirrored, loads, rhs[n + 1])
            visits[n] += 1
            n += 1
        else:
            prolong(0, planes, out[n + 1], loads, active, y)
            sweep(0, planes, SMOOTH, y, factor, solid, active, weight, f, y, inverse,
                  mix[1], x)  # fmt: skip
            sweep(0, planes, SMOOTH, x, factor, solid, active, weight, f, y, inverse,
                  mix[2], z)  # fmt: skip
            visits[n] += 1
            if visits[n] == 2 * (repeats if n == top else 2):
                visits[n] = 0
                n -= 1


@kernel
def dots(start, stop, a, b, out):
    """Products of two fields by plane and load, ``out`` (planes, loads)."""
    loads = out.shape[1]
    m = np.uintp(a.shape[3] // loads)
    for i in range(start, stop):
        out[i] = 0
        for c in range(3):
            for j in range(a.shape[2]):
                x, y = a[c, i, j], b[c, i, j]
                for load in range(loads):
                    begin, total = np.uintp(load) * m, 0.0
                    for k in range(begin, begin + m):
                        total += x[k] * y[k]
                    out[i, load] += total


@kernel
def advance(start, stop, alpha, p, product, x, r):
    """x += alpha p, r -= alpha product, for each load."""
    loads = len(alpha)
    m = np.uintp(x.shape[3] // loads)
    for i in range(start, stop):
        for c in range(3):
            for j in range(x.shape[2]):
                to, step = x[c, i, j], p[c, i, j]
                left, change = r[c, i, j], product[c, i, j]
                for load in range(loads):
                    begin, length = np.uintp(load) * m, alpha[load]
                    for k in range(begin, begin + m):
                        to[k] += length * step[k]
                        left[k] -= length * change[k]


@kernel
def turn(start, stop, beta, z, p):
    """p = z + beta p for each load."""
    loads = len(beta)
    m = np.uintp(p.shape[3] // loads)
    for i in range(start, stop):
        for c in range(3):
            for j in range(p.shape[2]):
                old, new = p[c, i, j], z[c, i, j]
                for load in range(loads):
                    begin, ratio = np.uintp(load) * m, beta[load]
                    for k in range(begin, begin + m):
                        old[k] = new[k] + ratio * old[k]


@kernel
def assemble_dense(factor, element, out):
    """Add ``factor * element`` of every voxel to ``out`` (3 n, 3 n), component by component."""
    nx, ny, nz = factor.shape
    n = nx * ny * nz
    corners = np.empty(8, np.int64)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if factor[i, j, k] == 0:
                    continue
                for corner in range(8):
                    a, b, c = (corner >> 2) & 1, (corner >> 1) & 1, corner & 1
                    corners[corner] = ((i + a) % nx * ny + (j + b) % ny) * nz + (k + c) % nz
                for p in range(8):
                    for q in range(8):
                        for r in range(3):
                            for c in range(3):
                                out[r * n + corners[p], c * n + corners[q]] += (
                                    factor[i, j, k] * element[3 * p + r, 3 * q + c]
                                )


@kernel
def dilatation_products(u, traces, factor, out):
    """Add the integral of factor tr(e_i) tr(e_j) over a slab of voxels to ``out`` (loads, loads).

    ``u`` (loads, 3, planes + 1, ny, nz) are fluctuations, ``traces`` (loads,) those of the mean
    strains, ``factor`` (planes, ny, nz). In the transformed basis the trace is a polynomial of
    seven orthogonal terms.
    """
    loads = len(u)
    planes, ny, nz = factor.shape
    corner, t = np.empty(8), np.empty((loads, 7))
    terms = np.empty((3, 8))
    for i in range(planes):
        for j in range(ny):
            for k in range(nz):
                if factor[i, j, k] == 0:
                    continue
                for load in range(loads):
                    for c in range(3):
                        gather_corners(u[load, c], i, j, k, corner)
                        transform(corner, terms[c])
                    t[load, 0] = (terms[0, 4] + terms[1, 2] + terms[2, 1]) / 4 + traces[load]
                    t[load, 1] = (terms[0, 6] + terms[2, 3]) / np.sqrt(48.0)
                    t[load, 2] = (terms[0, 5] + terms[1, 3]) / np.sqrt(48.0)
                    t[load, 3] = (terms[1, 6] + terms[2, 5]) / np.sqrt(48.0)
                    for c in range(3):
                        t[load, 4 + c] = terms[c, 7] / 12
                for p in range(loads):
                    for q in range(loads):
                        for c in range(7):
                            out[p, q] += factor[i, j, k] * t[p, c] * t[q, c]


@kernel
def gather_corners(u, i, j, k, out):
    """Values at the corners of voxel (i, j, k), in the order of ``element.CORNERS``."""
    above, beside = (j + 1) % u.shape[1], (k + 1) % u.shape[2]
    for a in range(2):
        out[4 * a] = u[i + a, j, k]
        out[4 * a + 1] = u[i + a, j, beside]
        out[4 * a + 2] = u[i + a, above, k]
        out[4 * a + 3] = u[i + a, above, beside]


@kernel
def transform(corner, out):
    """Sums and differences of eight corners: bit 4, 2, 1 of the index for x, y, z."""
    for n in range(8):
        out[n] = corner[n]
    for bit in (1, 2, 4):
        for n in range(8):
            if not n & bit:
                out[n], out[n | bit] = out[n] + out[n | bit], out[n | bit] - out[n]


@kernel
def energy_products(u, affine, factor, element, weights, out):
    """Sum of weights[p, q] u_p . K u_q in each solid voxel of a slab, K that of factor 1.

    ``u`` (loads, 3, planes + 1, ny, nz) are fluctuations, ``affine`` (24, loads) the
    displacements of the mean strains, ``weights`` (loads, loads), ``out`` like ``factor``.
    """
    loads = len(u)
    planes, ny, nz = factor.shape
    corner = np.empty(8)
    total, force = np.empty((loads, 24)), np.empty(24)
    for i in range(planes):
        for j in range(ny):
            for k in range(nz):
                if factor[i, j, k] == 0:
                    continue
                for load in range(loads):
                    for c in range(3):
                        gather_corners(u[load, c], i, j, k, corner)
                        for n in range(8):
                            total[load, 3 * n + c] = affine[3 * n + c, load] + corner[n]
                for q in range(loads):
                    force[:] = 0
                    for n in range(24):
                        for m in range(24):
                            force[m] += element[n, m] * total[q, n]
                    for p in range(loads):
                        product = 0.0
                        for n in range(24):
                            product += total[p, n] * force[n]
                        out[i, j, k] += weights[p, q] * product
