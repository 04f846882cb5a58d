"""Displacements and energies in the whole cell, whatever part of it was solved."""

import naive
import numpy as np
import pytest
from conftest import GENERATORS, symmetric_factor

from homog import Isotropic, ParameterError, homogenize

SOLID = Isotropic(3.0, 0.3)
TIGHT = 1e-12
SHAPES = {"triclinic": (8, 4, 12), "two mirrors": (8, 4, 12), "orthorhombic": (8, 4, 12)}
NAMES = [
    "triclinic",
    "two mirrors",
    "orthorhombic",
    "two-fold about a diagonal",
    "four-fold",
    "tetragonal",
    "three-fold about another diagonal",
    "cubic",
]


def solved(factor, **options):
    options = {"tol": TIGHT, "threads": 1, "fields": True} | options
    return homogenize(factor > 0, SOLID, stiffness_factor=factor, **options)


def graded(name, density=1.0):
    return symmetric_factor(SHAPES.get(name, (8, 8, 8)), GENERATORS[name], density, seed=4)


def voxel_energies(u, factor):
    """Energy product of each voxel with a displacement (3, nx + 1, ny + 1, nz + 1) of the nodes."""
    corners = np.lib.stride_tricks.sliding_window_view(u, (2, 2, 2), axis=(1, 2, 3))
    v = np.moveaxis(corners, 0, -1).reshape(*factor.shape, 24)
    return factor * naive.energy_products(v, v, naive.element_stiffness(SOLID.stiffness))


TENSOR = ((0, 5, 4), (5, 1, 3), (4, 3, 2))  # Voigt indices of the strain
STRAINS = [*np.eye(6), np.random.default_rng(0).standard_normal(6)]


@pytest.mark.parametrize("use_symmetry", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_energy_of_the_displacement_is_that_of_the_mean_strain(name, use_symmetry):
    factor = graded(name, density=0.8)
    result = solved(factor, use_symmetry=use_symmetry)
    for strain in STRAINS:
        energy = voxel_energies(result.fields.displacement(strain), factor)
        expected = strain @ result.C @ strain
        assert energy.sum() / factor.size == pytest.approx(expected, rel=1e-7)
        density = result.fields.energy_derivative(np.outer(strain, strain)) * factor * factor.size
        np.testing.assert_allclose(density, energy, rtol=0, atol=1e-6 * energy.max())


@pytest.mark.parametrize("name", NAMES)
def test_displacement_repeats_but_for_the_mean_strain(name):
    factor = graded(name)
    fields = solved(factor).fields
    for strain in STRAINS:
        u = fields.displacement(strain)
        assert u.shape == (3, *np.add(factor.shape, 1))
        for axis, n in enumerate(factor.shape):
            jump = np.take(u, -1, axis + 1) - np.take(u, 0, axis + 1)
            column = [strain[v] / (1 if v < 3 else 2) * n for v in TENSOR[axis]]
            expected = np.broadcast_to(np.reshape(column, (3, 1, 1)), jump.shape)
            np.testing.assert_allclose(jump, expected, atol=1e-12)


@pytest.mark.parametrize("method", ["multigrid", "amg"])
@pytest.mark.parametrize("name", NAMES)
def test_symmetry_leaves_the_displacement_of_each_unit_strain(name, method):
    """Up to a translation; every voxel is solid, so that nothing can move by itself."""
    factor = graded(name)
    with_it = solved(factor, method=method).fields
    without = solved(factor, method=method, use_symmetry=False).fields
    for strain in np.eye(6):
        difference = with_it.displacement(strain) - without.displacement(strain)
        difference -= difference.mean(axis=(1, 2, 3), keepdims=True)
        assert np.abs(difference).max() < 1e-5


def test_a_homogeneous_cell_follows_the_mean_strain():
    fields = homogenize(np.ones((2, 3, 4)), SOLID, fields=True).fields
    strain = STRAINS[-1]
    tensor = np.array([strain[list(columns)] for columns in TENSOR])
    tensor[~np.eye(3, dtype=bool)] /= 2
    expected = np.einsum("ij,jxyz->ixyz", tensor, np.indices((3, 4, 5)))
    np.testing.assert_allclose(fields.displacement(strain), expected, atol=1e-14)
    weights = np.outer(strain, strain)
    expected = np.full((2, 3, 4), (weights * SOLID.stiffness).sum() / 24)
    np.testing.assert_allclose(fields.energy_derivative(weights), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["triclinic", "two mirrors", "four-fold", "cubic"])
def test_energy_derivative_is_that_of_finite_differences_in_single_voxels(name):
    """With weights of any symmetry: a mirror turns the sign of some products of two strains."""
    factor = graded(name, density=0.75)
    weights = np.random.default_rng(1).standard_normal((6, 6))
    found = solved(factor).fields.energy_derivative(weights)
    assert not found[factor == 0].any()

    def combination(voxel, change):
        changed = factor.copy()
        changed[voxel] += change
        return (weights * solved(changed, fields=False).C).sum()

    voxels = np.random.default_rng(2).permutation(np.argwhere(factor))[:8]
    for voxel in map(tuple, voxels):
        far, near = (combination(voxel, h) - combination(voxel, -h) for h in (0.02, 0.01))
        expected = (8 * near - far) / 0.12
        assert found[voxel] == pytest.approx(expected, abs=1e-5 * np.abs(found).max())


@pytest.mark.parametrize("use_symmetry", [True, False])
@pytest.mark.parametrize("tol", [1e-3, 1e-9])
@pytest.mark.parametrize("name", NAMES)
def test_energies_of_the_voxels_add_up_to_C(name, tol, use_symmetry):
    """C is the energy of the fields that were found: however early the solver stopped."""
    factor = graded(name, density=0.75)
    result = solved(factor, tol=tol, use_symmetry=use_symmetry)
    weights = np.random.default_rng(1).standard_normal((6, 6))
    found = (factor * result.fields.energy_derivative(weights)).sum()
    scale = np.abs(weights).sum() * np.abs(result.C).max()
    assert found == pytest.approx((weights * result.C).sum(), abs=1e-11 * scale)


@pytest.mark.parametrize("name", ["triclinic", "orthorhombic", "three-fold"])
def test_energies_of_the_voxels_add_up_to_each_entry_of_C(name):
    factor = graded(name, density=0.75)
    result = solved(factor)
    for entry in np.ndindex(6, 6):
        weights = np.zeros((6, 6))
        weights[entry] = 1
        found = (factor * result.fields.energy_derivative(weights)).sum()
        assert found == pytest.approx(result.C[entry], abs=1e-10)


def test_strains_that_nothing_resists_and_solid_that_floats_have_no_energy():
    factor = np.zeros((6, 6, 6))
    factor[:, :, 1:4] = graded("triclinic")[:, :, :3].mean()
    factor[2:4, 2:4, 5] = 0
    factor[3, 3, 5] = 1.0  # touches nothing
    factor[0, 0, 2] = 0.5
    result = solved(factor)
    weights = np.ones((6, 6))
    found = result.fields.energy_derivative(weights)
    assert found[3, 3, 5] == 0
    assert (factor * found).sum() == pytest.approx((weights * result.C).sum(), rel=1e-7)
    normal = np.zeros((6, 6))
    normal[2, 2] = 1
    assert not result.fields.energy_derivative(normal).any()


def test_fields_are_kept_only_if_they_are_asked_for():
    assert homogenize(graded("triclinic") > 0, SOLID, threads=1).fields is None


@pytest.mark.parametrize("strain", [np.zeros(5), np.zeros((6, 1)), 1.0, [np.nan] * 6, np.zeros(0)])
def test_strains_that_are_none_are_refused(strain):
    fields = homogenize(np.ones((2, 2, 2)), SOLID, fields=True).fields
    with pytest.raises(ParameterError, match=r"strain must be finite numbers of shape \(6,\)"):
        fields.displacement(strain)


@pytest.mark.parametrize("weights", [np.zeros(6), np.zeros((3, 3)), np.full((6, 6), np.inf)])
def test_weights_that_are_none_are_refused(weights):
    fields = homogenize(np.ones((2, 2, 2)), SOLID, fields=True).fields
    with pytest.raises(ParameterError, match=r"weights must be finite numbers of shape \(6, 6\)"):
        fields.energy_derivative(weights)
