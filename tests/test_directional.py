"""Young's modulus along directions: closed formulas, else the rotated tensor."""

import naive
import numpy as np
import pytest
from scipy.stats import ortho_group

from homog import Isotropic
from homog.directional import directional_modulus, extreme_moduli, sphere
from homog.errors import DataError, ParameterError
from homog.properties import directional_constants

C11, C12, C44 = 10.0, 4.0, 5.0  # stiffest along [111]
CUBE = np.full((6, 6), 0.0)
CUBE[:3, :3] = C12
CUBE[np.diag_indices(6)] = [C11] * 3 + [C44] * 3


def triclinic(seed=0):
    """A positive stiffness without any symmetry."""
    A = np.random.default_rng(seed).standard_normal((6, 6))
    return A @ A.T + np.eye(6)


def random_directions(count, seed=1):
    return np.random.default_rng(seed).standard_normal((count, 3))


def test_an_isotropic_solid_has_the_same_modulus_everywhere():
    solid = Isotropic(70e3, 0.33)
    np.testing.assert_allclose(
        directional_modulus(solid.stiffness, random_directions(50)), 70e3, rtol=1e-12
    )
    (low, _), (high, _) = extreme_moduli(solid.stiffness)
    assert low == pytest.approx(high) == pytest.approx(70e3)


def test_a_cubic_stiffness_follows_the_closed_formulas():
    """Nye: 1 / E = S11 - 2 (S11 - S12 - S44 / 2) (l^2 m^2 + m^2 n^2 + n^2 l^2)."""
    S11 = (C11 + C12) / ((C11 - C12) * (C11 + 2 * C12))
    S12 = -C12 / ((C11 - C12) * (C11 + 2 * C12))
    S44 = 1 / C44
    excess = S11 - S12 - S44 / 2
    expected = {
        (1, 0, 0): S11,
        (0, -2, 0): S11,
        (1, 1, 0): S11 - excess / 2,
        (0, 1, -1): S11 - excess / 2,
        (1, 1, 1): S11 - 2 * excess / 3,
        (-3, 3, 3): S11 - 2 * excess / 3,
    }
    found = directional_modulus(CUBE, list(expected))
    np.testing.assert_allclose(found, 1 / np.array(list(expected.values())), rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_triclinic_stiffness_follows_its_rotated_tensor(seed):
    C = triclinic(seed)
    for R in ortho_group.rvs(3, size=20, random_state=seed):
        turned = np.linalg.inv(naive.rotated(C, R))
        expected = 1 / np.diag(turned)[:3]  # along the rows of R
        np.testing.assert_allclose(directional_modulus(C, R), expected, rtol=1e-9)


def test_moduli_along_the_axes_are_the_directional_constants():
    C = triclinic()
    found = directional_modulus(C, np.eye(3))
    np.testing.assert_allclose(found, directional_constants(C)["E"], rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_direction_lies_beyond_the_extremes(seed):
    C = triclinic(seed)
    (low, softest), (high, stiffest) = extreme_moduli(C)
    found = directional_modulus(C, random_directions(200_000))
    assert low == pytest.approx(found.min(), rel=2e-3)
    assert high == pytest.approx(found.max(), rel=2e-3)
    assert low <= found.min()
    assert high >= found.max()
    for modulus, direction in ((low, softest), (high, stiffest)):
        assert np.linalg.norm(direction) == pytest.approx(1)
        assert directional_modulus(C, direction) == pytest.approx(modulus, rel=1e-12)


def test_extremes_of_a_cube_are_simple_directions():
    (low, softest), (high, stiffest) = extreme_moduli(CUBE)
    np.testing.assert_allclose(np.sort(np.abs(softest)), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(np.abs(stiffest), np.sqrt(1 / 3), atol=1e-12)
    assert low == pytest.approx(directional_modulus(CUBE, [1, 0, 0]))
    assert high == pytest.approx(directional_modulus(CUBE, [1, 1, 1]))


def test_the_sphere_is_closed_and_has_all_axes():
    n = sphere(20)
    assert n.shape == (21, 41, 3)
    np.testing.assert_allclose(np.linalg.norm(n, axis=-1), 1)
    np.testing.assert_allclose(n[:, 0], n[:, -1], atol=1e-12)
    for axis in (*np.eye(3), *-np.eye(3)):
        assert np.isclose(n, axis, atol=1e-12).all(axis=-1).any()


def test_a_mechanism_has_no_modulus():
    C = np.diag([1.0, 1, 1, 1, 1, 0])
    with pytest.raises(DataError, match="C is singular"):
        directional_modulus(C, [1, 0, 0])
    with pytest.raises(DataError, match="C is singular"):
        extreme_moduli(np.zeros((6, 6)))


@pytest.mark.parametrize("C", [np.eye(3), np.full((6, 6), np.nan), np.tri(6)])
def test_what_is_no_stiffness_is_refused(C):
    with pytest.raises(ParameterError, match="symmetric"):
        directional_modulus(C, [1, 0, 0])


@pytest.mark.parametrize("directions", [[0, 0, 0], [np.inf, 0, 0], [1, 0], 1.0])
def test_what_is_no_direction_is_refused(directions):
    with pytest.raises(ParameterError, match="direction"):
        directional_modulus(CUBE, directions)
