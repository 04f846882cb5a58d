import numpy as np
import pytest

from homog import conjugate_gradients as cg
from homog.errors import ConvergenceError


def system_of(A, M=None):
    """Dense system in the layout of the solver: (nodes, 3 * loads)."""

    def flat(a):
        return a.reshape(len(A), -1)

    def precondition(r):
        return (flat(r).copy() if M is None else M @ flat(r)).reshape(r.shape)

    return cg.LinearSystem(lambda x, f: (flat(f) - A @ flat(x)).reshape(f.shape), precondition)


def ill_conditioned(n, condition, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (Q * np.geomspace(1, condition, n)) @ Q.T


def loads_with_energy(A, loads=2):
    b = np.random.default_rng(1).standard_normal((len(A), loads))
    energy = np.einsum("nl,nl->l", b, np.linalg.solve(A, b))
    return b.reshape(len(A) // 3, -1), energy


@pytest.mark.parametrize("condition", [10, 1e3, 1e4])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-10])
def test_energy_is_right_to_the_tolerance_and_the_estimate_is_honest(condition, tol):
    A = ill_conditioned(60, condition)
    b, energy = loads_with_energy(A)
    affine = 1.5 * energy  # as much again as is left after relaxation, for the larger load
    solution = cg.conjugate_gradients(system_of(A), b, cg.Accuracy(affine, tol, lambda _: None))
    x, r = solution.x.reshape(60, -1), solution.r.reshape(60, -1)
    reached = np.einsum("nl,nl->l", x, b.reshape(60, -1) + r)
    error = np.abs(energy - reached)
    largest = (affine - energy).max()
    assert error.max() <= tol * largest
    assert np.all(error <= solution.error + 1e-14 * energy)
    assert error.max() <= solution.error.max() <= tol * largest * (1 + 1e-6)


def test_progress_rises_to_the_end():
    A = ill_conditioned(60, 1e3)
    b, energy = loads_with_energy(A)
    seen = []
    cg.conjugate_gradients(system_of(A), b, cg.Accuracy(2 * energy, 1e-8, seen.append))
    assert seen[0] < 0.5
    assert seen[-1] == 1
    assert all(0 < fraction <= 1 for fraction in seen)


def test_a_load_of_nothing_takes_no_iterations():
    A = ill_conditioned(6, 10)
    b, energy = loads_with_energy(A)
    b = b.reshape(6, 2) * [1, 0]
    accuracy = cg.Accuracy(2 * energy, 1e-6, lambda _: None)
    solution = cg.conjugate_gradients(system_of(A), b.reshape(2, 6), accuracy)
    assert solution.iterations[0] > 0
    assert solution.iterations[1] == 0
    assert not solution.x.reshape(6, 2)[:, 1].any()
    nothing = cg.conjugate_gradients(system_of(A), np.zeros((2, 6)), accuracy)
    assert nothing.iterations == (0, 0)


def test_consistent_singular_system_is_solved():
    A = ill_conditioned(30, 100)
    null = np.random.default_rng(5).standard_normal(30)
    P = np.eye(30) - np.outer(null, null) / (null @ null)
    A = P @ A @ P
    b = P @ np.random.default_rng(1).standard_normal((30, 1))
    energy = np.einsum("nl,nl->l", b, np.linalg.pinv(A) @ b)
    accuracy = cg.Accuracy(2 * energy, 1e-10, lambda _: None)
    solution = cg.conjugate_gradients(system_of(A), b.reshape(10, 3), accuracy)
    assert b.ravel() @ solution.x.ravel() == pytest.approx(energy[0], rel=1e-9)


def test_slow_convergence_is_an_error_and_not_a_number(monkeypatch):
    monkeypatch.setattr(cg, "LIMIT", 5)
    A = ill_conditioned(60, 1e4)
    b, energy = loads_with_energy(A)
    with pytest.raises(ConvergenceError, match=r"no convergence in 5 iterations.*larger tol"):
        cg.conjugate_gradients(system_of(A), b, cg.Accuracy(2 * energy, 1e-8, lambda _: None))


def test_error_bound_is_exact_for_one_eigenvalue_but_for_the_caution():
    """One iteration on a multiple of the identity: nothing is left, the bound says so."""
    assert cg.energy_error(np.array([[0.5]]), np.array([[0.0]]), np.zeros(1)) == 0
    stalled = cg.energy_error(np.full((5, 1), 0.5), np.full((5, 1), 0.999), np.ones(1))
    assert stalled > 1


def test_overflow_is_an_error():
    A = ill_conditioned(6, 10) * 1e200
    b = np.full((2, 3), 1e200)
    with pytest.raises(ConvergenceError, match="overflow"), np.errstate(over="ignore"):
        cg.conjugate_gradients(system_of(A), b, cg.Accuracy(np.ones(1), 1e-6, lambda _: None))


def test_residuals_that_drift_apart_are_an_error():
    """A matrix that changes between the iteration and the check stands for lost precision."""
    A = ill_conditioned(30, 100)
    b, energy = loads_with_energy(A, loads=1)
    exact = system_of(A)
    drifting = cg.LinearSystem(
        lambda x, f: exact.residual(x, f) + (1e-3 if f.any() else 0), exact.precondition
    )
    with pytest.raises(ConvergenceError, match="rounding errors"):
        cg.conjugate_gradients(drifting, b, cg.Accuracy(2 * energy, 1e-6, lambda _: None))
