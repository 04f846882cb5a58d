"""Balls in the solid against a slow twin; compiled and, with NUMBA_DISABLE_JIT=1, as Python."""

import naive
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from homog import thickness_kernels
from homog.thickness import _rows, ball, opened


def blobs(shape, density, seed=0):
    """Smooth random solid of a periodic cell."""
    noise = gaussian_filter(np.random.default_rng(seed).random(shape), 1.0, mode="wrap")
    return noise <= np.quantile(noise, density)


@pytest.mark.parametrize("diameter", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("density", [0.4, 0.8])
@pytest.mark.parametrize("shape", [(6, 6, 6), (5, 7, 6)])
def test_opening_is_that_of_the_slow_twin(shape, density, diameter):
    solid = blobs(shape, density)
    expected = naive.opened(solid, diameter)
    np.testing.assert_array_equal(opened(solid, diameter), expected)
    assert diameter > 2 or 0 < expected.sum() < solid.size


@pytest.mark.parametrize("diameter", [1, 2, 3, 5])
def test_octants_with_mirrors_are_opened_as_whole_cells_are(diameter):
    octant = blobs((5, 5, 5), 0.7, seed=diameter)
    cell = octant
    for axis in range(3):
        cell = np.concatenate([cell, np.flip(cell, axis)], axis)
    expected = naive.opened(cell, diameter)[:5, :5, :5]
    np.testing.assert_array_equal(opened(octant, diameter, mirrored=True), expected)


def test_balls_fit_up_to_the_faces_of_the_box():
    for shape in ((3, 3, 3), (5, 3, 4)):
        out = np.zeros(shape, dtype=bool)
        thickness_kernels.mark_balls(np.ones(shape, dtype=bool), _rows(3), out)
        expected = np.zeros(shape, dtype=bool)
        for i, j, k in np.ndindex(*(n - 2 for n in shape)):
            expected[i : i + 3, j : j + 3, k : k + 3] |= ball(3)
        np.testing.assert_array_equal(out, expected)


def test_balls():
    assert [int(ball(diameter).sum()) for diameter in (1, 2, 3, 4)] == [1, 8, 19, 32]
