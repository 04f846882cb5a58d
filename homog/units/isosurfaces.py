"""Isosurfaces of crystallographic structure factors, solid and sheet, and mixtures of two.

For a reflection hkl of a space group the structure factor of a general position x is the sum of
exp(2 pi i h . (R x + t)) over the operations (R, t) of the group. Its real part (A) or imaginary
part (B) is a field with at least the symmetry of the group. Kept are the fields of the cubic
groups that have all 48 symmetries about mirror planes at 0 and 1/2: there they are sums of
cos(2 pi h x) cos(2 pi k y) cos(2 pi l z).

References
----------
Chan, Ahmed, Wang & Chen (2021), J. Mech. Des. 143, 031707 (METASET).
Wohlgemuth, Yufa, Hoffman & Thomas (2001), Macromolecules 34, 6083-6089 (level surfaces).
Togo, Shinohara & Tanaka (2024), Sci. Technol. Adv. Mater. Meth. 4, 2384822 (spglib).
"""

import warnings
from functools import lru_cache, partial
from itertools import combinations, permutations, product
from math import cos, gcd, pi, sin

import numpy as np

from homog.units.family import Family

CUBIC = range(489, 531)  # Hall numbers of the cubic space groups, all choices of origin
HIGHEST = 3  # index of a reflection
MIXED = 9  # simplest fields that are mixed in pairs
SHEET_OFFSET = 0.5  # of the middle of a sheet, in parts of the amplitude
SIGNS = tuple(product((1, -1), repeat=3))


def families():
    """All families of isosurfaces, as a list of ``Family``.

    Reflections whose indices have a common divisor only repeat a smaller cell, and are used in
    mixtures alone.
    """
    fields = cubic_fields()
    found = []
    for hkl in fields:
        if gcd(*hkl) == 1:
            found += [family((hkl,), kind) for kind in ("low", "high", "sheet")]
    for pair in combinations(list(fields)[:MIXED], 2):
        if gcd(*pair[0], *pair[1]) == 1:
            found += [family(pair, kind) for kind in ("low", "sheet")]
    return found


@lru_cache(maxsize=1)
def cubic_fields():
    """Structure factors with full cubic symmetry.

    Returns
    -------
    dict
        ``{(h, k, l): group}``, h >= k >= l, simplest first; ``group`` is the number of the first
        space group that gives the field.
    """
    import spglib  # late: only generating needs it

    found = {}
    reflections = [hkl for hkl in product(range(HIGHEST + 1), repeat=3) if list(hkl) == sorted(hkl)]
    for hall in CUBIC:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            operations = spglib.get_symmetry_from_database(hall)  # warns of its own future
            number = spglib.get_spacegroup_type(hall).number
        for lkh in reflections[1:]:
            hkl = lkh[::-1]
            if hkl not in found and any(map(_is_cubic, structure_factor(operations, hkl))):
                found[hkl] = number
    simplest = sorted(found, key=lambda hkl: (sum(n * n for n in hkl), hkl))
    return {hkl: found[hkl] for hkl in simplest}


def structure_factor(operations, hkl):
    """Fourier coefficients of the real and the imaginary part of a structure factor.

    Parameters
    ----------
    operations : dict
        ``rotations`` (n, 3, 3) of integers and ``translations`` (n, 3).
    hkl : tuple of int

    Returns
    -------
    list of dict
        A and B, each ``{wave vector: complex coefficient}`` of exp(2 pi i q . x).
    """
    waves = np.einsum("i,nij->nj", hkl, operations["rotations"])
    phases = np.exp(2j * pi * (operations["translations"] @ np.array(hkl)))
    parts = [{}, {}]
    for wave, phase in zip(map(tuple, waves), phases, strict=True):
        minus = tuple(-n for n in wave)
        for part, factor in zip(parts, (0.5, -0.5j), strict=True):
            part[wave] = part.get(wave, 0) + factor * phase
            part[minus] = part.get(minus, 0) + np.conj(factor * phase)
    return parts


def _is_cubic(part):
    """Whether a field is a multiple of the sum of cosine products: equal, real coefficients."""
    values = np.array(list(part.values()))
    size = np.abs(values).max()
    wave = next(iter(part))
    images = {
        tuple(s * wave[axis] for s, axis in zip(signs, axes, strict=True))
        for signs in SIGNS
        for axes in permutations(range(3))
    }
    return size > 1e-9 and images == set(part) and np.allclose(values, values[0].real)


def family(reflections, kind):
    """A family of isosurfaces.

    Parameters
    ----------
    reflections : tuple of one or two (h, k, l)
    kind : {"low", "high", "sheet"}
        Solid where the field is low, where it is high, or near a value.

    Returns
    -------
    Family
    """
    parameters, bounds = [], []
    if len(reflections) == 2:
        parameters.append("mixing")  # angle: cos of it times the first field, sin the second
        bounds.append((0.0, 2 * pi))
    if kind == "sheet":
        parameters.append("offset")
        bounds.append((-SHEET_OFFSET, SHEET_OFFSET))
    name = "+".join("".join(map(str, hkl)) for hkl in reflections)
    field = partial(_field, reflections, kind)
    return Family(f"{name} {kind}", "isosurfaces", tuple(parameters), tuple(bounds), field)


def _field(reflections, kind, parameters, points):
    """Low: the field; high: its negative; sheet: its distance from the offset."""
    weights = (1.0,)
    if len(reflections) == 2:
        weights = cos(parameters["mixing"]), sin(parameters["mixing"])
    value = sum(
        weight * cosine_products(points, hkl)
        for weight, hkl in zip(weights, reflections, strict=True)
    )
    if kind == "sheet":
        return np.abs(value - parameters["offset"])
    return -value if kind == "high" else value


def cosine_products(points, hkl):
    """Mean of cos(2 pi h x) cos(2 pi k y) cos(2 pi l z) over the permutations of hkl, (m,) array.

    Parameters
    ----------
    points : (m, 3) array
        In edges of the cell.
    hkl : tuple of int
    """
    waves = [[np.cos(2 * pi * n * x) for n in hkl] for x in points.T]
    orders = list(permutations(range(3)))
    return sum(waves[0][p] * waves[1][q] * waves[2][r] for p, q, r in orders) / len(orders)
