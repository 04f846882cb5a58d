"""The asymmetric unit holds all of an octant that permutations of the axes leave as it is."""

from itertools import permutations

import numpy as np
import pytest
import torch

from homog.units.family import unfold
from learn.octants import AsymmetricUnit, WholeOctant, asymmetric_unit

EDGES = (1, 2, 5, 8)


def permuted(octants):
    """The octants (B, n, n, n) with their axes in each order, (6, B, n, n, n)."""
    return torch.stack([octants.permute(0, *(1 + a for a in p)) for p in permutations(range(3))])


def random_octants(n, count=3):
    return torch.rand(count, n, n, n, generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize("n", EDGES)
@pytest.mark.parametrize("domain", [WholeOctant, AsymmetricUnit])
def test_octants_that_permutations_leave_come_back_as_they_were(domain, n):
    octants = permuted(random_octants(n)).amax(0)
    seen = domain(n).reduce(octants)
    assert seen.shape == (3, *domain(n).shape)
    assert torch.allclose(domain(n).expand(seen), octants, rtol=1e-6)


@pytest.mark.parametrize("n", EDGES)
def test_of_any_octant_the_mean_over_permutations_is_seen(n):
    octants, unit = random_octants(n), AsymmetricUnit(n)
    assert torch.allclose(unit.expand(unit.reduce(octants)), permuted(octants).mean(0), atol=1e-6)


@pytest.mark.parametrize("n", EDGES)
@pytest.mark.parametrize("domain", [WholeOctant, AsymmetricUnit])
def test_weights_make_the_mean_over_the_octant(domain, n):
    octants, part = random_octants(n), domain(n)
    assert part.weights.sum() == pytest.approx(1, rel=1e-6)
    mean = (part.reduce(octants) * part.weights).flatten(1).sum(1)
    assert torch.allclose(mean, octants.mean((1, 2, 3)), rtol=1e-5)


def test_an_octant_of_24_voxels_has_2600_that_differ():
    place, representative = asymmetric_unit(24)
    assert AsymmetricUnit(24).shape == place.shape == (2600,)
    i, j, k = np.unravel_index(place, (24, 24, 24))
    assert np.all((i <= j) & (j <= k))
    assert len(np.unique(place)) == 2600
    assert np.array_equal(representative[place], np.arange(2600))  # each stands for itself


def test_no_octants_are_none_again():
    unit = AsymmetricUnit(4)
    assert unit.expand(unit.reduce(torch.zeros(0, 4, 4, 4))).shape == (0, 4, 4, 4)


@pytest.mark.parametrize("n", EDGES)
@pytest.mark.parametrize("domain", [WholeOctant, AsymmetricUnit])
def test_a_shift_by_half_a_cell_rolls_the_whole_cell(domain, n):
    octants, part = permuted(random_octants(n)).mean(0), domain(n)
    shifted = part.expand(part.shifted(part.reduce(octants)))
    rolled = np.roll(unfold(octants.numpy()), n, (1, 2, 3))
    assert np.allclose(unfold(shifted.numpy()), rolled, atol=1e-6)
