"""Numbers that other codes computed."""

import hashlib
import json

import numpy as np
import pytest
from conftest import ROOT, UNITS

from homog import Isotropic, homogenize

SHIPPED = json.loads((ROOT / "tests" / "data" / "shipped_units.json").read_text())
FANS_CELLS = ["octet_24", "octet_48", "spinodal30_48"]


def largest_error(C, expected):
    return np.abs(C - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", sorted(SHIPPED["units"]))
def test_shipped_units_agree_with_mugrid(name):
    unit = SHIPPED["units"][name]
    voxels = np.load(UNITS / f"{name}.npy")
    assert hashlib.sha256(np.packbits(voxels).tobytes()).hexdigest() == unit["sha256"]
    result = homogenize(voxels, Isotropic(SHIPPED["E"], SHIPPED["nu"]))
    assert largest_error(result.C, unit["C"]) <= 1e-6
    assert result.volume_fraction == pytest.approx(unit["volume_fraction"])
    assert not result.dropped
    assert result.K < result.K_upper


def fans_cell(reference, name):
    data = json.loads((reference / "fans.json").read_text())[name]
    size = np.prod(data["shape"])
    bits = np.load(reference / "fans.npz")[name]
    voxels = np.unpackbits(bits)[:size].reshape(data["shape"]).astype(bool)
    return voxels, Isotropic(data["E"], data["nu"]), np.array(data["C"])


@pytest.mark.parametrize("name", FANS_CELLS)
@pytest.mark.parametrize(("tol", "allowed"), [(1e-6, 1e-6), (1e-10, 1e-7)])
def test_fans_agrees(reference, name, tol, allowed):
    """The triclinic spinodal cell catches mistakes of axes and order that cubic cells hide."""
    voxels, solid, expected = fans_cell(reference, name)
    assert largest_error(homogenize(voxels, solid, tol=tol).C, expected) <= allowed


def test_feli10_agrees(reference):
    """300 strut cells of 10 x 10 x 10; their void has a stiffness of 1e-9."""
    data = np.load(reference / "feli10.npz")
    order = [0, 1, 2, 4, 5, 3]  # theirs: xx, yy, zz, xy, yz, xz
    errors = []
    for cell, expected in zip(data["cells"], data["C"], strict=True):
        result = homogenize(cell.astype(bool).transpose(2, 1, 0), Isotropic(1.0, 0.3), threads=1)
        expected = expected[np.ix_(order, order)]
        errors.append(np.linalg.norm(result.C - expected) / np.linalg.norm(expected))
    assert len(errors) == 300
    assert max(errors) < 0.005
