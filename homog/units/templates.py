"""Templates: bars and plates in the fundamental tetrahedron, unfolded and thickened.

A template is a set of nodes and what joins them. A node stands for the corners of the
tetrahedron that it lies between: ``a`` is a corner, ``ab`` a point of an edge, ``abd`` of a face,
``abcd`` of the interior; ``e`` and ``f`` are fixed points of the planes {111}. Two nodes make a
bar, three a plate, four a plate with a corner cut off. So ``a-bc bc-cd-d`` is a bar from corner a
to a point of the edge bc, and a plate. Where the points lie and how thick the parts are against
each other are the parameters.

References
----------
Chen, Skouras, Zhu & Matusik (2018), Sci. Adv. 4, eaao7005 (families of microstructures, auxetics).
Panetta et al. (2015), ACM Trans. Graph. 34, 135 (patterns of bars between such nodes).
Berger, Wadley & McMeeking (2017), Nature 543, 533-537 (plates of cubic symmetry).
"""

import re
from functools import partial
from itertools import pairwise
from math import log2

import numpy as np

from homog.units.family import Family
from homog.units.skeleton import bar_distance, plate_distance
from homog.units.tetrahedron import CORNERS, POINTS

# Templates by what they are for. CLOSED are the planes {100}, {110} and {111} and their sums,
# RIBBED the same with bars (plates alone have few thicknesses in voxels), HALF_OPEN the same with a
# hole where a corner was. The others were chosen among 2,600 random ones by the properties of
# three units each: the auxetics with the most units of negative Poisson's ratio, the rest to lie
# far apart in Poisson's ratio, K relative to its bound, and anisotropy.
CLOSED = """
    a-b-d, a-c-d, b-c-d, b-c-d a-b-d, b-c-d a-c-d, b-e-f b-d-e, a-b-c b-e-f b-d-e,
    a-c-d b-e-f b-d-e, b-c-d b-e-f b-d-e
"""
RIBBED = """
    a-c-d a-c, a-c-d c-d, a-c-d a-d, a-c-d b-c, a-c-d abd-b, a-c-d ab-c, a-b-d a-b, a-b-d b-d,
    a-b-d a-d, a-b-d ab-ad, b-e-f b-d-e b-d, b-e-f b-d-e a-b, b-e-f b-d-e abc-c,
    b-c-d a-b-d a-d, b-c-d a-c-d a-c
"""
HALF_OPEN = """
    bc-c-d-bd, bd-b-c-cd, bc-b-d-cd, ac-c-d-ad, ac-a-d-cd, ad-a-c-cd, ab-b-d-ad, ab-a-d-bd,
    ad-a-b-bd, bc-c-d-bd b-e-f b-d-e, bd-b-c-cd b-e-f b-d-e, bc-c-d-bd ac-c-d-ad,
    bd-b-c-cd ad-a-c-cd, bd-b-c-cd ac-a-d-cd, bd-b-c-cd ab-a-d-bd, bc-c-d-bd ab-b-d-ad,
    bc-b-d-cd ac-a-d-cd
"""
PLATES = """
    a-abc-bd, a-acd-bd, ab-ad-b, ab-ad-cd, abc-ad-bc, abc-b-c, abd-bcd-c, ac-ad-d, b-bc-d,
    b-bd-c, bc-bd-d, a-abc a-ab-cd, a-abd a-ad-bc, a-ad abd-ad-bcd, a-b abcd-b-bd, a-cd a-ad-c,
    ab-bc-c ac-bc-cd, abcd-d c-cd-d, abd-ac abd-ac-b, ad-b ab-b-bcd, bc-c ab-abc-c,
    bc-cd ab-abd-cd, cd-d a-ad-d, a-d ad-d a-abcd-cd, abcd-abd abcd-abd-bcd bcd-c-cd,
    ac-c ac-cd a-c-d, ac-cd cd-d ac-bc-c, b-bc abd-b-cd b-c-d, cd-d bc-bcd-c bc-bd-d
"""
STRUTS = """
    a-ab ab-d, a-abc abc-bd, a-abc abc-d, a-b abcd-b, a-b b-bcd, a-bc a-bd, a-bc abc-bc,
    a-c c-d, a-d abd-d, ab-ac ab-d, ab-b ad-b, ab-c c-cd, ab-d c-d, abc-d bcd-d, abd-ad ad-bc,
    ac-c ac-d, ac-d bcd-d, acd-c c-d, acd-d b-d, bd-c c-d, a-ab a-acd a-d, a-ac a-b b-bcd,
    a-bc abc-bc bc-bcd, a-bc bc-bcd bc-d, a-cd bd-d cd-d, ab-acd ab-bc acd-bcd,
    ab-ad ad-cd cd-d, ab-bc ab-cd ad-bc, ab-c abcd-c ac-c, ab-c abd-b b-c, abc-ad ac-ad ad-d,
    abc-bc ac-bc b-bc, abd-c abd-d cd-d, ad-d c-d cd-d, b-bc b-c c-d, b-cd b-d c-d
"""
AUXETIC = """
    ab-abc-c, ab-abc-cd, ab-b-cd, ab-bc-cd, ab-c, ab-cd, abc-b-cd, a-ab ab-cd, ab-abc abc-c,
    ab-abcd ab-cd, ab-b b-cd, ab-bc abd-bc-cd, ab-bc ac-bc, ab-bc bc-c, ab-bcd ab-cd,
    ab-bd ab-cd, ab-c bc-c, ab-c bd-c, ab-c c-d, ab-cd ab-b-bd, ab-cd b-cd, ab-cd bcd-cd,
    abc-abcd-abd abd-ad-bcd, abc-abd abc-c, abc-b abc-cd, abc-bc ab-abc-cd, abd-b b-cd,
    abd-bc bc-cd, ac-cd b-cd, acd-cd b-cd, b-bc b-cd, a-ab ab-b ab-cd, a-abc abc-b b-cd,
    a-b b-bc b-cd, a-b b-bc bc-cd, ab-b ab-c ab-cd, ab-b ab-cd c-cd, ab-bc bc-c bcd-c,
    ab-bcd ab-cd bc-bcd, ab-bcd bcd-c c-d, ab-bcd bcd-d c-d, ab-bd ab-c bc-bd, ab-c ab-cd b-c,
    ab-c abcd-c c-d, ab-c c-cd c-d, ab-cd ac-cd ac-c-cd, bcd-c c-d ab-bc-c,
    ab-acd ab-c bc-c ab-bc-bcd
"""
OFTEN = 2.0  # weight of templates that few others come near in their properties
THICKEST = 2.0  # ratio of thickness of a part to that of the first
_NODE = "(?:a?b?c?d?|e|f)"
_PART = f"{_NODE}(?:-{_NODE}){{1,3}}"


def families():
    """All templates that are sampled, as a list of ``Family``."""
    plain = [name for group in (CLOSED, PLATES, STRUTS) for name in _names(group)]
    often = [name for group in (RIBBED, HALF_OPEN, AUXETIC) for name in _names(group)]
    return [*map(template, plain), *(template(name, OFTEN) for name in often)]


def _names(group):
    return [name.strip() for name in " ".join(group.split()).split(",")]


def is_template(name):
    """Whether a name describes a template."""
    parts = [part.split("-") for part in name.split()]
    whole = re.fullmatch(f"{_PART}(?: {_PART})*", name) is not None
    return whole and all(all(part) and len(set(part)) == len(part) for part in parts)


def template(name, weight=1.0):
    """Family of a template.

    Parameters
    ----------
    name : str
        Bars and plates, such as ``"a-bc bc-cd-d"``.
    weight : float
        Chance to be drawn, against that of others.

    Returns
    -------
    Family
    """
    parts = tuple(tuple(part.split("-")) for part in name.split())
    places = [
        f"{node}.{number}"
        for node in sorted({node for part in parts for node in part})
        for number in range(1, len(node))
    ]
    ratios = [f"width.{number}" for number in range(1, len(parts))]
    cut = _cut_corners(parts)
    bounds = [cut.get(place, (0.1, 0.9)) for place in places]
    bounds += [(-log2(THICKEST), log2(THICKEST))] * len(ratios)
    field = partial(_field, parts)
    return Family(name, "templates", (*places, *ratios), tuple(bounds), field, weight)


def _cut_corners(parts):
    """Bounds of places that cut the corner off a triangle: at most half of its edges."""
    bounds = {}
    for plate in parts:
        ends = [node for node in plate if len(node) == 2]
        shared = set.intersection(*map(set, ends)) if len(plate) == 4 and len(ends) == 2 else ()
        for corner in shared:  # one, as the ends differ
            for node in ends:
                bounds[f"{node}.1"] = (0.5, 0.9) if node[0] == corner else (0.1, 0.5)
    return bounds


def node_point(node, parameters):
    """Point of a node, (3,) array: between its corners, one after the other."""
    if node in POINTS:
        return np.array(POINTS[node])
    point = np.array(CORNERS[node[0]])
    for number, corner in enumerate(node[1:], 1):
        # the share of a new corner: uniform in the edge, triangle or tetrahedron
        share = 1 - parameters[f"{node}.{number}"] ** (1 / number)
        point += share * (np.array(CORNERS[corner]) - point)
    return point


def _field(parts, parameters, points):
    """Distance to the nearest part, relative to its thickness."""
    found = []
    for number, part in enumerate(parts):
        nodes = [node_point(node, parameters) for node in part]
        if len(nodes) == 2:
            distance = bar_distance(points, *nodes)[0]
        else:
            fan = [plate_distance(points, nodes[0], *pair) for pair in pairwise(nodes[1:])]
            distance = np.minimum.reduce(fan)
        found.append(distance / 2 ** (parameters[f"width.{number}"] if number else 0.0))
    return np.minimum.reduce(found)
