"""Units, materials and reference data that several tests share."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from homog.cell_problem import CellProblem, reduced_factor
from homog.material import Isotropic
from homog.symmetry import NO_SYMMETRY, reduction

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "examples" / "units"
REFERENCE = ROOT.parent / "shared" / "reference"


@pytest.fixture(scope="session")
def reference():
    """Folder of labels that other codes computed."""
    if not REFERENCE.is_dir():
        pytest.skip(f"no reference labels of other codes in {REFERENCE}")
    return REFERENCE


@pytest.fixture
def aluminium():
    return Isotropic(E=70e3, nu=0.33)


@pytest.fixture
def triclinic():
    """Well connected cell without any symmetry, 6 x 7 x 8."""
    rng = np.random.default_rng(7)
    return rng.random((6, 7, 8)) < 0.7


def signed_permutations():
    """The 48 pairs (axes, flips) that map a cube to itself."""
    return list(product(permutations(range(3)), product((False, True), repeat=3)))


def transformed(voxels, axes, flips):
    """The cell after a signed permutation, and its (3, 3) matrix."""
    reverse = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    R = np.zeros((3, 3))
    R[range(3), axes] = np.where(flips, -1, 1)
    return voxels.transpose(axes)[reverse], R


def cell_problem(factor, material=None, group=NO_SYMMETRY):
    """Cell problem of stiffness factors that connect the cell along all axes."""
    factor = np.asarray(factor, dtype=float)
    reduced = reduction(group, factor.shape)
    stiffness = (material or Isotropic(1.0, 0.3)).stiffness
    half = reduced_factor(factor, reduced.mirrored)
    return CellProblem(half, stiffness, np.ones(3, dtype=bool), reduced)
