"""Families of cubic unit cells, from three sources.

Each family maps parameters to a field on the fundamental tetrahedron; the solid is where it is
at most a level. Unfolding gives all 48 symmetries exactly, at any even resolution.
"""

from functools import lru_cache

from homog.errors import ParameterError

SOURCES = ("templates", "lattices", "isosurfaces")


@lru_cache(maxsize=1)
def families():
    """All families, ``{name: Family}``."""
    from homog.units import isosurfaces, lattices, templates  # late: they load spglib

    found = [f for source in (templates, lattices, isosurfaces) for f in source.families()]
    return {family.name: family for family in found}


def unit_cell(family, parameters, level, resolution=48):
    """Voxels of a cubic unit cell.

    Parameters
    ----------
    family : str
        One of ``families()``, or any template such as ``"a-bc cd-bc-d"``.
    parameters : dict
        Of the family.
    level : float
        Of its field, up to which it is solid: a radius in edges of the cell for templates and
        lattices.
    resolution : int
        Voxels along the edge of the cell, even.

    Returns
    -------
    (n, n, n) bool array

    Raises
    ------
    ParameterError
        If the family is unknown, its parameters are others, or the resolution is odd.
    """
    from homog.units.family import unfold

    return unfold(find_family(family).octant(parameters, level, resolution))


def find_family(name):
    """A family by its name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    from homog.units.templates import is_template, template

    if name in families():
        return families()[name]
    if is_template(name):
        return template(name)
    raise ParameterError(f"no family {name!r}; homog.units.families() lists them")
