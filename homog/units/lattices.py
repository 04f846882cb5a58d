"""Lattices: octet, octahedral and body-centred cubic struts, and their sums.

Struts have a circular section. With ``taper`` their radius changes linearly between the nodes and
the middle; with ``node`` a sphere stands at each node.

References
----------
Deshpande, Fleck & Ashby (2001), J. Mech. Phys. Solids 49, 1747-1769 (octet truss).
"""

from functools import partial
from itertools import combinations

import numpy as np

from homog.units.family import Family
from homog.units.skeleton import bar_distance
from homog.units.tetrahedron import CORNERS

MIDDLE = (0.5, 0.25, 0.25)  # of the strut between two face centres
STRUTS = {  # ends in the tetrahedron; a strut of the octahedron is cut in its middle
    "fcc": (CORNERS["a"], CORNERS["c"]),
    "octahedral": (CORNERS["c"], MIDDLE),
    "bcc": (CORNERS["a"], CORNERS["d"]),
}
LATTICES = {  # which struts each has; octet = face-centred struts around the octahedron
    "octet": ("fcc", "octahedral"),
    "octahedral": ("octahedral",),
    "bcc": ("bcc",),
    "octahedral+bcc": ("octahedral", "bcc"),
    "octet+bcc": ("fcc", "octahedral", "bcc"),
    "fcc+bcc": ("fcc", "bcc"),
}
THICKEST = 1.2  # log2 of the ratio of the radius of struts to that of the first
OPTIONS = ("node", "taper")
BOUNDS = {"node": (1.0, 3.0), "taper": (-0.9, 0.9)}


def families():
    """All families of lattices, as a list of ``Family``."""
    chosen = [c for n in range(len(OPTIONS) + 1) for c in combinations(OPTIONS, n)]
    return [_family(lattice, options) for lattice in LATTICES for options in chosen]


def _family(lattice, options):
    ratios = [f"width.{strut}" for strut in LATTICES[lattice][1:]]
    bounds = [(-THICKEST, THICKEST)] * len(ratios) + [BOUNDS[option] for option in options]
    name = " ".join((lattice, *options))
    field = partial(_field, LATTICES[lattice])
    return Family(name, "lattices", (*ratios, *options), tuple(bounds), field)


def _field(struts, parameters, points):
    """Distance to the nearest strut or node, relative to its radius."""
    found = []
    for number, strut in enumerate(struts):
        start, end = STRUTS[strut]
        width = 2 ** (parameters[f"width.{strut}"] if number else 0.0)
        distance, place = bar_distance(points, start, end)
        to_middle = 1 - place if strut == "octahedral" else np.abs(2 * place - 1)
        profile = 1 + parameters.get("taper", 0.0) * (to_middle - 0.5)
        found.append(distance / (width * profile))
        if "node" in parameters:
            for node in (start, end) if strut != "octahedral" else (start,):
                sphere = np.linalg.norm(points - np.array(node), axis=1)
                found.append(sphere / (width * parameters["node"]))
    return np.minimum.reduce(found)
