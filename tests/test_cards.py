"""Material cards: what a program makes of each one is the law of the cell.

A card is read by the names that the manual gives to its entries, each name says which stress it
gives for which strain, and both are tensors: no test knows an order of components but the manual's.
"""

import re
import shutil
import subprocess

import numpy as np
import pytest

from homog import Isotropic, cards, homogenize
from homog.errors import DataError, ParameterError

ABAQUS = """D1111 D1122 D2222 D1133 D2233 D3333 D1112 D2212
D3312 D1212 D1113 D2213 D3313 D1213 D1313 D1123
D2223 D3323 D1223 D1323 D2323"""  # Keywords Reference Guide, *ELASTIC, TYPE=ANISOTROPIC
ANSYS = """D11 D21 D31 D41 D51 D61
D22 D32 D42 D52 D62 D33
D43 D53 D63 D44 D54 D64
D55 D65 D66"""  # Material Reference, Anisotropic Elasticity; terms x, y, z, xy, yz, xz
ANSYS_TERMS = ("11", "22", "33", "12", "23", "13")
LS_DYNA = """MID RO C11 C12 C22 C13 C23 C33
C14 C24 C34 C44 C15 C25 C35 C45
C55 C16 C26 C36 C46 C56 C66 AOPT"""  # Keyword Manual II, *MAT_002; 11, 22, 33, 12, 23, 31
LS_DYNA_TERMS = ("11", "22", "33", "12", "23", "31")
MODULI = {"abaqus": 1e-7, "calculix": 1e-7, "ansys": 1e-7, "ls-dyna": 1e-4}  # digits of a card


@pytest.fixture(scope="module")
def result():
    """Of a triclinic cell: all 21 constants differ."""
    voxels = np.random.default_rng(7).random((6, 7, 8)) < 0.7
    solved = homogenize(voxels, Isotropic(70e3, 0.33), tol=1e-10)
    assert len(np.unique(np.abs(np.round(solved.C, 3)))) == 21
    return solved


def numbers(program, card):
    """The lines of numbers of a card."""
    lines = [line for line in card.splitlines() if not line.startswith(cards.COMMENTS[program][:1])]
    if program == "ansys":
        return [line.split(",")[2:] for line in lines if line.startswith("TBDATA")]
    if program == "ls-dyna":
        return [[line[n : n + 10] for n in range(0, len(line), 10)] for line in lines[2:]]
    return [line.split(",") for line in lines if not line.startswith("*")]


def entries(program, card):
    """{(ij, kl): value}, stress ij for strain kl, by the names of the manual."""
    names = {"ansys": ANSYS, "ls-dyna": LS_DYNA}.get(program, ABAQUS)
    found = {}
    for row, values in zip(names.splitlines(), numbers(program, card), strict=False):
        for name, value in zip(row.split(), values, strict=True):
            if not re.fullmatch(r"[CD]\d+", name):
                continue
            pair = name[1:3], name[3:5]
            if len(name) == 3:
                terms = ANSYS_TERMS if program == "ansys" else LS_DYNA_TERMS
                pair = terms[int(name[1]) - 1], terms[int(name[2]) - 1]
            found[pair] = float(value)
    assert len(found) == 21
    return found


def stress(found, strain):
    """Stress tensor for a strain tensor, of entries that take engineering shear."""
    sigma = np.zeros((3, 3))
    full = found | {(kl, ij): value for (ij, kl), value in found.items()}
    for (ij, kl), value in full.items():
        i, j, k, m = (int(digit) - 1 for digit in ij + kl)
        sigma[i, j] += value * strain[k, m] * (1 if k == m else 2)
    return np.where(np.eye(3, dtype=bool), sigma, sigma + sigma.T)  # one of ij, ji is there


def law(C, strain):
    """Stress tensor of the cell, from C in the order 11, 22, 33, 23, 13, 12 of the project."""
    e = strain
    voigt = [e[0, 0], e[1, 1], e[2, 2], 2 * e[1, 2], 2 * e[0, 2], 2 * e[0, 1]]
    s = C @ voigt
    return np.array([[s[0], s[5], s[4]], [s[5], s[1], s[3]], [s[4], s[3], s[2]]])


@pytest.mark.parametrize("program", cards.ORDERS)
def test_card_gives_the_stress_of_the_cell_for_any_strain(program, result):
    found = entries(program, cards.material_card(result, program, "cell"))
    for seed in range(4):
        strain = np.random.default_rng(seed).standard_normal((3, 3))
        strain = strain + strain.T
        expected = law(result.C, strain)
        tolerance = MODULI[program] * np.abs(expected).max()
        np.testing.assert_allclose(stress(found, strain), expected, atol=tolerance)


@pytest.mark.parametrize("program", cards.ORDERS)
def test_card_of_a_soft_cell_keeps_its_digits(program):
    """With E = 1 and bars of one voxel the constants are small, and some negative."""
    voxels = np.zeros((6, 6, 6), dtype=bool)
    voxels[:, 1, 1] = voxels[1, :, 1] = voxels[1, 1, :] = True
    voxels[2, 2, 1] = True
    soft = homogenize(voxels, Isotropic(1e-3, 0.3))
    found = entries(program, cards.material_card(soft, program, "cell"))
    for (ij, kl), value in found.items():
        strain = np.zeros((3, 3))
        i, j, k, m = (int(digit) - 1 for digit in ij + kl)
        strain[k, m] = strain[m, k] = 1 if k == m else 0.5
        assert value == pytest.approx(law(soft.C, strain)[i, j], rel=1e-4, abs=2e-6 * soft.C.max())


@pytest.mark.parametrize("program", cards.ORDERS)
def test_card_tells_unit_density_and_name(program, result):
    card = cards.material_card(result, program, "my cell/7 é")
    assert "E = 70000" in card
    assert f"{result.volume_fraction:.6g}" in card
    assert "my_cell_7__" in card
    assert card.isascii()
    comment = cards.COMMENTS[program]
    assert card.startswith(comment)
    assert max(map(len, card.splitlines())) <= 128  # CalculiX reads 132 columns


def test_lines_are_those_of_the_programs(result):
    abaqus, calculix, ansys, ls_dyna = (
        cards.material_card(result, program, "cell")
        for program in ("abaqus", "calculix", "ansys", "ls-dyna")
    )
    assert "*MATERIAL, NAME=cell\n*ELASTIC, TYPE=ANISOTROPIC\n" in abaqus
    assert "*MATERIAL, NAME=cell\n*ELASTIC, TYPE=ANISO\n" in calculix
    assert "TB,ANEL,1,1,21,0\nTBTEMP,0\nTBDATA,1," in ansys
    assert re.findall(r"^TBDATA,(\d+),", ansys, re.M) == ["1", "7", "13", "19"]
    assert "*MAT_ANISOTROPIC_ELASTIC_TITLE\ncell\n" in ls_dyna
    rows = numbers("ls-dyna", ls_dyna)
    assert [len(row) for row in rows] == [8, 8, 8, 6, 6]
    assert all(word.startswith(" ") for row in rows for word in row)  # readable by blanks too
    assert rows[0][0].strip() == "1"
    assert float(rows[0][1]) == pytest.approx(result.volume_fraction)
    assert rows[2][7].strip() == "2"  # AOPT 2: axes by the vectors a and d
    assert [word.strip() for row in rows[3:] for word in row[3:]] == list("100010")


def test_what_cannot_be_told_from_zero_is_zero():
    voxels = np.zeros((8, 8, 8), dtype=bool)
    voxels[1:4, 1:4, :] = voxels[1:4, :, 1:4] = voxels[:, 1:4, 1:4] = True
    cubic = homogenize(voxels, Isotropic(1.0, 0.3), use_symmetry=False)
    assert (
        sum(
            value != 0
            for value in entries("abaqus", cards.material_card(cubic, "abaqus", "c")).values()
        )
        == 9
    )


def test_singular_cells_and_unknown_programs_are_refused(result):
    bar = np.zeros((4, 4, 4), dtype=bool)
    bar[:, 1, 1] = True
    with pytest.raises(DataError, match="singular"):
        cards.material_card(homogenize(bar, Isotropic(1.0, 0.3)), "abaqus", "bar")
    with pytest.raises(ParameterError, match="one of abaqus"):
        cards.material_card(result, "nastran", "cell")


NODES = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]


@pytest.mark.skipif(shutil.which("ccx") is None, reason="needs the program ccx of CalculiX")
def test_calculix_computes_the_stress_of_the_cell(result, tmp_path):
    """One element with all nodes displaced as by a strain with all components."""
    strain = 1e-3 * np.array([[1, 0.4, -0.3], [0.4, -0.5, 0.7], [-0.3, 0.7, 0.8]])
    deck = ["*NODE, NSET=ALL"]
    deck += [f"{n}, {x}, {y}, {z}" for n, (x, y, z) in enumerate(NODES, 1)]
    deck += ["*ELEMENT, TYPE=C3D8, ELSET=CUBE", "1, 1, 2, 3, 4, 5, 6, 7, 8"]
    deck += [cards.material_card(result, "calculix", "CELL").strip()]
    deck += ["*SOLID SECTION, ELSET=CUBE, MATERIAL=CELL", "*STEP", "*STATIC", "*BOUNDARY"]
    for n, position in enumerate(NODES, 1):
        u = strain @ position
        deck += [f"{n}, {axis + 1}, {axis + 1}, {u[axis]:.12g}" for axis in range(3)]
    deck += ["*EL PRINT, ELSET=CUBE", "S", "*END STEP", ""]
    (tmp_path / "cube.inp").write_text("\n".join(deck))
    done = subprocess.run(
        ["ccx", "cube"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    rows = [line.split() for line in (tmp_path / "cube.dat").read_text().splitlines()]
    points = np.array([row[2:] for row in rows if len(row) == 8 and row[0] == "1"], float)
    assert len(points) == 8
    expected = law(result.C, strain)
    order = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]  # sxx, syy, szz, sxy, sxz, syz
    for point in points:
        np.testing.assert_allclose(
            point, [expected[place] for place in order], atol=1e-5 * np.abs(expected).max()
        )
