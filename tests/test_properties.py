import naive
import numpy as np
import pytest

from homog import Isotropic
from homog.properties import (
    cubic_constants,
    cubic_derivatives,
    cubic_deviation,
    directional_constants,
    nearest_cubic,
)


def cubic(C11, C12, C44):
    C = np.full((6, 6), 0.0)
    C[:3, :3] = C12
    C[np.diag_indices(6)] = [C11] * 3 + [C44] * 3
    return C


def test_isotropic_solid_gives_its_own_constants():
    solid = Isotropic(70e3, 0.33)
    found = cubic_constants(*nearest_cubic(solid.stiffness))
    expected = {"E": 70e3, "nu": 0.33, "G": solid.G, "K": solid.K, "zener": 1.0}
    assert found == pytest.approx(expected)
    assert cubic_deviation(solid.stiffness) < 1e-15


def test_cubic_constants_are_those_of_the_compliance():
    C = cubic(10.0, 4.0, 5.0)
    S = np.linalg.inv(C)
    found = cubic_constants(10.0, 4.0, 5.0)
    assert found["E"] == pytest.approx(1 / S[0, 0])
    assert found["nu"] == pytest.approx(-S[0, 1] / S[0, 0])
    assert found["G"] == pytest.approx(1 / S[3, 3])
    assert found["K"] == pytest.approx(1 / S[:3, :3].sum())
    assert found["zener"] == pytest.approx(2 * 5 / 6)


def test_nothing_has_no_poisson_ratio():
    found = cubic_constants(0.0, 0.0, 0.0)
    assert (found["E"], found["G"], found["K"]) == (0, 0, 0)
    assert np.isnan(found["nu"])
    assert np.isnan(found["zener"])
    assert np.isnan(cubic_deviation(np.zeros((6, 6))))


@pytest.mark.parametrize("noise", [-1e-11, 0.0, 1e-11])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_rounding_gives_a_mechanism_no_young_modulus(noise, unit):
    """A chain of corners along the diagonal, C11 = C12 = C44: a fluid with a shear stiffness."""
    C11, C12, C44 = unit * (1 + noise), unit, unit
    found = cubic_constants(C11, C12, C44)
    assert found["E"] == 0
    assert np.isnan([found["nu"], found["zener"]]).all()
    assert (found["G"], found["K"]) == pytest.approx((unit, unit))
    changes = cubic_derivatives(cubic(C11, C12, C44), cubic(C11, C12, 2 * C44))
    assert changes["E"] == 0
    assert np.isnan([changes["nu"], changes["zener"]]).all()


@pytest.mark.parametrize("noise", [-1e-11, 0.0, 1e-11])
def test_a_cell_without_bulk_modulus_has_poisson_ratio_minus_one(noise):
    found = cubic_constants(2.0, -1.0 + noise, 3.0)
    assert found["E"] == 0
    assert found["nu"] == pytest.approx(-1)
    assert found["zener"] == pytest.approx(2)
    changes = cubic_derivatives(cubic(2.0, -1.0 + noise, 3.0), cubic(2.0, -1.0, 3.0))
    assert (changes["E"], changes["zener"]) == (0, pytest.approx(0, abs=1e-9))


def test_what_counts_as_nothing_is_relative_to_the_stiffness():
    assert cubic_constants(1 + 1e-8, 1.0, 1.0)["E"] == pytest.approx(1.5e-8)
    assert cubic_constants(1 + 1e-8, 1.0, 1.0, singular=1e-5)["E"] == 0
    assert cubic_constants(2.0, 1.0, 1e6, singular=1e-5)["E"] == 0


def test_deviation_is_the_distance_of_the_fourth_order_tensors():
    root = np.random.default_rng(3).standard_normal((6, 6))
    C = root @ root.T
    nearest = naive.fourth_order(cubic(*nearest_cubic(C)))
    full = naive.fourth_order(C)
    expected = np.linalg.norm(full - nearest) / np.linalg.norm(full)
    assert cubic_deviation(C) == pytest.approx(expected)


def test_no_cubic_tensor_is_nearer():
    root = np.random.default_rng(4).standard_normal((6, 6))
    C = root @ root.T
    full, nearest = naive.fourth_order(C), np.array(nearest_cubic(C))

    def distance(constants):
        return np.linalg.norm(full - naive.fourth_order(cubic(*constants)))

    for shift in np.eye(3):
        assert distance(nearest) < distance(nearest + 1e-3 * shift)
        assert distance(nearest) < distance(nearest - 1e-3 * shift)


def test_directional_constants_follow_a_rotated_frame():
    root = np.random.default_rng(5).standard_normal((6, 6))
    C = root @ root.T + 3 * np.eye(6)
    R = np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]])  # new axes: y, -z, x
    here, there = directional_constants(C), directional_constants(naive.rotated(C, R))
    np.testing.assert_allclose(there["E"], here["E"][[1, 2, 0]])
    np.testing.assert_allclose(there["G"], here["G"][[1, 2, 0]])  # planes zx, yx, yz
    np.testing.assert_allclose(there["nu"], here["nu"][np.ix_([1, 2, 0], [1, 2, 0])])


def test_poisson_ratios_keep_first_index_for_the_pulled_axis():
    C = np.linalg.inv(
        np.diag([1.0, 1 / 2, 1 / 4, 1, 1, 1]) - 0.1 * (np.eye(6, k=1) + np.eye(6, k=-1))
    )
    nu = directional_constants(C)["nu"]
    strain = np.linalg.solve(C, [0, 1, 0, 0, 0, 0])  # pulled along y
    assert nu[1, 0] == pytest.approx(-strain[0] / strain[1])
    assert nu[0, 1] != pytest.approx(nu[1, 0])


def test_singular_stiffness_has_no_directional_constants():
    assert directional_constants(np.diag([1.0, 1, 1, 1, 1, 0])) is None
    assert directional_constants(np.zeros((6, 6))) is None
