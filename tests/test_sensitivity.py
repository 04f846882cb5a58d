"""Derivatives of C and of the constants by E and nu of the solid."""

import naive
import numpy as np
import pytest
from conftest import GENERATORS, symmetric_factor

from homog import Isotropic, ParameterError, homogenize

TIGHT = 1e-11
STEP = 1e-4
CONSTANTS = ("E", "G", "nu", "K", "zener")


def by_differences(function, at, step):
    """Derivative by central differences of fourth order."""
    far, near = (function(at + n * step) - function(at - n * step) for n in (2, 1))
    return (8 * near - far) / (12 * step)


def constants(result):
    return np.array([getattr(result, name) for name in CONSTANTS])


def cell(name):
    return symmetric_factor((8, 8, 8), GENERATORS[name], density=0.65, seed=2) > 0


@pytest.mark.parametrize("nu", [-0.3, 0.0, 0.33, 0.45])
@pytest.mark.parametrize("name", ["triclinic", "four-fold", "tetragonal", "cubic"])
def test_derivative_by_poisson_ratio_is_that_of_finite_differences(name, nu):
    def C(nu):
        return homogenize(cell(name), Isotropic(3.0, nu), tol=TIGHT, threads=1).C

    found = homogenize(cell(name), Isotropic(3.0, nu), tol=TIGHT, threads=1).dC_dnu
    expected = by_differences(C, nu, STEP)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("method", ["multigrid", "amg"])
@pytest.mark.parametrize("use_symmetry", [True, False])
def test_derivatives_do_not_depend_on_the_way_to_the_solution(method, use_symmetry):
    options = {"tol": TIGHT, "threads": 1}
    expected = homogenize(cell("tetragonal"), Isotropic(3.0, 0.3), **options)
    options |= {"method": method, "use_symmetry": use_symmetry}
    found = homogenize(cell("tetragonal"), Isotropic(3.0, 0.3), **options)
    scale = np.abs(expected.dC_dnu).max()
    np.testing.assert_allclose(found.dC_dnu, expected.dC_dnu, rtol=0, atol=1e-6 * scale)
    assert found.derivatives["nu"] == pytest.approx(expected.derivatives["nu"], rel=1e-5)


@pytest.mark.parametrize("name", ["triclinic", "cubic"])
def test_stiffness_is_proportional_to_the_modulus_of_the_solid(name):
    result = homogenize(cell(name), Isotropic(70e3, 0.33), threads=1)
    np.testing.assert_array_equal(result.dC_dE, result.C / 70e3)
    assert result.derivatives["E"] == pytest.approx(
        {"E": result.E / 70e3, "G": result.G / 70e3, "K": result.K / 70e3, "nu": 0, "zener": 0},
        abs=1e-14,
    )


@pytest.mark.parametrize("name", ["triclinic", "cubic"])
def test_derivatives_of_the_constants_are_those_of_finite_differences(name):
    def found(nu):
        return constants(homogenize(cell(name), Isotropic(3.0, nu), tol=TIGHT, threads=1))

    derivatives = homogenize(cell(name), Isotropic(3.0, 0.3), tol=TIGHT, threads=1).derivatives
    assert tuple(derivatives["nu"]) == CONSTANTS
    expected = by_differences(found, 0.3, STEP)
    np.testing.assert_allclose(list(derivatives["nu"].values()), expected, rtol=1e-5)


@pytest.mark.parametrize("nu", [-0.3, 0.0, 0.45])
def test_a_homogeneous_cell_has_the_derivatives_of_its_solid(nu):
    result = homogenize(np.ones((2, 2, 2)), Isotropic(3.0, nu))
    expected = by_differences(lambda nu: Isotropic(3.0, nu).stiffness, nu, STEP)
    np.testing.assert_allclose(result.dC_dnu, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    dE = result.derivatives["nu"]
    assert (dE["E"], dE["nu"], dE["zener"]) == pytest.approx((0, 1, 0), abs=1e-12)
    assert dE["G"] == pytest.approx(-3.0 / (2 * (1 + nu) ** 2), rel=1e-12)
    assert dE["K"] == pytest.approx(2 * 3.0 / (3 * (1 - 2 * nu) ** 2), rel=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_a_laminate_has_the_derivative_of_its_exact_stiffness(axis):
    layers = np.array([1.0, 0.2, 0.2, 3.0])
    shape = np.full(3, 2)
    shape[axis] = 4
    factor = np.broadcast_to(np.expand_dims(layers, [a for a in range(3) if a != axis]), shape)

    def exact(nu):
        stiffnesses = [layer * Isotropic(3.0, nu).stiffness for layer in layers]
        return naive.laminate(stiffnesses, np.full(4, 0.25), axis)

    result = homogenize(
        np.ones(shape), Isotropic(3.0, 0.3), tol=1e-12, stiffness_factor=factor, threads=1
    )
    expected = by_differences(exact, 0.3, STEP)
    np.testing.assert_allclose(result.dC_dnu, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


def test_a_plate_that_carries_two_strains_has_the_derivative_of_plane_stress():
    plate = np.zeros((4, 4, 4), dtype=bool)
    plate[:, :, 1:3] = True
    result = homogenize(plate, Isotropic(3.0, 0.3), tol=1e-12, threads=1)
    C11, C12 = 3 * 0.3 / (1 - 0.3**2) ** 2, 1.5 * (1 + 0.3**2) / (1 - 0.3**2) ** 2
    expected = np.zeros((6, 6))
    expected[:2, :2] = [[C11, C12], [C12, C11]]
    expected[5, 5] = -0.5 * 3 / (2 * (1 + 0.3) ** 2)
    np.testing.assert_allclose(result.dC_dnu, expected, atol=1e-8)


def test_scatter_is_the_deviation_of_sampled_solids():
    """2,000 solves with independent Gaussian E and nu, each to a loose tolerance."""
    voxels, mean, relative = cell("cubic"), Isotropic(3.0, 0.3), 0.01
    rng = np.random.default_rng(0)
    samples = []
    for E, nu in mean_and_scatter(mean, relative, rng.standard_normal((2000, 2))):
        samples.append(constants(homogenize(voxels, Isotropic(E, nu), tol=1e-6, threads=1)))
    found = homogenize(voxels, mean, tol=1e-9, threads=1).scatter(relative)
    assert tuple(found) == CONSTANTS
    expected = np.std(samples, axis=0)
    np.testing.assert_allclose(list(found.values()), expected, rtol=0.05)


def mean_and_scatter(solid, relative, normal):
    return np.array([solid.E, solid.nu]) * (1 + relative * normal)


def test_scatter_is_that_of_both_constants_together():
    result = homogenize(cell("triclinic"), Isotropic(3.0, 0.3), threads=1)
    by_E, by_nu = result.derivatives["E"], result.derivatives["nu"]
    expected = {n: 0.02 * np.hypot(3.0 * by_E[n], 0.3 * by_nu[n]) for n in CONSTANTS}
    assert result.scatter(0.02) == pytest.approx(expected, rel=1e-12)
    assert set(result.scatter(0).values()) == {0.0}


@pytest.mark.parametrize("relative", [-0.01, np.nan, np.inf])
def test_scatter_that_means_nothing_is_refused(relative):
    result = homogenize(np.ones((2, 2, 2)), Isotropic(3.0, 0.3))
    with pytest.raises(ParameterError, match="scatter must be finite and not negative"):
        result.scatter(relative)


def test_nothing_has_no_sensitivity():
    result = homogenize(np.zeros((2, 2, 2)), Isotropic(3.0, 0.3))
    assert not result.dC_dE.any()
    assert not result.dC_dnu.any()
    assert np.isnan(result.derivatives["nu"]["nu"])
