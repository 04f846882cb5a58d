import numpy as np
import pytest

from homog import Isotropic, ParameterError


def test_stiffness_inverts_hookes_law():
    E, nu = 70e3, 0.33
    compliance = np.zeros((6, 6))
    compliance[:3, :3] = -nu / E
    compliance[np.diag_indices(6)] = [1 / E] * 3 + [2 * (1 + nu) / E] * 3
    np.testing.assert_allclose(Isotropic(E, nu).stiffness @ compliance, np.eye(6), atol=1e-12)


def test_bulk_and_shear_moduli_are_those_of_the_stiffness():
    solid = Isotropic(2.0, -0.4)
    C = solid.stiffness
    assert pytest.approx((C[0, 0] + 2 * C[0, 1]) / 3) == solid.K
    assert pytest.approx(C[3, 3]) == solid.G


@pytest.mark.parametrize("E", [0, -1, float("nan"), float("inf"), 1e400, "70k", None])
def test_moduli_that_are_not_positive_are_refused(E):
    with pytest.raises(ParameterError, match=r"E must be"):
        Isotropic(E, 0.3)


@pytest.mark.parametrize("nu", [0.5, 0.7, -1, -2, float("nan"), float("inf"), "steel"])
def test_poisson_ratios_outside_the_stable_range_are_refused(nu):
    with pytest.raises(ParameterError, match=r"nu must"):
        Isotropic(1.0, nu)
