import numpy as np
import pytest

from homog import Isotropic, amg, kernels
from homog.cell_problem import CellProblem
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


def test_a_problem_beyond_the_free_memory_is_refused_with_its_estimate(monkeypatch):
    monkeypatch.setattr(amg, "available_memory", lambda: 1e6)
    voxels = np.ones((10, 10, 10))
    voxels[0, 0, 0] = 0
    problem = CellProblem(voxels, Isotropic(1.0, 0.3).stiffness, np.ones(3, dtype=bool))
    with pytest.raises(DataError, match=r"needs about 0.0 GB .* 3000 unknowns"):
        amg.solve(problem, 1e-6, Workers(1), lambda fraction: None)
