"""Delivered units: density met by the level, one part that carries load, features as asked."""

from itertools import permutations

import numpy as np
import pytest
from scipy.ndimage import label

from design.cleaning import Cleaning, Range, clean
from homog.cell import carries_mirrored, load_path
from homog.errors import ParameterError
from homog.units.family import unfold

N = 8


def symmetric(field):
    return sum(np.transpose(field, axes) for axes in permutations(range(3))) / 6


def noise(seed, smooth=True):
    """An occupancy that falls with the distance from the axes, with a little noise."""
    rng = np.random.default_rng(seed)
    x = np.indices((N,) * 3) + 0.5
    distance = np.sort(x, axis=0)[:2]  # from the nearest axis: its two smaller coordinates
    field = symmetric(np.hypot(*distance) / N + 0.1 * rng.random((N,) * 3))
    return 1 / (1 + np.exp(8 * (field - 0.35)))


def strut(width=2):
    """Occupancy of bars along the three axes, well inside [0, 1]."""
    i, j, k = np.indices((N,) * 3)
    solid = sum((a < width).astype(int) for a in (i, j, k)) >= 2
    return np.where(solid, 0.9, 0.1)


def parts(octant):
    """Labels of the parts of 3 x 3 x 3 whole cells, and those that lead out of them."""
    n = 2 * len(octant)
    labels, _ = label(np.tile(unfold(octant), (3, 3, 3)))
    outside = [np.take(labels, end, axis) for axis in range(3) for end in (0, -1)]
    infinite = set(np.unique(outside)) - {0}
    middle = labels[n : n + n // 2, n : n + n // 2, n : n + n // 2]
    return middle, infinite, [set(np.unique(face)) for face in outside]


def enclosed(void):
    """Void of an octant from which nobody gets out of its cell and its neighbours."""
    labels, infinite, _ = parts(void)
    return void & ~np.isin(labels, list(infinite))


def is_open(void):
    """Whether one part of the void leads out of the cells in all directions."""
    labels, _, faces = parts(void)
    return bool(set.intersection(*faces) & set(np.unique(labels[void])))


def random_solid(seed, density):
    field = symmetric(np.random.default_rng(seed).random((N,) * 3)).round(12)
    return field <= np.quantile(field, density)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("aim", [0.15, 0.3, 0.5])
def test_the_density_of_what_is_delivered_is_the_one_asked_for(seed, aim):
    cleaning = Cleaning(Range(aim - 0.01, aim + 0.01))
    unit = clean(noise(seed), cleaning)
    assert unit.loose == 0
    assert unit.density == unit.octant.mean()
    assert aim - 0.01 <= unit.density <= aim + 0.01


def test_a_density_that_is_met_keeps_the_level_at_one_half():
    field = noise(0)
    density = (field >= 0.5).mean()
    unit = clean(field, Cleaning(Range(density - 0.1, density + 0.1)))
    assert np.array_equal(unit.octant, field >= 0.5)
    assert unit.level == pytest.approx(0.5, abs=0.1)


def test_voxels_of_one_occupancy_stay_together():
    """What is symmetric stays so, and a density between two levels is missed, not forced."""
    unit = clean(strut(), Cleaning(Range(0.2, 0.25)))
    assert np.array_equal(unit.octant, strut() > 0.5)
    assert not 0.2 <= unit.density <= 0.25


@pytest.mark.parametrize("seed", range(3))
def test_delivered_units_are_cubic_and_carry_load_as_one_part(seed):
    field = np.clip(
        noise(seed) + 0.3 * symmetric(np.random.default_rng(seed).random((N,) * 3)), 0, 1
    )
    unit = clean(field, Cleaning(Range(0.2, 0.5)))
    assert unit.loose == 0
    for axes in permutations(range(3)):
        assert np.array_equal(unit.octant, unit.octant.transpose(axes))
    assert all(carries_mirrored(unit.octant))
    path = load_path(unfold(unit.octant))
    assert np.array_equal(path.solid, unfold(unit.octant))
    assert path.parts == 1


def test_what_floats_or_hangs_by_an_edge_is_removed():
    field = strut()
    field[6, 6, 6] = 0.9  # floats
    field[2, 2, 2] = 0.9  # touches the bars at a corner only
    unit = clean(field, Cleaning())
    assert unit.loose == 0
    assert np.array_equal(unit.octant, strut() > 0.5)


def test_the_density_is_that_without_what_floats():
    """The level falls until what is left has the density asked for."""
    i, j, k = np.indices((N,) * 3)
    depth = np.sort([i, j, k], axis=0)[1]  # bars of growing width
    field = 0.9 - 0.1 * depth
    ball = np.minimum(np.minimum(i, j), k) >= 6
    field[ball] = 0.95
    alone = clean(np.where(ball, 0.0, field), Cleaning(Range(0.4, 0.6)))
    unit = clean(field, Cleaning(Range(0.4, 0.6)))
    assert unit.loose == 0
    assert 0.4 <= unit.density <= 0.6
    assert np.array_equal(unit.octant, alone.octant)


def frame(first, last):
    """Bars along the axes and their mirror images, of a box of voxels from the corner."""
    inside = [(first <= a) & (a < last) for a in np.indices((N,) * 3)]
    return sum(part.astype(int) for part in inside) >= 2


@pytest.mark.parametrize(("low", "high"), [((0, 2), (5, 8)), ((0, 3), (6, 8))])
def test_of_parts_that_pass_through_each_other_the_larger_is_delivered(low, high):
    """Bars about the corners of the cell, and others about its middle, that never touch."""
    bars = [frame(*low), frame(*high)]
    solid = bars[0] | bars[1]
    assert load_path(unfold(solid)).parts == 2
    unit = clean(np.where(solid, 0.9, 0.1), Cleaning())
    assert unit.loose == 0
    assert np.array_equal(unit.octant, max(bars, key=np.sum))
    assert load_path(unfold(unit.octant)).parts == 1


@pytest.mark.parametrize("seed", range(12))
def test_what_is_delivered_is_the_largest_part_of_a_flood_in_whole_cells(seed):
    solid = random_solid(seed, 0.45)
    labels, infinite, _ = parts(solid)
    sizes = {n: np.count_nonzero(labels == n) for n in infinite & set(np.unique(labels))}
    wanted = labels == max(sizes, key=sizes.get)
    assert wanted.sum() < solid.sum()
    unit = clean(np.where(solid, 0.9, 0.1), Cleaning())
    assert unit.loose == 0
    assert np.array_equal(unit.octant, wanted)


def test_a_unit_that_does_not_span_is_told_and_left():
    field = np.zeros((N,) * 3)
    field[:3, :3, :3] = 0.9
    unit = clean(field, Cleaning())
    assert unit.loose == 1
    assert np.array_equal(unit.octant, field > 0.5)


def test_a_field_without_levels_misses_the_density():
    unit = clean(np.zeros((N,) * 3), Cleaning(Range(0.2, 0.3)))
    assert unit.density == unit.octant.mean()
    assert not 0.2 <= unit.density <= 0.3


def test_features_that_are_too_small_are_removed():
    field = strut(3)
    field[:, 6, 6] = field[6, :, 6] = field[6, 6, :] = 0.9  # bars of one voxel, which cross
    field[6, :, 1] = field[6, 1, :] = field[1, 6, :] = field[:, 6, 1] = 0.9
    field[1, :, 6] = field[:, 1, 6] = 0.9
    unit = clean(field, Cleaning(min_feature=3))
    assert unit.smallest_feature >= 3
    assert unit.octant.sum() < (field > 0.5).sum()
    assert np.array_equal(unit.octant, strut(3) > 0.5)


def _in_faces(low_to_high):
    return (low_to_high[0] <= 2) & (low_to_high[1] >= 5)


POCKETS = {  # void in a solid block: where it lies, and whether it is closed off on all sides
    "in the middle of the cell": (lambda i, j, k: np.minimum(np.minimum(i, j), k) >= 5, True),
    "about a corner of the cell": (lambda i, j, k: np.maximum(np.maximum(i, j), k) <= 2, True),
    "about the middle of each face": (lambda i, j, k: _in_faces(np.sort([i, j, k], 0)), True),
    "channels through the middle": (lambda i, j, k: np.sort([i, j, k], 0)[1] >= 5, False),
    "on a diagonal": (lambda i, j, k: (i == j) & (j == k) & (i == 4), True),
    "channels along the edges": (lambda i, j, k: np.sort([i, j, k], 0)[1] <= 1, False),
}


@pytest.mark.parametrize("place", POCKETS)
def test_void_that_is_closed_off_on_all_sides_is_kept_or_filled(place):
    where, closed = POCKETS[place]
    void = where(*np.indices((N,) * 3))
    assert np.array_equal(enclosed(void), void & closed)
    field = np.where(void, 0.1, 0.9)
    assert np.array_equal(clean(field, Cleaning()).octant, ~void)
    filled = clean(field, Cleaning(enclosed="fill")).octant
    assert np.array_equal(filled, ~void | closed)


def test_void_that_touches_a_channel_over_an_edge_is_enclosed():
    i, j, k = np.indices((N,) * 3)
    channels = np.sort([i, j, k], 0)[1] <= 1
    pocket = (np.sort([i, j, k], 0) == np.array([2, 2, 4])[:, None, None, None]).all(0)
    filled = clean(np.where(channels | pocket, 0.1, 0.9), Cleaning(enclosed="fill")).octant
    assert np.array_equal(filled, ~channels)


@pytest.mark.parametrize("seed", range(12))
def test_the_void_that_is_filled_is_that_of_a_flood_in_whole_cells(seed):
    solid = random_solid(seed, 0.72)
    wanted = solid | enclosed(~solid)
    assert wanted.sum() > solid.sum()
    assert all(carries_mirrored(wanted))  # else cleaning takes more away
    unit = clean(np.where(solid, 0.9, 0.1), Cleaning(enclosed="fill"))
    assert np.array_equal(unit.octant, wanted)


def test_whether_the_void_is_open_is_that_of_a_flood_in_whole_cells():
    """Of units of all kinds: each answer comes up often."""
    answers = []
    for seed in range(40):
        unit = clean(noise(seed), Cleaning(Range(0.3, 0.9)))
        octant = clean(np.where(random_solid(seed, 0.6), 0.9, 0.1), Cleaning())
        for found in (unit, octant):
            answers.append(is_open(~found.octant))
            assert found.open_cell == answers[-1]
    assert 10 < sum(answers) < 70


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Range(0.3, 0.2), "expected a range"),
        (lambda: Range(float("nan"), 0.2), "expected a range"),
        (lambda: Cleaning(Range(0.3, 1.2)), "between 0 and 1"),
        (lambda: Cleaning(Range(-0.1)), "between 0 and 1"),
        (lambda: Cleaning(min_feature=0), "min_feature"),
        (lambda: Cleaning(enclosed="burn"), "keep or fill"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        wrong()


def test_a_range_tells_how_far_a_value_is_outside():
    assert Range(1, 2).excess(np.array([0.5, 1.0, 1.5, 2.25])).tolist() == [0.5, 0, 0, 0.25]
    assert Range(high=2).excess(-100) == 0
    assert str(Range(0.299, 0.301)) == "0.299:0.301"
    assert str(Range(low=3)) == "3:"


@pytest.mark.parametrize("density", [Range(low=0.3), Range(high=0.3)])
def test_a_density_may_be_bounded_on_one_side(density):
    unit = clean(noise(0), Cleaning(density))
    assert unit.loose == 0
    assert density.excess(unit.density) == 0
