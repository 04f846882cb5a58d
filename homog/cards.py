"""Homogenized constants as material cards of finite-element programs.

Each program has its own order of the shear components. All take engineering shear strains, so
that the entries are those of C, in another order:

- Abaqus: 11, 22, 33, 12, 13, 23; upper triangle column by column, eight on a line
  (Keywords Reference Guide, *ELASTIC, TYPE=ANISOTROPIC: D1111, D1122, D2222, D1133, ...).
- CalculiX: as Abaqus (CrunchiX User's Manual, *ELASTIC, TYPE=ANISO; ``elastics.f`` reads and
  ``linel.f`` applies them in this order).
- Ansys: x, y, z, xy, yz, xz; lower triangle column by column, D11, D21, ..., D61, D22, ...
  (Mechanical APDL Material Reference, Anisotropic Elasticity, TB,ANEL).
- LS-DYNA: 11, 22, 33, 12, 23, 31; upper triangle column by column, C11, C12, C22, C13, ...
  (Keyword User's Manual, Volume II, *MAT_002, anisotropic option; Theory Manual, Material
  Model 2). A field has ten columns: a blank and four digits or more.
"""

import re

import numpy as np

from homog.errors import DataError, ParameterError

ORDERS = {  # of our Voigt components 11, 22, 33, 23, 13, 12
    "abaqus": (0, 1, 2, 5, 4, 3),
    "ansys": (0, 1, 2, 5, 3, 4),
    "calculix": (0, 1, 2, 5, 4, 3),
    "ls-dyna": (0, 1, 2, 5, 3, 4),
}
COMMENTS = {"abaqus": "** ", "ansys": "! ", "calculix": "** ", "ls-dyna": "$ "}


def material_card(result, program, name):
    """Effective stiffness of a solved cell as the text of a material card.

    Parameters
    ----------
    result : Homogenization
    program : {"abaqus", "ansys", "calculix", "ls-dyna"}
    name : str
        Of the material; what a program does not allow in names becomes an underscore.

    Returns
    -------
    str
        Stresses in the unit of the solid's E. Entries of C that its error does not tell from 0 are
        0. The density is the volume fraction, to be multiplied by that of the solid.

    Raises
    ------
    ParameterError
        If there is no such program.
    DataError
        If C is singular: no program takes a material without stiffness in some direction.
    """
    if program not in ORDERS:
        raise ParameterError(f"card must be one of {', '.join(ORDERS)}, got {program!r}")
    if result.directional is None:
        raise DataError(
            "C is singular, and programs take only stiffness in every direction; connect the cell "
            "along all axes"
        )
    order = np.array(ORDERS[program])
    noise = result.solver.error * np.abs(result.C).max()
    C = np.where(np.abs(result.C) <= noise, 0.0, result.C)[np.ix_(order, order)]
    name = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]
    name = name if name[:1].isalpha() else f"cell_{name}"
    comments = "".join(f"{COMMENTS[program]}{line}\n" for line in _comments(result, name))
    return comments + _WRITERS[program](C, name, result.volume_fraction)


def _comments(result, name):
    """What a reader of the card should know."""
    solid = result.material
    box = " x ".join(map(str, result.shape))
    return (
        f"{name}: periodic cell of {box} voxels, homogenized",
        f"solid: E = {solid.E:.8g}, nu = {solid.nu:.8g}; stresses below are in the unit of this E",
        f"volume fraction {result.volume_fraction:.6g}: density is this times that of the solid",
        "axes 1, 2, 3 are x, y, z of the voxels; shear strains are engineering strains",
    )


def _upper(C):
    """Upper triangle, column by column."""
    return [C[row, column] for column in range(6) for row in range(column + 1)]


def _lines(numbers, width):
    return [numbers[start : start + width] for start in range(0, len(numbers), width)]


def _abaqus(C, name, density, kind="ANISOTROPIC"):
    rows = [", ".join(f"{value:.8g}" for value in row) for row in _lines(_upper(C), 8)]
    return "\n".join([f"*MATERIAL, NAME={name}", f"*ELASTIC, TYPE={kind}", *rows]) + "\n"


def _calculix(C, name, density):
    return _abaqus(C, name, density, kind="ANISO")


def _ansys(C, name, density):
    rows = [
        f"TBDATA,{6 * number + 1}," + ",".join(f"{value:.8g}" for value in row)
        for number, row in enumerate(_lines(_upper_by_rows(C), 6))
    ]
    return "\n".join(["TB,ANEL,1,1,21,0", "TBTEMP,0", *rows]) + "\n"


def _upper_by_rows(C):
    """Upper triangle, row by row: the lower one of a symmetric matrix, column by column."""
    return C[np.triu_indices(6)].tolist()


def _ls_dyna(C, name, density):
    constants = ["1", _nine(density), *map(_nine, _upper(C)), "2"]
    axes = [["0", "0", "0", "1", "0", "0"], ["0", "0", "0", "0", "1", "0"]]  # a along x, d along y
    rows = ["".join(f"{word:>10}" for word in row) for row in [*_lines(constants, 8), *axes]]
    heads = (
        "      MID        RO       C11       C12       C22       C13       C23       C33",
        "      C14       C24       C34       C44       C15       C25       C35       C45",
        "      C55       C16       C26       C36       C46       C56       C66      AOPT",
        "       XP        YP        ZP        A1        A2        A3",
        "       V1        V2        V3        D1        D2        D3",
    )
    body = [f"${head}\n{row}" for head, row in zip(heads, rows, strict=True)]
    return "\n".join(["*MAT_ANISOTROPIC_ELASTIC_TITLE", name, *body]) + "\n"


def _nine(value):
    """A number with as many digits as nine columns hold."""
    texts = (re.sub(r"(e[+-])0", r"\1", f"{value:.{digits}g}") for digits in range(9, 0, -1))
    return next(text for text in texts if len(text) <= 9)


_WRITERS = {"abaqus": _abaqus, "ansys": _ansys, "calculix": _calculix, "ls-dyna": _ls_dyna}
