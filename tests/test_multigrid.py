"""The preconditioner without a matrix: symmetric, positive, close to the inverse."""

import naive
import numpy as np
import pytest
from conftest import GENERATORS, cell_problem, group, symmetric_factor

from homog import Isotropic, formats, homogenize, multigrid
from homog import voxel_kernels as kernels
from homog.errors import DataError
from homog.multigrid import VoxelSystem
from homog.threads import Workers

SHAPES = {
    "triclinic": (12, 8, 16),
    "monoclinic": (8, 12, 8),
    "two mirrors": (16, 8, 12),
    "orthorhombic": (16, 24, 12),
}


def problem_of(name, density=0.7):
    factor = symmetric_factor(SHAPES[name], GENERATORS[name], density)
    return cell_problem(factor, group=group(GENERATORS[name]))


@pytest.fixture(params=SHAPES)
def problem(request):
    return problem_of(request.param)


def batches(problem):
    """Every load alone, and some side by side where that can be."""
    together = [(0, 3, 4), (5, 1)] if problem.reduction.mirrored[2] else []
    return [(0,), (3,), (4,), (5,), *together]


def random_vectors(system, problem, count=2):
    rng = np.random.default_rng(0)
    shape = (count, len(system.loads), 3, *problem.factor.shape)
    free = np.array([problem.free(load) for load in system.loads])
    return [system.pack(list(fields)) for fields in rng.standard_normal(shape) * free]


def preconditioned(system, vector):
    return system.precondition(system.start(vector)).astype(float)


def test_cycle_is_symmetric_and_positive_to_single_precision(problem):
    for batch in batches(problem):
        system = VoxelSystem(problem, batch, Workers(1))
        assert len(system.levels) >= 2
        f, g = random_vectors(system, problem)
        there, back = (system.dot(preconditioned(system, a), b) for a, b in ((f, g), (g, f)))
        energy = system.dot(preconditioned(system, f), f)
        assert (energy > 0).all()
        assert (np.abs(there - back) < 1e-5 * energy).all()


def test_cycles_alone_reduce_the_error(problem):
    """By about 0.4 a cycle in cells with 30 % of random voids."""
    for batch in batches(problem):
        system = VoxelSystem(problem, batch, Workers(1))
        (x,) = random_vectors(system, problem, 1)
        r = -system.residual(x, np.zeros_like(x))
        first = np.sqrt(system.dot(r, r))
        y = np.zeros_like(x)
        load = r.copy()
        for _ in range(10):
            y += preconditioned(system, r)
            r = system.residual(y, load)
        assert (np.sqrt(system.dot(r, r)) < 5e-4 * first).all()


def test_product_and_residual_are_those_of_the_assembled_stiffness():
    """Where a displacement vanishes nothing is left, whatever stands there."""
    name = "two mirrors"
    factor = symmetric_factor((8, 4, 4), GENERATORS[name])
    problem = cell_problem(factor, group=group(GENERATORS[name]))
    K = naive.assembled(problem.factor, problem.element)
    system = VoxelSystem(problem, (0, 3, 4), Workers(1))
    p, b = random_vectors(system, problem)
    product = system.product(p.astype(np.float32)).copy()
    residual = system.residual(p, b)
    for place, load in enumerate(system.loads):
        free = problem.free(load)
        expected = naive.field(K @ naive.dofs(system.unpack(p, place)), free.shape[1:]) * free
        np.testing.assert_allclose(system.unpack(product, place), expected, atol=1e-5)
        expected = system.unpack(b, place) - expected
        np.testing.assert_allclose(system.unpack(residual, place), expected, atol=1e-12)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_every_thread_count_gives_the_same_bits(threads, problem, monkeypatch):
    """The split into slabs, and the one call that does it all on small grids."""
    batch = batches(problem)[-1]
    found = []
    for count, alone in ((1, 10**9), (threads, 0), (threads, 300)):
        monkeypatch.setattr(multigrid, "ALONE", alone)
        with Workers(count) as workers:
            system = VoxelSystem(problem, batch, workers)
            f, g = random_vectors(system, problem)
            single = g.astype(np.float32)
            r = system.start(f)
            results = [system.precondition(r).copy(), system.product(single).copy()]
            results += [system.residual(g, f), system.dot(f, g)]
            system.advance(np.full(len(batch), 0.3), single, single, single, r)
            system.turn(np.full(len(batch), 0.2), r, single)
            found.append([*results, single, r.copy()])
    for one, other in ((0, 1), (0, 2)):
        for a, b in zip(found[one], found[other], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["triclinic", "orthorhombic", "cubic"])
def test_every_thread_count_gives_the_same_result(name, monkeypatch):
    factor = symmetric_factor(SHAPES.get(name, (16, 16, 16)), GENERATORS[name])
    found = []
    for threads, alone in ((1, 10**9), (3, 0)):
        monkeypatch.setattr(multigrid, "ALONE", alone)
        solid = Isotropic(1.0, 0.3)
        found.append(homogenize(factor > 0, solid, stiffness_factor=factor, threads=threads))
    assert found[0].solver.method == "multigrid"
    assert found[0].solver.iterations == found[1].solver.iterations
    np.testing.assert_array_equal(found[0].C, found[1].C)
    np.testing.assert_array_equal(found[0].dC_dnu, found[1].dC_dnu)


@pytest.mark.parametrize("name", SHAPES)
def test_single_precision_does_not_limit_the_result(name):
    """The true residual comes from double precision: C is right to the tightest tolerance."""
    factor, solid = symmetric_factor(SHAPES[name], GENERATORS[name], seed=1), Isotropic(1.0, 0.3)
    options = {"tol": 1e-12, "stiffness_factor": factor, "threads": 1}
    result = homogenize(factor > 0, solid, method="multigrid", **options)
    expected = homogenize(factor > 0, solid, method="amg", **options)
    assert np.abs(result.C - expected.C).max() < 2e-12 * expected.C.max()


def test_coarse_voxels_have_the_mean_factor_and_twice_the_stiffness_for_twice_the_edge(problem):
    system = VoxelSystem(problem, (0,), Workers(1))
    total = problem.factor.sum()
    for n, level in enumerate(system.levels):
        assert level.factor.sum() == pytest.approx(total * 2**n / 8**n, rel=1e-6)
        for axis, mirrored in enumerate(problem.reduction.mirrored):
            if mirrored:
                assert not np.take(level.factor, -1, axis).any()


@pytest.mark.parametrize(
    ("voxels", "mirrored", "expected"),
    [
        ((2, 2, 2), (False, False, False), [(2, 2, 2), (1, 1, 1)]),
        ((8, 8, 8), (True, True, True), [(8, 8, 8), (4, 4, 4)]),
        ((20, 20, 20), (False, False, False), [(20, 20, 20), (10, 10, 10), (5, 5, 5)]),
        ((12, 8, 16), (False, True, False), [(12, 8, 16), (6, 4, 8), (3, 2, 4)]),
        ((7, 8, 8), (False, False, False), None),
        ((22, 22, 22), (False, False, False), None),
    ],
)
def test_sides_are_halved_until_the_rest_can_be_solved_directly(
    voxels, mirrored, expected, monkeypatch
):
    """600 unknowns can; 22 voxels become 11, which are too many and odd."""
    monkeypatch.setattr(multigrid, "COARSEST", 600)
    assert multigrid.levels_of(voxels, mirrored) == expected


def test_a_box_fits_if_it_has_levels_and_its_rows_their_place(monkeypatch):
    assert not multigrid.fits(cell_problem(np.ones((7, 8, 8))))
    problem = cell_problem(np.ones((8, 8, 20)))
    assert multigrid.fits(problem)
    monkeypatch.setattr(kernels, "LONGEST", 19)
    assert not multigrid.fits(problem)


def test_a_box_that_does_not_fit_is_solved_by_the_assembled_path_without_complaint():
    cell = np.random.default_rng(0).random((7, 6, 6)) < 0.8
    result = homogenize(cell, Isotropic(1.0, 0.3))
    assert result.solver.method == "amg"
    assert "fallback" not in [finding.code for finding in result.warnings]


def test_loads_stand_side_by_side_only_where_a_layer_of_void_parts_them():
    assert multigrid.batches(problem_of("triclinic")) == [(n,) for n in range(6)]
    assert multigrid.batches(problem_of("monoclinic")) == [(n,) for n in range(6)]
    assert multigrid.batches(problem_of("two mirrors")) == [(0, 1, 2, 3, 4, 5)]


def test_every_load_is_in_one_batch_and_no_row_is_too_long(monkeypatch):
    problem = problem_of("orthorhombic")
    for room in (0, 2, 3, 4, 100):
        monkeypatch.setattr(multigrid, "TOGETHER", room * problem.factor.size)
        batches = multigrid.batches(problem)
        assert sum(batches, start=()) == problem.loads
        assert max(map(len, batches)) == max(1, min(room, 6))
    monkeypatch.setattr(kernels, "LONGEST", 2 * problem.factor.shape[2])
    assert list(map(len, multigrid.batches(problem))) == [2, 2, 2]


def test_a_problem_beyond_the_free_memory_is_refused_with_its_estimate(monkeypatch):
    problem = cell_problem(np.ones((8, 10, 12)))
    estimate = 960 * multigrid.BYTES_PER_NODE
    monkeypatch.setattr(formats, "available_memory", lambda: estimate)
    VoxelSystem(problem, (0,), Workers(1))
    monkeypatch.setattr(formats, "available_memory", lambda: estimate - 1)
    with pytest.raises(DataError, match=r"needs about 0.0 GB .* 2880 unknowns"):
        VoxelSystem(problem, (0,), Workers(1))


def test_smoothing_is_the_chebyshev_iteration():
    """Two steps, from zero and from anything: the error is that of the scaled polynomial."""
    largest = 3.7
    first, (second, again, last) = multigrid.chebyshev(largest)
    low = largest / multigrid.SMOOTHED
    for eigenvalue in np.linspace(0.05, largest, 13):
        point = (largest + low - 2 * eigenvalue) / (largest - low)
        scale = (largest + low) / (largest - low)
        expected = (2 * point**2 - 1) / (2 * scale**2 - 1)
        start, exact = 0.0, 1 / eigenvalue
        one = first
        two = second[0] * one + second[1] * one + second[2] * (1 - eigenvalue * one)
        assert (exact - two) / exact == pytest.approx(expected, abs=1e-5)
        start = 5.0
        one = again[0] * start + again[1] * start + again[2] * (1 - eigenvalue * start)
        two = last[0] * one + last[1] * start + last[2] * (1 - eigenvalue * one)
        assert (exact - two) / (exact - start) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("nu", [-0.9, 0.0, 0.3, 0.49])
def test_no_cell_has_a_larger_eigenvalue_than_one_voxel(nu):
    """Of the stiffness scaled by its diagonal: Chebyshev's interval holds for every cell."""
    problem = cell_problem(symmetric_factor((3, 3, 3), density=0.6), Isotropic(1.0, nu))
    K = naive.assembled(problem.factor, problem.element)
    touched = K.diagonal() > 0
    K = K[np.ix_(touched, touched)]
    root = 1 / np.sqrt(K.diagonal())
    element = problem.element
    bound = multigrid._largest_eigenvalue(element)
    assert np.linalg.eigvalsh(root[:, None] * K * root)[-1] <= bound * (1 + 1e-12)
