"""Cells that the benchmarks solve: shipped ones at any resolution, triclinic and cubic ones."""

import sys
from itertools import combinations_with_replacement, permutations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from make_units import UNITS, centres, fold, make_unit, threshold

HARMONICS = list(combinations_with_replacement(range(4), 3))[1:]


def cell(name):
    """Voxels of a cell by its name.

    Parameters
    ----------
    name : str
        ``octet``, ``gyroid_sheet``, ... (see ``make_units``) or ``spinodal``, and the voxels
        along each edge: ``octet:96``; ``cubic:17`` is the unit of that number of 48^3.

    Returns
    -------
    (n, n, n) bool array
    """
    kind, number = name.split(":")
    if kind == "cubic":
        return cubic_unit(int(number))
    return spinodal(int(number)) if kind == "spinodal" else make_unit(kind, int(number))


def spinodal(resolution, density=0.3, seed=1):
    """Band-limited noise above a threshold: bicontinuous, and without any symmetry."""
    noise = np.random.default_rng(seed).standard_normal((48, 48, 48))
    waves = np.fft.fftfreq(48, 1 / 48)
    length = np.sqrt(sum(np.meshgrid(waves**2, waves**2, waves**2, indexing="ij")))
    spectrum = np.fft.fftn(noise) * np.exp(-(((length - 5) / 1.5) ** 2))
    wide = np.zeros((resolution,) * 3, dtype=complex)  # the same field on any finer grid
    places = np.ix_(*[np.rint(waves).astype(int) % resolution] * 3)
    wide[places] = spectrum
    return threshold(-np.fft.ifftn(wide).real * (resolution / 48) ** 3, density)


def cubic_unit(number, resolution=48):
    """A cubic unit that carries load along all axes, of density 0.05 to 0.40.

    Struts, plates, and solids or sheets along level sets of random sums of the symmetric
    products of cosines, in turn.
    """
    rng = np.random.default_rng([7, number])
    names = [name for name, (_, _, cubic) in UNITS.items() if cubic]
    points = fold(centres(resolution))
    while True:
        density = rng.uniform(0.05, 0.40)
        if number % 2:
            level = UNITS[names[number // 2 % len(names)]][0](*points)
        else:
            level = cosine_field(points, rng)
            level = np.abs(level) if number % 4 else level
        voxels = threshold(level, density)
        if carries(voxels):
            return voxels


def cosine_field(points, rng):
    """Sum of three symmetric products of cosines with random weights."""
    waves = [[np.cos(2 * np.pi * n * axis) for n in range(4)] for axis in points]
    total = 0
    for choice in rng.choice(len(HARMONICS), 3, replace=False):
        terms = set(permutations(HARMONICS[choice]))
        total = total + rng.standard_normal() * sum(
            waves[0][h] * waves[1][k] * waves[2][m] for h, k, m in terms
        )
    return total


def carries(voxels):
    """Whether a cell is one component that spans all axes."""
    from homog.cell import components

    spans = components(voxels).spans
    return len(spans) == 1 and spans.all()
