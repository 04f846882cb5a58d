"""Largest errors of homog against exact solutions, invariances and other codes.

    python benchmarks/verification.py [--reference FOLDER]

Needs the packages of ``make test``. Errors are those of the entries of C relative to its
largest entry, unless a row says otherwise. FOLDER holds labels that are not shipped:
``fans.json``, ``fans.npz`` and ``feli10.npz``, as tests/test_reference.py reads them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the laws stand there, and are no package

# ruff: noqa: E402
import naive
from conftest import UNITS, signed_permutations, transformed
from test_homogenization import cylinder_deviation, largest_error, sphere_deviation
from test_reference import FANS_CELLS, SHIPPED, fans_cell

from homog import Isotropic, homogenize

SOLID = Isotropic(70e3, 0.33)
TIGHT = 1e-12


def exact_solutions():
    """Cells whose stiffness is known in closed form."""
    uniform = homogenize(np.ones((3, 4, 5)), SOLID).C
    yield "homogeneous cell", largest_error(uniform, SOLID.stiffness)
    for axis, name in enumerate("xyz"):
        yield f"laminate of six layers normal to {name}", laminate_error(axis)
    for axis, name in enumerate("xyz"):
        yield f"plate normal to {name}", plate_error(axis)
    bar = np.zeros((4, 5, 5), dtype=bool)
    bar[:, 1:3, 1:4] = True
    expected = np.diag([6 / 25 * SOLID.E, 0, 0, 0, 0, 0])
    yield "bar", largest_error(homogenize(bar, SOLID, tol=TIGHT).C, expected)


def laminate_error(axis):
    layers = np.array([1.0, 0.2, 0.2, 3.0, 0.05, 1.0])
    shape = [2, 3, 4]
    shape[axis] = len(layers)
    across = [other for other in range(3) if other != axis]
    factor = np.broadcast_to(np.expand_dims(layers, across), shape)
    C = homogenize(np.ones(shape), SOLID, tol=TIGHT, stiffness_factor=factor).C
    stiffnesses = [f * SOLID.stiffness for f in layers]
    return largest_error(C, naive.laminate(stiffnesses, [1 / 6] * 6, axis))


def plate_error(axis):
    cell = np.zeros((5, 5, 5), dtype=bool)
    cell[(slice(None),) * axis + (slice(1, 3),)] = True
    nearly_void = 1e-14 * SOLID.stiffness
    expected = naive.laminate([SOLID.stiffness, nearly_void], [0.4, 0.6], axis)
    return largest_error(homogenize(cell, SOLID, tol=TIGHT).C, expected)


def invariances():
    """The same cell seen in another way."""
    cell = np.random.default_rng(7).random((6, 7, 8)) < 0.7
    C = homogenize(cell, SOLID, tol=TIGHT).C
    errors = []
    for axes, flips in signed_permutations():
        turned, R = transformed(cell, axes, flips)
        errors.append(largest_error(homogenize(turned, SOLID, tol=TIGHT).C, naive.rotated(C, R)))
    yield "triclinic cell, 48 rotations and reflections", max(errors)
    shifted = np.roll(cell, (2, 3, 5), axis=(0, 1, 2))
    yield "triclinic cell, shifted", largest_error(homogenize(shifted, SOLID, tol=TIGHT).C, C)
    tiled = np.tile(cell, (2, 1, 2))
    yield "triclinic cell, tiled 2 x 1 x 2", largest_error(homogenize(tiled, SOLID, tol=TIGHT).C, C)


def dilute_voids():
    """Deviation of a void's effect from Eshelby's, and the rate at which it falls."""
    cases = (("cylinder", cylinder_deviation, 16, 256), ("sphere", sphere_deviation, 20, 40))
    for name, deviation, coarse, fine in cases:
        first, last = deviation(coarse), deviation(fine)
        rate = np.log(first / last) / np.log(fine / coarse)
        yield f"{name}, {coarse} voxels a side, deviation", first
        yield f"{name}, {fine} voxels a side, deviation (rate {rate:.2f})", last


def shipped_units():
    """The units of the package against what muGrid says about them."""
    for tol in (1e-6, 1e-10):
        for name, unit in SHIPPED["units"].items():
            C = homogenize(np.load(UNITS / f"{name}.npy"), SOLID, tol=tol).C
            yield f"muGrid, {name}, tol={tol:g}", largest_error(C, unit["C"])


def labels_not_shipped(folder):
    """FANS and feli10/metamaterial-3d."""
    for tol in (1e-6, 1e-10):
        for name in FANS_CELLS:
            voxels, solid, expected = fans_cell(folder, name)
            C = homogenize(voxels, solid, tol=tol).C
            yield f"FANS, {name}, tol={tol:g}", largest_error(C, expected)
    data = np.load(folder / "feli10.npz")
    order = [0, 1, 2, 4, 5, 3]
    errors = []
    for cell, theirs in zip(data["cells"], data["C"], strict=True):
        C = homogenize(cell.astype(bool).transpose(2, 1, 0), Isotropic(1.0, 0.3)).C
        expected = theirs[np.ix_(order, order)]
        errors.append(np.linalg.norm(C - expected) / np.linalg.norm(expected))
    yield f"feli10, {len(errors)} cells, Frobenius norm, median", np.median(errors)
    yield f"feli10, {len(errors)} cells, Frobenius norm, largest", max(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help="labels not shipped")
    folder = parser.parse_args().reference
    checks = [exact_solutions(), invariances(), dilute_voids(), shipped_units()]
    if folder:
        checks.append(labels_not_shipped(folder))
    print("| check | error |")
    print("| --- | --- |")
    for rows in checks:
        for name, error in rows:
            print(f"| {name} | {error:.1e} |", flush=True)


if __name__ == "__main__":
    main()
