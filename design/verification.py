"""Verification of designs by finite elements: at the resolution of delivery, and at twice it.

The finer cell comes from the decoded field, resampled smoothly, at the same density: what changes
between the two is the error of the voxels, not the design.
"""

from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.stats import norm

from homog.cell import carries_mirrored, is_open_mirrored, load_path
from homog.errors import HomogError
from homog.homogenization import homogenize
from homog.labels import CONSTANTS
from homog.material import Isotropic
from homog.thickness import smallest_feature
from homog.units import tetrahedron
from homog.units.family import unfold

DRAWS = 16  # solids for the sampled deviations
TOL = 1e-5
SCATTER = 0.01  # of the solid, where labels have none


@dataclass(frozen=True)
class Candidate:
    """A design to verify: its octant (n, n, n) bool, and the occupancy and level it was cut at."""

    octant: np.ndarray
    occupancy: np.ndarray
    level: float


def verified(material, scatter, candidate):
    """What finite elements say of a design besides its labels.

    Parameters
    ----------
    material : Isotropic
    scatter : float
        Relative standard deviation of the solid's E and nu; 0 for the usual 1 %.
    candidate : Candidate

    Returns
    -------
    dict
        ``smallest_feature`` in voxels, ``open_cell``, ``parts`` (1: one part carries all load),
        ``E, G, nu, K, zener``, their deviations ``*_linear`` from the sensitivities and
        ``*_sampled`` from sampled solids, ``K_ratio`` to the Hashin-Shtrikman bound, and
        ``density_fine``, ``*_fine`` and ``K_ratio_fine`` at twice the resolution. NaN where a
        solve failed.
    """
    cell = unfold(candidate.octant)
    found = {
        "smallest_feature": smallest_feature(candidate.octant, mirrored=True),
        "open_cell": is_open_mirrored(candidate.octant),
        "parts": load_path(cell).parts,
    }
    return found | _solved(cell, material, scatter or SCATTER) | _fine(candidate, material)


def _constants(result):
    """Constants of a solved cell, and its K relative to the Hashin-Shtrikman bound."""
    return {name: getattr(result, name) for name in CONSTANTS} | {
        "K_ratio": result.K / result.K_upper
    }


NOTHING = dict.fromkeys((*CONSTANTS, "K_ratio"), np.nan)  # of a cell that was not solved


def _solved(cell, material, scatter):
    """Constants of a cell and their deviations under scatter of the solid."""
    try:
        result = homogenize(cell, material, tol=TOL, threads=1, fields=True)
        found = _constants(result)
        linear, sampled = result.scatter(scatter), _sampled(cell, material, scatter, result.fields)
    except HomogError:
        found = linear = sampled = NOTHING
    deviations = {f"{name}_linear": linear[name] for name in CONSTANTS}
    return found | deviations | {f"{name}_sampled": sampled[name] for name in CONSTANTS}


def _sampled(cell, material, scatter, start):
    """Deviations of the constants from solved cells whose solids scatter.

    The moduli are proportional to the solid's E, so that only nu has to be drawn: at the middles
    of intervals of equal chance. Products of independent factors have
    Var(e k) = E[e^2] E[k^2] - E[e]^2 E[k]^2.
    """
    steps = norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS)
    steps /= np.sqrt(np.mean(steps**2))  # the middles alone scatter a little less
    rows = []
    for step in steps:
        solid = Isotropic(material.E, material.nu * (1 + scatter * step))
        result = homogenize(cell, solid, tol=TOL, threads=1, start=start)
        rows.append([getattr(result, name) for name in CONSTANTS])
    values = np.array(rows)
    mean, square = values.mean(0), (values**2).mean(0)
    by_modulus = np.array([scatter**2 * (name in ("E", "G", "K")) for name in CONSTANTS])
    variance = (1 + by_modulus) * square - mean**2
    return dict(zip(CONSTANTS, np.sqrt(np.maximum(variance, 0)), strict=True))


def _fine(candidate, material):
    """Constants at twice the resolution."""
    octant = refined(candidate)
    values = NOTHING
    if all(carries_mirrored(octant)):
        with suppress(HomogError):
            values = _constants(homogenize(unfold(octant), material, tol=TOL, threads=1))
    return {"density_fine": octant.mean()} | {f"{k}_fine": v for k, v in values.items()}


def refined(candidate):
    """Octant at twice the resolution, of the same density, from a smoothly resampled field.

    Parameters
    ----------
    candidate : Candidate

    Returns
    -------
    (2 n, 2 n, 2 n) bool array
    """
    octant, field = candidate.octant, candidate.occupancy - candidate.level
    field = np.where(octant == (field >= 0), field, -field)  # what cleaning changed turns its sign
    points = (np.arange(2 * len(octant)) - 0.5) / 2
    grid = np.meshgrid(points, points, points, indexing="ij")
    fine = map_coordinates(field, grid, order=3, mode="reflect")
    fine = _symmetric(fine)
    values, count = np.unique(fine, return_counts=True)
    wanted = round(octant.mean() * fine.size)
    above = np.cumsum(count[::-1])
    chosen = int(np.argmin(np.abs(above - wanted)))
    made = fine >= values[::-1][chosen]
    path = load_path(unfold(made)).solid[: len(made), : len(made), : len(made)]
    return path if path.any() else made


def _symmetric(field):
    """The mean over permutations of the axes, equal to the last digit where they agree."""
    n = len(field)
    i, j, k = np.indices(field.shape)
    values = sum(field.transpose(axes) for axes in permutations(range(3)))
    return tetrahedron.octant(values[(i >= j) & (j >= k)] / 6, 2 * n)
