"""Designs that a topology optimization starts from.

A start is a field on the cell, higher where there should be solid; only its shape counts, because
the design keeps contrast low: about the asked density, a quarter for a standard deviation.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from homog.errors import ParameterError
from homog.units import tetrahedron

SHAPES = ("void", "bcc", "fcc", "plates", "sphere", "random")
CONTRAST = 0.25  # change of a variable for a standard deviation of the field
HALVINGS = 60
ROUNDS = 3  # of averages that make noise smooth


@dataclass(frozen=True, eq=False)
class Start:
    """Where an optimization starts.

    Parameters
    ----------
    name : str
        One of ``SHAPES``: a spherical void at the centre of the cell, voids at the points of the
        bcc or the fcc lattice, plates in the planes {111}, a solid sphere at the centre, or smooth
        noise. With an octant, what it is called.
    seed : int
        Of the noise.
    octant : (n/2, n/2, n/2) bool array, optional
        Of a cubic cell to start from instead.
    """

    name: str
    seed: int = 0
    octant: np.ndarray | None = None

    def __post_init__(self):
        if self.octant is None and self.name not in SHAPES:
            raise ParameterError(f"no start {self.name!r}; choose among {', '.join(SHAPES)}")
        if self.seed < 0:
            raise ParameterError(f"seed must not be negative, got {self.seed}")

    def __str__(self):
        return f"{self.name}-{self.seed}" if self.name == "random" else self.name

    @property
    def key(self):
        """Text that tells one start from another."""
        if self.octant is None:
            return str(self)
        return f"{self.name} {hashlib.blake2b(self.octant.tobytes(), digest_size=8).hexdigest()}"


def start_variables(start, densities, beta, volume_fraction):
    """Variables of a start that have a volume fraction.

    Parameters
    ----------
    start : Start
    densities : DensityFilter
    beta : float
        Steepness of the projection.
    volume_fraction : float

    Returns
    -------
    (m,) array
        In [0, 1].
    """
    field = _field(start, densities)
    field = field - field.mean()
    field = CONTRAST * field / (field.std() or 1.0)
    low, high = -1 - np.abs(field).max(), 1 + np.abs(field).max()
    for _ in range(HALVINGS):
        level = (low + high) / 2
        if densities.volume(np.clip(field + level, 0, 1), beta) > volume_fraction:
            high = level
        else:
            low = level
    return np.clip(field + low, 0, 1)


def _field(start, densities):
    """Field of a start at the points of the tetrahedron, (m,) array."""
    if start.octant is not None:
        solid = densities.summed(start.octant.astype(float))
        return densities.matrix @ (solid / densities.summed(np.ones(start.octant.shape)))
    points = tetrahedron.points(densities.resolution)
    if start.name == "random":
        field = np.random.default_rng(start.seed).standard_normal(len(points))
        for _ in range(ROUNDS):
            field = densities.matrix @ field
        return field
    return SHAPED[start.name](points)


def _to_centre(points):
    return np.linalg.norm(points - 0.5, axis=1)


def _to_bcc(points):
    return np.minimum(np.linalg.norm(points, axis=1), _to_centre(points))


def _to_fcc(points):
    """Distance to the nearest corner or centre of a face of the cell."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    return np.linalg.norm(points[:, None] - corners, axis=2).min(axis=1)


def _to_plates(points):
    """Distance to the planes {111} through the corners of the cell, times the root of 3."""
    total = points.sum(axis=1)
    planes = [total - 1, *(total[:, None] - 2 * points).T]
    return np.abs(planes).min(axis=0)


SHAPED = {
    "void": _to_centre,
    "bcc": _to_bcc,
    "fcc": _to_fcc,
    "plates": lambda points: -_to_plates(points),
    "sphere": lambda points: -_to_centre(points),
}
