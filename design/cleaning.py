"""From what a latent vector decodes to, to the unit that is delivered.

A decoded octant holds occupancies between 0 and 1. Which voxels are solid is a matter of the level
at which they are cut: it is chosen so that the unit that is left after cleaning has the density
asked for. Cleaning removes what floats free or hangs by an edge, so that finite elements and the
surrogate judge the same unit, the one that is delivered.
"""

from dataclasses import dataclass, field

import numpy as np

from homog.cell import is_open_mirrored, leading_through
from homog.errors import ParameterError
from homog.thickness import opened, smallest_feature
from learn.octants import SOLID

TRIES = 5  # levels at which a unit is cut and cleaned: cleaning takes away what was counted
ENCLOSED = ("keep", "fill")


@dataclass(frozen=True)
class Range:
    """Interval that a quantity shall lie in."""

    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self):
        if not self.low <= self.high:  # also rejects NaN
            raise ParameterError(f"expected a range LOW:HIGH, got {self.low:g}:{self.high:g}")

    def excess(self, value):
        """By how much a value leaves the range, 0 within."""
        return np.maximum(np.maximum(self.low - value, value - self.high), 0.0)

    def __str__(self):
        ends = ["" if np.isinf(end) else f"{end:g}" for end in (self.low, self.high)]
        return ":".join(ends)


@dataclass(frozen=True)
class Cleaning:
    """What a delivered unit looks like.

    Parameters
    ----------
    density : Range
        Of the volume fraction.
    min_feature : int
        Smallest feature allowed, in voxels: what is thinner is removed.
    enclosed : {"keep", "fill"}
        What becomes of void that is closed off on all sides.
    open_cell : bool
        Whether the void shall connect all faces of the cell.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    density: Range = field(default_factory=lambda: Range(0.0, 1.0))
    min_feature: int = 1
    enclosed: str = "keep"
    open_cell: bool = False

    def __post_init__(self):
        if not all(0 <= end <= 1 or np.isinf(end) for end in (self.density.low, self.density.high)):
            raise ParameterError(f"densities lie between 0 and 1, got {self.density}")
        if self.min_feature < 1:
            raise ParameterError(f"min_feature must be at least 1, got {self.min_feature}")
        if self.enclosed not in ENCLOSED:
            raise ParameterError(
                f"enclosed void: expected {' or '.join(ENCLOSED)}, got {self.enclosed!r}"
            )


@dataclass(frozen=True)
class CleanUnit:
    """A unit as it is delivered.

    ``octant`` (n, n, n) bool, its ``density``, the ``level`` at which the occupancy was cut,
    ``loose`` (0 where one part is all of the solid and carries load, 1 where no part does),
    ``smallest_feature`` in voxels (0 where nobody asked), and whether its void is open.
    """

    octant: np.ndarray
    density: float
    level: float
    loose: float
    smallest_feature: int
    open_cell: bool


def clean(occupancy, cleaning):
    """Cut a decoded octant and clean it, so that its density comes nearest to the range asked for.

    Parameters
    ----------
    occupancy : (n, n, n) array
        In [0, 1], invariant under permutations of the axes.
    cleaning : Cleaning

    Returns
    -------
    CleanUnit
    """
    levels, densities = _levels(occupancy)
    wanted, best = cleaning.density, None
    for _ in range(TRIES):
        level = _level(levels, densities, wanted)
        octant, loose = _cleaned(occupancy >= level, cleaning)
        density = np.count_nonzero(octant) / octant.size
        short = cleaning.density.excess(density)
        if best is None or (loose, short) < best[0]:
            best = (loose, short), octant, density, level
        if not short or loose:
            break
        shift = np.clip(density, cleaning.density.low, cleaning.density.high) - density
        wanted = Range(wanted.low + shift, wanted.high + shift)
    (loose, _), octant, density, level = best
    sized = cleaning.min_feature > 1 and octant.any()
    return CleanUnit(
        octant,
        density,
        float(level),
        loose,
        smallest_feature(octant, mirrored=True) if sized else 0,
        is_open_mirrored(octant),
    )


def _levels(occupancy):
    """Distinct occupancies, falling, and the density where all from there on are solid."""
    values, count = np.unique(occupancy, return_counts=True)
    return values[::-1], np.cumsum(count[::-1]) / occupancy.size


def _level(levels, densities, wanted):
    """Occupancy from which voxels are solid: SOLID, or what is nearest that gives the density."""
    place = np.searchsorted(-levels, -SOLID, side="right") - 1  # the last that is solid
    lowest = np.searchsorted(densities, wanted.low, side="left")
    highest = np.searchsorted(densities, wanted.high, side="right") - 1
    if lowest > highest:  # no level gives it: the one nearest in density
        near = np.clip([highest, lowest], 0, len(densities) - 1)
        chosen = min(near, key=lambda n: wanted.excess(densities[n]))
    else:
        chosen = np.clip(place, lowest, highest)
    chosen = int(np.clip(chosen, 0, len(levels) - 1))
    below = levels[chosen + 1] if chosen + 1 < len(levels) else 0.0
    return (levels[chosen] + below) / 2  # halfway: rounding decides nothing


def _cleaned(solid, cleaning):
    """What of a solid is delivered, and 1 if that carries no load, else 0."""
    if cleaning.enclosed == "fill":
        labels, through = leading_through(~solid)
        solid = ~np.isin(labels, through)
    if cleaning.min_feature > 1:
        solid = opened(solid, cleaning.min_feature, mirrored=True)
    labels, through = leading_through(solid)
    if not len(through):  # left as it is
        return solid, 1.0
    return labels == through[0], 0.0
