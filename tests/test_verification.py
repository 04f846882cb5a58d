"""Verification: labels again, deviations of sampled solids, and the design when finer."""

from itertools import permutations

import numpy as np
import pytest

from design.verification import Candidate, refined, verified
from homog.homogenization import homogenize
from homog.labels import CONSTANTS
from homog.material import Isotropic
from homog.units import unit_cell
from homog.units.family import unfold

SOLID = Isotropic(70e3, 0.33)
N = 8


def occupancy(level=0.0, sharp=4.0):
    """A smooth field of a Schwarz P cell, in [0, 1]."""
    x, y, z = np.cos(np.pi * (np.indices((N,) * 3) + 0.5) / N)
    return 1 / (1 + np.exp(sharp * (x + y + z - level)))


@pytest.fixture(scope="module")
def candidate():
    field = occupancy()
    return Candidate(field >= 0.5, field, 0.5)


@pytest.fixture(scope="module")
def found(candidate):
    return verified(SOLID, 0.01, candidate)


def test_constants_are_those_of_the_whole_cell(candidate, found):
    result = homogenize(unfold(candidate.octant), SOLID, tol=1e-5)
    for name in CONSTANTS:
        assert found[name] == pytest.approx(getattr(result, name), rel=1e-4)
    assert found["K_ratio"] == pytest.approx(result.K / result.K_upper, rel=1e-4)
    assert found["parts"] == 1
    assert found["open_cell"]


def test_deviations_of_sampled_solids_agree_with_the_sensitivities(found):
    """1 % of scatter is small enough for the first order: 2 % of the deviation."""
    for name in ("E", "G", "nu", "K"):
        assert found[f"{name}_sampled"] == pytest.approx(found[f"{name}_linear"], rel=0.02)
        assert found[f"{name}_sampled"] > 0


def test_deviations_agree_with_solids_drawn_at_random(candidate, found):
    rng = np.random.default_rng(0)
    cell, values = unfold(candidate.octant), []
    for E, nu in rng.standard_normal((300, 2)):
        solid = Isotropic(SOLID.E * (1 + 0.01 * E), SOLID.nu * (1 + 0.01 * nu))
        result = homogenize(cell, solid, tol=1e-6, threads=1)
        values.append([result.E, result.nu, result.K])
    drawn = np.std(values, axis=0)
    stated = [found[f"{name}_sampled"] for name in ("E", "nu", "K")]
    assert stated == pytest.approx(drawn, rel=0.12)  # 300 draws know it to 4 %


def test_the_finer_cell_has_the_same_density_and_symmetry(candidate):
    fine = refined(candidate)
    assert fine.shape == (2 * N,) * 3
    assert fine.mean() == pytest.approx(candidate.octant.mean(), abs=0.003)
    for axes in permutations(range(3)):
        assert np.array_equal(fine, fine.transpose(axes))


def test_the_finer_cell_follows_the_smooth_surface(candidate):
    """It is nearer to the cell of the exact field than voxels cut in eight are."""
    x, y, z = np.cos(np.pi * (np.indices((2 * N,) * 3) + 0.5) / (2 * N))
    exact = x + y + z <= 0
    fine = refined(candidate)
    blocks = candidate.octant.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert np.mean(fine ^ exact) < 0.3 * np.mean(blocks ^ exact)


def test_what_cleaning_removed_does_not_come_back():
    field = occupancy(level=-1.5)
    octant = field >= 0.5
    removed = np.zeros_like(octant)
    removed[1:3, 1:3, 1:3] = True
    assert not octant[removed].any()
    dirty = np.where(removed, 0.9, field)  # a fragment that cleaning took away
    fine = refined(Candidate(octant, dirty, 0.5))
    assert not fine[3:5, 3:5, 3:5].any()
    assert fine.mean() == pytest.approx(octant.mean(), abs=0.01)


def test_the_finer_cell_is_solved_too(found):
    assert found["density_fine"] == pytest.approx(0.5, abs=0.01)
    assert found["K_fine"] == pytest.approx(found["K"], rel=0.1)
    assert found["K_fine"] != found["K"]
    assert 0 < found["K_ratio_fine"] < 1


def test_a_design_that_falls_apart_when_finer_has_no_constants_there():
    octant = np.zeros((N,) * 3, bool)
    octant[3, 3, 3] = True
    found = verified(SOLID, 0.01, Candidate(octant, np.where(octant, 0.6, 0.1), 0.5))
    assert np.isnan(found["K_fine"])
    assert found["parts"] == 0


def test_generated_units_can_be_candidates_too():
    octant = unit_cell("octet", {"width.octahedral": 1.0}, 0.1, 2 * N)[:N, :N, :N]
    found = verified(SOLID, 0.01, Candidate(octant, octant.astype(float), 0.5))
    assert found["K"] > 0
    assert found["K_fine"] > 0
