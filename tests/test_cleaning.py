"""Delivered units: density met by the level, one part that carries load, features as asked."""

from itertools import permutations

import numpy as np
import pytest

from design.cleaning import Cleaning, Range, clean
from homog.cell import carries_mirrored, is_open_mirrored, load_path
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


def test_parts_that_pass_through_each_other_are_not_delivered_as_one():
    octant = np.zeros((N,) * 3)
    octant[:2, :2] = octant[:2, :, :2] = octant[:, :2, :2] = 0.9
    octant[6:, 6:] = octant[6:, :, 6:] = octant[:, 6:, 6:] = 0.9
    unit = clean(octant, Cleaning())
    assert unit.loose == 0  # the larger of both, or the first
    assert load_path(unfold(unit.octant)).parts == 1


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


def test_enclosed_void_is_kept_or_filled():
    """A wall around the middle of the cell: no face leads to what is inside."""
    i, j, k = np.indices((N,) * 3)
    outside = np.maximum(np.maximum(i, j), k)
    field = np.where((outside >= 3) & (outside < 5), 0.9, 0.1)  # shell of a cube about the corner
    field = np.where(np.minimum(np.minimum(i, j), k) < 2, 0.9, field)
    kept = clean(field, Cleaning())
    assert not kept.octant.all()
    closed = np.full((N,) * 3, 0.9)
    closed[5:, 5:, 5:] = 0.1  # void about the middle of the cell, closed on all sides
    assert not clean(closed, Cleaning()).octant.all()
    assert clean(closed, Cleaning(enclosed="fill")).octant.all()


@pytest.mark.parametrize("width", [2, 3])
def test_whether_the_void_is_open_is_told(width):
    unit = clean(strut(width), Cleaning())
    assert unit.open_cell == is_open_mirrored(unit.octant)
    assert unit.open_cell


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Range(0.3, 0.2), "expected a range"),
        (lambda: Range(float("nan"), 0.2), "expected a range"),
        (lambda: Cleaning(Range(0.3, 1.2)), "between 0 and 1"),
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
