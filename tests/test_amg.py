import naive
import numpy as np
import pytest
from conftest import ORTHORHOMBIC, cell_problem, group, symmetric_factor

from homog import Isotropic, amg, formats, kernels
from homog.domain import periodic_domain
from homog.element import element_stiffness
from homog.errors import DataError
from homog.threads import Workers


@pytest.fixture
def assembled():
    """A porous cell large enough for three levels."""
    rng = np.random.default_rng(0)
    solid = rng.random((14, 15, 16)) < 0.7
    domain = periodic_domain(solid)
    element = element_stiffness(Isotropic(1.0, 0.3).stiffness)
    return amg.assemble(solid.astype(float), domain, element), domain


@pytest.fixture
def mirrored():
    """Graded problem with three mirrors, most of its loads with displacements that vanish."""
    factor = symmetric_factor((6, 4, 8), ORTHORHOMBIC)
    return cell_problem(factor, group=group(ORTHORHOMBIC))


def test_vcycle_is_symmetric_and_positive(assembled):
    matrix, domain = assembled
    vcycle = amg.VCycle(matrix, amg.rigid_body_modes(domain.coordinates), Workers(1))
    assert len(vcycle.levels) >= 2
    rng = np.random.default_rng(1)
    shape = (domain.count, 3 * kernels.LOADS)
    f, g = rng.standard_normal((2, *shape))
    there = np.einsum("nl,nl->l", *(a.reshape(-1, kernels.LOADS) for a in (vcycle(f), g)))
    back = np.einsum("nl,nl->l", *(a.reshape(-1, kernels.LOADS) for a in (f, vcycle(g))))
    np.testing.assert_allclose(there, back, rtol=1e-10)
    energy = np.einsum("nl,nl->l", *(a.reshape(-1, kernels.LOADS) for a in (vcycle(f), f)))
    assert (energy > 0).all()


def test_vcycles_alone_reduce_the_error(assembled):
    """No smoothed eigenvalue is overestimated so far, or under, that a cycle diverges."""
    matrix, domain = assembled
    vcycle = amg.VCycle(matrix, amg.rigid_body_modes(domain.coordinates), Workers(1))
    x = np.random.default_rng(1).standard_normal((domain.count, 3 * kernels.LOADS))
    f = -vcycle.residual(matrix, x, np.zeros_like(x))  # consistent
    r, y = f, np.zeros_like(f)
    for _ in range(10):
        y += vcycle(r)
        r = vcycle.residual(matrix, y, f)
    assert np.linalg.norm(r) < 0.05 * np.linalg.norm(f)


def test_every_thread_count_gives_the_same_bits(assembled):
    matrix, domain = assembled
    modes = amg.rigid_body_modes(domain.coordinates)
    f = np.random.default_rng(1).standard_normal((domain.count, 3 * kernels.LOADS))
    results = []
    for threads in (1, 2, 5):
        with Workers(threads) as workers:
            results.append(amg.VCycle(matrix, modes, workers)(f))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_rigid_body_modes_have_no_energy_without_periodicity():
    """A block that does not reach the faces of the box can turn freely."""
    solid = np.zeros((5, 6, 7), dtype=bool)
    solid[1:4, 1:3, 1:5] = True
    domain = periodic_domain(solid)
    element = element_stiffness(Isotropic(1.0, 0.3).stiffness)
    matrix = amg.assemble(solid.astype(float), domain, element)
    modes = amg.rigid_body_modes(domain.coordinates)
    np.testing.assert_allclose(matrix @ modes, 0, atol=1e-12)
    assert np.linalg.matrix_rank(modes) == 6


def test_displacements_that_vanish_are_decoupled_and_the_rest_is_as_it_was(mirrored):
    domain = periodic_domain(mirrored.factor > 0)
    matrix = amg.assemble(mirrored.factor, domain, mirrored.element)
    free = np.random.default_rng(2).random((domain.count, 3)) < 0.8
    found = amg.constrained(matrix, free)
    kept = np.diag(free.ravel().astype(float))
    dense = matrix.toarray()
    expected = kept @ dense @ kept
    np.fill_diagonal(expected, dense.diagonal())
    np.testing.assert_array_equal(found.toarray(), expected)
    np.testing.assert_allclose(expected, expected.T, atol=1e-14)
    assert found.blocksize == (3, 3)
    assert amg.constrained(matrix, np.ones_like(free)) is matrix


def test_batches_hold_the_loads_of_one_matrix(mirrored):
    """Strains along the axes leave all mirrors as they are, each shear reverses two of them."""
    assert sorted(amg.batches(mirrored)) == [(0, 1, 2), (3,), (4,), (5,)]
    assert amg.batches(cell_problem(np.ones((2, 2, 2)))) == [(0, 1, 2, 3, 4, 5)]


@pytest.mark.parametrize("batch", [(0, 1, 2), (3,), (4,), (5,)])
def test_system_is_the_stiffness_of_the_free_displacements(batch, mirrored):
    system = amg.AssembledSystem(mirrored, batch, Workers(1))
    fields = np.random.default_rng(4).standard_normal((len(batch), 3, *mirrored.factor.shape))
    free = mirrored.free(batch[0])
    K = naive.assembled(mirrored.factor, mirrored.element)
    packed, loads = system.pack(fields), system.pack(fields[::-1])
    product, residual = system.product(packed), system.residual(packed, loads)
    for place, field in enumerate(fields):
        np.testing.assert_array_equal(system.unpack(packed, place), field * free)
        expected = naive.field(K @ naive.dofs(field * free), free.shape[1:]) * free
        np.testing.assert_allclose(system.unpack(product, place), expected, atol=1e-12)
        expected = fields[::-1][place] * free - expected
        np.testing.assert_allclose(system.unpack(residual, place), expected, atol=1e-12)
    assert not system.unpack(system.precondition(packed), 0)[~free].any()
    products = (fields * fields[::-1] * free).sum(axis=(1, 2, 3, 4))
    unused = kernels.LOADS - len(batch)
    found = system.dot(packed, loads)
    np.testing.assert_allclose(found, np.pad(products, (0, unused)), atol=1e-12)
    np.testing.assert_array_equal(system.energies(batch), (*batch, *[0] * unused))


def test_a_problem_beyond_the_free_memory_is_refused_with_its_estimate(monkeypatch):
    voxels = np.ones((10, 10, 10))
    voxels[0, 0, 0] = 0
    problem = cell_problem(voxels)
    estimate = 1000 * amg.BYTES_PER_NODE
    monkeypatch.setattr(formats, "available_memory", lambda: estimate)
    amg.AssembledSystem(problem, (0,), Workers(1))
    monkeypatch.setattr(formats, "available_memory", lambda: estimate - 1)
    with pytest.raises(DataError, match=r"needs about 0.0 GB .* 3000 unknowns"):
        amg.AssembledSystem(problem, (0,), Workers(1))


def test_translations_have_no_place_in_the_coarsest_inverse(assembled):
    """Rounding leaves their eigenvalues at 1e-16 of the matrix, of either sign, and not at 0."""
    matrix, domain = assembled
    vcycle = amg.VCycle(matrix, amg.rigid_body_modes(domain.coordinates), Workers(1))
    eigenvalues = np.linalg.eigvalsh(vcycle.coarsest)
    assert eigenvalues.min() > -1e-9 * eigenvalues.max()
    assert np.count_nonzero(eigenvalues > 1e-6 * eigenvalues.max()) == len(eigenvalues) - 3
