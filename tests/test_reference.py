"""Numbers that other codes computed."""

import hashlib
import json

import numpy as np
import pytest
from conftest import ROOT, UNITS

from homog import Isotropic, homogenize
from homog.units import isosurfaces, tetrahedron
from homog.units.family import level_of, unfold

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


METASET = {  # families that isosurfaces express: field, and the part of C44 allowed to differ
    "006": ("200 sheet", (0.2, 0.3, 0.4), 0.03),  # 195-1-0-002-tt
    "110": ("110 low", (0.1, 0.2, 0.3, 0.4), 0.03),  # 207-1-0-011-tm
    "132": ("220 high", (0.6, 0.8), 0.03),  # 209-1-0-022-tp
    "247": ("110 high", (0.4, 0.6, 0.8), 0.03),  # 222-2-0-011-tp
    "001": ("100 low", (0.3, 0.4, 0.6, 0.8), 0.08),  # 195-1-0-001-tm
    "004": ("200 low", (0.3, 0.4, 0.6), 0.08),  # 195-1-0-002-tm
}


@pytest.mark.parametrize("number", METASET)
def test_metaset_has_the_same_curves(reference, number):
    """C12 and C44 over C11; the grid of METASET is unknown, and so is its volume fraction."""
    field, fractions, allowed = METASET[number]
    hkl, kind = field.split()
    family = isosurfaces.family((tuple(map(int, hkl)),), kind)
    curve = metaset_curve(reference, number)
    for fraction in fractions:
        values = family.values(dict.fromkeys(family.parameters, 0.0), 48)
        voxels = unfold(tetrahedron.octant(values <= level_of(values, fraction, 48), 48))
        C = homogenize(voxels, Isotropic(1.0, 0.3), tol=1e-5).C
        C12, C44 = (np.interp(C[0, 0], curve[0], column) for column in curve[1:])
        assert curve[0].min() < C[0, 0] < curve[0].max()
        assert C[0, 1] == pytest.approx(C12, rel=0.03)
        assert C[3, 3] == pytest.approx(C44, rel=allowed)


def metaset_curve(reference, number):
    """C11, C12 and C44 of a family, means over the axes, by rising C11."""
    lines = (reference / "metaset_p10.csv").read_text().splitlines()
    names, rows = lines[0].split(",")[1:], [line.split(",") for line in lines[1:]]
    values = np.array([row[1:] for row in rows if row[0].startswith(f"{number}_")], dtype=float)
    column = dict(zip(names, values.T, strict=True))
    C11 = (column["C11"] + column["C22"] + column["C33"]) / 3
    C12 = (column["C21"] + column["C31"] + column["C32"]) / 3
    C44 = (column["C44"] + column["C55"] + column["C66"]) / 3
    return np.array([C11, C12, C44])[:, np.argsort(C11)]
