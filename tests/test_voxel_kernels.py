"""Each kernel against its slow twin; runs compiled and, with NUMBA_DISABLE_JIT=1, as Python."""

import naive
import numpy as np
import pytest
from conftest import ORTHORHOMBIC, cell_problem, group, symmetric_factor

from homog import multigrid
from homog import voxel_kernels as kernels
from homog.element import element_stiffness, unit_strain_displacements
from homog.multigrid import VoxelSystem, voxel_weights
from homog.sensitivity import slabs
from homog.threads import Workers

SHAPES = [(4, 5, 3), (5, 3, 4), (1, 3, 5), (3, 1, 2), (2, 2, 3), (4, 2, 1), (1, 1, 1)]
SPLITS = [(0, 1), (1, 1), (1, 3), (3, 9)]  # cut at the number of planes
PRECISION = {np.float64: 1e-13, np.float32: 5e-6}
MODES = {"product": kernels.PRODUCT, "residual": kernels.RESIDUAL, "smooth": kernels.SMOOTH}
CUBIC = np.zeros((6, 6))
CUBIC[:3, :3] = 0.4
CUBIC[np.diag_indices(6)] = [1.0] * 3 + [0.7] * 3


def random_fields(count, shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, *shape)).astype(dtype)


def graded(shape):
    """Factors with void voxels, void rows, and rows of nodes that touch no solid."""
    factor = symmetric_factor(shape, seed=sum(shape))
    factor[: shape[0] // 2, : shape[1] - 1] = 0
    factor[-1, -1, 0] = 1.5
    return factor


def rows_of(factor):
    """Which rows of voxels are not void, and which rows of nodes touch one."""
    solid = factor.any(axis=2)
    active = np.zeros_like(solid)
    for i, j in np.argwhere(solid):
        for a, b in np.ndindex(2, 2):
            active[(i + a) % factor.shape[0], (j + b) % factor.shape[1]] = True
    return solid, active


def split(kernel, planes, *arguments, splits=((0, 99),)):
    """Run a kernel over all planes, by slabs."""
    for start, stop in splits:
        kernel(min(start, planes), min(stop, planes), *arguments)


def swept(mode, u, factor, rhs, previous, inverse, mix=(0.7, 0.2, 0.4), splits=((0, 99),)):
    """Result of a sweep in the precision of u; NaN where nothing was written."""
    out = np.full_like(u, np.nan)
    weight = tuple(u.dtype.type(value) for value in voxel_weights(CUBIC))
    mix = tuple(u.dtype.type(value) for value in mix)
    arguments = (u, factor.astype(u.dtype), *rows_of(factor), weight, rhs, previous, inverse, mix)
    split(kernels.sweep, u.shape[1], mode, *arguments, out, splits=splits)
    return out


def expected_sweep(mode, u, factor, rhs, previous, inverse, mix=(0.7, 0.2, 0.4)):
    K = naive.assembled(factor, naive.element_stiffness(CUBIC))
    product = naive.field(K @ naive.dofs(u.astype(float)), factor.shape)
    expected = {
        kernels.PRODUCT: product,
        kernels.RESIDUAL: rhs - product,
        kernels.SMOOTH: mix[0] * u + mix[1] * previous + mix[2] * inverse * (rhs - product),
    }[mode]
    return np.where(rows_of(factor)[1][..., None], expected, np.nan)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sweep_is_the_assembled_stiffness_in_any_split(shape, mode, dtype, components):
    """Whatever touches no solid is left out; threads that share the planes change no bit."""
    factor = graded(shape)
    u, rhs, previous, inverse = random_fields(4, shape, dtype)
    arguments = (MODES[mode], u, factor, rhs, previous, inverse[:components].copy())
    found = swept(*arguments)
    atol = PRECISION[dtype] * np.abs(u).max() * 8
    np.testing.assert_allclose(found, expected_sweep(*arguments), rtol=0, atol=atol)
    np.testing.assert_array_equal(swept(*arguments, splits=SPLITS), found)
    np.testing.assert_array_equal(swept(*arguments, splits=SPLITS[::-1]), found)


def test_a_residual_is_right_in_double_precision_for_displacements_in_single():
    shape = (4, 5, 3)
    factor = graded(shape)
    u, rhs = random_fields(1, shape, np.float32)[0], random_fields(1, shape, seed=1)[0]
    out = np.full(rhs.shape, np.nan)
    arguments = (u, factor, *rows_of(factor), voxel_weights(CUBIC), rhs, rhs, rhs, (0.0,) * 3)
    kernels.sweep(0, 4, kernels.RESIDUAL, *arguments, out)
    expected = expected_sweep(kernels.RESIDUAL, u, factor, rhs, rhs, rhs)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)


def test_some_rows_of_the_cells_above_touch_no_solid():
    assert sum(not rows_of(graded(shape))[1].all() for shape in SHAPES) >= 2


@pytest.mark.parametrize("mode", MODES)
def test_loads_side_by_side_do_not_see_each_other(mode):
    """Each ends in a layer of void."""
    shape, loads = (3, 4, 5), 3
    factor = graded(shape)
    factor[..., -1] = 0
    u, rhs, previous, inverse = random_fields(4 * loads, shape).reshape(4, loads, 3, *shape)
    together = [np.concatenate(list(fields), axis=3) for fields in (u, rhs, previous, inverse)]
    found = swept(MODES[mode], together[0], np.tile(factor, loads), *together[1:])
    for load in range(loads):
        alone = expected_sweep(
            MODES[mode], u[load], factor, rhs[load], previous[load], inverse[load]
        )
        np.testing.assert_allclose(found[..., 5 * load : 5 * load + 5], alone, rtol=0, atol=1e-12)


def test_the_longest_row_is_still_right():
    """Rows of work arrays stand apart by a constant: one node more would spill over."""
    shape = (1, 1, kernels.LONGEST)
    factor = np.random.default_rng(0).random(shape)
    u = random_fields(1, shape)[0]
    arguments = (kernels.PRODUCT, u, factor, u, u, u)
    K = element_stiffness(CUBIC)
    expected = np.zeros((3, kernels.LONGEST))
    for k in range(kernels.LONGEST):
        ends = [k, (k + 1) % kernels.LONGEST] * 4  # corners along x and y coincide
        forces = factor[0, 0, k] * K @ u[:, 0, 0, ends].T.ravel()
        np.add.at(expected.T, ends, forces.reshape(8, 3))
    np.testing.assert_allclose(swept(*arguments)[:, 0, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("components", [1, 3])
def test_scale_is_a_weighted_diagonal_on_the_active_rows(components):
    shape = (4, 5, 3)
    _, active = rows_of(graded(shape))
    rhs, inverse = random_fields(2, shape)
    out = np.full_like(rhs, np.nan)
    arguments = (active, rhs, inverse[:components].copy(), 0.3, out)
    split(kernels.scale, 4, *arguments, splits=SPLITS)
    expected = np.where(active[..., None], 0.3 * inverse[:components] * rhs, np.nan)
    np.testing.assert_allclose(out, expected, rtol=1e-14)


MIRRORS = [(False, False, False), (True, False, True), (False, True, True), (True, True, True)]


def grids(coarse, mirrored):
    """Nodes of two grids along each axis; a coarse one has an end more where it is mirrored."""
    coarse = np.add(coarse, mirrored)
    return tuple(2 * coarse - mirrored), tuple(coarse)


def prolonged(coarse, fine, active, loads=1):
    out = np.zeros((3, *fine), coarse.dtype)
    split(kernels.prolong, fine[0], coarse, loads, active, out, splits=SPLITS)
    return out


def restricted(fine, coarse, mirrored, loads=1):
    out = np.full((3, *coarse), np.nan, fine.dtype)
    split(kernels.restrict, coarse[0], fine, mirrored, loads, out, splits=SPLITS)
    return out


@pytest.mark.parametrize("mirrored", MIRRORS)
@pytest.mark.parametrize("coarse", [(2, 3, 4), (3, 1, 2), (1, 2, 1), (1, 1, 1)])
def test_prolong_is_trilinear_interpolation_and_restrict_its_transpose(coarse, mirrored):
    fine, coarse = grids(coarse, mirrored)
    c, f = random_fields(1, coarse)[0], random_fields(1, fine)[0]
    found = prolonged(c, fine, np.ones(fine[:2], dtype=bool))
    np.testing.assert_allclose(found, naive.interpolated(c, mirrored), atol=1e-14)
    transpose = np.vdot(restricted(f, coarse, mirrored), c)
    assert transpose == pytest.approx(np.vdot(f, naive.interpolated(c, mirrored)), rel=1e-12)


def test_prolong_adds_to_what_is_there_in_the_active_rows_only():
    c, before = random_fields(1, (2, 2, 2))[0], random_fields(1, (4, 4, 4))[0]
    active = np.random.default_rng(1).random((4, 4)) < 0.5
    out = before.copy()
    kernels.prolong(0, 4, c, 1, active, out)
    change = np.where(active[..., None], naive.interpolated(c, (False,) * 3), 0)
    np.testing.assert_allclose(out, before + change, atol=1e-14)


def test_prolong_keeps_fields_that_are_linear():
    """Mirrors end the box, so that nothing wraps around."""
    fine, coarse = grids((2, 3, 4), (True, True, True))
    A = np.random.default_rng(0).standard_normal((3, 3))
    linear = np.einsum("ci,ixyz->cxyz", A, 2.0 * np.indices(coarse))
    found = prolonged(linear, fine, np.ones(fine[:2], dtype=bool))
    np.testing.assert_allclose(found, np.einsum("ci,ixyz->cxyz", A, np.indices(fine)), atol=1e-13)


@pytest.mark.parametrize("mirrored", MIRRORS[1:])
def test_transfer_of_loads_side_by_side_is_that_of_each(mirrored):
    loads, (fine, coarse) = 3, grids((2, 3, 2), mirrored)
    c, f = random_fields(loads, coarse), random_fields(loads, fine)
    wide = (*fine[:2], loads * fine[2])
    active = np.ones(fine[:2], dtype=bool)
    found = prolonged(np.concatenate(list(c), axis=3), wide, active, loads)
    expected = [naive.interpolated(field, mirrored) for field in c]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=3), atol=1e-14)
    wide = (*coarse[:2], loads * coarse[2])
    found = restricted(np.concatenate(list(f), axis=3), wide, mirrored, loads)
    expected = [restricted(field, coarse, mirrored) for field in f]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=3), atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_dense_stiffness_is_the_sum_over_voxels(shape):
    factor, element = graded(shape), element_stiffness(CUBIC)
    out = np.zeros((3 * factor.size, 3 * factor.size))
    kernels.assemble_dense(factor, element, out)
    order = naive.dofs(np.arange(3 * factor.size).reshape(3, *shape))
    np.testing.assert_allclose(
        out[np.ix_(order, order)], naive.assembled(factor, element), atol=1e-13
    )


def test_a_matrix_is_the_square_of_its_cholesky_factor():
    root = np.random.default_rng(0).standard_normal((7, 7))
    A = root @ root.T
    U = A.copy()
    kernels.cholesky(U)
    U = np.triu(U)
    np.testing.assert_allclose(U.T @ U, A, atol=1e-12)


def test_the_coarsest_stiffness_is_inverted_for_each_load():
    """To single precision; fixed displacements and those that touch no solid stay zero."""
    factor = symmetric_factor((8, 4, 4), ORTHORHOMBIC)
    problem = cell_problem(factor, group=group(ORTHORHOMBIC))
    system = VoxelSystem(problem, (0, 3), Workers(1))
    level = system.levels[-1].factor
    shape = (*level.shape[:2], level.shape[2] // 2)
    rhs = np.random.default_rng(0).standard_normal((3, *level.shape)).astype(np.float32)
    out = np.full_like(rhs, np.nan)
    kernels.solve_coarsest(system.coarsest, rhs, out)
    K = naive.assembled(level[..., : shape[2]].astype(float), problem.element)
    for place, load in enumerate((0, 3)):
        found = naive.dofs(system.unpack(out, place).astype(float))
        free = K.diagonal() > 0
        for c, axis in np.argwhere(problem.fixed(load)):
            node = np.indices(shape)[axis]
            ends = (node == 0) | (node == shape[axis] - 1)
            free &= ~naive.dofs(np.array([ends & (c == other) for other in range(3)]))
        loads = naive.dofs(system.unpack(rhs, place))[free]
        np.testing.assert_allclose(K[np.ix_(free, free)] @ found[free], loads, atol=1e-3)
        np.testing.assert_allclose(found[~free], 0, atol=1e-8)


@pytest.fixture
def mirrored():
    """Graded octant of 8 x 4 x 8 voxels."""
    factor = symmetric_factor((16, 8, 16), ORTHORHOMBIC)
    return cell_problem(factor, group=group(ORTHORHOMBIC))


def test_a_cycle_in_a_single_call_has_the_bits_of_its_steps_on_three_threads(mirrored, monkeypatch):
    monkeypatch.setattr(multigrid, "COARSEST", 100)
    residual = random_fields(1, (*mirrored.factor.shape[:2], 2 * mirrored.factor.shape[2]))[0]
    found = []
    for alone in (10**9, 0):
        monkeypatch.setattr(multigrid, "ALONE", alone)
        with Workers(3) as workers:
            system = VoxelSystem(mirrored, (0, 3), workers)
            assert len(system.levels) == 3
            found.append(system.precondition(system.start(residual)).copy())
    np.testing.assert_array_equal(*found)
    assert np.abs(found[0]).max() > 0.1


def test_vectors_of_loads_side_by_side_are_those_of_each_load(mirrored, monkeypatch):
    monkeypatch.setattr(multigrid, "ALONE", 0)
    shape, alpha = mirrored.factor.shape, np.array([0.3, -2.0])
    fields = random_fields(8, shape, np.float32).reshape(4, 2, 3, *shape)
    with Workers(3) as workers:
        system = VoxelSystem(mirrored, (0, 3), workers)
        a, b, c, d = (system.pack(pair.copy()) for pair in fields)
        products = [np.vdot(*(system.unpack(v, n).astype(float) for v in (a, b))) for n in (0, 1)]
        np.testing.assert_allclose(system.dot(a, b), products, rtol=1e-6)
        x, r, p = c.copy(), d.copy(), d.copy()
        system.advance(alpha, a, b, x, r)
        system.turn(alpha, a, p)
    for n in (0, 1):
        one, two, three, four = (system.unpack(v, n) for v in (a, b, c, d))
        np.testing.assert_allclose(system.unpack(x, n), three + alpha[n] * one, atol=1e-5)
        np.testing.assert_allclose(system.unpack(r, n), four - alpha[n] * two, atol=1e-5)
        np.testing.assert_allclose(system.unpack(p, n), one + alpha[n] * four, atol=1e-5)


SLABS = [((3, 4, 5), 2), ((1, 3, 2), 16), ((2, 1, 3), 1)]


@pytest.mark.parametrize(("shape", "thickness"), SLABS)
def test_dilatation_products_are_integrals_of_the_traces(shape, thickness):
    """As the energies of a solid that resists nothing but a change of volume."""
    factor, u = graded(shape), random_fields(3, shape)
    strains = (0, 2, 3)
    traces, products = np.array([1.0, 1.0, 0.0]), np.zeros((3, 3))
    for slab, part in slabs(list(u), factor, thickness):
        kernels.dilatation_products(slab, traces, part, products)
    volumetric = np.zeros((6, 6))
    volumetric[:3, :3] = 1
    element = naive.element_stiffness(volumetric)
    v = [naive.voxel_displacements(*pair) for pair in zip(u, strains, strict=True)]
    expected = [[(factor * naive.energy_products(p, q, element)).sum() for q in v] for p in v]
    np.testing.assert_allclose(products, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "thickness"), SLABS)
def test_energy_products_are_quadratic_forms_in_the_solid_voxels(shape, thickness):
    factor, u = graded(shape), random_fields(3, shape)
    strains, weights = (0, 2, 3), np.random.default_rng(2).standard_normal((3, 3))
    affine, element = unit_strain_displacements()[:, strains], element_stiffness(CUBIC)
    parts = []
    for slab, part in slabs(list(u), factor, thickness):
        parts.append(np.zeros(part.shape))
        kernels.energy_products(slab, affine, part, element, weights, parts[-1])
    v = [naive.voxel_displacements(*pair) for pair in zip(u, strains, strict=True)]
    terms = [
        weights[p, q] * naive.energy_products(v[p], v[q], element) for p, q in np.ndindex(3, 3)
    ]
    expected = np.where(factor > 0, np.sum(terms, axis=0), 0)
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-11, atol=1e-11)


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: ("compiled", function.__name__)

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels.kernel(naive.components) == ("compiled", "components")
