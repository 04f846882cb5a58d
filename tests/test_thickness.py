"""Smallest feature of solids whose thickness is known."""

import numpy as np
import pytest

from homog.thickness import opened, smallest_feature
from homog.units import families
from homog.units.family import level_of, unfold


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_a_slab_is_as_thick_as_it_is(width, axis):
    slab = np.zeros((10, 10, 10), dtype=bool)
    slab[: width // 2] = slab[width // 2 - width :] = True  # through the periodic face
    assert smallest_feature(np.moveaxis(slab, 0, axis)) == width


@pytest.mark.parametrize(("width", "expected"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 3), (9, 6)])
def test_a_square_bar_is_as_thick_as_the_ball_that_misses_five_per_cent_in_its_corners(
    width, expected
):
    """A ball of 4 to 6 voxels misses the 4 corners of the square, one of 7 misses 12 voxels."""
    bar = np.zeros((12, 12, 12), dtype=bool)
    bar[:, 1 : 1 + width, 2 : 2 + width] = True
    assert smallest_feature(bar) == expected


def test_the_thinner_of_two_slabs_counts_if_it_is_more_than_five_per_cent():
    cell = np.zeros((30, 30, 30), dtype=bool)
    cell[:19] = True
    cell[24] = True  # 1 of 20 layers
    assert smallest_feature(cell) == 19
    cell[18] = False  # 1 of 19
    assert smallest_feature(cell) == 1


def test_no_solid_has_no_feature_and_nothing_else_that_of_the_cell():
    assert smallest_feature(np.zeros((4, 5, 6))) == 0
    assert smallest_feature(np.ones((4, 5, 6))) == 4
    assert smallest_feature(np.ones((4, 4, 4)), mirrored=True) == 8


@pytest.mark.parametrize("name", ["octet", "110 sheet", "b-c-d", "ab-c"])
def test_octants_have_the_feature_of_their_cell(name):
    family = families()[name]
    parameters = family.draw(np.random.default_rng(0))
    for fraction in (0.1, 0.35):
        level = level_of(family.values(parameters, 24), fraction, 24)
        octant = family.octant(parameters, level, 24)
        assert smallest_feature(octant, mirrored=True) == smallest_feature(unfold(octant))


def test_openings_only_shrink():
    solid = np.random.default_rng(0).random((8, 8, 8)) < 0.9
    np.testing.assert_array_equal(opened(solid, 1), solid)
    np.testing.assert_array_equal(opened(opened(solid, 2), 2), opened(solid, 2))
    assert not (opened(solid, 2) & ~solid).any()
