import numpy as np
import pytest

from homog import ParameterError, hashin_shtrikman_upper


@pytest.mark.parametrize("nu", [-0.5, 0.0, 0.33, 0.49])
def test_few_voids_agree_with_eshelby(nu):
    void, bulk, shear = 1e-6, 1 / (3 * (1 - 2 * nu)), 1 / (2 * (1 + nu))  # E = 1
    bulk_max, shear_max = hashin_shtrikman_upper(1 - void, bulk, shear)
    bulk_loss, shear_loss = (1 - bulk_max / bulk) / void, (1 - shear_max / shear) / void
    assert bulk_loss == pytest.approx(3 * (1 - nu) / (2 * (1 - 2 * nu)), rel=1e-4)
    assert shear_loss == pytest.approx(15 * (1 - nu) / (7 - 5 * nu), rel=1e-4)


def test_bounds_run_from_nothing_to_the_solid():
    bulk, shear = hashin_shtrikman_upper(np.array([0.0, 0.5, 1.0]), 3.0, 2.0)
    assert bulk[0] == shear[0] == 0
    assert (bulk[2], shear[2]) == pytest.approx((3.0, 2.0))
    assert 0 < bulk[1] < 1.5  # below Voigt
    assert 0 < shear[1] < 1.0


@pytest.mark.parametrize("density", [-0.1, 1.1, np.nan])
def test_densities_outside_0_1_are_refused(density):
    with pytest.raises(ParameterError, match="density must lie in"):
        hashin_shtrikman_upper(density, 1.0, 1.0)


@pytest.mark.parametrize(("bulk", "shear"), [(0, 1), (1, 0), (-1, 1), (np.nan, 1)])
def test_moduli_that_are_not_positive_are_refused(bulk, shear):
    with pytest.raises(ParameterError, match="moduli must be positive"):
        hashin_shtrikman_upper(0.5, bulk, shear)
