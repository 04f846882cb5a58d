"""The stopping rule: over a hundred varied cells C is right to the tolerance, and not overly so."""

import numpy as np
import pytest
from conftest import GENERATORS, UNITS, symmetric_factor
from scipy import ndimage

from homog import Isotropic, homogenize

EVEN, ODD = (8, 12, 16, 20, 24), (7, 9, 11, 13, 15)
NAMES = sorted(path.stem for path in UNITS.glob("*.npy"))


def sides(number, rng, lengths=EVEN):
    """Voxels of the box: every other one a cube."""
    return tuple(rng.choice(lengths, 3)) if number % 2 else (rng.choice(lengths),) * 3


def unit(number, _):
    """A shipped unit on a coarser grid."""
    step = 2 + number // len(NAMES)
    return np.load(UNITS / f"{NAMES[number % len(NAMES)]}.npy")[::step, ::step, ::step]


def porous(number, rng):
    return rng.random(sides(number, rng)) < rng.uniform(0.4, 0.9)


def symmetric(number, rng):
    shape = (rng.choice(EVEN),) * 3
    generators = list(GENERATORS.values())[number]
    return symmetric_factor(shape, generators, rng.uniform(0.45, 0.8), seed=number) > 0


def spinodal(number, rng, lengths=EVEN):
    noise = rng.standard_normal(sides(number, rng, lengths))
    noise = ndimage.gaussian_filter(noise, rng.uniform(0.8, 2.5, 3), mode="wrap")
    return noise < np.quantile(noise, rng.uniform(0.35, 0.75))


def odd(number, rng):
    """Boxes that cannot be halved."""
    return spinodal(number, rng, ODD)


def struts(number, rng):
    """Round bars along the axes, their radii equal in every third cell."""
    shape = sides(number, rng)
    x, y, z = (np.indices(shape).T + 0.5 - np.array(shape) / 2).T
    radii = rng.uniform(1.01, 3, 3) if number % 3 else np.full(3, rng.uniform(1.01, 3))
    pairs = zip(((y, z), (x, z), (x, y)), radii, strict=True)
    return np.any([np.hypot(*pair) < radius for pair, radius in pairs], axis=0)


def sheet(number, rng):
    """Gyroid or Schwarz P, shifted against the grid."""
    shape = sides(number, rng)
    x, y, z = 2 * np.pi * ((np.indices(shape).T + rng.uniform(0, 1, 3)) / shape).T
    if number % 3:
        level = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    else:
        level = np.cos(x) + np.cos(y) + np.cos(z)
    return np.abs(level) < np.quantile(np.abs(level), rng.uniform(0.2, 0.5))


KINDS = {
    unit: 3 * len(NAMES),
    porous: 20,
    symmetric: len(GENERATORS),
    spinodal: 25,
    odd: 10,
    struts: 15,
    sheet: 15,
}


def two_phases(noise, contrast):
    return np.where(noise < np.median(noise), 1.0, contrast)


def gradual(noise, contrast):
    return contrast ** ((noise - noise.min()) / np.ptp(noise))


def speckled(noise, contrast):
    """Each voxel for itself, a third of them void."""
    rng = np.random.default_rng(noise.size)
    return np.where(rng.random(noise.shape) < 0.67, contrast ** rng.random(noise.shape), 0.0)


CELLS = [(kind, number) for kind, count in KINDS.items() for number in range(count)]
ABRUPT = (odd, 5)  # its last step makes the error a tenth


def test_there_are_more_than_a_hundred_cells():
    assert len(CELLS) > 100


@pytest.mark.parametrize(("kind", "number"), CELLS)
def test_C_is_right_to_the_tolerance_and_not_more_than_1000_times_better(kind, number):
    """Neither accuracy that nobody asked for, nor a tolerance that is missed, nor a false bound."""
    cell = kind(number, np.random.default_rng(number))
    solid = Isotropic(1.0, (0.3, 0.33, 0.0, 0.45)[number % 4])
    tol = (1e-4, 1e-5, 1e-6)[number % 3]
    method = "amg" if number % 7 == 6 else "auto"
    exact = homogenize(cell, solid, tol=1e-12, threads=1).C
    result = homogenize(cell, solid, tol=tol, method=method, threads=1)
    error = np.abs(result.C - exact).max() / np.abs(exact).max()
    assert error <= result.solver.error <= tol
    assert error >= tol / (10_000 if (kind, number) == ABRUPT else 1000)


UNSEEN = pytest.mark.xfail(
    strict=False, reason="CG has not seen the smallest eigenvalue yet: the bound is false"
)
SLENDER = [
    (spinodal, 100, 1e-5),
    (spinodal, 140, 1e-5),
    (spinodal, 167, 1e-4),
    pytest.param(odd, 5, 1e-4, marks=UNSEEN),
]


@pytest.mark.parametrize(("kind", "number", "tol"), SLENDER)
def test_C_is_right_to_the_tolerance_in_cells_with_a_soft_mode(kind, number, tol):
    """The worst of 400 random cells at four tolerances: they hang by few thin necks."""
    cell = kind(number, np.random.default_rng(number))
    solid = Isotropic(1.0, (0.3, 0.33, 0.0, 0.45)[number % 4])
    exact = homogenize(cell, solid, tol=1e-10, threads=1).C
    result = homogenize(cell, solid, tol=tol, threads=1)
    error = np.abs(result.C - exact).max() / np.abs(exact).max()
    assert error <= result.solver.error <= tol


@pytest.mark.parametrize("method", ["multigrid", "amg"])
@pytest.mark.parametrize("contrast", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("factor", [two_phases, gradual, speckled])
def test_C_of_a_graded_cell_is_right_to_the_tolerance(factor, contrast, method):
    noise = np.random.default_rng(0).standard_normal((12, 16, 12))
    factor = factor(ndimage.gaussian_filter(noise, 1.5, mode="wrap"), contrast)
    options = {"stiffness_factor": factor, "threads": 1}
    exact = homogenize(factor > 0, Isotropic(1.0, 0.3), tol=1e-11, **options).C
    for tol in (1e-4, 1e-5, 1e-6):
        result = homogenize(factor > 0, Isotropic(1.0, 0.3), tol=tol, method=method, **options)
        error = np.abs(result.C - exact).max() / np.abs(exact).max()
        assert error <= result.solver.error <= tol


SOFT = [1e-2, pytest.param(1e-4, marks=UNSEEN), pytest.param(1e-6, marks=UNSEEN)]


@pytest.mark.parametrize("contrast", SOFT)
def test_C_of_a_cell_with_a_soft_layer_is_right_to_the_tolerance(contrast):
    """All load passes through it: one mode of the cell is far softer than all others."""
    rng = np.random.default_rng(0)
    cell = rng.random((8, 6, 6)) < 0.5
    cell[:, 1:5, 1:5] = True
    cell[:, 0] = cell[:, :, 0] = False
    factor = rng.uniform(0.5, 1.5, cell.shape)
    factor[3] *= contrast
    options = {"stiffness_factor": factor, "threads": 1}
    exact = homogenize(cell, Isotropic(1.0, 0.3), tol=1e-8, method="amg", **options).C
    for method in ("multigrid", "amg"):
        result = homogenize(cell, Isotropic(1.0, 0.3), tol=1e-4, method=method, **options)
        error = np.abs(result.C - exact).max() / np.abs(exact).max()
        assert error <= result.solver.error <= 1e-4
