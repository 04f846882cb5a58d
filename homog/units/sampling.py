"""Sampling of distinct, load-carrying cubic unit cells, evenly over the volume fraction.

Every unit has a slot: its source and the volume fraction it aims at. Attempts at a slot draw a
family of the source and its parameters, with a random stream of their own; what they find
depends on the seed, the slot and the number of the attempt alone. Only likeness to earlier units
is judged in the order of the slots, round by round. So the units are the same for any number of
workers.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache, partial

import numpy as np

from homog.cell import carries_mirrored, is_open_mirrored
from homog.dataset import Cells, pack, unpack
from homog.errors import DataError, ParameterError
from homog.processes import processes
from homog.thickness import smallest_feature
from homog.units import SOURCES, families, tetrahedron
from homog.units.distinct import Distinct
from homog.units.family import level_of

VOLUME_FRACTION = (0.05, 0.40)
SHARES = {"templates": 0.6, "lattices": 0.16, "isosurfaces": 0.24}
ATTEMPTS = 1000  # at a slot, after which its source is taken to be exhausted
CHUNK = 64  # slots that a worker takes at once


@dataclass(frozen=True)
class Plan:
    """What to sample.

    Parameters
    ----------
    count : int
        Units, at least 1.
    seed : int
        Not negative.
    resolution : int
        Voxels along the edge of a cell, even.
    sources : tuple of str
        Some of "templates", "lattices", "isosurfaces".
    min_feature : int
        Smallest feature allowed, in voxels.
    volume_fraction : (float, float)
        Lowest and highest.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    count: int
    seed: int = 1
    resolution: int = 48
    sources: tuple = SOURCES
    min_feature: int = 1
    volume_fraction: tuple = VOLUME_FRACTION

    def __post_init__(self):
        tetrahedron.check_resolution(self.resolution)
        if self.count < 1:
            raise ParameterError(f"count must be at least 1, got {self.count}")
        if self.seed < 0:
            raise ParameterError(f"seed must not be negative, got {self.seed}")
        if not self.sources or set(self.sources) - set(SOURCES):
            raise ParameterError(
                f"sources must be some of {', '.join(SOURCES)}, got {', '.join(self.sources)}"
            )
        if self.min_feature < 1:
            raise ParameterError(f"min_feature must be at least 1, got {self.min_feature}")
        low, high = self.volume_fraction
        if not 0 < low < high < 1:  # also rejects NaN
            raise ParameterError(
                f"volume fractions must rise and lie between 0 and 1, got {low:g} to {high:g}"
            )

    def slots(self):
        """Source of each unit and the volume fraction it aims at, as a list of pairs.

        Every source has its share, and covers the range of volume fractions evenly.
        """
        rng = np.random.default_rng([self.seed, self.count])
        share = np.cumsum([SHARES[source] for source in self.sources])
        ends = np.round(share / share[-1] * self.count).astype(int)
        low, high = self.volume_fraction
        found = []
        for source, size in zip(self.sources, np.diff(ends, prepend=0), strict=True):
            strata = (np.arange(size) + rng.random(size)) / max(size, 1)
            found += [(source, float(low + (high - low) * x)) for x in strata]
        return [found[place] for place in rng.permutation(self.count)]


@dataclass(frozen=True)
class Unit:
    """A cubic unit cell and what it is made from.

    ``packed`` holds the bits of its octant; ``family`` is a name; ``smallest_feature`` in voxels;
    ``open_cell`` tells whether a part of the void connects all faces of the cell.
    """

    packed: np.ndarray
    volume_fraction: float
    source: str
    family: str
    parameters: dict
    level: float
    smallest_feature: int
    open_cell: bool


@dataclass(frozen=True)
class Sample:
    """``units`` in the order of their slots, and ``{reason: how many}`` others were rejected."""

    units: list
    rejected: dict


def sample(plan, workers=1, progress=None):
    """Sample distinct unit cells that carry load along all axes.

    Parameters
    ----------
    plan : Plan
    workers : int
        Processes.
    progress : callable, optional
        Called for each unit found.

    Returns
    -------
    Sample

    Raises
    ------
    ParameterError
        If ``workers`` is less than 1.
    DataError
        If a source has no more distinct units.
    """
    if workers < 1:
        raise ParameterError(f"workers must be at least 1, got {workers}")
    units, rejected, seen = [None] * plan.count, Counter(), Distinct()
    waiting = [(slot, 0) for slot in range(plan.count)]
    with processes(partial(_attempts, plan), workers, CHUNK) as map_slots:
        while waiting:
            slots, waiting = waiting, []
            for slot, attempt, unit, reasons in map_slots(slots):
                rejected.update(reasons)
                if unit is None:
                    raise DataError(_exhausted(plan, slot))
                if seen.like(unpack(unit.packed, (plan.resolution // 2,) * 3)):
                    rejected["near-duplicate"] += 1
                    waiting.append((slot, attempt + 1))
                    continue
                units[slot] = unit
                if progress:
                    progress()
    return Sample(units, dict(rejected))


def _exhausted(plan, slot):
    source, aim = _slots(plan)[slot]
    return (
        f"no further distinct unit from {source} at volume fraction {aim:.3f} in {ATTEMPTS} "
        "attempts; ask for fewer units, more sources, a higher resolution or smaller features"
    )


def _attempts(plan, start):
    """Attempt at a slot until a cell is accepted or the attempts are used up.

    ``start`` is the slot and the number of the attempt to begin with; returned are the slot,
    the last attempt, the unit or None, and the rejections.
    """
    slot, first = start
    rejected = Counter()
    for attempt in range(first, ATTEMPTS):
        unit, reason = _attempt(plan, slot, attempt)
        if unit is not None:
            return slot, attempt, unit, rejected
        rejected[reason] += 1
    return slot, ATTEMPTS, None, rejected


def _attempt(plan, slot, attempt):
    """A unit, or None and the reason why not."""
    source, aim = _slots(plan)[slot]
    rng = np.random.default_rng([plan.seed, slot, attempt])
    family = _drawn(source, rng)
    parameters = family.draw(rng)
    values = family.values(parameters, plan.resolution)
    level = level_of(values, aim, plan.resolution)
    octant = tetrahedron.octant(values <= level, plan.resolution)
    low, high = plan.volume_fraction
    if not low <= octant.mean() <= high:
        return None, "volume fraction out of range"
    connected, spanning = carries_mirrored(octant)
    if not (connected and spanning):
        return None, "not spanning" if connected else "not connected"
    feature = smallest_feature(octant, mirrored=True)
    if feature < plan.min_feature:
        return None, "feature too small"
    unit = Unit(
        packed=pack(octant),
        volume_fraction=float(octant.mean()),
        source=source,
        family=family.name,
        parameters=parameters,
        level=level,
        smallest_feature=feature,
        open_cell=is_open_mirrored(octant),
    )
    return unit, None


@lru_cache(maxsize=1)
def _slots(plan):
    return plan.slots()


def _drawn(source, rng):
    """A family of a source, by its weight."""
    members, weights = _members(source)
    return members[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]


@lru_cache(maxsize=len(SOURCES))
def _members(source):
    """Families of a source, and their weights summed up."""
    members = [family for family in families().values() if family.source == source]
    return members, np.cumsum([family.weight for family in members])


def cells_of(found, plan):
    """A sample as it is stored.

    Parameters
    ----------
    found : Sample
    plan : Plan

    Returns
    -------
    Cells
    """
    members = [family for source in plan.sources for family in _members(source)[0]]
    places = {family.name: place for place, family in enumerate(members)}
    width = max(len(family.parameters) for family in members)
    parameters = np.full((len(found.units), max(width, 1)), np.nan)
    for row, unit in zip(parameters, found.units, strict=True):
        row[: len(unit.parameters)] = list(unit.parameters.values())
    columns = {
        "volume_fraction": np.array([unit.volume_fraction for unit in found.units]),
        "smallest_feature": np.array([u.smallest_feature for u in found.units], np.int16),
        "open_cell": np.array([unit.open_cell for unit in found.units]),
        "family": np.array([places[unit.family] for unit in found.units], np.int32),
        "level": np.array([unit.level for unit in found.units]),
        "parameters": parameters,
    }
    packed = np.array([unit.packed for unit in found.units])
    families_of = [(f.name, f.source, f.parameters) for f in members]
    origin = {"command": "generate", **asdict(plan), "rejected": found.rejected}
    return Cells(packed, (plan.resolution,) * 3, True, columns, families_of, origin)
