"""Checks of a whole dataset: every unit against what the file says of it."""

from functools import partial

from homog.cell import carries_mirrored, components, is_open, is_open_mirrored, permutes
from homog.dataset import content_hash, pack
from homog.errors import DataError
from homog.processes import processes
from homog.thickness import smallest_feature
from homog.units import SOURCES
from homog.units.distinct import Distinct
from homog.units.sampling import VOLUME_FRACTION

CHUNK = 16  # units that a worker takes at once


def check_dataset(dataset, workers=1, progress=None):
    """Find the units that are not what the file says, or cannot serve as training data.

    Parameters
    ----------
    dataset : Dataset
    workers : int
        Processes.
    progress : callable, optional
        Called for each unit.

    Returns
    -------
    list of (int, str)
        Index of a unit and what is wrong with it.
    """
    wrong, seen, hashes = [], Distinct(), set()
    check = partial(_problems, dataset.shape, dataset.cubic, _volume_fraction(dataset.origin))
    with processes(check, workers, CHUNK) as map_units:
        for unit, problems in map_units(dataset):
            if unit.hash in hashes:
                problems.append("the same as another unit")
            elif dataset.cubic and seen.like(unit.octant):
                problems.append("nearly the same as another unit")
            hashes.add(unit.hash)
            wrong += [(unit.index, problem) for problem in problems]
            if progress:
                progress()
    return wrong


def _volume_fraction(origin):
    """Lowest and highest volume fraction that units were generated with."""
    said = origin.get("volume_fraction", VOLUME_FRACTION)
    try:
        low, high = map(float, said)
    except (TypeError, ValueError) as error:
        raise DataError(f"expected the range of volume fractions, got {said!r}") from error
    return low, high


def _problems(shape, cubic, volume_fraction, unit):
    """A unit and what is wrong with it on its own, as a list of texts."""
    return unit, [text for text, bad in _findings(shape, cubic, volume_fraction, unit) if bad]


def _findings(shape, cubic, volume_fraction, unit):
    """What may be wrong with a unit, and whether it is."""
    stored, (low, high) = unit.stored, volume_fraction
    digest = content_hash(pack(stored), shape, cubic).tobytes().hex()
    yield "its hash is not that of its voxels", digest != unit.hash
    yield "its volume fraction is another", abs(stored.mean() - unit.volume_fraction) > 1e-12
    if unit.source in SOURCES:
        yield f"its volume fraction leaves {low} to {high}", not low <= stored.mean() <= high
    feature = smallest_feature(stored, mirrored=cubic)
    yield f"its smallest feature is {feature}", feature != unit.smallest_feature
    if cubic:
        yield "it is not cubic", not permutes(stored)
        connected, spanning = carries_mirrored(stored)
        is_open_cell = is_open_mirrored(stored)
    else:
        spans = components(stored).spans
        connected, spanning = len(spans) == 1, spans.any(axis=0).all()
        is_open_cell = is_open(stored)
    yield "its void is open or closed otherwise", is_open_cell != unit.open_cell
    yield "its solid falls into parts", not connected
    yield "its solid does not span all axes", not spanning
