"""A family of unit cells: a shape with parameters, of any thickness and at any resolution."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homog.errors import ParameterError
from homog.units import tetrahedron

TIED = 1e-9  # of the range of a field: values closer than that differ by rounding


@dataclass(frozen=True)
class Family:
    """Unit cells of one shape: solid is where a field of the parameters is at most a level.

    Parameters
    ----------
    name : str
    source : str
        "templates", "lattices" or "isosurfaces".
    parameters : tuple of str
    bounds : tuple of (float, float)
        Of each parameter, within which ``draw`` stays.
    field : callable
        Maps parameters and (m, 3) points of the tetrahedron to (m,) values. Where it is a
        distance to a skeleton, the level is a radius (half the thickness of a plate) in edges
        of the cell.
    weight : float
        Chance to be drawn, against that of other families of the source.
    """

    name: str
    source: str
    parameters: tuple
    bounds: tuple
    field: Callable
    weight: float = 1.0

    def draw(self, rng):
        """Parameters within their bounds, as a dict."""
        return {
            name: float(low + (high - low) * rng.random())
            for name, (low, high) in zip(self.parameters, self.bounds, strict=True)
        }

    def values(self, parameters, resolution):
        """Field at the points of the tetrahedron, (m,) array.

        Raises
        ------
        ParameterError
            If a parameter is missing, unknown or not finite, or the resolution is odd.
        """
        if set(parameters) != set(self.parameters):
            expected = ", ".join(self.parameters) or "none"
            raise ParameterError(
                f"family {self.name} has the parameters {expected}; got "
                f"{', '.join(parameters) or 'none'}"
            )
        if not all(map(np.isfinite, parameters.values())):
            raise ParameterError(f"parameters must be finite, got {parameters}")
        return self.field(parameters, tetrahedron.points(resolution))

    def octant(self, parameters, level, resolution):
        """One octant of the cell whose field is at most ``level``, (n/2, n/2, n/2) bool array."""
        solid = self.values(parameters, resolution) <= level
        return tetrahedron.octant(solid, resolution)


def level_of(values, volume_fraction, resolution):
    """Level at which a field gives the volume fraction that comes nearest.

    Points whose values differ by rounding alone stay together.

    Parameters
    ----------
    values : (m,) array
        Field at the points of the tetrahedron.
    volume_fraction : float
        In (0, 1).
    resolution : int

    Returns
    -------
    float
        Halfway between two values of the field, so that rounding decides nothing.

    Raises
    ------
    ParameterError
        If the field is the same everywhere.
    """
    order = np.argsort(values, kind="stable")
    values = values[order]
    solid = np.cumsum(tetrahedron.multiplicity(resolution)[order])
    apart = np.diff(values) > TIED * (values[-1] - values[0])
    ends = np.flatnonzero(apart)
    if not len(ends):
        raise ParameterError("the field is the same everywhere; no level divides it")
    best = ends[np.argmin(np.abs(solid[ends] - volume_fraction * solid[-1]))]
    return float((values[best] + values[best + 1]) / 2)


def unfold(octant):
    """Whole cells of octants that stand for their corner at the origin.

    Parameters
    ----------
    octant : (..., n, n, n) array

    Returns
    -------
    (..., 2 n, 2 n, 2 n) array
    """
    cell = np.asarray(octant)
    for axis in (-3, -2, -1):
        cell = np.concatenate([cell, np.flip(cell, axis)], axis)
    return cell
