import naive
import numpy as np
import pytest

from homog.element import (
    CORNERS,
    element_stiffness,
    strain_displacement,
    unit_strain_displacements,
)


@pytest.fixture
def triclinic_stiffness():
    root = np.random.default_rng(3).standard_normal((6, 6))
    return root @ root.T + np.eye(6)


def test_stiffness_equals_index_notation_at_more_gauss_points(triclinic_stiffness):
    expected = naive.element_stiffness(triclinic_stiffness)
    np.testing.assert_allclose(element_stiffness(triclinic_stiffness), expected, atol=1e-12)


def test_only_the_six_rigid_body_modes_are_free_of_energy(triclinic_stiffness):
    K = element_stiffness(triclinic_stiffness)
    eigenvalues = np.linalg.eigvalsh(K)
    assert np.abs(eigenvalues[:6]).max() < 1e-12 * eigenvalues[-1]
    assert eigenvalues[6] > 1e-3 * eigenvalues[-1]
    for axis in np.eye(3):
        rotation = np.cross(axis, CORNERS).ravel()
        np.testing.assert_allclose(K @ rotation, 0, atol=1e-12 * eigenvalues[-1])


def test_affine_displacements_have_their_unit_strain_everywhere():
    for point in np.random.default_rng(0).random((5, 3)):
        strains = strain_displacement(point) @ unit_strain_displacements()
        np.testing.assert_allclose(strains, np.eye(6), atol=1e-14)


def test_affine_displacements_have_the_energy_of_the_solid(triclinic_stiffness):
    chi = unit_strain_displacements()
    energy = chi.T @ element_stiffness(triclinic_stiffness) @ chi
    np.testing.assert_allclose(energy, triclinic_stiffness, atol=1e-12)
    np.testing.assert_allclose(chi, naive.unit_strain_displacements())
