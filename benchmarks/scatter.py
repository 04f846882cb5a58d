"""How far a label to first order in the solid is from a solved one.

    python benchmarks/scatter.py [UNITS]

Random cubic units are solved at E = 70000 and nu = 0.33 and at solids whose nu lies one to three
standard deviations of 1 % away. C is proportional to E, so that only nu matters. The first order
comes from the derivative of C by nu. Printed are the largest and the median relative difference
of E, nu, G and K, and what the second solve costs when it starts from the fields of the first.
"""

import sys
import time

import numpy as np

from homog import Isotropic, homogenize
from homog.dataset import unpack
from homog.properties import cubic_constants, nearest_cubic
from homog.units.family import unfold
from homog.units.sampling import Plan, sample

E, NU, DEVIATION, TOL = 70e3, 0.33, 0.01, 1e-9
NAMES = ("E", "nu", "G", "K")


def constants(C):
    """E, nu, G and K of the nearest cubic tensor."""
    found = cubic_constants(*nearest_cubic(C))
    return np.array([found[name] for name in NAMES])


def differences(voxels, nominal, steps):
    """Relative differences of the first order from a solve, for each step of nu."""
    out = []
    for step in steps:
        nu = NU * (1 + step * DEVIATION)
        solved = homogenize(voxels, Isotropic(E, nu), tol=TOL, threads=1)
        first = constants(nominal.C + nominal.dC_dnu * (nu - NU))
        out.append(np.abs(first / constants(solved.C) - 1).max())
    return out


def cpu(voxels, tol=1e-5):
    """CPU time of a label at the nominal solid, and of one near it that starts from its fields."""
    begin = time.process_time()
    first = homogenize(voxels, Isotropic(E, NU), tol=tol, threads=1, fields=True)
    middle = time.process_time()
    homogenize(voxels, Isotropic(E, 1.02 * NU), tol=tol, threads=1, start=first.fields)
    return middle - begin, time.process_time() - middle


def main():
    count = int(sys.argv[1]) if sys.argv[1:] else 60
    plan = Plan(count, seed=7)
    cells = [unfold(unpack(unit.packed, (24,) * 3)) for unit in sample(plan).units]
    cpu(cells[0])  # warm-up
    rows, seconds = [], []
    for voxels in cells:
        nominal = homogenize(voxels, Isotropic(E, NU), tol=TOL, threads=1)
        rows.append(differences(voxels, nominal, (1, 2, 3)))
        seconds.append(cpu(voxels))
    for step, values in enumerate(np.array(rows).T, 1):
        print(f"{step} deviations: largest {values.max():.1e}, median {np.median(values):.1e}")
    first, second = 1e3 * np.median(seconds, axis=0)
    print(f"CPU ms: {first:.0f} for the first label, {second:.0f} for the second")


if __name__ == "__main__":
    main()
