import numpy as np
import pytest

from homog import conjugate_gradients as cg
from homog import kernels
from homog.errors import ConvergenceError


class DenseSystem(cg.LinearSystem):
    """Dense matrix and preconditioner; vectors are (unknowns, loads)."""

    def __init__(self, A, M=None):
        self.A = A
        self.M = np.eye(len(A)) if M is None else M

    def start(self, residual):
        return residual.copy()

    def product(self, p):
        return self.A @ p

    def residual(self, x, b):
        return b - self.A @ x

    def precondition(self, r):
        return self.M @ r

    def dot(self, a, b):
        return np.einsum("nl,nl->l", a, b)

    def advance(self, alpha, p, product, x, r):
        x += alpha * p
        r -= alpha * product

    def turn(self, beta, z, p):
        p *= beta
        p += z


class SingleSystem(DenseSystem):
    """The same in single precision, but for the residual at the end and inner products."""

    memory = 1e-9

    def __init__(self, A, M=None):
        super().__init__(A, M)
        self.exact, self.A, self.M = self.A, self.A.astype("f4"), self.M.astype("f4")

    def start(self, residual):
        return residual.astype("f4")

    def residual(self, x, b):
        return b - self.exact @ x

    def dot(self, a, b):
        return super().dot(a.astype(float), b.astype(float))

    def advance(self, alpha, p, product, x, r):
        super().advance(alpha.astype("f4"), p, product, x, r)

    def turn(self, beta, z, p):
        super().turn(beta.astype("f4"), z, p)


def ill_conditioned(n, condition, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (Q * np.geomspace(1, condition, n)) @ Q.T


def loads_with_energy(A, loads=2):
    b = np.random.default_rng(1).standard_normal((len(A), loads))
    return b, np.einsum("nl,nl->l", b, np.linalg.solve(A, b))


def accuracy(affine, tol, **more):
    return cg.Accuracy(affine, tol, lambda _: None, **more)


@pytest.mark.parametrize("system", [DenseSystem, SingleSystem])
@pytest.mark.parametrize("condition", [10, 1e3, 1e4])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-10])
def test_energy_is_right_to_the_tolerance_and_the_estimate_is_honest(condition, tol, system):
    A = ill_conditioned(60, condition)
    b, energy = loads_with_energy(A)
    affine = 1.5 * energy  # as much again as is left after relaxation, for the larger load
    solution = cg.conjugate_gradients(system(A), b, accuracy(affine, tol))
    reached = np.einsum("nl,nl->l", solution.x, b + solution.r)
    error = np.abs(energy - reached)
    largest = (affine - energy).max()
    assert error.max() <= tol * largest
    assert np.all(error <= solution.error + 1e-14 * energy)
    assert error.max() <= solution.error.max() <= tol * largest * (1 + 1e-6)


def test_a_preconditioner_saves_iterations_and_leaves_the_solution():
    A = ill_conditioned(60, 1e4)
    b, energy = loads_with_energy(A)
    M = np.linalg.inv(A + 0.1 * np.diag(np.diag(A)))
    plain, helped = (
        cg.conjugate_gradients(DenseSystem(A, m), b, accuracy(2 * energy, 1e-10)) for m in (None, M)
    )
    np.testing.assert_allclose(helped.x, np.linalg.solve(A, b), atol=1e-4 * np.abs(helped.x).max())
    assert max(helped.iterations) < max(plain.iterations) / 2


def test_the_residual_is_that_of_the_solution():
    A = ill_conditioned(60, 1e3)
    b, energy = loads_with_energy(A)
    solution = cg.conjugate_gradients(DenseSystem(A), b, accuracy(2 * energy, 1e-4))
    np.testing.assert_allclose(solution.r, b - A @ solution.x, rtol=1e-12, atol=0)
    relative = np.linalg.norm(solution.r, axis=0) / np.linalg.norm(b, axis=0)
    assert solution.residuals == pytest.approx(relative.tolist(), rel=1e-12)


def test_an_entry_known_to_be_larger_sets_the_scale_of_the_error():
    A = ill_conditioned(60, 1e4)
    b, energy = loads_with_energy(A)
    largest = 1e3 * energy.max()
    strict = cg.conjugate_gradients(DenseSystem(A), b, accuracy(2 * energy, 1e-8))
    lenient = cg.conjugate_gradients(DenseSystem(A), b, accuracy(2 * energy, 1e-8, largest=largest))
    assert max(lenient.iterations) < max(strict.iterations)
    assert 1e-8 * energy.max() < lenient.error.max() <= 1e-8 * largest
    smaller = cg.conjugate_gradients(
        DenseSystem(A), b, accuracy(2 * energy, 1e-8, largest=1e-3 * energy.max())
    )
    assert smaller.iterations == strict.iterations


def test_progress_rises_to_the_end():
    A = ill_conditioned(60, 1e3)
    b, energy = loads_with_energy(A)
    seen = []
    cg.conjugate_gradients(DenseSystem(A), b, cg.Accuracy(2 * energy, 1e-8, seen.append))
    assert seen[0] < 0.5
    assert seen[-1] == 1
    assert all(0 <= fraction <= 1 for fraction in seen)


def test_a_load_of_nothing_takes_no_iterations():
    A = ill_conditioned(6, 10)
    b, energy = loads_with_energy(A)
    b *= [1, 0]
    solution = cg.conjugate_gradients(DenseSystem(A), b, accuracy(2 * energy, 1e-6))
    assert solution.iterations[0] > 0
    assert solution.iterations[1] == 0
    assert not solution.x[:, 1].any()
    nothing = cg.conjugate_gradients(DenseSystem(A), 0 * b, accuracy(2 * energy, 1e-6))
    assert nothing.iterations == (0, 0)


def test_consistent_singular_system_is_solved():
    A = ill_conditioned(30, 100)
    null = np.random.default_rng(5).standard_normal(30)
    P = np.eye(30) - np.outer(null, null) / (null @ null)
    A = P @ A @ P
    b = P @ np.random.default_rng(1).standard_normal((30, 1))
    energy = np.einsum("nl,nl->l", b, np.linalg.pinv(A) @ b)
    solution = cg.conjugate_gradients(DenseSystem(A), b, accuracy(2 * energy, 1e-10))
    assert b.ravel() @ solution.x.ravel() == pytest.approx(energy[0], rel=1e-9)


def singular(n=40):
    """Matrix with three modes without energy, and its range as a projection."""
    P = np.eye(n)
    for null in np.linalg.qr(np.random.default_rng(5).standard_normal((n, 3)))[0].T:
        P -= np.outer(null, null)
    return P @ ill_conditioned(n, 1e3) @ P, P


@pytest.mark.parametrize("system", [DenseSystem, SingleSystem])
@pytest.mark.parametrize("weight", [0, 10, 1000])
@pytest.mark.parametrize("tol", [1e-4, 1e-7, 1e-10])
def test_a_load_that_is_done_does_not_spoil_the_others(tol, weight, system):
    """In a singular matrix: what rounding leaves of its residual must not grow meanwhile.

    The preconditioner makes more of it, as that of a cell does for parts that can turn freely.
    """
    A, P = singular()
    M = np.eye(40) + weight * (np.eye(40) - P)
    easy = np.linalg.eigh(A)[1][:, -1]
    b = np.column_stack([easy, P @ np.random.default_rng(1).standard_normal(40)])
    energy = np.einsum("nl,nl->l", b, np.linalg.pinv(A, rcond=1e-9, hermitian=True) @ b)
    solution = cg.conjugate_gradients(system(A, M), b, accuracy(2 * energy, tol))
    reached = np.einsum("nl,nl->l", solution.x, b + solution.r)
    error = np.abs(energy - reached)
    assert (error <= solution.error + 1e-13 * energy.max()).all()
    assert (solution.error > 0).all()
    assert solution.error.max() <= tol * energy.max() * (1 + 1e-6)


@pytest.mark.parametrize("system", [DenseSystem, SingleSystem])
def test_a_load_that_nothing_can_balance_is_an_error(system):
    """It has a part in the modes without energy: no displacement makes the residual vanish."""
    A, _ = singular()
    b = np.random.default_rng(0).standard_normal((40, 2))
    with pytest.raises(ConvergenceError):
        cg.conjugate_gradients(system(A), b, accuracy(np.full(2, 1e3), 1e-6, limit=100))


def test_a_load_in_the_modes_without_energy_is_an_error():
    system, b = DenseSystem(np.diag([1.0, 0.0])), np.array([[0.0], [1.0]])
    with pytest.raises(ConvergenceError):
        cg.conjugate_gradients(system, b, accuracy(np.ones(1), 1e-6))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_energy_below_zero_is_an_error(share):
    """Relaxation cannot take more energy than there is: rounding has taken over."""
    A = ill_conditioned(60, 1e3)
    b, energy = loads_with_energy(A)
    with pytest.raises(ConvergenceError):
        cg.conjugate_gradients(DenseSystem(A), b, accuracy(share * energy, 1e-6))


def test_slow_convergence_is_an_error_and_not_a_number():
    A = ill_conditioned(60, 1e4)
    b, energy = loads_with_energy(A)
    needed = max(cg.conjugate_gradients(DenseSystem(A), b, accuracy(2 * energy, 1e-8)).iterations)
    exact = accuracy(2 * energy, 1e-8, limit=needed)
    assert max(cg.conjugate_gradients(DenseSystem(A), b, exact).iterations) == needed
    short = accuracy(2 * energy, 1e-8, limit=needed - 1)
    message = rf"no convergence in {needed - 1} iterations.*larger tol"
    with pytest.raises(ConvergenceError, match=message):
        cg.conjugate_gradients(DenseSystem(A), b, short)


@pytest.mark.parametrize("wrong", [1, 3, 60])
def test_an_indefinite_preconditioner_is_an_error(wrong):
    """Its products may become negative, and an error estimate from them would mean nothing."""
    A = ill_conditioned(60, 1e3)
    b, energy = loads_with_energy(A)
    sign = np.where(np.arange(60) < wrong, -1.0, 1.0)
    with pytest.raises(ConvergenceError, match=r"not positive definite.*--solver"):
        cg.conjugate_gradients(DenseSystem(A, np.diag(sign)), b, accuracy(2 * energy, 1e-8))


def test_error_bound_is_exact_for_one_eigenvalue_but_for_the_caution():
    """One iteration on a multiple of the identity: nothing is left, the bound says so."""
    nothing, _ = cg.energy_error(np.array([[0.5]]), np.array([[0.0]]), np.zeros(1))
    assert nothing == 0
    stalled, _ = cg.energy_error(np.full((5, 1), 0.5), np.full((5, 1), 0.999), np.ones(1))
    assert stalled > 1


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_smallest_ritz_value_is_that_of_the_lanczos_matrix_to_one_percent(steps):
    """From below, so that the bound of the error stays one."""
    rng = np.random.default_rng(steps)
    alphas, betas = 10.0 ** rng.uniform(-1, 1, (2, steps, 4))
    found = kernels.smallest_ritz_value(alphas, betas)
    for load in range(4):
        T = np.zeros((steps, steps))
        for n, (alpha, beta) in enumerate(zip(alphas[:, load], betas[:, load], strict=True)):
            T[n, n] += 1 / alpha
            if n + 1 < steps:
                T[n + 1, n + 1] = beta / alpha
                T[n, n + 1] = T[n + 1, n] = -np.sqrt(beta) / alpha
        smallest = np.linalg.eigvalsh(T)[0]
        assert 0.99 * smallest <= found[load] <= smallest * (1 + 1e-6)


def test_a_smaller_eigenvalue_that_is_known_makes_the_bound_larger():
    arguments = np.full((3, 1), 0.5), np.full((3, 1), 0.1), np.ones(1)
    here, smallest = cg.energy_error(*arguments)
    known, kept = cg.energy_error(*arguments, smallest / 10)
    assert known > 2 * here
    assert kept == smallest / 10


def test_overflow_is_an_error():
    A = ill_conditioned(6, 10) * 1e200
    b = np.full((6, 1), 1e200)
    with pytest.raises(ConvergenceError, match="overflow"), np.errstate(over="ignore"):
        cg.conjugate_gradients(DenseSystem(A), b, accuracy(np.ones(1), 1e-6))


class DriftingSystem(DenseSystem):
    """A matrix that changes between the iteration and the check stands for lost precision."""

    def residual(self, x, b):
        self.A = self.A * 1.01
        return super().residual(x, b)


def test_residuals_that_drift_apart_are_an_error():
    A = ill_conditioned(30, 100)
    b, energy = loads_with_energy(A, loads=1)
    with pytest.raises(ConvergenceError, match="rounding errors"):
        cg.conjugate_gradients(DriftingSystem(A), b, accuracy(2 * energy, 1e-6))
